// The work list: cases in views, how far their analysis is, who has them and until when.

import { ready } from "./page.js";
import { attempt, newest, post } from "./api.js";
import { status, unlike } from "./casehead.js";
import { complain, element, find, say } from "./dom.js";
import { follow as followChanges } from "./live.js";
import { wireNewCase } from "./newcase.js";
import { mayPlan, plan } from "./planning.js";
import { follow, latest, working } from "./progress.js";
import { counted, day, decimal, moment, t, translated, whole } from "./text.js";

const PER_PAGE = 50;
const DOWN = new Set(["priority", "cells", "changed", "created"]); // columns that begin with the greatest
const FIRST = { view: "all", status: "", sort: "changed", descending: true, page: 1 };
const wanted = { ...FIRST, text: "" };
let loaded = ""; // when the list was
let filling = null; // the case whose files are being sent
const followed = new Map(); // case -> element that shows its analysis

// ---------------------------------------------------------------- the state, which Back restores

/** View, order, status and page stand in the address; the words that are searched may name a patient: never there. */
function readState() {
  const given = new URLSearchParams(location.search);
  Object.assign(wanted, FIRST, { text: history.state?.text ?? "" });
  for (const name of ["view", "status", "sort"]) {
    const known = [...document.querySelectorAll(`[data-${name}]`)].map((one) => one.dataset[name]);
    if (known.includes(given.get(name))) wanted[name] = given.get(name);
  }
  wanted.descending = given.has("up") ? false : given.has("down") ? true : DOWN.has(wanted.sort);
  wanted.page = Math.max(1, Number.parseInt(given.get("page"), 10) || 1);
  find("search").value = wanted.text;
  find("filter").value = wanted.status;
}

function addressNow() {
  const words = new URLSearchParams();
  for (const name of ["view", "status", "sort", "page"]) if (wanted[name] !== FIRST[name]) words.set(name, wanted[name]);
  if (wanted.descending !== DOWN.has(wanted.sort)) words.set(wanted.descending ? "down" : "up", "");
  return words.size ? `/?${words}` : "/";
}

/** Take a step: its view can be gone back to. Typing replaces the last step. */
function go(change, typing = false) {
  Object.assign(wanted, { page: 1 }, change);
  history[typing ? "replaceState" : "pushState"]({ text: wanted.text }, "", addressNow());
  return attempt(load);
}

addEventListener("popstate", () => {
  readState();
  attempt(load);
});

// ---------------------------------------------------------------- what is shown

const search = newest(() => post("/cases/search", { ...wanted, status: wanted.status || null, per_page: PER_PAGE }));

async function load() {
  const found = await search();
  if (found === null) return;
  loaded = moment(new Date().toISOString());
  const filtered = wanted.text !== "" || wanted.status !== "" || wanted.view !== "all";
  const focused = document.activeElement?.dataset.keep;
  find("cases").replaceChildren(...found.cases.map(row));
  if (focused) document.querySelector(`[data-keep="${focused}"]`)?.focus();
  find("list").hidden = found.total === 0;
  find("empty").hidden = found.total > 0 || filtered;
  find("nothing").hidden = found.total > 0 || !filtered;
  find("total").textContent = counted("worklist.total", found.total);
  showViews(found.views);
  showOrder();
  const pages = Math.max(1, Math.ceil(found.total / PER_PAGE));
  find("pages").hidden = pages === 1;
  find("page").textContent = t("pages.which", { page: whole(wanted.page), pages: whole(pages) });
  find("before").disabled = wanted.page === 1;
  find("after").disabled = wanted.page >= pages;
  // Only a case that the model has not seen may still be with it.
  for (const one of found.cases.filter((each) => each.model === null && each.id !== filling)) attempt(() => join(one.id));
}

function showViews(views) {
  for (const button of document.querySelectorAll("[data-view]")) {
    button.setAttribute("aria-pressed", button.dataset.view === wanted.view ? "true" : "false");
    button.querySelector(".figure").textContent = whole(views[button.dataset.view] ?? 0);
  }
}

function showOrder() {
  for (const head of document.querySelectorAll("th[aria-sort]")) {
    const buttons = [...head.querySelectorAll("[data-sort]")];
    for (const button of buttons) button.classList.toggle("chosen", button.dataset.sort === wanted.sort);
    const here = buttons.some((button) => button.dataset.sort === wanted.sort);
    head.setAttribute("aria-sort", !here ? "none" : wanted.descending ? "descending" : "ascending");
  }
}

const TODAY = new Date().toLocaleDateString("sv"); // as the station writes days

