"""SIRT and HAADF-EDS bimodal tomography (Eq. 7 to 11, section 2.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ._blocks import reconstruct as reconstruct_in_blocks
from ._checks import as_float32, as_float64, check_counts, check_flag, check_function, check_signs
from ._method import Hebt, Method
from ._problem import Problem, Run, check_alpha, check_blur, check_projector
from ._solve import solve
from .projector import Projector
from .stopping import History, Snapshots

if TYPE_CHECKING:
    import dask.array

Rule = Callable[..., bool]
Kernels = ArrayLike | tuple[ArrayLike, ArrayLike] | None


def sirt(
    W: Projector,
    p: ArrayLike,
    iterations: int = 200,
    mask: ArrayLike | None = None,
    x0: ArrayLike | None = None,
    callback: Callable | None = None,
    *,
    accelerate: bool = False,
    blur: Kernels = None,
    stop: Rule | Sequence[Rule] | None = None,
    history: History | None = None,
    device: str = "auto",
    progress: bool | None = None,
) -> np.ndarray:
    """Reconstruct slices by SIRT with non-negativity: Eq. 7 or Eq. 8 alone.

    x <- max(0, x + C^-1 W^T R^-1 (p - W x)), with R and C the sums of W's rows and columns [1]_.
    With HAADF images this gives the Z-contrast reconstruction, with one element's map that
    element's conventional EDS reconstruction.

    Parameters
    ----------
    W
        The projector of the tilt series.
    p
        Projections, shape (tilts, [slices,] size). Several middle axes count as slices: element
        maps as ``np.moveaxis(maps, 0, 1)``, (tilts, elements, slices, size), give the EDS
        reconstructions of all elements at once.
    iterations
        How many iterations to run.
    mask
        Multiplies x after each iteration, shape (size, size) or that of x; values from 0 to 1.
    x0
        Where to begin, shape ([slices,] size, size); zero if None. 30 iterations give the same as
        10 and, with their result as `x0`, 20 more.
    callback
        Called as ``callback(iteration, x, residual)`` after each iteration, with a read-only view
        of x and ||p - W x||. If it returns True, the run stops there.
    accelerate, blur, stop, history, device, progress
        As for `reconstruct`. The last middle axis is that of the slices, which one kernel smooths
        along: for maps of one slice, (tilts, elements, size), give ``([1], kernel)``.

    Returns
    -------
    numpy.ndarray
        float32, ([slices,] size, size) or with all middle axes of p, in units of p per pixel.

    Raises
    ------
    TypeError, ValueError
        If an argument is no finite real array of the shape above, or `iterations` is below 1.
    RuntimeError, MemoryError
        If `device` is "cuda" and no such device can be used, or it has no room for the run.
    Interrupted
        At Ctrl-C or a notebook's stop button; a KeyboardInterrupt that holds what was reached.

    Warns
    -----
    UserWarning
        If p seems to hold a detector's black level; see `hebt.prepare.remove_offset`.

    References
    ----------
    .. [1] Gregor and Benson, "Computational analysis and improvement of SIRT", IEEE
       Transactions on Medical Imaging 27 (2008) 918-924.
    """
    check_projector(W)
    p = as_float32("p", p)
    W.check_projections("p", p)
    check_signs("p", p)
    if callback is not None:
        user = check_function("callback", callback, "a function of iteration, x and residual")
        callback = lambda n, x, residuals: user(n, x, float(residuals.eds[0]))  # noqa: E731
    run = Run(iterations, callback, stop, history, device, progress, "SIRT")
    blur = check_blur(blur, p.shape[1:-1])
    fast = check_flag("accelerate", accelerate)
    problem = Problem(W, None, p[None], mask=mask, x0=x0, blur=blur, accelerate=fast)
    return solve(problem.with_checked_x0_and_mask(), run)


def reconstruct(
    W: Projector,
    haadf: ArrayLike | dask.array.Array,
    maps: ArrayLike | dask.array.Array,
    ratios: ArrayLike,
    alpha: float | None = None,
    iterations: int | None = None,
    mask: ArrayLike | dask.array.Array | None = None,
    x0: ArrayLike | dask.array.Array | None = None,
    callback: Callable | None = None,
    *,
    method: str | Method = "hebt",
    accelerate: bool = False,
    haadf_projector: Projector | None = None,
    blur: Kernels = None,
    stop: Rule | Sequence[Rule] | None = None,
    history: History | None = None,
    out: object = None,
    about: Mapping | None = None,
    overwrite: bool = False,
    device: str = "auto",
    progress: bool | None = None,
) -> np.ndarray | dask.array.Array:
    """Reconstruct all elements from HAADF images and element maps together (HEBT, Eq. 11).

    SIRT with non-negativity on the stacked system of Eq. 11, whose matrix is never built, unless
    `method` says otherwise. For k elements, one iteration costs k forward and k back projections,
    as EDS alone does:

    x_e <- max(0, x_e + C^-1 W^T R^-1 [(1-alpha) (r_e p_e - W x_e) + (alpha/k) (p_h - sum W x_e)])

    Parameters
    ----------
    W
        The projector of the tilt series, for both modalities unless `haadf_projector` is given.
    haadf
        Z-contrast tilt series p_h, shape (tilts, [slices,] size).
    maps
        Element maps p_e in X-ray counts, shape (elements, tilts, [slices,] size).
    ratios
        Response ratios r_e = z_e / zeta_e, shape (elements,), from `response_ratios`; or one for
        each slice, shape (elements, slices).
    alpha
        HEBT's weight of the HAADF term, at least 0 (EDS alone: SIRT on r_e p_e) and below 1; 0.7
        if None. Another `method` has none.
    iterations
        How many iterations to run; if None, 200 for HEBT, 50 for `CompositionEM`, 14 for `Fused`
        and 300 for `GuidedTV`. A large `alpha` needs many: differences between elements converge
        about 1 / (1 - alpha) times more slowly than their sum.
    mask
        Multiplies x after each iteration, shape ([slices,] size, size); values from 0 to 1.
    x0
        Where to begin, in the shape of the result; zero if None, unless `method` knows better.
    callback
        Called as ``callback(iteration, x, residuals)`` after each iteration, with a read-only
        view of x and its `Residuals`. If it returns True, the run stops there; what it returns
        else has to be False or None.
    method
        ``"hebt"``, or another one with its settings, which needs no weight. Of raw counts: a
        `CompositionEM`, such as ``hebt.CompositionEM(kernel=4)``, or, for specimens of separate
        phases, a `GuidedTV`. Of smoothed maps: a `Fused`, such as ``hebt.Fused(variance)``.
    accelerate
        Give HEBT's steps momentum (POGM [2]_ with restart [3]_), for the same fixed point in far
        fewer iterations; see the notes.
    haadf_projector
        The projector of the HAADF images, where they were taken at other tilts than the element
        maps (often at more). `common_tilts` finds the tilts for `response_ratios`.
    blur
        The kernel that the element maps were smoothed with, in both directions of the image, as
        from `hebt.prepare.smoothing_kernel`: an odd number of taps, symmetric, with sum 1. Or two
        of them, along the slices and across; ``([1], kernel)`` where slices have nothing to do
        with each other. None compares the maps as they are with the projections.
    stop
        A rule that ends the run before `iterations`, or a list of rules: `RelativeChange`,
        `Discrepancy`, or any ``rule(iteration, residuals)`` that returns True to stop.
    history
        A `History`, which writes the residuals down at no extra cost.
    out
        Where to write the result block by block, as a zarr group (a path, or anything that
        ``zarr.open_group`` takes and all workers reach), whose array ``x`` it is. The same call
        goes on after a stop: blocks that are there are checked and not computed again. A place
        that holds another run is refused, and so is one where another process is at work.
        `open_result` opens it again.
    about
        What else `out` shall say of itself, such as
        ``{"elements": ["Au", "Ag"], "pixel_size": "0.74 nm"}``. It need not be the same in the
        call that goes on.
    overwrite
        Replace another run that `out` holds; what it had is gone once all data are checked. Where
        `out` holds the same run, the call goes on there.
    device
        ``"cpu"``, ``"cuda"`` for an NVIDIA GPU, or ``"auto"``: a GPU where there is one that has
        room for the run. Data stay there between iterations; results agree to rounding.
    progress
        Show a progress bar; if None, where somebody can see it (a terminal, a live notebook).

    Returns
    -------
    numpy.ndarray or dask.array.Array
        x_e = z_e rho_e, float32, shape (elements, [slices,] size, size), in HAADF intensity per
        voxel. `density` and `composition` turn it into densities and fractions. A Dask array
        where one came in, or with `out`.

    Raises
    ------
    TypeError, ValueError
        If an argument does not fit the above; the message says which, what came, and what to do.
    RuntimeError, MemoryError
        If `device` is "cuda" and no such device can be used, or it has no room for the run; or if
        another process is writing to `out`.
    Interrupted
        At Ctrl-C or a notebook's stop button; a KeyboardInterrupt that holds what was reached.

    Notes
    -----
    With a projector W_H for the HAADF images (and W, R, C those of the element maps), x_e becomes

    max(0, x_e + [(1-alpha) C + alpha C_H]^-1 {(1-alpha) W^T R^-1 (r_e p_e - W x_e)
    + (alpha/k) W_H^T R_H^-1 (p_h - W_H sum x_e)})

    for one forward and one back projection more, as the HAADF images see only the sum. Slices
    without a signal in either modality stay at 0 and cost nothing, unless `blur` reaches them.

    Dask arrays, chunked along the slices, whose axis must be there, give a lazy Dask array: each
    block of slices is worked out when it is needed, by whatever scheduler Dask uses (threads, or
    a ``dask.distributed`` cluster), with one thread a block, or on a GPU one block at a time.
    A callback, a stopping rule or a history would see single blocks and are refused, and so is
    `blur` along the slices, which couples them. Signs are checked for the whole series with `out`,
    which reads the data once more, else block by block. Ctrl-C there is a plain KeyboardInterrupt;
    the blocks that are finished are in `out`.

    With `out`, two calls are the same run if tilt angles, data (as float32), ratios, `alpha`,
    `iterations`, `mask`, `x0`, `blur`, `method`, blocks of slices and the code of hebt are the
    same; `device` may differ. Results of other code can be opened, but are no part of a new run.
    The array that comes back is checked as it is read: a chunk that is missing, damaged or of
    another run is a ValueError. Zarr by itself reads NaN for what is missing and refuses what is
    damaged. While the call is at work, it holds a lock file beside the store. An address
    (``s3://...``) has no lock: two runs at once there end in errors, now or when their arrays are
    read.

    Maps are often smoothed, HAADF images hardly ever, and the two then disagree at every edge. With
    `blur`, the maps' rows of Eq. 11 hold G W instead of W, G the smoothing with that kernel and,
    at the edges of the image, with its mirror image, as `hebt.prepare.smooth` does; G is its own
    adjoint and its columns' sums are 1. With R_G the sums of the rows of G W, x_e becomes

    max(0, x_e + C^-1 W^T [(1-alpha) G R_G^-1 (r_e p_e - G W x_e)
    + (alpha/k) R^-1 (p_h - sum W x_e)])

    This deconvolves the maps. Details finer than the kernel converge slowly: after few iterations
    edges are about as wide as without, and the noise is lower, as G smooths what is sent back too;
    after many, edges are sharper, and the noise of the maps is amplified. Fit the ratios to images
    that are alike, to HAADF images smoothed with the same kernel.

    With `accelerate`, what SIRT adds to x leads to w, and a step goes on from there: with t = 1 at
    first, t' = (1 + sqrt(1 + 4 t^2)) / 2 and c = (2 t + t' - 1) / t',

    z = w + (t - 1) / t' (w - y) + t / t' (w - x),  x_new = max(0, z),  y_new = w + (x_new - z) / c

    and t becomes t'. Each slice has its own t, which is 1 again after a step that went uphill:
    where the sum of (x - y_new) (x_new - x), weighted by the column sums, is above 0. SIRT is a
    gradient step in the metric of the column sums, so this has its fixed points, also with a mask,
    by which z is multiplied as mask / (mask + c (1 - mask)). On the phantom 38 to 41 iterations get
    as far as 500 plain ones, and 25 as far as 200; what noise a plain run gathers comes as early.
    The residuals need not fall at each step. Momentum is no part of x: 20 iterations from the x of
    10 begin without it and are not 30. It takes one array more of the size of x.

    `CompositionEM` runs on the CPU, or with ``device="cuda"`` and without `contrast` on a GPU;
    `alpha` and `blur` are refused with it. With Dask arrays or `out` its kernel must leave slices
    apart, ``kernel=(0, 4)``, and with Dask's HAADF images it has to be told their noise. It begins
    with the shares x0 / S, at least 0.001, which K smooths once more: 10 iterations and 20 more
    from their result are nearly, not exactly, 30. They are exactly 30 with the `shares` that the
    first run ended with.
    `GuidedTV` runs on the CPU, refuses `alpha` and `blur` too, and with Dask arrays or `out` takes
    ``along=False`` alone.

    SIRT weighs each row of Eq. 11 by its inverse row sum, so what it minimizes weighs the two
    modalities by (1 - alpha) and alpha / k, not by the squares of Eq. 9.

    References
    ----------
    .. [1] Zhong, Goris, Schoenmakers, Bals and Batenburg, "A bimodal
       tomographic reconstruction technique combining EDS-STEM and HAADF-STEM", Ultramicroscopy
       174 (2017) 35-45.
    .. [2] Taylor, Hendrickx and Glineur, "Exact worst-case performance of first-order methods for
       composite convex optimization", SIAM Journal on Optimization 27 (2017) 1283-1313; with
       restart: Kim and Fessler, "Adaptive restart of the optimized gradient method for convex
       optimization", Journal of Optimization Theory and Applications 178 (2018) 240-263.
    .. [3] O'Donoghue and Candes, "Adaptive restart for accelerated gradient schemes", Foundations
       of Computational Mathematics 15 (2015) 715-732.

    Examples
    --------
    >>> import hebt, numpy as np
    >>> specimen = hebt.simulate.phantom(64)
    >>> W = hebt.Projector(np.arange(-75, 76, 15), 64)
    >>> haadf = hebt.simulate.haadf_tilt_series(W, specimen.density, [79, 47])
    >>> maps = hebt.simulate.eds_tilt_series(W, specimen.density, [9, 4], seed=1)
    >>> fit = hebt.response_ratios(haadf, maps, names=["Au", "Ag"])
    >>> gold, silver = hebt.reconstruct(W, haadf, maps, fit.ratios, alpha=0.7, iterations=100)
    >>> hebt.metrics.scaled_mse(specimen.density[0], gold) < 0.2
    True
    """
    accelerate = check_flag("accelerate", accelerate)
    own = checked_method(method, alpha, blur, device, accelerate)
    alpha = 0.7 if alpha is None else alpha
    iterations = own.iterations if iterations is None else iterations
    problem = Problem.checked(W, haadf, maps, ratios, alpha, haadf_projector, mask, x0, blur)
    problem = replace(problem, accelerate=accelerate)
    run = Run(iterations, callback, stop, history, device, progress, own.label)
    if (check_flag("overwrite", overwrite) or about is not None) and out is None:
        raise ValueError("about or overwrite is given without out; expected out, a place to write.")
    if out is None and not problem.is_lazy:
        return own._solve(problem, run)
    for name, value in (("callback", callback), ("stop", stop), ("history", history)):
        if value is not None:
            raise ValueError(
                f"{name} is given for a reconstruction in blocks, each of which would see its own "
                f"residuals; expected None. Leave {name} out, or give numpy arrays and no out."
            )
    block, problem, settings = own._in_blocks(problem)
    return reconstruct_in_blocks(block, problem, run, out, about, overwrite, settings)


def checked_method(method: Any, alpha: Any, blur: Any, device: Any, accelerate: bool) -> Method:
    """Return the method, after checking that the other arguments fit it."""
    if isinstance(method, str) and method == "hebt":
        return Hebt()
    if not isinstance(method, Method):
        raise ValueError(
            f'method is {method!r}; expected "hebt" or hebt.CompositionEM(kernel), e.g. '
            "hebt.CompositionEM(kernel=4), with the width of its kernel in voxels."
        )
    method._check_call(alpha, blur, device, accelerate)
    return method


def sweep(
    W: Projector,
    haadf: ArrayLike,
    maps: ArrayLike,
    ratios: ArrayLike,
    alphas: ArrayLike,
    iterations: int | Iterable[int],
    *,
    haadf_projector: Projector | None = None,
    blur: Kernels = None,
    device: str = "auto",
    progress: bool | None = None,
) -> np.ndarray:
    """Reconstruct a slice by HEBT for many weights and iteration counts, in one batch.

    The weights are further right-hand sides of the same projector, and all iteration counts come
    from one run.

    Parameters
    ----------
    W
        The projector of the tilt series.
    haadf
        Z-contrast sinogram of one slice or several, shape (tilts, [slices,] size).
    maps
        Element sinograms in X-ray counts, shape (elements, tilts, [slices,] size).
    ratios
        Response ratios, shape (elements,) or (elements, slices).
    alphas
        Weights of the HAADF term, each at least 0 (EDS alone) and below 1.
    iterations
        Iteration counts at which to keep the reconstruction, rising.
    haadf_projector, blur, device, progress
        As for `reconstruct`.

    Returns
    -------
    numpy.ndarray
        float32, shape (alphas, iterations, elements, [slices,] size, size).

    Raises
    ------
    TypeError, ValueError
        If an argument does not fit the above.
    RuntimeError, MemoryError
        If `device` is "cuda" and no such device can be used, or it has no room for the run.
    """
    alphas = np.atleast_1d(as_float64("alphas", alphas, ndim=(0, 1)))
    weights = [check_alpha("alphas", a) for a in alphas]
    counts = check_counts("iterations", iterations if np.iterable(iterations) else [iterations])
    haadf, maps = as_float32("haadf", haadf), as_float32("maps", maps)
    one = Problem.checked(W, haadf, maps, ratios, weights[0], haadf_projector, blur=blur)
    if haadf_projector is not None:  # whose column sums depend on the weight
        return np.stack([_kept(replace(one, alpha=w), counts, device, progress) for w in weights])
    # the weights count as slices: all slices at the first weight, then at the second, ...
    n, slices = len(weights), int(np.prod(one.lead))

    def tiled(array, axis):
        return np.stack([array] * n, axis=axis)

    every = Problem(
        W,
        tiled(one.haadf, 1),
        tiled(one.maps, 2),
        one.ratios if one.ratios.ndim == 1 else tiled(one.ratios, 1),
        np.repeat(weights, slices),
        blur=one.blur,
    )
    found = _kept(every, counts, device, progress)
    return np.moveaxis(found, 2, 0)


def _kept(problem: Problem, counts: list[int], device: str, progress: bool | None) -> np.ndarray:
    """Return the reconstructions after these numbers of iterations, those first."""
    keep = Snapshots(counts, lambda x: x.copy())
    solve(problem, Run(counts[-1], keep, device=device, progress=progress, label="HEBT sweep"))
    return np.stack(keep.values)
