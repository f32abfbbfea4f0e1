"""What the methods of `reconstruct` have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, ClassVar

import numpy as np

from ._blocks import is_lazy
from ._checks import as_float32, check_number, check_variance
from ._guide import haadf_noise
from ._problem import Problem, Run
from ._solve import solve


class Method:
    """A method with its settings: a frozen dataclass of this says what is its own, and solves.

    Each has `variance` and `haadf_noise` among its fields.

    Attributes
    ----------
    label
        What a progress bar calls it.
    iterations
        How many iterations it runs unless the call says so.
    """

    label: ClassVar[str]
    iterations: ClassVar[int]
    runs_on_cuda: ClassVar[bool] = False
    variance: Any
    haadf_noise: Any

    def _solve(self, problem: Problem, run: Run) -> np.ndarray:
        """Return x in its public shape."""
        raise NotImplementedError

    def _check_noise(self) -> None:
        """Check, and store, what all methods know of the noise."""
        if self.haadf_noise is not None:
            expected = "a standard deviation of at least 0, as haadf, or None"
            noise = check_number("haadf_noise", self.haadf_noise, expected, also_least=True)
            object.__setattr__(self, "haadf_noise", noise)
        if self.variance is not None and not is_lazy(self.variance):
            object.__setattr__(self, "variance", as_float32("variance", self.variance))

    @property
    def _name(self) -> str:
        """Its name in messages."""
        return f"hebt.{type(self).__name__}"

    def _check_call(self, alpha: Any, blur: Any, device: Any, accelerate: bool = False) -> None:
        """Raise a ValueError for arguments of `reconstruct` that are HEBT's alone."""
        if alpha is not None:
            raise ValueError(
                f"alpha is {alpha!r}, but {self._name} weighs nothing; expected None. Leave alpha "
                "out."
            )
        if blur is not None:
            raise ValueError(
                f"blur is given, but {self._name} takes maps as they were counted; expected None. "
                "Give the maps before they were smoothed, and leave blur out."
            )
        if accelerate:
            raise ValueError(
                f"accelerate is True, but {self._name} has steps of its own; expected False. "
                "Leave accelerate out."
            )
        if isinstance(device, str) and device == "cuda" and not self.runs_on_cuda:
            raise ValueError(
                f'device is "cuda", but {self._name} runs on the CPU; expected "auto" or "cpu".'
            )

    def _check_blocks(self) -> None:
        """Raise a ValueError if slices have to do with each other."""

    def _in_blocks(self, problem: Problem) -> tuple[Callable, Problem, dict | None]:
        """Return what reconstructs a block of slices, the problem, and the settings for a store.

        The variance is one of the problem's arrays there, and HAADF's noise the same for all
        blocks.
        """
        self._check_blocks()
        haadf: Any = problem.haadf
        noise, variance = self.haadf_noise, self.variance
        if noise is None and is_lazy(haadf):
            raise ValueError(
                "haadf_noise is None and haadf a Dask array, of which each block would show "
                f"another noise; expected {self._name}(..., haadf_noise=...). Measure it where "
                "there is no specimen."
            )
        if variance is not None and not is_lazy(variance):
            variance = check_variance(variance, problem.maps)
        noise = haadf_noise(haadf) if noise is None else noise
        own: Any = self
        method = replace(own, variance=None, haadf_noise=noise)
        settings = {f.name: getattr(method, f.name) for f in fields(method)}
        del settings["variance"]
        return (
            method._solve_block,
            replace(problem, variance=variance),
            {"name": type(self).__name__, **settings},
        )

    def _solve_block(self, problem: Problem, run: Run) -> np.ndarray:
        method: Any = self
        return replace(method, variance=problem.variance)._solve(problem, run)


class Hebt(Method):
    """The paper's method, whose settings are arguments of `reconstruct`."""

    label = "HEBT"
    iterations = 200

    def _solve(self, problem: Problem, run: Run) -> np.ndarray:
        """Return x in its public shape."""
        return solve(problem, run)

    def _in_blocks(self, problem: Problem) -> tuple[Callable, Problem, dict | None]:
        """Return what reconstructs a block of slices, the problem, and whether with momentum."""
        if problem.reach:
            raise ValueError(
                "blur smooths along the slices, but each block of slices is reconstructed alone; "
                "expected ([1], kernel), which smooths across them. Give that, or haadf, maps, "
                "mask and x0 as numpy arrays, and no out, for the whole volume at once."
            )
        return solve, problem, {"accelerate": True} if problem.accelerate else None
