"""Volumes as files that other programs read, and back."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._checks import as_float32, check_flag, check_names, check_number, check_path
from .._json import plain
from ..result import Result, result_from

# by the ending: the module that knows the format
_FORMATS = {
    ".vti": "vti",
    ".ome.tif": "ome_tiff",
    ".ome.tiff": "ome_tiff",
    ".mrc": "mrc",
    ".hspy": "hspy",
    ".ome.zarr": "ome_zarr",
}
_AXES = ["element", "slice", "row", "column"]


@dataclass(frozen=True, eq=False)
class Volumes:
    """What goes into a file.

    Attributes
    ----------
    x
        (elements, slices, rows, columns), float32, little-endian, in C order.
    elements
        Names.
    pixel_size
        Side of a voxel, in nm.
    record
        JSON that says all this and more, in ASCII; None where a file has none of ours.
    """

    x: NDArray[np.float32]
    elements: tuple[str, ...]
    pixel_size: float
    record: str | None


# of a file that another program wrote
FOREIGN = Volumes(np.empty((0, 1, 1, 1), "<f4"), (), np.nan, None)


def save(
    path: str | os.PathLike,
    x: ArrayLike,
    *,
    pixel_size: float,
    elements: Sequence[str] | None = None,
    about: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Write volumes into files that other programs open, by the ending of `path`.

    ==============  =====================================================================
    ``.vti``        ParaView: an array for each element, spacing in nm
    ``.ome.tif``    Fiji: a channel for each element, physical sizes in µm (or ``.ome.tiff``)
    ``.mrc``        IMOD, ChimeraX: a file for each element, voxel size in Å, and one of JSON
    ``.hspy``       HyperSpy: calibrated axes, as `to_signal` makes them
    ``.ome.zarr``   napari and others: OME-NGFF 0.5, a channel for each element, in nm
    ==============  =====================================================================

    In all of them x runs along the columns, y along the rows and z along the slices, which is the
    tilt axis. Each file has `about` as JSON: in the field data ``hebt``, an annotation ``hebt``,
    the extended header, ``metadata.HEBT.volumes`` and the attribute ``hebt``. A file is written
    aside and gets its name when it is whole.

    Parameters
    ----------
    path
        Where to write. Of several elements, ``"a.mrc"`` becomes ``"a_Au.mrc"``, ``"a_Ag.mrc"``
        and ``"a.mrc.json"``.
    x
        (elements, slices, size, size); with `elements` also (elements, size, size). NaN, as in
        `hebt.composition`, has to be given a value first: `numpy.nan_to_num`.
    pixel_size
        Side of a voxel, in nm.
    elements
        Names of the elements; "element 0", "element 1", ... if None.
    about
        What else is known, such as the ratios and settings: texts, numbers, arrays,
        `ResponseRatios`, and lists and mappings of these. NaN becomes null.
    overwrite
        Whether files of these names may be replaced. Of folders only those are that `save` wrote.

    Returns
    -------
    list of pathlib.Path
        What was written: one file, the folder ``.ome.zarr``, or the several of ``.mrc``.

    Raises
    ------
    FileExistsError
        If there is something of this name, and `overwrite` is False.
    TypeError, ValueError
        If the ending is another, or values do not fit; nothing is written then.

    Examples
    --------
    >>> about = {"ratios": fit, "alpha": 0.7}                                # doctest: +SKIP
    >>> hebt.io.save("particle.vti", x, pixel_size=1.5, elements=["Au", "Ag"], about=about)
    ... # doctest: +SKIP
    [PosixPath('particle.vti')]
    """
    path = check_path(path)
    module = _format_of(path)
    overwrite = check_flag("overwrite", overwrite)
    return module.write(path, _described(x, pixel_size, elements, about), overwrite)


