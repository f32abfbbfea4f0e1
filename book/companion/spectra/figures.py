"""Figures of the chapter on the spectra."""

import numpy as np

from hebt import prepare

from ..spectrum import name_peaks, shade_window
from ..style import ELEMENT_COLOR, WIDTH, length_bar, log_ticks, panel, styled, subplots, title
from .settings import ELEMENTS, WINDOWS
from .tables import PARTICLE_NAME

_RAW, _DENOISED = "black", "#009E73"
_PEAKS = {"C K": 0.28, "Cu L": 0.93, "Au M": 2.15, "Ag L": 2.99}  # keV
_PEAKS |= {"Cu Kα": 8.04, "Cu Kβ": 8.90, "Au Lα": 9.71, "Au Lβ": 11.44}
# Okabe and Ito's colors, with a marker and a line style each: what, line, color
_ALIGNED = {
    "before": ("before", "x:", "0.55"),
    "correlated": ("cross-correlation", "s--", "#D55E00"),
    "refined": ("center of mass", "o-", "#0072B2"),
}
_CHANNELS = {
    "peaks": ("near Au and Ag peaks", "o-", "#0072B2"),
    "copper": ("Cu channels as well", "s--", "#D55E00"),
    "unscaled": ("Cu as well, not scaled for noise", "^:", "#CC79A7"),
    "plain": ("near Au and Ag peaks, not scaled", "v-.", "#009E73"),
}


@styled
def plot_recorded(acquisition, series, tilt: float):
    """Show what the microscope records at one tilt: HAADF, and counts in the windows of Au, Ag."""
    (place,) = np.flatnonzero(acquisition.angles == tilt)
    figure, axes = subplots(1, 3, 2.5, width=1.1 * WIDTH)
    panel(axes[0], acquisition.haadf[place], name="HAADF", unit="intensity", kind="haadf")
    length_bar(axes[0], acquisition.settings.size, acquisition.voxel_size)
    for ax, element, image in zip(axes[1:], ELEMENTS, series.steps.raw_maps[:, place]):
        panel(ax, image, name=element, unit="X-ray counts", kind="counts", limits=_limits(image))
    return figure


def _limits(image):
    return 0, max(float(np.percentile(image, 99.7)), 1e-6)


@styled
def plot_damping(series):
    """Show how the damping is estimated, and what its correction does."""
    figure, axes = subplots(1, 2, 3.0)
    ax, found, true = axes[0], series.steps.damping, series.settings.saturation
    shown = np.isfinite(found.tried) & (found.tried < 3 * true)
    ax.plot(found.tried[shown], 100 * found.spread[shown], color="#0072B2")
    estimated = f"estimated: {found.saturation:.3f}"
    ax.axvline(found.saturation, color="#0072B2", linestyle="--", label=estimated)
    ax.axvline(true, color="black", linestyle=":", label=f"true: {true:g}")
    ax.set(xlabel="saturation S tried", ylabel="change over the tilts (%)")
    ax.legend()
    title(ax, "row sums after the correction", "a")

    ax, ideal = axes[1], series.ideal
    top = float(ideal.max())
    ax.plot((0, top), (0, top), color="0.6", linewidth=1)
    # pixels of the recorded images have drifted; moved back as the alignment says
    aligned = prepare.apply_shifts(series.steps.recorded, series.steps.refined)
    for images, name, color, marker in (
        (aligned, "recorded", "#D55E00", "s"),
        (series.haadf, "corrected", "#0072B2", "o"),
    ):
        middle, low, high = _binned(ideal, images, np.linspace(0.02 * top, top, 16))
        look = {"color": color, "marker": marker, "markersize": 4, "linestyle": "none"}
        ax.errorbar(*middle, yerr=(low, high), linewidth=1, label=name, **look)
    ax.set(xlabel="intensity without damping", ylabel="intensity")
    ax.legend()
    title(ax, "intensity and thickness", "b")
    return figure


def _binned(x, y, edges):
    """Medians and 16 to 84 % ranges of y in bins of x: ((x, y), below, above)."""
    place = np.digitize(x.ravel(), edges)
    rows = []
    for i in range(1, len(edges)):
        here = place == i
        if here.sum() > 20:
            low, mid, high = np.percentile(y.ravel()[here], (16, 50, 84))
            rows.append((x.ravel()[here].mean(), mid, mid - low, high - mid))
    at, mid, low, high = np.array(rows).T
    return (at, mid), low, high


