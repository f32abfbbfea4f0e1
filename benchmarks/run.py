"""Speed, memory and scaling against peers, measured side by side in one run.

    make bench                          # or: python benchmarks/run.py --slices 256
    python benchmarks/run.py --quick    # small sizes, to try it out (or HEBT_FIDELITY=quick)

Every contender works on the same tilt series. Rounds are interleaved, so that a busy machine
disturbs all of them alike; the table gives medians of the time of an iteration of one slice: of
the processor, which other programs on the machine change little, and by the clock. "x ASTRA" is
how many times less that is than for ASTRA's CPU SIRT with strip weights, which are hebt's. Where a
CUDA device can be used, hebt and ASTRA run on it in the same rounds. The results go to
data/benchmark.json, from which the book draws its page on speed; those of a run with other sizes or
fewer rounds go nowhere else than to --out. On two idle cores it takes about four minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import functools
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numba
import numpy as np
from tqdm.auto import tqdm

import hebt

# The loop in C works on the engine's own arrays, so that the two differ in nothing else.
from hebt._engine.arrays import empty, inverse
from hebt._engine.device import choose_device

sys.path.insert(0, str(Path(__file__).resolve().parent))
from record import ROOT, head, load, load_text, parsed, write

HERE = Path(__file__).resolve().parent
PACKAGES = (
    "numpy",
    "numba",
    "numba-cuda",
    "scipy",
    "scikit-image",
    "astra-toolbox",
    "dask",
    "distributed",
    "zarr",
)
COMPILE = ["-O3", "-march=native", "-ffast-math", "-shared", "-fPIC"]
TWO = "hebt.reconstruct, 2 elements"
ASTRA = "ASTRA CPU SIRT, {}"  # its projector
FIRST_CALL = """
import numpy, hebt
W = hebt.Projector([-30, 0, 30], 32)
hebt.reconstruct(W, numpy.ones((3, 4, 32)), numpy.ones((2, 3, 4, 32)), [1, 1], iterations=2)
"""

RECORD = ROOT / "data" / "benchmark.json"
# What the book's record was measured with; a run with less does not replace it.
FULL = {"size": 300, "tilts": 31, "slices": 300, "rounds": 7}
QUICK = {"size": 64, "tilts": 9, "slices": 32, "rounds": 2}


def parse(arguments=None) -> argparse.Namespace:
    """Read the command's options; `out` is None where nothing is to be written."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, help="pixels along a slice's edge")
    parser.add_argument("--tilts", type=int, help="tilts from -75 to 75 degrees")
    parser.add_argument("--slices", type=int, help="slices of each element")
    parser.add_argument("--rounds", type=int, help="repeats, of which the median counts")
    return parsed(parser, arguments, RECORD, FULL, QUICK)


def main() -> None:
    options = parse()
    cores = min(2, numba.config.NUMBA_NUM_THREADS)
    results = head(PACKAGES, {name: vars(options)[name] for name in FULL})
    with tempfile.TemporaryDirectory() as folder:
        results["first_call"] = first_call(None if options.quick else folder)
        results["compiler"], library = compile_c(folder)
        results["gpu"] = device()
        results["contenders"] = contest(options, cores, library, results["gpu"])
    results["scaling"] = scaling(options)
    results["memory"] = memory(options)
    results["workers"] = workers(options)
    results["load_after"] = load()
    print_table(results)
    write(results, options.out)


