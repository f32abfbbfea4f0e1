"""Fusion by variance against numpy on the explicit matrix, and the properties that it must have."""

import math

import numpy as np
import pytest
from scipy import ndimage

import hebt
from hebt._fused import share_out
from hebt._problem import Problem

SIZE = 20
ANGLES = np.arange(-70, 71, 20.0)
R = np.array([3.0, 0.7, 1.9])


def scene(elements=2, slices=3, dose=30, seed=0, angles=ANGLES):
    """Overlapping blocks of several elements: W, HAADF images, counts and ratios."""
    W = hebt.Projector(angles, SIZE)
    x = np.zeros((elements, slices, SIZE, SIZE))
    for e in range(elements):
        for s in range(slices):
            x[e, s, 4 + 2 * e + s : 13 + e, 5:15] = 1 + e
    p = np.moveaxis(W.forward(x), 1, 0)
    ratios = R[:elements]
    counts = np.random.default_rng(seed).poisson(dose * p / ratios[:, None, None, None])
    return W, dose * p.sum(axis=0), counts, ratios


def close(x, y, tolerance=1e-5):
    assert np.abs(np.asarray(x) - y).max() <= tolerance * np.abs(y).max()


# The method written in numpy, in double precision, as its formulas stand.


def local_mean(variance):
    sigma = (0, 0.7, *[0] * (variance.ndim - 3), 3 * SIZE / 128)
    return ndimage.gaussian_filter(np.asarray(variance, float), sigma)


def fused_projections(haadf, maps, ratios, variance, v_h):
    """q_e, as the minimum of the weighted squares, solved pixel by pixel."""
    k = len(maps)
    r = np.asarray(ratios, float).reshape(k, 1, -1, 1)
    p, v = r * maps, r**2 * local_mean(variance)
    q = p.copy()
    for at in np.ndindex(haadf.shape):
        own, misfit = v[:, *at], haadf[at] - p[:, *at].sum()
        if v_h > 0:
            seen = own > 0
            if seen.any():
                A = np.diag(1 / own[seen]) + 1 / v_h
                q[:, *at][seen] = np.linalg.solve(A, p[:, *at][seen] / own[seen] + haadf[at] / v_h)
        elif own.sum() > 0:
            q[:, *at] += own / own.sum() * misfit
        else:
            q[:, *at] += misfit / k
    return q


def keep_sum(u):
    """Project each column of u onto {v >= 0, sum v = max(sum u, 0)}, by sorting."""
    out = np.zeros_like(u)
    for m, own in enumerate(u.T):
        total = own.sum()
        if total > 0:
            down = np.sort(own)[::-1]
            shifts = (np.cumsum(down) - total) / np.arange(1, len(own) + 1)
            out[:, m] = np.maximum(own - shifts[np.flatnonzero(down > shifts)[-1]], 0)
    return out


def clip(u):
    return np.maximum(u, 0)


def pogm(W, q, project, iterations, mask=1.0, x0=None):
    """Accelerated SIRT of one slice, (elements, pixels), from q, (elements, rays)."""
    rows, columns = W.sum(axis=1), W.sum(axis=0)
    inverse = lambda sums: np.divide(1, sums, out=np.zeros_like(sums), where=sums > 0)  # noqa: E731
    x = np.zeros((len(q), W.shape[1])) if x0 is None else x0
    w = z = x
    t = length = 1.0
    for _ in range(iterations):
        after, old_w = (1 + math.sqrt(1 + 4 * t * t)) / 2, w
        w = x + inverse(columns) * (((q - x @ W.T) * inverse(rows)) @ W)
        z = (t - 1) / (length * after) * (z - x) + (t - 1) / after * (w - old_w) + w
        z, length = z + t / after * (w - x), (2 * t + after - 1) / after
        new = mask * project(z)
        composite = x - w + (z - new) / length
        t = 1.0 if (columns * composite * (new - x)).sum() > 0 else after
        x = new
    return x


def dense(W):
    return W.matrix().toarray().astype(float)


