// Draws a Turntable: bodies seen from all sides, turned by sliders or by dragging, in both hosts.
//
// What tests and style sheets may rely on is as in frames.js: data-position and data-state of the
// root, input[data-control], output[data-value], canvas[data-panel]; and data-spin of the root,
// "on" while bodies turn by themselves.

const degrees = (v) => `${minus(String(v))}°`;

// The colors of what is seen, and what they mean.
function keyOf({ key, keyNote }) {
  if (!key.length && !keyNote) return "";
  const swatch = (color) => h("span", { class: "hebt-swatch", "aria-hidden": "true",
    style: `background: linear-gradient(to right, #fff, ${color} 70%)` });
  return h("div", { class: "hebt-key", "data-role": "key" },
    ...key.map(([name, color]) => h("span", { "data-color": color }, swatch(color), name)),
    keyNote && h("span", { class: "hebt-key-note" }, keyNote));
}

function scaleBar(scale) {
  return scale && h("span", { class: "hebt-scale", "data-role": "scale",
    style: `width: ${100 * scale.share}%` }, scale.text);
}

// Turns bodies by themselves: `step` shows the next view. It waits while the body is out of sight.
function spinner(root, body, milliseconds, step) {
  let timer, seen = false, on = false, busy = false;
  const press = button("spin", "Turn", () => run(!on));
  function run(wanted) {
    on = wanted;
    press.textContent = on ? "Pause" : "Turn";
    root.dataset.spin = on ? "on" : "off";
    clearInterval(timer);
    if (on) timer = setInterval(next, milliseconds);
  }
  async function next() {
    if (busy || !seen || document.hidden) return;
    busy = true;
    await step();
    busy = false;
  }
  // once in sight, unless a reader asks for less motion
  let begun = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const sight = new IntersectionObserver((entries) => {
    seen = entries.at(-1).isIntersecting;
    if (seen && !begun) { begun = true; run(true); }
  }, { threshold: 0.3 });
  run(false);
  return {
    press,
    watch: () => sight.observe(body),
    // from the first touch on, a reader turns it
    rest() { begun = true; if (on) run(false); },
    stop() { clearInterval(timer); sight.disconnect(); },
  };
}

