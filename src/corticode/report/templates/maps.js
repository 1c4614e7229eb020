"use strict";
// Maps that are read out: regions as shapes, and regions by frames (or cells of the image) as a grid, by pointer or keys.
(() => {
  const byId = (id) => document.getElementById(id);
  const source = byId("maps-data");
  if (!source) return;
  const SVG = "http://www.w3.org/2000/svg", MISSING = 255, STEPS = 254, LEFT = 76, TOP = 8, BELOW = 34;
  const { maps, outlines, box, palettes } = JSON.parse(source.textContent);
  const select = byId("map-choice"), svg = byId("map-shapes"), canvas = byId("map-grid"), readout = byId("map-readout");
  const context = canvas.getContext("2d");
  let shown = null, bytes = null, shapes = new Map(), cursor = null;

  const digits = (value) => Number(value.toPrecision(3)).toString();
  const byteOf = (row, column) => bytes[row * shown.grid.columns + column];
  const valueOf = (byte) => shown.grid.low + (byte / STEPS) * (shown.grid.high - shown.grid.low);

  function colour(share) {
    const palette = palettes[shown.is_signed ? 1 : 0];
    return palette[Math.max(0, Math.min(255, Math.round(share * 255)))];
  }

  function itemWords([name, value, low, high, group]) {
    const what = shown.kind === "cells" ? name : `region ${name}${group ? ` (${group})` : ""}`;
    if (value === null) return `${what}: ${shown.unit} not known`;
    const animals = shown.n_animals === 1 ? "1 animal" : `${shown.n_animals} animals`;
    const ends = low === null ? `no interval: ${animals}` : `t interval ${digits(low)} to ${digits(high)}, ${animals}`;
    return `${what}: ${shown.unit} ${digits(value)} (${ends})`;
  }

  function peakWords(row) {
    if (!shown.frames) return "";
    let best = 0;
    for (let k = 1; k < shown.grid.columns; k += 1) if (byteOf(row, k) > byteOf(row, best)) best = k;
    return `; largest at frame ${shown.frames[best]}`;
  }

  function tell(row, column) {
    // Of a map over frames a row is a region; of cells the grid's rows and columns are the image's.
    const item = shown.kind === "cells" && column !== null ? row * shown.grid.columns + column : row;
    const peak = shown.grid ? peakWords(row) : "";
    const here = shown.frames && column !== null
      ? `at frame ${shown.frames[column]} ${digits(valueOf(byteOf(row, column)))}; ` : "";
    readout.textContent = here + itemWords(shown.items[item]) + peak;
    const name = shown.items[item][0];
    for (const [other, shape] of shapes) shape.classList.toggle("pointed", other === name);
  }

  function drawShapes() {
    svg.replaceChildren();
    shapes = new Map();
    const drawn = shown.kind === "regions" ? shown.items.filter(([name]) => outlines[name]) : [];
    byId("map-shapes-part").hidden = !drawn.length;
    if (!drawn.length) return;
    svg.setAttribute("viewBox", box);
    const reach = Math.max(...drawn.map(([, value]) => Math.abs(value ?? 0))) || 1;
    drawn.forEach((item, k) => {
      const shape = document.createElementNS(SVG, "path");
      const value = item[1] ?? 0;
      shape.setAttribute("d", outlines[item[0]]);
      shape.setAttribute("fill", colour(shown.is_signed ? 0.5 + value / reach / 2 : value / reach));
      shape.setAttribute("class", "shape");
      shape.setAttribute("role", "img");
      shape.setAttribute("tabindex", k ? "-1" : "0");
      const row = shown.items.indexOf(item);
      shape.setAttribute("aria-label", itemWords(item) + (shown.grid ? peakWords(row) : ""));
      // A shape is a whole row of the grid beside it.
      const point = () => { cursor = [row, null]; redraw(); tell(row, null); };
      shape.addEventListener("pointerenter", point);
      shape.addEventListener("focus", point);
      shapes.set(item[0], shape);
      svg.append(shape);
    });
  }

  function towards(shape, across, down) {
    // The nearest shape in that direction; what lies aside counts double.
    const centre = (one) => { const b = one.getBBox(); return [b.x + b.width / 2, b.y + b.height / 2]; };
    const [x, y] = centre(shape);
    let best = null, least = Infinity;
    for (const other of shapes.values()) {
      const [dx, dy] = [centre(other)[0] - x, centre(other)[1] - y];
      const ahead = dx * across + dy * down, aside = Math.abs(dx * down) + Math.abs(dy * across);
      if (other !== shape && ahead > 0 && ahead + 2 * aside < least) [best, least] = [other, ahead + 2 * aside];
    }
    return best;
  }

  svg.addEventListener("keydown", (event) => {
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const every = [...shapes.values()];
    const next = event.key === "Home" ? every[0] : event.key === "End" ? every[every.length - 1]
      : ways[event.key] && towards(event.target, ...ways[event.key]);
    if (!(event.key in ways) && event.key !== "Home" && event.key !== "End") return;
    event.preventDefault();
    if (!next) return;
    for (const shape of every) shape.setAttribute("tabindex", shape === next ? "0" : "-1");
    next.focus();
  });

  function room() {
    const { rows, columns } = shown.grid;
    const wide = canvas.clientWidth - LEFT - 12;
    const cell = shown.kind === "cells" ? Math.min(wide / columns, 44) : 0;
    return cell ? [cell * columns, cell * rows] : [wide, Math.max(150, Math.min(620, rows * 11.5))];
  }

  function drawGrid() {
    byId("map-grid-part").hidden = !shown.grid;
    if (!shown.grid) return;
    const { rows, columns } = shown.grid, [wide, tall] = room(), scale = window.devicePixelRatio || 1;
    canvas.style.height = `${tall + TOP + BELOW}px`;
    canvas.width = canvas.clientWidth * scale;
    canvas.height = (tall + TOP + BELOW) * scale;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, canvas.clientWidth, tall + TOP + BELOW);
    for (let row = 0; row < rows; row += 1) {
      for (let column = 0; column < columns; column += 1) {
        const byte = byteOf(row, column);
        if (byte === MISSING) continue;
        context.fillStyle = colour(byte / STEPS);
        context.fillRect(LEFT + (column * wide) / columns, TOP + (row * tall) / rows, wide / columns + 0.6, tall / rows + 0.6);
      }
    }
    label(rows, columns, wide, tall);
  }

  function label(rows, columns, wide, tall) {
    context.font = "11px system-ui, sans-serif";
    context.fillStyle = "#1b1b1b";
    context.textAlign = "right";
    const every = Math.max(1, Math.ceil((rows * 11) / tall));
    for (let row = 0; row < rows; row += every) {
      const name = shown.kind === "cells" ? `row ${row + 1}` : shown.items[row][0];
      context.fillText(name.length > 11 ? `${name.slice(0, 10)}…` : name, LEFT - 6, TOP + ((row + 0.5) * tall) / rows + 4);
    }
    context.textAlign = "center";
    const ticks = shown.kind === "cells" ? [...Array(columns).keys()] : [0, columns >> 1, columns - 1];
    for (const column of new Set(ticks)) {
      const words = shown.kind === "cells" ? `${column + 1}` : shown.frames[column];
      const x = LEFT + ((column + 0.5) * wide) / columns;
      context.textAlign = shown.kind === "cells" || column === columns >> 1 ? "center" : column ? "right" : "left";
      context.fillText(words, x, TOP + tall + 14);
    }
    context.textAlign = "center";
    context.fillText(shown.kind === "cells" ? "column of cells" : "frame of the window (0: the decoded one)", LEFT + wide / 2, TOP + tall + 29);
  }

  function redraw() {
    drawGrid();
    if (!cursor || !shown.grid) return;
    const [row, column] = cursor, [wide, tall] = room(), { rows, columns } = shown.grid;
    const [x, width] = column === null ? [LEFT, wide] : [LEFT + (column * wide) / columns, wide / columns];
    context.lineWidth = 3;
    context.strokeStyle = "#fff";
    context.strokeRect(x, TOP + (row * tall) / rows, width, tall / rows);
    context.lineWidth = 1.5;
    context.strokeStyle = "#d55e00";
    context.strokeRect(x, TOP + (row * tall) / rows, width, tall / rows);
  }

  function moveTo(row, column) {
    const { rows, columns } = shown.grid;
    cursor = [Math.max(0, Math.min(row, rows - 1)), Math.max(0, Math.min(column, columns - 1))];
    redraw();
    tell(...cursor);
  }

  canvas.addEventListener("pointermove", (event) => {
    const [wide, tall] = room(), { rows, columns } = shown.grid;
    const row = Math.floor(((event.offsetY - TOP) / tall) * rows), column = Math.floor(((event.offsetX - LEFT) / wide) * columns);
    if (row >= 0 && row < rows && column >= 0 && column < columns) moveTo(row, column);
  });
  canvas.addEventListener("keydown", (event) => {
    const ways = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0], Home: null };
    if (!(event.key in ways)) return;
    event.preventDefault();
    const best = bytes.reduce((found, byte, k) => (byte !== MISSING && byte > bytes[found] ? k : found), 0);
    const [row, column] = cursor || [-1, 0];
    if (event.key === "Home" || row < 0) moveTo(Math.floor(best / shown.grid.columns), best % shown.grid.columns);
    else moveTo(row + ways[event.key][0], (column ?? 0) + ways[event.key][1]);
  });

  function choose() {
    shown = maps[Number(select.value)];
    bytes = shown.grid && Uint8Array.from(atob(shown.grid.bytes), (c) => c.charCodeAt(0));
    cursor = null;
    readout.textContent = "";
    drawShapes();
    drawGrid();
    drawScale();
  }

  function drawScale() {
    // Of the shapes and, where it differs, of the grid.
    const words = [];
    const known = shown.items.map(([, value]) => value).filter((value) => value !== null);
    if (shapes.size && known.length) {
      const reach = Math.max(...known.map(Math.abs));
      words.push(`shapes: ${shown.is_signed ? digits(-reach) : 0} to ${digits(reach)} (${shown.unit})`);
    }
    if (shown.grid) words.push(`grid: ${digits(shown.grid.low)} to ${digits(shown.grid.high)}`);
    byId("map-scale-words").textContent = words.join("; ");
    const stops = palettes[shown.is_signed ? 1 : 0].filter((_, k) => k % 15 === 0);
    byId("map-scale").style.background = `linear-gradient(to right, ${stops.join(", ")})`;
  }

  select.replaceChildren(...maps.map((one, k) => Object.assign(document.createElement("option"), { value: k, textContent: one.title })));
  select.addEventListener("change", choose);
  window.addEventListener("resize", redraw);
  choose();
})();
