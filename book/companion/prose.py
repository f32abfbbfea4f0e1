"""Numbers for a chapter's sentences."""

from . import notebook


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


def list_text(seeds) -> str:
    """Write seeds as "0 to 9", or one by one."""
    first, last = seeds[0], seeds[-1]
    if len(seeds) > 2 and tuple(seeds) == tuple(range(first, last + 1)):
        return f"{first} to {last}"
    return ", ".join(str(v) for v in seeds)
