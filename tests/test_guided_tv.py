"""Guided total variation against numpy and scipy on the explicit matrix, and its properties."""

import numpy as np
import pytest
from scipy import optimize, sparse

import hebt
from companion import phantom
from hebt._counts import shifted_counts
from hebt._engine import tv_kernels
from hebt._engine.arrays import empty
from hebt._engine.kernels import TILE
from hebt._guide import haadf_reconstruction
from hebt._guided_tv import _LEAST_NOISE, _SMOOTH, _state
from hebt._problem import Problem, Run

ANGLES = np.arange(-70, 71, 20.0)
SIZE = 12
R = np.array([3.0, 0.7, 1.9])
RNG = np.random.default_rng(3)


def scene(elements=2, slices=2, dose=30, seed=0, angles=ANGLES, size=SIZE):
    """Overlapping blocks of several elements: a problem with Poisson counts."""
    W = hebt.Projector(angles, size)
    x = np.zeros((elements, slices, size, size))
    for e in range(elements):
        for s in range(slices):
            x[e, s, 2 + e + s : 8 + e, 3 : size - 3] = 1 + e
    p = np.moveaxis(W.forward(x), 1, 0)
    ratios = R[:elements]
    counts = np.random.default_rng(seed).poisson(dose * p / ratios[:, None, None, None])
    return Problem.checked(W, dose * p.sum(axis=0), counts, ratios, 0.0)


def changed(problem, **changes):
    values = {"W": problem.W, "haadf": problem.haadf, "maps": problem.maps}
    values |= {"ratios": problem.ratios, "alpha": 0.0} | changes
    return Problem.checked(**values)


def solve(problem, iterations=20, strength=20.0, x0=None, **options):
    """Return x; `options` of the method are those that it has."""
    own = {
        k: options.pop(k) for k in ("variance", "haadf_noise", "guidance", "along") if k in options
    }
    method = hebt.GuidedTV(strength, **{"haadf_noise": 15.0} | own)
    data = problem.W, problem.haadf, problem.maps, problem.ratios
    options |= {"haadf_projector": problem.haadf_projector, "mask": problem.mask}
    return hebt.reconstruct(*data, iterations=iterations, method=method, x0=x0, **options)


def close(x, y, tolerance=2e-5):
    assert np.abs(np.asarray(x) - y).max() <= tolerance * np.abs(y).max()


# The objective written in numpy, in double precision, as its formulas stand.


def difference(length):
    """Forward differences as a matrix, the last one 0."""
    return sparse.csr_array(np.diff(np.eye(length), axis=0, append=np.eye(length)[-1:]))


def gradient(depth, size):
    """The gradient of a volume (depth, size, size) as a matrix, (3 * voxels, voxels)."""
    eye, own = sparse.eye_array, difference(size)
    parts = (
        sparse.kron(sparse.kron(eye(depth), own), eye(size)),
        sparse.kron(sparse.kron(eye(depth), eye(size)), own),
        sparse.kron(sparse.kron(difference(depth), eye(size)), eye(size)),
    )
    return sparse.vstack(parts).tocsr()


