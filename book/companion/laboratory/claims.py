"""The numbers in the laboratory's sentences."""

import numpy as np

import hebt
from hebt import simulate

from ..phantom.data import PhantomSettings
from .bench import ELEMENTS, SIZE
from .explorer import first_run


def paper_counts(size: int = SIZE) -> float:
    """Return the counts on a pixel of the particle, in such a frame, at the paper's dose."""
    settings = PhantomSettings.paper(size=size)
    W = hebt.Projector(np.array(settings.angles), size)
    density = simulate.phantom(size).density
    inside = W.forward(density.sum(axis=0)) > 0
    counts = simulate.mean_counts(W, density, settings.counts_per_density)
    return float(counts[:, inside].mean(dtype=np.float64))


def numbers() -> dict[str, str]:
    """Return what the page says of its first state, and of the paper's dose in its frame."""
    scores = first_run().scores
    eds, bimodal, em = (
        np.mean([scores["mse", method, e] for e in ELEMENTS]) for method in ("eds", "hebt", "em")
    )
    return {
        "laboratory_result": "As this page opens, the mean-squared error of EDS alone is "
        f"{eds / bimodal:.1f} times that of HEBT and {eds / em:.1f} times that of composition EM.",
        "laboratory_paper_counts": f"about {paper_counts():.0f}",
    }
