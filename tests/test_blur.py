"""Smoothed element maps beside sharp HAADF images: `blur` against the explicit stacked matrix."""

import numpy as np
import pytest
import scipy.sparse
from scipy import ndimage
from test_reconstruct import explicit_sirt

import hebt
from hebt._engine.system import Blur

ANGLES = np.arange(-60, 61, 20.0)
HAADF_ANGLES = np.arange(-70, 71, 20.0)
SIZE, SLICES, RATIOS = 12, 5, np.array([3.0, 0.7])
W = hebt.Projector(ANGLES, SIZE)
W_HAADF = hebt.Projector(HAADF_ANGLES, SIZE)
ALONG, ACROSS = hebt.prepare.smoothing_kernel(3, 1), hebt.prepare.smoothing_kernel(5, 1.5)
LONG = hebt.prepare.smoothing_kernel(2 * SLICES + 5, 4)  # longer than the volume


def pair(blur):
    return blur if isinstance(blur, tuple) else (blur, blur)


def smoothed(images, blur):
    """Smooth (..., slices, size), continued by mirror images, as `hebt.prepare.smooth` does."""
    for axis, kernel in zip((-2, -1), pair(blur), strict=True):
        images = ndimage.correlate1d(np.asarray(images, float), kernel, axis=axis, mode="reflect")
    return images


def smoothing_matrix(kernel, size):
    return scipy.sparse.csr_array(ndimage.correlate1d(np.eye(size), kernel, axis=0, mode="reflect"))


def volume_matrix(projector, blur=([1.0], [1.0]), slices=SLICES):
    """G W for a volume: columns in the order (slice, y, x), rows (tilt, slice, bin)."""
    along, across = (smoothing_matrix(k, n) for k, n in zip(pair(blur), (slices, SIZE)))
    matrix = projector.matrix().astype(float)
    tilts = [matrix[a : a + SIZE] for a in range(0, matrix.shape[0], SIZE)]
    return scipy.sparse.vstack([scipy.sparse.kron(along, across @ tilt) for tilt in tilts]).tocsr()


def scene(seed=0, slices=SLICES):
    """A specimen that leaves the volume through its first slice: HAADF, other HAADF, noisy maps."""
    rng = np.random.default_rng(seed)
    x = np.zeros((2, slices, SIZE, SIZE))
    x[0, :3, 3:8, 4:9], x[1, :, 5:9, 6:10] = 2, 1
    maps = np.moveaxis(W.forward(x), 1, 0) / RATIOS[:, None, None, None]
    maps = rng.poisson(20 * maps) / 20
    return W.forward(x.sum(axis=0)), W_HAADF.forward(x.sum(axis=0)), maps


def stacked(alpha, blur, haadf_projector=None):
    own = (1 - alpha) * volume_matrix(W, blur)
    other = alpha * volume_matrix(haadf_projector or W)
    return scipy.sparse.block_array([[own, None], [None, own], [other, other]]).tocsr()


def close(found, expected, tolerance=1e-4):
    expected = np.asarray(expected)
    assert np.linalg.norm(np.ravel(found) - expected.ravel()) <= tolerance * np.linalg.norm(
        expected
    )


@pytest.mark.parametrize("two", [False, True])
@pytest.mark.parametrize("blur", [ALONG, (ALONG, ACROSS), ([1.0], ACROSS), (LONG, LONG)])
def test_a_blurred_run_is_sirt_on_the_stacked_matrix(blur, two):
    haadf, other, maps = scene()
    maps, alpha = smoothed(maps, blur), 0.7
    images, projector = (other, W_HAADF) if two else (haadf, None)
    x = hebt.reconstruct(W, images, maps, RATIOS, alpha, 40, blur=blur, haadf_projector=projector)
    scaled = (1 - alpha) * RATIOS[:, None] * maps.reshape(2, -1)
    data = np.concatenate([scaled.ravel(), alpha * images.ravel()])
    close(x, explicit_sirt(stacked(alpha, blur, projector), data, 40))


