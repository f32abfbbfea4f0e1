"""What errors.py compares: hebt's methods, and the same with ASTRA and scipy.

A contender's `trace` reconstructs a `Series` and says for some numbers of iterations how long the
call takes that ends there, from arrays to arrays. What judges a result stops the clock meanwhile.
"""

from __future__ import annotations

import contextlib
import inspect
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import fused_multimodal
import numpy as np

import hebt
from companion.phantom.data import PhantomSettings
from companion.phantom.data import data as phantom
from hebt import prepare
from hebt._engine.arrays import inverse

NUMBERS = 79, 47  # of the phantom's elements


@dataclass(frozen=True, eq=False)
class Series:
    """A tilt series of the phantom whose slices differ by their counting noise alone."""

    W: hebt.Projector
    truth: np.ndarray  # (elements, size, size)
    haadf: np.ndarray  # (tilts, slices, size)
    counts: np.ndarray  # (elements, tilts, slices, size)
    maps: np.ndarray  # the same, smoothed as in the paper
    variance: np.ndarray  # of the smoothed maps
    ratios: np.ndarray  # (elements,), estimated from the counts of all slices

    def first(self, slices: int) -> Series:
        """Return the first slices alone."""
        cut = {"haadf": self.haadf[:, :slices]}
        cut |= {name: getattr(self, name)[:, :, :slices] for name in ("counts", "maps", "variance")}
        return replace(self, **{name: np.ascontiguousarray(part) for name, part in cut.items()})

    @property
    def slices(self) -> int:
        return self.haadf.shape[1]


def phantom_series(size: int, slices: int, tilts: int) -> Series:
    """Return the paper's phantom (section 3.1) at its dose, each slice with a seed of its own."""
    angles = np.linspace(-75, 75, tilts)
    found = phantom(PhantomSettings.paper(size=size, seeds=range(slices), angles=angles))
    s = found.settings
    kernel = {"width": max(1, round(s.width / s.binning)), "sigma": s.sigma / s.binning}
    return Series(
        W=found.W,
        truth=found.density,
        haadf=found.haadf_of_seeds,
        counts=found.counts,
        maps=found.maps,
        variance=prepare.smooth_variance(found.counts, centered=s.centered, **kernel),
        ratios=hebt.response_ratios(found.haadf_of_seeds, found.counts).ratios,
    )


class Clock:
    """Seconds by the clock since it was made, without those in which it was stopped."""

    def __init__(self):
        self.begin = time.perf_counter()

    def read(self) -> float:
        return time.perf_counter() - self.begin

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Do something that is not measured."""
        before = time.perf_counter()
        yield
        self.begin += time.perf_counter() - before


@dataclass(frozen=True)
class Point:
    """Where a reconstruction had come to."""

    iteration: int
    seconds: float
    errors: list[float] | None  # of each element


@dataclass(frozen=True)
class Contender:
    """A program with its settings.

    `trace(series, steps, judge)` returns points at those iterations; `judge(x)`, of x (elements,
    slices, size, size), returns the errors.
    """

    name: str
    program: str  # whose version counts
    setting: str
    threads: int  # at most
    slices: int | None  # how many it is given; None for all
    steps: tuple[int, ...]
    trace: Callable[[Series, tuple[int, ...], Callable], list[Point]]


def by_calls(call: Callable[[Series, int], np.ndarray]) -> Callable:
    """Return a trace of a program that is called anew for each number of iterations."""

    def trace(series, steps, judge):
        points = []
        for step in steps:
            clock = Clock()
            x = call(series, step)
            points.append(Point(step, clock.read(), judge(x)))
        return points

    return trace


def by_callback(call: Callable[[Series, int, Callable], Any]) -> Callable:
    """Return a trace of a call of hebt, in one run; to each time comes what the end takes."""

    def trace(series, steps, judge):
        points = []

        def look(iteration, x, residuals):
            nonlocal last
            if iteration in steps:
                seconds = clock.read()
                with clock.stopped():
                    points.append(Point(iteration, seconds, judge(x)))
            last = clock.read()

        last = 0.0
        clock = Clock()
        call(series, max(steps), look)
        end = clock.read() - last
        return [replace(point, seconds=point.seconds + end) for point in points]

    return trace


def reconstruct(data: str = "maps", **options) -> Callable:
    """Return a trace of `hebt.reconstruct`; a method may be a function of the series."""

    def call(series, iterations, look):
        given = dict(options)
        if callable(given.get("method")):
            given["method"] = given["method"](series)
        return hebt.reconstruct(
            series.W,
            series.haadf,
            getattr(series, data),
            series.ratios,
            iterations=iterations,
            callback=look,
            device="cpu",
            progress=False,
            **given,
        )

    return by_callback(call)


def sirt(series: Series, iterations: int, look: Callable, **options) -> np.ndarray:
    """Reconstruct each map by `hebt.sirt`."""
    p = np.moveaxis(series.maps, 0, 1)
    return hebt.sirt(
        series.W, p, iterations, callback=look, device="cpu", progress=False, **options
    )


def scipy_trace(series: Series, steps: tuple[int, ...], judge: Callable) -> list[Point]:
    """SIRT of all slices at once with hebt's weights, worked out beforehand, as a sparse matrix."""
    W, points = series.W, []
    matrix = W.matrix()
    back = matrix.T.tocsr()
    rows, columns = inverse(W.row_sums).reshape(-1, 1), inverse(W.column_sums).reshape(-1, 1)
    size, shape = W.size, (W.size, W.size, len(series.maps), series.slices)
    clock = Clock()
    data = np.ascontiguousarray(series.maps.transpose(1, 3, 0, 2)).reshape(
        len(matrix.indptr) - 1, -1
    )
    x = np.zeros((size**2, data.shape[1]), np.float32)
    for n in range(1, max(steps) + 1):
        x = np.maximum(0, x + columns * (back @ (rows * (data - matrix @ x))))
        if n in steps:
            done = np.ascontiguousarray(np.moveaxis(x.reshape(shape), (0, 1), (2, 3)))
            seconds = clock.read()
            with clock.stopped():
                points.append(Point(n, seconds, judge(done)))
    return points


