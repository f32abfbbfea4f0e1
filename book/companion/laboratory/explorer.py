"""The laboratory: HEBT in the reader's browser, or around the same functions with a kernel."""

import base64
import dataclasses
import functools
import io
import pathlib

import numpy as np
import traitlets

from hebt import explorers
from hebt.explorers import base, controls, frames

from ..fidelity import fidelity
from ..paper import printed
from .bench import ELEMENTS, METHODS, PRESETS, SIZE, SPECIMENS, Conditions, run, specimen

HERE = pathlib.Path(__file__).parent
CORE = (HERE / "hebt-core.js").read_text(encoding="utf-8")
LIMITS = (0.0, 1.3)
UNIT = "density, 1 in the specimen"
NAMES = {"hebt": "HEBT", "eds": "EDS only"}
# every preset's values are among these
CONTROLS = (
    explorers.Control(
        "counts", "Counts a pixel", (0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256), format="g"
    ),
    explorers.Control("tilt", "Largest tilt", tuple(range(20, 91, 5)), unit="°"),
    explorers.Control("step", "Tilt step", (1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 25), unit="°"),
    explorers.Control("smoothing", "Smoothing σ", (0, 0.5, 1, 1.5, 2, 3), unit="px", format="g"),
    explorers.Control("shift", "Shift of maps", tuple(range(-4, 5)), unit="px"),
    explorers.Control("seed", "Noise seed", tuple(range(10))),
    explorers.Control(
        "alpha",
        "Weight α",
        (0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99),
        format="g",
    ),
    explorers.Control("iterations", "Iterations", (5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500)),
    explorers.Control(
        "error_Au", "Error of r, Au", (-60, -40, -20, -10, 0, 10, 20, 40, 60), unit="%"
    ),
    explorers.Control(
        "error_Ag", "Error of r, Ag", (-60, -40, -20, -10, 0, 10, 20, 40, 60), unit="%"
    ),
)


def explore(density=None):
    """Return the laboratory: a specimen, a simulated tilt series, and both reconstructions.

    On a page without a kernel everything runs in the reader's browser, specimens can be drawn,
    and pictures follow the iterations. With a kernel the controls are ordinary ipywidgets around
    `companion.laboratory.run`; the last result is the attribute ``outcome``.
    """
    if not base.is_static():
        return _widgets()(density)
    if density is not None:
        raise ValueError("density was given for a page without a kernel; draw it there instead.")
    return Laboratory()


class Laboratory(explorers.Explorer):
    """The laboratory of a page without a kernel. Its numerics are hebt-core.js, in a worker."""

    _esm = frames.DRAW + (HERE / "laboratory.js").read_text(encoding="utf-8")
    _css = explorers.FrameExplorer._css + (HERE / "laboratory.css").read_text(encoding="utf-8")

    spec = traitlets.Dict().tag(sync=True)
    core = traitlets.Unicode(CORE).tag(sync=True)
    densities = traitlets.Bytes(b"").tag(sync=True)

    def __init__(self):
        now = dataclasses.asdict(_start())
        stack = np.stack([specimen(name) for name in SPECIMENS])
        super().__init__(
            caption="A simulated slice, its tilt series, and both reconstructions, computed on "
            "this page.",
            densities=np.rint(255 * stack).astype(np.uint8).tobytes(),
            spec={
                "size": SIZE,
                "elements": list(ELEMENTS),
                "unit": UNIT,
                "limits": list(LIMITS),
                "z": [printed(f"phantom.z.{e}").value for e in ELEMENTS],
                "zeta": [printed(f"phantom.zeta.{e}").value for e in ELEMENTS],
                "defaults": now,
                "luts": {
                    name: base64.b64encode(controls.colormap_table(name)).decode()
                    for name in ("inferno", "viridis", "gray")
                },
                "controls": [
                    {
                        "name": c.name,
                        "label": c.label,
                        "unit": c.unit,
                        "values": list(c.values),
                        "texts": list(c.texts),
                    }
                    for c in CONTROLS
                ],
                "specimens": [
                    {"name": name, "title": title} for name, (title, _) in SPECIMENS.items()
                ],
                "presets": [
                    {
                        "name": name,
                        "title": p.title,
                        "artefact": p.artefact,
                        "text": p.text,
                        "changes": p.changes,
                    }
                    for name, p in PRESETS.items()
                ],
            },
        )

    def describe(self) -> str:
        """Return the alternative text of the first picture."""
        now = _start()
        return (
            "The gold diamond and its silver square: the specimen, HEBT, and EDS alone, after "
            f"{now.iterations} iterations at weight {now.alpha:g} with {now.counts:g} counts a "
            "pixel. HEBT is smoother, with sharper outlines."
        )

    def poster(self) -> bytes:
        """Return the experiment at its first settings, computed by `hebt`, as PNG."""
        return picture(first_run())


