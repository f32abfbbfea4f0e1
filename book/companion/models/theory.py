"""Section 2.3 taken literally, on small problems: for the book, and for doubters.

`hebt.reconstruct` never builds the matrix of Eq. 11. Here it is built, so that the two can be
compared; and here is what SIRT makes of the weight alpha.
"""

from __future__ import annotations

import numpy as np

import hebt
from hebt._checks import check_count
from hebt._problem import Problem


def stacked_system(W: hebt.Projector, haadf, maps, ratios, alpha: float = 0.7):
    """Build the matrix W_a and the data p_a of Eq. 11 for one slice."""
    import scipy.sparse

    problem = Problem.checked(W, haadf, maps, ratios, alpha)
    haadf, maps, ratios = problem.haadf, problem.maps, problem.ratios
    if haadf.ndim != 2:
        raise ValueError(f"haadf has shape {haadf.shape}; expected one slice, (tilts, size).")
    matrix, k = W.matrix().astype(np.float64), len(maps)
    eds = scipy.sparse.kron(scipy.sparse.eye_array(k), (1 - alpha) * matrix)
    matrix = scipy.sparse.vstack([eds, scipy.sparse.hstack([alpha * matrix] * k)], format="csr")
    scaled = (1 - alpha) * ratios[:, None].astype(np.float64) * maps.reshape(k, -1)
    return matrix, np.concatenate([scaled.ravel(), alpha * haadf.ravel().astype(np.float64)])


def sirt_on_matrix(matrix, data, iterations: int) -> np.ndarray:
    """Run SIRT with non-negativity on an explicit matrix, in double precision."""
    iterations = check_count("iterations", iterations)
    rows, columns = (
        np.divide(1, sums, out=np.zeros_like(sums), where=sums > 0)
        for sums in (matrix.sum(axis=1), matrix.sum(axis=0))
    )
    x = np.zeros(matrix.shape[1])
    for _ in range(iterations):
        x = np.maximum(0, x + columns * (matrix.T @ (rows * (data - matrix @ x))))
    return x


def weight_in_equation_9(alpha, elements: int = 2) -> np.ndarray:
    """Return the weight with which Eq. 9 would balance the modalities as SIRT does at `alpha`.

    SIRT weighs the HAADF and EDS terms as alpha / k to 1 - alpha, Eq. 9 as the squares of its
    weights, so a / (1 - a) = sqrt(alpha / (k (1 - alpha))).
    """
    elements = check_count("elements", elements)
    alpha = np.asarray(alpha, dtype=float)
    if not ((alpha > 0) & (alpha < 1)).all():
        raise ValueError(f"alpha is {alpha}; expected weights above 0 and below 1.")
    odds = np.sqrt(alpha / (elements * (1 - alpha)))
    return odds / (1 + odds)


def sum_and_difference(W: hebt.Projector, x, alphas, iterations: int) -> np.ndarray:
    """Follow how fast HEBT finds the sum of two elements, and how fast their difference.

    Noise-free data are made from x, and reconstructed; after each iteration the relative errors
    of x_1 + x_2 and of x_1 - x_2 are noted.
    """
    x = np.asarray(x, dtype=np.float64)
    if x.ndim != 3 or len(x) != 2:
        raise ValueError(f"x has shape {x.shape}; expected (2, size, size), two elements.")
    maps = np.moveaxis(W.forward(x), 1, 0)

    def error(y):
        parts = [(y[0] + y[1], x[0] + x[1]), (y[0] - y[1], x[0] - x[1])]
        return [np.linalg.norm(now - true) / np.linalg.norm(true) for now, true in parts]

    errors = []
    for alpha in alphas:
        keep = hebt.Snapshots(range(1, iterations + 1), error)
        hebt.reconstruct(W, maps.sum(axis=0), maps, [1, 1], alpha, iterations, callback=keep)
        errors.append(np.transpose(keep.values))
    return np.array(errors)


def numbers(alpha: float = 0.7, elements: int = 2) -> dict[str, str]:
    """Return how much more Eq. 9 and SIRT trust HAADF than EDS, for the chapter's sentences."""
    return {
        "models_trust_eq9": f"{(alpha / (1 - alpha)) ** 2:.1f}",
        "models_trust_sirt": f"{alpha / elements / (1 - alpha):.2f}",
    }
