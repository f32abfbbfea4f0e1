"""The benchmarks' reference, fused multi-modal tomography restated, against dense matrices."""

from pathlib import Path

import numpy as np
import pytest

import hebt

ROOT = Path(__file__).resolve().parents[1]
SIZE, TILTS, NUMBERS = 12, 7, (79, 47)


@pytest.fixture
def restated(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import fused_multimodal

    return fused_multimodal


@pytest.fixture
def model(restated):
    """Two slices with parameters of their own, the second with a link that is not linear."""
    rng = np.random.default_rng(3)
    W = hebt.Projector(np.linspace(-70, 70, TILTS), SIZE)
    x = rng.random((2, 2, SIZE, SIZE), np.float32)
    counts = rng.poisson(3 * np.moveaxis(W.forward(x), 1, 0))
    haadf = W.forward(79 * x[0] + 47 * x[1])
    parameters = restated.Parameters(gamma=[1, 1.6], link=[1, 1.6], tv=[1e-3, 2e-3])
    return restated.Model(W, haadf, counts, NUMBERS, parameters)


def dense(model):
    return model.W.matrix().toarray().astype(np.float64)


def sinograms(images):
    """(tilts, slices, size) -> (slices, tilts * size)."""
    return images.swapaxes(0, 1).reshape(images.shape[1], -1).astype(np.float64)


def objective(model, u, weights):
    """The three terms of the model, written out with the whole matrix."""
    A, total = dense(model), 0.0
    bh, maps = sinograms(model.haadf), [sinograms(m) for m in model.maps]
    for s, (gamma, link) in enumerate([(1, 1), (1.6, 1.6)]):
        powers = np.array(NUMBERS, float) ** link
        flat = u[:, s].reshape(2, -1)
        mixture = (powers / powers.sum()) @ flat**gamma
        terms = [0.5 * ((A @ mixture - bh[s]) ** 2).sum(), 0.0, 0.0]
        for e in range(2):
            seen = A @ flat[e] / (SIZE / 2)
            terms[1] += (seen - (maps[e][s] + 0.1) * np.log(seen + 0.1)).sum()
            image = u[e, s]
            down = np.diff(image, axis=0, append=image[-1:])
            across = np.diff(image, axis=1, append=image[:, -1:])
            terms[2] += np.sqrt(down**2 + across**2).sum()
        total += np.dot(weights, terms)
    return total


def test_the_terms_are_those_of_the_model(model):
    u = np.random.default_rng(0).random((2, 2, SIZE, SIZE))
    found = model.terms(u.astype(np.float32))
    for place, weights in enumerate(np.eye(3)):
        assert found[place] == pytest.approx(objective(model, u, weights), rel=1e-4)
    assert model.maps.max(axis=(1, 2, 3)) == pytest.approx([1, 1])


@pytest.mark.parametrize(("term", "name"), [(0, "haadf_gradient"), (1, "chemistry_gradient")])
def test_gradients_are_those_of_the_terms(model, term, name):
    rng = np.random.default_rng(1)
    u = 0.2 + rng.random((2, 2, SIZE, SIZE))
    found = getattr(model, name)(u.astype(np.float32))
    weights = np.eye(3)[term]
    for _ in range(3):
        way = rng.normal(size=u.shape)
        step = 1e-5
        ahead, behind = (objective(model, u + sign * step * way, weights) for sign in (1, -1))
        assert np.vdot(found, way) == pytest.approx((ahead - behind) / (2 * step), rel=2e-3)


def test_a_step_along_haadf_is_the_gradient_in_the_metric_of_sirt(model):
    u = (0.2 + np.random.default_rng(2).random((2, 2, SIZE, SIZE))).astype(np.float32)
    A = dense(model)
    rows, columns = A.sum(axis=1), A.sum(axis=0)
    weights = np.divide(1, rows, out=np.zeros_like(rows), where=rows > 0)
    bh, mixture = sinograms(model.haadf), model.mixture(u).reshape(2, -1)
    found = model.haadf_step(u, iterations=1)
    for s, gamma in enumerate((1, 1.6)):
        ahead = np.maximum(0, mixture[s] + A.T @ (weights * (bh[s] - A @ mixture[s])) / columns)
        powers = np.array(NUMBERS, float) ** gamma
        for e in range(2):
            slope = powers[e] / powers.sum() * gamma * u[e, s].ravel() ** (gamma - 1)
            expected = slope * (ahead - mixture[s])
            np.testing.assert_allclose(
                found[e, s].ravel(), expected, atol=1e-3 * abs(expected).max()
            )


def test_total_variation_is_removed_as_by_another_program(restated):
    from skimage.restoration import denoise_tv_chambolle

    rng = np.random.default_rng(4)
    images = 2 + rng.random((1, 2, 16, 16), np.float32)
    strengths = np.array([0.05, 0.1], np.float32)
    found = restated.tv_denoised(images, strengths, 500)
    for image, strength, ours in zip(images[0], strengths, found[0]):
        theirs = denoise_tv_chambolle(image, weight=strength, eps=1e-12, max_num_iter=2000)
        np.testing.assert_allclose(ours, theirs, atol=2e-3)
    assert restated.tv_denoised(-images, strengths).max() == 0
    np.testing.assert_array_equal(restated.tv_denoised(images, np.zeros(2)), images)


def test_slices_of_a_grid_are_runs_of_their_own(restated):
    specimen = hebt.simulate.phantom(24)
    W = hebt.Projector(np.linspace(-75, 75, 9), 24)
    haadf = hebt.simulate.haadf_tilt_series(W, specimen.density, NUMBERS)
    counts = hebt.simulate.eds_tilt_series(W, specimen.density, [3, 2], seed=0)
    grid = restated.grid(gamma=[1, 1.6], tv=[1e-3, 1e-2])
    both = [np.repeat(data[..., None, :], 4, axis=-2) for data in (haadf, counts)]
    model = restated.Model(W, *both, NUMBERS, grid)
    u = model.begin(5)
    # one factor of HAADF for all of them, which a run alone would not share
    haadf = model.haadf
    u = model.advance(model.advance(u))
    for place in range(4):
        one = restated.picked(grid, place)
        alone = restated.Model(W, both[0][:, :1], both[1][:, :, :1], NUMBERS, one)
        v = alone.begin(5)
        alone.haadf = haadf[:, :1]
        v = alone.advance(alone.advance(v))
        np.testing.assert_allclose(v[:, 0], u[:, place], atol=1e-5 * u.max())


def test_the_objective_falls(restated):
    specimen = hebt.simulate.phantom(32)
    W = hebt.Projector(np.linspace(-75, 75, 15), 32)
    haadf = hebt.simulate.haadf_tilt_series(W, specimen.density, NUMBERS)[:, None]
    counts = hebt.simulate.eds_tilt_series(W, specimen.density, [9, 4], seed=0)[:, :, None]
    parameters = restated.Parameters(gamma=1, haadf=0.5, chemistry=0.05, tv=1e-3)
    model = restated.Model(W, haadf, counts, NUMBERS, parameters)
    u = model.begin(20)
    before = model.terms(u)
    for _ in range(20):
        u = model.advance(u)
    after = model.terms(u)
    assert after[0] < 0.2 * before[0] and u.min() >= 0