function row(one) {
  const progress = element("td", { id: `progress-${one.id}` }, followed.get(one.id) ?? cells(one));
  return element(
    "tr", {},
    element("th", { scope: "row" }, element("a", { href: `/cases/${one.id}${byEye(one) ? "/count" : ""}`, "data-keep": `case-${one.id}` }, one.slide)),
    element("td", {}, one.patient),
    element("td", { class: "date" }, day(one.specimen_date)),
    element("td", {}, status(one.status)),
    element("td", { class: "due" }, urgency(one)),
    find("owner-head") ? element("td", {}, one.owner) : null,
    progress,
    element("td", { class: "date quiet" }, moment(one.changed)),
    element("td", { class: "figure" }, mayPlan(one)
      ? element("button", { type: "button", class: "small", "data-keep": `plan-${one.id}`, onclick: () => change(one),
        "aria-label": t("plan.of", { slide: one.slide }) }, t("plan.open")) : null),
  );
}

/** Priority and due day; a day that is over, while the case is open, stands out. */
function urgency(one) {
  const open = ["draft", "reviewed", "amending"].includes(one.status);
  const late = open && one.due !== null && one.due < TODAY;
  return [
    one.priority === "routine" ? null : element("span", { class: `priority ${one.priority}` }, t(`priority.${one.priority}`)),
    one.due ? element("span", { class: late ? "sure" : null }, day(one.due), late ? ` · ${t("worklist.late")}` : null) : null,
  ];
}

const change = (one) =>
  attempt(async () => {
    try {
      if (await plan(one)) say(t("said.saved"));
    } finally {
      await load(); // after a conflict, too
    }
  });

/** Cells without a model were counted by eye. */
const byEye = (one) => one.model === null && one.cells > 0;

function cells(one) {
  if (one.cells === 0 && one.failures === 0) return element("span", { class: "quiet" }, t("worklist.no_cells"));
  const valid = one.status !== "void";
  return element("span", {}, counted("cells", one.cells),
    byEye(one) ? element("small", { class: "quiet" }, ` · ${t("count.by_eye")}`) : null,
    one.corrected ? element("small", { class: "quiet" }, ` · ${counted("worklist.corrected", one.corrected)}`) : null,
    one.failures ? element("small", { class: "unsure" }, ` · ${counted("worklist.unreadable", one.failures)}`) : null,
    valid && one.blasts ? element("small", { class: "sure" }, ` · ${counted("worklist.blasts", one.blasts)}`) : null,
    valid && one.abnormal ? element("small", { class: "unsure" }, ` · ${counted("worklist.abnormal", one.abnormal)}`) : null,
    one.slide_check?.unlike_training ? element("small", { class: "sure", title: unlike(one) },
      ` · ${t("worklist.unlike", { distance: decimal(one.slide_check.distance) })}`) : null);
}

/** Show the progress of an analysis that goes on. */
async function join(caseId) {
  if (followed.has(caseId)) return;
  const job = await latest(caseId);
  if (job === null) return;
  if (working(job)) watch(caseId);
  else if (job.state === "failed") {
    find(`progress-${caseId}`)?.append(element("small", { class: "sure" }, ` ${t("job.failed")}`));
  }
}

function watch(caseId) {
  if (followed.has(caseId)) return;
  const shown = follow(caseId, (job) => {
    followed.delete(caseId);
    const show = job.state === "finished" || job.state === "cancelled" ? say : complain;
    show([t(`job.${job.state}`), translated(job.message)].filter(Boolean).join(" "));
    attempt(load);
  });
  followed.set(caseId, shown);
  find(`progress-${caseId}`)?.replaceChildren(shown);
}

// ---------------------------------------------------------------- looking for cases

wireNewCase({ load, watch, hold: (caseId) => (filling = caseId) });

let waiting = 0;
find("search").addEventListener("input", (event) => {
  clearTimeout(waiting);
  waiting = setTimeout(() => go({ text: event.target.value.trim() }, true), 200);
});
find("filter").addEventListener("change", (event) => go({ status: event.target.value }));
for (const button of document.querySelectorAll("[data-view]")) {
  button.addEventListener("click", () => go({ view: button.dataset.view }));
}
for (const button of document.querySelectorAll("[data-sort]")) {
  button.addEventListener("click", () => {
    const { sort } = button.dataset;
    go({ sort, descending: sort === wanted.sort ? !wanted.descending : DOWN.has(sort) });
  });
}
for (const [name, step] of [["before", -1], ["after", 1]]) {
  find(name).addEventListener("click", () => go({ page: wanted.page + step }));
}

/** Say whether the list follows the station, and of when it is where it does not. */
function showConnection(state) {
  find("connection").hidden = state === "live";
  if (state !== "live") find("connection").textContent = t(`live.${state}`, { at: loaded });
}

readState();
ready();
attempt(load).then((there) => {
  find("work").setAttribute("aria-busy", "false");
  find("broken").hidden = there;
  followChanges(() => attempt(load), showConnection);
});