function render({ model, el }) {
  const spec = model.get("spec");
  const root = rootOf(el);
  const { turns, tips, cuts, size, panels } = spec;
  const controls = [
    { name: "turn", label: "Turn", unit: "°", texts: turns.map((v) => minus(String(v))) },
    { name: "tip", label: "Tip", unit: "°", texts: tips.map((v) => minus(String(v))) },
    ...(cuts ? [{ name: "cut", label: "Cut away", unit: "", texts: cuts }] : []),
  ];
  const shown = controls.map((c, i) => i).filter((i) => controls[i].texts.length > 1);
  let wanted = [...spec.start];
  let token = 0;
  const all = {};           // all views of a place of the cut plane, once a reader has asked for one
  let alive = true;
  let moved = false;        // whether a reader has asked for another view

  const sliders = shown.map((i) => ({ i, ...slider(controls[i], (place) =>
    turn(wanted.map((v, k) => (k === i ? place : v)))) }));
  const bodies = panels.map((p) => {
    const notes = h("div", { class: "hebt-notes" });
    const panel = imagePanel({ ...p, smooth: true }, [size, size], notes);
    panel.canvas.parentElement.append(...[scaleBar(spec.scale)].filter(Boolean));
    return { ...panel, notes };
  });
  for (const { canvas } of bodies) {
    let from = null;
    canvas.classList.add("hebt-body");
    canvas.addEventListener("pointerdown", (e) => {
      canvas.setPointerCapture(e.pointerId);
      from = { x: e.clientX, y: e.clientY, at: [...wanted] };
      spin?.rest();
    });
    canvas.addEventListener("pointermove", (e) => {
      if (!from || !(e.buttons & 1)) return;
      const pixels = canvas.clientWidth || size;
      // a drag across the picture is half a turn
      const right = Math.round(((e.clientX - from.x) / pixels) * (turns.length / 2));
      const down = Math.round(((e.clientY - from.y) / pixels) * tips.length);
      const at = (((from.at[0] + right) % turns.length) + turns.length) % turns.length;
      go([at, clamp(from.at[1] + down, 0, tips.length - 1), ...from.at.slice(2)]);
    });
    canvas.addEventListener("pointerup", () => { from = null; });
    canvas.addEventListener("pointercancel", () => { from = null; });
  }
  const message = messageLine();
  const status = h("span", { class: "hebt-hidden", "data-role": "status", "aria-live": "polite" });
  const { wait, drop, stop } = timers();
  const reset = button("reset", "Reset", () => turn([...spec.start]));
  const grid = h("div", { class: "hebt-panels" }, ...bodies.map((q) => q.node));
  const buttons = h("div", { class: "hebt-buttons" });
  const body = h("div", { class: "hebt-frames" },
    h("div", { class: "hebt-controls" }, ...sliders.map((q) => q.node)), keyOf(spec), message.node,
    grid, h("div", { class: "hebt-foot" },
      h("span", { class: "hebt-probe" }, "Drag a picture, or use the sliders."), buttons),
    status, captionOf(model));
  const next = () => go([(wanted[0] + 1) % turns.length, ...wanted.slice(1)], true);
  const spin = spec.spin
    ? spinner(root, grid, (1000 * spec.spin) / turns.length, next) : null;
  buttons.append(...[spin?.press, reset].filter(Boolean));
  sliders.forEach((q) => q.node.addEventListener("focusin", () => spin?.rest()));
  spin?.press.addEventListener("click", () => wait("status", 600, say));
  keepKeys(body);
  body.style.setProperty("--hebt-width", `${22 * panels.length - 1}rem`);

  async function views(cut) {
    const stored = model.get("stored");
    all[cut] ??= stored ? await model.load(stored[cut]) : model.get("views")[cut];
    return all[cut];
  }
  async function picture(panel, [at, tip, cut = 0]) {
    const first = same([at, tip, cut], [...spec.start, 0].slice(0, 3));
    const data = first ? model.get("first") : await views(cut);
    const ends = first ? spec.first : spec.ends[cut];
    const k = first ? panel : (panel * tips.length + tip) * turns.length + at;
    const from = k ? ends[k - 1] : 0;
    const part = new Uint8Array(data.buffer, data.byteOffset + from, ends[k] - from);
    return createImageBitmap(new Blob([part], { type: "image/webp" }));
  }

  const showSliders = () => sliders.forEach((one) => one.show(wanted[one.i]));
  const noteOf = (p) => p.notes[wanted[2] ?? 0]?.[wanted[1]]?.[wanted[0]] ?? "";
  function seenAs() {
    const cut = cuts && wanted[2] !== 0 ? ` Cut away: ${cuts[wanted[2]]}.` : "";
    return `Seen at turn ${degrees(turns[wanted[0]])} and tip ${degrees(tips[wanted[1]])}.${cut}`;
  }
  function say() {
    const each = panels.map((p) => (noteOf(p) ? `${p.title}: ${noteOf(p)}` : p.title));
    status.textContent = `${seenAs()} ${each.join(" ")}`;
  }
  // What a reader asks for.
  function turn(position) {
    spin?.rest();
    return go(position);
  }

  async function go(position, byItself = false) {
    wanted = position;
    const mine = ++token;
    showSliders();
    if (!byItself) root.dataset.state = "busy";
    try {
      const images = await Promise.all(panels.map((_, k) => picture(k, position)));
      if (mine !== token || !alive) return;
      bodies.forEach(({ canvas, notes }, k) => {
        const said = noteOf(panels[k]);
        canvas.getContext("2d").drawImage(images[k], 0, 0, size, size);
        canvas.setAttribute("aria-label", [panels[k].alt, seenAs(), said].filter(Boolean).join(" "));
        notes.textContent = said;
      });
      // said once a reader has stopped, and neither when the page opens nor while bodies turn
      if (byItself) drop("status");
      else if (moved) wait("status", 600, say);
      moved = true;
      message.say("");
      root.dataset.position = shown.map((i) => position[i]).join(",");
      root.dataset.state = "ready";
    } catch (error) {
      if (mine !== token) return;
      spin?.rest();
      message.say(`This view could not be shown (${error.message ?? error}).`);
      root.dataset.state = "error";
    }
  }

  function fit() {
    const width = body.clientWidth;
    if (!width) return;
    let columns = panels.length;
    while (columns > 1 && (width - (columns - 1) * 16) / columns < 150) columns--;
    grid.style.setProperty("--hebt-columns", columns);
  }
  el.replaceChildren(body);
  showSliders();
  fit();
  const unwatch = watch(root, body, fit);
  // the page's picture goes only when there is another one in its place
  return go(wanted).then(() => {
    spin?.watch();
    return () => {
      alive = false;
      stop();
      spin?.stop();
      unwatch();
    };
  });
}

export default { render };