@styled
def plot_alignment(series):
    """Show what drift was left by each way of alignment, along and across the tilt axis."""
    figure, axes = subplots(1, 2, 3.0, sharey=True)
    left = series.drift_left()
    for name, (what, line, color) in _ALIGNED.items():
        look = {"color": color, "markersize": 3.5, "linewidth": 1.1}
        for ax, drift in zip(axes, left[name].T, strict=True):
            label = f"{what}: RMS {np.sqrt((drift**2).mean()):.3f}"
            ax.plot(series.angles, drift, line, label=label, **look)
    for ax, mark, name in zip(axes, "ab", ("along the tilt axis", "across it"), strict=True):
        title(ax, name, mark)
        ax.set(xlabel="tilt (degrees)")
        ax.legend()
    axes[0].set_ylabel("drift that is left (pixels)")
    # room for the legend above the curves
    low, high = axes[0].get_ylim()
    axes[0].set_ylim(low, high + 0.35 * (high - low))
    return figure


@styled
def figure2(study):
    """Draw Figure 2: the spectrum (a), and a part of it before and after denoising (b)."""
    figure, axes = subplots(2, 1, 6.2, height_ratios=(1.15, 1))
    _whole_spectrum(axes[0], study)
    _near_the_peaks(axes[1], study)
    return figure


def _whole_spectrum(ax, study):
    """The spectrum of one tilt with its peaks, the windows, and a map before and after."""
    shown = study.energies < 13
    energies, thousands = study.energies[shown], study.spectrum[shown] / 1e3
    ax.plot(energies, thousands, color=_RAW, linewidth=1)
    top = thousands.max()
    ax.set(xlim=(0, 13), ylim=(0, 1.12 * top))
    ax.set(xlabel="energy (keV)", ylabel="thousand counts per channel")
    name_peaks(ax, energies, thousands, _PEAKS, fontsize=8)
    box = {"facecolor": "#F0E442", "edgecolor": "#8C6D1F", "alpha": 0.6, "zorder": 0}
    for window in WINDOWS:
        for low, high in window.peaks:
            height = 1.35 * thousands[(energies >= low) & (energies <= high)].max() + 0.02 * top
            ax.bar(low, height, high - low, align="edge", linewidth=1, **box)
    title(ax, f"spectrum of all pixels at {study.angle:g}°".replace("-", "−"), "a")
    before = study.raw[0]
    after = study.maps["peaks"][study.components.index(study.settings.components), 0]
    limits = _limits(after)
    for place, image, name in ((0.3, before, "Au, before"), (0.445, after, "Au, after")):
        inset = ax.inset_axes((place, 0.45, 0.135, 0.5))
        inset.imshow(image, cmap="viridis", vmin=limits[0], vmax=limits[1])
        inset.set_title(name, fontsize=8)
        inset.set(xticks=[], yticks=[])


def _near_the_peaks(ax, study):
    """A part of the spectrum before and after denoising, with the windows of the maps."""
    ax.axis("off")
    energies = study.energies[study.kept]
    gap = int(np.argmax(np.diff(energies))) + 1
    left, right = ax.inset_axes((0, 0, 0.66, 1)), ax.inset_axes((0.74, 0, 0.26, 1))
    denoised = f"{study.settings.components} components"
    for inset, part in ((left, slice(0, gap)), (right, slice(gap, None))):
        x, raw = energies[part], study.region_raw[part]
        inset.plot(x, raw, color=_RAW, linewidth=0.8, drawstyle="steps-mid", label="as recorded")
        inset.plot(x, study.region_denoised[part], color=_DENOISED, linewidth=1.6, label=denoised)
        inset.set(xlim=inset.get_xlim(), ylim=(0, inset.get_ylim()[1]), xlabel="energy (keV)")
        for window in WINDOWS:
            shade_window(inset, window, ELEMENT_COLOR[window.name], 0.05)
    left.set_ylabel("counts per channel")
    left.legend(loc="upper right")
    title(left, "spectrum of a small square of pixels, near the peaks", "b")


