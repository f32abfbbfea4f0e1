"""Everything that the chapter `laboratory` calls."""

from .bench import (
    METHODS,
    PRESETS,
    SIZE,
    SPECIMENS,
    Conditions,
    preset,
    record,
    run,
    run_presets,
    specimen,
)
from .claims import numbers
from .controls import CONTROLS
from .explorer import CORE, explore, first_run
from .figures import LIMITS
