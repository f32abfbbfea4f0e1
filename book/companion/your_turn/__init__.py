"""Everything that the chapter `your_turn` calls."""

from .claims import numbers
from .figures import plot_lines, plot_mistakes, plot_result, plot_right
from .journey import files
from .mistakes import mistakes
from .recording import recording
from .tables import list_table, mistake_table, recording_table, when_table
