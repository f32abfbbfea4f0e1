"""HyperSpy signals, both ways, with axes and units."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._checks import (
    as_float32,
    as_float64,
    check_angles,
    check_names,
    check_number,
    check_text,
    data_of,
)
from .._hyperspy import hyperspy, quiet
from .._units import ANGLES, LENGTHS, in_nm, measure


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
    angles_from
        Where the angles were found, such as "axis 'tilt' in degrees"; None for a volume.
    """

    data: np.ndarray
    pixel_size: float
    angles: np.ndarray | None
    elements: tuple[str, ...] | None
    angles_from: str | None = None


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
        elements = check_names(elements, data.shape[0], name="elements")
        axes.append({"name": "element", "size": data.shape[0], "scale": 1.0, "offset": 0.0})
    if angles is not None:
        angles = check_angles(angles)
        tilts, slices, size = data.shape[-3:]
        if len(angles) != tilts:
            raise ValueError(
                f"angles has {len(angles)} entries, but data has {tilts} tilts "
                f"(shape {data.shape}); expected one angle per tilt."
            )
        axes.append({"name": "tilt", **_tilt_axis(angles)})
        axes += [length("slice", slices), length("across", size)]
    else:
        slices, depth, size = data.shape[-3:]
        axes += [length("slice", slices), length("depth", depth), length("across", size)]
    for position, axis in enumerate(axes):
        axis["navigate"] = position < len(axes) - 2
    with quiet():
        signal = hs.signals.Signal2D(data, axes=axes)
    signal.metadata.General.title = check_text("title", title)
    kept: dict[str, Any] = {
        "kind": "volume" if angles is None else "tilt series",
        "pixel_size": pixel_size,
        "prints": _prints(data),
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
    energies = as_float64("energies", energies)
    as_float32("data", data)
    data = np.asarray(data)
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
            "signal of each run of neighboring channels."
        )
    pixel_size = check_number("pixel_size", pixel_size, "a length in nm above 0")
    voltage = check_number("voltage", voltage, "a voltage in kV above 0")
    tilt = check_number("tilt", tilt, "degrees from -360 to 360", least=-360, most=360)
    elements = check_names(elements, max(1, np.size(elements)), name="elements")
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
        signal.set_microscope_parameters(beam_energy=voltage, tilt_stage=tilt)
        signal.set_elements(elements)
    signal.metadata.General.title = check_text("title", title)
    return signal


def _tilt_axis(angles):
    """Return what an axis needs: the tilts where they are in order, else their numbers."""
    steps = np.diff(angles)
    if len(steps) == 0 or (np.allclose(steps, steps[0]) and steps[0] != 0):
        step = float(steps[0]) if len(steps) else 1.0
        return {"scale": step, "offset": float(angles[0]), "size": len(angles), "units": "degrees"}
    if (steps > 0).all() or (steps < 0).all():
        return {"axis": angles, "units": "degrees"}
    return {"scale": 1.0, "offset": 0.0, "size": len(angles)}


