"""SIRT and HEBT with momentum, against numpy on the stacked matrix, and their fixed point."""

import math

import numpy as np
import pytest
from scipy import ndimage, optimize

import hebt

SIZE, SLICES = 12, 3
ANGLES = np.arange(-70, 71, 20.0)
OTHER = np.arange(-75, 76, 15.0)
R = np.array([3.0, 0.7])
ALPHA = 0.6
BLUR = np.array([0.25, 0.5, 0.25])


def scene(angles=ANGLES, slices=SLICES):
    """Noisy data of random specimens: W, HAADF images, maps and ratios."""
    rng = np.random.default_rng(3)
    W, other = hebt.Projector(ANGLES, SIZE), hebt.Projector(angles, SIZE)
    x = 50 * rng.random((2, slices, SIZE, SIZE)) * (rng.random((slices, SIZE, SIZE)) > 0.5)
    maps = rng.poisson(np.moveaxis(W.forward(x), 1, 0) / R[:, None, None, None])
    haadf = other.forward(x.sum(axis=0))
    return W, haadf + rng.normal(0, 20, haadf.shape), maps, R


def inverse(sums):
    return np.divide(1, sums, out=np.zeros_like(sums), where=sums > 0)


def stacked(W, W_haadf, alpha, blur=None):
    """Matrix, weights of rows and of columns for one slice of HEBT: what SIRT works with."""
    A, H = W.matrix().toarray().astype(float), W_haadf.matrix().toarray().astype(float)
    if blur is not None:
        index = np.pad(np.arange(SIZE), 1, "symmetric")
        G = sum(b * np.eye(SIZE)[index[i : i + SIZE]] for i, b in enumerate(blur))
        A = np.kron(np.eye(len(W.angles)), G) @ A
    zero = np.zeros_like(A)
    matrix = np.block([[A, zero], [zero, A], [H, H]])
    rows = np.concatenate(
        [(1 - alpha) * inverse(A.sum(axis=1))] * 2 + [alpha / 2 * inverse(H.sum(1))]
    )
    own = W.matrix().toarray().astype(float).sum(axis=0)
    columns = (1 - alpha) * own + alpha * H.sum(axis=0)
    return matrix, rows, np.concatenate([columns, columns])


def data_of(haadf, maps, s):
    return np.concatenate(
        [R[0] * maps[0, :, s].ravel(), R[1] * maps[1, :, s].ravel(), haadf[:, s].ravel()]
    )


def pogm(gradient, columns, mask, iterations, x0):
    """POGM' of Kim and Fessler (2018), with its own w and z, in the metric of `columns`; all x.

    It restarts where the composite gradient points along the step.
    """
    x = z = w = x0
    t, length, seen = 1.0, 1.0, []
    for _ in range(iterations):
        after = (1 + math.sqrt(1 + 4 * t * t)) / 2
        new_w = x - gradient(x)
        new_z = new_w + (t - 1) / after * (new_w - w) + t / after * (new_w - x)
        new_z = new_z + (t - 1) / (length * after) * (z - x)
        w, z, length = new_w, new_z, (2 * t + after - 1) / after
        # minimizes length * (1 / mask - 1) x^2 + (x - z)^2 over x >= 0
        new = mask / (mask + length * (1 - mask)) * np.maximum(z, 0)
        composite = gradient(x) + (z - new) / length
        t = 1.0 if (columns * composite * (new - x)).sum() > 0 else after
        x = new
        seen.append(x)
    return np.array(seen)


def accelerated(system, b, mask, iterations, x0=None):
    """All x of the stacked system."""
    A, rows, columns = system
    gradient = lambda x: inverse(columns) * (A.T @ (rows * (A @ x - b)))  # noqa: E731
    x0 = np.zeros(A.shape[1]) if x0 is None else x0
    return pogm(gradient, columns, mask, iterations, x0)


def objective(system, b, mask, x):
    """What SIRT minimizes; a mask between 0 and 1 acts as a penalty."""
    A, rows, columns = system
    penalty = np.where(mask > 0, (1 - mask) * inverse(np.maximum(mask, 1e-30)), 0)
    return (rows * (b - A @ x) ** 2).sum() / 2 + (columns * penalty * x**2).sum() / 2


