"""The chapter on a measured series: its study, and that its words hold."""

import io
import re

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

import hebt
from companion import datasets, dust
from hebt import prepare
from hebt.explorers.controls import quantize

CHAPTER = (ROOT / "book" / "dust.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def study():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEBT_FIDELITY", "quick")
        try:
            return dust.study()
        except datasets.MissingDataError as error:
            pytest.skip(f"measured data are not here: {error}")


@pytest.fixture(scope="module")
def result(study):
    return dust.held_out(study)


def loss(result, method):
    """HEBT's error at the last stop against that of EDS alone, by element."""
    mean = result.mean()[:, -1]
    return dict(zip(result.elements, mean[method] / mean[0], strict=True))


def test_settings_are_those_of_the_fidelity(monkeypatch):
    monkeypatch.setenv("HEBT_FIDELITY", "paper")
    paper = dust.settings()
    monkeypatch.setenv("HEBT_FIDELITY", "quick")
    quick = dust.settings()
    assert paper.binning < quick.binning and len(paper.held) > len(quick.held)
    assert paper.strip == quick.strip and paper.depth == quick.depth
    with pytest.raises(ValueError, match="binning is 7; expected a divisor of 192 and 240"):
        type(quick)(binning=7, coarse=8, held=(0,))


def test_the_study_is_the_series_moved_cropped_and_binned(study):
    now = study.settings
    assert study.haadf.shape == (16, 240 // now.binning, 192 // now.binning)
    assert study.maps.shape == (9, *study.haadf.shape)
    assert study.pixel_size == now.binning * study.series.pixel_size
    moved = prepare.apply_shifts(study.series.haadf, study.shifts)
    strip = prepare.crop_flat(moved, study.angles, size=192, slices=240)
    blocks = strip.reshape(16, 240 // now.binning, now.binning, 192 // now.binning, now.binning)
    np.testing.assert_allclose(study.haadf, blocks.mean(axis=(2, 4)), rtol=1e-4)
    inside = study.slab.any(axis=-1).sum()
    assert inside == now.depth // now.binning
    names, maps = dust.keep(study)
    assert names == ("C", "O", "Mg", "Si", "Fe", "Pt")
    np.testing.assert_array_equal(maps[2], study.maps[study.elements.index("Mg")])


def test_refining_brings_the_shifts_nearer_to_those_found_by_hand(study):
    apart = [np.abs(found - study.manual).max() for found in (study.shifts, study.neighbors)]
    assert apart[0] < 3 < apart[1] < 5


def test_the_same_matter_lies_in_each_row(study):
    recorded, strip, aligned, turned = dust.mass_stages(study).values()
    assert aligned < 0.8 * strip and strip < recorded
    assert 1.6 * aligned < turned < 2.5 * aligned


def test_the_reprojection_fits_best_where_the_chapter_says(study):
    assert min(study.by_offset.values()) < min(study.by_offset[-8], study.by_offset[8])
    assert min(study.by_depth, key=study.by_depth.get) == study.settings.depth
    assert study.by_depth[48] == study.by_offset[0]
    assert study.by_depth[48] < 0.7 * study.by_depth[16], "0.2 micrometres are too thin"


def test_titanium_and_copper_are_no_projections(study):
    total = dust.totals(study)
    swing = {name: values.max() / values.min() for name, values in total.items()}
    for name in study.elements:
        assert swing[name] > 2 if name in ("Ti", "Cu") else swing[name] < 1.7
    assert swing["HAADF"] < 1.12
    shadowed = np.corrcoef([total[name] for name in ("Mg", "Si", "Fe", "Pt", "Ga")])
    assert shadowed.min() > 0.4 and np.median(shadowed) > 0.7, "they go up and down together"
    middle = np.abs(study.angles) <= 10
    for name in ("C", "O"):
        assert total[name][[0, -1]].min() > total[name][middle].mean()


def test_the_ratios_leave_out_gallium_and_the_holder(study):
    with pytest.warns(UserWarning, match="Ga.* came out as 0"):
        hebt.response_ratios(study.haadf, study.maps, names=study.elements)
    names, maps = dust.keep(study)
    with pytest.warns(UserWarning, match="differs between tilts") as caught:
        fit = hebt.response_ratios(study.haadf, maps, names=names)
    assert len(caught) == 1, "no ratio is 0 any more"
    assert fit.r_squared > 0.9 and names[fit.ratios.argmin()] == "Mg"


def test_magnesium_suffers_most_and_a_smaller_weight_loses_less(result):
    mild, strong = loss(result, 1), loss(result, -1)
    assert max(strong, key=strong.get) == "Mg" and strong["Mg"] > 2
    assert all(1 < strong[e] < 2.5 for e in ("O", "Si", "Fe"))
    assert all(0.9 < strong[e] < 1.1 for e in ("C", "Pt"))
    assert all(mild[e] < strong[e] for e in ("O", "Mg", "Si", "Fe"))


def test_every_number_of_the_chapter_is_there(study, result):
    numbers = dust.dust_numbers(study) | dust.held_out_numbers(result)
    quoted = set(re.findall(r"\{glue:text\}`(\w+)`", CHAPTER))
    assert quoted == set(numbers)
    assert all(text.strip() and "nan" not in text for text in numbers.values())
    assert numbers["dust_tilts"] == "16" and numbers["dust_lines"] == "9"
    assert (numbers["dust_first"], numbers["dust_last"]) == ("−40", "+35")
    assert numbers["dust_jump_tilt"] == "0" and float(numbers["dust_jump"]) > 10
    assert numbers["dust_strong_Mg"] == f"{loss(result, -1)['Mg']:.2f}"
    # what the cells are called with is what the sentences say
    assert f"alpha={numbers['dust_alpha']}, iterations={numbers['dust_iterations']}" in CHAPTER


@pytest.mark.slow
def test_figures_and_tables_show_the_study(study, result):
    names, maps = dust.keep(study)
    fit = hebt.response_ratios(study.haadf, maps, names=names)
    size = study.haadf.shape[-1]
    rng = np.random.default_rng(0)
    haadf = rng.random((study.haadf.shape[1], size, size), np.float32)
    eds = rng.random((6, *haadf.shape), np.float32)
    for figure in (
        dust.plot_spectrum(study),
        dust.plot_images(study, tilt=0),
        dust.plot_alignment(study),
        dust.plot_geometry(study),
        dust.plot_totals(study),
        dust.plot_predicted(study, fit, maps),
        dust.plot_planes(study, eds, 2 * eds, haadf),
        dust.plot_cross_sections(study, eds, 2 * eds, haadf),
        dust.plot_held_out(result),
    ):
        out = io.BytesIO()
        figure.savefig(out, format="png", dpi=40)
        assert np.array(Image.open(out).convert("L")).std() > 10
    counts = study.series.maps.sum(axis=(1, 2, 3))
    assert [row[5] for row in dust.line_table(study).rows] == [f"{c / 1e3:.1f}" for c in counts]
    assert [row[0] for row in dust.ratio_table(fit).rows] == list(names)
    assert len(dust.mass_table(study).rows) == 4
    table = dust.held_out_table(result)
    assert len(table.rows) == 2 * len(result.methods)
    assert table.rows[1][1] == f"{result.mean()[0, -1, 0]:.3f}"


def test_the_explorer_pages_through_the_slab(study, monkeypatch):
    monkeypatch.delenv("HEBT_STATIC", raising=False)
    size = study.haadf.shape[-1]
    haadf = np.random.default_rng(0).random((5, size, size), np.float32)
    eds = np.stack([haadf * (e + 1) for e in range(6)])
    shown = dust.explore_planes(study, eds, 2 * eds, haadf)
    assert set(shown.picture["frames"]) == {"haadf", "O_eds", "O_hebt", "Mg_eds", "Mg_hebt"}
    count = study.settings.depth // study.settings.binning
    for plane in (0, count - 1):
        height = round((plane - (count - 1) / 2) * study.pixel_size)
        shown.move(height=height)
        image = haadf[:, (size - count) // 2 + plane]
        inside = haadf[:, (size - count) // 2 : (size + count) // 2]
        expected = quantize(image, (0, float(np.percentile(inside, 99.5))))[0].tobytes()
        assert shown.picture["frames"]["haadf"] == expected


def test_the_steps_for_own_files_can_be_called():
    """The block that is not run while the book is built: its names are those of hebt."""
    (block,) = re.findall(r"```python\n(from hebt import io.*?)```", CHAPTER, re.DOTALL)
    compile(block, "dust.md", "exec")
    for name in re.findall(r"prepare\.(\w+)", block):
        assert callable(getattr(prepare, name))
