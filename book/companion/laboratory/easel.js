// A picture of the specimen to draw on, by pointer, or by arrow keys and the space bar.

const TOOLS = [["Au", [1, 0]], ["Ag", [0, 1]], ["Erase", [0, 0]]];
const PAINTS = [[230, 159, 0], [86, 180, 233]];     // of Au and Ag
const BACKGROUND = 16;

// `begin` gives the density pair to paint in, `painted` is called after each stroke of the brush,
// and `done` when the drawing pauses. `show` draws a density pair.
function easel(size, { begin, painted, done }) {
  let color = TOOLS[0][1];
  let pen = null;           // where the pointer presses
  let brush = null;         // where the keys have moved

  const canvas = h("canvas", { width: size, height: size, "data-panel": "drawing", tabindex: 0,
    class: "hebt-pixels", role: "application",
    "aria-label": "Drawing of the specimen. Arrow keys move the brush, space paints." });
  const cursor = h("span", { class: "hebt-brush", hidden: "" });
  const tools = TOOLS.map(([text, values], k) => {
    const tool = button("tool", text, () => {
      color = values;
      tools.forEach((one) => one.setAttribute("aria-pressed", one === tool));
    });
    tool.dataset.tool = text;
    tool.setAttribute("aria-pressed", k === 0);
    return tool;
  });
  const width = h("select", { "aria-label": "Width of the brush", autocomplete: "off" },
    ...[3, 7, 13, 25].map((w) => h("option", { value: w }, `${w} pixels`)));
  width.value = "13";
  const clear = button("clear", "Clear", () => {
    begin().forEach((d) => d.fill(0));
    done();
  });
  const nodes = [h("div", { class: "hebt-picture" }, canvas, cursor),
    h("div", { class: "hebt-tools", role: "group", "aria-label": "Brush" }, ...tools, width, clear)];

  function show(density) {
    const context = canvas.getContext("2d");
    const image = context.createImageData(size, size);
    for (let i = 0; i < size * size; i++) {
      for (let c = 0; c < 3; c++) {
        image.data[4 * i + c] = BACKGROUND
          + density.reduce((sum, d, e) => sum + d[i] * (PAINTS[e][c] - BACKGROUND), 0);
      }
      image.data[4 * i + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  }

  function dab(density, x, y) {
    const radius = Number(width.value) / 2;
    const first = (v) => Math.max(0, Math.floor(v - radius));
    const last = (v) => Math.min(size - 1, v + radius);
    for (let row = first(y); row <= last(y); row++) {
      for (let column = first(x); column <= last(x); column++) {
        if (Math.hypot(column + 0.5 - x, row + 0.5 - y) > radius) continue;
        density.forEach((d, e) => { d[row * size + column] = color[e]; });
      }
    }
  }

  function stroke(from, to) {
    const density = begin();
    const n = Math.max(1, Math.ceil(Math.hypot(to.x - from.x, to.y - from.y)));
    for (let i = 0; i <= n; i++) {
      dab(density, from.x + ((to.x - from.x) * i) / n, from.y + ((to.y - from.y) * i) / n);
    }
    painted();
  }

  function placeCursor(at) {
    cursor.hidden = !at;
    if (!at) return;
    cursor.style.left = `${(100 * at.x) / size}%`;
    cursor.style.top = `${(100 * at.y) / size}%`;
    cursor.style.width = `${(100 * Number(width.value)) / size}%`;
  }

  const placeOf = (event) => {
    const r = canvas.getBoundingClientRect();
    return { x: ((event.clientX - r.left) / r.width) * size,
      y: ((event.clientY - r.top) / r.height) * size };
  };
  canvas.addEventListener("pointerdown", (e) => {
    e.preventDefault();
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(e.pointerId);
    pen = placeOf(e);
    stroke(pen, pen);
  });
  canvas.addEventListener("pointermove", (e) => {
    const to = placeOf(e);
    placeCursor(to);
    if (!pen) return;
    stroke(pen, to);
    pen = to;
  });
  canvas.addEventListener("lostpointercapture", () => {
    pen = null;
    done();
  });
  canvas.addEventListener("pointerleave", () => { if (!pen && !brush) placeCursor(null); });
  canvas.addEventListener("keydown", (e) => {
    if (!(e.key in ARROWS) && e.key !== " ") return;
    e.preventDefault();
    brush ??= { x: size / 2, y: size / 2 };
    if (e.key === " ") {
      stroke(brush, brush);
      done();
    } else {
      const [down, right] = ARROWS[e.key].map((d) => d * (e.shiftKey ? 8 : 2));
      brush = { x: clamp(brush.x + right, 0, size), y: clamp(brush.y + down, 0, size) };
    }
    placeCursor(brush);
  });
  canvas.addEventListener("blur", () => {
    brush = null;
    placeCursor(null);
  });
  return { nodes, show };
}