@pytest.mark.parametrize("elements", [1, 2, 3])
@pytest.mark.parametrize("noise", [0.0, 25.0])
@pytest.mark.parametrize("masked", [False, True])
def test_it_equals_its_formulas_in_numpy(elements, noise, masked):
    W, haadf, maps, ratios = scene(elements)
    q = fused_projections(haadf, maps, ratios, maps, noise**2)
    rng = np.random.default_rng(1)
    mask = rng.random((3, SIZE, SIZE)) > 0.2 if masked else np.ones((3, SIZE, SIZE))
    x0 = 20 * rng.random((elements, 3, SIZE, SIZE)) if masked else None
    method = hebt.Fused(haadf_noise=noise)
    x = hebt.reconstruct(
        W, haadf, maps, ratios, method=method, mask=mask if masked else None, x0=x0
    )
    A = dense(W)
    for s in range(3):
        own = q[:, :, s].reshape(elements, -1)
        start = None if x0 is None else x0[:, s].reshape(elements, -1)
        project = clip if noise else keep_sum
        expected = pogm(A, own, project, hebt.Fused.iterations, mask[s].ravel(), start)
        close(x[:, s].reshape(elements, -1), expected, 1e-4)


@pytest.mark.parametrize("noise", [0.0, 25.0])
def test_the_shares_are_the_most_likely_ones(noise):
    W, haadf, maps, ratios = scene(3)
    offset, own = share_out(Problem.checked(W, haadf, maps, ratios, 0.0), None, noise)
    q = ratios[:, None, None, None] * maps + offset
    close(q, fused_projections(haadf, maps, ratios, maps, noise**2))
    assert own == noise**2
    if noise == 0:
        close(q.sum(axis=0), haadf)


def fused(W, haadf, maps, ratios, variance=None, iterations=20, haadf_noise=0.0, **options):
    method = hebt.Fused(variance, haadf_noise)
    return hebt.reconstruct(W, haadf, maps, ratios, iterations=iterations, method=method, **options)


def test_the_sum_is_what_haadf_alone_gives():
    """While nothing restarts, the elements' sum is accelerated SIRT on HAADF."""
    W, haadf, maps, ratios = scene(3)
    alone = hebt.sirt(W, haadf, 6, accelerate=True)
    close(fused(W, haadf, maps, ratios, iterations=6).sum(axis=0), alone, 1e-4)


@pytest.mark.parametrize("elements", [2, 3])
def test_it_comes_to_rest(elements):
    """Keeping the sum is no proximal operator; steps of any length have the same fixed points."""
    W, haadf, maps, ratios = scene(elements)
    x = fused(W, haadf, maps, ratios, iterations=3000)
    close(fused(W, haadf, maps, ratios, iterations=5, x0=x), x, 1e-3)


def test_one_element_is_haadf_alone():
    W, haadf, maps, ratios = scene(1)
    close(fused(W, haadf, maps, ratios)[0], hebt.sirt(W, haadf, 20, accelerate=True), 1e-5)


def test_elements_and_slices_in_any_order_give_the_same():
    W, haadf, maps, ratios = scene(3)
    x = fused(W, haadf, maps, ratios)
    close(fused(W, haadf, maps[[2, 0, 1]], ratios[[2, 0, 1]]), x[[2, 0, 1]])
    close(fused(W, haadf[:, ::-1], maps[:, :, ::-1], ratios), x[:, ::-1])
    close(fused(W, haadf[:, 1], maps[:, :, 1], ratios), x[:, 1])
    close(fused(W, haadf, maps, np.repeat(ratios[:, None], 3, axis=1)), x)


def test_units_do_not_matter():
    W, haadf, maps, ratios = scene()
    for noise in (0.0, 25.0):
        x = fused(W, haadf, maps, ratios, haadf_noise=noise)
        again = fused(W, 7 * haadf, maps, 7 * ratios, haadf_noise=7 * noise)
        close(again, 7 * x)
        again = fused(W, haadf, 4 * maps, ratios / 4, 16 * maps, haadf_noise=noise)
        close(again, x)


def test_two_projectors_are_one_where_their_tilts_are():
    W, haadf, maps, ratios = scene()
    x = fused(W, haadf, maps, ratios)
    same = hebt.Projector(ANGLES, SIZE)
    close(fused(W, haadf, maps, ratios, haadf_projector=same), x)
    more = hebt.Projector(np.arange(-75, 76, 5.0), SIZE)
    images = more.forward(x.sum(axis=0))
    again = fused(W, images, maps, ratios, haadf_projector=more, iterations=60)
    away = np.linalg.norm(again.sum(axis=0) - x.sum(axis=0)) / np.linalg.norm(x.sum(axis=0))
    assert away < 0.1


