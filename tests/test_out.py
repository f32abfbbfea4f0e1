"""Results on disk: what a place holds is never lost, never mixed, and checked when it is read."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import hebt
from hebt import _blocks as large

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
zarr = pytest.importorskip("zarr")

SIZE, SLICES = 12, 8  # in four blocks
W = hebt.Projector(np.arange(-60, 61, 20.0), SIZE)
RNG = np.random.default_rng(5)
TRUE = RNG.random((2, SLICES, SIZE, SIZE)) > 0.6
MAPS = np.moveaxis(W.forward(TRUE), 1, 0)
CALL = dict(W=W, haadf=W.forward(TRUE.sum(axis=0)), maps=MAPS, ratios=[1.0, 1.0], alpha=0.7)
CALL |= dict(iterations=3, device="cpu")
ROOT = str(Path(hebt.__file__).parents[1])


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Let these small volumes have several blocks, in this process."""
    monkeypatch.setattr(large, "_COLUMNS", 4)
    with dask.config.set(scheduler="threads"):
        yield


def reconstruct(out, **changes):
    call = CALL | changes
    # in blocks of two slices
    call["haadf"] = da.from_array(call["haadf"], chunks=(-1, call.pop("block", 2), -1))
    return hebt.reconstruct(**call, out=out)


def plain(**changes):
    return reconstruct(None, **changes).compute()


