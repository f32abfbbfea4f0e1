// Draws a FrameExplorer: sliders, image panels, curves and read-outs, in both hosts.
//
// With a kernel, `picture` comes from Python after `position` was sent there. On a static page
// `store` holds every picture. What is drawn from a picture is the same code. The functions that
// draw are in draw.js and elements.js.
//
// The page, as tests and style sheets may rely on it:
//   .hebt-explorer                    the root; data-position="3,1,0": indices of what is drawn;
//                                     data-state: "ready", "busy" or "error"
//   input[type=range][data-control=NAME]   a slider over indices; aria-valuetext is its value
//   output[data-value=NAME]           the control's value as text with unit
//   canvas[data-panel=NAME]           an image, one canvas pixel for each of its pixels
//   [data-bar=NAME]                   its color bar; classes "low" and "high": values lie outside
//   [data-pixel=NAME]                 value of the panel at the pointer, empty without one
//   [data-role=probe]                 coordinates and value at the pointer
//   [data-readout=NAME]               a number as text, without unit
//   svg[data-curve=NAME]              a plot; circle[data-line=NAME] are the markers
//   [data-role=status]                aria-live text, for screen readers
//   canvas[tabindex="0"]              takes arrow keys (with shift: 10 pixels), Escape
//   [data-role=message]               visible only when something went wrong
//   button[data-role=reset], button[data-role=save]

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
  // neighbors on every slider, so that the next step is there before it is asked for
  async function ahead(position) {
    for (let i = 0; i < sizes.length; i++) {
      for (const d of [1, -1, 2, -2]) {
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
  const root = rootOf(el);
  const tables = palettes(spec);
  let wanted = [...model.get("position")];
  let shown = null;
  let probe = null;         // { row, column, panel }
  const { wait, stop } = timers();

  // -- the page

  const sliders = spec.controls.map((c, i) => slider(c, (index) => move(i, index)));
  const numberNode = (r) => h("span", { class: "hebt-number" },
    h("span", { "data-readout": r.name }), withUnit("", r.unit));

  const panels = spec.panels.map((p) => {
    const notes = spec.readouts.filter((r) => r.panel === p.name).map((r) =>
      h("div", {}, h("span", { class: "hebt-label" }, r.label), " ", numberNode(r)));
    const strip = spec.shared ? null : colorBar(p.name, tables[p.cmap], p.unit);
    const panel = imagePanel(p, p.shape, strip?.node,
      h("div", { class: "hebt-notes" }, ...notes));
    // values in all panels of one shape follow one pointer, so one of them takes the keyboard
    if (spec.panels.find((q) => same(q.shape, p.shape)) === p) panel.canvas.tabIndex = 0;
    followPixels(panel.canvas, (pixel, typed) => {
      point(pixel && { panel: p, ...pixel });
      if (typed) wait("status", 600, () => { status.textContent = where.textContent; });
    }, () => (probe && same(probe.panel.shape, p.shape) ? probe : null));
    return { p, strip, ...panel };
  });
  const grid = h("div", { class: "hebt-panels" }, ...panels.map((q) => q.node));
  const [first] = spec.panels;
  const sharedBar = spec.shared && first ? colorBar("shared", tables[first.cmap], first.unit) : null;
  sharedBar?.node.classList.add("hebt-shared");

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
  const status = h("span", { class: "hebt-hidden", "data-role": "status", "aria-live": "polite" });
  const message = messageLine();
  const reset = button("reset", "Reset", () => go(spec.controls.map((c) => c.start)));
  const save = saveButton(() => [spec, shown, tables], message);

  const body = h("div", { class: "hebt-frames" },
    h("div", { class: "hebt-controls" }, ...sliders.map((q) => q.node)), message.node,
    panels.length && grid, sharedBar?.node, curves.length && plots, free.length && table,
    h("div", { class: "hebt-foot" }, where, h("div", { class: "hebt-buttons" }, reset, save)),
    status, captionOf(model));
  keepKeys(body);
  const { columns } = spec;
  body.style.setProperty("--hebt-width", `${columns > 1 ? 22 * columns - 1 : 30}rem`);

  // -- what changes

  const showSliders = () => sliders.forEach((one, i) => one.show(wanted[i]));

  function point(pixel) {
    probe = pixel;
    let text = "";
    for (const { p, probe: show } of panels) {
      const here = probe && shown && same(p.shape, probe.panel.shape);
      if (!here) {
        show(null);
        continue;
      }
      const [low, high] = p.limits;
      const step = (high - low) / 255;
      const q = bytes(shown.frames[p.name])[probe.row * p.shape[1] + probe.column];
      const bound = q === 0 && shown.low[p.name] ? "≤ "
        : q === 255 && shown.high[p.name] ? "≥ " : "";
      const value = bound + rounded(low + q * step, step);
      show(probe, value);
      if (p === probe.panel) {
        text = `Row ${probe.row}, column ${probe.column}: ${withUnit(value, p.unit)}`;
      }
    }
    where.textContent = text;
  }

  function drawCurves() {
    for (const one of curves) {
      const width = one.frame.clientWidth || 400;
      const tall = Math.round(clamp(0.3 * width, 150, 210));
      const { toValue, texts } = plot(one.svg, spec, one.c, shown, width, tall, INK);
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
      strip?.show(p.ends, picture.low[p.name], picture.high[p.name]);
    }
    sharedBar?.show(first.ends, anyOf(picture.low), anyOf(picture.high));
    for (const r of spec.readouts) {
      body.querySelector(`[data-readout="${r.name}"]`).textContent = picture.readouts[r.name];
    }
    drawCurves();
    point(probe);
    root.dataset.position = picture.position.join(",");
  }

  const talk = {
    answer(picture, last = true) {
      if (picture.error) {
        talk.fail(picture.error);
        return;
      }
      draw(picture);
      message.say("");
      if (last) {
        wanted = [...picture.position];
        showSliders();
        root.dataset.state = "ready";
      }
    },
    fail(reason) {
      root.dataset.state = "error";
      const still = stateText(spec, shown.position).join(", ");
      message.say(`No picture for ${stateText(spec, wanted).join(", ")}: ${reason}. ` +
        `The pictures still show ${still}.`);
    },
    adopt(position) {
      wanted = [...position];
      showSliders();
    },
    slow() {
      message.say("The kernel has not answered yet. It may be busy with another cell, or stopped.");
    },
  };

  const source = model.get("store") ? fromStore(model, spec) : fromKernel(model, talk);

  function go(position) {
    wanted = position;
    showSliders();
    root.dataset.state = "busy";
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
    const gap = width < 480 ? 8 : 16;
    const n = spec.panels.length;
    let columns = spec.columns;
    const room = (c) => (width - (c - 1) * gap) / c;
    // a row of two or three is a comparison: it stays whole, or else its pictures stand one by one
    const least = (c) => (c === spec.columns && c < 4 ? 80
      : c < 3 ? 140 : c === 3 && spec.shared ? 100 : 180);
    while (columns > 1 && (room(columns) < least(columns)
      || (columns !== spec.columns && columns > 2 && n % columns))) columns--;
    grid.style.setProperty("--hebt-gap", `${gap}px`);
    grid.classList.toggle("hebt-tight", room(columns) < 140);
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
  const unwatch = watch(root, body, fit, () => point(null));
  return () => {
    source.stop();
    unwatch();
    stop();
  };
}

export default { render };
