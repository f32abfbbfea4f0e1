// Shows what a link inside the book leads to: a citation, a term, an equation, a figure or a table.
// What is shown was written beside the pages when they were built; it is loaded with the first link
// that is looked at. Works from a file, by mouse and by keyboard; Escape closes it.
(() => {
  const WAIT = 250;
  const script = document.currentScript?.src;
  if (!script || matchMedia("(hover: none)").matches) return;
  const root = new URL("..", script);
  let box, link, timer, loading;

  const load = () => loading ??= new Promise((done) => {
    const data = document.createElement("script");
    data.src = new URL("_static/previews_data.js", root);
    data.onload = data.onerror = () => done(window.hebtPreviews ?? {});
    document.head.append(data);
  });

  const hide = () => {
    clearTimeout(timer);
    link?.removeAttribute("aria-describedby");
    box?.remove();
    box = link = undefined;
  };

  const place = () => {
    const at = link.getBoundingClientRect();
    const size = box.getBoundingClientRect();
    const room = document.documentElement.clientWidth - size.width - 8;
    const above = at.top - size.height - 6;
    box.style.left = `${scrollX + Math.max(8, Math.min(at.left, room))}px`;
    box.style.top = `${scrollY + (above > 0 ? above : at.bottom + 6)}px`;
  };

  const show = async (target) => {
    const url = new URL(target.href);
    if (!url.href.startsWith(root.href) || !url.hash) return;
    const key = `${url.pathname.slice(root.pathname.length)}#${decodeURIComponent(url.hash.slice(1))}`;
    const found = (await load())[key];
    if (!found || target !== link) return;
    box = document.createElement("div");
    Object.assign(box, { id: "hebt-preview", innerHTML: found });
    box.setAttribute("role", "tooltip");
    for (const image of box.querySelectorAll("img")) {
      image.addEventListener("load", () => box && place());
      image.src = new URL(image.dataset.src, root);
    }
    box.addEventListener("mouseleave", hide);
    document.body.append(box);
    target.setAttribute("aria-describedby", box.id);
    if (box.querySelector(".math")) await window.MathJax?.typesetPromise?.([box]);
    if (box) place();
  };

  const look = (event) => {
    const target = event.target.closest?.("article a[href*='#']:not(.headerlink)");
    if (!target || target === link) return;
    hide();
    link = target;
    timer = setTimeout(show, event.type === "focusin" ? 0 : WAIT, target);
  };
  const leave = (event) => {
    const to = event.relatedTarget;
    if (link && !(to && (link.contains(to) || box?.contains(to)))) hide();
  };
  document.addEventListener("mouseover", look);
  document.addEventListener("focusin", look);
  document.addEventListener("mouseout", (e) => e.target.closest?.("a") === link && leave(e));
  document.addEventListener("focusout", leave);
  document.addEventListener("keydown", (e) => e.key === "Escape" && hide());
})();
