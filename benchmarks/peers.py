"""mbirjax and svmbir for errors.py: reconstruction with a prior, and plain least squares.

Neither belongs to the locked environment: `pip install -r benchmarks/peers.txt`; errors.py leaves
out what is not installed. Both have the geometry of hebt, svmbir with rows and columns of a slice
exchanged, and projectors of their own; `projects_alike` looks whether that is so.

Slices of the benchmark differ by noise alone. A prior that joins them would average it, so the
priors here are left within a slice.
"""

from __future__ import annotations

import functools
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec

import numpy as np
from contenders import Series  # beside this file
from scipy import ndimage

import hebt

ALIKE = 0.05  # relative difference of projections
WEAK = 1e4  # scale of a prior that does nothing, relative to an image near 1
LEAST_VARIANCE = 0.2  # counts


def mbirjax_is_here() -> bool:
    return find_spec("mbirjax") is not None


def svmbir_is_here() -> bool:
    return find_spec("svmbir") is not None


@functools.cache
def _mbirjax():
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Else XLA ends the program where one thread waits 40 s for another, as on a busy machine.
    patience = "--xla_cpu_collective_call_terminate_timeout_seconds=3600"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {patience}".strip()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of missing windows and GPUs
        import mbirjax
    return mbirjax


def mbirjax_model(W: hebt.Projector, slices: int, **parameters):
    """Return a model without regularization across slices, with nothing below 0."""
    model = _mbirjax().ParallelBeamModel((len(W.angles), slices, W.size), np.deg2rad(W.angles))
    model.set_params(
        verbose=0,
        positivity_flag=True,
        qggmrf_nbr_wts=[1.0, 1.0, 0.0],
        no_warning=True,
        **parameters,
    )
    return model


def mbirjax_run(model, p: np.ndarray, iterations: int, weights: np.ndarray | None = None):
    """Return the images, (slices, size, size), and what mbirjax says of its run."""
    np.random.seed(0)  # noqa: NPY002 - its partitions are drawn from there
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x, said = model.recon(
            p,
            weights=weights,
            max_iterations=iterations,
            stop_threshold_change_pct=0,
            print_logs=False,
            logfile_path=None,
        )
    return np.moveaxis(np.asarray(x), -1, 0), said


def mbirjax_project(W: hebt.Projector, x: np.ndarray) -> np.ndarray:
    """Return mbirjax's projections of images (slices, size, size)."""
    model = mbirjax_model(W, len(x))
    return np.asarray(model.forward_project(np.ascontiguousarray(np.moveaxis(x, 0, -1))))


@functools.cache
def _svmbir_folder() -> str:
    """Return a folder for svmbir's matrices, which are worked out once and read in each call."""
    keep = tempfile.TemporaryDirectory(prefix="svmbir")
    _KEPT.append(keep)
    return keep.name


_KEPT: list[tempfile.TemporaryDirectory] = []


def svmbir_run(W: hebt.Projector, p: np.ndarray, iterations: int, **parameters) -> np.ndarray:
    """Return the images, (slices, size, size)."""
    import svmbir

    x = svmbir.recon(
        np.ascontiguousarray(p),
        np.deg2rad(W.angles),
        b_interslice=0.0,
        stop_threshold=0.0,
        max_iterations=iterations,
        num_threads=os.cpu_count(),
        svmbir_lib_path=_svmbir_folder(),
        verbose=0,
        **parameters,
    )
    return x.swapaxes(1, 2)


def svmbir_project(W: hebt.Projector, x: np.ndarray) -> np.ndarray:
    """Return svmbir's projections of images (slices, size, size)."""
    import svmbir

    return svmbir.project(
        np.ascontiguousarray(x.swapaxes(1, 2)),
        np.deg2rad(W.angles),
        W.size,
        svmbir_lib_path=_svmbir_folder(),
        verbose=0,
    )


def projects_alike(
    W: hebt.Projector, x: np.ndarray, project: Callable[[hebt.Projector, np.ndarray], np.ndarray]
) -> float:
    """Return the relative difference to hebt's projections; an error if the geometry is another.

    The image has to look different from each side.
    """
    ours, theirs = W.forward(x), project(W, x)
    away = float(np.linalg.norm(theirs - ours) / np.linalg.norm(ours))
    if away > ALIKE:
        raise RuntimeError(
            f"{project.__name__} gives other projections than hebt ({away:.0%} away): its axes or "
            "angles are others, and nothing can be compared."
        )
    return away


def weights_of(series: Series) -> np.ndarray:
    """Return the inverse local variance of counts, (elements, tilts, slices, size), of mean 1."""
    blur = (0, 0.7, 0, 5 * series.W.size / 300)
    weights = 1 / np.maximum(ndimage.gaussian_filter(series.counts, blur), LEAST_VARIANCE)
    return (weights / weights.mean(axis=(1, 2, 3), keepdims=True)).astype(np.float32)


