"""MRC 2014, ``.mrc``: a file for each element, voxel size in Å, and one of JSON beside them.

MRC has no place for more than ten labels of 80 characters.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from ..._files import refuse_existing, written_aside
from ..volumes import FOREIGN, Volumes

PROGRAM = "IMOD or ChimeraX, or the library mrcfile"


def write(path: Path, volumes: Volumes, overwrite: bool) -> list[Path]:
    """Write the files, and give them their names when all are whole, the JSON last."""
    module, old = _mrcfile(), _written_before(path) if overwrite else {}
    paths = _paths(path, volumes.elements)
    record = json.loads(volumes.record or "{}")
    text = json.dumps({"files": [p.name for p in paths]} | record, indent=1)
    if not overwrite:
        for each in (*paths, record_of(path)):
            refuse_existing(each)
    with contextlib.ExitStack() as stack:
        part = stack.enter_context(written_aside(record_of(path), overwrite=overwrite))
        part.write_text(text, encoding="ascii")
        for k, (each, volume) in enumerate(zip(paths, volumes.x)):
            part = stack.enter_context(written_aside(each, overwrite=overwrite))
            with module.new(part, volume) as file:
                file.voxel_size = 10 * volumes.pixel_size
                for label in _labels(k, record, record_of(path).name):
                    file.add_label(re.sub(r"[^ -~]", "?", label)[:80])
    for each in set(old) - set(paths):
        if _digest(each) == old[each]:  # of an element that is no longer there
            each.unlink(missing_ok=True)
    return [*paths, record_of(path)]


def record_of(path: Path) -> Path:
    """Return where the JSON lies."""
    return path.with_name(f"{path.name}.json")


def _written_before(path: Path) -> dict[Path, str]:
    """Return what an earlier call wrote to the same place, by its record, and the SHA-256 there."""
    try:
        record = json.loads(record_of(path).read_text(encoding="utf-8"))
        files = [path.with_name(Path(name).name) for name in record["files"]]
        return dict(zip(files, record["sha256"], strict=True))
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _digest(path: Path) -> str:
    """Return the SHA-256 of a volume in a file; none if there is no volume."""
    try:
        with _mrcfile().open(path) as file:
            data = np.ascontiguousarray(file.data, "<f4")
    except (OSError, ValueError):
        return ""
    return hashlib.sha256(data.data).hexdigest()


def _paths(path, elements):
    """Return a path for each element; those of several have the names of the elements."""
    if len(elements) == 1:
        return [path]
    names = [re.sub(r"[^\w.+-]+", "_", name) for name in elements]
    if len({name.casefold() for name in names}) < len(names):  # Co and CO, on some disks
        names = [f"{k}_{name}" for k, name in enumerate(names)]
    return [path.with_name(f"{path.name[:-4]}_{name}{path.name[-4:]}") for name in names]


def _labels(k, record, beside):
    """Yield what the header says of an element."""
    yield f"{record['elements'][k]}: sections along the tilt axis; hebt {record['hebt']}"
    about = record["about"]
    with contextlib.suppress(KeyError, TypeError, IndexError, ValueError):
        ratio, error = (about["ratios"][name][k] for name in ("ratios", "standard_errors"))
        noise = "" if error is None else f" +- {error:.1e}"
        yield f"response ratio {ratio:.5g}{noise} HAADF intensity per count"
    if isinstance(about.get("method"), str) and about["method"]:
        yield f"reconstructed by {about['method']}"
    yield f"all that is known stands in {beside}"


def _mrcfile() -> Any:
    try:
        import mrcfile
    except ModuleNotFoundError as error:
        raise ImportError(
            'mrcfile is needed for .mrc files, and is not installed; run pip install "hebt[io]".'
        ) from error
    return mrcfile


def read(path: Path) -> Volumes:
    """Return what `write` wrote."""
    text = record_of(path).read_text(encoding="utf-8")
    record = json.loads(text)
    if not isinstance(record, dict) or "files" not in record:
        return FOREIGN
    volumes, sizes = [], []
    for name in record["files"]:
        with _mrcfile().open(path.with_name(Path(name).name)) as file:
            volumes.append(np.array(file.data, "<f4"))
            sizes += file.voxel_size.tolist()
    even = np.allclose(sizes, sizes[0], rtol=1e-5, atol=0)
    size = float(sizes[0]) / 10 if even else np.nan
    return Volumes(np.stack(volumes), tuple(record["elements"]), size, text)
