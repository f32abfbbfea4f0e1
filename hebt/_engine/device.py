"""Where a reconstruction runs: on the processor, or on a graphics processor (GPU)."""

import ctypes
import functools
import importlib.util
import os
import sys

DEVICES = ("auto", "cpu", "cuda")


def check_device(device: object) -> str:
    """Return `device`, or raise a ValueError if it is none of `DEVICES`."""
    if not isinstance(device, str) or device not in DEVICES:
        raise ValueError(
            f"device is {device!r}; expected one of {', '.join(map(repr, DEVICES))}. 'auto' takes "
            "a CUDA device where there is one."
        )
    return device


def choose_device(device: object) -> str:
    """Return "cpu" or "cuda"; a RuntimeError if it is "cuda" and no such device can be used."""
    if check_device(device) == "cpu":
        return "cpu"
    problem = _problem()
    if device == "auto":
        return "cpu" if problem or _simulated() else "cuda"
    if problem:
        raise RuntimeError(
            f"device is 'cuda', but no CUDA device can be used here: {problem}. Leave device at "
            "'auto' to work on the processor instead. With an NVIDIA GPU, install its driver and "
            "numba-cuda, e.g. pip install 'numba-cuda[cu12]'."
        )
    return "cuda"


def _simulated() -> bool:
    """Whether numba interprets CUDA kernels instead of running them, for tests."""
    import numba

    return bool(getattr(numba.config, "ENABLE_CUDASIM", False))


@functools.cache
def _problem() -> str | None:
    """Say why CUDA cannot be used; None if it can."""
    if _simulated():
        return None
    if not _driver_is_there():
        return "no CUDA driver was found"
    # numba brings a CUDA target of its own, which is no longer maintained
    if importlib.util.find_spec("numba_cuda") is None:
        return "a CUDA driver is there, but the package numba-cuda is not"
    from numba import cuda

    if cuda.is_available():
        return None
    return str(cuda.cuda_error() or "the driver found no device, or CUDA's libraries are missing")


def _driver_is_there() -> bool:
    # the answer on most machines, a third of a second sooner than by importing numba.cuda
    if os.environ.get("NUMBA_CUDA_DRIVER"):
        return True
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True