class Dense:
    """The objective of a volume of neighbors, or of one slice, for u (elements, voxels)."""

    def __init__(self, problem, strength, noise=15.0, guidance=0.95, variance=None):
        W = problem.W.matrix().astype(float)
        seen = (problem.haadf_projector or problem.W).matrix().astype(float)
        self.elements, self.depth = problem.maps.shape[0], problem.maps.shape[2]
        size = problem.W.size
        S = haadf_reconstruction(problem, noise).astype(float)
        typical = (S**2).sum() / S.sum()
        self.level = S[typical < 10 * S].mean()
        self.W = sparse.kron(sparse.eye_array(self.depth), W).tocsr()
        self.seen = sparse.kron(sparse.eye_array(self.depth), seen).tocsr()
        n, b = shifted_counts(problem.maps, variance, self.depth > 1, problem.W.angles)
        b = np.zeros_like(n) if b is None else b
        order = (0, 2, 1, 3)
        self.n, self.b = (
            a.transpose(order).reshape(self.elements, -1).astype(float) for a in (n, b)
        )
        self.p = problem.haadf.swapaxes(0, 1).ravel() / self.level
        self.noise = max(noise, _LEAST_NOISE * problem.haadf.max()) / self.level
        self.c = self.level / problem.ratios.astype(float)
        self.strength = strength / size
        grad = gradient(self.depth, size)
        g = (grad @ S.ravel()).reshape(3, -1)
        xi = g / np.sqrt((g**2).sum(axis=0) + (_SMOOTH * self.level) ** 2)
        blocks = [
            [sparse.diags_array((i == j) - guidance * xi[i] * xi[j]) for j in range(3)]
            for i in range(3)
        ]
        self.guided = (sparse.block_array(blocks) @ grad).tocsr()

    def value(self, u):
        """Return the objective's value."""
        u = u.reshape(self.elements, -1)
        total = ((self.seen @ u.sum(axis=0) - self.p) ** 2).sum() / (2 * self.noise**2)
        for e, one in enumerate(u):
            expected = self.c[e] * (self.W @ one) + self.b[e]
            n, there = self.n[e], self.n[e] > 0
            # as its limit for rays that see nothing, which are the same for all u
            seen = there & (np.asarray(self.W.sum(axis=1)).ravel() > 0)
            total += (expected - n).sum()
            total += (n[seen] * np.log(n[seen] / np.maximum(expected[seen], 1e-300))).sum()
            edges = (self.guided @ one).reshape(3, -1)
            total += self.strength * np.sqrt((edges**2).sum(axis=0)).sum()
        return total

    def solve(self, iterations):
        """Return u and what is dual: primal-dual with one step for all, in double precision."""
        k = self.elements
        A = [
            *(c * sparse.kron(row[None], self.W) for c, row in zip(self.c, np.eye(k))),
            sparse.kron(np.ones((1, k)), self.seen),
            *(sparse.kron(row[None], self.guided) for row in np.eye(k)),
        ]
        A = [part.tocsr() for part in A]
        K = sparse.vstack(A).tocsr()
        rows, columns = np.abs(K).sum(axis=1), np.abs(K).sum(axis=0)
        sigma, tau = 1 / np.maximum(rows, 1e-12), 1 / columns
        ends = np.cumsum([0, *(part.shape[0] for part in A)])
        u, y = np.full(K.shape[1], 0.5), np.zeros(K.shape[0])
        # steps alike for the components of a voxel's gradient, whose norm is projected
        for e in range(k):
            own = slice(ends[k + 1 + e], ends[k + 2 + e])
            sigma[own] = np.tile(sigma[own].reshape(3, -1).min(axis=0), 3)
        ahead = u
        for _ in range(iterations):
            v = y + sigma * (K @ ahead)
            for e in range(k):
                own = slice(ends[e], ends[e + 1])
                s, w = sigma[own], v[own] + sigma[own] * self.b[e]
                y[own] = (1 + w - np.sqrt((w - 1) ** 2 + 4 * s * self.n[e])) / 2
            own = slice(ends[k], ends[k + 1])
            y[own] = (v[own] - sigma[own] * self.p) / (1 + sigma[own] * self.noise**2)
            for e in range(k):
                own = slice(ends[k + 1 + e], ends[k + 2 + e])
                w = v[own].reshape(3, -1)
                norm = np.sqrt((w**2).sum(axis=0))
                y[own] = (w / np.maximum(norm / max(self.strength, 1e-300), 1)).ravel()
                if self.strength == 0:
                    y[own] = 0
            new = np.maximum(u - tau * (K.T @ y), 0)
            ahead, u = 2 * new - u, new
        return u.reshape(k, -1)


# What the iteration is made of.


