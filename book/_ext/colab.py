"""The notebook for Colab: what the package does on a reader's files, without the book.

Chapters call the companion, which no wheel holds, so Binder opens them. README's first example
needs `hebt` alone, and Colab can run it. Colab opens what lies on a branch of a GitHub repository;
the workflow that publishes the pages puts the written notebook on the branch `colab`.
"""

import os
import re
from pathlib import Path
from urllib.parse import urlparse

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

BRANCH, NAME = "colab", "own_series.ipynb"
OFFERED_ON = ("book/intro", "book/your_turn")
TITLE = """# From the microscope's files to volumes

[hebt]({repository}) reconstructs where each element sits in a specimen, from HAADF-STEM and
EDS-STEM tilt series together. Run all cells: the public series of a dust particle is fetched
(56 MB) and reconstructed. Then upload files of your own, and name their folder and lines."""
INSTALL = '%pip install -q "hebt[io,explorers] @ git+{repository}@{branch}"'
FETCH = "!hebt data fetch dust --to ."
SHOW = """\
from IPython.display import HTML

HTML(filename="particle.html")  # particle.vti lies beside it, among the files on the left"""


def example(readme: str) -> str:
    """Return README's example of files: its first block of Python."""
    return re.search(r"```python\n(.*?)\n```", readme, re.DOTALL).group(1)


def notebook(readme: str, repository: str, branch: str) -> nbformat.NotebookNode:
    """Return the notebook: it installs the package, fetches files, and runs the example."""
    known = {"repository": repository, "branch": branch}
    codes = INSTALL.format(**known), FETCH, example(readme), SHOW
    cells = [new_markdown_cell(TITLE.format(**known)), *map(new_code_cell, codes)]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"  # two builds write the same file
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def repository() -> str | None:
    """Return the repository's address if Colab can open it: one on GitHub."""
    url = os.environ.get("BOOK_REPOSITORY_URL", "").rstrip("/")
    return url if urlparse(url).netloc == "github.com" else None


def offer(app, pagename, templatename, context, doctree):
    """Add Colab to the launch buttons of the pages that tell of a reader's own files."""
    url = repository()
    if url is None or pagename not in OFFERED_ON:
        return
    place = f"{urlparse(url).path}/blob/{BRANCH}/{NAME}"
    for button in context.get("header_buttons", ()):
        if button.get("label") == "launch-buttons":
            button["buttons"].append(
                {
                    "type": "link",
                    "url": f"https://colab.research.google.com/github{place}",
                    "text": "Colab",
                    "tooltip": "Try your own tilt series on Colab",
                    "icon": "_static/images/logo_colab.png",
                }
            )


def write(app, exception):
    """Write the notebook beside the pages' folder, where the workflow takes it from."""
    url = repository()
    if exception or url is None or app.builder.format != "html":
        return
    readme = (Path(app.srcdir) / "README.md").read_text(encoding="utf-8")
    target = Path(app.outdir).parent / BRANCH / NAME
    target.parent.mkdir(exist_ok=True)
    nbformat.write(notebook(readme, url, os.environ.get("BOOK_BRANCH", "main")), target)


def setup(app):
    # after the theme has made its buttons
    app.connect("html-page-context", offer, priority=900)
    app.connect("build-finished", write)
