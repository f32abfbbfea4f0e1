"""A benchmark's record: what was measured with what, and where it is written."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numba

from hebt._files import written_aside

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book"))
from companion.fidelity import fidelity
from companion.sources import state

ROOT = Path(__file__).resolve().parents[1]


def parsed(
    parser: argparse.ArgumentParser, arguments, record: Path, full: dict, quick: dict
) -> argparse.Namespace:
    """Read the options of a benchmark; `out` is None where nothing is to be written.

    `full` are the settings of the book's record, and `quick` those of a short run, which does not
    replace it.
    """
    parser.add_argument("--quick", action="store_true", help="small sizes, to try it out")
    parser.add_argument("--out", type=Path, help=f"results file (data/{record.name})")
    parser.set_defaults(**full)
    options = parser.parse_args(arguments)
    options.quick = options.quick or fidelity() == "quick"
    if options.quick:
        vars(options).update(quick)
    whole = all(vars(options)[name] == value for name, value in full.items())
    if options.out is None:
        options.out = record if whole else None
    elif options.out.resolve() == record and not whole:
        parser.error(
            f"--out is {record}, the book's record, and this run is a smaller one than the "
            "record's. Name another file, or leave out --quick, HEBT_FIDELITY and sizes."
        )
    if options.out is None:
        print(f"a short run: {record.name} stays as it is (--out FILE keeps these results)")
    return options


def head(packages: Sequence[str], settings: dict) -> dict:
    """Return what a record begins with: when, where and with what it was measured."""
    return {
        "date": datetime.date.today().isoformat(),
        "processor": processor(),
        "cores": numba.config.NUMBA_NUM_THREADS,
        "python": platform.python_version(),
        "versions": {package: version_of(package) for package in packages},
        "commit": commit(),
        "load_before": load(),
        "settings": settings,
    }


def write(results: dict, out: Path | None) -> None:
    """Write a record, if it is to be written."""
    if out is not None:
        with written_aside(out) as part:
            part.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        print(f"\nwritten to {out}")


def load() -> float | None:
    """How many programs wanted the processor in the last minute; None where nobody counts."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def load_text(value: float | None) -> str:
    """Return a load as a text."""
    return "unknown" if value is None else f"{value:.1f}"


def processor() -> str:
    """Return the processor's name."""
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":")[1].strip() for line in file if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def version_of(package: str) -> str:
    """Return a package's version, or that it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def commit(folder: Path = ROOT) -> str | None:
    """hebt's commit, "-dirty" where files other than the records differ; None without git."""
    found, changed = state(folder, but="data/benchmark*.json")
    return f"{found}{'-dirty' * changed}" if found else None
