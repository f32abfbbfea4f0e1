"""Reading of measured files, the registry, download on request, and HyperSpy signals."""

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from scipy.stats import norm

from companion import datasets
from hebt import io, prepare
from hebt.io.tilt_series import _tilt_of
from hebt.prepare import xray

ROOT = Path(__file__).resolve().parents[1]
LINES = ("C_Ka", "O_Ka", "Mg_Ka", "Si_Ka", "Fe_Ka", "Pt_Ma")
AVOID = ("Ga_La", "Fe_La", "Cu_La", (-1, 0.16))


def bcf_files():
    """Return the dust particle's files; skip where they are not on this machine."""
    try:
        return datasets.locate("dust", "*.bcf")
    except datasets.MissingDataError as error:
        pytest.skip(f"measured data are not here: {error}")


@pytest.fixture(scope="module")
def three():
    """Files of three tilts, in no order, and the series read from them."""
    files = {p.stem: p for p in bcf_files()}
    chosen = [files[name] for name in ("10", "-40", "0")]
    return chosen, io.read_tilt_series(chosen, lines=LINES, avoid=AVOID, progress=False)


# --- reading ---


def raw(path):
    from rsciio.bruker import file_reader

    signals = file_reader(path)
    (image,) = [s for s in signals if s["data"].ndim == 2]
    (cube,) = [s for s in signals if s["data"].ndim == 3]
    return image, cube


def test_tilts_come_from_the_file_names_in_rising_order(three):
    _, series = three
    np.testing.assert_array_equal(series.angles, [-40, 0, 10])
    assert series.haadf.shape == (3, 256, 256) and series.haadf.dtype == np.float32
    assert series.maps.shape == (6, 3, 256, 256) and series.maps.dtype == np.float32
    assert series.elements == ("C", "O", "Mg", "Si", "Fe", "Pt")
    assert "3 tilts from -40 to 10" in repr(series)


def test_the_whole_series_has_sixteen_tilts():
    tilts = [_tilt_of(p) for p in bcf_files()]
    assert tilts == list(range(-40, 36, 5))


def test_no_count_is_lost_on_the_way(three):
    files, series = three
    for path, place in zip(files, (2, 0, 1), strict=True):
        image, cube = raw(path)
        np.testing.assert_array_equal(series.haadf[place], image["data"])
        np.testing.assert_array_equal(
            series.spectra[place], cube["data"].reshape(-1, 2048).sum(0, dtype=np.int64)
        )


def test_calibration_is_that_of_the_file(three):
    files, series = three
    _, cube = raw(files[0])
    across, energy = cube["axes"][1], cube["axes"][2]
    assert across["units"] == "µm"
    np.testing.assert_allclose(series.pixel_size, across["scale"] * 1000)
    np.testing.assert_allclose(series.pixel_size, 13.08, atol=0.005)
    np.testing.assert_allclose(
        series.energies, energy["offset"] + energy["scale"] * np.arange(2048), atol=1e-9
    )


def test_maps_are_gross_counts_less_a_straight_background(three):
    """Worked out a second time from the raw channels, with nothing of the reader's weights."""
    files, series = three
    _, cube = raw(files[0])
    counts = cube["data"].astype(np.float64)
    edges = series.energies - 0.010003 / 2, series.energies + 0.010003 / 2

    def inside(window):
        share = np.minimum(edges[1], window[1]) - np.maximum(edges[0], window[0])
        share = np.clip(share / 0.010003, 0, 1)
        return (counts * share).sum(-1), share.sum()

    for window, made in zip(series.windows, series.maps[:, 2], strict=True):
        gross, channels = inside(window.window)
        (low, low_channels), (high, high_channels) = inside(window.left), inside(window.right)
        at = np.mean(window.left), np.mean(window.right)
        under = [
            np.interp(window.energy, at, (a, b))
            for a, b in ((low.sum() / low_channels, high.sum() / high_channels),)
        ]
        np.testing.assert_allclose(
            made.sum(dtype=np.float64), gross.sum() - channels * under[0], rtol=1e-4
        )
        pixel = np.interp(
            window.energy, at, (low[100, 120] / low_channels, high[100, 120] / high_channels)
        )
        np.testing.assert_allclose(made[100, 120], gross[100, 120] - channels * pixel, atol=1e-3)


