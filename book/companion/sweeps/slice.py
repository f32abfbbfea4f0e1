"""One slice of the Ag particle over weights and iterations (Figures 7 and 8)."""

import dataclasses

import numpy as np

import hebt
from hebt import metrics, prepare, segmentation, simulate
from hebt._checks import check_count

from ..paper import printed
from ..particles import measures
from ..particles.views import to_steps
from ..spectra.processing import process
from ..spectra.settings import ELEMENTS as settings_ELEMENTS
from ..spectra.settings import ParticleSettings, truth
from ..spectra.settings import settings as settings_settings
from ..store import cached

ELEMENTS = settings_ELEMENTS
REFERENCES = measures.REFERENCES
# from 0.01 to 0.99, denser near the ends
ALPHAS = (
    0.01,
    0.02,
    0.03,
    0.05,
    0.07,
    0.1,
    0.15,
    0.2,
    0.25,
    0.3,
    0.35,
    0.4,
    0.45,
    0.5,
    0.55,
    0.6,
    0.65,
    0.7,
    0.75,
    0.8,
    0.825,
    0.85,
    0.875,
    0.9,
    0.91,
    0.92,
    0.93,
    0.94,
    0.95,
    0.96,
    0.97,
    0.975,
    0.98,
    0.985,
    0.99,
)
PRINTED_ITERATIONS = (50, 100, 200, 500)  # of Figure 7
ITERATIONS = (1, 2, 5, 10, 20, *PRINTED_ITERATIONS)
FRAME = 150  # pixels along the edge of a sweep's frames, at most
_BAND = 4  # slices on both sides of the one that is swept, for its segmentation


@dataclasses.dataclass(frozen=True, eq=False)
class SliceSweep:
    """One slice of the non-alloy particle, for many weights and numbers of iterations.

    Attributes
    ----------
    settings
        `companion.spectra.ParticleSettings`.
    slice
        Its number.
    elements, alphas, iterations
        What the axes below stand for.
    ratios, r_squared
        The response ratios, (elements,), and their coefficient of determination.
    mse, eds_mse
        Reference -> (alphas, iterations, elements), and (iterations, elements) for EDS alone:
        scaled MSE, mean over the pixels of the slice. References are "segmented", the segmented
        HAADF reconstruction (the paper's protocol), and "true".
    residuals, eds_residuals
        (alphas, iterations, 1 + elements), and (iterations, 1 + elements): |p - W x| / |p| of
        HAADF and of the elements' maps.
    references
        Reference -> (elements, size, size): what the scores compare with.
    pictures
        (alphas, iterations, elements, rows, columns), uint8 steps of
        `companion.particles.from_steps`, where bulk density is 1, cut to the particle and binned.
    eds_pictures, reference_pictures
        (iterations, elements, rows, columns), and reference -> (elements, rows, columns).
    binning
        Pixels of the slice along a pixel of the pictures.
    """

    settings: ParticleSettings
    slice: int
    elements: tuple[str, ...]
    alphas: tuple[float, ...]
    iterations: tuple[int, ...]
    ratios: np.ndarray
    r_squared: float
    mse: dict[str, np.ndarray]
    eds_mse: dict[str, np.ndarray]
    residuals: np.ndarray
    eds_residuals: np.ndarray
    references: dict[str, np.ndarray]
    pictures: np.ndarray
    eds_pictures: np.ndarray
    reference_pictures: dict[str, np.ndarray]
    binning: int

    def at(self, alpha: float, iterations: int) -> tuple[int, int]:
        """Return the places of a weight and of a number of iterations."""
        for name, value, values in (
            ("alpha", alpha, self.alphas),
            ("iterations", iterations, self.iterations),
        ):
            if value not in values:
                raise ValueError(
                    f"{name} is {value!r}; expected one of {', '.join(map(str, values))}."
                )
        return self.alphas.index(alpha), self.iterations.index(iterations)

    def best_alpha(self, reference: str, element: str, iterations: int) -> float:
        """Return the weight with the lowest MSE after some iterations, between the tested ones."""
        i = self.at(self.alphas[0], iterations)[1]
        return lowest(self.alphas, self.mse[reference][:, i, self.elements.index(element)])


def lowest(alphas, values) -> float:
    """Return where a curve over the weights is lowest, by a parabola through three points.

    The weights are taken as ln(1 - α), since it is 1 - α that counts.
    """
    values = np.asarray(values, np.float64)
    i = int(values.argmin())
    if i in (0, len(values) - 1):
        return float(alphas[i])
    x = np.log(1 - np.asarray(alphas[i - 1 : i + 2], np.float64))
    a, b, _ = np.polyfit(x - x[1], values[i - 1 : i + 2], 2)
    if a <= 0:  # three equal values
        return float(alphas[i])
    place = np.clip(-b / (2 * a), min(x) - x[1], max(x) - x[1])
    return float(1 - np.exp(x[1] + place))


