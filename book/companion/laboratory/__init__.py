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
from .explorer import CONTROLS, CORE, LIMITS, explore, first_run
