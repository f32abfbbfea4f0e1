"""Response ratios, the link between both modalities (Eq. 6, section 2.2)."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from ._checks import as_float32, check_half, check_names, check_series, check_variance
from ._counts import are_counts
from ._json import ratios_in, read_json, write_json

# Belsley, Kuh and Welsch's limits for a harmful collinearity: the condition index, and the share
# of an element in the direction that the data cannot tell.
_CONDITION = 30
_SHARE = 0.3
# Cosine of two maps, less their noise, from which on they are named as alike in a doubt.
_ALIKE = 0.8
# Below it, more of the HAADF images' variation is left over than is explained.
_R_SQUARED = 0.5
_DARK = 0.02  # darkest of HAADF's values, relative to the brightest, that seem a black level
# Differences between tilts are reported where noise alone makes such ones in about one of a
# thousand fits (more where counts are very few), and where they matter: the ratios with which the
# paper's HEBT is as good as with the true ones are off by 11 and 17 % (section 4.1, Table 1).
_CHANCE = 1e-3
_SPREAD = 0.1
# Noise within such a block, longer than the paper's kernels, may be correlated but of raw counts.
_BLOCK = 16
# blocks per tilt from which on a brightness of each tilt takes little of what they tell
_MANY = 30
# Maps with less noise than this share of what their variance says are not what they are taken for;
# where that is right, it is 1 but for what any misfit adds.
_NOISE = 0.8
# Counts beside the specimen, relative to those on it, which draw the ratios down by about twice it.
_BESIDE = 0.02


@dataclass(frozen=True, eq=False, repr=False)
class ResponseRatios:
    """Result of `response_ratios`.

    Attributes
    ----------
    ratios
        r_e = z_e / zeta_e: HAADF intensity per X-ray count, shape (elements,), float64.
    r_squared
        Coefficient of determination, centered: 1 - SS_res / SS_tot over the fitted pixels. Where
        `variance` is not None, SS_res is without what the noise of the maps adds to it, so that
        this judges Eq. 6 and not the dose; at most 1.
    names
        Element names, in the order of the maps.
    pixels
        How many pixels were fitted.
    standard_errors
        Of the ratios, shape (elements,), from the noise: what is left over in one pixel of raw
        counts, or else in one block of 16 pixels along each axis, is taken to be independent of
        the next. With more than 30 of these a tilt, each tilt may have a brightness of its own;
        of few blocks the errors come out too small, by up to a third. NaN for a ratio of 0.
    tilt_errors
        Of the ratios, shape (elements,), from the spread over the tilts: what is left over at one
        tilt is taken to be independent of the next. Larger than `standard_errors` where tilts
        disagree. NaN for a ratio of 0, and if there is one tilt.
    variance
        What was taken for the noise of the maps: "counts", "given", "halves", or None.
    """

    ratios: np.ndarray
    r_squared: float
    names: tuple[str, ...]
    pixels: int
    standard_errors: np.ndarray
    tilt_errors: np.ndarray
    variance: str | None

    def __repr__(self) -> str:
        # plain ASCII: terminals that know no UTF-8 can print it
        with np.errstate(divide="ignore", invalid="ignore"):
            errors = 100 * self.standard_errors / self.ratios
        parts = ", ".join(
            f"{n} {r:.3e} +- {e:.2g} %" for n, r, e in zip(self.names, self.ratios, errors)
        )
        noise = {
            "counts": "maps are counts, their noise is taken off",
            "given": "the noise with the given variance is taken off",
            "halves": "noise is taken off by halves of the counts",
        }.get(self.variance or "", "noise in the maps is not taken off (variance=None)")
        fit = f"R2 = {self.r_squared:.3f} over {self.pixels} pixels"
        return f"ResponseRatios({parts}; {fit}; {noise})"

    def predict(self, maps: ArrayLike) -> np.ndarray:
        """Return the HAADF images that the maps predict, sum_e r_e p_e (Eq. 6).

        Parameters
        ----------
        maps
            Element maps, shape (elements, ...).

        Returns
        -------
        numpy.ndarray
            float32, shape (...).

        Raises
        ------
        TypeError, ValueError
            If there is not one map for each element, of finite real numbers.
        """
        maps = as_float32("maps", maps)
        if maps.shape[:1] != self.ratios.shape:
            raise ValueError(
                f"maps has shape {maps.shape}; expected ({len(self.ratios)}, ...), one map for "
                f"each of {', '.join(self.names)}."
            )
        return np.tensordot(self.ratios.astype(np.float32), maps, 1)

    def save(self, path: str | os.PathLike, *, overwrite: bool = False) -> Path:
        """Write the ratios with their errors as JSON, which `load` reads.

        Parameters
        ----------
        path
            The file, such as ``"ratios.json"``.
        overwrite
            Whether a file that is there may be replaced.

        Returns
        -------
        pathlib.Path
            The file that was written.
        """
        return write_json(path, "ratios", self, overwrite)

    @classmethod
    def load(cls, path: str | os.PathLike) -> ResponseRatios:
        """Read ratios that `save` wrote.

        Parameters
        ----------
        path
            The file.

        Returns
        -------
        ResponseRatios
            Equal to those that were saved.

        Raises
        ------
        ValueError
            If the file holds something else.
        """
        return cls(**ratios_in(read_json(path, "response ratios, as ResponseRatios.save writes")))


def response_ratios(
    haadf: ArrayLike,
    maps: ArrayLike,
    names: Sequence[str] | None = None,
    *,
    variance: str | ArrayLike | None = "auto",
    half: ArrayLike | None = None,
) -> ResponseRatios:
    """Estimate the response ratios r_e = z_e / zeta_e from the tilt series alone (Eq. 6).

    Non-negative least squares of p_h = sum_e r_e p_e over the pixels with haadf > 0 [1]_, without
    the pull of the maps' counting noise towards 0 where its variance is known.

    Parameters
    ----------
    haadf
        Z-contrast tilt series p_h, shape (tilts, [slices,] size).
    maps
        Element maps p_e in X-ray counts, shape (elements, tilts, [slices,] size), aligned with
        the HAADF images.
    names
        Element names for messages, e.g. ["Au", "Ag"].
    variance
        Noise of the maps. ``"counts"``: they are raw counts, whose variance is the count. An
        array in a shape that broadcasts to that of `maps`: the variance of each value, e.g. for
        filtered counts the counts through the same filter with squared weights (those of
        `hebt.prepare.smoothing_kernel`). None: noise is left in, as in the paper. ``"auto"``:
        counts where all maps are whole numbers, else None.
    half
        Maps from a random half of the counts, from `split_counts`, in the shape of `maps`. Treat
        both halves alike, shift and smooth them as you like, and give their sum as `maps`: no
        variance is needed, as the noise of one half is independent of the other's.

    Returns
    -------
    ResponseRatios
        With `ratios`, shape (elements,), in HAADF intensity per count, their errors, and
        `r_squared`.

    Raises
    ------
    TypeError, ValueError
        If the arrays are no finite real numbers of fitting shapes; if a map is empty within the
        fitted pixels; if there are fewer such pixels than elements, or all have one intensity; if
        nothing that tells the elements apart is left when the noise is taken off.

    Warns
    -----
    UserWarning
        If elements are collinear, so that only a combination of their ratios is determined; if a
        ratio comes out as 0, or with a standard error above half of it; if R² is below 0.5, or
        negative, as with a detector offset; if ratios differ between tilts by more than 10 %, and
        by more than noise would in about one of a thousand fits. Messages name the elements.

    Notes
    -----
    Noise in the maps sits in the regressors P, which draws least squares towards 0 (attenuation).
    Its expected part N of the normal matrix is taken off: (P Pᵀ - N) r = P p_h, with N the
    diagonal of the summed variances, or D Dᵀ with D = 2 `half` - `maps` [3]_. Errors come from
    the sandwich formula, with the sums of the scores over blocks of pixels, or over tilts.

    Ratios are determined together with the scale of the HAADF images; an offset (detector
    background) must have been removed. Pixels are chosen by haadf alone, whose noise is
    independent of the maps': a choice by the maps would choose their noise too.

    Collinearity is reported where the condition index of the maps exceeds 30 [2]_.

    References
    ----------
    .. [1] Lawson and Hanson, "Solving Least Squares Problems", SIAM (1995), ch. 23.
    .. [2] Belsley, Kuh and Welsch, "Regression Diagnostics", Wiley (1980), ch. 3.
    .. [3] Fuller, "Measurement Error Models", Wiley (1987), ch. 2.

    Examples
    --------
    >>> import hebt, numpy as np
    >>> specimen = hebt.simulate.phantom(64)
    >>> W = hebt.Projector(np.arange(-75, 76, 15), 64)
    >>> haadf = hebt.simulate.haadf_tilt_series(W, specimen.density, [79, 47])
    >>> maps = hebt.simulate.eds_tilt_series(W, specimen.density, [9, 4], seed=1)
    >>> fit = hebt.response_ratios(haadf, maps, names=["Au", "Ag"])
    >>> fit.variance, bool(np.allclose(fit.ratios, [79 / 9, 47 / 4], rtol=0.02))
    ('counts', True)
    """
    haadf, maps = check_series(haadf, maps)
    names = check_names(names, len(maps))
    taken, noise = _noise(maps, variance, half)
    inside = haadf > 0
    target = haadf[inside].astype(np.float64)
    regressors = maps[:, inside].astype(np.float64)
    spread = _check_pixels(names, target, regressors)
    noise = noise[:, inside].astype(np.float64)
    taken_off = noise @ noise.T if taken == "halves" else np.diag(noise.sum(axis=1))
    matrix = regressors @ regressors.T - taken_off
    ratios, units, norms = _solve(names, matrix, regressors @ target, taken)
    # the part of the noise in each pixel's normal equations, times the ratios
    share = noise * (ratios @ noise if taken == "halves" else ratios[:, None])
    predicted, own = ratios @ regressors, ratios @ share
    left = ((target - predicted) ** 2).sum()
    r_squared = 1 - (left - own.sum()) / spread

    def scores(factor):
        return ((target - factor * predicted) * regressors + factor * share) / norms[:, None]

    tilts = np.nonzero(inside)[0]
    # raw counts of neighbors are independent
    blocks = np.arange(target.size) if taken == "counts" else _blocks(haadf.shape)[inside]
    by_tilt = _errors(units, ratios > 0, scores(1), tilts) / norms
    by_block = noise_alone = _errors(units, ratios > 0, scores(1), blocks) / norms
    if _count(blocks) > _count(tilts):
        # what is left over once each tilt has a brightness of its own is noise alone
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = np.bincount(tilts, target * predicted) / np.bincount(tilts, predicted**2 - own)
        factor = np.nan_to_num(factor).clip(0, 2)[tilts]
        noise_alone = _errors(units, ratios > 0, scores(factor), blocks, _count(tilts)) / norms
        if _count(blocks) > _MANY * _count(tilts):  # of few it would take much
            by_block = noise_alone
    found = (ratios, min(float(r_squared), 1.0), tuple(names), target.size)
    fit = ResponseRatios(*found, by_block, by_tilt, taken)
    doubts = *_collinear(names, units), *_doubts(fit, haadf, inside, noise_alone, units)
    if target.size >= 100 and left < _NOISE * own.sum():
        doubts += (_too_even(fit, left / own.sum()),)
    if taken == "counts":
        doubts += tuple(_beside(fit, haadf, maps))
    for message in doubts:
        warnings.warn(message, UserWarning, stacklevel=2)
    return fit


def _noise(maps, variance, half):
    """Return what is taken for noise, and the variances (or, of halves, the noise itself)."""
    if half is not None:
        if not (isinstance(variance, str) and variance == "auto"):
            raise ValueError("variance and half are both given; expected one of them.")
        return "halves", 2 * check_half(half, maps) - maps
    if variance is None:
        return None, np.broadcast_to(np.float32(0), maps.shape)
    if not isinstance(variance, str):
        return "given", check_variance(variance, maps)
    if variance not in ("auto", "counts"):
        raise ValueError(f'variance is {variance!r}; expected "auto", "counts", an array, or None.')
    if are_counts(maps):
        return "counts", maps
    if variance == "counts":
        raise ValueError(
            'variance is "counts", but maps are not whole numbers from 0, or all are multiples of '
            "one number; expected raw counts. "
            "Give the variance of each value, or half (see split_counts) for processed ones."
        )
    return None, np.broadcast_to(np.float32(0), maps.shape)


def _check_pixels(names, target, regressors):
    """Return the sum of squares about the mean, after checking that there is a fit to do."""
    if target.size < len(names):
        raise ValueError(
            f"haadf has {target.size} pixels above 0; expected at least as many as there are "
            f"elements ({len(names)}). Check its background and its sign."
        )
    empty = [name for name, element in zip(names, regressors) if not element.any()]
    if empty:
        raise ValueError(
            f"maps of {', '.join(empty)} are empty (all 0 where haadf > 0); expected counts. "
            "Leave the element out, or check its energy window."
        )
    spread = ((target - target.mean()) ** 2).sum()
    if spread <= 1e-12 * (target**2).sum():
        raise ValueError(
            f"haadf has the same intensity {target[0]:g} in all {target.size} pixels above 0; "
            "expected images of a specimen."
        )
    return spread


def _eigen(matrix):
    """Return eigenvalues that can be divided by, rising, and eigenvectors."""
    values, vectors = np.linalg.eigh(matrix)
    return np.maximum(values, values[-1] * 1e-15), vectors


def _solve(names, matrix, right, taken):
    """Return the ratios, the normal matrix of maps of unit length, and the maps' lengths."""
    import scipy.optimize

    lost = [name for name, square in zip(names, np.diag(matrix)) if square <= 0]
    if not lost:
        norms = np.sqrt(np.diag(matrix))
        units = matrix / np.outer(norms, norms)
        values, vectors = np.linalg.eigh(units)
        lost = _involved(names, vectors[:, 0]) if taken and values[0] <= 0 else []
    if lost:
        raise ValueError(
            "maps hold too few counts for the response ratios: nothing of the maps of "
            f"{', '.join(lost)} is left when their noise is taken off; expected more. Bin or "
            "smooth the maps (with variance=... or half=...), leave elements out, or give "
            "variance=None for plain least squares, which noise draws towards 0."
        )
    # least squares with the square root of the matrix of unit-length regressors
    values, vectors = _eigen(units)
    root = np.sqrt(values)[:, None] * vectors.T
    ratios, _ = scipy.optimize.nnls(root, (vectors.T @ (right / norms)) / np.sqrt(values))
    return ratios / norms, units, norms


