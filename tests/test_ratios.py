"""Response ratios: exact on noise-free data, and honest about what cannot be determined."""

import ast
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
import scipy.optimize
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

import hebt

TRUE = np.array([5.3e4, 8.6e4, 1.2e3])


def series(elements=3, seed=0, shape=(5, 4, 20)):
    """Noise-free maps that are 0 in part of the field, and the HAADF images that follow."""
    rng = np.random.default_rng(seed)
    maps = rng.gamma(2.0, 2.0, (elements, *shape)) * (rng.random((elements, *shape)) > 0.3)
    maps[..., :3] = 0
    return np.tensordot(TRUE[:elements], maps, 1), maps


@settings(max_examples=20)
@given(elements=st.integers(1, 3), seed=st.integers(0, 2**31))
def test_known_ratios_are_recovered_from_noise_free_data(elements, seed):
    haadf, maps = series(elements, seed)
    fit = hebt.response_ratios(haadf, maps)
    np.testing.assert_allclose(fit.ratios, TRUE[:elements], rtol=1e-4)
    assert fit.r_squared == pytest.approx(1, abs=1e-6)


@pytest.mark.filterwarnings("ignore:.*hardly determined")
def test_it_is_non_negative_least_squares_on_the_pixels_above_zero():
    rng = np.random.default_rng(1)
    haadf, maps = series()
    haadf = haadf * rng.normal(1, 0.4, haadf.shape)
    haadf[haadf < 0] = 0
    inside = haadf > 0
    fit = hebt.response_ratios(haadf, maps)
    expected, norm = scipy.optimize.nnls(maps[:, inside].T, haadf[inside])
    np.testing.assert_allclose(fit.ratios, expected, rtol=1e-4)
    total = ((haadf[inside] - haadf[inside].mean()) ** 2).sum()
    assert fit.r_squared == pytest.approx(1 - norm**2 / total, abs=1e-5)
    assert fit.pixels == inside.sum()


@pytest.mark.filterwarnings("ignore:the response ratio of")
def test_a_ratio_held_at_zero_changes_the_others():
    haadf, maps = series(2)
    maps[1] += 0.5 * maps[0]
    haadf = 1000 * maps[0] - 300 * maps[1]
    inside = haadf > 0
    expected, _ = scipy.optimize.nnls(maps[:, inside].T, haadf[inside])
    free = np.linalg.lstsq(maps[:, inside].T, haadf[inside])[0]
    fit = hebt.response_ratios(np.maximum(haadf, 0), maps)
    assert expected[1] == fit.ratios[1] == 0 and free[1] < 0
    assert abs(free[0] - expected[0]) > 0.05 * expected[0]
    np.testing.assert_allclose(fit.ratios, expected, rtol=1e-4)


def test_one_slice_gives_the_same_as_its_stack():
    haadf, maps = series(shape=(5, 1, 20))
    one = hebt.response_ratios(haadf[:, 0], maps[:, :, 0])
    np.testing.assert_allclose(one.ratios, hebt.response_ratios(haadf, maps).ratios)


def test_scaling_a_map_scales_its_ratio():
    haadf, maps = series()
    fit = hebt.response_ratios(haadf, maps)
    rescaled = hebt.response_ratios(haadf, maps * np.array([1e6, 1e-6, 1])[:, None, None, None])
    np.testing.assert_allclose(rescaled.ratios * [1e6, 1e-6, 1], fit.ratios, rtol=1e-5)


def test_the_prediction_is_the_weighted_sum_of_the_maps():
    haadf, maps = series()
    fit = hebt.response_ratios(haadf, maps)
    np.testing.assert_allclose(fit.predict(maps), haadf, rtol=1e-3, atol=1)
    with pytest.raises(ValueError, match="one map for each of"):
        fit.predict(maps[:2])


