"""The house stays as it was built: who may import whom, how long things are, and how they look."""

import ast
import functools
import importlib
import inspect
import io
import re
import tokenize

import jupytext
import pytest
import yaml
from conftest import ROOT

import hebt

BOOK = ROOT / "book"
COMPANION = BOOK / "companion"
CODE = sorted([*ROOT.glob("hebt/**/*.py"), *COMPANION.rglob("*.py")])
CHAPTERS = sorted(BOOK.glob("*.md"))
# what only shows results; a study that imported it would be computed anew for a new color
SHOWS = (
    "slices",
    "figures",
    "tables",
    "claims",
    "verdicts",
    "pictures",
    "recordings",
    "explorers",
    "explorer",
    "widgets",
    "style",
    "prose",
    "slices",
)
MODULE_LINES, FUNCTION_LINES = 500, 60
BRITISH = "colour centre normalise binarise localise grey neighbour behaviour initialise optimise"


def name(path):
    return str(path.relative_to(ROOT))


def module_of(path):
    root = ROOT if ROOT / "hebt" in path.parents else BOOK
    parts = path.relative_to(root).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def imported(tree, path=None):
    """All modules that code imports, as tuples of names, and how many dots an import has."""
    package = ()
    if path is not None:
        package = module_of(path) if path.name == "__init__.py" else module_of(path)[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            source = (*above, *(node.module.split(".") if node.module else ()))
            yield from ((*source, alias.name) for alias in node.names)


def cells(chapter):
    notebook = jupytext.read(chapter)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("path", CODE, ids=name)
def test_imports_go_one_way(path):
    module = module_of(path)
    for target in imported(ast.parse(path.read_text(encoding="utf-8")), path):
        if module[0] == "hebt":
            assert target[0] not in ("companion", "book"), target
            if module[1:2] == ("_engine",) and target[0] == "hebt":
                assert target[1] == "_engine", f"the engine imports {'.'.join(target)}"
            assert target[:1] != ("hebt",) or len(target) > 2 or target[1:] == ("__version__",), (
                f"import from the module itself, not through hebt: {'.'.join(target)}"
            )
        else:
            assert target[:2] != ("hebt", "_engine"), "the engine is for hebt alone"


@pytest.mark.parametrize("path", CODE, ids=name)
def test_studies_do_not_import_what_shows_them(path):
    module = module_of(path)
    if module[0] == "hebt" or path.name == "__init__.py" or module[-1] in SHOWS:
        return
    for target in imported(ast.parse(path.read_text(encoding="utf-8")), path):
        if target[0] == "companion":
            shows = set(target[1:]) & set(SHOWS)
            assert not shows or module[1] in ("style", "tables", "prose", "speed", "dust"), target


@pytest.mark.parametrize("path", CHAPTERS, ids=name)
def test_chapters_call_and_do_nothing_else(path):
    text = path.read_text(encoding="utf-8")
    assert set(re.findall(r"^```\{code-cell\}(.*)$", text, re.MULTILINE)) <= {" ipython3"}
    figures = re.findall(r"^    name: (\S+)$", text, re.MULTILINE)
    # as Sphinx writes an anchor: an underscore would lead nowhere
    start = f"fig-{path.stem.replace('_', '-')}-"
    assert all(figure.startswith(start) and "_" not in figure for figure in figures)
    places = []
    for number, cell in enumerate(cells(path)):
        tree = ast.parse(cell.source)
        for node in ast.walk(tree):
            banned = (ast.FunctionDef, ast.ClassDef, ast.If, ast.IfExp, ast.For, ast.While, ast.Try)
            assert not isinstance(node, banned), f"logic in a cell:\n{cell.source}"
        for target in imported(tree):
            if target[0] in ("hebt", "companion"):
                places.append(number)
            assert "_engine" not in target and not target[-1].startswith("_"), target
    assert set(places) <= {0}, "our own imports belong into the first cell"


# Numbers with decimals that are no results: settings of a call beside them, weights, energies of
# lines and what a width is taken between. The paper's own and all of ours are glued.
SETTINGS = {
    "dust": ["1.2", "2.5"],
    "intro": ["3.11", "3.12", "3.13"],
    "models": ["0.1", "0.7", "0.95", "0.95", "0.7"],
    "nonalloy": ["90 %"],
    "spectra": ["68 %", "2.1", "3.0", "9.7", "0.9", "8.0", "2.63"],
    "sweeps": ["0.01", "0.99", "0.7", "0.9", "0.99", "0.7", "0.7"],
}


@pytest.mark.parametrize("path", CHAPTERS, ids=name)
def test_no_result_is_typed_by_hand(path):
    """In sentences, captions and alternative texts; results would have decimals or percents."""
    text = re.sub(
        r"```\{code-cell\} ipython3\n(---\n.*?\n---\n)?.*?```",
        lambda cell: cell[1] or "",
        path.read_text(encoding="utf-8"),
        flags=re.DOTALL,
    )
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    text = re.sub(r"`[^`]*`|\$[^$]*\$", "", text)
    text = re.sub(r"([Ss]ections?|Figures?|Eqs?\.|Tables?)\s[\d.]+(\s(and|to)\s[\d.]+)*", "", text)
    number = r"(?<![\w.])\d+\.\d+(?![\w.])|\d+ (?:%|percent|per cent)"
    typed = re.findall(number, text)
    for known in SETTINGS.get(path.stem, []):
        if known in typed:
            typed.remove(known)
    assert typed == []


@functools.cache
def code_lines(source):
    """Numbers of the lines that hold more than a comment."""
    code = set()
    kinds = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in kinds:
            code |= set(range(token.start[0], token.end[0] + 1))
    return code


def lines_of_code(node, source):
    """Lines of a function that hold code: no docstring, no comments, no blank lines."""
    docstring = ast.get_docstring(node, clean=False) is not None
    first = node.body[docstring:][0].lineno if len(node.body) > docstring else node.end_lineno
    head = range(node.lineno, node.body[0].lineno)
    inside = set(range(first, node.end_lineno + 1)) | set(head)
    return len(code_lines(source) & inside)


def test_no_file_holds_two_versions_of_a_line():
    """What a merge leaves where it cannot tell which is right is no error in a chapter's text."""
    kinds = {".py", ".js", ".css", ".md", ".toml", ".yml", ".json", ".html", ".bib"}
    folders = ("book", "hebt", "tests", "benchmarks", "data", ".ci", ".github")
    inside = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    for path in [*inside, *ROOT.glob("*")]:
        if path.is_file() and (path.suffix in kinds or path.name in ("Makefile", "run")):
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"^(<{7}|>{7}) ", text, re.MULTILINE), path


