"""Dask arrays, clusters, and runs that are killed."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import hebt
from hebt import _blocks as large
from hebt._blocks import block_sizes

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
zarr = pytest.importorskip("zarr")

SIZE, SLICES = 16, 11
RATIOS = [3.0, 0.7]
OPTIONS = dict(ratios=RATIOS, alpha=0.6, iterations=6)
W = hebt.Projector(np.arange(-60, 61, 20.0), SIZE)
W_HAADF = hebt.Projector(np.arange(-70, 71, 10.0), SIZE)


@pytest.fixture(autouse=True)
def thin_blocks(monkeypatch):
    """Let these small volumes have several blocks."""
    monkeypatch.setattr(large, "_COLUMNS", 4)


def scene(two=False):
    rng = np.random.default_rng(1)
    x = rng.random((2, SLICES, SIZE, SIZE)) > 0.6
    maps = np.moveaxis(W.forward(x), 1, 0)
    haadf = (W_HAADF if two else W).forward(x.sum(axis=0))
    return haadf, maps / np.array(RATIOS, np.float32)[:, None, None, None]


def lazy(haadf, maps, thickness=3):
    return da.from_array(haadf, chunks=(4, thickness, 8)), da.from_array(maps, chunks=(1, 3, 5, -1))


@pytest.mark.parametrize("two", [False, True])
@pytest.mark.parametrize("mask_axes", [0, 2, 3])
def test_dask_arrays_give_a_lazy_array_with_the_same_values(two, mask_axes):
    haadf, maps = scene(two)
    rng = np.random.default_rng(4)
    mask = None if not mask_axes else rng.random((SLICES, SIZE, SIZE)[-mask_axes:]) > 0.2
    start = None if not mask_axes else rng.random((2, SLICES, SIZE, SIZE), np.float32)
    options = dict(OPTIONS, mask=mask, haadf_projector=W_HAADF if two else None)
    x = hebt.reconstruct(W, *lazy(haadf, maps), x0=start, **options)
    assert isinstance(x, da.Array) and x.shape == (2, SLICES, SIZE, SIZE)
    assert x.chunks == ((2,), (3, 3, 3, 2), (SIZE,), (SIZE,)) and x.dtype == np.float32
    expected = hebt.reconstruct(W, haadf, maps, x0=start, **options)
    np.testing.assert_allclose(x.compute(), expected, atol=1e-5 * expected.max())
    one = x[:, 4].compute(scheduler="synchronous")
    np.testing.assert_allclose(one, expected[:, 4], atol=1e-5 * expected.max())


def test_only_the_blocks_that_are_asked_for_are_worked_out():
    haadf, maps = scene()
    read = []

    def block(block_info=None):
        first, last = block_info[None]["array-location"][1]
        read.append((first, last))
        return haadf[:, first:last]

    images = da.map_blocks(block, chunks=((7,), (3, 3, 3, 2), (SIZE,)), dtype=np.float32)
    x = hebt.reconstruct(W, images, maps, **OPTIONS)
    assert not read
    x[:, 3:5].compute(scheduler="synchronous")
    assert read == [(3, 6)]


def test_blocks_are_thick_enough_to_be_fast_and_thin_enough_for_memory(monkeypatch):
    monkeypatch.setattr(large, "_COLUMNS", 128)
    assert block_sizes(1, 300, 2, 300) == (64,) * 4 + (44,)
    assert block_sizes(40, 300, 2, 300) == (80, 80, 80, 60)
    assert block_sizes(100, 300, 2, 300) == (100,) * 3
    assert max(block_sizes(1000, 1000, 10, 1000)) == 13
    assert block_sizes(5, 3, 2, 16) == (3,)


def test_out_is_a_zarr_array_written_block_by_block(tmp_path):
    haadf, maps = scene()
    out = tmp_path / "x.zarr"
    expected = hebt.reconstruct(W, *lazy(haadf, maps), **OPTIONS).compute()
    x = hebt.reconstruct(W, *lazy(haadf, maps), **OPTIONS, out=out)
    assert isinstance(x, da.Array)
    np.testing.assert_array_equal(x.compute(), expected)
    np.testing.assert_array_equal(zarr.open_group(out, mode="r")["x"][:], expected)
    assert zarr.open_group(out, mode="r")["x"].chunks == (1, 3, SIZE, SIZE)
    plain = hebt.reconstruct(W, haadf, maps, **OPTIONS, out=tmp_path / "y.zarr").compute()
    np.testing.assert_allclose(plain, expected, atol=1e-5 * expected.max())


KILLS = 20
# In a process of its own, which has loaded everything and then forks: each child starts at once.
# Dask's threads start in the children; zarr's are its own after a fork.
KILLED = """
import os, random, shutil, signal, sys, threading, time
import dask, dask.array as da, numpy as np, zarr, zarr.storage
from tqdm.auto import tqdm
from numba.np.ufunc import parallel
import hebt
from hebt import _blocks as large

