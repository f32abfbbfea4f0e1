"""What usually goes wrong with a tilt series, and what cures it, on a simulated particle.

Each mistake is made in one simulated series, and cured by the call that the chapter names.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable

import numpy as np
from scipy import ndimage

import hebt
from hebt import prepare, simulate
from hebt.io import TiltSeries
from hebt.metrics import scaled_mse

from ..fidelity import fidelity
from ..store import cached

NOT_ALIGNED, NARROW = "Not aligned", "Particle leaves the field"
AXIS = "Tilt axis beside the middle and turned"
DAMPED = "HAADF not linear: thick, or saturated"
GEOMETRY = (NOT_ALIGNED, AXIS, NARROW)
SHOWN = "Ag"  # the element of the pictures
SATURATED = 0.55  # of the brightest pixel: the saturation of a thick specimen
BLACK = 0.2  # of the brightest pixel
DRIFT = 2.5  # pixels: standard deviation
TURNED, BESIDE = 5.0, 3.0  # degrees and pixels: of the tilt axis
LINES = ("Co_La", "Fe_La")  # whose windows overlap: of the two elements, as if they were these
FIELD = 0.45  # of the frame: where the particle sticks out


@dataclasses.dataclass(frozen=True)
class Settings:
    """How large the particle is simulated and how it is reconstructed."""

    size: int = 64
    step: int = 5  # degrees
    iterations: int = 60
    alpha: float = 0.7
    seed: int = 0


def settings() -> Settings:
    """Return the settings for the fidelity at hand."""
    return Settings(size=40, step=10, iterations=30) if fidelity() == "quick" else Settings()


@dataclasses.dataclass(frozen=True, eq=False)
class Recorded:
    """A simulated recording."""

    angles: np.ndarray
    haadf: np.ndarray  # (tilts, slices, size)
    maps: np.ndarray  # (elements, tilts, slices, size), counts
    elements: tuple[str, ...]

    def series(self) -> TiltSeries:
        """Return it as one object."""
        return TiltSeries.from_arrays(
            self.haadf, self.maps, angles=self.angles, elements=self.elements, pixel_size=1.0
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Tried:
    """A reconstruction of a recording."""

    plane: np.ndarray  # (size, size): the middle slice of the shown element, scaled to the truth
    errors: dict[str, float]  # of each element: MSE relative to the truth, at the best scale
    warned: tuple[str, ...]  # what hebt said while the ratios were fitted


@dataclasses.dataclass(frozen=True, eq=False)
class Mistake:
    """A mistake, without and with its cure."""

    name: str
    kind: str  # "geometry", or "signals"
    sign: str  # by which it shows
    cure: str  # the call, or what to do at the microscope
    wrong: Tried
    cured: Tried


@dataclasses.dataclass(frozen=True, eq=False)
class Mistakes:
    """All of them, and the same particle where nothing is wrong."""

    settings: Settings
    truth: np.ndarray  # (size, size): the middle slice
    right: Tried
    each: tuple[Mistake, ...]


def mistakes() -> Mistakes:
    """Make each mistake, and cure it."""
    return _mistakes(settings())


@cached
def _mistakes(now: Settings) -> Mistakes:
    truth, right = recorded(now)
    shown = truth[right.elements.index(SHOWN)]
    named = dict(zip(right.elements, truth, strict=True))

    def tried(recording, field):
        return _tried(now, named, recording, field)

    each = []
    for name, sign, cure, made, mend in _all(now, right):
        field = made.haadf.shape[-1]  # both are judged where both show something
        kind = "geometry" if name in GEOMETRY else "signals"
        tries = tried(made, field), tried(mend(made), field)
        each.append(Mistake(name, kind, sign, cure, *tries))
    return Mistakes(now, shown[len(shown) // 2], tried(right, now.size), tuple(each))


def recorded(now: Settings) -> tuple[np.ndarray, Recorded]:
    """Return the truth, (elements, size, size, size), and how a good microscope records it."""
    specimen = simulate.embedded_octahedron(now.size, field=170)
    density = specimen.density / specimen.density.max()
    angles = np.arange(-70.0, 71, now.step)
    W = hebt.Projector(angles, now.size)
    haadf = simulate.haadf_tilt_series(W, density, [79, 60])
    dose = 64 / now.size * now.step / 5  # the same counts whatever the size
    maps = simulate.eds_tilt_series(W, density, [0.3, 0.6], dose=4 * dose, seed=now.seed)
    return density, Recorded(angles, haadf, maps, specimen.elements)


def _all(now: Settings, right: Recorded):
    """Yield each mistake: name, sign, cure, the recording with it, and what cures one."""
    change = dataclasses.replace
    bright = float(right.haadf.max())

    drift = simulate.drift(len(right.angles), DRIFT, seed=now.seed)
    moved = change(
        right,
        haadf=simulate.apply_drift(right.haadf, drift),
        maps=simulate.apply_drift(right.maps, drift),
    )
    yield (
        *(NOT_ALIGNED, "edges are ragged or doubled", "series.align()"),
        *(moved, lambda made: _of_series(made.series().align())),
    )
    turned = change(right, **_each_image(right, _turned))
    yield (
        *(AXIS, "edges are drawn out into arcs"),
        *("prepare.estimate_tilt_axis, apply_tilt_axis", turned, _find_axis),
    )
    black = change(right, haadf=right.haadf + np.float32(BLACK * bright))
    yield (
        *("Black level left in HAADF", "a glow around the particle", "series.remove_offset()"),
        *(black, lambda made: _of_series(made.series().remove_offset())),
    )
    damped = change(right, haadf=simulate.damp(right.haadf, SATURATED * bright))
    yield (
        *(DAMPED, "thick places look too dark"),
        *("series.correct_damping(); detector gain", damped),
        lambda made: _of_series(made.series().correct_damping()),
    )
    rng = np.random.default_rng(now.seed)
    seen = simulate.detector_response(right.angles)[:, None, None]
    shadowed = change(right, maps=_share(rng, right.maps, seen))
    yield (
        *("Detectors shadowed at some tilts", "totals change with the tilt"),
        *("prepare.tilt_response, normalize_tilts", shadowed, _normalized),
    )
    yield from _of_maps(now, right)


def _of_maps(now: Settings, right: Recorded):
    """Yield the mistakes of lines, of the field, and of the list of elements."""
    change = dataclasses.replace
    energies = simulate.energies()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of the overlap, which is the point
        windows = prepare.line_windows(energies, LINES)
    crosstalk = prepare.crosstalk_matrix(windows, energies)
    shares = crosstalk / np.diag(crosstalk)  # what a window counts for one in its own
    rng, (gold, other) = np.random.default_rng(now.seed), right.maps
    both = [gold + _share(rng, other, shares[0, 1]), other + _share(rng, gold, shares[1, 0])]
    overlapping = change(right, maps=np.stack(both))
    yield (
        *("Lines overlap", "one element shows the other's shape", "prepare.unmix, or other lines"),
        overlapping,
        lambda made: change(made, maps=prepare.unmix(made.maps, windows, energies)),
    )
    out = (now.size - round(FIELD * now.size)) // 2
    inner = (..., slice(out, now.size - out))
    narrow = change(right, haadf=right.haadf[inner], maps=right.maps[inner])
    yield (
        *(NARROW, "a bright rim at the border"),
        *("record a wider field; flat: series.crop_flat", narrow, lambda _: right),
    )
    own = right.elements.index(SHOWN)
    lacking = change(right, maps=right.maps[[own]], elements=(SHOWN,))
    yield (
        *("An element is not in the list", "another one takes its place"),
        *("map it: hebt lines FILES -o lines.png", lacking, lambda _: right),
    )


def _share(rng, counts: np.ndarray, share) -> np.ndarray:
    """Return which of the counts are counted, where each is with this probability."""
    return rng.binomial(counts.astype(int), share).astype(np.float32)


def _each_image(recording: Recorded, change: Callable) -> dict[str, np.ndarray]:
    return {name: change(getattr(recording, name)) for name in ("haadf", "maps")}


def _turned(images):
    """Return images as they are recorded with a tilt axis that is turned, and beside the middle."""
    moved = ndimage.shift(images, (0,) * (images.ndim - 1) + (BESIDE,), order=1)
    return ndimage.rotate(moved, TURNED, axes=(-1, -2), reshape=False, order=1)


def _find_axis(made: Recorded) -> Recorded:
    found = prepare.estimate_tilt_axis(made.haadf, made.angles, progress=False)
    changed = _each_image(made, lambda images: prepare.apply_tilt_axis(images, found))
    return dataclasses.replace(made, **changed)


def _normalized(made: Recorded) -> Recorded:
    response = prepare.tilt_response(made.maps)
    return dataclasses.replace(made, maps=prepare.normalize_tilts(made.maps, response))


def _of_series(series: TiltSeries) -> Recorded:
    return Recorded(series.angles, series.haadf, series.maps, series.elements)


def _tried(now: Settings, truth: dict[str, np.ndarray], recording: Recorded, field: int) -> Tried:
    """Fit the ratios to a recording as a user would, and reconstruct."""
    names = recording.elements
    W = hebt.Projector(recording.angles, recording.haadf.shape[-1])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit = hebt.response_ratios(recording.haadf, recording.maps, names)
        x = hebt.reconstruct(
            *(W, recording.haadf, recording.maps, fit.ratios),
            alpha=now.alpha,
            iterations=now.iterations,
            progress=False,
        )
    errors, plane = {}, np.full(truth[SHOWN].shape[1:], np.nan, np.float32)
    for name, own in zip(names, x, strict=True):
        seen, found = (_middle(v, field).astype(float) for v in (truth[name], own))
        errors[name] = float(scaled_mse(seen, found))
        if name == SHOWN:
            scale = (seen * found).sum() / (found**2).sum()
            _middle(plane, x.shape[-1])[...] = scale * own[len(own) // 2]
    return Tried(plane, errors, tuple(str(w.message) for w in caught))


def _middle(images: np.ndarray, size: int) -> np.ndarray:
    """Return the middle of slices, as large as a narrow field."""
    out = (images.shape[-1] - size) // 2
    return images[..., out : out + size, out : out + size]
