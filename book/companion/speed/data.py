"""What `make bench` measured."""

import json
import math
import statistics
from pathlib import Path

import numpy as np

from hebt._blocks import block_sizes

FILE = Path(__file__).parents[3] / "data" / "benchmark.json"
OURS = "hebt.reconstruct, 2 elements"
ONE = "hebt.sirt, one slice"
ONE_OF_TWO = f"{OURS}, one slice"
ASTRA = "ASTRA CPU SIRT, strip"
LINEAR = "ASTRA CPU SIRT, linear"
ASTRA_GPU = "ASTRA GPU SIRT3D"
BARE = "the same loop in C"
SCIPY = "scipy.sparse SIRT"
ITERATIONS = 200
CLUSTER = 64
IDLE = 0.5  # up to this load
# name, slices, elements, edge of a slice, how many volumes
STUDIES = (
    ("a particle of 300³, 2 elements", 300, 2, 300, 1),
    ("100 such particles", 300, 2, 300, 100),
    ("a volume of 1000³, 10 elements", 1000, 10, 1000, 1),
)


def results(file: Path = FILE) -> dict:
    """Return the results of the last ``make bench``."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(
            f"There are no benchmark results at {file}; run make bench in a checkout."
        ) from None


def median(results, name, threads=1, clock="processor", device="cpu"):
    for entry in results["contenders"]:
        if (entry["name"], entry["threads"], entry["device"]) == (name, threads, device):
            return statistics.median(entry[clock])
    return None


def commit_text(results) -> str:
    commit = results.get("commit")
    return f"hebt at commit {commit}" if commit else "hebt of an unknown commit"


def on_processor(results):
    return [e for e in results["contenders"] if e["device"] == "cpu"]


def thread_count(results) -> int:
    return max(e["threads"] for e in on_processor(results) if e["name"] == OURS)


def at_once(results, name) -> int:
    """Return how many columns (slices times elements) a program works on at once."""
    slices = results["settings"]["slices"]
    columns = {OURS: 2 * slices, "hebt.sirt": slices, BARE: slices, SCIPY: slices, ONE_OF_TWO: 2}
    return columns.get(name, 1)


def seconds(results, slices, elements, size, tilts, iterations, *, threads=1, clock="processor"):
    """Return the seconds of a reconstruction, by proportion to the measured iteration.

    `clock` is "processor" for the time of all threads together, "clock" for what passes.
    """
    settings = results["settings"]
    unit = median(results, OURS, threads, clock) / (settings["size"] ** 2 * settings["tilts"])
    return unit * slices * elements * size**2 * tilts * iterations


def cluster_seconds(results, slices, elements, size, tilts, iterations, *, volumes=1, cores):
    """Return the blocks of `volumes` volumes, their waves on `cores` cores, and the seconds.

    The blocks are those of `hebt.reconstruct` for arrays that are not chunked. Each runs on one
    thread, so that a wave takes as long as the thickest block, however many cores there are.
    """
    blocks = block_sizes(1, slices, elements, size)
    waves = -(-volumes * len(blocks) // cores)
    block = seconds(results, max(blocks), elements, size, tilts, iterations, clock="clock")
    return volumes * len(blocks), waves, waves * block


def worker_memory(results: dict, slices: int, elements: int, size: int, tilts: int) -> float:
    """Return the bytes that a worker of one thread needs for a block of so many slices.

    What the process of a worker takes besides its block is the measured peak of workers, less
    their block. A block takes as many times its input and output as was measured, and another
    copy of its result while that is compressed and written.
    """

    def block(slices, elements, size, tilts):
        line = 4 * slices * size
        result = line * elements * size
        return factor * (line * (elements + 1) * tilts + result) + result

    factor = max(case["peak"] / case["input_and_output"] for case in results["memory"])
    process = max(
        case["peak"]
        - block(-(-case["slices"] // case["blocks"]), case["elements"], case["size"], case["tilts"])
        for case in results["workers"]
    )
    return process + block(slices, elements, size, tilts)


def load_text(results) -> str:
    before, after = results["load_before"], results["load_after"]
    if before is None:
        return "How busy the machine was otherwise is not known."
    if before <= IDLE:
        return "The machine was idle otherwise."
    return (
        f"Other programs were running on the machine (load {before:g} on {results['cores']} "
        f"cores before; {after:g} at the end, which counts the benchmark too): the clock holds "
        "what they took. They disturb the processor time less, but they share its caches and its "
        "memory with what was measured."
    )


def busy(results) -> str:
    before = results["load_before"]
    if before is None:
        return "busy to an unknown extent"
    return f"{'idle' if before <= IDLE else 'busy'} (load {before:g} on {results['cores']} cores)"


def scaling(results: dict) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return for each quantity that grew its values, and the median processor times (s)."""
    return {
        name: (np.array(curve["values"], float), np.median(curve["processor"], axis=1))
        for name, curve in results["scaling"]["curves"].items()
    }