@pytest.mark.parametrize("path", CODE, ids=name)
def test_modules_and_functions_are_short(path):
    source = path.read_text(encoding="utf-8")
    assert source.count("\n") <= MODULE_LINES
    assert "fmt: skip" not in source and "fmt: off" not in source
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = lines_of_code(node, source)
            assert length <= FUNCTION_LINES, f"{node.name} has {length} lines of code"
            positional = [*node.args.posonlyargs, *node.args.args]
            kernel = path.parent.name == "_engine"  # compiled code takes arrays and sizes in a row
            assert kernel or len(positional) <= 10, (
                f"{node.name} takes {len(positional)} by position"
            )


@pytest.mark.parametrize("path", CODE, ids=name)
def test_identifiers_are_spelled_the_american_way(path):
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        for field in ("id", "attr", "arg", "name"):
            word = getattr(node, field, None)
            if isinstance(word, str):
                found |= {word for british in BRITISH.split() if british in word.lower()}
    assert found <= {"normalise"}, found  # of scaled_mse, whose name is fixed


@pytest.mark.parametrize("path", CHAPTERS + CODE, ids=name)
def test_errors_and_crosstalk_are_called_by_the_words_of_the_field(path):
    text = path.read_text(encoding="utf-8")
    assert not re.findall(r"(?i)\b(faults?|leak\w*|haz[ey])\b", text)
    # detectors and rays have shadows, and the paper's word is quoted; numbers are of crosstalk
    assert set(re.findall(r"glue:text}`(\w*shadow\w*)`", text)) <= {"dust_shadowed"}


def test_every_chapter_has_a_room():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    pages = [toc["root"], *(c["file"] for part in toc["parts"] for c in part["chapters"])]
    files = [ROOT / f"{page}.md" for page in pages]
    chapters = {f.stem for f in files if "{code-cell}" in f.read_text(encoding="utf-8")}
    rooms = {p.parent.name for p in COMPANION.glob("*/__init__.py")}
    shared = {"nonalloy": "particles", "alloy": "particles", "line_by_line": "crosswalk"}
    assert {shared.get(c, c) for c in chapters} == rooms


PUBLIC = ("", "explorers", "io", "metrics", "prepare", "segmentation", "simulate", "validation")


def public():
    """All public functions, classes and methods of hebt, by name."""
    for part in PUBLIC:
        module = importlib.import_module(f"hebt.{part}" if part else "hebt")
        names = getattr(module, "__all__", None) or [
            n for n, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__
        ]
        for item in names:
            thing = getattr(module, item)
            if not callable(thing) or item.startswith("_"):
                continue
            yield f"{module.__name__}.{item}", thing
            if inspect.isclass(thing):
                # with what it inherits of a class that is not public itself
                own = [k for k in thing.__mro__ if k is thing or k.__name__ == "Movable"]
                for name, method in ((n, m) for k in own for n, m in vars(k).items()):
                    if inspect.isfunction(method) and not name.startswith("_"):
                        yield f"{module.__name__}.{item}.{name}", method


FUNCTIONS = [pytest.param(f, id=place) for place, f in public() if inspect.isfunction(f)]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_public_functions_are_documented_and_annotated(function):
    from numpydoc.docscrape import FunctionDoc

    signature = inspect.signature(function)
    names = [
        p.name
        for p in signature.parameters.values()
        if p.name != "self" and p.kind is not p.VAR_KEYWORD
    ]
    documentation = FunctionDoc(function)
    documented = {
        part.strip().lstrip("*")
        for section in ("Parameters", "Other Parameters")
        for entry in documentation[section]
        for part in entry.name.split(",")
    }
    assert set(names) <= documented, f"undocumented: {sorted(set(names) - documented)}"
    bare = [n for n in names if signature.parameters[n].annotation is inspect.Parameter.empty]
    assert not bare, f"without a type: {bare}"
    returned = signature.return_annotation
    assert returned is not inspect.Signature.empty, "no return type"
    if returned not in (None, "None"):
        assert documentation["Returns"] or documentation["Yields"], "Returns is missing"


def test_every_public_name_of_hebt_stands_on_its_page():
    page = (BOOK / "api.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\.\. auto(?:class|function):: (\w+)$", page, re.MULTILINE))
    assert listed == {n for n in hebt.__all__ if not inspect.ismodule(getattr(hebt, n))}


def test_the_version_is_said_once():
    assert hebt.__version__ in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
