"""HyperSpy and exspy, imported when they are needed and without their warnings."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from types import ModuleType


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep HyperSpy's notes on its own future, which hold paths of this machine, off the page.

    If HyperSpy or exspy is imported inside and not installed, the error says how to get them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except ModuleNotFoundError as error:
            if error.name not in ("exspy", "hyperspy", "rosettasciio", "rsciio"):
                raise
            raise ImportError(
                f"{error.name} is needed for the microscope's files and X-ray lines, and is not "
                'installed; run pip install "hebt[io]".'
            ) from error


def hyperspy() -> ModuleType:
    """Import HyperSpy with the EDS signals."""
    with quiet():
        import exspy  # noqa: F401  registers the EDS signals
        import hyperspy.api as hs
    return hs
