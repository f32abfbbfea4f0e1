"""The matrix W of a single-axis tilt series: forward and back projection of slices (Eq. 3, 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ._checks import as_float32, check_angles, check_count, check_number
from ._engine.arrays import empty, slices_first, slices_last
from ._engine.beam import Beam

if TYPE_CHECKING:
    import scipy.sparse


class Projector:
    """Projection of slices perpendicular to the tilt axis, with the area weights of a strip.

    The weight w_ij of Eq. 3 is the area that ray i, a strip as wide as a pixel, shares with
    voxel j, a square of area 1, worked out in closed form while projecting; the matrix itself is
    never held. All slices share it: many in one call cost far less than many calls with one.
    Up to 16 slices are worked on by kernels of their own, in the memory of one more copy of them
    to project, and of some 25 more copies of their projections (up to 8 slices) to project back.

    Parameters
    ----------
    angles
        Tilt angles in degrees, shape (tilts,).
    size
        Pixels along the edge of a slice, and detector bins across the tilt axis. The rotation
        axis passes through the middle of both, between two pixels where `size` is even.

    Attributes
    ----------
    angles : numpy.ndarray
        The tilt angles in degrees, float64, shape (tilts,).
    size : int
        Pixels along the edge of a slice.
    row_sums : numpy.ndarray
        Sums of W's rows: the rays' lengths within a slice in pixels, float32, (tilts, size).
    column_sums : numpy.ndarray
        Sums of W's columns: how much of each voxel all tilts see, float32, (size, size).

    Raises
    ------
    TypeError, ValueError
        If `angles` is no list of finite numbers, or `size` no whole number of at least 1.

    Warns
    -----
    UserWarning
        If the angles look like radians.

    Notes
    -----
    The geometry is that of ASTRA's ``create_proj_geom('parallel', 1, size, deg2rad(angles))``
    with its ``strip`` projector (van Aarle et al., Ultramicroscopy 157 (2015) 35-47): at
    0 degrees, detector bin j sums column j of a slice; at 90 degrees, bin j sums row
    size - 1 - j. ASTRA holds its weights in single precision and accumulates rounding errors
    across the detector; the weights here follow the closed form.

    Examples
    --------
    >>> import hebt, numpy as np
    >>> W = hebt.Projector([-60, 0, 60], 128)
    >>> W.forward(np.ones((10, 128, 128))).shape
    (3, 10, 128)
    """

    def __init__(self, angles: ArrayLike, size: int):
        self.angles = check_angles(angles)
        self.angles.setflags(write=False)
        self.size = check_count("size", size)
        self._beam = Beam(self.angles, self.size)

    def __repr__(self) -> str:
        tilts = len(self.angles)
        low, high = self.angles.min(), self.angles.max()
        return f"Projector({tilts} tilts from {low:g} to {high:g} degrees, size {self.size})"

    def __dask_tokenize__(self):
        return type(self).__name__, self.angles.tolist(), self.size

    @property
    def row_sums(self) -> np.ndarray:
        return self._beam.row_sums

    @property
    def column_sums(self) -> np.ndarray:
        return self._beam.column_sums

    def forward(self, x: ArrayLike) -> np.ndarray:
        """Project slices: p = W x.

        Parameters
        ----------
        x
            Slices, shape ([slices,] size, size). Several leading axes count as slices.

        Returns
        -------
        numpy.ndarray
            Projections, float32, shape (tilts, [slices,] size), in units of x times pixels.

        Raises
        ------
        TypeError, ValueError
            If x is no array of finite real numbers of that shape.
        """
        x = as_float32("x", x)
        if x.ndim < 2 or x.shape[-2:] != (self.size, self.size):
            raise ValueError(
                f"x has shape {x.shape}; expected ([slices,] {self.size}, {self.size}) for this "
                f"projector of size {self.size}."
            )
        lead = x.shape[:-2]
        columns = slices_last(x.reshape(-1, self.size * self.size))
        p = self._beam.forward(columns)[:, :, : x.size // self.size**2]
        return np.ascontiguousarray(p.swapaxes(1, 2)).reshape(len(self.angles), *lead, self.size)

    def backward(self, p: ArrayLike) -> np.ndarray:
        """Project back: x = Wᵀ p, the adjoint of `forward`.

        Parameters
        ----------
        p
            Projections, shape (tilts, [slices,] size). Several middle axes count as slices.

        Returns
        -------
        numpy.ndarray
            Slices, float32, shape ([slices,] size, size).

        Raises
        ------
        TypeError, ValueError
            If p is no array of finite real numbers of that shape.
        """
        p = as_float32("p", p)
        self.check_projections("p", p)
        lead = p.shape[1:-1]
        tilts, slices = len(self.angles), p.size // (len(self.angles) * self.size)
        columns = empty(tilts, self.size, slices)
        columns[:, :, :slices] = p.reshape(tilts, slices, self.size).swapaxes(1, 2)
        x = self._beam.backward(columns)
        return slices_first(x, slices).reshape(*lead, self.size, self.size)

    def matrix(self) -> scipy.sparse.csr_array:
        """Return W as a sparse matrix, for checks and for other solvers.

        It is worked out in double precision, independently of `forward` and `backward`, and holds
        about 2.3 numbers for each pixel and tilt: 80 MB at size 300 and 31 tilts.

        Returns
        -------
        scipy.sparse.csr_array
            float32, shape (tilts * size, size * size); rows and columns in the order of
            ``p.ravel()`` and ``x.ravel()`` for one slice, as in ASTRA.
        """
        import scipy.sparse

        size, half = self.size, (self.size - 1) / 2
        y, x = np.mgrid[half : -half - 1 : -1, -half : half + 1 : 1]
        pixels = np.arange(size * size)
        blocks = []
        for cosine, sine in zip(self._beam.cosines, self._beam.sines, strict=True):
            center = (half + x * cosine + y * sine).ravel()
            first = np.floor(center - (abs(cosine) + abs(sine)) / 2 + 0.5).astype(int)
            bins = first + np.arange(3)[:, None]
            edges = first - 0.5 + np.arange(4)[:, None] - center
            weights = np.diff(_shadow_left_of(edges, cosine, sine), axis=0)
            # what is narrower than rounding is no overlap
            seen = (weights > 1e-12) & (bins >= 0) & (bins < size)
            columns = np.broadcast_to(pixels, bins.shape)[seen]
            blocks.append(
                scipy.sparse.csr_array(
                    (weights[seen].astype(np.float32), (bins[seen], columns)),
                    shape=(size, size * size),
                )
            )
        return scipy.sparse.vstack(blocks, format="csr")

    def check_projections(self, name: str, p: np.ndarray) -> None:
        """Raise a ValueError unless `p` has shape (tilts, [slices,] size).

        Parameters
        ----------
        name
            What the caller calls the argument.
        p
            The projections.
        """
        tilts = len(self.angles)
        if p.ndim < 2 or p.shape[0] != tilts or p.shape[-1] != self.size:
            problem = ""
            if p.ndim >= 2 and p.shape[-1] == self.size:
                problem = (
                    f" It has {p.shape[0]} tilts, the projector {tilts} angles: give both the same."
                )
            raise ValueError(
                f"{name} has shape {p.shape}; expected ({tilts}, [slices,] {self.size}), i.e. "
                f"(tilts, [slices,] size) of the projector.{problem}"
            )


def common_tilts(
    angles: ArrayLike, other_angles: ArrayLike, *, within: float = 0.05
) -> tuple[np.ndarray, np.ndarray]:
    """Find the tilts that two tilt series have in common.

    Where HAADF images were taken at more tilts than element maps, response ratios come from the
    tilts at which both were taken, and `reconstruct` uses all of them.

    Parameters
    ----------
    angles, other_angles
        Tilt angles in degrees, of the element maps and of the HAADF images for example.
    within
        Angles that differ by no more than this, in degrees, count as the same tilt.

    Returns
    -------
    tuple of numpy.ndarray
        Indices into `angles` and, in the same order, into `other_angles`. No index comes twice; of
        a tilt that does, the first one belongs to the first one.

    Raises
    ------
    TypeError, ValueError
        If an argument is no list of angles, `within` is below 0, or no tilt is common.

    Examples
    --------
    >>> import hebt
    >>> hebt.common_tilts([-30, 0, 30], [-30, -15, 0, 15, 30])
    (array([0, 1, 2]), array([0, 2, 4]))
    """
    angles, others = check_angles(angles), check_angles(other_angles, "other_angles")
    within = check_number("within", within, "degrees of at least 0", also_least=True)
    away = np.abs(angles[:, None] - others)
    pairs: list[tuple[int, int]] = []
    # nearest pairs first, of those alike the first ones; decimal angles such as 0.1 are not exact
    near = away <= within + 1e-9
    for i, j in np.argwhere(near)[np.argsort(away[near].round(9), kind="stable")]:
        if all(i != a and j != b for a, b in pairs):
            pairs.append((i, j))
    if not pairs:
        raise ValueError(
            f"angles (from {angles.min():g} to {angles.max():g}) and other_angles (from "
            f"{others.min():g} to {others.max():g}) have no tilt in common within {within:g} "
            "degrees; expected at least one. Check the angles, or give a larger within."
        )
    first, second = np.array(sorted(pairs)).T
    return first, second


def _shadow_left_of(u: np.ndarray, cosine: float, sine: float) -> np.ndarray:
    """Part of a voxel's shadow left of u: the integral of a trapezoid of area 1, in float64."""
    wide, narrow = max(abs(cosine), abs(sine)), min(abs(cosine), abs(sine))
    high, low = (wide + narrow) / 2, (wide - narrow) / 2
    ramp = max(narrow, np.finfo(float).tiny)
    rise = np.clip(u + high, 0, narrow)
    flat = np.clip(u + low, 0, 2 * low)
    fall = np.clip(u - low, 0, narrow)
    return (rise * (rise / ramp) / 2 + flat + fall - fall * (fall / ramp) / 2) / wide
