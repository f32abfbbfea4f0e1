"""Speed, memory and scaling against peers, measured side by side in one run.

    make bench                          # or: python benchmarks/run.py --slices 256
    python benchmarks/run.py --quick    # small sizes, to try it out; writes nothing unless --out

Every contender works on the same tilt series. Rounds are interleaved, so that a busy machine
disturbs all of them alike; the table gives medians of the time that the processor spent on an
iteration of one slice, which other programs on the machine hardly change. "x ASTRA" is how many
times less that is than for ASTRA's CPU SIRT. The results go to data/benchmark.json, from which
the book draws its page on speed.
"""

from __future__ import annotations

import argparse
import ctypes
import datetime
import json
import multiprocessing
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numba
import numpy as np
import scipy.sparse
from tqdm.auto import tqdm

import hebt
from hebt.projector import empty, inverse

HERE = Path(__file__).resolve().parent
PACKAGES = (
    "numpy", "numba", "scipy", "scikit-image", "astra-toolbox", "dask", "distributed", "zarr"
)  # fmt: skip
COMPILE = ["-O3", "-march=native", "-ffast-math", "-shared", "-fPIC"]
FIRST_CALL = """
import numpy, hebt
W = hebt.Projector([-30, 0, 30], 32)
hebt.reconstruct(W, numpy.ones((3, 4, 32)), numpy.ones((2, 3, 4, 32)), [1, 1], iterations=2)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=300, help="pixels along a slice's edge")
    parser.add_argument("--tilts", type=int, default=31, help="tilts from -75 to 75 degrees")
    parser.add_argument("--slices", type=int, default=128, help="slices in one call of hebt")
    parser.add_argument("--rounds", type=int, default=7, help="repeats, of which the median counts")
    parser.add_argument("--quick", action="store_true", help="small sizes, to try it out")
    parser.add_argument("--out", type=Path, help="results file (data/benchmark.json)")
    options = parser.parse_args()
    out = options.out or (None if options.quick else HERE.parent / "data" / "benchmark.json")
    if options.quick:
        options.size, options.tilts, options.slices, options.rounds = 64, 9, 32, 2

    cores = min(2, numba.config.NUMBA_NUM_THREADS)
    results = {
        "date": datetime.date.today().isoformat(),
        "processor": processor(),
        "cores": numba.config.NUMBA_NUM_THREADS,
        "python": platform.python_version(),
        "versions": {p: version_of(p) for p in PACKAGES},
        "load_before": load(),
        "settings": {
            "size": options.size,
            "tilts": options.tilts,
            "slices": options.slices,
            "rounds": options.rounds,
        },
    }
    with tempfile.TemporaryDirectory() as folder:
        results["first_call"] = first_call(None if options.quick else folder)
        results["compiler"], library = compile_c(folder)
        results["contenders"] = contest(options, cores, library)
    results["scaling"] = scaling(options)
    results["memory"] = memory(options)
    results["workers"] = workers(options)
    results["load_after"] = load()
    print_table(results)
    if out is not None:
        out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        print(f"\nwritten to {out}")


def contest(options, cores, library) -> list[dict]:
    """Times of one iteration per slice, for every contender and round."""
    angles = np.linspace(-75, 75, options.tilts)
    W = hebt.Projector(angles, options.size)
    rng = np.random.default_rng(0)
    volume = rng.random((options.slices, options.size, options.size), np.float32)
    series = W.forward(volume)
    del volume
    one_slice, slices = series[:, 0], options.slices
    half = series[:, : slices // 2]
    maps = np.stack([half, series[:, -half.shape[1] :]])
    haadf = maps.sum(axis=0)
    hebt_of_two = lambda n: hebt.reconstruct(  # noqa: E731
        W, haadf, maps, [1, 1], iterations=n, progress=False
    )

    # name, threads, slices worked on (those of all elements), function that runs n iterations
    field = []
    for n in range(1, cores + 1):
        sirt = on_threads(n, lambda n: hebt.sirt(W, series, n, progress=False))
        field.append(("hebt.sirt", n, slices, sirt))
        field.append(
            ("hebt.reconstruct, 2 elements", n, 2 * half.shape[1], on_threads(n, hebt_of_two))
        )
    field += [
        ("the same loop in C", 1, slices, c_sirt(library, W, series)),
        ("scipy.sparse SIRT", 1, slices, scipy_sirt(W, series)),
        ("ASTRA CPU SIRT, strip", 1, 1, astra_sirt(angles, one_slice)),
        ("scikit-image SART", 1, 1, skimage_sart(angles, one_slice)),
    ]
    field = [contender for contender in field if contender[3] is not None]
    times = [{"name": f[0], "threads": f[1], "processor": [], "clock": []} for f in field]
    for _, _, _, run in field:
        run(1)  # compile, load, and set up outside the measurement
    for _ in tqdm(range(options.rounds), desc="rounds", mininterval=10):
        for entry, (_, _, count, run) in zip(times, field):
            used, passed = per_iteration(run)
            entry["processor"].append(used / count)
            entry["clock"].append(passed / count)
    return times


def scaling(options) -> dict:
    """Processor time of `reconstruct` on one thread, as one quantity grows and the rest stay."""
    base = dict(size=128, tilts=31, slices=64, elements=2, iterations=10)
    grow = {
        "slices": (32, 64, 128, 256),
        "elements": (1, 2, 4, 8),
        "tilts": (16, 31, 62, 124),
        "iterations": (5, 10, 20, 40),
        "size": (64, 128, 192, 256),
    }
    if options.quick:
        base |= dict(size=32, slices=16, tilts=5, iterations=2)
        grow = {"slices": (8, 16), "iterations": (2, 4)}
    curves = {}
    for name, values in tqdm(grow.items(), desc="scaling", mininterval=10):
        runs = []
        for value in values:
            case = base | {name: value}
            runs.append(on_threads(1, hebt_run(**case)))
        seconds = [[] for _ in runs]
        for run in runs:
            run(1)
        for _ in range(3 if not options.quick else 1):
            for times, run, value in zip(seconds, runs, values):
                start = time.process_time()
                run(value if name == "iterations" else base["iterations"])
                times.append(time.process_time() - start)
        curves[name] = {"values": values, "processor": seconds}
    return {"base": base, "curves": curves}


def hebt_run(size, tilts, slices, elements, iterations):
    W = hebt.Projector(np.linspace(-75, 75, tilts), size)
    maps = np.random.default_rng(0).random((elements, tilts, slices, size), np.float32)
    haadf = maps.sum(axis=0)
    ratios = np.ones(elements)
    return lambda n: hebt.reconstruct(W, haadf, maps, ratios, iterations=n, progress=False)


def memory(options) -> list[dict]:
    """Peak memory of `reconstruct`, each time in a new process, beside its input and output."""
    cases = [(size, 64, 2) for size in (100, 200, 300)] + [(300, 64, 1), (300, 64, 4)]
    if options.quick:
        cases = [(64, 16, 2)]
    found = []
    for size, slices, elements in cases:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            data, peak = pool.apply(memory_of_run, (options.tilts, size, slices, elements))
        found.append(
            dict(size=size, slices=slices, elements=elements, tilts=options.tilts)
            | {"input_and_output": data, "peak": peak}
        )
    return found


def workers(options) -> list[dict]:
    """Reconstructions in blocks into a zarr store, by one and by two workers of a cluster."""
    import dask.array as da
    from distributed import Client, LocalCluster

    size, tilts, elements, iterations = 200, options.tilts, 2, 20
    if options.quick:
        size, iterations = 32, 2
    W = hebt.Projector(np.linspace(-75, 75, tilts), size)
    found = []
    for count in (1, 2):
        with (
            tempfile.TemporaryDirectory() as folder,
            LocalCluster(count, threads_per_worker=1, dashboard_address=None) as cluster,
            Client(cluster) as client,
        ):
            for warm, slices in enumerate((512, 128, 256, 512)):  # the first loads everything
                maps = da.random.default_rng(0).random(
                    (elements, tilts, slices, size), dtype=np.float32, chunks=(-1, -1, 64, -1)
                )
                used, start = sum(client.run(time.process_time).values()), time.perf_counter()
                x = hebt.reconstruct(
                    W,
                    maps.sum(axis=0),
                    maps,
                    np.ones(elements),
                    iterations=iterations,
                    out=f"{folder}/{warm}.zarr",
                    progress=False,
                )
                passed = time.perf_counter() - start
                used = sum(client.run(time.process_time).values()) - used
                if not warm:
                    continue
                found.append(
                    dict(size=size, tilts=tilts, slices=slices, elements=elements)
                    | dict(iterations=iterations, workers=count, blocks=len(x.chunks[1]))
                    | dict(processor=used, clock=passed)
                    | dict(peak=max(client.run(process_memory, "VmHWM").values()))
                )
    return found


def first_call(folder) -> dict:
    """Seconds of a new process with a small reconstruction, without and with compiled code.

    Compiled code is kept in `folder`; if None, in its usual place, where it may be already.
    """
    environment = dict(os.environ)
    if folder is not None:
        environment |= {"NUMBA_CACHE_DIR": folder, "PYTHONPYCACHEPREFIX": folder}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), *sys.path])
    found = {}
    for name in ("compiling", "compiled", "compiled again")[folder is None :]:
        before, start = os.times(), time.perf_counter()
        subprocess.run([sys.executable, "-c", FIRST_CALL], env=environment, check=True)
        after = os.times()
        used = sum(after[2:4]) - sum(before[2:4])
        found[name] = {"processor": used, "clock": time.perf_counter() - start}
    return found


def print_table(results) -> None:
    settings = results["settings"]
    size, rounds = settings["size"], settings["rounds"]
    contenders = results["contenders"]
    medians = [statistics.median(c["processor"]) for c in contenders]
    astra = next((m for c, m in zip(contenders, medians) if c["name"].startswith("ASTRA")), None)
    bare = next((m for c, m in zip(contenders, medians) if c["name"].endswith("in C")), None)
    print(f"\n{settings['slices']} slices of {size} x {size}, {settings['tilts']} tilts")
    print(f"median of {rounds} rounds on {results['processor']}, {results['cores']} cores")
    print(", ".join(f"{p} {v}" for p, v in results["versions"].items()))
    print(f"compiler: {results['compiler']}; load before {load_text(results['load_before'])}\n")
    heads = ("threads", "ms/slice", "x ASTRA", "x C", "ms clock")
    print(f"{'':34}" + "".join(f"{head:>10}" for head in heads))
    for median, entry in sorted(zip(medians, contenders), key=lambda pair: pair[0]):
        ratios = "".join(f"{ref / median:10.2f}" if ref else f"{'-':>10}" for ref in (astra, bare))
        clock = 1e3 * statistics.median(entry["clock"])
        print(f"{entry['name']:34}{entry['threads']:10}{1e3 * median:10.3f}{ratios}{clock:10.3f}")
    print("\nms/slice: processor time of all threads together; ms clock: what passed meanwhile")
    for name, curve in results["scaling"]["curves"].items():
        seconds = [statistics.median(s) for s in curve["processor"]]
        pairs = ", ".join(f"{v}: {1e3 * s:.0f} ms" for v, s in zip(curve["values"], seconds))
        print(f"against {name}: {pairs}")
    for case in results["memory"]:
        ratio = case["peak"] / case["input_and_output"]
        print(
            f"peak memory, {case['elements']} elements, size {case['size']}: {ratio:.2f} times "
            "input and output"
        )
    for case in results["workers"]:
        print(
            f"{case['workers']} workers, {case['slices']} slices of {case['size']}: "
            f"{case['processor']:.2f} s of the processor, {case['clock']:.2f} s by the clock"
        )
    for name, call in results["first_call"].items():
        print(f"first call, {name}: {call['processor']:.2f} s of the processor")


def per_iteration(run) -> tuple[float, float]:
    """Processor and clock seconds of one iteration: a longer run less a shorter one."""
    found = []
    for iterations in (1, 13):
        used, passed = time.process_time(), time.perf_counter()
        run(iterations)
        found.append((time.process_time() - used, time.perf_counter() - passed))
    return tuple((long - short) / 12 for short, long in zip(*found))


def on_threads(count, run):
    def limited(iterations):
        before = numba.get_num_threads()
        numba.set_num_threads(count)
        try:
            return run(iterations)
        finally:
            numba.set_num_threads(before)

    return limited


def compile_c(folder):
    """Compile sirt.c with the system's compiler, and return its name and the library, or None."""
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        return "none", None
    target = Path(folder) / "sirt.so"
    # GCC prefers half of a vector of 512 bits where it has the choice
    for wide in (["-mprefer-vector-width=512"], []):
        command = [compiler, *COMPILE, *wide, str(HERE / "sirt.c"), "-o", str(target), "-lm"]
        if subprocess.run(command, capture_output=True).returncode == 0:
            said = subprocess.run([compiler, "--version"], capture_output=True, text=True).stdout
            return f"{said.splitlines()[0]}, {' '.join([*COMPILE[:3], *wide])}", ctypes.CDLL(target)
    return "none that compiles sirt.c", None


