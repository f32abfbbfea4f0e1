"""The book's Sphinx side: pages that need no other server, an honest cache, notebooks to download.

Loaded by ``_config.yml``. Environment variables:

``BOOK_REPOSITORY_URL``
    Where the source can be seen, e.g. a GitHub address. Pages then get buttons for the repository,
    to suggest an edit, to report an issue, for Binder and for Colab; without it they have none.
``BOOK_BRANCH``
    The branch those buttons point to (default ``main``).
``BOOK_PAGES_URL``
    Where the pages will be seen: search engines and the printed book are told so.
"""

import ast
import atexit
import contextlib
import hashlib
import importlib.util
import json
import os
import re
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]  # what lies beside this file, and the companion

import colab
import lists
import matplotlib.font_manager  # noqa: F401 (builds its font list here, not inside a chapter)
import nbformat
import origins
import pages
import previews
from docutils import nodes
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.executors.utils import single_nb_execution
from myst_nb.core.read import create_nb_reader
from readable import origin, readable
from sphinx.util import logging
from thin import thin_static

import hebt
from companion import datasets, notebook
from companion.fidelity import fidelity
from hebt._files import written_aside

logger = logging.getLogger(__name__)

# The files a chapter's results depend on, besides the chapter itself.
SOURCES = ("hebt", "book/companion", "data", "requirements.lock", "book/_ext")
# Executed chapters that are kept: those of this many code versions or fidelities.
KEPT_CACHES = 4
# The file in such a folder that says so, and what it says: no other folder is ever removed.
MADE_BY = "made-by"
MADE_HERE = "Executed chapters of the HEBT companion.\n"
# The folder in which figures leave their data until their pages are written.
FIGURE_DATA = "_figures"
# The folder beside the pages in which explorers look for their data.
EXPLORER_DATA = "_explorers"
# Chapters that look at the results of all others.
LAST = ("book/line_by_line",)
# A cell of code: its options between ---, its tags, and the code.
CELL = re.compile(
    r"^```\{code-cell\}[^\n]*\n(?:---\n.*?^---\n)?(?::[^\n]*\n)*\n?(?P<code>.*?)^```$", re.M | re.S
)
# What stands for a number, a place or a word.
ROLE = re.compile(r"\{(glue:text|numref|ref|eq|term)\}`([^`]*)`")
# What a page needs of MathJax: the program, TeX packages that it loads by itself, and its fonts.
MATHJAX = ("tex-mml-chtml.js", "input/tex/extensions", "output/chtml/fonts/woff-v2")