def kernels_of(blur, slices=SLICES, size=SIZE):
    return Blur(*pair(blur), slices, size)


@pytest.mark.parametrize("blur", [ALONG, (ALONG, ACROSS), ([1.0], ACROSS), (LONG, LONG)])
def test_the_smoothing_is_that_of_the_maps_and_its_own_adjoint(blur):
    from hebt._engine import blur as engine

    kernels, elements = kernels_of(blur), 3
    x, y = np.random.default_rng(2).random((2, SIZE, elements * SLICES), np.float32)

    def smooth(image):
        image, padded = image.copy(), np.empty(len(kernels.slice_at), np.float32)
        arrays = kernels.along, kernels.across, kernels.slice_at, kernels.ray_at
        engine.smooth(image, *arrays, padded, np.empty_like(image))
        return image

    images = np.moveaxis(x.reshape(SIZE, elements, SLICES), 0, -1)
    expected = np.moveaxis(smoothed(images, blur), -1, 0).reshape(x.shape)
    np.testing.assert_allclose(smooth(x), expected, atol=1e-6)
    x, y = x.astype(float), y.astype(float)
    inner = (smooth(np.float32(x)) * y).sum(), (x * smooth(np.float32(y))).sum()
    assert inner[0] == pytest.approx(inner[1], rel=1e-6)


def test_smoothing_by_one_tap_is_none():
    haadf, _, maps = scene()
    plain = hebt.reconstruct(W, haadf, maps, RATIOS, iterations=5)
    for blur in ([1.0], ([1], [1]), np.ones(1)):
        found = hebt.reconstruct(W, haadf, maps, RATIOS, iterations=5, blur=blur)
        np.testing.assert_array_equal(found, plain)
    # and at no cost in what is added up: a kernel of zeros but for its middle
    found = hebt.reconstruct(W, haadf, maps, RATIOS, iterations=5, blur=[0, 0, 1, 0, 0])
    np.testing.assert_allclose(found, plain, atol=1e-5 * plain.max())


def test_a_specimen_that_explains_the_data_stays_as_it_is():
    x = np.random.default_rng(3).random((2, SLICES, SIZE, SIZE), np.float32)
    maps = smoothed(np.moveaxis(W.forward(x), 1, 0), (ALONG, ACROSS))
    maps /= RATIOS[:, None, None, None]
    options = dict(blur=(ALONG, ACROSS), x0=x, iterations=20)
    found = hebt.reconstruct(W, W.forward(x.sum(axis=0)), maps, RATIOS, **options)
    np.testing.assert_allclose(found, x, atol=1e-4)


def test_sharp_images_give_sharper_elements_where_the_smoothing_is_known():
    x = np.zeros((2, 4, SIZE, SIZE))
    x[0, :, 3:9, 2:6], x[1, :, 3:9, 6:10] = 1, 1
    maps = smoothed(np.moveaxis(W.forward(x), 1, 0), ([1.0], ACROSS))
    errors = []
    for blur in (None, ([1.0], ACROSS)):
        haadf = W.forward(x.sum(axis=0))
        found = hebt.reconstruct(W, haadf, maps, [1.0, 1.0], iterations=1000, blur=blur)
        errors.append(hebt.metrics.scaled_mse(x[0], found[0]))
    assert errors[1] < errors[0] / 4


@pytest.mark.parametrize("blur", [ACROSS, ([1.0], ACROSS)])
def test_a_run_can_be_continued_and_a_mask_acts_after_each_step(blur):
    haadf, _, maps = scene()
    mask = np.random.default_rng(5).random((SLICES, SIZE, SIZE)) > 0.3

    def run(iterations, x0=None):
        options = dict(mask=mask, x0=x0, blur=blur)
        return hebt.reconstruct(W, haadf, maps, RATIOS, 0.7, iterations, **options)

    whole = run(30)
    np.testing.assert_allclose(run(20, run(10)), whole, atol=1e-5 * whole.max())
    assert not whole[:, ~mask].any() and whole.min() >= 0
    x, volume = run(1), np.tile(mask.ravel(), 2)
    data = np.concatenate(
        [(0.3 * RATIOS[:, None] * maps.reshape(2, -1)).ravel(), 0.7 * haadf.ravel()]
    )
    for _ in range(4):
        expected = explicit_sirt(stacked(0.7, blur), data, 1, x.ravel().astype(float)) * volume
        x = run(1, x)
        close(x, expected)


