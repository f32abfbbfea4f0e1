"""Data in and out: measured series by name, the microscope's own files, HyperSpy signals.

``python -m hebt.io list`` names the data that the book uses, ``python -m hebt.io fetch dust``
downloads a series, and ``python -m hebt.io check dust`` says whether it is here and whole.
"""

import argparse
import contextlib
import functools
import gc
import hashlib
import html
import json
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

import numpy as np

from hebt import _cache, _checks, settings

REGISTRY = Path(__file__).resolve().parent.parent / "data" / "measured.json"


# --- the registry, and where the files are -------------------------------------------------------


class MissingDataError(FileNotFoundError):
    """A series of the registry is not on this machine; the message says how to get it."""

    def _render_traceback_(self):
        # a notebook shows what is missing and what to do, instead of this module's inner workings
        return [f"{type(self).__name__}: {self}"]


class WrongDataError(ValueError):
    """A file is not the one that the registry names: its sha256 differs."""


def registry() -> dict:
    """Return the registry of measured data: name -> title, origin, credit, licence, files.

    Raises
    ------
    FileNotFoundError
        If the registry is not there, as where `hebt` was installed without its repository.
    """
    try:
        text = REGISTRY.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FileNotFoundError(
            f"The registry of measured data, {REGISTRY}, is not there. It belongs to the book's "
            "repository and not to the installed package: clone the repository and install hebt "
            "from it with `pip install -e .`. Your own files need no registry; give their paths "
            "to hebt.io.read_tilt_series."
        ) from None
    return json.loads(text)["series"]


def _entry(name: str) -> dict:
    series = registry()
    if name not in series:
        raise ValueError(
            f"name is {name!r}; expected one of {', '.join(map(repr, series))}, "
            "the series in the registry."
        )
    return series[name]


def _folders(entry: dict) -> dict[str, Path]:
    """Return the folders where a series may lie, in the order in which they are looked into."""
    folders = {}
    if os.environ.get("HEBT_DATA"):
        folders["HEBT_DATA"] = Path(os.environ["HEBT_DATA"]) / entry["folder"]
    folders["the cache"] = _cache.cache_folder() / "data" / entry["folder"]
    return folders


@functools.lru_cache(maxsize=1024)
def _sha256(path: Path, size: int, changed: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_right(path: Path, wanted: dict) -> bool:
    status = path.stat()
    return (
        status.st_size == wanted["size"]
        and _sha256(path, status.st_size, status.st_mtime_ns) == wanted["sha256"]
    )


def _wanted(entry: dict, pattern: str) -> list[dict]:
    files = [f for f in entry["files"] if fnmatch(PurePosixPath(f["path"]).name, pattern)]
    if not files:
        raise ValueError(
            f"pattern is {pattern!r}, which no file of the series has; its files are "
            f"{', '.join(f['path'] for f in entry['files'])}."
        )
    return files


def locate(name: str, pattern: str = "*") -> list[Path]:
    """Return the paths of a series' files, each checked against its sha256.

    They are looked up in the folder that the environment variable ``HEBT_DATA`` names, then in
    the cache (``HEBT_CACHE``, or ``hebt`` in the user's cache folder). Nothing is downloaded:
    that is `fetch`.

    Parameters
    ----------
    name
        The series' name in the registry, such as "dust".
    pattern
        Which of its files, by file name: "*.bcf" for instance.

    Returns
    -------
    list of Path
        In the order of the registry; for a tilt series, that of the tilts.

    Raises
    ------
    MissingDataError
        If a file is in neither folder.
    WrongDataError
        If a file is there but its sha256 is another one.
    """
    entry = _entry(name)
    wanted = _wanted(entry, pattern)
    folders = _folders(entry)
    paths, missing = [], []
    for file in wanted:
        here = next((p for f in folders.values() if (p := f / file["path"]).is_file()), None)
        if here is None:
            missing.append(file)
        elif not _is_right(here, file):
            raise WrongDataError(
                f"{here} is not the file that the registry names (its size or sha256 differs), "
                f"so it is not used. Remove it and run `python -m hebt.io fetch {name}`."
            )
        else:
            paths.append(here)
    if missing:
        raise MissingDataError(_what_is_missing(name, entry, missing))
    return paths


def _what_is_missing(name, entry, missing):
    size = sum(f["size"] for f in missing) / 1e6
    looked = " and ".join(
        f"{'HEBT_DATA' if where == 'HEBT_DATA' else 'the cache folder'} ({folder})"
        for where, folder in _folders(entry).items()
    )
    unset = "" if os.environ.get("HEBT_DATA") else " (the environment variable is not set)"
    return (
        f"{len(missing)} of {len(entry['files'])} files of the series {name!r} are not on this "
        f"machine: {entry['title']}. Looked in {looked}. Nothing is downloaded unasked. Run "
        f"`python -m hebt.io fetch {name}` to download {size:.1f} MB and check them, or set "
        f"HEBT_DATA{unset} to a folder that holds {entry['folder']}/{missing[0]['path']} "
        "and the others."
    )


# --- download on request -------------------------------------------------------------------------


def fetch(name: str, pattern: str = "*", *, progress: bool = True) -> list[Path]:
    """Download what is missing of a series, check its sha256, and return the files' paths.

    Files that are here already are left alone. Each new file is written under another name and
    moved into the cache folder once it is whole and its sha256 is right, so that an interrupted
    or wrong download is never taken for the data.

    Parameters
    ----------
    name, pattern
        As for `locate`.
    progress
        Whether to show a progress bar per file.

    Raises
    ------
    WrongDataError
        If what came has another sha256 than the registry names. It is kept beside the data with
        the ending ``.wrong``, for a look at it, and never used.
    OSError
        If no address answers with the file.
    """
    entry = _entry(name)
    folder = _folders(entry)["the cache"]
    for file in _wanted(entry, pattern):
        if any(
            (p := f / file["path"]).is_file() and _is_right(p, file)
            for f in _folders(entry).values()
        ):
            continue
        target = folder / file["path"]
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_file():
            _keep_apart(target)
        _download(file, target, progress=progress)
    return locate(name, pattern)


def _keep_apart(path: Path) -> Path:
    apart = path.with_name(path.name + ".wrong")
    os.replace(path, apart)
    return apart


def _download(file: dict, target: Path, *, progress: bool) -> None:
    # pooch brings time-outs, streaming and the progress bar; two things are ours: a file that
    # fails its check is kept for a look, and there may be more than one address
    import pooch
    import requests

    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".part-")
    os.close(handle)
    part = Path(name)
    failures = []
    try:
        for address in file["addresses"]:
            if progress:
                print(f"{target.name} from {address}", file=sys.stderr)
            try:
                download = pooch.HTTPDownloader(progressbar=progress, chunk_size=1 << 16)
                download(address, str(part), None)
            except (requests.RequestException, OSError) as error:
                failures.append(f"{address}: {error}")
                continue
            if not _is_right(part, file):
                apart = _keep_apart(part.replace(target))
                raise WrongDataError(
                    f"{address} gave a file of {apart.stat().st_size} bytes with another sha256 "
                    f"than the registry names ({file['size']} bytes). It is kept as {apart} and "
                    "never used. Try again; if it stays so, the source has changed: please say "
                    "so in an issue of the book's repository."
                )
            os.replace(part, target)
            return
        raise OSError(
            f"{target.name} could not be downloaded. Check the connection and run the same "
            "command again: what is here already stays. " + "; ".join(failures)
        )
    finally:
        part.unlink(missing_ok=True)


