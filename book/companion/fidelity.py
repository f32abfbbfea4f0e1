"""How large the book's experiments run."""

import os

FIDELITIES = ("paper", "quick")


def fidelity() -> str:
    """Say at which size the experiments run: ``"paper"`` or ``"quick"``.

    Taken from the environment variable ``HEBT_FIDELITY``; ``"paper"`` (the sizes printed in the
    paper) where it is not set, ``"quick"`` for tests and a first look.
    """
    value = os.environ.get("HEBT_FIDELITY", "paper")
    if value not in FIDELITIES:
        raise ValueError(
            f"HEBT_FIDELITY is {value!r}; expected one of {', '.join(map(repr, FIDELITIES))}. "
            "Set it to one of these, or unset it for the paper's sizes."
        )
    return value
