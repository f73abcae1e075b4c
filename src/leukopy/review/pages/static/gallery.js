// The gallery: see each cell, correct it in one gesture, and watch the count.

import { Problem, attempt, get, patch, post } from "./api.js";
import { Board } from "./board.js";
import { OPEN, edit, numberOf, showHead } from "./casehead.js";
import { countBar, fillBar, fillKeys } from "./classbar.js";
import { className, reclassified } from "./classes.js";
import { Detail } from "./detail.js";
import { beside, lines, notes, target } from "./differential.js";
import { complain, find, say } from "./dom.js";
import { dropped, outcome, refusals, send } from "./files.js";
import { wire } from "./gestures.js";
import { ready } from "./page.js";
import { follow, latest, working } from "./progress.js";
import { counted, plain, t, translated } from "./text.js";

const id = location.pathname.split("/")[2];
const path = `/cases/${id}`;
const board = new Board(find("board"), id);
const detail = new Detail(id);
const bar = find("classes");
let shown = null; // the case
let versionSeen = null;

// ---------------------------------------------------------------- what is shown

async function load() {
  const list = await get(`${path}/cells`);
  board.show(list.cells);
  settle({ ...list, cells: [] });
  find("failures").hidden = list.failures.length === 0;
  find("failures-words").textContent = counted("gallery.failures", list.failures.length);
  find("failed").replaceChildren(...refusals(list.failures));
  find("board").setAttribute("aria-busy", "false");
  await state(list.cells.length);
}

/** Show what a gesture left behind. */
function settle(result) {
  shown = result.case;
  versionSeen = shown.version;
  board.update(result.cells);
  detail.refresh(result.cells);
  showHead(shown);
  showDifferential(result.differential);
  countBar(bar, board.order().map((cell) => board.row(cell)));
  const open = OPEN.includes(shown.status);
  find("undo").disabled = !(open && result.can_undo);
  find("redo").disabled = !(open && result.can_redo);
  for (const name of ["edit", "add"]) find(name).disabled = !open;
  find("closed").hidden = open;
  find("corrected").textContent = shown.corrected ? counted("gallery.corrected", shown.corrected) : "";
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
      if (job.state === "finished") say(t("job.finished"));
      attempt(load);
    }),
  );
}

board.onchoice = (chosen) => {
  find("chosen").textContent = chosen.size ? counted("gallery.chosen", chosen.size) : t("gallery.choose");
  find("enlarge").disabled = chosen.size !== 1;
  find("clear").disabled = chosen.size === 0;
  if (chosen.size === 1 && !find("panel-cell").hidden) showCell([...chosen][0]);
};

// ---------------------------------------------------------------- what is changed

let last = Promise.resolve();
let waiting = 0; // gestures that the server has not answered yet

/** One gesture after the other, so that each is made on the versions that the one before left. */
function inTurn(gesture) {
  waiting += 1;
  last = last.then(() => attempt(gesture)).finally(() => {
    waiting -= 1;
  });
  return last;
}

// Whoever leaves before the last gesture is stored is asked whether they mean it.
addEventListener("beforeunload", (event) => {
  if (waiting) event.preventDefault();
});

/** Give cells a class: shown at once, settled when the server has it. */
function give(cells, code, byKey) {
  if (!OPEN.includes(shown.status)) return complain(t("gallery.closed"));
  const moved = cells.filter((cell) => board.row(cell).code !== code);
  if (!moved.length) return say(t("said.already", { class: className(code) }));
  const next = byKey ? board.after(moved) : null;
  board.update(moved.map((cell) => reclassified(board.row(cell), code)));
  board.selection.only(next);
  board.mark();
  if (next !== null) board.focus(next);
  return inTurn(async () => {
    const changes = moved.map((cell) => ({ cell, version: board.row(cell).version, code }));
    await settled(post(`${path}/corrections`, { changes }));
    say(counted("said.reclassified", moved.length, { class: className(code) }));
  });
}

function takeBack(step) {
  const button = find(step);
  if (button.disabled) return;
  inTurn(async () => {
    const result = await settled(post(`${path}/${step}`, {}));
    board.focus(result.cells[0]?.id);
    say(counted(`said.${step}`, result.cells.length));
  });
}

/** Show the answer; where another reader was faster, say whose change won and show it. */
async function settled(answer) {
  try {
    const result = await answer;
    settle(result);
    return result;
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    await load();
    if (problem.status !== 409 || !Array.isArray(problem.current)) throw problem;
    throw new Problem(409, { detail: won(problem.current) });
  }
}

function won(rows) {
  const names = [...new Set(rows.map((row) => row.changed_by))].join(", ");
  const what = rows.slice(0, 5).map((row) => `${t("tile.number", { id: row.id })} → ${className(row.code)}`).join("; ");
  return counted("gallery.conflict", rows.length, { name: names, what });
}

function change(fields) {
  inTurn(async () => {
    shown = await patch(path, { version: shown.version, ...fields });
    versionSeen = shown.version;
    showHead(shown);
    showDifferential(await get(`${path}/differential`));
    say(t("said.saved"));
  });
}

// ---------------------------------------------------------------- panels

function tab(name) {
  for (const one of ["count", "cell"]) {
    find(`tab-${one}`).setAttribute("aria-selected", one === name ? "true" : "false");
    find(`tab-${one}`).tabIndex = one === name ? 0 : -1;
    find(`panel-${one}`).hidden = one !== name;
  }
  find("panel").scrollTo(0, 0);
}

function panel(open) {
  find("panel").classList.toggle("open", open);
  find("show-panel").setAttribute("aria-expanded", open ? "true" : "false");
}

function showCell(cell) {
  if (cell !== detail.shown) attempt(() => detail.show(cell));
}

function open(cell) {
  tab("cell");
  panel(true);
  showCell(cell);
}

for (const name of ["count", "cell"]) {
  find(`tab-${name}`).addEventListener("click", () => {
    tab(name);
    const [only] = board.meant;
    if (name === "cell" && only !== undefined) showCell(only);
  });
  find(`tab-${name}`).addEventListener("keydown", (event) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    const other = name === "count" ? "cell" : "count";
    tab(other);
    find(`tab-${other}`).focus();
  });
}
find("show-panel").addEventListener("click", () => panel(!find("panel").classList.contains("open")));
find("close-panel").addEventListener("click", () => panel(false));

// ---------------------------------------------------------------- hands

fillBar(bar, (code) => {
  const cells = [...board.selection.chosen];
  if (cells.length) give(cells, code, false);
  else board.reveal(code);
});
fillKeys(find("key-list"));
wire(find("board"), board, { give, open, undo: () => takeBack("undo"), redo: () => takeBack("redo") });
detail.oncomment = (row) => {
  board.update([row]);
  inTurn(async () => {
    shown = await get(path); // a remark is a change of the case too
    versionSeen = shown.version;
  });
};
detail.onconflict = () => attempt(load);

find("undo").addEventListener("click", () => takeBack("undo"));
find("redo").addEventListener("click", () => takeBack("redo"));
find("enlarge").addEventListener("click", () => open([...board.selection.chosen][0]));
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

function take(files) {
  if (!files.length) return;
  if (!OPEN.includes(shown.status)) {
    complain(t("gallery.closed"));
    return;
  }
  attempt(async () => {
    const result = await send(id, files, (words) => say(words));
    say(outcome(result));
    if (result.added) watch();
    else complain(outcome(result));
  });
}

dropped(take);
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
    const now = await get(path);
    if (now.version !== versionSeen) await load();
  });
});

ready();
attempt(load).then((there) => {
  find("desk").hidden = !there;
  find("missing").hidden = there;
});
