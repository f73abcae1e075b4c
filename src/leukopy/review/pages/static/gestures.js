// Hands on the board: mouse, finger, keys, and dragging cells to a class.

import { byKey } from "./classes.js";
import { element } from "./dom.js";
import { typing } from "./page.js";
import { counted } from "./text.js";

const ARROWS = new Set(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"]);
const PRESSED = "button, a, summary, input, #stage"; // the space bar has its own meaning there
const KIND = "application/x-leukopy-cells";

/**
 * Wire the board. `hands.give(ids, code)` reclassifies, `hands.confirm(ids)` confirms, `hands.start()` begins with the
 * cells to look at, `hands.open(id)` shows a cell, `hands.undo()`, `hands.redo()`.
 */
export function wire(place, board, hands) {
  byPointer(place, board, hands);
  byKeys(place, board, hands);
  byDragging(place, board, hands);
}

const cellOf = (event) => {
  const tile = event.target.closest(".tile");
  return tile ? Number(tile.dataset.cell) : null;
};

function byPointer(place, board, hands) {
  const { selection } = board;
  place.addEventListener("click", (event) => {
    const id = cellOf(event);
    if (id === null) selection.none();
    else if (event.shiftKey) selection.upTo(id, board.order());
    else if (event.ctrlKey || event.metaKey || event.pointerType === "touch") selection.toggle(id);
    else selection.only(id);
    board.mark();
    if (id !== null) board.focus(id);
  });
  place.addEventListener("dblclick", (event) => {
    const id = cellOf(event);
    if (id !== null) hands.open(id);
  });
}

function byKeys(place, board, hands) {
  document.addEventListener("keydown", (event) => {
    if (typing(event)) return;
    const key = event.key.toLowerCase();
    if (event.ctrlKey || event.metaKey) withControl(event, key, place, board, hands);
    else if (event.altKey) return;
    else if (event.key === "Escape") {
      board.selection.none();
      board.mark();
    } else if (byKey.has(key) && board.meant.length) {
      event.preventDefault();
      hands.give(board.meant, byKey.get(key).code, true);
    } else if (key === " " && !event.target.closest(PRESSED)) {
      event.preventDefault();
      if (board.meant.length) hands.confirm(board.meant);
      else hands.start();
    } else if (place.contains(event.target)) onBoard(event, board, hands);
  });
}

function withControl(event, key, place, board, hands) {
  if (key === "z") event.shiftKey ? hands.redo() : hands.undo();
  else if (key === "y") hands.redo();
  else if (key === "a" && place.contains(event.target)) {
    board.selection.all(board.companions(board.selection.current));
    board.mark();
  } else if (ARROWS.has(event.key) && place.contains(event.target)) walk(event, board, false);
  else if (event.key === " " && place.contains(event.target)) {
    board.selection.toggle(board.selection.current);
    board.mark();
  } else return;
  event.preventDefault();
}

function onBoard(event, board, hands) {
  const { selection } = board;
  if (ARROWS.has(event.key)) walk(event, board, true);
  else if (event.key === "Home") go(board, board.order()[0]);
  else if (event.key === "End") go(board, board.order().at(-1));
  else if (event.key === "Enter") hands.open(selection.current);
  else return;
  event.preventDefault();
}

function walk(event, board, choose) {
  const next = board.beside(board.selection.current, event.key);
  if (event.shiftKey) {
    board.selection.upTo(next, board.order());
    board.mark();
    board.focus(next);
  } else if (choose) go(board, next);
  else board.focus(next);
}

function go(board, id) {
  board.selection.only(id);
  board.mark();
  board.focus(id);
}

function byDragging(place, board, hands) {
  place.addEventListener("dragstart", (event) => {
    const id = cellOf(event);
    if (id === null) return;
    if (!board.selection.chosen.has(id)) {
      board.selection.only(id);
      board.mark();
    }
    const cells = [...board.selection.chosen];
    event.dataTransfer.setData(KIND, JSON.stringify(cells));
    event.dataTransfer.effectAllowed = "move";
    const badge = element("div", { class: "dragged" }, counted("cells", cells.length));
    document.body.append(badge);
    event.dataTransfer.setDragImage(badge, -12, -12);
    setTimeout(() => badge.remove());
    document.body.classList.add("dragging");
  });
  document.addEventListener("dragend", () => {
    document.body.classList.remove("dragging");
    over(null);
  });
  document.addEventListener("dragover", (event) => {
    if (!event.dataTransfer.types.includes(KIND)) return;
    const target = event.target.closest("[data-code]");
    over(target);
    if (target) event.preventDefault(); // says that it may be dropped here
  });
  document.addEventListener("drop", (event) => {
    const target = event.target.closest("[data-code]");
    if (!target || !event.dataTransfer.types.includes(KIND)) return;
    event.preventDefault();
    over(null);
    const cells = JSON.parse(event.dataTransfer.getData(KIND)).filter((id) => board.row(id));
    hands.give(cells, target.dataset.code, false);
  });
}

function over(target) {
  for (const other of document.querySelectorAll(".over")) if (other !== target) other.classList.remove("over");
  target?.classList.add("over");
}
