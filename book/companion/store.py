"""Results that take long are kept on disk, and found again only by the code that made them."""

import ast
import contextlib
import functools
import hashlib
import importlib.metadata
import inspect
import os
import re
import shutil
import sys
import tempfile
import time
import warnings
from importlib.util import resolve_name
from pathlib import Path

import joblib
import platformdirs
from joblib.hashing import NumpyHasher

from .fidelity import fidelity

ROOT = Path(__file__).resolve().parents[2]
# where the packages whose code makes results lie
PACKAGES = {"hebt": ROOT, "companion": ROOT / "book"}
LIBRARIES = ("numpy", "scipy", "numba", "scikit-image", "periodictable")  # they compute
LIBRARIES += ("hyperspy", "exspy", "rosettasciio")  # they read
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
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
    return next(filter(Path.is_file, (path / "__init__.py", path.with_suffix(".py"))), None)


@functools.cache
def _code(module: str, path: Path, changed: int) -> tuple[bytes, frozenset[str]]:
    """Return the digest of a file's code, less docstrings and comments, and what it imports."""
    # the time of the last change makes that a module loaded anew is read anew
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    imports = frozenset(_imports(tree, module, path.name == "__init__.py"))
    return hashlib.sha256(ast.dump(tree).encode()).digest(), imports


def _imports(tree: ast.Module, module: str, is_package: bool):
    """Yield what code imports, and attributes of that: ``hebt.metrics`` loads on first use."""
    known, nodes = {}, list(ast.walk(tree))
    package = module if is_package else module.rpartition(".")[0]
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
                bound = alias.name if alias.asname else alias.name.split(".")[0]
                known[alias.asname or bound] = bound
        elif isinstance(node, ast.ImportFrom):
            source = resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names:
                inner = f"{source}.{alias.name}"
                yield inner if _file(inner) else source
                known[alias.asname or alias.name] = inner

    def dotted(node):
        if isinstance(node, ast.Name):
            return known.get(node.id)
        above = dotted(node.value) if isinstance(node, ast.Attribute) else None
        return above and f"{above}.{node.attr}"

    yield from filter(None, (dotted(node) for node in nodes if isinstance(node, ast.Attribute)))


@functools.cache
def _surroundings() -> bytes:
    """Return a digest of Python, the libraries that compute, and the data (less benchmarks)."""
    digest = hashlib.sha256(sys.version.encode())
    for name in LIBRARIES:
        version = "none"
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            version = importlib.metadata.version(name)
        digest.update(f"\0{name} {version}".encode())
    for path in sorted((ROOT / "data").glob("*.json")):
        if path.name != "benchmark.json":  # what was measured of speed changes no result
            digest.update(f"\0{path.name}\0".encode() + path.read_bytes())
    return digest.digest()


def sources(module: str) -> dict[str, bytes]:
    """Return the code that a module runs, its own and that of all it imports: name -> digest."""
    found, waiting = {}, [module]
    while waiting:
        name = waiting.pop()
        if name not in found and (path := _file(name)):
            found[name], imports = _code(name, path, path.stat().st_mtime_ns)
            waiting += imports
    return found


def code_key(module: str) -> str:
    """Return a hash of the code that a module runs, of the data and of the libraries."""
    digest = hashlib.sha256(_surroundings())
    for name, code in sorted(sources(module).items()):
        digest.update(f"\0{name}\0".encode() + code)
    return digest.hexdigest()[:16]


def prune(results: Path, *, keep: Path, now: float) -> None:
    """Delete what code no longer in use has left of one module.

    A folder stays if it is `keep`, was not made here (its name is no key, or its marker is
    missing), was used within the last hour (another run may be at work in it), or is among the
    few used last and within a month.
    """
    ages = {}
    for folder in results.iterdir() if results.is_dir() else ():
        with contextlib.suppress(OSError):  # another process may just have removed it
            ours = re.fullmatch("[0-9a-f]{16}", folder.name) and (folder / MARKER).is_file()
            if ours and not folder.is_symlink() and folder != keep:
                ages[folder] = now - folder.stat().st_mtime
    for place, folder in enumerate(sorted(ages, key=ages.get)):
        superfluous = place >= KEEP_FOLDERS - 1 or ages[folder] > DROP_AFTER_SECONDS
        if superfluous and ages[folder] > KEEP_ALWAYS_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


def _keep(value, path: Path) -> None:
    """Write a result under another name and move it into place once it is whole."""
    folder = path.parents[1]
    path.parent.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).touch()
    os.utime(folder)
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    os.close(handle)
    try:
        joblib.dump(value, part)
        os.replace(part, path)
    finally:
        Path(part).unlink(missing_ok=True)
    for module in folder.parents[1].iterdir():
        prune(module, keep=folder, now=time.time())


class _ByValue(NumpyHasher):
    def memoize(self, obj):
        """Take two equal objects for the same as one that is met twice."""


def cached(function):
    """Keep the results of `function` on disk, for the same arguments, code and fidelity.

    The function must depend on its arguments and on `companion.fidelity` alone. Runs side by
    side see a whole result or none; one that cannot be read is computed again. A change of what
    `code_key` holds starts an empty store. ``function.__wrapped__`` computes without the store.
    """
    module, signature = function.__module__, inspect.signature(function)
    # now, while this code is what gets imported: a file edited later is not the code that runs
    key = code_key(module) if _file(module) else None

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        if key is None:  # code that is not ours, such as a notebook's, has no key
            return function(*args, **kwargs)
        arguments = signature.bind(*args, **kwargs)
        arguments.apply_defaults()
        digest = _ByValue("sha1").hash((function.__qualname__, arguments.arguments))
        folder = cache_folder() / "results" / module / key
        path = folder / fidelity() / f"{function.__name__.strip('_')}-{digest}.pkl"
        # whatever a damaged file raises, and pickle can raise anything
        with contextlib.suppress(Exception):
            value = joblib.load(path)
            with contextlib.suppress(OSError):
                os.utime(folder)  # still in use
            return value
        value = function(*args, **kwargs)
        try:
            _keep(value, path)
        except Exception as error:  # nor is what took long lost to a full disk or to pickle
            warnings.warn(
                f"A result cannot be kept as {path} ({error}), and is computed each time. Perhaps "
                "the folder cannot be written; the environment variable HEBT_CACHE sets another.",
                stacklevel=2,
            )
        return value

    return wrapper
