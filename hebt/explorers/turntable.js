// Draws a Turntable: bodies seen from all sides, turned by sliders or by dragging, in both hosts.
//
// What tests and style sheets may rely on is as in frames.js: data-position and data-state of the
// root, input[data-control], output[data-value], canvas[data-panel].

const degrees = (v) => `${minus(String(v))}°`;

function render({ model, el }) {
  const spec = model.get("spec");
  const root = rootOf(el);
  const { turns, tips, size, panels } = spec;
  const controls = [
    { name: "turn", label: "Turn", unit: "°", texts: turns.map((v) => minus(String(v))) },
    { name: "tip", label: "Tip", unit: "°", texts: tips.map((v) => minus(String(v))) },
  ];
  let wanted = [...spec.start];
  let token = 0;
  let all = null;           // all views, once a reader has asked for another one
  let alive = true;
  let moved = false;        // whether a reader has asked for another view

  const sliders = controls.map((c, i) =>
    slider(c, (place) => go(wanted.map((v, k) => (k === i ? place : v)))));
  const bodies = panels.map((p) => {
    const notes = h("div", { class: "hebt-notes" });
    return { ...imagePanel({ ...p, smooth: true }, [size, size], notes), notes };
  });
  for (const { canvas } of bodies) {
    let from = null;
    canvas.classList.add("hebt-body");
    canvas.addEventListener("pointerdown", (e) => {
      canvas.setPointerCapture(e.pointerId);
      from = { x: e.clientX, y: e.clientY, at: [...wanted] };
    });
    canvas.addEventListener("pointermove", (e) => {
      if (!from || !(e.buttons & 1)) return;
      const pixels = canvas.clientWidth || size;
      // a drag across the picture is half a turn
      const right = Math.round(((e.clientX - from.x) / pixels) * (turns.length / 2));
      const down = Math.round(((e.clientY - from.y) / pixels) * tips.length);
      const turn = (((from.at[0] + right) % turns.length) + turns.length) % turns.length;
      go([turn, clamp(from.at[1] + down, 0, tips.length - 1)]);
    });
    canvas.addEventListener("pointerup", () => { from = null; });
    canvas.addEventListener("pointercancel", () => { from = null; });
  }
  const message = messageLine();
  const status = h("span", { class: "hebt-hidden", "data-role": "status", "aria-live": "polite" });
  const { wait, stop } = timers();
  const reset = button("reset", "Reset", () => go([...spec.start]));
  const grid = h("div", { class: "hebt-panels" }, ...bodies.map((q) => q.node));
  const body = h("div", { class: "hebt-frames" },
    h("div", { class: "hebt-controls" }, ...sliders.map((q) => q.node)), message.node, grid,
    h("div", { class: "hebt-foot" },
      h("span", { class: "hebt-probe" }, "Drag a picture, or use the sliders."),
      h("div", { class: "hebt-buttons" }, reset)),
    status, captionOf(model));
  keepKeys(body);
  body.style.setProperty("--hebt-width", `${22 * panels.length - 1}rem`);

  async function views() {
    const stored = model.get("stored");
    all ??= stored ? await model.load(stored) : model.get("views");
    return all;
  }
  async function picture(panel, [turn, tip]) {
    const first = same([turn, tip], spec.start);
    const data = first ? model.get("first") : await views();
    const ends = first ? spec.first : spec.ends;
    const k = first ? panel : (panel * tips.length + tip) * turns.length + turn;
    const from = k ? ends[k - 1] : 0;
    const part = new Uint8Array(data.buffer, data.byteOffset + from, ends[k] - from);
    return createImageBitmap(new Blob([part], { type: "image/webp" }));
  }

  const showSliders = () => sliders.forEach((one, i) => one.show(wanted[i]));

  async function go(position) {
    wanted = position;
    const mine = ++token;
    showSliders();
    root.dataset.state = "busy";
    try {
      const images = await Promise.all(panels.map((_, k) => picture(k, position)));
      if (mine !== token || !alive) return;
      const seen = `Seen at turn ${degrees(turns[position[0]])} and tip ${
        degrees(tips[position[1]])}.`;
      const said = panels.map((p) => p.notes[position[1]]?.[position[0]] ?? "");
      bodies.forEach(({ canvas, notes }, k) => {
        canvas.getContext("2d").drawImage(images[k], 0, 0, size, size);
        canvas.setAttribute("aria-label", [panels[k].alt, seen, said[k]].filter(Boolean).join(" "));
        notes.textContent = said[k];
      });
      // said once a reader has stopped, and not when the page opens
      if (moved) {
        wait("status", 600, () => {
          const each = panels.map((p, k) => (said[k] ? `${p.title}: ${said[k]}` : p.title));
          status.textContent = `${seen} ${each.join(" ")}`;
        });
      }
      moved = true;
      message.say("");
      root.dataset.position = position.join(",");
      root.dataset.state = "ready";
    } catch (error) {
      if (mine !== token) return;
      all = null;
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
  return go(wanted).then(() => () => {
    alive = false;
    stop();
    unwatch();
  });
}

export default { render };
