"""The projector against its closed form, the explicit matrix and ASTRA."""

import os
import sys
import threading
import time
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hebt
from hebt._engine import arrays
from hebt._engine import threads as threads_module
from hebt._engine.beam import FEW
from hebt._engine.threads import run

ANGLES = [0, 45, -45, 90, -90, 180, 270, 17.3, -63.1, 44.999999, 1e-7, 89.9999]
SIZES = [1, 2, 3, 4, 5, 16, 27, 28, 29, 57, 64, 65]


def shared_area(angle, size, pixel, ray):
    """Area of the intersection of a pixel and a ray, by clipping the square with two lines."""
    row, column = divmod(pixel, size)
    half = (size - 1) / 2
    x, y = column - half, half - row
    corners = [(x - 0.5, y - 0.5), (x + 0.5, y - 0.5), (x + 0.5, y + 0.5), (x - 0.5, y + 0.5)]
    direction = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    polygon = clip(corners, direction, ray - half - 0.5, 1)
    polygon = clip(polygon, direction, ray - half + 0.5, -1)
    if len(polygon) < 3:
        return 0.0
    x, y = np.array(polygon).T
    return abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2


def clip(polygon, normal, offset, sign):
    """Keep the part of a polygon where sign * (normal . point - offset) >= 0."""
    result = []
    for a, b in zip(polygon, polygon[1:] + polygon[:1]):
        da, db = (sign * (normal[0] * p[0] + normal[1] * p[1] - offset) for p in (a, b))
        if da >= 0:
            result.append(a)
        if da * db < 0:
            t = da / (da - db)
            result.append((a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])))
    return result


@pytest.mark.parametrize("size", [1, 2, 3, 6, 7])
@pytest.mark.parametrize("angle", [0, 45, -45, 90, 180, 12.5, -71.3, 134.0, 1e-5])
def test_matrix_holds_the_areas_that_strips_share_with_pixels(size, angle):
    matrix = hebt.Projector([angle], size).matrix().toarray()
    areas = [
        [shared_area(angle, size, pixel, ray) for pixel in range(size * size)]
        for ray in range(size)
    ]
    assert matrix.shape == (size, size * size)
    np.testing.assert_allclose(matrix, areas, atol=1e-6)


@pytest.mark.parametrize("size", [*SIZES, 512])
def test_matrix_agrees_with_astra(size):
    astra = pytest.importorskip("astra", reason="ASTRA has no wheel for this system")
    angles = ANGLES if size < 100 else [-75, -40, 0, 33.3]
    ours = hebt.Projector(angles, size).matrix()
    geometry = astra.create_proj_geom("parallel", 1, size, np.deg2rad(angles))
    volume = astra.create_vol_geom(size, size)
    projector = astra.create_projector("strip", geometry, volume)
    theirs = astra.matrix.get(astra.projector.matrix(projector))
    # ASTRA accumulates single-precision errors along the detector
    largest, tolerance = ours.max(), 3e-4 if size < 100 else 1e-2
    assert abs(ours - theirs).max() <= tolerance * largest
    if size < 100:
        x = np.random.default_rng(0).random(size * size)
        np.testing.assert_allclose(ours @ x, theirs @ x, rtol=0, atol=2e-4 * (ours @ x).max())


def apply(matrix, x, tilts, size):
    """The explicit matrix on a stack of slices, in double precision."""
    columns = matrix.astype(float) @ x.reshape(-1, size * size).T.astype(float)
    return np.moveaxis(columns.reshape(tilts, size, -1), 2, 1)


def apply_adjoint(matrix, p, size):
    columns = np.moveaxis(p, 1, 2).reshape(-1, p.shape[1]).astype(float)
    return (matrix.T.astype(float) @ columns).T.reshape(-1, size, size)


