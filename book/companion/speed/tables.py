"""Tables of the chapter on speed, from what `make bench` measured."""

import statistics

from hebt._blocks import block_sizes

from ..tables import Table
from .data import (
    ASTRA,
    ASTRA_GPU,
    BARE,
    CLUSTER,
    ITERATIONS,
    OURS,
    STUDIES,
    at_once,
    bytes_text,
    cluster_seconds,
    duration,
    load_text,
    median,
    on_processor,
    seconds,
    thread_count,
    worker_memory,
)


def peers_table(results: dict) -> Table:
    """Return every program's time, with its ratio to ASTRA's and to that of the loop in C.

    The ratio to C stands in brackets where a program works on another number of columns at once.
    """
    astra, bare = median(results, ASTRA), median(results, BARE)
    astra_clock = median(results, ASTRA, clock="clock")
    rows = []
    for entry in sorted(on_processor(results), key=lambda e: statistics.median(e["clock"])):
        used, passed = (statistics.median(entry[name]) for name in ("processor", "clock"))
        ratios = (astra, used), (bare, used), (astra_clock, passed)
        ratios = [f"{reference / time:.3g}" if reference else "–" for reference, time in ratios]
        columns = at_once(results, entry["name"])
        if bare and columns != at_once(results, BARE):
            ratios[1] = f"({ratios[1]})"
        spread = f"{1e3 * min(entry['processor']):.3g} to {1e3 * max(entry['processor']):.3g}"
        rows.append(
            (entry["name"], entry["threads"], columns, f"{1e3 * used:.3g}", spread, *ratios[:2])
            + (f"{1e3 * passed:.3g}", ratios[2])
        )
    settings, versions = results["settings"], results["versions"]
    return Table(
        ("program", "threads", "columns at once", "processor (ms)", "over the rounds")
        + ("speed, ASTRA = 1", "speed, C = 1", "clock (ms)", "by the clock, ASTRA = 1"),
        rows,
        title=(
            f"One iteration of one slice of {settings['size']} × {settings['size']} pixels, "
            f"{settings['tilts']} tilts; median of {settings['rounds']} rounds"
        ),
        note=(
            f"Measured on {results['date']} on {results['processor']} with {results['cores']} "
            f"cores, Python {results['python']}; "
            + ", ".join(f"{name} {number}" for name, number in versions.items())
            + f"; C compiled by {results['compiler']}. Columns are slices times elements: of "
            f"hebt's rows, only those of hebt.sirt have the {at_once(results, BARE)} of C. Where "
            "the columns differ, the speed against that of C is in brackets, as more columns share "
            "the work on the weights. With two threads, the processor time is that of both "
            f"together. {load_text(results)}"
        ),
    )


def gpu_table(results: dict) -> Table:
    """Return the time of an iteration on the GPU, beside the processor; or that there was none."""
    gpu, settings = results["gpu"], results["settings"]
    threads = thread_count(results)
    base = median(results, OURS, threads, "clock")
    rows = []
    on_gpu = [(name, "cuda", 1) for name in (OURS, "hebt.sirt", ASTRA_GPU)]
    for name, device, count in [(OURS, "cpu", threads), *on_gpu]:
        time = median(results, name, count, "clock", device)
        where = "GPU" if device == "cuda" else f"processor, {count} threads"
        cells = ("not measured", "–")
        if time is not None:
            cells = f"{1e3 * time:.3g}", f"{base / time:.3g}"
        rows.append((name, where, *cells))
    if gpu is None:
        note = (
            "Nothing here was measured on a GPU: the machine had none that could be used when "
            "make bench ran. What the kernels give was checked in a simulator, how fast they are "
            "was not."
        )
    else:
        cpu, cuda = (statistics.median(gpu[name]) for name in ("cpu", "cuda"))
        note = (
            f"Measured on {results['date']} on {gpu['name']} (compute capability "
            f"{gpu['compute_capability']}, {gpu['memory'] / 1e9:.0f} GB). {gpu['iterations']} "
            f"iterations of two elements in one call, with all data sent there and back: "
            f"{cuda:.3g} s on the GPU, {cpu:.3g} s on the processor; the results differ by at most "
            f"{gpu['difference']:.1e} of the largest value."
        )
    size, tilts, slices = (settings[name] for name in ("size", "tilts", "slices"))
    return Table(
        ("program", "on", "clock (ms)", f"speed, {threads} threads = 1"),
        rows,
        title=(
            f"One iteration of one slice of {size} × {size} pixels on a GPU, {tilts} tilts, "
            f"{slices} slices of each element"
        ),
        note=note,
    )


