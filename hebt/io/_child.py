"""Read files for `hebt.io.files.Reader`, in a process of its own: a script, never imported.

What damaged files can do to RosettaSciIO's compiled code (crash, hang, fill the memory) ends this
process alone. RosettaSciIO gives dictionaries; HyperSpy, which evaluates expressions that it finds
in a file, is not used.

It takes requests on its standard input, a line of JSON each, and answers with a line of JSON and
the arrays that this line announces, as they lie in memory.
"""

import importlib
import json
import math
import os
import runpy
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

SCRATCH: list[tempfile.TemporaryDirectory] = []


def main():
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what readers print stays out of the answers

    def answer(arrays=(), **head):
        answers.write(json.dumps(head).encode() + b"\n")
        for array in arrays:
            answers.write(np.ascontiguousarray(array).data.cast("B"))
        answers.flush()

    def cannot_raise(caught):
        # Bruker's compiled reader goes on with what lies in the memory behind the last block
        if "unbcf" in repr(caught.object):
            answer(error="its spectra end before the map is complete", ended=True)
            os._exit(1)

    sys.unraisablehook = cannot_raise
    for line in sys.stdin:
        request = json.loads(line)
        try:
            limit_memory(request["memory"])
            heads, arrays = read(request["path"], request["reader"], request["stacks"])
        except ModuleNotFoundError as error:
            answer(missing=str(error))
        except Exception as error:
            text = f"{type(error).__name__}: {error}"[:500]
            del error  # it holds the reader's memory
            answer(error=text)
        else:
            answer(arrays, signals=heads)
            del arrays


def limit_memory(size):
    """Let allocations above so many bytes fail, where the system can."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    soft = size if hard == resource.RLIM_INFINITY else min(size, hard)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def find_a_cache():
    """Compile RosettaSciIO's reader of spectrum streams also where nothing else can be written.

    Without a place for what it compiles, in the package or in the user's home, numba refuses.
    """
    from numba.core import config

    try:
        importlib.import_module("rsciio.utils._fei_stream_readers")
    except RuntimeError:
        SCRATCH.append(tempfile.TemporaryDirectory())
        os.environ["NUMBA_CACHE_DIR"] = SCRATCH[-1].name
        config.reload_config()


def read(path, reader, stacks):
    """Return what is known of each signal in a file, and the arrays of those marked as sent.

    With `stacks`, stacks of images are sent too.
    """
    file_reader = reader_of(reader)
    if reader == "zspy":
        # the one codec that runs what it reads
        from numcodecs import registry

        registry.codec_registry.pop("pickle", None)
        registry.entries.pop("pickle", None)
    elif reader == "emd":
        find_a_cache()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # of Velox's maps, every frame has an image
        options = {"load_SI_image_stack": True} if reader == "emd" else {}
        if path.lower().endswith(".pts"):
            options = {"read_em_image": True}
        if reader == "mrc" and is_big_endian(path):
            options = {"endianness": ">"}
        signals = [s for s in file_reader(path, **options) if "data" in s]
    if options.get("endianness") == ">":  # RosettaSciIO turns the header alone
        for signal in signals:
            signal["data"] = signal["data"].view(signal["data"].dtype.newbyteorder(">"))
    heads, arrays = [], []
    for signal in signals:
        data = signal["data"]
        if data.ndim == 3 and data.dtype.kind in "uif" and signal["axes"][0].get("name") == "Time":
            data = signal["data"] = data.mean(axis=0, dtype=np.float64).astype(np.float32)
            del signal["axes"][0]
        head = described(signal)
        spectra = data.ndim == 3 and head["kind"].startswith("EDS")
        head["counts"] = counts_by_header(path) if spectra and reader == "bruker" else None
        wanted = data.ndim == 2 or spectra or (stacks and data.ndim in (3, 4))
        head["sent"] = bool(wanted and data.dtype.kind in "biuf" and data.size > 0)
        head["known"] = known_tilts(signal) if stacks and data.ndim in (3, 4) else {}
        if reader == "npz" and data.ndim < 2 and data.size < 10_000:
            head["known"] = {"values": as_lists(np.ravel(data))}
        heads.append(head)
        if head["sent"]:
            arrays.append(data)
    return heads, arrays


def is_big_endian(path):
    """Whether the header of a stack in MRC's format has its highest byte first."""
    with open(path, "rb") as file:
        mode = file.read(16)[12:]  # a small number
    return int.from_bytes(mode, "big") < 256 <= int.from_bytes(mode, "little")


