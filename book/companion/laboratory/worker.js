// The laboratory's worker, whose source is put behind hebt-core.js. It runs in pieces, so that a
// message is never kept waiting, and sends the next picture only when the last one was drawn.
function worker(HEBT) {
  let series = null, solvers = null, scale = null, norms = null;
  let goal = 0, running = false, shown = true, last = 0, fresh = [], rate = 0;
  let since = 0, first = 0;       // when the present run began, and from which iteration
  const channel = new MessageChannel();
  channel.port1.onmessage = work;

  function iterate() {
    for (const solver of Object.values(solvers)) solver.step();
    const relative = (solver) => solver.residuals.map((v, k) => v / norms[k]);
    const [Au, Ag, sum] = relative(solvers.hebt);
    fresh.push([sum, Au, Ag, ...relative(solvers.eds).slice(0, 2)]);
  }
  function work() {
    if (!running) return;
    const start = performance.now();
    if (!since) [since, first] = [start, solvers.hebt.iteration];
    while (solvers.hebt.iteration < goal && performance.now() - start < 20) iterate();
    if (solvers.hebt.iteration >= goal) running = false;
    const now = performance.now();
    if (now > since) rate = ((solvers.hebt.iteration - first) / (now - since)) * 1000;
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
      const same = series?.haadf.length === made.haadf.length
        && made.haadf.every((v, i) => v === series.haadf[i]);
      const guide = same ? series.guide
        : HEBT.haadfReconstruction(W, made.haadf, conditions.guideIterations);
      series = { job, W, density, ...made, fit, guide };
      self.postMessage({ kind: "recorded", job, haadf: made.haadf, counts: made.counts,
        tilts: W.tilts, fit });
    },
    solve({ job, ratios, alpha, kernel, until }) {
      const { W, haadf, maps, counts, guide } = series;
      series.job = job;
      running = false;
      solvers = { em: HEBT.compositionEM(W, haadf, guide, counts, ratios, kernel),
        hebt: HEBT.reconstruction(W, haadf, maps, ratios, alpha),
        eds: HEBT.reconstruction(W, haadf, maps, ratios, 0) };
      scale = ratios.map((r, e) => r * series.zeta[e]);
      const norm = (p) => Math.sqrt(HEBT.dot(p, p));
      norms = [...maps.map((p, e) => ratios[e] * norm(p)), norm(haadf)];
      fresh = [];
      shown = true;     // a picture of the job before is no longer waited for
      if (until) tasks.run({ until }); else send();
    },
    run({ until }) {
      goal = until;
      running = true;
      since = 0;
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
