"""The first page: pictures that lead on, and the particle that turns."""

import base64
import io

import numpy as np
import pytest
from bs4 import BeautifulSoup
from conftest import ROOT
from PIL import Image

from companion import intro, phantom
from companion.intro.figures import _colored, _mixed, _split
from companion.phantom.explorers import _first_sweep, _values


@pytest.fixture(scope="module")
def study():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEBT_FIDELITY", "quick")
        yield intro.particle()


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setenv("HEBT_FIDELITY", "quick")


def relative_error(truth, x):
    scale = (truth * x).sum(dtype=float) / (x * x).sum(dtype=float)
    return ((truth - scale * x) ** 2).sum(dtype=float) / (truth**2).sum(dtype=float)


def test_the_particle_is_compared_fairly(study):
    """Its errors are those of what is shown, and both methods had the same X-rays."""
    for method, density in study.density.items():
        errors = [relative_error(t, x) for t, x in zip(study.truth, density, strict=True)]
        assert np.mean(errors) == pytest.approx(study.error[method], rel=1e-3)
        # bulk density is 1, within the noise
        inside = study.truth.sum(axis=0) > 0.99
        assert density.sum(axis=0)[inside].mean() == pytest.approx(1, abs=0.1)
    assert study.gain == study.error["eds"] / study.error["hebt"]
    assert (study.maps == np.rint(study.maps)).all(), "no counts"
    assert 0 < study.truth.max() <= 1 + 1e-6


def test_cards_lead_to_pages_and_say_what_is_seen(quick, study):
    page = BeautifulSoup(intro.three_ways(study)._repr_html_(), "html.parser")
    links = page.select("a.hebt-card")
    assert len(links) == 3
    for link in links:
        assert (ROOT / "book" / link["href"].replace(".html", ".md")).is_file()
        assert len(link.img["alt"]) > 40 and link.strong.get_text() and link.span.get_text()
        data = base64.b64decode(link.img["src"].partition(",")[2])
        picture = Image.open(io.BytesIO(data))
        assert picture.size == (int(link.img["width"]), int(link.img["height"]))
        assert len(data) < 40_000 and np.asarray(picture.convert("L")).std() > 20


def test_the_first_card_shows_what_the_first_explorer_opens_on(quick):
    _, _, runs = _first_sweep(1.0)
    said = phantom.first_look().picture["readouts"]
    steps = _values()[1]
    for method, images in phantom.first_pictures().items():
        for e, element in enumerate(("Au", "Ag")):
            stop = steps.index(int(said[f"{element}_{method}_after"]))
            np.testing.assert_array_equal(images[e], runs[method][stop, e])


def test_halves_and_mixed_colors():
    left, right = np.zeros((4, 6)), np.ones((4, 6))
    both = _split(left, right)
    assert (both[:, :3] == 0).all() and np.isnan(both[:, 3]).all() and (both[:, 4:] == 1).all()
    assert (_colored(both, "gray", (0, 1))[0, 3] == 1).all(), "the line is white"
    densities = np.array([[[0.0, 1.0, 0.0, 0.5]], [[0.0, 0.0, 1.0, 0.5]]])
    nothing, gold, silver, mixed = _mixed(densities)[0]
    assert (nothing == 1).all()
    assert gold[0] > gold[2] and silver[2] > silver[0]
    np.testing.assert_allclose(mixed, (gold + silver) / 2)


def test_the_particle_turns_by_itself_and_opens(quick, study):
    spec = intro.explore_particle(study).spec
    assert spec["spin"] > 5, "slow"
    assert len(spec["cuts"]) == 2 and len(spec["tips"]) == 1
    assert [p["title"] for p in spec["panels"]] == ["EDS only", "HEBT", "The truth"]
    width = study.voxel * study.truth.shape[-1]
    length = float(spec["scale"]["text"].split()[0])
    assert spec["scale"]["share"] * width == pytest.approx(length)
    numbers = intro.particle_numbers(study)
    assert float(numbers["first_body_gain"]) == pytest.approx(study.gain, abs=0.05)