# --- what a chapter shows first ------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class DataCard:
    """What a series is, from whom and under which licence, and whether it is on this machine.

    Displayed in a notebook as a small table.
    """

    name: str
    entry: dict
    found: str
    missing: tuple[str, ...]

    @property
    def available(self) -> bool:
        """Whether every file is here and right."""
        return not self.missing

    def rows(self) -> list[tuple[str, str]]:
        """Return what the card says, as (label, text)."""
        entry = self.entry
        size = sum(f["size"] for f in entry["files"]) / 1e6
        kind = "measured data" if entry["measured"] else "simulated data"
        if self.available:
            state = f"found in {self.found}; size and sha256 of every file are right"
        else:
            state = (
                f"missing: {len(self.missing)} of {len(entry['files'])} files "
                f"({self.missing[0]}{', …' if len(self.missing) > 1 else ''})"
            )
        rows = [
            (kind, entry["title"]),
            ("source", entry["source"]),
            ("credit", entry["credit"]),
            ("licence", entry["licence"]),
            *((k.replace("_", " "), v) for k, v in entry["acquisition"].items()),
            ("files", f"{len(entry['files'])} files, {size:.1f} MB"),
            ("on this machine", state),
        ]
        if not self.available:
            rows.append(
                (
                    "how to get them",
                    f"python -m hebt.io fetch {self.name} downloads and checks them; or set "
                    f"HEBT_DATA to a folder that holds {entry['folder']}",
                )
            )
        return rows

    def __repr__(self):
        return "\n".join(f"{label}: {text}" for label, text in self.rows())

    def _repr_html_(self):
        style = 'style="text-align:left;vertical-align:top"'
        cells = "".join(
            f'<tr><th scope="row" {style}>{html.escape(label)}</th>'
            f"<td {style}>{html.escape(text)}</td></tr>"
            for label, text in self.rows()
        )
        note = ""
        if not self.available:
            note = (
                '<div class="admonition warning"><p class="admonition-title">Data not here</p>'
                "<p>These data are not on this machine, so the code below was not run and its "
                f"pictures are missing. Run <code>python -m hebt.io fetch {self.name}</code>, "
                "then run the chapter or build the book again.</p></div>"
            )
        return f'{note}<table class="hebt-data">{cells}</table>'


