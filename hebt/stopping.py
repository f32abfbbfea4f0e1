"""When to stop: residuals of a run, their history, and rules that end it.

A rule is called as ``rule(iteration, residuals)`` after each iteration and returns True to stop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._checks import (
    as_float32,
    as_float64,
    check_count,
    check_counts,
    check_flag,
    check_function,
    check_half,
    check_number,
    check_ratios,
    check_variance,
)
from ._counts import are_counts
from ._engine.system import Residuals
from .projector import Projector


class History:
    """The residuals of a run, written down while it runs.

    Give it as ``history=`` to `sirt` or `reconstruct`; it costs no projection. Entry n belongs to
    the reconstruction after n iterations, entry 0 to `x0`. That of the last one would need one
    more projection; it is there only where a callback or a stopping rule asked for it.

    Parameters
    ----------
    shares
        Also keep the shares that a `CompositionEM` ends with, as large as its result; given to
        the next, it goes on as if it had never stopped.

    Attributes
    ----------
    iterations : int
        How many iterations the run had.
    stopped_by
        The rule that ended it; None if it ran to the end (or the callback stopped it).
    eds : numpy.ndarray
        ||r_e p_e - W x_e||, shape (entries, elements); for `sirt`, ||p - W x||, with one column.
    haadf : numpy.ndarray
        ||p_h - sum_e W x_e||, shape (entries,); 0 for `sirt`.
    change : numpy.ndarray
        ||x - x_before|| / ||x||, shape (entries,); NaN for entry 0.
    deviance : numpy.ndarray or None
        Poisson deviance of each element's counts, shape (entries, elements), of `CompositionEM`
        and `GuidedTV`; None for other methods.
    shares : numpy.ndarray or None
        The a_e that a `CompositionEM` ended with (also where it was interrupted), in the shape of
        its result, if they are kept.

    Examples
    --------
    >>> import hebt, numpy as np
    >>> W = hebt.Projector([-60, 0, 60], 16)
    >>> history = hebt.History()
    >>> x = hebt.sirt(W, W.forward(np.ones((16, 16))), iterations=5, history=history)
    >>> history.eds.shape, bool(history.eds[-1, 0] < history.eds[0, 0])
    ((5, 1), True)
    """

    def __init__(self, *, shares: bool = False):
        self.keeps_shares = check_flag("shares", shares)
        # what a run with momentum begins with and, if kept, ends with, beside x
        self._keeps_momentum = False
        self._begins: Any = None
        self.clear()

    def __repr__(self) -> str:
        end = f", stopped by {self.stopped_by}" if self.stopped_by is not None else ""
        return f"History({self.iterations} iterations{end})"

    def __len__(self) -> int:
        return len(self._entries)

    def clear(self) -> None:
        """Forget the last run."""
        self.iterations, self.stopped_by = 0, None
        self.shares: np.ndarray | None = None
        self._ended: Any = None
        self._entries: list[Residuals] = []

    def add(self, residuals: Residuals) -> None:
        """Write the residuals of one more reconstruction down.

        Parameters
        ----------
        residuals
            Those of the next reconstruction.
        """
        self._entries.append(residuals)

    @property
    def eds(self) -> np.ndarray:
        return np.array([r.eds for r in self._entries])

    @property
    def haadf(self) -> np.ndarray:
        return np.array([r.haadf for r in self._entries])

    @property
    def change(self) -> np.ndarray:
        return np.array([r.change for r in self._entries])

    @property
    def deviance(self) -> np.ndarray | None:
        values = [r.deviance for r in self._entries if r.deviance is not None]
        return np.array(values) if values else None


class Snapshots:
    """What a run looks like at chosen iterations.

    Give it as ``callback=`` to `sirt` or `reconstruct`. Without a `score` it keeps copies of the
    reconstruction, so mind the memory; with one, what ``score(x)`` returns.

    Parameters
    ----------
    iterations
        After which iterations to keep something; in any order, each once.
    score
        Called with a read-only view of the reconstruction.

    Attributes
    ----------
    iterations : tuple of int
        The chosen iterations, rising.
    values : list
        What was kept, in the order of the iterations, as far as the last run has come.

    Raises
    ------
    TypeError, ValueError
        If an iteration is no whole number from 1 on or comes twice, or `score` is no function.

    Examples
    --------
    >>> import hebt, numpy as np
    >>> W = hebt.Projector(np.arange(-75, 76, 15), 64)
    >>> p = W.forward(hebt.simulate.phantom(64).density[0])
    >>> keep = hebt.Snapshots([1, 5], score=lambda x: np.linalg.norm(W.forward(x) - p))
    >>> x = hebt.sirt(W, p, iterations=5, callback=keep)
    >>> bool(keep[5] < keep[1])
    True
    """

    def __init__(self, iterations: Iterable[int], score: Callable | None = None):
        self.iterations = tuple(check_counts("iterations", iterations, rising=False))
        if score is not None:
            check_function("score", score, "a function of the reconstruction")
        self.score = score
        self._kept: dict = {}

    def __call__(self, iteration: int, x: np.ndarray, residuals: Residuals) -> None:
        if iteration == 1:
            self._kept = {}
        if iteration in self.iterations:
            self._kept[iteration] = np.array(x, order="C") if self.score is None else self.score(x)

    def __getitem__(self, iteration: int) -> Any:
        if iteration not in self._kept:
            raise KeyError(
                f"nothing was kept after {iteration} iterations; there is something after "
                f"{', '.join(map(str, self._kept)) or 'none'}."
            )
        return self._kept[iteration]

    def __repr__(self) -> str:
        return f"Snapshots({list(self.iterations)}, {len(self._kept)} kept)"

    @property
    def values(self) -> list:
        return list(self._kept.values())


@dataclass(frozen=True)
class RelativeChange:
    """Stop once an iteration moves the reconstruction by less than a part of itself.

    Parameters
    ----------
    tolerance
        Stop at ||x - x_before|| <= tolerance ||x||.

    Notes
    -----
    A small step does not mean that the end is near: with a large alpha the differences between
    elements go on converging slowly long after their sum has stopped (see `reconstruct`).
    """

    tolerance: float = 1e-3

    def __post_init__(self):
        tolerance = check_number("tolerance", self.tolerance, "a number above 0")
        object.__setattr__(self, "tolerance", tolerance)

    def __call__(self, iteration: int, residuals: Residuals) -> bool:
        return bool(residuals.change <= self.tolerance)


@dataclass(frozen=True)
class Discrepancy:
    """Stop once the data are explained to within their noise (Morozov's discrepancy principle).

    Going on would fit the noise. Where both modalities are given, both must be explained.

    Parameters
    ----------
    eds
        Expected norm of the noise in r_e p_e, shape (elements,), e.g. from `poisson_noise`; for
        `sirt`, the norm of the noise in p. The elements count together, each in units of its
        noise: stop at mean((residual_e / noise_e)^2) <= factor^2.
    haadf
        Expected norm of the noise in p_h.
    factor
        Stop at this many times the noise.
    fitted
        Which share of the noise in the maps is fitted after 1, 2, ... iterations, from
        `fitted_noise`. What is fitted is no longer in the residuals: without it (None) the rule
        stops early, the more so the smoother the maps are. It should be as long as the run; later
        the last value stands. With it [2]_, it stops at
        mean((residual_e / noise_e)^2) + fitted <= factor^2, near the least error; with a large
        alpha and strongly smoothed maps still somewhat early.

    References
    ----------
    .. [1] Morozov, "On the solution of functional equations by the method of
       regularization", Soviet Mathematics Doklady 7 (1966) 414-417.
    .. [2] Hall and Titterington, "Common structure of techniques for choosing smoothing
       parameters in regression problems", Journal of the Royal Statistical Society B 49 (1987)
       184-198.
    """

    eds: tuple[float, ...] | None = None
    haadf: float | None = None
    factor: float = 1.0
    fitted: tuple[float, ...] | None = field(default=None, repr=False)

    def __post_init__(self):
        if self.eds is None and self.haadf is None:
            raise ValueError(
                "Discrepancy needs eds, haadf or both; expected the norms of the noise."
            )
        values: dict[str, Any] = {"factor": check_number("factor", self.factor, "a number above 0")}
        if self.eds is not None:
            eds = np.atleast_1d(as_float64("eds", self.eds, ndim=(0, 1)))
            values["eds"] = tuple(check_number("eds", e, "numbers above 0") for e in eds.tolist())
        if self.haadf is not None:
            values["haadf"] = check_number("haadf", self.haadf, "a number above 0")
        if self.fitted is not None:
            if self.eds is None:
                raise ValueError("fitted of Discrepancy is given without eds; expected both.")
            values["fitted"] = tuple(as_float64("fitted", self.fitted, ndim=(1,)).tolist())
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __call__(self, iteration: int, residuals: Residuals) -> bool:
        explained: Any = True
        if self.eds is not None:
            if len(self.eds) != len(residuals.eds):
                raise ValueError(
                    f"eds of Discrepancy has {len(self.eds)} values; expected "
                    f"{len(residuals.eds)}, one for each element map."
                )
            left = np.mean((residuals.eds / self.eds) ** 2)
            if self.fitted is not None:
                left += self.fitted[min(iteration, len(self.fitted)) - 1]
            explained = left <= self.factor**2
        if self.haadf is not None:
            if np.isnan(residuals.haadf):
                raise ValueError(
                    "haadf of Discrepancy is given, but sirt has one modality only; expected eds, "
                    "also where it is HAADF that is reconstructed: Discrepancy(eds=...)."
                )
            explained = explained and residuals.haadf <= self.factor * self.haadf
        return bool(explained)


def poisson_noise(
    maps: ArrayLike, ratios: ArrayLike, *, variance: ArrayLike | None = None
) -> np.ndarray:
    """Expect the norm of the noise in r_e p_e from counting X-rays.

    The variance of a count is the count: ||noise_e||^2 = r_e^2 sum(p_e). It holds for raw counts;
    smoothed or denoised maps have less noise, and their `variance` tells how much.

    Parameters
    ----------
    maps
        Element maps in X-ray counts, shape (elements, ...).
    ratios
        Response ratios, shape (elements,).
    variance
        Variance of each value, in a shape that broadcasts to that of `maps`, as for
        `response_ratios`. If None, maps are raw counts.

    Returns
    -------
    numpy.ndarray
        Shape (elements,), in HAADF intensity, for `Discrepancy`.

    Raises
    ------
    TypeError, ValueError
        If an argument is no finite real array of that shape, or a map has no counts or no
        variance; if maps are no raw counts, and no variance is given.
    """
    maps = as_float32("maps", maps)
    if maps.ndim < 2:
        raise ValueError(f"maps has shape {maps.shape}; expected (elements, ...).")
    ratios = check_ratios(ratios, len(maps))
    if variance is None and not are_counts(maps):
        raise ValueError(
            "maps are not whole numbers from 0, or all are multiples of one number; expected raw "
            "counts. Give the variance of each value of processed ones."
        )
    name = "maps" if variance is None else "variance"
    noise = maps if variance is None else check_variance(variance, maps)
    total = noise.reshape(len(maps), -1).sum(axis=1, dtype=np.float64)
    if (total <= 0).any():
        raise ValueError(
            f"{name} adds up to {total.tolist()}; expected more than 0 for each element. Leave an "
            "element without counts out."
        )
    return ratios * np.sqrt(total)


def fitted_noise(
    W: Projector,
    haadf: ArrayLike,
    maps: ArrayLike,
    ratios: ArrayLike,
    *,
    half: ArrayLike,
    iterations: int = 200,
    **options: Any,
) -> np.ndarray:
    """Find which share of the noise in the maps a reconstruction fits.

    The noise is what two halves of the counts differ by. It is added to the maps, and the change
    of the reconstruction, projected onto it, is the share that was fitted: the degrees of freedom
    of the fit, also of smoothed and denoised maps [1]_. It takes two runs; a few slices will do.

    Parameters
    ----------
    W, haadf, maps, ratios
        As for `hebt.reconstruct`; of all slices or some.
    half
        Maps from a random half of the counts, as for `hebt.response_ratios`, in the shape of
        `maps`: split by `hebt.split_counts` and processed as `maps` were.
    iterations
        For so many iterations.
    options
        For `hebt.reconstruct`, such as `alpha` and `mask`, as in the run that is to be stopped;
        but neither `callback` nor `stop` nor `out`.

    Returns
    -------
    numpy.ndarray
        Mean over the elements after 1, 2, ... iterations, shape (iterations,), for `Discrepancy`.

    Raises
    ------
    TypeError, ValueError
        As for `hebt.reconstruct`; if `half` has not the shape of `maps` or not about half of their
        counts, or both halves are alike.

    References
    ----------
    .. [1] Ye, "On measuring and correcting the effects of data mining and model selection",
       Journal of the American Statistical Association 93 (1998) 120-131.
    """
    from scipy import ndimage

    from ._problem import check_blur, check_projector
    from .reconstruct import reconstruct

    check_projector(W)
    haadf, maps = as_float32("haadf", haadf), as_float32("maps", maps, ndim=(3, 4))
    W.check_projections("maps", maps[0])
    half, iterations = check_half(half, maps), check_count("iterations", iterations)
    for name in ("callback", "stop", "out"):
        if options.get(name) is not None:
            raise ValueError(
                f"{name} is given to fitted_noise, whose runs have all iterations and one "
                "callback; expected None. Leave it out."
            )
    weights, axes = check_ratios(ratios, len(maps), maps.shape[2:-1]), tuple(range(1, maps.ndim))
    slices = weights.shape[1:] or [1] * (maps.ndim - 3)
    noise = weights.reshape(len(maps), 1, *slices, 1) * (2 * half - maps)
    power = (noise**2).sum(axis=axes, dtype=np.float64)
    if not noise.any(axis=axes).all():
        raise ValueError(
            "half is half of maps to the digit, for one element at least; expected a random half "
            "of the counts of each. Leave an element without counts out."
        )
    blur = check_blur(options.get("blur"), maps.shape[2:-1])
    for axis, kernel in zip((-2, -1), blur or ()):
        if len(kernel) > 1:  # G is its own adjoint
            noise = ndimage.correlate1d(noise, kernel, axis=axis, mode="reflect")
    seen = np.stack([W.backward(element) for element in noise])
    found = []
    for given in (2 * half, maps):
        keep = Snapshots(
            range(1, iterations + 1), lambda x: (x * seen).sum(axis=axes, dtype=np.float64)
        )
        now = options | {"iterations": iterations, "callback": keep}
        reconstruct(W, haadf, given, ratios, **now)
        found.append(keep.values)
    return np.mean((np.array(found[0]) - found[1]) / power, axis=-1)
