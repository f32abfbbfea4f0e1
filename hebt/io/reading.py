"""Whatever holds a tilt series, read into one object."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._checks import as_list, check_count, check_flag, check_number, check_seed, check_text
from ._hashes import hashes_of
from ._steps import plain
from .arrays import series_of_arrays
from .beside import haadf_beside, with_haadf
from .eds_signals import Scans, are_spectra
from .files import NAMED, READERS, STACKS, Reader, Signal
from .scan import is_haadf, scan_of
from .series import TiltSeries
from .stacks import (
    ANGLE_FILES,
    Stack,
    read_angles,
    series_of,
    split_elements,
    stack_of,
    stack_of_signal,
)
from .tilt_series import asked_tilts, checked_files, checked_lines, series_of_scans

Path_ = str | os.PathLike


def read(
    files: Any = None,
    *,
    lines: Sequence[str] | None = None,
    angles: ArrayLike | Path_ | None = None,
    image: str | None = None,
    maps: Mapping[str, Any] | None = None,
    haadf: Any = None,
    pixel_size: float | None = None,
    avoid: Sequence[str | tuple[float, float]] = (),
    parts: int | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> TiltSeries:
    """Read a tilt series: from one file per tilt, from stacks, or from HyperSpy signals.

    ========================================  ====================================================
    one file per tilt, with HAADF image and   ``read("tilts/*.emd", lines=["Au", "Ag"])``: Bruker
    EDS spectrum image                        ``.bcf``, Velox ``.emd``, JEOL ``.asw`` and
                                              ``.pts``, Oxford ``.h5oina``, Gatan ``.dm3`` and
                                              ``.dm4``, ``.hspy``, ``.zspy``
    the same with HAADF in files of its own   ``read("eds/*.pts", haadf="haadf.mrc", lines=...)``,
                                              or ``haadf="images/*.dm3"``: other tilts and pixels
                                              are kept
    a folder of stacks, HAADF and ready-made  ``read("stacks/")``: names say what each shows, as
    maps                                      ``HAADF.mrc``, ``Al_counts.mrc``; ``.mrc``, ``.ali``,
                                              ``.st``, ``.tif``, and the last four of those above
    the same, named one by one                ``read(maps={"Al": "a.mrc"}, haadf="h.mrc")``
    HyperSpy signals, lazy too                ``read([haadf, maps])``, and of EDS spectra
                                              ``read([eds, haadf, eds, haadf], lines=...)`` or
                                              ``read(eds_of_all_tilts, haadf=stack, lines=...)``
    a file of arrays                          ``read("case.npz")``: HAADF, angles, and a map for
                                              each element by its name, or all of them as counts
                                              with their names
    arrays                                    `TiltSeries.from_arrays`
    ========================================  ====================================================

    RosettaSciIO reads the files, but for ``.h5oina``: that follows Oxford's published layout and
    was tried on files written by it, not on one of a microscope.

    Parameters
    ----------
    files
        A pattern, a folder, a file, a list of files, or HyperSpy signals.
    lines
        X-ray lines to map, or elements, as for `read_tilt_series`; for spectrum images alone.
    angles
        Degrees, one per file or image, in their order; or a file of them; or "names" or "stage" as
        for `read_tilt_series`. None: of one file per tilt as there; of a stack those of a file
        beside it that is called like it (``.rawtlt``, ``.tlt``, ``.mdoc``, ``.csv``), or else those
        of its axis or metadata. A tilt that was recorded twice may come twice if it is given.
    image
        Title of the HAADF image in the files. None: the one that is called HAADF or ADF; another
        one is taken only if it is named.
    maps, haadf
        Stacks by what they show: a file or a signal for each element, and one for HAADF. With
        spectra, `haadf` may also be one file per tilt. Their tilts are then those of their names or
        stages; if `files` and `haadf` are lists, or one file each, those of the spectra, which
        names and stages may not contradict.
    pixel_size
        In nm, in place of what stacks say of themselves; not with spectra.
    avoid, parts, seed, progress
        As for `read_tilt_series`.

    Returns
    -------
    TiltSeries
        In rising order of the tilts. Without any map it has HAADF images alone. Its history begins
        with this call, unless signals were given.

    Raises
    ------
    TypeError, ValueError
        If an argument does not fit, if files hold nothing that can be read, or if it is not certain
        what they show or at which tilts; the message says what is missing.
    FileNotFoundError
        If there is no such file.
    """
    side = None
    if pixel_size is not None:
        side = check_number("pixel_size", pixel_size, "a length in nm above 0")
    if image is not None:
        check_text("image", image)
    avoid = as_list("avoid", avoid, "X-ray lines, or (from, to) in keV")
    parts = None if parts is None else check_count("parts", parts, least=2)
    check_seed("seed", seed)
    if progress is not None:
        check_flag("progress", progress)
    given = given_angles(angles)
    if maps is not None and files is not None:
        raise ValueError("files is given with maps; expected one or the other.")
    options = {"avoid": avoid, "parts": parts, "seed": seed, "progress": progress}
    if files is None and (maps is not None or haadf is not None):
        said: Any = None
        _check_no_spectra(lines, parts, "maps")
        series = _read_named(haadf, maps, given, image, side)
    else:
        found = found_files(files)
        _check_ordered(files, found, given)
        beside = None if haadf is None else _Beside(haadf, files)
        series = _read_found(found, lines, given, image, side, options, beside)
        # beside HAADF a pattern stays one: as a list it would say that it has the order of haadf
        is_text = isinstance(files, (str, os.PathLike))
        said = files if beside is not None and is_text else found
    settings = {"files": said, "lines": lines, "angles": given, "image": image}
    settings |= {"maps": maps, "haadf": haadf, "pixel_size": side, "avoid": avoid, "parts": parts}
    return _recorded(series, settings | ({} if parts is None else {"seed": seed}))


class _Beside:
    """HAADF in files of its own, and whether these come in the order of the spectra."""

    def __init__(self, haadf: Any, files: Any):
        self.found = found_files(haadf)
        texts = isinstance(haadf, (str, os.PathLike)), isinstance(files, (str, os.PathLike))
        self.is_ordered = not any(texts) or (all(texts) and len(self.found) == 1)


def _read_found(
    found: list[Any],
    lines: Any,
    given: Any,
    image: str | None,
    side: float | None,
    options: dict[str, Any],
    beside: _Beside | None,
) -> TiltSeries:
    """Return the series in files or signals."""
    if hasattr(found[0], "axes_manager"):
        if any(are_spectra(s) for s in found):
            _check_own_pixels(side, "files")
            return _of_spectra(Scans(found, image), None, lines, given, image, options, beside)
        _check_no_spectra(lines, options["parts"], "files")
        _check_alone(beside, "files")
        _check_degrees(given)
        return _of_roles([stack_of_signal(s, given, side) for s in found], image, side)
    if found[0].suffix.lower() not in STACKS | NAMED:
        with Reader() as reader:
            first = reader.read(found[0], stacks=True)
        if hold_spectra(first):
            _check_own_pixels(side, found[0].name)
            return _read_tilts(found, first, lines, given, image, options, beside)
        del first
    _check_no_spectra(lines, options["parts"], found[0].name)
    _check_alone(beside, found[0].name)
    _check_degrees(given)
    if found[0].suffix.lower() == ".npz" and len(found) == 1:
        with Reader() as reader:
            arrays = reader.read(found[0], stacks=True)
        series = series_of_arrays(found[0], arrays, given, image, side)
    else:
        series = _of_roles(_stacks(found, given, image, side), image, side)
    return replace(series, inputs=hashes_of(found))


def _check_ordered(files: Any, found: list[Any], given: Any) -> None:
    """Refuse angles of files whose order a pattern or folder does not say."""
    stacked = hasattr(found[0], "axes_manager") or found[0].suffix.lower() in STACKS | NAMED
    ordered = not isinstance(files, (str, os.PathLike)) or len(found) == 1
    if not (stacked or ordered or given is None or isinstance(given, str)):
        raise ValueError(
            f"angles has {np.size(given)} entries, but files is {str(files)!r}, which does not say "
            "in which order; expected a list of files, in the order of the angles."
        )


def _recorded(series: TiltSeries, settings: dict[str, Any]) -> TiltSeries:
    """Return the series with the call that read it, if that can be said: not of signals."""

    def said(value):
        if isinstance(value, os.PathLike):
            return Path(value).as_posix()
        if isinstance(value, Mapping):
            return {str(k): said(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [said(v) for v in value]
        return plain(value)

    told = {
        k: said(v) for k, v in settings.items() if v is not None and not (k == "avoid" and not v)
    }
    places = [told.get("haadf"), *told.get("maps", {}).values(), *told.get("files", [])]
    flat = [p for place in places for p in (place if isinstance(place, list) else [place])]
    if not all(p is None or isinstance(p, str) for p in flat):
        return series
    return replace(series, history=({"step": "read", "settings": told}, *series.history))


def _read_tilts(
    files: list[Path],
    first: list[Signal],
    lines: Any,
    angles: Any,
    image: str | None,
    options: dict[str, Any],
    beside: _Beside | None,
) -> TiltSeries:
    """Return the series of one file per tilt."""
    title = None
    if lines is not None and beside is None:  # the file says which lines, before which image
        title = haadf_title(files[0].name, first, image)
    paths, alone = checked_files(files), beside is not None
    with Reader() as reader:
        scans = (scan_of(p.name, reader.read(p), title, alone=alone) for p in paths)
        series = _of_spectra(scans, paths, lines, angles, image, options, beside)
    return replace(
        series, inputs=hashes_of([*files, *(beside.found if beside is not None else ())])
    )


def _of_spectra(
    scans: Any,
    paths: list[Path] | None,
    lines: Any,
    angles: Any,
    image: str | None,
    options: dict[str, Any],
    beside: _Beside | None,
) -> TiltSeries:
    """Return the series of scans, with the HAADF images beside them."""
    what = "files" if paths is None else paths[0].name
    if lines is None:
        raise ValueError(
            f"lines is None, and {what} holds spectra; expected X-ray lines or elements, "
            "such as lines=['Au_La', 'Ag']."
        )
    if paths is None:
        paths, angles = scans.paths, scans.tilts if angles is None else angles
        if bool(scans.images) == (beside is not None):
            raise ValueError(
                f"files holds {len(scans.images)} HAADF images beside spectra, and haadf is "
                f"{'None' if beside is None else 'given'}; expected one of both."
            )
    wanted, given = asked_tilts(angles, paths)
    order = options["avoid"], options["parts"], options["seed"], options["progress"]
    series, tilts = series_of_scans(paths, scans, checked_lines(lines), wanted, given, *order)
    if beside is None:
        return series
    known = tilts if beside.is_ordered else None
    said = wanted if given is None else given
    return with_haadf(series, haadf_beside(beside.found, image, said, known, len(paths)))


def hold_spectra(signals: list[Signal]) -> bool:
    """Whether a spectrum image is among a file's signals."""
    return any(s.kind.startswith("EDS") and s.data is not None for s in signals)


