"""How large the book's experiments run, and where progress can be seen."""

import os
import sys

FIDELITIES = ("paper", "quick")


def fidelity() -> str:
    """Say at which size the experiments run: ``"paper"`` or ``"quick"``.

    Taken from the environment variable ``HEBT_FIDELITY``; ``"paper"`` (the sizes printed in the
    paper) where it is not set, ``"quick"`` for tests and a first look.

    Raises
    ------
    ValueError
        If ``HEBT_FIDELITY`` holds anything else.
    """
    value = os.environ.get("HEBT_FIDELITY", "paper")
    if value not in FIDELITIES:
        raise ValueError(
            f"HEBT_FIDELITY is {value!r}; expected one of {', '.join(map(repr, FIDELITIES))}. "
            "Set it to one of these, or unset it for the paper's sizes."
        )
    return value


def progress_bar(total: int, label: str, show: bool | None = None):
    """Return a tqdm progress bar.

    Parameters
    ----------
    total
        Number of steps.
    label
        What is going on.
    show
        True or False; if None, it shows where somebody can see it: in a terminal and in a live
        notebook, after a second. Not in logs, and not in the pages of the book.
    """
    from tqdm.auto import tqdm

    if show is None:
        live = "ipykernel" in sys.modules and os.environ.get("HEBT_STATIC") != "1"
        show = live or (sys.stderr is not None and sys.stderr.isatty())
        return tqdm(total=total, desc=label, disable=not show, delay=1, leave=False)
    return tqdm(total=total, desc=label, disable=not show)
