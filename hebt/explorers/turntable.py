"""Bodies that the reader turns."""

import io
import re
from collections.abc import Mapping, Sequence

import numpy as np
import traitlets

from .._checks import as_float64, as_list, check_number, check_text
from .base import CSS, DRAW, Explorer, Lazy, is_static, read
from .controls import place

QUALITY = 80  # of WebP, from 0 to 100
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_BAR = 0.3  # of a picture's width: the longest scale bar


class Turntable(Explorer):
    """Renderings of bodies from all sides, turned together by sliders or by dragging.

    The pictures are made beforehand, since a page has no Python and a reader's computer may have
    no graphics card. A page loads them when the reader first turns a body, those of a cut plane
    when it is first moved there.

    Parameters
    ----------
    pictures
        Title -> (tips, turns, size, size, 3), uint8; with `cuts`, (cuts, tips, turns, size, size,
        3).
    turns, tips
        Degrees about the vertical axis, and from above.
    cuts
        What the places of a cut plane are called, such as ``["nothing", "the front half"]``: a
        slider moves it. Without them there is no such slider.
    start
        The first view, as (turn, tip) in degrees, or (turn, tip, cut); the first of each, if None.
    alts
        Title -> what is seen.
    notes
        Title -> (tips, turns) texts, with `cuts` (cuts, tips, turns): what is to be said of each
        view. They stand below the picture and are read out.
    pixel_size
        Length of a picture's pixel in nm, for a scale bar; it holds for parallel rays, which show
        everything at the same scale. No bar, if None.
    key
        What is seen -> its color, as ``"#rrggbb"``.
    key_note
        What the colors mean, such as from which density on one is seen.
    spin
        Seconds of a whole turn that begins by itself once the bodies are in sight, with a button
        that pauses it; 0 for none. Where readers ask for less motion, the button starts it.
    caption
        A sentence below the figure.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit, or `start` is no view.
    """

    _esm = DRAW + read("turntable.js")
    _css = CSS + read("turntable.css")

    spec = traitlets.Dict().tag(sync=True)
    first = traitlets.Bytes(b"").tag(sync=True)
    views: traitlets.List = traitlets.List().tag(sync=True)  # of each place of the cut plane, bytes

    def __init__(
        self,
        pictures: Mapping[str, np.ndarray],
        *,
        turns: Sequence[float],
        tips: Sequence[float],
        cuts: Sequence[str] | None = None,
        start: Sequence[float | str] | None = None,
        alts: Mapping[str, str] | None = None,
        notes: Mapping[str, Sequence] | None = None,
        pixel_size: float | None = None,
        key: Mapping[str, str] | None = None,
        key_note: str = "",
        spin: float = 0.0,
        caption: str = "",
    ):
        axes = {"turns": _angles("turns", turns), "tips": _angles("tips", tips)}
        if cuts is not None:
            axes["cuts"] = _cuts(cuts)
        counts = [len(values) for values in reversed(axes.values())]
        self._pictures = _checked(pictures, counts)
        titles, size = list(self._pictures), next(iter(self._pictures.values())).shape[-2]
        self._at = _start(start, axes)
        self._scale = _scale(pixel_size, size)
        self._key = _key({} if key is None else key)
        said = _notes({} if notes is None else notes, titles, counts)
        encoded = [
            [_webp(p[j, i]) for p in self._all(cut) for j, i in np.ndindex(*p.shape[:2])]
            for cut in range(counts[0] if cuts is not None else 1)
        ]
        firsts = [_webp(p[self._first]) for p in self._pictures.values()]
        self._encoded = [b"".join(views) for views in encoded]
        super().__init__(
            caption=check_text("caption", caption),
            first=b"".join(firsts),
            views=[] if is_static() else self._encoded,
            spec={
                **{name: list(values) for name, values in axes.items()},
                "size": size,
                "start": self._at,
                "ends": [np.cumsum([len(e) for e in views]).tolist() for views in encoded],
                "first": np.cumsum([len(e) for e in firsts]).tolist(),
                "panels": _panels(titles, {} if alts is None else alts, said),
                "scale": self._scale,
                "key": self._key,
                "keyNote": check_text("key_note", key_note),
                "spin": check_number("spin", spin, "seconds of a turn, or 0", also_least=True),
            },
        )

    @property
    def _first(self) -> tuple[int, ...]:
        """Where the first view stands in the pictures."""
        return tuple(reversed(self._at))

    def _all(self, cut: int) -> list[np.ndarray]:
        """Return the pictures of each body at a place of the cut plane, (tips, turns, ...)."""
        return [p[cut] if len(self._at) == 3 else p for p in self._pictures.values()]

    def static_state(self) -> dict:
        return {"stored": [Lazy(views) for views in self._encoded]}

    def describe(self) -> str:
        return " ".join(p["alt"] for p in self.spec["panels"])

    def poster(self) -> bytes:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.patches import Patch

        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            n = len(self._pictures)
            figure = Figure(figsize=(8, 8 / n + 0.4), facecolor="white", layout="constrained")
            FigureCanvasAgg(figure)
            for k, (title, views) in enumerate(self._pictures.items()):
                ax = figure.add_subplot(1, n, k + 1)
                ax.imshow(views[self._first])
                ax.set_title(title, loc="left", fontsize=9)
                ax.set_axis_off()
                if self._scale:
                    at = 0.04 + np.array([0, self._scale["share"]])
                    ax.plot(at, [0.04] * 2, "k", lw=3, transform=ax.transAxes)
                    ax.text(0.04, 0.06, self._scale["text"], transform=ax.transAxes, fontsize=9)
            patches = [Patch(facecolor=c, edgecolor="0.4", label=n) for n, c in self._key]
            if patches:
                figure.legend(
                    handles=patches, loc="outside lower left", ncols=8, frameon=False, fontsize=9
                )
            out = io.BytesIO()
            figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
        return _small(out, ["#ffffff", "#000000", *(color for _, color in self._key)])