def haadf_title(name: str, signals: list[Signal], image: str | None) -> str | None:
    """Return the title of the image to take for HAADF; None for the one that says so itself.

    Raises
    ------
    ValueError
        If none is named, and no image of the scan is called HAADF or ADF.
    """
    if image is not None:
        return image
    cube = next(s for s in signals if s.kind.startswith("EDS") and s.data is not None)
    titles = [
        s.title
        for s in signals
        if s.data is not None and s.data.ndim == 2 and s.shape == cube.shape[:2]
    ]
    named = [title for title in titles if is_haadf(title)]
    if not titles:
        raise ValueError(
            f"{name} holds spectra, and no image of their scan; HAADF images are missing. Give "
            "them with haadf=: a stack, or one file per tilt."
        )
    if not named:
        raise ValueError(
            f"{name} holds no image of its scan that is called HAADF or ADF, but "
            f"{', '.join(map(repr, titles))}; expected the title of the "
            "right one, such as image='title', if one of them is HAADF."
        )
    only_adf = not any("haadf" in t.lower() or "angle" in t.lower() for t in named)
    return named[0] if only_adf and len(named) == 1 else None


def _read_named(
    haadf: Any, maps: Any, angles: Any, image: str | None, side: float | None
) -> TiltSeries:
    """Return the series of stacks that are named by what they show."""
    if haadf is None:
        raise ValueError("haadf is None, but maps is given; expected the file of HAADF images.")
    if maps is not None and (not isinstance(maps, Mapping) or not maps):
        raise TypeError(
            f"maps is {str(maps)[:200]}; expected a file for each element, such as "
            "{'Al': 'al.mrc', 'Si': 'si.mrc'}."
        )
    _check_degrees(angles)
    named = {"HAADF": haadf, **(maps or {})}
    stacks, paths = {}, []
    with Reader() as reader:
        for name, item in named.items():
            what = "haadf" if name == "HAADF" else f"maps[{name!r}]"
            if hasattr(item, "axes_manager"):
                stacks[name] = stack_of_signal(item, angles, side)
                continue
            if not isinstance(item, (str, os.PathLike)):
                raise TypeError(f"{what} is {str(item)[:200]}; expected a file of a stack.")
            path = Path(item).expanduser()
            paths.append(path)
            stacks[name] = stack_of(path, reader.read(path, stacks=True), image, angles, side)
    for name, stack in stacks.items():
        if stack.data.ndim != 3:
            raise ValueError(
                f"{stack.name} has shape {stack.data.shape}; expected (tilts, slices, size) for "
                f"{name}."
            )
    series = series_of(stacks.pop("HAADF"), stacks, side)
    return replace(series, inputs=hashes_of(paths))


