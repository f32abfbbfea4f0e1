"""A small bench for experiments with one slice; the page runs the same in JavaScript."""

import dataclasses
import math
import warnings

import numpy as np

import hebt
from hebt import metrics, prepare, simulate
from hebt._checks import as_float32, check_count

from ..paper import printed
from ..store import cached

ELEMENTS = ("Au", "Ag")
METHODS = ("em", "hebt", "eds")
SIZE = 128


@dataclasses.dataclass(frozen=True)
class Conditions:
    """What an experiment on the bench is done with; much as in the paper's phantom study."""

    specimen: str = "diamond"  # one of SPECIMENS, or "own" for one of the reader's own
    # X-rays on a pixel of the particle's projection, in the mean over pixels and elements; the
    # paper's dose would be about 13 in a frame of 128
    counts: float = 16.0
    tilt: float = 75.0  # the largest, degrees
    step: float = 5.0  # between tilts, degrees
    alpha: float = 0.7
    # standard deviation of composition EM's kernel, pixels; about 3 sqrt(voxels / counts)
    kernel: float = 1.0
    iterations: int = 100
    error_Au: float = 0.0  # put on the estimated response ratios, percent
    error_Ag: float = 0.0
    shift: int = 0  # of the maps against the HAADF images, pixels across the tilt axis
    smoothing: float = 1.0  # standard deviation of the maps' Gaussian, pixels; 0 for none
    seed: int = 0  # of the counting noise

    def __post_init__(self):
        if self.specimen not in (*SPECIMENS, "own"):
            known = ", ".join(SPECIMENS)
            raise ValueError(f"specimen is {self.specimen!r}; expected one of {known}, or 'own'.")
        for name, low, high in (
            ("counts", 1e-3, 1e6),
            ("tilt", 0, 90),
            ("step", 0.1, 90),
            ("alpha", 0, 0.999),
            ("error_Au", -99, 1000),
            ("error_Ag", -99, 1000),
            ("smoothing", 0, 20),
            ("kernel", 0, 20),
        ):
            value = getattr(self, name)
            if not (np.isscalar(value) and low <= value <= high):
                raise ValueError(f"{name} is {value!r}; expected a number from {low} to {high}.")
        check_count("iterations", self.iterations)
        if self.shift != int(self.shift):
            raise ValueError(f"shift is {self.shift!r}; expected a whole number of pixels.")

    @property
    def angles(self) -> np.ndarray:
        """(tilts,), degrees: in equal steps on both sides of 0. -90 would repeat 90."""
        n = math.floor(self.tilt / self.step + 1e-9)
        angles = np.arange(-n, n + 1) * float(self.step)
        return angles[angles > -90]


def _grid(size):
    """Places in the frame, whose side is 1, from its center: down, across, and the distance."""
    offsets = (np.arange(size) + 0.5) / size - 0.5
    down, across = np.meshgrid(offsets, offsets, indexing="ij")
    return down, across, np.hypot(down, across)


def _core(size):
    *_, radius = _grid(size)
    return [radius < 0.2, (radius >= 0.2) & (radius < 0.36)]


def _halves(size):
    down, across, radius = _grid(size)
    left, inside = across + 0.4 * down < 0, radius < 0.34
    return [inside & left, inside & ~left]


def _dots(size):
    down, across, radius = _grid(size)
    gold = np.zeros((size, size), bool)
    for turn, r in enumerate((0.075, 0.06, 0.047, 0.037, 0.029, 0.023, 0.018, 0.014)):
        angle = math.radians(45 * turn)
        gold |= np.hypot(across - 0.23 * math.cos(angle), down - 0.23 * math.sin(angle)) < r
    return [gold, (radius < 0.36) & ~gold]


def _alloy(size):
    *_, radius = _grid(size)
    gold = np.clip(0.1 + 0.7 * (radius / 0.35) ** 2, 0, 0.8)
    return np.stack([gold, 1 - gold]) * (radius < 0.35)


# name -> what the reader sees, and a function of the frame's size
SPECIMENS = {
    "diamond": ("Gold diamond in silver (paper)", lambda size: simulate.phantom(size).density),
    "core": ("Gold core, silver shell", _core),
    "halves": ("Two halves", _halves),
    "dots": ("Gold dots in silver", _dots),
    "alloy": ("Alloy, richer in gold outside", _alloy),
}


@dataclasses.dataclass(frozen=True)
class Preset:
    """Conditions with a name, and what to see with them."""

    title: str
    artifact: str  # what goes wrong; empty where nothing does
    text: str
    changes: dict  # conditions that differ from the default


