"""HyperSpy, imported when it is needed and without its warnings."""

import contextlib
import warnings


@contextlib.contextmanager
def quiet():
    """Keep HyperSpy's notes on its own future, which hold paths of this machine, off the page."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def hyperspy():
    """Import HyperSpy with the EDS signals, without its notes on its own future."""
    with quiet():
        import exspy  # noqa: F401  registers the EDS signals
        import hyperspy.api as hs
    return hs
