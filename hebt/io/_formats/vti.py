"""Image data of VTK, ``.vti``: XML with the values appended as they lie in memory."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any, BinaryIO
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

import numpy as np

from ..._files import written_aside
from ..volumes import FOREIGN, Volumes

PROGRAM = "ParaView, or the library vtk"
_APPENDED = b'<AppendedData encoding="raw">\n_'
_HEAD = 1 << 26  # bytes of XML that are looked through
_END = b"\n</AppendedData>\n</VTKFile>\n"


def write(path: Path, volumes: Volumes, overwrite: bool) -> list[Path]:
    """Write one file with an array for each element."""
    with written_aside(path, overwrite=overwrite) as part, part.open("wb") as file:
        file.write(_head(volumes).encode() + _APPENDED)
        for volume in volumes.x:
            file.write(struct.pack("<Q", volume.nbytes))
            file.write(volume.data)
        file.write(_END)
    return [path]


def _head(volumes):
    _, slices, rows, columns = volumes.x.shape
    extent = f"0 {columns - 1} 0 {rows - 1} 0 {slices - 1}"
    spacing = " ".join([repr(volumes.pixel_size)] * 3)
    step = 8 + volumes.x[0].nbytes
    arrays = "\n".join(
        f'<DataArray type="Float32" Name={quoteattr(name)} format="appended" offset="{k * step}"/>'
        for k, name in enumerate(volumes.elements)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<VTKFile type="ImageData" version="1.0" byte_order="LittleEndian" header_type="UInt64">\n'
        f'<ImageData WholeExtent="{extent}" Origin="0 0 0" Spacing="{spacing}">\n'
        f"<FieldData>\n{_text('unit', 'nm')}\n{_text('hebt', volumes.record)}\n</FieldData>\n"
        f'<Piece Extent="{extent}">\n<PointData Scalars={quoteattr(volumes.elements[0])}>\n'
        f"{arrays}\n</PointData>\n</Piece>\n</ImageData>\n"
    )


def _text(name, text):
    """Return a field of text, which VTK writes as the numbers of its characters and a 0."""
    codes = " ".join(str(code) for code in [*text.encode("ascii"), 0])
    return f'<Array type="String" Name="{name}" NumberOfTuples="1" format="ascii">{codes}</Array>'


def read(path: Path) -> Volumes:
    """Return what `write` wrote."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
        start = head.find(_APPENDED)
        root = _parsed(head[:start] + b"</VTKFile>") if start >= 0 else None
        fields = root.findall(".//FieldData/Array") if root is not None else []
        record = next((f.text or "" for f in fields if f.get("Name") == "hebt"), None)
        if root is None or record is None:
            return FOREIGN
        image = root.find("ImageData")
        assert image is not None
        ends = [int(n) for n in image.attrib["WholeExtent"].split()]
        shape = tuple(ends[i + 1] - ends[i] + 1 for i in (4, 2, 0))
        spacing = {float(s) for s in image.attrib["Spacing"].split()}
        arrays = root.findall(".//PointData/DataArray")
        x = np.empty((len(arrays), *shape), "<f4")
        for volume, array in zip(x, arrays):
            file.seek(start + len(_APPENDED) + int(array.attrib["offset"]))
            _fill(file, volume)
    text = bytes(int(code) for code in record.split()).rstrip(b"\0").decode("ascii")
    names = tuple(array.attrib["Name"] for array in arrays)
    return Volumes(x, names, spacing.pop() if len(spacing) == 1 else np.nan, text)


def _parsed(xml: bytes) -> Any:
    if re.search(rb"<!(DOCTYPE|ENTITY)", xml):
        raise OSError("it defines entities of XML")
    try:
        return ElementTree.fromstring(xml)
    except ElementTree.ParseError as error:
        raise OSError(f"its XML is broken: {error}") from error


def _fill(file: BinaryIO, volume: np.ndarray) -> None:
    """Read one array, and raise an EOFError if it has another size."""
    size = file.read(8)
    if len(size) < 8 or struct.unpack("<Q", size)[0] != volume.nbytes:
        raise EOFError("an array has another size than the header says")
    target: Any = file
    if target.readinto(volume.data.cast("B")) < volume.nbytes:
        raise EOFError("it is cut off")