def python(code, *arguments, path=ROOT):
    """Start Python on some code, with this hebt; the caller waits for it."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join([path, *sys.path]), "NUMBA_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        **dict(env=env, cwd=path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True),
    )


def brighter(name):
    array = CALL[name].copy()
    array[..., 5, 3] += 1
    return array


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(alpha=0.5), "alpha is 0.5, the run there has 0.7"),
        (dict(iterations=4), "iterations is 4, the run there has 3"),
        (dict(ratios=[1, 1.5]), r"ratios is \[1.0, 1.5\], the run there has \[1.0, 1.0\]"),
        (dict(ratios=np.ones((2, SLICES))), "ratios"),
        (dict(W=hebt.Projector(W.angles + 1, SIZE)), "angles differs"),
        (dict(haadf_projector=W), "haadf_angles is given, the run there has none"),
        (dict(haadf=brighter("haadf")), "haadf differs"),
        (dict(maps=brighter("maps")), "maps differs"),
        (dict(mask=np.ones((SIZE, SIZE))), "mask is given, the run there has none"),
        (dict(x0=np.ones((2, SLICES, SIZE, SIZE))), "x0 is given, the run there has none"),
        (dict(maps=MAPS[:1], ratios=[1.0]), r"shape is \[1, 8, 12, 12\], the run there has \[2,"),
        (dict(block=4), "block is 4, the run there has 2"),
    ],
)
def test_another_run_is_refused_with_the_difference_named(tmp_path, change, message, finished):
    out = tmp_path / "x.zarr"
    first = reconstruct(out)
    if not finished:
        shutil.rmtree(out / "done" / "c" / "1")
    files = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    with pytest.raises(ValueError, match=f"holds another run: {message}.*overwrite=True"):
        reconstruct(out, **change)
    assert files == {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    np.testing.assert_array_equal(first.compute(), plain())
    again = reconstruct(out, **change, overwrite=True)
    np.testing.assert_array_equal(again.compute(), plain(**change))


def test_an_array_of_a_run_that_was_replaced_gives_no_numbers_of_the_new_one(tmp_path):
    first = reconstruct(tmp_path / "x.zarr")
    second = reconstruct(tmp_path / "x.zarr", alpha=0.5, overwrite=True)
    with pytest.raises(ValueError, match="has changed: .*another run has replaced this one"):
        first.compute()
    np.testing.assert_array_equal(second.compute(), plain(alpha=0.5))
    # the same values as before are the same result
    reconstruct(tmp_path / "x.zarr", overwrite=True)
    np.testing.assert_array_equal(first.compute(), plain())


def test_the_same_call_computes_only_what_is_missing(tmp_path, monkeypatch):
    solved, solve = [], large._solve_block
    monkeypatch.setattr(
        large, "_solve_block", lambda *a, **k: solved.append(len(a)) or solve(*a, **k)
    )
    out = tmp_path / "x.zarr"
    reconstruct(out)
    assert len(solved) == 4
    # neither the device nor another way to write the same numbers makes another run of it
    same = dict(W=hebt.Projector(-W.angles[::-1], SIZE), maps=MAPS.astype(float))  # 0 is -0
    reconstruct(out, **same, device="auto", overwrite=True)
    assert len(solved) == 4
    shutil.rmtree(out / "done" / "c" / "2")
    with pytest.raises(ValueError, match="is damaged|has changed|not finished"):
        hebt.open_result(out)
    np.testing.assert_array_equal(reconstruct(out), plain())
    assert len(solved) == 5 + 4


def test_a_run_that_stops_while_it_replaces_another_goes_on(tmp_path, monkeypatch):
    out, writes = tmp_path / "x.zarr", []
    first = reconstruct(out)
    write = zarr.Array.__setitem__

    def full(array, where, values):
        writes.append(array.name)
        if len(writes) == 3:  # half of the second block is there
            write(array, (slice(0, 1), *where[1:]), values[:1])
            raise OSError("the disk is full")
        write(array, where, values)

    with monkeypatch.context() as patch, dask.config.set(scheduler="synchronous"):
        patch.setattr(zarr.Array, "__setitem__", full)
        with pytest.raises(OSError, match="the disk is full"):
            reconstruct(out, alpha=0.5, overwrite=True)
    with pytest.raises(ValueError, match="another run has replaced this one"):
        first.compute()
    with pytest.raises(ValueError, match="is not finished: it has 1 of 4 blocks"):
        hebt.open_result(out)
    with pytest.raises(ValueError, match="alpha is 0.7, the run there has 0.5"):
        reconstruct(out)
    np.testing.assert_array_equal(reconstruct(out, alpha=0.5).compute(), plain(alpha=0.5))


def test_ctrl_c_says_that_the_same_call_goes_on(tmp_path, monkeypatch):
    solved, solve = [], large._solve_block

    def third(*arrays, **settings):
        solved.append(1)
        if len(solved) == 3:
            raise KeyboardInterrupt
        return solve(*arrays, **settings)

    monkeypatch.setattr(large, "_solve_block", third)
    with dask.config.set(scheduler="synchronous"):
        with pytest.raises(KeyboardInterrupt, match="the finished blocks are in .* goes on from"):
            reconstruct(tmp_path / "x.zarr")
        with pytest.raises(ValueError, match="is not finished: it has 2 of 4 blocks"):
            hebt.open_result(tmp_path / "x.zarr")
        np.testing.assert_array_equal(reconstruct(tmp_path / "x.zarr").compute(), plain())
    assert len(solved) == 3 + 2 + 4


def test_a_result_of_other_code_is_another_one(tmp_path):
    other, out = tmp_path / "other", tmp_path / "x.zarr"
    shutil.copytree(Path(ROOT, "hebt"), other / "hebt")
    with open(other / "hebt" / "_engine" / "arrays.py", "a") as file:
        file.write("# changed\n")
    first = reconstruct(out)
    code = """if True:
        import sys, numpy as np, hebt
        from hebt import _store
        run = dict(hebt.open_result(sys.argv[1])[1]["run"], code=_store.code_digest())
        try:
            _store.claim(sys.argv[1], run, {}, False)
        except ValueError as error:
            print(hebt.__file__, error)
    """
    printed, _ = python(code, out, path=str(other)).communicate()
    assert printed.startswith(str(other))
    assert "holds another run: code differs from that of the run there" in printed
    np.testing.assert_array_equal(first.compute(), plain())


WRITER = """
import sys, numpy as np, dask, dask.array as da, hebt
from hebt import _blocks as large
large._COLUMNS = 4
data = np.load(sys.argv[1])
W = hebt.Projector(data["angles"], data["maps"].shape[-1])
haadf = da.from_array(data["haadf"], chunks=(-1, 2, -1))
print("ready", flush=True)
for line in sys.stdin:
    out, alpha, iterations = line.split()
    options = dict(alpha=float(alpha), iterations=int(iterations), device="cpu")
    try:
        with dask.config.set(num_workers=2):
            hebt.reconstruct(W, haadf, data["maps"], [1.0, 1.0], out=out, **options)
        print("done", flush=True)
    except (RuntimeError, ValueError) as error:
        print(type(error).__name__, error, flush=True)
