"""Energy windows on spectra that are not what they seem, and windows that overlap."""

import re
import warnings

import numpy as np
import pytest
from scipy.stats import norm

from hebt import prepare
from hebt.prepare import xray

pytest.importorskip("exspy")

ENERGIES = -0.47 + 0.01 * np.arange(2048)
OVERLAPPING = {("Al_Ka", "Yb_Ma"): 62, ("S_Ka", "Mo_La"): 87}
# what is mapped, and a line of the second element's other shell that its window counts, or that its
# background counts (Cu, Au, Fe): by the energies of the X-ray data booklet
OTHER_SHELLS = {
    ("S_Ka", "Pb_La"): "Pb_Ma",  # 2.31 and 2.35 keV
    ("S_Ka", "Mo_Ka"): "Mo_La",  # 2.31 and 2.29 keV
    ("Si_Ka", "W_La"): "W_Ma",  # 1.74 and 1.77 keV
    ("Si_Ka", "Ta_La"): "Ta_Ma",  # 1.74 and 1.71 keV
    ("P_Ka", "Pt_La"): "Pt_Ma",  # 2.01 and 2.05 keV
    ("Na_Ka", "Cu_Ka"): "Cu_La",  # 1.04 and 0.93 keV
    ("Al_Ka", "Br_Ka"): "Br_La",  # 1.49 and 1.48 keV
    ("Hg_La", "Au_Ma"): "Au_La",  # 9.99 and 9.71 keV
    ("O_Ka", "Fe_Ka"): "Fe_La",  # 0.52 and 0.70 keV
}
WINDOW = prepare.EnergyWindow("Fe_Ka", [(6.3, 6.5)], [[(6.1, 6.2), (6.6, 6.7)]])


