"""The paper's printed numbers: whole, with their places, and what follows from them."""

import json
import re

import pytest

from companion import paper
from companion.paper import _read, value


def test_every_number_has_a_unit_and_a_place_that_exists():
    for key in paper.keys():  # noqa: SIM118
        number = paper.printed(key)
        assert isinstance(number.value, int | float)
        assert re.fullmatch(r"Section [1-5](\.[1-3])?|Table [12]|Figure \d+", number.place), key
        assert isinstance(number.unit, str)


def test_no_key_stands_twice():
    def once(pairs):
        names = [name for name, _ in pairs]
        assert len(names) == len(set(names)), names
        return dict(pairs)

    json.loads(paper.FILE.read_text(encoding="utf-8"), object_pairs_hook=once)


def test_table_1_and_2_are_whole():
    for name in ("ssim", "mse", "dp"):
        for element in ("Au", "Ag"):
            for method in ("hebt_est", "hebt_gt", "eds"):
                assert value(f"table1.{name}.{element}.{method}") > 0
            for method in ("eds", "hebt"):
                assert value(f"table2.{name}.{element}.{method}") > 0
    assert sum(key.startswith("table1.") for key in paper.keys()) == 18  # noqa: SIM118
    assert sum(key.startswith("table2.") for key in paper.keys()) == 12  # noqa: SIM118


def test_the_printed_tilts_fit_each_other():
    steps = (value("phantom.tilt_last") - value("phantom.tilt_first")) / value("phantom.tilt_step")
    assert steps + 1 == value("phantom.tilts")
    span = value("alloy.tilt_last") - value("alloy.tilt_first")
    assert span / value("particles.tilt_step") + 1 == value("alloy.tilts")


@pytest.mark.parametrize("element", ["Au", "Ag"])
def test_the_printed_errors_follow_from_the_printed_ratios(element):
    error = 100 * (value(f"phantom.r_est.{element}") / value(f"phantom.r_gt.{element}") - 1)
    assert error == pytest.approx(value(f"phantom.r_error.{element}"), abs=0.005)


@pytest.mark.parametrize(("element", "factor"), [("Au", 0.869), ("Ag", 0.728)])
def test_the_printed_true_ratios_do_not_follow_from_z_and_zeta(element, factor):
    r = value(f"phantom.z.{element}") / value(f"phantom.zeta.{element}")
    assert value(f"phantom.r_gt.{element}") / r == pytest.approx(factor, abs=5e-4)


def test_the_text_gives_the_errors_the_opposite_sign():
    said = paper.statement("phantom.r_explained")
    assert (said["r_Au"], said["r_Ag"]) == ("over", "under")
    assert value("phantom.r_error.Au") < 0 < value("phantom.r_error.Ag")


def test_an_unknown_number_is_refused_with_those_nearby():
    with pytest.raises(KeyError, match="table1.mse.Au.eds"):
        paper.printed("table1.mse.Cu.eds")


def test_a_missing_file_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(paper, "FILE", tmp_path / "paper.json")
    with pytest.raises(FileNotFoundError, match="pip install -e"):
        _read.__wrapped__()


def test_a_number_comes_with_its_place():
    number = paper.printed("table1.mse.Au.eds")
    assert (number.value, number.place) == (0.0801, "Table 1")


def test_the_source_names_paper_and_doi():
    source = json.loads(paper.FILE.read_text(encoding="utf-8"))["source"]
    assert source["doi"] == "10.1016/j.ultramic.2016.12.008"
    assert len(source["authors"]) == 5
