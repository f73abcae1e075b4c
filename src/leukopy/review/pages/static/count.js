// Counting by eye: the keys of the classes as a counter, without pictures or a model.

import { ready, typing } from "./page.js";
import { attempt, get, inTime, patch } from "./api.js";
import { OPEN, edit, showHead } from "./casehead.js";
import { byCode, byKey, classes, className } from "./classes.js";
import { beside, lines, notes } from "./differential.js";
import { complain, element, find } from "./dom.js";
import { bell, click, low, mute, muted } from "./sound.js";
import { Tally } from "./tally.js";
import { counted, t, whole } from "./text.js";

const TRAIL = 24; // last keys that are shown
const id = location.pathname.split("/")[2];
const path = `/cases/${id}`;
const tiles = new Map(); // code -> its key
let view = null; // as the station holds it
let trail = [];
const early = []; // what was pressed before the count was there

const tally = new Tally(`${document.documentElement.dataset.user} ${id}`, (part) => inTime("POST", `${path}/tally`, part));

// ---------------------------------------------------------------- what is shown

/** Counts as they will be once all keys are stored; an own cell is taken back by its class where that is known. */
function now() {
  const counts = new Map(Object.entries(view.counts));
  const pressed = [];
  let back = 0;
  for (const code of tally.steps) {
    if (code !== null) pressed.push(code);
    else if (pressed.length) pressed.pop();
    else back += 1;
  }
  for (const code of pressed) counts.set(code, (counts.get(code) ?? 0) + 1);
  return { counts, own: view.own + pressed.length - back };
}

function show() {
  const { counts, own } = now();
  const leukocytes = classes.filter((one) => one.place === "differential").reduce((sum, one) => sum + (counts.get(one.code) ?? 0), 0);
  const { target } = view.case;
  find("leukocytes").textContent = whole(leukocytes);
  find("of-target").textContent = t("count.of", { target: whole(target) });
  find("target").max = target;
  find("target").value = Math.min(target, leukocytes);
  find("target").classList.toggle("reached", leukocytes >= target);
  for (const [code, tile] of tiles) tile.querySelector(".figure").textContent = whole(counts.get(code) ?? 0);
  find("trail").textContent = trail.slice(-TRAIL).join(" ") || "\u00a0";
  find("unsaved").hidden = !tally.stalled;
  find("unsaved").textContent = counted("count.unsaved", tally.steps.length);
  find("undo").disabled = !open() || own < 1;
  return leukocytes;
}

const pictures = () => view.case.model !== null || view.case.cells > Object.values(view.counts).reduce((sum, one) => sum + one, 0);
const open = () => OPEN.includes(view.case.status) && !pictures();

function settle(answer) {
  view = answer;
  showHead(view.case);
  find("closed").hidden = OPEN.includes(view.case.status);
  find("pictures").hidden = !pictures();
  for (const tile of tiles.values()) tile.disabled = !open();
  find("edit").disabled = !OPEN.includes(view.case.status);
  for (const choice of document.querySelectorAll("input[name=target]")) {
    choice.checked = Number(choice.value) === view.case.target;
    choice.disabled = !open();
  }
  find("count").replaceChildren(lines(view.differential, false), beside(view.differential), notes(view.differential));
  show();
}

for (const [index, choice] of classes.entries()) {
  if (index === 0 || choice.place !== classes[index - 1].place) find("keys").append(element("h3", {}, t(`place.${choice.place}`)));
  const tile = element("button", { type: "button", class: "counter-key", "data-code": choice.code, "--colour": choice.colour, onclick: () => press(choice.code) },
    element("span", { class: "name" }, className(choice.code)), element("span", { class: "figure" }, "0"),
    choice.key ? element("kbd", { "aria-hidden": "true" }, choice.key) : null);
  if (choice.key) tile.setAttribute("aria-keyshortcuts", choice.key);
  tiles.set(choice.code, tile);
  find("keys").append(tile);
}

// ---------------------------------------------------------------- keys

function press(code) {
  if (!open()) return complain(t(pictures() ? "count.pictures" : "gallery.closed"));
  const before = Number(find("target").value);
  trail.push(byCode.get(code).key || code);
  tally.press(code);
  const leukocytes = show();
  find("heard").textContent = `${className(code)} ${tiles.get(code).querySelector(".figure").textContent}`;
  flash(tiles.get(code));
  click(classes.findIndex((one) => one.code === code));
  if (leukocytes === view.case.target && before < leukocytes) {
    bell();
    find("heard").textContent = t("count.reached", { target: whole(view.case.target) });
  }
}

function takeBack() {
  if (!open() || now().own < 1) return low();
  trail.push("⌫");
  tally.press(null);
  low();
  show();
}

function flash(tile) {
  tile.classList.add("pressed");
  setTimeout(() => tile.classList.remove("pressed"), 120);
}

document.addEventListener("keydown", (event) => {
  if (typing(event) || event.altKey || event.repeat) return;
  const key = event.key.toLowerCase();
  let step;
  if (key === "backspace" || (key === "z" && (event.ctrlKey || event.metaKey))) step = takeBack;
  else if (event.ctrlKey || event.metaKey || !byKey.has(key)) return;
  else step = () => press(byKey.get(key).code);
  event.preventDefault();
  if (view === null) early.push(step);
  else step();
});
find("undo").addEventListener("click", takeBack);

find("edit").addEventListener("click", () =>
  attempt(async () => {
    if (await edit(view.case)) settle(await get(`${path}/tally`));
  }));

function showMute() {
  find("mute").setAttribute("aria-pressed", muted() ? "true" : "false");
}
find("mute").addEventListener("click", () => {
  mute(!muted());
  showMute();
});
for (const choice of document.querySelectorAll("input[name=target]")) {
  choice.addEventListener("change", () =>
    attempt(async () => {
      await patch(path, { version: view.case.version, target: Number(choice.value) });
      settle(await get(`${path}/tally`));
    }));
}

// ---------------------------------------------------------------- storing

tally.onchange = () => view && show();
tally.onstored = (answer) => {
  settle(answer);
  if (signing && !tally.parts.length) location.assign(find("to-sign").href);
};
tally.onrefused = async (problem) => {
  complain(problem.sentence);
  settle(await get(`${path}/tally`));
};

// Signing begins when the last key is stored.
let signing = false;
find("to-sign").addEventListener("click", (event) => {
  if (!tally.parts.length) return;
  event.preventDefault();
  signing = true;
});

showMute();
attempt(async () => settle(await get(`${path}/tally`))).then((there) => {
  find("counter").setAttribute("aria-busy", "false");
  find("counter").hidden = !there;
  find("missing").hidden = there;
  ready();
  if (!there) return;
  for (const step of early) step();
  tally.run(); // what a closed page or a log-in left
});
