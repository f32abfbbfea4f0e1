"""Bodies that the reader turns."""

import io
import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import traitlets

from .._checks import as_float64, as_list, check_text
from .base import CSS, DRAW, Explorer, Lazy, is_static, read
from .controls import place

QUALITY = 80  # of WebP, from 0 to 100


class Turntable(Explorer):
    """Renderings of bodies from all sides, turned together by sliders or by dragging.

    The pictures are made beforehand, since a page has no Python and a reader's computer may have
    no graphics card. A page loads them when the reader first turns a body.

    Parameters
    ----------
    pictures
        Title -> (tips, turns, size, size, 3), uint8.
    turns, tips
        Degrees about the vertical axis, and from above.
    start
        The first view, as (turn, tip) in degrees; the first of each, if None.
    alts
        Title -> what is seen.
    notes
        Title -> (tips, turns) texts: what is to be said of each view. They stand below the picture
        and are read out.
    caption
        A sentence below the figure.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit, or `start` is no view.
    """

    _esm = DRAW + read("turntable.js")
    _css = CSS + (
        "\n.hebt-explorer .hebt-picture canvas.hebt-body { cursor: grab; background: #fff; }\n"
        ".hebt-explorer .hebt-picture canvas.hebt-body:active { cursor: grabbing; }\n"
    )

    spec = traitlets.Dict().tag(sync=True)
    first = traitlets.Bytes(b"").tag(sync=True)
    views = traitlets.Bytes(b"").tag(sync=True)

    def __init__(
        self,
        pictures: Mapping[str, np.ndarray],
        *,
        turns: Sequence[float],
        tips: Sequence[float],
        start: tuple[float, float] | None = None,
        alts: Mapping[str, str] | None = None,
        notes: Mapping[str, Sequence[Sequence[str]]] | None = None,
        caption: str = "",
    ):
        turns = as_float64("turns", turns, ndim=(1,)).tolist()
        tips = as_float64("tips", tips, ndim=(1,)).tolist()
        for name, views in (("turns", turns), ("tips", tips)):
            if len(set(views)) < len(views):
                raise ValueError(f"{name} is {views}; expected each angle once.")
        if not isinstance(pictures, Mapping) or not pictures:
            raise ValueError(f"pictures is {pictures!r}; expected at least one body by its title.")
        given = {check_text("pictures", title): p for title, p in pictures.items()}
        pictures = {title: np.asarray(p) for title, p in given.items()}
        size = next(iter(pictures.values())).shape[-2:-1]
        expected = (len(tips), len(turns), *size, *size, 3)
        for title, p in pictures.items():
            if p.shape != expected or p.dtype != np.uint8 or np.ma.is_masked(given[title]):
                raise ValueError(
                    f"pictures[{title!r}] has shape {p.shape} and type {p.dtype}; expected "
                    f"{expected} and uint8: (tips, turns, size, size, 3), none masked."
                )
        pair = as_list("start", (turns[0], tips[0]) if start is None else start, "a turn and a tip")
        if len(pair) != 2:
            raise ValueError(f"start is {start}; expected one of the turns and one of the tips.")
        at = [place("start", values, value) for values, value in zip((turns, tips), pair)]
        self._pictures, self._at = pictures, at
        encoded = [
            _webp(p[j, i])
            for p in pictures.values()
            for j, i in itertools.product(range(len(tips)), range(len(turns)))
        ]
        firsts = [_webp(p[at[1], at[0]]) for p in pictures.values()]
        self._encoded = b"".join(encoded)
        said = _notes({} if notes is None else notes, list(pictures), len(tips), len(turns))
        super().__init__(
            caption=check_text("caption", caption),
            first=b"".join(firsts),
            views=b"" if is_static() else self._encoded,
            spec={
                "turns": [int(v) if v.is_integer() else v for v in turns],
                "tips": [int(v) if v.is_integer() else v for v in tips],
                "size": size[0],
                "start": at,
                "ends": np.cumsum([len(e) for e in encoded]).tolist(),
                "first": np.cumsum([len(e) for e in firsts]).tolist(),
                "panels": _panels(list(pictures), {} if alts is None else alts, said),
            },
        )

    def static_state(self) -> dict:
        return {"stored": Lazy(self._encoded)}

    def describe(self) -> str:
        return " ".join(p["alt"] for p in self.spec["panels"])

    def poster(self) -> bytes:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            n = len(self._pictures)
            figure = Figure(figsize=(8, 8 / n + 0.4), facecolor="white", layout="constrained")
            FigureCanvasAgg(figure)
            for k, (title, views) in enumerate(self._pictures.items()):
                ax = figure.add_subplot(1, n, k + 1)
                ax.imshow(views[self._at[1], self._at[0]])
                ax.set_title(title, loc="left", fontsize=9)
                ax.set_axis_off()
            out = io.BytesIO()
            figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
        return out.getvalue()


def _panels(titles, alts, said):
    """What the script knows of each body."""
    if not isinstance(alts, Mapping) or not set(alts) <= set(titles):
        raise ValueError(f"alts is {alts!r}; expected texts for titles of {titles}.")
    return [
        {
            "name": f"body{k}",
            "title": title,
            "alt": alts.get(title, f"{title}."),
            "notes": said.get(title, []),
        }
        for k, title in enumerate(titles)
    ]


def _notes(notes, titles, tips, turns):
    """Check texts for each view, title -> (tips, turns) lists."""
    if not isinstance(notes, Mapping) or not set(notes) <= set(titles):
        raise ValueError(f"notes is {notes!r}; expected texts for titles of {titles}.")
    said = {}
    for title, rows in notes.items():
        name = f"notes[{title!r}]"
        rows = [as_list(name, row, "texts") for row in as_list(name, rows, "rows of texts")]
        if [len(row) for row in rows] != [turns] * tips:
            raise ValueError(
                f"{name} has rows of {[len(row) for row in rows]} texts; expected {tips} rows of "
                f"{turns}, one for each tip and turn."
            )
        said[title] = [[check_text(name, text) for text in row] for row in rows]
    return said


def _webp(picture: np.ndarray) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(picture).save(out, "webp", quality=QUALITY, method=4)
    return out.getvalue()
