"""Time of one SIRT iteration against peers, measured side by side in one run.

    make bench                                   # or: python benchmarks/run.py --slices 256

Every contender works on the same tilt series. Rounds are interleaved, so that a busy machine
disturbs all of them alike; the table gives medians. "per slice" is the time of one iteration of
one slice; "x ASTRA" how many times faster than ASTRA's CPU SIRT that is. For two threads the last
column gives the speed-up over one.
"""

from __future__ import annotations

import argparse
import multiprocessing
import platform
import statistics
import time
from importlib.metadata import version

import numba
import numpy as np
import scipy.sparse
from tqdm.auto import tqdm

import hebt
from hebt.projector import inverse


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=300, help="pixels along a slice's edge")
    parser.add_argument("--tilts", type=int, default=31, help="tilts from -75 to 75 degrees")
    parser.add_argument("--slices", type=int, default=128, help="slices in one call of hebt")
    parser.add_argument("--rounds", type=int, default=7, help="repeats, of which the median counts")
    options = parser.parse_args()

    angles = np.linspace(-75, 75, options.tilts)
    W = hebt.Projector(angles, options.size)
    rng = np.random.default_rng(0)
    volume = rng.random((options.slices, options.size, options.size), np.float32)
    series = W.forward(volume)
    del volume
    one_slice = series[:, 0]

    cores = min(2, numba.config.NUMBA_NUM_THREADS)
    # name -> (function that runs n iterations, slices that it works on)
    contenders = {
        f"hebt.sirt, {n} thread{'s' * (n > 1)}": (on_threads(n, hebt.sirt, W, series), options.slices)
        for n in range(1, cores + 1)
    }
    contenders["scipy.sparse SIRT, 1 thread"] = scipy_sirt(W, series), options.slices
    contenders["ASTRA CPU SIRT, strip, 1 thread"] = astra_sirt(angles, one_slice), 1
    contenders["scikit-image SART, 1 thread"] = skimage_sart(angles, one_slice), 1

    with multiprocessing.get_context("spawn").Pool(1) as pool:
        memory = pool.apply(memory_of_sirt, (angles, options.size, options.slices))
    times = {name: [] for name in contenders if contenders[name][0]}
    for name in times:
        contenders[name][0](1)  # compile, load, and set up outside the measurement
    for _ in tqdm(range(options.rounds), desc="rounds"):
        for name in times:
            times[name].append(per_iteration(contenders[name][0]) / contenders[name][1])

    medians = {name: statistics.median(values) for name, values in times.items()}
    astra = medians.get("ASTRA CPU SIRT, strip, 1 thread")
    single = medians["hebt.sirt, 1 thread"]
    print(f"\n{options.slices} slices of {options.size} x {options.size}, {options.tilts} tilts, ")
    print(f"median of {options.rounds} rounds on {processor()}, {numba.config.NUMBA_NUM_THREADS} cores")
    packages = ("numpy", "numba", "scipy", "scikit-image", "astra-toolbox")
    print(", ".join(f"{p} {version_of(p)}" for p in packages) + "\n")
    print(f"{'':34}{'ms per slice':>14}{'x ASTRA':>10}{'x 1 thread':>12}")
    for name, seconds in sorted(medians.items(), key=lambda item: item[1]):
        ratio = f"{astra / seconds:10.1f}" if astra else f"{'-':>10}"
        speedup = f"{single / seconds:12.2f}" if name.startswith("hebt") else ""
        print(f"{name:34}{1e3 * seconds:14.3f}{ratio}{speedup}")
    print(f"\npeak memory of hebt.sirt: {memory:.2f} times its volume and projections")


def per_iteration(run) -> float:
    """Seconds of one iteration: the difference of a longer and a shorter run, without set-up."""
    seconds = []
    for iterations in (1, 13):
        start = time.perf_counter()
        run(iterations)
        seconds.append(time.perf_counter() - start)
    return (seconds[1] - seconds[0]) / 12


def on_threads(count, sirt, W, series):
    def run(iterations):
        before = numba.get_num_threads()
        numba.set_num_threads(count)
        try:
            return sirt(W, series, iterations, progress=False)
        finally:
            numba.set_num_threads(before)

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


def memory_of_sirt(angles, size, slices) -> float:
    """Peak memory of a run in a new process, in units of its volume and projections; Linux only."""
    hebt.sirt(hebt.Projector(angles, 16), np.ones((len(angles), 16)), 1)  # load everything
    W = hebt.Projector(angles, size)
    before = process_memory("VmRSS")
    series = np.ones((len(angles), slices, size), np.float32)
    volume = hebt.sirt(W, series, 2)
    return (process_memory("VmHWM") - before) / (series.nbytes + volume.nbytes)


def process_memory(field) -> float:
    """Bytes from /proc/self/status: VmRSS now, VmHWM at its peak; NaN where there is no such."""
    try:
        with open("/proc/self/status") as file:
            return next(1024 * int(line.split()[1]) for line in file if line.startswith(field))
    except (OSError, StopIteration):
        return float("nan")


def processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":")[1].strip() for line in file if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def version_of(package) -> str:
    try:
        return version(package)
    except ImportError:
        return "not installed"


if __name__ == "__main__":
    main()
