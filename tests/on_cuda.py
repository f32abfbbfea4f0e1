"""Reconstructions on a CUDA device agree with those on the processor.

`test_cuda.py` runs these tests, in a process of their own: on a device where there is one, and in
numba's CUDA simulator, which interprets the kernels, thread by thread. It has to be switched on
before numba is imported.
"""

import sys
import threading

import numba
import numpy as np
import pytest

import hebt

SIMULATED = bool(numba.config.ENABLE_CUDASIM)
ANGLES = np.array([-75, -45, 0, 20, 90])


def shared_array():
    """`cuda.shared.array` of the simulator, whose own may give two threads an array each."""
    lock = threading.Lock()

    def array(self, shape, dtype):
        frame = sys._getframe(1)
        place = frame.f_code.co_filename, frame.f_lineno
        with lock:
            if place not in self._allocations:
                self._allocations[place] = np.empty(shape, dtype)
        return self._allocations[place]

    return array


@pytest.fixture(autouse=True)
def simulator(monkeypatch):
    """Small blocks for the simulator, which gives each thread of a block one of Python's."""
    if SIMULATED:
        from hebt._engine import cuda as _cuda

        monkeypatch.setattr(_cuda, "_WARP", 2)
        monkeypatch.setattr(_cuda, "_LANES", 4)
        monkeypatch.setattr("numba.cuda.simulator.kernelapi.FakeCUDAShared.array", shared_array())
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        yield
        sys.setswitchinterval(interval)
    else:
        yield


def scene(size=5, slices=3, elements=2, angles=ANGLES):
    """Noisy data of random specimens, with more lines, tilts and columns than one small block."""
    rng = np.random.default_rng(size)
    W = hebt.Projector(angles, size)
    x = rng.random((elements, slices, size, size)) * (rng.random((slices, size, size)) > 0.4)
    ratios = np.array([2.0, 0.5, 1.5])[:elements]
    maps = np.moveaxis(W.forward(x), 1, 0) / ratios[:, None, None, None]
    haadf = W.forward(x.sum(axis=0))
    return W, haadf + rng.random(haadf.shape), maps + 0.1 * rng.random(maps.shape), ratios


def both(function, *arguments, **options):
    """What `function` gives on the processor and on the GPU, which must agree."""
    found = [function(*arguments, **options, device=device) for device in ("cpu", "cuda")]
    np.testing.assert_allclose(found[1], found[0], atol=1e-5 * np.abs(found[0]).max())
    assert found[1].dtype == np.float32 and found[1].max() > 0
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 4, 6])
def test_projections_equal_the_matrix(size):
    from numba import cuda

    from hebt._engine import cuda as _cuda
    from hebt._engine.arrays import empty

    W, columns = hebt.Projector(ANGLES, size), 3
    rng = np.random.default_rng(0)
    matrix = W.matrix()
    beam = _cuda._Rays(W._beam, columns)
    x, p = empty(size * size, columns), empty(len(ANGLES) * size, columns)
    for array in (x, p):
        array[:] = rng.random(array.shape)
    projected, back = cuda.to_device(p.ravel()), cuda.to_device(x.ravel())
    beam.forward(cuda.to_device(x.ravel()), projected)
    found = projected.copy_to_host().reshape(p.shape)
    np.testing.assert_allclose(found[:, :columns], matrix @ x[:, :columns], atol=1e-5 * size)
    beam.backward(cuda.to_device(p.ravel()), back)
    found = back.copy_to_host().reshape(x.shape)
    np.testing.assert_allclose(found[:, :columns], matrix.T @ p[:, :columns], atol=1e-4)


def test_sirt():
    W, haadf, _, _ = scene()
    history = hebt.History()
    x, other = both(hebt.sirt, W, haadf, 2, history=history)
    assert other.shape == (3, 5, 5) and history.iterations == 2 and np.isnan(history.haadf).all()
    both(hebt.sirt, W, haadf[:, 0], 1)


@pytest.mark.parametrize("elements", [1, 2, 3])
def test_hebt(elements):
    W, haadf, maps, ratios = scene(elements=elements)
    both(hebt.reconstruct, W, haadf, maps, ratios, alpha=0.4, iterations=2)