def slice_sweep(*, alphas=ALPHAS, iterations=ITERATIONS, **changes) -> SliceSweep:
    """Sweep the weight and the iterations on the middle slice of the non-alloy particle.

    All weights are one batch, and all numbers of iterations come from one run. The paper's slice
    150 is the middle one of 300.
    """
    return _slice_sweep(
        settings_settings("nonalloy", **changes),
        tuple(float(a) for a in alphas),
        tuple(check_count("iterations", i) for i in iterations),
    )


@cached
def _slice_sweep(settings, alphas, iterations):
    series = process(settings)
    W = hebt.Projector(series.angles, settings.size)
    middle = settings.size // 2
    haadf, maps = series.haadf[:, middle], series.maps[:, :, middle]
    ratios = np.asarray(series.fit.ratios, float)

    bulk = np.array([simulate.DENSITY[e] for e in ELEMENTS], np.float32)
    true = truth(settings)[:, middle] / bulk[:, None, None]
    references = {"segmented": _segmented(W, series.haadf, middle), "true": true}

    # EDS alone is HEBT at a weight of 0
    x = hebt.sweep(W, haadf, maps, ratios, (0, *alphas), iterations)
    mse = {name: np.empty(x.shape[:3]) for name in references}
    for name, reference in references.items():
        for place in np.ndindex(x.shape[:3]):
            mse[name][place] = metrics.scaled_mse(
                reference[place[-1]], x[place], normalise="pixels"
            )
    residuals = _residuals(W, haadf, maps * ratios[:, None, None].astype(np.float32), x)
    x /= (ratios * series.zeta * bulk).astype(np.float32)[:, None, None]
    cut, binning = _cut(true)
    pictures = to_steps(_small(x, cut, binning))
    return SliceSweep(
        settings=settings,
        slice=middle,
        elements=ELEMENTS,
        alphas=alphas,
        iterations=iterations,
        ratios=ratios,
        r_squared=float(series.fit.r_squared),
        mse={name: values[1:] for name, values in mse.items()},
        eds_mse={name: values[0] for name, values in mse.items()},
        residuals=residuals[1:],
        eds_residuals=residuals[0],
        references=references,
        pictures=pictures[1:],
        eds_pictures=pictures[0],
        reference_pictures={
            name: to_steps(_small(r, cut, binning)) for name, r in references.items()
        },
        binning=binning,
    )


def _segmented(W, haadf, place):
    """Segment the HAADF reconstruction of a slice and its neighbours: masks of Au and Ag."""
    band = haadf[:, max(0, place - _BAND) : place + _BAND + 1]
    iterations = int(printed("nonalloy.best_iterations").value)
    parts = segmentation.segment(hebt.sirt(W, band, iterations=iterations))
    middle = min(_BAND, place)
    return np.stack([parts.mask(label)[middle] for label in (2, 1)]).astype(np.float32)


def _residuals(W, haadf, scaled, x):
    """Relative residuals of (..., elements, size, size) -> (..., 1 + elements)."""
    lead, elements = x.shape[:-3], x.shape[-3]
    out = np.empty((*lead, 1 + elements))
    norm = [np.linalg.norm(p.astype(np.float64)) for p in (haadf, *scaled)]
    for row in np.ndindex(lead[:-1]):
        # (tilts, iterations, elements, size)
        projected = W.forward(x[row]).reshape(len(W.angles), lead[-1], elements, -1)
        left = scaled[:, :, None].transpose(1, 2, 0, 3) - projected
        whole = haadf[:, None] - projected.sum(axis=2)
        out[(*row, slice(None), 0)] = norms(whole[:, :, None])[:, 0] / norm[0]
        out[(*row, slice(None), slice(1, None))] = norms(left) / norm[1:]
    return out


def norms(left):
    """(tilts, iterations, elements, size) -> (iterations, elements)."""
    return np.sqrt((left.astype(np.float64) ** 2).sum(axis=(0, 3)))


def _cut(density):
    """Return the part of a slice that holds the particle, and how much to bin it."""
    inside = density.sum(axis=0) > 0.01
    size = inside.shape[-1]
    places = np.flatnonzero(inside.any(axis=0) | inside.any(axis=1))
    margin = max(2, size // 50)
    # around the middle, so that the cut stays square
    reach = max(size / 2 - places[0], places[-1] + 1 - size / 2) + margin
    half = min(size // 2, int(np.ceil(reach)))
    binning = -(-2 * half // FRAME)
    half -= half % binning
    return slice(size // 2 - half, size // 2 + half), binning


def _small(images, cut, binning):
    return prepare.bin_images(images[..., cut, cut], binning, mean=True)
