"""What is to be solved, and how a run goes: checked once, then passed on whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ._blocks import is_lazy
from ._checks import (
    as_float32,
    as_float64,
    check_count,
    check_function,
    check_number,
    check_ratios,
    check_series,
)
from ._engine.device import check_device
from ._engine.system import Residuals
from .projector import Projector
from .stopping import History


@dataclass(frozen=True, eq=False)
class Problem:
    """The data of a reconstruction and what weighs them.

    Attributes
    ----------
    W
        The projector of the element maps.
    haadf
        (tilts, *lead, size), with the tilts of `haadf_projector`, if any; None for SIRT alone.
    maps
        (elements, tilts, *lead, size). `lead` are the axes of the slices.
    ratios
        (elements,) or (elements, slices); None to leave the maps as they are.
    alpha
        Weight of HAADF: a number, or one for each slice, shape (slices,).
    haadf_projector
        The projector of the HAADF images where they have tilts of their own.
    mask
        (size, size) or (*lead, size, size).
    x0
        (elements, *lead, size, size).
    blur
        Kernels that the maps are smoothed with along the slices and across them; None if not.
    variance
        That of the maps, in their shape, for a method that wants it, in blocks.
    accelerate
        Whether SIRT's steps have momentum.
    """

    W: Projector
    haadf: np.ndarray | None
    maps: np.ndarray
    ratios: np.ndarray | None = None
    alpha: float | np.ndarray = 0.0
    haadf_projector: Projector | None = None
    mask: Any = None
    x0: Any = None
    blur: tuple[np.ndarray, np.ndarray] | None = None
    variance: Any = None
    accelerate: bool = False

    @classmethod
    def checked(
        cls, W, haadf, maps, ratios, alpha, haadf_projector=None, mask=None, x0=None, blur=None
    ):
        """Return the problem of `hebt.reconstruct` after checking it.

        Dask arrays are checked in shape and type here, and in their values where they are read.
        """
        check_projector(W)
        check_haadf_projector(W, haadf_projector)
        if not any(map(is_lazy, (haadf, maps))):
            tilts = None if haadf_projector is None else len(W.angles)
            haadf, maps = check_series(haadf, maps, tilts)
            (haadf_projector or W).check_projections("haadf", haadf)
            W.check_projections("maps[0]", maps[0])
        else:
            haadf = haadf if is_lazy(haadf) else as_float32("haadf", haadf)
            maps = maps if is_lazy(maps) else as_float32("maps", maps)
        ratios = check_ratios(ratios, len(maps), maps.shape[2:-1])
        alpha = check_alpha("alpha", alpha)
        blur = check_blur(blur, maps.shape[2:-1])
        problem = cls(W, haadf, maps, ratios, alpha, haadf_projector, mask, x0, blur)
        return problem if problem.is_lazy else problem.with_checked_x0_and_mask()

    def with_checked_x0_and_mask(self) -> Problem:
        """Return the same after checking these two, which must be in memory."""
        mask, x0 = self.mask, self.x0
        if mask is not None:
            mask = _check_mask(mask, self.lead, self.W.size)
        if x0 is not None:
            x0, single = as_float32("x0", x0), self.haadf is None
            if x0.shape != self.shape[single:]:
                raise ValueError(
                    f"x0 has shape {x0.shape}; expected {self.shape[single:]}, that of the result."
                )
            x0 = x0.reshape(self.shape)
        return replace(self, mask=mask, x0=x0)

    @property
    def lead(self) -> tuple[int, ...]:
        """Lengths of the axes of the slices."""
        return self.maps.shape[2:-1]

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the result, (elements, *lead, size, size)."""
        return (len(self.maps), *self.lead, self.W.size, self.W.size)

    @property
    def volumes(self) -> int:
        """How many volumes lie side by side, if the last axis of the slices is that of one."""
        return int(np.prod(self.lead[:-1]))

    @property
    def reach(self) -> int:
        """How many slices away a slice still shows in the maps, smoothed along the slices."""
        return 0 if self.blur is None else len(self.blur[0]) // 2

    @property
    def is_lazy(self) -> bool:
        """Whether any of the data are Dask arrays."""
        return any(map(is_lazy, (self.haadf, self.maps, self.mask, self.x0, self.variance)))


