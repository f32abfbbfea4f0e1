// From a file, a page may not read other pages: search lists its hits without excerpts there.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

(() => {
  // CSS pixels an inch at which a figure's smallest text, 7 points, is 11.7 pixels high.
  const LEGIBLE = 120;
  const SCROLLED = ".hebt-scroll, .hebt-table, .bd-content div.math, .bd-content .highlight pre, "
    + ".bd-content .cell_output .output";

  function element(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  }

  // Open a picture over the page: as large as the window, and never so small that its text is
  // not read. Arrow keys and fingers move it, + and - change its size, Escape closes it.
  function open(link) {
    const small = link.querySelector("img");
    const caption = link.closest("figure")?.querySelector("figcaption p")?.cloneNode(true);
    caption?.querySelectorAll(".headerlink").forEach((node) => node.remove());
    const image = element("img", { src: link.href, alt: small.alt });
    const pan = element("div", { class: "hebt-lightbox-pan", tabindex: 0, role: "group",
      "aria-label": "Picture; arrow keys move it" }, image);
    const button = (text, name, press) => {
      const node = element("button", { type: "button", "aria-label": name }, text);
      node.addEventListener("click", press);
      return node;
    };
    const text = element("p", { class: "hebt-lightbox-text" }, ...(caption?.childNodes ?? []));
    const name = text.querySelector(".caption-number")?.textContent.trim() || "Picture";
    const dialog = element("dialog", { class: "hebt-lightbox", "aria-label": name },
      element("div", { class: "hebt-lightbox-bar" },
        button("−", "Smaller", () => resize(0.8)), button("+", "Larger", () => resize(1.25)),
        button("Close", "Close", () => dialog.close())), pan);
    if (text.childNodes.length) dialog.append(text);
    const inches = Number(small.dataset.inches) || small.naturalWidth / 150;
    const [wide, tall] = ["width", "height"].map((side) => Number(small.getAttribute(side)));
    let width = 0;
    function set(wanted) {
      const middle = [pan.scrollLeft + pan.clientWidth / 2, pan.scrollTop + pan.clientHeight / 2];
      const factor = width ? wanted / width : 0;
      width = wanted;
      image.style.width = `${width}px`;
      if (factor) {
        pan.scrollTo(middle[0] * factor - pan.clientWidth / 2,
          middle[1] * factor - pan.clientHeight / 2);
      }
    }
    const resize = (factor) => set(Math.min(6 * inches * LEGIBLE, Math.max(160, width * factor)));
    // wherever the keyboard is: it may have left for the browser's own buttons
    const press = (event) => {
      if (event.key === "+" || event.key === "=") resize(1.25);
      if (event.key === "-") resize(0.8);
      if (event.key === "Escape") dialog.close();
    };
    document.addEventListener("keydown", press);
    dialog.addEventListener("close", () => {
      document.removeEventListener("keydown", press);
      dialog.remove();
      link.focus();
    });
    document.body.append(dialog);
    dialog.showModal();
    pan.focus();
    const fitting = Math.min(pan.clientWidth, pan.clientHeight * (wide / tall || 1));
    set(Math.max(Math.floor(fitting), Math.ceil(inches * LEGIBLE)));
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a.hebt-open");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open(link);
  });

  // What scrolls by itself takes the keyboard, and nothing else does.
  function reach() {
    for (const node of document.querySelectorAll(SCROLLED)) {
      const scrolls = node.scrollWidth > node.clientWidth + 1;
      node.classList.toggle("hebt-scrolls", scrolls);
      if (scrolls) node.tabIndex = 0; else node.removeAttribute("tabindex");
    }
  }

  // The theme's buttons say in a title alone what they do, and its dialogs have no name.
  function name() {
    for (const node of document.querySelectorAll("button[title]:not([aria-label])")) {
      if (!node.textContent.trim()) node.setAttribute("aria-label", node.title);
    }
    for (const link of document.querySelectorAll("a.hebt-open")) {
      link.setAttribute("aria-haspopup", "dialog");
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    for (const { src } of document.querySelectorAll("script.hebt-later")) {
      document.head.append(element("script", { src }));
    }
    name();
    let timer = 0;
    const soon = () => { clearTimeout(timer); timer = setTimeout(reach, 50); };
    const article = document.querySelector(".bd-article");
    if (article) new ResizeObserver(soon).observe(article);
    soon();
    addEventListener("load", soon);
  });
})();