@pytest.mark.parametrize("two", [False, True])
def test_residuals_are_those_of_the_smoothed_projections(two):
    haadf, other, maps = scene()
    images, projector = (other, W_HAADF) if two else (haadf, W)
    seen = []

    def callback(iteration, x, residuals):
        seen.append((x.copy(), residuals))

    history = hebt.History()
    options = dict(haadf_projector=projector if two else None, blur=ALONG, history=history)
    hebt.reconstruct(W, images, maps, RATIOS, 0.7, 4, callback=callback, **options)
    for x, residuals in seen:
        projected = smoothed(np.moveaxis(W.forward(x), 1, 0), ALONG)
        eds = [np.linalg.norm(r * p - q) for r, p, q in zip(RATIOS, maps, projected)]
        np.testing.assert_allclose(residuals.eds, eds, rtol=1e-4)
        rest = np.linalg.norm(images - projector.forward(x.sum(axis=0)))
        assert residuals.haadf == pytest.approx(rest, rel=1e-3)
    np.testing.assert_allclose(history.eds[1:], [r.eds for _, r in seen], rtol=1e-6)
    assert all(b < a for a, b in zip(history.eds.sum(axis=1), history.eds.sum(axis=1)[1:]))


def test_the_noise_of_the_maps_stops_the_run():
    haadf, _, maps = scene()
    projected = hebt.History()
    hebt.reconstruct(W, haadf, maps, RATIOS, 0.0, 12, blur=ALONG, history=projected)
    total = projected.eds[7]
    rule, history = hebt.Discrepancy(total), hebt.History()
    hebt.reconstruct(W, haadf, maps, RATIOS, 0.0, 12, blur=ALONG, stop=rule, history=history)
    assert history.stopped_by is rule and history.iterations == 7


@pytest.mark.parametrize("kernel", [ALONG, hebt.prepare.smoothing_kernel(4, 2)])
def test_slices_without_data_take_part_as_far_as_the_kernel_reaches(kernel):
    slices, own = 16, slice(7, 9)
    haadf, _, maps = scene(slices=slices)
    blur = kernel, [1.0]
    outside = np.ones(slices, bool)
    outside[own] = False
    haadf[:, outside], maps[:, :, outside] = 0, 0
    matrix = scipy.sparse.block_array(
        [
            [0.9 * volume_matrix(W, blur, slices), None],
            [None, 0.9 * volume_matrix(W, blur, slices)],
            [0.1 * volume_matrix(W, slices=slices)] * 2,
        ]
    )
    data = np.concatenate(
        [(0.9 * RATIOS[:, None] * maps.reshape(2, -1)).ravel(), 0.1 * haadf.ravel()]
    )
    for iterations in (1, 2, 30):
        x = hebt.reconstruct(W, haadf, maps, RATIOS, 0.1, iterations, blur=blur)
        close(x, explicit_sirt(matrix.tocsr(), data, iterations))
        first = own.start - len(kernel) // 2
        assert x[:, first].any() == (iterations < 30) and not x[:, :first].any()
    assert not hebt.reconstruct(W, 0 * haadf, 0 * maps, RATIOS, 0.1, 2, blur=blur).any()


