// The gallery: see each cell, correct it in one gesture, and watch the count.

import { Problem, attempt, get, leaving, post } from "./api.js";
import { Board } from "./board.js";
import { wireCamera } from "./camera.js";
import { OPEN, edit, numberOf, showHead } from "./casehead.js";
import { countBar, fillBar, fillKeys } from "./classbar.js";
import { className } from "./classes.js";
import { CompareView } from "./compare.js";
import { Detail } from "./detail.js";
import { beside, lines, notes, target } from "./differential.js";
import { complain, find, say } from "./dom.js";
import { dropped, outcome, refusals, send, showElsewhere } from "./files.js";
import { FieldView } from "./fields.js";
import { wire } from "./gestures.js";
import { Outbox, withWaiting } from "./outbox.js";
import { ready } from "./page.js";
import { panel, tab, wirePanel } from "./panel.js";
import { Queue } from "./queue.js";
import { EFFECTS, SAY, sender, stored, won } from "./saving.js";
import { follow, latest, working } from "./progress.js";
import { Smear } from "./smear.js";
import { counted, plain, t, translated } from "./text.js";
import { wireTiles } from "./tilesize.js";

const id = location.pathname.split("/")[2];
const path = `/cases/${id}`;
const board = new Board(find("board"), id);
const detail = new Detail(id);
const queue = new Queue(board);
const fields = new FieldView(board, path, {
  open: (cell) => open(cell),
  tile: (cell) => showTile(cell),
  remove: (cell) => attempt(() => removeCell(cell)),
  leave: () => compare.close(),
  version: () => shown.version,
  drawn: () => watch(),
});
const compare = new CompareView(board, path, { leave: () => fields.close(), open: (cell) => open(cell) });
const smear = new Smear(path, { version: () => shown.version, changed: () => load() });
queue.onturn = () => {
  fields.close();
  compare.close();
};
const bar = find("classes");
const truth = new Map(); // cells as the station holds them; the board also shows what waits for it
let shown = null; // the case
let can = { undo: false, redo: false };

// ---------------------------------------------------------------- what is shown

/** Load the case. Where the station stops answering half-way, keep what there is, and say that the rest is missing. */
async function load() {
  try {
    await fetchCase();
    find("partial").hidden = true;
  } catch (problem) {
    find("partial").hidden = problem.status === 404;
    throw problem;
  } finally {
    find("board").setAttribute("aria-busy", "false");
  }
}

async function fetchCase() {
  const list = await get(`${path}/cells`);
  if (list.cells.some((row) => row.flags.includes("by_eye"))) return location.replace(`/cases/${id}/count`);
  if (shown !== null && list.case.version < shown.version) return fetchCase(); // a gesture was stored meanwhile
  truth.clear();
  for (const row of list.cells) truth.set(row.id, row);
  board.show(list.cells.map(now));
  settle({ ...list, cells: [] });
  find("failures").hidden = list.failures.length === 0;
  find("failures-words").textContent = counted("gallery.failures", list.failures.length);
  find("failed").replaceChildren(...refusals(list.failures));
  await Promise.all([fields.load(), smear.load(), showElsewhere(find("elsewhere"), id), state(list.cells.length)]);
}

/** A cell as it is shown: as stored, with what waits to be stored. */
const now = (row) => withWaiting(row, outbox.waiting, EFFECTS);

/** Show what a gesture left behind. */
function settle(result) {
  shown = result.case;
  for (const row of result.cells) truth.set(row.id, row);
  redraw(result.cells.map((row) => row.id));
  if ("can_undo" in result) can = { undo: result.can_undo, redo: result.can_redo };
  if (result.differential) showDifferential(result.differential);
  showHead(shown);
  const open = OPEN.includes(shown.status);
  for (const name of ["edit", "add", "camera"]) find(name).disabled = !open;
  find("closed").hidden = open;
  find("corrected").textContent = shown.corrected ? counted("gallery.corrected", shown.corrected) : "";
  showWaiting();
}

/** Show cells as they are now. */
function redraw(cells) {
  const rows = cells.map((cell) => now(truth.get(cell)));
  board.update(rows);
  detail.refresh(rows);
  fields.update();
  compare.update();
  countBar(bar, board.rows);
  queue.show();
}

function showDifferential(view) {
  find("target").replaceChildren(...target(view));
  find("count").replaceChildren(lines(view, false), beside(view), notes(view));
  find("usual").textContent = t("differential.usual_name", { name: view.reference_name });
  if (document.activeElement !== find("leukocytes")) find("leukocytes").value = plain(shown.leukocytes);
  for (const choice of document.querySelectorAll("input[name=target]")) choice.checked = Number(choice.value) === shown.target;
}

