"""The laboratory with a kernel."""

import contextlib
import dataclasses
import html

import ipywidgets

from ..settings import chosen
from .bench import PRESETS, SPECIMENS, Conditions, run
from .controls import CONTROLS
from .figures import picture, scores_table

_WIDE = {"description_width": "11em"}


class LaboratoryWidgets(ipywidgets.VBox):
    """The laboratory with a kernel: ipywidgets around `run`; the last result is ``outcome``."""

    def __init__(self, density=None):
        self.density = density
        self.start = Conditions(specimen="diamond" if density is None else "own")
        self._quiet = False
        titles = {p.title: name for name, p in PRESETS.items()} | {"Your own settings": ""}
        specimens = {title: name for name, (title, _) in SPECIMENS.items()}
        if density is not None:
            specimens["Your own"] = "own"
        self.preset = _dropdown("Preset", titles, "paper")
        sliders = {c.name: _slider(c, getattr(self.start, c.name)) for c in CONTROLS}
        specimen = _dropdown("Specimen", specimens, self.start.specimen)
        self.controls = {"specimen": specimen} | sliders  # name of a condition -> its widget
        self.text, self.table = ipywidgets.HTML(), ipywidgets.HTML()
        self.image = ipywidgets.Image(format="png", layout={"max_width": "50em"})
        columns = {"grid_template_columns": "repeat(auto-fill, 25em)"}
        super().__init__(
            [
                ipywidgets.HBox([self.preset, specimen]),
                self.text,
                ipywidgets.GridBox(list(sliders.values()), layout=columns),
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
        values = chosen({name: c.value for name, c in self.controls.items()}, conditions)
        for c in CONTROLS:
            values[c.name] = c.values[c.index(values[c.name])]
        Conditions(**values)  # says what is wrong, before any widget moves
        with self._quietly():
            for name, value in values.items():
                self.controls[name].value = value
        self.run()

    def run(self):
        """Record and reconstruct under the present conditions."""
        now = Conditions(**{n: c.value for n, c in self.controls.items()})
        with self._quietly():
            self.preset.value = next((n for n in PRESETS if self._conditions(n) == now), "")
        named = PRESETS.get(self.preset.value)
        title = f"<b>{named.artifact}</b>: " if named and named.artifact else ""
        self.text.value = title + named.text if named else ""
        try:
            outcome = run(now, self.density if now.specimen == "own" else None)
        except ValueError as error:
            # a slider has no cell to fail: say it where the reader looks
            self.table.value = f"<p><b>No reconstruction:</b> {html.escape(str(error))}</p>"
            return
        self.conditions, self.outcome = now, outcome
        self.image.value = picture(outcome)
        self.table.value = scores_table(outcome)._repr_html_()

    def _conditions(self, name):
        return dataclasses.replace(self.start, **PRESETS[name].changes)

    @contextlib.contextmanager
    def _quietly(self):
        """Move widgets without running after each of them."""
        self._quiet = True
        try:
            yield
        finally:
            self._quiet = False

    def _changed(self, change):
        if not self._quiet:
            self.run()

    def _chosen(self, change):
        if not self._quiet and change["new"]:
            self.set(**dataclasses.asdict(self._conditions(change["new"])))


def _dropdown(label, options, value):
    return ipywidgets.Dropdown(
        options=options, value=value, description=label, style=_WIDE, layout={"width": "28em"}
    )


def _slider(control, value):
    return ipywidgets.SelectionSlider(
        options=list(zip(control.texts, control.values, strict=True)),
        value=control.values[control.index(value)],
        description=control.label + (f" ({control.unit})" if control.unit else ""),
        style=_WIDE,
        continuous_update=False,
        layout={"width": "24em"},
    )
