"""OME-Zarr, ``.ome.zarr``: a folder with the metadata of OME-NGFF 0.5, a pyramid if large.

https://ngff.openmicroscopy.org/0.5/
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ..._files import folder_written_aside
from ..volumes import FOREIGN, Volumes

PROGRAM = "napari, or the libraries ome-zarr and zarr"
_CHUNK = 64  # voxels along each side, 1 MB
_LENGTHS = {"nanometer": 1.0, "micrometer": 1e3, "angstrom": 0.1}
# what ImageJ gives channels
_COLORS = "FF0000", "00FF00", "0000FF", "FFFFFF", "00FFFF", "FF00FF", "FFFF00"


def write(path: Path, volumes: Volumes, overwrite: bool) -> list[Path]:
    """Write one folder."""
    zarr = _zarr()
    levels = _pyramid(volumes.x)
    ome = _metadata(path, volumes, len(levels))
    attributes = {"ome": ome, "hebt": json.loads(volumes.record or "{}")}
    with folder_written_aside(path, overwrite=_is_ours if overwrite else None) as part:
        group = zarr.open_group(part, mode="w-", zarr_format=3, attributes=attributes)
        for name, x in enumerate(levels):
            array = group.create_array(
                str(name),
                shape=x.shape,
                chunks=(1, *(min(_CHUNK, n) for n in x.shape[1:])),
                dtype="float32",
                fill_value=float("nan"),  # so that what gets lost is no number
                dimension_names=("c", "z", "y", "x"),
            )
            array[:] = x
    return [path]


def _pyramid(x):
    """Return the volumes, then their means over 2 x 2 x 2 voxels until one chunk holds each.

    An odd edge is repeated.
    """
    levels = [x]
    while max(levels[-1].shape[1:]) > _CHUNK:
        fine = levels[-1]
        fine = np.pad(fine, [(0, 0), *((0, n % 2) for n in fine.shape[1:])], mode="edge")
        shape = [n for k in fine.shape[1:] for n in (k // 2, 2)]
        levels.append(fine.reshape(len(fine), *shape).mean(axis=(2, 4, 6), dtype=np.float32))
    return levels


def _level(number, side):
    """Return the metadata of one resolution: where its voxels lie."""
    size, first = 2**number * side, (2**number - 1) / 2 * side
    transforms = [{"type": "scale", "scale": [1.0, *[size] * 3]}]
    if number:
        transforms.append({"type": "translation", "translation": [0.0, *[first] * 3]})
    return {"path": str(number), "coordinateTransformations": transforms}


def _metadata(path, volumes, levels):
    axes: list[dict[str, str]] = [{"name": "c", "type": "channel"}]
    axes += [{"name": n, "type": "space", "unit": "nanometer"} for n in "zyx"]
    channels = []
    for k, (name, volume) in enumerate(zip(volumes.elements, volumes.x)):
        low, high = float(volume.min()), float(volume.max())
        ends = {"min": low, "max": high, "start": low, "end": high}
        color = _COLORS[k % len(_COLORS)]
        channels.append({"label": name, "color": color, "window": ends, "active": True})
    image = {
        "name": path.name.split(".")[0],
        "axes": axes,
        "datasets": [_level(number, volumes.pixel_size) for number in range(levels)],
    }
    return {"version": "0.5", "multiscales": [image], "omero": {"channels": channels}}


def _is_ours(path: Path) -> bool:
    """Return whether a folder holds what `write` writes, and nothing else."""
    try:
        attributes = json.loads((path / "zarr.json").read_text(encoding="utf-8"))["attributes"]
        record = attributes["hebt"]
        ours = "sha256" in record and "about" in record and "ome" in attributes
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return ours and all(p.name == "zarr.json" or p.name.isdigit() for p in path.iterdir())


def _zarr() -> Any:
    try:
        import zarr
    except ModuleNotFoundError as error:
        raise ImportError(
            'zarr is needed for .ome.zarr, and is not installed; run pip install "hebt[large]".'
        ) from error
    if int(zarr.__version__.split(".")[0]) < 3:
        raise ImportError(
            f'.ome.zarr needs zarr 3, and here is {zarr.__version__}; run pip install "zarr>=3".'
        )
    return zarr


def read(path: Path) -> Volumes:
    """Return what `write` wrote."""
    try:
        group = _zarr().open_group(path, mode="r")
        attributes = group.attrs.asdict()
        record = attributes.get("hebt")
        if not isinstance(record, dict) or "sha256" not in record:
            return FOREIGN
        x = np.ascontiguousarray(group["0"][:], "<f4")
    except (ValueError, RuntimeError) as error:
        raise OSError(str(error)) from error
    ome = attributes["ome"]
    (image,) = ome["multiscales"]
    units = [_LENGTHS[axis["unit"]] for axis in image["axes"][1:]]
    (transform,) = image["datasets"][0]["coordinateTransformations"]
    sizes = [float(s) * unit for s, unit in zip(transform["scale"][1:], units)]
    even = np.allclose(sizes, sizes[0], rtol=1e-5)
    names = tuple(channel["label"] for channel in ome["omero"]["channels"])
    return Volumes(x, names, sizes[0] if even else np.nan, json.dumps(record))
