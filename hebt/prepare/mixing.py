"""How far the element maps of denoised spectra keep the elements apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .._checks import as_float32, as_float64, data_of
from .._counts import are_counts


@dataclass(frozen=True, eq=False)
class Mixing:
    """Result of `measure_mixing`.

    Attributes
    ----------
    response
        (elements, elements): what the map of each element (row) shows of a count of each element
        (column). The identity, if nothing is mixed or lost.
    errors
        (elements, elements): standard errors of `response`, from the counting noise.
    contents
        (elements,): root mean square of the counts of each element, noise taken off.
    """

    response: np.ndarray
    errors: np.ndarray
    contents: np.ndarray

    @property
    def shares(self) -> np.ndarray:
        """(elements, elements): what is wrong in each map, relative to what it ought to hold.

        Off the diagonal, what comes from another element; on it, what is lost (below 0) or gained.
        """
        return (self.response - np.eye(len(self.response))) * self._relative

    @property
    def share_errors(self) -> np.ndarray:
        """(elements, elements): standard errors of `shares`."""
        return self.errors * self._relative

    @property
    def worst(self) -> float:
        """The largest of `shares`, of either sign: 0.05 if a map is wrong by 5 %."""
        return float(np.abs(self.shares).max())

    @property
    def _relative(self):
        return self.contents / self.contents[:, None]


def measure_mixing(spectra: ArrayLike, weights: ArrayLike, denoised: ArrayLike) -> Mixing:
    """Measure what the map of each element shows of each element, from the counts alone.

    Principal components that noise hides take what tells elements apart with them: each map then
    holds a part of the others, and looks better for it. Maps of the recorded spectra have more
    noise, but mix nothing, so that the response of denoised maps to them tells.

    Parameters
    ----------
    spectra
        Counts, (..., channels), that were not decomposed, for components fit the noise of those
        that were: decompose every other one, and give the rest. Blocks of pixels (`bin_spectra`)
        tell more than single pixels.
    weights
        (elements, channels): weights of the channels that make each element's map of recorded
        spectra, in which no other element counts.
    denoised
        (elements, channels): those that make the denoised maps, from `Components.weights`.

    Returns
    -------
    Mixing

    Raises
    ------
    ValueError
        If shapes do not fit, spectra are no raw counts, or these are too few to tell the elements
        apart.

    Notes
    -----
    Least squares of the denoised maps on the recorded ones and a constant, for what a background
    leaves. Both have noise from the same counts; for Poisson noise its expected part of each
    moment is a sum over these counts, and is taken off.

    Examples
    --------
    >>> import hebt, numpy as np
    >>> lines = np.array([[9.0, 1, 0], [0, 1, 9]])
    >>> share = np.random.default_rng(1).uniform(0, 5, (5000, 2))
    >>> counts = np.random.default_rng(2).poisson(share @ lines)
    >>> weights = np.array([[1, 0, 0], [0, 0, 1]])
    >>> found = hebt.prepare.measure_mixing(counts, weights, [[0.9, 0, 0], [0.3, 0, 0.7]])
    >>> found.response.round(1) + 0
    array([[0.9, 0. ],
           [0.3, 0.7]])
    """
    spectra = as_float32("spectra", data_of(spectra))
    weights = as_float64("weights", weights, ndim=(2,))
    denoised = as_float64("denoised", denoised, ndim=(2,))
    if spectra.shape[-1:] != weights.shape[1:] or weights.shape != denoised.shape:
        raise ValueError(
            f"spectra has shape {spectra.shape}, weights {weights.shape} and denoised "
            f"{denoised.shape}; expected (..., channels), and (elements, channels) for both."
        )
    spectra = spectra.reshape(-1, weights.shape[1])
    if spectra.min() < 0:
        raise ValueError(f"spectra has values from {spectra.min():g}; expected counts.")
    if not are_counts(spectra):
        raise ValueError(
            "spectra are not whole numbers, or all are multiples of one number; expected raw "
            "counts, of which the noise is known. Give them before they are scaled or smoothed."
        )
    maps = (spectra @ weights.T).astype(np.float64)
    means = maps.mean(axis=0)
    maps -= means
    counts = spectra.sum(axis=0, dtype=np.float64)
    moments = maps.T @ maps - (weights * counts) @ weights.T
    if np.linalg.eigvalsh(moments)[0] <= 0:
        raise ValueError(
            f"spectra holds {counts.sum():g} counts; expected more, enough to tell the "
            f"{len(weights)} elements apart. Bin more pixels (hebt.prepare.bin_spectra), or leave "
            "an element out that is hardly there."
        )
    shown = (spectra @ denoised.T).astype(np.float64)
    shown -= shown.mean(axis=0)
    inverse = np.linalg.inv(moments)
    response = (shown.T @ maps - (denoised * counts) @ weights.T) @ inverse
    # the sandwich formula: spectra are independent of each other
    rest = denoised - response @ weights
    errors = np.empty_like(response)
    for e, row in enumerate(rest):
        scores = (shown[:, e] - maps @ response[e])[:, None] * maps - spectra @ (row * weights).T
        errors[e] = np.linalg.norm(scores @ inverse, axis=0)
    return Mixing(response, errors, np.sqrt(np.diag(moments) / len(spectra) + means**2))
