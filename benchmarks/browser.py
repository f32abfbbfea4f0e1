"""Iterations a second of the laboratory's JavaScript, in headless Chromium.

    python benchmarks/browser.py                 # one worker, 128 pixels, 31 tilts

The time is that of HEBT alone, and of HEBT with EDS alone beside it as on the page, for the
conditions with which the page opens. The largest difference to `hebt` after the last iteration
stands beside, as a share of the largest value.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
from pathlib import Path

import numpy as np

import hebt

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book"))
from companion import laboratory

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
RUN = """
self.onmessage = ({ data: v }) => {
  const [haadf, ...maps] = [v.haadf, ...v.maps].map((p) => Float32Array.from(p));
  const began = performance.now();
  const W = HEBT.projector(v.angles, v.size);
  const weights = performance.now() - began;
  const times = [[], []];
  let found;
  for (let round = 0; round < v.rounds; round++) {
    for (const both of [0, 1]) {
      const runs = [v.alpha, 0].slice(0, 1 + both)
        .map((alpha) => HEBT.reconstruction(W, haadf, maps, v.ratios, alpha));
      const start = performance.now();
      for (let i = 0; i < v.iterations; i++) for (const run of runs) run.step();
      times[both].push((performance.now() - start) / v.iterations);
      found = [...runs[0].image(0), ...runs[0].image(1)];
    }
  }
  self.postMessage({ times, weights, found });
};
"""


def main() -> None:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5, help="repeats, of which the median counts")
    options = parser.parse_args()

    now = laboratory.Conditions()
    series = laboratory.record(now)
    ratios = hebt.response_ratios(series.haadf, series.maps).ratios
    data = {
        "angles": series.W.angles.tolist(),
        "size": series.W.size,
        "haadf": series.haadf.ravel().tolist(),
        "maps": [m.ravel().tolist() for m in series.maps],
        "ratios": ratios.tolist(),
        "alpha": now.alpha,
        "iterations": options.iterations,
        "rounds": options.rounds,
    }
    browser = next(filter(None, map(shutil.which, NAMES)), None)
    if browser is None:
        raise SystemExit("no Chromium was found; looked for " + ", ".join(NAMES))
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        result = chromium.new_page().evaluate(
            """([source, v]) => new Promise((done, fail) => {
              const worker = new Worker(URL.createObjectURL(new Blob([source])));
              worker.onmessage = ({ data }) => done(data);
              worker.onerror = (e) => fail(e.message);
              worker.postMessage(v);
            })""",
            [laboratory.CORE + RUN, data],
        )
        version = chromium.version
        chromium.close()
    x = hebt.reconstruct(series.W, series.haadf, series.maps, ratios, now.alpha, options.iterations)
    off = np.abs(np.reshape(result["found"], x.shape) - x).max() / x.max()
    alone, both = (1000 / statistics.median(times) for times in result["times"])
    print(f"Chromium {version}, {series.W!r}, one worker")
    print(f"weights worked out in  {result['weights']:.0f} ms")
    print(f"HEBT                   {alone:.0f} iterations a second")
    print(f"HEBT and EDS alone     {both:.0f} iterations a second")
    print(f"largest difference to hebt.reconstruct: {off:.1e} of the largest value")


if __name__ == "__main__":
    main()
