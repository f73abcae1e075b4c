// One blind reading: pictures without any class, one after the other; then what came of it.

import { ready, typing } from "./page.js";
import { address, attempt, get, inTime, post } from "./api.js";
import { showAgreement } from "./agreement.js";
import { byKey, classes, className, colour } from "./classes.js";
import { ask, complain, dot, element, find, say } from "./dom.js";
import { Outbox } from "./outbox.js";
import { counted, t, whole } from "./text.js";

const id = location.pathname.split("/")[2];
const path = `/readings/${id}`;
const picture = (cell, side) => address(`${path}/cells/${cell}/image?side=${side}`);
const tiles = new Map(); // code -> its key
let work = null;
let at = 0; // place in the order of the cells

const outbox = new Outbox(`reading ${document.documentElement.dataset.user} ${id}`,
  (gesture) => inTime("POST", `${path}/answers`, { answers: gesture.answers }));
outbox.onrefused = (_, problem) => {
  complain(problem.sentence);
  attempt(load);
};
outbox.onchange = () => work && show();

async function load() {
  work = await get(path);
  for (const { answers } of outbox.waiting) Object.assign(work.answers, answers);
  const open = work.reading.state === "open";
  find("reading-title").textContent = t(`reading_kind.${work.reading.kind}`);
  find("work").hidden = !open;
  find("result").hidden = work.reading.state !== "finished";
  if (open) {
    at = Math.max(0, work.cells.findIndex((cell) => !(cell in work.answers)));
    show();
  } else if (work.reading.state === "finished") await showResult();
}

function show() {
  const cell = work.cells[at];
  const done = Object.keys(work.answers).length;
  find("progress").max = work.cells.length;
  find("progress").value = done;
  find("progress-words").textContent = t("reading.progress", { place: whole(at + 1), cells: whole(work.cells.length), done: whole(done) });
  if (find("picture").getAttribute("src") !== picture(cell, 512)) find("picture").src = picture(cell, 512);
  find("picture").alt = t("reading.picture", { place: whole(at + 1) });
  for (const [code, tile] of tiles) tile.setAttribute("aria-pressed", work.answers[cell] === code ? "true" : "false");
  find("before").disabled = at === 0;
  find("after").disabled = at === work.cells.length - 1;
  find("finish").disabled = done < work.cells.length || outbox.waiting.length > 0;
  find("unsaved").hidden = !outbox.stalled;
  find("unsaved").textContent = counted("unsaved.waiting", outbox.waiting.length);
  if (at + 1 < work.cells.length) new Image().src = picture(work.cells[at + 1], 512); // the next one is there at once
}

function give(code) {
  const cell = work.cells[at];
  work.answers[cell] = code;
  outbox.add({ kind: "answer", answers: { [cell]: code } });
  const next = work.cells.findIndex((one, place) => place > at && !(one in work.answers));
  const left = next >= 0 ? next : work.cells.findIndex((one) => !(one in work.answers));
  go(left >= 0 ? left : Math.min(at + 1, work.cells.length - 1));
  if (left < 0 && !outbox.waiting.length) find("finish").focus();
}

function go(place) {
  at = Math.min(Math.max(place, 0), work.cells.length - 1);
  show();
}

for (const choice of classes) {
  const tile = element("button", { type: "button", class: "counter-key", "aria-pressed": "false", "data-code": choice.code,
    "--colour": choice.colour, onclick: () => give(choice.code) },
    element("span", { class: "name" }, className(choice.code)), choice.key ? element("kbd", { "aria-hidden": "true" }, choice.key) : null);
  if (choice.key) tile.setAttribute("aria-keyshortcuts", choice.key);
  tiles.set(choice.code, tile);
  find("keys").append(tile);
}

document.addEventListener("keydown", (event) => {
  if (typing(event) || find("work").hidden || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const key = event.key.toLowerCase();
  if (byKey.has(key)) give(byKey.get(key).code);
  else if (event.key === "ArrowLeft") go(at - 1);
  else if (event.key === "ArrowRight") go(at + 1);
  else return;
  event.preventDefault();
});
find("before").addEventListener("click", () => go(at - 1));
find("after").addEventListener("click", () => go(at + 1));
find("finish").addEventListener("click", async () => {
  if ((await ask(find("finish-dialog"))) === null) return;
  await attempt(async () => {
    await post(`${path}/finish`);
    await load();
  });
});

// ---------------------------------------------------------------- what came of it

async function showResult() {
  const result = await get(`${path}/result`);
  const { reading } = result;
  find("result-words").textContent = t(`reading.result_${reading.kind}`, { name: reading.reader });
  showAgreement({ facts: find("facts"), classes: find("classes"), pairs: find("pairs") }, result.agreement);
  const settles = reading.kind === "second" && !reading.own && reading.case_id !== null && document.documentElement.dataset.role !== "reader";
  find("settle-words").textContent = settles ? t("reading.settle") : "";
  const versions = settles ? new Map((await get(`/cases/${reading.case_id}/cells`)).cells.map((row) => [row.id, row.version])) : new Map();
  find("disagreements").replaceChildren(...result.disagreements.map((one) => disagreement(one, settles ? versions.get(one.cell) : null)));
  if (!result.disagreements.length) find("disagreements").append(element("li", { class: "quiet" }, t("reading.all_agree")));
}

function disagreement(one, version) {
  const choices = [["first", one.first], ["second", one.second]].map(([who, code]) => {
    const words = [dot(colour(code)), `${t(`reading.${who}`)} ${className(code)}`];
    if (version === null || version === undefined || code === null) return element("span", {}, words);
    return element("button", { type: "button", class: one.settled === code ? "main" : null,
      onclick: () => settle(one.cell, version, code) }, words);
  });
  return element("li", { "data-cell": one.cell }, element("img", { src: picture(one.cell, 96), alt: t("tile.number", { id: one.cell }), loading: "lazy" }),
    ...choices, one.settled ? element("strong", {}, t("reading.settled", { class: className(one.settled) })) : null);
}

const settle = (cell, version, code) =>
  attempt(async () => {
    try {
      await post(`${path}/settle`, { cell, version, code });
      say(t("said.saved"));
    } finally {
      await showResult();
    }
  });

ready();
attempt(load).then((there) => {
  find("reading").setAttribute("aria-busy", "false");
  find("reading").hidden = !there;
  find("missing").hidden = there;
  if (there) outbox.run(); // what a log-in or a reload left
});
