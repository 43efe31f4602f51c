"use strict";
// The page of one clip: its table, and which systems play beside the truth.
const START_TRACKS = 6;

carried("site").then((site) => {
  const board = site.board, grid = makeGrid(document.getElementById("board"), site, document.getElementById("status"));
  const groups = document.getElementById("metrics");
  fill(groups, choicesOf(board));
  const drawTable = () => grid.show(board, columnsOf(board, choicesOf(board)[Number(groups.value)]), board.rows.map((_, row) => row));
  groups.addEventListener("change", drawTable);
  drawTable();
});

// The letters that change the clip in a report go to the next page here.
document.addEventListener("keydown", (event) => {
  const rel = { n: "next", p: "prev" }[event.key];
  if (!rel || event.target.closest("input, select") || event.ctrlKey || event.metaKey || event.altKey) return;
  document.querySelector('a[rel="' + rel + '"]')?.click();
});

// The player plays the tracks that are chosen; with many systems, the first few at the start.
const chooser = document.getElementById("tracks");
if (chooser) {
  const every = data.cases[0].tracks;
  const marks = every.map((track, k) => {
    const mark = make("input", { type: "checkbox", checked: k <= START_TRACKS });
    mark.addEventListener("change", playChosen);
    chooser.append(make("label", {}, mark, track.name));
    return mark;
  });
  function playChosen() {
    data.cases[0].tracks = every.filter((_, k) => marks[k].checked);
    showCase(0);
  }
  if (every.length > START_TRACKS + 1) playChosen();
  const mapped = every.some((track) => track.heat);
  document.getElementById("heat").parentElement.hidden = !mapped;
  document.getElementById("heat-max").closest(".legend").hidden = !mapped;
}
