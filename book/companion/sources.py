"""The state of the sources: which commit they are, and whether they were changed since."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def state(root: Path, but: str = "") -> tuple[str, bool]:
    """Return the commit of the sources and whether they were changed since.

    Files that fit the pattern `but` may have changed. The commit is empty where git does not know
    these sources: a copy without .git may lie inside a repository of another project.
    """
    git = ["git", "-C", str(root)]
    quiet = {"env": {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}, "text": True, "check": True}
    try:
        asked = [*git, "rev-parse", "--show-toplevel", "--short=12", "HEAD"]
        top, commit = subprocess.run(asked, capture_output=True, **quiet).stdout.splitlines()
        if not Path(top).samefile(root):
            return "", False
        asked = [*git, "status", "--porcelain", "--untracked-files=no", "--", "."]
        asked += [f":(exclude){but}"] if but else []
        return commit, bool(subprocess.run(asked, capture_output=True, **quiet).stdout)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return "", False