@pytest.mark.parametrize("slices", [1, 2, FEW, FEW + 1, 16, 21, 70])
@pytest.mark.parametrize("size", SIZES)
def test_projections_equal_the_matrix_products(size, slices):
    rng = np.random.default_rng(size)
    W = hebt.Projector(ANGLES, size)
    matrix = W.matrix()
    x = rng.random((slices, size, size))
    p = rng.random((len(ANGLES), slices, size))
    expected = apply(matrix, x, len(ANGLES), size)
    np.testing.assert_allclose(W.forward(x), expected, rtol=0, atol=1e-5 * expected.max())
    expected = apply_adjoint(matrix, p, size)
    np.testing.assert_allclose(W.backward(p), expected, rtol=0, atol=1e-5 * expected.max())


def test_more_slices_than_one_block_holds():
    rng = np.random.default_rng(1)
    W = hebt.Projector([-30, 10, 55], 12)
    x = rng.random((600, 12, 12))
    whole = W.forward(x)
    np.testing.assert_allclose(whole[:, 597], W.forward(x[597]), rtol=1e-5)
    back = W.backward(whole)
    np.testing.assert_allclose(back[597], W.backward(whole[:, 597]), rtol=1e-5)


@settings(max_examples=40)
@given(
    angles=st.lists(
        st.one_of(st.floats(-360, 360), st.sampled_from(ANGLES)), min_size=1, max_size=4
    ),
    size=st.integers(1, 70),
    slices=st.integers(1, FEW),
    seed=st.integers(0, 2**31),
)
@pytest.mark.filterwarnings("ignore:angles run from")
def test_few_slices_are_projected_as_many_are(angles, size, slices, seed):
    rng = np.random.default_rng(seed)
    W = hebt.Projector(angles, size)
    x, p = rng.random((FEW + 1, size, size)), rng.random((len(angles), FEW + 1, size))
    for project, images, axis in ((W.forward, x, 0), (W.backward, p, 1)):
        few = np.arange(slices)
        expected = project(images).take(few, axis=1 - axis)
        own = project(images.take(few, axis=axis))
        np.testing.assert_allclose(own, expected, rtol=0, atol=4e-6 * expected.max())


@pytest.mark.parametrize("workers", [1, 2])
def test_few_slices_do_not_depend_on_the_number_of_threads(workers):
    import numba

    size, rng = 61, np.random.default_rng(3)
    W = hebt.Projector(np.arange(-70, 71, 20), size)
    x, p = rng.random((2, size, size)), rng.random((len(W.angles), 2, size))
    before, expected = numba.get_num_threads(), (W.forward(x), W.backward(p))
    if workers > numba.config.NUMBA_NUM_THREADS:
        pytest.skip("there are not as many threads")
    numba.set_num_threads(workers)
    try:
        for own, other in zip((W.forward(x), W.backward(p)), expected, strict=True):
            np.testing.assert_array_equal(own, other)
    finally:
        numba.set_num_threads(before)


@settings(max_examples=40)
@given(
    angles=st.lists(st.floats(-360, 360, allow_nan=False), min_size=1, max_size=7),
    size=st.integers(1, 40),
    slices=st.integers(1, 5),
    seed=st.integers(0, 2**31),
)
@pytest.mark.filterwarnings("ignore:angles run from")
def test_backward_is_the_adjoint_of_forward(angles, size, slices, seed):
    rng = np.random.default_rng(seed)
    W = hebt.Projector(angles, size)
    x = rng.random((slices, size, size), np.float32)
    p = rng.random((len(angles), slices, size), np.float32)
    left = np.vdot(W.forward(x).astype(float), p)
    right = np.vdot(x, W.backward(p).astype(float))
    assert left == pytest.approx(right, rel=1e-5)


@settings(max_examples=25)
@given(angle=st.floats(-180, 180), size=st.integers(2, 40), seed=st.integers(0, 2**31))
def test_a_projection_keeps_the_mass_of_what_the_detector_sees(angle, size, seed):
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    image = np.random.default_rng(seed).random((size, size)) * (np.hypot(x, y) <= size / 2 - 0.75)
    projection = hebt.Projector([angle], size).forward(image)
    assert projection.sum(dtype=float) == pytest.approx(image.sum(), rel=1e-5)


