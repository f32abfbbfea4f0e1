"""The command `hebt`; its library, click, comes with the extra ``io``."""

import sys


def main(args: list[str] | None = None) -> None:
    """Run the command with these arguments, or those of the shell."""
    try:
        import click  # noqa: F401
    except ModuleNotFoundError:
        sys.exit(
            "Error: the command hebt needs click and what reads the microscope's files, which are "
            'not installed; run pip install "hebt[io]".'
        )
    from .commands import hebt

    hebt.main(args, prog_name="hebt")