def test_hebt_of_two_tilt_series():
    W, _, maps, ratios = scene()
    W_haadf = hebt.Projector(np.linspace(-80, 80, 7), 5)
    haadf = np.random.default_rng(0).random((7, 3, 5))
    seen = {}
    for device in ("cpu", "cuda"):
        seen[device] = hebt.History()
        options = dict(haadf_projector=W_haadf, history=seen[device], iterations=2)
        seen[device].x = hebt.reconstruct(W, haadf, maps, ratios, device=device, **options)
    for name in ("x", "eds", "haadf", "change"):
        one, other = (getattr(seen[device], name) for device in ("cpu", "cuda"))
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("axes", [2, 3])
def test_mask_start_and_empty_slices(axes):
    W, haadf, maps, ratios = scene()
    haadf[:, 1], maps[:, :, 1] = 0, 0
    rng = np.random.default_rng(1)
    mask = rng.random((3, 5, 5)[-axes:]) > 0.2
    start = rng.random((2, 3, 5, 5))
    start[:, 1] = 0
    options = dict(iterations=2, mask=mask)
    _, x = both(hebt.reconstruct, W, haadf, maps, ratios, **options, x0=start)
    assert not x[:, 1].any() and not (x * ~mask).any()


BLUR = np.array([0.25, 0.5, 0.25])


@pytest.mark.parametrize("blur", [BLUR, ([1.0], BLUR), (BLUR, [1.0]), (np.ones(9) / 9, BLUR)])
def test_smoothed_maps(blur):
    W, haadf, maps, ratios = scene()
    seen = {device: hebt.History() for device in ("cpu", "cuda")}
    for device, history in seen.items():
        options = dict(alpha=0.4, iterations=2, blur=blur, history=history, device=device)
        history.x = hebt.reconstruct(W, haadf, maps, ratios, **options)
    for name in ("x", "eds", "haadf", "change"):
        one, other = (getattr(seen[device], name) for device in ("cpu", "cuda"))
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-5)


def test_smoothed_maps_of_another_tilt_series_alone_and_in_a_sweep():
    W, haadf, maps, ratios = scene()
    W_haadf = hebt.Projector(np.linspace(-80, 80, 7), 5)
    images = np.random.default_rng(0).random((7, 3, 5))
    options = dict(iterations=2, blur=BLUR)
    both(hebt.reconstruct, W, images, maps, ratios, haadf_projector=W_haadf, **options)
    both(hebt.sirt, W, np.moveaxis(maps, 0, 1), **options)
    both(hebt.sweep, W, haadf, maps, ratios, [0.3, 0.6], **options)


def counts(**options):
    """Data with raw counts, for composition EM."""
    W, haadf, maps, ratios = scene(**options)
    return W, 20 * haadf, np.rint(20 * maps), ratios


@pytest.mark.parametrize("kernel", [0, (0, 0.5), 0.6, (0.6, 0)])
@pytest.mark.parametrize("total", ["hard", 0.5, "free"])
def test_composition_em(kernel, total):
    W, haadf, maps, ratios = counts()
    seen = {device: hebt.History(shares=True) for device in ("cpu", "cuda")}
    method = hebt.CompositionEM(kernel, total=total)
    for device, history in seen.items():
        options = dict(method=method, iterations=2, history=history, device=device)
        history.x = hebt.reconstruct(W, haadf, maps, ratios, **options)
    for name in ("x", "shares", "eds", "haadf", "change", "deviance"):
        one, other = (getattr(seen[device], name) for device in ("cpu", "cuda"))
        np.testing.assert_allclose(other, one, rtol=1e-3, atol=1e-5 * np.nanmax(one))
        assert other.shape == one.shape and np.nanmax(one) > 0


@pytest.mark.parametrize("elements", [1, 3])
def test_composition_em_of_other_tilts_with_a_variance_and_empty_slices(elements):
    W, _, maps, ratios = counts(elements=elements)
    W_haadf = hebt.Projector(np.linspace(-80, 80, 7), 5)
    haadf = 20 * np.random.default_rng(0).random((7, 3, 5))
    haadf[:, 1], maps[:, :, 1] = 0, 0
    method = hebt.CompositionEM(0.6, variance=maps + 2.0)
    history, mask = hebt.History(), np.ones((5, 5))
    mask[0] = 0
    options = dict(method=method, iterations=2, haadf_projector=W_haadf, mask=mask, history=history)
    x, other = both(hebt.reconstruct, W, haadf, maps, ratios, **options)
    assert not other[:, 0, 0].any() and np.isfinite(history.haadf).all()


