"""Results that take long are kept on disk, and found again only by the code that made them."""

import ast
import functools
import hashlib
import importlib.metadata
import inspect
import os
import pickle
import re
import shutil
import sys
import tempfile
import time
import warnings
from pathlib import Path

import joblib
import platformdirs

from .fidelity import fidelity

ROOT = Path(__file__).resolve().parents[2]
# where the packages whose code makes results lie
PACKAGES = {"hebt": ROOT, "companion": ROOT / "book"}
# what was measured of speed changes no result
NOT_IN_KEY = ("benchmark.json",)
LIBRARIES = ("numpy", "scipy", "numba", "scikit-image", "hyperspy", "exspy", "rosettasciio")
# lies in each folder of results: only such folders are ever removed
MARKER = ".hebt-results"
KEEP_FOLDERS = 5
KEEP_ALWAYS_SECONDS = 3600.0
DROP_AFTER_SECONDS = 30 * 86400.0


def cache_folder() -> Path:
    """Return the folder for results: ``HEBT_CACHE``, or ``hebt`` in the user's cache folder."""
    return Path(os.environ.get("HEBT_CACHE") or platformdirs.user_cache_dir("hebt", False))


def _file(module: str) -> Path | None:
    """Return the file of a module of ours, or None."""
    first, *rest = module.split(".")
    if first not in PACKAGES:
        return None
    path = PACKAGES[first].joinpath(first, *rest)
    for file in (path / "__init__.py", path.with_suffix(".py")):
        if file.is_file():
            return file
    return None


@functools.cache
def _code(path: Path) -> tuple[bytes, ast.Module]:
    """Return a file's syntax tree and its digest, both without docstrings and comments."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            if isinstance(getattr(body[0].value, "value", None), str):
                node.body = body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.dump(tree).encode()).digest(), tree


def _imports(tree: ast.Module, module: str, package: bool):
    """Yield the modules of ours that code imports, wherever in it."""
    parts = module.split(".")
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = parts[: len(parts) - node.level + package] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{source}.{alias.name}"
                yield inner if _file(inner) else source
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            # hebt's modules that load on first use: hebt.metrics
            if node.value.id == "hebt":
                yield f"hebt.{node.attr}"


def sources(module: str) -> dict[str, bytes]:
    """Return the code that a module runs: its own and that of all it imports, of ours."""
    found, waiting = {}, [module]
    while waiting:
        name = waiting.pop()
        path = _file(name)
        if name in found or path is None:
            continue
        found[name], tree = _code(path)
        waiting += _imports(tree, name, path.name == "__init__.py")
    return found


@functools.cache
def code_key(module: str) -> str:
    """Return a hash of all that a module's results depend on beside their arguments.

    That is the code of the module and of what it imports (less docstrings and comments), the data
    files (less benchmarks), and the versions of Python and of the libraries that compute.
    """
    digest = hashlib.sha256(sys.version.encode())
    for name in LIBRARIES:
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            version = "none"
        digest.update(f"\0{name} {version}".encode())
    for name, code in sorted(sources(module).items()):
        digest.update(f"\0{name}\0".encode() + code)
    for path in sorted((ROOT / "data").glob("*.json")):
        if path.name not in NOT_IN_KEY:
            digest.update(f"\0{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def prune(results: Path, *, keep: Path, now: float | None = None) -> list[Path]:
    """Delete the results of code that is no longer used, and return the folders that went."""
    now = time.time() if now is None else now
    ages = {}
    for folder in results.iterdir() if results.is_dir() else ():
        ours = re.fullmatch("[0-9a-f]{16}", folder.name) and (folder / MARKER).is_file()
        if ours and not folder.is_symlink() and folder != keep:
            try:
                ages[folder] = now - folder.stat().st_mtime
            except OSError:  # another process has just removed it
                continue
    gone = [
        folder
        for place, folder in enumerate(sorted(ages, key=ages.get))
        if ages[folder] > KEEP_ALWAYS_SECONDS
        and (place >= KEEP_FOLDERS - 1 or ages[folder] > DROP_AFTER_SECONDS)
    ]
    for folder in gone:
        shutil.rmtree(folder, ignore_errors=True)
    return gone


@functools.cache
def _folder(results: Path, key: str, size: str) -> Path | None:
    """Make and return the folder for one state of the code, or None with a warning."""
    folder = results / key
    try:
        (folder / size).mkdir(parents=True, exist_ok=True)
        (folder / MARKER).touch()
        os.utime(folder)
        prune(results, keep=folder)
    except OSError as error:
        warnings.warn(
            f"Results cannot be kept in {folder} ({error}), so they are computed each time. Set "
            "the environment variable HEBT_CACHE to a folder that can be written.",
            UserWarning,
            stacklevel=4,
        )
        return None
    return folder / size


def _keep(value, path: Path) -> None:
    """Write a result under another name and move it into place once it is whole."""
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    os.close(handle)
    try:
        joblib.dump(value, part)
        os.replace(part, path)
    finally:
        Path(part).unlink(missing_ok=True)


def cached(function):
    """Keep the results of `function` on disk, for the same arguments, code and fidelity.

    The function must depend on its arguments and on `companion.fidelity` alone. Runs side by
    side see a whole result or none; one that cannot be read is computed again. A change in the
    code of the function's module, or of anything that it imports, starts an empty store; so do
    the data files and the libraries. ``function.__wrapped__`` computes without the store.
    """

    # now, while this code is what gets imported: a file edited later is not the code that runs
    key = code_key(function.__module__)

    signature = inspect.signature(function)

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        folder = _folder(cache_folder() / "results" / function.__module__, key, fidelity())
        if folder is None:
            return function(*args, **kwargs)
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        name = f"{function.__name__.strip('_')}-{joblib.hash(bound.arguments)}"
        path = folder / f"{name}.pkl"
        try:
            return joblib.load(path)
        except FileNotFoundError:
            pass
        except (OSError, EOFError, ValueError, KeyError, IndexError, pickle.UnpicklingError):
            path.unlink(missing_ok=True)
        value = function(*args, **kwargs)
        try:
            _keep(value, path)
        except OSError as error:
            warnings.warn(f"A result could not be kept as {path} ({error}).", stacklevel=2)
        return value

    return wrapper
