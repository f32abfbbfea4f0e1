"""Principal components of spectrum images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from .._checks import as_float32, as_float64, check_count, check_flag, data_of
from .._hyperspy import hyperspy, quiet
from .xray import as_kev


@dataclass(frozen=True, eq=False)
class Components:
    """Principal components of spectra.

    A spectrum s is denoised as Σ_k (s · dual_k) factor_k over the first components.

    Attributes
    ----------
    energies
        (channels,), keV.
    factors
        (components, channels): their spectra.
    duals
        Weights (components, channels): ``spectrum @ duals[k]`` is the loading of component k.
    variance
        (all components,): share of the variance of each, largest first.
    """

    energies: np.ndarray
    factors: np.ndarray
    duals: np.ndarray
    variance: np.ndarray

    def denoise(self, spectra: ArrayLike, count: int | None = None) -> np.ndarray:
        """Return spectra (..., channels) made of the first `count` components; all, if None.

        Parameters
        ----------
        spectra
            Raw spectra, shape (..., channels).
        count
            How many components to keep.

        Returns
        -------
        numpy.ndarray
            Denoised spectra, float32, shape (..., channels).

        Raises
        ------
        ValueError
            If channels do not fit, or there are fewer components.
        """
        spectra, count = as_float32("spectra", data_of(spectra)), self._checked_count(count)
        self._check_channels("spectra", spectra)
        return ((spectra @ self.duals[:count].T) @ self.factors[:count]).astype(np.float32)

    def weights(self, weights: ArrayLike, count: int | None = None) -> np.ndarray:
        """Return channel weights that give, from raw spectra, the map of denoised ones.

        A map is a weighted sum over the channels: with these weights, the raw spectra give what
        `weights` would give of the denoised ones, which need not be held.

        Parameters
        ----------
        weights
            (..., channels), from `EnergyWindow.weights`.
        count
            How many components to use; all, if None.

        Returns
        -------
        numpy.ndarray
            Weights, shape (..., channels): ``spectra @ weights`` is the map.

        Raises
        ------
        ValueError
            If channels do not fit, or there are fewer components.
        """
        weights, count = as_float64("weights", weights), self._checked_count(count)
        self._check_channels("weights", weights)
        return (weights @ self.factors[:count].T) @ self.duals[:count]

    def _check_channels(self, name, array):
        if array.shape[-1:] != self.energies.shape:
            raise ValueError(
                f"{name} has shape {array.shape}; expected (..., channels) with "
                f"{len(self.energies)} channels, as the spectra that were decomposed."
            )

    def _checked_count(self, count):
        return None if count is None else check_count("count", count, most=len(self.factors))


def bin_spectra(
    spectra: Any, shape: tuple[int, int], factor: int, mask: ArrayLike | None = None
) -> Any:
    """Add up the spectra of blocks of pixels.

    Parameters
    ----------
    spectra
        (slices * size, channels), sparse or not.
    shape
        (slices, size).
    factor
        Pixels along each side of a block; it must divide both.
    mask
        (slices, size), bool: blocks that hold one of these pixels are kept; all, if None.

    Returns
    -------
    numpy.ndarray
        float32, (blocks, channels).

    Raises
    ------
    ValueError
        If shapes do not fit, or `factor` does not divide both.
    """
    if not isinstance(shape, (list, tuple)) or len(shape) != 2:
        raise TypeError(f"shape is {shape!r}; expected two whole numbers, (slices, size).")
    slices, size = (check_count("shape", n) for n in shape)
    if not sparse.issparse(spectra):
        spectra = sparse.csr_array(as_float32("spectra", spectra, ndim=(2,)))
    elif spectra.nnz:
        if spectra.format != "csr":
            spectra = spectra.tocoo()  # others may hold no such array of values
        values = as_float32("spectra", spectra.data)
        if spectra.format == "coo":  # a place may come more than once, beyond the type of one
            spectra = sparse.csr_array((values, (spectra.row, spectra.col)), shape=spectra.shape)
    factor = check_count("factor", factor)
    if slices % factor or size % factor or spectra.shape[0] != slices * size:
        raise ValueError(
            f"spectra has shape {spectra.shape}, shape is {shape} and factor {factor}; expected "
            "slices * size spectra, and a factor that divides both."
        )
    blocks = (np.arange(slices) // factor)[:, None] * (size // factor) + np.arange(size) // factor
    count = slices * size // factor**2
    kept = np.arange(count)
    if mask is not None:
        kept = np.unique(blocks[_checked_mask(mask, (slices, size))])
    place = np.full(count, -1)
    place[kept] = np.arange(len(kept))
    row = place[blocks.ravel()]
    inside = np.flatnonzero(row >= 0)
    adder = sparse.csr_array(
        (np.ones(len(inside), np.float32), (row[inside], inside)), shape=(len(kept), slices * size)
    )
    return (adder @ spectra).toarray().astype(np.float32, copy=False)


def _checked_mask(mask, shape):
    mask = as_float32("mask", mask) > 0 if not isinstance(mask, np.ndarray) else mask
    if np.ma.isMaskedArray(mask) or mask.dtype != bool or mask.shape != shape or not mask.any():
        raise ValueError(
            f"mask is {mask.dtype} of shape {mask.shape} with {np.count_nonzero(mask)} pixels; "
            f"expected bool of shape {shape}, with some True."
        )
    return mask


class _CovarianceSolver:
    """Principal components without centring, from the covariance of the channels.

    With far fewer channels than pixels, it takes a fraction of the time and memory of a singular
    value decomposition of the data. HyperSpy takes it as an algorithm.
    """

    def __init__(self, components):
        self.n_components = components

    def fit_transform(self, data: np.ndarray) -> np.ndarray:
        covariance = data.T.astype(np.float32) @ data
        values, vectors = np.linalg.eigh(covariance.astype(np.float64))
        values, vectors = values[::-1], vectors[:, ::-1]
        self.all_variance_ = np.maximum(values, 0) / len(data)
        self.explained_variance_ = self.all_variance_[: self.n_components]
        self.components_ = vectors[:, : self.n_components].T
        # the sign is free; the largest entry is made positive
        largest = np.abs(self.components_).argmax(axis=1)
        self.components_ *= np.sign(self.components_[range(len(largest)), largest])[:, None]
        return data @ self.components_.T.astype(data.dtype)


def decompose(
    spectra: ArrayLike, energies: ArrayLike, *, components: int = 15, scaled: bool = True
) -> Components:
    """Decompose spectra into principal components, scaled for Poisson noise.

    HyperSpy's decomposition: each channel and each spectrum is divided by the square root of its
    mean first, so that counting noise is about the same everywhere and a strong line does not
    pass for a component for its noise alone [1]_; this is undone afterwards.

    Decompose blocks of pixels (`bin_spectra`) of all tilts, and give the result the spectra of
    single pixels: blocks are fewer, and as they hold more counts, noise hides less in them. A
    component that noise hides is lost, and elements that it tells apart are mixed in all maps;
    `measure_mixing` says by how much.

    Parameters
    ----------
    spectra
        Counts, (..., channels); those without any count are left out.
    energies
        (channels,), keV.
    components
        How many to keep.
    scaled
        Whether to scale for Poisson noise.

    Returns
    -------
    Components

    Raises
    ------
    ValueError
        If shapes do not fit, counts are negative, or too few spectra or channels have counts.

    References
    ----------
    .. [1] Keenan and Kotula, Surf. Interface Anal. 36 (2004) 203-212.
    """
    hs = hyperspy()
    spectra = as_float32("spectra", data_of(spectra))
    energies, scaled = as_kev("energies", energies), check_flag("scaled", scaled)
    components = check_count("components", components)
    if spectra.ndim < 2 or spectra.shape[-1] != len(energies) or spectra.min() < 0:
        raise ValueError(
            f"spectra has shape {spectra.shape} and values from {spectra.min():g}, and there are "
            f"{len(energies)} energies; expected (..., channels) with as many, and counts."
        )
    spectra = spectra.reshape(-1, len(energies))
    # what is empty would be divided by zero, and tells nothing
    some, channels = spectra.sum(axis=1) > 0, spectra.sum(axis=0, dtype=np.float64) > 0
    if some.sum() < max(2, components) or channels.sum() < components:
        raise ValueError(
            f"{some.sum()} spectra and {channels.sum()} channels have counts; expected at least "
            f"as many of each as components, {components}."
        )
    data = spectra[np.ix_(some, channels)]
    mean = data.mean(axis=0, dtype=np.float64) if scaled else np.ones(channels.sum())
    solver = _CovarianceSolver(components)
    with quiet():
        signal = hs.signals.Signal1D(data)
        signal.decomposition(
            normalize_poissonian_noise=scaled,
            algorithm=solver,
            output_dimension=components,
            print_info=False,
        )
    found = signal.learning_results.factors.T.astype(np.float64)
    # orthogonal in HyperSpy's scaled channels; the length is free, and becomes 1 there
    length = np.sqrt((found**2 / mean).sum(axis=1, keepdims=True))
    factors = np.zeros((components, len(energies)))
    factors[:, channels] = found / length
    duals = np.zeros_like(factors)
    duals[:, channels] = factors[:, channels] / mean
    variance = solver.all_variance_ / solver.all_variance_.sum()
    return Components(energies, factors, duals, variance)
