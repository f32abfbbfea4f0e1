"""What can be said without a ground truth: predict a tilt that the reconstruction never saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ._checks import (
    as_float32,
    as_float64,
    as_list,
    check_angles,
    check_count,
    check_counts,
    check_names,
    check_series,
)
from ._problem import check_alpha
from ._progress import progress_bar
from .metrics import scaled_mse
from .projector import Projector
from .ratios import response_ratios
from .reconstruct import reconstruct, sirt
from .stopping import Snapshots


@dataclass(frozen=True, repr=False)
class HeldOut:
    """Errors of predicted element maps.

    Attributes
    ----------
    methods
        "EDS only", then one "HEBT, α = ..." per weight.
    stops
        (stops,): after how many iterations the prediction was made.
    tilts
        (tilts,), degrees: the tilts held out, one at a time.
    elements
        Names.
    errors
        (methods, stops, tilts, elements): ``min_c |map - c prediction|² / |map|²``. 0 would be a
        perfect prediction of a noise-free map, 1 is no better than an empty one.
    """

    methods: tuple[str, ...]
    stops: np.ndarray
    tilts: np.ndarray
    elements: tuple[str, ...]
    errors: np.ndarray

    def __repr__(self) -> str:
        # plain ASCII, unlike the names of the methods: terminals that know no UTF-8 can print it
        return (
            f"HeldOut({len(self.methods)} methods, {len(self.stops)} stops, "
            f"{len(self.tilts)} tilts, {', '.join(self.elements)})"
        )

    def mean(self) -> np.ndarray:
        """Return the errors' mean over the tilts, (methods, stops, elements).

        Returns
        -------
        numpy.ndarray
            Shape (methods, stops, elements).
        """
        return self.errors.mean(axis=2)


def leave_one_out(
    angles: ArrayLike,
    haadf: ArrayLike,
    maps: ArrayLike,
    *,
    held: Sequence[float],
    targets: ArrayLike | None = None,
    alphas: Sequence[float] = (0.7,),
    stops: Sequence[int] = (10, 20, 50, 100, 200),
    mask: ArrayLike | None = None,
    margin: int = 0,
    names: Sequence[str] | None = None,
    progress: bool | None = None,
) -> HeldOut:
    """Leave one tilt out, reconstruct from the others, and predict its element maps.

    Neither method sees anything of the tilt held out: response ratios are fitted without it, and
    HEBT gets no HAADF image of it. Predictions are compared with the measured map up to a factor,
    so that units do not matter, nor how many X-rays reach the detector at that tilt. The noise of
    the measured map is part of every error, the same for all methods.

    Parameters
    ----------
    angles
        (tilts,), degrees.
    haadf
        (tilts, slices, size).
    maps
        (elements, tilts, slices, size), what reconstructions are made from.
    held
        Degrees: tilts to hold out, one at a time.
    targets
        (elements, tilts, slices, size) to compare with, e.g. unsmoothed maps; `maps`, if None.
    alphas
        Weights of the HAADF term of HEBT.
    stops
        Iteration counts after which to predict, rising.
    mask
        As for `hebt.sirt`.
    margin
        How many columns to leave out of the comparison at each edge.
    names
        Names of the elements.
    progress
        Whether to show a progress bar; if None, where somebody can see it.

    Returns
    -------
    HeldOut
        Errors of the predicted maps, by method, stop, tilt and element.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit, a held tilt is not among `angles`, or fewer than two would be left; if
        a map to compare with is the same everywhere.
    """
    angles = check_angles(angles)
    haadf, maps = check_series(as_float32("haadf", haadf, ndim=(3,)), maps)
    targets = maps if targets is None else as_float32("targets", targets, ndim=(4,))
    names = check_names(names, len(maps))
    if targets.shape != maps.shape or len(angles) != len(haadf):
        raise ValueError(
            f"haadf has shape {haadf.shape}, maps {maps.shape}, targets {targets.shape}, and there "
            f"are {len(angles)} angles; expected (tilts, slices, size), twice (elements, tilts, "
            "slices, size), and one angle per tilt."
        )
    mask = None if mask is None else as_float32("mask", mask)
    places, stops = _check_held(angles, held, stops)
    size = maps.shape[-1]
    margin = check_count("margin", margin, least=0, most=(size - 1) // 2)
    alphas = [check_alpha("alphas", a) for a in as_list("alphas", alphas, "weights")]
    seen = np.s_[:, margin : size - margin]
    for target, name in zip(targets, names, strict=True):
        _check_shown(target[places][:, *seen], name, angles[places])
    methods = ("EDS only", *(f"HEBT, α = {a:g}" for a in alphas))
    errors = np.empty((len(methods), len(stops), len(places), len(maps)))

    def snapshots(place):
        towards = Projector(angles[[place]], size)

        def score(x):
            predicted = towards.forward(x)[0]
            return [
                scaled_mse(target[seen], image[seen])
                for target, image in zip(targets[:, place], predicted, strict=True)
            ]

        return Snapshots(stops, score)

    with progress_bar(len(places) * len(methods), "held-out tilts", progress) as bar:
        for there, place in enumerate(places):
            rest = [i for i in range(len(angles)) if i != place]
            W = Projector(angles[rest], size)
            keep = snapshots(place)
            options = {"iterations": stops[-1], "mask": mask, "callback": keep, "progress": False}
            sirt(W, np.moveaxis(maps[:, rest], 0, 1), **options)
            errors[0, :, there] = keep.values
            bar.update()
            ratios = response_ratios(haadf[rest], maps[:, rest], names).ratios
            for method, alpha in enumerate(alphas, start=1):
                reconstruct(W, haadf[rest], maps[:, rest], ratios, alpha, **options)
                errors[method, :, there] = keep.values
                bar.update()
    return HeldOut(methods, np.array(stops), angles[places], tuple(names), errors)


def _check_shown(images, name, angles):
    for image, angle in zip(images, angles, strict=True):
        if np.ptp(image) == 0:
            raise ValueError(
                f"targets is {image.flat[0]:g} everywhere for {name} at {angle:g} degrees; "
                "expected maps that show something. Hold out another tilt, or leave the element "
                "out."
            )


def _check_held(angles, held, stops):
    """Return the places of the tilts held out, and the iteration counts."""
    held = as_float64("held", held, ndim=(1,)).tolist()
    places = [int(np.flatnonzero(angles == t)[0]) if t in angles else -1 for t in held]
    if -1 in places:
        raise ValueError(f"held is {held}; expected some of the tilts {angles.tolist()}.")
    if len(angles) < 3:
        raise ValueError(f"angles has {len(angles)} tilts; expected at least three.")
    return places, check_counts("stops", stops)
