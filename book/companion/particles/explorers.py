"""The explorers of the two nanoparticles: bodies that turn."""

import numpy as np

from hebt import explorers

from ..fidelity import fidelity
from .alloy import AlloyStudy
from .experiment import ParticleStudy
from .render import render
from .views import from_steps

COLORS = ((1.0, 0.78, 0.1), (0.35, 0.6, 0.95))  # of Au and Ag
GRAY = ((0.72, 0.72, 0.72),)  # of HAADF
START = (40, 30)
BODIES = {
    "eds": ("EDS only", "reconstructed from EDS alone"),
    "hebt": ("HEBT", "reconstructed by HEBT"),
    "segmented": ("Segmented HAADF", "as segmented from HAADF"),
    "haadf": ("HAADF", "reconstructed from HAADF alone"),
}


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