def _stacks(paths: list[Path], angles: Any, image: str | None, side: float | None) -> list[Stack]:
    with Reader() as reader:
        return [stack_of(p, reader.read(p, stacks=True), image, angles, side) for p in paths]


def _of_roles(stacks: list[Stack], image: str | None, side: float | None) -> TiltSeries:
    """Return the series of stacks, of which names say what each shows."""
    haadf: list[Stack] = []
    maps: dict[str, Stack] = {}
    for stack in stacks:
        if stack.data.ndim == 4:
            parts = split_elements(stack)
        elif (image is not None and len(stacks) == 1) or stack.role == "HAADF":
            haadf.append(stack)
            continue
        elif stack.role is None:
            raise ValueError(
                f"{stack.name} says neither HAADF nor one element; expected names that do. Say "
                "what each file shows: maps={'Au': ...}, haadf=..."
            )
        else:
            parts = {stack.role: stack}
        twice = set(parts) & set(maps)
        if twice:
            raise ValueError(
                f"files hold maps of {', '.join(sorted(twice))} twice; expected one for each "
                "element. Say which: maps={'Au': ...}, haadf=..."
            )
        maps |= parts
    if len(haadf) != 1:
        raise ValueError(
            f"files hold {len(haadf)} stacks called HAADF or ADF, and maps of "
            f"{', '.join(maps) or 'nothing'} ({'; '.join(s.name for s in stacks)[:400]}); expected "
            "one of HAADF. Say which: maps={'Au': ...}, haadf=..."
        )
    return series_of(haadf[0], maps, side)


