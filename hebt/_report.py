"""The report of a `Result`: one HTML file with everything inside."""

from __future__ import annotations

import base64
import html
import importlib
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ._files import refuse_existing, written_aside
from ._json import plain
from .explorers import Turntable, slices

if TYPE_CHECKING:
    from .result import Result

_SHOWN = 96  # voxels along each side of the volumes that sliders page through
_TURNED = 56  # the same for the turntable
_TURNS, _TIPS = range(0, 360, 15), (0, 30)
_PLANES = (
    ("Across the tilt axis", "rows down, columns to the right"),
    ("Along the tilt axis, seen along the beam at 0°", "slices down, columns to the right"),
    ("Along the tilt axis, seen from the side", "slices down, rows to the right"),
)
# as different as they can be for eyes of all kinds (Okabe and Ito)
_COLORS = "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"
_STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;"
    "margin:1.5rem auto;padding:0 1rem}table{border-collapse:collapse}th,td{padding:.2rem .8rem;"
    "text-align:left;border-bottom:1px solid #8886}td.n{text-align:right}pre{overflow:auto;"
    "padding:.8rem;border:1px solid #8886}code{overflow-wrap:anywhere}img{max-width:100%;"
    "height:auto}"
)


def write_report(
    path: Path, result: Result, fractions: np.ndarray | None, kind: str, overwrite: bool
) -> None:
    """Write the report to a file."""
    if not overwrite:
        refuse_existing(path)
    title = f"{', '.join(result.elements)}: a reconstruction"
    sections = (
        ("Inputs", _inputs(result)),
        ("Preparation", _preparation(result)),
        ("Response ratios", _ratios(result)),
        ("Reconstruction", _reconstruction(result)),
        ("Slices", _slices(result)),
        ("Composition", _composition(result, fractions, kind)),
        ("From all sides", _turntable(result)),
        ("Make it again", _rerun(result)),
    )
    body = "\n".join(f"<h2>{name}</h2>\n" + "\n".join(parts) for name, parts in sections)
    text = (
        '<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(title)}</title><style>{_STYLE}</style></head>\n"
        f"<body>\n<h1>{_text(title)}</h1>\n{body}\n</body>\n</html>\n"
    )
    with written_aside(path, overwrite=overwrite) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def _text(value: Any) -> str:
    return html.escape(str(value))


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = ["<tr>" + "".join(f"<th>{_text(h)}</th>" for h in head) + "</tr>"]
    for first, *others in rows:
        cells = "".join(f'<td class="n">{_text(cell)}</td>' for cell in others)
        lines.append(f"<tr><td>{_text(first)}</td>{cells}</tr>")
    return "<table>\n" + "\n".join(lines) + "\n</table>"


