"""A tilt series as one object, whose steps carry everything along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._checks import check_count
from .._method import Method
from ..prepare.haadf import correct_damping, estimate_damping, remove_offset
from ..prepare.images import check_shifts, crop_flat
from ..prepare.windows import EnergyWindow
from ..ratios import ResponseRatios
from ..result import Result
from . import _steps
from ._noise import Noise, known_noise, noise_fields


@dataclass(frozen=True, repr=False, eq=False)
class TiltSeries:
    """A HAADF and EDS tilt series, with what is needed to read its axes and what was done to it.

    Each step of `hebt.prepare` is a method, which returns a new series: maps, their variance and
    their parts go the way of the HAADF images, and `history` says what was done.

    Attributes
    ----------
    angles
        (tilts,), degrees, of the maps, and of the HAADF images unless `haadf_angles` is given.
    haadf
        (tilts, slices, size), as the detector gave it; the mean of frames, where there are many.
    maps
        (elements, tilts, slices, size), X-ray counts in the line less background.
    lines
        Names of the X-ray lines, one for each map: "O_Ka"; or of the elements, where nobody says
        which lines were counted.
    pixel_size
        Length of a pixel's side, in nm; None where it is not known.
    energies
        (channels,), keV, the centre of each channel; none, where maps came ready-made.
    spectra
        (tilts, channels), counts: the spectrum of each tilt, added up over its pixels.
    windows
        One `EnergyWindow` per line: which energies were counted, and which as background.
    angles_from
        Source of the tilts: "given", the "names" of the files, or the "stage" in their metadata.
    variance
        Shape of `maps`: the variance of each value, from `hebt.prepare.map_variance`.
    parts
        (parts, elements, tilts, slices, size): maps of equal random parts of the counts, which
        add up to `maps` and whose noise is independent; None if the counts were not split.
    part_variance
        Shape of `parts`: their variance.
    haadf_angles
        Degrees of the HAADF images, where they are not those of the maps; else None.
    haadf_pixel_size
        In nm, where it is not that of the maps; else None.
    shifts
        (tilts of haadf, 2), pixels along and across the tilt axis, by which images were moved so
        far; None if they were not.
    history
        What was done, in this order: for each step a mapping of its name, "step", and "settings".
    inputs
        Name of each file that was read, and its SHA-256.
    """

    angles: np.ndarray
    haadf: np.ndarray
    maps: np.ndarray
    lines: tuple[str, ...]
    pixel_size: float | None
    energies: np.ndarray
    spectra: np.ndarray
    windows: tuple[EnergyWindow, ...]
    angles_from: str = "given"
    variance: np.ndarray | None = None
    parts: np.ndarray | None = None
    part_variance: np.ndarray | None = None
    haadf_angles: np.ndarray | None = None
    haadf_pixel_size: float | None = None
    shifts: np.ndarray | None = None
    history: tuple[Mapping[str, Any], ...] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    _noise: Noise | None = None

    @classmethod
    def from_arrays(
        cls,
        haadf: ArrayLike,
        maps: ArrayLike | Mapping[str, ArrayLike] | None = None,
        *,
        angles: ArrayLike,
        elements: Sequence[str] | None = None,
        pixel_size: float | None = None,
        variance: ArrayLike | None = None,
        haadf_angles: ArrayLike | None = None,
        haadf_pixel_size: float | None = None,
    ) -> TiltSeries:
        """Make a tilt series of arrays, in rising order of the tilts.

        Parameters
        ----------
        haadf
            (tilts, slices, size).
        maps
            (elements, tilts, slices, size), X-ray counts; or one (tilts, slices, size) for each
            element, by name; None for HAADF alone.
        angles
            (tilts,), degrees.
        elements
            Names, where `maps` is an array.
        pixel_size
            Length of a pixel's side, in nm; None if it is not known.
        variance
            Of each value of `maps`, in their shape, where they are no raw counts.
        haadf_angles, haadf_pixel_size
            Of the HAADF images, where they are others than those of the maps.

        Returns
        -------
        TiltSeries

        Raises
        ------
        TypeError, ValueError
            If an argument does not fit the above.

        Examples
        --------
        >>> import hebt, numpy as np
        >>> images = np.ones((3, 4, 8))
        >>> maps = {"Au": images, "Ag": images}
        >>> series = hebt.io.TiltSeries.from_arrays(images, maps, angles=[-30, 0, 30], pixel_size=2)
        >>> series.bin(2).pixel_size
        4.0
        """
        return cls(
            **_steps.checked_arrays(
                haadf, maps, angles, elements, pixel_size, variance, haadf_angles, haadf_pixel_size
            )
        )

    @property
    def elements(self) -> tuple[str, ...]:
        """Names of the elements, one for each map: "O"."""
        return tuple(line.split("_")[0] for line in self.lines)

    def pick(self, *lines: str) -> TiltSeries:
        """Return the same series with the maps of these lines only, in this order.

        Parameters
        ----------
        *lines
            Names of X-ray lines that were mapped: "O_Ka".

        Returns
        -------
        TiltSeries
            The same series with these maps and windows alone.

        Raises
        ------
        ValueError
            If a line was not mapped, or none is given.
        """
        strange = [line for line in lines if line not in self.lines]
        if strange or not lines:
            raise ValueError(
                f"lines are {lines}; expected some of {', '.join(self.lines)}, which were mapped."
            )
        kept = [self.lines.index(line) for line in lines]
        changes: dict[str, Any] = {"lines": lines, "maps": self.maps[kept]}
        if self.windows:
            changes["windows"] = tuple(self.windows[i] for i in kept)
        if self.parts is not None:
            changes["parts"] = self.parts[:, kept]
        if self.variance is not None:
            changes |= noise_fields(known_noise(self).picked(kept))  # type: ignore[union-attr]
        return self._done("pick", {"lines": list(lines)}, **changes)

    def remove_offset(self, masks: ArrayLike | None = None) -> TiltSeries:
        """Return the series with HAADF images less the detector's black level.

        Parameters
        ----------
        masks
            As for `hebt.prepare.remove_offset`.

        Returns
        -------
        TiltSeries
            With other HAADF images.
        """
        haadf = remove_offset(self.haadf, masks)
        taken = np.median(np.asarray(self.haadf, np.float64) - haadf)
        settings = {"masks": masks is not None, "median": float(taken)}
        return self._done("remove_offset", settings, haadf=haadf)

    def correct_damping(self, saturation: float | None = None) -> TiltSeries:
        """Return the series with HAADF images that are linear in the mass-thickness.

        Parameters
        ----------
        saturation
            As for `hebt.prepare.correct_damping`; None estimates it.

        Returns
        -------
        TiltSeries
            With other HAADF images.
        """
        if saturation is None:
            saturation = estimate_damping(self.haadf).saturation
        haadf = correct_damping(self.haadf, saturation)
        return self._done("correct_damping", {"saturation": float(saturation)}, haadf=haadf)

    def align(
        self,
        *,
        size: int | None = None,
        slices: int | None = None,
        depth: float | None = None,
        factor: int | None = None,
        rounds: int = 8,
        progress: bool | None = None,
    ) -> TiltSeries:
        """Find the shifts between HAADF images, and move all channels by them.

        A particle that lies alone and whole in every image, as `hebt.prepare.particle_masks` finds
        it, is aligned by its centre of mass: no errors add up. Anything else is taken for a flat
        specimen: neighbors are correlated, then each image with its reprojection, until no image
        asks to be moved by more than a tenth of a pixel. The black level has to be removed before.

        Parameters
        ----------
        size, slices, depth
            Of the strip of a flat specimen, in pixels, as for `hebt.prepare.refine_alignment`; any
            of them says that it is one. None: three quarters of the width, fifteen sixteenths of
            the height, and a quarter of `size`.
        factor
            Reconstructions are of images binned by this factor; None: so that 64 pixels remain.
        rounds
            How often to compare with the reprojection, at most.
        progress
            Show a progress bar; if None, where somebody can see it.

        Returns
        -------
        TiltSeries
            With all channels moved.

        Raises
        ------
        ValueError
            If images have no structure, or a flat specimen is seen from the side.

        Warns
        -----
        UserWarning
            If the tilt axis looks horizontal; `turn` turns all channels.
        """
        self._check_matched("align")
        given = {"size": size, "slices": slices, "depth": depth, "factor": factor}
        found, settings = _steps.find_shifts(
            self.haadf, self._haadf_angles, given, rounds, progress
        )
        return _steps.moved(self, "align", settings, found)

    def apply_shifts(self, shifts: ArrayLike) -> TiltSeries:
        """Return the series with all channels moved by known shifts.

        Parameters
        ----------
        shifts
            (tilts, 2), pixels along and across the tilt axis, as for `hebt.prepare.apply_shifts`;
            of the HAADF images, whose maps were recorded with them.

        Returns
        -------
        TiltSeries
            With all channels moved.
        """
        self._check_matched("apply_shifts")
        return _steps.moved(self, "apply_shifts", {}, check_shifts(shifts))

    def turn(self) -> TiltSeries:
        """Return the series with all channels turned by 90 degrees, so a horizontal axis stands.

        Returns
        -------
        TiltSeries
            Turned by ``np.rot90(images, axes=(-2, -1))``; to transpose would mirror the specimen.
        """
        changes: dict[str, Any] = {
            name: np.rot90(value, axes=(-2, -1))
            for name in ("haadf", "maps", "parts")
            if (value := getattr(self, name)) is not None
        }
        if self.variance is not None:
            changes |= noise_fields(known_noise(self).turned())  # type: ignore[union-attr]
        if self.shifts is not None:
            changes["shifts"] = self.shifts[:, ::-1] * [-1, 1]
        return self._done("turn", {}, **changes)

    def bin(self, factor: int) -> TiltSeries:
        """Return the series with blocks of pixels made one: counts add up, HAADF is averaged.

        Parameters
        ----------
        factor
            How many pixels become one along each axis; it must divide their lengths.

        Returns
        -------
        TiltSeries
            With larger pixels.
        """
        factor = check_count("factor", factor)
        changes = _steps.binned(self, factor)
        for name in ("pixel_size", "haadf_pixel_size"):
            if (side := getattr(self, name)) is not None:
                changes[name] = side * factor
        if self.shifts is not None:
            changes["shifts"] = self.shifts / factor
        return self._done("bin", {"factor": factor}, **changes)

    def smooth(
        self, *, width: int, sigma: float, axis: int | tuple[int, ...] = -1, centered: bool = True
    ) -> TiltSeries:
        """Return the series with smoothed maps; HAADF images stay sharp.

        Parameters
        ----------
        width, sigma, axis, centered
            As for `hebt.prepare.smooth`.

        Returns
        -------
        TiltSeries
            With other maps, and the variance that they have then.
        """
        settings: dict[str, Any] = {"width": width, "sigma": sigma}
        settings |= {"axis": axis, "centered": centered}
        return self._done("smooth", settings, **_steps.smoothed(self, **settings))

    def crop(self, *, size: int | None = None, slices: int | None = None) -> TiltSeries:
        """Return the middle of all images.

        Parameters
        ----------
        size, slices
            How many pixels across and along the tilt axis to keep: all, if None, or an even number
            less.

        Returns
        -------
        TiltSeries
            With smaller images.
        """
        self._check_matched("crop")
        high, wide = _steps.kept(self.haadf.shape[1:], size, slices)
        top, left = ((n - k) // 2 for n, k in zip(self.haadf.shape[1:], (high, wide), strict=True))
        inner = (..., slice(top, top + high), slice(left, left + wide))
        settings = {"size": wide, "slices": high}
        return _steps.cropped(self, "crop", settings, lambda images, _: images[inner], None)

    def crop_flat(self, *, size: int, slices: int | None = None, edge: float = 8.0) -> TiltSeries:
        """Return the strip of a flat specimen that all tilts show.

        Parameters
        ----------
        size, slices, edge
            As for `hebt.prepare.crop_flat`.

        Returns
        -------
        TiltSeries
            With smaller images, aligned as they were.
        """
        self._check_matched("crop_flat")

        def change(images, angles):
            return crop_flat(images, angles, size=size, slices=slices, edge=edge)

        row = np.ones((len(self.angles), 1, self.maps.shape[-1]))
        windows = crop_flat(row, self.angles, size=size, edge=edge)[:, 0]
        settings = {"size": size, "slices": slices, "edge": edge}
        return _steps.cropped(self, "crop_flat", settings, change, windows)

    def match_pixels(self) -> TiltSeries:
        """Return the series with HAADF images in the maps' pixels, averaged by area.

        Returns
        -------
        TiltSeries
            With the middle of the HAADF images where that of the maps is.
        """
        haadf = _steps.matched_haadf(self)
        return self._done("match_pixels", {}, haadf=haadf, haadf_pixel_size=None)

    def ratios(self) -> ResponseRatios:
        """Fit the response ratios to the data, with the noise of the maps taken off.

        Returns
        -------
        ResponseRatios
            From `hebt.response_ratios`, at the tilts that both modalities have.
        """
        return _steps.fit_ratios(self)

    def suited_method(self, fit: ResponseRatios | None = None, *, seed: int = 0) -> str | Method:
        """Return the method that suits the data.

        =============================================  ===========================================
        maps as counted, or with parts of the counts   `CompositionEM`; held-out counts say whether
                                                       elements sum to HAADF, and choose the
                                                       kernel (`choose`)
        maps whose variance is known                   `Fused`
        maps whose noise is not known                  ``"hebt"``, the paper's
        =============================================  ===========================================

        Parameters
        ----------
        fit
            Response ratios; those of the data, if None.
        seed
            Seed of the split of counts.

        Returns
        -------
        str or Method
            For `reconstruct`.

        Notes
        -----
        Each sum is tried with a kernel that covers about a hundred X-rays of the scarcest element,
        half of it, and a quarter. With one too wide for other elements, a free sum would predict
        them better, as it undoes what the kernel smooths. If it is taken, the widest stays: it lets
        noise of voxels in, which hardly shows in the projections by which held-out counts judge.
        """
        return _steps.suited_method(self, self.ratios() if fit is None else fit, seed)

    def reconstruct(
        self,
        method: str | Method | None = None,
        iterations: int | None = None,
        *,
        ratios: ResponseRatios | ArrayLike | None = None,
        **options: Any,
    ) -> Result:
        """Reconstruct all elements from the series.

        Parameters
        ----------
        method
            As for `hebt.reconstruct`; None takes `suited_method`. A method without a variance gets
            that of the maps, where these are no raw counts.
        iterations
            As for `hebt.reconstruct`.
        ratios
            Response ratios; those of the data, if None.
        **options
            Other arguments of `hebt.reconstruct`, such as ``mask=`` or ``alpha=``.

        Returns
        -------
        Result
            Volumes ``x``, (elements, slices, size, size), in HAADF intensity per voxel, with the
            ratios, settings, residuals and the history of the series.

        Raises
        ------
        TypeError, ValueError
            If there are no maps or no pixel size, or an argument does not fit; see
            `hebt.reconstruct`.
        """
        return _steps.reconstruct(self, method, iterations, ratios, options)

    @property
    def _haadf_angles(self):
        return self.angles if self.haadf_angles is None else self.haadf_angles

    def _done(self, step: str, settings: dict, **changes: Any) -> TiltSeries:
        record = {"step": step, "settings": {k: _steps.plain(v) for k, v in settings.items()}}
        return replace(self, history=(*self.history, record), **changes)

    def _check_matched(self, step: str) -> None:
        if self.haadf.shape[1:] != self.maps.shape[2:] or self.haadf_pixel_size is not None:
            raise ValueError(
                f"haadf has images of {self.haadf.shape[1:]} pixels and maps of "
                f"{self.maps.shape[2:]}; expected the same pixels for {step}. Call match_pixels() "
                "first."
            )

    def __repr__(self):
        return _steps.shown(self)