def _files(path):
    if path.is_file():
        return [path]
    found = (p for p in path.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return sorted(found)


def _copy(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _measured_data():
    """Which measured series are at hand: without them a chapter says other things."""
    return [(name, datasets.card(name).missing) for name in datasets.registry()]


def cache_key(root: Path) -> str:
    """Name what the chapters' results depend on besides their own text.

    jupyter-cache looks at a chapter's cells alone; with this key in its path, a change in the
    package, the data, the locked environment, the fidelity or the measured data at hand runs the
    chapters again.
    """
    digest = hashlib.sha256()
    digest.update(repr((sys.version, fidelity(), _measured_data())).encode())
    for source in SOURCES:
        for path in _files(root / source):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


def _is_made_here(cache):
    mark = cache / MADE_BY
    return not cache.is_symlink() and mark.is_file() and mark.read_bytes() == MADE_HERE.encode()


def _usable(cache):
    """Return the folder for executed chapters, or a temporary one where it takes no files."""
    cache.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryFile(dir=cache if cache.exists() else cache.parent) as file:
            file.write(bytes(1_000_000))
            file.flush()
    except OSError as error:
        logger.info(f"Note: executed chapters are not kept for the next build ({error}).")
        other = Path(tempfile.mkdtemp(prefix="hebt-book-"))
        atexit.register(shutil.rmtree, other, ignore_errors=True)
        return other / "chapters"
    return cache


def _set_cache(app, config):
    build = Path(app.outdir).parent
    cache = _usable(build / f".cache-{cache_key(Path(app.srcdir))}")
    with contextlib.suppress(FileExistsError):
        cache.mkdir(parents=True)
        (cache / MADE_BY).write_text(MADE_HERE, encoding="utf-8")
    os.utime(cache)
    config.nb_execution_cache_path = str(cache)
    # Explorers put large data here, one file each, to be loaded when a reader asks for them.
    os.environ["HEBT_STATIC_FILES"] = str(cache / EXPLORER_DATA)
    os.environ["HEBT_FIGURES"] = str(cache / FIGURE_DATA)
    # Where chapters leave word of what is no fault of theirs: on stderr it would fail the build.
    notes = cache / "notes.txt"
    notes.unlink(missing_ok=True)
    os.environ["HEBT_NOTES"] = str(notes)
    made = [path for path in build.glob(f".cache-{12 * '[0-9a-f]'}") if _is_made_here(path)]
    for path in sorted(made, key=lambda p: p.stat().st_mtime)[:-KEPT_CACHES]:
        shutil.rmtree(path, ignore_errors=True)


def _set_theme(config):
    options = config.html_theme_options
    # With pydata-sphinx-theme 0.17 the book theme else shows a second search field.
    options["navbar_persistent"] = []
    size = {
        "paper": "the sizes printed in the paper",
        "quick": "small sizes, for a first look and for tests",
    }[fidelity()]
    options["extra_footer"] = (
        f"<p>hebt {hebt.__version__}. Computed at {fidelity()} fidelity: {size}.</p>"
        '<p>Text: <a rel="license" href="https://creativecommons.org/licenses/by/4.0/">CC BY 4.0'
        "</a>. Code: GPL-3.0-or-later.</p>"
    )
    url = os.environ.get("BOOK_REPOSITORY_URL")
    if url:
        options.update(
            repository_url=url,
            repository_branch=os.environ.get("BOOK_BRANCH", "main"),
            path_to_docs="",
            use_repository_button=True,
            use_edit_page_button=True,
            use_issues_button=True,
            launch_buttons={
                "notebook_interface": "jupyterlab",
                "binderhub_url": "https://mybinder.org",
            },
        )
    else:  # Jupyter Book's default is its own repository
        options.pop("repository_url", None)
        options.pop("launch_buttons", None)


def configure(app, config):
    _set_cache(app, config)
    _set_theme(config)
    config.html_static_path = [*config.html_static_path, "book/_web"]
    config.html_css_files = [*config.html_css_files, "hebt.css"]
    config.html_js_files = [*config.html_js_files, "hebt.js"]
    config.html_baseurl = os.environ.get("BOOK_PAGES_URL", "")
    config.templates_path = [*config.templates_path, "book/_ext/templates"]
    config.mathjax_path = "mathjax/tex-mml-chtml.js"
    # no script yet: hebt.js loads it once the page is there, which else would come later
    config.mathjax_options = {"type": "text/plain", "class": "hebt-later"}


def copy_mathjax(app):
    """Put MathJax, out of the sphinx-mathjax-offline package, beside the pages."""
    if app.builder.format != "html":
        return
    package = importlib.util.find_spec("sphinx-mathjax-offline").submodule_search_locations[0]
    source = Path(package) / "static" / "mathjax"
    target = Path(app.outdir) / "_static" / "mathjax"
    for part in MATHJAX:
        for path in _files(source / part):
            _copy(path, target / path.relative_to(source))


def without_data(chapter: str) -> str:
    """Return a chapter as it is shown where the measured data that it requires are missing.

    Its code is shown and not run, but for a first cell that says what is missing and how to get
    it; numbers in its sentences are question marks. Other chapters come back as they are.
    """
    required = re.search(r"^datasets\.require\(\"(\w+)\"\)$", chapter, re.M)
    if required is None or datasets.card(required[1]).available:
        return chapter

    def show_only(cell):
        return "" if "remove-cell" in cell[0] else f"```python\n{cell['code']}```"

    def written(role):
        kind, content = role.groups()
        if kind == "term":
            return content.partition(" <")[0]
        number = notebook.equation_numbers().get(content) if kind == "eq" else None
        return f"({number})" if number else "?"

    text = CELL.sub(show_only, ROLE.sub(written, chapter))
    card = f"from companion import datasets\n\ndatasets.card({required[1]!r})"
    first = text.index("```python\n")
    return f"{text[:first]}```{{code-cell}} ipython3\n{card}\n```\n\n{text[first:]}"


def read_chapter(app, page, source):
    source[0] = without_data(source[0])


def _not_yet_run(env, cache, page):
    """Return a page's notebook and where it lies; None where nothing is to be run."""
    path = Path(env.doc2path(page))
    text = without_data(path.read_text(encoding="utf-8"))
    reader = create_nb_reader(str(path), env.myst_config, env.mystnb_config, text)
    if reader is None:
        return None
    notebook = reader.read(text)
    try:
        cache.match_cache_notebook(notebook)
    except KeyError:
        return path, notebook
    return None


def run_side_by_side(app, env, pages):
    """Run chapters two at a time, before Sphinx reads them and finds them in its cache.

    At small sizes they spend their time on starting, and at the paper's a third of it on one core.
    """
    cache = get_cache(app.config.nb_execution_cache_path)
    # what compares the results of the other chapters comes last, and finds them
    pages = sorted(pages, key=lambda page: page in LAST)
    waiting = [found for page in pages if (found := _not_yet_run(env, cache, page))]

    def run(path, notebook):
        result = single_nb_execution(
            notebook, str(path.parent), app.config.nb_execution_timeout, allow_errors=False
        )
        # a chapter that fails is run again by Sphinx, which says where and why
        if result.err is None:
            logger.info(f"{path.name}: executed in {result.time:.2f} seconds")
            bundle = CacheBundleIn(notebook, str(path), data={"execution_seconds": result.time})
            cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)

    if len(waiting) > 1:
        # threads of OpenBLAS wait busily, which takes the other chapter's time
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        with ThreadPoolExecutor(2) as pool:
            for job in [pool.submit(run, *chapter) for chapter in waiting]:
                job.result()


def number_references(app, doctree, page):
    """Write references of docstrings as [1]: numpydoc's marks do not reach all of them."""
    for text in list(doctree.findall(nodes.Text)):
        mark = re.fullmatch(r"\[R[0-9a-f]{12}-(\d+)\]", text)
        if mark:
            text.parent.replace(text, nodes.Text(f"[{mark[1]}]"))


def refuse_silent_pictures(app, doctree):
    """Warn of pictures without an alternative text; Sphinx would put the file's name there."""
    for image in doctree.findall(nodes.image):
        if not image.get("alt", "").strip():
            logger.warning(
                "this picture has no alternative text. Say what is seen: in a code cell with "
                "mystnb: {image: {alt: ...}}, in Markdown as ![text](file).",
                location=image if image.line else app.env.docname,
                type="hebt",
                subtype="alt",
            )


def refuse_dead_widgets(app, env):
    """Warn of chapters that show a widget which only a running kernel can move."""
    for page, metadata in env.nb_metadata.items():
        if metadata.pop("js_files", None):
            logger.warning(
                "an ipywidgets widget is shown here; on a page without a kernel it is dead. "
                "Use an explorer of hebt.explorers instead.",
                location=page,
                type="hebt",
                subtype="widget",
            )


def _executed(app, page):
    return Path(app.outdir).parent / "jupyter_execute" / f"{page}.ipynb"


def offer_notebook(app, pagename, templatename, context, doctree):
    """Add the executed notebook to the page's download button."""
    if not _executed(app, pagename).exists():
        return
    for button in context.get("header_buttons", ()):
        if button.get("label") == "download-buttons":
            button["buttons"].insert(
                0,
                {
                    "type": "link",
                    "url": context["pathto"](f"notebooks/{pagename}.ipynb", 1),
                    "text": ".ipynb",
                    "tooltip": "Download the executed notebook",
                    "icon": "fas fa-code",
                    "label": "download-notebook-button",
                },
            )


def make_readable(app, pagename, templatename, context, doctree):
    """Prepare a page for small screens, for keyboards, and for readers without JavaScript."""
    if doctree is None or "body" not in context:
        return

    def stays_tex(tex):
        logger.info(f"Note: without JavaScript this formula is TeX ({pagename}): {tex.strip()}")

    folder, srcdir = app.builder.imgpath, Path(app.srcdir)
    pictures = {f"{folder}/{name}": srcdir / at for at, (_, name) in app.env.images.items()}
    body = pages.formulas_for_all(context["body"], stays_tex)
    body = pages.pictures_to_open(body, pictures)
    context["body"] = pages.citations_in_lists(pages.tables_that_scroll(body))
    context["description"] = pages.description(doctree)


def write_notebook(app, page):
    """Write a chapter's notebook for download, with numbers, citations and captions in it."""
    executed = _executed(app, page)
    glued = executed.with_suffix(".glue.json")
    numbers = json.loads(glued.read_text(encoding="utf-8")) if glued.exists() else {}
    numbers = {name: ast.literal_eval(n["data"]["text/plain"]) for name, n in numbers.items()}
    first = origin(page, hebt.__version__, fidelity(), os.environ.get("BOOK_REPOSITORY_URL"))
    # what Sphinx writes of a chapter that it found in the cache is without outputs
    cache = get_cache(app.config.nb_execution_cache_path)
    _, notebook = cache.merge_match_into_notebook(nbformat.read(executed, as_version=4))
    target = Path(app.outdir) / "notebooks" / f"{page}.ipynb"
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(readable(notebook, numbers, first), target)


def finish(app, exception):
    """Copy what lies beside the pages (notebooks, explorers' data) and note the run times."""
    notes = Path(os.environ["HEBT_NOTES"])
    for note in sorted(set(notes.read_text("utf-8").splitlines() if notes.is_file() else ())):
        logger.info(f"Note: {note}")
    if exception or app.builder.format != "html":
        return
    outdir = Path(app.outdir)
    data = Path(os.environ["HEBT_STATIC_FILES"])
    thin_static(outdir / "_static", list(outdir.rglob("*.html")))
    times = {}
    for page in sorted(app.env.found_docs):
        if _executed(app, page).exists():
            write_notebook(app, page)
        text = (outdir / f"{page}.html").read_text(encoding="utf-8")
        for name in sorted(set(re.findall(rf"{EXPLORER_DATA}/([0-9a-z]+\.js)", text))):
            _copy(data / name, outdir / EXPLORER_DATA / name)
        runtime = app.env.nb_metadata.get(page, {}).get("exec_data", {}).get("runtime")
        if runtime:
            times[page] = round(runtime, 2)
    try:
        with written_aside(outdir / "runtimes.json") as part:
            part.write_text(json.dumps(times, indent=1) + "\n", encoding="utf-8")
    except OSError as error:  # the pages are whole without it
        logger.info(f"Note: how long each chapter ran is not kept ({error}).")


def setup(app):
    # Inherited by every kernel that the build starts: explorers write themselves as HTML, progress
    # bars stay out of the pages, and the kernel is this environment's.
    os.environ["HEBT_STATIC"] = "1"
    os.environ["TQDM_DISABLE"] = "1"
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    app.connect("config-inited", configure)
    app.connect("builder-inited", copy_mathjax)
    app.connect("env-before-read-docs", run_side_by_side)
    app.connect("source-read", read_chapter)
    app.connect("doctree-read", refuse_silent_pictures)
    app.connect("doctree-resolved", number_references)
    app.connect("env-updated", refuse_dead_widgets)
    # after the theme has made its buttons
    app.connect("html-page-context", offer_notebook, priority=900)
    app.connect("html-page-context", make_readable)
    app.connect("build-finished", finish)
    colab.setup(app)
    lists.setup(app)
    origins.setup(app)
    previews.setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
