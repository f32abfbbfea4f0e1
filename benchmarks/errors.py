"""Time to a given error, per method and peer, in one run.

    make bench                             # this after run.py
    python benchmarks/errors.py --quick    # small sizes, to try it out
    python benchmarks/errors.py --search   # the peers' best settings first (half an hour)

Each contender reconstructs the paper's phantom from the same tilt series, whose slices differ by
their counting noise alone, and is followed over its iterations: how far it is from the truth
(scaled mean-squared error of both elements), and how long the call takes that stops there. Who
works on one slice after the other gets fewer slices. Peers have the settings with which their error
is smallest, which knows the truth: `--search` finds them. Beside that: how long plain least squares
without noise takes to a relative residual of 0.001.

The results go to data/benchmark_errors.json, from which the book draws its page on speed; those of
smaller runs go nowhere else than to --out. What is not installed is left out: mbirjax and svmbir
come with `pip install -r benchmarks/peers.txt`. Two idle cores take about ten minutes.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numba
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book"))
import contenders as field
import fused_multimodal
import peers
from record import ROOT, head, load, parsed, version_of, write

import hebt

RECORD = ROOT / "data" / "benchmark_errors.json"
FULL = {"size": 300, "tilts": 31, "slices": 300, "rounds": 3}
QUICK = {"size": 48, "tilts": 9, "slices": 4, "rounds": 1}
PACKAGES = ("numpy", "numba", "scipy", "astra-toolbox", "mbirjax", "jax", "svmbir")
JUDGED = 2  # slices whose error counts
SLICES = 2  # for mbirjax and svmbir
ENOUGH = 30  # seconds after which no contender starts another round
FEW = tuple(range(1, 11)) + tuple(range(12, 25, 2))
MANY = FEW + tuple(range(30, 101, 10)) + (150, 200)
TOLERANCE = 1e-3
ALPHA = 0.7
# of composition EM, relative to the frame: about a hundred X-rays of gold under it
KERNEL = 4 / 512
STRENGTH = 500  # of guided TV


def parse(arguments=None) -> argparse.Namespace:
    """Read the command's options; `out` is None where nothing is to be written."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value in FULL.items():
        parser.add_argument(f"--{name}", type=int, help=f"{value} in the record")
    parser.add_argument("--search", action="store_true", help="search the peers' settings first")
    return parsed(parser, arguments, RECORD, FULL, QUICK)


def main() -> None:
    options = parse()
    searched = json.loads(RECORD.read_text(encoding="utf-8"))["searched"] if RECORD.exists() else {}
    results = head(PACKAGES, {name: vars(options)[name] for name in FULL} | {"judged": JUDGED})
    W = hebt.Projector(np.linspace(-75, 75, options.tilts), options.size)
    results["geometry"] = geometry(W)
    if options.search:
        searched |= search(options)
    results["searched"] = searched
    series = field.phantom_series(options.size, options.slices, options.tilts)
    results["contenders"] = [
        followed(contender, series, options) for contender in entrants(options, searched)
    ]
    part = None if options.out is None else options.out.with_suffix(".part.json")
    write(results, part)  # a peer may end this program
    results["least_squares"] = least_squares(W, options)
    results["load_after"] = load()
    print_table(results)
    write(results, options.out)
    if part is not None:
        part.unlink()


def geometry(W: hebt.Projector) -> dict[str, float]:
    """Return how far the peers' projections are from hebt's; an error if axes are others."""
    images = peers.least_squares_images(W.size, 2)
    found = {}
    if peers.mbirjax_is_here():
        found["mbirjax"] = peers.projects_alike(W, images, peers.mbirjax_project)
    if peers.svmbir_is_here():
        found["svmbir"] = peers.projects_alike(W, images, peers.svmbir_project)
    return found