def memory_table(results: dict) -> Table:
    """Return the peak memory of reconstructions, beside their input and output."""
    rows = [
        (
            f"{case['slices']} × {case['size']} × {case['size']}",
            case["elements"],
            f"{case['input_and_output'] / 1e6:.0f}",
            f"{case['peak'] / 1e6:.0f}",
            f"{case['peak'] / case['input_and_output']:.2f}",
        )
        for case in results["memory"]
    ]
    return Table(
        ("volume (voxels)", "elements", "input and output (MB)", "peak (MB)", "peak / both"),
        rows,
        title=f"Peak memory from {results['memory'][0]['tilts']} tilts, measured",
    )


def workers_table(results: dict) -> Table:
    """Return the time of a reconstruction in blocks into a zarr store, with one and two workers."""
    cases = results["workers"]
    clocks = [statistics.median(case["clock"]) for case in cases]
    first = {c["slices"]: clock for c, clock in zip(cases, clocks) if c["workers"] == 1}
    rows = [
        (
            f"{case['slices']} × {case['size']} × {case['size']}",
            case["blocks"],
            case["workers"],
            f"{statistics.median(case['processor']):.2f}",
            f"{clock:.2f}",
            f"{first[case['slices']] / clock:.2f}",
            f"{case['peak'] / 1e6:.0f}",
        )
        for case, clock in zip(cases, clocks)
    ]
    return Table(
        ("volume (voxels)", "blocks", "workers", "processor (s)", "clock (s)", "speed-up")
        + ("largest worker (MB)",),
        rows,
        title=(
            f"A local dask.distributed cluster, {cases[0]['elements']} elements, "
            f"{cases[0]['tilts']} tilts, {cases[0]['iterations']} iterations, into zarr; measured"
        ),
        note=(
            f"Medians of {len(cases[0]['clock'])} runs, with writing and compressing the result. "
            f"The processor time is that of all workers together. {load_text(results)}"
        ),
    )


def extrapolation_table(results: dict) -> Table:
    """Return what larger work would take, by proportion to what was measured."""
    tilts, threads = results["settings"]["tilts"], thread_count(results)
    rows = []
    for name, slices, elements, size, volumes in STUDIES:
        work = slices, elements, size, tilts, ITERATIONS
        blocks, waves, passed = cluster_seconds(results, *work, volumes=volumes, cores=CLUSTER)
        here = volumes * seconds(results, *work, threads=threads, clock="clock")
        thickest = max(block_sizes(1, slices, elements, size))
        rows.append(
            (
                name,
                duration(here),
                blocks,
                waves,
                duration(passed),
                f"{volumes * seconds(results, *work) / 3600:.2g}",
                f"{CLUSTER * passed / 3600:.2g}",
                bytes_text(volumes * 4 * elements * slices * size**2),
                bytes_text(worker_memory(results, thickest, elements, size, tilts)),
            )
        )
    return Table(
        ("what", f"on {threads} threads", "blocks", f"waves on {CLUSTER} cores")
        + (f"on {CLUSTER} cores", "core-hours at work", f"core-hours of {CLUSTER} cores")
        + ("result", "memory per worker of one thread"),
        rows,
        title=f"Extrapolated, not measured: {ITERATIONS} iterations of HEBT from {tilts} tilts",
        note=(
            "In proportion to the measured iteration of two elements on slices of "
            f"{results['settings']['size']} × {results['settings']['size']} pixels. On {threads} "
            f"threads: the clock of {threads} threads on one machine, if the volume has room in "
            "its memory. On the cluster: the number of waves, which is blocks divided by cores and "
            "rounded up, times the clock of the thickest block on one thread; the particles are "
            "handed over together. Reading, writing and waiting are left out, and cores that share "
            "less memory bandwidth than the measured ones take longer. Core-hours at work are "
            "processor time; those of the cluster also count the cores that wait. Memory: what the "
            "process of a worker took besides its block, in the table of workers; a block with its "
            "input and output, as in the table of memory; and a copy of its result while that is "
            f"written. {load_text(results)}"
        ),
    )
