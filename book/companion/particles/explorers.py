"""The explorers of the two nanoparticles: all slices, and bodies that turn."""

import numpy as np

from hebt import explorers

from ..fidelity import fidelity
from .alloy import AlloyStudy
from .measures import COLUMNS, ELEMENTS
from .render import COLORS, OPACITIES, render
from .views import VIEW_LIMIT, from_steps

LIMITS = (0.0, VIEW_LIMIT)
START = (40, 30)
ORDER = ("Au_eds", "Au_hebt", "haadf", "Ag_eds", "Ag_hebt")  # a row for each element
BODIES = {"eds": "EDS only", "hebt": "HEBT", "segmented": "Segmented HAADF"}
SEEN = {
    "eds": "{0} reconstructed from EDS alone: yellow for Au, clear blue for Ag.",
    "hebt": "{0} reconstructed by HEBT: yellow for Au, clear blue for Ag.",
    "segmented": "{0} as segmented from HAADF: yellow for Au, clear blue for Ag.",
}


def explore_slices(study) -> explorers.FrameExplorer:
    """Page through all slices that hold a particle: Au and Ag by both methods, and HAADF.

    Parameters
    ----------
    study
        `companion.particles.NonAlloyStudy` or `AlloyStudy`.

    Returns
    -------
    hebt.explorers.FrameExplorer
        Five linked pictures, binned and cut to the particle. A page loads them block by block.
    """
    views = study.views
    names = {
        f"{e}_{m}": f"{e}, {text}"
        for e in ELEMENTS
        for m, text in (("eds", "EDS only"), ("hebt", "HEBT"))
    } | {"haadf": "HAADF"}
    numbers = range(views.first, views.first + views.slices.shape[1])

    def compute(slice):
        return {
            name: from_steps(column[slice - views.first])
            for name, column in zip(COLUMNS, views.slices, strict=True)
        }

    middle = views.first + len(numbers) // 2
    return explorers.FrameExplorer(
        compute,
        [explorers.Control("slice", "Slice", numbers, default=middle)],
        [
            explorers.Panel(
                name,
                names[name],
                limits=LIMITS,
                unit="brightest material: 1" if name == "haadf" else "density, bulk: 1",
                cmap="gray" if name == "haadf" else "inferno",
                alt=f"Slice {{slice}} of {names[name]}.",
            )
            for name in ORDER
        ],
        columns=3,
        alt="Slice {slice}: Au and Ag from EDS alone and by HEBT, and the HAADF reconstruction.",
        caption=f"Slices perpendicular to the tilt axis, one noise seed. Pictures are cut to the "
        f"particle and binned {views.binning} × {views.binning}; a density of 1 is that of the "
        "bulk element, at the scale nearest to the truth.",
        filename="slice",
    )


def view(study, name: str, *, turn: float = START[0], tip: float = START[1], width: int = 360):
    """Render one body of a study, (width, width, 3), uint8.

    Parameters
    ----------
    study
        `companion.particles.NonAlloyStudy` or `AlloyStudy`.
    name
        "eds", "hebt", or "segmented" where there is a segmentation.
    turn, tip
        Degrees about the vertical axis, which is the tilt axis, and from above.
    width
        Pixels along one side.
    """
    return _render(study.views.bodies[name].volumes(), study, turn, tip, width)


def _render(body, study, turn, tip, width):
    # gold of the alloy lies at the surface: it must not hide what is below
    alloy = isinstance(study, AlloyStudy)
    opacities = [0.05, 0.03] if alloy else [OPACITIES[e] for e in ELEMENTS]
    return render(
        body,
        [COLORS[e] for e in ELEMENTS],
        opacities,
        turn=turn,
        tip=tip,
        width=width,
        edges=(0.2, 0.8) if alloy else (0.3, 0.7),
    )


def explore_turntable(study) -> explorers.Turntable:
    """Turn a particle: Au (yellow) in clear Ag (blue), by each method.

    Parameters
    ----------
    study
        `companion.particles.NonAlloyStudy` or `AlloyStudy`.

    Returns
    -------
    hebt.explorers.Turntable
    """
    quick = fidelity() == "quick"
    turns, tips = tuple(range(0, 360, 40 if quick else 20)), (0, 30)
    what = "The alloy particle" if isinstance(study, AlloyStudy) else "The particle"
    pictures = {}
    for name, body in study.views.bodies.items():
        volume = body.volumes()
        pictures[BODIES[name]] = np.stack(
            [
                [_render(volume, study, turn, tip, 120 if quick else 200) for turn in turns]
                for tip in tips
            ]
        )
    return explorers.Turntable(
        pictures,
        turns=turns,
        tips=tips,
        start=START,
        alts={BODIES[name]: SEEN[name].format(what) for name in study.views.bodies},
        caption="Yellow is Au, clear blue is Ag; the tilt axis is vertical at tip 0°. All "
        "pictures turn together.",
    )
