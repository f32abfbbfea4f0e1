"""The explorers of a particle's slices: truth, both methods, differences; planes, and doses."""

from __future__ import annotations

import dataclasses

import numpy as np

from hebt import explorers

from ..origins import explained
from ..planes import PLANES
from ..spectra.settings import specimen
from .doses import DoseSlices
from .experiment import ParticleStudy
from .measures import ELEMENTS, METHODS, STEPS, box
from .tables import every_text
from .truth import Truth
from .views import BINNING, COLUMNS, VIEW_LIMIT, from_steps, small

POSITIONS = 24  # of each plane, at most
INSIDE = 0.3  # of a picture's brightest HAADF: the particle
IMPOSSIBLE = 1.2  # times the bulk density: no element is that dense
REACH = 0.75  # of the color scale of differences
UNIT = "density, bulk: 1"
NAMES = {"eds": "EDS only", "hebt": "HEBT"}


@dataclasses.dataclass(frozen=True, eq=False)
class Cubes:
    """The stored slices and the truth as cubes of equal voxels, with empty edges."""

    true: np.ndarray  # (elements, n, n, n)
    shown: dict[str, np.ndarray]  # each of `COLUMNS`, (n, n, n)
    held: np.ndarray  # (n, n, n): what was stored, and is no empty edge
    side: float  # of a voxel, nm

    def error(self, element: str, method: str, at=...) -> float:
        """Return the root-mean-square error of a method in a part; NaN where nothing is held."""
        held = self.held[at]
        apart = self.shown[f"{element}_{method}"][at] - self.true[ELEMENTS.index(element)][at]
        return float(np.sqrt(np.mean(apart[held] ** 2))) if held.any() else float("nan")

    def positions(self) -> dict[float, int]:
        """Return the positions of a plane: nanometers from the middle -> voxel."""
        n = len(self.held)
        places = range(n % 2, n, -(-n // POSITIONS))
        return {round((k - (n - 1) / 2) * self.side, 1): k for k in places}


def cubes(study: ParticleStudy) -> Cubes:
    """Return what `explore_slices` shows, in 8-bit steps as stored."""
    views = study.views
    truth = Truth(specimen(study.settings[0]))
    true = _true(truth, views.numbers)
    count = max(1, len(views.numbers) * views.step // BINNING)
    nearest = np.minimum(np.arange(count) * BINNING // views.step, len(views.numbers) - 1)
    both = np.concatenate([true, from_steps(views.slices)])[:, nearest]
    whole = _centered(np.concatenate([both, np.ones_like(both[:1])]))
    shown = dict(zip(COLUMNS, whole[len(ELEMENTS) : -1], strict=True))
    return Cubes(whole[: len(ELEMENTS)], shown, whole[-1] > 0, BINNING * study.voxel_size)


def _true(truth, numbers):
    """Return the true volume fractions of some slices as `Views.slices` has its pictures."""
    return small(truth.fraction[:, numbers] / np.float32(STEPS), box(truth.labels > 0))


def _centered(volumes):
    """Put volumes, (volumes, slices, rows, columns), in the middle of empty cubes."""
    side = max(volumes.shape[1:])
    edges = [((side - n) // 2, side - n - (side - n) // 2) for n in volumes.shape[1:]]
    return np.pad(volumes, [(0, 0), *edges])


@explained
def explore_slices(study: ParticleStudy) -> explorers.FrameExplorer:
    """Page through a particle in three planes: truth, both methods, and what they differ by."""
    whole = cubes(study)
    positions = whole.positions()
    in_all = {f"{e}_{m}": whole.error(e, m) for e in ELEMENTS for m in METHODS}

    def compute(element, plane, position):
        at = (slice(None),) * PLANES[plane] + (positions[position],)
        images = {m: whole.shown[f"{element}_{m}"][at] for m in METHODS}
        true = whole.true[ELEMENTS.index(element)][at]
        result = _beside(true, whole.shown["haadf"][at], images)
        for m in METHODS:
            result[f"{m}_here"] = whole.error(element, m, at)
            result[f"{m}_all"] = in_all[f"{element}_{m}"]
        return result

    nearest = min(positions, key=abs)
    return explorers.FrameExplorer(
        compute,
        [
            explorers.Control("element", "Element", ELEMENTS),
            explorers.Control("plane", "Plane", tuple(PLANES)),
            explorers.Control("position", "From the middle", tuple(positions), nearest, "nm"),
        ],
        _panels("in the plane {plane}, {position} nm from the middle", ("plane", "position")),
        readouts=_readouts("in this plane", "in the volume", ("element",)),
        columns=3,
        alt="{element}, plane {plane}, {position} nm from the middle. Error against the truth in "
        "this plane: {eds_here} from EDS alone, {hebt_here} by HEBT; in the whole volume "
        "{eds_all} and {hebt_all}. Of the particle's pixels {eds_beyond} % are too dense from EDS "
        "alone, {hebt_beyond} % by HEBT.",
        caption=_caption(study),
        filename="slice",
    )


@explained
def explore_doses(study: ParticleStudy, doses: DoseSlices) -> explorers.FrameExplorer:
    """Give a particle fewer or more X-rays: some slices by both methods, beside the truth."""
    views, middle = study.views, (study.settings[0].size - 1) / 2
    true = _true(Truth(specimen(study.settings[0])), doses.numbers)
    own = dict(zip(COLUMNS, views.slices[:, np.searchsorted(views.numbers, doses.numbers)]))
    at_own = np.stack([[own[f"{e}_{m}"] for e in ELEMENTS] for m in METHODS])
    shown = {c: from_steps(steps) for c, steps in ({doses.own: at_own} | doses.pictures).items()}
    haadf = from_steps(own["haadf"])
    places = {round((n - middle) * study.voxel_size, 1): k for k, n in enumerate(doses.numbers)}
    in_all = {c: np.sqrt(((x - true) ** 2).mean(axis=(2, 3, 4))) for c, x in shown.items()}

    def compute(element, counts, position):
        e, k = ELEMENTS.index(element), places[position]
        images = {m: shown[counts][i, e, k] for i, m in enumerate(METHODS)}
        result = _beside(true[e, k], haadf[k], images)
        for i, m in enumerate(METHODS):
            result[f"{m}_here"] = np.sqrt((result[f"{m}_apart"] ** 2).mean())
            result[f"{m}_all"] = in_all[counts][i, e]
        return result

    return explorers.FrameExplorer(
        compute,
        [
            explorers.Control("element", "Element", ELEMENTS),
            explorers.Control("counts", "Dose", doses.counts, doses.own, "counts a pixel", "g"),
            explorers.Control(
                "position", "From the middle", tuple(places), min(places, key=abs), "nm"
            ),
        ],
        _panels(
            "across the tilt axis, {position} nm from the middle",
            ("position",),
            " at {counts} counts a pixel",
        ),
        readouts=_readouts("in this slice", "in these slices", ("element", "counts")),
        columns=3,
        alt="{element} at {counts} counts a pixel, {position} nm from the middle. Error against "
        "the truth in this slice: {eds_here} from EDS alone, {hebt_here} by HEBT; in these slices "
        "{eds_all} and {hebt_all}. Of the particle's pixels {eds_beyond} % are too dense from EDS "
        "alone, {hebt_beyond} % by HEBT.",
        caption=_dose_caption(doses),
        filename="dose",
    )


def _beside(true, haadf, images):
    """Return pictures of both methods beside the truth, and how much of each cannot be."""
    result = {"truth": true, "haadf": haadf}
    inside = haadf > INSIDE * haadf.max()
    for method, image in images.items():
        beyond = np.count_nonzero(image[inside] > IMPOSSIBLE)
        # a plane beside the particle holds nothing
        share = 100 * beyond / max(1, np.count_nonzero(inside))
        result |= {method: image, f"{method}_apart": image - true, f"{method}_beyond": share}
    return result


def _panels(here, depends, dose=""):
    """Return truth and both methods above, HAADF and the differences below."""
    density = {"limits": (0.0, VIEW_LIMIT), "unit": UNIT, "cmap": "inferno"}
    apart = {"limits": (-REACH, REACH), "unit": UNIT, "cmap": "RdBu_r"}
    gray = {"limits": (0.0, VIEW_LIMIT), "unit": "brightest material: 1", "cmap": "gray"}
    alt, of = f"The true {{element}} {here}.", ("element", *depends)
    above = [explorers.Panel("truth", "Truth", alt=alt, depends=of, **density)]
    below = [explorers.Panel("haadf", "HAADF alone", alt=f"HAADF {here}.", depends=depends, **gray)]
    for m, name in NAMES.items():
        alt = f"{{element}}, {name}{dose}, {here}; error {{{m}_here}}."
        above.append(explorers.Panel(m, name, alt=alt, **density))
        alt = f"{name} less the truth, {{element}}{dose} {here}; error {{{m}_here}}."
        below.append(explorers.Panel(f"{m}_apart", f"{name} less truth", alt=alt, **apart))
    return above + below


def _readouts(here, in_all, depends):
    """Return the numbers below the methods and below their differences; `depends` of the last."""
    found = []
    for m in METHODS:
        below = {"panel": f"{m}_apart", "format": ".3f"}
        found += [
            explorers.Readout(f"{m}_beyond", f"above {IMPOSSIBLE} × bulk", "%", ".1f", m),
            explorers.Readout(f"{m}_here", f"error {here}", **below),
            explorers.Readout(f"{m}_all", in_all, depends=depends, **below),
        ]
    return found


def _caption(study):
    few = f", of {every_text(study.views.step)}" if study.views.step > 1 else ""
    return (
        f"The particle in three planes, one noise seed{few}. Pictures are cut to the particle and "
        f"binned {BINNING} × {BINNING}; a density of 1 is that of the bulk element, at the scale "
        f"nearest to the truth, and values above {VIEW_LIMIT} count as {VIEW_LIMIT}. Errors are "
        "root-mean-square, in units of the bulk density. Below each method: the share of the "
        f"particle's pixels (HAADF above {INSIDE} of its maximum) in which the element is denser "
        f"than {IMPOSSIBLE} times its bulk, which cannot be."
    )


def _dose_caption(doses):
    fewer, *more = (counts for counts in doses.counts if counts != doses.own)
    seeds = f"those of {len(doses.settings)} noise seeds together, each aligned by itself"
    return (
        f"{len(doses.numbers)} slices across the tilt axis; counts are those of an element on a "
        f"pixel of the paper's frame. {doses.own:g} are the chapter's, as above; "
        f"{fewer:g} are a random half of them"
        + "".join(f", and {counts:g} {seeds}" for counts in more)
        + ". HAADF images and ratios stay the same. Scale, errors and shares are as above."
    )
