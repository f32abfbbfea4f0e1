// HEBT in your browser: a specimen to pick or to draw, a simulated tilt series, and both
// reconstructions as they run. The numerics are in hebt-core.js and run in a worker.
//
// The page, as tests and style sheets may rely on it, is as in frames.js, and besides:
//   the root's data-state is "ready" or "running" (or "error"), data-iteration what is shown
//   select[data-control=preset], select[data-control=specimen]
//   canvas[data-panel=drawing]        takes the pointer, arrow keys, and the space bar to paint
//   [data-role=preset]                what the preset does; strong: the name of its artefact
//   button[data-role=run|step|start|clear], [data-role=rate]: iterations a second
//   td[data-score="mse,Au,hebt"]      a score

const DATA = ["specimen", "counts", "tilt", "step", "shift", "smoothing", "seed"];
const METHODS = ["hebt", "eds"];
const NAMES = { hebt: "HEBT", eds: "EDS only" };
const SCORES = [["mse", "MSE, relative"], ["ssim", "SSIM, whole image"], ["dp", "DP (pixels)"]];
const TOOLS = [[[1, 0], "Au"], [[0, 1], "Ag"], [[0, 0], "Erase"]];
const PAINTS = [[230, 159, 0], [86, 180, 233]];     // of Au and Ag in the drawing

// The worker's side. It runs in pieces, so that a message is never kept waiting, and sends the
// next picture only when the last one was drawn.
function worker(HEBT) {
  let series = null, solvers = null, scale = null, norms = null;
  let until = 0, running = false, shown = true, last = 0, fresh = [], rate = 0;
  const timed = { from: 0, iteration: 0 };
  const channel = new MessageChannel();
  channel.port1.onmessage = work;

  function solve({ ratios, alpha }) {
    const { W, haadf, maps } = series;
    solvers = { hebt: HEBT.reconstruction(W, haadf, maps, ratios, alpha),
      eds: HEBT.reconstruction(W, haadf, maps, ratios, 0) };
    scale = ratios.map((r, e) => r * series.zeta[e]);
    const norm = (p) => Math.sqrt(p.reduce((sum, v) => sum + v * v, 0));
    norms = [...maps.map((p, e) => ratios[e] * norm(p)), norm(haadf)];
    fresh = [];
    shown = true;       // a picture of the job before is no longer waited for
    Object.assign(timed, { from: 0, iteration: 0 });
  }
  function iterate() {
    solvers.hebt.step();
    solvers.eds.step();
    fresh.push([...solvers.hebt.residuals.map((v, k) => v / norms[k]),
      ...solvers.eds.residuals.map((v, k) => v / norms[k])]);
  }
  function work() {
    if (!running) return;
    const start = performance.now();
    if (!timed.from) Object.assign(timed, { from: start, iteration: solvers.hebt.iteration });
    while (solvers.hebt.iteration < until && performance.now() - start < 20) iterate();
    if (solvers.hebt.iteration >= until) running = false;
    const now = performance.now();
    if (now > timed.from) {
      rate = ((solvers.hebt.iteration - timed.iteration) / (now - timed.from)) * 1000;
    }
    if (!running || (shown && now - last > 60)) send();
    if (running) channel.port2.postMessage(0);
  }
  function send() {
    const images = {}, scores = {};
    for (const m of Object.keys(solvers)) {
      images[m] = [0, 1].map((e) => solvers[m].image(e).map((v) => v / scale[e]));
      scores[m] = images[m].map((image, e) => ({
        mse: HEBT.scaledMse(series.density[e], image),
        ssim: HEBT.structureSimilarity(series.density[e], image),
        dp: HEBT.pixelDifference(series.density[e], image),
      }));
    }
    shown = false;
    last = performance.now();
    self.postMessage({ kind: "picture", job: series.job, iteration: solvers.hebt.iteration,
      images, scores, residuals: fresh, done: !running, rate });
    fresh = [];
  }
  const tasks = {
    record({ job, density, conditions, size }) {
      running = false;
      const W = HEBT.projector(HEBT.tilts(conditions.tilt, conditions.step), size);
      const made = HEBT.simulate(W, density, conditions);
      const fit = HEBT.responseRatios(made.haadf, made.maps);
      series = { job, W, density, ...made, fit };
      self.postMessage({ kind: "recorded", job, haadf: made.haadf, counts: made.counts,
        tilts: W.tilts, fit });
    },
    solve(message) {
      series.job = message.job;
      running = false;
      solve(message);
      if (message.until) tasks.run(message); else send();
    },
    run(message) {
      ({ until } = message);
      running = true;
      Object.assign(timed, { from: 0 });
      channel.port2.postMessage(0);
    },
    pause() { running = false; send(); },
    step() { running = false; iterate(); send(); },
    shown() { shown = true; },
  };
  self.onmessage = ({ data }) => {
    try {
      if (data.kind !== "record" && data.kind !== "shown" && !series) return;
      tasks[data.kind](data);
    } catch (error) {
      running = false;
      self.postMessage({ kind: "error", job: data.job, reason: error.message });
    }
  };
}

