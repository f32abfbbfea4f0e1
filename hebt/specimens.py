"""Specimens to simulate: where each element is, and how dense."""

import dataclasses

import numpy as np

from hebt import _checks


@dataclasses.dataclass(frozen=True, eq=False)
class Specimen:
    """A specimen made of some elements.

    Attributes
    ----------
    elements
        The elements' symbols.
    density
        (elements, [slices,] size, size), float32, read-only: density of each element, in the unit
        that the response factors z and ζ expect (1 inside and 0 outside for a binary phantom).
    """

    elements: tuple[str, ...]
    density: np.ndarray

    def __post_init__(self):
        density = _checks.as_float32("density", self.density, ndim=(3, 4)).view()
        if len(self.elements) != len(density):
            raise ValueError(
                f"density has {len(density)} elements (shape {density.shape}), but elements names "
                f"{len(self.elements)}: {', '.join(self.elements)}; expected one name for each."
            )
        if density.shape[-1] != density.shape[-2]:
            raise ValueError(
                f"density has slices of {density.shape[-2]} by {density.shape[-1]} pixels; "
                "expected squares."
            )
        if density.min() < 0:
            raise ValueError(f"density goes down to {density.min():g}; expected no negative value.")
        density.flags.writeable = False
        object.__setattr__(self, "elements", tuple(self.elements))
        object.__setattr__(self, "density", density)

    @property
    def size(self) -> int:
        """Pixels along one side of a slice."""
        return self.density.shape[-1]


def phantom(
    size: int = 512,
    *,
    side: float = 370.0,
    corner: float = 50.0,
    half_diagonal: float = 185.0,
    cut: float = 0.12,
) -> Specimen:
    """Return the 2D Au/Ag phantom: a gold diamond in a silver square with rounded corners.

    The paper shows its phantom as a picture (Figure 1 a, b) and prints no measures. These were
    chosen to resemble that picture, with Table 1 in view: among the shapes tried, they bring the
    mean-squared errors nearest to the printed ones. Lengths are given for a frame of 512 pixels
    and scale with `size`.

    Parameters
    ----------
    size
        Pixels along one side of the frame.
    side, corner
        Side of the square and radius of its corners, in pixels of a 512-pixel frame.
    half_diagonal
        Centre to tip of the diamond before its tips are cut, in the same pixels.
    cut
        Fraction of the half-diagonal by which each tip is shortened.

    Returns
    -------
    Specimen
        Au and Ag, density (2, size, size): 1 where an element is and 0 elsewhere. A pixel goes
        wholly to the element that lies at its centre, since the pixel difference DP of Table 1
        needs binary references. The centre of the frame is the centre of the particle.

    Raises
    ------
    ValueError
        If the square does not fit into the frame, its corners not into the square, or the diamond
        not into the square.

    Notes
    -----
    In the plane, the areas are side² − (4 − π) corner² for both elements together and
    2 h² (1 − 2 cut²) for Au, with h the half-diagonal.

    Source: sections 3.1 and Figure 1 of the paper, for the arrangement.
    """
    size = _checks.check_count("size", size)
    if not 0 < side <= 512:
        raise ValueError(f"side is {side:g}; expected a length above 0 and up to 512 (the frame).")
    if not 0 <= corner <= side / 2:
        raise ValueError(f"corner is {corner:g}; expected 0 to half the side, {side / 2:g}.")
    if not 0 <= cut < 1:
        raise ValueError(f"cut is {cut:g}; expected a fraction from 0 to below 1.")
    if not 0 < half_diagonal * (1 - cut) <= side / 2:
        raise ValueError(
            f"half_diagonal is {half_diagonal:g}, cut is {cut:g}: the diamond's tips lie "
            f"{half_diagonal * (1 - cut):g} from the centre; expected above 0 and at most half "
            f"the square's side, {side / 2:g}."
        )
    offsets = np.abs((np.arange(size) + 0.5) * (512 / size) - 256)
    x, y = offsets[None, :], offsets[:, None]

    into_corner = np.hypot(
        np.maximum(x - (side / 2 - corner), 0), np.maximum(y - (side / 2 - corner), 0)
    )
    square = (np.maximum(x, y) <= side / 2) & (into_corner <= corner)
    tip = half_diagonal * (1 - cut)
    gold = (x + y <= half_diagonal) & (np.maximum(x, y) <= tip) & square
    return Specimen(("Au", "Ag"), np.stack([gold, square & ~gold]).astype(np.float32))


def graded_disc(size: int = 64) -> Specimen:
    """Return a 2D Au/Ag alloy disc whose gold content rises from the centre to the rim.

    The volume fraction of gold grows with the square of the radius, from 0.1 to 0.8; volumes add
    up. Used where a composition has to be recovered.

    Parameters
    ----------
    size
        Pixels along one side of the frame; the disc has 0.7 of it as its diameter.

    Returns
    -------
    Specimen
        Au and Ag, density (2, size, size) in g/cm³; a pixel is inside if its centre is.
    """
    size = _checks.check_count("size", size)
    offsets = (np.arange(size) + 0.5) / size - 0.5
    radius = np.hypot(offsets[:, None], offsets[None, :]) / 0.35
    inside = radius <= 1
    gold = 0.1 + 0.7 * np.minimum(radius, 1) ** 2
    # bulk densities
    density = np.stack([19.3 * gold, 10.5 * (1 - gold)]) * inside
    return Specimen(("Au", "Ag"), density.astype(np.float32))
