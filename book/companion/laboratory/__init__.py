"""Everything that the chapter `laboratory` calls."""

from .bench import (
    ELEMENTS,
    METHODS,
    PRESETS,
    SIZE,
    SPECIMENS,
    Conditions,
    Outcome,
    Preset,
    Series,
    preset,
    record,
    run,
    run_presets,
    specimen,
)
from .explorer import (
    CONTROLS,
    CORE,
    HERE,
    LIMITS,
    NAMES,
    UNIT,
    Laboratory,
    explore,
    first_run,
    picture,
    scores_html,
)

__all__ = ['CONTROLS', 'CORE', 'Conditions', 'ELEMENTS', 'HERE', 'LIMITS', 'Laboratory', 'METHODS', 'NAMES', 'Outcome', 'PRESETS', 'Preset', 'SIZE', 'SPECIMENS', 'Series', 'UNIT', 'explore', 'first_run', 'picture', 'preset', 'record', 'run', 'run_presets', 'scores_html', 'specimen']
