"""The report of a result: one file, in which stands what is known, and what is not."""

import re

import numpy as np
import pytest
from bs4 import BeautifulSoup

import hebt
from hebt._report import _projections, _volumes

RNG = np.random.default_rng(0)
X = RNG.random((2, 5, 8, 8)).astype(np.float32)


def result(**options):
    residuals = hebt.History()
    residuals.add(hebt.Residuals(np.array([3.0, 2.0]), 7.0))
    residuals.add(hebt.Residuals(np.array([1.234, 0.5678]), 6.0))
    residuals.iterations = 1
    ratios, errors = np.array([1.5, 0.25]), np.array([0.15, np.nan])
    given = {
        "ratios": hebt.ResponseRatios(ratios, 0.9, ("Au", "Ag"), 77, errors, errors, "counts"),
        "angles": [-60, 0, 60],
        "method": "HEBT",
        "settings": {"alpha": 0.7, "method": hebt.CompositionEM((0, 1), haadf_noise=0.5)},
        "residuals": residuals,
        "history": [
            {"step": "read", "settings": {"files": ["a.emd"], "lines": ["Au_La", "Ag_La"]}},
            {"step": "bin", "settings": {"factor": 2}, "pictures": {"HAADF <0>": X[0, 0]}},
        ],
        "inputs": {"a.emd": "00ff", "b.emd": ""},
    }
    return hebt.Result(X, ("Au", "Ag"), 1.5, **given | options)


def read(path):
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def test_a_report_holds_what_is_known_and_asks_no_server(tmp_path):
    path = result().report(tmp_path / "a.html", k_factors=[1, 1], kind="mass")
    page = read(path)
    text = page.get_text(" ")
    for part in ("00ff", "not known", "3 tilts from -60° to 60°", "factor = 2", "0.15 (10 %)"):
        assert part in text
    assert "R² = 0.9000 over 77 pixels" in text and "Au 1.234, Ag 0.5678" in text
    assert len(page.select(".hebt-explorer")) == 4  # three planes and the turntable
    assert all(image.get("alt") for image in page.select("img"))
    for tag in page.find_all(src=True) + page.find_all(href=True):
        assert (tag.get("src") or tag.get("href")).startswith("data:")
    counts = X.sum(axis=(1, 2, 3)) / [1.5, 0.25]
    assert counts.min() > 0
    fractions = hebt.composition(X, [1.5, 0.25], k_factors=[1, 1])
    bright = X.sum(axis=0) > 0.2 * X.sum(axis=0).max()
    assert f"{100 * fractions[0][bright].astype(float).mean():.2f} %" in text


def test_what_is_not_known_is_said(tmp_path):
    page = read(hebt.Result(X, ("Au", "Ag"), 1.5).report(tmp_path / "a.html"))
    text = page.get_text(" ")
    for part in (
        "files that this was made of are not recorded",
        "No steps are recorded",
        "They are not recorded",
        "a method that is not recorded",
        "Residuals are not recorded",
        "needs ζ- or k-factors",
        "calls that made it are not recorded",
    ):
        assert part in text


def test_the_cell_that_makes_it_again_calls_each_step_with_its_settings(tmp_path):
    page = read(result().report(tmp_path / "a.html"))
    code = page.select("pre code")[-1].get_text()
    calls = []

    class Series:
        def __getattr__(self, name):
            return lambda **settings: calls.append((name, settings)) or self

    class Hebt:
        io = Series()
        CompositionEM = hebt.CompositionEM

    exec(compile(code.replace("import hebt\n", ""), "cell", "exec"), {"hebt": Hebt})
    (read_, binned, made) = calls
    assert read_ == ("read", {"files": ["a.emd"], "lines": ["Au_La", "Ag_La"]})
    assert binned == ("bin", {"factor": 2})
    assert made[0] == "reconstruct" and made[1]["alpha"] == 0.7
    assert made[1]["method"].haadf_noise == 0.5


