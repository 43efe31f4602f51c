"use strict";
// A board as a grid: sorted by any column, a page of rows at a time. The whole grid is one stop of the tab
// key; arrow keys move inside, and what hovering tells of a cell, focus tells too.
const PAGE_ROWS = 50;
const KINDS = ["truth", "control", "system"];
const KIND_SAYS = ["the videos that all are compared with", "made from the truth to test the metrics; not ranked", ""];

// What the page carries: JSON as it is, or gzipped when there is much of it.
async function carried(id) {
  const holder = document.getElementById(id);
  if (!holder.dataset.packed) return JSON.parse(holder.textContent);
  const bytes = Uint8Array.from(atob(holder.textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

function make(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// As many decimals as in the tables in Markdown.
function numeral(value) {
  const size = Math.abs(value);
  if ((size > 1e-9 && size < 1e-3) || size >= 1e6) return value.toExponential(2);
  return value.toFixed(size > 1e-9 && size < 0.1 ? 4 : size < 10 ? 3 : size < 100 ? 2 : 1);
}

// One tooltip for the page. Escape hides it; it goes when its owner loses pointer and focus.
const tip = make("div", { id: "tip", hidden: true });
tip.setAttribute("role", "tooltip");
document.body.append(tip);
let tipOwner = null;

function showTip(owner, lines) {
  hideTip();
  if (!lines.length) return;
  tip.replaceChildren(...lines.map((line) => make("p", {}, line)));
  tip.hidden = false;
  tipOwner = owner;
  owner.setAttribute("aria-describedby", "tip");
  placeTip(owner);
}

function placeTip(owner) {
  const at = owner.getBoundingClientRect(), box = tip.getBoundingClientRect();
  const below = at.bottom + 6 + box.height <= innerHeight || at.top < box.height + 6;
  tip.style.left = Math.max(8, Math.min(at.left, innerWidth - box.width - 8)) + "px";
  tip.style.top = (below ? Math.min(at.bottom + 6, innerHeight - 60) : at.top - 6 - box.height) + "px";
}

function hideTip() {
  if (tipOwner) tipOwner.removeAttribute("aria-describedby");
  tipOwner = null;
  tip.hidden = true;
}

document.addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });
// Scrolling takes a hovered cell away; one that has focus, and so was scrolled to, keeps its tooltip.
document.addEventListener("scroll", () => (tipOwner && tipOwner === document.activeElement ? placeTip(tipOwner) : hideTip()), { passive: true, capture: true });

// Lines that a cell tells of itself.
function cellLines(site, board, column, row) {
  const lines = [], value = column.values[row], unit = column.unit ? " " + column.unit : "";
  const name = board.rows[row] + (KIND_SAYS[board.kinds[row]] ? " (" + KINDS[board.kinds[row]] + ")" : "");
  lines.push(name + " · " + column.title);
  if (value !== null && value !== undefined) {
    lines.push(value + unit + (column.lows[row] != null ? ", 95 % interval " + column.lows[row] + " to " + column.highs[row] : ""));
    const [ok, total, given] = column.lost[row] || [board.total, board.total, 0];
    if (column.id.startsWith("avg_r")) lines.push("mean of places");
    else lines.push(ok + " of " + total + " clips count" + (given ? ", " + given + " more were given a value" : ""));
    if (column.ranks[row]) {
      const range = column.from[row] ? ", 95 % of its places: " + column.from[row] + " to " + column.to[row] : "";
      lines.push((board.kinds[row] === 2 ? "place " : "not ranked; would stand at place ") + column.ranks[row] + range);
    }
  }
  for (const index of column.said[row] || []) lines.push(site.texts[index]);
  if (board.runs[row] >= 0) lines.push("run file: " + site.runs[board.runs[row]].file);
  return lines;
}

// The grid. `show` draws a board; sorting and paging are the grid's own.
function makeGrid(box, site, status) {
  const state = { board: null, columns: [], rows: [], sort: null, worst: false, first: 0 };
  const scroller = make("div", { className: "scroll grid" });
  const range = make("span", { className: "soft" });
  const back = make("button", { type: "button" }, "‹ previous rows"), on = make("button", { type: "button" }, "next rows ›");
  const pager = make("div", { className: "controls pager" }, back, range, on);
  box.replaceChildren(scroller, pager);
  back.addEventListener("click", () => { state.first -= PAGE_ROWS; draw(); });
  on.addEventListener("click", () => { state.first += PAGE_ROWS; draw(); });

  function show(board, columns, rows) {
    if (board !== state.board) Object.assign(state, { sort: null, worst: false });
    Object.assign(state, { board, columns, rows, first: 0 });
    if (!columns.includes(state.sort) && state.sort !== "name") state.sort = null;
    draw();
  }

  function sortBy(key) {
    state.worst = state.sort === key ? !state.worst : false;
    Object.assign(state, { sort: key, first: 0 });
    draw();
  }

  // By place, then by value. A row that is not ranked stands before the system whose place it would take.
  function sorted() {
    const { board, sort, worst } = state, rows = state.rows.slice();
    if (sort === null) return byMeanRank(rows);
    const turn = worst ? -1 : 1;
    if (sort === "name") return rows.sort((a, b) => turn * board.rows[a].localeCompare(board.rows[b]) || a - b);
    const sign = sort.direction === "lower" ? 1 : -1;
    const known = (row) => sort.values[row] !== null && sort.values[row] !== undefined;
    const places = Float64Array.from(board.rows, (_, row) => (sort.ranks[row] ? sort.ranks[row] - (board.kinds[row] === 2 ? 0 : 0.5) : 0));
    const values = Float64Array.from(board.rows, (_, row) => sign * (sort.values[row] ?? 0));
    const first = rows.filter(known), last = rows.filter((row) => !known(row));
    first.sort((a, b) => turn * (places[a] - places[b] || values[a] - values[b]) || a - b);
    return first.concat(last);
  }

  // Before anybody sorts: truth and controls, then systems by their mean rank where the board has one.
  function byMeanRank(rows) {
    const { board } = state, mean = board.columns.find((column) => column.name === "avg_r");
    const place = (row) => (board.kinds[row] === 2 ? mean.ranks[row] || 1e9 : 0);
    return mean ? rows.sort((a, b) => place(a) - place(b) || a - b) : rows;
  }

  function draw() {
    const held = scroller.contains(document.activeElement) ? position(document.activeElement) : null;
    const ordered = sorted(), shown = ordered.slice(state.first, state.first + PAGE_ROWS);
    const table = make("table", {}, make("thead", {}, headRow()), make("tbody", {}, ...shown.map(bodyRow)));
    table.setAttribute("role", "grid");
    table.setAttribute("aria-rowcount", String(ordered.length + 1));
    table.setAttribute("aria-label", state.board.label);
    scroller.replaceChildren(table);
    [...table.rows].forEach((row, k) => row.setAttribute("aria-rowindex", String(k ? state.first + k + 1 : 1)));
    current = null;
    reach(held ? held[0] : 0, held ? held[1] : 0, held !== null);
    hideTip();
    pager.hidden = ordered.length <= PAGE_ROWS;
    back.disabled = state.first === 0;
    on.disabled = state.first + PAGE_ROWS >= ordered.length;
    const last = Math.min(ordered.length, state.first + PAGE_ROWS);
    range.textContent = "rows " + (ordered.length ? state.first + 1 : 0) + "–" + last + " of " + ordered.length;
    const name = state.sort === "name" ? "name" : state.sort && state.sort.title;
    const order = state.sort === "name" ? (state.worst ? "from Z to A" : "from A to Z") : state.worst ? "worst first" : "best first";
    const hidden = scroller.scrollWidth > scroller.clientWidth ? " Scroll sideways for all " + state.columns.length + " columns." : "";
    if (status) status.textContent = range.textContent + (name ? ", sorted by " + name + ", " + order : "") + "." + hidden;
  }

  function headRow() {
    const name = make("th", { scope: "col" }, sorter("system", "name", ""));
    if (state.sort === "name") name.setAttribute("aria-sort", state.worst ? "descending" : "ascending");
    return make("tr", {}, name, ...state.columns.map(headCell));
  }

  function headCell(column) {
    const cell = make("th", { scope: "col" }, sorter(column.heading, column, column.direction));
    if (state.sort === column) {
      const falling = (column.direction === "lower") === state.worst;
      cell.setAttribute("aria-sort", column.direction === "target" ? "other" : falling ? "descending" : "ascending");
    }
    return cell;
  }

  function sorter(text, key) {
    const button = make("button", { type: "button", className: "sort", tabIndex: -1 }, text);
    const mark = make("span", {}, state.sort === key ? (state.worst ? " ▲" : " ▼") : "");
    mark.setAttribute("aria-hidden", "true");
    button.append(mark);
    button.addEventListener("click", () => sortBy(key));
    return button;
  }

  function bodyRow(row) {
    const { board } = state, kind = board.kinds[row], run = board.runs[row];
    const name = run >= 0 ? make("a", { href: site.runs[run].anchor, tabIndex: -1 }, board.rows[row]) : board.rows[row];
    const head = make("th", run >= 0 ? { scope: "row" } : { scope: "row", tabIndex: -1 }, name);
    if (kind < 2) head.append(" ", make("span", { className: "chip" }, KINDS[kind]));
    const line = make("tr", { className: KINDS[kind] }, head, ...state.columns.map((column) => bodyCell(column, row)));
    line.dataset.row = String(row);
    return line;
  }

  function bodyCell(column, row) {
    const value = column.values[row], said = site.texts[(column.said[row] || [])[0]] || "";
    if (value === null || value === undefined) return make("td", { className: "none", tabIndex: -1 }, said.startsWith("not applicable") ? "–" : "not measured");
    const system = state.board.kinds[row] === 2, rank = column.ranks[row];
    const cell = make("td", { className: system && rank === 1 ? "best" : "", tabIndex: -1 }, numeral(value) + " ");
    if (rank) {
      const spread = column.from[row] ? " (" + column.from[row] + "–" + column.to[row] + ")" : "";
      cell.append(make("i", {}, system ? "#" + rank + spread : "(#" + rank + ")"));
    }
    const interval = column.lows[row] != null ? "[" + numeral(column.lows[row]) + ", " + numeral(column.highs[row]) + "] " : "";
    const lost = column.lost[row];
    const counted = lost ? "(" + lost[0] + "/" + lost[1] + (lost[2] ? " + " + lost[2] + " given" : "") + ")" : "(" + state.board.total + "/" + state.board.total + ")";
    const clips = column.id.startsWith("avg_r") || (state.board.total === 1 && !lost) ? "" : make(lost ? "b" : "span", { className: lost ? "lost" : "" }, counted);
    cell.append(make("small", {}, interval, clips));
    if (state.board.total > 1 && (column.said[row] || []).length) cell.classList.add("noted");
    return cell;
  }

  // What of a cell takes focus: its link or button, else the cell. One of them all is a stop of the tab key.
  const targetOf = (cell) => cell.querySelector("a, button") || cell;
  let current = null;
  const position = (target) => {
    const cell = target.closest("th, td");
    return cell ? [cell.parentElement.rowIndex, cell.cellIndex] : [0, 0];
  };

  function reach(row, column, focus) {
    const lines = scroller.querySelector("table").rows, line = lines[Math.max(0, Math.min(row, lines.length - 1))];
    if (current) current.tabIndex = -1;
    current = targetOf(line.cells[Math.max(0, Math.min(column, line.cells.length - 1))]);
    current.tabIndex = 0;
    if (focus) current.focus();
  }

  function linesOf(cell) {
    const column = state.columns[cell.cellIndex - 1], line = cell.parentElement;
    if (line.dataset.row === undefined) return column ? column.tip.map((index) => site.texts[index]) : [];
    const row = Number(line.dataset.row);
    if (column) return cellLines(site, state.board, column, row);
    const run = state.board.runs[row];
    return run >= 0 ? ["run file: " + site.runs[run].file, "made " + site.runs[run].created] : [KIND_SAYS[state.board.kinds[row]]];
  }

  function tell(event) {
    const cell = event.target.closest("th, td");
    if (cell && scroller.contains(cell)) showTip(targetOf(cell), linesOf(cell));
  }

  scroller.addEventListener("mouseover", tell);
  scroller.addEventListener("mouseleave", hideTip);
  scroller.addEventListener("focusin", tell);
  scroller.addEventListener("focusout", hideTip);
  scroller.addEventListener("click", (event) => {
    const cell = event.target.closest("th, td");
    if (cell) reach(...position(cell), !event.target.closest("a, button"));
  });
  scroller.addEventListener("keydown", (event) => {
    const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Home: [0, -1e6], End: [0, 1e6] }[event.key];
    if (!move || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation(); // the players of a clip's page have arrow keys of their own
    const [row, column] = position(event.target);
    reach(row + move[0], column + move[1], true);
  });
  return { show };
}

// Which columns a choice of the list shows: the main ones, all, or a group.
const columnsOf = (board, choice) => board.columns.filter((column) => (choice === "Main" ? column.main : choice === "All" || column.group === choice));
const choicesOf = (board) => ["Main", ...new Set(board.columns.map((column) => column.group)), "All"].filter((choice, k, all) => all.indexOf(choice) === k);
const fill = (select, names) => select.replaceChildren(...names.map((name, k) => make("option", { value: String(k) }, name)));