def columns(volumes):
    """(elements, slices, size, size) as the kernels have it."""
    flat = np.moveaxis(volumes.reshape(-1, volumes.shape[-1] ** 2), 0, 1)
    out = empty(*flat.shape)
    out[:, : flat.shape[1]] = flat
    return out


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("guidance", [0.0, 0.95])
def test_gradient_and_adjoint_equal_their_matrices(depth, guidance):
    """Two elements, two volumes of three slices each, or six slices; more than a tile, or block."""
    size, elements, volumes, axes = TILE + 3, 2, 6 // depth, 3 if depth > 1 else 2
    x = RNG.random((elements, volumes * depth, size, size)).astype(np.float32)
    S = RNG.random((volumes, depth, size, size)).astype(np.float32)
    smooth = np.full(volumes * depth, 0.05, np.float32)
    xi = empty(axes, size**2, volumes * depth)
    guide = columns(S.reshape(1, -1, size, size))[:, : volumes * depth]
    tv_kernels.directions(np.ascontiguousarray(guide), smooth, depth, size, xi, 0, size)
    scales = np.ones((elements, volumes * depth), np.float32)
    flat, y = columns(x), empty(axes, size**2, elements * volumes * depth)
    y[:] = 0
    how = np.float32(guidance), np.float32(1e9)
    tv_kernels.dual_gradient(flat, y, xi, scales, *how, depth, size, 0, size)
    back = np.zeros((size**2, y.shape[2]), np.float32)
    for first, last in ((0, 5), (5, elements * volumes * depth)):
        for row in range(0, size, TILE):
            for column in range(0, size, TILE):
                rows, cols = min(TILE, size - row), min(TILE, size - column)
                tile = np.zeros((TILE**2, last - first), np.float32)
                place = size, row, column, first, last
                tv_kernels.add_adjoint(tile, y, xi, how[0], volumes * depth, elements, *place)
                at = (row + np.arange(rows))[:, None] * size + column + np.arange(cols)
                back[at.ravel(), first:last] = tile[: rows * cols]
    grad = gradient(depth, size)
    for e in range(elements):
        for v in range(volumes):
            g = (grad @ S[v].ravel().astype(float)).reshape(3, -1)
            unit = g / np.sqrt((g**2).sum(axis=0) + 0.05**2)
            gx = (grad @ x[e, v * depth : (v + 1) * depth].ravel().astype(float)).reshape(3, -1)
            expected = gx - guidance * unit * (unit * gx).sum(axis=0)
            again = expected - guidance * unit * (unit * expected).sum(axis=0)
            own = slice((e * volumes + v) * depth, (e * volumes + v + 1) * depth)
            found = y[:, :, own].swapaxes(1, 2).reshape(axes, -1)
            # the matrix has the slices' axis last, also where there is none
            close(found, expected[:axes], 1e-5)
            adjoint = tv_kernels.GRADIENT * (grad.T @ again.ravel())
            close(back[:, own].T.ravel(), adjoint, 1e-5)


def test_steps_of_the_duals_are_proximal_points():
    """Against scipy's minimizer of F*(y) + (y - v)^2 / 2 sigma."""
    n = np.array([0, 0, 1, 5, 40, 3, 2], np.float32)
    b = np.array([0, 0.5, 0.001, 2, 0, 0, 30], np.float32)
    start = np.array([-3, 0.2, 0.9, -0.5, 0.3, -9, 0.5], np.float32)
    wx = np.array([4, 0, 2, -1, 30, 0.01, 5], np.float32)
    ratio, level, inverse_sum = np.float32(0.7), np.float32(2.5), np.float32(0.3)
    one = np.ones(len(n), np.float32)
    y, ahead = start.copy(), wx.copy()
    tv_kernels._rise(ahead, n, b, y, inverse_sum, ratio * one, level * one)
    scale = level / ratio
    sigma = inverse_sum / scale
    for i in range(len(n)):
        v = start[i] + sigma * wx[i] / ratio

        def conjugate(t, v=v, i=i):
            log = n[i] * np.log(1 - t) if n[i] > 0 else 0.0
            return -log - b[i] * t + (t - v) ** 2 / (2 * sigma)

        options = {"bounds": (-50, 1 - 1e-12), "method": "bounded", "options": {"xatol": 1e-12}}
        assert y[i] == pytest.approx(optimize.minimize_scalar(conjugate, **options).x, abs=1e-5)
    close(ahead, scale * y)
    images = [a.reshape(1, 1, -1).copy() for a in (wx, wx, n, start)]
    squares, noise = np.zeros(1), 0.4 * one
    rows = np.full((1, 1), inverse_sum)
    tv_kernels.dual_haadf(*images, rows, level * one, noise, squares, 0, 1)
    for i in range(len(n)):
        v = start[i] + inverse_sum * wx[i] / level

        def quadratic(t, v=v, i=i):
            own = 0.5 * (0.4 * t) ** 2 + n[i] / level * t
            return own + (t - v) ** 2 / (2 * inverse_sum)

        found = optimize.minimize_scalar(quadratic).x
        assert images[3][0, 0, i] == pytest.approx(found, abs=1e-5)
    assert squares[0] == pytest.approx(((n - wx) ** 2).sum(), rel=1e-5)