def contest(options, cores, library, gpu) -> list[dict]:
    """Times of one iteration per slice, for every contender and round."""
    angles = np.linspace(-75, 75, options.tilts)
    W = hebt.Projector(angles, options.size)
    rng = np.random.default_rng(0)
    slices = options.slices
    series = W.forward(rng.random((slices, options.size, options.size), np.float32))
    maps = np.stack([series, series[:, ::-1]])
    haadf = maps.sum(axis=0)
    one_slice = series[:, 0]

    def sirt(device, iterations, p=series):
        return hebt.sirt(W, p, iterations, device=device, progress=False)

    def of_two(device, iterations, part=slice(None)):
        data = haadf[:, part], maps[:, :, part]
        return hebt.reconstruct(
            W, *data, [1, 1], iterations=iterations, device=device, progress=False
        )

    # name, device, threads, slices worked on (those of all elements), iterations of the longer run,
    # function that runs so many iterations
    field = []
    for n in range(1, cores + 1):
        for name, run, count in ((TWO, of_two, 2 * slices), ("hebt.sirt", sirt, slices)):
            run = on_threads(n, functools.partial(run, "cpu"))
            field.append((name, "cpu", n, count, 13, run))
    lone = functools.partial(sirt, "cpu", p=one_slice)
    lone_two = functools.partial(of_two, "cpu", part=0)
    field += [
        ("the same loop in C", "cpu", 1, slices, 13, c_sirt(library, W, series)),
        ("scipy.sparse SIRT", "cpu", 1, slices, 5, scipy_sirt(W, series)),
        (f"{TWO}, one slice", "cpu", 1, 2, 13, on_threads(1, lone_two)),
        ("hebt.sirt, one slice", "cpu", 1, 1, 13, on_threads(1, lone)),
        (ASTRA.format("strip"), "cpu", 1, 1, 13, astra_sirt(angles, one_slice, "strip")),
        (ASTRA.format("linear"), "cpu", 1, 1, 13, astra_sirt(angles, one_slice, "linear")),
        ("scikit-image SART", "cpu", 1, 1, 5, skimage_sart(angles, one_slice)),
    ]
    if gpu is not None:
        field += [
            (TWO, "cuda", 1, 2 * slices, 101, functools.partial(of_two, "cuda")),
            ("hebt.sirt", "cuda", 1, slices, 101, functools.partial(sirt, "cuda")),
            ("ASTRA GPU SIRT3D", "cuda", 1, slices, 101, astra_gpu_sirt(angles, series)),
        ]
    field = [contender for contender in field if contender[-1] is not None]
    times = [
        {"name": name, "device": where, "threads": threads, "processor": [], "clock": []}
        for name, where, threads, *_ in field
    ]
    for *_, run in field:
        run(1)  # compile, load, and set up outside the measurement
    check_c(field, sirt, slices)
    for _ in tqdm(range(options.rounds), desc="rounds", mininterval=10):
        for entry, (*_, count, longer, run) in zip(times, field):
            used, passed = per_iteration(run, longer)
            entry["processor"].append(used / count)
            entry["clock"].append(passed / count)
    if gpu is not None:
        gpu |= whole_runs(of_two, 50 if not options.quick else 2)
    return times


def check_c(field, sirt, slices) -> None:
    """See to it that the loop in C does what hebt does."""
    for name, *_, run in field:
        if name.endswith("in C"):
            ours = sirt("cpu", 3).reshape(slices, -1).T
            assert np.abs(run(3)[:, :slices] - ours).max() <= 1e-4 * ours.max(), "another result"


def whole_runs(of_two, iterations) -> dict:
    """Clock seconds of whole reconstructions with the way there and back, and their difference."""
    found = {"iterations": iterations, "cpu": [], "cuda": []}
    x = {}
    for device in ("cpu", "cuda", "cuda", "cuda"):
        start = time.perf_counter()
        x[device] = of_two(device, iterations)
        found[device].append(time.perf_counter() - start)
    found["difference"] = float(np.abs(x["cuda"] - x["cpu"]).max() / x["cpu"].max())
    return found


def device() -> dict | None:
    """The CUDA device that hebt would take; None where there is none."""
    if choose_device("auto") == "cpu":
        return None
    from numba import cuda

    found = cuda.get_current_device()
    name = found.name.decode() if isinstance(found.name, bytes) else str(found.name)
    capability = ".".join(map(str, found.compute_capability))
    total = cuda.current_context().get_memory_info().total
    return {"name": name, "compute_capability": capability, "memory": int(total)}


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
    return lambda n: hebt.reconstruct(
        W, haadf, maps, ratios, iterations=n, device="cpu", progress=False
    )


