"""The iteration: x <- max(0, x + C^-1 W^T R^-1 (p - W x)) mask, for all elements and slices."""

from __future__ import annotations

import contextlib
import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from ._engine.accelerated import AcceleratedRun, Acceleration
from ._engine.arrays import slices_first
from ._engine.cpu import CpuRun
from ._engine.device import choose_device
from ._engine.system import Blur, Residuals
from ._problem import Problem, Run
from ._progress import progress_bar


class Interrupted(KeyboardInterrupt):
    """A reconstruction was interrupted; `x` holds what it had reached.

    Attributes
    ----------
    x : numpy.ndarray
        The reconstruction so far, in the shape that the call would have returned. Give it as
        `x0` to go on. In a notebook: ``import sys; sys.last_value.x``.
    iteration : int
        How many iterations it has had; a part of the next one may be in x too.
    """

    def __init__(self, x: np.ndarray, iteration: int, message: str | None = None):
        reached = (
            f"interrupted after {iteration} iterations; the result so far is in this exception's "
            "x (in a notebook: sys.last_value.x), ready to be given as x0"
        )
        super().__init__(reached if message is None else message)
        self.x, self.iteration = x, iteration

    def __reduce__(self):
        return type(self), (self.x, self.iteration, str(self))


def solve(problem: Problem, run: Run, acceleration: Acceleration | None = None) -> np.ndarray:
    """Iterate, and return x in its public shape; for SIRT on one series without the elements.

    With an `acceleration` its slices are those of the problem.
    """
    if acceleration is None and problem.accelerate:
        acceleration = Acceleration()
    busy = _busy_slices(problem)
    with contextlib.ExitStack() as stack:
        if acceleration is not None:
            acceleration = _going_on(acceleration, run.history._begins, busy)
        state = _state(problem, busy, run.device, stack, acceleration)
        state.keep = run.history._keeps_momentum
        try:
            return iterate(state, problem, busy, run)
        finally:
            if getattr(state, "ended", None) is not None:
                run.history._ended = _ended(state, problem, busy)


def _going_on(acceleration: Acceleration, begin: Any, busy: np.ndarray) -> Acceleration:
    """Return the same, with what another run of these slices ended with."""
    if begin is None:
        return acceleration
    y, t = begin
    y = y.reshape(len(y), -1, y.shape[-1] * y.shape[-2]).take(busy, axis=1)
    return replace(acceleration, begin=(y, np.asarray(t, float)))


