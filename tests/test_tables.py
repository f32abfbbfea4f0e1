"""What all tables and sentences share: one word for each comparison, spreads, lists, glue."""

import numpy as np
import pytest

from companion import prose, tables


@pytest.mark.parametrize(
    ("paper", "ours", "spread", "best", "word"),
    [
        (10.0, 10.4, 0.0, 0.0, "agrees"),
        (10.0, 12.0, 1.01, 0.0, "agrees"),
        (10.0, 12.0, 0.9, 0.0, "near"),
        (10.0, 7.6, 0.0, 0.0, "near"),
        (10.0, 20.0, 0.0, 0.0, "larger"),
        (10.0, 2.5, 0.0, 0.0, "smaller"),
        (-10.0, 3.0, 0.0, 0.0, "opposite sign"),
        (-10.0, -2.0, 0.0, 0.0, "smaller"),
        (0.0, 1.0, 0.0, 0.0, "differs"),
        (0.98, 0.94, 0.0, 0.0, "agrees"),
        (0.98, 0.94, 0.0, 1.0, "worse"),
        (0.94, 0.98, 0.0, 1.0, "better"),
        (0.94, 0.93, 0.0, 1.0, "near"),
    ],
)
def test_the_rule_of_agreement(paper, ours, spread, best, word):
    assert tables.agreement(paper, ours, spread, best=best) == word


def test_a_verdict_takes_the_spread_over_the_seeds_and_the_best_value_of_the_score():
    assert tables.verdict(10.0, [10.0, 14.0, 12.0]) == "agrees"
    assert tables.verdict(10.0, 12.0) == "near"
    assert tables.verdict(0.98, [0.94]) == "agrees"
    assert tables.verdict(0.98, [0.94], "ssim") == "worse"


def test_r_squared_is_judged_by_what_is_left_and_can_fail_upwards_too():
    """The variance that is left, 1 - R², is 0.09 of the paper's fit: near are 0.0675 to 0.1125."""
    near = [
        r
        for r in np.arange(0.6, 1.0, 0.005)
        if tables.verdict(0.91, r, "r_squared") in ("agrees", "near")
    ]
    assert (min(near), max(near)) == pytest.approx((0.89, 0.93))
    assert tables.verdict(0.91, 1.0, "r_squared") == "differs"
    assert tables.verdict(0.91, 0.69, "r_squared") == "worse"
    assert tables.verdict(0.91, 0.973, "r_squared") == "better"


@pytest.mark.parametrize("numbers", [(np.nan, 1.0), (1.0, np.inf), (1.0, 1.0, -1.0)])
def test_agreement_refuses_what_it_cannot_judge(numbers):
    with pytest.raises(ValueError, match="finite"):
        tables.agreement(*numbers)


def test_the_rule_in_words_has_the_numbers_of_the_code():
    assert f"{100 * tables.AGREES_WITHIN:g} %" in tables.RULE
    assert f"{100 * tables.NEAR_WITHIN:g} %" in tables.RULE


def test_spreads_are_mean_and_sample_deviation():
    nbsp = "\u00a0"
    assert tables.spread_text([1.0, 2.0, 3.0], ".1f") == f"2.0{nbsp}±{nbsp}1.0"
    assert tables.spread_text([0.5], ".2f") == "0.50"
    # a spread that no digit shows is not written as one of nothing
    assert tables.spread_text([0.951, 0.9512, 0.9509], ".3f") == "0.951"
    assert tables.spread_text([0.951, 0.952, 0.950], ".3f") == f"0.951{nbsp}±{nbsp}0.001"
    assert tables.spread_text([-0.01, -0.03], "+.1f", scale=100, unit=" %") == (
        f"−2.0{nbsp}±{nbsp}1.4 %"
    )


def test_percentages_carry_a_sign():
    assert (tables.signed(1.26), tables.signed(-10.656, 2)) == ("+1.3 %", "−10.66 %")
    assert (tables.signed(-0.04), tables.signed(0.4, 0)) == ("0.0 %", "0 %")


def test_tables_show_themselves_safely():
    table = tables.Table(("a", "b<c"), [("x|y", "two\nlines")], title="T", note="n & m")
    page = table._repr_html_()
    assert "b&lt;c" in page
    assert "two<br>lines" in page
    assert "n &amp; m" in page
    assert "two; lines" in str(table)
    with pytest.raises(ValueError, match="row 0 has 1 cells"):
        tables.Table(("a", "b"), [("x",)])


def test_lists_of_seeds_are_short():
    assert prose.list_text((0, 1, 2, 3)) == "0 to 3"
    assert prose.list_text((0, 2, 3)) == "0, 2, 3"
    assert prose.list_text((7,)) == "7"


def test_glue_stores_text_for_the_page(monkeypatch):
    import myst_nb

    stored = {}
    monkeypatch.setattr(
        myst_nb, "glue", lambda name, value, display: stored.update({name: (value, display)})
    )
    prose.glue({"phantom_won": "6"})
    assert stored == {"phantom_won": ("6", False)}
