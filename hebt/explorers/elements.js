// Elements that the pages of explorers share: sliders, buttons, color bars, panels of images.
//
// Put behind draw.js and before the script of an explorer, as one module with them.

const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
// colors of a curve on a page, as frames.css has them
const INK = { color: (k) => `var(--hebt-line-${k % LINES})`, text: "var(--hebt-text)",
  muted: "var(--hebt-muted)", grid: "var(--hebt-grid)", back: "var(--hebt-back)" };

function button(role, text, press) {
  const node = h("button", { type: "button", "data-role": role }, text);
  node.addEventListener("click", press);
  return node;
}

// A slider over the texts of a control. `moved` is called with the place that a reader chose,
// `show` moves it without.
function slider({ name, label, unit, texts }, moved) {
  const last = texts.length - 1;
  const input = h("input", { type: "range", min: 0, max: last, step: 1, "data-control": name,
    "aria-label": label, autocomplete: "off" });
  input.disabled = last < 1;
  input.addEventListener("input", () => moved(Number(input.value)));
  const output = h("output", { "data-value": name, "aria-hidden": "true" });
  const node = h("label", { class: "hebt-control" }, h("span", { class: "hebt-label" }, label),
    output, input);
  function show(place) {
    const text = withUnit(texts[place], unit);
    input.value = place;
    input.style.setProperty("--hebt-share", `${(100 * place) / Math.max(1, last)}%`);
    input.setAttribute("aria-valuetext", text);
    output.textContent = text;
  }
  return { node, show };
}

// A color bar. `show` writes its ends, with arrows where values lie below or above them.
function colorBar(name, table, unit) {
  const strip = h("canvas", { class: "hebt-strip", width: 256, height: 1, "aria-hidden": "true" });
  paint(strip, RAMP, table);
  const ends = [h("span"), h("span")];
  const node = h("div", { class: "hebt-bar", "data-bar": name },
    h("div", { class: "hebt-edge" }, strip),
    h("div", { class: "hebt-ends" }, ends[0], h("span", { class: "hebt-unit" }, unit), ends[1]));
  function show(texts, low, high) {
    ends.forEach((end, i) => { end.textContent = texts[i]; });
    node.classList.toggle("low", low);
    node.classList.toggle("high", high);
    node.title = [low && `Values below ${texts[0]} have the color of ${texts[0]}.`,
      high && `Values above ${texts[1]} have the color of ${texts[1]}.`].filter(Boolean).join(" ");
  }
  return { node, show };
}

// An image with its title, and what stands `below` it. `probe` marks a pixel and writes its value.
function imagePanel({ name, title, smooth }, [height, width], ...below) {
  const canvas = h("canvas", { width, height, "data-panel": name, role: "img", "aria-label": title,
    class: smooth ? "hebt-smooth" : "hebt-pixels" });
  const mark = h("span", { class: "hebt-mark", hidden: "" });
  const value = h("span", { class: "hebt-pixel", "data-pixel": name });
  const node = h("div", { class: "hebt-panel" }, h("div", { class: "hebt-title" }, title),
    h("div", { class: "hebt-picture" }, canvas, mark, value), ...below);
  function probe(pixel, text = "") {
    mark.hidden = !pixel;
    value.textContent = text;
    if (!pixel) return;
    mark.style.left = `${((pixel.column + 0.5) / canvas.width) * 100}%`;
    mark.style.top = `${((pixel.row + 0.5) / canvas.height) * 100}%`;
  }
  return { canvas, node, probe };
}

// Calls `point` with the pixel under the pointer, or the one that arrow keys (with shift: 10
// pixels) move to from that of `from()`, and with null when they leave. The second argument says
// whether a key was pressed.
function followPixels(canvas, point, from) {
  const inside = (row, column) => ({ row: clamp(row, 0, canvas.height - 1),
    column: clamp(column, 0, canvas.width - 1) });
  const under = (event) => {
    const r = canvas.getBoundingClientRect();
    return inside(Math.floor(((event.clientY - r.top) / r.height) * canvas.height),
      Math.floor(((event.clientX - r.left) / r.width) * canvas.width));
  };
  canvas.addEventListener("pointermove", (e) => point(under(e), false));
  canvas.addEventListener("pointerdown", (e) => point(under(e), false));
  canvas.addEventListener("pointerleave", (e) => {
    if (e.pointerType === "mouse") point(null, false);
  });
  canvas.addEventListener("blur", () => point(null, false));
  canvas.addEventListener("keydown", (e) => {
    if (e.key === "Escape") point(null, false);
    if (!(e.key in ARROWS)) return;
    e.preventDefault();
    const [down, right] = ARROWS[e.key].map((d) => d * (e.shiftKey ? 10 : 1));
    const start = from();
    point(start ? inside(start.row + down, start.column + right)
      : inside(canvas.height >> 1, canvas.width >> 1), true);
  });
}

// Where an explorer says what went wrong.
function messageLine() {
  const node = h("p", { class: "hebt-message", "data-role": "message", role: "alert" });
  node.hidden = true;
  function say(text) {
    node.textContent = text;
    node.hidden = !text;
  }
  return { node, say };
}

function captionOf(model) {
  const caption = model.get("caption");
  return caption && h("p", { class: "hebt-caption" }, caption);
}

// Timers under names: a second one of a name replaces the first.
function timers() {
  const running = {};
  return {
    wait(name, ms, f) {
      clearTimeout(running[name]);
      running[name] = setTimeout(f, ms);
    },
    drop: (name) => clearTimeout(running[name]),
    stop: () => Object.values(running).forEach(clearTimeout),
  };
}

// Calls `resized` when the body's size changes and `left` when a reader presses elsewhere; returns
// what ends that.
function watch(root, body, resized, left = () => {}) {
  const observer = new ResizeObserver(resized);
  observer.observe(body);
  const away = (event) => { if (!root.contains(event.target)) left(); };
  document.addEventListener("pointerdown", away);
  return () => {
    observer.disconnect();
    document.removeEventListener("pointerdown", away);
  };
}

// `shown` gives what `savePicture` takes.
const saveButton = (shown, message) => button("save", "Save PNG", () =>
  savePicture(...shown()).catch((error) =>
    message.say(`The picture could not be saved (${error.message ?? error}).`)));

const palettes = (spec) =>
  Object.fromEntries(Object.entries(spec.luts).map(([name, lut]) => [name, palette(lut)]));

function rootOf(el) {
  const root = el.closest(".hebt-explorer") ?? el;
  root.classList.add("hebt-explorer");
  return root;
}

// JupyterLab takes arrow keys and Enter for its cells, except on elements marked so.
function keepKeys(body) {
  for (const node of body.querySelectorAll("input, button, canvas, select")) {
    node.setAttribute("data-lm-suppress-shortcuts", "true");
  }
}
