// HEBT in your browser: a specimen to pick or to draw, a simulated tilt series, and both
// reconstructions as they run. The numerics are in hebt-core.js, and run as worker.js says.
//
// The page, as tests and style sheets may rely on it, is as in frames.js, and besides:
//   the root's data-state is "ready" or "running" (or "error"), data-iteration what is shown
//   select[data-control=preset], select[data-control=specimen]
//   canvas[data-panel=drawing]        takes the pointer, arrow keys, and the space bar to paint
//   [data-role=preset]                what the preset does; strong: the name of its artifact
//   button[data-role=run|step|start|clear], [data-role=rate]: iterations a second
//   td[data-score="mse,Au,hebt"]      a score

const DATA = ["specimen", "counts", "tilt", "step", "shift", "smoothing", "seed"];
const SOLVER = ["alpha", "kernel", "iterations", "error_Au", "error_Ag"];
const NAMES = { em: "Composition EM", hebt: "HEBT", eds: "EDS only" };
const METHODS = Object.keys(NAMES);
const COMPARED = ["hebt", "eds"];      // whose residuals are drawn
const SCORES = [["mse", "MSE, relative"], ["ssim", "SSIM, whole image"], ["dp", "DP (pixels)"]];

function choice(name, label, options, chosen) {
  const list = h("select", { "data-control": name, "aria-label": label, autocomplete: "off" },
    ...options.map(([value, text]) => h("option", { value }, text)));
  list.addEventListener("change", () => chosen(list.value));
  const node = h("label", { class: "hebt-choice" }, h("span", { class: "hebt-label" }, label), list);
  return { list, node };
}

function scoreTable(elements) {
  const rows = elements.flatMap((e) => METHODS.map((m) => [e, m]));
  return h("table", { class: "hebt-readouts hebt-scores" },
    h("thead", {}, h("tr", {}, h("td"), ...SCORES.map(([, label]) =>
      h("th", { scope: "col" }, label)))),
    h("tbody", {}, ...rows.map(([e, m]) => h("tr", {},
      h("th", { scope: "row" }, `${e}, ${NAMES[m]}`), ...SCORES.map(([name]) =>
        h("td", { class: "hebt-number", "data-score": `${name},${e},${m}` }))))));
}

function quantize(values, [low, high]) {
  return Uint8Array.from(values, (v) =>
    clamp(Math.round(((v - low) / (high - low)) * 255), 0, 255));
}

const digits = (v) => number(+v.toPrecision(3));

