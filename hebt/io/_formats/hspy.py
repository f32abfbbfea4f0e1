"""HyperSpy's own ``.hspy``, an HDF5 file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ..._files import written_aside
from ..._hyperspy import quiet
from ..._units import in_nm
from ..signals import to_signal
from ..volumes import FOREIGN, Volumes

PROGRAM = "HyperSpy, and hebt.io.from_signal"
_REST = 1 << 16  # bytes of metadata


def write(path: Path, volumes: Volumes, overwrite: bool) -> list[Path]:
    """Write one signal with axes in nm."""
    signal = to_signal(
        volumes.x, pixel_size=volumes.pixel_size, elements=volumes.elements, title=path.stem
    )
    signal.metadata.set_item("HEBT.volumes", volumes.record)
    with written_aside(path, overwrite=overwrite) as part, quiet():
        _check_room(part, volumes.x.nbytes + len(volumes.record or "") + _REST)
        try:
            signal.save(part)
        except RuntimeError as error:  # so HDF5 says it of a full disk, if it closes the file there
            raise OSError(f"{path.name} cannot be written: {error}") from error
    return [path]


def _check_room(part: Path, size: int) -> None:
    """Raise an OSError where so many bytes have no room.

    HDF5 may crash the process where it finds that out amid a file.
    """
    if not hasattr(os, "posix_fallocate"):  # Windows and macOS
        return
    with part.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)
    part.unlink()


def read(path: Path) -> Volumes:
    """Return what `write` wrote, without evaluating anything in it."""
    with quiet():
        from rsciio.hspy import file_reader

        found = file_reader(str(path))
    if len(found) != 1:
        return FOREIGN
    signal, ours = found[0], found[0]["metadata"].get("HEBT", {})
    axes = signal["axes"]
    record = ours.get("volumes")
    if len(axes) != 4 or record is None:
        return FOREIGN
    sizes = [float(axis["scale"]) * in_nm(axis["units"]) for axis in axes[1:]]
    even = np.allclose(sizes, sizes[0], rtol=1e-5)
    x = np.ascontiguousarray(signal["data"], "<f4")
    return Volumes(x, tuple(ours["elements"]), sizes[0] if even else np.nan, str(record))
