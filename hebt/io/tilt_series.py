"""Tilt series from the microscope's own files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._checks import as_list, check_angles, check_count, check_seed, check_text
from .._counts import split_counts
from .._progress import progress_bar
from ..prepare.maps import map_variance
from ..prepare.windows import EnergyWindow, element_maps, line_windows
from .angles import check_order, tilts_of
from .files import Reader
from .scan import Scan, scan_of
from .series import TiltSeries


def read_tilt_series(
    files: Iterable[str | os.PathLike],
    *,
    lines: Sequence[str],
    angles: ArrayLike | Literal["names", "stage"] | None = None,
    haadf: str | None = None,
    avoid: Sequence[str | tuple[float, float]] = (),
    parts: int | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> TiltSeries:
    """Read HAADF images and EDS spectrum images, one file per tilt, and make element maps.

    Each file holds both of the same scan: Bruker ``.bcf``, Velox ``.emd``, HyperSpy ``.hspy`` and
    ``.zspy``, JEOL ``.asw``, Gatan ``.dm3`` and ``.dm4``. One at a time is in memory. They are read
    in a process of their own, which a damaged file may crash; nothing in a file is run.

    Parameters
    ----------
    files
        One file per tilt.
    lines
        X-ray lines to map, as HyperSpy writes them: "O_Ka", "Pt_Ma"; or elements, which stand for
        a line of theirs, see `line_windows`.
    angles
        Tilts in degrees, one per file; or which source they come from: "names" of the files
        ("-40.bcf"), or the "stage" in their metadata. If None, the source that is certain: the
        stage where it moved from file to file, and names that are numbers but no running numbers.
        Where both are and differ by more than 1 degree, or none is, this is an error. A tilt that
        was recorded twice may come twice if it is given.
    haadf
        Title of the HAADF image in the files. If None, the image whose title says so, or the only
        one of the scan whose title does not say that it is another (BF, BSE, an element).
    avoid
        Other lines, or (from, to) in keV, to keep backgrounds clear of; see `line_windows`.
    parts
        Into how many parts to split the counts of each spectrum, at random and before their
        windows, so that some can be predicted from the others; see `hebt.split_counts`. None for
        none; each takes the memory of the maps twice.
    seed
        Seed of the random numbers for `parts`.
    progress
        Whether to show a progress bar; if None, where somebody can see it.

    Returns
    -------
    TiltSeries
        In rising order of the tilts.

    Raises
    ------
    ValueError
        If a file is damaged, of another format or without counts, if it has not one HAADF image
        and one EDS spectrum image with units, if files differ in size or calibration, or if their
        tilts are not certain.
    FileNotFoundError
        If a file does not exist.
    """
    paths, lines = checked_files(files), checked_lines(lines)
    avoid = as_list("avoid", avoid, "X-ray lines, or (from, to) in keV")
    if haadf is not None:
        check_text("haadf", haadf)
    if parts is not None:
        parts = check_count("parts", parts, least=2)
    seed = check_seed("seed", seed)
    wanted, given = asked_tilts(angles, paths)

    with Reader() as reader:
        scans = (scan_of(path.name, reader.read(path), haadf) for path in paths)
        return series_of_scans(paths, scans, lines, wanted, given, avoid, parts, seed, progress)[0]


def series_of_scans(
    paths: Sequence[Path],
    scans: Iterable[Scan],
    lines: tuple[str, ...],
    wanted: str | None,
    given: Any,
    avoid: Sequence,
    parts: int | None,
    seed: Any,
    progress: bool | None,
) -> tuple[TiltSeries, NDArray]:
    """Return the series of scans, one at a time in memory, and their tilts as they came.

    Parameters
    ----------
    paths
        What each is called, which may say its tilt.
    scans
        One for each; without images, the series has none either.
    wanted, given
        From `asked_tilts`.
    lines, avoid, parts, seed, progress
        Checked arguments of `read_tilt_series`.
    """
    images, spectra, stage = [], [], []
    made: list[dict[str, np.ndarray]] = []
    first: Scan | None = None
    with progress_bar(len(paths), "reading tilts", progress) as bar:
        for path, scan in zip(paths, scans, strict=True):
            stage.append(scan.stage)
            if first is None:
                first = replace(scan, cube=np.empty(0))
                if given is None and scan.stage is None:
                    # names must do: said before all is read
                    tilts_of(paths, [None] * len(paths), wanted)
                windows = line_windows(
                    scan.energies, lines, avoid=avoid, resolution=scan.resolution
                )
            check_alike(path, scan, paths[0], first)
            images.append(np.empty((0, 0), np.float32) if scan.image is None else scan.image)
            spectra.append(scan.spectrum)
            made.append(_maps_of(scan, windows, parts, np.append(seed, len(made))))
            del scan
            bar.update()
    assert first is not None
    tilts, source = tilts_of(paths, stage, wanted) if given is None else (given, "given")
    order = np.argsort(tilts, kind="stable")
    channels: dict[str, Any] = {
        name: np.stack([made[i][name] for i in order], axis=-3) for name in made[0]
    }
    series = TiltSeries(
        angles=tilts[order],
        haadf=np.stack(images)[order],
        lines=tuple(window.name for window in windows),
        pixel_size=first.pixel_size,
        energies=first.energies,
        spectra=np.stack(spectra)[order],
        windows=tuple(windows),
        resolution=first.resolution,
        angles_from=source,
        **channels,
    )
    return series, tilts


def asked_tilts(angles: Any, paths: list[Path]) -> tuple[str | None, Any]:
    """Return where the tilts are to come from, if that was said, and the tilts, if given."""
    wanted = angles if isinstance(angles, str) else None
    given = None if angles is None or wanted is not None else check_angles(angles)
    if given is not None:
        if len(given) != len(paths):
            raise ValueError(
                f"angles has {len(given)} entries, but there are {len(paths)} files; expected one "
                "tilt per file."
            )
        check_order(paths, given)
    elif wanted not in (None, "stage"):
        tilts_of(paths, [None] * len(paths), wanted)
    return wanted, given


def check_alike(path: Path, scan: Scan, first_path: Path, first: Scan) -> None:
    """Refuse a scan of other pixels or energies than the first."""
    if not scan.agrees(first):
        raise ValueError(
            f"{path.name} has {scan}; expected {first}, calibrated as in {first_path.name}. "
            "Rebin or crop the files to one size first."
        )


def _maps_of(
    scan: Scan, windows: list[EnergyWindow], parts: int | None, seed: Any
) -> dict[str, np.ndarray]:
    """Return a tilt's maps and their variance, and those of parts of its counts."""
    given = windows, scan.energies
    made = {"maps": element_maps(scan.cube, *given), "variance": map_variance(scan.cube, *given)}
    if parts is not None:
        made["parts"], made["part_variance"] = _split(scan, windows, parts, seed)
    return made