def c_sirt(library, W, series):
    """SIRT with hebt's loop in C, on the same aligned arrays; None without a compiler."""
    if library is None:
        return None
    tilts, slices, size = series.shape
    data = empty(tilts, size, slices)
    data[:, :, :slices] = series.swapaxes(1, 2)
    columns = data.shape[2]
    rows, sums = inverse(W.row_sums), inverse(W.column_sums)
    angles = np.deg2rad(W.angles)
    cosines, sines = np.cos(angles), np.sin(angles)
    pointers = [ctypes.c_void_p(a.ctypes.data) for a in (data, rows, sums, cosines, sines)]

    def run(iterations):
        x, wx = empty(size * size, columns), empty(tilts, size, columns)
        x[:], wx[:] = 0, 0
        library.sirt(
            ctypes.c_void_p(x.ctypes.data),
            ctypes.c_void_p(wx.ctypes.data),
            *pointers,
            ctypes.c_int(tilts),
            ctypes.c_int(size),
            ctypes.c_long(columns),
            ctypes.c_int(iterations),
        )
        return x

    run.keep = data, rows, sums, cosines, sines
    return run


def scipy_sirt(W, series):
    """The same iteration with a sparse matrix held in memory, on all slices at once."""
    matrix = W.matrix()
    transposed = matrix.T.tocsr()
    rows, columns = inverse(W.row_sums).reshape(-1, 1), inverse(W.column_sums).reshape(-1, 1)
    data = np.ascontiguousarray(np.moveaxis(series, 1, 2)).reshape(matrix.shape[0], -1)

    def run(iterations):
        x = np.zeros((matrix.shape[1], data.shape[1]), np.float32)
        for _ in range(iterations):
            x = np.maximum(0, x + columns * (transposed @ (rows * (data - matrix @ x))))

    return run