def test_names_from_files_are_text_and_no_script(tmp_path):
    wicked = "<script>alert(1)</script>"
    made = hebt.Result(
        X,
        (wicked, "Ag"),
        1.5,
        method=wicked,
        inputs={wicked: wicked},
        history=[wicked, {"step": wicked, wicked: wicked, "pictures": {wicked: X[0, 0]}}],
        about={"rerun": wicked},
    )
    text = made.report(tmp_path / "a.html").read_text(encoding="utf-8")
    assert wicked not in text and not re.search(r"<script>\s*alert", text)


def test_a_report_replaces_nothing_unless_one_says_so(tmp_path, monkeypatch):
    path = tmp_path / "a.html"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="there already"):
        result().report(path)
    assert path.read_text() == "mine"
    result().report(path, overwrite=True)
    assert "HEBT" in path.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match=r"expected a name that ends in \.html"):
        result().report(tmp_path / "a.pdf")


def test_one_slice_has_a_report(tmp_path):
    one = hebt.Result(X[:, 0], ("Au", "Ag"), 1.5)
    page = read(one.report(tmp_path / "a.html"))
    assert len(page.select(".hebt-explorer")) == 1
    assert "no other side" in page.get_text(" ")


def test_the_turntable_shows_sums_along_the_line_of_sight():
    size = int(np.ceil(np.linalg.norm(X.shape[1:])))
    # odd sides in an odd cube, so that voxels fall upon voxels
    x = np.zeros((1, 5, 7, 9))
    x[0] = RNG.random((5, 7, 9))
    size = int(np.ceil(np.linalg.norm(x.shape[1:])))
    assert size % 2 == 1
    middle = [slice((size - n) // 2, (size + n) // 2) for n in (5, 7, 9)]
    front = _projections(x, 0, 0)[0, 0]
    np.testing.assert_allclose(front[middle[0], middle[2]], x[0].sum(axis=1), rtol=1e-5)
    side = _projections(x, 90, 0)[0, 0][middle[0], middle[1]]
    found = x[0].sum(axis=2)
    assert np.allclose(side, found, rtol=1e-5) or np.allclose(side[:, ::-1], found, rtol=1e-5)
    for turn, tip in ((25, 0), (40, 30)):
        assert _projections(x, turn, tip)[0].sum() == pytest.approx(x.sum(), rel=0.05)


def place(picture):
    """The center of what is seen, (row, column) from the middle of the picture."""
    rows, columns = np.indices(picture.shape) - (np.array(picture.shape)[:, None, None] - 1) / 2
    return (rows * picture).sum() / picture.sum(), (columns * picture).sum() / picture.sum()


def test_what_is_in_front_is_cut_away_and_moves_as_the_reader_turns():
    x = np.zeros((1, 9, 9, 9))
    x[0, 4, 1, 4] = 1  # on one side of the tilt axis
    seen = {turn: _projections(x, turn, 0)[:, 0] for turn in (0, 180)}
    hidden = [turn for turn, (whole, behind) in seen.items() if behind.sum() < 0.01 * whole.sum()]
    (front,) = hidden
    whole, behind = seen[180 - front]
    np.testing.assert_allclose(behind, whole, rtol=1e-5)
    # what is in front goes to the right with a larger turn, and down when seen from above
    assert place(_projections(x, front + 20, 0)[0, 0])[1] > 0.5
    assert place(_projections(x, front, 30)[0, 0])[0] > 0.5
    # a slab in the middle is cut in half
    slab = np.ones((1, 9, 9, 9))
    whole, behind = _projections(slab, 0, 0)
    assert behind.sum() == pytest.approx(whole.sum() / 2)


def test_binned_voxels_stay_cubes_and_keep_their_mean():
    made = hebt.Result(RNG.random((1, 6, 12, 12)), ("Au",), 1)
    x, factors = _volumes(made, 6)
    assert factors == (2, 2, 2) and x.shape == (1, 3, 6, 6)
    assert x.mean() == pytest.approx(made.x.mean(), rel=1e-6)
