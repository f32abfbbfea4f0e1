"""What can be said without a ground truth: predict tilts or counts that were never seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._checks import as_float64, as_list, check_count, check_counts, check_number
from ._folds import Recipe, Series, count_series, inner_judges, nested_errors, tilt_series
from ._method import Method
from ._problem import check_alpha
from ._progress import progress_bar

__all__ = ["HeldOut", "Judged", "Recipe", "leave_one_out", "nested", "nested_counts"]


@dataclass(frozen=True, repr=False)
class HeldOut:
    """Errors of predicted element maps.

    Attributes
    ----------
    methods
        "EDS only", then one "HEBT, α = ..." per weight; or the names that were given.
    stops
        (stops,): after how many iterations the prediction was made.
    tilts
        (tilts,), degrees: the tilts held out, one at a time.
    elements
        Names.
    errors
        (methods, stops, tilts, elements): ``min_c |map - c prediction|² / |map|²``. 0 would be a
        perfect prediction of a noise-free map, 1 is no better than an empty one. With a variance,
        chi-squared per pixel: about 1 where nothing but noise is left.
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


@dataclass(frozen=True, repr=False, eq=False)
class Judged:
    """How well contenders predict what neither they nor their settings have seen.

    Attributes
    ----------
    contenders
        Their names.
    elements
        Names.
    tilts
        (tilts,), degrees: those that were held out or, with counts held out, all of them.
    errors
        (contenders, tilts, elements): of the predicted maps. With a variance, chi-squared per
        pixel, about 1 where nothing but noise is left; else their share of the map's squares.
    chosen
        For each contender, the recipe's name and the number of iterations that were chosen for
        each tilt, or each part of the counts, from the others.
    """

    contenders: tuple[str, ...]
    elements: tuple[str, ...]
    tilts: np.ndarray
    errors: np.ndarray
    chosen: dict[str, tuple[tuple[str, int], ...]]

    def mean(self) -> np.ndarray:
        """Return the errors' mean over the tilts, (contenders, elements).

        Returns
        -------
        numpy.ndarray
            Shape (contenders, elements).
        """
        return self.errors.mean(axis=1)

    def differences(self, reference: str) -> tuple[np.ndarray, np.ndarray]:
        """Return how much higher than a contender's the errors are, and how sure that is.

        Differences are taken tilt by tilt, so that what makes a tilt hard to predict, its noise
        first of all, is in neither.

        Parameters
        ----------
        reference
            Name of the contender to compare with.

        Returns
        -------
        tuple of numpy.ndarray
            The mean over the tilts and its standard error, from their spread; each has the shape
            (contenders, elements), and the reference's own is 0.

        Raises
        ------
        ValueError
            If there is no such contender.
        """
        if reference not in self.contenders:
            raise ValueError(
                f"reference is {reference!r}; expected one of {', '.join(self.contenders)}."
            )
        apart = self.errors - self.errors[self.contenders.index(reference)]
        error = apart.std(axis=1, ddof=1) / np.sqrt(apart.shape[1])
        return apart.mean(axis=1), error

    def verdicts(self, reference: str, *, errors: float = 2.0) -> np.ndarray:
        """Say which contenders are better or worse than one of them, by more than chance.

        Parameters
        ----------
        reference
            Name of the contender to compare with.
        errors
            How many standard errors a difference must have.

        Returns
        -------
        numpy.ndarray
            (contenders, elements): 1 better, -1 worse, 0 neither.

        Raises
        ------
        ValueError
            If there is no such contender, or `errors` is no number of at least 0.
        """
        expected = "a number of standard errors of at least 0"
        errors = check_number("errors", errors, expected, also_least=True)
        mean, error = self.differences(reference)
        return np.where(np.abs(mean) > errors * error, -np.sign(mean), 0).astype(int)

    def __repr__(self) -> str:
        return (
            f"Judged({len(self.contenders)} contenders, {len(self.tilts)} tilts, "
            f"{', '.join(self.elements)})"
        )