def _start():
    """The conditions of a page when it opens; shorter where everything is to be quick."""
    now = Conditions()
    return dataclasses.replace(now, iterations=20) if fidelity() == "quick" else now


def first_run():
    """The experiment at the first settings, as `companion.laboratory.run` gives it."""
    return _FIRST(_start())


_FIRST = functools.lru_cache(maxsize=2)(run)


def picture(outcome, *, width: float = 8.0) -> bytes:
    """Draw an experiment, as PNG: specimen, HEBT and EDS alone, and the residuals."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"font.size": 9, "axes.titlelocation": "left"})
        figure = Figure(figsize=(width, 0.95 * width), facecolor="white", layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.add_gridspec(3, 3, height_ratios=(3, 3, 2.2))
        axes = []
        for e, element in enumerate(ELEMENTS):
            for k, (name, text) in enumerate((("truth", "specimen"), *NAMES.items())):
                ax = figure.add_subplot(grid[e, k])
                image = outcome.series.density if name == "truth" else outcome.densities[name]
                shown = ax.imshow(image[e], cmap="inferno", vmin=LIMITS[0], vmax=LIMITS[1])
                score = ""
                if name != "truth":
                    score = f"\nMSE {outcome.scores['mse', name, element]:.3f}"
                ax.set_title(f"{element}, {text}{score}")
                ax.set_axis_off()
                axes.append(ax)
        figure.colorbar(shown, ax=axes, label=UNIT, extend="max", fraction=0.03, aspect=40)
        ax = figure.add_subplot(grid[2, :])
        n = np.arange(1, 1 + len(outcome.residuals["hebt"]))
        lines = [("HAADF, HEBT", outcome.residuals["hebt"][:, 0])] + [
            (f"{element} map, {text}", outcome.residuals[name][:, 1 + e])
            for name, text in NAMES.items()
            for e, element in enumerate(ELEMENTS)
        ]
        styles = ("-", "--", ":", "-.", (0, (1, 1)))
        for k, ((label, values), style) in enumerate(zip(lines, styles, strict=True)):
            ax.plot(n, values, linestyle=style, label=label, color=_INK[k])
        ax.set(xscale="log", yscale="log", xlabel="Iterations", ylabel="|p − W x| / |p|")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axis.set_minor_formatter(NullFormatter())
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
        out = io.BytesIO()
        figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()


_INK = ("#0b5fa5", "#c2410c", "#0f766e", "#9d3c8f", "#4d4d4d")


def scores_html(outcome) -> str:
    """Return the scores of an experiment as an HTML table."""
    columns = [(m, e) for e in ELEMENTS for m in METHODS]
    rows = (
        ("mse", "MSE, relative", ".4f"),
        ("ssim", "SSIM, whole image", ".4f"),
        ("dp", "DP (pixels)", ".0f"),
    )

    def cell(name, m, e, digits):
        value = outcome.scores[name, m, e]
        return "–" if np.isnan(value) else format(value, digits)

    head = "".join(
        f'<th scope="col" style="padding:0 1em 0 0">{e}, {NAMES[m]}</th>' for m, e in columns
    )
    body = "".join(
        f'<tr><th scope="row" style="padding:0 1em 0 0;text-align:left">{label}</th>'
        + "".join(f"<td>{cell(name, m, e, digits)}</td>" for m, e in columns)
        + "</tr>"
        for name, label, digits in rows
    )
    ratios = ", ".join(f"{e} {r:.3g}" for e, r in zip(ELEMENTS, outcome.ratios, strict=True))
    return (
        f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>"
        f"<p>Response ratios: {ratios}; R² of the fit: {outcome.fit.r_squared:.3f}.</p>"
    )


@functools.cache
def _widgets():
    import ipywidgets

    class LaboratoryWidgets(ipywidgets.VBox):
        """The laboratory with a kernel: ipywidgets around `companion.laboratory.run`.

        Attributes
        ----------
        controls
            Name of a condition -> its widget.
        conditions, outcome
            What was run last, and `companion.laboratory.Outcome`.
        """

        def __init__(self, density=None):
            self.density = density
            own = {} if density is None else {"Your own": "own"}
            specimens = {title: name for name, (title, _) in SPECIMENS.items()} | own
            start = Conditions(specimen="own" if own else "diamond")
            wide = {"description_width": "11em"}
            self.controls = {
                "specimen": ipywidgets.Dropdown(
                    options=specimens,
                    value=start.specimen,
                    description="Specimen",
                    style=wide,
                    layout={"width": "28em"},
                )
            }
            for c in CONTROLS:
                text = c.label + (f" ({c.unit})" if c.unit else "")
                self.controls[c.name] = ipywidgets.SelectionSlider(
                    options=list(zip(c.texts, c.values, strict=True)),
                    value=c.values[c.index(getattr(start, c.name))],
                    description=text,
                    style=wide,
                    continuous_update=False,
                    layout={"width": "24em"},
                )
            titles = {p.title: name for name, p in PRESETS.items()}
            self.preset = ipywidgets.Dropdown(
                options={**titles, "Your own settings": ""},
                value="paper",
                description="Preset",
                style=wide,
                layout={"width": "28em"},
            )
            self.text, self.table = ipywidgets.HTML(), ipywidgets.HTML()
            self.image = ipywidgets.Image(format="png", layout={"max_width": "50em"})
            self.start = start
            self._quiet = False
            super().__init__(
                [
                    ipywidgets.HBox([self.preset, self.controls["specimen"]]),
                    self.text,
                    ipywidgets.GridBox(
                        [self.controls[c.name] for c in CONTROLS],
                        layout={"grid_template_columns": "repeat(auto-fill, 25em)"},
                    ),
                    self.image,
                    self.table,
                ]
            )
            for control in self.controls.values():
                control.observe(self._changed, "value")
            self.preset.observe(self._chosen, "value")
            self.run()

        def set(self, **conditions):
            """Change conditions and run; ``room.set(counts=4, alpha=0.9)``."""
            unknown = [name for name in conditions if name not in self.controls]
            if unknown:
                raise ValueError(
                    f"{', '.join(unknown)}: no such condition; expected some of "
                    f"{', '.join(self.controls)}."
                )
            before = {name: self.controls[name].value for name in conditions}
            self._quiet = True
            try:
                for name, value in conditions.items():
                    self.controls[name].value = value
            except Exception:
                for name, value in before.items():
                    self.controls[name].value = value
                raise
            finally:
                self._quiet = False
            self.run()

        def run(self):
            """Record and reconstruct under the present conditions."""
            now = Conditions(**{n: c.value for n, c in self.controls.items()})
            self._quiet = True
            try:
                found = [
                    name
                    for name, p in PRESETS.items()
                    if dataclasses.replace(self.start, **p.changes) == now
                ]
                self.preset.value = found[0] if found else ""
            finally:
                self._quiet = False
            named = PRESETS.get(self.preset.value)
            title = f"<b>{named.artefact}</b>: " if named and named.artefact else ""
            self.text.value = title + named.text if named else ""
            try:
                outcome = run(now, self.density if now.specimen == "own" else None)
            except ValueError as error:
                # a slider has no cell to fail: say it where the reader looks
                self.table.value = f"<p><b>No reconstruction:</b> {error}</p>"
                return
            self.conditions, self.outcome = now, outcome
            self.image.value = picture(outcome)
            self.table.value = scores_html(outcome)

        def _changed(self, change):
            if not self._quiet:
                self.run()

        def _chosen(self, change):
            if not self._quiet and change["new"]:
                now = dataclasses.replace(self.start, **PRESETS[change["new"]].changes)
                self.set(**dataclasses.asdict(now))

    return LaboratoryWidgets
