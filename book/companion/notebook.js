// Fills in what JupyterLab shows raw in rendered Markdown: {role}`content`, labels of places, and
// the list of works. marks: "role content" -> Markdown, of which links alone are understood.
function (marks, works) {
  const book = (window.hebtBook ??= { marks: {}, works });
  Object.assign(book.marks, marks);

  const fill = (element, text) => {
    const parts = text.split(/\[([^\]]+)\]\(([^)\s]+)\)/);
    element.replaceChildren(parts[0]);
    for (let i = 1; i < parts.length; i += 3) {
      const link = document.createElement("a");
      Object.assign(link, { textContent: parts[i], href: parts[i + 1], target: "_blank", rel: "noopener" });
      element.append(link, parts[i + 2]);
    }
    return element;
  };
  const refill = (code) => {
    const before = code.previousSibling;
    const role = before?.nodeType === Node.TEXT_NODE && /\{([a-z:]+)\}$/.exec(before.data);
    const name = role && `${role[1]} ${code.textContent}`;
    if (!(name in book.marks)) return;
    before.data = before.data.slice(0, -role[0].length);
    const shown = document.createElement("span");
    shown.dataset.hebtMark = name;
    code.replaceWith(fill(shown, book.marks[name]));
  };
  book.look = () => {
    for (const code of document.querySelectorAll(".jp-RenderedMarkdown code")) refill(code);
    for (const p of document.querySelectorAll(".jp-RenderedMarkdown p")) {
      if (/^\([\w-]+\)=$/.test(p.textContent)) p.remove();
      const end = p.lastChild;  // behind an equation stands its label
      const label = end?.nodeType === Node.TEXT_NODE && / \(([\w-]+)\)\s*$/.exec(end.data);
      const number = label && book.marks[`label ${label[1]}`];
      if (number) end.data = end.data.slice(0, label.index + 1) + number;
    }
    for (const block of document.querySelectorAll(".jp-RenderedMarkdown pre:has(code[class*='{bibliography}'])")) {
      const list = document.createElement("ul");
      list.append(...book.works.map((work) => fill(document.createElement("li"), work)));
      block.replaceWith(list);
    }
  };
  // numbers of a run before
  for (const shown of document.querySelectorAll("[data-hebt-mark]"))
    fill(shown, book.marks[shown.dataset.hebtMark]);
  book.look();
  // a cell that is edited, or comes into view, is rendered anew
  if (!book.observer) {
    let waits = false;
    book.observer = new MutationObserver(() => {
      if (waits) return;
      waits = true;
      requestAnimationFrame(() => { waits = false; book.look(); });
    });
    book.observer.observe(document.body, { childList: true, subtree: true });
  }
}