def leave_one_out(
    angles: ArrayLike,
    haadf: ArrayLike,
    maps: ArrayLike,
    *,
    held: Sequence[float],
    targets: ArrayLike | None = None,
    variance: ArrayLike | None = None,
    alphas: Sequence[float] = (0.7,),
    methods: Mapping[str, float | Method] | None = None,
    stops: Sequence[int] = (10, 20, 50, 100, 200),
    ratio_maps: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    blur: Any = None,
    margin: int = 0,
    scale: bool = True,
    names: Sequence[str] | None = None,
    progress: bool | None = None,
) -> HeldOut:
    """Leave one tilt out, reconstruct from the others, and predict its element maps.

    No method sees anything of the tilt held out: response ratios are fitted without it, and
    no HAADF image of it is used. Predictions are compared with the measured map up to a factor,
    so that units do not matter, nor how many X-rays reach the detector at that tilt. The noise of
    the measured map is part of every error, the same for all methods.

    A stop, a weight or a kernel that is chosen by these errors has seen the tilts that judge it;
    `nested` chooses by others.

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
    variance
        That of `targets`, above 0, in their shape: errors are then chi-squared per pixel. It is
        best smoothed, so that it does not follow the noise that it is to judge. None for errors as
        a share of the map's squares.
    alphas
        Weights of the HAADF term of HEBT, beside EDS alone.
    methods
        Name -> weight of HEBT (0: EDS alone) or a method of `reconstruct`, instead of `alphas`. A
        method's `variance` is that of `maps` at all tilts.
    stops
        Iteration counts after which to predict, rising.
    ratio_maps
        Maps to fit the response ratios to, e.g. smoothed ones; `maps`, if None.
    mask
        As for `hebt.sirt`.
    blur
        The kernel that `maps` were smoothed with, as for `reconstruct`: for EDS alone and HEBT. It
        takes `targets` that were not smoothed.
    margin
        How many columns to leave out of the comparison at each edge.
    scale
        Whether each predicted map is scaled by the factor that fits best.
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
    if blur is not None and targets is None:
        raise ValueError(
            "blur is given and targets is None, but what is predicted is not smoothed as maps are; "
            "expected targets. Give the maps as they were before they were smoothed."
        )
    series = tilt_series(
        angles, haadf, maps, targets, variance, ratio_maps, mask, margin, scale, names
    )
    places, stops = _check_held(series.angles, held, stops)
    seen = np.s_[:, series.margin : series.maps.shape[-1] - series.margin]
    for target, name in zip(series.targets, series.names, strict=True):
        _check_shown(target[places][:, *seen], name, series.angles[places])
    if methods is None:
        weights = [0.0, *as_list("alphas", alphas, "weights")]
        recipes = [Recipe(check_alpha("alphas", a), stops, blur=blur) for a in weights]
    else:
        _check_mapping("methods", methods)
        for name, one in methods.items():
            if not isinstance(one, Method):
                check_alpha(f"methods[{name!r}]", one)
        recipes = [
            Recipe(m, stops, blur=None if isinstance(m, Method) else blur, name=name)
            for name, m in methods.items()
        ]
    errors = np.empty((len(recipes), len(stops), len(places), len(series.names)))
    with progress_bar(len(places) * len(recipes), "held-out tilts", progress) as bar:
        for there, place in enumerate(places):
            for which, recipe in enumerate(recipes):
                errors[which, :, there] = series.run(recipe, [place], [place])[:, 0, 0]
                bar.update()
    labels = tuple(recipe.label for recipe in recipes)
    return HeldOut(labels, np.array(stops), series.angles[places], series.names, errors)


def nested(
    angles: ArrayLike,
    haadf: ArrayLike,
    maps: ArrayLike,
    contenders: Mapping[str, Sequence[Recipe]],
    *,
    held: Sequence[float],
    inner: int = 2,
    targets: ArrayLike | None = None,
    variance: ArrayLike | None = None,
    ratio_maps: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    margin: int = 0,
    scale: bool = True,
    names: Sequence[str] | None = None,
    progress: bool | None = None,
) -> Judged:
    """Judge contenders by tilts that neither they nor their settings have seen.

    Each tilt of `held` judges in turn. Before it does, each contender's recipe and stop are chosen
    without it: `inner` other tilts are held out beside it, one at a time, and what predicts those
    best, in the mean over them and over the elements, is what reconstructs from all tilts but the
    judge (nested cross-validation [1]_).

    Parameters
    ----------
    angles, haadf, maps, targets, variance, ratio_maps, mask, margin, scale, names, progress
        As for `leave_one_out`.
    contenders
        Name -> recipes among which to choose.
    held
        Degrees: tilts that judge, at least three.
    inner
        How many of the others choose for each of them.

    Returns
    -------
    Judged
        Errors by contender, tilt and element, and what was chosen.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit, a held tilt is not among `angles`, or fewer than two would be left.

    Notes
    -----
    Standard errors come from the spread over the tilts. Reconstructions without one tilt or
    another have most of their data in common, so the true errors are somewhat larger.

    References
    ----------
    .. [1] Varma and Simon, "Bias in error estimation when using cross-validation for model
       selection", BMC Bioinformatics 7 (2006) 91.
    """
    series = tilt_series(
        angles, haadf, maps, targets, variance, ratio_maps, mask, margin, scale, names
    )
    places, _ = _check_held(series.angles, held, [1])
    if len(series.angles) < 4:
        raise ValueError(f"angles has {len(series.angles)} tilts; expected at least four.")
    return _judge(series, contenders, places, inner, "held", progress)


def nested_counts(
    angles: ArrayLike,
    haadf: ArrayLike,
    parts: ArrayLike,
    contenders: Mapping[str, Sequence[Recipe]],
    *,
    inner: int = 2,
    targets: ArrayLike | None = None,
    variance: ArrayLike | None = None,
    ratio_parts: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    margin: int = 0,
    names: Sequence[str] | None = None,
    progress: bool | None = None,
) -> Judged:
    """Judge contenders by counts that neither they nor their settings have seen.

    As `nested`, with random parts of the counts in place of tilts: from all parts but one, that
    one is predicted, at all tilts, and the settings are chosen by `inner` of the others. Nothing is
    scaled. HAADF images are not counts, and are all there.

    Parameters
    ----------
    angles, haadf, mask, margin, names, progress
        As for `leave_one_out`.
    parts
        Maps of the parts, at least three, from `split_counts` or `hebt.io.read_tilt_series`, shape
        (parts, elements, tilts, slices, size).
    contenders
        Name -> recipes among which to choose. Their `maps` and the `variance` of a method have the
        axis of the parts as well; the variance may be one number.
    inner
        How many of the other parts choose.
    targets, variance
        As for `leave_one_out`, but of each part.
    ratio_parts
        Maps to fit the response ratios to, of each part; `parts`, if None.

    Returns
    -------
    Judged
        Errors by contender, tilt and element, each the mean over the parts, and what was chosen.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit, or there are fewer than three parts.
    """
    series = count_series(angles, haadf, parts, targets, variance, ratio_parts, mask, margin, names)
    return _judge(series, contenders, list(range(series.units)), inner, "parts", progress)


def _judge(
    series: Series, contenders: Any, places: list[int], inner: Any, name: str, progress: bool | None
) -> Judged:
    """Return what `nested` and `nested_counts` have in common."""
    if len(places) < 3:
        raise ValueError(
            f"{name} has {len(places)}; expected at least three: one that judges, one that "
            "chooses, and one more that is left."
        )
    inner = check_count("inner", inner, most=len(places) - 1)
    contenders = _check_contenders(series, contenders)
    if series.variance is None:
        _check_all_shown(series, places)
    judges = inner_judges(series.in_ring(places), inner)
    pairs = {frozenset((unit, other)) for unit, others in judges.items() for other in others}
    with progress_bar(len(pairs) + len(places), "nested folds", progress) as bar:
        errors, chosen = nested_errors(series, contenders, places, inner, bar.update)
    if series.by_counts:  # (contenders, parts, tilts, elements)
        errors, tilts = errors.mean(axis=1), series.angles
    else:
        errors, tilts = errors[:, :, 0], series.angles[places]
    picked = {k: tuple((r.label, stop) for r, stop in picks) for k, picks in chosen.items()}
    return Judged(tuple(contenders), series.names, tilts, errors, picked)


def _check_contenders(series: Series, contenders: Any) -> dict[str, list[Recipe]]:
    _check_mapping("contenders", contenders)
    checked = {}
    for name, recipes in contenders.items():
        recipes = as_list(f"contenders[{name!r}]", recipes, "hebt.validation.Recipe, one or more")
        if not recipes or not all(isinstance(r, Recipe) for r in recipes):
            raise ValueError(
                f"contenders[{name!r}] is {recipes!r}; expected one hebt.validation.Recipe or more."
            )
        for recipe in recipes:
            known = getattr(recipe.method, "variance", None)
            if series.by_counts and known is not None and 0 < np.ndim(known) < 5:
                raise ValueError(
                    f"variance of a method in contenders[{name!r}] has shape {np.shape(known)}; "
                    f"expected {series.maps.shape}, that of each part: a part has its share of it."
                )
            for what, shape in (("maps", series.maps.shape), ("haadf", series.haadf.shape)):
                given = getattr(recipe, what)
                if given is not None and given.shape != shape:
                    raise ValueError(
                        f"{what} of a recipe in contenders[{name!r}] has shape {given.shape}; "
                        f"expected {shape}."
                    )
        checked[name] = recipes
    return checked


def _check_all_shown(series, places):
    """Refuse maps without a count, of whose squares no error can be a share."""
    inner = np.s_[..., series.margin : series.maps.shape[-1] - series.margin]
    shown = series.targets[inner].any(axis=(-2, -1))  # ([parts,] elements, tilts)
    shown = shown if series.by_counts else shown[:, places]
    if not shown.all():
        *part, element, tilt = np.argwhere(~shown)[0]
        angle = series.angles[tilt] if series.by_counts else series.angles[places[tilt]]
        where = f" in parts[{part[0]}]" if part else ""
        raise ValueError(
            f"targets is 0 everywhere for {series.names[element]} at {angle:g} degrees{where}; "
            "expected maps that show something, or a variance. Give one, hold out others, or leave "
            "the element out."
        )


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
    twice = [t for t in held if held.count(t) > 1 or np.count_nonzero(angles == t) > 1]
    if twice:
        raise ValueError(
            f"held has {twice[0]:g}, which is there twice, in held or in angles; expected each "
            "tilt once. Of two images at one tilt the other would tell what is held out."
        )
    if len(angles) < 3:
        raise ValueError(f"angles has {len(angles)} tilts; expected at least three.")
    return places, check_counts("stops", stops)


def _check_mapping(name: str, value: Any) -> None:
    if not isinstance(value, Mapping) or not value or not all(isinstance(k, str) for k in value):
        raise TypeError(f"{name} is {value!r}; expected a dictionary, name -> what it is made of.")
