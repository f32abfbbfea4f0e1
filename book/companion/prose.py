"""Numbers for a chapter's sentences, and the paper's claims beside ours."""

import dataclasses

from . import notebook


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim of the paper beside what the companion found.

    Attributes
    ----------
    claim, place
        What the paper says, and where.
    found
        What our simulation gives.
    test
        When the claim counts as reproduced.
    holds
        Whether it does.
    """

    claim: str
    place: str
    found: str
    test: str
    holds: bool


def glue(numbers: dict[str, str] | None = None) -> None:
    """Put numbers where the sentences of a chapter find them.

    In JupyterLab citations, numbers of figures and captions come with them.
    """
    numbers = numbers or {}
    chapter = notebook.live()
    if chapter is not None:
        chapter.fill(numbers)
        return
    import myst_nb

    for name, text in numbers.items():
        myst_nb.glue(name, text, display=False)


def list_text(seeds):
    first, last = seeds[0], seeds[-1]
    if len(seeds) > 2 and tuple(seeds) == tuple(range(first, last + 1)):
        return f"{first} to {last}"
    return ", ".join(str(v) for v in seeds)


def place_in_sentence(text):
    """The place of a number, as it reads inside a sentence."""
    return text.replace("Section", "section")


def yes_or_no(yes):
    return "yes" if yes else "no"
