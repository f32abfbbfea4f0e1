"""Pictures for the explorer: every method at some doses, and composition EM with some kernels."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..fidelity import fidelity
from ..phantom.measures import checkpoints, score
from ..store import cached
from .dose import kernel_at
from .runs import ITERATIONS, fitted_ratios, method_of, noisy_series, reconstruct, together

SIZE = {"paper": 128, "quick": 64}
METHODS = ("eds", "hebt", "fused", "em", "tv")
# kernels go with one over the root of the dose: some doses share one
DOSES, KERNELS = (1 / 16, 1 / 4, 1.0), (0.5, 1.0, 2.0)


@dataclasses.dataclass(frozen=True, eq=False)
class Frames:
    """One noise seed of the phantom, cut to the particle."""

    elements: tuple[str, ...]
    truth: np.ndarray  # (elements, pixels, pixels)
    # (method, dose, kernel; None but for composition EM) -> densities and MSE, (elements,)
    pictures: dict[tuple, np.ndarray]
    errors: dict[tuple, np.ndarray]


def frames(seed: int = 11, size: int | None = None) -> Frames:
    """Reconstruct the phantom; EDS alone and HEBT stop where each element is best."""
    return _frames(seed, SIZE[fidelity()] if size is None else size)


@cached
def _frames(seed, size):
    series = {dose: noisy_series((seed,), size=size, dose=dose) for dose in DOSES}
    ratios = {dose: fitted_ratios(data) for dose, data in series.items()}
    pictures, errors = {}, {}

    def keep(name, method, which, kernels):
        some = [series[dose] for dose in which]
        own = np.concatenate([ratios[dose] for dose in which], axis=1)
        x, found = _best(name, together(some), own, method)
        for k, (dose, kernel) in enumerate(zip(which, kernels, strict=True)):
            scale = own[:, k] * series[dose].settings.counts_per_density
            pictures[name, dose, kernel] = _cut(x[:, k]) / scale[:, None, None].astype(np.float32)
            errors[name, dose, kernel] = found[:, k]

    for name in METHODS:
        if name != "em":
            keep(name, None, DOSES, [None] * len(DOSES))
    pairs = {}
    for dose in DOSES:
        for kernel in KERNELS:
            pairs.setdefault(kernel * kernel_at(dose), []).append((dose, kernel))
    for width, same in pairs.items():
        keep("em", method_of("em", series[1.0], kernel=width), *zip(*same, strict=True))
    first = series[1.0]
    return Frames(first.elements, _cut(first.density), pictures, errors)


def _cut(images):
    """Return images, (elements, size, size), cut to the particle."""
    size = images.shape[-1]
    cut = slice(size // 8, size - size // 8)
    return images[:, cut, cut]


def _best(name, data, ratios, method):
    """Return each slice and element's best of some iterations, and its error."""
    at = checkpoints(200) if name in ("eds", "hebt") else [ITERATIONS[name]]
    best, least = None, None

    def keep(iteration, x, residuals):
        nonlocal best, least
        if iteration not in at:
            return
        errors = score(data, x, ["mse_reference"])[0]
        if best is None:
            best, least = np.array(x), errors
        better = errors < least
        best[better], least = x[better], np.minimum(errors, least)

    reconstruct(name, data, ratios, int(at[-1]), method=method, callback=keep)
    return best, least