def astra_sirt(angles, sinogram):
    """ASTRA's CPU SIRT with the same weights, one slice after the other; None without ASTRA."""
    try:
        import astra
    except ImportError:
        return None
    size = sinogram.shape[1]
    volume = astra.create_vol_geom(size, size)
    geometry = astra.create_proj_geom("parallel", 1, size, np.deg2rad(angles))
    configuration = astra.astra_dict("SIRT")
    configuration["ProjectorId"] = astra.create_projector("strip", geometry, volume)
    configuration["ProjectionDataId"] = astra.data2d.create("-sino", geometry, sinogram)
    configuration["ReconstructionDataId"] = astra.data2d.create("-vol", volume)
    configuration["option"] = {"MinConstraint": 0}
    algorithm = astra.algorithm.create(configuration)
    return lambda iterations: astra.algorithm.run(algorithm, iterations)


def skimage_sart(angles, sinogram):
    from skimage.transform import iradon_sart

    columns = np.ascontiguousarray(sinogram.T, np.float64)

    def run(iterations):
        image = None
        for _ in range(iterations):
            image = iradon_sart(columns, theta=np.asarray(angles, float), image=image)

    return run


def memory_of_run(tilts, size, slices, elements) -> tuple[int, float]:
    """Bytes of input and output, and the peak beyond what was there before; Linux only."""
    hebt_run(16, tilts, 4, elements, 1)(1)  # load everything
    W = hebt.Projector(np.linspace(-75, 75, tilts), size)
    before = process_memory("VmRSS")
    maps = np.ones((elements, tilts, slices, size), np.float32)
    haadf = np.ones((tilts, slices, size), np.float32)
    x = hebt.reconstruct(W, haadf, maps, np.ones(elements), iterations=2)
    return maps.nbytes + haadf.nbytes + x.nbytes, process_memory("VmHWM") - before


def process_memory(field) -> float:
    """Bytes from /proc/self/status: VmRSS now, VmHWM at its peak; NaN where there is no such."""
    try:
        with open("/proc/self/status") as file:
            return next(1024 * int(line.split()[1]) for line in file if line.startswith(field))
    except (OSError, StopIteration):
        return float("nan")


def load() -> float | None:
    """How many programs wanted the processor in the last minute; None where nobody counts."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def load_text(value) -> str:
    return "unknown" if value is None else f"{value:.1f}"


def processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":")[1].strip() for line in file if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def version_of(package) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


if __name__ == "__main__":
    main()