def minimum(system, b, mask):
    """The minimum over x >= 0, 0 where the mask is, by scipy."""
    A, rows, columns = system
    seen = (mask > 0) & (columns > 0)
    penalty = np.sqrt(columns[seen] * (1 - mask[seen]) / mask[seen])
    matrix = np.concatenate([np.sqrt(rows)[:, None] * A[:, seen], np.diag(penalty)])
    x = np.zeros(A.shape[1])
    x[seen] = optimize.nnls(matrix, np.concatenate([np.sqrt(rows) * b, 0 * penalty]))[0]
    return x


def close(x, y, tolerance):
    assert np.abs(np.asarray(x) - y).max() <= tolerance * np.abs(y).max()


MASK = np.random.default_rng(9).choice([0, 0.5, 1], (SIZE, SIZE), p=[0.3, 0.2, 0.5])


@pytest.mark.parametrize("angles", [ANGLES, OTHER], ids=["one series", "two"])
@pytest.mark.parametrize("mask", [None, MASK], ids=["no mask", "mask"])
@pytest.mark.parametrize("blur", [None, BLUR], ids=["sharp", "smoothed"])
def test_hebt_equals_its_formulas_in_numpy(angles, mask, blur):
    W, haadf, maps, ratios = scene(angles)
    other = hebt.Projector(angles, SIZE)
    x0 = 50 * np.random.default_rng(1).random((2, SLICES, SIZE, SIZE))
    seen = hebt.Snapshots(range(1, 101))
    hebt.reconstruct(
        W,
        haadf,
        maps,
        ratios,
        ALPHA,
        100,
        mask,
        x0,
        seen,
        accelerate=True,
        haadf_projector=None if angles is ANGLES else other,
        blur=None if blur is None else ([1], blur),
    )
    system = stacked(W, other, ALPHA, blur)
    full = np.tile(np.ones(SIZE**2) if mask is None else mask.ravel(), 2)
    for s in range(SLICES):
        expected = accelerated(system, data_of(haadf, maps, s), full, 100, x0[:, s].ravel())
        for n in (1, 2, 5, 30, 100):
            close(seen.values[n - 1][:, s].ravel(), expected[n - 1], 2e-4)


@pytest.mark.parametrize("mask", [None, MASK], ids=["no mask", "mask"])
def test_the_fixed_point_is_that_of_sirt(mask):
    W, haadf, maps, ratios = scene(slices=1)
    system, b = stacked(W, W, ALPHA), data_of(haadf, maps, 0)
    full = np.tile(np.ones(SIZE**2) if mask is None else mask.ravel(), 2)
    least = minimum(system, b, full)
    value = lambda x: objective(system, b, full, x.ravel())  # noqa: E731
    fast = hebt.reconstruct(W, haadf, maps, ratios, ALPHA, 3000, mask, accelerate=True)
    assert value(fast) <= value(least) * (1 + 1e-4)
    start = least.reshape(fast.shape)
    for accelerate in (False, True):
        stays = hebt.reconstruct(
            W, haadf, maps, ratios, ALPHA, 5, mask, start, accelerate=accelerate
        )
        close(stays, start, 1e-4)
        # and what the accelerated run found stays too
        stays = hebt.reconstruct(W, haadf, maps, ratios, ALPHA, 5, mask, fast)
        close(stays, fast, 1e-3)


@pytest.mark.parametrize("alpha", [0.0, 0.7])
def test_49_accelerated_iterations_reach_what_500_plain_ones_do(alpha):
    specimen = hebt.simulate.phantom(48)
    W = hebt.Projector(np.arange(-75, 76, 10), 48)
    haadf = hebt.simulate.haadf_tilt_series(W, specimen.density, [79, 47])
    maps = hebt.simulate.eds_tilt_series(W, specimen.density, [9, 4], seed=1)
    ratios = hebt.response_ratios(haadf, maps).ratios
    rows = inverse(W.row_sums.astype(float))

    def value(x):
        wx = np.moveaxis(W.forward(x), 1, 0)
        eds = (rows * (ratios[:, None, None] * maps - wx) ** 2).sum()
        return (1 - alpha) * eds + alpha / 2 * (rows * (haadf - wx.sum(axis=0)) ** 2).sum()

    plain = hebt.reconstruct(W, haadf, maps, ratios, alpha, 500)
    fast = hebt.reconstruct(W, haadf, maps, ratios, alpha, 49, accelerate=True)
    assert value(fast) <= value(plain)


