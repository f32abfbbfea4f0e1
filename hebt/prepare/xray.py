"""X-ray lines, their energies and widths, from exspy's tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._checks import as_float64, as_list, check_number
from .._hyperspy import quiet

_MOST = 20.0  # keV


def xray_lines(element: str) -> dict:
    """Return an element's X-ray lines from exspy's tables.

    Parameters
    ----------
    element
        Its symbol: "Au".

    Returns
    -------
    dict
        Name of the line, as HyperSpy writes it without the element ("Ma"), to its energy in keV
        and its weight relative to the strongest line of its family.

    Raises
    ------
    ValueError
        If there is no such element, or exspy has no lines of it.
    """
    with quiet():
        from exspy.material import elements
    symbols = elements.keys()  # the dictionary itself finds " Au" too
    if not isinstance(element, str) or element not in symbols:
        raise ValueError(
            f"element is {element!r}, which is no element; expected a symbol such as 'Au'."
        )
    known = elements[element]["Atomic_properties"].as_dictionary()
    if "Xray_lines" not in known:
        raise ValueError(f"element is {element!r}, which has no X-ray lines in exspy's tables.")
    return known["Xray_lines"]


def line_width(energy: ArrayLike, resolution: float = 130.0) -> np.ndarray:
    """Return the full width at half maximum (FWHM) of X-ray lines as a detector sees them.

    ``FWHM² = resolution² + 2.5 eV (E - 5.8987 keV)``, with E in eV there (Fiori and Newbury, 1978).

    Parameters
    ----------
    energy
        In keV.
    resolution
        FWHM of the detector at Mn K-alpha, in eV.

    Returns
    -------
    numpy.ndarray
        In keV, shape of `energy`.

    Raises
    ------
    ValueError
        If `energy` is not in keV, or `resolution` not from 20 to 1000 eV.

    Examples
    --------
    >>> import hebt
    >>> float(hebt.prepare.line_width(5.8987, resolution=130))
    0.13
    """
    energy, resolution = as_kev("energy", energy, ndim=None), check_resolution(resolution)
    if energy.min() < 0:
        raise ValueError(f"energy goes down to {energy.min():g} keV; expected at least 0.")
    return np.sqrt(np.maximum(resolution**2 + 2500 * (energy - 5.8987), 40.0**2)) / 1000


def mass_absorption(lines: Sequence[str], elements: Sequence[str]) -> np.ndarray:
    """Return how strongly elements absorb X-ray lines, per mass-thickness.

    Parameters
    ----------
    lines
        Names of the lines: ["Au_Ma", "Ag_La"].
    elements
        Symbols of the elements that absorb.

    Returns
    -------
    numpy.ndarray
        Mass-absorption coefficients µ/ρ in m²/kg, float64, shape (lines, elements).

    Raises
    ------
    TypeError, ValueError
        If there is no such line or element; the tables have none of H and He.

    Notes
    -----
    Source: the tables of Chantler et al. (2005), as exspy has them.

    Examples
    --------
    >>> import hebt
    >>> hebt.prepare.mass_absorption(["Au_Ma", "Au_La"], ["Au", "Ag"]).round(1)
    array([[ 90.6, 113. ],
           [ 11.8,  12.4]])
    """
    for name, values in (("lines", lines), ("elements", elements)):
        if not as_list(name, values, "names in a list"):
            raise ValueError(f"{name} is empty; expected at least one name.")
    energies = [line_energy(line) for line in lines]
    with quiet():
        from exspy import material
    symbols, cm2_per_g = list(material.elements.keys()), []
    for element in elements:
        try:
            symbol = symbols[symbols.index(element)]  # the tables themselves find " Au" too
            cm2_per_g.append(material.mass_absorption_coefficient(symbol, energies))
        except (ValueError, AttributeError):
            raise ValueError(
                f"elements is {elements!r}; expected symbols such as 'Au', and there are no "
                f"mass-absorption coefficients of {element!r} in exspy's tables. Leave it out."
            ) from None
    return 0.1 * np.array(cm2_per_g).T


def as_kev(
    name: str, energies: ArrayLike, ndim: tuple[int, ...] | None = (1,)
) -> NDArray[np.float64]:
    """Return energies in keV, after checking that they are not in eV."""
    energies = as_float64(name, energies, ndim=ndim)
    if np.abs(energies).max() > 1000:
        raise ValueError(
            f"{name} go from {energies.min():g} to {energies.max():g}; expected keV. Divide by "
            "1000 if they are eV."
        )
    return energies


def check_resolution(resolution: float) -> float:
    """Return the FWHM of a detector at Mn K-alpha, after checking that it can be one in eV."""
    expected = "the FWHM at Mn K-alpha in eV, from 20 to 1000"
    return check_number("resolution", resolution, expected, least=20, also_least=True, most=1000)


def _line_table(name: str) -> dict:
    try:
        element, line = name.split("_")
        table = {k: v for k, v in xray_lines(element).items() if v["weight"] > 0}
    except (ValueError, KeyError, AttributeError):
        table = {}
        line = None
    if line not in table:
        raise ValueError(
            f"{name!r} is no X-ray line of exspy's tables; expected lines, lines to avoid and "
            "names of windows such as 'O_Ka'"
            + (f"; this element has {', '.join(table)}." if table else ".")
        )
    return table


def best_line(name: str, energies: NDArray, resolution: float) -> str:
    """Return the line that an element stands for in a spectrum; a line stands for itself.

    Of the innermost shell: its lines have fewest neighbors, and the specimen absorbs them least.
    """
    if "_" in name:
        return name
    try:
        table = xray_lines(name)
    except ValueError as error:
        raise ValueError(f"lines holds {name!r}: {error}") from None
    for line in ("Ka", "La", "Ma"):
        energy = table[line]["energy (keV)"] if line in table else np.inf
        fwhm = float(line_width(energy, resolution)) if energy < _MOST else 0.0
        if energies.min() + fwhm <= energy <= min(energies.max() - fwhm, _MOST):
            return f"{name}_{line}"
    raise ValueError(
        f"lines holds {name!r}, of which the spectrum from {energies.min():.3g} to "
        f"{energies.max():.3g} keV has no alpha line; expected another element, or "
        "one of its lines."
    )


def line_energy(name: str) -> float:
    return _line_table(name)[name.split("_")[1]]["energy (keV)"]


def shell_lines(name: str) -> list[tuple[float, float]]:
    """Return (energy, weight) of the lines of a shell; the line that is named has the weight 1."""
    table, line = _line_table(name), name.split("_")[1]
    lines = [v for k, v in table.items() if k[0] == line[0]]
    return [(v["energy (keV)"], v["weight"] / table[line]["weight"]) for v in lines]


def shell_energies(name: str) -> list[float]:
    """Return the energies of the lines of a shell that have at least 10 % of its intensity."""
    lines = shell_lines(name)
    strongest = max(weight for _, weight in lines)
    return [energy for energy, weight in lines if weight >= 0.1 * strongest]


def other_shells(names: Sequence[str]) -> list[str]:
    """Return the strongest line of each shell of the same elements of which no line is named."""
    known = {name[: name.index("_") + 2] for name in names}
    found: dict[str, str] = {}
    for element in dict.fromkeys(name.split("_")[0] for name in names):
        for line in sorted(table := xray_lines(element), key=lambda k: -table[k]["weight"]):
            found.setdefault(f"{element}_{line[0]}", f"{element}_{line}")
    return [line for shell, line in found.items() if shell not in known]