PRESETS = {
    "paper": Preset(
        "Much as in the paper",
        "",
        "Tilts, weight and dose are about those of the paper's phantom study. HEBT is smoother "
        "than EDS alone, and its outlines are sharper.",
        {},
    ),
    "ghost": Preset(
        "α too large, few iterations",
        "ghost",
        "Each element shows the other one. What HAADF misses is given to both elements alike; "
        "the maps, with a weight of 1 − α, have not yet taken it back. More iterations, or a "
        "smaller α, remove it.",
        {"alpha": 0.95, "iterations": 30},
    ),
    "ratios": Preset(
        "Wrong response ratios",
        "exchange",
        "Gold's ratio is 60 % too large and silver's 60 % too small, so both signals cannot be "
        "met at once. What is left over goes to the wrong element: the whole particle shows in "
        "gold, while silver is eaten away beside the gold and too bright elsewhere.",
        {"error_Au": 60.0, "error_Ag": -60.0, "counts": 64.0},
    ),
    "misaligned": Preset(
        "Maps beside HAADF by 4 pixels",
        "double edges",
        "Outlines appear twice: where the maps have them, and 4 pixels beside, where HAADF has "
        "them, with a strip between that is too dark or too bright. Align the signals first.",
        {"shift": 4, "counts": 64.0},
    ),
    "few": Preset(
        "Few tilts",
        "streaks",
        "Seven tilts. Streaks cross the silver along the few directions that were seen, and the "
        "smallest dots fade, in both methods. HAADF cannot help: it was recorded at the same "
        "tilts.",
        {"specimen": "dots", "step": 25.0, "counts": 256.0},
    ),
    "wedge": Preset(
        "Missing wedge",
        "elongation",
        "Tilts beyond 35° are missing. Edges that no ray runs along fade, and the particle is "
        "drawn out along the beam at 0° (upwards and downwards).",
        {"tilt": 35.0, "counts": 64.0},
    ),
    "dose": Preset(
        "Hardly any X-rays",
        "grain",
        "One count a pixel. EDS alone breaks up into grains. In HEBT the sum of the elements is "
        "still right, so a grain that is too bright in gold is too dark in silver. Composition EM "
        "trades grain for a softer border: its kernel is wider here.",
        {"counts": 1.0, "kernel": 3.0},
    ),
}


def specimen(name: str, size: int = SIZE) -> np.ndarray:
    """Return one of `SPECIMENS` as densities of Au and Ag, (2, size, size), float32, 1 for bulk."""
    if name not in SPECIMENS:
        raise ValueError(f"specimen is {name!r}; expected one of {', '.join(SPECIMENS)}.")
    return np.asarray(SPECIMENS[name][1](check_count("size", size)), np.float32)


def preset(name: str) -> Conditions:
    """Return the conditions of one of `PRESETS`."""
    if name not in PRESETS:
        raise ValueError(f"preset is {name!r}; expected one of {', '.join(PRESETS)}.")
    return Conditions(**PRESETS[name].changes)


@dataclasses.dataclass(frozen=True, eq=False)
class Series:
    """A simulated bimodal tilt series of one slice."""

    conditions: Conditions
    density: np.ndarray  # (elements, size, size), the true specimen, 1 for bulk
    W: hebt.Projector
    haadf: np.ndarray  # (tilts, size), without noise (Eq. 3)
    counts: np.ndarray  # (elements, tilts, size), X-rays with counting noise (Eq. 5)
    maps: np.ndarray  # the counts after smoothing
    z: np.ndarray  # (elements,), HAADF intensity per density and pixel
    zeta: np.ndarray  # (elements,), counts per density and pixel


def sensitivities() -> tuple[np.ndarray, np.ndarray]:
    """z and ζ of Au and Ag, as printed for the paper's phantom."""
    z, zeta = ([printed(f"phantom.{k}.{e}").value for e in ELEMENTS] for k in ("z", "zeta"))
    return np.array(z), np.array(zeta)


def _specimen(conditions, density):
    """The density to record, or why it cannot be."""
    if density is None:
        if conditions.specimen == "own":
            raise ValueError("specimen is 'own'; expected its density, (2, size, size), as well.")
        density = specimen(conditions.specimen)
    density = as_float32("density", density, ndim=(3,))
    if density.shape[0] != len(ELEMENTS) or density.shape[1] != density.shape[2]:
        raise ValueError(f"density has shape {density.shape}; expected (2, size, size), Au and Ag.")
    missing = [e for e, d in zip(ELEMENTS, density, strict=True) if not d.any()]
    if missing:
        raise ValueError(
            f"the specimen holds no {' and no '.join(missing)}; HEBT needs a map of each element."
        )
    return density


