"""Bad arguments: every public function says what is wrong, or does as with the plain ones."""

import numpy as np
import pytest

import hebt
from hebt import _checks


@pytest.mark.parametrize("step", [5, 12, 15, 30], ids=lambda step: f"{step} degrees")
def test_radians_are_suspected_however_wide_the_steps_are(step):
    with pytest.warns(UserWarning, match="angles .* look like radians.*rad2deg"):
        hebt.Projector(np.deg2rad(np.arange(-60, 61, step)), 4)
    with pytest.warns(UserWarning, match="look like radians"):
        hebt.Projector(np.linspace(0, 2 * np.pi, 360 // step), 4)


@pytest.mark.parametrize("angles", [[0, 1, 2], [-6, 0, 6], [0.5], [-0.5, 0.5], [1.5, 1.5, 1.5]])
def test_few_whole_or_equal_degrees_are_not_taken_for_radians(angles, recwarn):
    hebt.Projector(angles, 4)
    assert not recwarn.list


MASKED = np.ma.array([0.0, 999.0, 10.0], mask=[0, 1, 0])


@pytest.mark.parametrize(
    "call",
    [
        lambda: hebt.Projector(MASKED, 4),
        lambda: hebt.common_tilts([0, 10], MASKED),
        lambda: hebt.poisson_noise([MASKED, [1, 1, 1]], [1, 1]),
        lambda: hebt.poisson_noise([[MASKED, MASKED], [[1, 1, 1]] * 2], [1, 1]),
    ],
)
def test_what_is_masked_is_no_number(call):
    with pytest.raises(ValueError, match=r"(angles|maps) is a masked array with \d masked"):
        call()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("CO", "names is 'CO'; expected 2 names"),
        ({"Au", "Ag"}, "names is {.*}; expected 2 names"),
        ({"Au": 1, "Ag": 2}, "names is {.*}; expected 2 names"),
        (["Au"], "names has 1 entries"),
        (["Au", "Au"], "expected a different one for each of the elements"),
        ([1, 2], "names is .1, 2.; expected texts"),
        (3, "names is 3; expected 2 names"),
    ],
)
def test_names_have_an_order_and_are_whole_words(names, message):
    with pytest.raises((TypeError, ValueError), match=message):
        _checks.check_names(names, 2)


@pytest.mark.parametrize("answer", [1, 0, "stop", np.ones(2), 1.0])
@pytest.mark.parametrize("argument", ["stop", "callback"])
def test_an_answer_that_is_neither_true_nor_false_is_no_answer(argument, answer):
    W = hebt.Projector([0, 30], 8)
    with pytest.raises(TypeError, match=f"{argument} .* returned .*; expected True"):
        hebt.sirt(W, np.ones((2, 8)), 3, **{argument: lambda *_: answer})


@pytest.mark.parametrize("value", [True, "1", None, [1.0], 1j, np.nan, np.inf, -1, 10**400])
def test_numbers_are_real_finite_and_in_their_range(value):
    with pytest.raises(ValueError, match="sigma is .*; expected a length"):
        _checks.check_number("sigma", value, "a length above 0")


@pytest.mark.parametrize("value", [2, 2.0, np.float32(2), np.int8(2), np.array(2.0)])
def test_numbers_of_numpy_are_numbers(value):
    assert _checks.check_number("sigma", value, "a length above 0") == 2
