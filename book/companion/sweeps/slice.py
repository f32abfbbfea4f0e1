"""One slice of the Ag particle over weights, iterations and noise seeds (Figures 7 and 8)."""

import dataclasses

import numpy as np
from scipy.ndimage import binary_erosion

import hebt
from hebt import metrics, prepare, segmentation, simulate
from hebt._checks import check_count

from ..paper import value
from ..particles.experiment import seed_settings
from ..particles.measures import REFERENCES
from ..particles.views import to_steps
from ..spectra.processing import process
from ..spectra.settings import ELEMENTS, READINGS, ParticleSettings, truth
from ..spectra.settings import settings as particle_settings
from ..store import cached

# from 0.01 to 0.99, denser where 1 - alpha is small
ALPHAS = tuple(percent / 100 for percent in (1, *range(10, 81, 10), 85, 90, 92.5, 95, 97, 99))
PRINTED_ITERATIONS = (50, 100, 200, 500)  # of Figure 7
ITERATIONS = (1, 2, 5, 10, 15, 20, 30, *PRINTED_ITERATIONS)
FRAME = 150  # pixels along the edge of a sweep's frames, at most
_CHUNK = 40  # slices that run together, for the sake of memory
_BAND = 4  # slices on both sides of the one that is swept, for its segmentation


@dataclasses.dataclass(frozen=True, eq=False)
class SliceSweep:
    """One slice of the non-alloy particle, for many weights, numbers of iterations and seeds.

    References are "segmented", the segmented HAADF reconstruction (the paper's protocol), and
    "true". What begins with ``eds`` is of EDS alone, without the axis of the weights. Residuals,
    references and pictures are of the first seed.
    """

    settings: tuple[ParticleSettings, ...]  # one for each noise seed
    slice: int  # its number
    elements: tuple[str, ...]
    alphas: tuple[float, ...]
    iterations: tuple[int, ...]
    ratios: np.ndarray  # response ratios, (elements, seeds)
    r_squared: np.ndarray  # (seeds,), of the paper's fit
    # reference -> (alphas, iterations, elements, seeds): scaled MSE, mean over the slice's pixels
    mse: dict[str, np.ndarray]
    eds_mse: dict[str, np.ndarray]
    # (alphas, iterations, seeds): gold's mean density in pure silver, as a share of that in pure
    # gold, away from surfaces
    crosstalk: np.ndarray
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
    def usual_iterations(self) -> int:
        """The paper's number of iterations, or the tested one next to it."""
        wanted = value("nonalloy.best_iterations")
        return min(self.iterations, key=lambda n: abs(np.log(n / wanted)))

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
        """Return the MSE after a number of iterations, (alphas, elements, seeds)."""
        return self.mse[reference][:, place("iterations", iterations, self.iterations)]

    def best_alphas(self, reference: str, element: str, iterations: int) -> np.ndarray:
        """Return for each seed the weight with the lowest MSE, between the tested ones."""
        curves = self.after(reference, iterations)[:, self.elements.index(element)]
        return np.array([lowest(self.alphas, curve) for curve in curves.T])

    def eds_best(self, reference: str) -> tuple[np.ndarray, np.ndarray]:
        """Return where EDS alone is best for each seed: iterations and MSE, (elements, seeds)."""
        mse = self.eds_mse[reference]
        return np.array(self.iterations)[mse.argmin(axis=0)], mse.min(axis=0)

    def gain_over_best_eds(self, reference: str) -> np.ndarray:
        """Return the least MSE of EDS alone over that of HEBT as the paper uses it.

        That is at the paper's weight and number of iterations, (elements, seeds).
        """
        a, i = self.at(self.usual, self.usual_iterations)
        return self.eds_best(reference)[1] / self.mse[reference][a, i]


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


def slice_sweep(*, seeds=None, alphas=ALPHAS, iterations=ITERATIONS, **changes) -> SliceSweep:
    """Sweep the weight and the iterations on the middle slice of the non-alloy particle.

    All weights are one batch, and all numbers of iterations come from one run. The paper's slice
    150 is the middle one of 300. If None, seeds are those of the particle's own chapter.
    """
    return _slice_sweep(
        seed_settings("nonalloy", seeds, changes),
        tuple(float(a) for a in alphas),
        tuple(check_count("iterations", i) for i in iterations),
    )