def card(name: str) -> DataCard:
    """Say what a series is and whether it is on this machine. Nothing is downloaded."""
    entry = _entry(name)
    folders = _folders(entry)
    missing, found = [], []
    for file in entry["files"]:
        for where, folder in folders.items():
            if (folder / file["path"]).is_file():
                if _is_right(folder / file["path"], file):
                    found.append(where)
                else:
                    missing.append(f"{file['path']} is another file")
                break
        else:
            missing.append(file["path"])
    where = " and ".join(dict.fromkeys(found))
    return DataCard(name, entry, where, tuple(missing))


def require(name: str) -> DataCard:
    """Show where a chapter's data come from; without them, stop here with the way to get them.

    In JupyterLab and in scripts, missing data raise `MissingDataError`, whose message says what
    to run. While the book is built (``HEBT_STATIC=1``) the card is shown instead, and the cells
    that follow in the notebook are left out, so that a book without the data still builds and
    says so.
    """
    shown = card(name)
    if shown.available:
        return shown
    shell = _shell()
    if os.environ.get("HEBT_STATIC") != "1" or shell is None:
        locate(name)
        raise AssertionError("locate() found what card() misses")  # pragma: no cover
    shell.input_transformers_post.append(lambda lines: ["pass\n"])
    return shown


def _shell():
    if "IPython" not in sys.modules:
        return None
    return sys.modules["IPython"].get_ipython()


# --- reading the microscope's files --------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class TiltSeries:
    """A HAADF and EDS tilt series as arrays, with what is needed to read their axes.

    Attributes
    ----------
    angles
        (tilts,), degrees.
    haadf
        (tilts, slices, size), as the detector gave it.
    maps
        (elements, tilts, slices, size), X-ray counts in the line less background.
    lines
        Names of the X-ray lines, one for each map: "O_Ka".
    pixel_size
        Length of a pixel's side, in nm.
    energies
        (channels,), keV, the centre of each channel.
    spectra
        (tilts, channels), counts: the spectrum of each tilt, added up over its pixels.
    windows
        One `LineWindow` per line: which energies were counted, and which as background.
    """

    angles: np.ndarray
    haadf: np.ndarray
    maps: np.ndarray
    lines: tuple[str, ...]
    pixel_size: float
    energies: np.ndarray
    spectra: np.ndarray
    windows: tuple["LineWindow", ...]

    @property
    def elements(self) -> tuple[str, ...]:
        """Names of the elements, one for each map: "O"."""
        return tuple(line.split("_")[0] for line in self.lines)

    def pick(self, *lines: str) -> "TiltSeries":
        """Return the same series with the maps of these lines only, in this order."""
        strange = [line for line in lines if line not in self.lines]
        if strange or not lines:
            raise ValueError(
                f"lines are {lines}; expected some of {', '.join(self.lines)}, which were mapped."
            )
        kept = [self.lines.index(line) for line in lines]
        return replace(
            self, lines=lines, maps=self.maps[kept], windows=tuple(self.windows[i] for i in kept)
        )

    def __repr__(self):
        tilts, slices, size = self.haadf.shape
        return (
            f"TiltSeries: {tilts} tilts from {self.angles.min():g} to {self.angles.max():g} "
            f"degrees\n{slices} x {size} pixels of {self.pixel_size:.4g} nm\n"
            f"maps of {', '.join(self.elements)}\n"
            f"{self.spectra.sum() / 1e6:.2f} million X-ray counts"
        )


@dataclass(frozen=True)
class LineWindow:
    """Energies, in keV, that make an element map: the line's, and the background's on each side."""

    line: str
    energy: float
    window: tuple[float, float]
    left: tuple[float, float]
    right: tuple[float, float]
    weights: np.ndarray

    def __repr__(self):
        return (
            f"{self.line} {self.energy:.3f} keV: {self.window[0]:.3f} to {self.window[1]:.3f}, "
            f"background {self.left[0]:.3f} to {self.left[1]:.3f} and "
            f"{self.right[0]:.3f} to {self.right[1]:.3f}"
        )