@pytest.mark.parametrize("slices", [90, 300])
def test_blocks_of_slices_change_nothing(slices, tmp_path):
    da = pytest.importorskip("dask.array")
    W, haadf, maps, ratios = scene(slices=3)
    haadf, maps = (np.repeat(a, slices // 3, axis=-2) for a in (haadf, maps))
    rng = np.random.default_rng(2)
    maps = rng.poisson(maps)
    x = fused(W, haadf, maps, ratios, haadf_noise=None)
    # counted twice, they vary more than counts do: the rest is HAADF's
    v_h = share_out(Problem.checked(W, haadf, maps, ratios, 0.0), None, None)[1]
    assert v_h > 0
    own = dict(haadf_noise=np.sqrt(v_h))
    some = [0, slices // 2, slices - 1]
    close(fused(W, haadf[:, some], maps[:, :, some], ratios, **own), x[:, some], 1e-4)
    close(fused(W, haadf, maps, ratios, haadf_noise=None, out=tmp_path / "x"), x, 1e-4)
    variance = da.from_array(maps.astype(float), chunks=(-1, -1, 40, -1))
    close(fused(W, da.from_array(haadf), maps, ratios, variance, **own), x, 1e-4)


def test_noise_of_haadf_is_found_where_there_is_some():
    W, haadf, maps, ratios = scene(slices=20)
    found = lambda haadf: share_out(  # noqa: E731
        Problem.checked(W, haadf, maps, ratios, 0.0), None, None
    )[1]
    assert found(haadf) == 0
    noise = 3 * np.sqrt(ratios.sum() * haadf.mean())
    noisy = haadf + np.random.default_rng(4).normal(0, noise, haadf.shape)
    assert found(noisy) == pytest.approx(noise**2, rel=0.1)


def test_slices_and_places_without_counts():
    W, haadf, maps, ratios = scene(3)
    haadf[:, 1], maps[:, :, 1] = 0, 0
    x = fused(W, haadf, maps, ratios)
    assert not x[:, 1].any() and np.isfinite(x).all()
    # HAADF where nothing was counted goes to all elements alike
    maps[:, :, 2] = 0
    offset, _ = share_out(Problem.checked(W, haadf, maps, ratios, 0.0), None, 0.0)
    close(offset[:, :, 2], np.stack([haadf[:, 2] / 3] * 3))


def test_smoothed_maps_need_their_variance():
    W, haadf, maps, ratios = scene()
    smoothed = hebt.prepare.smooth(maps, width=3, sigma=1)
    with pytest.raises(ValueError, match="Give them, or the variance of each value as hebt.Fused"):
        fused(W, haadf, smoothed, ratios)
    assert fused(W, haadf, smoothed, ratios, np.full((2, 1, 1, 1), 3.0)).any()


def test_what_does_not_fit_is_refused(tmp_path):
    da = pytest.importorskip("dask.array")
    data = W, haadf, maps, ratios = scene()
    with pytest.raises(ValueError, match="alpha is 0.7, but hebt.Fused weighs nothing"):
        fused(*data, alpha=0.7)
    with pytest.raises(ValueError, match="hebt.Fused takes smoothed maps as they are"):
        fused(*data, blur=[0.25, 0.5, 0.25])
    with pytest.raises(ValueError, match="each block of slices would show another noise"):
        fused(W, da.from_array(haadf), maps, ratios, haadf_noise=None)
    other = hebt.Projector(np.arange(-60, 61, 20.0), SIZE)
    images = haadf[: len(other.angles)]
    options = dict(haadf_projector=other, out=tmp_path / "x", haadf_noise=None)
    with pytest.raises(ValueError, match="has other tilts"):
        fused(W, images, maps, ratios, **options)


def test_residuals_are_those_of_the_maps_and_of_haadf():
    W, haadf, maps, ratios = scene()
    history, seen = hebt.History(), hebt.Snapshots([1, 4, 9])
    fused(W, haadf, maps, ratios, history=history, callback=seen, iterations=9)
    for n, x in zip((1, 4, 9), seen.values):
        p = np.moveaxis(W.forward(x), 1, 0)
        eds = [np.linalg.norm(r * m - q) for r, m, q in zip(ratios, maps, p)]
        np.testing.assert_allclose(history.eds[n], eds, rtol=1e-4)
        away = np.linalg.norm(haadf - p.sum(axis=0))
        assert history.haadf[n] == pytest.approx(away, rel=1e-3)


def test_an_interrupted_run_keeps_what_it_reached():
    data = scene()

    def callback(iteration, x, residuals):
        if iteration == 3:
            raise KeyboardInterrupt

    with pytest.raises(hebt.Interrupted) as caught:
        fused(*data, callback=callback)
    close(caught.value.x, fused(*data, iterations=3))
