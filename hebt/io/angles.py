"""Where the tilts of a series come from: a source that can be named, or an error."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

# a whole name: -40, +7.5, 0, 12deg
_NUMBER = re.compile(r"([-+\N{MINUS SIGN}]?)(\d+(?:\.\d+)?)\s?(?:deg|degrees?|°)?")
# degrees: a stage that moves less did not tilt; one that reads more differently contradicts
_STILL, _SAME = 0.5, 1.0
# no stage turns further; times and dates do
_MOST = 180.0


def tilts_of(
    paths: Sequence[Path], stage: Sequence[float | None], source: str | None
) -> tuple[np.ndarray, str]:
    """Return the tilt of each file in degrees, and its source: "names" or "stage".

    Parameters
    ----------
    paths
        The files.
    stage
        For each, the tilt of the stage in degrees that its metadata say, or None.
    source
        "names" or "stage"; if None, the one that is certain. The stage is where it moved; names
        are where they are numbers but no running numbers.

    Raises
    ------
    ValueError
        If none is certain, if both are and differ, if the source that is asked for does not say
        all, or if a tilt comes twice, which only angles that are given may.
    """
    if source not in (None, "names", "stage"):
        raise ValueError(
            f"angles is {source!r}; expected degrees, one per file, or 'names' or 'stage'."
        )
    named, found = _numbers(paths), _certain(paths, stage, source)
    tilts = list(found.values())
    if not found or not np.allclose(tilts[0], tilts[-1], rtol=0, atol=_SAME):
        raise ValueError(
            f"The tilts of the files are not certain. {_shown(paths, stage, named)}; expected "
            "names such as -40.bcf, or stages that moved, and no contradiction. Give angles=, in "
            'degrees, one per file, or angles="names" or "stage" for the source to believe.'
        )
    best = "stage" if "stage" in found else "names"
    if abs(found[best]).max() > _MOST:
        raise ValueError(
            f"The tilts of the files are not certain. By their {best} they are "
            f"{', '.join(f'{t:g}' for t in found[best])}; expected degrees within {_MOST:g}. Give "
            "angles=, in degrees, one per file."
        )
    check_once(found[best], best)
    return found[best], best


def check_pairs(
    paths: Sequence[Path], stage: Sequence[float | None], source: str | None, tilts: np.ndarray
) -> None:
    """Refuse HAADF files that say other tilts than those of the spectra they are paired with.

    Parameters
    ----------
    paths, stage, source
        Of the HAADF files, as for `tilts_of`.
    tilts
        Degrees of the spectra, in the same order.

    Raises
    ------
    ValueError
        If names or stages that are certain say anything else.
    """
    for kind, own in _certain(paths, stage, source).items():
        away = np.abs(own - tilts)
        worst = int(np.argmax(away))
        if away[worst] > _SAME and np.abs(own).max() <= _MOST:
            raise ValueError(
                f"haadf is in the order of the spectra, but by its {kind} {paths[worst].name} is "
                f"at {own[worst]:g} degrees, and its spectra are at {tilts[worst]:g}; expected the "
                "same. Put both in one order. If HAADF has tilts of its own, give it as a folder "
                "or a pattern; if the files are wrong, give angles=, in degrees, one for each pair."
            )


def same_tilt(one: float, other: float) -> bool:
    """Whether two readings of a stage do not contradict each other."""
    return abs(one - other) <= _SAME


def _certain(
    paths: Sequence[Path], stage: Sequence[float | None], source: str | None
) -> dict[str, np.ndarray]:
    """Return the tilts that names and stage say, each where it is certain; or those asked for."""
    named = _numbers(paths)
    found: dict[str, np.ndarray] = {}
    if all(named) and (source == "names" or not _is_running(named)):
        found["names"] = np.array([_value(match) for match in named])
    if None not in stage and (source == "stage" or _moved(stage)):
        found["stage"] = np.array(stage, np.float64)
    if source is not None:
        found = {source: found[source]} if source in found else {}
    return found


def _numbers(paths: Sequence[Path]) -> list[re.Match | None]:
    return [_NUMBER.fullmatch(path.stem) for path in paths]


def check_once(tilts: np.ndarray, source: str) -> None:
    """Refuse tilts of which two are the same, where nobody said that one was recorded twice.

    A stage that did not move, or that nobody wrote down, says the same tilt more than once as well.
    """
    values, counts = np.unique(tilts.round(3), return_counts=True)
    if (counts > 1).any():
        raise ValueError(
            f"angles holds a tilt twice ({', '.join(f'{v:g}' for v in values[counts > 1])}; "
            f"source: {source}); expected each tilt once. If it was recorded twice, give angles=, "
            "in degrees, in the order of the images: then that is taken as said."
        )


def check_order(paths: Sequence[Path], given: np.ndarray) -> None:
    """Refuse, or doubt, tilts that seem to be those of the same files in another order."""
    named = [_NUMBER.fullmatch(path.stem) for path in paths]
    if all(named) and not _is_running(named):
        known = np.array([_value(match) for match in named])
        # the same with another sign is meant so
        alike = any(np.allclose(s * known, given, rtol=0, atol=_SAME) for s in (1, -1))
        if not alike and np.allclose(np.sort(known), np.sort(given), rtol=0, atol=_SAME):
            raise ValueError(
                f"angles are {', '.join(f'{t:g}' for t in given)}, and the files "
                f"{', '.join(p.name for p in paths)}; expected them in the same order. Give "
                'angles="names", or sort the files as the angles are.'
            )
        return
    names = [str(path) for path in paths]
    counted = sorted(names, key=_as_counted)
    if names == sorted(names) != counted:
        at = next(i for i, pair in enumerate(zip(names, counted)) if pair[0] != pair[1])
        warnings.warn(
            f"files are sorted by letters, as shells do it: {paths[at].name} is number {at + 1} of "
            f"them, where by numbers {Path(counted[at]).name} is. angles are taken in that order: "
            f"{given[at]:g} degrees for {paths[at].name}. If they are in the order of the numbers, "
            "sort the files so.",
            UserWarning,
            stacklevel=4,
        )


def _as_counted(name):
    """Return a key that sorts 2 before 10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def _value(match):
    return float(match[1].replace("\N{MINUS SIGN}", "-") + match[2])


def _is_running(named):
    """Whether names without any sign look like 1, 2, 3 or 001, 006."""
    if any(match[1] for match in named):
        return False
    padded = any(re.match(r"0\d", match[2]) for match in named)
    steps = np.diff(sorted(_value(match) for match in named))
    return padded or bool((steps == 1).any())


def _moved(stage):
    return np.ptp(stage if len(stage) > 1 else [0.0, *stage]) >= _STILL


def _shown(paths, stage, named):
    """Return what was found in each source."""

    def few(values):
        values = list(values)
        return ", ".join(values if len(values) < 6 else [*values[:3], "…", values[-1]])

    kind = "no numbers"
    if all(named):
        kind = "running numbers" if _is_running(named) else "numbers"
    said = few("nothing" if s is None else f"{s:g}" for s in stage)
    return f"Their names are {few(p.name for p in paths)} ({kind}); of the stage they say {said}"
