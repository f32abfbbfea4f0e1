"""Tables of the chapter on what the project promises."""

import warnings

import numpy as np

import hebt

from ..tables import Table

# What each test of `data/promises.json` tries, with its counts in braces, and what it asks for.
PROMISES = {
    "out_kills": (
        "reconstruct(out=...) killed at {kills} moments and called again",
        "the result of a run that was left alone, bit by bit",
    ),
    "out_writers": (
        "{pairs} pairs of calls that write to one place at once",
        "one writes, the other is refused; nothing is mixed",
    ),
    "out_damage": (
        "chunks of a saved result flipped, cut, removed or taken from elsewhere, {chunks} times",
        "an error when they are read; the same call makes them again",
    ),
    "store_kills": (
        "the store of the book's results killed at {kills} moments, with {writers} processes",
        "no result lost, none computed twice, nothing left over",
    ),
    "store_damage": ("{flips} bits flipped in stored results", "found before they are unpickled"),
    "damaged_files": (
        "{files} files of microscopes cut at {cuts} places, with bytes flipped at {flips}",
        "no crash and no series without counts; errors name the file",
    ),
    "bad_inputs": (
        "{cases} calls with odd arguments, of {functions} public functions",
        "{clear} clear errors, {equal} results equal to those of plain arguments, {unclear} "
        "errors that do not name the argument",
    ),
    "signals_cropped_or_flipped": (
        "{signals} HyperSpy signals cropped, flipped, strided or reordered",
        "each image keeps its tilt and each map its element, or an error",
    ),
    "units_of_length": ("{spellings} spellings of units of length", "the same length in nm"),
    "ratios": (
        "response ratios from raw counts: a published benchmark with 3 elements, and the phantom "
        "with {seeds} seeds",
        "within 15 %; the mean over seeds within 0.5 %, standard errors within 30 % of the spread",
    ),
    "fractions_as_exspy": (
        "{cases} compositions by published zeta-factors and by Cliff-Lorimer k-factors",
        "those of exspy",
    ),
    "overlapping_windows": (
        "{pairs} pairs of lines whose energy windows overlap (Al and Yb, S and Mo)",
        "said, with the share; taken apart on request",
    ),
    "tilt_axes": (
        "{recorded} ranges of tilts from recorded needles and {simulated} simulated series, with "
        "the tilt axis along either direction of the images",
        "the direction is told",
    ),
}


def promises_table(tried: dict) -> Table:
    """Return what was tried, how often, and what held each time."""
    rows = []
    for name, (what, held) in PROMISES.items():
        counts = {key: f"{count:,}" for key, count in tried[name].items()}
        cells = what.format(**counts), held.format(**counts)
        rows.append(dict(zip(("what was tried", "what held each time"), cells, strict=True)))
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
        ("a weight of 1", lambda: hebt.reconstruct(W, haadf, maps, [1, 2], alpha=1)),
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
