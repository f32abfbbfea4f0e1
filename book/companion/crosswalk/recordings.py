"""What is found for the microscope, its recordings and their processing (section 3.2)."""

from __future__ import annotations

import numpy as np

import hebt
from hebt import prepare

from ..tables import agreement, signed
from .found import CANNOT, RULE, Found, each, of_flags, of_words, percent
from .rows import Row

NOISY = 0.25  # of a map: more is very noisy
CORRELATED = 0.99  # with an image without noise
THIN = 0.05  # share of X-rays: a specimen that absorbs less of them is a thin film


def _kept(study):
    return study.components.index(study.settings.components)


def denoised_maps(row: Row, results) -> Found:
    """Say how principal components change the errors of the maps of one tilt."""
    study = results.spectrum
    before, after = study.raw_errors, study.errors["peaks"][_kept(study)]
    text = each(f"{percent(b)} to {percent(a)}" for b, a in zip(before, after))
    return Found(
        row.value, f"error from {text}", "smaller for both", of_flags((after < before).all())
    )


def denoised_spectrum(row: Row, results) -> Found:
    """Compare the counts of a denoised spectrum with those recorded."""
    study = results.spectrum
    raw = study.region_raw.sum()
    off = study.region_denoised.sum() / raw - 1
    limit = max(0.05, 2 / np.sqrt(raw))
    text = f"its counts differ by {signed(100 * off)}"
    return Found(row.value, text, "2 s.d. or 5 %", of_flags(abs(off) <= limit))


def noisy_maps(row: Row, results) -> Found:
    """Show how wrong denoised maps are, before they are smoothed."""
    errors = [s.errors["peaks"][_kept(s)] for s in (results.spectrum, results.alloy_spectrum)]
    first, second = (each(percent(e) for e in one) for one in errors)
    return Found(
        row.value,
        f"error {first}; alloy {second}",
        f"above {percent(NOISY)}",
        of_flags(np.min(errors) > NOISY),
    )


def haadf_images(row: Row, results) -> Found:
    """Compare the HAADF images of Figure 3 with those without noise, damping and drift."""
    found = []
    for which, angle in (("nonalloy", -75), ("alloy", 30)):
        series = results.series[which]
        tilt = int(np.abs(series.angles - angle).argmin())
        pair = (images[tilt].ravel() for images in (series.haadf, series.ideal))
        found.append(float(np.corrcoef(*pair)[0, 1]))
    text = f"correlation with images without noise {found[0]:.4f}; alloy {found[1]:.4f}"
    return Found(row.value, text, f"{CORRELATED:g}", of_flags(min(found) >= CORRELATED))


def copper(row: Row, results) -> Found:
    """Say what the copper's channels do to the components of the alloy."""
    mixing = results.alloy_spectrum.mixing
    with_it, without = (mixing[name].worst for name in ("unscaled", "plain"))
    scaled = mixing["copper"].worst
    return Found(
        row.value,
        f"the alloy's maps mix {percent(with_it)} with copper and {percent(without)} without; "
        f"scaled for noise {percent(scaled)} with it",
        "twice as much with copper",
        of_flags(with_it > 2 * without, with_it > without),
    )


def _pixels(results, name):
    """Root mean square of the drift left, in pixels, the larger of both directions."""
    left = [results.series[w].drift_left()[name] for w in ("nonalloy", "alloy")]
    return [float(np.sqrt((one**2).mean(axis=0)).max()) for one in left]


def alignment(row: Row, results) -> Found:
    """Show what cross-correlation and the center of mass leave of the drift."""
    correlated, refined = _pixels(results, "correlated"), _pixels(results, "refined")
    return Found(
        row.value,
        f"leaves {correlated[0]:.2f} pixels, alloy {correlated[1]:.2f}; "
        f"the center of mass {refined[0]:.2f} and {refined[1]:.2f}",
        "1 pixel, root mean square",
        of_flags(max(correlated) < 1),
    )


def map_alignment(row: Row, results) -> Found:
    """Show what the alignment of the maps leaves of their drift."""
    left = _pixels(results, "maps")
    text = f"leaves {left[0]:.2f} pixels, alloy {left[1]:.2f}"
    return Found(row.value, text, "1 pixel, root mean square", of_flags(max(left) < 1))


def damping(row: Row, results) -> Found:
    """Compare the saturation that was found with the true one."""
    all_series = results.series.values()
    found = [series.steps.damping.saturation for series in all_series]
    true = [series.settings.saturation for series in all_series]
    words = [agreement(t, f) for t, f in zip(true, found, strict=True)]
    text = f"saturation {found[0]:.2f}, alloy {found[1]:.2f}; true {true[0]:g}"
    return Found(row.value, text, RULE, of_words(words))


def detectors(row: Row, results) -> Found:
    """Say how many detectors are on: those of absorption, against pairs on the open side."""
    angles = np.array([-60.0, 30.0, 60.0])
    W, density = hebt.Projector(angles, 8), np.zeros((1, 8, 8, 8))
    density[0, 1:6, 2:7, 1:4] = 19300

    def left(**azimuths):
        options = {"voxel_size": 10, **azimuths}
        return prepare.absorption_factors(W, density, ["Au"], ["Au_Ma"], **options)

    pairs = [(135, 225) if angle < 0 else (45, 315) for angle in angles]
    same = np.allclose(left(), left(azimuths=pairs))
    text = "2 on at each tilt, on the side towards which it is tilted" if same else "others"
    return Found(row.value, text, "the same", of_flags(same))


def shadowing(row: Row, results) -> Found:
    """Show what the shadow of the holder takes, and how well it is taken out of the maps."""
    steps = [series.steps for series in results.series.values()]
    lost = 1 - min((s.true_response / s.true_response.max()).min() for s in steps)
    off = max(float(np.abs(s.response / s.true_response - 1).max()) for s in steps)
    return Found(
        row.value,
        f"up to {percent(lost)} is lost with two detectors on; taken out to {percent(off, '.1f')}",
        "none: all four on are not simulated",
        CANNOT,
    )


def absorption(row: Row, results) -> Found:
    """Show what both particles absorb of the X-rays that are mapped."""
    first, second = (results.absorption[w].loss for w in ("nonalloy", "alloy"))
    return Found(
        row.value,
        f"up to {percent(first.max(), '.1f')} of a peak is absorbed; alloy "
        f"{percent(second.max(), '.1f')}",
        f"{percent(THIN)} in both; in kind: in the alloy",
        of_flags(max(first.max(), second.max()) < THIN, second.max() < THIN),
    )


def absorption_corrected(row: Row, results) -> Found:
    """Show the errors of the ratios with absorption, and after one correction."""
    texts, flags = [], []
    for study in results.absorption.values():
        before, after = study.ratios[1], study.ratios[2]
        texts.append(each(f"{signed(100 * b)} to {signed(100 * a)}" for b, a in zip(before, after)))
        flags.append(np.abs(after) < np.abs(before))
    text = f"errors of r from {texts[0]}; alloy {texts[1]}"
    return Found(row.value, text, "smaller in each", of_flags(np.all(flags)))


FINDERS = {
    function.__name__: function
    for function in (
        denoised_maps,
        denoised_spectrum,
        noisy_maps,
        haadf_images,
        copper,
        alignment,
        map_alignment,
        damping,
        detectors,
        shadowing,
        absorption,
        absorption_corrected,
    )
}