def entrants(options: argparse.Namespace, searched: dict) -> Iterator[field.Contender]:
    """Yield the contenders that are installed, and of whose settings a search has told."""
    few = FEW if not options.quick else FEW[:4]
    many = MANY if not options.quick else FEW[:4]
    yield from of_hebt(options, few, many)
    smooth = "maps smoothed as in the paper"
    if version_of("astra-toolbox") != "not installed":
        for projector in ("strip", "linear"):
            yield field.Contender(
                f"ASTRA CPU SIRT, {projector}",
                "astra-toolbox",
                f"EDS alone; {smooth}",
                1,
                JUDGED,
                few,
                field.astra_trace(projector),
            )
        yield field.Contender(
            "HEBT with ASTRA, strip",
            "astra-toolbox",
            f"Eq. 11, alpha {ALPHA}; {smooth}",
            1,
            JUDGED,
            tuple(n for n in many if n <= 80),
            field.astra_hebt_trace,
        )
    yield field.Contender(
        "scipy.sparse SIRT",
        "scipy",
        f"EDS alone; {smooth}; the matrix is there",
        1,
        16,
        few,
        field.scipy_trace,
    )
    yield from of_peers(options, searched)


def of_hebt(options, few, many) -> Iterator[field.Contender]:
    """Yield hebt's methods."""
    cores, size = numba.config.NUMBA_NUM_THREADS, options.size
    smooth = "maps smoothed as in the paper"

    def fused(series):
        return hebt.Fused(variance=series.variance)

    def contender(name, setting, steps, trace, slices=None):
        return field.Contender(name, "hebt", setting, cores, slices, steps, trace)

    bimodal = f"alpha {ALPHA}; {smooth}"
    yield contender("hebt.sirt", f"EDS alone; {smooth}", few, field.by_callback(field.sirt))
    yield contender("HEBT", bimodal, many, field.reconstruct(alpha=ALPHA))
    if field.can_accelerate():
        trace = field.reconstruct(alpha=ALPHA, accelerate=True)
        yield contender("HEBT, accelerated", bimodal, few, trace)
    steps = tuple(n for n in few if n <= 20)
    yield contender(
        "fused", f"{smooth}, with their variance", steps, field.reconstruct(method=fused)
    )
    kernel = (0, KERNEL * size)
    method = hebt.CompositionEM(kernel=kernel)
    steps = (*few[:10], 15, 20, 30, 40, 50) if not options.quick else few
    setting = f"raw counts; Gaussian of {kernel[1]:.2g} pixels, hard sum"
    yield contender("composition EM", setting, steps, field.reconstruct("counts", method=method))
    if hasattr(hebt, "GuidedTV"):
        strength = STRENGTH
        method = hebt.GuidedTV(strength)
        steps = (25, 50, 100, 150, 200, 250, 300) if not options.quick else few
        setting = f"raw counts; strength {strength:g}"
        yield contender("guided TV", setting, steps, field.reconstruct("counts", method=method), 16)


def of_peers(options, searched) -> Iterator[field.Contender]:
    """Yield the peers with the settings that were searched for them."""
    cores = numba.config.NUMBA_NUM_THREADS
    found = searched.get("fused multi-modal")
    if found:
        steps = (5, *range(20, found["iterations"] + 1, 20)) if not options.quick else (1, 2)
        parameters = fused_multimodal.Parameters(**found["parameters"])
        yield field.Contender(
            "fused multi-modal, restated",
            "hebt",
            peer_text(found),
            cores,
            4,
            steps,
            field.restated(parameters),
        )
    steps = (1, 2, 4, 7, 10) if not options.quick else (1, 2)
    found = searched.get("mbirjax")
    if found and peers.mbirjax_is_here():
        call = peers.mbirjax_call(tuple(found["sharpness"]), found["weighted"])
        yield field.Contender(
            "mbirjax", "mbirjax", peer_text(found), cores, SLICES, steps, field.by_calls(call)
        )
    steps = (1, 3, 6, 10, 15, 20, 30) if not options.quick else (1, 2)
    found = searched.get("svmbir")
    if found and peers.svmbir_is_here():
        call = peers.svmbir_call(tuple(found["sharpness"]), found["weighted"])
        yield field.Contender(
            "svmbir", "svmbir", peer_text(found), cores, SLICES, steps, field.by_calls(call)
        )


