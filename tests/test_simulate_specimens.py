"""The phantom's geometry against closed forms."""

import numpy as np
import pytest

from hebt import simulate


def areas(side=370.0, corner=50.0, half_diagonal=185.0, cut=0.12):
    both = side**2 - (4 - np.pi) * corner**2
    gold = 2 * half_diagonal**2 * (1 - 2 * cut**2)
    return gold, both - gold


@pytest.mark.parametrize("size", [64, 96, 101, 128, 512])
@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"corner": 0.0, "cut": 0.0, "half_diagonal": 160.0},
        {"side": 300.0, "corner": 150.0, "half_diagonal": 100.0, "cut": 0.3},
    ],
)
def test_areas_are_those_of_the_shapes(size, shape):
    gold, silver = simulate.phantom(size, **shape).density
    pixel = 512 / size
    perimeter = 8 * 370 / pixel
    for mask, area in zip((gold, silver), areas(**shape), strict=True):
        # hard pixels: an error of a fraction of a pixel along the outlines
        assert abs(mask.sum() - area / pixel**2) < 0.25 * perimeter
    if size == 512:
        np.testing.assert_allclose([gold.sum(), silver.sum()], areas(**shape), rtol=1e-2)


def test_it_is_binary_disjoint_centered_and_symmetric():
    specimen = simulate.phantom(128)
    gold, silver = specimen.density
    assert specimen.elements == ("Au", "Ag")
    assert specimen.size == 128
    assert specimen.density.dtype == np.float32
    assert set(np.unique(specimen.density)) == {0.0, 1.0}
    assert not (gold * silver).any()
    for turned in (gold[::-1], gold[:, ::-1], gold.T):
        np.testing.assert_array_equal(turned, gold)
    for turned in (silver[::-1], silver[:, ::-1], silver.T):
        np.testing.assert_array_equal(turned, silver)


def test_extents_are_the_printed_measures_of_the_docstring():
    gold, silver = simulate.phantom(512).density
    both = gold + silver
    rows = np.flatnonzero(both.any(axis=1))
    assert (rows[0], rows[-1]) == (71, 440)  # 370 pixels about the middle of 512
    tips = np.flatnonzero(gold.any(axis=1))
    assert tips[-1] - tips[0] + 1 == pytest.approx(2 * 185 * 0.88, abs=1)
    # along a diagonal the square ends where its rounded corner does
    diagonal = both.diagonal().sum() * np.sqrt(2)
    assert diagonal == pytest.approx(2 * ((185 - 50) * np.sqrt(2) + 50), abs=2)


def test_a_silver_shell_closes_round_the_gold():
    gold, silver = simulate.phantom(512).density
    neighbors = np.zeros_like(gold)
    for axis in (0, 1):
        for step in (-1, 1):
            neighbors += np.roll(gold, step, axis)
    outside = (gold + silver) == 0
    assert not (outside & (neighbors > 0)).any()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"size": 0}, "size"),
        ({"side": 600.0}, "side"),
        ({"side": float("nan")}, "side"),
        ({"corner": 200.0}, "corner"),
        ({"corner": -1.0}, "corner"),
        ({"cut": 1.0}, "cut"),
        ({"half_diagonal": 300.0}, "half_diagonal"),
        ({"half_diagonal": -3.0}, "half_diagonal"),
    ],
)
def test_measures_that_make_no_particle_are_refused(arguments, named):
    with pytest.raises(ValueError, match=named):
        simulate.phantom(**arguments)


def test_a_specimen_checks_and_protects_its_density():
    own = np.ones((2, 4, 4))
    specimen = simulate.Specimen(("Au", "Ag"), own)
    with pytest.raises(ValueError, match="read-only"):
        specimen.density[0, 0, 0] = 2
    own[0, 0, 0] = 3  # the caller's array stays the caller's
    with pytest.raises(ValueError, match="elements"):
        simulate.Specimen(("Au",), own)
    with pytest.raises(ValueError, match="squares"):
        simulate.Specimen(("Au", "Ag"), np.ones((2, 4, 5)))
    with pytest.raises(ValueError, match="negative"):
        simulate.Specimen(("Au", "Ag"), -own)
    with pytest.raises(ValueError, match="NaN"):
        simulate.Specimen(("Au", "Ag"), own * np.nan)


def test_the_graded_disc_gets_richer_in_gold_towards_its_rim():
    disc = simulate.graded_disc(64)
    gold, silver = disc.density.astype(float)
    volume = gold / 19.3 + silver / 10.5
    inside = volume > 0
    np.testing.assert_allclose(volume[inside], 1, rtol=1e-6)
    assert inside.sum() == pytest.approx(np.pi * (0.35 * 64) ** 2, rel=0.02)
    profile = (gold / 19.3)[32, 32:][inside[32, 32:]]
    assert (np.diff(profile) > 0).all()
    assert profile[0] == pytest.approx(0.1, abs=0.01) and profile[-1] == pytest.approx(0.8, abs=0.1)


@pytest.mark.parametrize("size", [40, 63])
def test_the_embedded_octahedron_has_the_volume_of_its_geometry(size):
    made = simulate.embedded_octahedron(size)
    cell = made.voxel_size**3
    gold = made.density[0].sum(dtype=np.float64) / simulate.DENSITY["Au"] * cell
    assert gold == pytest.approx(4 / 3 * 42.0**3, rel=0.005)
    both = gold + made.density[1].sum(dtype=np.float64) / simulate.DENSITY["Ag"] * cell
    # about 110 nm, as a ball of the same volume
    assert (6 / np.pi * both) ** (1 / 3) == pytest.approx(110, abs=3)
    # no voxel holds more than it can
    share = made.density[0] / simulate.DENSITY["Au"] + made.density[1] / simulate.DENSITY["Ag"]
    assert share.max() <= 1 + 1e-5
    assert ((share > 0.01) & (share < 0.99)).sum() > size**2


def test_the_alloy_is_richer_in_gold_outside():
    made = simulate.alloy_particle(48)
    au, ag = (d / simulate.DENSITY[e] for d, e in zip(made.density, made.elements, strict=True))
    at = (np.arange(48) - 23.5) * made.voxel_size
    radius = np.sqrt(sum(np.meshgrid(at**2, at**2, at**2, indexing="ij")))
    whole = au + ag > 0.999
    fraction = au[whole] / (au + ag)[whole]
    order = np.argsort(radius[whole])
    assert (np.diff(fraction[order]) > -1e-5).all()
    assert fraction.min() == pytest.approx(0.15, abs=0.01) and fraction.max() > 0.55


@pytest.mark.parametrize("make", [simulate.embedded_octahedron, simulate.alloy_particle])
def test_particles_are_centered_and_stay_in_the_frame_when_tilted(make):
    made = make(50)
    total = made.density.sum(axis=0, dtype=np.float64)
    np.testing.assert_allclose(total, total[::-1, ::-1, ::-1], rtol=1e-6)
    at = (np.arange(50) - 24.5) * made.voxel_size
    filled = np.argwhere(total > 0)
    reach = np.linalg.norm(at[filled[:, 1:]], axis=1).max()
    assert reach < 25 * made.voxel_size
    with pytest.raises(ValueError, match="field is .* expected at least"):
        make(50, field=0.9 * 2 * reach)
