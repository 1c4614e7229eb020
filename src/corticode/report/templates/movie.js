"use strict";
// A minute of a movie in step with what was said of it: 8-bit pictures on a canvas.
(() => {
  const byId = (id) => document.getElementById(id);
  const source = byId("movie-data");
  if (!source) return;
  const MISSING = 255, STEPS = 254, ASSUMED_HZ = 6;
  const clip = JSON.parse(source.textContent);
  const unpack = (part) => Uint8Array.from(atob(part.bytes), (c) => c.charCodeAt(0));
  const changes = unpack(clip.changes), mean = unpack(clip.mean), score = unpack(clip.score), target = unpack(clip.target);
  const n = score.length, size = clip.rows * clip.columns;
  const picture = byId("movie-canvas"), strip = byId("movie-strip"), slider = byId("movie-slider");
  const play = byId("movie-play"), view = byId("movie-view"), readout = byId("movie-readout");
  const small = Object.assign(document.createElement("canvas"), { width: clip.columns, height: clip.rows });
  const pixels = small.getContext("2d").createImageData(clip.columns, clip.rows);
  const palette = clip.palette.map((one) => [1, 3, 5].map((k) => parseInt(one.slice(k, k + 2), 16)));
  const rate = clip.rate_hz ? clip.rate_hz / clip.step : ASSUMED_HZ;
  const unit = clip.rate_hz ? "s" : "frames";
  let at = 0, timer = null;

  const valueOf = (part, byte) => (byte === MISSING ? NaN : part.low + (byte / STEPS) * (part.high - part.low));
  const timeOf = (k) => (clip.first_frame + k * clip.step) / (clip.rate_hz || 1);

  function fill(k) {
    const isChange = view.value === "change";
    for (let p = 0; p < size; p += 1) {
      const byte = changes[k * size + p], base = mean[p];
      let rgb = [255, 255, 255];
      if (isChange && byte !== MISSING) rgb = palette[Math.round((byte / STEPS) * 255)];
      else if (!isChange && base !== MISSING) {
        const change = byte === MISSING ? 0 : valueOf(clip.changes, byte) / 100;
        const counts = valueOf(clip.mean, base) * (1 + change);
        const grey = 255 * Math.max(0, Math.min(1, (counts - clip.mean.low) / (clip.mean.high - clip.mean.low || 1)));
        rgb = [grey, grey, grey];
      }
      pixels.data.set([...rgb, 255], 4 * p);
    }
  }

  function words(k) {
    const said = valueOf(clip.score, score[k]), was = valueOf(clip.target, target[k]);
    const time = `${timeOf(k).toFixed(clip.rate_hz ? 2 : 0)} ${unit}`;
    const state = Number.isNaN(was) ? "label not known"
      : clip.kind === "binary" ? (was > 0.5 ? "class 1 (running)" : "class 0 (rest)") : `was ${Number(was.toPrecision(3))}`;
    const word = clip.kind === "value" ? "decoded" : "probability";
    return `${time}: ${state}; ${Number.isNaN(said) ? `no ${word}` : `${word} ${said.toFixed(2)}`}`;
  }

  function draw() {
    fill(at);
    small.getContext("2d").putImageData(pixels, 0, 0);
    const scale = window.devicePixelRatio || 1, wide = picture.clientWidth;
    const tall = (wide * clip.rows) / clip.columns;
    picture.style.height = `${tall}px`;
    [picture.width, picture.height] = [wide * scale, tall * scale];
    const context = picture.getContext("2d");
    context.imageSmoothingEnabled = false;
    context.drawImage(small, 0, 0, picture.width, picture.height);
    drawStrip(scale);
    slider.value = at;
    readout.textContent = words(at);
    slider.setAttribute("aria-valuetext", readout.textContent);
  }

  function drawStrip(scale) {
    const context = strip.getContext("2d"), wide = strip.clientWidth, tall = strip.clientHeight;
    [strip.width, strip.height] = [wide * scale, tall * scale];
    context.setTransform(scale, 0, 0, scale, 0, 0);
    const x = (k) => (k / n) * wide, y = (byte) => 4 + (tall - 8) * (1 - byte / STEPS);
    const line = (values, colour) => {
      context.strokeStyle = colour;
      context.lineWidth = 1.3;
      context.beginPath();
      let pen = false;
      values.forEach((byte, k) => {
        if (byte === MISSING) { pen = false; return; }
        if (pen) context.lineTo(x(k + 0.5), y(byte)); else context.moveTo(x(k + 0.5), y(byte));
        pen = true;
      });
      context.stroke();
    };
    if (clip.kind === "value") line(target, "#6b6b6b");
    else {
      context.fillStyle = "#d5d5d5";
      target.forEach((byte, k) => {
        if (byte !== MISSING && byte) context.fillRect(x(k), 4 + (tall - 8) * (1 - byte / STEPS), x(1) + 0.5, ((tall - 8) * byte) / STEPS);
      });
    }
    line(score, "#0072b2");
    context.fillStyle = "#d55e00";
    context.fillRect(x(at + 0.5) - 1, 0, 2, tall);
  }

  function show(k) {
    at = (k + n) % n;
    draw();
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
  }

  const toggle = () => {
    if (timer) { stop(); return; }
    play.textContent = "Pause";
    timer = setInterval(() => show(at + 1), 1000 / rate);
  };
  const step = (by) => { stop(); show(at + by); };

  play.addEventListener("click", toggle);
  byId("movie-back").addEventListener("click", () => step(-1));
  byId("movie-on").addEventListener("click", () => step(1));
  view.addEventListener("change", draw);
  slider.max = n - 1;
  slider.addEventListener("input", () => { stop(); show(Number(slider.value)); });
  strip.addEventListener("pointerdown", (event) => { stop(); show(Math.min(n - 1, Math.floor((event.offsetX / strip.clientWidth) * n))); });
  picture.addEventListener("keydown", (event) => {
    const keys = { " ": toggle, ArrowLeft: () => step(-1), ArrowRight: () => step(1), Home: () => { stop(); show(0); }, End: () => { stop(); show(n - 1); } };
    if (!keys[event.key] || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    keys[event.key]();
  });
  window.addEventListener("resize", draw);
  draw();
})();