def test_eds_alone_and_a_sweep_smooth_each_volume_by_itself():
    haadf, _, maps = scene(slices=9)
    for array in (haadf, maps):
        array[..., 4:, :] = 0
    series = np.moveaxis(maps * RATIOS[:, None, None, None], 0, 1)
    for blur in (ALONG, (ALONG, ACROSS), ([1.0], ACROSS)):
        found = hebt.sweep(W, haadf, maps, RATIOS, [0.0, 0.6], [3, 8], blur=blur)
        for a, alpha in enumerate((0.0, 0.6)):
            expected = hebt.reconstruct(W, haadf, maps, RATIOS, alpha, 8, blur=blur)
            np.testing.assert_allclose(found[a, 1], expected, atol=1e-5 * expected.max())
        alone = hebt.sirt(W, series, 8, blur=blur)
        np.testing.assert_allclose(alone, found[0, 1], atol=1e-5 * alone.max())


def test_a_single_slice_is_smoothed_across():
    haadf, _, maps = scene()
    expected = hebt.reconstruct(W, haadf, maps, RATIOS, iterations=5, blur=([1.0], ACROSS))
    one = haadf[:, 2], maps[:, :, 2]
    for blur in (ACROSS, ([1.0], ACROSS)):
        found = hebt.reconstruct(W, *one, RATIOS, iterations=5, blur=blur)
        np.testing.assert_allclose(found, expected[:, 2], atol=1e-5 * expected.max())
    with pytest.raises(ValueError, match=r"blur\[0\].* has 3 taps, but there is no axis of slices"):
        hebt.reconstruct(W, *one, RATIOS, blur=(ALONG, ACROSS))


@pytest.mark.parametrize(
    ("blur", "message"),
    [
        ([0.5, 0.5], "blur has 2 taps from 0.5 to 0.5 with sum 1; expected an odd number"),
        ([0.2, 0.5, 0.3], "blur has 3 taps .*; expected .* the same from both ends"),
        ([-0.1, 1.2, -0.1], "blur has 3 taps from -0.1 to 1.2"),
        ([1, 2, 1], r"with sum 4; .* as from hebt.prepare.smoothing_kernel\(12, sigma=4\)"),
        (([1], [0.5, 0.5]), r"blur\[1\] has 2 taps"),
        (np.full((3, 3), 1 / 9), "blur has 2 dimensions"),
    ],
)
def test_what_is_no_smoothing_kernel_is_refused(blur, message):
    haadf, _, maps = scene()
    for call in (
        lambda: hebt.reconstruct(W, haadf, maps, RATIOS, iterations=1, blur=blur),
        lambda: hebt.sirt(W, haadf, 1, blur=blur),
        lambda: hebt.sweep(W, haadf, maps, RATIOS, [0.5], [1], blur=blur),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_blocks_of_slices_are_smoothed_across_alone(tmp_path, monkeypatch):
    da = pytest.importorskip("dask.array")
    pytest.importorskip("zarr")
    monkeypatch.setattr("hebt._blocks._COLUMNS", 4)
    haadf, _, maps = scene()
    images, blur = da.from_array(haadf, chunks=(-1, 2, -1)), ([1.0], ACROSS)
    expected = hebt.reconstruct(W, haadf, maps, RATIOS, iterations=5, blur=blur)

    def run(blur, images=images, **options):
        return hebt.reconstruct(W, images, maps, RATIOS, iterations=5, blur=blur, **options)

    tolerance = dict(atol=1e-5 * expected.max())
    np.testing.assert_allclose(run(blur).compute(), expected, **tolerance)
    np.testing.assert_allclose(run(blur, out=tmp_path / "x").compute(), expected, **tolerance)
    assert hebt.open_result(tmp_path / "x")[1]["run"]["blur"] == [[1.0], ACROSS.tolist()]
    for other, message in (
        (None, "blur is None, the run there has one"),
        (([1], ALONG), "blur di"),
    ):
        with pytest.raises(ValueError, match=message):
            run(other, out=tmp_path / "x")
    for options in ({}, dict(out=tmp_path / "y"), dict(images=haadf, out=tmp_path / "y")):
        with pytest.raises(ValueError, match=r"blur smooths along the slices.*expected \(\[1\], k"):
            run(ALONG, **options)
    assert not (tmp_path / "y").exists()
