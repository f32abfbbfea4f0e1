"""What microscope files hold, read in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import struct
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

# which reader takes files of this ending: RosettaSciIO's, but for .h5oina
READERS = {
    ".bcf": "bruker",
    ".emd": "emd",
    ".hspy": "hspy",
    ".zspy": "zspy",
    ".asw": "jeol",
    ".pts": "jeol",
    ".h5oina": "h5oina",
    ".dm3": "digitalmicrograph",
    ".dm4": "digitalmicrograph",
}
# those of stacks of images alone
STACKS = {".mrc": "mrc", ".ali": "mrc", ".st": "mrc", ".tif": "tiff", ".tiff": "tiff"}
# what is read where it is named, and not looked for in a folder: parts of JEOL's, and arrays
NAMED = {".img": "jeol", ".map": "jeol", ".npz": "npz"}
# how long a file may take: seconds, and seconds per byte
PATIENCE = 600.0, 1e-6


@dataclass(frozen=True)
class Signal:
    """An image or spectrum image in a file.

    Attributes
    ----------
    title
        What the file calls it: "HAADF".
    kind
        HyperSpy's type of signal: "EDS_TEM"; empty for images.
    shape
        Of the array.
    axes
        One dictionary per axis of the array: name, scale, offset, units, navigate, expression.
    tilt
        Of the stage about its first axis, in degrees; None where the file does not say.
    resolution
        FWHM of the X-ray detector at Mn K-alpha, in eV; None where the file does not say.
    counts
        How many it has by the file's own sum spectrum; None where there is none.
    data
        The array, numpy.ndarray; None where it is neither an image nor an EDS spectrum image.
    known
        Of a stack: what its metadata say of its tilts and elements.
    """

    title: str
    kind: str
    shape: tuple[int, ...]
    axes: list[dict[str, Any]]
    tilt: float | None
    resolution: float | None
    counts: int | None
    data: Any
    known: dict[str, Any] = field(default_factory=dict)

    def __str__(self):
        return f"{self.title!r} {self.shape}"


class Reader:
    """Reads files, one after another, in a child process: a context manager.

    A damaged file may crash the process, make it hang, or make it ask for more memory than there
    is. Each becomes a ValueError that names the file; the next file gets a new process.
    """

    def __init__(self) -> None:
        self._child: Any = None  # subprocess.Popen, once there is a file to read

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def read(self, path: Path, *, stacks: bool = False) -> list[Signal]:
        """Return all signals of a file; stacks of images only where they are asked for.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it is of another format, cut off or damaged.
        ImportError
            If what its format needs is not installed.
        RuntimeError
            If no process can be started.
        """
        readers = READERS | STACKS | NAMED if stacks else READERS
        if path.suffix.lower() not in readers:
            raise ValueError(
                f"{path.name} is of no format that can be read; expected one of "
                f"{', '.join(readers)}. Convert it by HyperSpy to .hspy first."
            )
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist; expected a file.")
        if not path.is_file() and not (path.is_dir() and path.suffix.lower() == ".zspy"):
            raise ValueError(f"{path} is no file; expected one of a microscope.")
        if path.suffix.lower() == ".bcf":
            _check_whole(path)
        size = path.stat().st_size
        seconds = PATIENCE[0] + PATIENCE[1] * size
        memory = _memory(size if path.is_file() and path.suffix.lower() != ".asw" else None)
        request = {
            "path": str(path.absolute()),
            "reader": readers[path.suffix.lower()],
            "stacks": stacks,
            "memory": memory,
        }
        self._begin()
        late = threading.Event()
        try:
            answer, arrays = self._ask(request, seconds, late)
        except (OSError, EOFError, ValueError) as error:
            code = self._end()
            why = f"did not finish in {seconds:.0f} s" if late.is_set() else f"crashed ({code})"
            raise ValueError(
                f"{path.name} cannot be read: the process that read it {why}. The file is "
                "damaged; get it again from the microscope's computer."
            ) from error
        if answer.get("ended"):
            self._end()
        if "missing" in answer:
            raise ImportError(
                f"{path.name} cannot be read: {answer['missing']}. Run "
                'pip install "hebt[io]", for .zspy "hebt[io,large]".'
            )
        if "error" in answer:
            raise ValueError(
                f"{path.name} cannot be read: {answer['error']}. The file may be damaged or cut "
                "off; get it again from the microscope's computer."
            )
        return [Signal(**head, data=data) for head, data in arrays]

    def _begin(self):
        """Start the child, if there is none."""
        if self._child is not None:
            return
        # without the folder of the script in its path, and with no more threads than it uses
        command = [sys.executable or "python", "-P", str(Path(__file__).with_name("_child.py"))]
        one = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONOPTIMIZE": ""}
        try:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **one},
            )
        except OSError as error:
            raise RuntimeError(
                f"No process can be started to read files in ({error}); expected to run "
                f"{command[0]}."
            ) from error

    def _ask(self, request, seconds, late):
        """Return the child's answer, and of each signal its head and array."""
        child = self._child

        def give_up():
            late.set()
            child.kill()

        timer = threading.Timer(seconds, give_up)
        timer.daemon = True
        timer.start()
        try:
            child.stdin.write(json.dumps(request).encode() + b"\n")
            child.stdin.flush()
            answer = json.loads(child.stdout.readline())
            arrays = []
            for head in answer.get("signals", ()):
                shape, dtype = tuple(head.pop("shape")), np.dtype(head.pop("dtype"))
                data = np.empty(shape, dtype) if head.pop("sent") else None
                if data is not None and child.stdout.readinto(data.data.cast("B")) < data.nbytes:
                    raise EOFError("the array is cut off")
                arrays.append(({**head, "shape": shape}, data))
        finally:
            timer.cancel()
        return answer, arrays

    def _end(self):
        """End the child, and return its exit code."""
        child, self._child = self._child, None
        if child is None:
            return None
        for pipe in (child.stdin, child.stdout):
            with contextlib.suppress(OSError):
                pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(0.5)
        child.kill()
        return child.wait()


def _check_whole(path: Path) -> None:
    """Refuse a Bruker container that is shorter than its header says."""
    with path.open("rb") as file:
        head = file.read(0x14C)
    if head[:8] != b"AAMVHFSS" or len(head) < 0x14C:
        raise ValueError(
            f"{path.name} cannot be read: it does not begin as Bruker's files do. It is of another "
            "format, damaged or cut off."
        )
    (chunk,), (count,) = (struct.unpack_from("<I", head, at) for at in (0x128, 0x148))
    size, expected = path.stat().st_size, 0x118 + chunk * count
    if chunk <= 32 or size < expected:
        raise ValueError(
            f"{path.name} cannot be read: it has {size} bytes; expected {expected}, as its header "
            "says. It is cut off or damaged; copy it again."
        )


def _memory(size: int | None) -> int:
    """Return how many bytes a file of this size may need; all there are, if None.

    Files are packed by a thousandth at most.
    """
    try:
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        whole = 1 << 40
    return whole if size is None else min(whole, 4_000_000_000 + 1000 * size)
