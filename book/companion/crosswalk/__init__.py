"""Everything that the chapter `line_by_line` calls."""

from .backprojection import backprojection
from .results import results
from .tables import backprojection_table, crosswalk_table, numbers, status_table