def from_signal(
    signal: Any, *, angles: ArrayLike | None = None, pixel_size: float | None = None
) -> Calibrated:
    """Return a signal's data with its pixel size, tilts and elements.

    Takes what `to_signal` made, also when saved, loaded, cropped, flipped or put in another order
    since, and signals of other programs. Tilts come from `angles`, an axis in degrees or radians,
    or a list in the metadata (of `to_signal`, of etspy, of an FEI header in ``.mrc``, of the
    stages of images that HyperSpy stacked), of which the axis says which were kept. They are never
    made of the numbers of the images: without a source, or with two that differ, there is an error.
    hs.stack carries on an even axis as if no image were left out: then only images that `to_signal`
    wrote and nothing has changed tell their tilts and elements. NumPy leaves no trace of what it
    takes out of changed images; use ``signal.inav``, or give `angles`.

    Parameters
    ----------
    signal
        A HyperSpy signal of three axes (a tilt series or a volume) or four (one of these for each
        element). The last two are along and across the tilt axis.
    angles
        (tilts,), degrees, in place of what the signal says.
    pixel_size
        Length of a pixel's side in nm, in place of what the axes say.

    Returns
    -------
    Calibrated
        The data with what its axes mean. Elements whose names are not known for sure are called
        "element 0", "element 1", ... by their place.

    Raises
    ------
    TypeError
        If `signal` is no HyperSpy signal.
    ValueError
        If axes have another order, if pixels are not square or have no length, if there is no
        source of tilts and the third axis is no length either, or if sources of tilts differ.

    Examples
    --------
    >>> import numpy as np
    >>> series = hs.load("series.mrc")  # doctest: +SKIP
    >>> found = hebt.io.from_signal(  # doctest: +SKIP
    ...     series, angles=np.loadtxt("series.rawtlt"), pixel_size=1.5
    ... )
    """
    if not hasattr(signal, "axes_manager"):
        raise TypeError(f"signal is of type {type(signal).__name__}; expected a HyperSpy signal.")
    axes = signal.axes_manager._axes
    if len(axes) not in (3, 4):
        raise ValueError(
            f"signal has {len(axes)} axes (shape {signal.data.shape}); expected three "
            "(a tilt series or volume) or four (one of these for each element)."
        )
    named = [str(a.name) for a in axes]
    if [n for n in named if n in _ORDER] != [n for n in _ORDER if n in named]:
        raise ValueError(
            f"signal's axes are {', '.join(named)}; expected the order {', '.join(_ORDER)}. Use "
            "signal.transpose or signal.swap_axes."
        )
    data = as_float32("signal", signal.data)
    kept = signal.metadata.get_item("HEBT", None)
    kept = kept.as_dictionary() if kept is not None else {}
    third, is_volume = axes[-3], angles is None and measure(axes[-3].units, LENGTHS) is not None
    if pixel_size is None:
        pixel_size = _side(axes[-3:] if is_volume else axes[-2:])
    pixel_size = check_number("pixel_size", pixel_size, "a length in nm above 0")
    elements_are, tilts_are = _origins(kept, data)
    tilts, source = None, None
    if angles is not None:
        tilts, source = check_angles(angles), "angles"
        if len(tilts) != third.size:
            raise ValueError(
                f"angles has {len(tilts)} entries, but signal has {third.size} tilts (shape "
                f"{data.shape}); expected one angle per tilt."
            )
    elif not is_volume:
        _check_filled(third, data.shape[-3])
        tilts, source = tilts_of_signal(signal, third, tilts_are)
        tilts = check_angles(tilts, f"tilts from {source}")
    names = _elements_of(signal, kept, elements_are) if data.ndim == 4 else None
    return Calibrated(data, pixel_size, tilts, names, source)


def _check_filled(axis, size):
    """Refuse an axis of which the images were taken out by hand, but not the values."""
    if len(axis.axis) != size:
        raise ValueError(
            f"signal's axis {str(axis.name)!r} has {len(axis.axis)} values, but its data {size} "
            "images; expected one value per image. Give angles in degrees, one per image, or leave "
            "images out with signal.inav."
        )


def _stackings(metadata, original):
    """Yield the axis of each time that hs.stack made this, and whether it had been there before."""
    history, parts = metadata.get_item("_HyperSpy.Stacking_history"), original.get_item(_PARTS)
    if history is not None:
        yield str(history.axis), np.ndim(history.step_sizes) > 0
    elif parts is not None:
        yield "", True
    for _, part in parts or ():
        yield from _stackings(part.metadata, part.original_metadata)


def _put_together(signal, axis):
    """Return whether hs.stack may have made an axis, and whether it may have made it longer.

    It numbers a new axis from 0 and carries an even one on, whichever images it was given, with
    the metadata of the first.
    """
    others = {"element", *(str(a.name) for a in signal.axes_manager._axes)} - {str(axis.name)}
    found = _stackings(signal.metadata, signal.original_metadata)
    longer = {longer for place, longer in found if place not in others}
    return False in longer, True in longer and type(axis).__name__ != "DataAxis"


