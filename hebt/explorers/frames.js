// Draws a FrameExplorer: sliders, image panels, curves and read-outs, in both hosts.
//
// With a kernel, `picture` comes from Python after `position` was sent there. On a static page
// `store` holds every picture. What is drawn from a picture is the same code.
//
// The page, as tests and style sheets may rely on it:
//   .hebt-explorer                    the root; data-position="3,1,0": indices of what is drawn;
//                                     data-state: "ready", "busy" or "error"
//   input[type=range][data-control=NAME]   a slider over indices; aria-valuetext is its value
//   output[data-value=NAME]           the control's value as text with unit
//   canvas[data-panel=NAME]           an image, one canvas pixel for each of its pixels
//   [data-bar=NAME]                   its colour bar; classes "low" and "high": values lie outside
//   [data-pixel=NAME]                 value of the panel at the pointer, empty without one
//   [data-role=probe]                 coordinates and value at the pointer
//   [data-readout=NAME]               a number as text, without unit
//   svg[data-curve=NAME]              a plot; circle[data-line=NAME] are the markers
//   [data-role=status]                aria-live text, for screen readers
//   canvas[tabindex="0"]              takes arrow keys (with shift: 10 pixels), Escape
//   [data-role=message]               visible only when something went wrong
//   button[data-role=reset], button[data-role=save]

const LINES = 6;          // colours, as --hebt-line-0 ... in frames.css
const DASHES = ["", "6 3", "2 2.5", "8 3 2 3"];
const ON_WHITE = ["#0b5fa5", "#c2410c", "#0f766e", "#9d3c8f", "#4d4d4d", "#8a6d00"];
const RAMP = Uint8Array.from({ length: 256 }, (_, i) => i);
const SVG = "http://www.w3.org/2000/svg";

function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes)) node.setAttribute(k, v);
  node.append(...children);
  return node;
}

function s(tag, attributes = {}, text = "") {
  const node = document.createElementNS(SVG, tag);
  for (const [k, v] of Object.entries(attributes)) {
    if (k === "style") node.style.cssText = v; else node.setAttribute(k, v);
  }
  if (text) node.textContent = text;
  return node;
}

const bytes = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
const same = (a, b) => a.length === b.length && a.every((v, i) => v === b[i]);
const withUnit = (text, unit) => text + (unit === "" || unit === "°" ? "" : " ") + unit;
const clamp = (v, low, high) => Math.min(high, Math.max(low, v));
const minus = (text) => text.replace(/-/g, "−");

// A value with the digits that `step` allows: its last one is not finer than half a step.
function rounded(value, step) {
  const digits = Math.floor(-Math.log10(step) + 0.3);
  const unit = 10 ** -digits;
  const v = Math.round(value / unit) * unit;
  if (digits > 6 || Math.abs(v) >= 1e6) {
    if (v === 0) return "0";
    const lead = Math.floor(Math.log10(Math.abs(v)));
    return minus(v.toExponential(clamp(lead + digits, 0, 6)));
  }
  return minus((v === 0 ? 0 : v).toFixed(Math.max(0, digits)));
}

const number = (v) => {
  if (v === 0) return "0";
  const size = Math.abs(v);
  return minus(size >= 1e5 || size < 1e-3 ? v.toExponential(1) : String(+v.toPrecision(4)));
};

function fill(text, spec, picture) {
  const values = { ...picture.readouts };
  spec.controls.forEach((c, i) => { values[c.name] = c.texts[picture.position[i]]; });
  return text.replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);
}

const stateText = (spec, position) =>
  spec.controls.map((c, i) => `${c.label} ${withUnit(c.texts[position[i]], c.unit)}`);

// ---- images

function palette(lut) {
  const rgb = Uint8Array.from(atob(lut), (c) => c.charCodeAt(0));
  const table = new Uint32Array(256);
  const one = new DataView(table.buffer);
  for (let i = 0; i < 256; i++) {
    for (let k = 0; k < 3; k++) one.setUint8(4 * i + k, rgb[3 * i + k]);
    one.setUint8(4 * i + 3, 255);
  }
  return table;
}

function paint(canvas, steps, table) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < pixels.length; i++) pixels[i] = table[steps[i]];
  context.putImageData(image, 0, 0);
}

// ---- curves

