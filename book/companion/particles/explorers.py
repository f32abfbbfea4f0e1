"""The explorers of the two nanoparticles: all slices, and bodies that turn."""

import numpy as np

from hebt import explorers

from ..fidelity import fidelity
from ..origins import explained
from .alloy import AlloyStudy
from .experiment import ParticleStudy
from .render import render
from .tables import column_name, every_text
from .views import BINNING, COLUMNS, VIEW_LIMIT, from_steps

LIMITS = (0.0, VIEW_LIMIT)
COLORS = ((1.0, 0.78, 0.1), (0.35, 0.6, 0.95))  # of Au and Ag
GRAY = ((0.72, 0.72, 0.72),)  # of HAADF
START = (40, 30)
ORDER = ("Au_eds", "Au_hebt", "haadf", "Ag_eds", "Ag_hebt")  # a row for each element
DENSITIES = ORDER[:2] + ORDER[3:]
INSIDE = 0.3  # of a slice's brightest HAADF: the particle
IMPOSSIBLE = 1.2  # times the bulk density: no element is that dense
BODIES = {
    "eds": ("EDS only", "reconstructed from EDS alone"),
    "hebt": ("HEBT", "reconstructed by HEBT"),
    "segmented": ("Segmented HAADF", "as segmented from HAADF"),
    "haadf": ("HAADF", "reconstructed from HAADF alone"),
}


@explained
def explore_slices(study: ParticleStudy) -> explorers.FrameExplorer:
    """Page through slices that hold a particle: Au and Ag by both methods, and HAADF.

    Five linked pictures, binned and cut to the particle. A page loads them block by block.
    """
    views = study.views
    numbers = [int(n) for n in views.numbers]

    def compute(slice):
        shown = dict(zip(COLUMNS, from_steps(views.slices[:, numbers.index(slice)]), strict=True))
        inside = shown["haadf"] > INSIDE * shown["haadf"].max()
        count = max(1, np.count_nonzero(inside))  # a slice beside the particle holds nothing
        beyond = {
            f"{c}_beyond": 100 * np.count_nonzero(shown[c][inside] > IMPOSSIBLE) / count
            for c in DENSITIES
        }
        return shown | beyond

    return explorers.FrameExplorer(
        compute,
        [explorers.Control("slice", "Slice", numbers, default=numbers[len(numbers) // 2])],
        [
            explorers.Panel(
                column,
                column_name(column),
                limits=LIMITS,
                unit="brightest material: 1" if column == "haadf" else "density, bulk: 1",
                cmap="gray" if column == "haadf" else "inferno",
                alt=f"Slice {{slice}} of {column_name(column)}.",
            )
            for column in ORDER
        ],
        readouts=[
            explorers.Readout(f"{c}_beyond", f"above {IMPOSSIBLE} × bulk", "%", ".1f", c)
            for c in DENSITIES
        ],
        columns=3,
        alt="Slice {slice}: Au and Ag from EDS alone and by HEBT, and the HAADF reconstruction. "
        "Of the particle's pixels, Au is denser than any Au in {Au_eds_beyond} percent from EDS "
        "alone and in {Au_hebt_beyond} by HEBT, Ag in {Ag_eds_beyond} and {Ag_hebt_beyond}.",
        caption=f"{every_text(views.step).capitalize()} perpendicular to the tilt axis, one noise "
        f"seed. Pictures are cut to the particle and binned {BINNING} × {BINNING}; a density of 1 "
        "is that of the bulk element, at the scale nearest to the truth. "
        f"Below each: the share of the particle's pixels (HAADF above {INSIDE} of its maximum) in "
        f"which the element is denser than {IMPOSSIBLE} times its bulk, which cannot be.",
        filename="slice",
    )


def view(study: ParticleStudy, name: str, turn=START[0], tip=START[1], width: int = 360):
    """Render a body of a study, (width, width, 3), uint8; turn and tip as in `render`."""
    volumes = from_steps(study.views.bodies[name])
    if name == "haadf":
        return render(volumes, GRAY, (0.35,), turn=turn, tip=tip, width=width)
    # gold of the alloy lies at the surface: it must not hide what is below
    alloy = isinstance(study, AlloyStudy)
    opacities, edges = ((0.05, 0.03), (0.2, 0.8)) if alloy else ((0.35, 0.018), (0.3, 0.7))
    return render(volumes, COLORS, opacities, turn=turn, tip=tip, width=width, edges=edges)


def gold(pictures: np.ndarray) -> np.ndarray:
    """Return the share of a body's outline that is yellow, for pictures of (..., n, n, 3)."""
    red, blue = pictures[..., 0].astype(int), pictures[..., 2].astype(int)
    seen = pictures.min(axis=-1) < 245  # on white ground
    yellow = seen & (red > blue)
    return yellow.sum(axis=(-2, -1)) / np.maximum(1, seen.sum(axis=(-2, -1)))


@explained
def explore_turntable(study: ParticleStudy) -> explorers.Turntable:
    """Turn a particle: Au (yellow) in clear Ag (blue), by each method; HAADF alone is gray."""
    quick = fidelity() == "quick"
    turns, tips = tuple(range(0, 360, 40 if quick else 10)), (0, 30)
    width = 120 if quick else 200
    what = "The alloy particle" if isinstance(study, AlloyStudy) else "The particle"
    pictures, alts, notes = {}, {}, {}
    for name in study.views.bodies:
        title, seen = BODIES[name]
        views = [[view(study, name, turn, tip, width) for turn in turns] for tip in tips]
        pictures[title] = np.stack(views)
        if name != "haadf":
            shares = gold(pictures[title])
            notes[title] = [[f"Au {share:.0%} of what is seen." for share in row] for row in shares]
        colors = "gray" if name == "haadf" else "yellow for Au, clear blue for Ag"
        alts[title] = f"{what} {seen}: {colors}."
    return explorers.Turntable(
        pictures,
        turns=turns,
        tips=tips,
        start=START,
        alts=alts,
        notes=notes,
        caption="Yellow is Au, clear blue is Ag; the tilt axis is vertical at tip 0°. All "
        "pictures turn together. Below each: how much of the body's outline is yellow.",
    )
