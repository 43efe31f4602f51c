"use strict";
// The board's page: what the filters show, and what stands below the table.
const SHOWN_CLIPS = 60;
const part = (id) => document.getElementById(id);

carried("site").then((site) => {
  const grid = makeGrid(part("board"), site, part("status"));
  let board = site.boards[0], chosen = new Set();
  const rowsShown = () => {
    const wanted = part("system").value.trim().toLowerCase(), controls = part("show-controls").checked;
    return board.rows.map((_, row) => row).filter((row) => (controls || board.kinds[row] !== 1) && (!wanted || board.rows[row].toLowerCase().includes(wanted)));
  };
  const drawTable = () => grid.show(board, board.columns.filter((column) => chosen.has(column.id)), rowsShown());

  function chooseGroup() {
    chosen = new Set(columnsOf(board, choicesOf(board)[Number(part("metrics").value)]).map((column) => column.id));
    part("columns").replaceChildren(...board.columns.map((column) => {
      const mark = make("input", { type: "checkbox", checked: chosen.has(column.id) });
      mark.addEventListener("change", () => { mark.checked ? chosen.add(column.id) : chosen.delete(column.id); drawTable(); });
      return make("label", {}, mark, column.heading);
    }));
    drawTable();
  }

  function chooseBoard() {
    board = site.boards[Number(part("corpus").value)];
    const before = part("metrics").selectedOptions[0]?.textContent, choices = choicesOf(board);
    fill(part("metrics"), choices);
    part("metrics").value = String(Math.max(0, choices.indexOf(before)));
    part("show-controls").parentElement.hidden = !board.kinds.includes(1);
    part("notes").replaceChildren(...board.notes.map((index) => make("li", {}, site.texts[index])));
    chooseGroup();
    fillPareto();
    fillWorst();
    fillClips();
  }

  const drawable = () => board.columns.filter((column) => ["higher", "lower"].includes(column.direction) && column.name !== "video/rtf" && column.values.some((value, row) => value !== null && board.kinds[row] === 2));
  function fillPareto() {
    const columns = drawable();
    part("pareto-section").hidden = columns.length === 0;
    fill(part("quality"), columns.map((column) => column.heading));
    const first = columns.findIndex((column) => /mouth_psnr|sync_c|lpips|psnr/.test(column.name));
    part("quality").value = String(Math.max(0, first));
    drawPlot();
  }
  function drawPlot() {
    const column = drawable()[Number(part("quality").value)];
    const lacking = column ? drawPareto(part("pareto"), site, board, column) : [];
    const some = lacking.slice(0, 12).join(", ") + (lacking.length > 12 ? " and " + (lacking.length - 12) + " more" : "");
    part("unmeasured").textContent = lacking.length ? "Not measured: " + some + "." : "";
  }

  const worstColumns = () => board.columns.filter((column) => board.worst[column.id]);
  function fillWorst() {
    part("worst-section").hidden = worstColumns().length === 0;
    fill(part("worst-metric"), worstColumns().map((column) => column.heading));
    fillWorstSystems();
  }
  function fillWorstSystems() {
    const column = worstColumns()[Number(part("worst-metric").value)];
    if (!column) return;
    const lists = board.worst[column.id], rows = Object.keys(lists).filter((row) => row !== "all"), before = part("worst-system").value;
    part("worst-system").replaceChildren(make("option", { value: "all" }, "every system"), ...rows.map((row) => make("option", { value: row }, board.rows[Number(row)])));
    if (rows.includes(before)) part("worst-system").value = before;
    const cells = lists[part("worst-system").value];
    part("worst").replaceChildren(...cells.map(([row, page, value]) => make("li", {},
      make("a", { href: "clips/" + page + ".html" }, site.clips[page].name), " ", make("b", {}, numeral(value) + (column.unit ? " " + column.unit : "")), " ", make("span", { className: "soft" }, board.rows[row]))));
  }

  let allClips = false;
  function fillClips() {
    const pages = board.pages, shown = allClips ? pages : pages.slice(0, SHOWN_CLIPS);
    part("clips").replaceChildren(...shown.map((page) => {
      const clip = site.clips[page];
      return make("li", {}, make("a", { href: "clips/" + page + ".html" }, clip.name), make("small", { className: "soft" }, [clip.corpus, clip.text].filter(Boolean).join(" · ")));
    }));
    part("more-clips").hidden = shown.length === pages.length;
    part("more-clips").textContent = "show all " + pages.length + " clips";
  }

  fill(part("corpus"), site.boards.map((each) => each.label));
  part("corpus").addEventListener("change", chooseBoard);
  part("metrics").addEventListener("change", chooseGroup);
  part("system").addEventListener("input", drawTable);
  part("show-controls").addEventListener("change", drawTable);
  part("quality").addEventListener("change", drawPlot);
  part("worst-metric").addEventListener("change", fillWorstSystems);
  part("worst-system").addEventListener("change", fillWorstSystems);
  part("more-clips").addEventListener("click", () => { allClips = true; fillClips(); });
  walkPoints(part("pareto"));
  chooseBoard();
});