"""
PAIRS = 24


@pytest.fixture
def writers(tmp_path):
    np.savez(tmp_path / "data.npz", haadf=CALL["haadf"], maps=MAPS, angles=W.angles)
    started = [python(WRITER, tmp_path / "data.npz") for _ in range(2)]
    for writer in started:
        assert writer.stdout.readline() == "ready\n"
    yield started
    for writer in started:
        writer.kill()
        writer.communicate()


@pytest.mark.promise
def test_two_writers_at_one_place_mix_nothing(tmp_path, writers, promise):
    expected = {alpha: plain(alpha=alpha, iterations=9) for alpha in (0.2, 0.7)}
    outcomes = []
    for n in range(PAIRS):
        out = tmp_path / f"{n}.zarr"
        alphas = [0.7, (0.7, 0.2)[n % 2]]
        for writer, alpha in zip(writers, alphas, strict=True):
            writer.stdin.write(f"{out} {alpha} 9\n")
            writer.stdin.flush()
        said = [writer.stdout.readline().strip() for writer in writers]
        outcomes += said
        won = [a for a, text in zip(alphas, said, strict=True) if text == "done"]
        assert won and (n % 2 == 0 or len(won) == 1), said
        for text, pid in zip(said, (writers[1].pid, writers[0].pid), strict=True):
            other = "|ValueError out, .*, holds another run: alpha is .*" if n % 2 else ""
            # it may not have written its name yet
            owner = f"(process {pid} on .*|another process;.*)"
            assert re.fullmatch(
                f"done|RuntimeError out, .*, is being written by {owner}{other}", text
            )
        x, about = hebt.open_result(out)
        assert about["run"]["alpha"] == won[0]
        np.testing.assert_array_equal(x.compute(), expected[won[0]])
        assert sorted(p.name for p in tmp_path.iterdir() if "lock" in p.name) == []
    assert sum("is being written by" in text for text in outcomes) >= 1
    promise("out_writers", pairs=PAIRS)


def test_a_place_is_free_once_its_owner_is_killed(tmp_path):
    out = tmp_path / "x.zarr"
    code = """if True:
        import sys, time
        from hebt import _store
        with _store.owned(sys.argv[1]):
            print("owned", flush=True)
            sys.stdin.read()
    """
    owner = python(code, out)
    assert owner.stdout.readline() == "owned\n"
    with pytest.raises(RuntimeError, match=rf"is being written by process {owner.pid} on .* since"):
        reconstruct(out)
    owner.kill()
    owner.communicate()
    np.testing.assert_array_equal(reconstruct(out).compute(), plain())
    assert list(tmp_path.iterdir()) == [out]


def flipped(path, other):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def cut(path, other):
    path.write_bytes(path.read_bytes()[:-7])


def missing(path, other):
    path.unlink()


def foreign(path, other):
    """Replace by the same chunk of a run with other data."""
    path.write_bytes(other.read_bytes())


def misplaced(path, other):
    """Replace by another chunk of this run."""
    top = next(p for p in path.parents if p.name == "c")
    others = [p for p in sorted(top.rglob("*")) if p.is_file() and p != path]
    path.write_bytes(others[0].read_bytes())


def chunks(out):
    """Return the files with data, of the result and of its digests."""
    return sorted(p for a in ("x", "done") for p in (out / a / "c").rglob("*") if p.is_file())


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Two results in places of their own, of the same size but of other data."""
    folder = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large, "_COLUMNS", 4)
        reconstruct(folder / "x.zarr")
        reconstruct(folder / "other.zarr", maps=MAPS[::-1])
    return folder