def memory(options) -> list[dict]:
    """Peak memory of `reconstruct`, each time in a new process, beside its input and output."""
    cases = [(size, 64, 2) for size in (100, 200, 300)] + [(300, 64, 1), (300, 64, 4)]
    if options.quick:
        cases = [(64, 16, 2)]
    found = []
    for size, slices, elements in cases:
        new = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=new) as pool:
            case = options.tilts, size, slices, elements
            data, peak = pool.submit(memory_of_run, *case).result()
        found.append(
            dict(size=size, slices=slices, elements=elements, tilts=options.tilts)
            | {"input_and_output": data, "peak": peak}
        )
    return found


def workers(options) -> list[dict]:
    """Reconstructions in blocks into a zarr store, by one and by two workers of a cluster."""
    import dask.array as da
    from distributed import Client, LocalCluster

    size, tilts, elements, iterations, rounds = 200, options.tilts, 2, 20, 3
    if options.quick:
        size, iterations, rounds = 32, 2, 1
    W = hebt.Projector(np.linspace(-75, 75, tilts), size)
    found = {}
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        clients = {}
        for count in (1, 2):
            cluster = LocalCluster(n_workers=count, threads_per_worker=1, dashboard_address=":0")
            client = Client(stack.enter_context(cluster), set_as_default=False)
            clients[count] = stack.enter_context(client)
        for turn in tqdm(range(rounds + 1), desc="workers", mininterval=10):
            for slices in (128, 256, 512):
                maps = da.random.default_rng(0).random(
                    (elements, tilts, slices, size), dtype=np.float32, chunks=(-1, -1, 64, -1)
                )
                for count, client in clients.items():
                    out = f"{folder}/{turn} {slices} {count}.zarr"
                    used, start = sum(client.run(time.process_time).values()), time.perf_counter()
                    with client.as_current():
                        x = hebt.reconstruct(
                            W,
                            maps.sum(axis=0),
                            maps,
                            np.ones(elements),
                            iterations=iterations,
                            out=out,
                            device="cpu",
                            progress=False,
                        )
                    passed = time.perf_counter() - start
                    used = sum(client.run(time.process_time).values()) - used
                    shutil.rmtree(out)
                    case = found.setdefault(
                        (count, slices),
                        dict(size=size, tilts=tilts, slices=slices, elements=elements)
                        | dict(iterations=iterations, workers=count, blocks=len(x.chunks[1]))
                        | dict(processor=[], clock=[]),
                    )
                    case["peak"] = max(client.run(process_memory, "VmHWM").values())
                    if turn:  # in the first, workers load everything
                        case["processor"].append(used)
                        case["clock"].append(passed)
                if not turn:
                    break
    return [found[key] for key in sorted(found)]


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
    size, rounds, gpu = settings["size"], settings["rounds"], results["gpu"]
    contenders = results["contenders"]
    print(f"\n{settings['slices']} slices of {size} x {size}, {settings['tilts']} tilts")
    print(f"median of {rounds} rounds on {results['processor']}, {results['cores']} cores")
    print(", ".join(f"{p} {v}" for p, v in results["versions"].items()))
    print(f"compiler: {results['compiler']}; load before {load_text(results['load_before'])}")
    print(f"CUDA device: {gpu['name'] if gpu else 'none'}\n")
    ours = {name: [median_of(c, name) for c in contenders] for name in ("processor", "clock")}
    by = {(c["name"], c["device"], c["threads"]): i for i, c in enumerate(contenders)}
    astra = by.get((ASTRA.format("strip"), "cpu", 1))
    bare = by.get(("the same loop in C", "cpu", 1))
    heads = "threads", "processor (ms)", "x ASTRA", "x C", "clock (ms)", "x ASTRA"
    print(f"{'':40}" + "".join(f"{head:>{max(9, len(head) + 2)}}" for head in heads))
    for i in sorted(range(len(contenders)), key=lambda i: ours["clock"][i]):
        entry = contenders[i]
        used, passed = ours["processor"], ours["clock"]
        ratios = [
            times[of] / times[i] if of is not None else float("nan")
            for times, of in ((used, astra), (used, bare), (passed, astra))
        ]
        row = f"{1e3 * used[i]:16.3f}{ratios[0]:9.1f}{ratios[1]:9.2f}"
        on_gpu = entry["device"] == "cuda"
        print(
            f"{entry['name'] + (' on the GPU' if on_gpu else ''):40}{entry['threads']:9}"
            f"{' ' * len(row) if on_gpu else row}{1e3 * passed[i]:12.3f}{ratios[2]:9.1f}"
        )
    print("\nan iteration of a slice; the processor's time is that of all threads together")
    print("of hebt's rows, only hebt.sirt works on as many columns at once as C")
    if gpu:
        cpu, cuda = (statistics.median(gpu[name]) for name in ("cpu", "cuda"))
        print(
            f"{gpu['iterations']} iterations of 2 elements: {cpu:.2f} s on the processor, "
            f"{cuda:.2f} s on the GPU; largest difference {gpu['difference']:.1e}"
        )
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
            f"{median_of(case, 'processor'):.2f} s of the processor, "
            f"{median_of(case, 'clock'):.2f} s by the clock"
        )
    for name, call in results["first_call"].items():
        print(
            f"first call, {name}: {call['processor']:.2f} s of the processor, "
            f"{call['clock']:.2f} s by the clock"
        )