@pytest.mark.parametrize("axes", [2, 3])
def test_the_gradients_dual_is_projected_onto_the_ball(axes):
    size, radius = 4, np.float32(0.5)
    y = RNG.normal(size=(axes, size**2, 2)).astype(np.float32)
    x, xi = np.zeros((size**2, 2), np.float32), np.zeros((axes, size**2, 2), np.float32)
    given, one = y.copy(), np.ones((1, 2), np.float32)
    tv_kernels.dual_gradient(x, y, xi, one, np.float32(0), radius, axes - 1, size, 0, size)
    norms = np.linalg.norm(given, axis=0)
    assert (norms < radius).any() and (norms > radius).any()
    close(y, given * np.minimum(1, radius / norms))


@pytest.mark.parametrize("options", [{}, {"along": True}, {"tilts": np.arange(-75, 76, 15.0)}])
def test_the_steps_are_as_long_as_convergence_allows(options):
    """The norm of sigma^(1/2) K tau^(1/2), K the operator, is at most 1 (Pock and Chambolle)."""
    elements, slices = 2, 2 if options.get("along") else 1
    problem = scene(elements, slices)
    if "tilts" in options:
        more = scene(elements, slices, angles=options["tilts"])
        problem = changed(problem, haadf=more.haadf, haadf_projector=more.W)
    dense = Dense(problem, 20.0)
    method = hebt.GuidedTV(20.0, haadf_noise=15.0, along=slices > 1)
    state = _state(problem, Run(1), method)
    axes = 3 if slices > 1 else 2
    # one step from nothing, of a back projection of -1 everywhere
    x, ahead = np.zeros((SIZE**2, elements * slices), np.float32), np.zeros_like(state.x)
    tile = np.full((TILE**2, elements * slices), -1, np.float32)
    own = state.seen, state.seen_haadf, state.scales, state.level, state.mask, axes
    place = SIZE, 0, 0, 0, elements * slices
    tv_kernels.step(tile, x, ahead, *own, *place, np.zeros(2))
    tau = (x / np.tile(state.level, elements)).T.ravel()
    counts = [np.tile(state.inverse_rows.ravel(), slices) / c for c in dense.c]
    haadf = np.tile(state.haadf_inverse_rows.ravel(), slices)
    gradients = np.full(elements * 3 * slices * SIZE**2, 1 / (2 * tv_kernels.GRADIENT))
    sigma = np.concatenate([*counts, haadf, gradients])
    unit = np.eye(elements)
    K = [sparse.kron(c * row[None], dense.W) for c, row in zip(dense.c, unit, strict=True)]
    K += [sparse.kron(np.ones((1, elements)), dense.seen)]
    K += [sparse.kron(tv_kernels.GRADIENT * row[None], dense.guided) for row in unit]
    scaled = sparse.diags_array(np.sqrt(sigma)) @ sparse.vstack(K) @ sparse.diags_array(tau**0.5)
    norm = sparse.linalg.svds(scaled, 1, return_singular_vectors=False)[0]
    assert 0.9 < norm <= 1 + 1e-5


# The whole method.