def test_collinear_maps_are_reported_by_name():
    haadf, maps = series()
    maps = np.concatenate([maps, 3 * maps[1:2]])
    with pytest.warns(UserWarning, match="maps of Ag, Cd are collinear") as caught:
        hebt.response_ratios(haadf, maps, names=["Au", "Ag", "Cu", "Cd"])
    assert not any("Au" in str(w.message).split(":")[0] for w in caught)


def test_different_maps_are_not_called_collinear(recwarn):
    hebt.response_ratios(*series())
    assert not recwarn.list


def test_a_ratio_of_zero_is_reported_by_name():
    haadf, maps = series(2)
    hole = maps[0] * (maps[1] == 0)
    haadf = np.where(hole > 0, 0.9 * haadf, haadf)
    with pytest.warns(UserWarning, match="response ratio of Ga came out as 0"):
        fit = hebt.response_ratios(haadf, np.stack([*maps, hole]), names=["Au", "Ag", "Ga"])
    assert fit.ratios[2] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h, m: (h, m * [[[[1]]], [[[0]]], [[[1]]]]), "maps of Ag are empty"),
        (lambda h, m: (h * 0, m), "haadf is 0 everywhere"),
        (lambda h, m: (np.where(h == h.max(), 1, 0) * h, m), "haadf has 1 pixels above 0"),
        (lambda h, m: (h * 0 + 7, m), "same intensity 7"),
        (lambda h, m: (h[:-1], m), "maps has shape"),
        (lambda h, m: (np.where(h > 0, np.nan, h), m), "haadf holds .* NaN"),
        (lambda h, m: (h, 1 - np.rint(9 * m)), "slightly negative"),
        (lambda h, m: (h[..., :0], m[..., :0]), "haadf is empty"),
    ],
)
def test_bad_input_is_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        hebt.response_ratios(*change(*series()), names=["Au", "Ag", "Cu"])


def test_as_many_names_as_maps():
    with pytest.raises(ValueError, match="names has 2 entries"):
        hebt.response_ratios(*series(), names=["Au", "Ag"])


# ---- the noise of the maps is taken off

ANGLES = np.arange(-75, 76, 5)
Z, ZETA = np.array([791.5, 471.5]), np.array([0.0188, 0.024])  # of the paper, section 3.1


def case(name):
    path = Path(os.environ.get("HEBT_DATA", "")) / "cases" / f"{name}.npz"
    return path if path.is_file() else pytest.skip(f"cases/{name}.npz is not in HEBT_DATA")


def phantom(size):
    """The paper's phantom and dose in a smaller frame: HAADF, mean counts, true ratios."""
    area = (512 / size) ** 2
    density = hebt.simulate.phantom(size).density
    W = hebt.Projector(ANGLES, size)
    haadf = hebt.simulate.haadf_tilt_series(W, density, area * Z)
    return haadf, hebt.simulate.mean_counts(W, density, area * ZETA), Z / ZETA


def poisson(mean, seed):
    return np.random.default_rng(seed).poisson(mean)


def bias_and_errors(fits, true):
    """Relative bias of the mean over seeds, and both errors' root mean squares over the spread."""
    ratios = np.array([fit.ratios for fit in fits])
    spread = ratios.std(axis=0, ddof=1)
    errors = [
        np.sqrt(np.mean([getattr(fit, name) ** 2 for fit in fits], axis=0)) / spread
        for name in ("standard_errors", "tilt_errors")
    ]
    return ratios.mean(axis=0) / true - 1, np.array(errors)


@pytest.fixture(scope="module")
def alsiyb():
    """A published benchmark: HAADF, counts of Al, Si and Yb, and angles."""
    folder = Path(os.environ.get("HEBT_DATA", "")) / "alsiyb-phantom"
    if not folder.is_dir():
        pytest.skip("alsiyb-phantom is not in HEBT_DATA")

    def read(name):
        size, slices, tilts, mode = np.fromfile(folder / f"{name}.mrc", "<i4", 4)
        assert mode == 2
        return np.memmap(folder / f"{name}.mrc", "<f4", "r", 1024, (tilts, slices, size))

    elements = ("Al", "Si", "Yb")
    maps = np.stack([read(f"{element}_EDXsino") for element in elements])
    return read("HAADF_lrsino"), maps, np.loadtxt(folder / "HAADF_lrsino.rawtlt"), elements