large._COLUMNS = 4
data = np.load(sys.argv[1])
folder, least, seed = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
W = hebt.Projector(data["angles"], data["maps"].shape[-1])
haadf, maps = da.from_array(data["haadf"], chunks=(-1, 2, -1)), data["maps"]
# a GPU cannot be used after a fork
options = dict(ratios=[3.0, 0.7], device="cpu", overwrite=True)

def start(name):
    child = os.fork()
    if child:
        return child
    code = 1
    # tqdm's and numba's locks are shared with the other children, of which one may be killed
    # while it holds them
    tqdm.set_lock(threading.RLock())
    parallel._set_init_process_lock()
    try:
        with dask.config.set(num_workers=2):
            hebt.reconstruct(W, haadf, maps, iterations=20, out=f"{folder}/{name}", **options)
        code = 0
    finally:
        os._exit(code)

with dask.config.set(scheduler="synchronous"):
    hebt.reconstruct(W, haadf, maps, iterations=1, out=f"{folder}/first", **options)
began = time.monotonic()
assert os.waitpid(start("whole"), 0)[1] == 0
takes = time.monotonic() - began
chance = random.Random(seed)
kills = stores = partly = 0
while kills < least:
    name = f"killed{stores}"
    if stores % 2:  # another run is there, which is replaced
        shutil.copytree(f"{folder}/first", f"{folder}/{name}")
    longest = takes
    while True:
        assert longest < 100 * takes, "a run does not end"
        child = start(name)
        time.sleep(chance.uniform(0, longest))
        longest *= 1.1  # a machine that became slower must not keep the run from its end
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        if not os.WIFSIGNALED(status):
            assert status == 0
            break
        kills += 1
        records = os.path.join(folder, name, "done", "c")
        about = os.path.join(folder, name, "zarr.json")
        partly += os.path.isdir(records) and '"iterations": 20,' in open(about).read()
    stores += 1