def _check_no_spectra(lines: Any, parts: Any, place: str) -> None:
    for name, value in (("lines", lines), ("parts", parts)):
        if value is not None:
            raise ValueError(
                f"{name} is {value}, but {place} holds no spectra; expected None. Ready-made maps "
                "are what they are."
            )


def _check_own_pixels(side: float | None, place: str) -> None:
    if side is not None:
        raise ValueError(
            f"pixel_size is {side:g}, but {place} holds spectra, which say the size of their "
            "pixels; expected None. If they say a wrong one, calibrate the files, or change the "
            "series: dataclasses.replace(series, pixel_size=...)."
        )


def _check_alone(beside: _Beside | None, place: str) -> None:
    if beside is not None:
        raise ValueError(
            f"haadf is given, but {place} holds no spectra; expected None, or maps={{'Au': ...}} "
            "in place of files."
        )


def _check_degrees(angles: Any) -> None:
    if isinstance(angles, str):
        raise ValueError(
            f"angles is {angles!r}, which is for one file per tilt; expected degrees, one for each "
            "image of a stack, or a file of them."
        )


def given_angles(angles: Any) -> Any:
    """Return angles, read from their file if they are the name of one."""
    if isinstance(angles, os.PathLike) or (
        isinstance(angles, str) and Path(angles).suffix.lower() in (*ANGLE_FILES, ".txt")
    ):
        path = Path(angles).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f"angles is {str(path)!r}, which is no file; expected degrees.")
        return read_angles(path)
    return angles


def found_files(files: Any) -> list[Any]:
    """Return the files of a pattern, a folder or a list; or HyperSpy signals."""
    if isinstance(files, np.ndarray):
        raise TypeError(
            f"files is an array of shape {files.shape}; expected files or signals. Make a series "
            "of arrays by hebt.io.TiltSeries.from_arrays."
        )
    if hasattr(files, "axes_manager"):
        return [files]
    if isinstance(files, (str, os.PathLike)):
        return _matching(Path(files).expanduser())
    items = as_list("files", files, "a pattern, a folder, files or signals")
    signals = [hasattr(item, "axes_manager") for item in items]
    if items and all(signals):
        return items
    if not items or any(signals) or not all(isinstance(i, (str, os.PathLike)) for i in items):
        raise TypeError(
            f"files is {str(files)[:200]}; expected files or HyperSpy signals, at least one."
        )
    return [Path(item).expanduser() for item in items]


def _matching(path: Path) -> list[Path]:
    known = {**READERS, **STACKS}
    if path.is_dir() and path.suffix.lower() != ".zspy":
        # hidden ones are not of the microscope: macOS puts ._-40.bcf beside -40.bcf
        shown = (p for p in path.iterdir() if not p.name.startswith("."))
        found = sorted(p for p in shown if p.suffix.lower() in known)
        if not found:
            raise ValueError(
                f"files is the folder {str(path)!r}, which holds none of {', '.join(known)}; "
                "expected files of a tilt series."
            )
        return found
    if path.exists() or not glob.has_magic(str(path)):
        if not path.exists():
            raise FileNotFoundError(f"files is {str(path)!r}, which does not exist.")
        if path.suffix.lower() == ".zip":
            raise ValueError(f"{path.name} is an archive; expected its files. Unpack it first.")
        return [path]
    # a folder that is there is no pattern, whatever brackets its name has
    folder = next(p for p in path.parents if p.is_dir())
    pattern = os.path.join(glob.escape(str(folder)), path.relative_to(folder))
    found = sorted(Path(p) for p in glob.glob(pattern))
    if not found:
        raise FileNotFoundError(f"files is {str(path)!r}, which matches no file.")
    return [p for p in found if p.suffix.lower() in known] or found