# given with the data: normal equations without the Poisson variance on their diagonal
ALSIYB = np.array([4428, 29023, 49300])


def test_raw_counts_of_a_published_benchmark_give_the_right_ratios(alsiyb, recwarn):
    haadf, maps, _, elements = alsiyb
    fit = hebt.response_ratios(haadf, maps, elements)
    np.testing.assert_allclose(fit.ratios, ALSIYB, rtol=0.15)
    assert fit.variance == "counts" and fit.r_squared > 0.95
    assert "counts" in repr(fit) and not recwarn.list
    # halves of the counts need no variance, and agree within their errors
    first, second = hebt.split_counts(maps, seed=1)
    halves = hebt.response_ratios(haadf, first + second, elements, half=first)
    assert (np.abs(halves.ratios - ALSIYB) < 2 * halves.standard_errors).all()
    assert (np.abs(halves.ratios - ALSIYB) < 0.15 * ALSIYB).all()


@pytest.mark.filterwarnings("ignore:.*differs between tilts")
def test_plain_least_squares_on_raw_counts_is_biased_and_says_so(alsiyb):
    haadf, maps, _, elements = alsiyb
    with pytest.warns(UserWarning, match="explain only 29 %.*variance="):
        fit = hebt.response_ratios(haadf, maps, elements, variance=None)
    np.testing.assert_allclose(fit.ratios, [5236, 11509, 14831], rtol=1e-3)
    assert fit.variance is None and fit.r_squared == pytest.approx(0.286, abs=1e-3)


