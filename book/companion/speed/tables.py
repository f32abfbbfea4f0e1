"""Tables of the chapter on speed, from what `make bench` measured."""

import statistics

from hebt._blocks import block_sizes

from ..tables import Table
from . import data, errors


def peers_table(results: dict) -> Table:
    """Return every program's time, with its ratio to ASTRA's, with strip weights, and to that of C.

    The ratio to C stands in brackets where a program works on another number of columns at once.
    """
    astra, bare = data.median(results, data.ASTRA), data.median(results, data.BARE)
    astra_clock = data.median(results, data.ASTRA, clock="clock")
    rows = []
    for entry in sorted(data.on_processor(results), key=lambda e: statistics.median(e["clock"])):
        used, passed = (statistics.median(entry[name]) for name in ("processor", "clock"))
        fastest, slowest = min(entry["processor"]), max(entry["processor"])
        columns = data.at_once(results, entry["name"])
        to_c = _speed(bare, used)
        if bare and columns != data.at_once(results, data.BARE):
            to_c = f"({to_c})"
        rows.append(
            {
                "program": entry["name"],
                "threads": entry["threads"],
                "columns at once": columns,
                "processor (ms)": f"{1e3 * used:.3g}",
                "over the rounds": f"{1e3 * fastest:.3g} to {1e3 * slowest:.3g}",
                "speed, strip = 1": _speed(astra, used),
                "speed, C = 1": to_c,
                "clock (ms)": f"{1e3 * passed:.3g}",
                "by the clock, strip = 1": _speed(astra_clock, passed),
            }
        )
    versions = [f"{name} {number}" for name, number in results["versions"].items()]
    versions = ", ".join([data.commit_text(results), *versions])
    return Table.of(
        rows,
        title="One iteration of one slice of {size} × {size} pixels, {tilts} tilts; median of "
        "{rounds} rounds".format(**results["settings"]),
        note=f"Measured on {results['date']} on {results['processor']} with {results['cores']} "
        f"cores, Python {results['python']}; {versions}; C compiled by {results['compiler']}. "
        "Columns are slices times elements: of hebt's rows, only those of hebt.sirt have the "
        f"{data.at_once(results, data.BARE)} of C. Where the columns differ, the speed against "
        "that of C is in brackets, as more columns share the work on the weights. With two "
        f"threads, the processor time is that of both together. {data.load_text(results)}",
    )


def gpu_table(results: dict) -> Table:
    """Return the time of an iteration on the GPU, beside the processor; or that there was none."""
    threads = data.thread_count(results)
    base = data.median(results, data.OURS, threads, "clock")
    rows = []
    on_gpu = [(name, "cuda", 1) for name in (data.OURS, "hebt.sirt", data.ASTRA_GPU)]
    for name, device, count in [(data.OURS, "cpu", threads), *on_gpu]:
        time = data.median(results, name, count, "clock", device)
        rows.append(
            {
                "program": name,
                "on": "GPU" if device == "cuda" else f"processor, {count} threads",
                "clock (ms)": "not measured" if time is None else f"{1e3 * time:.3g}",
                f"speed, {threads} threads = 1": "–" if time is None else f"{base / time:.3g}",
            }
        )
    gpu = results["gpu"]
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
    title = (
        "One iteration of one slice of {size} × {size} pixels on a GPU, {tilts} tilts, {slices} "
        "slices of each element"
    )
    return Table.of(rows, title=title.format(**results["settings"]), note=note)


def scaling_table(results: dict) -> Table:
    """Return how the time grows with each quantity, over the whole range and at its end."""
    rows = []
    for name, (power, last) in data.growth(results).items():
        doubled = "not measured" if last is None else f"{last:.2f} times"
        proportional = 2 if name == "size" else 1
        rows.append(
            {
                "quantity": "edge of a slice" if name == "size" else name,
                "fitted power": f"{power:.2f}",
                "in proportion": f"{proportional}",
                "the last doubling": doubled,
                "doubling, in proportion": f"{2**proportional} times",
            }
        )
    return Table.of(
        rows,
        title="How the time of a reconstruction grows",
        note="For the edge, in proportion to the pixels. A fit over the whole range hides what "
        f"happens at its end. The machine was {data.busy(results)} at the beginning.",
    )


def memory_table(results: dict) -> Table:
    """Return the peak memory of reconstructions, beside their input and output."""
    rows = [
        {
            "volume (voxels)": "{slices} × {size} × {size}".format(**case),
            "elements": case["elements"],
            "input and output (MB)": f"{case['input_and_output'] / 1e6:.0f}",
            "peak (MB)": f"{case['peak'] / 1e6:.0f}",
            "peak / both": f"{case['peak'] / case['input_and_output']:.2f}",
        }
        for case in results["memory"]
    ]
    tilts = results["memory"][0]["tilts"]
    return Table.of(rows, title=f"Peak memory from {tilts} tilts, measured")


def workers_table(results: dict) -> Table:
    """Return the time of a reconstruction in blocks into a zarr store, with one and two workers."""
    cases = results["workers"]
    clocks = [statistics.median(case["clock"]) for case in cases]
    alone = {c["slices"]: clock for c, clock in zip(cases, clocks) if c["workers"] == 1}
    rows = [
        {
            "volume (voxels)": "{slices} × {size} × {size}".format(**case),
            "blocks": case["blocks"],
            "workers": case["workers"],
            "processor (s)": f"{statistics.median(case['processor']):.2f}",
            "clock (s)": f"{clock:.2f}",
            "speed-up": f"{alone[case['slices']] / clock:.2f}",
            "largest worker (MB)": f"{case['peak'] / 1e6:.0f}",
        }
        for case, clock in zip(cases, clocks)
    ]
    return Table.of(
        rows,
        title="A local dask.distributed cluster, {elements} elements, {tilts} tilts, {iterations} "
        "iterations, into zarr; measured".format(**cases[0]),
        note=f"Medians of {len(cases[0]['clock'])} runs, with writing and compressing the result. "
        f"The processor time is that of all workers together. {data.load_text(results)}",
    )


