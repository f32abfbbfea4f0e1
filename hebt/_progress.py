"""Progress bars, shown where somebody can see them."""

from __future__ import annotations

import os
import sys
from typing import Any

from ._checks import check_flag


def progress_bar(total: int, label: str, show: bool | None = None) -> Any:
    """Return a tqdm progress bar of so many steps.

    If `show` is None, it shows where somebody can see it: in a terminal and in a live notebook,
    after a second. Not in logs, and not in the pages of the book.
    """
    from tqdm.auto import tqdm

    if show is None:
        live = "ipykernel" in sys.modules and os.environ.get("HEBT_STATIC") != "1"
        show = live or (sys.stderr is not None and sys.stderr.isatty())
        return tqdm(total=total, desc=label, disable=not show, delay=1, leave=False)
    return tqdm(total=total, desc=label, disable=not check_flag("progress", show))
