"""What a reconstruction gives, with all that is known of it."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._checks import (
    as_float32,
    check_angles,
    check_choice,
    check_flag,
    check_names,
    check_number,
    check_order,
    check_path,
    check_text,
)
from ._engine.system import Residuals
from ._json import plain, ratios_in
from .composition import composition
from .ratios import ResponseRatios
from .stopping import History


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """Volumes with their units, and how they were made.

    Attributes
    ----------
    x
        x_e = z_e rho_e, in HAADF intensity per voxel, (elements, [slices,] size, size), float32.
    elements
        Names of the elements.
    pixel_size
        Side of a voxel, in nm.
    ratios
        Response ratios with their errors; None if they are not known.
    angles
        (tilts,), degrees, of the maps; None if they are not known.
    method
        Name of the method, such as "hebt" or "CompositionEM"; "" if it is not known.
    settings
        Arguments of the reconstruction by name, such as {"alpha": 0.7, "iterations": 200}.
    residuals
        What `reconstruct` wrote into ``history=``; None if nothing.
    history
        What was done to the tilt series before, in this order: a text for each step, or a mapping
        with its name as "step", its "settings", and "pictures" (title -> 2D array) for the report.
    inputs
        Name of each file that was read -> its SHA-256, or "" if that is not known.
    about
        What else is known: texts, numbers, arrays, lists and mappings of these.
    """

    x: np.ndarray
    elements: tuple[str, ...]
    pixel_size: float
    ratios: ResponseRatios | None = None
    angles: np.ndarray | None = None
    method: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    residuals: History | None = None
    history: Sequence[Any] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        x = as_float32("x", self.x, ndim=(3, 4))
        names = tuple(check_names(self.elements, len(x), name="elements"))
        size = check_number("pixel_size", self.pixel_size, "a length in nm above 0")
        checked: dict[str, Any] = {"x": x, "elements": names, "pixel_size": size}
        if self.ratios is not None:
            if not isinstance(self.ratios, ResponseRatios):
                raise TypeError(
                    f"ratios is of type {type(self.ratios).__name__}; expected what "
                    "response_ratios returns, or None."
                )
            check_order(self.ratios.names, names)
        if self.angles is not None:
            checked["angles"] = check_angles(self.angles)
        if self.residuals is not None and not isinstance(self.residuals, History):
            raise TypeError(
                f"residuals is of type {type(self.residuals).__name__}; expected a hebt.History, "
                "or None."
            )
        checked["method"] = check_text("method", self.method)
        checked["history"] = tuple(self.history)
        for name in ("settings", "inputs", "about"):
            value = getattr(self, name)
            if not isinstance(value, Mapping):
                raise TypeError(f"{name} is of type {type(value).__name__}; expected a mapping.")
            checked[name] = dict(value)
        if strange := set(_UNDERSTOOD) & set(checked["about"]):
            raise ValueError(
                f"about has {', '.join(sorted(strange))}, for which the result has attributes; "
                "expected other names."
            )
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        *_, size, _ = self.x.shape
        slices = f"{self.x.shape[1]} slices of " if self.x.ndim == 4 else ""
        how = f"by {self.method}" if self.method else "by an unknown method"
        return (
            f"Result: {', '.join(self.elements)} {how}\n"
            f"{slices}{size} x {self.x.shape[-1]} voxels of {self.pixel_size:.4g} nm\n"
            f"{self.ratios if self.ratios is not None else 'response ratios are not known'}"
        )

    def composition(
        self,
        *,
        zeta_factors: ArrayLike | None = None,
        k_factors: ArrayLike | None = None,
        eds_response: ArrayLike | None = None,
        kind: str = "mass",
        least: float = 0.0,
    ) -> np.ndarray:
        """Return mass or atomic fractions, as `hebt.composition` does.

        Parameters
        ----------
        zeta_factors, k_factors, eds_response
            One of them, (elements,).
        kind
            ``"mass"`` or ``"atomic"``.
        least
            Total density below which a voxel has no composition.

        Returns
        -------
        numpy.ndarray
            Fractions, float32, shape of x; NaN where there is no composition.

        Raises
        ------
        TypeError, ValueError
            If the ratios are not known, or as `hebt.composition` does.
        """
        if self.ratios is None:
            raise ValueError(
                "ratios is None; a composition needs the response ratios. Use hebt.composition "
                "with ratios of your own."
            )
        return composition(
            self.x,
            self.ratios.ratios,
            self.elements,
            zeta_factors=zeta_factors,
            k_factors=k_factors,
            eds_response=eds_response,
            kind=kind,
            least=least,
        )

    def save(self, path: str | os.PathLike, *, overwrite: bool = False) -> list[Path]:
        """Write the volumes, with all that is known, as `hebt.io.save` does.

        Pictures in the history stay behind. `hebt.io.load` gives an equal result.

        Parameters
        ----------
        path
            A name that ends in ``.vti``, ``.ome.tif``, ``.mrc``, ``.hspy`` or ``.ome.zarr``.
        overwrite
            Whether files of these names may be replaced.

        Returns
        -------
        list of pathlib.Path
            What was written.

        Raises
        ------
        FileExistsError
            If there is something of this name, and `overwrite` is False.
        TypeError, ValueError
            If the ending is another, or JSON cannot hold what is known.
        """
        from .io import save

        return save(
            path,
            self.x,
            pixel_size=self.pixel_size,
            elements=self.elements,
            about=self._known(),
            overwrite=check_flag("overwrite", overwrite),
        )

    def report(
        self,
        path: str | os.PathLike,
        *,
        zeta_factors: ArrayLike | None = None,
        k_factors: ArrayLike | None = None,
        eds_response: ArrayLike | None = None,
        kind: str = "mass",
        overwrite: bool = False,
    ) -> Path:
        """Write a report as one HTML file, which any browser shows without a server.

        It has the inputs, the preparation, the ratios with their errors, the residuals, slices in
        three planes, the composition, a turntable and the cell that makes the result again, as far
        as each is known; where something is not, it says so. It needs
        ``pip install "hebt[explorers]"``.

        Parameters
        ----------
        path
            The file, such as ``"particle.html"``.
        zeta_factors, k_factors, eds_response
            One of them, (elements,), for the composition; without, there is none.
        kind
            ``"mass"`` or ``"atomic"``.
        overwrite
            Whether a file of this name may be replaced.

        Returns
        -------
        pathlib.Path
            The file that was written.

        Raises
        ------
        FileExistsError
            If there is such a file, and `overwrite` is False.
        TypeError, ValueError
            If the ending is not ``.html``, or factors do not fit.
        """
        # By its name: what is computed would otherwise depend on how it is shown.
        write_report = importlib.import_module("._report", __package__).write_report
        path = check_path(path)
        if path.suffix.lower() not in (".html", ".htm"):
            raise ValueError(f"path is {str(path)!r}; expected a name that ends in .html.")
        check_choice("kind", kind, ("mass", "atomic"))
        factors = {
            "zeta_factors": zeta_factors,
            "k_factors": k_factors,
            "eds_response": eds_response,
        }
        given = {name: value for name, value in factors.items() if value is not None}
        fractions = self.composition(**given, kind=kind) if given else None  # type: ignore[arg-type]
        write_report(path, self, fractions, kind, check_flag("overwrite", overwrite))
        return path

    def _known(self) -> dict[str, Any]:
        """Return what is known beside the volumes, as JSON can hold it."""
        steps = [
            {k: v for k, v in step.items() if k != "pictures"}
            if isinstance(step, Mapping)
            else step
            for step in self.history
        ]
        known = {
            "ratios": self.ratios,
            "angles": self.angles,
            "method": self.method,
            "settings": self.settings,
            "residuals": None if self.residuals is None else _entries(self.residuals),
            "history": steps,
            "inputs": self.inputs,
        }
        return {name: plain(name, value) for name, value in known.items()} | dict(self.about)


def result_from(
    x: ArrayLike, elements: Sequence[str], pixel_size: float, about: Mapping[str, Any]
) -> Result:
    """Return a result with what the `about` of `hebt.io.save` says of it.

    What has the name and the form of an attribute becomes one; the rest is the result's `about`.
    """
    known = {name: about[name] for name in _UNDERSTOOD if about.get(name) is not None}
    read = {name: _UNDERSTOOD[name](value) for name, value in known.items()}
    found: dict[str, Any] = {name: value for name, value in read.items() if value is not None}
    if "ratios" in found:
        try:
            check_order(found["ratios"].names, elements)
        except ValueError:  # of other elements
            del found["ratios"]
    rest = {name: value for name, value in about.items() if name not in _UNDERSTOOD}
    # in the words of others
    rest |= {f"{name} (as saved)": known[name] for name in known if name not in found}
    return Result(np.asarray(x), tuple(elements), pixel_size, about=rest, **found)


def _entries(history):
    """Return the residuals of a run as mappings and lists."""
    stop = history.stopped_by
    return {
        "iterations": history.iterations,
        "stopped_by": None if stop is None else str(stop),
        "eds": history.eds,
        "haadf": history.haadf,
        "change": history.change,
        "deviance": history.deviance,
    }


def _history(saved):
    """Return the residuals that `_entries` made lists of."""
    try:
        history = History()
        deviance = saved["deviance"] or [None] * len(saved["eds"])
        for eds, haadf, change, dev in zip(
            saved["eds"], saved["haadf"], saved["change"], deviance, strict=True
        ):
            haadf, change = np.array([haadf, change], np.float64).tolist()  # None becomes NaN
            dev = None if dev is None else np.array(dev, np.float64)
            history.add(Residuals(np.array(eds, np.float64), haadf, change, dev))
        history.iterations, history.stopped_by = int(saved["iterations"]), saved["stopped_by"]
    except (KeyError, TypeError, ValueError):
        return None
    return history


def _angles(saved):
    try:
        return check_angles(np.array(saved, np.float64))  # None would become NaN
    except (TypeError, ValueError):
        return None


def _ratios(saved):
    try:
        return ResponseRatios(**ratios_in(saved))
    except (TypeError, ValueError):
        return None


# by the attribute: what makes it of JSON; None where it cannot
_UNDERSTOOD: dict[str, Callable[[Any], Any]] = {
    "ratios": _ratios,
    "angles": _angles,
    "method": lambda saved: saved if isinstance(saved, str) else None,
    "settings": lambda saved: saved if isinstance(saved, dict) else None,
    "residuals": _history,
    "history": lambda saved: tuple(saved) if isinstance(saved, list) else None,
    "inputs": lambda saved: saved if isinstance(saved, dict) else None,
}
