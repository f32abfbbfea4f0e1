"""Images, numbers and curves that follow sliders over discrete values."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import traitlets

from .._checks import check_count, check_text
from ._definition import Definition
from ._page import specify, stored
from .base import CSS, DRAW, Explorer, read
from .controls import Control, Curve, Panel, Readout


class FrameExplorer(Explorer):
    """Images, numbers and curves that follow sliders over discrete values.

    In JupyterLab a move of a slider calls `compute`. A static page holds what it gave beforehand,
    over the product of the values of the controls that each panel depends on.

    Parameters
    ----------
    compute
        Function of all controls by keyword, ``compute(alpha=0.7, iterations=200)``. It returns a
        mapping with an image for each panel, a number for each read-out and the lines of each
        curve, under their names. It must give the same result for the same values.
    controls
        The sliders, from top to bottom.
    panels
        The images, in reading order. One slider moves all panels that depend on it.
    readouts
        Numbers shown with the images.
    curves
        Plots below the images.
    alt
        Alternative text of the whole, in which ``{name}`` stands for the value of a control or a
        read-out without its unit; ``"Au at weight {alpha}, {iterations} iterations"``. If None,
        the panels' titles and the sliders' values.
    caption
        A sentence below the figure, seen in every host.
    columns
        The most panels side by side; as many as look well, if None.
    shared_colorbar
        One color bar below all panels instead of one each.
    filename
        Start of the name of pictures saved by the reader.

    Raises
    ------
    TypeError, ValueError
        If names clash or are unknown, or `compute` does not return what the parts expect.

    Examples
    --------
    >>> FrameExplorer(                                              # doctest: +SKIP
    ...     lambda alpha: {"au": x[alpha]},
    ...     [Control("alpha", "Weight α", [0.1, 0.3, 0.5, 0.7, 0.9], default=0.7)],
    ...     [Panel("au", "Au, HEBT", limits=(0, 1.2), unit="HAADF intensity", cmap="inferno")],
    ...     alt="Au by HEBT at weight {alpha}: a rounded square with a dark diamond inside.",
    ... )
    """

    _esm = DRAW + read("frames.js")
    _css = CSS

    spec = traitlets.Dict().tag(sync=True)
    position = traitlets.List(traitlets.Int()).tag(sync=True)
    picture = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        compute: Callable[..., Mapping],
        controls: Sequence[Control],
        panels: Sequence[Panel],
        *,
        readouts: Sequence[Readout] = (),
        curves: Sequence[Curve] = (),
        alt: str | None = None,
        caption: str = "",
        columns: int | None = None,
        shared_colorbar: bool = False,
        filename: str = "hebt",
    ):
        if columns is not None:
            columns = check_count("columns", columns)
        for name, value in (("alt", alt or ""), ("caption", caption), ("filename", filename)):
            check_text(name, value)
        self._definition = Definition(compute, controls, panels, readouts, curves, shared_colorbar)
        titles = ", ".join(p.title for p in self._definition.panels)
        self._alt = self._definition.template("alt", alt, titles)
        self._serial = 0
        start = self._definition.start
        picture = self._evaluate(start)
        super().__init__(
            caption=caption,
            spec=specify(self._definition, alt=self._alt, columns=columns, filename=filename),
            position=start,
            picture=picture,
        )
        self.observe(self._moved, "position")

    @property
    def state(self) -> dict:
        """The present value of each control."""
        return self._definition.state(self.position)

    def move(self, **values: Any) -> None:
        """Move sliders from Python; ``explorer.move(alpha=0.5)``.

        Raises
        ------
        ValueError
            If a control is unknown or a value is not on its slider.
        """
        position = list(self.position)
        controls = self._definition.controls
        names = [c.name for c in controls]
        for name, value in values.items():
            if name not in names:
                raise ValueError(f"{name!r} is no control; expected one of {', '.join(names)}.")
            k = names.index(name)
            position[k] = controls[k].index(value)
        self.position = position

    def describe(self) -> str:
        return self._definition.fill(self._alt, self.picture)

    def static_state(self) -> dict:
        """Compute everything that the sliders can show, for a page without a kernel.

        Returns
        -------
        dict
            Pictures, numbers and curves for each position of the sliders.

        Raises
        ------
        ValueError
            If the images are too many, a panel's `depends` leaves out a control that it varies
            with, or the present state has no picture.
        """
        if self.picture["error"]:
            raise ValueError(
                f"The present state {self.state} has no picture ({self.picture['error']}). Move "
                "to another one first."
            )
        return {"store": stored(self._definition, self._advice())}

    def poster(self) -> bytes:
        from . import _poster

        return _poster.draw(self.spec, self.picture)

    def _advice(self):
        controls, panels = self._definition.controls, self._definition.panels
        sizes = [f"{len(c.values)} values of {c.name}" for c in controls]
        shapes = self._definition.shapes
        images = [f"{p.name} {'×'.join(map(str, shapes[p.name]))}" for p in panels]
        return (
            f"It has {', '.join(sizes)} and images of {', '.join(images)} pixels. Give fewer "
            "values, name in depends only the controls a panel varies with, crop the images, or "
            "bin them, for instance by skimage.measure.block_reduce(image, (2, 2), numpy.mean)."
        )

    def _evaluate(self, position):
        return {**self._definition.evaluate(position), "serial": self._serial}

    def _moved(self, change):
        """Answer the front end: the picture for its newest position, or the reason for none."""
        position = change["new"]
        self._serial += 1
        try:
            for i, c in zip(position, self._definition.controls, strict=True):
                if not 0 <= i < len(c.values):
                    raise ValueError(f"position {position} is not on the sliders.")
            self.picture = self._evaluate(position)
        except (Exception, KeyboardInterrupt) as error:
            reason = traceback.format_exception_only(error)[-1].strip()
            self.picture = {
                **self.picture,
                "asked": list(position),
                "serial": self._serial,
                "error": reason,
            }