def test_the_particles_elements_are_really_there(three):
    """Oxygen lies in the particle and platinum around it; both maps hold clear signal."""
    _, series = three
    oxygen, platinum = series.maps[1, 1], series.maps[5, 1]
    body, deposit = np.s_[60:140, 115:160], np.s_[150:180, 215:250]
    assert oxygen[body].mean() > 5 * oxygen[deposit].mean() > 0
    assert platinum[deposit].mean() > 20 * platinum[body].mean()


def test_reading_twice_with_the_cache_gives_the_same(three, monkeypatch, tmp_path):
    monkeypatch.setenv("HEBT_CACHE", str(tmp_path))
    files, series = three
    name = files[1].name
    once = datasets.read_tilt_series("dust", name, lines=LINES, avoid=AVOID)
    monkeypatch.setattr(io, "read_tilt_series", lambda *_, **__: pytest.fail("read again"))
    again = datasets.read_tilt_series("dust", name, lines=LINES, avoid=AVOID)
    for result in (once, again):
        np.testing.assert_array_equal(result.maps[:, 0], series.maps[:, 0])


def test_picking_lines_keeps_their_maps(three):
    _, series = three
    fewer = series.pick("Fe_Ka", "O_Ka")
    assert fewer.elements == ("Fe", "O") and fewer.haadf is series.haadf
    np.testing.assert_array_equal(fewer.maps, series.maps[[4, 1]])
    assert [w.line for w in fewer.windows] == ["Fe_Ka", "O_Ka"]
    with pytest.raises(ValueError, match="Au_La"):
        series.pick("Au_La")


def test_other_brukers_files_are_read_too():
    try:
        (path,) = datasets.locate("readers", "test_TEM.bcf")
    except datasets.MissingDataError as error:
        pytest.skip(str(error))
    series = io.read_tilt_series([path], angles=[12.5], lines=["Cu_Ka"], progress=False)
    image, cube = raw(path)
    np.testing.assert_array_equal(series.haadf[0], image["data"])
    assert series.spectra.sum() == cube["data"].sum(dtype=np.int64)
    np.testing.assert_array_equal(series.angles, [12.5])


def test_reading_stays_far_below_a_gigabyte():
    files = bcf_files()[:6]
    script = (
        "import sys, threading, time, psutil\n"
        "from hebt import io\n"
        "peak = [0]\n"
        "def watch():\n"
        "    while True:\n"
        "        peak[0] = max(peak[0], psutil.Process().memory_info().rss); time.sleep(0.01)\n"
        "threading.Thread(target=watch, daemon=True).start()\n"
        f"io.read_tilt_series(sys.argv[1:], lines={LINES!r}, avoid={AVOID!r}, progress=False)\n"
        "print(peak[0])\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, *map(str, files)], capture_output=True, text=True, check=True
    )
    assert int(run.stdout) < 700e6, "six cubes held at once would take 800 MB more"
    assert run.stderr == "", "HyperSpy's warnings would land in the book's pages"


def test_errors_of_reading_say_what_to_do(tmp_path, three):
    files, _ = three
    with pytest.raises(ValueError, match="files is empty"):
        io.read_tilt_series([], lines=LINES)
    with pytest.raises(ValueError, match=r"map_a\.bcf is no tilt.*-40\.bcf.*angles"):
        io.read_tilt_series([tmp_path / "map_a.bcf"], lines=LINES)
    with pytest.raises(ValueError, match="angles has 1 entries, but there are 3 files"):
        io.read_tilt_series(files, lines=LINES, angles=[0])
    with pytest.raises(ValueError, match="a tilt twice"):
        io.read_tilt_series(files[:2], lines=LINES, angles=[5, 5])
    with pytest.raises(ValueError, match="expected several"):
        io.read_tilt_series(files, lines="O_Ka")
    with pytest.raises(ValueError, match="'Xx_Ka' is no X-ray line"):
        io.read_tilt_series(files[:1], lines=["Xx_Ka"])
    with pytest.raises(ValueError, match="'O_Lz' is no X-ray line.*this element has Ka"):
        io.read_tilt_series(files[:1], lines=["O_Lz"])


