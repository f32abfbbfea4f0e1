"""Time to a given error, from what `make bench` measured."""

import json
import statistics
from pathlib import Path

import numpy as np

import hebt

from . import data

FILE = data.FILE.with_name("benchmark_errors.json")
WHOLE = 300  # slices to which all times are carried on
LEVELS = ("ASTRA CPU SIRT, strip", "HEBT", "mbirjax", "svmbir", "fused multi-modal, restated")
FUSED, EM, GUIDED = "fused", "composition EM", "guided TV"
RESTATED = "fused multi-modal, restated"
ASTRA, ASTRA_HEBT = "ASTRA CPU SIRT, strip", "HEBT with ASTRA, strip"
OURS, MBIRJAX = "hebt.sirt, accelerated", "mbirjax"


def results(file: Path = FILE) -> dict:
    """Return the results of the last run of benchmarks/errors.py."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(
            f"There are no results of the time to an error at {file}; run make bench in a checkout."
        ) from None


def row(results: dict, name: str) -> dict | None:
    """Return a contender's results, None where it did not take part."""
    return next((one for one in results["contenders"] if one["name"] == name), None)


def curve(contender: dict) -> tuple[np.ndarray, np.ndarray]:
    """Return seconds for `WHOLE` slices, in the median of rounds, and mean errors of elements."""
    seconds = np.median(contender["seconds"], axis=0) * WHOLE / contender["slices"]
    return seconds, np.mean(contender["errors"], axis=1)


def best(contender: dict) -> tuple[int, float]:
    """Return the iteration at which a contender's error is smallest, and that error."""
    errors = curve(contender)[1]
    place = int(errors.argmin())
    return contender["iterations"][place], float(errors[place])


def time_to(contender: dict | None, error: float) -> float | None:
    """Return the seconds until a contender's error is as small as this; None if it never is."""
    if contender is None:
        return None
    seconds, errors = curve(contender)
    reached = np.flatnonzero(errors <= error * (1 + 1e-6))
    return float(seconds[reached[0]]) if len(reached) else None


def time_at(contender: dict | None, iteration: int) -> float | None:
    """Return the seconds of a contender's call with so many iterations."""
    if contender is None or iteration not in contender["iterations"]:
        return None
    return float(curve(contender)[0][contender["iterations"].index(iteration)])


def levels(results: dict) -> dict[str, float]:
    """Return the errors to reach: the smallest of each of `LEVELS` that took part, falling."""
    found = {name: best(one)[1] for name in LEVELS if (one := row(results, name))}
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def slice_seconds(results: dict, name: str) -> float | None:
    """Return the seconds of a slice in least squares; None where its residual was not reached."""
    squares = results["least_squares"]
    for one in squares["rows"]:
        if one["name"] == name and one["residual"] <= squares["tolerance"] * (1 + 1e-3):
            return statistics.median(one["seconds"]) / one["slices"]
    return None


def numbers(results: dict) -> dict[str, str]:
    """Return the numbers of the page's sentences, ready for `glue`."""
    fused, em = row(results, FUSED), row(results, EM)
    astra, stacked = row(results, ASTRA), row(results, ASTRA_HEBT)
    settings = results["settings"]
    found = {name: str(settings[name]) for name in ("size", "judged")}
    found |= {
        "whole": str(WHOLE),
        "fused": _seconds(time_at(fused, hebt.Fused.iterations)),
        "fused_error": _error(fused, hebt.Fused.iterations),
        "em": _seconds(time_at(em, hebt.CompositionEM.iterations)),
        "em_error": _error(em, hebt.CompositionEM.iterations),
        "tolerance": f"{results['least_squares']['tolerance']:g}",
        "load": data.busy(results),
        "geometry": _geometry(results),
    }
    for name, peer in (("astra", astra), ("stacked", stacked)):
        found |= {f"{name}_{key}": text for key, text in _against(fused, peer).items()}
    found |= _restated(results, fused, em)
    own, theirs = slice_seconds(results, OURS), slice_seconds(results, MBIRJAX)
    found["least"] = "not reached" if own is None else f"{own:.2g} s"
    found["least_mbirjax"] = data.ratio_text(theirs, own)
    return {f"error_{name}": text for name, text in found.items()}


def _against(fused: dict | None, peer: dict | None) -> dict[str, str]:
    """Return how a peer's best stop compares with the time of fused to the same error."""
    if peer is None:
        return dict.fromkeys(("stop", "error", "time", "ours", "ratio"), "not measured")
    stop, error = best(peer)
    time, ours = time_to(peer, error), time_to(fused, error)
    return {
        "stop": str(stop),
        "error": f"{error:.3f}",
        "time": _seconds(time),
        "ours": _seconds(ours),
        "ratio": data.ratio_text(time, ours),
    }


def _restated(results: dict, fused: dict | None, em: dict | None) -> dict[str, str]:
    """Return what the page says of the restated model."""
    peer = row(results, RESTATED)
    if peer is None:
        return dict.fromkeys(("restated", "restated_time", "restated_em"), "not measured")
    error = best(peer)[1]
    reached = time_to(em, error)
    return {
        "restated": f"{error:.3f}",
        "restated_time": _seconds(time_to(peer, error)),
        "restated_em": "never" if reached is None else f"after {_seconds(reached)}",
    }


def _error(contender: dict | None, iteration: int) -> str:
    if contender is None or iteration not in contender["iterations"]:
        return "not measured"
    return f"{curve(contender)[1][contender['iterations'].index(iteration)]:.3f}"


def _seconds(seconds: float | None) -> str:
    return "not measured" if seconds is None else data.duration(seconds)


def _geometry(results: dict) -> str:
    away = results["geometry"]
    return ", ".join(f"{name} {100 * value:.1f} %" for name, value in away.items()) or "none"