@pytest.mark.parametrize(
    ("elements", "slices", "options"),
    [
        (2, 1, {}),
        (2, 3, {"along": True}),
        (1, 1, {"guidance": 0.0}),
        (3, 2, {"along": True, "guidance": 0.5}),
        (2, 1, {"variance": True}),
        (2, 1, {"tilts": np.arange(-75, 76, 15.0)}),
    ],
)
def test_it_reaches_the_minimum_of_its_objective(elements, slices, options):
    problem = scene(elements, slices)
    if "tilts" in options:
        more = scene(elements, slices, angles=options["tilts"])
        problem = changed(problem, haadf=more.haadf, haadf_projector=more.W)
    own = {k: v for k, v in options.items() if k != "tilts"}
    if own.get("variance"):
        counts = problem.maps + np.random.default_rng(5).poisson(4.0, problem.maps.shape)
        problem, own["variance"] = changed(problem, maps=counts - 4.0), counts
    dense = Dense(problem, 20.0, **{k: v for k, v in own.items() if k != "along"})
    best = dense.solve(4000)
    least = dense.value(best)
    keep = hebt.Snapshots([30, 300, 3000], lambda x: dense.value(x.ravel() / dense.level))
    x = solve(problem, 3000, callback=keep, **own)
    over = np.array(keep.values) - least
    assert over[0] > over[1] > abs(over[2])
    assert abs(over[2]) < 0.005 * over[0] and over[1] < 0.25 * over[0]
    close(x.ravel(), dense.level * best.ravel(), 2e-2)


def test_without_strength_it_meets_the_conditions_of_the_likelihoods_minimum():
    problem = scene(2, 1, dose=200)
    dense = Dense(problem, 0.0, noise=300.0)
    x = solve(problem, 6000, strength=0.0, haadf_noise=300.0)
    u = x.reshape(2, -1).astype(float) / dense.level
    misfit = dense.seen.T @ (dense.seen @ u.sum(axis=0) - dense.p) / dense.noise**2
    for e in range(2):
        expected = dense.c[e] * (dense.W @ u[e])
        share = np.where(dense.n[e] > 0, dense.n[e] / np.maximum(expected, 1e-9), 0)
        slope = dense.c[e] * (dense.W.T @ (1 - share)) + misfit
        scale = dense.c[e] * dense.W.sum(axis=0).max()
        assert slope.min() > -0.01 * scale
        assert np.abs(slope[u[e] > 0.02]).max() < 0.01 * scale
        assert (u[e] < 1e-3).any() and (u[e] > 0.02).any()


def test_without_guidance_edges_cost_their_length():
    """The objective's third term is then the isotropic total variation of x."""
    problem = scene(2, 1)
    with_it, without = Dense(problem, 20.0, guidance=0.0), Dense(problem, 0.0)
    u = RNG.random((2, 1, SIZE, SIZE))
    dy = np.diff(u, axis=2, append=u[:, :, -1:])
    dx = np.diff(u, axis=3, append=u[..., -1:])
    length = np.sqrt(dx**2 + dy**2).sum()
    difference = with_it.value(u.ravel()) - without.value(u.ravel())
    assert difference == pytest.approx(20 / SIZE * length)


def test_the_end_does_not_depend_on_the_beginning():
    problem = scene(2, 1)
    other = solve(problem, 2000, x0=np.zeros(problem.shape))
    close(other, solve(problem, 2000), 1e-2)
    # but how far it is after a few iterations does
    assert np.abs(solve(problem, 3, x0=np.zeros(problem.shape)) - other).max() > 0.1 * other.max()


@pytest.mark.parametrize("along", [False, True])
def test_permuting_elements_permutes_the_result(along):
    problem, order = scene(3), [2, 0, 1]
    other = changed(problem, maps=problem.maps[order], ratios=problem.ratios[order])
    close(solve(other, along=along), solve(problem, along=along)[order], 1e-4)


def test_slices_are_apart_unless_they_are_neighbors():
    problem, order = scene(2, 4), [3, 1, 0, 2]
    whole = solve(problem)
    other = changed(problem, haadf=problem.haadf[:, order], maps=problem.maps[:, :, order])
    close(solve(other), whole[:, order], 1e-6)
    alone = changed(problem, haadf=problem.haadf[:, 1], maps=problem.maps[:, :, 1])
    close(solve(alone), whole[:, 1], 1e-5)
    close(solve(alone, along=True), whole[:, 1], 1e-5)
    assert np.abs(solve(problem, along=True) - whole).max() > 0.01 * whole.max()