def test_composition_em_watched_in_two_parts_and_with_replicates():
    W, haadf, maps, ratios = counts(slices=2)
    seen, history = [], hebt.History(shares=True)
    method = hebt.CompositionEM(0.6)
    options = dict(device="cuda", iterations=1)
    first = hebt.reconstruct(
        *(W, haadf, maps, ratios),
        method=method,
        history=history,
        callback=lambda n, x, residuals: seen.append(np.array(x)),
        **options,
    )
    np.testing.assert_array_equal(seen[0], first)
    rest = hebt.CompositionEM(0.6, shares=history.shares)
    x = hebt.reconstruct(W, haadf, maps, ratios, method=rest, **options)
    options["iterations"] = 2
    whole = hebt.reconstruct(W, haadf, maps, ratios, method=method, **options)
    np.testing.assert_array_equal(x, whole)
    both(
        hebt.noise_deviation,
        *(W, haadf, maps, ratios),
        method=hebt.CompositionEM(0.6, total=0.5),
        replicates=3,
        iterations=1,
        ratio_errors=0.1 * ratios,
    )


def test_composition_em_that_has_no_room_is_refused(monkeypatch):
    from hebt._engine import cuda as _cuda

    class Small:
        def get_memory_info(self):
            return type("Memory", (), {"free": 1000})

    monkeypatch.setattr(_cuda.cuda, "current_context", Small)
    with pytest.raises(MemoryError, match="3 slices of 2 x 5 x 5 voxels need"):
        hebt.reconstruct(*counts(), method=hebt.CompositionEM(0.6), iterations=1, device="cuda")


def watched(function, *arguments, **options):
    """x and all residuals on the processor and on the GPU, which must agree."""
    seen = {device: hebt.History() for device in ("cpu", "cuda")}
    for device, history in seen.items():
        history.x = function(*arguments, **options, history=history, device=device)
    for name in ("x", "eds", "haadf", "change"):
        one, other = (getattr(seen[device], name) for device in ("cpu", "cuda"))
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-5)
    return seen["cuda"].x


def test_with_momentum():
    W, haadf, maps, ratios = scene()
    options = dict(iterations=4, accelerate=True)
    watched(hebt.sirt, W, haadf, **options)
    rng = np.random.default_rng(1)
    options |= dict(mask=rng.random((3, 5, 5)) > 0.2, x0=rng.random((2, 3, 5, 5)), alpha=0.4)
    watched(hebt.reconstruct, W, haadf, maps, ratios, **options, blur=BLUR)
    images = np.random.default_rng(0).random((7, 3, 5))
    other = hebt.Projector(np.linspace(-80, 80, 7), 5)
    watched(hebt.reconstruct, W, images, maps, ratios, **options, haadf_projector=other)


@pytest.mark.parametrize("elements", [1, 2, 3])
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_fused(elements, noise):
    W, haadf, maps, ratios = scene(elements=elements)
    # so many that some are below 0 before the step keeps the sum
    maps = np.rint(2 * maps**2)
    options = dict(iterations=4, method=hebt.Fused(haadf_noise=noise))
    watched(hebt.reconstruct, W, haadf, maps, ratios, **options)


def test_fused_of_two_tilt_series():
    W, _, maps, ratios = scene()
    images = np.random.default_rng(0).random((7, 3, 5))
    other = hebt.Projector(np.linspace(-80, 80, 7), 5)
    options = dict(iterations=2, haadf_projector=other)
    options["method"] = hebt.Fused(np.ones(maps.shape), haadf_noise=0.0)
    watched(hebt.reconstruct, W, images, maps, ratios, **options)


def test_a_run_in_two_parts_equals_one():
    W, haadf, _, _ = scene(slices=1)
    first = hebt.sirt(W, haadf, 1, device="cuda")
    rest = hebt.sirt(W, haadf, 1, x0=first, device="cuda")
    np.testing.assert_array_equal(rest, hebt.sirt(W, haadf, 2, device="cuda"))


