"""Results that take long are kept on disk, and found again only by the code that made them."""

import argparse
import ast
import contextlib
import functools
import hashlib
import importlib.metadata
import inspect
import os
import re
import stat
import sys
import threading
import time
import warnings
import weakref
from importlib.util import resolve_name
from pathlib import Path
from typing import Any, NamedTuple

import joblib
from joblib.hashing import NumpyHasher

from hebt._datasets import REGISTRY
from hebt._places import (
    cache_folder,
    check_ours,
    claimed,
    give_name,
    make_private,
    open_ours,
    remove_dead,
)

from .fidelity import fidelity

ROOT = Path(__file__).resolve().parents[2]
# where the packages whose code makes results lie
PACKAGES = {"hebt": ROOT, "companion": ROOT / "book"}
LIBRARIES = ("numpy", "scipy", "numba", "scikit-image", "periodictable")  # they compute
LIBRARIES += ("hyperspy", "exspy", "rosettasciio")  # they read
# what was measured of speed, or tried by tests, changes no result
RECORDS = ("benchmark.json", "promises.json")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
# Results lie side by side in this folder. Only files whose name and first line say that they are
# results are ever removed.
FOLDER = "hebt-results"
NAME = re.compile(
    r"(?P<part>\.)?"
    r"(?P<result>(?P<module>[\w.]+)-(?P<key>[0-9a-f]{16})-[a-z]+-\w+-[0-9a-f]{40}\.result)"
    r"(?(part)\.part)"
)
TAG = "CACHEDIR.TAG"  # by which backups know a folder that they may leave out
TAG_TEXT = b"""Signature: 8a477f597d28d172789f06886806bc55
# Results of the HEBT companion; `make clean` removes them.
"""
LIMIT_BYTES = 3_000_000_000  # the book's results take about 2 GB
KEEP_ALWAYS_SECONDS = 3600.0
DROP_AFTER_SECONDS = 30 * 86400.0


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
    """Return a digest of Python, the libraries that compute, and the data (less records)."""
    digest = hashlib.sha256(sys.version.encode())
    for name in LIBRARIES:
        version = "none"
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            version = importlib.metadata.version(name)
        digest.update(f"\0{name} {version}".encode())
    for path in (*sorted((ROOT / "data").glob("*.json")), REGISTRY):
        if path.name not in RECORDS:
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


def _open_folder() -> Path:
    """Return the folder of results, which is made if need be, and is this user's alone."""
    top = cache_folder()
    folder = top / FOLDER
    if not os.path.lexists(folder):
        make_private(top)
        with contextlib.suppress(FileExistsError):  # another process was faster
            folder.mkdir(0o700)
            with open_ours(folder / TAG, os.O_WRONLY | os.O_CREAT, "wb") as tag:
                tag.write(TAG_TEXT)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(f"{folder} is not a folder")
    check_ours(top.stat(), top)
    check_ours(status, folder)
    return folder


def _header(name: str, digest: str) -> bytes:
    return f"hebt result 1 {digest} {name}\n".encode()


def _is_made_here(folder: Path) -> bool:
    tag = folder / TAG
    with contextlib.suppress(OSError):
        return not tag.is_symlink() and tag.read_bytes() == TAG_TEXT
    return False


def _is_ours(path: Path) -> bool:
    """Whether a file is a result or the part of one: its name and its first line say so."""
    name = NAME.fullmatch(path.name)
    with contextlib.suppress(OSError):
        if name and stat.S_ISREG(path.lstat().st_mode):
            with open_ours(path) as file:
                first = file.readline(500)
            if not first and name["part"]:  # its process was killed before it wrote a byte
                return _is_made_here(path.parent)
            return re.sub(rb" [0-9a-f]{64} ", b"  ", first, count=1) == _header(name["result"], "")
    return False


def _newest_key(module: str) -> str | None:
    with contextlib.suppress(Exception):  # code that is being written may be none
        return code_key(module) if _file(module) else None
    return None