# --- windows ---

ENERGIES = -0.4709 + 0.010003 * np.arange(2048)


def test_windows_know_the_tables_and_the_resolution():
    (iron,) = prepare.line_windows(ENERGIES, ["Fe_Ka"])
    assert abs(iron.energy - 6.404) < 0.002
    # 130 eV at Mn K-alpha (5.899 keV); a little wider at iron
    assert abs((iron.window[1] - iron.window[0]) / 1.2 - 0.135) < 0.002
    (oxygen,) = prepare.line_windows(ENERGIES, ["O_Ka"], resolution=130)
    assert (oxygen.window[1] - oxygen.window[0]) / 1.2 < 0.065


def test_a_window_counts_the_peak_and_takes_off_any_straight_background():
    windows = prepare.line_windows(ENERGIES, LINES, avoid=AVOID)
    for window in windows:
        line = 7.0 + 2.5 * ENERGIES
        cube = np.broadcast_to(line, (2, 3, 2048))
        flat = prepare.element_maps(cube, [window])
        np.testing.assert_allclose(flat, 0, atol=2e-3 * line.sum() / 2048)
        sigma = (window.window[1] - window.window[0]) / 1.2 / 2.3548
        peak = np.exp(-0.5 * ((ENERGIES - window.energy) / sigma) ** 2)
        peak /= peak.sum()

        def inside(low, high, window=window, sigma=sigma):
            return norm.cdf(high, window.energy, sigma) - norm.cdf(low, window.energy, sigma)

        # the line's window holds 84 % of a Gaussian; its tails count as a little background
        ends = [(np.mean(w), inside(*w) / (w[1] - w[0])) for w in (window.left, window.right)]
        under = np.interp(window.energy, *zip(*ends, strict=True))
        expected = inside(*window.window) - under * (window.window[1] - window.window[0])
        assert 0.8 < expected < 0.85
        counted = prepare.element_maps(1000 * (cube * 0 + peak) + cube, [window])
        np.testing.assert_allclose(counted, 1000 * expected, rtol=0.01)


def test_backgrounds_keep_clear_of_every_line():
    windows = prepare.line_windows(ENERGIES, LINES, avoid=AVOID)
    lines = [e for name in (*LINES, "Ga_La", "Fe_La", "Cu_La") for e in xray.shell_energies(name)]
    for window in windows:
        assert window.left[1] < window.window[0] < window.energy < window.window[1]
        assert window.window[1] < window.right[0]
        for side in (window.left, window.right):
            assert side[0] >= 0.16
            for energy in lines:
                distance = max(side[0] - energy, energy - side[1])
                assert distance >= xray.fwhm(energy, 130.0) - 1e-9, (window, energy)


def test_windows_refuse_what_has_no_background():
    with pytest.raises(ValueError, match="lies outside the spectrum"):
        prepare.line_windows(ENERGIES[:500], ["Fe_Ka"])
    with pytest.raises(ValueError, match="no clear background within 8 FWHM on its left"):
        prepare.line_windows(ENERGIES, ["Fe_Ka"], avoid=[(0, 6.4)])
    with pytest.raises(ValueError, match="lines is empty"):
        prepare.line_windows(ENERGIES, [])


# --- shifts found by hand ---