def _ended(state: Any, problem: Problem, busy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the y and t that a run with momentum ended with, y in the shape of x."""
    columns, t = state.ended
    return _Result(state, problem, busy).public(columns), t


def iterate(state: Any, problem: Problem, busy: np.ndarray, run: Run) -> np.ndarray:
    """Iterate on what projects, compares and steps; x is that of the slices `busy`."""
    result = _Result(state, problem, busy)
    run.history.clear()
    done = 0
    with progress_bar(run.iterations, run.label, run.progress) as bar:
        try:
            residuals = state.residuals()
            run.history.add(residuals)
            while done < run.iterations:
                state.advance()
                done += 1
                run.history.iterations = done
                bar.set_postfix_str(_text(residuals), refresh=False)
                bar.update()
                # the last projection serves only the residuals that callback and rules get
                if done == run.iterations and not run.is_watched:
                    break
                state.project()
                residuals = state.residuals()
                run.history.add(residuals)
                if run.ends(done, result.view, residuals):
                    break
            return result.take()
        except KeyboardInterrupt:
            raise Interrupted(result.take(), done) from None


class _Result:
    """x as the public sees it: all slices, also those without data, which stay at 0."""

    def __init__(self, state, problem, busy):
        self.state, self.busy = state, busy
        # for SIRT on one series there is no elements axis
        self.shape = problem.shape[problem.haadf is None :]
        self.elements, self.size = state.elements, state.size
        self.slices = problem.maps.size // (len(problem.maps) * state.tilts * self.size)
        self.inside: Any = None
        self.whole: Any = None

    def view(self) -> np.ndarray:
        """Return x as it is now, read-only: the same memory, or a copy if slices are left out."""
        columns = self.state.fetch()
        if self.whole is None:
            inside = columns[:, : self.state.columns]
            inside = inside.reshape(self.size, self.size, self.elements, -1, copy=False)
            self.inside = self.whole = np.moveaxis(inside, (0, 1), (-2, -1))
            if len(self.busy) < self.slices:
                shape = self.elements, self.slices, self.size, self.size
                self.whole = np.zeros(shape, np.float32)
        if self.whole is not self.inside:
            self.whole[:, self.busy] = self.inside
        seen = self.whole.reshape(self.shape, copy=False)
        seen.setflags(write=False)
        return seen

    def take(self) -> np.ndarray:
        """Return x as an array of its own, and give the rest of the run's memory back."""
        self.state.free()
        return self.public(self.state.fetch())

    def public(self, columns: np.ndarray) -> np.ndarray:
        """Return columns of slices as a new array in the shape of x."""
        if len(self.busy) == self.slices:
            return slices_first(columns, self.elements * self.slices).reshape(self.shape)
        x = np.zeros((self.elements, self.slices, self.size**2), np.float32)
        n = len(self.busy)
        for e, own in enumerate(x):
            own[self.busy] = slices_first(columns[:, e * n : (e + 1) * n], n)
        return x.reshape(self.shape)


def _state(
    problem: Problem,
    busy: np.ndarray,
    device: str,
    stack: contextlib.ExitStack,
    acceleration: Acceleration | None,
) -> Any:
    """Return what to iterate on: on the CPU, or on a GPU, which is ours until `stack` closes."""
    W, W_haadf = problem.W, problem.haadf_projector
    elements, size = len(problem.maps), W.size

    def flat(array, *shape):
        """Return an array whose slices are one axis, and of these those with data."""
        if array is None:
            return None
        array = array.reshape(shape)
        axis = shape.index(-1)
        return array if array.shape[axis] == len(busy) else array.take(busy, axis=axis)

    def each(values, rows):
        """Return (rows, slices or 1), float32."""
        values = np.asarray(values, np.float32).reshape(rows, -1)
        return values if values.shape[1] == 1 else values[:, busy]

    mask = np.ones((1, size**2), np.float32) if problem.mask is None else problem.mask
    mask = np.ascontiguousarray(each(mask.reshape(-1, size**2).T, size**2))
    alpha = np.asarray(problem.alpha, float).reshape(-1)
    depth = max(1, len(busy) // problem.volumes)
    arguments: tuple = (
        W._beam,
        flat(problem.maps, elements, len(W.angles), -1, size),
        flat(problem.haadf, len((W_haadf or W).angles), -1, size),
        each(np.stack([1 - alpha, alpha / elements]), 2),
        mask,
        None if problem.ratios is None else each(problem.ratios, elements),
        None if W_haadf is None else W_haadf._beam,
        None if problem.blur is None else Blur(*problem.blur, depth, size),
        flat(problem.x0, elements, -1, size**2),
    )
    if acceleration is not None:
        offset = flat(acceleration.offset, elements, len(W.angles), -1, size)
        depth = depth if problem.reach else 1
        arguments = *arguments, replace(acceleration, offset=offset, depth=depth)
    if choose_device(device) == "cuda":
        from ._engine import cuda

        stack.enter_context(cuda.turn)
        try:
            if acceleration is None:
                return cuda.CudaRun(*arguments)
            from ._engine.cuda_accelerated import AcceleratedCudaRun

            return AcceleratedCudaRun(*arguments)
        except MemoryError as error:
            if device == "cuda":
                raise
            warnings.warn(f"{error} It runs on the CPU now.", UserWarning, stacklevel=4)
    return (CpuRun if acceleration is None else AcceleratedRun)(*arguments)


def _busy_slices(problem: Problem) -> np.ndarray:
    """Return the indices of the slices with a value other than 0 anywhere; at least one."""

    def any_of(array, *axes):
        return array.any(axis=axes).ravel()

    busy = any_of(problem.maps, 0, 1, -1)
    if problem.haadf is not None:
        busy = busy | any_of(problem.haadf, 0, -1)
    if problem.x0 is not None:
        busy = busy | any_of(problem.x0, 0, -2, -1)
    if problem.reach and busy.any():
        # x is 0 farther than the kernel reaches from slices with data, and such a slice has to meet
        # its own data, which are 0 there
        busy = busy.reshape(problem.volumes, -1)
        inside, reach = np.flatnonzero(busy.any(axis=0)), 2 * problem.reach
        busy[:, max(0, inside[0] - reach) : inside[-1] + reach + 1] = True
    return np.flatnonzero(busy) if busy.any() else np.array([0])


def _text(residuals: Residuals) -> str:
    eds = np.sqrt((residuals.eds**2).sum())
    haadf = "" if np.isnan(residuals.haadf) else f", HAADF {residuals.haadf:.3g}"
    return f"residual {eds:.3g}{haadf}"