def test_nothing_negative_comes_from_what_is_not():
    x = np.random.default_rng(7).random((20, 33, 33)) > 0.9
    W = hebt.Projector([*ANGLES, 22.5, 67.1], 33)
    assert W.forward(x).min() >= 0
    assert W.backward(W.forward(x) > 3).min() >= 0


@pytest.mark.parametrize("size", [32, 33, 64])
def test_beside_the_shadow_of_a_specimen_there_is_nothing(size):
    angles = [*np.arange(-75, 76, 5.0), 22.5, -67.1]
    W = hebt.Projector(angles, size)
    x = np.zeros((size, size))
    x[size // 4 : 3 * size // 4, size // 4 : 3 * size // 4] = 1e6
    exact = (W.matrix().astype(float) @ x.ravel()).reshape(len(angles), size)
    assert (W.forward(x)[exact < 1e-3] == 0).all()


def test_geometry_at_right_angles():
    image = np.arange(16.0).reshape(4, 4)
    p = hebt.Projector([0, 90, 180, -90], 4).forward(image)
    np.testing.assert_allclose(p[0], image.sum(axis=0), rtol=1e-5)
    np.testing.assert_allclose(p[1], image.sum(axis=1)[::-1], rtol=1e-5)
    np.testing.assert_allclose(p[2], image.sum(axis=0)[::-1], rtol=1e-5)
    np.testing.assert_allclose(p[3], image.sum(axis=1), rtol=1e-5)


def test_row_and_column_sums_are_those_of_the_matrix():
    W = hebt.Projector(ANGLES, 29)
    matrix = W.matrix().astype(float)
    np.testing.assert_allclose(W.row_sums.ravel(), matrix.sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(W.column_sums.ravel(), matrix.sum(axis=0), rtol=1e-5)


def test_layouts_and_types_of_input_do_not_matter():
    rng = np.random.default_rng(3)
    W = hebt.Projector([-60, 5, 61], 9)
    x = rng.integers(0, 9, (4, 9, 9))
    expected = W.forward(x)
    assert expected.dtype == np.float32
    for same in (
        x.astype(float),
        x.astype(np.uint8),
        x.tolist(),
        np.asfortranarray(x),
        np.repeat(x, 2, axis=2)[:, :, ::2],
        x[::-1][::-1],
    ):
        np.testing.assert_array_equal(W.forward(same), expected)
    p = expected.astype(float)
    np.testing.assert_array_equal(W.backward(np.asfortranarray(p)), W.backward(expected))


def test_several_leading_axes_count_as_slices():
    rng = np.random.default_rng(4)
    W = hebt.Projector([-60, 5, 61], 9)
    x = rng.random((2, 3, 9, 9))
    p = W.forward(x)
    assert p.shape == (3, 2, 3, 9)
    np.testing.assert_allclose(p[:, 1, 2], W.forward(x[1, 2]), rtol=1e-6)
    assert W.backward(p).shape == (2, 3, 9, 9)
    assert W.forward(x[0, 0]).shape == (3, 9)
    assert W.backward(p[:, 0, 0]).shape == (9, 9)


def test_inputs_are_never_changed():
    W = hebt.Projector([-60, 5, 61], 9)
    x, p = np.ones((4, 9, 9), np.float32), np.ones((3, 4, 9), np.float32)
    x.setflags(write=False)
    p.setflags(write=False)
    W.forward(x)
    W.backward(p)
    angles = np.array([1.0, 40.0])
    W = hebt.Projector(angles, 9)
    angles[0] = 5
    assert W.angles[0] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], 4), r"angles is empty \(shape \(0,\)\).*at least one"),
        (([[0, 1]], 4), r"angles has shape \(1, 2\); expected \(tilts,\)"),
        (([0, np.nan], 4), "angles holds 1 NaN or infinite"),
        (([0, 10], 0), "size is 0; expected a whole number of at least 1"),
        (([0, 10], -3), "size is -3"),
    ],
)
def test_impossible_geometries_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        hebt.Projector(*arguments)


