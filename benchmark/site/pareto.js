"use strict";
// Quality against real-time factor. Up and left is better whatever the metric: its axis is turned when less is better.
const SVG_SPACE = "http://www.w3.org/2000/svg";
const FRAME = { width: 760, height: 380, left: 72, right: 24, top: 20, bottom: 46 };
const MAX_LABELS = 14;

function draw(tag, attributes, text) {
  const made = document.createElementNS(SVG_SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// Systems with both numbers, fastest first; `rtf` from a latency session where there is one, else from the run's column.
function speedPoints(site, board, column) {
  const timed = board.columns.find((each) => each.name === "video/rtf");
  const points = [], lacking = [];
  board.rows.forEach((name, row) => {
    if (board.kinds[row] !== 2) return;
    const session = site.speeds[name], value = column.values[row];
    const rtf = session ? session.rtf : timed && timed.values[row];
    if (rtf && value !== null && value !== undefined) points.push({ name, row, rtf, value, source: session ? session.says : "RTF of the run, from timing.json" });
    else lacking.push(name + (rtf ? " (" + column.title + ")" : " (RTF)"));
  });
  const better = column.direction === "lower" ? -1 : 1;
  points.sort((a, b) => a.rtf - b.rtf || better * (b.value - a.value));
  let best = -Infinity;
  for (const point of points) {
    point.front = better * point.value > best;
    if (point.front) best = better * point.value;
  }
  return { points, lacking };
}

function logTicks(low, high) {
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
    for (const digit of [1, 2, 5]) if (digit * 10 ** power >= low && digit * 10 ** power <= high) ticks.push(digit * 10 ** power);
  const whole = ticks.filter((tick) => Math.abs(Math.log10(tick) % 1) < 1e-6);
  return whole.length > 2 ? whole : ticks;
}

function drawPareto(svg, site, board, column) {
  const { points, lacking } = speedPoints(site, board, column);
  svg.replaceChildren();
  svg.hidden = points.length === 0;
  if (!points.length) return lacking;
  const { width, height, left, right, top, bottom } = FRAME, lower = column.direction === "lower";
  const rtfs = points.map((point) => point.rtf), values = points.flatMap((point) => [point.value, column.lows[point.row] ?? point.value, column.highs[point.row] ?? point.value]);
  const xs = [Math.min(...rtfs) / 1.5, Math.max(...rtfs, 1) * 1.5], low = Math.min(...values), high = Math.max(...values);
  const pad = (high - low || Math.abs(high) || 1) * 0.08, ys = [low - pad, high + pad];
  const x = (rtf) => left + (width - left - right) * Math.log(rtf / xs[0]) / Math.log(xs[1] / xs[0]);
  const y = (value) => { const part = (value - ys[0]) / (ys[1] - ys[0]); return top + (height - top - bottom) * (lower ? part : 1 - part); };
  for (const tick of logTicks(...xs)) {
    svg.append(draw("line", { class: "grid", x1: x(tick), x2: x(tick), y1: top, y2: height - bottom }));
    svg.append(draw("text", { x: x(tick), y: height - bottom + 16, "text-anchor": "middle" }, String(Number(tick.toPrecision(3)))));
  }
  for (const part of [0, 0.25, 0.5, 0.75, 1]) {
    const value = ys[0] + part * (ys[1] - ys[0]);
    svg.append(draw("line", { class: "grid", x1: left, x2: width - right, y1: y(value), y2: y(value) }));
    svg.append(draw("text", { x: left - 8, y: y(value) + 4, "text-anchor": "end" }, numeral(value)));
  }
  if (x(1) >= left) {
    svg.append(draw("line", { class: "realtime", x1: x(1), x2: x(1), y1: top, y2: height - bottom }));
    svg.append(draw("text", { x: x(1) - 4, y: height - bottom - 6, "text-anchor": "end" }, "real time"));
  }
  svg.append(draw("text", { x: (left + width - right) / 2, y: height - 8, "text-anchor": "middle" }, "real-time factor, logarithmic (← faster)"));
  svg.append(draw("text", { x: left, y: 12 }, "↑ better " + column.heading));
  const front = points.filter((point) => point.front);
  svg.append(draw("path", { class: "front", d: front.map((point, k) => (k ? "H" + x(point.rtf) + "V" + y(point.value) : "M" + x(point.rtf) + " " + y(point.value))).join("") }));
  const named = points.length <= MAX_LABELS, taken = points.map((point) => ({ left: x(point.rtf) - 7, right: x(point.rtf) + 7, y: y(point.value) }));
  points.forEach((point, k) => {
    drawPoint(svg, board, column, point, k, x, y, named);
    if (named) drawName(svg, point.name, x(point.rtf), y(point.value), taken);
  });
  svg.setAttribute("aria-label", column.title + " against real-time factor of " + points.length + " systems; none is both better and faster than " + front.slice(0, 8).map((point) => point.name).join(", "));
  return lacking;
}

function drawPoint(svg, board, column, point, index, x, y, named) {
  const px = x(point.rtf), py = y(point.value);
  if (named && column.lows[point.row] != null) svg.append(draw("line", { class: "whisker", x1: px, x2: px, y1: y(column.lows[point.row]), y2: y(column.highs[point.row]) }));
  const dot = draw("circle", { class: point.front ? "dot front-dot" : "dot", cx: px, cy: py, r: named ? 6 : 3, tabindex: index ? "-1" : "0", role: "img", "aria-label": point.name + ": " + column.title + " " + numeral(point.value) + ", RTF " + numeral(point.rtf) });
  const lines = [point.name + (point.front ? " · on the front: none is better and faster" : ""), column.title + " " + point.value, "RTF " + point.rtf, point.source];
  for (const kind of ["mouseenter", "focus"]) dot.addEventListener(kind, () => showTip(dot, lines));
  for (const kind of ["mouseleave", "blur"]) dot.addEventListener(kind, hideTip);
  svg.append(dot);
}

// A name stands at the first free place beside its point; where there is none, hovering and focus tell it.
function drawName(svg, name, px, py, taken) {
  const text = name.length > 28 ? name.slice(0, 27) + "…" : name, width = 7 * text.length;
  for (const [dx, dy] of [[10, -10], [10, 14], [-10, -10], [-10, 14], [10, -26], [-10, 30]]) {
    const box = { left: dx > 0 ? px + dx : px + dx - width, right: dx > 0 ? px + dx + width : px + dx, y: py + dy };
    const free = taken.every((other) => box.right < other.left || box.left > other.right || Math.abs(box.y - other.y) > 13);
    if (!free || box.left < FRAME.left || box.right > FRAME.width) continue;
    taken.push(box);
    svg.append(draw("text", { class: "name", x: px + dx, y: py + dy, "text-anchor": dx > 0 ? "start" : "end" }, text));
    return;
  }
}

// One stop of the tab key; arrow keys go from point to point, by speed.
function walkPoints(svg) {
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    const dots = [...svg.querySelectorAll("circle")], at = dots.indexOf(document.activeElement);
    if (!step || at < 0) return;
    event.preventDefault();
    const next = dots[Math.max(0, Math.min(dots.length - 1, at + step))];
    dots[at].setAttribute("tabindex", "-1");
    next.setAttribute("tabindex", "0");
    next.focus();
  });
}