def prune(folder: Path) -> None:
    """Remove what killed runs left, results unused for a month and, above the limit, older ones.

    First those of other code than the present, and those used last at the end. What was used
    within the last hour stays, as another run may be at work with it.
    """
    found: dict[Path, os.stat_result] = {}
    for path in folder.iterdir():
        name = NAME.fullmatch(path.name)
        with contextlib.suppress(OSError):  # another process may just have removed it
            if name and name["part"] and _is_ours(path):
                remove_dead(path)
            elif name and not name["part"]:
                found[path] = path.lstat()
    total, now = sum(s.st_size for s in found.values()), time.time()
    newest = functools.cache(_newest_key)

    def is_present(path):
        name = NAME.fullmatch(path.name)
        return total > LIMIT_BYTES and newest(name["module"]) == name["key"]

    idle = [p for p, s in found.items() if now - s.st_mtime > KEEP_ALWAYS_SECONDS]
    for path in sorted(idle, key=lambda p: (is_present(p), found[p].st_mtime)):
        is_old = now - found[path].st_mtime > DROP_AFTER_SECONDS
        if (is_old or total > LIMIT_BYTES) and _is_ours(path):
            with contextlib.suppress(OSError):
                path.unlink()
                total -= found[path].st_size


def clean() -> str:
    """Remove all results, and nothing else; return what was removed."""
    folder = cache_folder() / FOLDER
    if folder.is_symlink() or not folder.is_dir():
        return f"There are no stored results in {folder}."
    removed, size = 0, 0
    for path in filter(_is_ours, sorted(folder.iterdir())):
        with contextlib.suppress(OSError):
            taken = path.lstat().st_size
            remove_dead(path) if path.suffix == ".part" else path.unlink()
            if not path.exists():
                removed, size = removed + 1, size + taken
    if _is_made_here(folder) and [*folder.iterdir()] == [folder / TAG]:
        (folder / TAG).unlink()
        folder.rmdir()
    left = f" Left there, as not ours: {len([*folder.iterdir()])}." if folder.is_dir() else ""
    return f"Removed {removed} stored results ({size / 1e6:.1f} MB) from {folder}.{left}"


class Made(NamedTuple):
    """How a result was made."""

    seconds: float  # when it was computed
    arguments: dict[str, Any]  # the plain ones that it was computed with


class _Clock(threading.local):
    """How this thread's results were made: those being computed, and all that were asked for."""

    def __init__(self):
        self.open: list[float] = []  # a result being computed: seconds of results found within it
        self.asked: list[Made] = []


_clock = _Clock()
# by identity: what holds arrays may have no hash
_made: dict[int, tuple[weakref.ref, Made]] = {}


def asked() -> list[Made]:
    """Return how each result was made which this thread has asked for, in their order."""
    return list(_clock.asked)


def made(value) -> Made | None:
    """Return how a result was made, or None if it is none."""
    found = _made.get(id(value))
    return found[1] if found and found[0]() is value else None


def remembered(function):
    """Keep what `function` makes of stored results in memory, which counts as asked for anew."""

    @functools.lru_cache(maxsize=4)
    def first(*args):
        before = len(_clock.asked)
        value = function(*args)
        asked = _clock.asked[before:]
        del _clock.asked[before:]
        return value, asked

    @functools.wraps(function)
    def wrapper(*args):
        value, asked = first(*args)
        _clock.asked += asked
        return value

    wrapper.cache_clear = first.cache_clear  # type: ignore[attr-defined]
    return wrapper


def _is_plain(value) -> bool:
    """Whether a value is known by what it says, as settings and tuples are; arrays are not."""
    with contextlib.suppress(TypeError):
        return type(value).__hash__ is not object.__hash__ and isinstance(hash(value), int)
    return False


def _note(value, seconds: float, began: float, arguments: dict):
    """Remember how a result was made, and count it, not the search, where it is part of another."""
    # no arrays, which would live as long as the result
    made = Made(seconds, {name: one for name, one in arguments.items() if _is_plain(one)})
    if _clock.open:
        _clock.open[-1] += seconds - (time.perf_counter() - began)
    else:
        _clock.asked.append(made)
    key = id(value)
    with contextlib.suppress(TypeError):  # such as a list
        _made[key] = weakref.ref(value, lambda _: _made.pop(key, None)), made
    return value


