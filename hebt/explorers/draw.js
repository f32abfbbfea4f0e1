// What explorers draw with: elements, numbers as text, images, curves, and a PNG of what is shown.
//
// Put before the script of an explorer (see frames.py), as one module with it.

const LINES = 6;          // colors, as --hebt-line-0 ... in frames.css
const DASHES = ["", "6 3", "2 2.5", "8 3 2 3"];
const ON_WHITE = ["#0b5fa5", "#c2410c", "#0f766e", "#9d3c8f", "#4d4d4d", "#8a6d00"];
const RAMP = Uint8Array.from({ length: 256 }, (_, i) => i);
const SVG = "http://www.w3.org/2000/svg";

// An element; children that are empty are left out.
function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes)) node.setAttribute(k, v);
  node.append(...children.filter(Boolean));
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
const anyOf = (flags) => Object.values(flags).some(Boolean);
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
// `color(k)`, `text`, `muted`, `grid`, `back` are CSS colors. Returns the height of the whole,
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
        style: `fill:${ink.color(k)};opacity:0.16` }));
    }
    let path = "";
    let pen = "M";
    r[r.length >> 1].forEach((v, i) => {
      if (v === null) { pen = "M"; return; }
      path += `${pen}${across(x[i]).toFixed(2)},${down(v).toFixed(2)}`;
      pen = "L";
    });
    lines.append(s("path", { d: path, "stroke-dasharray": DASHES[k % DASHES.length],
      style: `fill:none;stroke:${ink.color(k)};stroke-width:2;stroke-linejoin:round` }));
  });
  if (at >= x0 && at <= x1) {
    line(across(at), box.top - 4, across(at), box.bottom, `stroke:${ink.text};stroke-width:1`);
  }
  curve.lines.forEach((name, k) => {
    if (marks[k] !== null && down(marks[k]) >= box.top && down(marks[k]) <= box.bottom) {
      svg.append(s("circle", { cx: across(at), cy: down(marks[k]), r: 4.5, "data-line": name,
        style: `fill:${ink.color(k)};stroke:${ink.back};stroke-width:1.5` }));
    }
    const [x, y, text] = legend[k];
    svg.append(s("line", { x1: x + 1, x2: x + 25, y1: y + 8, y2: y + 8,
      "stroke-dasharray": DASHES[k % DASHES.length],
      style: `stroke:${ink.color(k)};stroke-width:2` }));
    put(x + 30, y + 12, text, `fill:${ink.text}`, "start");
  });
  function toValue(pixel) {
    const share = clamp((pixel - box.left) / (box.right - box.left), 0, 1);
    const v = a(x0) + share * (a(x1) - a(x0));
    return logX ? 10 ** v : v;
  }
  return { height, toValue, texts: legend.map((l) => l[2]) };
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
  const ink = { color: (k) => ON_WHITE[k % LINES], text: "#1f2933", muted: "#52606d",
    grid: "#e4e7eb", back: "white" };
  const plots = spec.curves.map((curve) => {
    const svg = s("svg", { xmlns: SVG, style: "font-family:system-ui,sans-serif" });
    const { height } = plot(svg, spec, curve, picture, width - 2 * margin, 200, ink);
    return { curve, svg, height };
  });
  const canvas = h("canvas");
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
  const put = (text, x, y, { color = "#1f2933", align = "left", weight = "", size = 13 } = {}) => {
    font(weight, size);
    c.fillStyle = color;
    c.textAlign = align;
    c.fillText(text, x, y);
  };
  const image = (steps, table, width, height) => {
    const small = h("canvas", { width, height });
    paint(small, steps, table);
    return small;
  };
  const bar = (p, low, high, x, y, w) => {
    const l = low ? 8 : 0, r = high ? 8 : 0, t = 10;
    const outline = new Path2D(`M${x},${y + t / 2} L${x + l},${y} H${x + w - r}
      L${x + w},${y + t / 2} L${x + w - r},${y + t} H${x + l} Z`);
    c.save();
    c.clip(outline);
    c.imageSmoothingEnabled = false;
    c.drawImage(image(RAMP, tables[p.cmap], 256, 1), x, y, w, t);
    c.restore();
    c.strokeStyle = "#7b8794";
    c.lineWidth = 0.5;
    c.stroke(outline);
    put(p.ends[0], x, y + 14, { size: 12, color: "#52606d" });
    put(p.unit, x + w / 2, y + 14, { size: 12, color: "#52606d", align: "center" });
    put(p.ends[1], x + w, y + 14, { size: 12, color: "#52606d", align: "right" });
  };

  let y = margin;
  for (const line of lines) { put(line, margin, y, { color: "#52606d" }); y += 20; }
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
    bar(spec.panels[0], anyOf(picture.low), anyOf(picture.high), margin, y,
      Math.min(400, width - 2 * margin));
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
    put(r.label, margin, y, { color: "#52606d" });
    put(withUnit(picture.readouts[r.name], r.unit), margin + 200, y);
    y += 20;
  }

  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  if (!blob) throw new Error("the browser made no image");
  const state = spec.controls.map((k, i) => `${k.name}-${k.texts[picture.position[i]]}`);
  const name = [spec.filename, ...state].join("_").replace(/−/g, "-").replace(/[^\w.-]+/g, "-");
  const link = h("a", { download: `${name}.png`, href: URL.createObjectURL(blob) });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
