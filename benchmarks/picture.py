"""Draw the picture in README.md again: book/figure4.png, or at small sizes figure4-quick.png."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book"))
from companion import phantom
from companion.fidelity import fidelity
from hebt._files import written_aside

BOOK = Path(__file__).resolve().parents[1] / "book"


def main() -> None:
    path = BOOK / "figure4.png"
    if fidelity() != "paper":
        path = Path("figure4-quick.png").resolve()
        print(f"README's picture stays: this one is of {fidelity()} fidelity, in {path}")
    figure = phantom.figure4(phantom.study())
    with written_aside(path) as part:
        figure.savefig(part, dpi=90, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main()
