"""The true specimen, and what reconstructions are measured against it."""

import copy
import dataclasses

import numpy as np

import hebt
from hebt import simulate

from ..threads import run
from .measures import CLEAR, EDGES, ELEMENTS, REACH, STEPS, Box, dots, edge_width
from .views import BINNING, BODY, FIGURE_5, FIGURE_5_SIZE, Body, Views, to_steps

_SHELL = 8.0  # nm: what lies nearer to a surface than this belongs to no region
_SHELL_WIDTH = 1.0  # nm
_BALL = 14.0  # nm: radius of the ball that the alloy's shells fill


@dataclasses.dataclass(frozen=True, eq=False)
class Profile:
    """What an element's reconstruction does across a surface of the true specimen.

    Attributes
    ----------
    distance
        (points,): nm from the surface; positive outside.
    values
        (points,): mean reconstruction at that distance; bulk density is 1.
    width
        Distance in nm over which the fitted edge, an error function, goes from 10 to 90 %.
    """

    distance: np.ndarray
    values: np.ndarray
    width: float


class Truth:
    """The true specimen, and what reconstructions are measured against it.

    Parameters
    ----------
    specimen
        `hebt.simulate.Specimen` of Au and Ag, density in kg/m³.
    surfaces
        Whether the two elements are apart, with surfaces to measure at.
    """

    # a voxel's code: label in the segmentation + 3 * label of the truth + 9 * region; labels are
    # 0 outside, 1 Ag, 2 Au; regions 0 near a surface, 1 outside, 2 Ag, 3 Au
    CODES = 36
    surfaces = ("interface", "edge")

    def __init__(self, specimen, *, surfaces: bool):
        if tuple(specimen.elements) != ELEMENTS:
            raise ValueError(f"specimen has {specimen.elements}; expected {ELEMENTS}.")
        self.voxel_size = float(specimen.voxel_size)
        self.size = specimen.size
        bulk = np.array([simulate.DENSITY[e] for e in ELEMENTS], np.float32)
        # (elements, slices, size, size): volume fractions in 8 bits
        self.fraction = np.stack(
            [np.rint(d * (STEPS / b)).astype(np.uint8) for d, b in zip(specimen.density, bulk)]
        )
        inside = self.fraction.sum(axis=0, dtype=np.uint16) * 2 > STEPS
        self.labels = np.where(inside, 1, 0).astype(np.uint8)
        self.labels[self.fraction[0] > STEPS // 2] = 2
        self.region = np.zeros_like(self.labels)
        self.distance = {}
        # nm from the middle
        self.heights = (np.arange(self.size) - (self.size - 1) / 2) * self.voxel_size
        if surfaces:
            self._measure()
        self._complete()

    def _complete(self):
        self.box = Box(self.labels > 0, 6)
        # as the solver holds volumes
        self.layout = np.ascontiguousarray(self.fraction.transpose(0, 2, 3, 1))
        self._powers = None

    def part(self, slices: slice) -> "Truth":
        """Return the truth of some slices, for scores and composition.

        What belongs to the whole stays there: surfaces, `band` and pictures.
        """
        part = copy.copy(self)
        part.fraction, part.labels = self.fraction[:, slices], self.labels[slices]
        part.region, part.heights = self.region[slices], self.heights[slices]
        part.distance = {}
        part._complete()
        return part

    def _measure(self):
        """Distances from both surfaces, in nm, at every second voxel; and the regions."""
        from scipy.ndimage import distance_transform_edt

        thin = self.labels[::2, ::2, ::2]
        bodies = [b for body in (thin == 2, thin > 0) for b in (~body, body)]
        spacing = 2 * self.voxel_size

        def measure(body):
            return distance_transform_edt(body, sampling=spacing).astype(np.float32)

        found = run(measure, [(body,) for body in bodies])
        for k, name in enumerate(self.surfaces):
            # the surface runs half way between the voxels on both sides
            self.distance[name] = found[2 * k] - found[2 * k + 1]
            self.distance[name] -= np.sign(self.distance[name]) * np.float32(self.voxel_size)
        interface, edge = (self.distance[name] for name in self.surfaces)
        region = np.zeros(thin.shape, np.uint8)
        region[edge > _SHELL] = 1
        region[(edge < -_SHELL) & (interface > _SHELL)] = 2
        region[interface < -_SHELL] = 3
        for axis in range(3):
            region = region.repeat(2, axis)
        self.region = region[: self.size, : self.size, : self.size]

    def codes(self, labels=None) -> np.ndarray:
        """Return the code of each voxel, (size, size, slices), uint8."""
        code = self.labels * np.uint8(3) + self.region * np.uint8(9)
        if labels is not None:
            code += labels
        return np.ascontiguousarray(code.transpose(1, 2, 0))

    def in_band(self, held: slice) -> np.ndarray:
        """Say which of some slices belong to `band`."""
        numbers = np.arange(self.size)
        return np.isin(numbers[held], numbers[self.band])

    def compare(self, parts) -> dict:
        """Say how well a segmentation meets the truth, for Au and Ag."""
        overlap, error = [], []
        for label in (2, 1):
            true, found = self.labels == label, parts.mask(label)
            both = np.count_nonzero(true & found)
            n_true, n_found = np.count_nonzero(true), np.count_nonzero(found)
            overlap.append(2 * both / (n_true + n_found))
            error.append(n_found / n_true - 1)
        return {"overlap": np.array(overlap), "volume_error": np.array(error)}

    def powers(self):
        """Sum and sum of squares of each element's true volume fractions."""
        if self._powers is None:
            values = np.arange(256) / STEPS
            counts = [np.bincount(f.ravel(), minlength=256) for f in self.fraction]
            self._powers = [(float(c @ values), float(c @ values**2)) for c in counts]
        return self._powers

    @property
    def band(self) -> slice:
        """Every second slice of the middle third, for the mask experiments."""
        first = 2 * (self.size // 6)
        return slice(first, self.size - first, 2)

    def scale(self, x, band=slice(None)) -> np.ndarray:
        """Return (elements,): the factor that brings each element nearest to the truth."""
        factors = []
        for true, y in zip(self.fraction[:, band], x, strict=True):
            cross, square = dots(true, y)
            factors.append(cross / square / STEPS if square else 0.0)
        return np.array(factors, np.float32)

    def profile(self, image, surface: str, held: slice = slice(None)) -> Profile:
        """Average a volume over surfaces of equal distance from one of the true surfaces.

        `image` holds these of all slices.
        """
        numbers = np.arange(self.size)[held]
        even = numbers % 2 == 0
        thin, image = numbers[even] // 2, image[even, ::2, ::2]
        distance = self.distance[surface][thin]
        other = self.distance["edge" if surface == "interface" else "interface"][thin]
        # deep below the edge, or far outside the gold
        clear = other < -CLEAR if surface == "interface" else other > CLEAR
        use = (np.abs(distance) < REACH) & clear
        step = max(1.0, 2 * self.voxel_size)
        bins = np.rint((distance[use] + REACH) / step).astype(int)
        counts = np.bincount(bins)
        some = counts > 0
        values = np.bincount(bins, weights=image[use])[some] / counts[some]
        at = np.bincount(bins, weights=distance[use])[some] / counts[some]
        return Profile(at, values, edge_width(at, values, counts[some]))

    def own_profiles(self) -> dict:
        """Return the profiles of the true specimen itself, which nothing has blurred."""
        fraction = self.fraction / np.float32(STEPS)
        return {("true", e, s): self.profile(fraction[ELEMENTS.index(e)], s) for e, s in EDGES}

    def localized(self, scaled) -> dict:
        """Say how well both elements are told apart in the slices of `band`, at the best scale."""
        inside = self.labels[self.band] > 0
        error, outside, mse, width = [], [], [], []
        for k, y in enumerate(scaled):
            f = self.fraction[k, self.band][inside] * np.float32(1 / STEPS)
            cut = y[inside]
            cross, square, power = (float(np.dot(a, b)) for a, b in ((f, cut), (cut, cut), (f, f)))
            error.append(1 - cross**2 / (square * power))
            outside.append(1 - cut.sum(dtype=np.float64) / y.sum(dtype=np.float64))
            cross, square = dots(self.fraction[k, self.band], y)
            values = np.bincount(self.fraction[k, self.band].ravel(), minlength=256)
            whole = float(values @ (np.arange(256) / STEPS) ** 2)
            mse.append((whole - (cross / STEPS) ** 2 / square) / y.size)
            width.append(self.profile(y, "interface", self.band).width)
        keys = ("error", "outside", "mse", "width")
        values = (error, outside, mse, width)
        return {key: np.array(v, np.float64) for key, v in zip(keys, values, strict=True)}

    # ---- composition

    def true_profile(self):
        """Return the mean radius (nm) and the atomic fraction of Au of each shell."""
        shell, radius = self._shells()
        counts = np.bincount(shell)
        mean = np.bincount(shell, weights=radius) / counts
        return mean, self._profile(self.box.cut(self.fraction) * np.float32(1 / STEPS))

    def composition(self, x, factors) -> dict:
        """Measure the atomic fraction of Au in shells, and its error in single voxels.

        `factors` (elements,) divide x to give densities.
        """
        bulk = np.array([simulate.DENSITY[e] for e in ELEMENTS])
        # volume fractions times bulk densities are what composition() makes of the factors 1
        parts = self.box.cut(x) / (np.asarray(factors) * bulk)[:, None, None, None].astype("f4")
        full = self.box.cut(self.fraction).sum(axis=0, dtype=np.uint16) >= STEPS - 2
        found, true = (
            hebt.composition(
                np.ascontiguousarray(part[:, full]) * bulk[:, None].astype("f4"),
                np.ones(2),
                np.ones(2),
                ELEMENTS,
                "atomic",
            )[0]
            for part in (parts, self.box.cut(self.fraction) / np.float32(STEPS))
        )
        error = (found - true).astype(np.float64)
        return {
            "profile": self._profile(parts),
            # a voxel in which nothing was reconstructed has no composition
            "voxel_error": float(np.sqrt(np.nanmean(error**2))),
        }

    def _shells(self):
        """Number of the shell of 1 nm, and the radius, of each voxel of a ball in the box."""
        across = (np.arange(self.size) - (self.size - 1) / 2) * self.voxel_size
        z, y, x = (
            at[part].astype(np.float32)
            for at, part in zip((self.heights, across, across), self.box.slices, strict=True)
        )
        radius = np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2)
        width = max(_SHELL_WIDTH, 2 * self.voxel_size)
        shells = int(_BALL / width)
        shell = (radius / np.float32(width)).astype(np.int32)
        self._ball = shell < shells
        return shell[self._ball], radius[self._ball]

    def _profile(self, parts):
        """Atomic fraction of Au in each shell, from volume fractions (elements, ...) of the box."""
        shell, _ = self._shells()
        masses = [
            np.bincount(shell, weights=part[self._ball]) * simulate.DENSITY[e]
            for e, part in zip(ELEMENTS, parts, strict=True)
        ]
        return hebt.composition(masses, np.ones(2), np.ones(2), ELEMENTS, "atomic")[0]

    # ---- pictures

    def filled(self, x, slices: slice) -> np.ndarray:
        """Return x (..., slices, size, size) among all slices; those that it lacks are 0."""
        every = np.zeros((*x.shape[:-3], self.size, *x.shape[-2:]), np.float32)
        every[..., slices, :, :] = x
        return every

    def views(self, scaled):
        """Return the slices of the box, binned, and the chosen slices, as 8-bit steps."""
        boxed = self.box.cut(scaled)
        slices, rows, columns = (n - n % BINNING for n in boxed.shape)
        binned = boxed[:, :rows, :columns].reshape(
            len(boxed), rows // BINNING, BINNING, columns // BINNING, BINNING
        )
        return to_steps(binned.mean(axis=(2, 4))), to_steps(scaled[list(self.chosen)])

    @property
    def chosen(self):
        """The slices of Figure 5, for this size."""
        return tuple(round(s * self.size / FIGURE_5_SIZE) for s in FIGURE_5)

    def body(self, scaled) -> Body:
        """Return a cube around the particle, binned to at most `_BODY` voxels a side."""
        inside = [s.stop - s.start for s in self.box.slices]
        factor = max(1, -(-max(inside) // BODY))
        side = min(self.size // factor, -(-max(inside) // factor))
        starts = [
            min(max(0, (s.start + s.stop - side * factor) // 2), self.size - side * factor)
            for s in self.box.slices
        ]
        cube = tuple(slice(a, a + side * factor) for a in starts)
        cut = np.asarray(scaled)[(slice(None), *cube)].astype(np.float32)
        shape = [n for _ in range(3) for n in (side, factor)]
        return Body(
            to_steps(cut.reshape(-1, *shape).mean(axis=(2, 4, 6))), factor * self.voxel_size
        )

    def gather(self, slices, whole, bodies) -> Views:
        """Put the pictures of all columns together."""
        return Views(
            self.box.slices[0].start,
            np.stack(slices),
            BINNING,
            self.chosen,
            np.stack(whole),
            bodies,
        )