def _timed(function, args, kwargs) -> tuple:
    """Return a result and its seconds; results within it count with what they once took."""
    began = time.perf_counter()
    _clock.open.append(0.0)
    try:
        value = function(*args, **kwargs)
    finally:
        within = _clock.open.pop()
    seconds = time.perf_counter() - began + within
    return value, seconds


class _Hashed:
    """A file to write to, and the sha256 of what was written."""

    def __init__(self, file):
        self.file, self.digest, self.tell = file, hashlib.sha256(), file.tell

    def write(self, data):
        self.digest.update(data)
        return self.file.write(data)


def _find(path: Path) -> tuple:
    """Return a kept result as (value, seconds), or () if there is none or it is damaged."""
    try:
        file = open_ours(path)
    except FileNotFoundError:
        return ()
    with file:
        first = file.readline(500)
        if first != _header(path.name, hashlib.file_digest(file, "sha256").hexdigest()):
            return ()
        file.seek(len(first))
        with contextlib.suppress(Exception):  # pickle can raise anything
            seconds = float(file.readline(40))
            value = joblib.load(file)
            with contextlib.suppress(OSError):
                os.utime(path)  # still in use
            return value, seconds
    return ()


@contextlib.contextmanager
def _claimed(path: Path):
    """Yield a function that keeps a result; no other process computes it meanwhile."""
    part = path.with_name(f".{path.name}.part")
    with claimed(part) as file:
        # at once, so that a part is known as ours also when this process is killed
        file.truncate(0)
        file.write(_header(path.name, "0" * 64))
        file.flush()

        def keep(value, seconds):
            hashed = _Hashed(file)
            hashed.write(f"{seconds:.3f}\n".encode())
            joblib.dump(value, hashed)
            file.seek(0)
            file.write(_header(path.name, hashed.digest.hexdigest()))
            give_name(file, part, path)
            with contextlib.suppress(OSError):
                prune(path.parent)

        yield keep


@functools.cache
def _say(error: str) -> None:
    """Warn once; while the book is built, in a file that the build reads (stderr fails it)."""
    message = (
        f"Results cannot be kept in {cache_folder() / FOLDER} ({error}), and are computed each "
        "time. The environment variable HEBT_CACHE sets another folder."
    )
    notes = os.environ.get("HEBT_NOTES")
    if not notes:
        warnings.warn(message, stacklevel=3)
        return
    with contextlib.suppress(OSError), open(notes, "a", encoding="utf-8") as file:
        file.write(" ".join(message.split()) + "\n")


class _ByValue(NumpyHasher):
    def memoize(self, obj):
        """Take two equal objects for the same as one that is met twice."""


def cached(function):
    """Keep the results of `function` on disk, for the same arguments, code and fidelity.

    The function must depend on its arguments and on `companion.fidelity` alone. Of runs side by
    side one computes and the others wait. A result that is damaged, or that another user may have
    written, is computed again; without a folder to write to it warns and computes. A change of
    what `code_key` holds starts an empty store. ``function.__wrapped__`` computes without it.
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
        given = arguments.arguments
        digest = _ByValue("sha1").hash((function.__qualname__, given))
        name = f"{module}-{key}-{fidelity()}-{function.__name__.strip('_')}-{digest}.result"
        began = time.perf_counter()
        with contextlib.ExitStack() as claims:
            keep = None
            try:
                path = _open_folder() / name
                if found := _find(path):
                    return _note(*found, began, given)
                keep = claims.enter_context(_claimed(path))
                if found := _find(path):  # kept by the process that this one waited for
                    return _note(*found, began, given)
            except OSError as error:
                _say(str(error))
            value, seconds = _timed(function, args, kwargs)
            _note(value, seconds, began, given)
            try:
                if keep:
                    keep(value, seconds)
            except Exception as error:  # what took long is not lost to a full disk or to pickle
                _say(str(error))
            return value

    return wrapper


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m companion.store")
    parser.add_argument("command", choices=["clean"], help="remove all stored results")
    parser.parse_args()
    print(clean())
