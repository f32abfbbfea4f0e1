"""The studies of all chapters, which the paper is held against."""

from __future__ import annotations

import functools

from ..particles.absorption import absorption_study
from ..particles.alloy import alloy_study
from ..particles.nonalloy import nonalloy_study
from ..phantom.stability import stability
from ..phantom.study import study as phantom_study
from ..spectra.processing import process
from ..spectra.settings import settings
from ..spectra.study import study as spectrum_study
from ..sweeps.slice import slice_sweep
from ..without_weight.study import study as methods_study
from .backprojection import backprojection
from .equations import checks


class Results:
    """The chapters' own studies; each is computed, or found on disk, when it is first asked for."""

    phantom = functools.cached_property(lambda self: phantom_study())
    stability = functools.cached_property(lambda self: stability())
    nonalloy = functools.cached_property(lambda self: nonalloy_study())
    alloy = functools.cached_property(lambda self: alloy_study())
    absorption = functools.cached_property(
        lambda self: {which: absorption_study(which) for which in ("nonalloy", "alloy")}
    )
    series = functools.cached_property(
        lambda self: {which: process(settings(which)) for which in ("nonalloy", "alloy")}
    )
    spectrum = functools.cached_property(lambda self: spectrum_study(settings("nonalloy")))
    alloy_spectrum = functools.cached_property(lambda self: spectrum_study(settings("alloy")))
    sweep = functools.cached_property(lambda self: slice_sweep())
    methods = functools.cached_property(lambda self: methods_study())
    backprojection = functools.cached_property(lambda self: backprojection())
    equations = functools.cached_property(lambda self: checks())


def results() -> Results:
    """Return all studies that the paper is held against."""
    return Results()