def _split(scan: Scan, windows: list[EnergyWindow], parts: int, seed: Any) -> list[np.ndarray]:
    """Return the maps of random parts of the counts, and their variances."""
    weights = np.array([window.weights(scan.energies) for window in windows])
    used = np.flatnonzero(weights.any(axis=0))
    counts = scan.cube[..., used].reshape(-1, len(used))
    pixels, channels = np.nonzero(counts)  # few are counted in most
    seen = counts[pixels, channels]
    shared: Any = (seen,) * parts  # of none, where a tilt has no counts in any window
    if len(seen):
        shared = split_counts(seen, seed=seed.tolist(), parts=parts)
    shape = (parts, len(windows), *scan.shape)
    made = [np.empty((parts, len(windows), counts.shape[0]), np.float32) for _ in range(2)]
    for power, sums in enumerate(made, start=1):
        for window, of_channels in enumerate(weights[:, used] ** power):
            worth = of_channels[channels]
            for part, given in zip(sums, shared, strict=True):
                part[window] = np.bincount(pixels, worth * given, counts.shape[0])
    return [sums.reshape(shape) for sums in made]


def checked_lines(lines: Any) -> tuple[str, ...]:
    """Return the lines to map, at least one text."""
    lines = tuple(as_list("lines", lines, "X-ray lines such as 'O_Ka'"))
    if not lines or not all(isinstance(line, str) for line in lines):
        raise ValueError(f"lines is {lines}; expected X-ray lines such as 'O_Ka'.")
    return lines


def checked_files(files: Any) -> list[Path]:
    """Return the paths of one file per tilt, each there once."""
    files = as_list("files", files, "one file per tilt")
    if not files or not all(isinstance(file, (str, os.PathLike)) for file in files):
        raise ValueError(f"files is {str(files)[:200]}; expected one file per tilt.")
    paths = [Path(file).expanduser() for file in files]
    if len({path.resolve() for path in paths}) < len(paths):
        raise ValueError(f"files names a file twice: {', '.join(map(str, paths))[:500]}.")
    return paths


def read_tomviz_shifts(path: str | os.PathLike, tilts: ArrayLike, keep: ArrayLike) -> np.ndarray:
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
        (len(keep), 2), pixels along (downwards, where Tomviz counts upwards) and across the tilt
        axis, as `hebt.prepare.estimate_shifts` gives them. Their medians are 0.

    Raises
    ------
    ValueError
        If the file is no list of as many finite pairs as `tilts`, a wanted tilt is not there, or
        it is there more often than it is wanted.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path is {path!r}; expected the path of a JSON file.")
    path, known = Path(path).expanduser(), check_angles(tilts, "tilts").tolist()
    wanted = check_angles(keep, "keep").tolist()
    try:
        pairs = np.asarray(json.loads(path.read_text(encoding="utf-8")), np.float64)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{path.name} cannot be read ({error}); expected JSON, an [across, along] per tilt."
        ) from None
    if pairs.shape != (len(known), 2) or not np.isfinite(pairs).all():
        raise ValueError(
            f"{path.name} holds shifts of shape {pairs.shape}; expected {(len(known), 2)}, an "
            "[across, along] of finite pixels for each of the tilts."
        )
    if not set(wanted) <= set(known):
        raise ValueError(f"keep is {wanted}; expected some of the tilts {known}.")
    if uneven := sorted(t for t in set(wanted) if wanted.count(t) != known.count(t)):
        raise ValueError(
            f"keep holds {', '.join(f'{t:g}' for t in uneven)} degrees not as often as tilts; "
            "expected it as often, or which shifts are meant is not certain."
        )
    # of a tilt that comes twice, the first one's shifts are the first one's
    at = [np.flatnonzero(np.equal(known, t))[wanted[:i].count(t)] for i, t in enumerate(wanted)]
    shifts = pairs[at][:, ::-1] * [-1, 1]
    return shifts - np.median(shifts, axis=0)