function ticks(low, high, count, log) {
  if (log && high / low >= 8) {
    const out = [];
    const decades = Math.log10(high / low);
    const steps = decades > 4 ? [1] : decades > 1.6 ? [1, 3] : [1, 2, 5];
    for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++) {
      for (const m of steps) {
        const v = m * 10 ** e;
        if (v >= low * 0.999 && v <= high * 1.001) out.push(v);
      }
    }
    const every = Math.ceil(out.length / (2 * count));
    return out.filter((_, i) => i % every === 0);
  }
  const rough = (high - low) / count;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((m) => m * unit >= 0.999 * rough) * unit;
  const out = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) {
    out.push(+(i * step).toPrecision(12));
  }
  return out;
}

function interpolate(x, y, at) {
  let i = 1;
  while (i < x.length - 1 && x[i] < at) i++;
  if (at < x[0] || at > x[x.length - 1] || y[i - 1] === null || y[i] === null) {
    const exact = x.indexOf(at);
    return exact >= 0 ? y[exact] : null;
  }
  return y[i - 1] + ((y[i] - y[i - 1]) * (at - x[i - 1])) / (x[i] - x[i - 1]);
}

// Draws one curve into `svg`, `width` pixels wide and with axes `tall` pixels high; in `ink`,
// `colour(k)`, `text`, `muted`, `grid`, `back` are CSS colours. Returns the height of the whole,
// the legend's texts, and the function from a horizontal pixel to a value on the axis.
function plot(svg, spec, curve, picture, width, tall, ink) {
  const control = spec.controls[curve.along];
  const index = picture.position[curve.along];
  const at = control.numbers ? control.numbers[index] : index;
  const rows = picture.curves[curve.name];
  const { x } = curve;
  const logX = curve.log.includes("x");
  const logY = curve.log.includes("y");

  const seen = rows.flat(2).filter((v) => v !== null);
  let [low, high] = curve.limits ?? [Math.min(...seen), Math.max(...seen)];
  if (!(low < high)) [low, high] = seen.length ? [low - 0.5, high + 0.5] : [0, 1];
  if (!curve.limits) {
    const pad = logY && low > 0 ? (high / low) ** 0.05 : 0.05 * (high - low);
    [low, high] = logY && low > 0 ? [low / pad, high * pad] : [low - pad, high + pad];
  }

  const marks = curve.lines.map((_, k) => {
    const r = rows[k];
    return interpolate(x, r[r.length >> 1], at);
  });
  const yTicks = ticks(low, high, Math.max(2, Math.floor(tall / 38)), logY);
  const yTexts = yTicks.map(number);
  const wide = Math.max(...yTexts.map((t) => t.length), 1);
  const legend = [];
  let lx = 0, ly = 0;
  curve.lines.forEach((name, k) => {
    const text = marks[k] === null ? name : `${name}  ${number(+marks[k].toPrecision(3))}`;
    const space = 34 + 7 * text.length;
    if (lx > 0 && lx + space > width - 20) { lx = 0; ly += 18; }
    legend.push([lx, ly, text]);
    lx += space;
  });
  const box = { left: (curve.ylabel ? 22 : 6) + 7 * wide, right: width - 14, top: 26 + ly,
    bottom: 26 + ly + tall };
  const height = box.bottom + 40;
  const a = logX ? Math.log10 : (v) => v;
  const b = logY ? Math.log10 : (v) => v;
  const x0 = x[0], x1 = x[x.length - 1];
  const across = (v) => x1 === x0 ? (box.left + box.right) / 2
    : box.left + ((a(v) - a(x0)) / (a(x1) - a(x0))) * (box.right - box.left);
  const down = (v) => clamp(
    box.bottom - ((b(v) - b(low)) / (b(high) - b(low))) * (box.bottom - box.top),
    box.top - 1e4, box.bottom + 1e4);

  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("width", width);
  svg.setAttribute("height", height);
  const put = (x, y, text, style = "", anchor = "middle") =>
    svg.append(s("text", { x, y, "text-anchor": anchor,
      style: `fill:${ink.muted};font-size:12px;${style}` }, text));
  const line = (x1, y1, x2, y2, style) => svg.append(s("line", { x1, y1, x2, y2, style }));

  yTicks.forEach((v, i) => {
    line(box.left, down(v), box.right, down(v), `stroke:${ink.grid};stroke-width:1`);
    put(box.left - 6, down(v) + 4, yTexts[i], "", "end");
  });
  line(box.left, box.bottom, box.right, box.bottom, `stroke:${ink.muted};stroke-width:1`);
  const room = clamp(Math.floor((box.right - box.left) / 48), 2, 10);
  const xTicks = control.numbers ? ticks(x0, x1, room, logX)
    : x.filter((_, i) => i % Math.ceil(x.length / room) === 0);
  xTicks.forEach((v) => {
    line(across(v), box.bottom, across(v), box.bottom + 4, `stroke:${ink.muted};stroke-width:1`);
    put(across(v), box.bottom + 17, control.numbers ? number(v) : control.texts[v]);
  });
  put((box.left + box.right) / 2, height - 5,
    control.label + (control.unit ? ` (${control.unit})` : ""), `fill:${ink.text}`);
  if (curve.ylabel) {
    const middle = (box.top + box.bottom) / 2;
    const size = Math.min(12, (1.9 * (tall + 20)) / curve.ylabel.length);
    svg.append(s("text", { x: 12, y: middle, "text-anchor": "middle",
      transform: `rotate(-90 12 ${middle})`, style: `fill:${ink.text};font-size:${size}px`,
    }, curve.ylabel));
  }

  // a nested svg cuts off what leaves the axes, without an id that a second plot could share
  const inside = { x: box.left, y: box.top, width: Math.max(1, box.right - box.left),
    height: Math.max(1, box.bottom - box.top) };
  const lines = s("svg", { ...inside, viewBox: Object.values(inside).join(" ") });
  svg.append(lines);
  rows.forEach((r, k) => {
    if (r.length === 3) {
      const there = x.map((_, i) => i).filter((i) => r[0][i] !== null && r[2][i] !== null);
      const up = there.map((i) => `${across(x[i])},${down(r[2][i])}`);
      const back = there.reverse().map((i) => `${across(x[i])},${down(r[0][i])}`);
      lines.append(s("polygon", { points: [...up, ...back].join(" "),
        style: `fill:${ink.colour(k)};opacity:0.16` }));
    }
    let path = "";
    let pen = "M";
    r[r.length >> 1].forEach((v, i) => {
      if (v === null) { pen = "M"; return; }
      path += `${pen}${across(x[i]).toFixed(2)},${down(v).toFixed(2)}`;
      pen = "L";
    });
    lines.append(s("path", { d: path, "stroke-dasharray": DASHES[k % DASHES.length],
      style: `fill:none;stroke:${ink.colour(k)};stroke-width:2;stroke-linejoin:round` }));
  });
  if (at >= x0 && at <= x1) {
    line(across(at), box.top - 4, across(at), box.bottom, `stroke:${ink.text};stroke-width:1`);
  }
  curve.lines.forEach((name, k) => {
    if (marks[k] !== null && down(marks[k]) >= box.top && down(marks[k]) <= box.bottom) {
      svg.append(s("circle", { cx: across(at), cy: down(marks[k]), r: 4.5, "data-line": name,
        style: `fill:${ink.colour(k)};stroke:${ink.back};stroke-width:1.5` }));
    }
    const [x, y, text] = legend[k];
    svg.append(s("line", { x1: x + 1, x2: x + 25, y1: y + 8, y2: y + 8,
      "stroke-dasharray": DASHES[k % DASHES.length],
      style: `stroke:${ink.colour(k)};stroke-width:2` }));
    put(x + 30, y + 12, text, `fill:${ink.text}`, "start");
  });
  function toValue(pixel) {
    const share = clamp((pixel - box.left) / (box.right - box.left), 0, 1);
    const v = a(x0) + share * (a(x1) - a(x0));
    return logX ? 10 ** v : v;
  }
  return { height, toValue, texts: legend.map((l) => l[2]) };
}