def read_tilt_series(
    files: Iterable[str | Path],
    *,
    lines: Sequence[str],
    angles: Sequence[float] | None = None,
    avoid: Sequence[str | tuple[float, float]] = (),
    cache: bool = False,
    progress: bool | None = None,
) -> TiltSeries:
    """Read HAADF images and EDS spectrum images, one file per tilt, and make element maps.

    One file at a time is in memory. Any format that HyperSpy reads as an image and an EDS
    spectrum image of the same scan will do (Bruker ``.bcf``, Velox ``.emd``).

    Parameters
    ----------
    files
        One file per tilt.
    lines
        X-ray lines to map, as HyperSpy writes them: "O_Ka", "Pt_Ma".
    angles
        Tilts in degrees, one per file. Without them, each file's name is its tilt
        ("-40.bcf"), as many microscopists name their files; what the metadata say of the
        stage is not used.
    avoid
        Other lines of the spectrum, or (from, to) in keV, that background windows must keep
        clear of. See `line_windows`.
    cache
        Whether to keep the result in the cache folder and take it from there next time, as long
        as the files, these arguments and hebt itself stay as they are.
    progress
        Whether to show a progress bar; if None, where somebody can see it (a terminal, a live
        notebook).

    Returns
    -------
    TiltSeries
        In rising order of the tilts.

    Raises
    ------
    ValueError
        If a file has no HAADF image, no EDS spectrum image or more than one, if files differ in
        size or calibration, or if a file's name is no tilt.
    """
    files = [Path(f) for f in files]
    if not files:
        raise ValueError("files is empty; expected one file per tilt.")
    if angles is None:
        angles = [_tilt_of(f) for f in files]
    angles = _checks.check_angles(angles)
    if len(angles) != len(files):
        raise ValueError(
            f"angles has {len(angles)} entries, but there are {len(files)} files; expected one "
            "tilt per file."
        )
    if len(set(angles)) < len(angles):
        raise ValueError(f"angles holds a tilt twice ({angles}); expected each tilt once.")
    if isinstance(lines, str):
        raise ValueError(f"lines is {lines!r}; expected several, such as ('O_Ka', 'Fe_Ka').")

    order = np.argsort(angles)
    # size and time of each file are part of the key: other files are other data
    stamped = tuple(
        (str(f.resolve()), f.stat().st_size, f.stat().st_mtime_ns)
        for f in (files[i] for i in order)
    )
    avoid = tuple(a if isinstance(a, str) else (float(a[0]), float(a[1])) for a in avoid)
    arguments = stamped, tuple(float(angles[i]) for i in order), tuple(lines), avoid
    if cache:
        return _read_series_once(*arguments)
    return _read_series(*arguments, progress=progress)


@_cache.cached
def _read_series_once(stamped, angles, lines, avoid):
    return _read_series(stamped, angles, lines, avoid)


def _read_series(stamped, angles, lines, avoid, *, progress=None):
    haadf, maps, spectra, first = [], [], [], None
    with settings.progress_bar(len(stamped), "reading tilts", progress) as bar:
        for path in (Path(stamp[0]) for stamp in stamped):
            image, cube = _read(path)
            axes = _axes_of(cube)
            if first is None:
                first = axes
                windows = line_windows(
                    axes.energies, lines, avoid=avoid, resolution=axes.resolution
                )
            elif image.data.shape != haadf[0].shape or not axes.agrees(first):
                raise ValueError(
                    f"{path.name} has {image.data.shape} pixels of {axes.pixel_size:.4g} nm "
                    f"and {len(axes.energies)} channels; expected {haadf[0].shape} pixels of "
                    f"{first.pixel_size:.4g} nm and {len(first.energies)} channels, calibrated "
                    f"as in {Path(stamped[0][0]).name}. Rebin or crop the files to one size first."
                )
            haadf.append(np.array(image.data, np.float32))
            spectra.append(np.asarray(cube.data).sum(axis=(0, 1), dtype=np.int64))
            maps.append(element_maps(cube, windows))
            # signals refer to themselves in circles: without this, all cubes would pile up
            del image, cube
            gc.collect()
            bar.update()
    return TiltSeries(
        angles=np.array(angles),
        haadf=np.stack(haadf),
        maps=np.stack(maps, axis=1),
        lines=lines,
        pixel_size=first.pixel_size,
        energies=first.energies,
        spectra=np.stack(spectra),
        windows=tuple(windows),
    )


def line_windows(
    energies,
    lines: Sequence[str],
    *,
    avoid: Sequence[str | tuple[float, float]] = (),
    resolution: float = 130.0,
    width: float = 1.2,
) -> list[LineWindow]:
    """Choose the energies that make each line's map.

    The line's window is `width` times the peak's full width at half maximum (FWHM), 1.2 by
    default, which holds 84 % of a Gaussian peak. The background under it is read off a straight
    line through two windows of half a FWHM, one on each side: each as near as it can be while
    at least one FWHM away from the centre of every other line.

    Parameters
    ----------
    energies
        (channels,), keV, evenly spaced.
    lines
        Lines to map: "O_Ka". Their energies come from exspy's tables. The other lines of their
        shells that have at least 10 % of its intensity are kept clear of as well.
    avoid
        More lines to keep clear of, or (from, to) in keV.
    resolution
        FWHM of the detector at Mn K-alpha, in eV. The FWHM at energy E follows from it as
        FWHM² = `resolution`² + 2.5 eV (E - 5.8987 keV), with E in eV there (Fiori and Newbury,
        1978).
    width
        Width of the line's window, in FWHM.

    Raises
    ------
    ValueError
        If a line is not in the tables or not in the spectrum, or has no clear background
        within 8 FWHM.
    """
    energies = np.asarray(energies, np.float64)
    if not lines:
        raise ValueError("lines is empty; expected X-ray lines such as 'O_Ka'.")
    names = [*lines, *(a for a in avoid if isinstance(a, str))]
    others = sorted({e for name in names for e in _shell_of(name)})
    forbidden = [tuple(map(float, a)) for a in avoid if not isinstance(a, str)]
    forbidden += [(e - _fwhm(e, resolution), e + _fwhm(e, resolution)) for e in others]
    return [_line_window(energies, name, forbidden, resolution, width) for name in lines]


