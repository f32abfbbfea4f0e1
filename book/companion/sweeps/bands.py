"""The phantom over weights, iterations, doses and noise seeds."""

import dataclasses

import numpy as np

import hebt
from hebt._checks import check_count

from ..dose import on_pixel
from ..fidelity import fidelity
from ..phantom.data import PhantomSettings, estimate_all_ratios
from ..phantom.data import data as simulate_phantom
from ..phantom.measures import score
from ..store import cached
from .slice import lowest, place

PHANTOM_ALPHAS = tuple(
    percent / 100 for percent in (1, 5, 10, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 93, 95, 97, 99)
)
PHANTOM_ITERATIONS = (10, 20, 50, 100, 200)
DOSES = (0.25, 1.0, 4.0, 16.0)
_CHUNK = 100  # slices that run together, for the sake of memory


@dataclasses.dataclass(frozen=True, eq=False)
class PhantomBands:
    """The phantom for many weights, iterations, doses and noise seeds."""

    settings: tuple[PhantomSettings, ...]  # one for each dose
    elements: tuple[str, ...]
    alphas: tuple[float, ...]
    iterations: tuple[int, ...]
    doses: tuple[float, ...]
    # (doses,): X-ray counts on a pixel of an element map before smoothing, over the pixels with
    # HAADF > 0, in the mean over elements and seeds
    counts: np.ndarray
    # one (alphas, iterations, elements, seeds) for each dose: scaled MSE, mean over pixels
    mse: tuple[np.ndarray, ...]
    eds_mse: tuple[np.ndarray, ...]  # one (iterations, elements, seeds) for each dose

    @property
    def counts_on_paper_pixel(self) -> np.ndarray:
        """(doses,): the same on a pixel of the paper's frame, the unit of the whole book."""
        return np.array(
            [
                on_pixel(c, side=s.binning, other=1, sides=1)
                for c, s in zip(self.counts, self.settings, strict=True)
            ]
        )

    def best_alphas(self, dose: float, iterations: int, element: str | None = None) -> np.ndarray:
        """Return the weight with the lowest MSE for each noise seed, (seeds,)."""
        values = self._curve(dose, iterations, element)
        return np.array([lowest(self.alphas, v) for v in values.T])

    def flat(self, dose: float, iterations: int, *, within: float = 0.1) -> tuple[float, float]:
        """Return the lowest and highest tested weight whose mean MSE is near the lowest."""
        mean = self._curve(dose, iterations, None).mean(axis=1)
        good = np.flatnonzero(mean <= (1 + within) * mean.min())
        return self.alphas[good[0]], self.alphas[good[-1]]

    def shares(self, dose: float, iterations) -> np.ndarray:
        """Return (1 - α) T at the best weights, where these lie between the tested ones."""
        found = {n: self.best_alphas(dose, n) for n in iterations}
        return np.concatenate(
            [[], *((1 - best) * n for n, best in found.items() if self.is_inner(best))]
        )

    def is_inner(self, best: np.ndarray) -> bool:
        """Say whether best weights lie between the tested ones: at an end is no minimum."""
        return bool((best > self.alphas[0]).all() and (best < self.alphas[-1]).all())

    def best(self, dose: float) -> tuple[float, int, float]:
        """Return weight, iterations and mean MSE of the best point of the grid at a dose."""
        mean = self.mse[self.doses.index(dose)].mean(axis=(2, 3))
        a, i = np.unravel_index(mean.argmin(), mean.shape)
        return self.alphas[a], self.iterations[i], float(mean[a, i])

    def best_eds(self, dose: float) -> tuple[int, float]:
        """Return iterations and mean MSE of EDS alone where it is best."""
        mean = self.eds_mse[self.doses.index(dose)].mean(axis=(1, 2))
        return self.iterations[int(mean.argmin())], float(mean.min())

    def _curve(self, dose, iterations, element):
        """(alphas, seeds)"""
        mse = self.mse[place("dose", dose, self.doses)]
        mse = mse[:, place("iterations", iterations, self.iterations)]
        return mse.mean(axis=1) if element is None else mse[:, self.elements.index(element)]


def phantom_bands(
    *,
    alphas=PHANTOM_ALPHAS,
    iterations=PHANTOM_ITERATIONS,
    doses=DOSES,
    seeds=None,
    others=None,
    **changes,
) -> PhantomBands:
    """Sweep the phantom over weights, iterations, doses and noise seeds.

    The frame has half as many pixels along a side as the paper's (at quick fidelity an eighth);
    the specimen gets the same dose.
    """
    quick = fidelity() == "quick"
    doses = tuple(float(d) for d in doses)
    if 1.0 not in doses:
        raise ValueError(f"doses is {doses}; expected 1 among them, as the others refer to it.")
    seeds = check_count("seeds", (3 if quick else 5) if seeds is None else seeds)
    others = check_count("others", (2 if quick else 3) if others is None else others)
    changes = {"size": 64 if quick else 256} | changes
    settings = tuple(
        PhantomSettings.paper(
            **changes, dose=dose, seeds=range(seeds if dose == 1 else min(seeds, others))
        )
        for dose in doses
    )
    return _phantom_bands(
        settings,
        tuple(float(a) for a in alphas),
        tuple(check_count("iterations", i) for i in iterations),
    )


@cached
def _phantom_bands(settings, alphas, iterations):
    series = [simulate_phantom(s) for s in settings]
    data = series[0]  # projector, phantom and HAADF are the same for all
    counts = [
        np.moveaxis(one.counts, 2, -1)[:, one.haadf > 0].mean(dtype=np.float64) for one in series
    ]
    # doses, and seeds within them, are slices with ratios of their own
    owner = np.repeat(np.arange(len(series)), [one.maps.shape[2] for one in series])
    ratios = np.concatenate([estimate_all_ratios(one)[0] for one in series])
    batch = (
        np.concatenate([one.haadf_of_seeds for one in series], axis=1),
        np.concatenate([one.maps for one in series], axis=2),
        ratios.T,
    )
    every = (0, *alphas)
    together = max(1, _CHUNK // len(ratios))
    mse = []
    for first in range(0, len(every), together):
        x = hebt.sweep(data.W, *batch, every[first : first + together], iterations)
        mse += [[score(data, one)[0] for one in row] for row in x]
    mse = np.array(mse)
    return PhantomBands(
        settings=settings,
        elements=data.elements,
        alphas=alphas,
        iterations=iterations,
        doses=tuple(s.dose for s in settings),
        counts=np.array(counts),
        mse=tuple(mse[1:, :, :, owner == d] for d in range(len(settings))),
        eds_mse=tuple(mse[0][:, :, owner == d] for d in range(len(settings))),
    )
