import numpy as np
import pytest

from companion import particles

GOLD, SILVER = (1.0, 0.8, 0.1), (0.3, 0.6, 0.9)


def brick(n=24):
    """A body without any symmetry: two bricks of different size side by side."""
    body = np.zeros((n, n, n), np.float32)
    body[4:20, 6:12, 5:20] = 1
    body[4:9, 12:20, 5:9] = 1
    return body


def test_nothing_is_white():
    empty = np.zeros((2, 16, 16, 16))
    assert (particles.render(empty, [GOLD, SILVER], [0.5, 0.5], width=20) == 255).all()


def test_an_opaque_body_hides_what_is_behind():
    volumes = np.zeros((2, 24, 24, 24), np.float32)
    volumes[0, 6:18, 2:8, 6:18] = 1  # half of the ray's way
    volumes[1, 6:18, 16:22, 6:18] = 1
    one = particles.render(volumes, [GOLD, SILVER], [0.99, 0.99], width=24)[12, 12].astype(int)
    two = particles.render(volumes[::-1], [SILVER, GOLD], [0.99, 0.99], width=24)[12, 12]
    other = particles.render(volumes, [GOLD, SILVER], [0.99, 0.99], turn=180, width=24)[12, 12]
    assert (one == two).all()  # the order of the materials does not matter
    blue = {tuple(p) for p in (one, other) if p[2] > p[0]}
    yellow = {tuple(p) for p in (one, other) if p[2] < p[0]}
    assert len(blue) == len(yellow) == 1


@pytest.mark.parametrize("quarter", [1, 2, 3])
def test_turning_the_view_equals_turning_the_body(quarter):
    body = brick()[None]
    light = particles.render(body, [GOLD], [0.2], turn=90 * quarter, width=24).astype(int)
    turned = [
        particles.render(np.rot90(body, k, axes=(2, 3)), [GOLD], [0.2], width=24).astype(int)
        for k in (quarter, -quarter)
    ]
    difference = [np.abs(light - t).mean() for t in turned]
    assert min(difference) < 1.0
    if quarter != 2:  # the sense of rotation is one, not both
        assert max(difference) > 3.0


def test_the_tilt_axis_is_vertical():
    body = np.zeros((1, 24, 24, 24), np.float32)
    body[0, 2:6, 8:16, 8:16] = 1  # first slices
    picture = particles.render(body, [GOLD], [0.9], width=24)
    rows = np.flatnonzero((picture < 250).any(axis=(1, 2)))
    assert rows.max() < 8


def test_more_opacity_takes_more_light():
    body = brick()[None]
    darkness = [
        (255 - particles.render(body, [SILVER], [o], width=24).astype(int)).sum()
        for o in (0.01, 0.05, 0.3)
    ]
    assert darkness[0] < darkness[1] < darkness[2]


def middle_of(picture):
    rows, columns = np.nonzero((picture < 250).any(axis=-1))
    return rows.mean() - (len(picture) - 1) / 2, columns.mean() - (len(picture) - 1) / 2


def test_what_is_in_front_moves_with_the_reader_and_down_when_seen_from_above():
    volumes = np.zeros((2, 24, 24, 24), np.float32)
    volumes[0, 8:16, 2:6, 8:16] = 1
    volumes[1, 8:16, 18:22, 8:16] = 1
    seen = particles.render(volumes, [GOLD, SILVER], [0.99, 0.99], width=24)[12, 12].astype(int)
    front = volumes[:1] if seen[0] > seen[2] else volumes[1:]
    turned = particles.render(front, [GOLD], [0.99], turn=30, width=24)
    tipped = particles.render(front, [GOLD], [0.99], tip=30, width=24)
    assert middle_of(turned)[1] > 2 and abs(middle_of(turned)[0]) < 0.5
    assert middle_of(tipped)[0] > 2 and abs(middle_of(tipped)[1]) < 0.5


def test_a_cut_plane_takes_away_what_is_in_front_of_it():
    volumes = np.zeros((2, 24, 24, 24), np.float32)
    volumes[:, 6:18, 6:18, 6:18] = np.array([0.25, 0.75])[:, None, None, None]
    colors = [(1.0, 0.0, 0.0), (0.0, 0.0, 1.0)]

    def render(depth, **options):
        return particles.render(volumes, colors, [0.1, 0.1], width=24, depth=depth, **options)

    whole, far = render(None), render(-30.0)
    assert (whole == far).all(), "a plane before everything cuts nothing"
    assert (render(30.0) == 255).all(), "a plane behind everything leaves nothing"
    # on the cut face colors mix by density, whatever the opacity
    assert render(0.0)[12, 12].tolist() == [64, 0, 191]
    assert (render(0.0, turn=35, tip=20)[12, 12] == render(0.0)[12, 12]).all()


def test_a_section_is_the_plane_of_the_volume():
    volumes = np.random.default_rng(0).random((2, 9, 9, 9)).astype(np.float32)
    for k, depth in enumerate((-2.0, 0.0, 3.0)):
        found = particles.section(volumes, depth=depth, width=9)
        plane = {i for i in range(9) if np.allclose(found[:, :8, :8], volumes[:, :8, i, :8])}
        assert plane == {4 - int(depth)}, k
    # turned by a quarter, it is the other plane, seen from that side
    found = particles.section(volumes, turn=90, width=9)[:, 1:8, 1:8]
    other = volumes[:, 1:8, 1:8, 4]
    assert np.allclose(found, other, atol=1e-4) or np.allclose(found, other[..., ::-1], atol=1e-4)


def test_bad_input_is_refused():
    body = brick()[None]
    with pytest.raises(ValueError, match=r"expected \(materials, n, n, n\)"):
        particles.render(body[:, :5], [GOLD], [0.5])
    with pytest.raises(ValueError, match="colors has shape"):
        particles.render(body, [GOLD, SILVER], [0.5])
    with pytest.raises(ValueError, match="opacities has values"):
        particles.render(body, [GOLD], [1.5])
    with pytest.raises(ValueError, match="edges is"):
        particles.render(body, [GOLD], [0.5], edges=(0.7, 0.3))