def _line_window(energies, name, forbidden, resolution, width):
    energy = _line_energy(name)
    fwhm = _fwhm(energy, resolution)
    step = energies[1] - energies[0]
    if not energies[0] + fwhm <= energy <= energies[-1] - fwhm:
        raise ValueError(
            f"The line {name} at {energy:.3f} keV lies outside the spectrum, which goes from "
            f"{energies[0]:.3f} to {energies[-1]:.3f} keV."
        )

    def clear(low, high):
        inside = energies[0] <= low and high <= energies[-1]
        return inside and all(high <= a or low >= b for a, b in forbidden)

    def search(side):
        for distance in np.arange(fwhm, 8 * fwhm, step / 2):
            centre = energy + side * (distance + fwhm / 4)
            if clear(centre - fwhm / 4, centre + fwhm / 4):
                return centre - fwhm / 4, centre + fwhm / 4
        raise ValueError(
            f"The line {name} at {energy:.3f} keV has no clear background within 8 FWHM on its "
            f"{'right' if side > 0 else 'left'}; expected a gap of half a FWHM "
            f"({fwhm / 2:.3f} keV). Map fewer lines, or avoid fewer."
        )

    window = energy - width * fwhm / 2, energy + width * fwhm / 2
    left, right = search(-1), search(+1)
    counted, low, high = (_share(energies, w) for w in (window, left, right))
    # the straight line through both background windows, taken at the line's energy
    towards_right = (energy - np.mean(left)) / (np.mean(right) - np.mean(left))
    channels = counted.sum()
    weights = counted - channels * (
        (1 - towards_right) * low / low.sum() + towards_right * high / high.sum()
    )
    return LineWindow(name, energy, window, left, right, weights)


def _share(energies, window):
    """Return which share of each channel lies in a window of energies, (channels,)."""
    step = energies[1] - energies[0]
    low = np.maximum(energies - step / 2, window[0])
    high = np.minimum(energies + step / 2, window[1])
    return np.clip((high - low) / step, 0, 1)


def element_maps(spectrum_image, windows: Sequence[LineWindow]) -> np.ndarray:
    """Add up each line's counts per pixel, less background: (elements, slices, size), float32.

    `spectrum_image` is a HyperSpy signal or an array, (slices, size, channels). Where there is
    little of an element, noise makes some pixels slightly negative; they are left so, because
    cutting them off at zero would add counts that are not there.
    """
    counts = np.asarray(getattr(spectrum_image, "data", spectrum_image))
    maps = np.empty((len(windows), *counts.shape[:2]), np.float32)
    for made, window in zip(maps, windows, strict=True):
        used = np.flatnonzero(window.weights)
        part = slice(used[0], used[-1] + 1)
        np.matmul(
            counts[..., part].astype(np.float32), window.weights[part].astype(np.float32), out=made
        )
    return maps


def read_tomviz_shifts(path: str | Path, tilts: Sequence[float], keep: Sequence[float]):
    """Read shifts that were found by hand in Tomviz and saved as a list of [across, along].

    Parameters
    ----------
    path
        The JSON file.
    tilts
        Degrees, one per entry of the file.
    keep
        Degrees; the tilts wanted.

    Returns
    -------
    numpy.ndarray
        (len(keep), 2), pixels along and across the tilt axis, as `hebt.preprocess.align` gives
        them: Tomviz counts upwards along the axis, an image's rows count downwards. Their
        medians are 0.

    Raises
    ------
    ValueError
        If the file has another number of entries than `tilts`, or a wanted tilt is not there.
    """
    pairs = np.asarray(json.loads(Path(path).read_text(encoding="utf-8")), np.float64)
    tilts = list(tilts)
    if pairs.shape != (len(tilts), 2):
        raise ValueError(
            f"{Path(path).name} holds shifts of shape {pairs.shape}; expected "
            f"{(len(tilts), 2)}, an [across, along] for each of the tilts."
        )
    absent = [t for t in keep if t not in tilts]
    if absent:
        raise ValueError(f"keep has tilts {absent}, which are not among the tilts {tilts}.")
    shifts = np.array([[-pairs[tilts.index(t), 1], pairs[tilts.index(t), 0]] for t in keep])
    return shifts - np.median(shifts, axis=0)