@dataclass(frozen=True, eq=False)
class Run:
    """How a run goes: how long, who looks at it, and where."""

    iterations: int
    callback: Callable | None = None
    stop: Any = ()
    history: Any = None
    device: str = "auto"
    progress: bool | None = False
    label: str = "HEBT"

    def __post_init__(self):
        set_ = object.__setattr__
        set_(self, "iterations", check_count("iterations", self.iterations))
        check_device(self.device)
        if self.callback is not None:
            check_function("callback", self.callback, "a function of iteration, x and residuals")
        set_(self, "stop", _check_rules(self.stop))
        if self.history is None:
            set_(self, "history", History())
        if not isinstance(self.history, History):
            raise TypeError(f"history is {self.history!r}; expected a hebt.History.")

    @property
    def is_watched(self) -> bool:
        """Whether somebody wants the residuals of each iteration."""
        return self.callback is not None or bool(self.stop)

    def ends(self, iteration: int, x: Callable[[], np.ndarray], residuals: Residuals) -> bool:
        """Show callback and rules an iteration; say whether one of them ends the run."""
        if self.callback is not None and _is_true(
            "callback", self.callback, self.callback(iteration, x(), residuals)
        ):
            return True
        self.history.stopped_by = next(
            (rule for rule in self.stop if _is_true("stop", rule, rule(iteration, residuals))), None
        )
        return self.history.stopped_by is not None


def check_projector(W: object) -> None:
    """Raise a TypeError unless W is a `Projector`."""
    if not isinstance(W, Projector):
        raise TypeError(
            f"W is a {type(W).__name__}; expected a hebt.Projector. Make it of the tilt angles "
            "and the number of pixels across the tilt axis: hebt.Projector(angles, size)."
        )


def check_haadf_projector(W: Projector, haadf_projector: Any) -> None:
    """Raise a ValueError unless it is None or a projector as large as W."""
    if haadf_projector is not None and (
        not isinstance(haadf_projector, Projector) or haadf_projector.size != W.size
    ):
        raise ValueError(
            f"haadf_projector is {haadf_projector!r}; expected a Projector of size {W.size}, as W, "
            "that of the element maps."
        )


def check_alpha(name: str, alpha: Any) -> float:
    """Return a weight of HAADF, from 0 to below 1."""
    expected = (
        "a weight of at least 0 and below 1, e.g. 0.7; 0 is EDS alone. For HAADF alone, use sirt"
    )
    return check_number(name, alpha, expected, also_least=True, most=1, also_most=False)


def check_blur(blur: Any, lead: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the kernels along the slices and across them; None if they smooth nothing."""
    if blur is None:
        return None
    if isinstance(blur, (tuple, list)) and len(blur) == 2 and all(map(np.iterable, blur)):
        along, across = (_check_kernel(f"blur[{i}]", kernel) for i, kernel in enumerate(blur))
    else:
        across = _check_kernel("blur", blur)
        along = across if lead else np.ones(1)
    if len(along) > 1 and not lead:
        raise ValueError(
            f"blur[0], the kernel along the slices, has {len(along)} taps, but there is no axis of "
            "slices; expected [1], or one kernel alone, which is that across them."
        )
    return (along, across) if len(along) > 1 or len(across) > 1 else None


def _check_kernel(name: str, kernel: Any) -> np.ndarray:
    kernel = as_float64(name, kernel, ndim=(1,))
    even, uneven = len(kernel) % 2 == 0, np.abs(kernel - kernel[::-1]).max()
    if even or uneven > 1e-6 or kernel.min() < 0 or abs(kernel.sum() - 1) > 1e-6:
        raise ValueError(
            f"{name} has {len(kernel)} taps from {kernel.min():g} to {kernel.max():g} with sum "
            f"{kernel.sum():g}; expected an odd number of them, the same from both ends, none "
            "below 0, with sum 1, as from hebt.prepare.smoothing_kernel(12, sigma=4)."
        )
    return kernel


def _check_mask(mask: Any, lead: tuple[int, ...], size: int) -> np.ndarray:
    mask = as_float32("mask", mask)
    shape = (*lead, size, size)
    if mask.shape not in ((size, size), shape):
        raise ValueError(
            f"mask has shape {mask.shape}; expected ({size}, {size}) or {shape}, that of a slice "
            "or of the volume."
        )
    if mask.min() < 0 or mask.max() > 1:
        raise ValueError(f"mask has values from {mask.min():g} to {mask.max():g}; expected 0 to 1.")
    return mask


def _check_rules(stop: Any) -> tuple:
    rules = () if stop is None else tuple(stop) if isinstance(stop, (list, tuple)) else (stop,)
    for rule in rules:
        check_function("stop", rule, "a rule such as hebt.RelativeChange(1e-3), or a list of rules")
    return rules


def _is_true(name: str, function: Any, answer: Any) -> bool:
    """Return an answer that ends a run or not; 1 or an array could mean either, and is refused."""
    # a comparison of numpy numbers gives numpy's own True
    if not isinstance(answer, (bool, np.bool_, type(None))):
        raise TypeError(
            f"{name} {function!r} returned {answer!r}; expected True to stop, or False or None to "
            "go on. Turn what it returns into a bool."
        )
    return bool(answer)
