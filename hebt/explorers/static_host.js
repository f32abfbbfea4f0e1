// A stand-in for the Jupyter widget model, for a page without a kernel.
// The poster stays until the explorer has drawn itself, and for good where that fails.
async function mount(id) {
  const root = document.getElementById(id);
  const poster = root.querySelector(".hebt-poster");
  const body = document.createElement("div");
  try {
    if (typeof DecompressionStream === "undefined") throw new Error("this browser is too old");
    const data = JSON.parse(root.querySelector('script[type="application/json"]').textContent);
    const { esm, blobs } = data;

    async function inflate(text) {
      const binary = atob(text);
      const raw = new Uint8Array(binary.length);
      for (let i = 0; i < raw.length; i++) raw[i] = binary.charCodeAt(i);
      const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("deflate"));
      return new DataView(await new Response(stream).arrayBuffer());
    }
    // fetch() is refused on file://, a script element is not
    function script(place) {
      return new Promise((done, fail) => {
        const s = document.createElement("script");
        const base = document.documentElement.dataset.content_root ?? "";
        s.src = base + place.file;
        s.onload = () => {
          const text = self.hebtBlocks?.[place.key];
          if (text === undefined) return fail(new Error(`${s.src} holds no data`));
          delete self.hebtBlocks[place.key];
          s.remove();
          done(text);
        };
        s.onerror = () => { s.remove(); fail(new Error(`${s.src} could not be loaded`)); };
        document.head.append(s);
      });
    }
    const loaded = new Map();
    function load(place) {
      const i = place.$load;
      if (!loaded.has(i)) {
        const blob = blobs[i];
        const text = typeof blob === "string" ? Promise.resolve(blob) : script(blob);
        const job = text.then(inflate);
        loaded.set(i, job);
        job.then(() => { blobs[i] = null; }, () => loaded.delete(i));   // a failure may be retried
      }
      return loaded.get(i);
    }
    async function unpack(value) {
      if (value === null || typeof value !== "object") return value;
      if (Array.isArray(value)) return Promise.all(value.map(unpack));
      if ("$bytes" in value) return inflate(blobs[value.$bytes]);
      const out = {};
      for (const key of Object.keys(value)) out[key] = await unpack(value[key]);
      return out;
    }

    const state = await unpack(data.state);
    const listeners = {};
    const emit = (event, ...args) => (listeners[event] ?? []).forEach((f) => f(...args));
    const model = {
      get: (name) => state[name],
      set(name, value) {
        if (typeof name === "object") {
          for (const [k, v] of Object.entries(name)) model.set(k, v);
          return;
        }
        if (state[name] === value) return;
        state[name] = value;
        emit("change:" + name, model, value);
        emit("change", model);
      },
      save_changes() {},
      send() {},
      on(events, f) { for (const e of events.split(" ")) (listeners[e] ??= []).push(f); },
      off(events, f) {
        for (const e of events ? events.split(" ") : Object.keys(listeners)) {
          listeners[e] = f ? (listeners[e] ?? []).filter((g) => g !== f) : [];
        }
      },
      load,
      remote: (place) => typeof blobs[place.$load] === "object" && blobs[place.$load] !== null,
    };

    const url = URL.createObjectURL(new Blob([esm], { type: "text/javascript" }));
    let widget;
    try {
      widget = (await import(url)).default;
      if (typeof widget === "function") widget = await widget();
    } finally {
      URL.revokeObjectURL(url);
    }
    root.append(body);
    await widget.initialize?.({ model });
    await widget.render({ model, el: body });
    poster.remove();
  } catch (error) {
    body.remove();
    const note = document.createElement("p");
    note.className = "hebt-note";
    note.textContent = `The sliders of this figure could not start (${error.message ?? error}). ` +
      "The picture above shows its first state.";
    poster.append(note);
    console.warn(error);
  }
}
