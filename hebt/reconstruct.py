"""SIRT and HAADF-EDS bimodal tomography (Eq. 7 to 11, section 2.3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._checks import as_float32, check_count, check_series, check_signs
from .projector import Projector, empty, inverse, run, slices_first, slices_last, threads
from .settings import progress_bar


@dataclass(frozen=True)
class Residuals:
    """How far the present reconstruction is from the data, in HAADF intensity.

    Attributes
    ----------
    eds
        ||r_e p_e - W x_e|| for each element, shape (elements,).
    haadf
        ||p_h - sum_e W x_e||.
    """

    eds: np.ndarray
    haadf: float


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
    none = np.zeros((len(W.angles), W.size, flat.shape[2]), np.float32)
    weights = np.stack([np.ones(flat.shape[2]), np.zeros(flat.shape[2])]).astype(np.float32)
    x = _run(
        W,
        _columns(flat),
        none,
        weights,
        iterations,
        mask,
        start,
        callback,
        progress,
        shape=(1, *lead, W.size, W.size),
        label="SIRT",
        single=True,
    )
    return x[0]


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
    progress: bool | None = None,
) -> np.ndarray:
    """Reconstruct all elements from HAADF images and element maps together (HEBT, Eq. 11).

    SIRT with non-negativity on the stacked system of Eq. 11, whose matrix is never built. For
    k elements, one iteration costs k forward and k back projections, as EDS alone does:

    x_e <- max(0, x_e + C^-1 W^T R^-1 [(1-alpha) (r_e p_e - W x_e) + (alpha/k) (p_h - sum W x_e)])

    Parameters
    ----------
    W
        The projector of the tilt series; both modalities share its tilts.
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
    progress
        Show a progress bar; if None, where somebody can see it (a terminal, a live notebook).

    Returns
    -------
    numpy.ndarray
        x_e = z_e rho_e, float32, shape (elements, [slices,] size, size), in HAADF intensity per
        voxel. `density` and `composition` turn it into densities and fractions.

    Raises
    ------
    TypeError, ValueError
        If an argument does not fit the above; the message says which, what came, and what to do.
    Interrupted
        At Ctrl-C or a notebook's stop button; a KeyboardInterrupt that holds what was reached.

    Notes
    -----
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
    haadf, maps, ratios = _check_data(W, haadf, maps, ratios)
    alpha = _check_alpha("alpha", alpha)
    elements, tilts, lead = len(maps), len(W.angles), haadf.shape[1:-1]
    slices = haadf.size // (tilts * W.size)
    weights = _weights([alpha] * slices, elements)
    scaled = _columns(maps.reshape(elements, tilts, slices, W.size))
    scaled *= ratios[:, None]
    flat = np.ascontiguousarray(haadf.reshape(tilts, slices, W.size).swapaxes(1, 2))
    shape = (elements, *lead, W.size, W.size)
    return _run(
        W, scaled, flat, weights, iterations, mask, start, callback, progress, shape, "HEBT"
    )


