"""Which X-ray lines a spectrum supports, what their windows count, and a picture of them."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .io.scan import ELEMENTS
from .prepare.windows import EnergyWindow, line_windows
from .prepare.xray import best_line, line_energy, line_width, xray_lines

# standard deviations that a line has to stand above its background
_LEAST = 5.0
_SOFTEST = 0.1  # keV
# share of the counts in a window that makes a line of another element worth to be named
_SHARE = 0.1
_CLEAR, _DOUBTFUL, _UNMAPPED = "#0072B2", "#D55E00", "0.45"
_HEAD = ("line", "keV", "window", "counts", "error", "may hold")
_STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;"
    "margin:1.5rem auto;padding:0 1rem}table{border-collapse:collapse}th,td{padding:.2rem .8rem;"
    "text-align:left;border-bottom:1px solid #8886}td.n{text-align:right}div{overflow-x:auto}"
    "img{min-width:44rem;width:100%;height:auto}"
)


class Spectra(Protocol):
    """A spectrum of all tilts and pixels; `hebt.io.survey.Spectra` is one."""

    @property
    def energies(self) -> NDArray:
        """(channels,), keV."""

    @property
    def spectrum(self) -> NDArray:
        """(channels,), counts."""

    @property
    def resolution(self) -> float:
        """FWHM of the X-ray detector at Mn K-alpha, in eV."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """A spectrum with what is needed to read it; see `Spectra`."""

    energies: NDArray
    spectrum: NDArray
    resolution: float = 130.0


def counted(spectra: Spectra, window: EnergyWindow) -> tuple[float, float]:
    """Return the counts in a window less its background, and their standard deviation."""
    weights = window.weights(spectra.energies)
    return float(spectra.spectrum @ weights), float(np.sqrt(spectra.spectrum @ weights**2))


def supported_windows(spectra: Spectra) -> list[EnergyWindow]:
    """Return a window for each element whose line the spectrum shows, by rising energy.

    The line is the one that the element's name stands for. It is shown where a peak lies within
    half its FWHM, and where its window counts 5 standard deviations more than its background.
    """
    peaks = _peaks(spectra)
    found = []
    for element in sorted(ELEMENTS):
        try:
            line = best_line(element, spectra.energies, spectra.resolution)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                (window,) = line_windows(spectra.energies, [line], resolution=spectra.resolution)
        except ValueError:
            continue  # no line in this range, or no background beside it
        energy = line_energy(line)
        if energy < _SOFTEST:
            continue  # the zero peak of the electronics
        near = np.abs(peaks - energy) < line_width(energy, spectra.resolution) / 2
        counts, error = counted(spectra, window)
        if near.any() and counts > _LEAST * error:
            found.append(window)
    return sorted(found, key=lambda window: window.energy)


def unmapped_windows(spectra: Spectra, windows: Sequence[EnergyWindow]) -> list[EnergyWindow]:
    """Return windows of elements that the spectrum shows, and that `windows` do not hold.

    They have at least a tenth of the counts of the scarcest line that is mapped. One that may count
    a line of an element with more counts is left out: that explains it.
    """
    mapped = {window.name.split("_")[0] for window in windows}
    others = [w for w in supported_windows(spectra) if w.name.split("_")[0] not in mapped]
    every = [*windows, *others]
    close = overlaps(spectra, every)
    counts: dict[str, float] = {}
    for window in every:
        element = window.name.split("_")[0]
        counts[element] = max(counts.get(element, 0.0), counted(spectra, window)[0])

    def is_explained(window):
        own = counts[window.name.split("_")[0]]
        return any(counts[line.split("_")[0]] > own for line in close[window.name])

    least = _SHARE * min(counted(spectra, window)[0] for window in windows)
    return [w for w in others if counted(spectra, w)[0] > least and not is_explained(w)]


def _peaks(spectra: Spectra) -> NDArray:
    """Return the energies at which the spectrum, smoothed by a third of the FWHM, has maxima."""
    energies = spectra.energies
    step = float(np.median(np.diff(energies)))
    width = float(line_width(max(1.0, float(energies[0])), spectra.resolution)) / step / 3
    smooth = ndimage.gaussian_filter1d(spectra.spectrum.astype(float), width)
    inner = (smooth[1:-1] > smooth[:-2]) & (smooth[1:-1] >= smooth[2:])
    return energies[1:-1][inner]


def overlaps(spectra: Spectra, windows: Sequence[EnergyWindow]) -> dict[str, list[str]]:
    """Return for each window which lines of the other windows' elements it may count too.

    These are lines within a FWHM that, by their weight in their shell, have a tenth of its counts.
    """
    counts = {window.name: counted(spectra, window)[0] for window in windows}
    found = {}
    for window in windows:
        energy, own = line_energy(window.name), counts[window.name]
        width = float(line_width(energy, spectra.resolution))
        found[window.name] = [
            f"{name.split('_')[0]}_{line}"
            for name, there in counts.items()
            if name != window.name
            for line, at, weight in _shell(name)
            if abs(at - energy) < width and there * weight > _SHARE * own > 0
        ]
    return found


def rows(spectra: Spectra, windows: Sequence[EnergyWindow]) -> list[list[str]]:
    """Return for each window its line, energies, counts, their error, and what may be in it."""
    close = overlaps(spectra, windows)
    made = []
    for window in windows:
        (own, error), ((low, high), *_) = counted(spectra, window), window.peaks
        made.append(
            [window.name, f"{line_energy(window.name):.3f}", f"{low:.3f}-{high:.3f}"]
            + [f"{own:.0f}", f"{error:.0f}", " ".join(close[window.name]) or "-"]
        )
    return made


def _shell(name: str) -> list[tuple[str, float, float]]:
    """Return (line, energy, weight) of a line's shell; the line that is named has the weight 1."""
    element, own = name.split("_")
    table = {k: v for k, v in xray_lines(element).items() if k[0] == own[0]}
    return [(k, v["energy (keV)"], v["weight"] / table[own]["weight"]) for k, v in table.items()]