def extrapolation_table(results: dict) -> Table:
    """Return what larger work would take, by proportion to what was measured."""
    tilts, threads = results["settings"]["tilts"], data.thread_count(results)
    rows = []
    for name, slices, elements, size, volumes in data.STUDIES:
        work = slices, elements, size, tilts, data.ITERATIONS
        blocks, waves, passed = data.cluster_seconds(
            results, *work, volumes=volumes, cores=data.CLUSTER
        )
        here = volumes * data.seconds(results, *work, threads=threads, clock="clock")
        hours = volumes * data.seconds(results, *work) / 3600
        thickest = max(block_sizes(1, slices, elements, size))
        memory = data.worker_memory(results, thickest, elements, size, tilts)
        rows.append(
            {
                "what": name,
                f"on {threads} threads": data.duration(here),
                "blocks": blocks,
                f"waves on {data.CLUSTER} cores": waves,
                f"on {data.CLUSTER} cores": data.duration(passed),
                "core-hours at work": f"{hours:.2g}",
                f"core-hours of {data.CLUSTER} cores": f"{data.CLUSTER * passed / 3600:.2g}",
                "result": data.bytes_text(volumes * 4 * elements * slices * size**2),
                "memory per worker of one thread": data.bytes_text(memory),
            }
        )
    return Table.of(
        rows,
        title=f"Extrapolated, not measured: {data.ITERATIONS} iterations of HEBT from {tilts} "
        "tilts",
        note="In proportion to the measured iteration of two elements on slices of "
        f"{results['settings']['size']} × {results['settings']['size']} pixels. On {threads} "
        f"threads: the clock of {threads} threads on one machine, if the volume has room in "
        "its memory. On the cluster: the number of waves, which is blocks divided by cores and "
        "rounded up, times the clock of the thickest block on one thread; the particles are "
        "handed over together. Reading, writing and waiting are left out, and cores that share "
        "less memory bandwidth than the measured ones take longer. Core-hours at work are "
        "processor time; those of the cluster also count the cores that wait. Memory: what the "
        "process of a worker took besides its block, in the table of workers; a block with its "
        "input and output, as in the table of memory; and a copy of its result while that is "
        f"written. {data.load_text(results)}",
    )


def errors_table(results: dict) -> Table:
    """Return the time of every contender to the errors that others reach at their best stop."""
    goals = errors.levels(results)
    rows = []
    for one in sorted(results["contenders"], key=lambda one: errors.best(one)[1], reverse=True):
        iteration, smallest = errors.best(one)
        found = {
            "program": one["name"],
            "smallest error": f"{smallest:.3f}",
            "at iteration": iteration,
        }
        for name, error in goals.items():
            seconds = errors.time_to(one, error)
            found[f"to {error:.3f}, {name}"] = "–" if seconds is None else data.duration(seconds)
        rows.append(found)
    versions = ", ".join(f"{name} {number}" for name, number in results["versions"].items())
    return Table.of(
        rows,
        title="Time by the clock to an error, for {whole} slices of {size} × {size} pixels and two "
        "elements, {tilts} tilts".format(whole=errors.WHOLE, **results["settings"]),
        note="Each error is the smallest that the named program reaches at any stop; a dash: never "
        "reached. "
        + _rounds(results["settings"]["rounds"])
        + "; where fewer slices were given, that of a slice, multiplied. "
        + f"Measured on {results['date']} on {results['processor']} with "
        f"{results['cores']} cores; {data.commit_text(results)}, {versions}. "
        f"{data.load_text(results)}",
    )


def _rounds(count: int) -> str:
    if count == 1:
        return "Times are those of one round"
    return f"Times are medians of up to {count} rounds"


def settings_table(results: dict) -> Table:
    """Return what each contender was given."""
    names = {"program": "name", "given": "setting", "threads": "threads", "slices": "slices"}
    return Table.of(
        [{column: one[name] for column, name in names.items()} for one in results["contenders"]],
        title="What each program was given",
    )


def least_squares_table(results: dict) -> Table:
    """Return how long plain least squares takes, for every program that took part."""
    squares = results["least_squares"]
    ours = errors.slice_seconds(results, errors.OURS)
    rows = []
    for one in squares["rows"]:
        seconds = errors.slice_seconds(results, one["name"])
        rows.append(
            {
                "program": one["name"],
                "slices": one["slices"],
                "iterations": one["iterations"],
                "relative residual": f"{one['residual']:.2g}",
                "a slice (s)": "not reached" if seconds is None else f"{seconds:.2g}",
                "time, hebt = 1": f"{seconds / ours:.3g}" if ours and seconds else "–",
            }
        )
    return Table.of(
        rows,
        title="Least squares without noise, to a relative residual of {tolerance:g}".format(
            **squares
        ),
        note="By the clock, in the median of rounds, with nothing below 0. Each program works on "
        "data of its own projector, so that the residual can become 0, from where it starts by "
        "default: mbirjax from a filtered backprojection. The priors of mbirjax and svmbir are "
        f"without effect. {data.load_text(results)}",
    )


def _speed(reference, time) -> str:
    return "–" if reference is None else f"{reference / time:.3g}"