@styled
def plot_scree(study):
    """Show the share of each component in the variance, and the spectra of the first three."""
    figure, axes = subplots(1, 2, 3.3, width_ratios=(1, 1.25))
    ax = axes[0]
    for name, found in study.found.items():
        what, line, color = _CHANNELS[name]
        look = {"label": what, "color": color, "markersize": 3.5, "linewidth": 1}
        ax.semilogy(range(1, 31), found.variance[:30], line, **look)
    ax.axvline(study.settings.components + 0.5, ymax=0.72, color="0.4", linewidth=1)
    ax.set(xlabel="component", ylabel="share of the variance")
    ax.legend(fontsize=7)
    title(ax, "scree plot", "a")
    ax = axes[1]
    for row, (name, found) in enumerate(study.found.items()):
        order = np.argsort(found.energies)
        energies = found.energies[order]
        # a gap in the channels is a gap in the line
        gaps = np.flatnonzero(np.diff(energies) > 0.05) + 1
        for k, color in enumerate(("#0072B2", "#D55E00", "#009E73")):
            values = found.factors[k][order] / np.abs(found.factors[k]).max() - 2.4 * row
            x, values = (np.insert(v, gaps, np.nan) for v in (energies, values))
            label = f"component {k + 1}" if row == 0 else None
            ax.plot(x, values, color=color, linewidth=1, label=label)
        ax.text(4.15, -2.4 * row + 0.55, _CHANNELS[name][0], fontsize=7)
    ax.set(xlabel="energy (keV)", yticks=[], ylim=(-8.6, 2.2))
    ax.legend(ncols=3, fontsize=7, loc="upper center")
    title(ax, "first three components", "b")
    return figure


@styled
def plot_component_errors(study):
    """Show how far the maps are from the truth, over the number of components."""
    figure, axes = subplots(1, 2, 3.0, sharey=True)
    for e, (ax, element) in enumerate(zip(axes, ELEMENTS, strict=True)):
        for name, errors in study.smoothed_errors.items():
            what, line, color = _CHANNELS[name]
            look = {"label": what, "color": color, "markersize": 4, "linewidth": 1.2}
            ax.plot(study.components, 100 * errors[:, e], line, **look)
        without = 100 * study.raw_smoothed_errors[e]
        ax.axhline(without, color="0.4", linewidth=1, label="not denoised")
        ax.set(xscale="log", yscale="log", xlabel="components kept")
        ax.set_xticks(study.components, [str(c) for c in study.components])
        ax.minorticks_off()
        log_ticks(ax.yaxis, (1, 2, 3, 5))
        title(ax, element, "ab"[e])
    axes[0].set_ylabel("error of the smoothed map (%)")
    axes[1].legend(fontsize=7)
    return figure


@styled
def plot_response(*all_series):
    """Show the counts in all maps over the tilt, and after the normalization."""
    figure, (axes,) = subplots(1, len(all_series), 2.9, sharey=True, squeeze=False)
    for ax, mark, series in zip(axes, "abcd", all_series, strict=False):
        steps = series.steps
        ax.plot(series.angles, steps.true_response, color="0.6", linewidth=3, label="true response")
        for what, both, lines, width in (
            ("recorded", steps.denoised, ("o-", "s-"), 1),
            ("normalized", series.maps, ("--", "--"), 1.4),
        ):
            for element, maps, line in zip(ELEMENTS, both, lines, strict=True):
                look = {"color": ELEMENT_COLOR[element], "label": f"{element}, {what}"}
                total = maps.sum(axis=(1, 2), dtype=np.float64)
                total /= total.mean()
                ax.plot(series.angles, total, line, markersize=3.5, linewidth=width, **look)
        ax.set(xlabel="tilt (degrees)")
        title(ax, PARTICLE_NAME[series.settings.particle], mark)
    axes[0].set_ylabel("total counts, relative to their mean")
    lines = axes[0].get_legend_handles_labels()
    figure.legend(*lines, loc="outside lower center", ncols=5, fontsize=7)
    return figure


@styled
def figure3(*all_series, tilts=(-75.0, 30.0)):
    """Draw Figure 3: maps of Au and Ag, HAADF, and the weighted sum of the maps."""
    rows = len(all_series)
    figure, axes = subplots(rows, 4, 2.15 * rows, width=1.25 * WIDTH, squeeze=False)
    marks = iter("abcdefgh")
    for row, series, tilt in zip(axes, all_series, tilts, strict=True):
        place = int(np.abs(series.angles - tilt).argmin())
        maps, haadf = series.maps[:, place], series.haadf[place]
        counts = {"unit": "counts", "kind": "counts"}
        bright = {"unit": "intensity", "kind": "haadf", "limits": _limits(haadf)}
        for ax, element, image in zip(row, series.elements, maps, strict=False):
            name = f"{element} at {series.angles[place]:g}°".replace("-", "−")
            panel(ax, image, name=name, mark=next(marks), limits=_limits(image), **counts)
        predicted = series.fit.predict(maps)
        panel(row[2], haadf, name="HAADF", mark=next(marks), **bright)
        panel(row[3], predicted, name="weighted sum", mark=next(marks), **bright)
        length_bar(row[0], series.settings.size, series.voxel_size)
    return figure
