"""One slice of the Ag particle over weights and iterations (Figures 7 and 8)."""

import dataclasses

import numpy as np

import hebt
from hebt import metrics, prepare, segmentation, simulate
from hebt._checks import check_count

from ..paper import value
from ..particles.views import to_steps
from ..spectra.processing import process
from ..spectra.settings import ELEMENTS, ParticleSettings, truth
from ..spectra.settings import settings as particle_settings
from ..store import cached

# from 0.01 to 0.99, denser near the ends
ALPHAS = tuple(
    thousandths / 1000
    for thousandths in (
        *(10, 20, 30, 50, 70, *range(100, 800, 50), 800, 825, 850, 875),
        *(900, 910, 920, 930, 940, 950, 960, 970, 975, 980, 985, 990),
    )
)
PRINTED_ITERATIONS = (50, 100, 200, 500)  # of Figure 7
ITERATIONS = (1, 2, 5, 10, 20, *PRINTED_ITERATIONS)
FRAME = 150  # pixels along the edge of a sweep's frames, at most
_BAND = 4  # slices on both sides of the one that is swept, for its segmentation


@dataclasses.dataclass(frozen=True, eq=False)
class SliceSweep:
    """One slice of the non-alloy particle, for many weights and numbers of iterations.

    References are "segmented", the segmented HAADF reconstruction (the paper's protocol), and
    "true". What begins with ``eds`` is of EDS alone, without the axis of the weights.
    """

    settings: ParticleSettings
    slice: int  # its number
    elements: tuple[str, ...]
    alphas: tuple[float, ...]
    iterations: tuple[int, ...]
    ratios: np.ndarray  # response ratios, (elements,)
    r_squared: float
    # reference -> (alphas, iterations, elements): scaled MSE, mean over the pixels of the slice
    mse: dict[str, np.ndarray]
    eds_mse: dict[str, np.ndarray]
    # (alphas, iterations, 1 + elements): |p - W x| / |p| of HAADF and of the elements' maps
    residuals: np.ndarray
    eds_residuals: np.ndarray
    references: dict[str, np.ndarray]  # reference -> (elements, size, size)
    # (alphas, iterations, elements, rows, columns): uint8 steps of `particles.views`, where bulk
    # density is 1, cut to the particle and binned
    pictures: np.ndarray
    reference_pictures: dict[str, np.ndarray]
    binning: int  # pixels of the slice along a pixel of the pictures

    @property
    def usual(self) -> float:
        """The paper's weight, or the tested one next to it."""
        return nearest(self.alphas, value("nonalloy.best_alpha"))

    @property
    def printed(self) -> list[int]:
        """The numbers of iterations of Figure 7, or the last of those that there are."""
        return ([i for i in self.iterations if i in PRINTED_ITERATIONS] or [*self.iterations])[-4:]

    def at(self, alpha: float, iterations: int) -> tuple[int, int]:
        """Return the places of a weight and of a number of iterations."""
        return (
            place("alpha", alpha, self.alphas),
            place("iterations", iterations, self.iterations),
        )

    def after(self, reference: str, iterations: int) -> np.ndarray:
        """Return the MSE after a number of iterations, (alphas, elements)."""
        return self.mse[reference][:, place("iterations", iterations, self.iterations)]

    def best_alpha(self, reference: str, element: str, iterations: int) -> float:
        """Return the weight with the lowest MSE after some iterations, between the tested ones."""
        e = self.elements.index(element)
        return lowest(self.alphas, self.after(reference, iterations)[:, e])


def place(name: str, wanted, values) -> int:
    """Return where a value is among those that were swept."""
    if wanted not in values:
        raise ValueError(f"{name} is {wanted!r}; expected one of {', '.join(map(str, values))}.")
    return values.index(wanted)


def nearest(values, wanted: float):
    """Return the value nearest to the one that is wanted."""
    return min(values, key=lambda v: abs(v - wanted))


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
    where = np.clip(-b / (2 * a), min(x) - x[1], max(x) - x[1])
    return float(1 - np.exp(x[1] + where))


def slice_sweep(*, alphas=ALPHAS, iterations=ITERATIONS, **changes) -> SliceSweep:
    """Sweep the weight and the iterations on the middle slice of the non-alloy particle.

    All weights are one batch, and all numbers of iterations come from one run. The paper's slice
    150 is the middle one of 300.
    """
    return _slice_sweep(
        particle_settings("nonalloy", **changes),
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
        for at in np.ndindex(x.shape[:3]):
            mse[name][at] = metrics.scaled_mse(reference[at[-1]], x[at], normalise="pixels")
    residuals = _residuals(W, haadf, maps * ratios[:, None, None].astype(np.float32), x)
    x /= (ratios * series.zeta * bulk).astype(np.float32)[:, None, None]
    cut, binning = _cut(true)
    pictures = to_steps(_small(x[1:], cut, binning))
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
        pictures=pictures,
        reference_pictures={
            name: to_steps(_small(r, cut, binning)) for name, r in references.items()
        },
        binning=binning,
    )


def _segmented(W, haadf, middle):
    """Segment the HAADF reconstruction of a slice and its neighbours: masks of Au and Ag."""
    first = max(0, middle - _BAND)
    iterations = int(value("nonalloy.best_iterations"))
    band = hebt.sirt(W, haadf[:, first : middle + _BAND + 1], iterations=iterations)
    parts = segmentation.segment(band)
    return np.stack([parts.mask(label)[middle - first] for label in (2, 1)]).astype(np.float32)


def _residuals(W, haadf, scaled, x):
    """Relative residuals of (alphas, iterations, elements, size, size): (..., 1 + elements)."""
    measured = np.concatenate([haadf[None], scaled]).astype(np.float64)
    out = np.empty((*x.shape[:2], len(measured)))
    for a, runs in enumerate(x):
        for i, projected in enumerate(np.moveaxis(W.forward(runs), (1, 2), (0, 1))):
            left = measured - np.concatenate([projected.sum(axis=0)[None], projected])
            out[a, i] = np.linalg.norm(left, axis=(1, 2)) / np.linalg.norm(measured, axis=(1, 2))
    return out


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
