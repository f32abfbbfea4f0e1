"""What a microscope records of a specimen: Z-contrast tilt series and element maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from .._checks import (
    as_float32,
    as_float64,
    as_list,
    check_angles,
    check_choice,
    check_count,
    check_number,
    check_seed,
)
from .._problem import check_projector
from ..prepare.images import apply_shifts
from ..prepare.xray import line_width, xray_lines
from ..projector import Projector
from .specimens import check_density


def haadf_tilt_series(W: Projector, density: ArrayLike, z: ArrayLike) -> np.ndarray:
    """Return the Z-contrast tilt series of a specimen, Eq. 3, without noise.

    p_h = Σ_e z^(e) W ρ^(e). The paper takes HAADF as low-noise and adds none (section 3.1).

    Parameters
    ----------
    W
        `hebt.Projector` of the tilt series.
    density
        (elements, [slices,] size, size): density ρ of each element.
    z
        (elements,): HAADF response factors, intensity per density and pixel length.

    Returns
    -------
    numpy.ndarray
        float32, (tilts, [slices,] size), HAADF intensity.

    Raises
    ------
    TypeError, ValueError
        If there is not one factor for each element, or a factor or a density is negative.
    """
    density = _check_density(W, density)
    z = _factors("z", z, len(density))
    # projecting is linear, so the elements are weighed and added first: one projection, not k
    weighed = np.einsum("e,e...->...", z, density.astype(np.float64))
    return W.forward(weighed.astype(np.float32))


def mean_counts(
    W: Projector, density: ArrayLike, zeta: ArrayLike, *, dose: float = 1.0
) -> np.ndarray:
    """Return the X-ray counts to be expected on each pixel of the element maps, Eq. 5.

    p^(e) = dose · ζ^(e) W ρ^(e).

    Parameters
    ----------
    W
        `hebt.Projector` of the tilt series.
    density
        (elements, [slices,] size, size): density ρ of each element.
    zeta
        (elements,): EDS response factors, the paper's ζ: counts per density and pixel length, the
        reciprocal of published ζ-factors.
    dose
        Factor on all counts, not on HAADF: 2 for twice the beam current or twice the time.

    Returns
    -------
    numpy.ndarray
        float32, (elements, tilts, [slices,] size), counts.

    Raises
    ------
    TypeError, ValueError
        If factors or densities do not fit, as for `haadf_tilt_series`, or `dose` is not above 0.
    """
    density = _check_density(W, density)
    zeta = _factors("zeta", zeta, len(density))
    dose = check_number("dose", dose, "a finite factor above 0")
    projected = np.moveaxis(W.forward(density), 1, 0).astype(np.float64)
    weights = (dose * zeta).reshape(-1, *[1] * (projected.ndim - 1))
    # rounding may leave a projection of nothing just below 0, which no count can be
    return np.maximum(weights * projected, 0).astype(np.float32)


def eds_tilt_series(
    W: Projector,
    density: ArrayLike,
    zeta: ArrayLike,
    *,
    dose: float = 1.0,
    seed: int | Sequence[int] = 0,
) -> np.ndarray:
    """Return element maps with counting noise: Poisson numbers about `mean_counts` (Eq. 5).

    Parameters
    ----------
    W, density, zeta, dose
        As for `mean_counts`.
    seed
        Seed of the noise. For a specimen of one slice it may be a list of seeds: each makes the
        series that it makes alone, stacked along the slices axis as one batch for the solvers.

    Returns
    -------
    numpy.ndarray
        float32, (elements, tilts, [slices or seeds,] size), counts: whole numbers from 0.

    Raises
    ------
    TypeError, ValueError
        If a list of seeds comes with a specimen of several slices, or as `mean_counts`.
    """
    mean = mean_counts(W, density, zeta, dose=dose).astype(np.float64)
    seeds = check_seed("seed", seed)
    if isinstance(seeds, int):
        return np.random.default_rng(seeds).poisson(mean).astype(np.float32)
    if mean.ndim != 3:
        raise ValueError(
            f"seed is a list, but density has shape {np.shape(density)}; expected one slice, "
            "(elements, size, size), as seeds are stacked along the slices axis."
        )
    series = [np.random.default_rng(s).poisson(mean) for s in seeds]
    return np.stack(series, axis=-2).astype(np.float32)


CHANNELS, CHANNEL = 2048, 0.010  # energy channels, and the width of one in keV
VOLTAGE = 200.0  # kV
# counts of one shell for a count of another, at 200 kV. No table that we use has them; chosen.
SHELLS = {"Au": {"M": 1.0, "L": 0.5}, "Ag": {"L": 1.0}, "Cu": {"K": 1.0, "L": 0.4}, "C": {"K": 1.0}}


def damp(intensity: ArrayLike, saturation: float) -> np.ndarray:
    """Return HAADF intensities as they leave a thick specimen: S (1 - exp(-p / S)).

    With growing thickness fewer electrons of the beam are left that have not been scattered, and
    the intensity rises ever more slowly. S stands for all electrons: I / S is the share of the beam
    that reaches the detector. So intensity is a relative unit, and no count of electrons: with
    S = 2, an intensity of 0.88 is 44 % of the electrons, and 24 % less than without damping.

    Parameters
    ----------
    intensity
        Linear in the mass-thickness, Eq. 2; any shape.
    saturation
        S, in the unit of `intensity`; infinite for no damping.

    Returns
    -------
    numpy.ndarray
        float32.

    Notes
    -----
    Source: Z. Zhong et al., Ultramicroscopy 184 (2018) 57-65, for the effect. The
    exponential form is the simplest that has it.
    """
    intensity = as_float32("intensity", intensity)
    if isinstance(saturation, float) and saturation == np.inf:
        return intensity.copy()
    saturation = check_number("saturation", saturation, "a number above 0, or infinity")
    # in place, as a whole tilt series passes here
    damped = intensity / np.float32(-saturation)
    np.expm1(damped, out=damped)
    damped *= np.float32(-saturation)
    return damped


def drift(tilts: int, size: float, *, seed: int | Sequence[int]) -> np.ndarray:
    """Return by how many pixels each tilt's image has moved, (tilts, 2): along and across the axis.

    Independent normal numbers with a standard deviation of `size` pixels: at each tilt the
    operator brings the particle back to about the middle.

    Parameters
    ----------
    tilts
        How many.
    size
        Standard deviation of the drift, in pixels.
    seed
        Seed of the random numbers, or a list of some, as NumPy takes it.

    Returns
    -------
    numpy.ndarray
        Shape (tilts, 2), pixels along and across the tilt axis.

    Raises
    ------
    TypeError, ValueError
        If `tilts` is no whole number from 1 on, `size` negative, or `seed` no whole number from 0
        on or a list of some.
    """
    tilts = check_count("tilts", tilts)
    size = check_number("size", size, "a number of pixels of at least 0", also_least=True)
    return np.random.default_rng(check_seed("seed", seed)).normal(0, size, (tilts, 2))


def apply_drift(images: ArrayLike, shifts: ArrayLike) -> np.ndarray:
    """Move each tilt's image as the specimen has drifted, by parts of a pixel.

    As `hebt.prepare.apply_shifts`, with cubic splines, which hardly smooth; nothing comes in from
    outside, and nothing falls below 0.

    Parameters
    ----------
    images
        (..., tilts, slices, size), at least 0.
    shifts
        (tilts, 2), pixels along and across the tilt axis, from `drift`.

    Returns
    -------
    numpy.ndarray
        float32, in the shape of `images`, at least 0.

    Raises
    ------
    TypeError, ValueError
        If there is not one finite shift per tilt.
    """
    moved = apply_shifts(images, shifts, order=3, mode="constant")
    return np.maximum(moved, 0, out=moved)


def record_haadf(
    ideal: ArrayLike,
    *,
    saturation: float,
    electrons: float,
    noise: float,
    offset: float,
    shifts: ArrayLike,
    seed: int,
) -> np.ndarray:
    """Return HAADF images as a detector records them: moved, damped, with offset and noise.

    Parameters
    ----------
    ideal
        (tilts, slices, size), from `haadf_tilt_series`.
    saturation
        As for `damp`.
    electrons
        How many electrons a pixel counts at an intensity of 1: the noise of the counting has the
        variance intensity / `electrons`. Infinite for none. Of a beam that brings N electrons to
        each pixel, N / S.
    noise
        Standard deviation of the noise of the readout, which comes on top, in the unit of `ideal`.
    offset
        What the detector reads where there is no specimen.
    shifts
        (tilts, 2), pixels, from `drift`.
    seed
        Seed of the noise.

    Returns
    -------
    numpy.ndarray
        float32, (tilts, slices, size).

    Raises
    ------
    TypeError, ValueError
        If `noise` or `offset` is negative, `electrons` or `saturation` not above 0, or shapes do
        not fit.

    Notes
    -----
    Numbers of electrons are so large that their noise is drawn from a normal distribution.
    """
    if not (isinstance(electrons, float) and electrons == np.inf):
        electrons = check_number("electrons", electrons, "a number above 0, or infinity")
    expected = "a finite number of at least 0"
    noise = check_number("noise", noise, expected, also_least=True)
    offset = check_number("offset", offset, expected, also_least=True)
    rng = np.random.default_rng(check_seed("seed", seed))
    recorded = damp(apply_drift(as_float32("ideal", ideal, ndim=(3,)), shifts), saturation)
    for image in recorded:
        deviation = np.sqrt(image / np.float32(electrons) + np.float32(noise**2))
        image += np.float32(offset) + deviation * rng.standard_normal(image.shape, np.float32)
    return recorded


def detector_response(angles: ArrayLike) -> np.ndarray:
    """Return which share of the X-rays the detectors see at each tilt, (tilts,).

    Of four detectors only the two towards which the specimen is tilted are on; the holder hides
    the others. At 0 degrees its rim hides 45 % of these as well, which shrinks steadily up to 30
    degrees. The pair that is used at negative tilts has 93 % of the other's response.

    Parameters
    ----------
    angles
        (tilts,), degrees.

    Returns
    -------
    numpy.ndarray
        Share of the X-rays that the detectors see, shape (tilts,), from 0 to 1.

    Notes
    -----
    Source: section 3.2 of the paper, for the two detectors and the shadow. The straight line and
    the numbers are ours.
    """
    angles = check_angles(angles)
    seen = 0.55 + 0.45 * np.minimum(np.abs(angles) / 30, 1)
    return seen * np.where(angles < 0, 0.93, 1.0)


def energies() -> np.ndarray:
    """Return the centers of the 2048 energy channels of 10 eV, in keV, (channels,).

    Returns
    -------
    numpy.ndarray
        In keV, shape (channels,).
    """
    return CHANNEL * np.arange(CHANNELS)


def lines_spectrum(
    element: str, *, counted: Sequence[str] | None = None, resolution: float = 130.0
) -> np.ndarray:
    """Return the X-ray lines of an element as the detector sees them, (2048,).

    Energies and weights within a shell come from exspy's tables; each line is a Gaussian.

    Parameters
    ----------
    element
        One of `SHELLS`.
    counted
        Names of the lines whose counts add up to 1, such as ``("La", "Lb1")``; all, if None.
    resolution
        Full width at half maximum at Mn K-alpha, in eV.

    Returns
    -------
    numpy.ndarray
        Share of the counts in each channel, shape (channels,).

    Raises
    ------
    TypeError, ValueError
        If `element` is not one of `SHELLS`, or has no line of a name in `counted`.
    """
    from scipy.special import ndtr

    shells = SHELLS[check_choice("element", element, SHELLS)]
    resolution = check_number("resolution", resolution, "a width in eV above 0")
    edges = CHANNEL * (np.arange(CHANNELS + 1) - 0.5)
    spectrum, total = np.zeros(CHANNELS), 0.0
    lines = xray_lines(element)
    counted = list(lines) if counted is None else as_list("counted", counted, "names of lines")
    if not counted or any(line not in list(lines) for line in counted):
        raise ValueError(
            f"counted is {counted!r}; expected names of lines of {element} in exspy's tables: "
            f"{', '.join(lines)}."
        )
    for line, table in lines.items():
        weight = shells.get(line[0], 0.0) * table["weight"]
        energy = table["energy (keV)"]
        if line in counted:
            total += weight
        sigma = line_width(energy, resolution) / np.sqrt(8 * np.log(2))
        spectrum += weight * np.diff(ndtr((edges - energy) / sigma))
    if total == 0:
        raise ValueError(f"counted is {counted!r}; expected a line of a shell in SHELLS.")
    return spectrum / total


def bremsstrahlung() -> np.ndarray:
    """Return the shape of the background, (2048,), with 1 per channel at 3 keV.

    Kramers' law, (E0 - E) / E, times what the detector's window lets through at low energies.

    Returns
    -------
    numpy.ndarray
        Counts per channel relative to those at 3 keV, shape (channels,).
    """
    energy = np.maximum(energies(), CHANNEL / 2)

    def shape(e):
        return (VOLTAGE - e) / e * np.exp(-((0.6 / e) ** 2))

    return shape(energy) / shape(3.0)


def spectrum_image(
    means: ArrayLike, spectra: ArrayLike, *, seed: int | Sequence[int]
) -> sparse.csr_array:
    """Draw one spectrum image: Poisson counts about Σ_c mean_c(pixel) · spectrum_c(channel).

    The photons of each contribution are drawn pixel by pixel, and then a channel for each: the
    same distribution as a Poisson number for each channel, at the cost of photons, not channels.

    Parameters
    ----------
    means
        (contributions, slices, size): means to expect.
    spectra
        (contributions, channels): counts in each channel for a mean of 1.
    seed
        Seed of the counting noise.

    Returns
    -------
    scipy.sparse.csr_array
        uint16, (slices * size, channels): counts; nearly all are 0. uint32, if one is above 65535.

    Raises
    ------
    TypeError, ValueError
        If there are not as many means as spectra, or some are negative.
    """
    means = as_float32("means", means, ndim=(3,))
    spectra = as_float64("spectra", spectra, ndim=(2,))
    if len(means) != len(spectra) or means.min() < 0 or spectra.min() < 0:
        raise ValueError(
            f"means has shape {means.shape} and spectra {spectra.shape}, with least values "
            f"{means.min():g} and {spectra.min():g}; expected as many of each, and none below 0."
        )
    if means.sum(axis=(1, 2), dtype=np.float64) @ spectra.sum(axis=1) > 2**31:
        raise ValueError("means and spectra stand for over 2**31 counts; expected fewer.")
    rng = np.random.default_rng(check_seed("seed", seed))
    pixels, channels = [], []
    for mean, spectrum in zip(means, spectra, strict=True):
        total = spectrum.sum()
        if total == 0:
            continue
        photons = rng.poisson(mean.ravel() * total)
        pixels.append(np.repeat(np.arange(mean.size, dtype=np.int32), photons))
        chance = np.cumsum(spectrum) / total
        chance[-1] = 1.0
        drawn = rng.random(photons.sum())
        channels.append(np.searchsorted(chance, drawn, side="right").astype(np.int32))
    empty = [np.empty(0, np.int32)]
    pixel, channel = np.concatenate(pixels or empty), np.concatenate(channels or empty)
    counts = sparse.coo_array(
        (np.ones(len(pixel), np.uint32), (pixel, channel)), shape=(means[0].size, spectra.shape[1])
    ).tocsr()  # adds up the photons of one pixel and channel
    small = counts.data.max(initial=0) <= np.iinfo(np.uint16).max
    return counts.astype(np.uint16) if small else counts


def _check_density(W, density):
    check_projector(W)
    density = check_density(density)
    if density.shape[-2:] != (W.size, W.size):
        raise ValueError(
            f"density has shape {density.shape}; expected (elements, [slices,] {W.size}, {W.size}) "
            f"for a W of size {W.size}."
        )
    return density


def _factors(name, values, count):
    values = as_float32(name, values, ndim=(1,))
    if len(values) != count:
        raise ValueError(
            f"{name} has {len(values)} factors, but density has {count} elements; "
            "expected one factor for each element."
        )
    if values.min() < 0:
        raise ValueError(f"{name} is {values.tolist()}; expected no negative response factor.")
    return values.astype(np.float64)