print(kills, stores, partly)
"""


@pytest.mark.slow
@pytest.mark.promise
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_run_killed_at_any_moment_goes_on_and_ends_bit_identical(tmp_path, promise):
    haadf, maps = scene()
    data = tmp_path / "data.npz"
    np.savez(data, haadf=np.repeat(haadf, 2, 1), maps=np.repeat(maps, 2, 2), angles=W.angles)
    seed = random.SystemRandom().randrange(10**6)
    root = str(Path(hebt.__file__).parents[1])
    run = subprocess.run(
        [sys.executable, "-c", KILLED, str(data), str(tmp_path), str(KILLS), str(seed)],
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join([root, *sys.path]), "NUMBA_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, f"seed {seed}: {run.stderr[-3000:]}"
    kills, stores, partly = map(int, run.stdout.split())
    assert kills >= KILLS and partly >= 5, f"seed {seed}: {run.stdout}"
    expected = zarr.open_group(tmp_path / "whole", mode="r")["x"][:]
    assert expected.shape == (2, 2 * SLICES, SIZE, SIZE) and expected.max() > 0
    for n in range(stores):
        killed = zarr.open_group(tmp_path / f"killed{n}", mode="r")["x"][:]
        assert killed.tobytes() == expected.tobytes(), f"seed {seed}, store {n}"
        checked, _ = hebt.open_result(tmp_path / f"killed{n}")
        assert checked.compute().tobytes() == expected.tobytes(), f"seed {seed}, store {n}"
    promise("out_kills", kills=KILLS)


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    root = str(Path(hebt.__file__).parents[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([root, *sys.path]))
        with (
            distributed.LocalCluster(
                n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            yield client


def test_the_same_call_runs_on_a_cluster(cluster, tmp_path):
    haadf, maps = scene()
    x = hebt.reconstruct(W, *lazy(haadf, maps), **OPTIONS)
    expected = x.compute(scheduler="threads")

    def events():
        return sum(map(len, cluster.run(lambda dask_worker: dask_worker.state.log).values()))

    before = events()
    np.testing.assert_array_equal(x.compute(), expected)
    written = hebt.reconstruct(W, *lazy(haadf, maps), **OPTIONS, out=tmp_path / "x.zarr")
    assert events() > before, "the cluster did the work"
    np.testing.assert_array_equal(written.compute(), expected)


def test_a_worker_that_dies_does_not_lose_the_run(cluster, tmp_path):
    haadf, maps = scene()
    haadf, maps = np.repeat(haadf, 4, axis=1), np.repeat(maps, 4, axis=2)
    options = OPTIONS | dict(iterations=500)
    out = tmp_path / "x.zarr"
    victim, pid = next(iter(cluster.run(os.getpid).items()))
    killed = []

    def kill():
        records = out / "done" / "c"
        while not records.is_dir():
            time.sleep(0.01)
        blocks = len(list(records.iterdir()))
        os.kill(pid, signal.SIGKILL)
        killed.append(blocks)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    x = hebt.reconstruct(W, *lazy(haadf, maps), **options, out=out).compute()
    thread.join(10)
    assert killed and killed[0] < 15, "killed while blocks were missing"
    assert pid not in cluster.run(os.getpid).values()
    expected = hebt.reconstruct(W, *lazy(haadf, maps), **options).compute(scheduler="threads")
    np.testing.assert_array_equal(x, expected)


def changed(**changes):
    haadf, maps = lazy(*scene())
    return dict(haadf=haadf, maps=maps) | OPTIONS | changes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h, m: dict(callback=print), "callback is given for a reconstruction in blocks"),
        (lambda h, m: dict(stop=hebt.RelativeChange()), "stop is given"),
        (lambda h, m: dict(history=hebt.History()), "history is given"),
        (lambda h, m: dict(alpha=1), "alpha is 1"),
        (lambda h, m: dict(iterations=0), "iterations is 0"),
        (lambda h, m: dict(ratios=[1.0]), r"ratios has shape \(1,\); expected \(2,\)"),
        (lambda h, m: dict(ratios=[1.0, 0]), "expected values above 0"),
        (lambda h, m: dict(haadf=h[:, 0], maps=m[:, :, 0]), "for Dask arrays and for out"),
        (lambda h, m: dict(haadf=h[1:]), "It has 6 tilts, the projector 7 angles"),
        (lambda h, m: dict(maps=m[:, :, 1:]), "expected maps of shape"),
        (lambda h, m: dict(haadf_projector=hebt.Projector([0], 3)), "haadf_projector is"),
        (lambda h, m: dict(mask=np.ones(3)), r"mask has shape \(3,\); expected \(11, 16, 16\)"),
        (lambda h, m: dict(x0=np.ones((2, 3))), r"x0 has shape \(2, 3\); expected \(2, 11"),
        (lambda h, m: dict(haadf=h[h[:, 0, 0] > -1]), "has an unknown shape.*compute_chunk_sizes"),
    ],
)
def test_bad_input_is_refused_before_anything_runs(change, message):
    arguments = changed(**change(*lazy(*scene())))
    with pytest.raises(ValueError, match=message):
        hebt.reconstruct(W, **arguments)


def test_bad_values_stop_the_run(tmp_path):
    haadf, maps = scene()
    haadf[2, 7, 3] = np.nan
    with pytest.raises(ValueError, match="haadf holds 1 NaN"):
        hebt.reconstruct(W, *lazy(haadf, maps), **OPTIONS, out=tmp_path / "x").compute()
    with pytest.raises(TypeError, match="complex"):
        hebt.reconstruct(W, da.ones((7, SLICES, SIZE), dtype=complex), maps, **OPTIONS)


@pytest.mark.parametrize("with_out", [False, True])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda h, m: (h, np.where(np.arange(SIZE) == 3, -300, np.rint(450 * m / m.max()))),
            "from -300 to",
        ),
        (lambda h, m: (-h, m), "haadf has values from"),
        (lambda h, m: (0 * h, m), "haadf is 0 everywhere"),
    ],
)
def test_data_are_checked_as_arrays_in_memory_are(tmp_path, with_out, spoil, message):
    haadf, maps = spoil(*scene())
    with pytest.raises(ValueError, match=message):
        hebt.reconstruct(W, haadf, maps, **OPTIONS)
    if not with_out and message.startswith("haadf is 0"):
        return  # a block cannot know that of all others
    out = str(tmp_path / "x.zarr") if with_out else None
    with pytest.raises(ValueError, match=message):
        hebt.reconstruct(W, *lazy(haadf, maps), out=out, **OPTIONS).compute()
    assert out is None or not os.path.exists(out)


@pytest.mark.slow
def test_a_place_that_workers_do_not_share_is_no_silent_loss(tmp_path):
    haadf, maps = scene()
    with dask.config.set(scheduler="processes", num_workers=1):
        with pytest.raises(RuntimeError, match="has 0 of 4 blocks; expected all"):
            hebt.reconstruct(W, *lazy(haadf, maps), out=zarr.storage.MemoryStore(), **OPTIONS)
    (tmp_path / "file").write_text("no zarr")
    with pytest.raises(ValueError, match="which zarr cannot open as a group"):
        hebt.reconstruct(W, *lazy(haadf, maps), out=tmp_path / "file", **OPTIONS)


def test_blocks_take_the_ratios_of_their_slices(tmp_path):
    haadf, maps = scene()
    own = np.random.default_rng(1).uniform(0.5, 2, (len(maps), haadf.shape[1]))
    options = OPTIONS | {"ratios": own}
    expected = hebt.reconstruct(W, haadf, maps, **options)
    for out in (None, tmp_path / "x.zarr"):
        x = hebt.reconstruct(W, *lazy(haadf, maps), **options, out=out).compute()
        np.testing.assert_allclose(x, expected, atol=1e-5 * expected.max())
