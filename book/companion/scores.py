"""Scores of a study: at the paper's stop or at the best one, and who is better."""

from __future__ import annotations

import dataclasses

import numpy as np

# all others are errors, of which the smallest is best
BEST_IS_LARGE = ("ssim", "ssim_windowed")


@dataclasses.dataclass(frozen=True, eq=False)
class Scores:
    """Scores of several methods over noise seeds and iterations, against one reference."""

    # name -> (methods, elements, seeds, checkpoints); NaN where a score was not taken
    values: dict[str, np.ndarray]
    methods: tuple[str, ...]  # one of them is "eds", EDS alone
    elements: tuple[str, ...]
    iterations: np.ndarray  # (checkpoints,): at which iterations scores were taken
    printed: int  # the paper's number of iterations, one of them

    def __post_init__(self):
        if self.printed not in self.iterations:
            raise ValueError(
                f"printed is {self.printed}; expected one of the iterations {self.iterations}."
            )

    def curve(self, name: str, method: str, element: str) -> np.ndarray:
        """Return a score over seeds and iterations, (seeds, checkpoints)."""
        return self.values[name][self.methods.index(method), self.elements.index(element)]

    def at(self, name: str, method: str, element: str, *, stop: str = "printed") -> np.ndarray:
        """Return a score over the seeds, (seeds,).

        `stop` is "printed" for the paper's number of iterations, or "best" for the one which is
        best for this score, method and element in the mean over the seeds. That knows the truth,
        so it is the most that stopping early can give.
        """
        return self.curve(name, method, element)[:, self.place(name, method, element, stop=stop)]

    def place(self, name: str, method: str, element: str, *, stop: str = "printed") -> int:
        """Return the place of a stop among the checkpoints."""
        if stop == "printed":
            return int(np.flatnonzero(self.iterations == self.printed)[0])
        if stop == "best":
            mean = self.curve(name, method, element).mean(axis=0)
            return int(np.nanargmax(mean) if name in BEST_IS_LARGE else np.nanargmin(mean))
        raise ValueError(f"stop is {stop!r}; expected 'printed' or 'best'.")

    def best_iteration(self, name: str, method: str, element: str) -> int:
        """Return the iteration of the best stop."""
        return int(self.iterations[self.place(name, method, element, stop="best")])

    def error(self, name: str, method: str, element: str, *, stop: str = "printed") -> np.ndarray:
        """Return how far a score is from perfect, (seeds,): 1 - similarity, or the error."""
        values = self.at(name, method, element, stop=stop)
        return 1 - values if name in BEST_IS_LARGE else values

    def gain(
        self,
        name: str,
        element: str,
        *,
        method: str | None = None,
        stop: str = "printed",
        eds_stop: str | None = None,
    ) -> np.ndarray:
        """Return by which factor the error of EDS alone exceeds that of `method`, (seeds,).

        That is the first of the methods that is not EDS alone, if None. EDS alone stops where
        `eds_stop` says, with the method if None.
        """
        method = method or next(m for m in self.methods if m != "eds")
        eds = self.error(name, "eds", element, stop=eds_stop or stop)
        return eds / self.error(name, method, element, stop=stop)

    def outcome(self, name: str, element: str, **options) -> str:
        """Say who is better: "HEBT" or "EDS" with every seed, else "tie"; options as of `gain`."""
        gain = self.gain(name, element, **options)
        return "HEBT" if (gain > 1).all() else "EDS" if (gain < 1).all() else "tie"