def median_of(entry, name) -> float:
    return statistics.median(entry[name])


def per_iteration(run, longer) -> tuple[float, float]:
    """Processor and clock seconds of one iteration: a longer run less one of one iteration."""
    found = []
    for iterations in (1, longer):
        used, passed = time.process_time(), time.perf_counter()
        run(iterations)
        found.append((time.process_time() - used, time.perf_counter() - passed))
    return tuple((long - short) / (longer - 1) for short, long in zip(*found))


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


def astra_sirt(angles, sinogram, projector):
    """ASTRA's CPU SIRT, one slice after the other; None without ASTRA.

    Its projector "strip" has the weights of hebt; "linear" has others, which take less time.
    """
    try:
        import astra
    except ImportError:
        return None
    size = sinogram.shape[1]
    volume = astra.create_vol_geom(size, size)
    geometry = astra.create_proj_geom("parallel", 1, size, np.deg2rad(angles))
    configuration = astra.astra_dict("SIRT")
    configuration["ProjectorId"] = astra.create_projector(projector, geometry, volume)
    configuration["ProjectionDataId"] = astra.data2d.create("-sino", geometry, sinogram)
    configuration["ReconstructionDataId"] = astra.data2d.create("-vol", volume)
    configuration["option"] = {"MinConstraint": 0}
    algorithm = astra.algorithm.create(configuration)
    return lambda iterations: astra.algorithm.run(algorithm, iterations)


def astra_gpu_sirt(angles, series):
    """ASTRA's GPU SIRT on all slices at once; None without ASTRA or its GPU code.

    Only to be called where a CUDA device is: ASTRA's 3D code ends the process where there is none.
    """
    try:
        import astra
    except ImportError:
        return None
    if not astra.use_cuda():
        return None
    _, slices, size = series.shape
    volume = astra.create_vol_geom(size, size, slices)
    geometry = astra.create_proj_geom("parallel3d", 1.0, 1.0, slices, size, np.deg2rad(angles))
    data = np.ascontiguousarray(series.swapaxes(0, 1))
    configuration = astra.astra_dict("SIRT3D_CUDA")
    configuration["ProjectionDataId"] = astra.data3d.create("-sino", geometry, data)
    configuration["ReconstructionDataId"] = astra.data3d.create("-vol", volume)
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
    x = hebt.reconstruct(W, haadf, maps, np.ones(elements), iterations=2, device="cpu")
    return maps.nbytes + haadf.nbytes + x.nbytes, process_memory("VmHWM") - before


def process_memory(field) -> float:
    """Bytes from /proc/self/status: VmRSS now, VmHWM at its peak; NaN where there is no such."""
    try:
        with open("/proc/self/status") as file:
            return next(1024 * int(line.split()[1]) for line in file if line.startswith(field))
    except (OSError, StopIteration):
        return float("nan")


if __name__ == "__main__":
    main()
