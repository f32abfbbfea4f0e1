"""What the rooms' settings have in common: plain values, and no name that is none."""

from hebt._checks import check_count


def chosen(values: dict, changes: dict) -> dict:
    """Return `values` with `changes`, whose names must be among them."""
    unknown = [name for name in changes if name not in values]
    if unknown:
        raise TypeError(
            f"{', '.join(unknown)}: no such setting; expected some of {', '.join(values)}."
        )
    return values | changes


def make_plain(settings, *, tuples=(), floats=(), counts=(), naturals=()) -> None:
    """Turn a frozen dataclass's fields into plain tuples and numbers.

    Equal settings then find the same stored result. `counts` start at 1, `naturals` at 0.
    """
    for name in tuples:
        object.__setattr__(settings, name, tuple(float(v) for v in getattr(settings, name)))
    for name in floats:
        object.__setattr__(settings, name, float(getattr(settings, name)))
    for least, names in ((1, counts), (0, naturals)):
        for name in names:
            number = check_count(name, getattr(settings, name), least=least)
            object.__setattr__(settings, name, number)