def test_sirt_equals_hebt_of_eds_alone_and_slices_go_their_own_way():
    W, haadf, maps, ratios = scene()
    x = hebt.sirt(W, haadf, 30, accelerate=True)
    A = W.matrix().toarray().astype(float)
    system = A, inverse(A.sum(axis=1)), A.sum(axis=0)
    for s in range(SLICES):
        close(x[s].ravel(), accelerated(system, haadf[:, s].ravel(), 1.0, 30)[-1], 2e-4)
        close(hebt.sirt(W, haadf[:, s], 30, accelerate=True), x[s], 1e-5)


@pytest.mark.parametrize("slices", [100, 300])
def test_blocks_of_columns_change_nothing(slices):
    W, haadf, maps, ratios = scene(slices=slices)
    x = hebt.reconstruct(W, haadf, maps, ratios, ALPHA, 12, accelerate=True)
    some = [0, 99, slices - 1]
    y = hebt.reconstruct(W, haadf[:, some], maps[:, :, some], ratios, ALPHA, 12, accelerate=True)
    close(x[:, some], y, 1e-4)


def test_residuals_are_those_of_x():
    W, haadf, maps, ratios = scene()
    seen, history = [], hebt.History()
    hebt.reconstruct(
        W,
        haadf,
        maps,
        ratios,
        ALPHA,
        10,
        None,
        None,
        lambda n, x, residuals: seen.append((x.copy(), residuals)),
        accelerate=True,
        history=history,
    )
    before = np.zeros_like(seen[0][0])
    for n, (x, residuals) in enumerate(seen):
        p = np.moveaxis(W.forward(x), 1, 0)
        eds = [np.linalg.norm(r * m - q) for r, m, q in zip(R, maps, p)]
        np.testing.assert_allclose(residuals.eds, eds, rtol=1e-4)
        assert residuals.haadf == pytest.approx(np.linalg.norm(haadf - p.sum(axis=0)), rel=1e-4)
        change = np.linalg.norm(x - before) / np.linalg.norm(x)
        assert residuals.change == pytest.approx(change, rel=1e-3)
        assert history.haadf[n + 1] == residuals.haadf
        before = x


def test_maps_smoothed_along_the_slices_share_their_momentum():
    """The slices are one problem there, which has one momentum and the same fixed point."""
    W, haadf, maps, ratios = scene()
    rows, columns = (inverse(sums.astype(float)) for sums in (W.row_sums, W.column_sums))
    options = dict(alpha=0.0, blur=(BLUR, [1.0]), accelerate=True)
    run = lambda n, **more: hebt.reconstruct(  # noqa: E731
        W, haadf, maps, ratios, iterations=n, **options | more
    )
    p = ratios[:, None, None, None] * maps
    smooth = lambda p: ndimage.convolve1d(p, BLUR, axis=-2, mode="reflect")  # noqa: E731

    def gradient(x):
        away = smooth(smooth(np.moveaxis(W.forward(x), 1, 0)) - p) * rows[:, None]
        return columns * W.backward(np.moveaxis(away, 0, 1))

    x = pogm(gradient, 1 / columns, 1.0, 30, np.zeros((2, SLICES, SIZE, SIZE)))[-1]
    # the elements of a volume have one momentum too
    close(run(30), x, 1e-3)
    x = run(3000)
    close(run(20, x0=x, accelerate=False), x, 1e-4)


def test_other_methods_and_values_are_refused():
    W, haadf, maps, ratios = scene()
    with pytest.raises(ValueError, match="hebt.Fused has steps of its own"):
        hebt.reconstruct(W, haadf, maps, ratios, method=hebt.Fused(), accelerate=True)
    with pytest.raises(TypeError, match="accelerate is 2"):
        hebt.sirt(W, haadf, accelerate=2)


def test_blocks_and_a_store(tmp_path):
    da = pytest.importorskip("dask.array")
    W, haadf, maps, ratios = scene(slices=150)
    expected = hebt.reconstruct(W, haadf, maps, ratios, ALPHA, 7, accelerate=True)
    options = dict(alpha=ALPHA, iterations=7, accelerate=True)
    lazy = hebt.reconstruct(W, da.from_array(haadf), maps, ratios, **options)
    close(lazy.compute(), expected, 1e-4)
    close(hebt.reconstruct(W, haadf, maps, ratios, out=tmp_path / "x", **options), expected, 1e-4)
    options["accelerate"] = False
    with pytest.raises(ValueError, match="another run|other"):
        hebt.reconstruct(W, haadf, maps, ratios, out=tmp_path / "x", **options)