def test_callback_history_and_rules():
    W, haadf, maps, ratios = scene()
    haadf[:, 1], maps[:, :, 1] = 0, 0
    seen = []

    def callback(iteration, x, residuals):
        seen.append((iteration, x.copy(), residuals))
        assert not x.flags.writeable
        return iteration == 2

    history = hebt.History()
    options = dict(iterations=9, callback=callback, history=history)
    _, x = both(hebt.reconstruct, W, haadf, maps, ratios, **options)
    assert [n for n, _, _ in seen] == [1, 2, 1, 2] and history.iterations == 2
    np.testing.assert_array_equal(seen[-1][1], x)
    for (_, _, one), (_, _, other) in zip(seen[:2], seen[2:]):
        np.testing.assert_allclose(other.eds, one.eds, rtol=1e-5)
        assert other.haadf == pytest.approx(one.haadf, rel=1e-5)
        assert other.change == pytest.approx(one.change, rel=1e-4)
    assert np.isnan(history.change[0])
    rule = hebt.RelativeChange(0.5)
    history = hebt.History()
    hebt.sirt(W, haadf, 9, stop=rule, history=history, device="cuda")
    assert history.stopped_by is rule and history.change[-1] <= 0.5 < history.change[-2]


def test_a_sweep():
    W, haadf, maps, ratios = scene(slices=1)
    both(hebt.sweep, W, haadf[:, 0], maps[:, :, 0], ratios, [0.3, 0.6], [1, 2])


def test_an_interruption_keeps_what_was_reached():
    W, haadf, _, _ = scene(slices=2)

    def callback(iteration, x, residual):
        if iteration == 2:
            raise KeyboardInterrupt

    with pytest.raises(hebt.Interrupted) as caught:
        hebt.sirt(W, haadf, 9, callback=callback, device="cuda")
    expected = hebt.sirt(W, haadf, 2, device="cuda")
    np.testing.assert_array_equal(caught.value.x, expected)


def test_dask_arrays():
    da = pytest.importorskip("dask.array")
    W, haadf, maps, ratios = scene()
    images = da.from_array(haadf, chunks=(-1, 2, -1))
    x = hebt.reconstruct(W, images, maps, ratios, iterations=1, device="cuda")
    expected = hebt.reconstruct(W, haadf, maps, ratios, iterations=1, device="cpu")
    found = x.compute(scheduler="threads")
    np.testing.assert_allclose(found, expected, atol=1e-5 * expected.max())


def test_what_has_no_room_is_refused_or_runs_on_the_processor(monkeypatch):
    from hebt._engine import cuda as _cuda

    class Small:
        def get_memory_info(self):
            return type("Memory", (), {"free": 1000})

    monkeypatch.setattr(_cuda.cuda, "current_context", Small)
    module = sys.modules["hebt._solve"]
    monkeypatch.setattr(module, "choose_device", lambda d: "cpu" if d == "cpu" else "cuda")
    W, haadf, maps, ratios = scene()
    arguments = W, haadf, maps, ratios, 0.7, 2
    with pytest.raises(MemoryError, match="3 slices of 2 x 5 x 5 voxels need .* Give Dask"):
        hebt.reconstruct(*arguments, device="cuda")
    with pytest.warns(UserWarning, match="It runs on the CPU now"):
        x = hebt.reconstruct(*arguments, device="auto")
    np.testing.assert_array_equal(x, hebt.reconstruct(*arguments, device="cpu"))


def test_memory_is_reckoned_with_all_that_is_taken(monkeypatch):
    from hebt._engine import cuda as _cuda
    from hebt._engine.accelerated import Acceleration
    from hebt._engine.cuda_accelerated import AcceleratedCudaRun
    from hebt._engine.system import Blur

    taken = []
    for name in ("to_device", "device_array"):
        function = getattr(_cuda.cuda, name)

        def count(*arguments, function=function):
            array = function(*arguments)
            taken.append(array.size * array.dtype.itemsize)
            return array

        monkeypatch.setattr(_cuda.cuda, name, count)
    other, smoothed = hebt.Projector(np.arange(0, 90, 5), 40), Blur(np.ones(3) / 3, [1.0], 64, 40)
    for images, blur in (None, None), (other, None), (None, smoothed):
        W, _, maps, ratios = scene(40, 64, 2)
        haadf = np.ones((len((images or W).angles), 64, 40), np.float32)
        own = maps.shape, 1, haadf, images, blur
        taken.clear()
        mask = np.ones((1600, 1), np.float32)
        maps = maps.astype(np.float32)
        weights = np.ones((2, 1), np.float32)
        beam = images and images._beam
        arguments = W._beam, maps, haadf, weights, mask, None, beam, blur, None
        _cuda.CudaRun(*arguments)
        assert _cuda._bytes(*own) == pytest.approx(sum(taken), rel=0.1)
        taken.clear()
        AcceleratedCudaRun(*arguments, Acceleration(maps))
        assert _cuda._bytes(*own, 2, 1) == pytest.approx(sum(taken), rel=0.1)
