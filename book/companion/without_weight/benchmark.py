"""A published benchmark with three elements: which method predicts tilts that it has not seen?"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

import hebt
from hebt import prepare

from .. import datasets
from ..fidelity import fidelity
from ..store import cached

SERIES = "alsiyb"
ELEMENTS = ("Al", "Si", "Yb")
HELD = slice(2, None, 6)  # tilts that are held out
FLOOR = 0.01  # least counts that a prediction stands for, relative to their mean
# of the smoothing of what EDS, HEBT and fusing take, as on the phantom; the kernel of
# composition EM; both in pixels of this series, which has about the phantom's frame
WIDTH, SIGMA, KERNEL = 8, 4.0, 4.0
MOST, EM = 200, 50
CHECKPOINTS = (5, 10, 20, 30, 50, 75, 100, 150, 200)
METHODS = ("eds", "hebt", "fused", "em")


@dataclasses.dataclass(frozen=True, eq=False)
class BenchmarkStudy:
    """Poisson deviance of held-out tilts, a pixel that holds the specimen and element."""

    elements: tuple[str, ...]
    slices: int
    held: np.ndarray  # angles that are held out
    ratios: np.ndarray  # (elements,)
    iterations: dict[str, tuple[int, ...]]  # method -> after which it is looked at
    deviance: dict[str, np.ndarray]  # method -> (iterations, elements, held-out tilts)

    def best(self, method: str) -> int:
        """Return the place of the lowest deviance, which the held-out tilts themselves pick."""
        return int(self.deviance[method].mean(axis=(1, 2)).argmin())

    def total(self, method: str) -> np.ndarray:
        """Return the mean over the elements at the best place, (held-out tilts,)."""
        return self.deviance[method][self.best(method)].mean(axis=0)

    def ratio(self, method: str, other: str) -> tuple[float, float]:
        """Return the quotient of two methods' deviances, with its standard error over the tilts."""
        mine, theirs = self.total(method), self.total(other)
        quotient = mine.mean() / theirs.mean()
        away = mine - quotient * theirs
        return float(quotient), float(away.std(ddof=1) / np.sqrt(len(away)) / theirs.mean())


def benchmark() -> BenchmarkStudy | None:
    """Compare the methods on held-out tilts of the series; None where it is not on this machine."""
    try:
        paths = datasets.locate(SERIES)
    except datasets.MissingDataError:
        return None
    count, binning = (2, 3) if fidelity() == "quick" else (5, 1)
    stamps = tuple((str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in paths)
    return _benchmark(stamps, count, binning)


@cached
def _benchmark(stamps, count, binning):
    haadf, maps, angles = read([Path(path) for path, *_ in stamps])
    fit = hebt.response_ratios(haadf, maps, ELEMENTS)
    picks = np.linspace(5, haadf.shape[1] - 6, count).round().astype(int)
    haadf, maps = (_binned(each[..., picks, :], binning) for each in (haadf, maps))
    held = np.zeros(len(angles), bool)
    held[HELD] = True
    W, seen = (hebt.Projector(angles[which], haadf.shape[-1]) for which in (held, ~held))
    inside = haadf[held] > 0.01 * haadf.max()
    found = {}
    for name in METHODS:
        steps = {"fused": (hebt.Fused.iterations,), "em": (EM,)}.get(name, CHECKPOINTS)

        def look(x):
            return deviances(W, x, maps[:, held], fit.ratios, inside)

        keep = hebt.Snapshots(steps, look)
        _run(name, seen, haadf[~held], maps[:, ~held], fit.ratios, binning, steps[-1], keep)
        found[name] = steps, np.array(keep.values)
    return BenchmarkStudy(
        elements=ELEMENTS,
        slices=count,
        held=angles[held],
        ratios=np.asarray(fit.ratios),
        iterations={name: steps for name, (steps, _) in found.items()},
        deviance={name: values for name, (_, values) in found.items()},
    )


def _binned(images, binning):
    """Add up so many pixels across the tilt axis."""
    whole = images.shape[-1] // binning * binning
    return prepare.bin_images(images[..., :whole], binning, axis=-1)


def _run(name, W, haadf, counts, ratios, binning, iterations, keep):
    """Reconstruct the tilts that are seen."""
    kernel = {"width": round(WIDTH / binning), "sigma": SIGMA / binning}
    smooth = prepare.smooth(counts, **kernel)
    if name == "em":
        method = hebt.CompositionEM((0, KERNEL / binning))
        hebt.reconstruct(W, haadf, counts, ratios, None, iterations, method=method, callback=keep)
        return
    method = "hebt"
    if name == "fused":
        method = hebt.Fused(variance=prepare.smooth_variance(counts, **kernel))
    weight = {"eds": 0.0, "hebt": 0.7}.get(name)
    hebt.reconstruct(W, haadf, smooth, ratios, weight, iterations, method=method, callback=keep)


def read(paths) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return HAADF, maps and angles of the series: (tilts, slices, size), (elements, ...)."""
    from rsciio.mrc import file_reader

    files = {path.name: path for path in paths}

    def images(name):
        return np.asarray(file_reader(str(files[name]))[0]["data"], np.float32)

    maps = np.stack([images(f"{element}_EDXsino.mrc") for element in ELEMENTS])
    return images("HAADF_lrsino.mrc"), maps, np.loadtxt(files["HAADF_lrsino.rawtlt"])


def deviances(W, x, counts, ratios, inside) -> np.ndarray:
    """Return the mean Poisson deviance of counts where there is specimen, (elements, tilts).

    `inside`, (tilts, slices, size), says where that is.
    """
    result = []
    for one, n, r in zip(x, counts, ratios, strict=True):
        n = n.astype(np.float64)
        expected = np.maximum(W.forward(one) / r, FLOOR * n[inside].mean())
        logs = np.where(n > 0, n * np.log(np.where(n > 0, n, 1) / expected), 0)
        each = np.where(inside, 2 * (expected - n + logs), 0)
        result.append(each.sum(axis=(1, 2)) / inside.sum(axis=(1, 2)))
    return np.array(result)
