"""The surfaces of the Ag particle with the Au octahedron, and what happens across them."""

from __future__ import annotations

import dataclasses

import numpy as np

from hebt import metrics

from ..threads import run
from .measures import ELEMENTS
from .truth import Truth

# whose edge at which surface; gold has none at the outer edge
EDGES = (("Au", "interface"), ("Ag", "interface"), ("Ag", "edge"))
REACH = 12.0  # nm on both sides of a surface, for the profile across it
CLEAR = 16.0  # nm from the other surface, so that the two do not mix
PURE = 8.0  # nm: what lies nearer to a surface than this belongs to no region


@dataclasses.dataclass(frozen=True, eq=False)
class Profile:
    """Mean density (bulk: 1) at distances from a true surface, in nm, positive outside.

    `width` is the distance over which the fitted edge, an error function, goes from 10 to 90 %.
    """

    distance: np.ndarray
    values: np.ndarray
    width: float


class Surfaces:
    """Where voxels lie relative to the Au/Ag interface and the outer edge."""

    def __init__(self, truth: Truth):
        from scipy.ndimage import distance_transform_edt

        self.voxel_size = truth.voxel_size
        thin = truth.labels[::2, ::2, ::2]

        def measure(body):
            spacing = 2 * self.voxel_size
            return distance_transform_edt(body, sampling=spacing).astype(np.float32)

        def signed(body):
            outside, inside = run(measure, (~body, body))
            distance = outside - inside
            # the surface runs half way between the voxels on both sides
            return distance - np.sign(distance) * np.float32(self.voxel_size)

        # (n, n, n) each: nm of every second voxel, positive outside
        self.distance = {"interface": signed(thin == 2), "edge": signed(thin > 0)}
        interface, edge = self.distance.values()
        region = np.zeros(thin.shape, np.uint8)
        region[edge > PURE] = 1
        region[(edge < -PURE) & (interface > PURE)] = 2
        region[interface < -PURE] = 3
        for axis in range(3):
            region = region.repeat(2, axis)
        # (size, size, size): 1 outside, 2 pure Ag, 3 pure Au, 0 near a surface
        self.region = region[: truth.size, : truth.size, : truth.size]

    def profile(self, image, surface: str, numbers) -> Profile:
        """Average a volume, which holds the slices `numbers`, at distances from a true surface."""
        even = numbers % 2 == 0
        image, thin = image[even][:, ::2, ::2], numbers[even] // 2
        distance = self.distance[surface][thin]
        other = self.distance["edge" if surface == "interface" else "interface"][thin]
        # deep below the edge, or far outside the gold
        clear = other < -CLEAR if surface == "interface" else other > CLEAR
        use = (np.abs(distance) < REACH) & clear
        bins = np.rint((distance[use] + REACH) / max(1.0, 2 * self.voxel_size)).astype(int)
        counts = np.bincount(bins)
        some = counts > 0
        values = np.bincount(bins, weights=image[use])[some] / counts[some]
        at = np.bincount(bins, weights=distance[use])[some] / counts[some]
        return Profile(at, values, edge_width(at, values, counts[some]))

    def profiles(self, name: str, densities, numbers) -> dict:
        """Return the profile of each edge, (name, element, surface) -> Profile."""
        return {
            (name, e, s): self.profile(densities[ELEMENTS.index(e)], s, numbers) for e, s in EDGES
        }

    def noise(self, x, region) -> np.ndarray:
        """Return the standard deviation over the mean in each pure element, (elements,).

        `region` is that of the slices of `x`.
        """
        pure = (y[region == k] for y, k in zip(x, (3, 2), strict=True))
        return np.array([part.std(dtype=float) / part.mean(dtype=float) for part in pure])

    def localization(self, truth: Truth, x) -> dict:
        """Say how well the elements are told apart in the slices of `truth`, (elements,) each.

        `x` is at the scale nearest to the whole truth; "mse" is at the best scale, as is "error" of
        `Truth.localize`.
        """
        pairs = list(zip(truth.fractions(), x, strict=True))
        widths = [self.profile(y, "interface", truth.numbers).width for y in x]
        errors = [metrics.scaled_mse(*pair, normalise="pixels") for pair in pairs]
        return truth.localize(x) | {"mse": np.array(errors), "width": np.array(widths)}


def edge_width(distance, values, weights) -> float:
    """10 to 90 % width of the error function fitted to an edge; NaN where there is no edge."""
    from scipy.optimize import curve_fit
    from scipy.special import erf

    def edge(d, low, high, at, sigma):
        return low + (high - low) * (1 + erf((d - at) / (np.sqrt(2) * sigma))) / 2

    start = (values[0], values[-1], 0.0, 2.0)
    bounds = ([-np.inf, -np.inf, -REACH, 0.05], [np.inf, np.inf, REACH, 3 * REACH])
    try:
        found, _ = curve_fit(
            edge, distance, values, start, sigma=1 / np.sqrt(weights), bounds=bounds
        )
    except RuntimeError:
        return np.nan
    return float(2 * 1.2815515655446004 * found[3])