// ---- where pictures come from

// A static page: everything is stored, in parts that are unpacked when first needed.
function fromStore(model, spec) {
  const store = model.get("store");
  const sizes = spec.controls.map((c) => c.texts.length);
  const parts = new Map();
  const place = (entry, position) =>
    entry.axes.reduce((k, i) => k * sizes[i] + position[i], 0);
  const refs = (position) => Object.values(store.panels).map((entry) =>
    entry.parts[Math.floor(place(entry, position) / entry.block)]);
  const take = async (ref) => {
    if (!parts.has(ref)) parts.set(ref, bytes(await model.load(ref)));
  };
  function picture(position) {
    const out = { position, frames: {}, low: {}, high: {}, readouts: {}, curves: {}, error: "" };
    for (const { name, shape } of spec.panels) {
      const entry = store.panels[name];
      const k = place(entry, position);
      const part = parts.get(entry.parts[Math.floor(k / entry.block)]);
      const size = shape[0] * shape[1];
      const from = (k % entry.block) * size;
      out.frames[name] = part.subarray(from, from + size);
      out.low[name] = entry.low[k] === "1";
      out.high[name] = entry.high[k] === "1";
    }
    for (const kind of ["readouts", "curves"]) {
      for (const [name, entry] of Object.entries(store[kind])) {
        out[kind][name] = entry.values[place(entry, position)];
      }
    }
    return out;
  }
  // neighbours on every slider, so that the next step is there before it is asked for
  async function ahead(position) {
    for (let i = 0; i < sizes.length; i++) {
      for (const d of [1, -1]) {
        const next = position.map((v, k) => (k === i ? v + d : v));
        if (next[i] < 0 || next[i] >= sizes[i]) continue;
        for (const ref of refs(next)) await take(ref).catch(() => {});
      }
    }
  }
  // what the page holds is unpacked bit by bit as soon as it is drawn; files wait for a reader
  let alive = true;
  async function warm() {
    for (const ref of Object.values(store.panels).flatMap((entry) => entry.parts)) {
      if (!alive) return;
      if (!model.remote(ref)) await take(ref);
      await new Promise((next) => setTimeout(next, 0));
    }
  }
  setTimeout(() => warm().catch(() => {}), 0);
  let token = 0;
  return {
    ask(position, { answer, fail }) {
      const mine = ++token;
      model.set("position", position);
      const show = () => { answer(picture(position)); setTimeout(() => ahead(position), 0); };
      if (refs(position).every((ref) => parts.has(ref))) { show(); return; }
      Promise.all(refs(position).map(take)).then(
        () => { if (mine === token) show(); },
        (error) => { if (mine === token) fail(String(error.message ?? error)); });
    },
    stop() { token++; alive = false; },
  };
}