def test_the_lines_of_the_readme_run_on_a_published_benchmark(alsiyb, capsys):
    haadf, maps, angles, elements = alsiyb
    _, example = re.findall(
        r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    lines = textwrap.dedent(example).split("\n\n")[-1]
    assert "simulate" not in lines
    fitted, reconstructed = lines[: lines.index("x = ")], lines[lines.index("x = ") :]
    here = {"hebt": hebt, "haadf": haadf, "maps": maps, "elements": elements}
    exec(fitted, here)
    assert "R2 = 0.99" in capsys.readouterr().out
    np.testing.assert_allclose(here["fit"].ratios, ALSIYB, rtol=0.15)
    # a slice of coarse pixels stands for all, which take minutes
    here |= {
        name: hebt.prepare.bin_images(images[..., 29:30, :432], 3, axis=-1)
        for name, images in (("haadf", haadf), ("maps", maps))
    }
    here |= {"W": hebt.Projector(angles, here["haadf"].shape[-1])}
    exec(reconstructed, here)
    again = np.moveaxis(here["W"].forward(here["x"]), 1, 0)
    assert np.linalg.norm(again.sum(axis=0) - here["haadf"]) < 0.1 * np.linalg.norm(here["haadf"])
    # the counts of each element are in the result (plain least squares lost half of two)
    expected = ALSIYB * here["maps"].sum(axis=(1, 2, 3))
    np.testing.assert_allclose(again.sum(axis=(1, 2, 3)), expected, rtol=1 / 3)


@pytest.mark.promise
def test_ratios_are_unbiased_and_know_their_errors(promise):
    """Of raw counts, and of smoothed ones, whose variance goes through the squared filter."""
    haadf, mean, true = phantom(128)
    kernel = hebt.prepare.smoothing_kernel(3, 1.0)

    def smooth(images, weights=kernel):
        return scipy.ndimage.correlate1d(np.asarray(images, float), weights, mode="reflect")

    raw, smoothed = [], []
    for seed in range(40):
        counts = poisson(mean, seed)
        raw.append(hebt.response_ratios(haadf, counts))
        given = smooth(counts, kernel**2)
        smoothed.append(hebt.response_ratios(smooth(haadf), smooth(counts), variance=given))
    assert "given variance" in repr(smoothed[0])
    for fits in (raw, smoothed):
        bias, errors = bias_and_errors(fits, true)
        assert (np.abs(bias) < 0.005).all()
        assert (np.abs(errors - 1) < 0.3).all()
    promise("ratios", series=2, seeds=40)


def test_halves_of_the_counts_survive_interpolation_where_a_variance_does_not():
    haadf, mean, true = phantom(64)
    mean, true = mean / 4, true * 4  # few counts: the noise pulls harder
    shifts = np.random.default_rng(5).uniform(-1.5, 1.5, (len(ANGLES), 2)) * [0, 1]
    drifted = np.maximum(hebt.prepare.apply_shifts(mean[:, :, None], shifts), 0)

    def back(images):
        return hebt.prepare.apply_shifts(images, -shifts)

    haadf = back(hebt.prepare.apply_shifts(haadf[:, None], shifts))
    plain, corrected, halves = [], [], []
    for seed in range(40):
        counts = poisson(drifted, seed)
        first, second = (back(half) for half in hebt.split_counts(counts, seed=100 + seed))
        maps = first + second
        plain.append(hebt.response_ratios(haadf, maps))
        corrected.append(hebt.response_ratios(haadf, maps, variance=maps))
        halves.append(hebt.response_ratios(haadf, maps, half=first))
    assert halves[0].variance == "halves" and plain[0].variance is None
    (low, _), _ = bias_and_errors(plain, true)
    (high, _), _ = bias_and_errors(corrected, true)
    bias, errors = bias_and_errors(halves, true)
    assert low < -0.05 and high > 0.03
    assert (np.abs(bias) < 0.01).all() and (np.abs(errors - 1) < 0.3).all()


def test_the_corrected_equations_are_those_of_the_definition():
    rng = np.random.default_rng(2)
    maps = rng.poisson(rng.gamma(2, 4, (2, 3, 40)))
    haadf = np.tensordot([3.0, 5.0], maps, 1) + 1
    P, y = maps.reshape(2, -1).astype(float), haadf.ravel()
    D = rng.normal(0, 0.3, P.shape)
    for noise, options in (
        (np.diag(P.sum(axis=1)), {"variance": "counts"}),
        (0.5 * np.diag(P.sum(axis=1)), {"variance": maps / 2}),
        (np.diag([2.0, 3.0]) * y.size, {"variance": np.array([2.0, 3.0])[:, None, None]}),
        (D @ D.T, {"half": (maps + D.reshape(maps.shape)) / 2}),
        (np.zeros((2, 2)), {"variance": None}),
    ):
        fit = hebt.response_ratios(haadf, maps, **options)
        expected = np.linalg.solve(P @ P.T - noise, P @ y)
        np.testing.assert_allclose(fit.ratios, expected, rtol=1e-4)
        left = ((y - expected @ P) ** 2).sum() - expected @ noise @ expected
        total = ((y - y.mean()) ** 2).sum()
        assert fit.r_squared == pytest.approx(min(1 - left / total, 1), abs=1e-4)


def test_whole_numbers_are_taken_for_counts_and_others_are_not():
    haadf, mean, _ = phantom(64)
    counts = poisson(mean, 0)
    auto = hebt.response_ratios(haadf, counts)
    assert auto.variance == "counts"
    np.testing.assert_array_equal(
        auto.ratios, hebt.response_ratios(haadf, counts, variance="counts").ratios
    )
    assert hebt.response_ratios(haadf, counts / 3).variance is None
    assert "not taken off" in repr(hebt.response_ratios(haadf, counts / 3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variance": "counts"}, "not whole numbers"),
        ({"variance": "poisson"}, 'variance is \'poisson\'; expected "auto", "counts"'),
        ({"variance": np.ones(7)}, "variance has shape .7,. and maps"),
        ({"variance": -np.ones(20)}, "none below 0"),
        ({"variance": np.full(20, np.nan)}, "variance holds .* NaN"),
        ({"half": np.ones(20)}, "half has shape .20,. and maps"),
        ({"half": series()[1]}, "half holds 100 % of the counts"),
        ({"half": np.ones((3, 5, 4, 20)), "variance": None}, "one of them"),
    ],
)
def test_a_noise_that_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        hebt.response_ratios(*series(), **options)


def test_too_few_counts_are_said_and_not_fitted():
    """A measured series with one count in 150 pixels: its maps are noise."""
    with np.load(case("SAIT_024_2_6")) as file:
        haadf, counts, names = file["haadf"], file["counts"], file["names"]
    with pytest.raises(ValueError, match="too few counts .* Se, S, Zn .* variance=None"):
        hebt.response_ratios(haadf, counts, names)
    with pytest.warns(UserWarning, match="a constant explains haadf better.*noise in the maps"):
        hebt.response_ratios(haadf, counts, names, variance=None)


def test_maps_that_differ_in_their_noise_only_are_refused_by_name():
    rng = np.random.default_rng(0)
    mean = rng.gamma(2, 2, (5, 4, 20))
    maps = np.stack(
        [rng.poisson(mean), rng.poisson(m := rng.gamma(2, 2, mean.shape)), rng.poisson(mean)]
    )
    with pytest.raises(ValueError, match="maps of Au, Cu is left") as caught:
        hebt.response_ratios(mean + m, maps, ["Au", "Ag", "Cu"], variance=1.3 * maps)
    assert "Ag" not in str(caught.value)


def test_a_black_level_of_haadf_is_said():
    with np.load(case("msaem_Co3O4_Mn3O4")) as file:
        haadf, maps = file["HAADF"], np.stack([file[e] for e in ("Co", "Mn", "O")])
    with pytest.warns(UserWarning, match=r"R2 = -3.176.* from 1.103e\+07 .*black level"):
        fit = hebt.response_ratios(haadf[None], maps[:, None], ["Co", "Mn", "O"])
    assert fit.r_squared == pytest.approx(-3.18, abs=0.01)
    assert np.isnan(fit.tilt_errors).all(), "one image has no spread over tilts"


def test_a_missing_element_is_said_where_there_is_no_black_level():
    """A bright coating beside a particle: where an offset is removed, none is blamed."""
    rng = np.random.default_rng(0)
    maps = np.zeros((2, 5, 20, 20))
    maps[..., :9] = rng.poisson(rng.gamma(2, 3, (2, 5, 20, 9)))
    haadf = 10 * maps[0] + 5 * maps[1] + rng.random(maps[0].shape)
    haadf[..., 9:17] += rng.normal(400, 30, (5, 20, 8))
    with pytest.warns(UserWarning, match="a constant explains.*no black level.*to have no map"):
        hebt.response_ratios(haadf, maps, ["Au", "Ag"])
    with pytest.warns(UserWarning, match="a constant explains.*seems to have a black level"):
        hebt.response_ratios(haadf + 300, maps, ["Au", "Ag"])


@pytest.mark.parametrize("smoothed", [False, True])
def test_ratios_that_differ_between_tilts_are_said_and_noise_alone_is_not(smoothed, recwarn):
    haadf, mean, _ = phantom(64)
    shadow = hebt.simulate.detector_response(ANGLES)[:, None]

    def fit(mean, seed):
        p, h = poisson(mean, seed), haadf
        if smoothed:
            p, h = (hebt.prepare.smooth(image, width=3, sigma=1.0) for image in (p, h))
        return hebt.response_ratios(h, p, ["Au", "Ag"])

    for seed in range(20):
        fit(mean, seed)
    assert not recwarn.list
    for seed in range(5):
        with pytest.warns(UserWarning, match="ratio of Au, Ag differs between tilts"):
            shadowed = fit(mean * shadow, seed)
        # in few blocks of smoothed maps the two cannot be kept apart
        assert smoothed or (shadowed.tilt_errors > 1.5 * shadowed.standard_errors).all()


def test_a_ratio_within_its_own_error_is_said():
    rng = np.random.default_rng(3)
    maps = rng.poisson(rng.gamma(2, 2, (2, 4, 30)) * [[[5]], [[0.01]]])
    haadf = 10 * maps[0] + rng.normal(50, 20, maps[0].shape).clip(0)
    with pytest.warns(UserWarning, match="ratio of Ag (is hardly determined|came out as 0)"):
        hebt.response_ratios(haadf, maps, ["Au", "Ag"], variance=None)


def test_errors_of_a_ratio_of_zero_are_not_numbers():
    haadf, maps = series(2)
    hole = maps[0] * (maps[1] == 0)
    haadf = np.where(hole > 0, 0.9 * haadf, haadf)
    with pytest.warns(UserWarning, match="came out as 0"):
        fit = hebt.response_ratios(haadf, np.stack([*maps, hole]))
    assert (np.isnan(fit.standard_errors) == [False, False, True]).all()
    assert (np.isnan(fit.tilt_errors) == [False, False, True]).all()


def test_halves_are_thinned_counts():
    counts = poisson(np.full((50, 2000), 3.0), 4).astype(np.uint16)
    first, second = hebt.split_counts(counts, seed=7)
    assert first.dtype == second.dtype == np.uint16
    np.testing.assert_array_equal(first + second, counts)
    np.testing.assert_array_equal(first, hebt.split_counts(counts, seed=7)[0])
    # independent Poisson numbers about half the mean
    for half in (first, second):
        assert half.mean() == pytest.approx(1.5, rel=0.02)
        assert half.var() == pytest.approx(1.5, rel=0.03)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.02
    for bad in (counts / 3, -counts.astype(int)):
        with pytest.raises(ValueError, match="expected raw counts"):
            hebt.split_counts(bad, seed=0)


# ---- terminals that know no UTF-8


def test_results_can_be_printed_in_a_terminal_that_knows_no_utf8():
    code = """
import hebt, numpy as np
rng = np.random.default_rng(0)
maps = rng.poisson(rng.gamma(2, 9, (2, 4, 6, 16)))
haadf = 3.0 * maps[0] + 4.0 * maps[1]
print(hebt.response_ratios(haadf, maps, ["Au", "Ag"], variance=None))
print(hebt.validation.leave_one_out([0, 30, 60, 90], haadf, maps, held=[30], stops=[1]))
"""
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment)
    assert done.returncode == 0, done.stderr.decode()
    assert b"R2 = " in done.stdout and b"HeldOut" in done.stdout


