"""What the rooms' settings have in common: plain values that can be settings at all."""

from hebt._checks import check_count, check_number


def chosen(values: dict, changes: dict) -> dict:
    """Return `values` with `changes`, whose names must be among them."""
    unknown = [name for name in changes if name not in values]
    if unknown:
        raise TypeError(
            f"{', '.join(unknown)}: no such setting; expected some of {', '.join(values)}."
        )
    return values | changes


def make_plain(
    settings, *, tuples=(), floats=(), positive=(), not_negative=(), counts=(), naturals=()
) -> None:
    """Turn a frozen dataclass's fields into plain tuples and numbers, and check their range.

    Equal settings then find the same stored result. `counts` start at 1, `naturals` at 0.
    """
    plain = {name: tuple(float(v) for v in getattr(settings, name)) for name in tuples}
    plain |= {name: float(getattr(settings, name)) for name in floats}
    for name in positive:
        plain[name] = check_number(name, getattr(settings, name), "a number above 0")
    for name in not_negative:
        number = getattr(settings, name)
        plain[name] = check_number(name, number, "a number of at least 0", also_least=True)
    for name in counts:
        plain[name] = check_count(name, getattr(settings, name))
    for name in naturals:
        plain[name] = check_count(name, getattr(settings, name), least=0)
    for name, value in plain.items():
        object.__setattr__(settings, name, value)