def _angles(name, values):
    """Return degrees, whole numbers where they are, each once."""
    values = as_float64(name, values, ndim=(1,)).tolist()
    if len(set(values)) < len(values):
        raise ValueError(f"{name} is {values}; expected each angle once.")
    return [int(v) if v.is_integer() else v for v in values]


def _cuts(cuts):
    """Return what places of a cut plane are called, each once."""
    cuts = [check_text("cuts", cut) for cut in as_list("cuts", cuts, "names of places")]
    if not cuts or len(set(cuts)) < len(cuts):
        raise ValueError(f"cuts is {cuts}; expected at least one name, and each once.")
    return cuts


def _checked(pictures, counts):
    """Return the pictures as arrays, all of the same shape; `counts` are those of their views."""
    if not isinstance(pictures, Mapping) or not pictures:
        raise ValueError(f"pictures is {pictures!r}; expected at least one body by its title.")
    given = {check_text("pictures", title): p for title, p in pictures.items()}
    pictures = {title: np.asarray(p) for title, p in given.items()}
    size = next(iter(pictures.values())).shape[-2:-1]
    expected = (*counts, *size, *size, 3)
    axes = ("cuts, tips, turns" if len(counts) == 3 else "tips, turns") + ", size, size, 3"
    for title, p in pictures.items():
        if p.shape != expected or p.dtype != np.uint8 or np.ma.is_masked(given[title]):
            raise ValueError(
                f"pictures[{title!r}] has shape {p.shape} and type {p.dtype}; expected "
                f"{expected} and uint8: ({axes}), none masked."
            )
    return pictures


def _start(start, axes):
    """Return the place of the first view among turns, tips and, where there are any, cuts."""
    if start is None:
        return [0] * len(axes)
    wanted = as_list("start", start, "a turn and a tip")
    if not 2 <= len(wanted) <= len(axes):
        cut = ", and of the cuts or none" if "cuts" in axes else ""
        raise ValueError(f"start is {start}; expected one of the turns and one of the tips{cut}.")
    places = [place("start", values, value) for values, value in zip(axes.values(), wanted)]
    return places + [0] * (len(axes) - len(places))


def _scale(pixel_size, size):
    """Return the longest scale bar of a round length, as its share of the picture's width."""
    if pixel_size is None:
        return None
    width = size * check_number("pixel_size", pixel_size, "a length in nm above 0, or None")
    unit = 10.0 ** np.floor(np.log10(_BAR * width))
    length = max(m * unit for m in (1, 2, 5) if m * unit <= _BAR * width)
    text = f"{length:g} nm" if length < 1000 else f"{length / 1000:g} µm"
    return {"share": float(length / width), "text": text}


def _key(key):
    """Return names and colors, as pairs."""
    if not isinstance(key, Mapping):
        raise TypeError(f"key is {key!r}; expected names and their colors, such as {{'Au': ...}}.")
    for name, color in key.items():
        if not _COLOR.fullmatch(check_text(f"key[{name!r}]", color)):
            raise ValueError(f'key[{name!r}] is {color!r}; expected a color such as "#ffc71a".')
    return [[check_text("key", name), color] for name, color in key.items()]


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


def _notes(notes, titles, counts):
    """Check texts for each view, title -> lists of these `counts`; one cut where there are none."""
    if not isinstance(notes, Mapping) or not set(notes) <= set(titles):
        raise ValueError(f"notes is {notes!r}; expected texts for titles of {titles}.")
    said = {title: _texts(f"notes[{title!r}]", rows, counts) for title, rows in notes.items()}
    return said if len(counts) == 3 else {title: [rows] for title, rows in said.items()}


def _texts(name, rows, counts):
    rows = as_list(name, rows, "texts" if len(counts) == 1 else "rows of texts")
    if len(counts) == 1:
        if len(rows) != counts[0]:
            raise ValueError(f"{name} has a row of {len(rows)} texts; expected {counts[0]} turns.")
        return [check_text(name, text) for text in rows]
    if len(rows) != counts[0]:
        kind = "tips" if len(counts) == 2 else "cuts"
        raise ValueError(f"{name} has texts for {len(rows)} {kind}; expected {counts[0]}.")
    return [_texts(name, row, counts[1:]) for row in rows]


def _small(png: io.BytesIO, exact: Sequence[str]) -> bytes:
    """Return a picture of few colors, a third as heavy, with these ones among them.

    It stays on a page for a moment only.
    """
    from PIL import Image

    whole = Image.open(png).convert("RGB")
    few = whole.quantize(160, dither=Image.Dither.NONE)
    wanted = [tuple(int(color[i : i + 2], 16) for i in (1, 3, 5)) for color in exact[:96]]
    palette, steps, pixels = few.getpalette() or [], np.array(few), np.asarray(whole)
    palette = palette[: 3 * 160] + [0] * max(0, 3 * 160 - len(palette))
    for k, color in enumerate(wanted):
        steps[(pixels == color).all(axis=-1)] = 160 + k
        palette += color
    out = io.BytesIO()
    small = Image.fromarray(steps)
    small.putpalette(palette)
    small.save(out, "png", optimize=True)
    return out.getvalue()


def _webp(picture: np.ndarray) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(picture).save(out, "webp", quality=QUALITY, method=4)
    return out.getvalue()
