"""What was found for a row, and one rule for its status."""

from __future__ import annotations

from typing import NamedTuple

from ..particles.measures import ELEMENTS

AGREES, KIND, DIFFERS, CANNOT = STATUS = ("agrees", "agrees in kind", "differs", "cannot")
MEANING = {
    AGREES: "the stated tolerance holds in every case named, and with every noise seed",
    KIND: "near it, or the same order or sign, though not the size",
    DIFFERS: "neither; the reason stands below",
    CANNOT: "nothing here can be compared; the reason stands below",
}
WORDS = {"agrees": AGREES, "yes": AGREES, "near": KIND}
# the rule of `companion.tables.agreement`
RULE = "2 s.d. or 5 %; in kind: 25 %"
NO_NUMBER = "in words"


class Found(NamedTuple):
    """What is compared: the paper's, ours with its spread, when it agrees, and whether."""

    paper: str
    ours: str
    tolerance: str
    status: str


def of_word(word: str) -> str:
    """Return the status of a word of the chapters' own verdicts."""
    return WORDS.get(word, DIFFERS)


def of_words(words, *, in_kind: bool = False) -> str:
    """Return the status of several words: the worst one, or `KIND` if that holds `in_kind`."""
    status = max(map(of_word, words), key=STATUS.index)
    return KIND if status == DIFFERS and in_kind else status


def of_flags(agrees, in_kind=False) -> str:
    """Return the status of what holds in all cases, or in all of them in kind."""
    return AGREES if agrees else KIND if in_kind else DIFFERS


def percent(share: float, digits: str = ".0f") -> str:
    """Write a share in percent."""
    return f"{100 * share:{digits}} %".replace("-", "−")


def each(texts) -> str:
    """Write one text for each element."""
    return ", ".join(f"{e} {text}" for e, text in zip(ELEMENTS, texts, strict=True))