def test_tomviz_shifts_are_turned_into_ours(tmp_path):
    path = tmp_path / "shifts.json"
    path.write_text("[[5, 1], [0, 0], [-4, 2], [7, 7]]")
    shifts = io.read_tomviz_shifts(path, [-10, 0, 10, 20], keep=[-10, 0, 10])
    np.testing.assert_array_equal(shifts, [[0, 5], [1, 0], [-1, -4]])
    with pytest.raises(ValueError, match="shape"):
        io.read_tomviz_shifts(path, [0], keep=[0])
    with pytest.raises(ValueError, match=r"\[15\]"):
        io.read_tomviz_shifts(path, [-10, 0, 10, 20], keep=[15])


# --- registry ---


def test_the_registry_names_origin_credit_licence_and_every_file():
    for name, entry in datasets.registry().items():
        assert entry["title"] and entry["source"] and entry["credit"] and entry["licence"], name
        assert isinstance(entry["measured"], bool)
        paths = [f["path"] for f in entry["files"]]
        assert len(paths) == len(set(paths)) > 0
        for file in entry["files"]:
            assert len(file["sha256"]) == 64 and file["size"] > 0
            assert file["addresses"]
            assert all(a.startswith("https://") for a in file["addresses"])
            assert all(a.endswith(file["path"].split("/")[-1]) for a in file["addresses"])


@pytest.mark.parametrize("name", sorted(datasets.registry()))
def test_the_registry_has_the_hashes_of_the_real_files(name):
    try:
        paths = datasets.locate(name)
    except datasets.MissingDataError as error:
        pytest.skip(f"not on this machine: {error}")
    for path, file in zip(paths, datasets.registry()[name]["files"], strict=True):
        content = path.read_bytes()
        assert hashlib.sha256(content).hexdigest() == file["sha256"]
        assert len(content) == file["size"]


def test_a_package_without_the_repository_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(datasets, "REGISTRY", tmp_path / "data" / "measured.json")
    with pytest.raises(FileNotFoundError, match="pip install -e .*read_tilt_series"):
        datasets.locate("dust")


# --- looking up and fetching ---

GOOD = b"counts, " * 4000


