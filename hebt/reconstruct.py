"""SIRT and HAADF-EDS bimodal tomography (Eq. 7 to 11, section 2.3)."""

from __future__ import annotations

import contextlib
import warnings

import numpy as np

from . import _blocks
from ._blocks import is_lazy
from ._checks import as_float32, check_count, check_seen, check_series, check_signs
from ._engine.arrays import slices_first
from ._engine.cpu import CpuRun
from ._engine.device import check_device, choose_device
from ._progress import progress_bar
from .projector import Projector
from .stopping import History


class Interrupted(KeyboardInterrupt):
    """A reconstruction was interrupted; `x` holds what it had reached.

    Attributes
    ----------
    x : numpy.ndarray
        The reconstruction so far, in the shape that the call would have returned. Give it as
        `start` to go on. In a notebook: ``import sys; sys.last_value.x``.
    iteration : int
        How many iterations it has had; a part of the next one may be in x too.
    """

    def __init__(self, x, iteration):
        super().__init__(
            f"interrupted after {iteration} iterations; the result so far is in this exception's "
            "x (in a notebook: sys.last_value.x), ready to be given as start"
        )
        self.x, self.iteration = x, iteration

    def __reduce__(self):
        return type(self), (self.x, self.iteration)


def sirt(
    W: Projector,
    p,
    iterations: int = 200,
    mask=None,
    start=None,
    callback=None,
    *,
    stop=None,
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
        Projections, shape (tilts, [slices,] size).
    iterations
        How many iterations to run.
    mask
        Multiplies x after each iteration, shape (size, size) or that of x; values from 0 to 1.
    start
        Where to begin, shape ([slices,] size, size); zero if None. 30 iterations give the same as
        10 and, with their result as `start`, 20 more.
    callback
        Called as ``callback(iteration, x, residual)`` after each iteration, with a read-only view
        of x and ||p - W x||. If it returns True, the run stops there.
    stop
        A rule that ends the run before `iterations`, or a list of rules, of which the first that
        holds ends it: `RelativeChange`, `Discrepancy`, or any function that is called as
        ``rule(iteration, residuals)`` with the `Residuals` and returns True to stop.
    history
        A `History`, which writes the residuals down at no extra cost.
    device
        ``"cpu"``, ``"cuda"`` for an NVIDIA GPU, or ``"auto"``: a GPU where there is one that has
        room for the run. Data stay there between iterations; results agree to rounding.
    progress
        Show a progress bar; if None, where somebody can see it (a terminal, a live notebook).

    Returns
    -------
    numpy.ndarray
        Slices, float32, shape ([slices,] size, size), in units of p per pixel.

    Raises
    ------
    TypeError, ValueError
        If an argument is no finite real array of the shape above, or `iterations` is below 1.
    RuntimeError, MemoryError
        If `device` is "cuda" and no such device can be used, or it has no room for the run.
    Interrupted
        At Ctrl-C or a notebook's stop button; a KeyboardInterrupt that holds what was reached.

    References
    ----------
    .. [1] J. Gregor and T. Benson, "Computational analysis and improvement of SIRT", IEEE
       Transactions on Medical Imaging 27 (2008) 918-924.
    """
    _check_projector(W)
    p = as_float32("p", p)
    W.check_projections("p", p)
    check_signs("p", p)
    lead = p.shape[1:-1]
    if callback is not None:
        user = callback
        callback = lambda n, x, residuals: user(n, x[0], float(residuals.eds[0]))  # noqa: E731
    if start is not None:
        start = as_float32("start", start)[None]
    flat = p.reshape(1, len(W.angles), -1, W.size)
    return _run(
        W,
        flat,
        None,
        np.ones((1, 1), np.float32),
        iterations,
        mask,
        start,
        callback,
        progress,
        shape=(1, *lead, W.size, W.size),
        label="SIRT",
        device=device,
        single=True,
        stop=stop,
        history=history,
    )


def reconstruct(
    W: Projector,
    haadf,
    maps,
    ratios,
    alpha: float = 0.7,
    iterations: int = 200,
    mask=None,
    start=None,
    callback=None,
    *,
    haadf_projector: Projector | None = None,
    stop=None,
    history: History | None = None,
    out=None,
    device: str = "auto",
    progress: bool | None = None,
):
    """Reconstruct all elements from HAADF images and element maps together (HEBT, Eq. 11).

    SIRT with non-negativity on the stacked system of Eq. 11, whose matrix is never built. For
    k elements, one iteration costs k forward and k back projections, as EDS alone does:

    x_e <- max(0, x_e + C^-1 W^T R^-1 [(1-alpha) (r_e p_e - W x_e) + (alpha/k) (p_h - sum W x_e)])

    Parameters
    ----------
    W
        The projector of the tilt series; both modalities share its tilts, unless
        `haadf_projector` is given.
    haadf
        Z-contrast tilt series p_h, shape (tilts, [slices,] size).
    maps
        Element maps p_e in X-ray counts, shape (elements, tilts, [slices,] size).
    ratios
        Response ratios r_e = z_e / zeta_e, shape (elements,), from `response_ratios`.
    alpha
        Weight of the HAADF term, above 0 and below 1. Towards 0 this becomes EDS-only SIRT.
    iterations
        How many iterations to run. A large `alpha` needs many: differences between elements
        converge about 1 / (1 - alpha) times more slowly than their sum.
    mask
        Multiplies x after each iteration, shape (size, size) or ([slices,] size, size); values
        from 0 to 1.
    start
        Where to begin, in the shape of the result; zero if None.
    callback
        Called as ``callback(iteration, x, residuals)`` after each iteration, with a read-only
        view of x and its `Residuals`. If it returns True, the run stops there.
    haadf_projector
        The projector of the HAADF images, where they were taken at other tilts than the element
        maps (often at more). `common_tilts` finds the tilts for `response_ratios`.
    stop
        A rule that ends the run before `iterations`, or a list of rules, of which the first that
        holds ends it: `RelativeChange`, `Discrepancy`, or any function that is called as
        ``rule(iteration, residuals)`` with the `Residuals` and returns True to stop.
    history
        A `History`, which writes the residuals down at no extra cost.
    out
        Where to write the result block by block, as a zarr group (a path, or anything that
        ``zarr.open_group`` takes and all workers reach), whose array ``x`` it is. A run that was
        stopped, in whatever way, goes on where it was when called again: blocks that are there
        already are not computed again, as long as their data and parameters are the same.
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
        If `device` is "cuda" and no such device can be used, or it has no room for the run.
    Interrupted
        At Ctrl-C or a notebook's stop button; a KeyboardInterrupt that holds what was reached.

    Notes
    -----
    With a projector W_H for the HAADF images (and W, R, C those of the element maps), x_e becomes

    max(0, x_e + [(1-alpha) C + alpha C_H]^-1 {(1-alpha) W^T R^-1 (r_e p_e - W x_e)
    + (alpha/k) W_H^T R_H^-1 (p_h - W_H sum x_e)})

    for one forward and one back projection more, as the HAADF images see only the sum. Slices
    without a signal in either modality stay at 0 and cost nothing.

    Dask arrays, chunked along the slices, give a lazy Dask array: each block of slices is worked
    out when it is needed, by whatever scheduler Dask uses (the threads of this machine, or a
    ``dask.distributed`` cluster), with one thread a block, or on a GPU one block at a time. The
    `slices` axis must be there.
    A callback, a stopping rule or a history would see single blocks and are refused. Signs are
    checked for the whole series with `out`, which reads the data once more; a lazy result checks
    each block, which cannot know that HAADF is 0 in all the others. Ctrl-C there is a plain
    KeyboardInterrupt; the blocks that are finished are in `out`.

    SIRT weighs each row of Eq. 11 by its inverse row sum, so what it minimises weighs the two
    modalities by (1 - alpha) and alpha / k, not by the squares of Eq. 9.

    References
    ----------
    .. [1] Z. Zhong, B. Goris, R. Schoenmakers, S. Bals and K. J. Batenburg, "A bimodal
       tomographic reconstruction technique combining EDS-STEM and HAADF-STEM", Ultramicroscopy
       174 (2017) 35-45.

    Examples
    --------
    >>> W = Projector(angles, 300)
    >>> fit = response_ratios(haadf, maps, names=["Au", "Ag"])
    >>> gold, silver = reconstruct(W, haadf, maps, fit.ratios, alpha=0.7, iterations=100)
    """
    alpha = _check_alpha("alpha", alpha)
    iterations = check_count("iterations", iterations)
    if out is not None or any(map(is_lazy, (haadf, maps, mask, start))):
        for name, value in (("callback", callback), ("stop", stop), ("history", history)):
            if value is not None:
                raise ValueError(
                    f"{name} is given for a reconstruction in blocks, each of which would see its "
                    f"own residuals; expected None. Leave {name} out, or give numpy arrays and no "
                    "out."
                )
        _check_projector(W)
        check_device(device)
        return _blocks.reconstruct(
            _solve,
            W,
            haadf,
            maps,
            _check_ratios(ratios),
            mask=mask,
            start=start,
            out=out,
            haadf_projector=_check_haadf_projector(W, haadf_projector),
            progress=progress,
            alpha=alpha,
            iterations=iterations,
            device=device,
        )
    haadf, maps, ratios = _check_data(W, haadf, maps, ratios, haadf_projector)
    return _solve(
        W,
        haadf,
        maps,
        ratios,
        alpha=alpha,
        iterations=iterations,
        mask=mask,
        start=start,
        callback=callback,
        haadf_projector=haadf_projector,
        stop=stop,
        history=history,
        device=device,
        progress=progress,
    )


def _solve(
    W,
    haadf,
    maps,
    ratios,
    *,
    alpha,
    iterations,
    mask=None,
    start=None,
    callback=None,
    haadf_projector=None,
    stop=None,
    history=None,
    device="auto",
    progress=False,
):
    """Run HEBT on float32 arrays that have been checked."""
    elements, lead = len(maps), haadf.shape[1:-1]
    return _run(
        W,
        maps.reshape(elements, len(W.angles), -1, W.size),
        haadf.reshape(len(haadf), -1, W.size),
        _weights([alpha], elements),
        iterations,
        mask,
        start,
        callback,
        progress,
        shape=(elements, *lead, W.size, W.size),
        label="HEBT",
        device=device,
        ratios=ratios,
        haadf_projector=haadf_projector,
        stop=stop,
        history=history,
    )


def sweep(
    W: Projector,
    haadf,
    maps,
    ratios,
    alphas,
    iterations,
    *,
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
        Z-contrast sinogram of one slice, shape (tilts, size); several slices, (tilts, slices,
        size), share the batch too.
    maps
        Element sinograms in X-ray counts, shape (elements, tilts, [slices,] size).
    ratios
        Response ratios, shape (elements,).
    alphas
        Weights of the HAADF term, each above 0 and below 1.
    iterations
        Iteration counts at which to keep the reconstruction, rising.
    device
        ``"cpu"``, ``"cuda"`` for an NVIDIA GPU, or ``"auto"``: a GPU where there is one that has
        room for the run. Data stay there between iterations; results agree to rounding.
    progress
        Show a progress bar; if None, where somebody can see it (a terminal, a live notebook).

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
    haadf, maps, ratios = _check_data(W, haadf, maps, ratios)
    alphas = [_check_alpha("alphas", a) for a in np.atleast_1d(alphas)]
    counts = [check_count("iterations", n) for n in np.atleast_1d(iterations)]
    if not alphas or not counts or counts != sorted(set(counts)):
        raise ValueError(
            f"alphas has {len(alphas)} values and iterations is {counts}; expected at least one "
            "of each, and iterations rising, e.g. (50, 100, 200)."
        )
    elements, tilts, lead = len(maps), len(W.angles), haadf.shape[1:-1]
    slices, n = haadf.size // (tilts * W.size), len(alphas)
    result = np.empty((n, len(counts), elements, *lead, W.size, W.size), np.float32)

    def keep(iteration, x, residuals):
        if iteration in counts:
            result[:, counts.index(iteration)] = np.moveaxis(x, 1, 0).reshape(
                n, elements, *lead, W.size, W.size
            )

    # the weights count as slices: all slices at the first weight, then at the second, ...
    _run(
        W,
        np.tile(maps.reshape(elements, tilts, slices, W.size), (1, 1, n, 1)),
        np.tile(haadf.reshape(tilts, slices, W.size), (1, n, 1)),
        _weights(np.repeat(alphas, slices), elements),
        counts[-1],
        None,
        None,
        keep,
        progress,
        shape=(elements, n, *lead, W.size, W.size),
        label="HEBT sweep",
        device=device,
        ratios=ratios,
    )
    return result


def _run(
    W,
    maps,
    haadf,
    weights,
    iterations,
    mask,
    start,
    callback,
    progress,
    shape,
    label,
    *,
    device,
    ratios=None,
    single=False,
    haadf_projector=None,
    stop=None,
    history=None,
):
    """Iterate, for the solvers above.

    `maps` is (elements, tilts, slices, size), `haadf` (tilts, slices, size) or None, `weights`
    (2, slices or 1) with 1 - alpha and alpha / k, `shape` that of the result, whose first axis
    goes if `single`.
    """
    iterations = check_count("iterations", iterations)
    check_device(device)
    mask = _check_mask(mask, shape[1:])
    rules = _check_rules(stop)
    if history is None:
        history = History()
    elif not isinstance(history, History):
        raise TypeError(f"history is {history!r}; expected a hebt.History.")
    elements, _, slices, size = maps.shape
    if start is not None:
        start = as_float32("start", start)
        if start.shape != shape:
            expected, came = (shape[1:], start.shape[1:]) if single else (shape, start.shape)
            raise ValueError(f"start has shape {came}; expected {expected}, that of the result.")
        start = start.reshape(elements, slices, size * size)

    # slices that would stay at 0 are left out
    busy = _busy_slices(maps, haadf, start)
    if len(busy) < slices:
        maps = maps[:, :, busy]
        haadf = None if haadf is None else haadf[:, busy]
        start = None if start is None else start[:, busy]
        mask = mask if mask.shape[1] == 1 else np.ascontiguousarray(mask[:, busy])
        weights = weights if weights.shape[1] == 1 else weights[:, busy]
    with contextlib.ExitStack() as stack:
        system = _system(
            device, stack, W, maps, haadf, weights, mask, ratios, haadf_projector, start
        )
        del maps, haadf, mask, start
        with progress_bar(iterations, label, progress) as bar:
            return _iterate(system, busy, shape, single, iterations, callback, rules, history, bar)


def _system(device, stack, *arguments):
    """What to iterate on: on the processor, or on a GPU, which is ours until `stack` closes."""
    if choose_device(device) == "cuda":
        from ._engine import cuda as _cuda

        stack.enter_context(_cuda.turn)
        try:
            return _cuda.CudaRun(*arguments)
        except MemoryError as error:
            if device == "cuda":
                raise
            warnings.warn(f"{error} It runs on the processor now.", UserWarning, stacklevel=5)
    return CpuRun(*arguments)


def _iterate(system, busy, shape, single, iterations, callback, rules, history, bar):
    """Iterate on the slices `busy`, and return x of all of them."""
    elements, size = system.elements, system.size
    slices = int(np.prod(shape[1:-2]))
    if callback is not None:
        # what it sees: the same memory in public shape, or a copy where slices are left out
        view = system.fetch()[:, : system.columns].reshape(size, size, elements, -1, copy=False)
        view = whole = np.moveaxis(view, (0, 1), (-2, -1))
        if len(busy) < slices:
            whole = np.zeros((elements, slices, size, size), np.float32)
        seen = whole.reshape(shape, copy=False)
        seen.setflags(write=False)

    def reached():
        system.free()
        columns = system.fetch()
        if len(busy) == slices:
            return slices_first(columns, elements * slices).reshape(shape[single:])
        x = np.zeros((elements, slices, size * size), np.float32)
        for e, own in enumerate(x):
            first = e * len(busy)
            own[busy] = slices_first(columns[:, first : first + len(busy)], len(busy))
        return x.reshape(shape[single:])

    done = 0
    history._clear()
    try:
        residuals = system.residuals()
        history._add(residuals)
        while done < iterations:
            system.advance()
            done += 1
            history.iterations = done
            bar.set_postfix_str(_text(residuals), refresh=False)
            bar.update()
            # the last projection serves only the residual that callback and rules get
            if done == iterations and callback is None and not rules:
                break
            system.project()
            residuals = system.residuals()
            history._add(residuals)
            if callback is not None:
                system.fetch()
                if whole is not view:
                    whole[:, busy] = view
                if _is_true(callback(done, seen, residuals)):
                    break
            history.stopped_by = next((r for r in rules if _is_true(r(done, residuals))), None)
            if history.stopped_by is not None:
                break
        return reached()
    except KeyboardInterrupt:
        raise Interrupted(reached(), done) from None


def _busy_slices(maps, haadf, start):
    """Indices of the slices with a value other than 0 in any array; at least one slice."""
    busy = maps.any(axis=(0, 1, 3))
    if haadf is not None:
        busy |= haadf.any(axis=(0, 2))
    if start is not None:
        busy |= start.any(axis=(0, 2))
    return np.flatnonzero(busy) if busy.any() else np.array([0])


def _check_rules(stop):
    rules = [] if stop is None else stop if isinstance(stop, (list, tuple)) else [stop]
    for rule in rules:
        if isinstance(rule, type) or not callable(rule):
            raise TypeError(
                f"stop is {stop!r}; expected a rule such as hebt.RelativeChange(1e-3), or a list "
                "of rules."
            )
    return rules


def _text(residuals):
    eds = np.sqrt((residuals.eds**2).sum())
    haadf = "" if np.isnan(residuals.haadf) else f", HAADF {residuals.haadf:.3g}"
    return f"residual {eds:.3g}{haadf}"


def _is_true(answer) -> bool:
    # a comparison of numpy numbers gives numpy's own True
    return isinstance(answer, (bool, np.bool_)) and bool(answer)


def _check_projector(W):
    if not isinstance(W, Projector):
        raise TypeError(
            f"W is a {type(W).__name__}; expected a hebt.Projector. Make it of the tilt angles "
            "and the number of pixels across the tilt axis: hebt.Projector(angles, size)."
        )


def _check_data(W, haadf, maps, ratios, haadf_projector=None):
    _check_projector(W)
    if haadf_projector is None:
        haadf, maps = check_series(haadf, maps)
        W.check_projections("haadf", haadf)
    else:
        haadf, maps = _check_two_series(W, haadf_projector, haadf, maps)
    ratios = _check_ratios(ratios)
    if ratios.shape != (len(maps),):
        raise ValueError(
            f"ratios has shape {ratios.shape}; expected ({len(maps)},), one for each element map."
        )
    return haadf, maps, ratios


def _check_ratios(ratios):
    ratios = as_float32("ratios", ratios, ndim=(1,))
    if (ratios <= 0).any():
        raise ValueError(
            f"ratios is {ratios.tolist()}; expected values above 0. An element whose ratio came "
            "out as 0 cannot be told from the others by these data: leave its map out."
        )
    return ratios


def _check_haadf_projector(W, haadf_projector):
    if haadf_projector is not None and (
        not isinstance(haadf_projector, Projector) or haadf_projector.size != W.size
    ):
        raise ValueError(
            f"haadf_projector is {haadf_projector!r}; expected a Projector of size {W.size}, as "
            "that of the element maps."
        )
    return haadf_projector


def _check_two_series(W, haadf_projector, haadf, maps):
    _check_haadf_projector(W, haadf_projector)
    haadf = as_float32("haadf", haadf, ndim=(2, 3))
    maps = as_float32("maps", maps)
    haadf_projector.check_projections("haadf", haadf)
    if maps.ndim != haadf.ndim + 1 or maps.shape[2:] != haadf.shape[1:]:
        raise ValueError(
            f"maps has shape {maps.shape} and haadf {haadf.shape}; expected maps of shape "
            f"(elements, {len(W.angles)}, {', '.join(map(str, haadf.shape[1:]))}): the same "
            "slices and size."
        )
    check_signs("haadf", haadf)
    check_seen(haadf, maps)
    for e, element in enumerate(maps):
        W.check_projections(f"maps[{e}]", element)
        check_signs(f"maps[{e}]", element, counts=True)
    return haadf, maps


def _check_alpha(name, alpha) -> float:
    try:
        value = float(alpha)
    except (TypeError, ValueError):
        value = np.nan
    if not 0 < value < 1:
        raise ValueError(
            f"{name} is {alpha!r}; expected a weight above 0 and below 1, e.g. 0.7. For EDS "
            "alone or HAADF alone, use sirt."
        )
    return value


def _check_mask(mask, shape):
    """Return a mask as (pixels, 1) or (pixels, slices), float32."""
    size = shape[-1]
    if mask is None:
        return np.ones((size * size, 1), np.float32)
    mask = as_float32("mask", mask)
    if mask.shape not in ((size, size), shape):
        raise ValueError(
            f"mask has shape {mask.shape}; expected ({size}, {size}) or {shape}, that of a slice "
            "or of the volume."
        )
    if mask.min() < 0 or mask.max() > 1:
        raise ValueError(f"mask has values from {mask.min():g} to {mask.max():g}; expected 0 to 1.")
    return np.ascontiguousarray(mask.reshape(-1, size * size).T)


def _weights(alphas, elements):
    alphas = np.asarray(alphas, float)
    return np.stack([1 - alphas, alphas / elements]).astype(np.float32)