def test_volumes_side_by_side_do_not_mix():
    first, second = scene(2, 3), scene(2, 3, dose=60, seed=1)
    haadf = np.stack([first.haadf, second.haadf], axis=1)
    maps = np.stack([first.maps, second.maps], axis=2)
    both = Problem(first.W, haadf, maps, first.ratios)
    method = hebt.GuidedTV(20.0, haadf_noise=15.0, along=True)
    x = method._solve(both, Run(20))
    assert x.shape == (2, 2, 3, SIZE, SIZE)
    close(x[:, 0], solve(first, along=True), 1e-5)
    close(x[:, 1], solve(second, along=True), 1e-5)


def test_many_slices_take_several_blocks_of_columns():
    problem = scene(2, 3)
    copies = np.arange(150) % 3
    many = changed(problem, haadf=problem.haadf[:, copies], maps=problem.maps[:, :, copies])
    close(solve(many, 4), solve(problem, 4)[:, copies], 1e-5)
    # and one volume may lie in two of them
    long, half = (
        changed(problem, haadf=problem.haadf[:, c], maps=problem.maps[:, :, c])
        for c in (np.zeros(150, int), np.zeros(20, int))
    )
    close(solve(long, 4, along=True)[:, :20], solve(half, 4, along=True), 1e-4)


def test_the_unit_of_haadf_does_not_matter():
    problem, c = scene(2), 37.0
    other = changed(problem, haadf=c * problem.haadf, ratios=c * problem.ratios)
    close(solve(other, haadf_noise=c * 15) / c, solve(problem, haadf_noise=15), 1e-4)


def test_ratios_may_differ_from_slice_to_slice():
    problem = scene(2, 3)
    each = problem.ratios[:, None] * np.array([1.0, 1.3, 0.8])
    x = solve(changed(problem, ratios=each))
    for s in range(3):
        one = changed(
            problem, haadf=problem.haadf[:, s], maps=problem.maps[:, :, s], ratios=each[:, s]
        )
        close(x[:, s], solve(one), 1e-5)


@pytest.mark.parametrize("along", [False, True])
def test_two_projectors_with_the_same_tilts_equal_one(along):
    problem = scene(2)
    other = changed(problem, haadf_projector=hebt.Projector(ANGLES, SIZE))
    seen, others = hebt.History(), hebt.History()
    x = solve(problem, along=along, history=seen)
    close(solve(other, along=along, history=others), x, 1e-4)
    close(others.haadf, seen.haadf, 1e-4)


def test_a_masks_zeros_keep_voxels_empty():
    problem = scene(2)
    close(solve(changed(problem, mask=np.ones((SIZE, SIZE)))), solve(problem), 1e-6)
    for shape in ((SIZE, SIZE), (2, SIZE, SIZE)):
        mask = np.ones(shape)
        mask[..., :5] = 0
        x = solve(changed(problem, mask=mask))
        assert (x[..., :5] == 0).all() and (x[..., 5:] > 0).any()
    # that of a volume has its own values for each slice
    mask[1] = 1
    x = solve(changed(problem, mask=mask))
    assert (x[:, 0, :, :5] == 0).all() and (x[:, 1, :, :5] > 0).any()


def test_residuals_are_those_of_x():
    problem, seen = scene(2), []

    def look(n, x, residuals):
        wx = np.moveaxis(problem.W.forward(x), 1, 0)
        expected = wx / problem.ratios[:, None, None, None]
        n_ = problem.maps.astype(float)
        log = n_ * np.log(np.where(n_ > 0, n_ / np.maximum(expected, 1e-6), 1))
        deviance = 2 * (log - n_ + np.maximum(expected, 1e-6)).sum(axis=(1, 2, 3))
        close(residuals.deviance, deviance, 1e-3)
        away = problem.ratios[:, None, None, None] * (n_ - expected)
        close(residuals.eds, np.sqrt((away**2).sum(axis=(1, 2, 3))), 1e-4)
        assert residuals.haadf == pytest.approx(
            np.linalg.norm(problem.haadf - wx.sum(axis=0)), rel=1e-3
        )
        seen.append(x.copy())
        if n > 1:
            change = np.linalg.norm(seen[-1] - seen[-2]) / np.linalg.norm(seen[-1])
            assert residuals.change == pytest.approx(change, rel=1e-3)

    history = hebt.History()
    solve(problem, 12, callback=look, history=history)
    assert len(seen) == 12
    assert history.deviance.shape == history.eds.shape == (13, 2)


