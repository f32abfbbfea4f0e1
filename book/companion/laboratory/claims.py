"""The numbers in the laboratory's sentences."""

import numpy as np

from ..phantom.counts import paper_counts
from .bench import ELEMENTS, SIZE
from .explorer import first_run


def numbers() -> dict[str, str]:
    """Return what the page says of its first state, and of the paper's dose in its frame."""
    scores = first_run().scores
    eds, bimodal, em = (
        np.mean([scores["mse", method, e] for e in ELEMENTS]) for method in ("eds", "hebt", "em")
    )
    return {
        "laboratory_result": "As this page opens, the mean-squared error of EDS alone is "
        f"{eds / bimodal:.1f} times that of HEBT and {eds / em:.1f} times that of composition EM.",
        "laboratory_paper_counts": f"about {paper_counts(SIZE):.0f}",
    }