@contextlib.contextmanager
def quiet():
    """Keep HyperSpy's notes on its own future, which hold paths of this machine, off the page."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def hyperspy():
    """Import HyperSpy with the EDS signals, without its notes on its own future."""
    with quiet():
        import exspy  # noqa: F401  registers the EDS signals
        import hyperspy.api as hs
    return hs


def xray_lines(element: str) -> dict:
    """Return an element's X-ray lines from exspy's tables: name -> energy (keV) and weight."""
    with quiet():
        from exspy.material import elements
    return elements[element]["Atomic_properties"]["Xray_lines"].as_dictionary()


def line_width(energy, resolution: float = 130.0):
    """Return the FWHM in keV of lines at `energy` keV; `resolution` is that at Mn K-alpha in eV."""
    return _fwhm(energy, resolution)


def _line_table(name: str) -> dict:
    try:
        element, line = name.split("_")
        table = xray_lines(element)
    except (ValueError, KeyError, AttributeError):
        table = {}
        line = None
    if line not in table:
        raise ValueError(
            f"{name!r} is no X-ray line of exspy's tables; expected a name such as 'O_Ka'"
            + (f"; this element has {', '.join(table)}." if table else ".")
        )
    return table


def _line_energy(name):
    return _line_table(name)[name.split("_")[1]]["energy (keV)"]


def _shell_of(name):
    """Return the energies of the lines of a shell that have at least 10 % of its intensity."""
    shell = name.split("_")[1][0]
    lines = [v for k, v in _line_table(name).items() if k[0] == shell]
    strongest = max(v["weight"] for v in lines)
    return [v["energy (keV)"] for v in lines if v["weight"] >= 0.1 * strongest]


def _fwhm(energy, resolution):
    """Return a line's full width at half maximum in keV (energy in keV, resolution in eV)."""
    return np.sqrt(np.maximum(resolution**2 + 2500 * (energy - 5.8987), 40.0**2)) / 1000


def _tilt_of(path):
    try:
        return float(path.stem)
    except ValueError:
        raise ValueError(
            f"The file name {path.name} is no tilt; expected names such as -40.bcf. "
            "Otherwise give the tilts as angles, in degrees, one per file."
        ) from None


def _read(path):
    hs = hyperspy()
    with quiet():
        signals = hs.load(path)
    signals = signals if isinstance(signals, list) else [signals]
    cubes = [
        s
        for s in signals
        if s.axes_manager.signal_dimension == 1
        and s.axes_manager.navigation_dimension == 2
        and "EDS" in s.metadata.get_item("Signal.signal_type", "")
    ]
    images = [s for s in signals if s.data.ndim == 2]
    if len(images) > 1:
        images = [s for s in images if re.search("haadf", s.metadata.General.title, re.IGNORECASE)]
    if len(cubes) != 1 or len(images) != 1:
        held = "; ".join(f"{s.metadata.General.title} {s.data.shape}" for s in signals)
        raise ValueError(
            f"{path.name} holds {len(images)} HAADF images and {len(cubes)} EDS spectrum images "
            f"({held}); expected one of each."
        )
    if images[0].data.shape != cubes[0].data.shape[:2]:
        raise ValueError(
            f"{path.name} has a HAADF image of {images[0].data.shape} and a spectrum image of "
            f"{cubes[0].data.shape[:2]} pixels; expected the same scan."
        )
    return images[0], cubes[0]


@dataclass(frozen=True)
class _Axes:
    pixel_size: float
    energies: np.ndarray
    resolution: float

    def agrees(self, other):
        return (
            np.isclose(self.pixel_size, other.pixel_size, rtol=1e-4)
            and self.energies.shape == other.energies.shape
            and np.allclose(self.energies, other.energies, atol=1e-5)
        )


def _axes_of(cube):
    manager = cube.axes_manager
    energy = manager.signal_axes[0]
    across = manager.navigation_axes[0]
    along = manager.navigation_axes[1]
    if not np.isclose(across.scale, along.scale, rtol=1e-3):
        raise ValueError(
            f"Pixels are {across.scale:.4g} {across.units} wide and {along.scale:.4g} "
            f"{along.units} high; expected square pixels. Rebin the data first."
        )
    resolution = cube.metadata.get_item(
        "Acquisition_instrument.TEM.Detector.EDS.energy_resolution_MnKa", 130.0
    )
    return _Axes(
        pixel_size=across.scale * _in_nm(across.units),
        energies=energy.axis * {"keV": 1.0, "eV": 1e-3}[str(energy.units)],
        resolution=float(resolution),
    )


def _in_nm(units):
    lengths = {"nm": 1.0, "um": 1e3, "µm": 1e3, "μm": 1e3, "m": 1e9, "Å": 0.1, "pm": 1e-3}
    if str(units) not in lengths:
        raise ValueError(
            f"Pixels are measured in {units!r}; expected one of {', '.join(lengths)}. "
            "Calibrate the file's axes first."
        )
    return lengths[str(units)]


