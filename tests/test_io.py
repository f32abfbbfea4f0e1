"""Reading of measured files, and HyperSpy signals."""

import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import norm

from companion import datasets
from hebt import io, prepare
from hebt.io.angles import tilts_of
from hebt.prepare import xray

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
    assert "3 tilts from -40 to 10 degrees (source: names)" in repr(series)


def test_parts_of_the_counts_are_maps_that_add_up(three):
    chosen, series = three
    files = chosen[:1]
    like = {"lines": LINES[:3], "avoid": AVOID, "progress": False}
    split = io.read_tilt_series(files, **like, parts=3, seed=4)
    whole = io.read_tilt_series(files, **like)
    assert split.parts.shape == split.part_variance.shape == (3, 3, 1, 256, 256)
    assert whole.parts is None and whole.variance.shape == whole.maps.shape
    np.testing.assert_allclose(split.parts.sum(axis=0), whole.maps, atol=1e-3)
    np.testing.assert_allclose(split.part_variance.sum(axis=0), whole.variance, atol=1e-3)
    np.testing.assert_array_equal(split.maps, whole.maps)
    shares = split.part_variance.sum(axis=(1, 2, 3, 4)) / whole.variance.sum()
    np.testing.assert_allclose(shares, 1 / 3, atol=0.01)
    # independent noise: what two parts differ by has the sum of their variances
    apart = split.parts[0] - split.parts[1]
    assert (apart**2).sum() == pytest.approx(split.part_variance[:2].sum(), rel=0.03)
    alone = split.pick("Mg_Ka")
    np.testing.assert_array_equal(alone.parts, split.parts[:, [2]])
    np.testing.assert_array_equal(alone.part_variance, split.part_variance[:, [2]])
    np.testing.assert_array_equal(alone.variance, split.variance[[2]])


def test_the_whole_series_has_sixteen_tilts():
    files = bcf_files()
    tilts, source = tilts_of(files, [None] * len(files), None)
    assert tilts.tolist() == list(range(-40, 36, 5)) and source == "names"


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
    counts = cube["data"]
    edges = series.energies - 0.010003 / 2, series.energies + 0.010003 / 2

    def inside(window):
        share = np.minimum(edges[1], window[1]) - np.maximum(edges[0], window[0])
        share = np.clip(share / 0.010003, 0, 1)
        seen = share > 0
        return counts[..., seen] @ share[seen], share.sum()

    for window, made in zip(series.windows, series.maps[:, 2], strict=True):
        (peak,), ((left, right),) = window.peaks, window.backgrounds
        gross, channels = inside(peak)
        (low, low_channels), (high, high_channels) = inside(left), inside(right)
        at = np.mean(left), np.mean(right)
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


def test_picking_lines_keeps_their_maps(three):
    _, series = three
    fewer = series.pick("Fe_Ka", "O_Ka")
    assert fewer.elements == ("Fe", "O") and fewer.haadf is series.haadf
    np.testing.assert_array_equal(fewer.maps, series.maps[[4, 1]])
    assert [w.name for w in fewer.windows] == ["Fe_Ka", "O_Ka"]
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


@pytest.mark.slow
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


def test_a_tilt_that_was_recorded_twice_is_taken_where_it_is_said(three):
    files, _ = three
    series = io.read_tilt_series(files, lines=["Fe_Ka"], angles=[5, -5, 5])
    apart = [io.read_tilt_series([files[i]], lines=["Fe_Ka"], angles=[5]) for i in (1, 0, 2)]
    assert series.angles.tolist() == [-5, 5, 5]
    np.testing.assert_array_equal(series.maps, np.concatenate([one.maps for one in apart], axis=1))


def test_errors_of_reading_say_what_to_do(tmp_path, three):
    files, _ = three
    with pytest.raises(ValueError, match=r"files is \[\]; expected one file per tilt"):
        io.read_tilt_series([], lines=LINES)
    (tmp_path / "map_a.bcf").symlink_to(files[0])
    with pytest.raises(ValueError, match=r"map_a\.bcf \(no numbers\).*nothing.*-40\.bcf.*angles="):
        io.read_tilt_series([tmp_path / "map_a.bcf"], lines=LINES)
    with pytest.raises(ValueError, match="angles has 1 entries, but there are 3 files"):
        io.read_tilt_series(files, lines=LINES, angles=[0])
    with pytest.raises(TypeError, match="lines is .O_Ka.; expected X-ray lines"):
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
    assert abs(np.ptp(iron.peaks[0]) / 1.2 - 0.135) < 0.002
    (oxygen,) = prepare.line_windows(ENERGIES, ["O_Ka"], resolution=130)
    assert np.ptp(oxygen.peaks[0]) / 1.2 < 0.065


def test_a_window_counts_the_peak_and_takes_off_any_straight_background():
    windows = prepare.line_windows(ENERGIES, LINES, avoid=AVOID)
    for window in windows:
        line = 7.0 + 2.5 * ENERGIES
        cube = np.broadcast_to(line, (2, 3, 2048))
        flat = prepare.element_maps(cube, [window], ENERGIES)
        np.testing.assert_allclose(flat, 0, atol=2e-3 * line.sum() / 2048)
        (whole,), (sides,) = window.peaks, window.backgrounds
        sigma = np.ptp(whole) / 1.2 / 2.3548
        peak = np.exp(-0.5 * ((ENERGIES - window.energy) / sigma) ** 2)
        peak /= peak.sum()

        def inside(low, high, window=window, sigma=sigma):
            return norm.cdf(high, window.energy, sigma) - norm.cdf(low, window.energy, sigma)

        # the line's window holds 84 % of a Gaussian; its tails count as a little background
        ends = [(np.mean(w), inside(*w) / (w[1] - w[0])) for w in sides]
        under = np.interp(window.energy, *zip(*ends, strict=True))
        expected = inside(*whole) - under * np.ptp(whole)
        assert 0.8 < expected < 0.85
        counted = prepare.element_maps(1000 * (cube * 0 + peak) + cube, [window], ENERGIES)
        np.testing.assert_allclose(counted, 1000 * expected, rtol=0.01)


def test_backgrounds_keep_clear_of_every_line():
    windows = prepare.line_windows(ENERGIES, LINES, avoid=AVOID)
    lines = [e for name in (*LINES, "Ga_La", "Fe_La", "Cu_La") for e in xray.shell_energies(name)]
    for window in windows:
        (peak,), ((left, right),) = window.peaks, window.backgrounds
        assert left[1] < peak[0] < window.energy < peak[1] < right[0]
        for side in (left, right):
            assert side[0] >= 0.16
            for energy in lines:
                distance = max(side[0] - energy, energy - side[1])
                assert distance >= prepare.line_width(energy, 130.0) - 1e-9, (window, energy)


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
    with pytest.raises(ValueError, match=r"keep is \[15\.0\]; expected some of the tilts"):
        io.read_tomviz_shifts(path, [-10, 0, 10, 20], keep=[15])
    # of a tilt that comes twice, each image has its own
    twice = io.read_tomviz_shifts(path, [-10, 0, 0, 20], keep=[0, -10, 0])
    np.testing.assert_array_equal(np.diff(twice, axis=0), [[-1, 5], [-1, -9]])
    with pytest.raises(ValueError, match="keep holds 0 degrees not as often as tilts"):
        io.read_tomviz_shifts(path, [-10, 0, 0, 20], keep=[0, 20])
    for text in ('[[1, 2], "x"', '{"a": 1}', "[[NaN, 1]]", '[["a", 1]]'):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"shifts\.json .*expected"):
            io.read_tomviz_shifts(path, [0], keep=[0])


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
