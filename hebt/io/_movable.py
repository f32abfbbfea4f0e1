"""The steps of a tilt series that move, turn, bin and cut its images, all channels alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from .._checks import check_count, check_flag, check_number
from ..prepare.images import check_shifts, crop_flat
from ..prepare.tilt_axis import TiltAxis, estimate_tilt_axis
from . import _steps
from ._noise import known_noise, noise_fields


class Movable:
    """What `TiltSeries` inherits; its attributes are described there."""

    angles: np.ndarray
    haadf: np.ndarray
    maps: np.ndarray
    parts: np.ndarray | None
    variance: np.ndarray | None
    pixel_size: float | None
    haadf_angles: np.ndarray | None
    haadf_pixel_size: float | None
    shifts: np.ndarray | None
    history: tuple[Mapping[str, Any], ...]

    def align(
        self,
        *,
        size: int | None = None,
        slices: int | None = None,
        depth: float | None = None,
        factor: int | None = None,
        rounds: int = 8,
        progress: bool | None = None,
    ) -> Self:
        """Find the shifts between HAADF images, and move all channels by them.

        A particle that lies alone and whole in every image, as `hebt.prepare.particle_masks` finds
        it, is aligned by its center of mass: no errors add up. Anything else is taken for a flat
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
        asked = {k: v for k, v in {**given, "rounds": rounds}.items() if v is not None}
        return _steps.moved(self, "align", asked, found, settings)

    def apply_shifts(self, shifts: ArrayLike) -> Self:
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
        known = check_shifts(shifts)
        return _steps.moved(self, "apply_shifts", {"shifts": known}, known)

    def turn(self) -> Self:
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

    def apply_tilt_axis(
        self,
        axis: TiltAxis | None = None,
        *,
        depth: float | None = None,
        progress: bool | None = None,
    ) -> Self:
        """Return the series with all channels moved and turned, so that the tilt axis stands.

        It is then vertical and in the middle. Shift and rotation are one linear interpolation, as
        in `hebt.prepare.apply_tilt_axis`.

        Parameters
        ----------
        axis
            Where it lies, with the shifts of the HAADF images; None finds it in them by
            `hebt.prepare.estimate_tilt_axis`, with their shifts, or without any where the images
            were moved before.
        depth, progress
            As for `hebt.prepare.estimate_tilt_axis`.

        Returns
        -------
        TiltSeries
            With all channels upright; the settings in its history hold the axis.

        Raises
        ------
        TypeError, ValueError
            If `axis` is no TiltAxis, or does not fit; or as `hebt.prepare.estimate_tilt_axis`.

        Warns
        -----
        UserWarning
            If images do not tell where the axis lies.
        """
        self._check_matched("apply_tilt_axis")
        if depth is not None:
            depth = check_number("depth", depth, "a thickness in pixels above 0, or None")
        if progress is not None:
            check_flag("progress", progress)
        if axis is None:
            still = None if self.shifts is None else np.zeros((len(self.haadf), 2))
            axis = estimate_tilt_axis(
                self.haadf, self._haadf_angles, shifts=still, depth=depth, progress=progress
            )
        return _steps.uprighted(self, axis)

    def bin(self, factor: int) -> Self:
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

    def crop(self, *, size: int | None = None, slices: int | None = None) -> Self:
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

    def crop_flat(self, *, size: int, slices: int | None = None, edge: float = 8.0) -> Self:
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

    def match_pixels(self) -> Self:
        """Return the series with HAADF images in the maps' pixels, averaged by area.

        Returns
        -------
        TiltSeries
            With the middle of the HAADF images where that of the maps is.
        """
        haadf = _steps.matched_haadf(self)
        return self._done("match_pixels", {}, haadf=haadf, haadf_pixel_size=None)

    @property
    def _haadf_angles(self):
        return self.angles if self.haadf_angles is None else self.haadf_angles

    def _done(
        self,
        step: str,
        settings: Mapping,
        found: Mapping | None = None,
        lost: tuple[str, ...] = (),
        **changes: Any,
    ) -> Self:
        """Return the series after a step, with its arguments, what it found, and what is lost."""
        record: dict[str, Any] = {"step": step, "settings": _steps.plain(dict(settings))}
        record |= {"found": _steps.plain(dict(found))} if found else {}
        record |= {"not kept": list(lost)} if lost else {}
        own: Any = self
        return replace(own, history=(*self.history, record), **changes)

    def _check_matched(self, step: str) -> None:
        if self.haadf.shape[1:] != self.maps.shape[2:] or self.haadf_pixel_size is not None:
            raise ValueError(
                f"haadf has images of {self.haadf.shape[1:]} pixels and maps of "
                f"{self.maps.shape[2:]}; expected the same pixels for {step}. Call match_pixels() "
                "first."
            )