# --- HyperSpy signals ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Calibrated:
    """An array with what its axes mean: what `from_signal` finds in a signal.

    `data` is a tilt series (..., tilts, slices, size) where `angles` is given, and a volume
    (..., slices, size, size) where it is None; a leading axis belongs to `elements`.
    `pixel_size` is in nm.
    """

    data: np.ndarray
    pixel_size: float
    angles: np.ndarray | None
    elements: tuple[str, ...] | None


def to_signal(
    data,
    *,
    pixel_size: float,
    angles=None,
    elements: Sequence[str] | None = None,
    title: str = "",
):
    """Return a HyperSpy signal with calibrated axes, which any step of the way can be saved as.

    >>> hebt.io.to_signal(x, pixel_size=52.3, elements=["O", "Fe"]).save("x.hspy")  # doctest: +SKIP

    Parameters
    ----------
    data
        With `angles`: a tilt series (tilts, slices, size) or maps
        (elements, tilts, slices, size). Without: a volume (slices, size, size) or HEBT's
        result (elements, slices, size, size).
    pixel_size
        Length of a pixel's or voxel's side, in nm.
    angles
        (tilts,), degrees.
    elements
        Names, one for each map or volume; needed where `data` has four axes.
    title
        What the signal is called.

    Returns
    -------
    hyperspy.signals.Signal2D
        Axes in nm, and degrees for the tilts.
    """
    hs = hyperspy()
    data = _checks.as_float32("data", data, ndim=(3, 4))
    if not (np.isscalar(pixel_size) and np.isfinite(pixel_size) and pixel_size > 0):
        raise ValueError(f"pixel_size is {pixel_size!r}; expected a length in nm above 0.")
    pixel_size = float(pixel_size)
    if (data.ndim == 4) != (elements is not None):
        raise ValueError(
            f"data has shape {data.shape} and elements is {elements!r}; expected names of the "
            "elements where data has four axes, and none where it has three."
        )

    def length(name, size):
        return {"name": name, "size": size, "scale": pixel_size, "offset": 0.0, "units": "nm"}

    axes = []
    if elements is not None:
        elements = _checks.check_names(elements, data.shape[0])
        axes.append({"name": "element", "size": data.shape[0], "scale": 1.0, "offset": 0.0})
    if angles is not None:
        angles = _checks.check_angles(angles)
        tilts, slices, size = data.shape[-3:]
        if len(angles) != tilts:
            raise ValueError(
                f"angles has {len(angles)} entries, but data has {tilts} tilts "
                f"(shape {data.shape}); expected one angle per tilt."
            )
        steps = np.diff(angles)
        if tilts > 1 and np.allclose(steps, steps[0]) and steps[0] != 0:
            axis = {"scale": float(steps[0]), "offset": float(angles[0]), "size": tilts}
        elif tilts == 1:
            axis = {"scale": 1.0, "offset": float(angles[0]), "size": 1}
        else:
            axis = {"axis": angles} if _rises_or_falls(steps) else {"size": tilts}
        axes.append({"name": "tilt", "units": "degrees", **axis})
        axes += [length("slice", slices), length("across", size)]
    else:
        slices, depth, size = data.shape[-3:]
        axes += [length("slice", slices), length("depth", depth), length("across", size)]
    for position, axis in enumerate(axes):
        axis["navigate"] = position < len(axes) - 2
    with quiet():
        signal = hs.signals.Signal2D(data, axes=axes)
    signal.metadata.General.title = title
    kept = {"kind": "volume" if angles is None else "tilt series", "pixel_size": pixel_size}
    if angles is not None:
        kept["angles"] = [float(a) for a in angles]
    if elements is not None:
        kept["elements"] = elements
        signal.metadata.set_item("Sample.elements", sorted(set(elements)))
    signal.metadata.add_dictionary({"HEBT": kept})
    return signal


