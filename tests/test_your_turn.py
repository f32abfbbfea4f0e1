"""The chapter Your turn: mistakes that show, cures that work, and lists of elements that fit."""

import numpy as np
import pytest

from companion import datasets
from companion.your_turn import journey, tables
from companion.your_turn.mistakes import NARROW, Settings, _mistakes
from companion.your_turn.recording import STEPS, _recording
from hebt import io


@pytest.fixture(scope="module")
def tried():
    return _mistakes(Settings(size=40, step=10, iterations=30))


def one(tried, name):
    return next(mistake for mistake in tried.each if mistake.name == name)


def test_each_mistake_harms_and_each_cure_brings_back_what_a_good_recording_gives(tried):
    right = tried.right.errors
    for mistake in tried.each:
        harm = [v / right[e] for e, v in mistake.wrong.errors.items()]
        if "shadowed" in mistake.name:  # it harms the ratios, which is said
            assert any("differs between tilts" in said for said in mistake.wrong.warned)
        else:
            assert max(harm) > 1.15, mistake.name
        for element, error in mistake.cured.errors.items():
            assert error < 1.25 * right[element], (mistake.name, element)
        assert not any("differs between tilts" in said for said in mistake.cured.warned)


def test_what_is_lost_is_seen_in_the_pictures(tried):
    field = one(tried, NARROW)
    assert np.isnan(field.wrong.plane).any() and not np.isnan(field.cured.plane).any()
    lacking = one(tried, "An element is not in the list")
    assert set(lacking.wrong.errors) == {"Ag"} and set(lacking.cured.errors) == {"Au", "Ag"}
    hole = tried.truth == 0
    middle = np.s_[16:24, 16:24]
    assert hole[middle].all(), "gold is there"
    # it comes out brighter than silver is anywhere; cured, with less than half of that
    assert lacking.wrong.plane[middle].mean() > tried.truth.max()
    assert lacking.wrong.plane[middle].mean() > 2 * lacking.cured.plane[middle].mean()


def test_the_table_has_all_mistakes_and_their_errors(tried):
    table = tables.mistake_table(tried)
    for row, mistake in zip(table.rows[1:], tried.each, strict=True):
        before, after = (e["Ag"] for e in (mistake.wrong.errors, mistake.cured.errors))
        assert row[0].startswith(mistake.name)
        assert row[-1].endswith(f"Ag {before:.2f} → {after:.2f}")
    assert {mistake.kind for mistake in tried.each} == {"geometry", "signals"}


def test_a_wider_range_of_tilts_is_worth_more_than_a_finer_step():
    study = _recording(32, (0,))
    errors = {place: error.mean() for place, error in study.errors.items()}
    for step in STEPS:
        assert errors[40, step] > errors[60, step] > errors[75, step]
    assert errors[40, 15] / errors[75, 15] > errors[60, 15] / errors[60, 2.5]
    rows = tables.recording_table(study).rows
    assert rows[0][0] == "±40°" and f"{study.errors[40, 15][0].mean():.3f}" in rows[0][1]


def test_lists_of_elements_are_told_apart_on_measured_files():
    """With all elements, without those that lie together, and without the coating."""
    try:
        files = datasets.locate("dust", "*.bcf")[1::5]
    except datasets.MissingDataError as error:
        pytest.skip(f"measured data are not here: {error}")
    series = io.read(
        files, lines=["C", "O", "Mg", "Si", "Fe", "Pt"], avoid=["Fe_La"], progress=False
    )
    assert series.lines == journey.LISTS["all six"]
    series = series.remove_offset().bin(8)
    every, four, two = journey.fitted_lists(series)
    assert any("hardly determined" in d or "came out as 0" in d for d in every.doubts)
    assert (four.fit.standard_errors < 0.3 * four.fit.ratios).all() and four.fit.r_squared > 0.8
    assert two.fit.r_squared < 0
    assert any("seems to have no map" in doubt for doubt in two.doubts)
    rows = tables.list_table(series).rows
    assert [row[0] for row in rows] == list(journey.LISTS)
    assert "explains haadf better" in rows[2][-1] and rows[2][1] == ""  # no carbon there


@pytest.mark.parametrize(
    ("text", "short"),
    [
        (
            "the response ratio of O (whose map is like that of Si, cosine 0.95), Mg is hardly "
            "determined: its standard error is more than half of it. More counts are needed.",
            "the response ratio of O (like Si), Mg is hardly determined.",
        ),
        (
            "a constant explains haadf better than the maps do (R2 = -1.486). Its values run on.",
            "a constant explains haadf better than the maps do (R2 = -1.486).",
        ),
        (
            "the response ratio of C differs between tilts (standard deviation 30 %), by more than "
            "noise explains. Look for detectors.",
            "the response ratio of C differs between tilts (standard deviation 30 %).",
        ),
        (
            "haadf reads 300 in its darkest area, up to 1.68e+03 in its brightest. Is this the",
            "haadf reads 300 in its darkest area, up to 1.68e+03 in its brightest.",
        ),
    ],
)
def test_warnings_are_cut_to_what_they_say(text, short):
    assert tables._short(text) == short
