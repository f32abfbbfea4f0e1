"""What the tests of promises have tried, as they wrote it down."""

import json
from pathlib import Path

FILE = Path(__file__).parents[3] / "data" / "promises.json"


def record(file: Path = FILE) -> dict[str, dict[str, int]]:
    """Return the counts that the tests recorded: promise -> what -> how often."""
    return json.loads(file.read_text(encoding="utf-8"))


def numbers(tried: dict) -> dict[str, str]:
    """Return the counts for the sentences of the chapter: "promises_bad_inputs_cases"."""
    return {
        f"promises_{name}_{what}": f"{count:,}"
        for name, counts in tried.items()
        for what, count in counts.items()
    }
