"""Units as files of microscopes write them."""

from __future__ import annotations

import unicodedata

import numpy as np

_METERS = {"": 1e9, "milli": 1e6, "micro": 1e3, "nano": 1.0, "pico": 1e-3}
LENGTHS = {"nm": 1.0, "μm": 1e3, "um": 1e3, "m": 1e9, "mm": 1e6, "pm": 1e-3, "Å": 0.1}
LENGTHS |= {"å": 0.1, "angstrom": 0.1, "ångstrom": 0.1, "ångström": 0.1, "micron": 1e3}
LENGTHS |= {f"{p}met{end}": nm for p, nm in _METERS.items() for end in ("er", "re")}
ENERGIES = {"keV": 1.0, "kev": 1.0, "eV": 1e-3, "ev": 1e-3, "EV": 1e-3}
ENERGIES |= {"kiloelectronvolt": 1.0, "electronvolt": 1e-3}
ANGLES = {"deg": 1.0, "degree": 1.0, "°": 1.0}
ANGLES |= {"rad": np.rad2deg(1), "radian": np.rad2deg(1), "mrad": np.rad2deg(1e-3)}


def measure(units: object, known: dict[str, float]) -> float | None:
    """Return what a unit is worth; long names may have capitals and a plural, symbols not."""
    text = unicodedata.normalize("NFKC", str(units)).strip()
    word = text.lower().removesuffix("s")
    return known.get(text, known.get(word) if len(word) > 2 else None)


def in_nm(units: object) -> float:
    """Return the length of a unit in nm."""
    length = measure(units, LENGTHS)
    if length is None:
        raise ValueError(
            f"Pixels are measured in {str(units)!r}; expected a length: nm, µm, um, Å, pm, mm, m "
            "or their names. Calibrate the file's axes first (axis.units, axis.scale)."
        )
    return length


def in_kev(units: object) -> float:
    """Return the energy of a unit in keV."""
    energy = measure(units, ENERGIES)
    if energy is None:
        raise ValueError(
            f"Energies are measured in {str(units)!r}; expected keV or eV. Calibrate the file's "
            "energy axis first (axis.units, axis.scale, axis.offset)."
        )
    return energy
