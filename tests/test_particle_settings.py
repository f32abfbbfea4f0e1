"""The readings of what the paper does not print: where their numbers come from, what they meet."""

import numpy as np
import pytest

from companion import paper, phantom, spectra


@pytest.fixture(autouse=True)
def at_papers_size(monkeypatch):
    monkeypatch.setenv("HEBT_FIDELITY", "paper")


def test_the_counts_are_those_of_the_phantom_with_the_printed_zeta():
    # section 3.1: ζ was selected so that the phantom's mean counts are those of the first sample
    data = phantom.data(phantom.PhantomSettings.paper(seeds=[0]))
    expected = np.moveaxis(data.W.forward(data.density), 1, 0)
    inside = expected.sum(axis=0) > 0
    zeta = [paper.value(f"phantom.zeta.{e}") for e in data.elements]
    counts = np.mean([z * image[inside].mean() for z, image in zip(zeta, expected, strict=True)])
    assert spectra.settings("nonalloy").counts == pytest.approx(counts, rel=0.02)


def test_readings_differ_in_kernel_and_counts_alone():
    for particle in spectra.PARTICLES:
        default = spectra.settings(particle)
        assert default == spectra.settings(particle, reading="a") and default.sigma == 0.5
        for reading in ("b", "clean"):
            other = spectra.settings(particle, reading=reading)
            assert other.sigma == 4
            changed = {k for k, v in vars(other).items() if v != getattr(default, k)}
            assert changed == {"sigma", "counts"}
        few, many = (spectra.settings(particle, reading=r).counts for r in ("b", "clean"))
        assert few < default.counts < many
    assert spectra.settings("alloy", reading="b", counts=7).counts == 7
    with pytest.raises(ValueError, match="reading is 'c'; expected one of a, b, clean"):
        spectra.settings("alloy", reading="c")


@pytest.mark.slow
@pytest.mark.parametrize("reading", ["a", "b"])
@pytest.mark.parametrize(("particle", "within"), [("nonalloy", 0.01), ("alloy", 0.02)])
def test_either_reading_meets_the_papers_r_squared(reading, particle, within):
    chosen = {"reading": reading, "seed": 7}
    some = spectra.settings(particle, **chosen).angles[::4]
    settings = spectra.settings(particle, angles=some, **chosen)
    plain = spectra.processing.process_acquisition(spectra.acquire(settings)).plain
    printed = paper.value(f"{particle}.r_squared")
    assert plain.r_squared == pytest.approx(printed, abs=within)