def sweep(
    W: Projector, haadf, maps, ratios, alphas, iterations, *, progress: bool | None = None
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
    scaled = _columns(maps.reshape(elements, tilts, slices, W.size))
    scaled *= ratios[:, None]
    flat = haadf.reshape(tilts, slices, W.size).swapaxes(1, 2)
    shape = (elements, n, *lead, W.size, W.size)
    weights = _weights(np.repeat(alphas, slices), elements)
    _run(
        W,
        np.tile(scaled, n),
        np.tile(flat, n),
        weights,
        counts[-1],
        None,
        None,
        keep,
        progress,
        shape,
        "HEBT sweep",
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
    single=False,
):
    """SIRT's iteration, for the solvers above.

    `maps` is (tilts, size, elements, slices) and already scaled by the ratios, `haadf` is
    (tilts, size, slices), `weights` (2, slices), `shape` that of the result.
    """
    from . import _kernels

    iterations = check_count("iterations", iterations)
    tilts, size, elements, slices = maps.shape
    pixels, columns = size * size, elements * slices
    maps = maps.reshape(tilts, size, columns)
    mask = _check_mask(mask, shape[1:])
    inverse_rows, inverse_columns = inverse(W.row_sums), inverse(W.column_sums).ravel()
    if start is None:
        x, wx = empty(pixels, columns), empty(tilts, size, columns)
        x[:], wx[:] = 0, 0
    else:
        start = as_float32("start", start)
        if start.shape != shape:
            expected, came = (shape[1:], start.shape[1:]) if single else (shape, start.shape)
            raise ValueError(f"start has shape {came}; expected {expected}, that of the result.")
        x = slices_last(start.reshape(columns, pixels))
        wx = W._forward(x)
    # the same memory, in the shape that the caller sees
    view = x[:, :columns].reshape(size, size, elements, *shape[1:-2], copy=False)
    view = np.moveaxis(view, (0, 1), (-2, -1))
    view.setflags(write=False)
    squares = np.zeros((tilts, elements + 1))

    def step(tile, row, column, first, last):
        _kernels.step(tile, x, inverse_columns, mask, size, row, column, first, last)

    def residual():
        share = -(-tilts // threads())

        def work(a):
            _kernels.residual(
                wx,
                maps,
                haadf,
                weights,
                inverse_rows,
                elements,
                a,
                min(a + share, tilts),
                squares,
            )

        run(work, [(a,) for a in range(0, tilts, share)])
        norms = np.sqrt(squares.sum(axis=0))
        return Residuals(eds=norms[:-1], haadf=float(norms[-1]))

    done = 0
    with progress_bar(iterations, label, progress) as bar:
        try:
            residual()
            while done < iterations:
                W._backward_tiles(wx, step)
                done += 1
                bar.update()
                # the last projection serves only the residual that the callback gets
                if done < iterations or callback is not None:
                    W._forward(x, out=wx)
                    residuals = residual()
                    answer = None if callback is None else callback(done, view, residuals)
                    # a comparison of numpy numbers gives numpy's own True
                    if isinstance(answer, (bool, np.bool_)) and answer:
                        break
        except KeyboardInterrupt:
            reached = slices_first(x, columns).reshape(shape)
            raise Interrupted(reached[0] if single else reached, done) from None
    return slices_first(x, columns).reshape(shape)


def _check_projector(W):
    if not isinstance(W, Projector):
        raise TypeError(
            f"W is a {type(W).__name__}; expected a hebt.Projector. Make it of the tilt angles "
            "and the number of pixels across the tilt axis: hebt.Projector(angles, size)."
        )


def _check_data(W, haadf, maps, ratios):
    _check_projector(W)
    haadf, maps = check_series(haadf, maps)
    W.check_projections("haadf", haadf)
    ratios = as_float32("ratios", ratios, ndim=(1,))
    if ratios.shape != (len(maps),):
        raise ValueError(
            f"ratios has shape {ratios.shape}; expected ({len(maps)},), one for each element map."
        )
    if (ratios <= 0).any():
        raise ValueError(
            f"ratios is {ratios.tolist()}; expected values above 0. An element whose ratio came "
            "out as 0 cannot be told from the others by these data: leave its map out."
        )
    return haadf, maps, ratios


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
        raise ValueError(
            f"mask has values from {mask.min():g} to {mask.max():g}; expected 0 to 1."
        )
    return np.ascontiguousarray(mask.reshape(-1, size * size).T)


def _weights(alphas, elements):
    alphas = np.asarray(alphas, float)
    return np.stack([1 - alphas, alphas / elements]).astype(np.float32)


def _columns(maps):
    """(elements, tilts, slices, size) -> a new array (tilts, size, elements, slices)."""
    return np.array(maps.transpose(1, 3, 0, 2), order="C")
