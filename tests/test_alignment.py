"""Noisy maps onto their HAADF images, against known shifts and the Cramér-Rao bound."""

import numpy as np
import pytest
from scipy import ndimage

from hebt import prepare

TILTS, SIZE, BACKGROUND = 60, 64, 0.05


def blobs(shifts, peak):
    """Counts that are expected of two blobs, (tilts, size, size), which change with the tilt."""
    at = np.arange(SIZE) - (SIZE - 1) / 2
    images = np.full((len(shifts), SIZE, SIZE), BACKGROUND)
    for i, (along, across) in enumerate(shifts):
        for y, x, high, wide in ((-5, 3 * np.cos(0.1 * i), 6, 8), (9, -6, 4, 5)):
            rows = np.exp(-(((at - y - along) / high) ** 2) / 2)
            images[i] += peak * np.outer(rows, np.exp(-(((at - x - across) / wide) ** 2) / 2))
    return images


def recorded(size, peak, seed):
    """The reference, counts that have drifted further, and this drift."""
    rng = np.random.default_rng(seed)
    drift = rng.normal(0, size, (TILTS, 2))
    reference = 0.2 * (blobs(np.zeros((TILTS, 2)), peak) - BACKGROUND)
    return reference, rng.poisson(blobs(drift, peak)), drift


def rms(values):
    return np.sqrt(np.mean(np.square(values), axis=0))


def bound(drift, peak):
    """Cramér-Rao bound of the shift along each axis, (tilts, 2): no unbiased estimate is better."""
    expected, step = blobs(drift, peak), 1e-3
    slopes = [(blobs(drift + step * e, peak) - expected) / step for e in np.eye(2)]
    information = np.einsum("aiyx,biyx,iyx->iab", slopes, slopes, 1 / expected)
    return np.sqrt(np.diagonal(np.linalg.inv(information), axis1=1, axis2=2))


@pytest.mark.parametrize("peak", [0.5, 2.0, 20.0])
def test_counts_are_aligned_as_well_as_can_be_and_the_errors_are_true(peak):
    reference, counts, drift = recorded(1.5, peak, seed=1)
    found = prepare.estimate_shifts_to(reference, counts)
    left = found.shifts + drift
    assert (rms(left) < 1.2 * rms(bound(drift, peak))).all()
    np.testing.assert_allclose(rms(left / found.errors), 1, atol=0.3)
    np.testing.assert_allclose(rms(found.errors) / rms(left), 1, atol=0.3)
    np.testing.assert_allclose(found.spread, drift.std(axis=0), rtol=0.1)


@pytest.mark.parametrize("seed", range(3))
def test_errors_hold_where_maps_were_smoothed(seed):
    reference, counts, drift = recorded(0.7, 1.0, seed)
    smoothed = prepare.smooth(counts, width=6, sigma=2, axis=(-2, -1))
    found = prepare.estimate_shifts_to(reference, smoothed)
    np.testing.assert_allclose(rms((found.shifts + drift) / found.errors), 1, atol=0.3)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("peak", [0.5, 5.0])
def test_errors_hold_where_nothing_surrounds_the_particle(peak, seed):
    rng = np.random.default_rng(seed)
    drift = rng.normal(0, 0.5, (TILTS, 2))
    counts = rng.poisson(np.maximum(blobs(drift, peak) - BACKGROUND - 0.05 * peak, 0))
    reference = np.maximum(blobs(0 * drift, peak) - BACKGROUND - 0.05 * peak, 0)
    found = prepare.estimate_shifts_to(reference, counts)
    assert np.sqrt(np.mean(((found.shifts + drift) / found.errors) ** 2)) < 1.2


@pytest.mark.parametrize(("size", "peak", "tilts"), [(0.15, 1.0, 30), (0.25, 0.5, 20)])
def test_errors_hold_where_noise_hides_how_much_drifted(size, peak, tilts):
    """How much the tilts differ is hardly known there, and that is part of the errors."""
    apart = []
    for seed in range(12):
        reference, counts, drift = (part[:tilts] for part in recorded(size, peak, seed))
        found = prepare.estimate_shifts_to(reference, counts)
        apart.append((found.shifts + drift) / found.errors)
    assert 0.7 < np.sqrt(np.mean(np.square(apart))) < 1.2


def test_images_of_one_scan_are_hardly_moved():
    """Where nothing drifted further, noise is not taken for drift."""
    reference, counts, drift = recorded(0.0, 0.5, seed=2)
    found = prepare.estimate_shifts_to(reference, counts)
    noise = rms(bound(drift, 0.5))
    assert (rms(found.shifts) < 0.5 * noise).all() and (found.spread < 0.75 * noise).all()
    # without the mean's own error, which all tilts share, hardly anything is left
    assert (found.errors.min(axis=0) > 0.9 * noise / np.sqrt(TILTS)).all()


def test_a_tilt_that_shows_nothing_takes_the_mean_of_the_others():
    reference, counts, drift = recorded(0.7, 20.0, seed=3)
    drift += [2.0, -1.0]
    counts = np.random.default_rng(3).poisson(blobs(drift, 20.0))
    counts[7] = np.random.default_rng(4).poisson(BACKGROUND, counts[7].shape)
    counts[8] = 0
    found = prepare.estimate_shifts_to(reference, counts)
    others = np.delete(drift, [7, 8], axis=0)
    np.testing.assert_allclose(
        found.shifts[7:9], -others.mean(axis=0)[None].repeat(2, 0), atol=0.02
    )
    np.testing.assert_allclose(found.errors[7:9], found.spread[None].repeat(2, 0), rtol=0.05)
    apart = np.delete((found.shifts + drift) / found.errors, [7, 8], axis=0)
    assert (np.abs(apart) < 4).all()


def test_shifts_of_many_pixels_brightness_and_offset_do_no_harm():
    shifts = np.array([[9.0, -7.0], [0.25, 4.5], [-3.0, 0.0], [0.0, 0.75]])
    reference = ndimage.gaussian_filter(np.random.default_rng(5).random((4, 64, 64)), (0, 3, 3))
    reference *= np.outer(np.hanning(64), np.hanning(64)) ** 2
    moved = prepare.apply_shifts(reference, -shifts, order=3)
    found = prepare.estimate_shifts_to(reference, 7 * moved + 3)
    np.testing.assert_allclose(found.shifts, shifts, atol=0.03)


def test_images_that_cannot_be_aligned_are_refused():
    reference, counts, _ = recorded(0.0, 2.0, seed=6)
    with pytest.raises(ValueError, match="expected the same"):
        prepare.estimate_shifts_to(reference[:2], counts)
    with pytest.raises(ValueError, match="reference has the same value in every pixel of tilt 1"):
        prepare.estimate_shifts_to(reference * (np.arange(TILTS) != 1)[:, None, None], counts)
    with pytest.raises(ValueError, match="images show nothing of reference at any tilt"):
        prepare.estimate_shifts_to(reference, np.zeros_like(counts))
    with pytest.raises(ValueError, match="reference has shape .*expected at least 3 pixels along"):
        prepare.estimate_shifts_to(reference[:, :1], counts[:, :1])