@pytest.mark.promise
def test_every_chunk_that_is_damaged_is_found_and_made_again(tmp_path, results, promise):
    out, other, expected, tried = tmp_path / "x.zarr", results / "other.zarr", plain(), 0
    shutil.copytree(results / "x.zarr", out)
    held = reconstruct(out)
    good = {path: path.read_bytes() for path in chunks(out)}
    assert len(good) == 8 + 4
    for damage in (flipped, cut, missing, foreign, misplaced):
        for path in good:
            damage(path, other / path.relative_to(out))
            with pytest.raises(ValueError, match=r"has changed|cannot be read|no run can be read"):
                hebt.open_result(out)[0].compute()
            if "x" in path.relative_to(out).parts:
                with pytest.raises(ValueError, match="has changed: slices .* of element"):
                    held.compute()
            tried += 1
            if path in (list(good)[1], list(good)[-2]):
                np.testing.assert_array_equal(reconstruct(out).compute(), expected)
                assert path.read_bytes() == good[path]
            path.write_bytes(good[path])
    # a chunk and its digest from elsewhere; all of them from elsewhere
    for paths in ([list(good)[3], list(good)[-1]], list(good)):
        for path in paths:
            foreign(path, other / path.relative_to(out))
            tried += 1
        with pytest.raises(ValueError, match="has changed"):
            hebt.open_result(out)
        with pytest.raises(ValueError, match="has changed"):
            held.compute()
        np.testing.assert_array_equal(reconstruct(out).compute(), expected)
    promise("out_damage", chunks=tried)


def test_zarr_itself_reads_no_wrong_numbers(tmp_path, results):
    out = shutil.copytree(results / "x.zarr", tmp_path / "x.zarr")
    missing(out / "x/c/0/1/0/0", None)
    x = zarr.open_group(out, mode="r")["x"]
    assert np.isnan(x[0, 2:4]).all() and not np.isnan(x[0, 4:]).any()
    flipped(out / "x/c/1/3/0/0", None)
    with pytest.raises(ValueError, match="checksum"):
        x[1, 7]


@pytest.mark.parametrize("array", ["x", "done"])
@pytest.mark.parametrize("damage", [missing, cut])
def test_the_description_of_an_array_can_be_made_again(tmp_path, results, array, damage):
    out = shutil.copytree(results / "x.zarr", tmp_path / "x.zarr")
    damage(out / array / "zarr.json", None)
    with pytest.raises(ValueError):
        hebt.open_result(out)[0].compute()
    if damage is cut:
        with pytest.raises(ValueError, match=f"its array {array} is damaged"):
            reconstruct(out)
    np.testing.assert_array_equal(reconstruct(out, overwrite=True).compute(), plain())


def test_a_store_says_what_it_holds_and_its_records_are_checked(tmp_path):
    out = tmp_path / "x.zarr"
    reconstruct(out, about={"elements": ["Au", "Ag"], "pixel_size": "0.74 nm"})
    x, about = hebt.open_result(out)
    np.testing.assert_array_equal(x.compute(), plain())
    assert "x_e = z_e rho_e, in HAADF intensity per voxel" in about["what"]
    assert (about["elements"], about["pixel_size"]) == (["Au", "Ag"], "0.74 nm")
    run, made = about["run"], about["hebt"]
    assert (run["alpha"], run["iterations"], run["ratios"]) == (0.7, 3, [1.0, 1.0])
    assert run["angles"] == W.angles.tolist() and made["version"] == hebt.__version__
    assert made["began"] <= made["finished"] and len(made["digest"]) == 64
    # the same call keeps what was said, and may say more
    reconstruct(out, about={"sample": "A7"})
    assert hebt.open_result(out)[1] == about | {"sample": "A7"}
    # what belongs to another run goes with it
    reconstruct(out, maps=MAPS[::-1], overwrite=True)
    assert "elements" not in hebt.open_result(out)[1]
    says = json.loads((out / "zarr.json").read_text())
    says["attributes"]["run"]["alpha"] = 0.71
    (out / "zarr.json").write_text(json.dumps(says))
    with pytest.raises(ValueError, match="what it says of its run and blocks is not what"):
        hebt.open_result(out)