def _side(axes):
    """Return the side of square pixels or cubic voxels in nm."""
    shown = " by ".join(f"{getattr(a, 'scale', 'uneven')} {a.units}" for a in axes)
    if not all(a.is_uniform for a in axes):
        raise ValueError(f"signal has pixels of {shown}; expected even ones. Interpolate it first.")
    sides = np.array([a.scale * in_nm(a.units) for a in axes])
    if not (np.isfinite(sides).all() and sides.min() > 0):
        raise ValueError(
            f"signal has pixels of {shown}; expected lengths above 0. Give pixel_size in nm, or "
            "set scale and units of the axes; below 0, one is flipped: signal.isig[::-1] undoes it."
        )
    if not np.allclose(sides, sides[-1], rtol=1e-3, atol=0):
        raise ValueError(
            f"signal has pixels of {shown}; expected square pixels, and cubic voxels of a volume. "
            "Rebin it, or give pixel_size in nm."
        )
    return float(sides[-1])


def tilts_of_signal(signal: Any, axis: Any, origins: Any = None) -> tuple[NDArray, str]:
    """Return the tilts of a series in degrees and where they were found."""
    listed, unit = _listed_tilts(signal), measure(axis.units, ANGLES)
    is_new, is_longer = _put_together(signal, axis)
    place = f"axis {str(axis.name)!r} in {axis.units}" + is_longer * " (put together by hs.stack)"
    shown = [f"{place} from {axis.axis[0]:g} to {axis.axis[-1]:g}, size {axis.size}"]
    shown += [f"{k} from {v[0]:g} to {v[-1]:g}, size {len(v)}" for k, v in listed.items()]
    if str(axis.name) == "element" or _OURS not in listed:
        origins = None
    found: list[tuple[str, NDArray]] = []
    if origins is not None and origins.min() >= 0 and len(set(origins)) == len(origins):
        if _matched(axis, unit, _OURS, listed[_OURS], place):
            return listed[_OURS][origins], f"{_OURS}, by the images themselves"
    # what was put together anew is not numbered as the lists of its parts
    other = str(axis.name) == "element" or (is_new and (unit is None or _counts(axis)))
    for name, values in listed.items():
        if not is_longer and (name == _STACKED or not other):
            found += _matched(axis, unit, name, values, place)
    values = axis.axis * (unit or 1.0)
    if not listed and not is_longer and not _counts(axis):
        # a name alone does not tell degrees from radians
        named = str(axis.name).lower() in ("tilt", "tilts", "angle", "angles")
        if unit or (named and np.abs(values).max() > 2 * np.pi):
            found = [(place, values)]
    choices = [tilts for _, tilts in found]
    agree = choices and np.allclose(choices, choices[0], rtol=0, atol=_STAGE)
    if agree and origins is not None:
        known = origins >= 0
        agree = np.allclose(choices[0][known], listed[_OURS][origins[known]], rtol=0, atol=_STAGE)
    if len(found) < max(1, len(listed)) or not agree:
        raise ValueError(
            f"signal has no tilts that are known for sure; found {'; '.join(shown)}. Numbers of "
            "images are no tilts, and a list must fit the images that were kept. Give angles in "
            "degrees, one per image; or, if this is a volume, set the unit of its axis to nm."
        )
    return found[0][1], found[0][0]


_ORDER = ("element", "tilt", "slice", "depth", "across")
_OURS = "metadata.HEBT.angles"
_PARTS = "stack_elements"
_STACKED = f"stages in original_metadata.{_PARTS}"
_HEADER = "original_metadata.fei_header.a_tilt"
_STAGES = (_HEADER, _STACKED)
_STAGE = 0.3  # degrees by which a stage may miss the tilt that was asked for


def _listed_tilts(signal):
    """Return the lists of tilts in the metadata, in degrees, by their place."""
    known, original = signal.metadata, signal.original_metadata
    # rooms for 1024 images, of which the header says how many there are
    header, count = (original.get_item(k, 0) for k in ("fei_header.a_tilt", "std_header.NZ"))
    stage = "metadata.Acquisition_instrument.TEM.Stage.tilt_alpha"
    parts = original.get_item(_PARTS)
    # each part is one image where the newest axis is the first and only one
    is_images = next(_stackings(known, original), None) == ("0", False)
    stages = [parts.get_item(f"element{i}.{stage}") for i in range(len(parts or ()) * is_images)]
    found = {
        _OURS: known.get_item("HEBT.angles"),
        "metadata.Tomography.tilts": data_of(known.get_item("Tomography.tilts")),
        _HEADER: np.ravel(header)[: int(count)],
        _STACKED: [v for v in stages if np.ndim(v) == 0 and v is not None],
    }
    lists = {k: np.ravel(v).astype(float) for k, v in found.items() if v is not None}
    lists = {k: v for k, v in lists.items() if k != _STACKED or len(v) == len(stages)}
    # others write zeros where they know no tilts
    return {k: v for k, v in lists.items() if k == _OURS or (v.size and np.ptp(v) > 0)}


