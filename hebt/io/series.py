"""A tilt series as one object, whose steps carry everything along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._checks import as_float64
from .._method import Method
from ..prepare.haadf import correct_damping, estimate_damping, remove_offset
from ..prepare.maps import tilt_response
from ..prepare.windows import EnergyWindow
from ..ratios import ResponseRatios
from ..result import Result
from . import _steps, _volumes
from ._movable import Movable
from ._noise import Noise, known_noise, noise_fields


@dataclass(frozen=True, repr=False, eq=False)
class TiltSeries(Movable):
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
        (channels,), keV, the center of each channel; none, where maps came ready-made.
    spectra
        (tilts, channels), counts: the spectrum of each tilt, added up over its pixels.
    windows
        One `EnergyWindow` per line: which energies were counted, and which as background.
    resolution
        FWHM of the X-ray detector at Mn K-alpha in eV, by which windows were laid; None where maps
        came ready-made.
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
        What was done, in this order: for each step a mapping of its name, "step", its arguments,
        "settings", what it "found", and which arguments are "not kept", as they are large.
    inputs
        Name of each file that was read (and its folder, where names repeat), and its SHA-256.
    """

    angles: np.ndarray
    haadf: np.ndarray
    maps: np.ndarray
    lines: tuple[str, ...]
    pixel_size: float | None
    energies: np.ndarray
    spectra: np.ndarray
    windows: tuple[EnergyWindow, ...]
    resolution: float | None = None
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
            Of each value of `maps`, in their shape, where they are no raw counts. Steps that mix
            pixels take the noise of each for independent of the next one's: smooth and bin maps by
            the steps of the series, which know what neighbors share, not before.
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
            If a line was not mapped, is given twice, or none is given.
        """
        strange = [line for line in lines if line not in self.lines]
        if strange or not lines:
            raise ValueError(
                f"lines are {lines}; expected some of {', '.join(self.lines)}, which were mapped."
            )
        if len(set(lines)) < len(lines):
            raise ValueError(f"lines are {lines}; expected each once.")
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
        lost = () if masks is None else ("masks",)
        return self._done("remove_offset", {}, {"median": float(taken)}, lost, haadf=haadf)

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

    def normalize_tilts(self, response: ArrayLike | None = None) -> TiltSeries:
        """Return the series with maps as if all tilts had been counted alike.

        Parameters
        ----------
        response
            (tilts,), above 0: which share of the X-rays was counted at each tilt of the maps; None
            estimates it by `hebt.prepare.tilt_response`, for a specimen that lies wholly in every
            image.

        Returns
        -------
        TiltSeries
            With other maps, and the variance that they have then.
        """
        if response is None:
            found = tilt_response(self.maps)
        else:
            found = as_float64("response", response, ndim=(1,))
        changes = _steps.normalized(self, found)
        return self._done("normalize_tilts", {"response": found}, **changes)

    def unmix(self, *, resolution: float | None = None) -> TiltSeries:
        """Return the series with maps less what each window counted of the other maps' lines.

        Parameters
        ----------
        resolution
            FWHM of the detector at Mn K-alpha, in eV, as for `hebt.prepare.unmix`; None: that of
            the files.

        Returns
        -------
        TiltSeries
            With other maps, and the variance that they have then. Where windows have channels in
            common, the noise that they share is that of the summed spectrum of each tilt.

        Raises
        ------
        ValueError
            If maps came ready-made, were unmixed before, or two windows count the same.
        """
        given = self.resolution if resolution is None else resolution
        changes, known = _steps.unmixed(self, 130.0 if given is None else given)
        return self._done("unmix", {"resolution": known}, **changes)

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

    def ratios(self) -> ResponseRatios:
        """Fit the response ratios to the data, with the noise of the maps taken off.

        Returns
        -------
        ResponseRatios
            From `hebt.response_ratios`, at the tilts that both modalities have.
        """
        return _volumes.fit_ratios(self)

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
        return _volumes.suited_method(self, self.ratios() if fit is None else fit, seed)

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
        return _volumes.reconstruct(self, method, iterations, ratios, options)

    def __repr__(self):
        return _steps.shown(self)
