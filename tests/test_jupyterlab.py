"""A chapter that is opened in JupyterLab reads like its page."""

import re

from conftest import ROOT
from test_explorers import Page, jupyterlab

RAW = re.compile(r"\{(glue:text|cite:p|cite:t|numref)\}|^\([\w-]+\)=$", re.MULTILINE)
PROSE, PROMPT = ".jp-RenderedMarkdown", ".jp-InputPrompt"


def prose(page):
    return "\n".join(page.locator(PROSE).all_inner_texts())


def test_prose_has_its_numbers_and_figures_their_captions(browser, tmp_path):
    variables = {
        "JUPYTER_CONFIG_DIR": str(ROOT / ".jupyter"),
        "PYTHONPATH": str(ROOT / "book"),
        "HEBT_FIDELITY": "quick",
    }
    with jupyterlab(tmp_path, **variables) as (address, folder):
        text = (ROOT / "book" / "models.md").read_text(encoding="utf-8")
        (folder / "models.md").write_text(text, encoding="utf-8")
        # all cells are drawn, not only those in view
        one = Page(browser, f"{address}/lab/tree/models.md?reset")
        one.page.set_viewport_size({"width": 1000, "height": 12000})
        page = one.open(ready=False)
        page.set_default_timeout(90_000)
        page.locator(".jp-Notebook").first.click()
        page.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status="idle"]')
        assert RAW.search(prose(page)), "nothing is raw before: this test sees nothing"
        ran = page.locator(PROMPT).filter(has_text=re.compile(r"\[\d+\]"))
        runs = page.locator(PROMPT).filter(has_text="*")
        # JupyterLab drops the command without a word while the kernel is still connecting
        while not ran.count() and not runs.count():
            page.get_by_role("menuitem", name="Run", exact=True).click()
            page.get_by_text("Run All Cells", exact=True).click()
            page.wait_for_timeout(1000)
        page.wait_for_function(
            "raw => ![...document.querySelectorAll('.jp-RenderedMarkdown')]"
            ".some((e) => new RegExp(raw, 'm').test(e.innerText))",
            arg=RAW.pattern,
        )
        last = re.findall(r"^    name: (fig-\S+)$", text, re.MULTILINE)
        page.wait_for_selector(f".jp-RenderedMarkdown >> text=Fig. 1.{len(last)}")
        assert page.locator(".jp-OutputArea-output [data-mime-type*='error']").count() == 0
        seen = re.findall(r"^Fig\. (\d\.\d) ", prose(page), re.MULTILINE)
        assert seen == [f"1.{k}" for k in range(1, len(last) + 1)]
        assert not RAW.search(prose(page))
        # the file stays as it was
        assert (folder / "models.md").read_text(encoding="utf-8") == text
        one.context.close()
