"""Explorers: what Python prepares, and what a browser makes of it, in both hosts."""

import base64
import io
import json
import os
import re
import subprocess
import sys

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import colormaps
from PIL import Image
from visits import PATIENCE

from hebt import explorers
from hebt.explorers.controls import quantize

ALPHAS = (0.05, 0.3, 0.5, 0.7, 0.95)
COUNTS = (1, 4, 16)
SHAPE = (12, 16)
CODE = (1, 256, 65536)  # one number for three colors
LIMITS = (-0.5, 2.0)
WIDTHS = (390, 820, 1440)


def image(alpha, counts, *, shape=SHAPE):
    """An image that differs in every state and leaves the limits in some."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.cos(x * alpha + y / 3) + y / shape[0] * np.log10(counts) * 1.2


def slow(counts, *, shape=SHAPE):
    return image(1.5, counts, shape=shape)


def compute(alpha, counts):
    x = np.array(ALPHAS)
    middle = (x - 0.6) ** 2 + 0.02 * counts
    return {
        "both": image(alpha, counts),
        "some": slow(counts),
        "mse": (alpha - 0.6) ** 2 / counts,
        "gain": -alpha * counts,
        "curve": {"Au": middle, "Ag": np.stack([0.5 * middle, 0.8 * middle, 1.1 * middle])},
    }


CONTROLS = (
    explorers.Control("alpha", "Weight α", ALPHAS, default=0.7),
    explorers.Control("counts", "Dose", COUNTS, default=4, unit="counts"),
)
PANELS = (
    explorers.Panel("both", "Au, HEBT", LIMITS, unit="intensity", cmap="inferno"),
    explorers.Panel(
        "some", "Au, EDS", LIMITS, unit="intensity", cmap="viridis", depends=("counts",)
    ),
)
READOUTS = (
    explorers.Readout("mse", "MSE", format=".4f", panel="both"),
    explorers.Readout("gain", "Gain", unit="dB", format=".2f"),
)
CURVES = (explorers.Curve("curve", "Error", "alpha", ("Au", "Ag"), ylabel="MSE", log="y"),)
OPTIONS = {
    "readouts": READOUTS,
    "curves": CURVES,
    "alt": "Au at weight {alpha} and {counts} counts, MSE {mse}.",
    "caption": "Au from EDS alone and by HEBT.",
}


def explorer(compute=compute, **options):
    return explorers.FrameExplorer(compute, CONTROLS, PANELS, **(OPTIONS | options))


def steps(values, limits=LIMITS):
    """8-bit steps, written down a second time."""
    low, high = limits
    return np.round(255 * (np.clip(values, low, high) - low) / (high - low)).astype(int)


def outside(values, limits=LIMITS):
    """Whether values lie below and above the limits by more than half a step."""
    half = (limits[1] - limits[0]) / 510
    return bool((values < limits[0] - half).any()), bool((values > limits[1] + half).any())


def colors(values, cmap, limits=LIMITS):
    table = np.round(255 * np.array(colormaps[cmap].colors)).astype(int)
    return table[steps(values, limits)]


# ---- the 8 bits ----


@given(
    arrays.arrays(np.float32, (5, 7), elements=st.floats(-1e4, 1e4, width=32)),
    st.floats(-1e3, 1e3),
    st.floats(1e-2, 1e4),
)
def test_stored_values_are_within_half_a_step(values, low, span):
    high = low + span
    q, below, above = quantize(values, (low, high))
    assert q.dtype == np.uint8
    step = (high - low) / 255
    inside = (values >= low) & (values <= high)
    back = low + q * step
    values = values.astype(np.float64)
    assert np.abs(back - values)[inside].max(initial=0) <= step * (0.5 + 1e-6)
    assert (q[values < low] == 0).all() and (q[values > high] == 255).all()
    # an arrow at the color bar: some value is off by more than half a step
    off = (back - values) / step
    assert not off.max() > 0.5 + 1e-6 or below
    assert not off.min() < -0.5 - 1e-6 or above
    assert not below or off.max() > 0.5 - 1e-6
    assert not above or off.min() < -0.5 + 1e-6


def test_a_picture_holds_the_steps_of_what_compute_returned():
    e = explorer()
    e.move(alpha=0.95, counts=16)
    frame = np.frombuffer(e.picture["frames"]["both"], np.uint8).reshape(SHAPE)
    np.testing.assert_array_equal(frame, steps(image(0.95, 16)))
    assert e.picture["high"]["both"] and e.picture["low"]["both"]
    assert e.picture["readouts"] == {"mse": f"{0.35**2 / 16:.4f}", "gain": "−15.20"}
    assert e.state == {"alpha": 0.95, "counts": 16}


def test_inputs_are_not_changed():
    source = {p.name: image(0.5, 4) * 9 for p in PANELS}
    before = {name: a.copy() for name, a in source.items()}
    explorers.FrameExplorer(lambda **state: source, CONTROLS, PANELS).static_state()
    volume = np.arange(60.0).reshape(3, 4, 5)
    explorers.slices(volume).static_state()
    np.testing.assert_array_equal(volume, np.arange(60.0).reshape(3, 4, 5))
    for name in source:
        np.testing.assert_array_equal(source[name], before[name])


# ---- what the page stores ----


def stored(e, name, *indices):
    """One image of the store, by the rule that the script follows."""
    entry = e.static_state()["store"]["panels"][name]
    sizes = [len(c.values) for c in CONTROLS]
    k = 0
    for axis in entry["axes"]:
        k = k * sizes[axis] + indices[axis]
    part = entry["parts"][k // entry["block"]]
    size = SHAPE[0] * SHAPE[1]
    start = k % entry["block"] * size
    flags = entry["low"][k] == "1", entry["high"][k] == "1"
    return np.frombuffer(part[start : start + size], np.uint8).reshape(SHAPE), flags


@pytest.mark.parametrize("block", [1, 500, 10**6])
def test_store_holds_every_state(monkeypatch, block):
    monkeypatch.setattr("hebt.explorers._page.BLOCK", block)
    e = explorer()
    for i, alpha in enumerate(ALPHAS):
        for k, counts in enumerate(COUNTS):
            for name, values in (("both", image(alpha, counts)), ("some", slow(counts))):
                frame, flags = stored(e, name, i, k)
                np.testing.assert_array_equal(frame, steps(values))
                assert flags == outside(values)


def test_depends_saves_images_and_runs():
    calls = []

    def counted(**state):
        calls.append(state)
        return compute(**state)

    e = explorers.FrameExplorer(
        counted, CONTROLS, [PANELS[1]], curves=[explorers.Curve("curve", "", "alpha", ("Au", "Ag"))]
    )
    calls.clear()
    store = e.static_state()["store"]
    # the image and the lines vary with the dose alone; the weight stays where it starts
    assert calls == [{"alpha": 0.7, "counts": c} for c in COUNTS]
    assert sum(map(len, store["panels"]["some"]["parts"])) == len(COUNTS) * SHAPE[0] * SHAPE[1]
    assert len(store["curves"]["curve"]["values"]) == len(COUNTS)


def test_a_dependence_that_was_left_out_is_found():
    panels = [PANELS[0], explorers.Panel("some", "Au", LIMITS, depends=("alpha",))]
    e = explorers.FrameExplorer(compute, CONTROLS, panels)
    with pytest.raises(ValueError, match=r"'some' depends on \(alpha\) but came out differently"):
        e.static_state()


def test_unseeded_noise_is_found():
    rng = np.random.default_rng(0)
    e = explorers.FrameExplorer(
        lambda **state: {"both": rng.random(SHAPE), "some": rng.random(SHAPE)}, CONTROLS, PANELS
    )
    with pytest.raises(ValueError, match="fix its seed"):
        e.static_state()


def script():
    return (
        "import numpy as np, hashlib, sys\nsys.path.insert(0, sys.argv[1])\n"
        "import test_explorers as t\n"
        "pages = [t.explorer()._repr_mimebundle_()[0]['text/html'] for _ in range(2)]\n"
        "print(*(hashlib.sha256(p.encode()).hexdigest() for p in pages))"
    )


@pytest.mark.slow
def test_two_builds_give_the_same_bytes():
    runs = [
        subprocess.run(
            [sys.executable, "-c", script(), os.path.dirname(__file__)],
            env={**os.environ, "HEBT_STATIC": "1", "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]
    assert runs[0][0] != runs[0][1]  # two on one page have different ids


def test_too_large_for_a_page_says_how_to_bin():
    noise = np.random.default_rng(1).random((5, 3, 100, 100))
    e = explorers.FrameExplorer(
        lambda alpha, counts: {
            "both": noise[ALPHAS.index(alpha), COUNTS.index(counts)],
            "some": noise[0, COUNTS.index(counts)],
        },
        CONTROLS,
        [
            explorers.Panel("both", "", (0, 1)),
            explorers.Panel("some", "", (0, 1), depends=("counts",)),
        ],
    )
    assert len(e.html()) < 1_000_000
    with pytest.raises(ValueError, match=r"0\.3 MB in the page .*at most 0\.1 MB.*block_reduce"):
        e.html(max_bytes=100_000)


def test_far_too_large_is_refused_before_anything_is_computed():
    calls = []
    volume = np.zeros((2000, 512, 512), np.bool_)

    def one(slice):
        calls.append(slice)
        return {"v": volume[slice]}

    e = explorers.FrameExplorer(
        one, [explorers.Control("slice", "Slice", range(2000))], [explorers.Panel("v", "", (0, 1))]
    )
    with pytest.raises(ValueError, match=r"524 MB before compression.*2000 values of slice"):
        e.static_state()
    assert calls == [0]


# ---- one definition, two hosts ----


def test_output_follows_the_host(monkeypatch):
    live = explorer()._repr_mimebundle_()[0]
    assert "application/vnd.jupyter.widget-view+json" in live and "text/html" not in live
    assert base64.b64decode(live["image/png"]).startswith(b"\x89PNG")
    monkeypatch.setenv("HEBT_STATIC", "1")
    static = explorer()._repr_mimebundle_()[0]
    assert set(static) == {"text/plain", "text/html"}
    assert static["text/plain"] == live["text/plain"]


def test_a_broken_explorer_fails_its_cell(monkeypatch):
    def breaks(alpha, counts):
        if alpha == ALPHAS[0]:
            raise ArithmeticError("no picture here")
        return compute(alpha, counts)

    explorer(breaks)
    monkeypatch.setenv("HEBT_STATIC", "1")
    # IPython would swallow an error of the output itself
    with pytest.raises(ArithmeticError):
        explorer(breaks)


def test_nothing_in_the_data_ends_the_script():
    evil = "</script><!--<script>alert(1)</style>"
    e = explorer(caption=evil, alt=evil)
    page = e.html()
    assert page.count("</script>") == page.count("<script ") == 2
    assert "<!--" not in page and page.count("</style>") == 1
    data = json.loads(re.search(r'"application/json">(.*)</script>', page)[1])
    assert data["state"]["caption"] == evil
    assert "hebt" in data["esm"]


def test_poster_is_readable_on_any_background():
    picture = Image.open(io.BytesIO(explorer().poster()))
    assert picture.mode == "RGB"  # no transparency
    assert picture.getpixel((1, 1)) == (255, 255, 255)
    assert picture.width >= 800


def test_live_moves_call_compute_and_survive_its_errors():
    calls = []

    def moody(alpha, counts):
        calls.append((alpha, counts))
        if alpha == 0.3:
            raise ArithmeticError("no ratio")
        if alpha == 0.5:
            raise KeyboardInterrupt
        return compute(alpha, counts)

    e = explorer(moody)
    before = e.picture
    e.position = [1, 1]
    assert "ArithmeticError: no ratio" in e.picture["error"]
    assert e.picture["frames"] == before["frames"] and e.picture["position"] == [3, 1]
    assert "weight 0.70" in e.describe()
    with pytest.raises(ValueError, match="has no picture"):
        e.static_state()
    e.position = [2, 1]
    assert "KeyboardInterrupt" in e.picture["error"]
    e.position = [9, 9]
    assert "not on the sliders" in e.picture["error"]
    e.move(alpha=0.95, counts=16)
    assert not e.picture["error"] and calls[-1] == (0.95, 16)
    assert e.picture["position"] == [4, 2] and "weight 0.95" in e.describe()


# ---- what is refused ----


def returning(**changed):
    return lambda alpha, counts: compute(alpha, counts) | changed


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: explorers.Control("2x", "", [1]), "identifier"),
        (lambda: explorers.Control("lambda", "", [1]), "identifier"),
        (lambda: explorers.Control("a", "", []), "values of control 'a' are empty"),
        (lambda: explorers.Control("a", "", [1, 2, 1]), "two values of control 'a' read '1'"),
        (lambda: explorers.Control("a", "", [0.11, 0.12], format=".1f"), "finer format"),
        (lambda: explorers.Control("a", "", [1.0, np.nan]), "NaN"),
        (lambda: explorers.Control("a", "", [1, 2], default=3), "a is 3; expected one of 1, 2"),
        (lambda: explorers.Control("a", "", "abc"), "expected a sequence"),
        (lambda: explorers.Panel("a", "", (1, 1)), r"limits of panel 'a' are \(1, 1\)"),
        (lambda: explorers.Panel("a", "", (0, np.inf)), "finite"),
        (lambda: explorers.Panel("a", "", 3), "expected a pair"),
        (lambda: explorers.Panel("a", "", (0, 1), cmap="nope"), "cmap is 'nope'"),
        (lambda: explorers.Panel("a", "", (0, 1), depends="alpha"), r"\('alpha',\)"),
        (lambda: explorers.Readout("a", "", format="q"), "format of readout 'a' is 'q'"),
        (lambda: explorers.Curve("a", "", "x", []), "lines of curve 'a'"),
        (lambda: explorers.Curve("a", "", "x", ["Au"], log="z"), "log of curve 'a' is 'z'"),
        (lambda: explorers.Curve("a", "", "x", ["Au"], depends=("x",)), "horizontal axis"),
        (lambda: explorers.Curve("a", "", "x", ["Au"], x=[1, 3, 2]), "has to rise"),
        (lambda: explorers.FrameExplorer(3, CONTROLS, PANELS), "compute is 3"),
        (lambda: explorers.FrameExplorer(compute, CONTROLS, []), "both empty"),
        (lambda: explorers.FrameExplorer(compute, PANELS, PANELS), "expected Control objects"),
        (
            lambda: explorers.FrameExplorer(compute, CONTROLS, [PANELS[0]] * 2),
            "'both' names two things",
        ),
        (lambda: explorer(alt="at {beta}"), r"alt holds \{beta\}; expected .*alpha, counts, mse"),
        (
            lambda: explorer(readouts=[explorers.Readout("mse", "", panel="none")]),
            "panel of readout 'mse'",
        ),
        (
            lambda: explorer(curves=[explorers.Curve("curve", "", "beta", ["Au"])]),
            "along of curve 'curve'",
        ),
        (
            lambda: explorers.FrameExplorer(
                compute, CONTROLS, [explorers.Panel("both", "", (0, 1), depends=("b",))]
            ),
            "depends of 'both' holds 'b'",
        ),
        (lambda: explorer(shared_colorbar=True), "shared_colorbar needs"),
        (lambda: explorer(columns=0), "columns is 0"),
        (lambda: explorer(lambda **s: 3), "compute returned int"),
        (lambda: explorer(lambda **s: {"both": 1}), "without 'some', 'mse', 'gain', 'curve'"),
        (lambda: explorer(returning(both=np.zeros(4))), "1 dimensions"),
        (lambda: explorer(returning(both=np.full(SHAPE, np.nan))), "NaN"),
        (lambda: explorer(returning(mse="low")), "expected a number"),
        (lambda: explorer(returning(curve={"Au": np.ones(5)})), r"the lines \['Au', 'Ag'\]"),
        (lambda: explorer(returning(curve={"Au": [1, 2], "Ag": [1, 2]})), r"shape \(2,\)"),
        (
            lambda: explorer(returning(curve={"Au": -np.ones(5), "Ag": np.ones(5)})),
            "expected values above 0",
        ),
        (lambda: explorer().move(beta=1), "'beta' is no control"),
        (lambda: explorer().move(alpha=0.71), "alpha is 0.71; expected one of 0.05"),
        (lambda: explorers.slices(np.zeros((3, 3))), "2 dimensions"),
        (lambda: explorers.slices({}), "empty"),
        (
            lambda: explorers.slices({"a": np.zeros((2, 3, 3)), "b": np.zeros((2, 4, 3))}),
            "the same for all",
        ),
        (lambda: explorers.slices(np.zeros((2, 3, 3)), axis=3), "axis is 3"),
        (
            lambda: explorers.slices(np.ones((2, 3, 3)), reference=np.ones((2, 3, 4))),
            "reference has shape .2, 3, 4.; expected .2, 3, 3.",
        ),
        (
            lambda: explorers.slices(
                {"a": np.ones((2, 3, 3))}, reference={"b": np.ones((2, 3, 3))}
            ),
            "reference is given for .'b'.; expected one for each of .'a'.",
        ),
        (lambda: explorers.slices(np.zeros((2, 3, 3)), start=2), "expected one of 0, 1"),
        (
            lambda: explorers.slices({"a": np.zeros((2, 3, 3))}, limits={"b": (0, 1)}),
            "limits are given for",
        ),
    ],
)
def test_bad_input_is_named(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_a_change_of_shape_is_refused():
    e = explorer(
        lambda alpha, counts: (
            compute(alpha, counts) | {"both": np.zeros((4, 4) if alpha == 0.3 else SHAPE)}
        )
    )
    with pytest.raises(ValueError, match=r"shape \(4, 4\).*expected \(12, 16\)"):
        e.static_state()


def test_values_read_as_a_microscopist_writes_them():
    assert explorers.Control("a", "", [0.01, 0.5, 1]).texts == ("0.01", "0.50", "1.00")
    assert explorers.Control("a", "", np.arange(-70.0, 71, 70)).texts == ("−70", "0", "70")
    assert explorers.Control("a", "", [1e-4, 10], format=".0e").texts == ("1e−04", "1e+01")
    assert explorers.Control("a", "", ["Au–Ag", "Au-Ag"]).texts == ("Au–Ag", "Au-Ag")
    assert explorers.Control("a", "", np.float32([0.5, 0.25]), default=0.25).default == 0.25
    assert explorers.Readout("a", "").text(float("nan")) == "–"


def test_slices_page_through_any_axis():
    volume = np.random.default_rng(0).random((3, 4, 5))
    for axis in range(3):
        e = explorers.slices({"Au": volume, "Ag": 2 * volume}, axis=axis, limits=(0, 1), start=1)
        frames = e.picture["frames"]
        expected = np.take(volume, 1, axis)
        np.testing.assert_array_equal(
            np.frombuffer(frames["volume0"], np.uint8), steps(expected, (0, 1)).ravel()
        )
        high = e.picture["high"]
        assert high == {"volume0": False, "volume1": outside(2 * expected, (0, 1))[1]}
    assert explorers.slices(volume).state == {"slice": 1}
    assert explorers.slices(np.zeros((2, 3, 3))).spec["panels"][0]["limits"] == [0, 1]
    assert "Slice 1 of 3" in explorers.slices(volume).describe()


def test_slices_say_their_largest_value():
    volume = np.random.default_rng(0).random((3, 4, 5))
    shown = explorers.slices({"Au": volume, "Ag": 2 * volume}, start=2)
    assert f"Au {volume[2].max():.4g}, Ag {2 * volume[2].max():.4g}" in shown.describe()


def test_slices_of_all_three_axes_have_one_size():
    volume = 1 + np.random.default_rng(0).random((3, 4, 5))
    shown = explorers.slices(volume, axis=None, limits=(0, 2))
    assert shown.state == {"along": "Slice", "slice": 1}
    for axis, along in enumerate(("Slice", "Row", "Column")):
        for number in range(5):
            shown.move(along=along, slice=number)
            frame = np.frombuffer(shown.picture["frames"]["volume0"], np.uint8).reshape(5, 5)
            said = shown.picture["readouts"]["volume0_largest"]
            if number >= volume.shape[axis]:
                assert not frame.any() and said == "–"
                continue
            image = volume.take(number, axis=axis)
            rows, columns = image.shape
            np.testing.assert_array_equal(frame[:rows, :columns], steps(image, (0, 2)))
            assert np.count_nonzero(frame) == image.size
            assert said == f"{image.max():.4g}"


@pytest.mark.parametrize("axis", [0, 1, 2, None])
def test_slices_beside_a_reference_show_what_differs(axis):
    rng = np.random.default_rng(0)
    true = rng.random((4, 4, 4) if axis is None else (3, 4, 5)).astype(np.float32)
    x = (3 * true + rng.random(true.shape)).astype(np.float32)
    shown = explorers.slices({"Au": x}, reference=true, axis=axis, start=2)
    scale = np.vdot(true, x) / np.vdot(x, x)
    apart = scale * x - true
    axis = axis or 0
    reach = np.ptp(true)
    frame = np.frombuffer(shown.picture["frames"]["difference0"], np.uint8)
    expected = steps(apart.take(2, axis=axis), (-reach, reach)).ravel()
    assert np.abs(frame.astype(int) - expected).max() <= 1
    said = shown.picture["readouts"]
    here = np.sqrt(np.mean(apart.take(2, axis=axis) ** 2))
    assert float(said["difference0_here"]) == pytest.approx(here, rel=1e-3)
    assert float(said["difference0_whole"]) == pytest.approx(np.sqrt(np.mean(apart**2)), rel=1e-3)
    assert f"Au {said['difference0_here']} here" in shown.describe()
    # nothing of the volume nor of its reference lies beyond the color bars
    volume, reference = (
        next(p for p in shown.spec["panels"] if p["name"] == n)["limits"]
        for n in ("volume0", "reference0")
    )
    assert volume[0] <= x.min() and volume[1] >= x.max()
    assert reference[0] <= true.min() + 1e-6 and reference[1] >= true.max() - 1e-6


def test_each_volume_may_have_its_own_reference():
    a, b = np.random.default_rng(0).random((2, 3, 4, 5))
    shown = explorers.slices({"a": a, "b": b}, reference={"b": 2 * b, "a": 2 * a})
    assert [p["name"] for p in shown.spec["panels"]] == [
        f"{kind}{k}" for k in range(2) for kind in ("reference", "volume", "difference")
    ]
    for k in range(2):
        assert float(shown.picture["readouts"][f"difference{k}_whole"]) < 1e-6


# ---- in a browser ----


class Page:
    """A page of a browser that takes note of what must not happen."""

    def __init__(self, browser, address, **options):
        self.context = browser.new_context(viewport={"width": 1000, "height": 900}, **options)
        self.context.set_default_timeout(PATIENCE)
        self.page = self.context.new_page()
        self.errors, self.requests = [], []
        self.page.on("console", lambda m: self.errors.append(f"{m.type}: {m.text}"))
        self.page.on("pageerror", lambda e: self.errors.append(str(e)))
        self.page.on("request", lambda r: self.requests.append(r.url))
        self.address = address

    def open(self, ready=True):
        self.page.goto(self.address)
        if ready:
            self.page.wait_for_selector(".hebt-explorer[data-state=ready] .hebt-frames")
        return self.page


@pytest.fixture
def visit(browser, tmp_path):
    """Open explorers on one page from a file; nothing else may be asked for, nothing go wrong."""
    opened = []

    def start(*pieces, script="", expect_errors=False, ready=True, **options):
        path = tmp_path / f"page{len(opened)}.html"
        pieces = [p if isinstance(p, str) else p.html() for p in pieces]
        path.write_text(
            '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>t</title>'
            "<style>@media (prefers-color-scheme: dark) { body { background: #121212 } }</style>"
            "</head>"
            f"<body>{'<hr>'.join(pieces)}</body></html>",
            encoding="utf-8",
        )
        one = Page(browser, path.as_uri(), **options)
        if script:
            one.context.add_init_script(script)
        opened.append((one, expect_errors))
        return one.open(ready)

    yield start
    for one, expect_errors in opened:
        one.context.close()
        if not expect_errors:
            assert one.errors == []
            assert [r for r in one.requests if not r.startswith(("data:", "blob:"))] == [
                one.address
            ]


def pixels(page, name, nth=0):
    """RGB of a canvas."""
    canvas = page.locator(f"canvas[data-panel={name}]").nth(nth)
    data = canvas.evaluate("c => c.toDataURL('image/png')").partition(",")[2]
    rgba = np.array(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA"), int)
    assert (rgba[..., 3] == 255).all()
    return rgba[..., :3]


def slider(page, name, nth=0):
    return page.locator(f"input[type=range][data-control={name}]").nth(nth)


def at(page, *position, nth=0):
    """Wait until the explorer shows the state with these indices."""
    page.wait_for_function(
        "([n, p]) => document.querySelectorAll('.hebt-explorer')[n].dataset.position === p",
        arg=[nth, ",".join(map(str, position))],
    )


def assert_shows(page, alpha, counts, nth=0):
    np.testing.assert_array_equal(
        pixels(page, "both", nth), colors(image(alpha, counts), "inferno")
    )
    np.testing.assert_array_equal(pixels(page, "some", nth), colors(slow(counts), "viridis"))
    numbers = compute(alpha, counts)
    texts = [page.locator(f"[data-readout={n}]").nth(nth).text_content() for n in ("mse", "gain")]
    assert texts == [f"{numbers['mse']:.4f}", f"{numbers['gain']:.2f}".replace("-", "−")]


def test_page_shows_the_values_of_python_in_every_state(visit):
    page = visit(explorer())
    for i, alpha in enumerate(ALPHAS):
        for k, counts in enumerate(COUNTS):
            slider(page, "alpha").fill(str(i))
            slider(page, "counts").fill(str(k))
            at(page, i, k)
            assert_shows(page, alpha, counts)
            bar = page.locator("[data-bar=both]").get_attribute("class").split()
            assert ("low" in bar, "high" in bar) == outside(image(alpha, counts))


def test_keyboard_moves_sliders(visit):
    page = visit(explorer())
    assert_shows(page, 0.7, 4)
    page.keyboard.press("Tab")
    assert slider(page, "alpha").evaluate("e => e === document.activeElement")
    for key, index in (("ArrowRight", 4), ("ArrowLeft", 3), ("Home", 0), ("End", 4)):
        page.keyboard.press(key)
        at(page, index, 1)
    assert_shows(page, ALPHAS[4], 4)
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowUp")
    at(page, 4, 2)
    assert_shows(page, ALPHAS[4], 16)
    page.locator("[data-role=reset]").focus()
    page.keyboard.press("Enter")
    at(page, 3, 1)
    assert_shows(page, 0.7, 4)
    assert slider(page, "alpha").input_value() == "3"


def test_mouse_drags_and_clicks_sliders(visit):
    page = visit(explorer())
    box = slider(page, "alpha").bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.click(box["x"] + 4, y)
    at(page, 0, 1)
    page.mouse.move(box["x"] + 9, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, y, steps=4)
    page.mouse.move(box["x"] + box["width"] - 2, y, steps=4)
    page.mouse.up()
    at(page, 4, 1)
    assert_shows(page, ALPHAS[4], 4)


def test_curve_follows_and_leads(visit):
    page = visit(explorer())

    def heights():
        return {
            c.get_attribute("data-line"): float(c.get_attribute("cy"))
            for c in page.locator("circle[data-line]").all()
        }

    def x():
        return float(page.locator("circle[data-line=Au]").get_attribute("cx"))

    first, start = heights(), x()
    lines = compute(0.7, 4)["curve"]
    # a logarithmic axis: equal ratios, equal distances; the middle line of a band
    ratio = np.log(lines["Au"][3] / lines["Ag"][1][3])
    slider(page, "alpha").fill("0")
    at(page, 0, 1)
    second = heights()
    rise = np.log(lines["Au"][0] / lines["Au"][3])
    assert (first["Au"] - second["Au"]) / rise == pytest.approx(
        (first["Ag"] - first["Au"]) / ratio, rel=1e-3
    )
    assert x() < start
    # pointing into the plot moves the slider
    box = page.locator("svg[data-curve=curve]").bounding_box()
    page.mouse.click(box["x"] + start, box["y"] + box["height"] / 2)
    at(page, 3, 1)
    assert x() == pytest.approx(start) and slider(page, "alpha").input_value() == "3"
    legend = page.locator("svg[data-curve=curve]").text_content()
    assert f"{lines['Au'][3]:.3g}" in legend and "Weight α" in legend and "MSE" in legend


def test_everything_is_said_in_words_too(visit):
    page = visit(explorer())
    canvas = page.locator("canvas[data-panel=both]")
    assert canvas.get_attribute("role") == "img"
    seen = {canvas.get_attribute("aria-label")}
    for i in range(3):
        slider(page, "alpha").fill(str(i))
        at(page, i, 1)
        seen.add(canvas.get_attribute("aria-label"))
    assert len(seen) == 4
    assert canvas.get_attribute("aria-label") == "Au, HEBT: Weight α 0.50, Dose 4 counts."
    some = page.locator("canvas[data-panel=some]").get_attribute("aria-label")
    assert some == "Au, EDS: Dose 4 counts."
    assert slider(page, "alpha").get_attribute("aria-label") == "Weight α"
    assert slider(page, "counts").get_attribute("aria-valuetext") == "4 counts"
    assert page.locator("output[data-value=counts]").text_content() == "4 counts"
    assert "Weight α 0.50" in page.locator("svg[data-curve]").get_attribute("aria-label")
    status = page.locator("[data-role=status]")
    assert status.get_attribute("aria-live") == "polite"
    page.wait_for_function(
        "document.querySelector('[data-role=status]').textContent.includes("
        "'Au at weight 0.50 and 4 counts, MSE 0.0025.')"
    )


def value(text):
    return float(text.strip("≥≤ ").replace("−", "-"))


def test_pointer_reads_values_in_units(visit):
    page = visit(explorer())
    canvas = page.locator("canvas[data-panel=both]")
    box = canvas.bounding_box()
    assert box["height"] / box["width"] == pytest.approx(SHAPE[0] / SHAPE[1], rel=0.01)
    scale = box["width"] / SHAPE[1]
    page.mouse.move(box["x"] + 9.5 * scale, box["y"] + 7.5 * scale)
    text = page.locator("[data-role=probe]").text_content()
    assert re.fullmatch(r"Row 7, column 9: \S+ intensity", text)
    step = (LIMITS[1] - LIMITS[0]) / 255
    assert value(text.split()[-2]) == pytest.approx(image(0.7, 4)[7, 9], abs=step)
    # the other panel shows its own value at the same place
    there = page.locator("[data-pixel=some]").text_content()
    assert value(there) == pytest.approx(max(slow(4)[7, 9], LIMITS[0]), abs=step)
    # and both follow the slider under a resting pointer
    page.evaluate("""() => {
        const s = document.querySelector('input[data-control=counts]');
        s.value = 2; s.dispatchEvent(new Event('input')); }""")
    at(page, 3, 2)
    text = page.locator("[data-pixel=both]").text_content()
    assert value(text) == pytest.approx(image(0.7, 16)[7, 9], abs=step)
    page.mouse.move(2, 2)
    assert page.locator("[data-role=probe]").text_content() == ""
    # by keyboard: from the middle, pixel by pixel
    canvas.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "Shift+ArrowLeft"):
        page.keyboard.press(key)
    assert page.locator("[data-role=probe]").text_content().startswith("Row 7, column 0: ")


@pytest.mark.parametrize(
    "limits", [(0, 4e4), (-2e-6, 1e-6), (0, 3e9), (-180, 180), (0.99, 1.01), (0, 1)]
)
def test_values_are_written_as_finely_as_8_bits_allow(visit, limits):
    low, high = limits
    row = np.linspace(low, high, 7)[None]
    page = visit(
        explorers.FrameExplorer(
            lambda a: {"p": row},
            [explorers.Control("a", "A", [1, 2])],
            [explorers.Panel("p", "P", limits)],
        )
    )
    box = page.locator("canvas[data-panel=p]").bounding_box()
    step = (high - low) / 255
    for column, truth in enumerate(row[0]):
        x = box["x"] + (column + 0.5) / 7 * box["width"]
        page.mouse.move(x, box["y"] + box["height"] / 2)
        text = page.locator("[data-pixel=p]").text_content().replace("−", "-")
        # half a step of the 8 bits, half a unit of the last digit, which is under five steps
        mantissa, _, exponent = text.partition("e")
        digit = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
        trailing = len(mantissa) - len(mantissa.rstrip("0")) if "." not in mantissa else 0
        assert abs(float(text) - truth) <= step * 3.1
        assert digit * 10**trailing >= step / 2 * (1 - 1e-9) or float(text) == 0
        assert len(text) <= 9


def test_plots_of_other_kinds(visit):
    x = np.geomspace(1, 1000, 7)
    e = explorers.FrameExplorer(
        lambda filter, iterations: {
            "residual": {"HAADF": 1 / x, "EDS": np.where(x > 50, np.nan, 2 / x)},
            "error": {"Au": [0.3, 0.1, 0.2]},
        },
        [
            explorers.Control(
                "filter", "Filter", ["none", "Gaussian", "median"], default="Gaussian"
            ),
            explorers.Control("iterations", "Iterations", [1, 30, 1000]),
        ],
        [],
        curves=[
            explorers.Curve(
                "residual", "Residual", "iterations", ("HAADF", "EDS"), x=x, log="xy", depends=()
            ),
            explorers.Curve("error", "Error", "filter", ["Au"], depends=(), limits=(0, 1)),
        ],
    )
    assert e.poster().startswith(b"\x89PNG")
    page = visit(e)
    residual, error = (page.locator(f"svg[data-curve={n}]") for n in ("residual", "error"))
    assert {"none", "Gaussian", "median"} <= set(error.locator("text").all_text_contents())
    assert residual.locator("circle").count() == 2 and error.locator("circle").count() == 1

    def cx(svg):
        return float(svg.locator("circle").first.get_attribute("cx"))

    start, left = cx(error), cx(residual)
    slider(page, "iterations").fill("2")
    at(page, 1, 2)
    right = cx(residual)
    # the second line has no value there: no marker, and no number in the legend
    assert residual.locator("circle").count() == 1 and right > left
    assert "EDS" in residual.locator("text").all_text_contents()
    slider(page, "iterations").fill("1")
    at(page, 1, 1)
    share = (cx(residual) - left) / (right - left)
    assert share == pytest.approx(np.log(30) / np.log(1000), abs=1e-3)
    assert cx(error) == start
    slider(page, "filter").fill("0")
    at(page, 0, 1)
    assert cx(error) < start
    box = error.bounding_box()
    page.mouse.click(box["x"] + box["width"] - 20, box["y"] + box["height"] / 2)
    at(page, 2, 1)


def test_values_beyond_the_limits_are_named_as_such(visit):
    e = explorers.FrameExplorer(
        lambda a: {"p": np.array([[-5.0, 0.5, 5.0]])},
        [explorers.Control("a", "A", [1, 2])],
        [explorers.Panel("p", "P", (0, 1), unit="kV")],
    )
    page = visit(e)
    box = page.locator("canvas[data-panel=p]").bounding_box()
    texts = []
    for column in range(3):
        x = box["x"] + (column + 0.5) / 3 * box["width"]
        page.mouse.move(x, box["y"] + box["height"] / 2)
        texts.append(page.locator("[data-role=probe]").text_content().split(": ")[1])
    assert texts == ["≤ 0.00 kV", "0.50 kV", "≥ 1.00 kV"]


def test_touch(visit):
    page = visit(explorer(), has_touch=True, is_mobile=True)
    box = slider(page, "alpha").bounding_box()
    assert box["height"] >= 44
    page.touchscreen.tap(box["x"] + 3, box["y"] + box["height"] / 2)
    at(page, 0, 1)
    box = page.locator("canvas[data-panel=some]").bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert page.locator("[data-role=probe]").text_content().startswith("Row 6, column 8: ")


def test_saved_png_is_the_present_view(visit):
    page = visit(explorer(), accept_downloads=True, color_scheme="dark")
    found = []
    for i in (0, 4):
        slider(page, "alpha").fill(str(i))
        at(page, i, 1)
        with page.expect_download() as download:
            page.locator("[data-role=save]").click()
        found.append(Image.open(download.value.path()).convert("RGB"))
        assert download.value.suggested_filename == f"hebt_alpha-{ALPHAS[i]:.2f}_counts-4.png"
    for picture, alpha in zip(found, (ALPHAS[0], ALPHAS[4])):
        assert picture.getpixel((2, 2)) == (255, 255, 255)
        wanted = colors(image(alpha, 4), "inferno")
        assert np.isin(wanted @ CODE, np.array(picture, int) @ CODE).all()
    assert found[0].tobytes() != found[1].tobytes()


def test_two_on_a_page_do_not_meet(visit):
    page = visit(
        explorer(), explorer(), explorers.slices(np.random.default_rng(0).random((4, 8, 8)))
    )
    assert page.locator(".hebt-explorer").count() == 3
    slider(page, "alpha", 1).fill("0")
    at(page, 0, 1, nth=1)
    at(page, 3, 1, nth=0)
    assert_shows(page, 0.7, 4, nth=0)
    assert_shows(page, ALPHAS[0], 4, nth=1)
    slider(page, "slice").fill("0")
    at(page, 0, nth=2)
    ids = page.locator("[id]").evaluate_all("all => all.map(e => e.id)")
    assert len(ids) == len(set(ids)) == 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_looks_right_at_every_width(visit, scheme):
    four = explorers.FrameExplorer(
        lambda alpha, counts: {f"p{k}": image(alpha, counts) for k in range(4)},
        CONTROLS,
        [
            explorers.Panel(
                f"p{k}", f"A panel with a longer title {k}", LIMITS, unit="HAADF intensity"
            )
            for k in range(4)
        ],
    )
    six = explorers.FrameExplorer(
        lambda alpha, counts: {f"s{k}": image(alpha, counts) for k in range(6)},
        CONTROLS,
        [explorers.Panel(f"s{k}", f"Au, number {k}", LIMITS) for k in range(6)],
        columns=3,
        shared_colorbar=True,
    )
    page = visit(explorer(), four, six, color_scheme=scheme)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function("w => document.documentElement.clientWidth === w", arg=width)
        page.wait_for_function(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        )
        tops = [page.locator(f"canvas[data-panel=p{k}]").bounding_box() for k in range(4)]
        across = sum(abs(t["y"] - tops[0]["y"]) < 1 for t in tops)
        assert across == (2 if width < 820 else 4)
        assert all(t["x"] + t["width"] <= width for t in tops)
        assert min(t["width"] for t in tops) >= 140
        tops = [page.locator(f"canvas[data-panel=s{k}]").bounding_box() for k in range(6)]
        assert [t["y"] == tops[0]["y"] for t in tops] == [True] * 3 + [False] * 3
        assert [t["x"] for t in tops[:3]] == [t["x"] for t in tops[3:]]
        svg = page.locator("svg[data-curve]").bounding_box()
        assert 300 < svg["width"] <= width and svg["x"] + svg["width"] <= width
    ratio = page.evaluate(CONTRAST)
    assert ratio, "no text was found"
    assert min(ratio.values()) >= 4.5, ratio


def test_a_row_of_three_stays_whole_on_a_phone(visit):
    """Truth, method and difference stand in one line, or else each in its own."""
    notes = explorers.Readout("note", "root-mean-square error", "intensity", panel="p5")
    rows = explorers.FrameExplorer(
        lambda alpha, counts: {f"p{k}": image(alpha, counts) for k in range(6)} | {"note": -1.5},
        CONTROLS,
        [explorers.Panel(f"p{k}", "Au, EDS less truth", LIMITS, "density") for k in range(6)],
        readouts=[notes],
        columns=3,
    )
    page = visit(rows)
    cut = """() => [...document.querySelectorAll(".hebt-panel *")].some((e) =>
      e.scrollWidth > e.clientWidth + 1 && e.clientWidth && !e.matches(".hebt-pixel"))"""
    for width, across in ((390, 3), (320, 3), (230, 1)):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function("w => document.documentElement.clientWidth === w", arg=width)
        page.evaluate("new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")
        boxes = [page.locator(f"canvas[data-panel=p{k}]").bounding_box() for k in range(6)]
        lines = [round(b["y"]) for b in boxes]
        assert [lines.count(y) for y in sorted(set(lines))] == [across] * (6 // across)
        assert all(b["x"] >= 0 and b["x"] + b["width"] <= width for b in boxes)
        assert not page.evaluate(cut), width


# contrast of every text with the background behind it, after WCAG 2
CONTRAST = """() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgb = (css) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = css;
    canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const lum = (c) => { const [r, g, b] = c.slice(0, 3).map((v) => { v /= 255;
    return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const out = {};
  for (const e of document.querySelectorAll('.hebt-explorer *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.getClientRects().length || e.closest('script, style')) continue;
    let under = e;          // the nearest opaque background
    const plate = () => rgb(getComputedStyle(under).backgroundColor);
    while (under && plate()[3] < 255) under = under.parentElement;
    const back = under ? plate() : [255, 255, 255];
    const style = getComputedStyle(e);
    const front = rgb(e instanceof SVGElement ? style.fill : style.color);
    const [a, b] = [lum(front), lum(back)].sort((x, y) => y - x);
    out[`${e.tagName} ${e.getAttribute('class')}: ${e.textContent.slice(0, 20)}`] =
      (a + 0.05) / (b + 0.05);
  }
  return out;
}"""


def test_theme_of_the_book_wins_over_that_of_the_system(visit):
    page = visit(explorer(), color_scheme="light")
    text = "getComputedStyle(document.querySelector('path')).stroke"
    light = page.evaluate(text)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    dark = page.evaluate(text)
    assert light != dark
    page.emulate_media(color_scheme="dark")
    page.evaluate("document.documentElement.dataset.theme = 'light'")
    assert page.evaluate(text) == light
    page.evaluate("delete document.documentElement.dataset.theme")
    assert page.evaluate(text) == dark
    page.evaluate("document.body.dataset.jpThemeLight = 'true'")
    assert page.evaluate(text) == light


def poster_is_there(page, message):
    poster = page.locator(".hebt-poster img")
    assert poster.is_visible()
    assert poster.get_attribute("alt") == "Au at weight 0.70 and 4 counts, MSE 0.0025."
    assert poster.bounding_box()["width"] > 300
    assert message in page.locator(".hebt-note").text_content()
    assert page.locator(".hebt-note").is_visible()
    assert page.get_by_text("Au from EDS alone and by HEBT.").is_visible()
    assert page.locator("input, canvas").count() == 0


def test_first_picture_without_javascript(visit):
    page = visit(explorer(), ready=False, java_script_enabled=False)
    poster_is_there(page, "Its sliders need JavaScript")


def test_first_picture_in_an_old_browser(visit):
    page = visit(
        explorer(), ready=False, expect_errors=True, script="delete window.DecompressionStream"
    )
    page.wait_for_selector(".hebt-poster .hebt-note >> text=too old")
    poster_is_there(page, "could not start")


def test_first_picture_where_the_script_fails(visit):
    e = explorer()
    e._esm = "export default { render({ el }) { el.append('half'); throw new Error('gone'); } };"
    page = visit(e, ready=False, expect_errors=True)
    page.wait_for_selector(".hebt-poster .hebt-note >> text=gone")
    poster_is_there(page, "could not start")
    assert page.get_by_text("half").count() == 0


# ---- data in files ----


@pytest.fixture
def filed(tmp_path, monkeypatch):
    """An explorer whose images lie in files beside the page."""
    monkeypatch.setenv("HEBT_STATIC_FILES", str(tmp_path / "_explorers"))
    noise = np.random.default_rng(2).random((60, 128, 128), np.float32)
    e = explorers.FrameExplorer(
        lambda n: {"p": noise[n]},
        [explorers.Control("n", "N", range(60))],
        [explorers.Panel("p", "", (0, 1))],
    )
    return e, noise


def expected(noise, n):
    return np.repeat(steps(noise[n], (0, 1))[..., None], 3, axis=-1)


def test_files_are_loaded_when_needed(browser, filed, tmp_path):
    e, noise = filed
    piece = e.html()
    files = sorted((tmp_path / "_explorers").iterdir())
    assert len(piece) < 200_000 and len(files) >= 4
    assert {f.suffix for f in files} == {".js"}
    again = {f.name: f.read_bytes() for f in files}
    e.html()
    assert {f.name: f.read_bytes() for f in (tmp_path / "_explorers").iterdir()} == again
    # from a chapter one folder down, as Sphinx tells it
    (tmp_path / "book").mkdir()
    path = tmp_path / "book" / "page.html"
    path.write_text(
        f'<!DOCTYPE html><html data-content_root="../"><meta charset="utf-8">{piece}</html>',
        encoding="utf-8",
    )
    one = Page(browser, path.as_uri())
    page = one.open()
    np.testing.assert_array_equal(pixels(page, "p"), expected(noise, 0))
    assert not [r for r in one.requests if "_explorers" in r]
    slider(page, "n").fill("59")
    at(page, 59)
    np.testing.assert_array_equal(pixels(page, "p"), expected(noise, 59))
    loaded = [r for r in one.requests if "_explorers" in r]
    assert 1 <= len(set(loaded)) == len(loaded) < len(files)
    slider(page, "n").fill("0")
    at(page, 0)
    np.testing.assert_array_equal(pixels(page, "p"), expected(noise, 0))
    assert one.errors == []
    one.context.close()


def test_a_missing_file_is_said_and_may_come_back(browser, filed, tmp_path):
    e, noise = filed
    path = tmp_path / "page.html"
    path.write_text(f'<!DOCTYPE html><meta charset="utf-8">{e.html()}', encoding="utf-8")
    (tmp_path / "_explorers").rename(tmp_path / "away")
    one = Page(browser, path.as_uri())
    page = one.open()
    slider(page, "n").fill("59")
    page.wait_for_selector(".hebt-explorer[data-state=error]")
    message = page.locator("[data-role=message]")
    assert "No picture for N 59" in message.text_content() and message.is_visible()
    assert "still show N 0." in message.text_content()
    np.testing.assert_array_equal(pixels(page, "p"), expected(noise, 0))
    (tmp_path / "away").rename(tmp_path / "_explorers")
    slider(page, "n").fill("58")
    at(page, 58)
    assert not message.is_visible()
    np.testing.assert_array_equal(pixels(page, "p"), expected(noise, 58))
    one.context.close()


SAVE_ON_A_FULL_DISK = """
import resource, sys
import numpy as np
from hebt import explorers
e = explorers.FrameExplorer(
    lambda n: {"p": np.full((4, 4), n)},
    [explorers.Control("n", "N", (0, 1))],
    [explorers.Panel("p", "Picture", (0, 1))],
)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    e.save(sys.argv[1])
except OSError as error:
    print("not saved:", error)
"""


def test_a_full_disk_leaves_the_page_that_was_there(tmp_path):
    page = tmp_path / "explorer.html"
    page.write_text("a good page")
    run = subprocess.run(
        [sys.executable, "-c", SAVE_ON_A_FULL_DISK, page], capture_output=True, text=True
    )
    assert run.stdout.startswith("not saved"), run.stderr
    assert page.read_text() == "a good page"
    assert list(tmp_path.iterdir()) == [page]


def test_a_saved_explorer_is_one_file(filed, tmp_path, browser):
    e, noise = filed
    one = Page(browser, e.save(tmp_path / "alone.html").as_uri())
    page = one.open()
    slider(page, "n").fill("30")
    at(page, 30)
    np.testing.assert_array_equal(pixels(page, "p"), expected(noise, 30))
    assert not (tmp_path / "_explorers").exists()
    assert one.errors == [] and one.requests[0] == one.address
    one.context.close()


# ---- with a kernel ----


MODEL = """
const listeners = {};
const state = await decode(await window.ask("state", null));
async function decode(text) {
  const walk = (v) => {
    if (v === null || typeof v !== "object") return v;
    if (Array.isArray(v)) return v.map(walk);
    if ("$b64" in v) {
      return new DataView(Uint8Array.from(atob(v.$b64), (c) => c.charCodeAt(0)).buffer);
    }
    return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, walk(x)]));
  };
  return walk(JSON.parse(text));
}
async function send(position) {
  const answer = await decode(await window.ask("move", position));
  window.asked = `${position}`;
  if (window.held) await window.held;
  state.picture = answer.picture;
  (listeners["change:picture"] ?? []).forEach((f) => f());
}
const model = {
  get: (k) => state[k],
  set: (k, v) => { state[k] = v; },
  save_changes: () => send(state.position),
  on: (e, f) => (listeners[e] ??= []).push(f),
  off: () => {},
};
const url = URL.createObjectURL(new Blob([state._esm], { type: "text/javascript" }));
const style = document.createElement("style");
style.textContent = state._css;
document.head.append(style);
(await import(url)).default.render({ model, el: document.querySelector("#here") });
"""


@pytest.fixture
def live(browser, tmp_path):
    """Draw an explorer in a page whose model asks Python, as a kernel would answer."""
    contexts = []

    def as_json(value):
        if isinstance(value, (bytes, memoryview)):
            return {"$b64": base64.b64encode(bytes(value)).decode()}
        if isinstance(value, dict):
            return {k: as_json(v) for k, v in value.items()}
        return [as_json(v) for v in value] if isinstance(value, (list, tuple)) else value

    def start(e):
        def ask(what, position):
            if what == "move":
                e.set_state({"position": position})
                return json.dumps(as_json({"picture": e.picture}))
            names = ("spec", "position", "picture", "caption", "_esm", "_css")
            return json.dumps(as_json({n: getattr(e, n) for n in names}))

        path = tmp_path / "live.html"
        path.write_text(
            '<!DOCTYPE html><meta charset="utf-8"><div id="here"></div>'
            f'<script type="module">{MODEL}</script>',
            encoding="utf-8",
        )
        one = Page(browser, path.as_uri())
        contexts.append(one)
        one.page.expose_function("ask", ask)
        return one.open()

    yield start
    for one in contexts:
        one.context.close()
        assert one.errors == []


def test_default_picture_is_the_same_in_both_hosts(visit, live):
    fixed, asked = visit(explorer()), live(explorer())
    for page in (fixed, asked):
        page.set_viewport_size({"width": 820, "height": 900})
        page.mouse.move(0, 0)
    for name in ("both", "some"):
        np.testing.assert_array_equal(pixels(fixed, name), pixels(asked, name))
    shots = [
        np.array(Image.open(io.BytesIO(page.locator(".hebt-frames").screenshot())))
        for page in (fixed, asked)
    ]
    np.testing.assert_array_equal(*shots)
    words = [page.locator(".hebt-frames").inner_text() for page in (fixed, asked)]
    assert words[0] == words[1]
    svg = [page.locator("svg[data-curve]").inner_html() for page in (fixed, asked)]
    assert svg[0] == svg[1]


def test_live_sliders_ask_python(live):
    calls = []

    def counted(**state):
        calls.append(state)
        return compute(**state)

    page = live(explorer(counted))
    slider(page, "alpha").fill("0")
    at(page, 0, 1)
    assert_shows(page, ALPHAS[0], 4)
    slider(page, "counts").focus()
    page.keyboard.press("End")
    at(page, 0, 2)
    assert_shows(page, ALPHAS[0], 16)
    assert calls[1:] == [{"alpha": ALPHAS[0], "counts": 4}, {"alpha": ALPHAS[0], "counts": 16}]


def test_live_asks_one_question_at_a_time_and_the_latest_wins(live):
    calls = []

    def counted(**state):
        calls.append(state["alpha"])
        return compute(**state)

    page = live(explorer(counted))
    calls.clear()
    page.evaluate("() => { window.held = new Promise((go) => { window.release = go; }); }")
    slider(page, "alpha").fill("0")
    page.wait_for_function("window.asked === '0,1'")  # it waits a moment before it asks
    for i in (1, 2, 4):
        slider(page, "alpha").fill(str(i))
    assert page.locator("output[data-value=alpha]").text_content() == "0.95"
    assert calls == [ALPHAS[0]]
    page.evaluate("window.release()")
    at(page, 4, 1)
    page.wait_for_selector(".hebt-explorer[data-state=ready]")
    assert calls == [ALPHAS[0], ALPHAS[4]]
    assert_shows(page, ALPHAS[4], 4)
    assert slider(page, "alpha").input_value() == "4"


def test_live_error_is_shown_and_passes(live):
    def moody(alpha, counts):
        if alpha == 0.3:
            raise ArithmeticError("the ratio of <b>Ag</b> is 0")
        return compute(alpha, counts)

    page = live(explorer(moody))
    slider(page, "alpha").fill("1")
    page.wait_for_selector(".hebt-explorer[data-state=error]")
    message = page.locator("[data-role=message]")
    assert "ArithmeticError: the ratio of <b>Ag</b> is 0" in message.text_content()
    assert "still show Weight α 0.70" in message.text_content()
    np.testing.assert_array_equal(pixels(page, "both"), colors(image(0.7, 4), "inferno"))
    slider(page, "alpha").fill("0")
    at(page, 0, 1)
    assert not message.is_visible()
    assert_shows(page, ALPHAS[0], 4)
    # back to the place that fails, and from there to the one shown last
    slider(page, "alpha").fill("1")
    page.wait_for_selector(".hebt-explorer[data-state=error]")
    slider(page, "alpha").fill("0")
    page.wait_for_selector(".hebt-explorer[data-state=ready]")
    assert_shows(page, ALPHAS[0], 4)
