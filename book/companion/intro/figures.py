"""What a reader can do here, in three pictures that lead there."""

from __future__ import annotations

import base64
import dataclasses
import html
import io

import matplotlib as mpl
import numpy as np

from .. import laboratory, notebook, phantom
from ..particles.explorers import COLORS
from ..phantom.figures import DENSITY_LIMITS
from ..style import CMAP
from .particle import TILTS, Particle

SIDE = 240  # pixels of a tile
GAP = 8  # between both tiles of a picture
DRAWN, COUNTS = "dots", 64.0  # specimen and X-rays on the picture of the laboratory
SHOWN = 60.0  # degrees: the tilt on the picture of a series


@dataclasses.dataclass(frozen=True, eq=False)
class Card:
    """A picture, (rows, columns, 3) from 0 to 1, that leads to a page."""

    page: str
    title: str
    line: str
    picture: np.ndarray
    alt: str


@dataclasses.dataclass(frozen=True)
class Cards:
    """Cards side by side, one below the other on a phone."""

    cards: tuple[Card, ...]

    def _repr_html_(self) -> str:
        end = ".html" if notebook.live() is None else ".md"
        return f'<div class="hebt-cards">{"".join(_html(c, end) for c in self.cards)}</div>'


def _html(card, end):
    from PIL import Image

    steps = np.rint(255 * card.picture.clip(0, 1)).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(steps).save(out, "webp", quality=75, method=6)
    height, width = steps.shape[:2]
    return (
        f'<a class="hebt-card" href="{card.page}{end}">'
        f'<img src="data:image/webp;base64,{base64.b64encode(out.getvalue()).decode()}" '
        f'alt="{html.escape(card.alt)}" width="{width}" height="{height}" decoding="async">'
        f"<strong>{html.escape(card.title)}</strong><span>{html.escape(card.line)}</span></a>"
    )


def three_ways(study: Particle) -> Cards:
    """Return the cards of the first page; `study` gives the pictures of a tilt series."""
    return Cards((_compare(), _draw(), _own(study)))


def _compare():
    images = phantom.first_pictures()
    halves = [_split(*pair) for pair in zip(images["eds"], images["hebt"], strict=True)]
    return Card(
        "phantom",
        "See where HEBT wins",
        "And where it loses, with every number of the paper beside ours.",
        _beside(*(_colored(h, CMAP["density"], DENSITY_LIMITS) for h in halves)),
        "A gold diamond and the silver around it, each reconstructed from EDS alone on its left "
        "half and by HEBT on its right, where it is smoother.",
    )


def _draw():
    outcome = laboratory.run(laboratory.Conditions(specimen=DRAWN, counts=COUNTS))
    return Card(
        "laboratory",
        "Draw a particle and reconstruct it",
        "In your browser, with nothing to install.",
        _beside(_mixed(outcome.series.density), _mixed(outcome.densities["hebt"])),
        "A drawn specimen, gold dots in a silver disc, and beside it what HEBT makes of "
        f"{len(outcome.series.conditions.angles)} tilts.",
    )


def _own(study):
    tilt = int(np.abs(TILTS - SHOWN).argmin())
    haadf, maps = study.haadf[tilt], study.maps[:, tilt]
    levels = maps / np.percentile(maps, 99.5, axis=(1, 2), keepdims=True).clip(1)
    return Card(
        "your_turn",
        "Take your own tilt series",
        "From the microscope's files to volumes.",
        _beside(_colored(haadf, CMAP["haadf"], (0, haadf.max())), _mixed(levels)),
        f"The HAADF image of a simulated particle at {TILTS[tilt]:.0f}°, and its noisy maps of "
        "gold (yellow) and silver (blue).",
    )


def _split(left, right):
    """Return the left half of one image and the right half of another, with a line between."""
    middle = left.shape[1] // 2
    whole = np.concatenate([left[:, :middle], right[:, middle:]], axis=1).astype(float)
    whole[:, middle] = np.nan
    return whole


def _colored(image, cmap, limits):
    colors = mpl.colormaps[cmap].with_extremes(bad="white")
    low, high = limits
    return colors((image - low) / (high - low))[..., :3]


def _mixed(densities):
    """Return densities, (elements, n, n), as colors that mix on white."""
    shares = np.asarray(densities, float).clip(0, 1)
    total = shares.sum(axis=0)
    mixed = np.einsum("erc,ek->rck", shares / np.maximum(total, 1e-9), COLORS)
    seen = total.clip(0, 1)[..., None]
    return 1 - seen * (1 - mixed)


def _beside(*tiles):
    """Return square tiles as one picture, each of `SIDE` pixels."""
    shown = [tile[_rows(len(tile))][:, _rows(tile.shape[1])] for tile in tiles]
    gap = np.ones((SIDE, GAP, 3))
    return np.concatenate([shown[0], gap, *shown[1:]], axis=1)


def _rows(count):
    return np.arange(SIDE) * count // SIDE