def spectra_to_signal(
    data,
    *,
    pixel_size: float,
    energies,
    tilt: float,
    voltage: float,
    elements: Sequence[str],
    title: str = "",
):
    """Return a spectrum image as a HyperSpy EDS signal with calibrated axes.

    Parameters
    ----------
    data
        (slices, size, channels): counts, of any integer or real type, which is kept.
    pixel_size
        Length of a pixel's side, in nm.
    energies
        (channels,): energy of each channel in keV, in equal steps.
    tilt
        Tilt of the specimen in degrees.
    voltage
        Of the microscope, in kV.
    elements
        Names of the elements in the specimen.
    title
        What the signal is called.

    Returns
    -------
    exspy.signals.EDSTEMSpectrum
        Axes in nm and keV.

    Raises
    ------
    ValueError
        If an argument does not fit the above.
    """
    data = np.asarray(data)
    energies = np.asarray(energies, np.float64)
    if data.ndim != 3 or energies.shape != data.shape[2:]:
        raise ValueError(
            f"data has shape {data.shape} and energies {energies.shape}; expected (slices, size, "
            "channels) and (channels,)."
        )
    steps = np.diff(energies)
    if not len(steps) or not steps[0] > 0 or not np.allclose(steps, steps[0], rtol=0.01):
        raise ValueError(
            f"energies are {len(energies)} values in steps from {steps.min(initial=np.inf):g} to "
            f"{steps.max(initial=0):g} keV; expected at least two, rising in equal steps. Make a "
            "signal of each run of neighbouring channels."
        )
    if not (np.isscalar(pixel_size) and np.isfinite(pixel_size) and pixel_size > 0):
        raise ValueError(f"pixel_size is {pixel_size!r}; expected a length in nm above 0.")
    hs = hyperspy()
    names = ("slice", "across")
    axes = [
        {"name": n, "size": k, "scale": float(pixel_size), "units": "nm", "navigate": True}
        for n, k in zip(names, data.shape)
    ]
    step = float((energies[-1] - energies[0]) / (len(energies) - 1))
    axes.append(
        {
            "name": "Energy",
            "size": len(energies),
            "scale": step,
            "offset": float(energies[0]),
            "units": "keV",
            "navigate": False,
        }
    )
    with quiet():
        signal = hs.signals.Signal1D(data, axes=axes)
        signal.set_signal_type("EDS_TEM")
        signal.set_microscope_parameters(beam_energy=float(voltage), tilt_stage=float(tilt))
        signal.set_elements(list(elements))
    signal.metadata.General.title = title
    return signal


def _rises_or_falls(steps):
    return bool((steps > 0).all() or (steps < 0).all())


def from_signal(signal) -> Calibrated:
    """Return a signal's data with its pixel size, tilts and elements.

    Takes what `to_signal` made (also when saved and loaded again), and other signals with three
    axes: an axis in degrees, or named tilt or angle, is taken for the tilts.

    Raises
    ------
    ValueError
        If the last two axes are no lengths of one scale, or the axes have another order.
    """
    axes = signal.axes_manager._axes
    data = np.asarray(signal.data)
    if data.ndim not in (3, 4):
        raise ValueError(
            f"signal has {data.ndim} axes (shape {data.shape}); expected three "
            "(a tilt series or volume) or four (one of these for each element)."
        )
    across = axes[-1]
    for other in axes[-2:]:
        if not np.isclose(other.scale * _in_nm(other.units), across.scale * _in_nm(across.units)):
            raise ValueError(
                f"signal has pixels of {other.scale} {other.units} by {across.scale} "
                f"{across.units}; expected square pixels."
            )
    kept = signal.metadata.get_item("HEBT", None)
    kept = kept.as_dictionary() if kept is not None else {}
    third = axes[-3]
    is_tilt = str(third.units).lower() in ("degrees", "degree", "deg", "°") or (
        str(third.name).lower() in ("tilt", "tilts", "angle", "angles")
    )
    angles = None
    if is_tilt:
        # the axis is what counts: a reader may have cropped the series since it was made
        angles = np.asarray(third.axis, np.float64)
        if not third.is_uniform or "angles" not in kept:
            pass
        elif len(kept["angles"]) == len(angles) and not _steady(kept["angles"]):
            angles = np.asarray(kept["angles"], np.float64)
    elements = kept.get("elements")
    if data.ndim == 4 and (elements is None or len(elements) != data.shape[0]):
        elements = [f"element {i}" for i in range(data.shape[0])]
    return Calibrated(
        data=_checks.as_float32("signal", data),
        pixel_size=float(across.scale * _in_nm(across.units)),
        angles=angles,
        elements=tuple(elements) if data.ndim == 4 else None,
    )


def _steady(angles):
    steps = np.diff(angles)
    return len(steps) == 0 or (np.allclose(steps, steps[0]) and steps[0] != 0)


# --- command line --------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``python -m hebt.io``; return 0 if all went well."""
    parser = argparse.ArgumentParser(
        prog="python -m hebt.io", description="Measured data of the book: what, where, and get."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="name the series, their size and whether they are here")
    for command, text in (
        ("fetch", "download what is missing of a series, and check it"),
        ("check", "say what a series is and whether it is here and whole"),
    ):
        sub = commands.add_parser(command, help=text)
        sub.add_argument("name", choices=sorted(registry()), metavar="NAME")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "list":
            for name in registry():
                about = card(name)
                size = sum(f["size"] for f in about.entry["files"]) / 1e6
                state = f"found in {about.found}" if about.available else "missing"
                print(f"{name:10} {size:6.1f} MB  {state:22} {about.entry['title']}")
            return 0
        if chosen.command == "fetch":
            paths = fetch(chosen.name)
            print(f"{chosen.name}: {len(paths)} files, all with the right sha256")
            return 0
        about = card(chosen.name)
        print(about)
        return 0 if about.available else 1
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
