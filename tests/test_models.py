"""Section 2.3 taken literally."""

import numpy as np
import pytest

import hebt
from companion import models
from hebt import simulate


def scene():
    specimen = simulate.phantom(24)
    W = hebt.Projector(np.arange(-70, 71, 14), 24)
    maps = np.moveaxis(W.forward(specimen.density), 1, 0) + 0.1
    return W, specimen, maps.sum(axis=0), maps


def test_the_stacked_system_is_that_of_equation_11():
    W, specimen, haadf, maps = scene()
    ratios, alpha = np.array([2.0, 3.0]), 0.6
    matrix, data = models.stacked_system(W, haadf, maps, ratios, alpha)
    rows = len(W.angles) * W.size
    assert matrix.shape == (3 * rows, 2 * W.size**2) and data.shape == (3 * rows,)
    x = np.random.default_rng(0).random((2, W.size, W.size))
    projected = W.forward(x)
    blocks = (matrix @ x.ravel()).reshape(3, len(W.angles), W.size)
    np.testing.assert_allclose(blocks[0], (1 - alpha) * projected[:, 0], rtol=1e-5)
    np.testing.assert_allclose(blocks[1], (1 - alpha) * projected[:, 1], rtol=1e-5)
    np.testing.assert_allclose(blocks[2], alpha * projected.sum(axis=1), rtol=1e-5)
    parts = data.reshape(3, len(W.angles), W.size)
    np.testing.assert_allclose(parts[1], (1 - alpha) * 3 * maps[1], rtol=1e-5)
    np.testing.assert_allclose(parts[2], alpha * haadf, rtol=1e-5)


def test_sirt_on_it_gives_the_same_as_reconstruct():
    W, _, haadf, maps = scene()
    matrix, data = models.stacked_system(W, haadf, maps, [1, 1], 0.7)
    literal = models.sirt_on_matrix(matrix, data, 40)
    x = hebt.reconstruct(W, haadf, maps, [1, 1], alpha=0.7, iterations=40)
    assert np.linalg.norm(x.ravel() - literal) <= 1e-4 * np.linalg.norm(literal)


@pytest.mark.parametrize("elements", [1, 2, 4])
def test_both_weights_balance_the_modalities_alike(elements):
    alpha = np.linspace(0.05, 0.95, 7)
    a = models.weight_in_equation_9(alpha, elements)
    np.testing.assert_allclose(a**2 / (1 - a) ** 2, alpha / elements / (1 - alpha))


def test_the_weight_of_the_paper_in_equation_9():
    assert models.weight_in_equation_9(0.7) == pytest.approx(0.519, abs=5e-4)
    assert models.weight_in_equation_9(0.916) == pytest.approx(0.7, abs=5e-4)


def test_the_chemistry_lags_behind_by_the_factor_one_minus_alpha():
    W, specimen, _, _ = scene()
    slow, fast = models.sum_and_difference(W, specimen.density, [0.8, 0.2], 120)
    np.testing.assert_allclose(slow[0, :10], fast[0, :10], rtol=0.05)
    # 0.2 * 120 iterations against 0.8 * 30
    assert slow[1, 119] == pytest.approx(fast[1, 29], rel=0.15)
    assert slow[1, 29] > 1.2 * fast[1, 29]


def test_bad_input_is_refused_by_name():
    W, specimen, haadf, maps = scene()
    with pytest.raises(ValueError, match="expected one slice"):
        models.stacked_system(W, haadf[:, None], maps[:, :, None], [1, 1])
    with pytest.raises(ValueError, match="alpha is .*above 0 and below 1"):
        models.weight_in_equation_9([0.5, 1.0])
    with pytest.raises(ValueError, match=r"x has shape .*expected \(2, size, size\)"):
        models.sum_and_difference(W, specimen.density[:1], [0.5], 3)
