"""Draw the picture in README.md again: book/methods.png, or at small sizes methods-quick.png."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book"))
from companion import without_weight
from companion.fidelity import fidelity
from hebt._files import written_aside

BOOK = Path(__file__).resolve().parents[1] / "book"


def main() -> None:
    path = BOOK / "methods.png"
    if fidelity() != "paper":
        path = Path("methods-quick.png").resolve()
        print(f"README's picture stays: this one is of {fidelity()} fidelity, in {path}")
    # one noise seed, and the best stops are those of this one
    figure = without_weight.plot_first(without_weight.study(seeds=[0]))
    with written_aside(path) as part:
        figure.savefig(part, dpi=110, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main()