/** Where there is no cell yet: what to do, or how far the analysis is. */
async function state(cells) {
  const job = OPEN.includes(shown.status) ? await latest(id) : null;
  const running = job !== null && working(job);
  find("empty").hidden = cells > 0 || running;
  find("failed-job").hidden = job?.state !== "failed" && job?.state !== "cancelled";
  if (!find("failed-job").hidden) {
    find("failed-words").textContent = [t(`job.${job.state}`), translated(job.message)].filter(Boolean).join(" ");
  }
  if (running) watch();
}

function watch() {
  find("empty").hidden = true;
  find("failed-job").hidden = true;
  find("analysing").hidden = false;
  find("analysing-progress").replaceChildren(
    follow(id, (job) => {
      find("analysing").hidden = true;
      if (job.state === "finished") say([t("job.finished"), translated(job.message)].filter(Boolean).join(" "));
      attempt(load);
    }),
  );
}

board.onchoice = (chosen) => {
  fields.mark();
  compare.mark();
  find("chosen").textContent = chosen.size ? counted("gallery.chosen", chosen.size) : t("gallery.choose");
  find("enlarge").disabled = chosen.size !== 1;
  find("compare").disabled = chosen.size < 2 || chosen.size > 8;
  find("clear").disabled = find("confirm").disabled = chosen.size === 0;
  if (chosen.size === 1 && !find("panel-cell").hidden) showCell([...chosen][0]);
};

// ---------------------------------------------------------------- what is changed

const outbox = new Outbox(`${document.documentElement.dataset.user} ${id}`, sender(path));

outbox.onstored = (gesture, result) => {
  outbox.rebase(result);
  settle(result);
  if (gesture.kind === "undo" || gesture.kind === "redo") board.focus(result.cells[0]?.id);
  say(SAY[gesture.kind](gesture, result));
};

/** Show what the station holds; where another reader was faster, say whose change won. */
outbox.onrefused = async (gesture, problem) => {
  redraw((gesture.changes ?? []).map((change) => change.cell));
  await attempt(load);
  if (stored(gesture, problem.current, truth)) say(SAY[gesture.kind](gesture, {}));
  else if (gesture.tried && !gesture.changes && problem.status === 409) complain(t("unsaved.unsure"));
  else if (problem.status !== 409 || !Array.isArray(problem.current)) complain(problem.sentence);
  else complain(new Problem(409, { detail: won(problem.current) }).sentence);
};

outbox.onchange = () => {
  showWaiting();
  if (signing && !outbox.waiting.length) location.assign(find("to-sign").href);
};

// Signing begins when the last gesture is stored.
let signing = false;
find("to-sign").addEventListener("click", (event) => {
  if (!outbox.waiting.length) return;
  event.preventDefault();
  signing = true;
});

/** Say how many gestures are not stored; until they are, nothing is undone. */
function showWaiting() {
  const waiting = outbox.waiting.length;
  find("unsaved").hidden = !outbox.stalled || waiting === 0;
  find("unsaved-words").textContent = counted("unsaved.waiting", waiting);
  const open = shown !== null && OPEN.includes(shown.status) && !outbox.stalled;
  find("undo").disabled = !(open && (can.undo || outbox.waiting.some(({ kind }) => kind in EFFECTS)));
  find("redo").disabled = !(open && can.redo);
}

find("try-now").addEventListener("click", () => outbox.retry());
find("discard").addEventListener("click", () => {
  const cells = outbox.waiting.flatMap(({ changes }) => (changes ?? []).map((change) => change.cell));
  outbox.discard();
  redraw([...new Set(cells)]);
  attempt(load);
});

// Whoever leaves before the last gesture is stored is asked whether they mean it.
addEventListener("beforeunload", (event) => {
  if (outbox.waiting.length && !leaving) event.preventDefault();
});

/** Make a gesture on cells: shown at once, settled when the station has stored it. */
function gesture(kind, cells, values) {
  outbox.add({ kind, changes: cells.map((cell) => ({ cell, version: board.row(cell).version, ...values })) });
  redraw(cells);
}

/** Where the reader works: on the fields, on cells side by side, or on the tiles. */
const desk = () => (fields.shown ? fields : compare.shown ? compare : board);

/** Give cells a class. */
function give(cells, code, byKey) {
  if (!OPEN.includes(shown.status)) return complain(t("gallery.closed"));
  const moved = cells.filter((cell) => board.row(cell).code !== code);
  if (!moved.length) return confirm(cells, t("said.already", { class: className(code) }));
  const next = byKey ? desk().after(moved) : null;
  gesture("correct", moved, { code });
  goOn(next);
}

/** Confirm the classes of cells that were on the screen. */
function confirm(cells, otherwise = t("said.seen")) {
  if (!OPEN.includes(shown.status)) return complain(t("gallery.closed"));
  const unseen = cells.filter((cell) => board.row(cell).seen_by === null);
  const looked = board.displayed(unseen);
  const next = desk().after(looked.length ? looked : cells);
  if (looked.length) gesture("confirm", looked);
  if (looked.length < unseen.length) complain(counted("said.unseen", unseen.length - looked.length));
  else if (!unseen.length) say(otherwise);
  goOn(next);
}

