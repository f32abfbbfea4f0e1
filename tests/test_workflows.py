"""What GitHub runs is what was read: an action is named by its commit, which no one can move."""

import re

import pytest
import yaml
from conftest import ROOT

GITHUB = ROOT / ".github"
WORKFLOWS = sorted(p for p in GITHUB.rglob("*") if p.suffix in (".yml", ".yaml"))


def used(part):
    """All that a workflow uses: its actions, and workflows of others."""
    if isinstance(part, dict):
        yield from ([part["uses"]] if isinstance(part.get("uses"), str) else ())
        part = list(part.values())
    for inner in part if isinstance(part, list) else ():
        yield from used(inner)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_by_its_commit_and_says_its_version(path):
    text = path.read_text(encoding="utf-8")
    actions = list(used(yaml.safe_load(text)))
    assert actions
    for action in actions:
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", action), f"{action} can be moved"
        assert re.search(rf"uses: {re.escape(action)} # v\d+\.\d+\.\d+$", text, re.MULTILINE)
