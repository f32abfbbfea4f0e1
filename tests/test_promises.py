"""The page on what the project promises says what its tests try."""

import re

import pytest
from conftest import ROOT

from companion import promises
from companion.promises.tables import PROMISES

TRIED = promises.record()


def test_each_promise_is_tested_recorded_and_told():
    others = [path for path in ROOT.glob("tests/test_*.py") if path.name != "test_promises.py"]
    tests = "".join(path.read_text(encoding="utf-8") for path in others)
    called = re.findall(r'^    promise\("(\w+)"', tests, re.MULTILINE)
    assert sorted(called) == sorted(PROMISES) == sorted(TRIED)
    assert tests.count("@pytest.mark.promise\n") == len(called)


def test_the_table_says_what_was_recorded():
    text = str(promises.promises_table(TRIED))
    for name, counts in TRIED.items():
        told = re.findall(r"{(\w+)}", " ".join(PROMISES[name]))
        for what in told:
            assert f"{counts[what]:,}" in text
        assert told, name


def test_a_count_that_is_not_the_recorded_one_fails(promise, request):
    if request.config.getoption("--record"):
        pytest.skip("it would be recorded")
    promise("bad_inputs", **TRIED["bad_inputs"])
    with pytest.raises(AssertionError, match="make promises"):
        promise("bad_inputs", **TRIED["bad_inputs"] | {"cases": 1})
    with pytest.raises(AssertionError, match="make promises"):
        promise("world_peace", years=1)


def test_calls_with_a_mistake_are_answered_clearly():
    table = promises.refusals_table()
    assert len(table.rows) >= 5
    for mistake, answer in table.rows:
        assert re.match(r"\w+(Error|Warning): ", answer), mistake
        assert "expected" in answer or "not" in answer, answer