class Handler(http.server.BaseHTTPRequestHandler):
    asked: ClassVar[list[str]] = []

    def do_GET(self):
        Handler.asked.append(self.path)
        if self.path == "/absent":
            self.send_error(404)
            return
        content = b"something else" if self.path == "/wrong" else GOOD
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        # one address breaks off half way
        self.wfile.write(content[: len(content) // 2] if self.path == "/broken" else content)

    def log_message(self, *args):
        pass


@pytest.fixture
def shelf(monkeypatch, tmp_path):
    """A registry of one file on a local server; gives a function that sets its addresses."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Handler.asked = []
    monkeypatch.setattr(datasets, "REGISTRY", tmp_path / "registry.json")
    monkeypatch.setenv("HEBT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HEBT_DATA", raising=False)

    def addresses(*paths):
        base = f"http://127.0.0.1:{server.server_port}/"
        entry = {
            "title": "a small series",
            "measured": True,
            "folder": "small",
            "source": "here",
            "credit": "nobody",
            "licence": "none",
            "acquisition": {"tilts": "one"},
            "files": [
                {
                    "path": "Input/0.bcf",
                    "size": len(GOOD),
                    "sha256": hashlib.sha256(GOOD).hexdigest(),
                    "addresses": [base + p for p in paths],
                }
            ],
        }
        datasets.REGISTRY.write_text(json.dumps({"series": {"small": entry}}))
        return tmp_path / "cache" / "data" / "small" / "Input" / "0.bcf"

    yield addresses
    server.shutdown()
    server.server_close()


def left_over(target):
    return sorted(p.name for p in target.parent.iterdir())


def test_fetch_brings_a_file_once(shelf):
    target = shelf("good")
    with pytest.raises(datasets.MissingDataError):
        datasets.locate("small")
    assert Handler.asked == [], "looking up must never download"
    assert datasets.fetch("small", progress=False) == [target]
    assert target.read_bytes() == GOOD and left_over(target) == ["0.bcf"]
    assert datasets.fetch("small", progress=False) == datasets.locate("small") == [target]
    assert Handler.asked == ["/good"]


def test_fetch_tries_the_next_address(shelf):
    target = shelf("absent", "broken", "good")
    datasets.fetch("small", progress=False)
    assert Handler.asked == ["/absent", "/broken", "/good"]
    assert target.read_bytes() == GOOD and left_over(target) == ["0.bcf"]


def test_a_wrong_file_is_kept_apart_and_never_used(shelf):
    target = shelf("wrong", "good")
    with pytest.raises(datasets.WrongDataError, match="another sha256.*never used"):
        datasets.fetch("small", progress=False)
    assert left_over(target) == ["0.bcf.wrong"]
    assert (target.parent / "0.bcf.wrong").read_bytes() == b"something else"
    with pytest.raises(datasets.MissingDataError):
        datasets.locate("small")
    shelf("good")
    datasets.fetch("small", progress=False)
    assert target.read_bytes() == GOOD


@pytest.mark.parametrize("path", ["broken", "absent"])
def test_a_download_that_fails_leaves_nothing(shelf, path):
    target = shelf(path)
    with pytest.raises(OSError, match="0.bcf could not be downloaded.*same command again"):
        datasets.fetch("small", progress=False)
    assert left_over(target) == []


def test_an_interrupted_download_leaves_nothing(shelf, monkeypatch):
    target = shelf("good")
    import pooch

    def stopped(self, url, output_file, pooch):
        Path(output_file).write_bytes(GOOD[:100])
        raise KeyboardInterrupt

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", stopped)
    with pytest.raises(KeyboardInterrupt):
        datasets.fetch("small", progress=False)
    assert left_over(target) == []


def test_a_damaged_file_is_refused_and_fetched_anew(shelf):
    target = shelf("good")
    datasets.fetch("small", progress=False)
    target.write_bytes(GOOD[:-1] + b"?")
    with pytest.raises(datasets.WrongDataError, match="not the file that the registry names"):
        datasets.locate("small")
    datasets.fetch("small", progress=False)
    assert target.read_bytes() == GOOD
    assert left_over(target) == ["0.bcf", "0.bcf.wrong"]


def test_hebt_data_comes_first(shelf, monkeypatch, tmp_path):
    shelf("good")
    own = tmp_path / "own" / "small" / "Input" / "0.bcf"
    own.parent.mkdir(parents=True)
    own.write_bytes(GOOD)
    monkeypatch.setenv("HEBT_DATA", str(tmp_path / "own"))
    assert datasets.locate("small") == [own]
    assert datasets.fetch("small", progress=False) == [own] and Handler.asked == []
    own.write_bytes(b"mine")
    with pytest.raises(datasets.WrongDataError):
        datasets.locate("small")
    assert own.read_bytes() == b"mine"


def test_the_missing_data_message_says_what_and_how(shelf, monkeypatch, tmp_path):
    shelf("good")
    with pytest.raises(datasets.MissingDataError) as error:
        datasets.locate("small")
    for part in (
        "small",
        "HEBT_DATA",
        "python -m companion.datasets fetch small",
        "Input/0.bcf",
        "MB",
    ):
        assert part in str(error.value)
    assert error.value._render_traceback_() == [f"MissingDataError: {error.value}"]
    monkeypatch.setenv("HEBT_DATA", str(tmp_path / "elsewhere"))
    with pytest.raises(datasets.MissingDataError, match="elsewhere"):
        datasets.locate("small")
    with pytest.raises(ValueError, match="name is 'large'; expected one of 'small'"):
        datasets.locate("large")
    with pytest.raises(ValueError, match=r"pattern is '\*\.emd'"):
        datasets.locate("small", "*.emd")


def test_the_command_line(shelf, capsys):
    target = shelf("good")
    assert datasets.main(["check", "small"]) == 1
    assert "python -m companion.datasets fetch small" in capsys.readouterr().out
    assert datasets.main(["fetch", "small"]) == 0
    assert target.is_file() and "1 files" in capsys.readouterr().out
    assert datasets.main(["check", "small"]) == 0
    assert datasets.main(["list"]) == 0
    assert "found in the cache" in capsys.readouterr().out
    target.unlink()
    shelf("wrong")
    assert datasets.main(["fetch", "small"]) == 1
    assert "never used" in capsys.readouterr().err


def test_the_card_shows_licence_and_state_but_no_path(shelf, tmp_path):
    shelf("good")
    missing = datasets.card("small")
    assert not missing.available
    assert "not on this machine" in missing._repr_html_()
    assert "python -m companion.datasets fetch small" in missing._repr_html_()
    datasets.fetch("small", progress=False)
    found = datasets.card("small")
    assert found.available and found.found == "the cache"
    for text in (found._repr_html_(), repr(found)):
        assert "licence" in text and "measured data" in text
        assert str(tmp_path) not in text, "pages must not differ between machines"


# --- a chapter with and without its data ---


def run_notebook(cells, tmp_path, **environment):
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    client = NotebookClient(
        notebook,
        timeout=120,
        kernel_name="python3",
        allow_errors=True,
        resources={"metadata": {"path": str(ROOT / "book")}},
    )
    env = {**os.environ, "HEBT_CACHE": str(tmp_path), **environment}
    env.pop("HEBT_DATA", None)
    client.execute(env=env)
    return [cell.outputs for cell in notebook.cells]


CELLS = ["from companion import datasets\ndatasets.require('dust')", "1 / 0", "undefined"]


def test_a_page_without_data_shows_the_card_and_runs_no_further(tmp_path):
    first, *rest = run_notebook(CELLS, tmp_path, HEBT_STATIC="1")
    assert len(first) == 1 and "not on this machine" in first[0].data["text/html"]
    assert rest == [[], []]


def test_a_live_notebook_without_data_stops_with_the_way_to_get_them(tmp_path):
    first, *_ = run_notebook(CELLS[:1], tmp_path, HEBT_STATIC="0")
    (error,) = first
    assert error.ename == "MissingDataError"
    assert "python -m companion.datasets fetch dust" in error.evalue
    assert len(error.traceback) == 1, "the message, not the package's inner workings"


def test_the_chapter_without_data_runs_clean(tmp_path):
    import jupytext

    chapter = jupytext.read(ROOT / "book" / "dust.md")
    cells = [c.source for c in chapter.cells if c.cell_type == "code"]
    assert len(cells) > 10
    first, *rest = run_notebook(cells, tmp_path, HEBT_STATIC="1")
    assert "text/html" in first[0].data
    assert all(outputs == [] for outputs in rest)


# --- HyperSpy signals ---

ANGLES = {
    "even": [-40.0, -20.0, 0.0, 20.0],
    "falling": [30.0, 20.0, 10.0, 0.0],
    "uneven": [-60.0, -20.0, 0.0, 45.0],
    "mixed": [0.0, 30.0, -30.0, 60.0],
}


@pytest.mark.filterwarnings("ignore::UserWarning:hyperspy")
@pytest.mark.parametrize("angles", ANGLES.values(), ids=ANGLES)
@pytest.mark.parametrize("elements", [None, ["Pt", "O"]], ids=["one", "elements"])
def test_a_tilt_series_survives_saving(tmp_path, angles, elements):
    import hyperspy.api as hs

    shape = (4, 5, 6) if elements is None else (2, 4, 5, 6)
    data = np.random.default_rng(0).random(shape).astype(np.float32)
    signal = io.to_signal(
        data, pixel_size=13.08, angles=angles, elements=elements, title="my series"
    )
    signal.save(tmp_path / "series.hspy")
    loaded = hs.load(tmp_path / "series.hspy")
    assert loaded.metadata.General.title == "my series"
    across = loaded.axes_manager.signal_axes[0]
    assert (across.name, across.units, across.size) == ("across", "nm", 6)
    back = io.from_signal(loaded)
    np.testing.assert_array_equal(back.data, data)
    np.testing.assert_allclose(back.angles, angles)
    np.testing.assert_allclose(back.pixel_size, 13.08)
    assert back.elements == (None if elements is None else tuple(elements))


def test_a_volume_survives_saving(tmp_path):
    import hyperspy.api as hs

    x = np.random.default_rng(0).random((3, 4, 6, 6)).astype(np.float32)
    io.to_signal(x, pixel_size=26.2, elements=["O", "Fe", "Pt"]).save(tmp_path / "x.hspy")
    loaded = hs.load(tmp_path / "x.hspy")
    assert [a.name for a in loaded.axes_manager._axes] == ["element", "slice", "depth", "across"]
    assert [a.units for a in loaded.axes_manager._axes[1:]] == ["nm"] * 3
    back = io.from_signal(loaded)
    np.testing.assert_array_equal(back.data, x)
    assert back.angles is None and back.elements == ("O", "Fe", "Pt")
    np.testing.assert_allclose(back.pixel_size, 26.2)


def test_a_cropped_series_has_the_cropped_tilts():
    data = np.zeros((4, 5, 6), np.float32)
    signal = io.to_signal(data, pixel_size=2.0, angles=ANGLES["even"])
    np.testing.assert_allclose(io.from_signal(signal.inav[1:]).angles, [-20, 0, 20])


def test_a_foreign_signal_in_micrometres_is_understood():
    import hyperspy.api as hs

    signal = hs.signals.Signal2D(np.ones((3, 4, 5)))
    tilt, y, x = signal.axes_manager._axes
    tilt.name, tilt.offset, tilt.scale = "Tilt", -10, 10
    for axis in (x, y):
        axis.scale, axis.units = 0.5, "µm"
    found = io.from_signal(signal)
    np.testing.assert_allclose(found.angles, [-10, 0, 10])
    assert found.pixel_size == 500 and found.data.dtype == np.float32
    y.scale = 0.6
    with pytest.raises(ValueError, match="expected square pixels"):
        io.from_signal(signal)
    y.scale, y.units, x.units = 0.5, "parsec", "parsec"
    with pytest.raises(ValueError, match="parsec"):
        io.from_signal(signal)


def test_to_signal_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="3 entries, but data has 4 tilts"):
        io.to_signal(np.zeros((4, 5, 6)), pixel_size=1, angles=[0, 1, 2])
    with pytest.raises(ValueError, match="elements is None"):
        io.to_signal(np.zeros((2, 4, 5, 6)), pixel_size=1, angles=[0, 10, 20, 30])
    with pytest.raises(ValueError, match="pixel_size is 0"):
        io.to_signal(np.zeros((4, 5, 5)), pixel_size=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": np.ones((4, 5))}, r"data has shape \(4, 5\)"),
        ({"energies": [2.0, 2.01]}, r"energies \(2,\); expected \(slices, size, channels\)"),
        ({"energies": [2.0, 2.01, 2.05]}, "in steps from 0.01 to 0.04 keV; expected"),
        ({"energies": [2.02, 2.01, 2.00]}, "rising in equal steps"),
        ({"pixel_size": 0}, "pixel_size is 0"),
    ],
)
def test_spectra_without_calibration_are_refused(changes, message):
    arguments = {"data": np.ones((4, 5, 3)), "pixel_size": 0.5, "energies": [2.0, 2.01, 2.02]}
    arguments |= {"tilt": -30, "voltage": 200, "elements": ["Au"]}
    microscope = io.spectra_to_signal(**arguments).metadata.Acquisition_instrument.TEM
    assert microscope.Stage.tilt_alpha == -30 and microscope.beam_energy == 200
    with pytest.raises(ValueError, match=message):
        io.spectra_to_signal(**(arguments | changes))
