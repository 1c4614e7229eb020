"use strict";
// Tables that sort and filter, and the viewer of sessions. Plain canvas: nothing to load, nothing to keep up to date.
(() => {
  const SHOWN = 200;
  const byId = (id) => document.getElementById(id);
  const asNumber = (text) => (text === "" || text === null ? NaN : Number(text));

  function compare(a, b) {
    const [x, y] = [asNumber(a), asNumber(b)];
    if (!Number.isNaN(x) && !Number.isNaN(y)) return x - y;
    const [blankA, blankB] = [a === null || a === "", b === null || b === ""];
    if (blankA || blankB) return blankA - blankB;
    return String(a).localeCompare(String(b), undefined, { numeric: true });
  }

  function sortButton(head, onSort) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.textContent = "";
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      onSort(down ? -1 : 1);
    });
  }

  for (const table of document.querySelectorAll("table[data-sortable]")) {
    const body = table.tBodies[0];
    const count = byId(table.id + "-count");
    const input = document.querySelector(`input[data-filters="${table.id}"]`);
    [...table.tHead.rows[0].cells].forEach((head, k) => {
      if ("plain" in head.dataset) return;
      sortButton(head, (sign) => {
        const rows = [...body.rows].sort((a, b) => sign * compare(a.cells[k].textContent, b.cells[k].textContent));
        body.append(...rows);
      });
    });
    const filter = () => {
      const wanted = input.value.toLowerCase();
      let shown = 0;
      for (const row of body.rows) {
        row.hidden = !row.textContent.toLowerCase().includes(wanted);
        shown += !row.hidden;
      }
      count.textContent = `${shown} of ${body.rows.length} rows`;
    };
    input.addEventListener("input", filter);
    filter();
  }

  for (const table of JSON.parse(byId("long-tables").textContent)) {
    const element = byId(table.name);
    const head = element.createTHead().insertRow();
    const body = element.createTBody();
    const input = document.querySelector(`input[data-filters="${table.name}"]`);
    let rows = table.rows;
    const isNumber = table.columns.map((_, k) => table.rows.some((row) => typeof row[k] === "number"));
    const draw = () => {
      const wanted = input.value.toLowerCase();
      const chosen = rows.filter((row) => row.join(" ").toLowerCase().includes(wanted));
      body.replaceChildren();
      for (const row of chosen.slice(0, SHOWN)) {
        const line = body.insertRow();
        row.forEach((value, k) => {
          const cell = line.insertCell();
          cell.textContent = value === null ? "" : value;
          if (isNumber[k]) cell.className = "number";
        });
      }
      const rest = table.n_all > table.rows.length ? `; ${table.n_all - table.rows.length} more are in the CSV file` : "";
      byId(table.name + "-count").textContent =
        `${Math.min(chosen.length, SHOWN)} of ${chosen.length} rows shown${chosen.length > SHOWN ? "; filter to see others" : ""}${rest}`;
    };
    table.columns.forEach((name, k) => {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = name;
      if (isNumber[k]) cell.className = "number";
      head.append(cell);
      sortButton(cell, (sign) => {
        rows = [...rows].sort((a, b) => sign * compare(a[k], b[k]));
        draw();
      });
    });
    input.addEventListener("input", draw);
    draw();
  }

  const source = byId("traces");
  if (!source) return;
  const MISSING = 255, STEPS = 254, WORST_S = 10;
  const traces = JSON.parse(source.textContent);
  const canvas = byId("viewer-canvas");
  const context = canvas.getContext("2d");
  const readout = byId("viewer-readout");
  const conditions = byId("viewer-condition");
  const sessions = byId("viewer-session");
  let shown = null, from = 0, to = 1, worst = [], nextWorst = 0, pointer = null;

  const unpack = (part) => part && {
    low: part.low, high: part.high, bytes: Uint8Array.from(atob(part.bytes), (c) => c.charCodeAt(0)),
  };
  const valueAt = (part, k) => {
    const byte = part ? part.bytes[k] : MISSING;
    return byte === undefined || byte === MISSING ? NaN : part.low + (byte / STEPS) * (part.high - part.low);
  };
  const seconds = (k) => (shown.first + k) / shown.rate;

  function fillSelect(select, options) {
    select.replaceChildren(...options.map(([value, text]) => {
      const option = document.createElement("option");
      option.value = value;
      option.textContent = text;
      return option;
    }));
  }

  function worstStretches() {
    // Least like what was: the mean distance of the two over stretches of ten seconds.
    const length = Math.max(1, Math.round(WORST_S * shown.rate));
    const found = [];
    for (let start = 0; start < shown.n; start += length) {
      let sum = 0, n = 0;
      for (let k = start; k < Math.min(start + length, shown.n); k += 1) {
        const [said, was] = [shown.score.bytes[k], shown.target.bytes[k]];
        if (said === MISSING || was === MISSING) continue;
        sum += shown.kind === "classes" ? STEPS - said : Math.abs(said - was);
        n += 1;
      }
      if (n) found.push([sum / n, start, Math.min(start + length, shown.n)]);
    }
    return found.sort((a, b) => b[0] - a[0]);
  }

  function choose() {
    const trace = traces[Number(sessions.value)];
    const score = unpack(trace.score);
    shown = { score, target: unpack(trace.target), speed: unpack(trace.speed), kind: trace.kind, auc: trace.auc,
      n: score.bytes.length, first: trace.first_frame, rate: trace.rate_hz || 1, unit: trace.unit || (trace.rate_hz ? "s" : "frames") };
    worst = worstStretches();
    nextWorst = 0;
    view(0, shown.n);
  }

  function view(start, end) {
    const width = Math.min(shown.n, Math.max(10, Math.round(end - start)));
    from = Math.round(Math.max(0, Math.min(start, shown.n - width)));
    to = from + width;
    draw();
  }

  function line(part, top, height, colour, width) {
    if (!part) return;
    const span = part.high - part.low || 1;
    const columns = canvas.clientWidth - 56;
    context.strokeStyle = colour;
    context.lineWidth = 1.2;
    context.beginPath();
    let pen = false;
    for (let column = 0; column < columns; column += 1) {
      const start = from + Math.floor((column / columns) * (to - from));
      const end = Math.max(start + 1, from + Math.floor(((column + 1) / columns) * (to - from)));
      let low = Infinity, high = -Infinity;
      for (let k = start; k < end; k += 1) {
        const value = valueAt(part, k);
        if (value < low) low = value;
        if (value > high) high = value;
      }
      if (low === Infinity) { pen = false; continue; }
      const y = (value) => top + height * (1 - (value - part.low) / span);
      if (pen) context.lineTo(48 + column, y(low)); else context.moveTo(48 + column, y(low));
      if (high > low) context.lineTo(48 + column, y(high));
      pen = true;
    }
    context.stroke();
  }

  function draw() {
    const scale = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = width * scale;
    canvas.height = height * scale;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = "12px system-ui, sans-serif";
    const columns = width - 56;
    const speedHeight = shown.speed ? 70 : 0;
    const top = 12, bottom = height - 34 - speedHeight - (speedHeight ? 14 : 0), tall = bottom - top;
    const isValue = shown.kind === "value";
    if (!isValue) {
      context.fillStyle = "#d5d5d5";
      for (let column = 0; column < columns; column += 1) {
        const k = from + Math.floor((column / columns) * (to - from));
        const was = valueAt(shown.target, k);
        if (was > 0) context.fillRect(48 + column, top + (shown.kind === "classes" ? tall * (1 - was / shown.target.high) : 0), 1, tall);
      }
    }
    context.fillStyle = "#1b1b1b";
    context.textAlign = "right";
    for (const share of [0, 0.5, 1]) {
      const y = top + tall * (1 - share);
      context.fillText((shown.score.low + share * (shown.score.high - shown.score.low)).toPrecision(2), 42, y + 4);
      context.strokeStyle = "#bdbdbd";
      context.lineWidth = 0.5;
      context.beginPath(); context.moveTo(48, y); context.lineTo(48 + columns, y); context.stroke();
    }
    if (isValue) line(shown.target, top, tall, "#6b6b6b");
    line(shown.score, top, tall, "#0072b2");
    if (shown.speed) {
      line(shown.speed, bottom + 14, speedHeight, "#b34700");
      context.fillStyle = "#b34700";
      context.fillText(shown.speed.high.toPrecision(2), 42, bottom + 24);
      context.fillText("speed", 42, bottom + 14 + speedHeight);
    }
    context.fillStyle = "#1b1b1b";
    context.textAlign = "center";
    const step = niceStep((to - from) / shown.rate / 7);
    for (let t = Math.ceil(seconds(from) / step) * step; t <= seconds(to); t += step) {
      const x = 48 + ((t * shown.rate - shown.first - from) / (to - from)) * columns;
      context.fillText(Number(t.toPrecision(6)), x, height - 18);
    }
    context.fillText(`time in the session (${shown.unit})`, 48 + columns / 2, height - 3);
    if (pointer !== null) {
      context.strokeStyle = "#1b1b1b";
      context.beginPath(); context.moveTo(pointer, top); context.lineTo(pointer, height - 32); context.stroke();
    }
    tell();
  }

  function niceStep(rough) {
    const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1e-9)));
    return [1, 2, 5, 10].find((one) => one * power >= rough) * power;
  }

  function tell() {
    const range = `${seconds(from).toFixed(1)} to ${seconds(to).toFixed(1)} ${shown.unit}`;
    const whole = shown.auc === null ? "" : `; ${shown.kind === "value" ? "R²" : "AUC"} of the session, decoders averaged: ${shown.auc}`;
    if (pointer === null) { readout.textContent = range + whole; return; }
    const k = from + Math.floor(((pointer - 48) / (canvas.clientWidth - 56)) * (to - from));
    const said = valueAt(shown.score, k), was = valueAt(shown.target, k), speed = valueAt(shown.speed, k);
    const word = shown.kind === "value" ? "decoded" : "probability";
    readout.textContent = `at ${seconds(k).toFixed(2)} ${shown.unit}: ${word} ${said.toFixed(2)}, was ${was.toFixed(2)}` +
      (shown.speed ? `, speed ${speed.toFixed(2)}` : "") + whole;
  }

  const zoom = (factor, centre = (from + to) / 2) => view(centre - (centre - from) * factor, centre + (to - centre) * factor);
  const move = (share) => view(from + share * (to - from), to + share * (to - from));
  const goWorst = () => {
    if (!worst.length) return;
    const [distance, start, end] = worst[nextWorst % worst.length];
    nextWorst += 1;
    view(start - (end - start) / 2, end + (end - start) / 2);
    readout.textContent = `stretch ${nextWorst} by distance (mean ${(distance / STEPS).toFixed(2)} of the range): ` + readout.textContent;
  };

  byId("viewer-all").addEventListener("click", () => view(0, shown.n));
  byId("viewer-in").addEventListener("click", () => zoom(0.5));
  byId("viewer-out").addEventListener("click", () => zoom(2));
  byId("viewer-worst").addEventListener("click", goWorst);
  canvas.addEventListener("keydown", (event) => {
    const keys = { ArrowLeft: () => move(-0.2), ArrowRight: () => move(0.2), "+": () => zoom(0.5), "=": () => zoom(0.5),
      "-": () => zoom(2), Home: () => view(0, shown.n), w: goWorst };
    if (!keys[event.key] || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    keys[event.key]();
  });
  canvas.addEventListener("wheel", (event) => {
    if (!event.shiftKey && to - from >= shown.n && event.deltaY > 0) return;
    event.preventDefault();
    zoom(event.deltaY > 0 ? 1.25 : 0.8, from + ((event.offsetX - 48) / (canvas.clientWidth - 56)) * (to - from));
  }, { passive: false });
  let dragged = null;
  canvas.addEventListener("pointerdown", (event) => { dragged = [event.offsetX, from, to]; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointerup", () => { dragged = null; });
  canvas.addEventListener("pointerleave", () => { pointer = null; draw(); });
  canvas.addEventListener("pointermove", (event) => {
    pointer = Math.max(48, Math.min(event.offsetX, canvas.clientWidth - 9));
    if (!dragged) { draw(); return; }
    const by = ((dragged[0] - event.offsetX) / (canvas.clientWidth - 56)) * (dragged[2] - dragged[1]);
    view(dragged[1] + by, dragged[2] + by);
  });
  window.addEventListener("resize", draw);

  fillSelect(conditions, [...new Set(traces.map((one) => one.condition))].map((one) => [one, one]));
  const chooseCondition = () => {
    const own = traces.map((one, k) => [k, one]).filter(([, one]) => one.condition === conditions.value);
    fillSelect(sessions, own.map(([k, one]) => [k, `${one.animal} / ${one.session}${one.auc === null ? "" : ` (${one.auc.toFixed(3)})`}`]));
    choose();
  };
  conditions.addEventListener("change", chooseCondition);
  sessions.addEventListener("change", choose);
  chooseCondition();
})();