// A kernel: one question at a time, and the newest position once the answer is there.
function fromKernel(model, { answer, adopt, slow }) {
  let wanted = null;        // not yet sent
  let sent = null;          // waiting for the answer
  let timer = 0;
  let patience = 0;
  function send() {
    timer = 0;
    if (sent !== null || wanted === null) return;
    [sent, wanted] = [wanted, null];
    patience = setTimeout(slow, 10000);
    model.set("position", sent);
    model.save_changes();
  }
  function onPicture() {
    const picture = model.get("picture");
    if (sent !== null && same(picture.asked, sent)) { sent = null; clearTimeout(patience); }
    if (wanted !== null && same(picture.asked, wanted)) wanted = null;
    answer(picture, sent === null && wanted === null);
    if (wanted !== null && !timer) send();
  }
  function onPosition() {
    if (sent === null && wanted === null) adopt(model.get("position"));
  }
  model.on("change:picture", onPicture);
  model.on("change:position", onPosition);
  return {
    ask(position) {
      wanted = position;
      if (sent === null && same(position, model.get("picture").asked)) {
        wanted = null;
        answer(model.get("picture"), true);
        return;
      }
      if (!timer && sent === null) timer = setTimeout(send, 30);
    },
    stop() {
      clearTimeout(timer);
      clearTimeout(patience);
      model.off("change:picture", onPicture);
      model.off("change:position", onPosition);
    },
  };
}

// ---- the explorer