def reader_of(name):
    """Return the function that reads a format: RosettaSciIO's, or one of `_own_formats.py`."""
    place = Path(__file__).with_name("_own_formats.py")
    own = runpy.run_path(str(place))["READERS"]
    return own.get(name) or importlib.import_module(f"rsciio.{name}").file_reader


def described(signal):
    metadata = signal["metadata"]
    keys = ("name", "scale", "offset", "units", "navigate", "expression")
    tilt = number(value_at(metadata, "Acquisition_instrument.*.Stage.tilt_alpha"))
    for place, (target, convert) in (signal.get("mapping") or {}).items():
        if target.endswith("Stage.tilt_alpha"):
            found = value_at(signal.get("original_metadata"), place)
            if found is not None:
                tilt = number(convert(found) if convert else found)
    resolution = "Acquisition_instrument.*.Detector.EDS.energy_resolution_MnKa"
    return {
        # JEOL's .pts have their own name in their titles
        "title": str(value_at(metadata, "General.title") or "").partition(" extracted from ")[0],
        "kind": str(value_at(metadata, "Signal.signal_type") or ""),
        "shape": [int(n) for n in signal["data"].shape],
        "dtype": signal["data"].dtype.str,
        "axes": [{k: plain(axis.get(k)) for k in keys} for axis in signal["axes"]],
        "tilt": tilt,
        "resolution": number(value_at(metadata, resolution)),
    }


def known_tilts(signal):
    """Return what metadata say of the tilts of a stack: ours, ETSpy's, and an FEI header."""
    ours = value_at(signal["metadata"], "HEBT") or {}
    found = {"HEBT": {k: as_lists(ours[k]) for k in ("angles", "elements", "prints") if k in ours}}
    places = {
        "tilts": (signal["metadata"], "Tomography.tilts"),
        "a_tilt": (signal.get("original_metadata"), "fei_header.a_tilt"),
        "count": (signal.get("original_metadata"), "std_header.NZ"),
    }
    found |= {name: as_lists(value_at(*place)) for name, place in places.items()}
    found["axis"] = as_lists(signal["axes"][0 if signal["data"].ndim == 3 else 1].get("axis"))
    return found


def as_lists(value):
    """Return numbers and texts as JSON has them; other things are left out."""
    if isinstance(value, dict):
        return as_lists(value.get("data"))
    if isinstance(value, (list, tuple, np.ndarray, np.generic)):
        array = np.asarray(value)
        return array.tolist() if array.dtype.kind in "biufU" else None
    return value if isinstance(value, (str, int, float)) else None


def counts_by_header(path):
    """Return how many counts the sum spectrum in the header of a Bruker file has."""
    from rsciio.bruker._api import BCF_reader

    file = BCF_reader(path)
    return int(file.header.spectra_data[file.def_index].data.sum())


def value_at(metadata, place):
    """Return the value at a place such as "Stage.Tilt"; None where nothing is. * is TEM or SEM."""
    if "*" in place:
        found = (value_at(metadata, place.replace("*", kind)) for kind in ("TEM", "SEM"))
        return next((value for value in found if value is not None), None)
    for key in place.split("."):
        if not hasattr(metadata, "get"):
            return None
        metadata = metadata.get(key)
    return metadata


def number(value):
    try:
        value = float(value)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def plain(value):
    if value is None or isinstance(value, (bool, str)):
        return value
    return bool(value) if isinstance(value, np.bool_) else number(value)


if __name__ == "__main__":
    main()