def test_what_results_print_is_ascii():
    """Python itself escapes what errors and warnings say; explorers are shown on pages."""
    found = {}
    for path in sorted((ROOT / "hebt").rglob("*.py")):
        if "explorers" in path.parts:
            continue
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if getattr(function, "name", "") not in ("__repr__", "__str__"):
                continue
            for node in ast.walk(function):
                text = getattr(node, "value", "")
                if isinstance(text, str) and not text.isascii():
                    found[f"{path.name}:{node.lineno}"] = text
    assert not found


def balls(size=64, tilts=6):
    """Thickness of a ball that moves across the images, at most 1."""
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    thickness = np.sqrt(np.maximum(0, 1 - (x**2 + y**2) / 0.3))
    return np.stack([np.roll(thickness, 2 * i, axis=1) for i in range(tilts)])


@pytest.mark.parametrize("maps", ["without noise", "smoothed"])
def test_whole_numbers_that_have_no_counting_noise_are_said(maps):
    counts = np.rint(10 * balls())
    if maps == "smoothed":
        noisy = poisson(10 * balls(), 0)
        counts = np.rint(hebt.prepare.smooth(noisy, width=8, sigma=2.0, axis=(-2, -1)))
    with pytest.warns(UserWarning, match="less noise than .* taken for counts.*variance=None"):
        hebt.response_ratios(100 * balls(), counts[None])


