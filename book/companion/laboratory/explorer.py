"""The laboratory: HEBT in the reader's browser, or around the same functions with a kernel."""

import dataclasses
import functools
import pathlib

import traitlets

from hebt.explorers import Explorer
from hebt.explorers.base import CSS, DRAW, is_static
from hebt.explorers.controls import palettes, quantize

from ..fidelity import fidelity
from ..origins import explained
from . import bench
from .bench import ELEMENTS, PRESETS, SIZE, SPECIMENS, Conditions, Outcome
from .controls import CONTROLS
from .figures import LIMITS, UNIT, picture
from .widgets import LaboratoryWidgets

HERE = pathlib.Path(__file__).parent
GUIDE_ITERATIONS = 200  # as hebt reconstructs HAADF images without noise
CORE = (HERE / "hebt-core.js").read_text(encoding="utf-8")


@explained
def explore(density=None):
    """Return the laboratory: a specimen, a simulated tilt series, and its reconstructions.

    On a page without a kernel everything runs in the reader's browser, and specimens can be drawn.
    With a kernel the controls are ordinary ipywidgets around `run`; `density`, (2, size, size) with
    1 for bulk Au and Ag, then stands beside the specimens.
    """
    if not is_static():
        return LaboratoryWidgets(density)
    if density is not None:
        raise ValueError("density was given for a page without a kernel; draw it there instead.")
    return Laboratory(
        spec=_specify(),
        caption="A simulated slice, its tilt series, and its reconstructions, computed on this "
        "page.",
    )


class Laboratory(Explorer):
    """The laboratory of a page without a kernel. Its numerics are hebt-core.js, in a worker."""

    _esm = DRAW + "".join(
        (HERE / name).read_text(encoding="utf-8")
        for name in ("easel.js", "worker.js", "laboratory.js")
    )
    _css = CSS + (HERE / "laboratory.css").read_text(encoding="utf-8")

    spec = traitlets.Dict().tag(sync=True)
    core = traitlets.Unicode(CORE).tag(sync=True)

    def describe(self) -> str:
        """Return the alternative text of the first picture."""
        now = _start()
        return (
            "The gold diamond and its silver square: the specimen, composition EM, HEBT, and EDS "
            f"alone, after {now.iterations} iterations at weight {now.alpha:g} with "
            f"{now.counts:g} counts a pixel. HEBT is smoother than EDS alone, with sharper "
            "outlines; composition EM is nearly free of grain."
        )

    def poster(self) -> bytes:
        """Return the experiment at its first settings, computed by `hebt`, as PNG."""
        return picture(first_run())


def _specify():
    """Everything that the script has to know."""
    z, zeta = bench.sensitivities()
    return {
        "size": SIZE,
        "elements": list(ELEMENTS),
        "unit": UNIT,
        "limits": list(LIMITS),
        "z": z.tolist(),
        "zeta": zeta.tolist(),
        "guideIterations": GUIDE_ITERATIONS,
        "defaults": dataclasses.asdict(_start()),
        "luts": palettes(("inferno", "viridis", "gray")),
        "controls": [
            {k: getattr(c, k) for k in ("name", "label", "unit", "values", "texts")}
            for c in CONTROLS
        ],
        "specimens": [
            {
                "name": name,
                "title": title,
                "density": [quantize(d, (0, 1))[0].tobytes() for d in bench.specimen(name)],
            }
            for name, (title, _) in SPECIMENS.items()
        ],
        "presets": [{"name": name, **dataclasses.asdict(p)} for name, p in PRESETS.items()],
    }


def _start():
    """The conditions of a page when it opens; shorter where everything is to be quick."""
    now = Conditions()
    return dataclasses.replace(now, iterations=20) if fidelity() == "quick" else now


def first_run() -> Outcome:
    """The experiment at the first settings."""
    return _FIRST(_start())


_FIRST = functools.lru_cache(maxsize=2)(bench.run)