def _counts(axis):
    """Return whether an axis may be but the numbers of images, counted from wherever they start."""
    is_even = axis.is_uniform and (abs(axis.scale), axis.offset % 1) == (1, 0)
    return is_even and axis.axis.min() >= 0


def _matched(axis, unit, name, listed, place):
    """Return the tilts of the images that were kept of a list; none if the two do not fit."""
    numbers = np.rint(axis.axis).astype(int)
    whole = np.allclose(axis.axis, numbers) and numbers.min() >= 0 and numbers.max() < len(listed)
    by_number = listed[numbers] if whole else np.full(axis.size, np.nan)
    if unit is None:
        return [(name, by_number)] if whole else []
    degrees, same = axis.axis * unit, _STAGE if name in _STAGES else 0.01
    whole_list = len(listed) == len(degrees)
    if whole_list and axis.is_uniform:
        is_index = (axis.scale, axis.offset) == (1, 0)
        if is_index or np.allclose(degrees[[0, -1]], listed[[0, -1]], rtol=0, atol=same):
            return [(name, listed)]  # of which the axis may hold but the mean step
    is_there = np.isclose(degrees[:, None], listed, rtol=0, atol=same).any(axis=1).all()
    # an axis that others made may be in degrees by name and count images
    sure = name == _OURS or not whole or np.allclose(by_number, degrees, rtol=0, atol=same)
    return [(place, degrees)] if is_there and sure else []


def _elements_of(signal, kept, origins):
    """Return the names of the elements: those of the images themselves, or of their axis."""
    axis, names = signal.axes_manager._axes[0], kept.get("elements", [])
    numbers = np.rint(axis.axis).astype(int)
    whole = str(axis.name) == "element" and np.allclose(axis.axis, numbers)
    if not whole or any(_put_together(signal, axis)):
        numbers = np.full(axis.size, -1)
    if origins is not None and (origins >= 0).any():
        agree = (origins == numbers)[origins >= 0].all()
        numbers = numbers if agree else origins
    return tuple(
        names[n] if 0 <= n < len(names) else f"element {i}" for i, n in enumerate(numbers.tolist())
    )


def _prints(data: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Return a print of each image, shape of the leading axes, to tell it by when it has moved."""
    images = np.ascontiguousarray(data).reshape(-1, *data.shape[-2:])
    prints = [hashlib.blake2b(image.data, digest_size=8).digest() for image in images]
    return np.frombuffer(b"".join(prints), "<u8").astype(np.uint64).reshape(data.shape[:-2])


def _origins(kept, data):
    """Return which of the elements and tilts of `to_signal` these are, (elements,) and (tilts,).

    -1 stands for images that have changed, or are not alone in looking so; None: nothing is known.
    """
    before = np.asarray(kept.get("prints", []), np.uint64)
    if before.ndim < data.ndim - 2 or not before.size:
        return None, None
    values, first, counts = np.unique(before, return_index=True, return_counts=True)
    now = _prints(data)
    at = np.minimum(np.searchsorted(values, now), len(values) - 1)
    known = (values[at] == now) & (counts[at] == 1)
    places = np.stack(np.unravel_index(first[at], before.shape), axis=-1)

    def along(axis, part):
        found = []
        for images, sure in zip(np.moveaxis(places, axis, 0), np.moveaxis(known, axis, 0)):
            several = np.unique(images[sure][..., part])
            found.append(int(several[0]) if len(several) == 1 else -1)
        return np.array(found)

    return along(0, 0), along(now.ndim - 1, -1)
