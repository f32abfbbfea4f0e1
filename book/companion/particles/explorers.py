"""The explorers of the two nanoparticles: bodies that turn."""

import dataclasses

import numpy as np
from matplotlib.colors import to_hex

from hebt import explorers

from ..fidelity import fidelity
from ..origins import explained
from .alloy import AlloyStudy
from .experiment import ParticleStudy
from .measures import ELEMENTS
from .render import render, section
from .views import from_steps

COLORS = ((1.0, 0.78, 0.1), (0.35, 0.6, 0.95))  # of Au and Ag
GRAY = ((0.72, 0.72, 0.72),)  # of HAADF
START = (40, 30)
FACE = 0.5  # of the bulk density: what belongs to a cut face
FACE_WIDTH = 80  # pixels on which a cut face is measured
RIM = 4  # of these pixels, at the edge of a face: no measure of how even the inside is
BODIES = {
    "eds": ("EDS only", "reconstructed from EDS alone"),
    "hebt": ("HEBT", "reconstructed by HEBT"),
    "segmented": ("Segmented HAADF", "as segmented from HAADF"),
    "haadf": ("HAADF", "reconstructed from HAADF alone"),
}


@dataclasses.dataclass(frozen=True)
class Look:
    """How clear materials are: their opacity a voxel, and the densities from clear to full."""

    opacities: tuple[float, ...]
    edges: tuple[float, float]
    colors: tuple = COLORS


CLEAR = Look((0.35, 0.018), (0.3, 0.7))
# gold of the alloy lies at the surface: it must not hide what is below
MIXED = Look((0.05, 0.03), (0.2, 0.8))
HAADF = Look((0.35,), (0.3, 0.7), GRAY)


def picture(volumes, look: Look, turn, tip, width: int, depth=None) -> np.ndarray:
    """Render volumes; `depth` as in `render`."""
    options = {"turn": turn, "tip": tip, "width": width, "depth": depth, "edges": look.edges}
    return render(volumes, look.colors, look.opacities, **options)


def _look(study, name):
    return HAADF if name == "haadf" else MIXED if isinstance(study, AlloyStudy) else CLEAR


def view(study: ParticleStudy, name: str, turn=START[0], tip=START[1], width: int = 360):
    """Render a body of a study, (width, width, 3), uint8; turn and tip as in `render`."""
    return picture(from_steps(study.views.bodies[name]), _look(study, name), turn, tip, width)


def gold(pictures: np.ndarray) -> np.ndarray:
    """Return the share of a body's outline that is yellow, for pictures of (..., n, n, 3)."""
    red, blue = pictures[..., 0].astype(int), pictures[..., 2].astype(int)
    seen = pictures.min(axis=-1) < 245  # on white ground
    yellow = seen & (red > blue)
    return yellow.sum(axis=(-2, -1)) / np.maximum(1, seen.sum(axis=(-2, -1)))


def face(section: np.ndarray) -> tuple[float, float]:
    """Say what a cut face shows, (materials, n, n): share of the first one, and how even it is.

    The face is where the density is more than half of the bulk's, without holes. The share is that
    of all density; how even it is, is the standard deviation of the whole density over its mean,
    away from the face's edge.
    """
    from scipy.ndimage import binary_erosion, binary_fill_holes

    total = section.sum(axis=0, dtype=float)
    inside = binary_fill_holes(total > FACE)
    if not inside.any():
        return 0.0, 0.0
    share = section[0][inside].sum(dtype=float) / total[inside].sum()
    within = binary_erosion(inside, iterations=RIM)
    whole = total[within if within.any() else inside]
    return share, whole.std() / whole.mean()


def cuts(voxel: float, side: int) -> dict[str, float | None]:
    """Return places of a cut plane, by name -> depth as in `render`, for cubes of this voxel."""
    before = max(1, round(0.2 * voxel * side / 5)) * 5  # nm
    places = {
        "nothing": None,
        f"to {before} nm before the middle": -before / voxel,
        "the front half": 0.0,
    }
    return {name: places[name] for name in ("nothing", "the front half")} if quick() else places


def quick() -> bool:
    """Say whether the explorers are small ones."""
    return fidelity() == "quick"


def turned(volumes, look: Look, turns, tips, depths, width: int):
    """Render volumes from all sides, and say what is seen.

    Returns
    -------
    pictures, notes
        (cuts, tips, turns, width, width, 3), and texts for each.
    """
    pictures, notes = [], []
    for depth in depths:
        views = [[picture(volumes, look, a, b, width, depth) for a in turns] for b in tips]
        pictures.append(np.stack(views))
        notes.append([[_note(volumes, depth, a, b) for a in turns] for b in tips])
        if depth is None and len(volumes) > 1:
            shares = gold(pictures[-1])
            notes[-1] = [[f"Au {share:.0%} of what is seen." for share in row] for row in shares]
    return np.stack(pictures), notes


def _note(volumes, depth, turn, tip):
    if depth is None:
        return ""
    share, spread = face(section(volumes, turn=turn, tip=tip, depth=depth, width=FACE_WIDTH))
    if len(volumes) == 1:
        return f"The brightness of the cut face varies by {spread:.0%}."
    return f"Au {share:.0%} of the cut face. Density there varies by {spread:.0%}."


def key(*looks: Look) -> dict[str, str]:
    """Return what is seen -> its color, as a turntable takes it."""
    named = dict(zip(ELEMENTS, COLORS, strict=True))
    if HAADF in looks:
        named["HAADF"] = GRAY[0]
    return {name: to_hex(color) for name, color in named.items()}


def key_note(look: Look) -> str:
    """Say what the colors mean."""
    low, high = look.edges
    return (
        f"Clear below {low:g} of the bulk density, full color from {high:g} on. On a cut face "
        "nothing is clear, and colors mix by density."
    )


@explained
def explore_turntable(study: ParticleStudy) -> explorers.Turntable:
    """Turn a particle: Au (yellow) in clear Ag (blue), by each method; HAADF alone is gray."""
    turns, tips = tuple(range(0, 360, 40 if quick() else 10)), (0, 30)
    width = 120 if quick() else 200
    what = "The alloy particle" if isinstance(study, AlloyStudy) else "The particle"
    bodies = study.views.bodies
    side = next(iter(bodies.values())).shape[-1]
    voxel = study.voxel_size * study.views.binned
    places = cuts(voxel, side)
    pictures, alts, notes, looks = {}, {}, {}, []
    for name, steps in bodies.items():
        title, seen = BODIES[name]
        looks.append(_look(study, name))
        pictures[title], notes[title] = turned(
            from_steps(steps), looks[-1], turns, tips, places.values(), width
        )
        colors = "gray" if name == "haadf" else "yellow for Au, clear blue for Ag"
        alts[title] = f"{what} {seen}: {colors}."
    return explorers.Turntable(
        pictures,
        turns=turns,
        tips=tips,
        cuts=list(places),
        start=START,
        alts=alts,
        notes=notes,
        pixel_size=voxel * side / width,
        key=key(*looks),
        key_note=key_note(looks[0]),
        caption="The tilt axis is vertical at tip 0°. All pictures turn together. Below each: how "
        "much of the body's outline is yellow; on a cut face, the share of Au in the density, and "
        "the standard deviation of the density over its mean, away from the edge.",
    )