function render({ model, el }) {
  const spec = model.get("spec");
  const { size, elements } = spec;
  const root = rootOf(el);
  const tables = palettes(spec);
  const state = { ...spec.defaults };
  let drawn = null;             // the reader's own specimen, once there is one
  let density = null;           // what is shown: two Float32Array
  let series = null;            // what the worker recorded, once it has
  let picture = null;           // what it reconstructed
  let residuals = [];
  let job = 0;
  let probe = null;             // { row, column, panel }
  const { wait, drop, stop } = timers();

  // -- the worker

  const url = URL.createObjectURL(new Blob(
    [model.get("core"), `\n(${worker})(HEBT);`], { type: "text/javascript" }));
  const engine = new Worker(url);
  engine.onerror = (event) => {
    event.preventDefault();
    fail(`The computation could not start (${event.message || "no worker"}).`);
  };
  engine.onmessage = ({ data }) => {
    if (data.job !== job) return;
    if (data.kind === "recorded") recorded(data);
    else if (data.kind === "picture") requestAnimationFrame(() => received(data));
    else fail(`No reconstruction: ${data.reason}.`);
  };

  // -- the page

  const controls = spec.controls.map((c) =>
    ({ c, ...slider(c, (place) => change({ [c.name]: c.values[place] })) }));
  const group = (title, names) => h("fieldset", { class: "hebt-group" }, h("legend", {}, title),
    ...controls.filter((q) => names.includes(q.c.name)).map((q) => q.node));
  const options = (items, last) => [...items.map((p) => [p.name, p.title]), last];
  const presets = choice("preset", "Preset", options(spec.presets, ["", "Your own settings"]),
    (name) => {
      const found = spec.presets.find((p) => p.name === name);
      if (found) change({ ...spec.defaults, ...found.changes });
    });
  const specimens = choice("specimen", "Specimen",
    options(spec.specimens, ["own", "Your own drawing"]), (name) => {
      if (name === "own" && !drawn) drawn = density.map((d) => d.slice());
      change({ specimen: name });
    });
  const explain = h("p", { class: "hebt-preset", "data-role": "preset" });
  const board = easel(size, {
    begin() {       // what is painted is the reader's own, and starts from what is shown
      if (!drawn || state.specimen !== "own") drawn = density.map((d) => d.slice());
      state.specimen = "own";
      density = drawn;
      return drawn;
    },
    painted: showSpecimen,
    done: () => change({ specimen: "own" }),
  });

  const panelOf = (p, bar) => {
    const panel = { p, bar, ...imagePanel(p, [size, size], bar?.node ?? "") };
    followPixels(panel.canvas, (pixel) => point(pixel && { panel, ...pixel }),
      () => (probe?.panel.p.kind === p.kind ? probe : null));
    return panel;
  };
  const sinograms = [["haadf", "HAADF", "intensity", "gray"],
    ...elements.map((e) => [`${e}_map`, `${e} map`, "counts", "viridis"]),
  ].map(([name, title, unit, cmap]) =>
    panelOf({ name, title, unit, cmap, kind: "sinogram" }, colorBar(name, tables[cmap], unit)));
  const images = elements.flatMap((e, element) => Object.entries({ truth: "specimen", ...NAMES })
    .map(([method, text]) => panelOf({ name: `${e}_${method}`, title: `${e}, ${text}`,
      unit: spec.unit, cmap: "inferno", kind: "image", element, method })));
  images[0].canvas.tabIndex = 0;
  sinograms[0].canvas.tabIndex = 0;
  const truths = images.filter((q) => q.p.method === "truth");
  const results = images.filter((q) => q.p.method !== "truth");
  const shared = colorBar("shared", tables.inferno, spec.unit);
  shared.node.classList.add("hebt-shared");
  shared.show(spec.limits.map(number), false, true);

  const run = button("run", "Pause", () => {
    if (root.dataset.state === "running") engine.postMessage({ kind: "pause", job });
    else if (picture) {
      const more = picture.iteration < state.iterations ? 0 : picture.iteration;
      resume(more + state.iterations);
    }
  });
  const step = button("step", "Step", () => {
    if (picture) engine.postMessage({ kind: "step", job });
  });
  const start = button("start", "To iteration 0", () => { if (series) solve(0); });
  const reset = button("reset", "Reset", () => {
    drawn = null;
    series = null;
    change(spec.defaults);
  });

  const iteration = h("strong", { "data-role": "iteration" });
  const rate = h("span", { "data-role": "rate" });
  const table = scoreTable(elements);
  const ratios = h("p", { class: "hebt-ratios", "data-role": "ratios" });
  const svg = s("svg", { "data-curve": "residuals", role: "img", class: "hebt-plot",
    "aria-label": "Residuals over iterations, once a run has begun." });
  const frame = h("div", { class: "hebt-frame" }, svg);
  const where = h("span", { class: "hebt-probe", "data-role": "probe" });
  const status = h("span", { class: "hebt-hidden", "data-role": "status", "aria-live": "polite" });
  const message = messageLine();
  const save = saveButton(() => [...view(), tables], message);
  const caption = model.get("caption");
  const row = (panels, count, more) => h("div", { class: `hebt-panels ${more}`,
    style: `--hebt-columns: ${count}` }, ...panels.map((q) => q.node));
  const body = h("div", { class: "hebt-frames hebt-lab" },
    h("div", { class: "hebt-bench" },
      h("div", { class: "hebt-easel" }, specimens.node, ...board.nodes),
      h("div", { class: "hebt-settings" }, presets.node, explain, group("Tilt series", DATA),
        group("Reconstruction", SOLVER))),
    message.node,
    h("div", { class: "hebt-run" }, h("div", { class: "hebt-buttons" }, run, step, start),
      h("span", { class: "hebt-count" }, iteration, " iterations", rate),
      h("div", { class: "hebt-buttons" }, reset, save)),
    row(images, 4, "hebt-methods"), shared.node,
    h("div", { class: "hebt-curves" },
      h("div", { class: "hebt-curve" }, h("div", { class: "hebt-title" }, "Residuals"), frame),
      h("div", {}, h("div", { class: "hebt-title" }, "Scores against the specimen"),
        h("div", { class: "hebt-wide" }, table), ratios)),
    h("details", { open: "" }, h("summary", {}, "The tilt series"),
      row(sinograms, 3, "hebt-sinograms")),
    h("div", { class: "hebt-foot" }, where), status,
    caption ? h("p", { class: "hebt-caption" }, caption) : "");
  keepKeys(body);

  // -- what changes

  function fail(text) {
    message.say(text);
    drop("record");
    become("error");
  }

  function become(name) {
    root.dataset.state = name;
    run.textContent = name === "running" ? "Pause" : "Run";
  }

  function resume(until) {
    become("running");
    engine.postMessage({ kind: "run", job, until });
  }

  function showSettings() {
    for (const { c, show } of controls) show(c.values.indexOf(state[c.name]));
    specimens.list.value = state.specimen;
    const found = spec.presets.find((p) =>
      Object.entries({ ...spec.defaults, ...p.changes }).every(([k, v]) => v === state[k]));
    presets.list.value = found?.name ?? "";
    explain.replaceChildren(...(found?.artifact ? [h("strong", {}, found.artifact), ": "] : []),
      found?.text ?? "");
  }

  // Change settings; what has to be computed again, is.
  function change(changes) {
    const before = { ...state };
    Object.assign(state, changes);
    showSettings();
    message.say("");
    const changed = Object.keys(state).filter((k) => before[k] !== state[k]);
    if (DATA.some((k) => changed.includes(k)) || changes.specimen === "own" || !series) {
      record();
    } else if (changed.some((k) => k !== "iterations")) {
      wait("solve", 60, () => solve(state.iterations));
      become("running");
    } else if (changed.length && picture) {
      if (picture.iteration > state.iterations) solve(state.iterations);
      else if (picture.iteration < state.iterations) resume(state.iterations);
    }
  }

  function record() {
    const found = spec.specimens.find((p) => p.name === state.specimen);
    density = found
      ? found.density.map((d) => Float32Array.from(bytes(d), (v) => v / 255)) : drawn;
    showSpecimen();
    drop("solve");
    const missing = elements.filter((_, e) => !density[e].some((v) => v > 0));
    if (missing.length) {
      job++;                    // an answer on its way is to the question before
      engine.postMessage({ kind: "pause", job: -1 });
      fail(`The specimen holds no ${missing.join(" and no ")}. Draw some: HEBT needs a map ` +
        "of each element.");
      return;
    }
    become("running");
    wait("record", 80, () => {
      job++;
      series = null;
      engine.postMessage({ kind: "record", job, size, density,
        conditions: { ...state, z: spec.z, zeta: spec.zeta,
          guideIterations: spec.guideIterations } });
    });
  }

  function recorded(data) {
    series = data;
    [data.haadf, ...data.counts].forEach((values, k) => {
      const q = sinograms[k];
      const high = values.reduce((a, b) => Math.max(a, b), 0) || 1;
      q.canvas.height = data.tilts;
      show(q, values, [0, high], `${q.p.title}: ${data.tilts} tilts.`);
      q.bar.show(["0", digits(high)], false, false);
    });
    solve(state.iterations);
  }

  function solve(until) {
    if (!series) return;
    const errors = elements.map((e) => state[`error_${e}`]);
    const used = series.fit.ratios.map((r, e) => r * (1 + errors[e] / 100));
    if (!used.every((r) => r > 0)) {
      const e = elements[used[0] > 0 ? 1 : 0];
      fail(`The response ratio of ${e} came out as 0: its map has too few counts to be told ` +
        "from the other one. Raise the counts.");
      return;
    }
    const texts = elements.map((e, k) => `${e} ${digits(used[k])}`
      + (errors[k] ? `, with ${minus(String(errors[k]))} % put on` : ""));
    ratios.textContent = `Response ratios (HAADF intensity per count): ${texts.join("; ")}. ` +
      `R² of the fit: ${series.fit.rSquared.toFixed(3)}.`;
    residuals = [];
    job++;
    become("running");
    engine.postMessage({ kind: "solve", job, ratios: used, alpha: state.alpha,
      kernel: state.kernel, until });
  }

  function received(data) {
    if (data.job !== job) return;
    picture = data;
    residuals.push(...data.residuals);
    for (const q of results) {
      const { element, method, title } = q.p;
      const scores = data.scores[method][element];
      show(q, data.images[method][element], spec.limits, `${title}, after ${
        data.iteration} iterations; mean-squared error ${scores.mse.toFixed(4)}.`);
      for (const [name] of SCORES) {
        const v = scores[name];
        table.querySelector(`[data-score="${name},${elements[element]},${method}"]`).textContent =
          Number.isNaN(v) ? "–" : name === "dp" ? String(v) : minus(v.toFixed(4));
      }
    }
    iteration.textContent = data.iteration;
    rate.textContent = data.rate > 0 ? ` · ${Math.round(data.rate)} a second, all methods` : "";
    drawCurve();
    point(probe);
    root.dataset.iteration = data.iteration;
    engine.postMessage({ kind: "shown" });
    if (!data.done) return;
    become("ready");
    wait("status", 400, () => {
      const errors = elements.map((e, k) => `${e} ${METHODS.map((m) =>
        `${data.scores[m][k].mse.toFixed(3)} (${NAMES[m]})`).join(", ")}`);
      status.textContent = `${data.iteration} iterations. Mean-squared error: ${
        errors.join("; ")}.`;
    });
  }

  function show(q, values, limits, label) {
    q.values = values;
    q.steps = quantize(values, limits);
    paint(q.canvas, q.steps, tables[q.p.cmap]);
    q.canvas.setAttribute("aria-label", label);
  }

  function showSpecimen() {
    board.show(density);
    for (const q of truths) show(q, density[q.p.element], spec.limits, `${q.p.title}.`);
  }

  function drawCurve() {
    const [shown, values] = view();
    const wide = frame.clientWidth || 400;
    const tall = Math.round(clamp(0.45 * wide, 150, 210));
    const { texts } = plot(svg, shown, shown.curves[0], values, wide, tall, INK);
    svg.setAttribute("aria-label", "Relative residuals against the iteration: " +
      texts.map((t) => t.replace(/\s+/g, " ")).join(", ") + ".");
  }

  function point(pixel) {
    probe = pixel;
    where.textContent = "";
    for (const q of [...images, ...sinograms]) {
      if (!probe || !q.values || q.p.kind !== probe.panel.p.kind || probe.row >= q.canvas.height) {
        q.probe(null);
        continue;
      }
      const value = digits(q.values[probe.row * size + probe.column]);
      q.probe(probe, value);
      if (q === probe.panel) {
        where.textContent = `${q.p.title}, row ${probe.row}, column ${probe.column}: ${
          withUnit(value, q.p.unit)}`;
      }
    }
  }

  // What is shown, in the words of a FrameExplorer: for the curve, and for the PNG.
  function view() {
    const n = residuals.length;
    const x = n ? residuals.map((_, i) => i + 1) : [0, 1];
    const lines = ["HAADF, HEBT", ...COMPARED.flatMap((m) =>
      elements.map((e) => `${e} map, ${NAMES[m]}`))];
    const rows = lines.map((_, k) => [n ? residuals.map((r) => r[k] || null) : [null, null]]);
    const settings = spec.controls.filter((c) => c.name !== "iterations")
      .map((c) => ({ ...c, texts: [c.texts[c.values.indexOf(state[c.name])]] }));
    const scored = picture ? results : [];
    return [{
      columns: 4, shared: true, filename: "laboratory",
      controls: [{ name: "iteration", label: "Iterations", unit: "", numbers: x,
        texts: x.map(String) }, ...settings],
      panels: images.filter((q) => q.values).map((q) => ({ ...q.p, limits: spec.limits,
        ends: spec.limits.map(String), shape: [size, size], smooth: false })),
      readouts: scored.map((q) => ({ name: q.p.name, label: "MSE", unit: "", panel: q.p.name })),
      curves: [{ name: "residuals", title: "Residuals", along: 0, x, lines,
        ylabel: "|p − W x| / |p|", log: n ? "xy" : "", limits: null }],
    }, {
      position: [Math.max(0, n - 1), ...settings.map(() => 0)],
      frames: Object.fromEntries(images.map((q) => [q.p.name, q.steps])),
      low: {}, high: { any: true },
      readouts: Object.fromEntries(scored.map((q) =>
        [q.p.name, picture.scores[q.p.method][q.p.element].mse.toFixed(4)])),
      curves: { residuals: rows },
    }];
  }

  // -- start

  el.replaceChildren(body);
  const unwatch = watch(root, body, () => { if (picture) drawCurve(); }, () => point(null));
  showSettings();
  record();
  return () => {
    engine.terminate();
    URL.revokeObjectURL(url);
    unwatch();
    stop();
  };
}

export default { render };