/** Choose the next cell; where none is left to look at, the next step is to sign. */
function goOn(next) {
  board.selection.only(next);
  board.mark();
  if (desk() === board && queue.done()) find("to-sign").focus();
  else if (next !== null) desk().focus(next);
}

function takeBack(step) {
  if (outbox.stalled) return complain(t("unsaved.undo"));
  if (!find(step).disabled) outbox.add({ kind: step, version: shown.version });
}

const change = (fields) => outbox.add({ kind: "case", version: shown.version, fields });

// ---------------------------------------------------------------- panels

function showCell(cell) {
  if (cell !== detail.shown) attempt(() => detail.show(cell));
}

function open(cell) {
  tab("cell");
  panel(true);
  showCell(cell);
}

/** Show the tile of a cell among those of its class, chosen. */
function showTile(cell) {
  queue.turn("classes");
  board.selection.only(cell);
  board.mark();
  board.focus(cell);
}

/** Ask why a cell is false. */
async function removeCell(cell) {
  tab("cell");
  panel(true);
  await detail.show(cell);
  find("void-part").open = true;
  find("void-reason").focus();
}

wirePanel(() => {
  const [only] = board.meant;
  if (only !== undefined) showCell(only);
});

// ---------------------------------------------------------------- hands

fillBar(bar, (code) => {
  const cells = [...board.selection.chosen];
  if (cells.length) give(cells, code, false);
  else board.reveal(code);
});
fillKeys(find("key-list"));
wireTiles(board);
wire(find("board"), board,
  { give, confirm, start: () => queue.start(), open, undo: () => takeBack("undo"), redo: () => takeBack("redo") });
detail.onvoid = (cell, version, reason) =>
  attempt(async () => {
    await post(`${path}/cells/${cell}/void`, { version, reason });
    await load();
    await detail.show(cell);
  });
detail.oncomment = (cell, comment) => gesture("comment", [cell], { comment });

find("skip-cells").addEventListener("click", (event) => {
  event.preventDefault();
  board.focus(board.selection.current);
});
find("undo").addEventListener("click", () => takeBack("undo"));
find("redo").addEventListener("click", () => takeBack("redo"));
find("enlarge").addEventListener("click", () => open([...board.selection.chosen][0]));
find("confirm").addEventListener("click", () => confirm(board.meant));
find("clear").addEventListener("click", () => {
  board.selection.none();
  board.mark();
});
find("edit").addEventListener("click", () =>
  attempt(async () => {
    const changed = await edit(shown);
    if (changed) await load();
  }),
);
find("leukocytes").addEventListener("change", (event) => {
  try {
    change({ leukocytes: numberOf("leukocytes", event.target.value) });
  } catch (error) {
    complain(error.message);
  }
});
for (const choice of document.querySelectorAll("input[name=target]")) {
  choice.addEventListener("change", () => change({ target: Number(choice.value) }));
}

// ---------------------------------------------------------------- files

async function take(files, kind) {
  if (!files.length) return;
  if (!OPEN.includes(shown.status)) {
    complain(t("gallery.closed"));
    return;
  }
  await attempt(async () => {
    const result = await send(id, files, (words) => say(words), kind);
    say(outcome(result));
    if (result.added) watch();
    else complain(outcome(result));
  });
}

dropped(take);
wireCamera(take);
for (const name of ["add", "add-first"]) find(name).addEventListener("click", () => find("files").click());
find("files").addEventListener("change", (event) => take([...event.target.files]));
for (const button of document.querySelectorAll(".analyse")) {
  button.addEventListener("click", () => attempt(async () => {
    await post(`${path}/analysis`);
    watch();
  }));
}

const head = document.querySelector(".case-head");
new ResizeObserver(() => {
  const banner = document.querySelector(".banner").offsetHeight;
  const sticky = getComputedStyle(head).position === "sticky" ? head.offsetHeight : 0;
  document.documentElement.style.setProperty("--head", `${banner + sticky}px`);
}).observe(head);

// Another reader may have changed the case while this page was not looked at.
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState !== "visible" || shown === null) return;
  attempt(async () => {
    if ((await get(path)).version !== shown.version) await load();
  });
});

// A picture that did not come is asked for again when its tile is drawn.
find("desk").addEventListener("error", ({ target }) => {
  if (target.tagName !== "IMG") return;
  target.removeAttribute("src");
  find("partial").hidden = false;
}, true);
find("load-rest").addEventListener("click", begin);

async function begin() {
  await attempt(load);
  const there = shown !== null || !find("partial").hidden;
  find("desk").hidden = !there;
  find("missing").hidden = there;
  if (shown === null) return;
  board.mark();
  outbox.run(); // what a log-in or a reload left waiting
  if (location.hash === "#queue") queue.start();
}

ready();
begin();