def _settings(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {_code(value)}" for name, value in settings.items())


def _image(draw: Any, alt: str, size: tuple[float, float] = (6, 3.2)) -> str:
    """Return a picture that `draw` draws into axes, as an element of HTML."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        figure = Figure(figsize=size, facecolor="white", layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure, figure.add_subplot())
        out = io.BytesIO()
        figure.savefig(out, format="png", dpi=100, metadata={"Software": None})
    code = base64.b64encode(out.getvalue()).decode()
    return f'<p><img alt="{_text(alt)}" src="data:image/png;base64,{code}"></p>'


def _inputs(result: Result) -> Iterator[str]:
    if not result.inputs:
        yield "<p>The files that this was made of are not recorded.</p>"
    else:
        rows = [(name, digest or "not known") for name, digest in result.inputs.items()]
        yield _table(("file", "SHA-256"), rows)
    if result.angles is not None:
        low, high = result.angles.min(), result.angles.max()
        yield f"<p>{len(result.angles)} tilts from {low:g}° to {high:g}°.</p>"


def _preparation(result: Result) -> Iterator[str]:
    if not result.history:
        yield "<p>No steps are recorded.</p>"
    for number, step in enumerate(result.history, start=1):
        if not isinstance(step, Mapping):
            yield f"<h3>{number}. {_text(step)}</h3>"
            continue
        yield f"<h3>{number}. {_text(step.get('step', 'a step without a name'))}</h3>"
        said = {k: v for k, v in step.items() if k not in ("step", "pictures", "settings")}
        settings = step.get("settings", {})
        said |= settings if isinstance(settings, Mapping) else {"settings": settings}
        if isinstance(said.get("found"), Mapping):
            said |= said.pop("found")
        if said:
            yield f"<p>{_text(_settings(said))}</p>"
        for title, picture in dict(step.get("pictures", {})).items():
            yield _image(_shown(title, np.asarray(picture)), f"{title}, after step {number}.")


def _shown(title, picture):
    def draw(figure, axes):
        figure.colorbar(axes.imshow(picture, cmap="gray"), ax=axes)
        axes.set_title(title, loc="left", fontsize=9)
        axes.set_axis_off()

    return draw


def _ratios(result: Result) -> Iterator[str]:
    fit = result.ratios
    if fit is None:
        yield "<p>They are not recorded.</p>"
        return

    def error(value, ratio):
        known = np.isfinite(value) and ratio > 0
        return f"{value:.2g} ({100 * value / ratio:.2g} %)" if known else "not known"

    yield _table(
        ("element", "HAADF intensity per count", "error from the noise", "from tilt to tilt"),
        [
            (name, f"{ratio:.5g}", error(noise, ratio), error(tilt, ratio))
            for name, ratio, noise, tilt in zip(
                fit.names, fit.ratios, fit.standard_errors, fit.tilt_errors
            )
        ],
    )
    taken = "left in" if fit.variance is None else f'taken off ("{fit.variance}")'
    yield (
        f"<p>R² = {fit.r_squared:.4f} over {fit.pixels} pixels; the noise of the maps is "
        f"{_text(taken)}. Errors are standard errors.</p>"
    )


def _reconstruction(result: Result) -> Iterator[str]:
    shape = " × ".join(map(str, result.x.shape[1:]))
    method = result.method or "a method that is not recorded"
    settings = f" with {_settings(result.settings)}" if result.settings else ""
    yield (
        f"<p>{shape} voxels of {result.pixel_size:.5g} nm, for each element, by "
        f"{_text(method + settings)}.</p>"
    )
    history = result.residuals
    if history is None or len(history) == 0:
        yield "<p>Residuals are not recorded.</p>"
        return
    eds, haadf = history.eds, history.haadf

    def draw(figure, axes):
        for name, column in zip(result.elements, eds.T):
            axes.semilogy(column, label=f"map of {name}")
        if np.isfinite(haadf).any() and haadf.any():
            axes.semilogy(haadf, "k--", label="HAADF")
        axes.set(xlabel="iteration", ylabel="residual norm (HAADF intensity)")
        axes.legend(frameon=False)

    last = ", ".join(f"{name} {value:.4g}" for name, value in zip(result.elements, eds[-1]))
    yield _image(draw, f"Residual norms over {len(eds) - 1} iterations; at the end {last}.")
    stop = f"; stopped by {history.stopped_by}" if history.stopped_by is not None else ""
    yield f"<p>{history.iterations} iterations{_text(stop)}. At the end: {_text(last)}.</p>"


def _volumes(result: Result, most: int) -> tuple[np.ndarray, tuple[int, ...]]:
    """Return the volumes with at most so many voxels along each axis, and how they were binned.

    Voxels stay cubes, but where a volume is thinner than one of the binned.
    """
    x = result.x if result.x.ndim == 4 else result.x[:, None]
    factors = tuple(min(n, -(-max(x.shape[1:]) // most)) for n in x.shape[1:])
    kept = [n // f * f for n, f in zip(x.shape[1:], factors)]
    x = x[:, : kept[0], : kept[1], : kept[2]]
    split = [part for n, f in zip(x.shape[1:], factors) for part in (n // f, f)]
    return x.reshape(len(x), *split).mean(axis=(2, 4, 6), dtype=np.float64), factors


def _binned(factors):
    return "" if max(factors) == 1 else f" Binned by {' × '.join(map(str, factors))} for this page."


def _slices(result: Result) -> Iterator[str]:
    x, factors = _volumes(result, _SHOWN)
    named = dict(zip(result.elements, x))
    ends = {n: (0.0, float(v.max()) if v.max() > 0 else 1.0) for n, v in named.items()}
    for axis, (title, seen) in enumerate(_PLANES):
        if axis and x.shape[1] == 1:
            return
        yield slices(
            named,
            axis=axis,
            limits=ends,
            unit="HAADF intensity",
            caption=f"{title}: {seen}.{_binned(factors)}",
        ).html(max_bytes=60_000_000)


def _composition(result: Result, fractions: np.ndarray | None, kind: str) -> Iterator[str]:
    total = result.x.sum(axis=tuple(range(1, result.x.ndim)), dtype=np.float64)
    shares = total / (total.sum() or 1)
    yield _table(
        ("element", "share of the HAADF intensity in all voxels"),
        [(n, f"{100 * s:.2f} %") for n, s in zip(result.elements, shares)],
    )
    if fractions is None:
        yield (
            "<p>That is no composition yet: it needs ζ- or k-factors. Give them to the report "
            "(zeta_factors, k_factors or eds_response).</p>"
        )
        return
    bright = result.x.sum(axis=0) > 0.2 * result.x.sum(axis=0).max()
    inside = fractions[:, bright].astype(np.float64)
    inside = inside[:, np.isfinite(inside).all(axis=0)]
    low, mid, high = np.percentile(inside, (10, 50, 90), axis=1)
    yield _table(
        (f"{kind} fraction", "mean", "10 % of voxels below", "median", "10 % above"),
        [
            (name, *(f"{100 * v:.2f} %" for v in values))
            for name, *values in zip(result.elements, inside.mean(axis=1), low, mid, high)
        ],
    )
    yield (
        f"<p>Over the {inside.shape[1]} voxels with more than a fifth of the highest HAADF "
        "intensity, each counting once.</p>"
    )


def _turntable(result: Result) -> Iterator[str]:
    x, factors = _volumes(result, _TURNED)
    if x.shape[1] == 1:
        yield "<p>One slice has no other side.</p>"
        return
    views = np.array([[_projections(x, turn, tip) for turn in _TURNS] for tip in _TIPS])
    views = np.moveaxis(views, (3, 2), (0, 1))  # (elements, cuts, tips, turns, size, size)
    behind = views.sum(axis=(-2, -1), dtype=np.float64)
    behind = 100 * behind / behind[:, :1].clip(1e-30)
    views /= views.max(axis=(1, 2, 3, 4, 5), keepdims=True).clip(1e-30)
    colors = {n: _COLORS[k % len(_COLORS)] for k, n in enumerate(result.elements)}
    rgb = [[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in colors.values()]
    bodies = [1 - v[..., None] * (1 - np.array(c)) for v, c in zip(views, rgb)]
    pictures = dict(zip(result.elements, bodies))
    if len(bodies) > 1:
        pictures["all"] = np.prod(bodies, axis=0)
    # rows and columns lie across the bar, slices never along it
    voxel = result.pixel_size * factors[1] if factors[1] == factors[2] else None
    yield Turntable(
        {title: np.rint(255 * body).astype(np.uint8) for title, body in pictures.items()},
        turns=list(_TURNS),
        tips=list(_TIPS),
        cuts=["nothing", "the front half"],
        alts={
            title: f"The volume of {title}, summed along the line of sight." for title in pictures
        },
        notes={
            name: [[["" for _ in row] for row in part[0]], _shares(name, part[1])]
            for name, part in zip(result.elements, behind)
        },
        pixel_size=voxel,
        key=colors,
        key_note="White: nothing on the line of sight; full color: the element's largest sum.",
        caption="Sums along the line of sight, the tilt axis vertical; each element to its own "
        f"maximum. Drag to turn.{_binned(factors)}",
    ).html(max_bytes=60_000_000)


def _shares(name, behind):
    """Say what lies behind the cut plane, in percent of all, for each tip and turn."""
    return [[f"{share:.0f} % of all {name} lies behind the cut." for share in r] for r in behind]


def _projections(x: np.ndarray, turn: float, tip: float) -> np.ndarray:
    """Return the sums along the line of sight, of all and of what lies behind the middle.

    Shape (2, elements, rows, columns), of (elements, slices, rows, columns).
    """
    from scipy.ndimage import affine_transform

    a, b = np.deg2rad(turn), np.deg2rad(tip)
    about_tilt_axis = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    from_above = np.array([[np.cos(b), np.sin(b), 0], [-np.sin(b), np.cos(b), 0], [0, 0, 1]])
    matrix = about_tilt_axis @ from_above
    size = int(np.ceil(np.linalg.norm(x.shape[1:])))
    offset = (np.array(x.shape[1:]) - 1) / 2 - matrix @ np.full(3, (size - 1) / 2)
    how: dict[str, Any] = {"order": 1, "output": np.float32, "mode": "grid-constant"}
    turned = [affine_transform(volume, matrix, offset, (size,) * 3, **how) for volume in x]
    # lines of sight begin at row 0 of their axis; a plane in the middle of a row takes half of it
    back = np.clip(np.arange(size) - (size - 1) / 2 + 0.5, 0, 1, dtype=np.float32)
    return np.array(
        [
            [volume.sum(axis=1) for volume in turned],
            [np.einsum("ijk,j->ik", volume, back) for volume in turned],
        ]
    )


def _code(value: Any) -> str:
    """Return a value as Python writes it; methods as they are called."""
    value = plain("value", value)
    if isinstance(value, dict) and "kind" in value:
        parts = {k: v for k, v in value.items() if k != "kind" and v is not None}
        return f"hebt.{value['kind']}({_settings(parts)})"
    return repr(value)


def _rerun(result: Result) -> Iterator[str]:
    version = importlib.import_module("hebt").__version__
    said = result.about.get("rerun")
    steps = [s for s in result.history if isinstance(s, Mapping) and isinstance(s.get("step"), str)]
    whole = steps and len(steps) == len(result.history) and steps[0]["step"] == "read"
    lost = [f"{s['step']}({name}=...)" for s in steps for name in s.get("not kept", ())]
    lost += [f"reconstruct({name}=...)" for name in result.about.get("not kept", ())]
    if isinstance(said, str):
        code = said
    elif whole and not lost:
        code = _calls(result, steps)
    else:
        why = "from the reading of the files on" if not whole else f"in full: {', '.join(lost)}"
        yield f"<p>The calls that made it are not recorded {_text(why)}.</p>"
        return
    yield f"<p>With hebt {_text(version)}:</p>\n<pre><code>{_text(code)}</code></pre>"


def _calls(result: Result, steps: Sequence[Mapping[str, Any]]) -> str:
    """Return the calls that make a result again, of files that are the same."""
    lines = ["import hebt", ""]
    for number, step in enumerate(steps):
        settings = dict(step.get("settings", {}))
        said = _settings(settings)
        if step["step"] == "pick":
            said = f"*{settings['lines']!r}"
        lines.append(f"series = {'series' if number else 'hebt.io'}.{step['step']}({said})")
        if not number and all(result.inputs.values()) and result.inputs:
            lines.append(f"assert series.inputs == {dict(result.inputs)!r}, 'other files'")
    lines.append(f"result = series.reconstruct({_settings(result.settings)})")
    return "\n".join(lines)