def peer_text(found: dict) -> str:
    """Return a peer's settings in words."""
    if "parameters" in found:
        told = ", ".join(f"{name} {value:.3g}" for name, value in found["parameters"].items())
        return f"raw counts; {told}"
    each = " and ".join(f"{value:g}" for value in found["sharpness"])
    data = "raw counts, weighted" if found["weighted"] else "maps smoothed as in the paper"
    note = f" ({found['note']})" if "note" in found else ""
    return f"EDS alone; {data}; sharpness {each}{note}, slices apart"


def followed(contender: field.Contender, series: field.Series, options) -> dict:
    """Return a contender's errors and times at its steps, the times of each round."""
    own = series if contender.slices is None else series.first(min(contender.slices, series.slices))

    def judge(x):
        return [
            float(np.mean([hebt.metrics.scaled_mse(truth, image) for image in images[:JUDGED]]))
            for truth, images in zip(series.truth, x)
        ]

    print(f"{contender.name} ...", end=" ", flush=True)
    # compile, load and set up what stays
    contender.trace(own.first(min(2, own.slices)), contender.steps[:1], judge)
    if contender.program in ("mbirjax", "svmbir"):
        contender.trace(own, (min(7, contender.steps[-1]),), judge)
    points = contender.trace(own, contender.steps, judge)
    seconds = [[point.seconds for point in points]]
    while len(seconds) < options.rounds and sum(map(max, seconds)) < ENOUGH:
        again = contender.trace(own, contender.steps, lambda x: None)
        seconds.append([point.seconds for point in again])
    print(f"{max(seconds[0]):.1f} s for {own.slices} slices, {len(seconds)} rounds", flush=True)
    return {
        "name": contender.name,
        "program": contender.program,
        "setting": contender.setting,
        "threads": contender.threads,
        "slices": own.slices,
        "iterations": list(contender.steps),
        "errors": [point.errors for point in points],
        "seconds": seconds,
    }


def least_squares(W: hebt.Projector, options) -> dict:
    """Return how long least squares without noise takes, each on data of its own projector."""
    rows = []
    most, steps = (10, (2,)) if options.quick else (400, (10, 20, 40, 80))

    def add(name, images, run):
        found = [run(images) for _ in range(options.rounds)]
        rows.append(
            {"name": name, "setting": "nothing below 0", "slices": len(images)}
            | {"seconds": [one["seconds"] for one in found]}
            | {name: found[0][name] for name in ("iterations", "residual")}
        )
        print(rows[-1], flush=True)

    images = peers.least_squares_images(W.size, 2 if options.quick else SLICES)
    if field.can_accelerate():
        peers.hebt_least_squares(W, images, TOLERANCE, 2)  # loads what it needs
        run = functools.partial(peers.hebt_least_squares, W, tolerance=TOLERANCE, most=most)
        more = peers.least_squares_images(W.size, 2 if options.quick else 64)
        add("hebt.sirt, accelerated", more, run)
        add("hebt.sirt, accelerated, few slices", images, run)
    if peers.mbirjax_is_here():
        stop = peers.mbirjax_stop(W, images, TOLERANCE, min(most, 40))
        add("mbirjax", images, functools.partial(peers.mbirjax_least_squares, W, iterations=stop))
    if peers.svmbir_is_here():
        stop = peers.svmbir_stop(W, images, TOLERANCE, steps)
        add("svmbir", images, functools.partial(peers.svmbir_least_squares, W, iterations=stop))
    return {"tolerance": TOLERANCE, "rows": rows}