function render({ model, el }) {
  const spec = model.get("spec");
  const { size, elements } = spec;
  const root = el.closest(".hebt-explorer") ?? el;
  root.classList.add("hebt-explorer");
  const tables = Object.fromEntries(
    Object.entries(spec.luts).map(([name, lut]) => [name, palette(lut)]));
  const stored = bytes(model.get("densities"));
  const pixels = size * size;

  const state = { ...spec.defaults };
  let drawn = null;             // the reader's own specimen, once there is one
  let density = null;           // what is shown: two Float32Array
  let series = null, picture = null, curves = [];
  let job = 0, tool = 0, probe = null, brush = null, recording = false;
  const later = {};
  const wait = (what, ms, f) => { clearTimeout(later[what]); later[what] = setTimeout(f, ms); };

  // -- the worker

  const url = URL.createObjectURL(new Blob(
    [model.get("core"), `\n(${worker})(HEBT);`], { type: "text/javascript" }));
  const engine = new Worker(url);
  engine.onerror = (event) => {
    event.preventDefault();
    complain(`The computation could not start (${event.message || "no worker"}).`);
  };
  engine.onmessage = ({ data }) => {
    if (data.job !== job) return;
    if (data.kind === "recorded") recorded(data);
    else if (data.kind === "picture") requestAnimationFrame(() => received(data));
    else {
      recording = false;
      series = null;
      complain(`No reconstruction: ${data.reason}.`);
    }
  };

  // -- the page

  const controls = spec.controls.map((c) => {
    const input = h("input", { type: "range", min: 0, max: c.values.length - 1, step: 1,
      "data-control": c.name, "aria-label": c.label, autocomplete: "off" });
    input.addEventListener("input", () => change({ [c.name]: c.values[Number(input.value)] }));
    const output = h("output", { "data-value": c.name, "aria-hidden": "true" });
    return { c, input, output, node: h("label", { class: "hebt-control" },
      h("span", { class: "hebt-label" }, c.label), output, input) };
  });
  const group = (title, names) => h("fieldset", { class: "hebt-group" },
    h("legend", {}, title),
    ...controls.filter((q) => names.includes(q.c.name)).map((q) => q.node));

  const choice = (name, label, options) => {
    const list = h("select", { "data-control": name, "aria-label": label, autocomplete: "off" },
      ...options.map(([value, text]) => h("option", { value }, text)));
    return { list, node: h("label", { class: "hebt-choice" },
      h("span", { class: "hebt-label" }, label), list) };
  };
  const presets = choice("preset", "Preset",
    [...spec.presets.map((p) => [p.name, p.title]), ["", "Your own settings"]]);
  const specimens = choice("specimen", "Specimen",
    [...spec.specimens.map((p) => [p.name, p.title]), ["own", "Your own drawing"]]);
  presets.list.addEventListener("change", () => {
    const found = spec.presets.find((p) => p.name === presets.list.value);
    if (found) change({ ...spec.defaults, ...found.changes });
  });
  specimens.list.addEventListener("change", () => {
    if (specimens.list.value === "own" && !drawn) drawn = density.map((d) => d.slice());
    change({ specimen: specimens.list.value });
  });
  const explain = h("p", { class: "hebt-preset", "data-role": "preset" });

  const drawing = h("canvas", { width: size, height: size, "data-panel": "drawing", tabindex: 0,
    class: "hebt-pixels", role: "application",
    "aria-label": "Drawing of the specimen. Arrow keys move the brush, space paints." });
  const cursor = h("span", { class: "hebt-brush", hidden: "" });
  const tools = h("div", { class: "hebt-tools", role: "group", "aria-label": "Brush" },
    ...TOOLS.map(([, text], k) => {
      const button = h("button", { type: "button", "data-tool": text, "aria-pressed": k === 0 },
        text);
      button.addEventListener("click", () => {
        tool = k;
        tools.querySelectorAll("[data-tool]").forEach((b, i) =>
          b.setAttribute("aria-pressed", i === k));
      });
      return button;
    }));
  const width = h("select", { "aria-label": "Width of the brush", autocomplete: "off" },
    ...[3, 7, 13, 25].map((w) => h("option", { value: w }, `${w} pixels`)));
  width.value = "13";
  const clear = h("button", { type: "button", "data-role": "clear" }, "Clear");
  clear.addEventListener("click", () => {
    drawn = [new Float32Array(pixels), new Float32Array(pixels)];
    change({ specimen: "own" });
  });
  tools.append(width, clear);

  const bar = (p) => {
    const strip = h("canvas", { class: "hebt-strip", width: 256, height: 1,
      "aria-hidden": "true" });
    paint(strip, RAMP, tables[p.cmap]);
    return h("div", { class: "hebt-bar", "data-bar": p.name },
      h("div", { class: "hebt-edge" }, strip),
      h("div", { class: "hebt-ends" }, h("span", { class: "low" }), h("span", { class:
        "hebt-unit" }, p.unit), h("span", { class: "high" })));
  };
  // `values` are what a picture shows, `steps` the same in 8 bits
  const panelOf = (p) => {
    const canvas = h("canvas", { width: size, height: p.height ?? size, "data-panel": p.name,
      role: "img", class: "hebt-pixels" });
    const mark = h("span", { class: "hebt-mark", hidden: "" });
    const value = h("span", { class: "hebt-pixel", "data-pixel": p.name });
    const strip = p.bar ? bar(p) : null;
    const one = { p, canvas, mark, value, strip, values: null, limits: [0, 1],
      node: h("div", { class: "hebt-panel" }, h("div", { class: "hebt-title" }, p.title),
        h("div", { class: "hebt-picture" }, canvas, mark, value), strip ?? "") };
    const at = (event) => {
      const r = canvas.getBoundingClientRect();
      return { one,
        row: clamp(Math.floor(((event.clientY - r.top) / r.height) * canvas.height), 0,
          canvas.height - 1),
        column: clamp(Math.floor(((event.clientX - r.left) / r.width) * size), 0, size - 1) };
    };
    canvas.addEventListener("pointermove", (e) => point(at(e)));
    canvas.addEventListener("pointerdown", (e) => point(at(e)));
    canvas.addEventListener("pointerleave", (e) => { if (e.pointerType === "mouse") point(null); });
    canvas.addEventListener("keydown", (e) => {
      const step = e.shiftKey ? 10 : 1;
      const [down, right] = { ArrowUp: [-step, 0], ArrowDown: [step, 0], ArrowLeft: [0, -step],
        ArrowRight: [0, step] }[e.key] ?? [];
      if (e.key === "Escape") point(null);
      if (down === undefined) return;
      e.preventDefault();
      const from = probe?.one.p.kind === p.kind ? probe
        : { row: (canvas.height >> 1) - down, column: (size >> 1) - right };
      point({ one, row: clamp(from.row + down, 0, canvas.height - 1),
        column: clamp(from.column + right, 0, size - 1) });
    });
    canvas.addEventListener("blur", () => point(null));
    return one;
  };
  const sinograms = [
    { name: "haadf", title: "HAADF", unit: "intensity", cmap: "gray" },
    ...elements.map((e) => ({ name: `${e}_map`, title: `${e} map`, unit: "counts",
      cmap: "viridis" })),
  ].map((p) => panelOf({ ...p, kind: "sinogram", bar: true }));
  const images = elements.flatMap((e, k) => [["truth", "specimen"], ["hebt", NAMES.hebt],
    ["eds", NAMES.eds]].map(([m, text]) => panelOf({ name: `${e}_${m}`, title: `${e}, ${text}`,
    unit: spec.unit, cmap: "inferno", kind: "image", element: k, method: m })));
  images[0].canvas.tabIndex = 0;
  sinograms[0].canvas.tabIndex = 0;
  const shared = bar({ name: "shared", unit: spec.unit, cmap: "inferno" });
  shared.classList.add("hebt-shared");
  shared.querySelector(".low").textContent = number(spec.limits[0]);
  shared.querySelector(".high").textContent = number(spec.limits[1]);
  shared.classList.add("high");
  shared.title = `Values above ${spec.limits[1]} have the colour of ${spec.limits[1]}.`;

  const button = (role, text, f) => {
    const node = h("button", { type: "button", "data-role": role }, text);
    node.addEventListener("click", f);
    return node;
  };
  const run = button("run", "Pause", () => {
    if (root.dataset.state === "running") { engine.postMessage({ kind: "pause", job }); return; }
    if (!picture) return;
    busy();
    engine.postMessage({ kind: "run", job,
      until: picture.iteration < state.iterations ? state.iterations
        : picture.iteration + state.iterations });
  });
  const step = button("step", "Step", () => {
    if (picture) engine.postMessage({ kind: "step", job });
  });
  const start = button("start", "To iteration 0", () => { if (series) solve(0); });
  const reset = button("reset", "Reset", () => {
    drawn = null;
    Object.assign(state, spec.defaults);
    showSettings();
    complain("");
    record();
  });
  const save = button("save", "Save PNG", () => savePicture(...asPicture(), tables)
    .catch((error) => complain(`The picture could not be saved (${error.message ?? error}).`,
      false)));
  const count = h("span", { class: "hebt-count" }, h("strong", { "data-role": "iteration" }),
    " iterations", h("span", { "data-role": "rate" }));

  const table = h("table", { class: "hebt-readouts hebt-scores" },
    h("thead", {}, h("tr", {}, h("td"), ...elements.flatMap((e) => METHODS.map((m) =>
      h("th", { scope: "col" }, `${e}, ${NAMES[m]}`))))),
    h("tbody", {}, ...SCORES.map(([name, label]) => h("tr", {}, h("th", { scope: "row" }, label),
      ...elements.flatMap((e) => METHODS.map((m) =>
        h("td", { class: "hebt-number", "data-score": `${name},${e},${m}` })))))));
  const ratios = h("p", { class: "hebt-ratios", "data-role": "ratios" });
  const svg = s("svg", { "data-curve": "residuals", role: "img", class: "hebt-plot" });
  const frame = h("div", { class: "hebt-frame" }, svg);

  const where = h("span", { class: "hebt-probe", "data-role": "probe" });
  const status = h("span", { class: "hebt-hidden", "data-role": "status", "aria-live": "polite" });
  const message = h("p", { class: "hebt-message", "data-role": "message", role: "alert" });
  message.hidden = true;
  const caption = model.get("caption");
  const panels = h("div", { class: "hebt-panels" }, ...images.map((q) => q.node));
  panels.style.setProperty("--hebt-columns", 3);
  const rows = h("div", { class: "hebt-panels hebt-sinograms" }, ...sinograms.map((q) => q.node));
  rows.style.setProperty("--hebt-columns", 3);
  const body = h("div", { class: "hebt-frames hebt-lab" },
    h("div", { class: "hebt-bench" },
      h("div", { class: "hebt-easel" }, specimens.node,
        h("div", { class: "hebt-picture" }, drawing, cursor), tools),
      h("div", { class: "hebt-settings" }, presets.node, explain,
        group("Tilt series", DATA), group("Reconstruction",
          ["alpha", "iterations", "error_Au", "error_Ag"]))),
    message,
    h("div", { class: "hebt-run" }, h("div", { class: "hebt-buttons" }, run, step, start), count,
      h("div", { class: "hebt-buttons" }, reset, save)),
    panels, shared,
    h("div", { class: "hebt-curves" },
      h("div", { class: "hebt-curve" }, h("div", { class: "hebt-title" }, "Residuals"), frame),
      h("div", {}, h("div", { class: "hebt-title" }, "Scores against the specimen"),
        h("div", { class: "hebt-wide" }, table), ratios)),
    h("details", { open: "" }, h("summary", {}, "The tilt series"), rows),
    h("div", { class: "hebt-foot" }, where), status,
    ...(caption ? [h("p", { class: "hebt-caption" }, caption)] : []));
  for (const node of body.querySelectorAll("input, button, canvas, select")) {
    node.setAttribute("data-lm-suppress-shortcuts", "true");
  }

  // -- what changes

  function complain(text, stop = true) {
    message.textContent = text;
    message.hidden = !text;
    if (text && stop) {
      root.dataset.state = "error";
      clearTimeout(later.record);
      run.textContent = "Run";
    }
  }

  function busy() {
    root.dataset.state = "running";
    run.textContent = "Pause";
  }

  function showSettings() {
    for (const { c, input, output } of controls) {
      const i = c.values.indexOf(state[c.name]);
      const text = withUnit(c.texts[i], c.unit);
      input.value = i;
      input.style.setProperty("--hebt-share", `${(100 * i) / (c.values.length - 1)}%`);
      input.setAttribute("aria-valuetext", text);
      output.textContent = text;
    }
    specimens.list.value = state.specimen;
    const found = spec.presets.find((p) => {
      const all = { ...spec.defaults, ...p.changes };
      return Object.keys(all).every((k) => all[k] === state[k]);
    });
    presets.list.value = found?.name ?? "";
    explain.replaceChildren(...(found?.artefact ? [h("strong", {}, found.artefact), ": "] : []),
      found?.text ?? "");
  }

  // Change settings; what has to be computed again, is.
  function change(changes) {
    const before = { ...state };
    Object.assign(state, changes);
    showSettings();
    complain("");
    const differs = (k) => before[k] !== state[k];
    if (DATA.some(differs) || changes.specimen === "own" || !series) {
      record();
    } else if (["alpha", "error_Au", "error_Ag"].some(differs)) {
      wait("solve", 60, () => solve(state.iterations));
      busy();
    } else if (differs("iterations") && picture) {
      if (picture.iteration > state.iterations) solve(state.iterations);
      else if (picture.iteration < state.iterations) {
        busy();
        engine.postMessage({ kind: "run", job, until: state.iterations });
      }
    }
  }

  function record() {
    const k = spec.specimens.findIndex((p) => p.name === state.specimen);
    density = k < 0 ? drawn : [0, 1].map((e) =>
      Float32Array.from(stored.subarray((2 * k + e) * pixels, (2 * k + e + 1) * pixels),
        (v) => v / 255));
    showSpecimen();
    clearTimeout(later.solve);
    const missing = elements.filter((_, e) => !density[e].some((v) => v > 0));
    if (missing.length) {
      job++;                    // an answer on its way is to the question before
      engine.postMessage({ kind: "pause", job: -1 });
      complain(`The specimen holds no ${missing.join(" and no ")}. Draw some: HEBT needs a map ` +
        "of each element.");
      return;
    }
    busy();
    wait("record", 80, () => {
      job++;
      recording = true;
      engine.postMessage({ kind: "record", job, size, density,
        conditions: { ...state, z: spec.z, zeta: spec.zeta } });
    });
  }

  function recorded(data) {
    recording = false;
    series = data;
    const shownSinograms = [data.haadf, ...data.counts];
    sinograms.forEach((q, k) => {
      const values = shownSinograms[k];
      q.canvas.height = data.tilts;
      q.limits = [0, values.reduce((a, b) => Math.max(a, b), 0) || 1];
      show(q, values);
      q.strip.querySelector(".low").textContent = "0";
      q.strip.querySelector(".high").textContent = number(+q.limits[1].toPrecision(3));
      q.canvas.setAttribute("aria-label", `${q.p.title}: ${data.tilts} tilts.`);
    });
    solve(state.iterations);
  }

  function solve(until) {
    if (!series || recording) return;
    const used = series.fit.ratios.map((r, e) => r * (1 + state[`error_${elements[e]}`] / 100));
    if (!used.every((r) => r > 0)) {
      const e = elements[used[0] > 0 ? 1 : 0];
      complain(`The response ratio of ${e} came out as 0: its map has too few counts to be told ` +
        "from the other one. Raise the counts.");
      return;
    }
    ratios.textContent = `Response ratios (HAADF intensity per count): ${elements.map((e, k) => {
      const error = state[`error_${e}`];
      const changed = error ? `, with ${minus(String(error))} % put on` : "";
      return `${e} ${number(+used[k].toPrecision(3))}${changed}`;
    }).join("; ")}. R² of the fit: ${series.fit.rSquared.toFixed(3)}.`;
    curves = [];
    job++;
    busy();
    engine.postMessage({ kind: "solve", job, ratios: used, alpha: state.alpha, until });
  }

  function received(data) {
    if (data.job !== job) return;
    picture = data;
    curves.push(...data.residuals);
    if (data.iteration === 0) curves = [];
    for (const q of images) {
      if (q.p.method !== "truth") show(q, data.images[q.p.method][q.p.element]);
    }
    for (const m of METHODS) {
      elements.forEach((e, k) => SCORES.forEach(([name]) => {
        const v = data.scores[m][k][name];
        table.querySelector(`[data-score="${name},${e},${m}"]`).textContent =
          Number.isNaN(v) ? "–" : name === "dp" ? String(v) : minus(v.toFixed(4));
      }));
    }
    body.querySelector("[data-role=iteration]").textContent = data.iteration;
    body.querySelector("[data-role=rate]").textContent =
      data.rate > 0 ? ` · ${Math.round(data.rate)} a second, both methods` : "";
    drawCurve();
    point(probe);
    root.dataset.iteration = data.iteration;
    engine.postMessage({ kind: "shown" });
    if (!data.done) return;
    root.dataset.state = "ready";
    run.textContent = "Run";
    wait("status", 400, () => {
      status.textContent = `${data.iteration} iterations. Mean-squared error: ${
        elements.map((e, k) => `${e} ${data.scores.hebt[k].mse.toFixed(3)} by HEBT and ${
          data.scores.eds[k].mse.toFixed(3)} from EDS only`).join("; ")}.`;
    });
  }

  function quantised(values, [low, high]) {
    return Uint8Array.from(values, (v) =>
      clamp(Math.round(((v - low) / (high - low)) * 255), 0, 255));
  }

  function show(q, values) {
    q.values = values;
    if (q.p.kind === "image") q.limits = spec.limits;
    paint(q.canvas, quantised(values, q.limits), tables[q.p.cmap]);
    if (q.p.kind === "image") {
      q.canvas.setAttribute("aria-label", q.p.method === "truth" ? `${q.p.title}.`
        : `${q.p.title}, after ${picture.iteration} iterations; mean-squared error ${
          picture.scores[q.p.method][q.p.element].mse.toFixed(4)}.`);
    }
  }

  function showSpecimen() {
    const context = drawing.getContext("2d");
    const image = context.createImageData(size, size);
    for (let i = 0; i < pixels; i++) {
      for (let c = 0; c < 3; c++) {
        image.data[4 * i + c] = 16 + density.reduce((sum, d, e) =>
          sum + d[i] * (PAINTS[e][c] - 16), 0);
      }
      image.data[4 * i + 3] = 255;
    }
    context.putImageData(image, 0, 0);
    for (const q of images) if (q.p.method === "truth") show(q, density[q.p.element]);
  }

  const LINE = ["HAADF, HEBT", ...METHODS.flatMap((m) =>
    elements.map((e) => `${e} map, ${NAMES[m]}`))];
  const ORDER = [2, 0, 1, 3, 4];      // from the worker's residuals to the lines
  function asCurve() {
    const n = curves.length;
    const x = n ? curves.map((_, i) => i + 1) : [0, 1];
    const curve = { name: "residuals", title: "Residuals", along: 0, x, lines: LINE,
      ylabel: "|p − W x| / |p|", log: n ? "xy" : "", limits: null };
    const rowsOf = LINE.map((_, k) => [n ? curves.map((r) => r[ORDER[k]] || null) : [null, null]]);
    return { curve, rows: rowsOf, at: x };
  }
  const ink = { colour: (k) => `var(--hebt-line-${k % LINES})`, text: "var(--hebt-text)",
    muted: "var(--hebt-muted)", grid: "var(--hebt-grid)", back: "var(--hebt-back)" };
  function drawCurve() {
    const { curve, rows: lines, at } = asCurve();
    const wide = frame.clientWidth || 400;
    const { texts } = plot(svg, { controls: [{ label: "Iterations", unit: "", numbers: at }] },
      curve, { position: [Math.max(0, curves.length - 1)], curves: { residuals: lines } }, wide,
      Math.round(clamp(0.45 * wide, 150, 210)), ink);
    svg.setAttribute("aria-label", "Relative residuals against the iteration: " +
      texts.map((t) => t.replace(/\s+/g, " ")).join(", ") + ".");
  }

  function point(pixel) {
    probe = pixel;
    let text = "";
    for (const q of [...images, ...sinograms]) {
      const here = probe && q.values && q.p.kind === probe.one.p.kind
        && probe.row < q.canvas.height;
      q.mark.hidden = !here;
      q.value.textContent = "";
      if (!here) continue;
      const v = q.values[probe.row * size + probe.column];
      q.value.textContent = number(+v.toPrecision(3));
      q.mark.style.left = `${((probe.column + 0.5) / size) * 100}%`;
      q.mark.style.top = `${((probe.row + 0.5) / q.canvas.height) * 100}%`;
      if (q === probe.one) {
        text = `${q.p.title}, row ${probe.row}, column ${probe.column}: ${
          withUnit(q.value.textContent, q.p.unit)}`;
      }
    }
    where.textContent = text;
  }

  // -- drawing

  function dab(x, y) {
    if (!drawn) drawn = density.map((d) => d.slice());
    if (state.specimen !== "own") drawn = density.map((d) => d.slice());
    const radius = Number(width.value) / 2;
    const [values] = TOOLS[tool];
    for (let row = Math.max(0, Math.floor(y - radius)); row <= Math.min(size - 1, y + radius);
      row++) {
      for (let column = Math.max(0, Math.floor(x - radius));
        column <= Math.min(size - 1, x + radius); column++) {
        if (Math.hypot(column + 0.5 - x, row + 0.5 - y) > radius) continue;
        drawn.forEach((d, e) => { d[row * size + column] = values[e]; });
      }
    }
    state.specimen = "own";
    density = drawn;
  }
  function stroke(from, to) {
    const n = Math.max(1, Math.ceil(Math.hypot(to.x - from.x, to.y - from.y)));
    for (let i = 0; i <= n; i++) {
      dab(from.x + ((to.x - from.x) * i) / n, from.y + ((to.y - from.y) * i) / n);
    }
    showSpecimen();
  }
  function placeCursor(at) {
    cursor.hidden = !at;
    if (!at) return;
    cursor.style.left = `${(100 * at.x) / size}%`;
    cursor.style.top = `${(100 * at.y) / size}%`;
    cursor.style.width = `${(100 * Number(width.value)) / size}%`;
  }
  const placeOf = (event) => {
    const r = drawing.getBoundingClientRect();
    return { x: ((event.clientX - r.left) / r.width) * size,
      y: ((event.clientY - r.top) / r.height) * size };
  };
  let pen = null;
  drawing.addEventListener("pointerdown", (e) => {
    e.preventDefault();
    drawing.focus({ preventScroll: true });
    drawing.setPointerCapture(e.pointerId);
    pen = placeOf(e);
    stroke(pen, pen);
  });
  drawing.addEventListener("pointermove", (e) => {
    const to = placeOf(e);
    placeCursor(to);
    if (!pen) return;
    stroke(pen, to);
    pen = to;
  });
  const lift = () => {
    if (!pen) return;
    pen = null;
    change({ specimen: "own" });
  };
  drawing.addEventListener("pointerup", lift);
  drawing.addEventListener("pointercancel", lift);
  drawing.addEventListener("pointerleave", () => { if (!pen && !brush) placeCursor(null); });
  drawing.addEventListener("keydown", (e) => {
    const by = e.shiftKey ? 8 : 2;
    const [dx, dy] = { ArrowUp: [0, -by], ArrowDown: [0, by], ArrowLeft: [-by, 0],
      ArrowRight: [by, 0] }[e.key] ?? [0, 0];
    brush ??= { x: size / 2, y: size / 2 };
    if (dx || dy) {
      e.preventDefault();
      brush = { x: clamp(brush.x + dx, 0, size), y: clamp(brush.y + dy, 0, size) };
    } else if (e.key === " ") {
      e.preventDefault();
      stroke(brush, brush);
      wait("typed", 300, () => change({ specimen: "own" }));
    } else return;
    placeCursor(brush);
  });
  drawing.addEventListener("blur", () => { brush = null; placeCursor(null); });

  // What is shown, in the words of a FrameExplorer, for the PNG.
  function asPicture() {
    const { curve, rows: lines, at } = asCurve();
    const named = images.filter((q) => q.values);
    const value = (c) => c.texts[c.values.indexOf(state[c.name])];
    const chosen = spec.controls.filter((c) => c.values.length > 1);
    const readouts = METHODS.flatMap((m) => elements.map((e) => ({ name: `mse_${e}_${m}`,
      label: "MSE", unit: "", panel: `${e}_${m}` })));
    return [{
      columns: 3, shared: true, filename: "laboratory",
      controls: [{ name: "iteration", label: "Iterations", unit: "", numbers: at,
        texts: at.map(String) },
      ...chosen.filter((c) => c.name !== "iterations").map((c) => ({ ...c, texts: [value(c)] }))],
      panels: named.map((q) => ({ ...q.p, limits: spec.limits, ends: spec.limits.map(String),
        shape: [size, size], smooth: false })),
      readouts: picture ? readouts : [],
      curves: [curve],
    }, {
      position: [Math.max(0, curves.length - 1), ...chosen.slice(1).map(() => 0)],
      frames: Object.fromEntries(named.map((q) =>
        [q.p.name, quantised(q.values, spec.limits)])),
      low: {}, high: { any: true },
      readouts: Object.fromEntries(readouts.map((r) => {
        const [, e, m] = r.name.split("_");
        return [r.name, picture?.scores[m][elements.indexOf(e)].mse.toFixed(4) ?? "–"];
      })),
      curves: { residuals: lines },
    }];
  }

  // -- start

  el.replaceChildren(body);
  const watch = new ResizeObserver(() => { if (picture) drawCurve(); });
  watch.observe(body);
  const away = (event) => { if (probe && !root.contains(event.target)) point(null); };
  document.addEventListener("pointerdown", away);
  showSettings();
  record();
  return () => {
    engine.terminate();
    URL.revokeObjectURL(url);
    watch.disconnect();
    document.removeEventListener("pointerdown", away);
    Object.values(later).forEach(clearTimeout);
  };
}

export default { render };