@pytest.mark.parametrize(("arguments"), [(["a"], 4), ([0, 10], 4.5), ([0, 10], "4"), ([1j], 4)])
def test_wrong_types_of_geometry_are_refused(arguments):
    with pytest.raises(TypeError, match="expected"):
        hebt.Projector(*arguments)


def test_radians_are_suspected():
    with pytest.warns(UserWarning, match="look like radians.*rad2deg"):
        hebt.Projector(np.deg2rad(np.arange(-75, 76, 5)), 8)


@pytest.mark.parametrize("angles", [np.arange(-75, 76, 5), [-1, 0, 1], [0.1, 0.2], [0]])
def test_degrees_are_not_suspected(angles, recwarn):
    hebt.Projector(angles, 8)
    assert not recwarn.list


@pytest.mark.parametrize(
    ("method", "array", "message"),
    [
        ("forward", np.ones((4, 5)), r"x has shape \(4, 5\); expected .*5, 5\)"),
        ("forward", np.ones(5), r"x has shape \(5,\)"),
        ("forward", np.ones((0, 5, 5)), "x is empty"),
        ("forward", np.full((5, 5), np.nan), r"25 NaN or infinite values, the first at .*\(0, 0\)"),
        ("backward", np.ones((2, 5)), r"2 tilts, the projector 3 angles"),
        ("backward", np.ones((3, 4)), r"p has shape \(3, 4\); expected \(3, \[slices,\] 5\)"),
        ("backward", np.full((3, 5), np.inf), "15 NaN or infinite"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(method, array, message):
    with pytest.raises(ValueError, match=message):
        getattr(hebt.Projector([-10, 0, 10], 5), method)(array)


@pytest.mark.parametrize("array", [np.ones((5, 5), complex), np.full((5, 5), "a")])
def test_arrays_that_are_not_real_are_refused(array):
    with pytest.raises(TypeError, match="x holds values of type"):
        hebt.Projector([0], 5).forward(array)


def test_common_tilts_are_found_in_any_order():
    first, second = hebt.common_tilts([-60, 10, 0, 33.0], [33.04, 0, 5, -60, 60, 0.01])
    assert first.tolist() == [0, 2, 3] and second.tolist() == [3, 1, 0]
    # the nearest pairs; no tilt is used twice
    first, second = hebt.common_tilts([1, 2, 3], [2.7, 3.1], within=0.8)
    assert first.tolist() == [1, 2] and second.tolist() == [0, 1]
    first, second = hebt.common_tilts(np.arange(-70, 71, 10), np.linspace(-70, 70, 29))
    assert len(first) == 15
    with pytest.raises(ValueError, match="no tilt in common within 0.05"):
        hebt.common_tilts([0, 10], [1, 11])
    with pytest.raises(ValueError, match="within is -1"):
        hebt.common_tilts([0], [0], within=-1)


def test_tilts_that_come_twice_have_the_partners_of_their_own_order():
    """Also in long lists, with others as near that a tilt between could be taken for either."""
    angles = np.repeat(np.arange(-60, 61, 3.0), 2)
    others = np.sort([*angles, 0.04])
    first, second = hebt.common_tilts(angles, others)
    assert first.tolist() == list(range(len(angles)))
    assert second.tolist() == np.flatnonzero(others != 0.04).tolist()


def test_astra_is_not_needed(monkeypatch):
    monkeypatch.setitem(sys.modules, "astra", None)
    assert hebt.Projector([0, 30], 5).forward(np.ones((5, 5))).shape == (2, 5)


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_in_one_share_of_the_work_ends_it_and_is_told(threads, monkeypatch):
    monkeypatch.setattr(threads_module, "threads", lambda: threads)
    started = []

    def work(number):
        started.append(number)
        if number == 3:
            raise ArithmeticError("share 3")
        time.sleep(0.001)

    with pytest.raises(ArithmeticError, match="share 3"):
        run(work, [(n,) for n in range(1000)])
    assert 3 in started and len(started) < 1000


def test_all_shares_of_the_work_are_done_once(monkeypatch):
    monkeypatch.setattr(threads_module, "threads", lambda: 2)
    done = []
    run(done.append, [(n,) for n in range(1000)])
    assert sorted(done) == list(range(1000))


def test_work_may_be_shared_within_work_and_from_many_threads(monkeypatch):
    monkeypatch.setattr(threads_module, "threads", lambda: 3)
    done = []

    def outer(number):
        run(lambda inner: done.append((number, inner)), [(n,) for n in range(20)])

    shares = outer, [(n,) for n in range(20)]
    callers = [threading.Thread(target=run, args=shares, daemon=True) for _ in "abcd"]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
        assert not caller.is_alive(), "they wait for each other"
    expected = [(a, b) for a in range(20) for b in range(20)]
    assert sorted(done) == sorted(4 * expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_has_threads_of_its_own(monkeypatch):
    monkeypatch.setattr(threads_module, "threads", lambda: 3)
    seen = set()

    def work(number):
        seen.add(threading.get_ident())
        barrier.wait(60)  # so that each share needs a thread of its own

    barrier = threading.Barrier(3)
    run(work, [(n,) for n in range(3)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads
        child = os.fork()
    if child == 0:
        try:
            seen.clear()
            barrier = threading.Barrier(3)
            run(work, [(n,) for n in range(3)])
            os._exit(len(seen))
        finally:
            os._exit(99)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3


def peak_of(slices, size, angles):
    """The most memory that a run took beside its input, and the sizes of input and output."""
    W = hebt.Projector(angles, size)
    p = W.forward(np.random.default_rng(0).random((slices, size, size), np.float32))
    hebt.sirt(W, p[:, :1], iterations=1, progress=False, device="cpu")  # compiled; sums known
    tracemalloc.start()
    try:
        x = hebt.sirt(W, p, iterations=2, progress=False, device="cpu")
        return tracemalloc.get_traced_memory()[1], p.nbytes, x.nbytes
    finally:
        tracemalloc.stop()


def test_a_volume_takes_no_more_memory_than_two_and_a_half_times_its_input_and_output():
    peak, given, result = peak_of(64, 96, np.linspace(-75, 75, 31))
    assert peak + given <= 2.5 * (given + result)


@pytest.mark.parametrize("slices", [1, FEW])
def test_a_few_slices_are_worked_on_in_little_memory(slices):
    """A copy of x, and one of the projections for each lane, longer by the way of the lanes."""
    peak, given, result = peak_of(slices, 128, np.linspace(-75, 75, 31))
    assert peak + given <= 2.5 * (given + result) + 1.2 * result + 16 * 1.6 * given


def test_what_is_kept_between_calls_is_small_and_no_call_sees_what_another_left():
    rng, W = np.random.default_rng(5), hebt.Projector([-50, 0.0, 33], 40)
    x, p = rng.random((2, 40, 40)), rng.random((3, 2, 40))
    before = W.forward(x), W.backward(p)
    for array in arrays._kept.values():
        array[:] = np.nan
    np.testing.assert_array_equal(W.forward(x), before[0])
    np.testing.assert_array_equal(W.backward(p), before[1])
    large = hebt.Projector(np.arange(-70, 71, 2.0), 257)
    large.forward(np.ones((FEW, 257, 257)))
    large.backward(np.ones((71, FEW, 257)))
    assert sum(array.nbytes for array in arrays._kept.values()) <= 2 << 24


def test_projections_side_by_side_do_not_disturb_each_other():
    rng = np.random.default_rng(6)
    W, images = hebt.Projector([-60, -11, 0, 45, 80], 50), rng.random((20, 50, 50))
    expected = [(W.forward(x), W.backward(W.forward(x))) for x in images]
    with ThreadPoolExecutor(4) as pool:
        own = list(pool.map(lambda x: (W.forward(x), W.backward(W.forward(x))), images))
    for pair, other in zip(own, expected, strict=True):
        np.testing.assert_array_equal(pair[0], other[0])
        np.testing.assert_array_equal(pair[1], other[1])