def record(conditions: Conditions, density=None) -> Series:
    """Record a tilt series of a specimen on the bench."""
    density = _specimen(conditions, density)
    W = hebt.Projector(conditions.angles, density.shape[-1])
    z, zeta = sensitivities()
    haadf = simulate.haadf_tilt_series(W, density, z)
    mean = simulate.mean_counts(W, density, zeta)[:, haadf > 0].mean(dtype=np.float64)
    zeta = zeta * (conditions.counts / mean)
    counts = simulate.eds_tilt_series(W, density, zeta, seed=conditions.seed)
    if conditions.shift:
        by = np.tile([0, conditions.shift], (len(W.angles), 1))
        counts = prepare.apply_shifts(counts[:, :, None], by, mode="constant")[:, :, 0]
    maps = counts
    if conditions.smoothing > 0:
        width = 2 * math.ceil(3 * conditions.smoothing) + 1
        maps = prepare.smooth(counts, width=width, sigma=conditions.smoothing)
    return Series(conditions, density, W, haadf, counts, maps, z, zeta)


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """What came out of an experiment.

    `residuals` are (iterations, 1 + elements), |p - W x| / |p| of HAADF and of each element's map.
    EDS alone has no HAADF term; there it says how far its sum is from the HAADF images. Scores are
    "mse" relative to the specimen, "ssim" (the structure term over the whole image), and "dp" in
    pixels (NaN for an alloy).
    """

    series: Series
    fit: hebt.ResponseRatios
    ratios: np.ndarray  # (elements,), those that were used, with their errors
    densities: dict[str, np.ndarray]  # method -> (elements, size, size), 1 for bulk
    residuals: dict[str, np.ndarray]  # by method
    scores: dict[tuple[str, str, str], float]  # by (name, method, element)


def run(
    conditions: Conditions | None = None, density=None, *, series: Series | None = None
) -> Outcome:
    """Record a tilt series, and reconstruct it by composition EM, by HEBT and from EDS alone."""
    now = Conditions() if conditions is None else conditions
    series = record(now, density) if series is None else series
    with warnings.catch_warnings():
        # the paper's fit, whatever the controls do to it: the outcome shows it, and R²
        warnings.simplefilter("ignore", UserWarning)
        fit = hebt.response_ratios(series.haadf, series.maps, names=ELEMENTS, variance=None)
    ratios = fit.ratios * (1 + np.array([now.error_Au, now.error_Ag]) / 100)
    densities, residuals = {}, {}
    for method in METHODS:
        x, residuals[method] = _reconstruct(series, ratios, method, now)
        densities[method] = hebt.density(x, ratios, eds_response=series.zeta)
    scores = _scores(series.density, densities)
    return Outcome(series, fit, ratios, densities, residuals, scores)


def _reconstruct(series, ratios, method, now):
    """One reconstruction, and its relative residuals (iterations, 1 + elements)."""
    history = []

    def note(iteration, x, left):
        history.append([left.haadf, *left.eds])

    # EDS alone is HEBT at a weight of 0, and its residuals come for nothing too
    settings = {"hebt": {"alpha": now.alpha}, "eds": {"alpha": 0}}.get(method, {})
    maps = series.maps
    if method == "em":
        # no noise in HAADF, and counts as they were counted
        settings = {"method": hebt.CompositionEM(now.kernel, haadf_noise=0.0)}
        maps = series.counts
    options = {"iterations": now.iterations, "callback": note, "progress": False, **settings}
    x = hebt.reconstruct(series.W, series.haadf, maps, ratios, **options)
    scaled = maps * ratios[:, None, None].astype(np.float32)
    norms = [np.linalg.norm(p.astype(np.float64)) for p in (series.haadf, *scaled)]
    return x, np.array(history) / norms


def _scores(density, densities):
    """(name, method, element) -> score."""
    scores = {}
    for method, pair in densities.items():
        for element, true, found in zip(ELEMENTS, density, pair, strict=True):
            binary = np.isin(true, (0, 1)).all()
            dp = float(metrics.pixel_difference(true, found)) if binary else math.nan
            scores["mse", method, element] = metrics.scaled_mse(true, found)
            scores["ssim", method, element] = metrics.ssim_structure(true, found, window=None)
            scores["dp", method, element] = dp
    return scores


@cached
def run_presets(names=tuple(PRESETS)) -> dict[str, Outcome]:
    """Run presets: name -> `Outcome`; the result is kept on disk."""
    return {name: run(preset(name)) for name in names}
