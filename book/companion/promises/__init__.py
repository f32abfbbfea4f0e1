"""Everything that the chapter `promises` calls."""

from .record import numbers, record
from .tables import promises_table, refusals_table