def search(options: argparse.Namespace) -> dict:
    """Return the settings of each peer with the smallest error on the first slices."""
    series = field.phantom_series(options.size, JUDGED, options.tilts)
    found = {"fused multi-modal": search_restated(options, series)}
    print("fused multi-modal:", found["fused multi-modal"], flush=True)
    sharpness, last = (-4, -3, -2, -1), 1 if options.quick else 10
    grids = {
        "svmbir": (peers.svmbir_is_here(), peers.svmbir_call, sharpness, 3 * last),
        "mbirjax": (peers.mbirjax_is_here(), peers.mbirjax_call, sharpness, last),
    }
    for name, (here, call, sharpness, iterations) in grids.items():
        if here:
            found[name] = search_sharpness(series, call, sharpness, iterations)
            print(f"{name}:", found[name], flush=True)
    return found


def search_sharpness(series, call, sharpness, iterations, weightings=(False, True)) -> dict:
    """Return the best sharpness of each element, for weighted counts or for smoothed maps."""
    tried = []
    for weighted in weightings:
        for value in sharpness:
            x = call((value,) * len(series.truth), weighted)(series, iterations)
            errors = [
                float(np.mean([hebt.metrics.scaled_mse(truth, image) for image in images]))
                for truth, images in zip(series.truth, x)
            ]
            tried.append({"weighted": weighted, "sharpness": value, "errors": errors})
            print(tried[-1], flush=True)
    best = []
    for weighted in weightings:
        own = [one for one in tried if one["weighted"] == weighted]
        each = [min(own, key=lambda one: one["errors"][e]) for e in range(len(series.truth))]
        error = float(np.mean([one["errors"][e] for e, one in enumerate(each)]))
        best.append((error, weighted, [one["sharpness"] for one in each]))
    error, weighted, each = min(best)
    return {"weighted": weighted, "sharpness": each, "error": error, "tried": tried}


def search_restated(options, series: field.Series, grid=None, iterations: int = 200) -> dict:
    """Return the parameters and the stop of the restated model with the smallest error."""
    grid = grid or fused_multimodal.grid(
        gamma=[1, 1.6], link=[1, 1.6], haadf=[1, 2], chemistry=[0.15, 0.3], tv=[0.006, 0.012, 0.024]
    )
    runs = len(grid.tv)
    errors = {}

    def look(iteration, u):
        if iteration % 20 == 0 or options.quick:
            errors[iteration] = [
                [hebt.metrics.scaled_mse(t, image) for t, image in zip(series.truth, u[:, s])]
                for s in range(runs)
            ]

    haadf = np.repeat(series.haadf[:, :1], runs, axis=1)
    counts = np.repeat(series.counts[:, :, :1], runs, axis=2)
    iterations = iterations if not options.quick else 2
    fused_multimodal.reconstruct(
        series.W,
        haadf,
        counts,
        field.NUMBERS,
        grid,
        iterations,
        look,
        chemistry_iterations=100 if not options.quick else 2,
    )
    means = {n: np.nan_to_num(np.mean(e, axis=1), nan=np.inf) for n, e in errors.items()}
    stop = min(means, key=lambda n: means[n].min())
    place = int(means[stop].argmin())
    return {
        "parameters": vars(fused_multimodal.picked(grid, place)),
        "iterations": stop,
        "error": float(means[stop][place]),
        "grid": {name: sorted({float(v) for v in values}) for name, values in vars(grid).items()},
    }


def print_table(results: dict) -> None:
    print(f"\n{'':30}{'slices':>7}{'best at':>9}{'error':>9}{'s for 300 slices':>18}")
    for row in results["contenders"]:
        means = np.mean(row["errors"], axis=1)
        best = int(means.argmin())
        whole = np.median(row["seconds"], axis=0)[best] * 300 / row["slices"]
        told = f"{row['iterations'][best]:9}{means[best]:9.4f}{whole:18.1f}"
        print(f"{row['name']:30}{row['slices']:7}{told}")
    print(f"\nleast squares to a relative residual of {results['least_squares']['tolerance']:g}")
    for row in results["least_squares"]["rows"]:
        each = np.median(row["seconds"]) / row["slices"]
        print(f"{row['name']:30}{each:9.3f} s a slice, {row['iterations']} iterations")


if __name__ == "__main__":
    main()
