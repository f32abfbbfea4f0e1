"""The explorer of a particle's slices: truth, both methods, differences, in all three planes."""

from __future__ import annotations

import dataclasses

import numpy as np

from hebt import explorers, prepare

from ..origins import explained
from ..planes import PLANES
from ..spectra.settings import specimen
from .experiment import ParticleStudy
from .measures import ELEMENTS, METHODS, STEPS, box
from .tables import every_text
from .truth import Truth
from .views import BINNING, COLUMNS, VIEW_LIMIT, from_steps

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
    rows, columns = box(truth.labels > 0)[1:]
    cut = truth.fraction[:, views.numbers][..., rows, columns]
    height, width = (n - n % BINNING for n in cut.shape[2:])
    true = cut[..., :height, :width] / np.float32(STEPS)
    true = prepare.bin_images(true, BINNING, mean=True)
    count = max(1, len(views.numbers) * views.step // BINNING)
    nearest = np.minimum(np.arange(count) * BINNING // views.step, len(views.numbers) - 1)
    both = np.concatenate([true, from_steps(views.slices)])[:, nearest]
    whole = _centered(np.concatenate([both, np.ones_like(both[:1])]))
    shown = dict(zip(COLUMNS, whole[len(ELEMENTS) : -1], strict=True))
    return Cubes(whole[: len(ELEMENTS)], shown, whole[-1] > 0, BINNING * study.voxel_size)


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
        true, haadf = whole.true[ELEMENTS.index(element)][at], whole.shown["haadf"][at]
        result = {"truth": true, "haadf": haadf}
        inside = haadf > INSIDE * haadf.max()
        for method in METHODS:
            image = whole.shown[f"{element}_{method}"][at]
            beyond = np.count_nonzero(image[inside] > IMPOSSIBLE)
            result |= {
                method: image,
                f"{method}_apart": image - true,
                # a plane beside the particle holds nothing
                f"{method}_beyond": 100 * beyond / max(1, np.count_nonzero(inside)),
                f"{method}_here": whole.error(element, method, at),
                f"{method}_all": in_all[f"{element}_{method}"],
            }
        return result

    nearest = min(positions, key=abs)
    return explorers.FrameExplorer(
        compute,
        [
            explorers.Control("element", "Element", ELEMENTS),
            explorers.Control("plane", "Plane", tuple(PLANES)),
            explorers.Control("position", "From the middle", tuple(positions), nearest, "nm"),
        ],
        _panels(),
        readouts=_readouts(),
        columns=3,
        alt="{element}, plane {plane}, {position} nm from the middle. Error against the truth in "
        "this plane: {eds_here} from EDS alone, {hebt_here} by HEBT; in the whole volume "
        "{eds_all} and {hebt_all}. Of the particle's pixels {eds_beyond} % are too dense from EDS "
        "alone, {hebt_beyond} % by HEBT.",
        caption=_caption(study),
        filename="slice",
    )


def _panels():
    """Return truth and both methods above, HAADF and the differences below."""
    here = "in the plane {plane}, {position} nm from the middle"
    density = {"limits": (0.0, VIEW_LIMIT), "unit": UNIT, "cmap": "inferno"}
    apart = {"limits": (-REACH, REACH), "unit": UNIT, "cmap": "RdBu_r"}
    gray = {"limits": (0.0, VIEW_LIMIT), "unit": "brightest material: 1", "cmap": "gray"}
    above = [explorers.Panel("truth", "Truth", alt=f"The true {{element}} {here}.", **density)]
    depends = ("plane", "position")
    below = [explorers.Panel("haadf", "HAADF alone", alt=f"HAADF {here}.", depends=depends, **gray)]
    for m, name in NAMES.items():
        alt = f"{{element}}, {name}, {here}; error {{{m}_here}}."
        above.append(explorers.Panel(m, name, alt=alt, **density))
        alt = f"{name} less the truth, {{element}} {here}; error {{{m}_here}}."
        below.append(explorers.Panel(f"{m}_apart", f"{name} less truth", alt=alt, **apart))
    return above + below


def _readouts():
    """Return the numbers below the methods and below their differences."""
    found = []
    for m in METHODS:
        below = {"panel": f"{m}_apart", "format": ".3f"}
        found += [
            explorers.Readout(f"{m}_beyond", f"above {IMPOSSIBLE} × bulk", "%", ".1f", m),
            explorers.Readout(f"{m}_here", "error in this plane", **below),
            explorers.Readout(f"{m}_all", "in the volume", depends=("element",), **below),
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
