"""Bad arguments: every public function says what is wrong, or does as with the plain ones."""

import dataclasses
import inspect
import itertools
import warnings
from collections import Counter

import numpy as np
import pytest
from bad_inputs import FINITE, NO_VALUE, REFUSED, judge, run
from test_house import public

import hebt
from hebt import _checks

# Values whose shape does not fit another argument's, which the message may name instead.
MISFITS = {"one more axis", "one axis less", "a row less", "a row more", "a column less"}
MISFITS |= {"a column more", "one less", "one more", "a number", "an array without axes", "empty"}
MISFITS |= {"no rows", "no columns", "an empty list", "another size", "zeros", "all the same"}
# What a message calls an argument besides its name.
ALSO = {("hebt.explorers.FrameExplorer", "compute"): ("readout",)}
# Results that are meant.
DOCUMENTED = {("hebt.composition", "x = zeros"): "an empty voxel has no composition, which is NaN"}


@dataclasses.dataclass(frozen=True)
class Case:
    """A call with one or more values changed."""

    place: str
    label: str
    made: dict  # name -> how to make the value
    plain: object  # `REFUSED`, `FINITE`, or name -> the plain value
    names: tuple  # what a message has to name, one of them


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    # here, as it imports all of hebt, HyperSpy too, which takes seconds
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)  # of matrices
        import bad_calls

    bad_calls.tomviz(tmp_path_factory.mktemp("files"))
    bad_calls.saving(tmp_path_factory.mktemp("saved"))
    return bad_calls


def single_cases(place, arguments):
    """One value changed."""
    for name, argument in arguments.items():
        for label, (make, plain) in argument.others.items():
            names = tuple(arguments) if label in MISFITS else (name, *ALSO.get((place, name), ()))
            known = plain if plain is REFUSED or plain is FINITE else {name: plain}
            yield Case(place, f"{name} = {label}", {name: make}, known, names)


def joint_cases(place, arguments):
    """All arguments in the same guise, and two bad ones at once."""
    same, bad = {}, {}
    for name, argument in arguments.items():
        for label, (make, plain) in argument.others.items():
            if plain is REFUSED:
                bad.setdefault(name, []).append((label, make))
            elif plain is not FINITE:
                same.setdefault(label, {})[name] = make, plain
    for label, found in same.items():
        if len(found) > 1:
            made = {name: make for name, (make, _) in found.items()}
            plain = {name: value for name, (_, value) in found.items()}
            yield Case(place, f"{', '.join(found)} = {label}", made, plain, tuple(arguments))
    for one, other in itertools.combinations(bad, 2):
        for (label, make), (label2, make2) in list(zip(bad[one][::5], bad[other][1::5]))[:5]:
            both = f"{one} = {label}, {other} = {label2}"
            yield Case(place, both, {one: make, other: make2}, REFUSED, tuple(arguments))


def try_all(table):
    """Return how all cases ended, counted, and what has to be mended, as text."""
    found, to_mend = Counter(), []
    for place, entry in table.TABLE.items():
        valid = {name: argument.valid() for name, argument in entry.arguments.items()}
        valid = {name: value for name, value in valid.items() if value is not NO_VALUE}
        usual, said, changed = run(entry.call, valid)
        results = {}  # of plain values, most of which several cases share
        if valid and (isinstance(usual, Exception) or said or changed):
            to_mend.append(f"{place} does not work: {usual!r} {said} {changed}")
        for case in (*single_cases(place, entry.arguments), *joint_cases(place, entry.arguments)):
            plain = case.plain
            if plain is not REFUSED and plain is not FINITE:
                key = tuple((name, id(value)) for name, value in plain.items())
                if key not in results:
                    # with the values, so that no other gets the place of one
                    results[key] = run(entry.call, valid | plain)[0], plain
                plain = results[key][0]
            made = {name: make() for name, make in case.made.items()}
            result, said, changed = run(entry.call, valid | made)
            verdict = "changed" if changed else judge(result, said, case.names, plain)
            if (place.partition(",")[0], case.label) in DOCUMENTED:
                verdict = "documented"
            found[verdict] += 1
            if verdict in ("unclear", "silent", "changed"):
                text = repr(result) if isinstance(result, Exception) else type(result).__name__
                to_mend.append(f"{verdict}: {place}, {case.label}: {' '.join(text.split())[:200]}")
    return found, to_mend


@pytest.mark.slow
@pytest.mark.promise
def test_every_bad_argument_is_refused_clearly_or_does_as_the_plain_one(table, promise):
    found, to_mend = try_all(table)
    print(found, found.total(), *to_mend, sep="\n")
    assert not (found["silent"] or found["changed"]), "\n".join(to_mend)
    assert found["unclear"] < 0.01 * found.total(), "\n".join(to_mend)
    assert found.total() >= 5000
    functions = {place.partition(",")[0] for place in table.TABLE}
    kinds = {kind: found[kind] for kind in ("clear", "equal", "documented", "unclear")}
    promise("bad_inputs", functions=len(functions), cases=found.total(), **kinds)


def test_every_public_function_and_argument_is_in_the_table(table):
    tried = {}
    for place, entry in table.TABLE.items():
        tried.setdefault(place.partition(",")[0], set()).update(entry.arguments)
    missing = []
    for place, thing in public():
        if place in table.RESULTS or place in table.INSIDE_ONLY:
            continue
        parameters = inspect.signature(thing).parameters.values()
        variable = any(p.kind is p.VAR_KEYWORD for p in parameters)
        names = {p.name for p in parameters if p.kind is not p.VAR_KEYWORD} - {"self"}
        names -= table.FOUND.get(place, set())
        known = tried.pop(place, set())
        if known != names and not (variable and known):
            missing.append(f"{place}: {sorted(known ^ names)}")
    assert not missing, "put them into tests/bad_calls.py:\n" + "\n".join(missing)
    assert not tried, f"no longer public: {sorted(tried)}"


# --- kinds of mistakes that had passed ---


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