def test_places_that_no_run_has_written_are_left_alone(tmp_path):
    group = zarr.open_group(tmp_path / "mine.zarr", mode="w", attributes={"sample": "A7"})
    group["x"] = np.arange(6.0)
    for overwrite in (False, True):
        with pytest.raises(ValueError, match="holds x, which no such run has written"):
            reconstruct(tmp_path / "mine.zarr", overwrite=overwrite)
    np.testing.assert_array_equal(group["x"][:], np.arange(6.0))
    # beside other arrays there is room
    group = zarr.open_group(tmp_path / "raw.zarr", mode="w", attributes={"sample": "A7"})
    group["raw"] = np.arange(6.0)
    for alpha in (0.7, 0.5):
        x = reconstruct(tmp_path / "raw.zarr", alpha=alpha, overwrite=True)
        np.testing.assert_array_equal(x.compute(), plain(alpha=alpha))
        np.testing.assert_array_equal(group["raw"][:], np.arange(6.0))
    (tmp_path / "folder" / "x").mkdir(parents=True)
    (tmp_path / "folder" / "x" / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="is a folder with other files"):
        reconstruct(tmp_path / "folder", overwrite=True)
    assert (tmp_path / "folder" / "x" / "mine.txt").read_text() == "mine"


def test_out_understands_the_home_folder_and_relative_paths(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    x = reconstruct("~/x.zarr")
    reconstruct("here/x.zarr")
    reconstruct(f"file://{tmp_path}/here/y.zarr")
    assert (tmp_path / "home" / "x.zarr" / "zarr.json").is_file()
    assert (tmp_path / "here" / "x.zarr" / "zarr.json").is_file()
    assert (tmp_path / "here" / "y.zarr" / "zarr.json").is_file()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["here", "home"]
    monkeypatch.chdir("/")
    np.testing.assert_array_equal(hebt.open_result("~/x.zarr")[0].compute(), x.compute())


def test_data_that_change_between_two_readings_are_refused(tmp_path):
    out = tmp_path / "x.zarr"

    def block(block_info=None):
        first, last = block_info[None]["array-location"][1]
        return CALL["haadf"][:, first:last] * np.float32(1 + (out / "x").exists())

    images = da.map_blocks(block, chunks=((7,), (2,) * 4, (SIZE,)), dtype=np.float32)
    with pytest.raises(RuntimeError, match="The data changed during the run"):
        hebt.reconstruct(**CALL | {"haadf": images}, out=out)


def test_a_result_that_the_run_itself_needs_is_not_replaced(tmp_path):
    out = tmp_path / "x.zarr"
    first = reconstruct(out)
    for x0 in (first, hebt.open_result(out)[0] + 1):
        with pytest.raises(ValueError, match="x0 is read from out.*give another place, or x0.comp"):
            reconstruct(out, x0=x0, overwrite=True)
    expected = first.compute()
    more = reconstruct(tmp_path / "more.zarr", x0=first)
    np.testing.assert_array_equal(more.compute(), plain(x0=expected))
    more = reconstruct(out, x0=expected, overwrite=True)
    np.testing.assert_array_equal(more.compute(), plain(x0=expected))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (dict(overwrite=True), ValueError, "given without out"),
        (dict(about={"elements": ["Au", "Ag"]}), ValueError, "given without out"),
        (dict(out=True, about={"elements": ["Au"]}), ValueError, "about.* has 1 entries"),
        (dict(out=True, about={"run": 1}), ValueError, r"about has \['run'\]"),
        (dict(out=True, about={"a": np.ones(2)}), TypeError, "expected a dictionary of texts"),
        (dict(out=True, about=["Au"]), TypeError, "about is"),
        (dict(out=True, overwrite="no"), TypeError, "overwrite is 'no'; expected True or False"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(tmp_path, options, error, message):
    out = tmp_path / "x" if options.pop("out", False) else None
    with pytest.raises(error, match=message):
        reconstruct(out, **options)
    assert list(tmp_path.iterdir()) == []


def test_only_results_are_opened(tmp_path):
    zarr.open_group(tmp_path / "empty.zarr", mode="w")
    for path in ("empty.zarr", "nothing.zarr"):
        with pytest.raises(ValueError, match="where no run can be read"):
            hebt.open_result(tmp_path / path)
    assert not (tmp_path / "nothing.zarr").exists()


def test_a_folder_of_the_user_is_left_as_it_is(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(ValueError, match="is a folder with other files"):
            reconstruct(tmp_path, overwrite=overwrite)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(ValueError, match="out is ''; expected the path"):
        reconstruct("")