def drawn(spectra: Spectra, windows: Sequence[EnergyWindow]) -> Any:
    """Return a figure of the spectrum with its windows.

    Bands are counted as a line, the bars at the bottom as its background. A line whose window may
    count another's is orange, and says which. Elements that the spectrum shows, and that have no
    window, are named in gray.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    figure = _empty_figure()
    _draw(figure.add_subplot(), spectra, windows)
    return figure


def _empty_figure() -> Any:
    """Return a figure that notebooks show, whether pyplot is in use there or not."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise ImportError(
            "a plot of lines needs matplotlib, which is not installed; run pip install "
            '"hebt[explorers]".'
        ) from None

    class Shown(Figure):
        def _repr_png_(self) -> bytes:
            return _png(self)

    figure = Shown(figsize=(9, 4.2), dpi=150, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _png(figure: Any) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()


def _draw(axes: Any, spectra: Spectra, windows: Sequence[EnergyWindow]) -> None:
    """Draw the spectrum and its windows."""
    energies = spectra.energies
    counts = np.maximum(np.asarray(spectra.spectrum, float), 0.5)
    unmapped = unmapped_windows(spectra, windows)
    every = [*windows, *unmapped]
    ends = [e for w in every for sides in w.backgrounds for side in sides for e in side]
    shown = (energies > _SOFTEST) & (energies < 1.08 * max(ends))
    low, high = float(np.percentile(counts[shown], 1)), float(counts[shown].max())
    first, last = float(energies[shown][0]), float(energies[shown][-1])
    axes.step(energies[shown], counts[shown], where="mid", color="0.2", lw=0.9)
    close, labels = overlaps(spectra, windows), []
    for window in windows:
        doubts = close[window.name]
        color = _DOUBTFUL if doubts else _CLEAR
        for peak, sides in zip(window.peaks, window.backgrounds, strict=True):
            axes.axvspan(*peak, color=color, alpha=0.25, lw=0)
            for side in sides:
                axes.plot(side, [low / 1.7] * 2, color=color, lw=4, solid_capstyle="butt")
        labels.append((window.energy, window.name, doubts, color))
    labels += [(window.energy, f"{window.name}?", [], _UNMAPPED) for window in unmapped]
    for energy, text, color in _joined(labels, 0.014 * (last - first)):
        top = counts[np.abs(energies - energy) <= 0.08].max(initial=low)
        how = {"rotation": 90, "ha": "center", "va": "bottom", "fontsize": 8, "color": color}
        axes.annotate(text, (energy, top), (0, 4), textcoords="offset points", **how)
    axes.set_yscale("log")
    axes.set_ylim(low / 2, high * (high / low) ** 0.8)
    axes.set_xlim(first, last)
    axes.set_xlabel("energy (keV)")
    axes.set_ylabel("counts per channel")


def _joined(
    labels: list[tuple[float, str, list[str], str]], distance: float
) -> list[tuple[float, str, str]]:
    """Return energy, text and color of each label; one for lines that lie too close for two."""
    groups: list[list[tuple[float, str, list[str], str]]] = []
    for label in sorted(labels):
        if groups and label[0] - groups[-1][0][0] < distance:
            groups[-1].append(label)
        else:
            groups.append([label])
    made = []
    for group in groups:
        text = ", ".join(name for _, name, *_ in group)
        doubts = group[0][2]
        if len(group) == 1 and doubts:
            text += f" (or {', '.join(doubts[:2])}{', …' if len(doubts) > 2 else ''})"
        colors = [color for *_, color in group]
        color = next(c for c in (_DOUBTFUL, _CLEAR, _UNMAPPED) if c in colors)
        made.append((float(np.mean([e for e, *_ in group])), text.replace("_", " "), color))
    return made


def written(path: Any, spectra: Spectra, windows: Sequence[EnergyWindow], overwrite: bool) -> None:
    """Write the figure as a picture, or with the table as one HTML page."""
    from ._files import written_aside

    figure = drawn(spectra, windows)
    with written_aside(path, overwrite=overwrite) as part:
        if path.suffix.lower() in (".html", ".htm"):
            part.write_text(_page(figure, rows(spectra, windows)), encoding="utf-8", newline="\n")
        else:
            figure.savefig(part)


def _page(figure: Any, cells: list[list[str]]) -> str:
    """Return an HTML page with a figure, and a table of the lines."""
    import base64
    import html

    code = base64.b64encode(_png(figure)).decode()
    names = ", ".join(row[0].replace("_", " ") for row in cells)
    head = "".join(f'<th scope="col">{name}</th>' for name in _HEAD)
    body = "\n".join(
        f'<tr><th scope="row">{first}</th>'
        + "".join(f"<td>{cell}</td>" for cell in others)
        + "</tr>"
        for first, *others in ([html.escape(cell) for cell in row] for row in cells)
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>X-ray lines</title><style>{_STYLE}</style></head>\n<body>\n<h1>X-ray lines</h1>\n"
        f'<div tabindex="0"><img alt="Spectrum with windows of {names}." '
        f'src="data:image/png;base64,{code}"></div>\n'
        "<p>Bands are counted as a line, bars at the bottom as its background. Orange: the window "
        "may count a line of another element. Gray: a line that the spectrum may show, and that "
        "has no window.</p>\n"
        f'<div tabindex="0"><table>\n<tr>{head}</tr>\n{body}\n</table></div>\n</body>\n</html>\n'
    )