def growth(results: dict) -> dict[str, tuple[float, float | None]]:
    """Return the power with which time grows, fitted to all points, and the last doubling alone."""
    found = {}
    for name, (values, times) in scaling(results).items():
        half = times[values == values.max() / 2]
        last = float(times[values.argmax()] / half[0]) if len(half) else None
        found[name] = float(np.polyfit(np.log(values), np.log(times), 1)[0]), last
    return found


def numbers(results: dict) -> dict[str, str]:
    """Return the numbers that the chapter's sentences quote, as text, ready for `glue`."""
    ours, astra, bare = (median(results, name) for name in (OURS, ASTRA, BARE))
    sirt, one, linear = (median(results, name) for name in ("hebt.sirt", ONE, LINEAR))
    ratios = [c["peak"] / c["input_and_output"] for c in results["memory"]]
    settings = results["settings"]
    threads = thread_count(results)
    clock = median(results, OURS, threads, "clock")
    volume = 2 * settings["slices"] * clock
    numbers = {name: str(settings[name]) for name in ("size", "slices", "tilts")}
    numbers |= {
        "threads": str(threads),
        "iteration": f"{1e3 * ours:.2g} ms",
        "volume_iteration": duration(volume),
        "volume": duration(ITERATIONS * volume),
        "volume_iterations": str(ITERATIONS),
        "astra": ratio_text(astra, ours),
        "linear": ratio_text(linear, ours),
        "linear_two": ratio_text(linear, median(results, ONE_OF_TWO)),
        "linear_one": ratio_text(linear, one),
        "astra_clock": ratio_text(median(results, ASTRA, clock="clock"), clock),
        "c": percent(bare, ours),
        "c_sirt": percent(bare, sirt),
        "cores": str(CLUSTER),
        "blocks": str(len(block_sizes(1, *STUDIES[0][1:4]))),
        "load": busy(results),
        "memory": " to ".join(sorted({f"{min(ratios):.1f}", f"{max(ratios):.1f}"})),
    }
    for name, call in (("first", "compiling"), ("second", "compiled")):
        found = results["first_call"].get(call, {}).get("clock")
        numbers[name] = "not measured" if found is None else f"{found:.1f} s"
    for name, (power, last) in growth(results).items():
        numbers[f"power_{name}"] = f"{power:.2f}"
        if last is not None:
            numbers[f"last_{name}"] = f"{last:.2f}"
    return {f"speed_{name}": text for name, text in numbers.items()}


def ratio_text(reference, time) -> str:
    return "not measured" if None in (reference, time) else times_text(reference / time)


def percent(reference, time) -> str:
    return "not measured" if reference is None else f"{100 * reference / time:.0f} %"


def times_text(ratio) -> str:
    return f"{ratio:.0f} times" if ratio >= 10 else f"{ratio:.2g} times"


def duration(seconds: float) -> str:
    units = {"days": 86400, "h": 3600, "min": 60, "s": 1}
    unit = next((unit for unit, length in units.items() if seconds >= 2 * length), "s")
    count = seconds / units[unit]
    form = ".0f" if count >= 10 else ".1f" if count >= 1 else ".2g"
    return f"{count:{form}} {unit}"


def bytes_text(count: float) -> str:
    if math.isnan(count):
        return "not measured"
    return f"{count / 1e9:.2g} GB" if count < 1e11 else f"{count / 1e9:.0f} GB"
