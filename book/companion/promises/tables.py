"""Tables of the chapter on what the project promises."""

import warnings

import numpy as np

import hebt

from ..tables import Table

# What each test of `data/promises.json` tries, and what it asks for; counts in braces.
PROMISES = {}


def promises_table(tried: dict) -> Table:
    """Return what was tried, how often, and what held each time."""
    rows = []
    for name, (what, held) in PROMISES.items():
        counts = {key: f"{count:,}" for key, count in tried[name].items()}
        rows.append({"what was tried": what.format(**counts), "what held each time": held})
    return Table.of(rows, title="Tests that run before each change of this project is accepted")


def refusals_table() -> Table:
    """Return calls with a mistake in them, run now, and what each of them answers."""
    W = hebt.Projector([-60, 0, 60], 8)
    haadf = np.ones((3, 8))
    maps = np.ones((2, 3, 8))
    unknown = np.where(np.arange(8) == 3, np.nan, haadf)
    tilts = np.ma.masked_equal([-60, 0, 999], 999)
    calls = [
        ("a value that is not a number", lambda: hebt.sirt(W, unknown)),
        ("a masked tilt", lambda: hebt.Projector(tilts, 8)),
        ("no weight of HAADF", lambda: hebt.reconstruct(W, haadf, maps, [1, 2], alpha=1)),
        ("maps without an axis", lambda: hebt.reconstruct(W, haadf, maps[0], [1, 2])),
        ("a response ratio of 0", lambda: hebt.reconstruct(W, haadf, maps, [1, 0])),
        ("a file that is not there", lambda: hebt.io.read_tilt_series(["0.bcf"], lines=["O_Ka"])),
    ]
    rows = []
    for mistake, call in calls:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                call()
            except Exception as error:
                answer = f"{type(error).__name__}: {error}"
            else:
                raise AssertionError(f"a call with {mistake} was accepted")
        rows.append({"mistake": mistake, "answer": answer})
    return Table.of(rows, title="Calls with a mistake, and what they answer")