def test_counts_times_a_gain_are_no_counts():
    """Their variance is larger than they are."""
    counts = poisson(10 * balls(), 0)[None]
    assert hebt.response_ratios(100 * balls(), counts).variance == "counts"
    assert hebt.response_ratios(100 * balls(), 10 * counts).variance is None
    with pytest.raises(ValueError, match="multiples of one number"):
        hebt.response_ratios(100 * balls(), 10 * counts, variance="counts")
    right = hebt.response_ratios(100 * balls(), 10 * counts, variance=100 * counts)
    np.testing.assert_allclose(right.ratios, 1, rtol=0.02)


def test_a_background_in_counts_is_said(recwarn):
    """Of 5 % of the brightest, which draws the ratio down by about as much."""
    h, expected = 100 * balls(), 20 * balls()
    hebt.response_ratios(h, poisson(expected, 0)[None])
    hebt.response_ratios(h, poisson(expected + 0.05, 1)[None])
    assert not recwarn.list
    with pytest.warns(UserWarning, match="map of Si has 1 counts a pixel where haadf shows no"):
        hebt.response_ratios(h, poisson(expected + 1, 2)[None], ["Si"])


def test_errors_of_smoothed_maps_of_a_small_particle_are_not_too_small():
    kernel = hebt.prepare.smoothing_kernel(8, 2.0)

    def smooth(images, weights=kernel):
        for axis in (-2, -1):
            images = scipy.ndimage.correlate1d(np.asarray(images, float), weights, axis=axis)
        return images

    parts = np.stack([balls(), np.roll(balls(), 4, axis=1) * (balls() > 0.5)])
    haadf, fits = smooth(np.tensordot([10, 20], parts, 1)), []
    for seed in range(40):
        counts = poisson(5 * parts, seed)
        given = smooth(counts, kernel**2)
        fits.append(hebt.response_ratios(haadf, smooth(counts), variance=given))
    spread = np.std([f.ratios for f in fits], axis=0, ddof=1)
    assert (np.median([f.standard_errors for f in fits], axis=0) > 0.75 * spread).all()