function render({ model, el }) {
  const spec = model.get("spec");
  const root = el.closest(".hebt-explorer") ?? el;
  root.classList.add("hebt-explorer");
  const tables = Object.fromEntries(
    Object.entries(spec.luts).map(([name, lut]) => [name, palette(lut)]));
  let wanted = [...model.get("position")];
  let shown = null;
  let probe = null;         // { row, column, panel }
  const later = {};         // timers by purpose
  const wait = (what, ms, f) => { clearTimeout(later[what]); later[what] = setTimeout(f, ms); };

  // -- the page

  const sliders = spec.controls.map((c, i) => {
    const input = h("input", { type: "range", min: 0, max: c.texts.length - 1, step: 1,
      "data-control": c.name, "aria-label": c.label, autocomplete: "off" });
    input.disabled = c.texts.length < 2;
    input.addEventListener("input", () => move(i, Number(input.value)));
    const output = h("output", { "data-value": c.name, "aria-hidden": "true" });
    return { input, output, node: h("label", { class: "hebt-control" },
      h("span", { class: "hebt-label" }, c.label), output, input) };
  });

  const bar = (name, p) => {
    const strip = h("canvas", { class: "hebt-strip", width: 256, height: 1,
      "aria-hidden": "true" });
    paint(strip, RAMP, tables[p.cmap]);
    return h("div", { class: "hebt-bar", "data-bar": name },
      h("div", { class: "hebt-edge" }, strip),
      h("div", { class: "hebt-ends" }, h("span", {}, p.ends[0]),
        h("span", { class: "hebt-unit" }, p.unit), h("span", {}, p.ends[1])));
  };
  const numberNode = (r) => h("span", { class: "hebt-number" },
    h("span", { "data-readout": r.name }), r.unit ? withUnit("", r.unit) : "");

  const panels = spec.panels.map((p) => {
    const [height, width] = p.shape;
    const canvas = h("canvas", { width, height, "data-panel": p.name, role: "img",
      class: p.smooth ? "hebt-smooth" : "hebt-pixels" });
    const mark = h("span", { class: "hebt-mark", hidden: "" });
    const value = h("span", { class: "hebt-pixel", "data-pixel": p.name });
    const notes = spec.readouts.filter((r) => r.panel === p.name).map((r) =>
      h("div", {}, h("span", { class: "hebt-label" }, r.label), " ", numberNode(r)));
    const strip = spec.shared ? null : bar(p.name, p);
    const node = h("div", { class: "hebt-panel" },
      h("div", { class: "hebt-title" }, p.title),
      h("div", { class: "hebt-picture" }, canvas, mark, value),
      strip ?? "", h("div", { class: "hebt-notes" }, ...notes));
    const pixelAt = (event) => {
      const r = canvas.getBoundingClientRect();
      return { panel: p, row: clamp(Math.floor(((event.clientY - r.top) / r.height) * height),
        0, height - 1),
      column: clamp(Math.floor(((event.clientX - r.left) / r.width) * width), 0, width - 1) };
    };
    // values in all panels of one shape follow one pointer, so one of them takes the keyboard
    if (spec.panels.find((q) => same(q.shape, p.shape)) === p) {
      canvas.tabIndex = 0;
      canvas.addEventListener("keydown", (e) => {
        const step = e.shiftKey ? 10 : 1;
        const [down, right] = { ArrowUp: [-step, 0], ArrowDown: [step, 0],
          ArrowLeft: [0, -step], ArrowRight: [0, step] }[e.key] ?? [];
        if (e.key === "Escape") point(null);
        if (down === undefined) return;
        e.preventDefault();
        const from = probe && same(probe.panel.shape, p.shape) ? probe
          : { row: (height >> 1) - down, column: (width >> 1) - right };
        point({ panel: p, row: clamp(from.row + down, 0, height - 1),
          column: clamp(from.column + right, 0, width - 1) });
        wait("status", 600, () => { status.textContent = where.textContent; });
      });
      canvas.addEventListener("blur", () => point(null));
    }
    canvas.addEventListener("pointermove", (e) => point(pixelAt(e)));
    canvas.addEventListener("pointerdown", (e) => point(pixelAt(e)));
    canvas.addEventListener("pointerleave", (e) => { if (e.pointerType === "mouse") point(null); });
    return { p, canvas, mark, value, strip, node };
  });
  const grid = h("div", { class: "hebt-panels" }, ...panels.map((q) => q.node));
  const sharedBar = spec.shared && spec.panels.length ? bar("shared", spec.panels[0]) : null;
  if (sharedBar) sharedBar.classList.add("hebt-shared");

  const ink = { colour: (k) => `var(--hebt-line-${k % LINES})`, text: "var(--hebt-text)",
    muted: "var(--hebt-muted)", grid: "var(--hebt-grid)", back: "var(--hebt-back)" };
  const curves = spec.curves.map((c) => {
    const svg = s("svg", { "data-curve": c.name, role: "img", class: "hebt-plot" });
    const frame = h("div", { class: "hebt-frame" }, svg);
    const one = { c, svg, frame, toValue: null, node: h("div", { class: "hebt-curve" },
      h("div", { class: "hebt-title" }, c.title), frame) };
    const follow = (event) => {
      const r = svg.getBoundingClientRect();
      const v = one.toValue((event.clientX - r.left) * (svg.width.baseVal.value / r.width));
      const control = spec.controls[c.along];
      const at = control.numbers ?? control.texts.map((_, k) => k);
      const distance = at.map((n) => Math.abs(c.log.includes("x") ? Math.log(n / v) : n - v));
      move(c.along, distance.indexOf(Math.min(...distance)));
    };
    svg.addEventListener("pointerdown", (e) => { svg.setPointerCapture(e.pointerId); follow(e); });
    svg.addEventListener("pointermove", (e) => { if (e.buttons & 1) follow(e); });
    return one;
  });
  const plots = h("div", { class: "hebt-curves" }, ...curves.map((c) => c.node));

  const free = spec.readouts.filter((r) => r.panel === null);
  const table = h("table", { class: "hebt-readouts" }, h("tbody", {}, ...free.map((r) =>
    h("tr", {}, h("th", { scope: "row" }, r.label), h("td", {}, numberNode(r))))));

  const where = h("span", { class: "hebt-probe", "data-role": "probe" });
  const reset = h("button", { type: "button", "data-role": "reset" }, "Reset");
  const save = h("button", { type: "button", "data-role": "save" }, "Save PNG");
  const status = h("span", { class: "hebt-hidden", "data-role": "status", "aria-live": "polite" });
  const message = h("p", { class: "hebt-message", "data-role": "message", role: "alert" });
  message.hidden = true;
  reset.addEventListener("click", () => go(spec.controls.map((c) => c.start)));
  save.addEventListener("click", () => savePicture(spec, shown, tables).catch((error) =>
    complain(`The picture could not be saved (${error.message ?? error}).`)));

  const parts = [h("div", { class: "hebt-controls" }, ...sliders.map((q) => q.node)), message];
  if (panels.length) parts.push(grid);
  if (sharedBar) parts.push(sharedBar);
  if (curves.length) parts.push(plots);
  if (free.length) parts.push(table);
  parts.push(h("div", { class: "hebt-foot" }, where,
    h("div", { class: "hebt-buttons" }, reset, save)), status);
  const caption = model.get("caption");
  if (caption) parts.push(h("p", { class: "hebt-caption" }, caption));
  const body = h("div", { class: "hebt-frames" }, ...parts);
  // JupyterLab takes arrow keys and Enter for its cells, except on elements marked so
  for (const node of body.querySelectorAll("input, button, canvas")) {
    node.setAttribute("data-lm-suppress-shortcuts", "true");
  }
  const { columns } = spec;
  body.style.setProperty("--hebt-width", `${columns > 1 ? 22 * columns - 1 : 30}rem`);

  // -- what changes

  function showSliders() {
    spec.controls.forEach((c, i) => {
      const { input, output } = sliders[i];
      const text = withUnit(c.texts[wanted[i]], c.unit);
      const last = Math.max(1, c.texts.length - 1);
      input.value = wanted[i];
      input.style.setProperty("--hebt-share", `${(100 * wanted[i]) / last}%`);
      input.setAttribute("aria-valuetext", text);
      output.textContent = text;
    });
  }

  function point(pixel) {
    probe = pixel;
    let text = "";
    for (const { p, mark, value } of panels) {
      const here = probe && same(p.shape, probe.panel.shape);
      mark.hidden = !here;
      value.textContent = "";
      if (!here || !shown) continue;
      const [low, high] = p.limits;
      const step = (high - low) / 255;
      const q = bytes(shown.frames[p.name])[probe.row * p.shape[1] + probe.column];
      const bound = q === 0 && shown.low[p.name] ? "≤ "
        : q === 255 && shown.high[p.name] ? "≥ " : "";
      value.textContent = bound + rounded(low + q * step, step);
      mark.style.left = `${((probe.column + 0.5) / p.shape[1]) * 100}%`;
      mark.style.top = `${((probe.row + 0.5) / p.shape[0]) * 100}%`;
      if (p === probe.panel) {
        text = `Row ${probe.row}, column ${probe.column}: ${withUnit(value.textContent, p.unit)}`;
      }
    }
    where.textContent = text;
  }

  function drawCurves() {
    for (const one of curves) {
      const width = one.frame.clientWidth || 400;
      const tall = Math.round(clamp(0.3 * width, 150, 210));
      const { toValue, texts } = plot(one.svg, spec, one.c, shown, width, tall, ink);
      one.toValue = toValue;
      const values = texts.map((t) => t.replace(/\s+/g, " ")).join(", ");
      one.svg.setAttribute("aria-label",
        fill(one.c.alt, spec, shown).replace(/\.?$/, `. At ${
          stateText(spec, shown.position)[one.c.along]}: ${values}.`));
    }
  }

  function draw(picture) {
    shown = picture;
    for (const { p, canvas, strip } of panels) {
      paint(canvas, bytes(picture.frames[p.name]), tables[p.cmap]);
      canvas.setAttribute("aria-label", fill(p.alt, spec, picture));
      if (strip) outside(strip, picture.low[p.name], picture.high[p.name], p.ends);
    }
    if (sharedBar) {
      outside(sharedBar, Object.values(picture.low).some(Boolean),
        Object.values(picture.high).some(Boolean), spec.panels[0].ends);
    }
    for (const r of spec.readouts) {
      body.querySelector(`[data-readout="${r.name}"]`).textContent = picture.readouts[r.name];
    }
    drawCurves();
    point(probe);
    root.dataset.position = picture.position.join(",");
  }

  function outside(strip, low, high, ends) {
    strip.classList.toggle("low", low);
    strip.classList.toggle("high", high);
    strip.title = [low && `Values below ${ends[0]} have the colour of ${ends[0]}.`,
      high && `Values above ${ends[1]} have the colour of ${ends[1]}.`].filter(Boolean).join(" ");
  }

  function complain(text) {
    message.textContent = text;
    message.hidden = !text;
  }

  const talk = {
    answer(picture, last = true) {
      if (picture.error) {
        talk.fail(picture.error);
        return;
      }
      draw(picture);
      complain("");
      if (last) {
        clearTimeout(later.busy);
        wanted = [...picture.position];
        showSliders();
        root.dataset.state = "ready";
      }
    },
    fail(reason) {
      clearTimeout(later.busy);
      root.dataset.state = "error";
      const still = stateText(spec, shown.position).join(", ");
      complain(`No picture for ${stateText(spec, wanted).join(", ")}: ${reason}. ` +
        `The pictures still show ${still}.`);
    },
    adopt(position) {
      wanted = [...position];
      showSliders();
    },
    slow() {
      complain("The kernel has not answered yet. It may be busy with another cell, or stopped.");
    },
  };

  const source = model.get("store") ? fromStore(model, spec) : fromKernel(model, talk);

  function go(position) {
    wanted = position;
    showSliders();
    wait("busy", 150, () => { root.dataset.state = "busy"; });
    source.ask([...position], talk);
    wait("status", 600, () => {
      if (!shown || !same(shown.position, wanted)) return;
      const free = spec.readouts.map((r) =>
        `${r.label}${r.panel ? ` of ${spec.panels.find((p) => p.name === r.panel).title}` : ""} ${
          withUnit(shown.readouts[r.name], r.unit)}`);
      status.textContent = [fill(spec.alt, spec, shown), free.join(", ")].filter(Boolean).join(" ");
    });
  }

  function move(i, index) {
    if (wanted[i] !== index) go(wanted.map((v, k) => (k === i ? index : v)));
  }

  // -- start

  function fit() {
    const width = body.clientWidth;
    if (!width) return;
    const gap = 16;
    const n = spec.panels.length;
    let columns = spec.columns;
    const room = (c) => (width - (c - 1) * gap) / c;
    // a colour bar of its own asks for room; three abreast is a comparison worth keeping
    const least = (c) => (c < 3 ? 140 : c === 3 && spec.shared ? 100 : 180);
    while (columns > 1 && (room(columns) < least(columns)
      || (columns !== spec.columns && columns > 2 && n % columns))) columns--;
    grid.style.setProperty("--hebt-columns", columns);
    // the author's rows stay rows, over several lines if they must
    const loose = columns < spec.columns && spec.columns % columns !== 0;
    panels.forEach((q, k) => {
      q.node.style.gridColumnStart = loose && k % spec.columns === 0 ? 1 : "";
    });
    if (shown) drawCurves();
  }
  el.replaceChildren(body);
  showSliders();
  fit();
  draw(model.get("picture"));
  root.dataset.state = "ready";
  if (shown.error) talk.fail(shown.error);
  const watch = new ResizeObserver(fit);
  watch.observe(body);
  const away = (event) => { if (probe && !root.contains(event.target)) point(null); };
  document.addEventListener("pointerdown", away);
  return () => {
    source.stop();
    watch.disconnect();
    document.removeEventListener("pointerdown", away);
    Object.values(later).forEach(clearTimeout);
  };
}

