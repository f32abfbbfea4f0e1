"""Results that take long are kept on disk, and found again only by the code that made them."""

import functools
import hashlib
import importlib.metadata
import logging
import os
import shutil
import sys
import time
import warnings
from pathlib import Path

import joblib
import platformdirs

from .settings import fidelity

PACKAGE = Path(__file__).parent
# figures and explorers only show results: a new colour must not cost an hour
NOT_IN_KEY = ("figures", "explorers")
# what was measured of speed changes no result
NOT_IN_DATA_KEY = ("benchmark.json",)
LIBRARIES = ("numpy", "scipy", "numba", "scikit-image", "hyperspy", "exspy", "rosettasciio")
KEEP_FOLDERS = 5
KEEP_ALWAYS_SECONDS = 3600.0
DROP_AFTER_SECONDS = 30 * 86400.0

# joblib says on the root logger when a stored result cannot be read; it is computed again then,
# and a page is no place for that message. Whoever sets up logging still sees it.
logging.getLogger("joblib").addHandler(logging.NullHandler())

_memories: dict[Path, joblib.Memory] = {}


def cache_folder() -> Path:
    """Return the folder for results: ``HEBT_CACHE``, or ``hebt`` in the user's cache folder."""
    return Path(os.environ.get("HEBT_CACHE") or platformdirs.user_cache_dir("hebt", False))


def code_key(package: Path = PACKAGE) -> str:
    """Return a hash of all that a result depends on beside its arguments.

    That is the code of `package` (less what only shows results), the data files beside it (less
    benchmarks), and the versions of Python and of the libraries that compute.
    """
    digest = hashlib.sha256(sys.version.encode())
    for name in LIBRARIES:
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            version = "none"
        digest.update(f"\0{name} {version}".encode())
    files = [
        p
        for p in package.rglob("*.py")
        if p.relative_to(package).parts[0] not in NOT_IN_KEY
    ]
    data = (package.parent / "data").glob("*.json")
    files += [p for p in data if p.name not in NOT_IN_DATA_KEY]
    for path in sorted(files):
        digest.update(f"\0{path.relative_to(package.parent).as_posix()}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


# once, while this code is what gets imported: a file edited later is not the code that runs
_KEY = code_key()


def prune(results: Path, *, keep: Path, now: float | None = None) -> list[Path]:
    """Delete the results of code that is no longer used, and return the folders that went.

    A folder stays if it is `keep`, if something used it within the last hour (another run may
    be at work in it), or if it is among the few used last and within a month.
    """
    now = time.time() if now is None else now
    ages = {}
    for folder in results.iterdir() if results.is_dir() else ():
        try:
            ages[folder] = now - folder.stat().st_mtime
        except OSError:  # another process has just removed it
            continue
    others = sorted((f for f in ages if f != keep and f.is_dir()), key=ages.get)
    gone = [
        folder
        for place, folder in enumerate(others)
        if ages[folder] > KEEP_ALWAYS_SECONDS
        and (place >= KEEP_FOLDERS - 1 or ages[folder] > DROP_AFTER_SECONDS)
    ]
    for folder in gone:
        shutil.rmtree(folder, ignore_errors=True)
    return gone


def _memory() -> joblib.Memory:
    results = cache_folder() / "results"
    folder = results / _KEY
    location = folder / fidelity()
    if location not in _memories:
        try:
            location.mkdir(parents=True, exist_ok=True)
            os.utime(folder)
            prune(results, keep=folder)
            memory = joblib.Memory(location, verbose=0)
        except OSError as error:
            warnings.warn(
                f"Results cannot be kept in {location} ({error}), so they are computed each "
                "time. Set the environment variable HEBT_CACHE to a folder that can be written.",
                UserWarning,
                stacklevel=4,
            )
            memory = joblib.Memory(None)
        _memories[location] = memory
    return _memories[location]


def cached(function):
    """Keep the results of `function` on disk, for the same arguments, code and fidelity.

    The function must depend on its arguments and on `hebt.fidelity()` alone, and take small
    arguments (their text goes into the store). Results are written under another name and then
    moved into place, so that runs side by side see a whole result or none; one that cannot be
    read is computed again. Any change in the package's code, in its data files or in the
    libraries starts an empty store. ``function.__wrapped__`` computes without the store.
    """

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return _memory().cache(function)(*args, **kwargs)

    return wrapper
