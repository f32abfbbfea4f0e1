"""OME-TIFF, ``.ome.tif``: a channel for each element, physical sizes in µm."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from ..._files import written_aside
from ..volumes import FOREIGN, Volumes

PROGRAM = "Fiji, or the library tifffile"


def write(path: Path, volumes: Volumes, overwrite: bool) -> list[Path]:
    """Write one file; a BigTIFF where 4 GB are not enough."""
    import tifffile

    size = volumes.pixel_size / 1000
    metadata: dict[str, Any] = {
        "axes": "CZYX",
        "Channel": {"Name": list(volumes.elements)},
        "CommentAnnotation": {"Namespace": "hebt", "Value": volumes.record},
    }
    for axis in "XYZ":
        metadata |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": "µm"}
    with written_aside(path, overwrite=overwrite) as part:
        tifffile.imwrite(part, volumes.x, ome=True, photometric="minisblack", metadata=metadata)
    return [path]


def read(path: Path) -> Volumes:
    """Return what `write` wrote."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            xml, x = file.ome_metadata, file.series[0].asarray()
            order = file.series[0].axes
        root = ElementTree.fromstring(xml or "<none/>")
    except (tifffile.TiffFileError, ElementTree.ParseError, ValueError) as error:
        raise OSError(str(error)) from error
    space = root.tag.rpartition("}")[0] + "}"
    notes = root.iter(f"{space}CommentAnnotation")
    texts = [note.findtext(f"{space}Value") for note in notes if note.get("Namespace") == "hebt"]
    pixels = root.find(f"{space}Image/{space}Pixels")
    if not texts or pixels is None:
        return FOREIGN
    names = tuple(c.attrib["Name"] for c in pixels.findall(f"{space}Channel"))
    sizes = {float(pixels.attrib[f"PhysicalSize{axis}"]) for axis in "XYZ"}
    units = {pixels.get(f"PhysicalSize{axis}Unit", "µm") for axis in "XYZ"}
    even = len(sizes) == 1 and units == {"µm"}
    if order not in ("CZYX", "ZYX", "CYX", "YX", "CZY", "CZX") and x.ndim > 2:
        raise OSError(f"its axes are {order}")
    shape = tuple(int(pixels.attrib[f"Size{axis}"]) for axis in "CZYX")
    return Volumes(x.reshape(shape), names, 1000 * sizes.pop() if even else np.nan, texts[0])