def _described(x, pixel_size, elements, about):
    """Return the checked volumes with their record."""
    data = as_float32("x", x, ndim=(3, 4))
    if data.ndim == 3 and elements is None:
        raise ValueError(
            f"x has three dimensions (shape {data.shape}) and elements is None; expected "
            "(elements, slices, size, size), or names for (elements, size, size). Give x[None] "
            "for one volume."
        )
    names = check_names(elements, len(data), name="elements")
    if not all(name.strip() and name.isprintable() for name in names):
        raise ValueError(f"elements is {names}; expected names of printable characters.")
    pixel_size = check_number("pixel_size", pixel_size, "a length in nm above 0")
    if about is not None and not isinstance(about, Mapping):
        raise TypeError(f"about is of type {type(about).__name__}; expected a mapping, or None.")
    shape = list(data.shape)
    data = data if data.ndim == 4 else data[:, None]
    data = np.ascontiguousarray(data, "<f4")
    record = {
        "hebt": importlib.import_module("hebt").__version__,
        "axes": _AXES,
        "shape": shape,
        "elements": names,
        "pixel_size": pixel_size,
        "unit": "nm",
        "sha256": _digests(data),
        "about": plain("about", about or {}),
    }
    record["check"] = _check_of(record)
    text = json.dumps(record, ensure_ascii=True, allow_nan=False)
    return Volumes(data, tuple(names), pixel_size, text)


def load(path: str | os.PathLike) -> Result:
    """Read volumes that `save` wrote, with all that was saved beside them.

    Parameters
    ----------
    path
        As it was given to `save`.

    Returns
    -------
    Result
        The volumes and what `about` says of them.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged, if another program wrote or changed it, or if its ending is another. Each
        volume is held against the SHA-256 that was saved.
    """
    path = check_path(path)
    module = _format_of(path)
    if not getattr(module, "record_of", Path)(path).exists():
        raise FileNotFoundError(f"{path} does not exist; expected what hebt.io.save wrote.")
    try:
        found = module.read(path)
    except ImportError:
        raise
    except Exception as error:  # of libraries that damage takes by surprise
        raise ValueError(
            f"{path.name} cannot be read ({type(error).__name__}: {error}); expected what "
            "hebt.io.save wrote. It is damaged, or of another format."
        ) from error
    if found.record is None:
        raise ValueError(
            f"{path.name} was not written by hebt.io.save; expected its record. Open it by the "
            f"program it is of ({module.PROGRAM})."
        )
    return _checked(path, found)


def _checked(path, found):
    """Return the result in a file, after holding the volumes against their record."""
    try:
        record = json.loads(found.record)
        about, names, shape = dict(record["about"]), record["elements"], record["shape"]
        size, digests = float(record["pixel_size"]), record["sha256"]
        if list(found.elements) != names or record["check"] != _check_of(record):
            raise ValueError("its texts are not those that were saved")
        x, same = found.x.reshape(shape), digests == _digests(found.x)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(
            f"{path.name} does not fit its own record ({error}); expected what hebt.io.save wrote. "
            "It is damaged, or was changed."
        ) from error
    if not same or not np.isclose(size, found.pixel_size, rtol=1e-5, atol=0):
        what = "values" if not same else "pixel size"
        raise ValueError(
            f"{path.name} has other {what} than were saved in it; expected the same. It is "
            "damaged, or another program has changed it: then read it by that program's means."
        )
    return result_from(x, found.elements, size, about)


def _check_of(record):
    """Return the SHA-256 of what a record says."""
    said = {k: v for k, v in record.items() if k not in ("check", "files")}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _digests(x):
    return [hashlib.sha256(np.ascontiguousarray(volume).data).hexdigest() for volume in x]


def _format_of(path: Path) -> ModuleType:
    """Return the module that reads and writes files of this ending."""
    ending = max((e for e in _FORMATS if path.name.lower().endswith(e)), key=len, default=None)
    if ending is None or len(path.name) == len(ending):
        raise ValueError(
            f"path is {str(path)!r}; expected a name that ends in one of {', '.join(_FORMATS)}."
        )
    return importlib.import_module(f"{__package__}._formats.{_FORMATS[ending]}")