// ---- a PNG of what is shown, on white

async function savePicture(spec, picture, tables) {
  const scale = 2, gap = 20, margin = 20;
  const columns = Math.max(1, Math.min(spec.columns, spec.panels.length || 1));
  const wide = columns > 2 ? 240 : 340;
  const width = 2 * margin + Math.max(spec.curves.length ? 560 : 300,
    columns * (wide + gap) - gap);
  const notes = (p) => spec.readouts.filter((r) => r.panel === p.name);
  const free = spec.readouts.filter((r) => r.panel === null);
  const rowHeight = (row) => Math.max(...row.map((p) =>
    24 + (wide * p.shape[0]) / p.shape[1] + (spec.shared ? 8 : 40) + 18 * notes(p).length)) + 14;
  const rows = [];
  for (let k = 0; k < spec.panels.length; k += columns) {
    rows.push(spec.panels.slice(k, k + columns));
  }
  const ink = { colour: (k) => ON_WHITE[k % LINES], text: "#1f2933", muted: "#52606d",
    grid: "#e4e7eb", back: "white" };
  const plots = spec.curves.map((curve) => {
    const svg = s("svg", { xmlns: SVG, style: "font-family:system-ui,sans-serif" });
    const { height } = plot(svg, spec, curve, picture, width - 2 * margin, 200, ink);
    return { curve, svg, height };
  });
  const canvas = document.createElement("canvas");
  const c = canvas.getContext("2d");
  const font = (weight = "", size = 13) => {
    c.font = `${weight} ${size}px system-ui, sans-serif`;
  };

  font();
  const lines = [];           // the state, broken where it does not fit
  for (const text of stateText(spec, picture.position)) {
    const longer = lines.length ? `${lines.at(-1)}   ·   ${text}` : text;
    const fits = lines.length && c.measureText(longer).width <= width - 2 * margin;
    if (fits) lines[lines.length - 1] = longer; else lines.push(text);
  }
  const height = 2 * margin + 20 * lines.length + rows.reduce((sum, r) => sum + rowHeight(r), 0)
    + (spec.shared ? 46 : 0) + plots.reduce((sum, p) => sum + 34 + p.height, 0)
    + 20 * free.length;
  canvas.width = width * scale;
  canvas.height = height * scale;
  c.scale(scale, scale);
  c.fillStyle = "white";
  c.fillRect(0, 0, width, height);
  c.textBaseline = "top";
  const put = (text, x, y, { colour = "#1f2933", align = "left", weight = "", size = 13 } = {}) => {
    font(weight, size);
    c.fillStyle = colour;
    c.textAlign = align;
    c.fillText(text, x, y);
  };
  const image = (steps, table, w, h) => {
    const small = document.createElement("canvas");
    small.width = w;
    small.height = h;
    paint(small, steps, table);
    return small;
  };
  const bar = (p, low, high, x, y, w) => {
    const l = low ? 8 : 0, r = high ? 8 : 0, t = 10;
    c.save();
    c.beginPath();
    c.moveTo(x, y + t / 2);
    c.lineTo(x + l, y); c.lineTo(x + w - r, y); c.lineTo(x + w, y + t / 2);
    c.lineTo(x + w - r, y + t); c.lineTo(x + l, y + t);
    c.closePath();
    c.save();
    c.clip();
    c.imageSmoothingEnabled = false;
    c.drawImage(image(RAMP, tables[p.cmap], 256, 1), x, y, w, t);
    c.restore();
    c.strokeStyle = "#7b8794";
    c.lineWidth = 0.5;
    c.stroke();
    c.restore();
    put(p.ends[0], x, y + 14, { size: 12, colour: "#52606d" });
    put(p.unit, x + w / 2, y + 14, { size: 12, colour: "#52606d", align: "center" });
    put(p.ends[1], x + w, y + 14, { size: 12, colour: "#52606d", align: "right" });
  };

  let y = margin;
  for (const line of lines) { put(line, margin, y, { colour: "#52606d" }); y += 20; }
  y += 6;
  for (const row of rows) {
    row.forEach((p, i) => {
      const x = margin + i * (wide + gap);
      const tall = (wide * p.shape[0]) / p.shape[1];
      put(p.title, x, y, { weight: "600" });
      c.imageSmoothingEnabled = p.smooth;
      c.drawImage(image(bytes(picture.frames[p.name]), tables[p.cmap], p.shape[1], p.shape[0]),
        x, y + 22, wide, tall);
      let below = y + 22 + tall + 8;
      if (!spec.shared) {
        bar(p, picture.low[p.name], picture.high[p.name], x, below, wide);
        below += 36;
      }
      for (const r of notes(p)) {
        put(`${r.label}  ${withUnit(picture.readouts[r.name], r.unit)}`, x, below);
        below += 18;
      }
    });
    y += rowHeight(row);
  }
  if (spec.shared) {
    bar(spec.panels[0], Object.values(picture.low).some(Boolean),
      Object.values(picture.high).some(Boolean), margin, y, Math.min(400, width - 2 * margin));
    y += 46;
  }
  for (const { curve, svg, height } of plots) {
    put(curve.title, margin, y, { weight: "600" });
    const drawn = new Image();
    drawn.src = "data:image/svg+xml;charset=utf-8," +
      encodeURIComponent(new XMLSerializer().serializeToString(svg));
    await drawn.decode();
    c.drawImage(drawn, margin, y + 22, width - 2 * margin, height);
    y += 34 + height;
  }
  for (const r of free) {
    put(r.label, margin, y, { colour: "#52606d" });
    put(withUnit(picture.readouts[r.name], r.unit), margin + 200, y);
    y += 20;
  }

  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  if (!blob) throw new Error("the browser made no image");
  const state = spec.controls.map((k, i) => `${k.name}-${k.texts[picture.position[i]]}`);
  const link = document.createElement("a");
  link.download = [spec.filename, ...state].join("_").replace(/−/g, "-")
    .replace(/[^\w.-]+/g, "-") + ".png";
  link.href = URL.createObjectURL(blob);
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

export default { render };