def quiet_windows(lines, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return prepare.line_windows(ENERGIES, lines, **options)


def peak(energy, low, high, resolution=130):
    """Return the share of a line's counts between two energies."""
    sigma = prepare.line_width(energy, resolution) / np.sqrt(8 * np.log(2))
    return norm.cdf(high, energy, sigma) - norm.cdf(low, energy, sigma)


def spectrum(line, resolution=130):
    """Return counts per channel of a line and the other lines of its shell, for 1 in the line."""
    element, name = line.split("_")
    lines = prepare.xray_lines(element)
    edges = ENERGIES - 0.005, ENERGIES + 0.005
    return sum(
        v["weight"] / lines[name]["weight"] * peak(v["energy (keV)"], *edges, resolution)
        for k, v in lines.items()
        if k[0] == name[0]
    )


# --- energies ---


@pytest.mark.parametrize(
    ("energies", "message"),
    [
        (1000 * ENERGIES, "energies go from -470 to 20000; expected keV. Divide by"),
        (1000 * ENERGIES[:100], "energies go from -470 to 520.*Divide by 1000"),
        (ENERGIES + 1e-4 * np.arange(2048) ** 1.5 / 100, "different ones in keV, in equal steps"),
        (np.geomspace(0.1, 20, 2048), "different ones in keV, in equal steps"),
        (
            np.sort(np.random.default_rng(0).uniform(0, 20, 2048)),
            "different ones in keV, in equal steps",
        ),
        (np.full(2048, 6.4), "different ones in keV, in equal steps"),
        ([6.4], "different ones in keV, in equal steps"),
        (np.where(ENERGIES > 19, np.nan, ENERGIES), "energies holds .* NaN"),
        (np.ma.masked_greater(ENERGIES, 19), "energies is a masked array"),
    ],
)
def test_energies_of_another_kind_make_no_map(energies, message):
    for use in (
        lambda: prepare.line_windows(energies, ["Fe_Ka"]),
        lambda: WINDOW.weights(energies),
        lambda: prepare.element_maps(np.ones((2, 2, len(energies))), [WINDOW], energies),
    ):
        with pytest.raises(ValueError, match=message):
            use()


def test_channels_may_come_in_any_order():
    order = np.random.default_rng(0).permutation(2048)
    windows = prepare.line_windows(ENERGIES[order], ["Fe_Ka"])
    assert windows == prepare.line_windows(ENERGIES, ["Fe_Ka"])
    weights = WINDOW.weights(ENERGIES)
    np.testing.assert_allclose(WINDOW.weights(ENERGIES[order]), weights[order], atol=1e-9)


def test_windows_know_only_whole_channels_beside_gaps_and_at_the_ends():
    apart = np.concatenate([ENERGIES[600:660], ENERGIES[670:730]])  # 5.53 to 6.12, 6.23 to 6.82
    for narrow in (ENERGIES[600:690], apart):
        with pytest.raises(
            ValueError, match=r"6\.[13] to 6\.[25] keV, of which there is only .. %"
        ):
            WINDOW.weights(narrow)
    weights = WINDOW.weights(np.concatenate([ENERGIES[600:700], ENERGIES[705:730]]))
    assert weights.sum() == pytest.approx(0, abs=1e-9)
    assert WINDOW.weights(ENERGIES.astype(np.float32)).sum() == pytest.approx(0, abs=1e-9)


def test_a_map_takes_the_energies_of_its_spectra():
    hs = pytest.importorskip("hyperspy.api")
    counts = np.random.default_rng(0).poisson(3, (2, 3, 2048))
    right = prepare.element_maps(counts, [WINDOW], ENERGIES)
    signal = hs.signals.Signal1D(counts)
    energy = signal.axes_manager.signal_axes[0]
    for units, step, first in (("keV", 0.01, -0.47), ("eV", 10, -470)):
        energy.units, energy.scale, energy.offset = units, step, first
        np.testing.assert_allclose(prepare.element_maps(signal, [WINDOW], ENERGIES), right)
    energy.offset = -450
    with pytest.raises(ValueError, match=r"spectrum_image has energies from -0\.45 .* -0\.47"):
        prepare.element_maps(signal, [WINDOW], ENERGIES)
    with pytest.raises(ValueError, match=r"\(2, 3, 2048\).*2000 energies"):
        prepare.element_maps(counts, [WINDOW], ENERGIES[:2000])
    with pytest.raises(ValueError, match="expected three dimensions"):
        prepare.element_maps(counts[0], [WINDOW], ENERGIES)


def test_a_map_is_made_of_real_counts():
    counts = np.random.default_rng(0).random((2, 3, 2048)) / 4  # all below 1
    whole = prepare.element_maps(counts, [WINDOW], ENERGIES)
    np.testing.assert_allclose(whole[0], counts @ WINDOW.weights(ENERGIES), atol=1e-5)
    masked = np.ma.masked_greater(counts, 0.2)
    broken = np.where(counts > 0.2, np.nan, counts)
    for wrong, message in ((masked, "masked"), (broken, "NaN")):
        with pytest.raises(ValueError, match=f"spectrum_image .*{message}"):
            prepare.element_maps(wrong, [WINDOW], ENERGIES)


def test_principal_components_are_made_of_real_counts():
    rng = np.random.default_rng(0)
    shares = rng.random((300, 2)).astype(np.float32) / 50
    spectra = shares @ rng.random((2, 40)).astype(np.float32)  # all far below 1
    energies = 1 + 0.01 * np.arange(40)
    found = prepare.decompose(spectra, energies, components=2)
    np.testing.assert_allclose(found.denoise(spectra), spectra, atol=1e-6)
    masked = np.ma.masked_greater(spectra, 0.01)
    for use in (lambda: prepare.decompose(masked, energies), lambda: found.denoise(masked)):
        with pytest.raises(ValueError, match="spectra is a masked array"):
            use()
    with pytest.raises(ValueError, match=r"spectra has shape \(300, 30\).*40"):
        found.denoise(spectra[:, :30])
    with pytest.raises(ValueError, match=r"weights has shape \(30,\).*40"):
        found.weights(np.ones(30))


# --- names ---


@pytest.mark.parametrize("lines", ["O_Ka", {"O_Ka", "Fe_Ka"}, {"O_Ka": 1, "Fe_Ka": 2}, 3, None])
def test_what_has_no_order_names_no_line(lines):
    with pytest.raises(TypeError, match="lines is .*; expected X-ray lines such as"):
        prepare.line_windows(ENERGIES, lines)


@pytest.mark.parametrize("avoid", ["Fe_La", {"Fe_La"}, [(1, 2, 3)], [(2, 1)], [1.0], [(0, np.nan)]])
def test_what_to_avoid_is_a_list_of_lines_and_ranges(avoid):
    with pytest.raises((TypeError, ValueError), match=r"avoid"):
        prepare.line_windows(ENERGIES, ["O_Ka"], avoid=avoid)


def test_widths_are_in_the_units_they_say():
    for wrong in (0.13, 0, -130, np.nan, "130"):
        with pytest.raises(ValueError, match="resolution is .*; expected .* in eV"):
            prepare.line_windows(ENERGIES, ["O_Ka"], resolution=wrong)
    with pytest.raises(ValueError, match="energy go from 6404.*; expected keV"):
        prepare.line_width(6404)
    with pytest.raises(ValueError, match="'Xx', which is no element"):
        prepare.xray_lines("Xx")
    with pytest.raises(ValueError, match="peaks of the window of X holds .*from below to"):
        prepare.EnergyWindow("X", [(1.1, 0.9)], [[(0.5, 0.7)]])


# --- windows that overlap ---


@pytest.mark.promise
def test_windows_that_overlap_are_named_with_their_share(promise):
    for lines, share in OVERLAPPING.items():
        with pytest.warns(UserWarning, match=f"share {share} %") as caught:
            windows = prepare.line_windows(ENERGIES, lines)
        assert len(caught) == 1 and all(line in str(caught[0].message) for line in lines)
        # the straight part of it: both windows are 1.2 FWHM wide, as far apart as the lines
        (a, b), widths = [w.energy for w in windows], [np.ptp(w.peaks[0]) for w in windows]
        shared = sum(widths) / 2 - abs(a - b)
        assert round(100 * shared / max(widths)) == share
    promise("overlapping_windows", pairs=len(OVERLAPPING))


def test_windows_that_do_not_overlap_are_quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prepare.line_windows(ENERGIES, ["Fe_Ka", "Fe_Kb"])  # of one element
        prepare.line_windows(ENERGIES, ["Ag_La", "Au_Ma"])  # other shells elsewhere, or beyond
        for lines, avoid in (
            (["O_Ka", "Mg_Ka", "Si_Ka", "Fe_Ka", "Pt_Ma"], ["Fe_La"]),
            (["O_Ka", "Cu_Ka", "Ga_Ka"], ["Cu_La", "Ga_La"]),
        ):
            prepare.line_windows(ENERGIES, lines, avoid=avoid)


def test_titanium_is_all_that_overlaps_in_the_dust():
    from companion.dust.study import DustSettings

    dust = DustSettings(binning=4, coarse=8, held=())
    with pytest.warns(UserWarning, match="Ti has .* L shell") as caught:
        prepare.line_windows(ENERGIES, dust.lines, avoid=dust.avoid, resolution=130)
    (warning,) = caught
    assert set(re.findall(r"(\w+) has", str(warning.message))) == {"Ti"}


def test_lines_of_other_shells_are_named_too():
    for (line, other), hidden in OTHER_SHELLS.items():
        element, shell = hidden.split("_")
        for named in (
            {"lines": [line, other]},
            {"lines": [other, line]},
            {"lines": [line], "avoid": [other]},
        ):
            with pytest.warns(UserWarning, match=f"{element} has .* {shell[0]} ") as caught:
                windows = prepare.line_windows(ENERGIES, **named)
            assert len(caught) == 1
        said = str(caught[0].message)
        # the same as if the line were mapped: in counts of one line for as many of the other
        mapped = [windows[0], *quiet_windows([hidden])]
        matrix = prepare.crosstalk_matrix(mapped, ENERGIES)
        share = 100 * matrix[0, 1] / matrix[0, 0]
        assert f"window of {line} counts {share:.0f} % as well of {hidden}" in said
        # once it is named, backgrounds keep clear of it, and the window can be unmixed
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            prepare.line_windows(ENERGIES, [line, other, hidden])
        messages = " ".join(str(w.message) for w in caught)
        assert f"{element} has " not in messages
        assert (f"of {hidden}" in messages) == (share > 0)


def test_a_line_that_is_known_but_not_mapped_is_named_too():
    with pytest.warns(UserWarning, match="of Yb_Ma"):
        prepare.line_windows(ENERGIES, ["Al_Ka"], avoid=["Yb_Ma"])


def test_crosstalk_is_what_gaussian_peaks_leave_in_the_windows():
    fine = 0.0005 * np.arange(8000)  # narrow channels, of which the ends of windows cut few counts
    for lines in OVERLAPPING:
        windows = quiet_windows(lines)
        matrix = prepare.crosstalk_matrix(windows, fine)
        for i, window in enumerate(windows):
            (whole,), ((left, right),) = window.peaks, window.backgrounds
            middle = np.mean(whole), np.mean(left), np.mean(right)
            part = (middle[0] - middle[1]) / (middle[2] - middle[1])
            for j, line in enumerate(lines):
                element, name = line.split("_")
                table = prepare.xray_lines(element)
                counted = 0
                for k, v in table.items():
                    if k[0] == name[0]:
                        inside = [peak(v["energy (keV)"], *w) for w in (whole, left, right)]
                        under = [n / np.ptp(w) for n, w in zip(inside[1:], (left, right))]
                        net = inside[0] - np.ptp(whole) * ((1 - part) * under[0] + part * under[1])
                        counted += v["weight"] / table[name]["weight"] * net
                assert matrix[i, j] == pytest.approx(counted, abs=1e-4)


@pytest.mark.parametrize("lines", [*OVERLAPPING, ("Al_Ka", "Yb_Ma", "Si_Ka", "O_Ka")])
@pytest.mark.filterwarnings("ignore:unmixing")
def test_unmixing_finds_the_counts_that_were_put_in(lines):
    rng = np.random.default_rng(0)
    counts = rng.uniform(0, 1000, (len(lines), 4, 5)) * (rng.random((len(lines), 4, 5)) > 0.3)
    cube = np.einsum("eij,ec->ijc", counts, [spectrum(line) for line in lines])
    cube += 7 - 0.3 * ENERGIES  # a straight background
    windows = quiet_windows(lines)
    maps = prepare.element_maps(cube, windows, ENERGIES)
    unmixed = prepare.unmix(maps, windows, ENERGIES)
    kept = np.diag(prepare.crosstalk_matrix(windows, ENERGIES))
    assert unmixed.dtype == np.float32
    np.testing.assert_allclose(unmixed, kept[:, None, None] * counts, atol=0.5)
    assert np.abs(maps - kept[:, None, None] * counts).max() > 300
    # tilt series of maps as well
    series = prepare.unmix(np.stack([maps, 2 * maps], axis=1), windows, ENERGIES)
    np.testing.assert_allclose(series[:, 1], 2 * unmixed, rtol=1e-5, atol=1e-2)


def test_unmixing_says_what_it_costs():
    near = quiet_windows(("S_Ka", "Mo_La"))
    noise = np.random.default_rng(0).normal(size=(2, 200, 200))
    with pytest.warns(UserWarning, match="unmixing makes the noise of .* times as large") as caught:
        unmixed = prepare.unmix(noise, near, ENERGIES)
    said = [float(w) for w in str(caught[0].message).replace("(", " ").split() if w[:1].isdigit()]
    np.testing.assert_allclose(unmixed.std(axis=(1, 2)), said[:2], rtol=0.05)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prepare.unmix(noise, quiet_windows(("Al_Ka", "Yb_Ma")), ENERGIES)
        (alone,) = prepare.unmix(noise[:1], quiet_windows(["Fe_Ka"]), ENERGIES)
    np.testing.assert_allclose(alone, noise[0], rtol=1e-6)


def test_unmixing_refuses_what_it_cannot_tell_apart():
    twice = quiet_windows(["Fe_Ka"]) * 2
    with pytest.raises(ValueError, match="Fe_Ka.* cannot be told apart"):
        prepare.unmix(np.ones((2, 3, 3)), twice, ENERGIES)
    with pytest.raises(ValueError, match="maps has 3 elements.* 2 windows"):
        prepare.unmix(np.ones((3, 3, 3)), twice, ENERGIES)
    with pytest.raises(ValueError, match="'X' is no X-ray line"):
        prepare.unmix(
            np.ones((1, 3, 3)), [prepare.EnergyWindow("X", [(0.9, 1.1)], [[(0.5, 0.7)]])], ENERGIES
        )


def test_the_lines_of_a_shell_stand_in_the_tables():
    assert xray.line_energy("Al_Ka") == pytest.approx(1.4865)
    assert xray.shell_energies("Yb_Ma") == pytest.approx([1.5215, 1.57])


def test_lines_that_no_table_weighs_are_no_lines():
    with pytest.raises(ValueError, match="'Ca_La' is no X-ray line.*Ka"):
        prepare.line_windows(ENERGIES, ["Ca_La"])


@pytest.mark.parametrize(
    ("element", "top", "line"),
    [("O", 10, "Ka"), ("Fe", 20, "Ka"), ("Fe", 5, "La"), ("Ag", 40, "La"), ("Au", 40, "La")]
    + [("Au", 9, "Ma"), ("Cu", 20, "Ka")],
)
def test_an_element_stands_for_its_innermost_line_that_is_well_counted(element, top, line):
    """Cu_Ka at 8.0, Ag_Ka at 22, Au_Ka at 69, Au_La at 9.7, Fe_Ka at 6.4 keV."""
    (window,) = prepare.line_windows(0.01 * np.arange(100 * top), [element])
    assert window.name == f"{element}_{line}"


def test_an_element_without_a_line_in_the_spectrum_is_refused():
    energies = 1 + 0.01 * np.arange(900)
    with pytest.raises(ValueError, match=r"lines holds 'O', of which .* no alpha line"):
        prepare.line_windows(energies, ["O"])
    with pytest.raises(ValueError, match=r"lines holds 'Xx': .* no element"):
        prepare.line_windows(energies, ["Xx"])
    with pytest.raises(ValueError, match="expected a different one"):
        prepare.line_windows(energies, ["Fe", "Fe_Ka"])


def test_the_variance_of_a_map_is_that_of_repeated_counts():
    rng = np.random.default_rng(0)
    spectra = np.broadcast_to(rng.uniform(1, 6, len(ENERGIES)), (200, 200, len(ENERGIES)))
    counts = rng.poisson(spectra)
    maps = prepare.element_maps(counts, [WINDOW], ENERGIES)
    variance = prepare.map_variance(counts, [WINDOW], ENERGIES)
    assert variance.shape == maps.shape and variance.min() >= 0
    assert variance.mean() == pytest.approx(maps.var(), rel=0.03)
    assert variance.mean() > 1.2 * maps.mean(), "the background's noise stays"
