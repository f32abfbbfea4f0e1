"""HyperSpy signals, both ways, with axes and units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._checks import as_float32, check_angles, check_names, check_number
from .._hyperspy import hyperspy, quiet


def in_nm(units: object) -> float:
    """Return the length of a unit in nm."""
    lengths = {"nm": 1.0, "um": 1e3, "µm": 1e3, "μm": 1e3, "m": 1e9, "Å": 0.1, "pm": 1e-3}
    if str(units) not in lengths:
        raise ValueError(
            f"Pixels are measured in {units!r}; expected one of {', '.join(lengths)}. "
            "Calibrate the file's axes first."
        )
    return lengths[str(units)]


@dataclass(frozen=True)
class Calibrated:
    """An array with what its axes mean: what `from_signal` finds in a signal.

    Attributes
    ----------
    data
        A tilt series, shape ([elements,] tilts, slices, size), where `angles` is given; else a
        volume, shape ([elements,] slices, size, size).
    pixel_size
        Length of a pixel's or voxel's side, in nm.
    angles
        (tilts,), degrees; None for a volume.
    elements
        Names of the elements; None without an axis of elements.
    """

    data: np.ndarray
    pixel_size: float
    angles: np.ndarray | None
    elements: tuple[str, ...] | None


def to_signal(
    data: ArrayLike,
    *,
    pixel_size: float,
    angles: ArrayLike | None = None,
    elements: Sequence[str] | None = None,
    title: str = "",
) -> Any:
    """Return a HyperSpy signal with calibrated axes, which any step of the way can be saved as.

    Parameters
    ----------
    data
        With `angles`: a tilt series or maps, ([elements,] tilts, slices, size). Without: a volume
        or HEBT's result, ([elements,] slices, size, size).
    pixel_size
        Length of a pixel's or voxel's side, in nm.
    angles
        (tilts,), degrees.
    elements
        Names, one for each map or volume; needed where `data` has four axes.
    title
        What the signal is called.

    Returns
    -------
    hyperspy.signals.Signal2D
        Axes in nm, and degrees for the tilts.

    Raises
    ------
    ValueError
        If elements or angles do not fit the axes of `data`, or `pixel_size` is not above 0.

    Examples
    --------
    >>> hebt.io.to_signal(x, pixel_size=52.3, elements=["O", "Fe"]).save("x.hspy")  # doctest: +SKIP
    """
    hs = hyperspy()
    data = as_float32("data", data, ndim=(3, 4))
    pixel_size = check_number("pixel_size", pixel_size, "a length in nm above 0")
    if (data.ndim == 4) != (elements is not None):
        raise ValueError(
            f"data has shape {data.shape} and elements is {elements!r}; expected names of the "
            "elements where data has four axes, and none where it has three."
        )

    def length(name, size):
        return {"name": name, "size": size, "scale": pixel_size, "offset": 0.0, "units": "nm"}

    axes: list[dict[str, Any]] = []
    if elements is not None:
        elements = check_names(elements, data.shape[0])
        axes.append({"name": "element", "size": data.shape[0], "scale": 1.0, "offset": 0.0})
    if angles is not None:
        angles = check_angles(angles)
        tilts, slices, size = data.shape[-3:]
        if len(angles) != tilts:
            raise ValueError(
                f"angles has {len(angles)} entries, but data has {tilts} tilts "
                f"(shape {data.shape}); expected one angle per tilt."
            )
        axes.append({"name": "tilt", "units": "degrees", **_tilt_axis(angles)})
        axes += [length("slice", slices), length("across", size)]
    else:
        slices, depth, size = data.shape[-3:]
        axes += [length("slice", slices), length("depth", depth), length("across", size)]
    for position, axis in enumerate(axes):
        axis["navigate"] = position < len(axes) - 2
    with quiet():
        signal = hs.signals.Signal2D(data, axes=axes)
    signal.metadata.General.title = title
    kept: dict[str, Any] = {
        "kind": "volume" if angles is None else "tilt series",
        "pixel_size": pixel_size,
    }
    if angles is not None:
        kept["angles"] = [float(a) for a in angles]
    if elements is not None:
        kept["elements"] = elements
        signal.metadata.set_item("Sample.elements", sorted(set(elements)))
    signal.metadata.add_dictionary({"HEBT": kept})
    return signal


def spectra_to_signal(
    data: ArrayLike,
    *,
    pixel_size: float,
    energies: ArrayLike,
    tilt: float,
    voltage: float,
    elements: Sequence[str],
    title: str = "",
) -> Any:
    """Return a spectrum image as a HyperSpy EDS signal with calibrated axes.

    Parameters
    ----------
    data
        (slices, size, channels): counts, of any integer or real type, which is kept.
    pixel_size
        Length of a pixel's side, in nm.
    energies
        (channels,): energy of each channel in keV, in equal steps.
    tilt
        Tilt of the specimen in degrees.
    voltage
        Of the microscope, in kV.
    elements
        Names of the elements in the specimen.
    title
        What the signal is called.

    Returns
    -------
    exspy.signals.EDSTEMSpectrum
        Axes in nm and keV.

    Raises
    ------
    ValueError
        If an argument does not fit the above.
    """
    data = np.asarray(data)
    energies = np.asarray(energies, np.float64)
    if data.ndim != 3 or energies.shape != data.shape[2:]:
        raise ValueError(
            f"data has shape {data.shape} and energies {energies.shape}; expected (slices, size, "
            "channels) and (channels,)."
        )
    steps = np.diff(energies)
    if not len(steps) or not steps[0] > 0 or not np.allclose(steps, steps[0], rtol=0.01):
        raise ValueError(
            f"energies are {len(energies)} values in steps from {steps.min(initial=np.inf):g} to "
            f"{steps.max(initial=0):g} keV; expected at least two, rising in equal steps. Make a "
            "signal of each run of neighbouring channels."
        )
    pixel_size = check_number("pixel_size", pixel_size, "a length in nm above 0")
    hs = hyperspy()
    axes: list[dict[str, Any]] = [
        {"name": name, "size": count, "scale": pixel_size, "units": "nm", "navigate": True}
        for name, count in zip(("slice", "across"), data.shape)
    ]
    step = float((energies[-1] - energies[0]) / (len(energies) - 1))
    energy = {"size": len(energies), "scale": step, "offset": float(energies[0])}
    axes.append({"name": "Energy", "units": "keV", "navigate": False, **energy})
    with quiet():
        signal = hs.signals.Signal1D(data, axes=axes)
        signal.set_signal_type("EDS_TEM")
        signal.set_microscope_parameters(beam_energy=float(voltage), tilt_stage=float(tilt))
        signal.set_elements(list(elements))
    signal.metadata.General.title = title
    return signal


def _tilt_axis(angles):
    """Return size, and where the tilts are in equal steps or in order the values of their axis."""
    steps = np.diff(angles)
    if _steady(angles):
        step = float(steps[0]) if len(steps) else 1.0
        return {"scale": step, "offset": float(angles[0]), "size": len(angles)}
    in_order = (steps > 0).all() or (steps < 0).all()
    return {"axis": angles} if in_order else {"size": len(angles)}


def from_signal(signal: Any) -> Calibrated:
    """Return a signal's data with its pixel size, tilts and elements.

    Takes what `to_signal` made (also when saved and loaded again), and other signals with three
    axes: an axis in degrees, or named tilt or angle, is taken for the tilts.

    Parameters
    ----------
    signal
        A HyperSpy signal of two or more axes with units of length, as `to_signal` makes it.

    Returns
    -------
    Calibrated
        The data with what its axes mean.

    Raises
    ------
    ValueError
        If the last two axes are no lengths of one scale, or the axes have another order.
    """
    axes = signal.axes_manager._axes
    data = np.asarray(signal.data)
    if data.ndim not in (3, 4):
        raise ValueError(
            f"signal has {data.ndim} axes (shape {data.shape}); expected three "
            "(a tilt series or volume) or four (one of these for each element)."
        )
    across = axes[-1]
    for other in axes[-2:]:
        if not np.isclose(other.scale * in_nm(other.units), across.scale * in_nm(across.units)):
            raise ValueError(
                f"signal has pixels of {other.scale} {other.units} by {across.scale} "
                f"{across.units}; expected square pixels."
            )
    kept = signal.metadata.get_item("HEBT", None)
    kept = kept.as_dictionary() if kept is not None else {}
    third = axes[-3]
    is_tilt = str(third.units).lower() in ("degrees", "degree", "deg", "°") or (
        str(third.name).lower() in ("tilt", "tilts", "angle", "angles")
    )
    angles = None
    if is_tilt:
        # the axis is what counts: a reader may have cropped the series since it was made
        angles, known = np.asarray(third.axis, np.float64), kept.get("angles")
        if third.is_uniform and known and len(known) == len(angles) and not _steady(known):
            angles = np.asarray(known, np.float64)
    elements = kept.get("elements")
    if data.ndim == 4 and (elements is None or len(elements) != data.shape[0]):
        elements = [f"element {i}" for i in range(data.shape[0])]
    return Calibrated(
        data=as_float32("signal", data),
        pixel_size=float(across.scale * in_nm(across.units)),
        angles=angles,
        elements=tuple(elements or ()) if data.ndim == 4 else None,
    )


def _steady(angles):
    steps = np.diff(angles)
    return len(steps) == 0 or (np.allclose(steps, steps[0]) and steps[0] != 0)