def _blocks(shape):
    """Number the blocks of each tilt that pixels lie in."""
    places = [np.arange(n) // (_BLOCK if axis else 1) for axis, n in enumerate(shape)]
    return np.ravel_multi_index(np.meshgrid(*places, indexing="ij", sparse=True), shape)


def _count(blocks):
    return np.count_nonzero(np.bincount(blocks))


def _errors(units, free, scores, blocks, fitted=1):
    """Return the standard errors by the sandwich formula, with scores added up over blocks."""
    errors = np.full(len(free), np.nan)
    count = _count(blocks)
    if count > fitted and free.any():
        sums = np.stack([np.bincount(blocks, score) for score in scores[free]])
        values, vectors = _eigen(units[np.ix_(free, free)])
        bread = (vectors / values) @ vectors.T
        errors[free] = np.linalg.norm(bread @ sums, axis=1) * np.sqrt(count / (count - fitted))
    return errors


def _involved(names, vector):
    return [name for name, part in zip(names, vector) if abs(part) > _SHARE]


def _collinear(names: Sequence[str], units: np.ndarray) -> Iterator[str]:
    values, vectors = np.linalg.eigh(units)
    for value, vector in zip(values, vectors.T):
        if value * _CONDITION**2 < values[-1]:
            yield (
                f"the maps of {', '.join(_involved(names, vector))} are collinear: only a "
                "combination of their response ratios is determined by these data, not each of "
                "them. Leave all but one of them out, or add them up into one map."
            )


def _with_likeness(names: Sequence[str], units: np.ndarray, element: int) -> str:
    """Return an element's name, and which map its own is most like, if it is like one."""
    likeness = np.delete(units[element], element)
    if not likeness.size or likeness.max() < _ALIKE:
        return names[element]
    other = np.delete(np.arange(len(names)), element)[likeness.argmax()]
    return (
        f"{names[element]} (whose map is like that of {names[other]}, cosine {likeness.max():.2f})"
    )


def _too_even(fit: ResponseRatios, share: float) -> str:
    what = 'taken for counts (variance="counts")' if fit.variance == "counts" else "given"
    return (
        f"maps have less noise than the variance that is {what}: what is left over is "
        f"{100 * share:.0f} % of that, so that too much is taken off and ratios are too large. "
        "Give the variance that maps have after smoothing, scaling or rounding, half=..., or "
        "variance=None for maps without noise."
    )


def _beside(fit: ResponseRatios, haadf: np.ndarray, maps: np.ndarray) -> Iterator[str]:
    """Say which maps of counts have a background, where HAADF shows nothing."""
    bright = np.quantile(haadf, 0.99)
    empty, full = haadf < 0.01 * bright, haadf > 0.5 * bright
    if np.count_nonzero(empty) < 100 or not full.any():
        return
    for name, element in zip(fit.names, maps):
        beside, on = element[empty].mean(dtype=np.float64), element[full].mean(dtype=np.float64)
        if beside > _BESIDE * on + 5 * np.sqrt(beside / np.count_nonzero(empty)):
            yield (
                f"the map of {name} has {beside:.2g} counts a pixel where haadf shows no specimen, "
                f"and {on:.3g} where it is bright: a background, which draws the ratio down. "
                "Subtract it (hebt.prepare.element_maps does), and give variance=... or half=..."
            )


def _cause(values: np.ndarray, left_in: str) -> str:
    """Say why a constant may explain HAADF better than the maps do."""
    dark, bright = np.quantile(values, (0.01, 0.99))
    seen = f"Its values run from {values.min():.4g} to {values.max():.4g}"
    if dark > _DARK * bright:
        return (
            f"{seen}: it seems to have a black level, which must be removed first, e.g. by "
            f"hebt.prepare.remove_offset. Otherwise look for {left_in}signals that are not "
            "aligned, or an element that is missing."
        )
    return (
        f"{seen}, no black level: an element that HAADF shows, as of a coating, seems to have no "
        f"map (hebt lines). Otherwise look for {left_in}signals that are not aligned."
    )


def _doubts(
    fit: ResponseRatios, haadf: np.ndarray, inside: np.ndarray, noise: np.ndarray, units: np.ndarray
) -> Iterator[str]:
    """Say what speaks against the ratios."""
    from scipy.special import chdtri

    def named(which):
        return ", ".join(name for name, chosen in zip(fit.names, which) if chosen)

    def named_with_likeness(which):
        return ", ".join(_with_likeness(fit.names, units, int(e)) for e in np.flatnonzero(which))

    if (zero := fit.ratios == 0).any():
        yield (
            f"the response ratio of {named_with_likeness(zero)} came out as 0: the HAADF images "
            "can be explained without it, better than with it. The reconstruction needs ratios "
            "above 0; leave the element out, or find what its map shares with the others."
        )
    if (unsure := fit.standard_errors > fit.ratios / 2).any():
        yield (
            f"the response ratio of {named_with_likeness(unsure)} is hardly determined: its "
            "standard error is more than half of it. More counts are needed, or the element left "
            "out."
        )
    left_in = "" if fit.variance else "noise in the maps (give variance=... or half=...), "
    if fit.r_squared < 0:
        poor = f"a constant explains haadf better than the maps do (R2 = {fit.r_squared:.3f}). "
        yield poor + _cause(haadf[inside], left_in)
    elif fit.r_squared < _R_SQUARED:
        yield (
            f"the maps explain only {100 * fit.r_squared:.0f} % of the variation of haadf (R2 = "
            f"{fit.r_squared:.3f}): its ratios are not to be trusted. Look for {left_in}a detector "
            "offset, signals that are not aligned, or an element that is missing."
        )
    tilts = np.count_nonzero(inside.reshape(len(inside), -1).any(axis=1))
    freedom = max(tilts - 1, 1)
    limit = np.sqrt(chdtri(freedom, _CHANCE / len(fit.ratios)) / freedom)
    spread = np.sqrt(tilts) * fit.tilt_errors
    differ = (fit.tilt_errors > limit * noise) & (spread > _SPREAD * fit.ratios)
    if (differ := differ & ~unsure).any():
        each = ", ".join(f"{100 * s / r:.0f} %" for s, r in zip(spread[differ], fit.ratios[differ]))
        yield (
            f"the response ratio of {named(differ)} differs between tilts (standard deviation "
            f"{each}), by more than noise explains. Look for detectors that the holder shadows "
            "(hebt.prepare.normalize_tilts), for tilts that are not aligned, or for HAADF that is "
            "not linear in the thickness."
        )
