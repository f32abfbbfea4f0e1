// HEBT for one slice and two elements: the numerics of the laboratory, held against `hebt` by tests.
//
// The area weights of a strip in closed form (Eq. 3, 5), response ratios by NNLS (Eq. 6), SIRT with
// non-negativity on the stacked system of Eq. 11, composition EM, and the scores of section 4; only
// the random numbers differ. Arrays are flat and typed: an image is (size, size), row by row, a sinogram
// (tilts, size), and a pair of elements an array of two of them. Angles are degrees. It is a plain
// script, as a worker that is a module does not start from a file everywhere.

const HEBT = (() => {
  "use strict";
  const EDGE = 1e-9;        // overlaps narrower than this (in pixels) are rounding, not weights,
  const LEAST = 3e-7;       // and so are weights below this
  const TAPS = 3;           // detector bins that see a voxel, at most

  const clamp = (v, low, high) => Math.min(high, Math.max(low, v));

  function dot(x, y) {
    let sum = 0;
    for (let i = 0; i < x.length; i++) sum += x[i] * y[i];
    return sum;
  }

  const total = (x) => x.reduce((a, b) => a + b, 0);

  function centered(x) {
    const mean = total(x) / x.length;
    return x.map((v) => v - mean);
  }

  // Tilts in steps of `step` degrees up to `most` on both sides of 0. A tilt of -90 would see what
  // 90 sees, and is left out.
  function tilts(most, step) {
    const n = Math.floor(most / step + 1e-9);
    const all = Float64Array.from({ length: 2 * n + 1 }, (_, i) => (i - n) * step);
    return all.filter((angle) => angle > -90);
  }

  // ---- W

  // The matrix W of a single-axis tilt series, as the weights of each (voxel, tilt) pair.
  //
  // A voxel casts a trapezoidal shadow of area 1 on the detector: the convolution of two boxes of
  // widths |cos| and |sin|. A weight is the part of it that falls into a bin. Returned are `at`,
  // the place of the first of three bins in a sinogram, `weights`, three for each pair, and the
  // inverse sums of rows and columns, 0 where a sum is 0.
  function projector(angles, size) {
    if (!(size >= TAPS)) throw new RangeError(`size is ${size}; expected at least ${TAPS}`);
    const count = angles.length;
    const at = new Int32Array(size * size * count);
    const weights = new Float32Array(TAPS * at.length);
    const half = (size - 1) / 2;
    for (let a = 0; a < count; a++) {
      const cosine = Math.cos((angles[a] * Math.PI) / 180);
      const sine = Math.sin((angles[a] * Math.PI) / 180);
      const wide = Math.max(Math.abs(cosine), Math.abs(sine));
      const narrow = Math.min(Math.abs(cosine), Math.abs(sine));
      const high = (wide + narrow) / 2;
      const low = (wide - narrow) / 2;
      const ramp = Math.max(narrow, 1e-30);
      const leftOf = (u) => {       // part of the shadow that lies left of u
        const rise = clamp(u + high, 0, narrow);
        const flat = clamp(u + low, 0, 2 * low);
        const fall = clamp(u - low, 0, narrow);
        return (flat + fall + (rise * (rise / ramp) - fall * (fall / ramp)) / 2) / wide;
      };
      for (let row = 0, j = 0; row < size; row++) {
        for (let column = 0; column < size; column++, j++) {
          const u = half + (column - half) * cosine + (half - row) * sine;
          const bin = clamp(Math.ceil(u - high + EDGE - 0.5), 0, size - TAPS);
          const k = j * count + a;
          at[k] = a * size + bin;
          for (let t = 0; t < TAPS; t++) {
            const w = leftOf(bin + t + 0.5 - u) - leftOf(bin + t - 0.5 - u);
            weights[TAPS * k + t] = w > LEAST ? w : 0;
          }
        }
      }
    }
    const W = { angles: Float64Array.from(angles), size, tilts: count, at, weights };
    const inverse = (sums) => Float32Array.from(sums, (s) => (s > 0 ? 1 / s : 0));
    W.rows = inverse(forward(W, new Float32Array(size * size).fill(1)));
    W.columns = inverse(backward(W, new Float32Array(count * size).fill(1)));
    return W;
  }

  // p = W x, for one image.
  function forward(W, x) {
    const { at, weights, tilts } = W;
    const p = new Float64Array(tilts * W.size);
    for (let j = 0; j < x.length; j++) {
      if (x[j] === 0) continue;
      for (let k = j * tilts; k < (j + 1) * tilts; k++) {
        for (let t = 0; t < TAPS; t++) p[at[k] + t] += weights[TAPS * k + t] * x[j];
      }
    }
    return Float32Array.from(p);
  }

  // x = W' p, for one sinogram.
  function backward(W, p) {
    const { at, weights, tilts, size } = W;
    const x = new Float32Array(size * size);
    for (let j = 0; j < x.length; j++) {
      let sum = 0;
      for (let k = j * tilts; k < (j + 1) * tilts; k++) {
        for (let t = 0; t < TAPS; t++) sum += weights[TAPS * k + t] * p[at[k] + t];
      }
      x[j] = sum;
    }
    return x;
  }

  // ---- response ratios

  // Eq. 6: NNLS of haadf = r0 maps[0] + r1 maps[1] over the pixels with haadf > 0.
  function responseRatios(haadf, maps) {
    const [h, a, b] = [haadf, ...maps].map((p) => p.filter((_, i) => haadf[i] > 0));
    const aa = dot(a, a), ab = dot(a, b), bb = dot(b, b), ah = dot(a, h), bh = dot(b, h);
    if (!(aa > 0 && bb > 0)) throw new RangeError("an element map has no counts");
    const det = aa * bb - ab * ab;
    let r = [-1, -1];
    if (det > 1e-15 * aa * bb) r = [(bb * ah - ab * bh) / det, (aa * bh - ab * ah) / det];
    if (!(r[0] >= 0 && r[1] >= 0)) {        // at the edge: one of them is 0
      r = (ah * ah) / aa > (bh * bh) / bb ? [ah / aa, 0] : [0, bh / bb];
    }
    const left = h.map((v, i) => v - r[0] * a[i] - r[1] * b[i]);
    const about = centered(h);
    return { ratios: r, rSquared: 1 - dot(left, left) / dot(about, about) };
  }

  // ---- reconstruction

  // SIRT with non-negativity on the stacked system of Eq. 11, whose matrix is never built:
  //
  //   x_e <- max(0, x_e + C^-1 W' R^-1 [(1 - alpha) (r_e p_e - W x_e) + (alpha / 2) (p_h - sum W x)])
  //
  // With alpha = 0 this is SIRT on each element's map alone. `step()` runs one iteration, `image(e)`
  // copies an element, in HAADF intensity per voxel; `residuals` holds |r_e p_e - W x_e| of both
  // elements and |p_h - sum W x|.
  function reconstruction(W, haadf, maps, ratios, alpha) {
    const { at, weights, rows, columns, tilts } = W;
    const bins = haadf.length;
    // both elements side by side: one walk through the weights serves both
    const x = new Float32Array(2 * columns.length);
    const wx = new Float64Array(2 * bins);
    const r = new Float64Array(2 * bins);
    const p = Float32Array.from(r, (_, k) => ratios[k % 2] * maps[k % 2][k >> 1]);
    const image = (e) => columns.map((_, j) => x[2 * j + e]);
    const own = { iteration: 0, residuals: [0, 0, 0], step, image };

    function weigh() {
      let s0 = 0, s1 = 0, sh = 0;
      for (let i = 0, k = 0; i < bins; i++, k += 2) {
        const e0 = p[k] - wx[k];
        const e1 = p[k + 1] - wx[k + 1];
        const h = haadf[i] - wx[k] - wx[k + 1];
        s0 += e0 * e0; s1 += e1 * e1; sh += h * h;
        const shared = 0.5 * alpha * h;
        r[k] = rows[i] * ((1 - alpha) * e0 + shared);
        r[k + 1] = rows[i] * ((1 - alpha) * e1 + shared);
      }
      own.residuals = [Math.sqrt(s0), Math.sqrt(s1), Math.sqrt(sh)];
    }

    function step() {
      wx.fill(0);
      for (let j = 0; j < columns.length; j++) {
        let t0 = 0, t1 = 0;
        const end = (j + 1) * tilts;
        for (let k = j * tilts; k < end; k++) {
          const d = 2 * at[k];
          const a = weights[3 * k], b = weights[3 * k + 1], c = weights[3 * k + 2];
          t0 += a * r[d] + b * r[d + 2] + c * r[d + 4];
          t1 += a * r[d + 1] + b * r[d + 3] + c * r[d + 5];
        }
        const x0 = x[2 * j] = Math.max(0, x[2 * j] + columns[j] * t0);
        const x1 = x[2 * j + 1] = Math.max(0, x[2 * j + 1] + columns[j] * t1);
        if (x0 === 0 && x1 === 0) continue;
        // the weights are still in the processor's cache: project the new voxel at once
        for (let k = j * tilts; k < end; k++) {
          const d = 2 * at[k];
          const a = weights[3 * k], b = weights[3 * k + 1], c = weights[3 * k + 2];
          wx[d] += a * x0; wx[d + 1] += a * x1;
          wx[d + 2] += b * x0; wx[d + 3] += b * x1;
          wx[d + 4] += c * x0; wx[d + 5] += c * x1;
        }
      }
      own.iteration++;
      weigh();
    }

    weigh();
    return own;
  }

  // ---- composition EM

  // HAADF alone without noise: SIRT with the momentum of the proximal optimized gradient method,
  // as in hebt/_engine/accelerated.py. It starts anew where it leads astray.
  function haadfReconstruction(W, haadf, iterations) {
    const { rows, columns } = W;
    const pixels = columns.length;
    const x = new Float32Array(pixels), y = new Float32Array(pixels);
    let t = 1;
    for (let n = 0; n < iterations; n++) {
      const wx = forward(W, x);
      const back = backward(W, wx.map((v, i) => rows[i] * (haadf[i] - v)));
      const after = (1 + Math.sqrt(1 + 4 * t * t)) / 2;
      const a = (t - 1) / after, b = t / after;
      let astray = 0;
      for (let j = 0; j < pixels; j++) {
        if (columns[j] === 0) continue;
        const old = x[j], w = old + columns[j] * back[j];
        const z = w + a * (w - y[j]) + b * (w - old);
        x[j] = Math.max(0, z);
        y[j] = w + (x[j] - z) / (1 + a + b);
        astray += ((old - y[j]) * (x[j] - old)) / columns[j];
      }
      t = astray > 0 ? 1 : after;
    }
    return x;
  }

  // Shares of both elements that add up to 1: E_e / (s_e + mu). Both are 0 where both E are.
  function shares(e0, e1, s0, s1) {
    if (!(e0 > 0 && e1 > 0)) return [e0 > 0 ? 1 : 0, e1 > 0 ? 1 : 0];
    const least = Math.min(s0, s1), gap = Math.abs(s0 - s1);
    const near = s0 <= s1 ? e0 : e1;
    // mu + least is the root above 0 of d^2 + (gap - e0 - e1) d - near gap; nothing cancels
    const b = gap - e0 - e1;
    const root = Math.sqrt(b * b + 4 * near * gap);
    const d = b > 0 ? (2 * near * gap) / (b + root) : (root - b) / 2;
    return [e0 / (s0 - least + d), e1 / (s1 - least + d)];
  }

  // x_e = S (K a_e): the guide S says how much there is, X-rays how it divides.
  //
  //   a_e <- a_e K [S W' (n_e / l_e)] / (K [S W' 1] + r_e mu),   l_e = W x_e / r_e
  //
  // with raw counts n_e, K a Gaussian of `kernel` voxels, and mu such that the shares a add up to 1.
  // The same functions as of `reconstruction`. Where S is 0 there is nothing to project.
  function compositionEM(W, haadf, guide, counts, ratios, kernel) {
    const { at, weights, tilts, size } = W;
    const bins = haadf.length;
    const blur = blurring(size, kernel);
    const inside = Int32Array.from(guide.keys()).filter((j) => guide[j] > 0);
    const q = [new Float32Array(guide.length), new Float32Array(guide.length)];
    const x = q.map((image) => image.slice());
    const a = q.map((image) => image.slice().fill(0.5));
    const wx = new Float64Array(2 * bins);      // both elements side by side
    const ones = new Float64Array(2 * bins).fill(1);
    sendBack(ones);
    const reach = q[0].slice();
    const own = { iteration: 0, residuals: [0, 0, 0], step, image: (e) => x[e].slice() };

    // q_e = K [S W' p_e]
    function sendBack(p) {
      q.forEach((image) => image.fill(0));
      for (const j of inside) {
        let t0 = 0, t1 = 0;
        for (let k = j * tilts; k < (j + 1) * tilts; k++) {
          const d = 2 * at[k];
          const u = weights[3 * k], v = weights[3 * k + 1], w = weights[3 * k + 2];
          t0 += u * p[d] + v * p[d + 2] + w * p[d + 4];
          t1 += u * p[d + 1] + v * p[d + 3] + w * p[d + 5];
        }
        q[0][j] = guide[j] * t0;
        q[1][j] = guide[j] * t1;
      }
      q.forEach((image) => blur(image, image));
    }

    // x_e = S (K a_e), its projections, and what they miss
    function project() {
      a.forEach((share, e) => blur(share, x[e]));
      wx.fill(0);
      for (let j = 0; j < guide.length; j++) {
        const x0 = x[0][j] *= guide[j];
        const x1 = x[1][j] *= guide[j];
        if (x0 === 0 && x1 === 0) continue;
        for (let k = j * tilts; k < (j + 1) * tilts; k++) {
          const d = 2 * at[k];
          const u = weights[3 * k], v = weights[3 * k + 1], w = weights[3 * k + 2];
          wx[d] += u * x0; wx[d + 1] += u * x1;
          wx[d + 2] += v * x0; wx[d + 3] += v * x1;
          wx[d + 4] += w * x0; wx[d + 5] += w * x1;
        }
      }
      const squares = [0, 0, 0];
      for (let i = 0; i < bins; i++) {
        const p0 = wx[2 * i], p1 = wx[2 * i + 1];
        squares[0] += (ratios[0] * counts[0][i] - p0) ** 2;
        squares[1] += (ratios[1] * counts[1][i] - p1) ** 2;
        squares[2] += (haadf[i] - p0 - p1) ** 2;
      }
      own.residuals = squares.map(Math.sqrt);
    }

    function step() {
      for (let i = 0, k = 0; i < bins; i++) {
        for (let e = 0; e < 2; e++, k++) {
          wx[k] = counts[e][i] / Math.max(wx[k] / ratios[e], 1e-6);
        }
      }
      sendBack(wx);
      for (let j = 0; j < guide.length; j++) {
        const e0 = (a[0][j] * q[0][j]) / ratios[0], e1 = (a[1][j] * q[1][j]) / ratios[1];
        if (!(e0 > 0 || e1 > 0)) continue;
        [a[0][j], a[1][j]] = shares(e0, e1, reach[j] / ratios[0], reach[j] / ratios[1]);
      }
      project();
      own.iteration++;
    }

    project();
    return own;
  }

  // A function that writes an image, smoothed along both axes as `smooth` does, to another or to
  // the same.
  function blurring(size, sigma) {
    const { kernel, reach } = gaussian(sigma);
    const mirrored = Int32Array.from({ length: size + 2 * reach }, (_, i) => mirror(i - reach, size));
    const middle = new Float32Array(size * size), line = new Float32Array(size + 2 * reach);
    return (source, target) => {
      middle.fill(0);
      for (let row = 0; row < size; row++) {
        for (let t = 0; t < kernel.length; t++) {
          const from = size * mirrored[row + t], w = kernel[t];
          for (let i = 0, to = row * size; i < size; i++, to++) middle[to] += w * source[from + i];
        }
      }
      for (let row = 0; row < size * size; row += size) {
        for (let i = 0; i < line.length; i++) line[i] = middle[row + mirrored[i]];
        for (let i = 0; i < size; i++) {
          let value = 0;
          for (let t = 0; t < kernel.length; t++) value += kernel[t] * line[i + t];
          target[row + i] = value;
        }
      }
    };
  }

  // ---- a simulated tilt series

  // Random numbers from 0 to 1, below 1: "splitmix32".
  function random(seed) {
    let s = seed >>> 0;
    return () => {
      s = (s + 0x9e3779b9) | 0;
      let t = s ^ (s >>> 16);
      t = Math.imul(t, 0x21f0aaad);
      t ^= t >>> 15;
      t = Math.imul(t, 0x735a2d97);
      return ((t ^ (t >>> 15)) >>> 0) / 4294967296;
    };
  }

  // A number from the Poisson distribution: how many uniform numbers it takes until their product
  // is below exp(-mean). A large mean is shared out, as its exponential would be 0.
  function poisson(mean, uniform) {
    if (mean > 500) return poisson(mean / 2, uniform) + poisson(mean / 2, uniform);
    const limit = Math.exp(-mean);
    let count = -1;
    for (let product = 1; product > limit; count++) product *= uniform();
    return Math.max(0, count);
  }

  // A Gaussian of `sigma` pixels, cut at three sigma, of sum 1; one tap for sigma 0.
  function gaussian(sigma) {
    const reach = Math.ceil(3 * sigma);
    const kernel = Float64Array.from({ length: 2 * reach + 1 },
      (_, i) => (sigma > 0 ? Math.exp(-0.5 * ((i - reach) / sigma) ** 2) : 1));
    const sum = total(kernel);
    return { reach, kernel: kernel.map((v) => v / sum) };
  }

  // The pixel that stands for one beyond the edge.
  function mirror(j, size) {
    while (j < 0 || j >= size) j = j < 0 ? -1 - j : 2 * size - 1 - j;
    return j;
  }

  // Smooth each row by a Gaussian, mirrored at the edges.
  function smooth(p, size, sigma) {
    const { kernel, reach } = gaussian(sigma);
    const out = new Float32Array(p.length);
    for (let row = 0; row < p.length; row += size) {
      for (let i = 0; i < size; i++) {
        let value = 0;
        for (let k = -reach; k <= reach; k++) {
          value += kernel[k + reach] * p[row + mirror(i + k, size)];
        }
        out[row + i] = value;
      }
    }
    return out;
  }

  // Move each row by whole pixels towards higher indices; 0 moves in.
  function shift(p, size, by) {
    return p.map((_, i) => {
      const column = (i % size) - by;
      return column >= 0 && column < size ? p[i - by] : 0;
    });
  }

  // HAADF without noise (Eq. 3), and element maps with counting noise (Eq. 5), of a density pair.
  //
  // `zeta` sets the elements' sensitivities against each other; both are scaled so that a map has
  // `counts` on a pixel of the particle's projection, in the mean over pixels and elements.
  function simulate(W, density, { z, zeta, counts, shift: by = 0, smoothing = 0, seed = 0 }) {
    const projected = density.map((x) => forward(W, x));
    const haadf = projected[0].map((v, i) => z[0] * v + z[1] * projected[1][i]);
    const sum = dot(zeta, projected.map(total));
    if (!(sum > 0)) throw new RangeError("the specimen is empty");
    const dose = (2 * counts * haadf.filter((v) => v > 0).length) / sum;
    const uniform = random(seed);
    const found = projected.map((p, e) =>
      shift(p.map((v) => poisson(dose * zeta[e] * v, uniform)), W.size, by));
    return {
      haadf, counts: found, maps: found.map((p) => smooth(p, W.size, smoothing)),
      zeta: zeta.map((v) => dose * v),
    };
  }

  // ---- scores

  // Mean-squared error after the best scaling, relative to the reference: min |x - c y|^2 / |x|^2.
  function scaledMse(reference, image) {
    const xy = dot(reference, image), yy = dot(image, image);
    return yy > 0 ? Math.max(0, 1 - (xy * xy) / (dot(reference, reference) * yy)) : 1;
  }

  // SSIM's structure term over the whole image, which is the correlation coefficient.
  function structureSimilarity(reference, image) {
    const x = centered(reference), y = centered(image);
    const scale = Math.sqrt(dot(x, x) * dot(y, y));
    return scale > 0 ? dot(x, y) / scale : 0;
  }

  // Wrong pixels at the best threshold, exactly; NaN where the reference is not of 0 and 1.
  function pixelDifference(reference, image) {
    if (!reference.every((v) => v === 0 || v === 1)) return NaN;
    const up = Float32Array.from(image).filter((_, i) => reference[i]).sort();
    const down = Float32Array.from(image).filter((_, i) => !reference[i]).sort();
    let wrong = up.length;    // nothing set
    for (let i = up.length, j = down.length; i > 0 || j > 0;) {
      const value = Math.max(i ? up[i - 1] : -Infinity, j ? down[j - 1] : -Infinity);
      while (i && up[i - 1] === value) i--;
      while (j && down[j - 1] === value) j--;
      wrong = Math.min(wrong, i + down.length - j);   // ones left out, zeros set
    }
    return wrong;
  }

  return { dot, tilts, projector, forward, backward, responseRatios, reconstruction,
    haadfReconstruction, shares, compositionEM, random, poisson, smooth, shift, simulate, scaledMse, structureSimilarity, pixelDifference };
})();
