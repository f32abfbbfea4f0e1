"""Total variation guided by HAADF: few edges in each element, and those where HAADF has them.

The likelihood of the counts, the misfit of HAADF, and the length of the elements' edges, of which
those that follow an edge of the HAADF reconstruction count little, are minimized together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ._checks import check_flag, check_number
from ._composition_em import CompositionEM, divide
from ._counts import shifted_counts
from ._engine.tv import TvRun
from ._guide import haadf_noise, haadf_reconstruction, mean_inside
from ._method import Method
from ._problem import Problem, Run
from ._solve import iterate

_SMOOTH = 0.05  # gradients of S, relative to its mean, from which on they are edges
_LEAST_NOISE = 1e-3  # of HAADF, relative to its brightest pixel
_START_ITERATIONS, _START_KERNEL = 50, 1 / 128  # of composition EM; voxels per size


@dataclass(frozen=True, eq=False)
class GuidedTV(Method):
    """A method of `reconstruct` for specimens of separate phases: few edges, where HAADF has them.

    In u_e = x_e / s, with s the mean of S, HAADF's own reconstruction, within the specimen, it
    minimizes over u_e >= 0

    ``sum_e KL(n_e, W x_e / r_e + b_e) + ||p_h - sum_e W x_e||^2 / (2 sigma_h^2)``
    ``+ lambda sum_e sum |D grad u_e|``

    The first two terms are minus the log-likelihood of the counts n_e (Poisson noise) and of HAADF
    (noise sigma_h); the third is directional total variation [1]_. D = 1 - guidance xi xi^T takes
    from a gradient most of what is parallel to that of S, with
    ``xi = grad S / sqrt(|grad S|^2 + (s / 20)^2)``: an edge is cheap where HAADF has one, and
    costs its length elsewhere. The problem is convex, and solved by a primal-dual iteration [2]_
    with a step for each voxel and ray [3]_.

    Where composition changes gradually, as in an alloy, total variation flattens it into steps:
    `CompositionEM` is the method for that.

    Parameters
    ----------
    strength
        What an edge of an element costs that runs straight across a whole slice, `size` voxels
        long, and at which u_e changes by 1, in units of the log-likelihood: lambda is
        strength / size. So it stays the same when pixels are binned within slices and their
        counts added. It is proportional to the field of view and to the thickness of a slice:
        halve it for images cropped to half of their width. 500 suits the phantom of the paper;
        0 leaves edges free.
    variance
        Variance of each value of the maps, in a shape that broadcasts to theirs, where they are
        no raw counts, as for `CompositionEM`. None for raw counts.
    haadf_noise
        Standard deviation sigma_h of the noise of a HAADF pixel, in its unit; at least a
        thousandth of the brightest pixel is assumed. Where the elements cannot explain HAADF
        (damping, shadows), give what they miss it by. None estimates the noise from the images,
        which must not have been smoothed for that.
    guidance
        How much cheaper an edge is where S has it, too: from 0 (S is no guide, all edges cost
        their length) to 1.
    along
        Whether slices are neighbors in a volume, and edges between them count as well: the last
        axis of the slices is that of a volume, and those before it are apart. False leaves all
        slices apart.

    Raises
    ------
    TypeError, ValueError
        If an argument does not fit the above; the message says which, what came, and what to do.

    Notes
    -----
    It takes maps as counted, aligned but not smoothed, nor denoised by components. Without `x0`
    it begins with 50 iterations of `CompositionEM`, with a kernel of 1/128 of the width: from
    nothing, the scarcer element would take many times the iterations. A mask's 0 keeps voxels
    empty. What is dual is not in x: 10 iterations and 20 more from their result are not 30, but
    lead to the same end.

    For k elements it needs the memory of about 2 k + (k + 1) d + 1 volumes of one element, d = 3
    with `along`, else 2, and of 5 copies of the maps. Gradients take about two thirds of the
    time of the projections.

    References
    ----------
    .. [1] Ehrhardt and Betcke, "Multicontrast MRI reconstruction with structure-guided total
       variation", SIAM Journal on Imaging Sciences 9 (2016) 1084-1106.
    .. [2] Chambolle and Pock, "A first-order primal-dual algorithm for convex problems with
       applications to imaging", Journal of Mathematical Imaging and Vision 40 (2011) 120-145.
    .. [3] Pock and Chambolle, "Diagonal preconditioning for first order primal-dual algorithms
       in convex optimization", International Conference on Computer Vision (2011) 1762-1769.

    Examples
    --------
    >>> import hebt, numpy as np
    >>> specimen = hebt.simulate.phantom(64)
    >>> W = hebt.Projector(np.arange(-75, 76, 15), 64)
    >>> haadf = hebt.simulate.haadf_tilt_series(W, specimen.density, [79, 47])
    >>> maps = hebt.simulate.eds_tilt_series(W, specimen.density, [9, 4], seed=1)
    >>> ratios = hebt.response_ratios(haadf, maps).ratios
    >>> x = hebt.reconstruct(W, haadf, maps, ratios, method=hebt.GuidedTV(strength=100))
    >>> hebt.metrics.scaled_mse(specimen.density[0], x[0]) < 0.005
    True
    """

    label: ClassVar[str] = "Guided TV"
    iterations: ClassVar[int] = 300
    strength: float
    variance: ArrayLike | None = field(default=None, repr=False)
    haadf_noise: float | None = None
    guidance: float = 0.95
    along: bool = False

    def __post_init__(self):
        set_ = object.__setattr__
        expected = "what an edge across a whole slice costs, at least 0, e.g. 500"
        set_(self, "strength", check_number("strength", self.strength, expected, also_least=True))
        expected = "a number from 0 (HAADF is no guide) to 1, e.g. 0.95"
        share = check_number("guidance", self.guidance, expected, also_least=True, most=1)
        set_(self, "guidance", share)
        set_(self, "along", check_flag("along", self.along))
        self._check_noise()

    def _check_blocks(self) -> None:
        """Raise a ValueError if slices are neighbors."""
        if self.along:
            raise ValueError(
                "along is True, which joins slices, but with out or Dask arrays each block of "
                "slices is reconstructed alone; expected along=False. Give that, or numpy arrays "
                "and no out for the whole volume at once."
            )

    def _solve(self, problem: Problem, run: Run) -> np.ndarray:
        """Return x in its public shape."""
        state = _state(problem, run, self)
        return iterate(state, problem, np.arange(state.slices), run)


def _state(problem: Problem, run: Run, method: GuidedTV) -> TvRun:
    """Return what to iterate on."""
    W, size, elements = problem.W, problem.W.size, len(problem.maps)
    ratios: Any = problem.ratios
    images: Any = problem.haadf
    depth = problem.lead[-1] if method.along and problem.lead else 1
    noise = haadf_noise(images) if method.haadf_noise is None else method.haadf_noise
    guide = haadf_reconstruction(problem, noise)
    x0 = _start(problem, run, method, guide) if problem.x0 is None else problem.x0
    counts, shift = shifted_counts(problem.maps, method.variance, depth > 1, W.angles)
    S = np.ascontiguousarray(guide.reshape(-1, size**2).T)
    del guide
    level = _levels(S, depth)
    mask = np.ones((1, size**2)) if problem.mask is None else problem.mask.reshape(-1, size**2)
    haadf = images.reshape(len((problem.haadf_projector or W).angles), -1, size)

    def flat(array):
        return None if array is None else array.reshape(elements, len(W.angles), -1, size)

    return TvRun(
        W._beam,
        flat(counts),
        flat(shift),
        haadf,
        S,
        level,
        ratios.reshape(elements, -1),
        np.maximum(noise, _LEAST_NOISE * _brightest(haadf, depth)),
        method.strength / size,
        method.guidance,
        _SMOOTH,
        depth,
        mask.T,
        x0.reshape(elements, -1, size**2),
        None if problem.haadf_projector is None else problem.haadf_projector._beam,
    )


def _start(problem: Problem, run: Run, method: GuidedTV, guide: np.ndarray) -> np.ndarray:
    """Return where to begin: what composition EM finds with a narrow kernel."""
    em = CompositionEM((0, _START_KERNEL * problem.W.size), variance=method.variance)
    first = Run(_START_ITERATIONS, progress=run.progress, label=f"{run.label}, start")
    return divide(problem, first, em, guide)


def _levels(S: np.ndarray, depth: int) -> np.ndarray:
    """Return S's mean within the specimen for each slice, all of a volume alike; 1 if empty."""
    level = mean_inside(
        S.reshape(len(S), -1, depth).swapaxes(1, 2).reshape(-1, S.shape[1] // depth)
    )
    return np.repeat(np.where(level > 0, level, 1), depth)


def _brightest(haadf: np.ndarray, depth: int) -> np.ndarray:
    """Return HAADF's brightest pixel for each slice, all of a volume alike; 1 if empty."""
    most = haadf.max(axis=(0, 2)).reshape(-1, depth).max(axis=1)
    return np.repeat(np.where(most > 0, most, 1), depth)