@pytest.mark.parametrize("dark", ["haadf", "maps"])
def test_a_tilt_that_only_one_signal_has_is_said(dark):
    haadf, maps = 100 * balls(), poisson(10 * balls(), 0)[None]
    W = hebt.Projector(25.0 * np.arange(6), 64)
    haadf[3] *= dark != "haadf"
    maps[:, 3] *= dark != "maps"
    for call in (
        lambda: hebt.response_ratios(haadf, maps, variance=None),
        lambda: hebt.reconstruct(W, haadf, maps, [10], iterations=1),
    ):
        with pytest.warns(UserWarning, match=f"{dark} (is|are) 0 everywhere at 1 tilts.*first 3"):
            call()


def test_one_map_with_a_gain_makes_the_maps_no_counts():
    W = hebt.Projector(np.arange(-75, 76, 15), 48)
    specimen = hebt.simulate.phantom(48)
    haadf = hebt.simulate.haadf_tilt_series(W, specimen.density, [79, 47])
    maps = hebt.simulate.eds_tilt_series(W, specimen.density, [9, 4], seed=1)
    assert hebt.response_ratios(haadf, maps).variance == "counts"
    for element in (0, 1):
        gained = maps.copy()
        gained[element] *= 10  # its variance is ten times what it would be of counts
        assert hebt.response_ratios(haadf, gained).variance is None
        with pytest.raises(ValueError, match="multiples of one number"):
            hebt.response_ratios(haadf, gained, variance="counts")