def other_readings(*, alphas=ALPHAS, iterations=ITERATIONS, **changes) -> SliceSweep:
    """Sweep the slice at all readings of the paper's noise but the usual, in place of seeds."""
    _, *others = READINGS
    return _slice_sweep(
        tuple(particle_settings("nonalloy", reading=reading, **changes) for reading in others),
        tuple(float(a) for a in alphas),
        tuple(check_count("iterations", i) for i in iterations),
    )


@cached
def _slice_sweep(settings, alphas, iterations):
    W = hebt.Projector(settings[0].angles, settings[0].size)
    slices = [_middle_slice(W, one) for one in settings]
    batch = [np.stack([one[k] for one in slices], axis=-2) for k in ("haadf", "maps")]
    ratios = np.stack([one["ratios"] for one in slices], axis=-1)
    cut, binning = _cut(slices[0]["true"])
    # EDS alone is HEBT at a weight of 0
    every = (0, *alphas)
    together = max(1, _CHUNK // len(slices))
    parts = []
    for first in range(0, len(every), together):
        x = hebt.sweep(W, *batch, ratios, every[first : first + together], iterations)
        parts.append(_scored(W, slices, x, cut, binning))
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    references = {r: slices[0][r] for r in REFERENCES}
    return SliceSweep(
        settings=settings,
        slice=settings[0].size // 2,
        elements=ELEMENTS,
        alphas=alphas,
        iterations=iterations,
        ratios=ratios,
        r_squared=np.array([one["r_squared"] for one in slices]),
        mse={r: found[r][1:] for r in REFERENCES},
        eds_mse={r: found[r][0] for r in REFERENCES},
        crosstalk=found["crosstalk"][1:],
        residuals=found["residuals"][1:],
        eds_residuals=found["residuals"][0],
        references=references,
        pictures=found["pictures"][1:],
        reference_pictures={r: to_steps(_small(v, cut, binning)) for r, v in references.items()},
        binning=binning,
    )


def _middle_slice(W, settings) -> dict:
    """Return the data of a particle's middle slice, and what it is compared with."""
    series, middle = process(settings), settings.size // 2
    bulk = np.array([simulate.DENSITY[e] for e in ELEMENTS], np.float32)
    ratios = np.asarray(series.fit.ratios, float)
    return {
        "haadf": series.haadf[:, middle],
        "maps": series.maps[:, :, middle],
        "ratios": ratios,
        "r_squared": float(series.plain.r_squared),
        "bulk": (ratios * series.zeta * bulk).astype(np.float32),  # x of the pure elements
        "segmented": _segmented(W, series.haadf, middle),
        "true": truth(settings)[:, middle] / bulk[:, None, None],
    }


def _scored(W, slices, x, cut, binning) -> dict:
    """Score x, (alphas, iterations, elements, seeds, size, size), and show the first seed."""
    found = {r: np.empty(x.shape[:4]) for r in REFERENCES}
    for r, mse in found.items():
        for at in np.ndindex(mse.shape):
            *_, e, seed = at
            mse[at] = metrics.scaled_mse(slices[seed][r][e], x[at], normalise="pixels")
    first = slices[0]
    scaled = first["maps"] * first["ratios"][:, None, None].astype(np.float32)
    shown = _small(x[:, :, :, 0], cut, binning) / first["bulk"][:, None, None]
    return found | {
        "crosstalk": _crosstalk(x[:, :, 0], first["true"]),
        "residuals": _residuals(W, first["haadf"], scaled, x[:, :, :, 0]),
        "pictures": to_steps(shown),
    }


def _crosstalk(gold, true):
    """Return gold's mean in pure silver over that in pure gold, of (..., size, size)."""
    depth = max(2, true.shape[-1] // 40)  # pixels near a surface are left out
    in_gold, in_silver = (binary_erosion(t > 0.98, iterations=depth) for t in true)
    return gold[..., in_silver].mean(axis=-1) / gold[..., in_gold].mean(axis=-1)


def _segmented(W, haadf, middle):
    """Segment the HAADF reconstruction of a slice and its neighbors: masks of Au and Ag."""
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