def test_a_run_can_be_stopped_and_interrupted():
    problem = scene(2)
    after = solve(problem, 5)
    stop = lambda n, residuals: n == 5  # noqa: E731
    assert np.array_equal(solve(problem, 50, stop=stop), after)

    def interrupt(n, x, residuals):
        if n == 5:
            raise KeyboardInterrupt

    with pytest.raises(hebt.Interrupted) as caught:
        solve(problem, 50, callback=interrupt)
    assert caught.value.iteration == 5
    assert np.array_equal(caught.value.x, after)
    given = after.copy()
    solve(problem, 2, x0=given)
    assert np.array_equal(given, after)


def test_an_empty_slice_stays_empty():
    problem = scene(2, 3)
    haadf, maps = problem.haadf.copy(), problem.maps.copy()
    haadf[:, 1], maps[:, :, 1] = 0, 0
    other = changed(problem, haadf=haadf, maps=maps)
    x = solve(other)
    assert (x[:, 1] == 0).all() and np.isfinite(x).all()
    close(x[:, [0, 2]], solve(problem)[:, [0, 2]], 1e-5)
    assert np.isfinite(solve(other, along=True)).all()


@pytest.mark.parametrize("shifted", [False, True])
def test_blocks_of_slices_equal_the_whole(shifted, tmp_path):
    da = pytest.importorskip("dask.array")
    problem, variance = scene(2, 3), None
    many = np.arange(150) % 3
    problem = changed(problem, haadf=problem.haadf[:, many], maps=problem.maps[:, :, many])
    if shifted:
        variance = problem.maps + 2.0
    whole = solve(problem, 4, variance=variance)
    stored = solve(problem, 4, variance=variance, out=tmp_path / "x.zarr")
    assert len(stored.chunks[1]) > 1
    close(np.asarray(stored), whole, 1e-5)
    lazy = None if variance is None else da.from_array(variance, chunks=(1, -1, 50, -1))
    data = [
        da.from_array(a, chunks=(-1,) * (a.ndim - 2) + (50, -1))
        for a in (problem.haadf, problem.maps)
    ]
    method = hebt.GuidedTV(20.0, variance=lazy, haadf_noise=15.0)
    x = hebt.reconstruct(problem.W, *data, problem.ratios, iterations=4, method=method)
    close(np.asarray(x), whole, 1e-5)
    with pytest.raises(ValueError, match="along is True, which joins slices"):
        solve(problem, 4, along=True, out=tmp_path / "y.zarr")
    with pytest.raises(ValueError, match="out"):
        solve(problem, 4, strength=21.0, variance=variance, out=tmp_path / "x.zarr")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 0.7}, "alpha is 0.7, but hebt.GuidedTV"),
        ({"blur": [0.25, 0.5, 0.25]}, "blur is given, but hebt.GuidedTV"),
        ({"device": "cuda"}, 'device is "cuda", but hebt.GuidedTV runs on the CPU'),
    ],
)
def test_what_does_not_go_with_it_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        solve(scene(2), **options)
    with pytest.raises(ValueError, match="not all whole numbers from 0; expected raw counts"):
        solve(changed(scene(2), maps=scene(2).maps + 0.5))


@pytest.mark.slow
def test_on_the_phantom_its_error_is_a_fraction_of_composition_ems():
    """The paper's phantom in a frame of 128 pixels, at two seeds of the counting noise."""
    data = phantom.data(phantom.PhantomSettings.paper(size=128, seeds=[101, 102]))
    given = data.W, data.haadf_of_seeds, data.counts, data.settings.true_ratios
    x = hebt.reconstruct(*given, method=hebt.GuidedTV(512))
    errors = np.array(
        [
            [hebt.metrics.scaled_mse(rho, one) for one in slices]
            for rho, slices in zip(data.density, x, strict=True)
        ]
    )
    assert (errors <= [[0.0015], [0.008]]).all()