def astra_trace(projector: str) -> Callable:
    """Return a trace of ASTRA's CPU SIRT, one slice after the other, with nothing below 0."""

    def trace(series, steps, judge):
        import astra

        seconds = np.zeros(len(steps))
        x = np.empty((len(steps), *series.maps.shape[:1], series.slices, *2 * [series.W.size]))
        for e, s in np.ndindex(x.shape[1:3]):
            clock = Clock()
            algorithm, image = astra_sirt(series.W, series.maps[e, :, s], projector)
            for i, (before, step) in enumerate(zip((0, *steps), steps)):
                astra.algorithm.run(algorithm, step - before)
                x[i, e, s] = astra.data2d.get(image)
                seconds[i] += clock.read()
            astra.clear()
        return [Point(n, float(t), judge(image)) for n, t, image in zip(steps, seconds, x)]

    return trace


def astra_sirt(W: hebt.Projector, sinogram: np.ndarray, projector: str) -> tuple[int, int]:
    """Return the numbers of an algorithm of ASTRA and of the image on which it works."""
    import astra

    volume = astra.create_vol_geom(W.size, W.size)
    beam = astra.create_proj_geom("parallel", 1, W.size, np.deg2rad(W.angles))
    image = astra.data2d.create("-vol", volume)
    configuration = astra.astra_dict("SIRT")
    configuration["ProjectorId"] = astra.create_projector(projector, beam, volume)
    configuration["ProjectionDataId"] = astra.data2d.create("-sino", beam, sinogram)
    configuration["ReconstructionDataId"] = image
    configuration["option"] = {"MinConstraint": 0}
    return astra.algorithm.create(configuration), image


def astra_hebt_trace(series: Series, steps: tuple[int, ...], judge: Callable) -> list[Point]:
    """HEBT (Eq. 11) with ASTRA's strip projector, forward and back, one slice after the other."""
    import astra

    elements, size, alpha = len(series.maps), series.W.size, np.float32(0.7)
    volume = astra.create_vol_geom(size, size)
    beam = astra.create_proj_geom("parallel", 1, size, np.deg2rad(series.W.angles))
    projector = astra.create_projector("strip", beam, volume)
    W = astra.OpTomo(projector)
    rows = inverse(W.FP(np.ones((size, size), np.float32)))
    columns = inverse(W.BP(np.ones(rows.shape, np.float32)))
    seconds = np.zeros(len(steps))
    x = np.empty((len(steps), elements, series.slices, size, size), np.float32)
    for s in range(series.slices):
        p = series.ratios.astype(np.float32)[:, None, None] * series.maps[:, :, s]
        haadf, now = series.haadf[:, s], np.zeros((elements, size, size), np.float32)
        clock = Clock()
        for n in range(1, max(steps) + 1):
            seen = np.array([W.FP(image) for image in now])
            both = alpha / elements * (haadf - seen.sum(axis=0))
            away = rows * ((1 - alpha) * (p - seen) + both)
            now = np.maximum(0, now + columns * np.array([W.BP(image) for image in away]))
            if n in steps:
                seconds[steps.index(n)] += clock.read()
                x[steps.index(n), :, s] = now
    astra.clear()
    return [Point(n, float(t), judge(image)) for n, t, image in zip(steps, seconds, x)]


def restated(parameters: fused_multimodal.Parameters) -> Callable:
    """Return a trace of the restated model of fused multi-modal tomography."""

    def trace(series, steps, judge):
        points = []

        def look(iteration, u):
            if iteration in steps:
                seconds = clock.read()
                with clock.stopped():
                    points.append(Point(iteration, seconds, judge(u)))

        clock = Clock()
        fused_multimodal.reconstruct(
            series.W, series.haadf, series.counts, NUMBERS, parameters, max(steps), look
        )
        return points

    return trace


def can_accelerate() -> bool:
    """Return whether this hebt knows SIRT with momentum."""
    return "accelerate" in inspect.signature(hebt.reconstruct).parameters