def _data(series: Series, weighted: bool) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Yield the counts of each element with their weights, or the smoothed maps; about 1."""
    weights = weights_of(series) if weighted else [None] * len(series.maps)
    for maps, own in zip(series.counts if weighted else series.maps, weights):
        yield (maps / maps.max()).astype(np.float32), own


def mbirjax_call(sharpness: tuple[float, ...], weighted: bool, **parameters) -> Callable:
    """Return a call that reconstructs each element with the prior of that sharpness."""

    @functools.cache
    def model(angles, size, slices, own):
        W = hebt.Projector(np.array(angles), size)
        return mbirjax_model(W, slices, sharpness=own, **parameters)

    def call(series, iterations):
        key = tuple(series.W.angles), series.W.size, series.slices
        return np.array(
            [
                mbirjax_run(model(*key, own), p, iterations, weights)[0]
                for (p, weights), own in zip(_data(series, weighted), sharpness)
            ]
        )

    return call


def svmbir_call(sharpness: tuple[float, ...], weighted: bool) -> Callable:
    """Return a call that reconstructs each element with the prior of that sharpness."""

    def call(series, iterations):
        return np.array(
            [
                svmbir_run(series.W, p, iterations, sharpness=own, weights=weights)
                for (p, weights), own in zip(_data(series, weighted), sharpness)
            ]
        )

    return call


def least_squares_images(size: int, slices: int) -> np.ndarray:
    """Return the phantom's elements, in turn, turned so that no side is like another."""
    images = hebt.simulate.phantom(size).density
    images = np.stack([images[0], np.roll(images[1], (size // 18, -size // 30), (0, 1))])
    return np.ascontiguousarray(images[np.arange(slices) % 2])


def hebt_least_squares(W: hebt.Projector, x: np.ndarray, tolerance: float, most: int) -> dict:
    """Return seconds, iterations and the relative residual of SIRT with momentum."""
    p = W.forward(x)
    norm = np.linalg.norm(p.astype(np.float64))

    def enough(iteration, image, residual):
        return residual <= tolerance * norm

    begin = time.perf_counter()
    history = hebt.History()
    found = hebt.sirt(
        W, p, most, callback=enough, history=history, device="cpu", progress=False, accelerate=True
    )
    seconds = time.perf_counter() - begin
    away = np.linalg.norm((W.forward(found) - p).astype(np.float64)) / norm
    return {"seconds": seconds, "iterations": history.iterations, "residual": float(away)}


def mbirjax_stop(W: hebt.Projector, x: np.ndarray, tolerance: float, most: int) -> int:
    """Return the iterations that mbirjax takes to a residual, or `most`."""
    p = mbirjax_project(W, x)
    _, said = mbirjax_run(_plain_mbirjax(W, len(x)), p, most)
    # root of the mean square of p - W x after each iteration
    level = np.sqrt(np.square(p, dtype=np.float64).mean())
    reached = np.array(said["recon_params"]["fm_rmse"]) / level <= tolerance
    return int(np.argmax(reached)) + 1 if reached.any() else most


def mbirjax_least_squares(W: hebt.Projector, x: np.ndarray, iterations: int) -> dict:
    """Return the same of mbirjax with a prior that does nothing, on data of its own projector."""
    p = mbirjax_project(W, x)
    model = _plain_mbirjax(W, len(x))
    begin = time.perf_counter()
    found, _ = mbirjax_run(model, p, iterations)
    seconds = time.perf_counter() - begin
    away = np.linalg.norm((mbirjax_project(W, found) - p).astype(np.float64))
    residual = float(away / np.linalg.norm(p.astype(np.float64)))
    return {"seconds": seconds, "iterations": iterations, "residual": residual}


@functools.cache
def _plain_mbirjax(W: hebt.Projector, slices: int):
    return mbirjax_model(W, slices, sigma_x=WEAK, sigma_y=1.0, auto_regularize_flag=False)


def svmbir_least_squares(W: hebt.Projector, x: np.ndarray, iterations: int) -> dict:
    """Return the same of svmbir."""
    p = svmbir_project(W, x)
    begin = time.perf_counter()
    found = svmbir_run(W, p, iterations, sigma_x=WEAK, sigma_y=1.0)
    seconds = time.perf_counter() - begin
    away = np.linalg.norm((svmbir_project(W, found) - p).astype(np.float64))
    residual = float(away / np.linalg.norm(p.astype(np.float64)))
    return {"seconds": seconds, "iterations": iterations, "residual": residual}


def svmbir_stop(W: hebt.Projector, x: np.ndarray, tolerance: float, steps: tuple[int, ...]) -> int:
    """Return the first of the steps at which svmbir's residual is small enough, or the last."""
    for iterations in steps:
        if svmbir_least_squares(W, x, iterations)["residual"] <= tolerance:
            break
    return iterations
