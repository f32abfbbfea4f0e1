"""Specimens to simulate: where each element is, and how dense."""

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from .._checks import as_float32, as_float64, check_count, check_names, check_number

# bulk densities in kg/m³
DENSITY = {"Au": 19300.0, "Ag": 10490.0}
_SAMPLES = 4  # along each edge of a voxel that a surface cuts
# as float32, so that grids stay so
_HALF, _THIRD = np.float32(1 / 2), np.float32(1 / 3)


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
    voxel_size
        Length of a voxel's side in nm; None where lengths are counted in pixels.
    """

    elements: tuple[str, ...]
    density: np.ndarray
    voxel_size: float | None = None

    def __post_init__(self):
        density = check_density(self.density).view()
        elements = tuple(check_names(self.elements, len(density), name="elements"))
        if density.shape[-1] != density.shape[-2]:
            raise ValueError(
                f"density has slices of {density.shape[-2]} by {density.shape[-1]} pixels; "
                "expected squares."
            )
        if self.voxel_size is not None:
            size = check_number("voxel_size", self.voxel_size, "a length in nm above 0")
            object.__setattr__(self, "voxel_size", size)
        density.flags.writeable = False
        object.__setattr__(self, "elements", elements)
        object.__setattr__(self, "density", density)

    @property
    def size(self) -> int:
        """Pixels along one side of a slice."""
        return self.density.shape[-1]


def check_density(density: ArrayLike) -> np.ndarray:
    """Return densities as float32, (elements, [slices,] size, size), none of them negative."""
    density = as_float32("density", density, ndim=(3, 4))
    if density.min() < 0:
        raise ValueError(f"density goes down to {density.min():g}; expected no negative value.")
    return density


def phantom(
    size: int = 512,
    *,
    side: float = 370.0,
    corner: float = 50.0,
    half_diagonal: float = 185.0,
    cut: float = 0.12,
) -> Specimen:
    """Return the 2D Au/Ag phantom: a gold diamond in a silver square with rounded corners.

    The paper prints no measures. These were chosen to resemble its picture (Figure 1 a, b), and of
    the shapes tried bring the mean-squared errors nearest to those of Table 1. Lengths are given
    for a frame of 512 pixels and scale with `size`.

    Parameters
    ----------
    size
        Pixels along one side of the frame.
    side, corner
        Side of the square and radius of its corners, in pixels of a 512-pixel frame.
    half_diagonal
        Center to tip of the diamond before its tips are cut, in the same pixels.
    cut
        Fraction of the half-diagonal by which each tip is shortened.

    Returns
    -------
    Specimen
        Au and Ag, density (2, size, size): 1 where an element is and 0 elsewhere. A pixel goes
        wholly to the element that lies at its center, since the pixel difference DP of Table 1
        needs binary references. The center of the frame is the center of the particle.

    Raises
    ------
    TypeError, ValueError
        If the square does not fit into the frame, or its corners or the diamond into the square.

    Examples
    --------
    >>> import hebt
    >>> specimen = hebt.simulate.phantom(64)
    >>> specimen.elements, specimen.density.shape
    (('Au', 'Ag'), (2, 64, 64))

    Notes
    -----
    In the plane, the areas are side² − (4 − π) corner² for both elements together and
    2 h² (1 − 2 cut²) for Au, with h the half-diagonal.

    Source: sections 3.1 and Figure 1 of the paper, for the arrangement.
    """
    size = check_count("size", size)
    side = check_number("side", side, "a length above 0 and up to 512 (the frame)", most=512)
    expected = f"0 to half the side, {side / 2:g}"
    corner = check_number("corner", corner, expected, also_least=True, most=side / 2)
    expected = "a fraction from 0 to below 1"
    cut = check_number("cut", cut, expected, also_least=True, most=1, also_most=False)
    half_diagonal = check_number("half_diagonal", half_diagonal, "a length above 0")
    if not 0 < half_diagonal * (1 - cut) <= side / 2:
        raise ValueError(
            f"half_diagonal is {half_diagonal:g}, cut is {cut:g}: the diamond's tips lie "
            f"{half_diagonal * (1 - cut):g} from the center; expected above 0 and at most half "
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
    """Return a 2D Au/Ag alloy disc whose gold content rises from the center to the rim.

    The volume fraction of gold grows with the square of the radius, from 0.1 to 0.8; volumes add
    up. Used where a composition has to be recovered.

    Parameters
    ----------
    size
        Pixels along one side of the frame; the disc has 0.7 of it as its diameter.

    Returns
    -------
    Specimen
        Au and Ag, density (2, size, size) in g/cm³; a pixel is inside if its center is.
    """
    size = check_count("size", size)
    offsets = (np.arange(size) + 0.5) / size - 0.5
    radius = np.hypot(offsets[:, None], offsets[None, :]) / 0.35
    inside = radius <= 1
    gold = 0.1 + 0.7 * np.minimum(radius, 1) ** 2
    # bulk densities
    density = np.stack([19.3 * gold, 10.5 * (1 - gold)]) * inside
    return Specimen(("Au", "Ag"), density.astype(np.float32))


def embedded_octahedron(
    size: int = 300,
    *,
    field: float = 135.0,
    half_width: float = 45.0,
    tip: float = 42.0,
    turn: tuple[float, float, float] = (25.0, 18.0, 35.0),
) -> Specimen:
    """Return an Ag particle of about 110 nm with an embedded Au octahedron.

    The Ag particle is a cube with its edges and corners cut off by {110} and {111} faces; the
    octahedron's tips lie on the cube's axes. The paper gives the diameter and the kind of particle
    (section 4.2), but no measures; these were chosen to resemble its Figures 3 and 6. Both are
    centered on the frame and turned so that no face lies along it.

    Parameters
    ----------
    size
        Voxels along each side of the frame.
    field
        Side of the frame, in nm.
    half_width
        From the center to a {100} face of the Ag particle, in nm. Its {110} faces are 1.25
        times, its {111} faces 1.4 times as far away.
    tip
        From the center to a tip of the octahedron, in nm.
    turn
        Rotations about the tilt axis, then the other two axes, in degrees.

    Returns
    -------
    Specimen
        Au and Ag, density (2, size, size, size) in kg/m³ with the slices first. Voxels that a
        surface cuts have the share that lies inside.

    Raises
    ------
    TypeError, ValueError
        If the octahedron does not fit into the particle, or the particle into the frame.
    """
    half_width = check_number("half_width", half_width, "a length in nm above 0")
    tip = check_number("tip", tip, "a length in nm above 0")
    edge, corner = 1.25 * half_width, 1.4 * half_width
    # a corner, where one face of each kind meets
    second = np.sqrt(2) * edge - half_width
    reach = np.linalg.norm([half_width, second, np.sqrt(3) * corner - half_width - second])

    def particle(r):
        a, b, c = np.abs(r)
        total = a + b + c
        largest, least = np.maximum(np.maximum(a, b), c), np.minimum(np.minimum(a, b), c)
        distance = np.maximum(largest - half_width, (total - least) * _HALF**0.5 - edge)
        return np.maximum(distance, total * _THIRD**0.5 - corner)

    def octahedron(r):
        a, b, c = np.abs(r)
        return (a + b + c - tip) * _THIRD**0.5

    if tip > half_width:
        raise ValueError(
            f"tip is {tip:g} nm and half_width {half_width:g} nm; expected an octahedron that "
            "fits into the particle: above 0 and at most half_width."
        )
    grid = _Grid(size, field, turn, reach)
    inside, gold = grid.share(particle), grid.share(octahedron)
    inside -= gold  # the octahedron lies within the particle, its cut voxels too
    np.maximum(inside, 0, out=inside)
    gold *= DENSITY["Au"]
    inside *= DENSITY["Ag"]
    return Specimen(("Au", "Ag"), np.stack([gold, inside]), grid.voxel)


def alloy_particle(
    size: int = 300,
    *,
    field: float = 37.5,
    half_width: float = 14.2,
    gold: tuple[float, float] = (0.15, 0.6),
    turn: tuple[float, float, float] = (20.0, 12.0, 28.0),
) -> Specimen:
    """Return an Au-Ag alloy particle of about 30 nm that is richer in Au towards the outside.

    A truncated octahedron. The atomic fraction of Au grows with the square of the distance from
    the center. Au and Ag have nearly the same lattice constant, so volumes add up: each element
    has its fraction of its bulk density.

    Parameters
    ----------
    size
        Voxels along each side of the frame.
    field
        Side of the frame, in nm.
    half_width
        From the center to a {100} face, in nm; the {111} faces are 0.93 times as far away.
    gold
        Atomic fraction of Au in the center, and at a distance of `half_width`.
    turn
        As for `embedded_octahedron`.

    Returns
    -------
    Specimen
        Au and Ag, density (2, size, size, size) in kg/m³; see `embedded_octahedron`.

    Raises
    ------
    TypeError, ValueError
        If the particle does not fit into the frame, or a fraction leaves the range 0 to 1.
    """
    half_width = check_number("half_width", half_width, "a length in nm above 0")
    center, rim = _some("gold", gold, 2)
    corner = 0.93 * half_width
    reach = np.hypot(half_width, np.sqrt(3) * corner - half_width)

    def particle(r):
        a, b, c = np.abs(r)
        distance = np.maximum(np.maximum(a, b), c) - half_width
        return np.maximum(distance, (a + b + c) * _THIRD**0.5 - corner)

    if not (0 <= center <= 1 and 0 <= center + (rim - center) * (reach / half_width) ** 2 <= 1):
        raise ValueError(
            f"gold is {gold}; expected fractions from 0 to 1, also at the corners, at "
            f"{reach / half_width:.2f} times half_width from the center."
        )
    grid = _Grid(size, field, turn, reach)
    inside = grid.share(particle)
    fraction = (center + (rim - center) * grid.radius_squared() / half_width**2).clip(0, 1)
    density = np.empty((2, *inside.shape), np.float32)
    density[0] = DENSITY["Au"] * fraction * inside
    density[1] = DENSITY["Ag"] * (1 - fraction) * inside
    return Specimen(("Au", "Ag"), density, grid.voxel)


class _Grid:
    """Voxels in nm, and how much of each lies inside a body that reaches so far from the center."""

    def __init__(self, size, field, turn, reach):
        from scipy.spatial.transform import Rotation

        self.size = check_count("size", size)
        field = check_number("field", field, "a length in nm above 0")
        turn = _some("turn", turn, 3)
        if field < 2 * reach:
            raise ValueError(
                f"field is {field:g} nm, but with this half_width the particle reaches "
                f"{reach:.1f} nm from the center; expected at least {2 * reach:.0f} nm, so that it "
                "stays in the frame at all tilts."
            )
        self.voxel = field / self.size
        self.at = ((np.arange(self.size) - (self.size - 1) / 2) * self.voxel).astype(np.float32)
        self.turn = Rotation.from_euler("xyz", turn, degrees=True).as_matrix().astype(np.float32)

    def share(self, distance: Callable) -> np.ndarray:
        """Return (size, size, size): which share of each voxel lies inside.

        `distance` gives, for points (3, ...) in the body's own axes, how far they lie outside
        the nearest of its faces' planes, less than 0 inside. The body looks the same from r and
        -r.
        """
        steps = (np.arange(_SAMPLES) + 0.5) / _SAMPLES - 0.5
        within = np.stack(np.meshgrid(steps, steps, steps, indexing="ij")).reshape(3, -1)
        within = self.turn.T @ (within * self.voxel).astype(np.float32)
        share = np.empty((self.size,) * 3, np.float32)
        for i in range((self.size + 1) // 2):
            r = self._plane(i)
            d = distance(r)
            share[i] = d < 0
            cut = np.abs(d) < 0.87 * self.voxel  # half a voxel's diagonal
            if cut.any():
                share[i][cut] = (distance(r[:, cut][..., None] + within[:, None]) < 0).mean(axis=1)
            share[-1 - i] = share[i][::-1, ::-1]
        return share

    def radius_squared(self) -> np.ndarray:
        """Return (size, size, size): squared distance from the center, in nm²."""
        squares = self.at**2
        return squares[:, None, None] + squares[:, None] + squares

    def _plane(self, i):
        """Return (3, size, size): the voxels of slice i, in the body's own axes."""
        r = np.array([self.at[i], 0, 0])[:, None, None] * np.ones((1, self.size, self.size))
        r[1] = self.at[:, None]
        r[2] = self.at
        return np.tensordot(self.turn.T, r.astype(np.float32), 1)


def _some(name, values, count):
    values = as_float64(name, values, ndim=(1,))
    if len(values) != count:
        raise ValueError(f"{name} is {values.tolist()}; expected {count} numbers.")
    return values.tolist()
