// The work list: cases, how far their analysis is, and new ones.

import { ready } from "./page.js";
import { attempt, post } from "./api.js";
import { entries, status, unlike } from "./casehead.js";
import { ask, complain, element, find, say } from "./dom.js";
import { dropped, outcome, refusals, send } from "./files.js";
import { follow, latest, working } from "./progress.js";
import { counted, day, decimal, moment, t, translated, whole } from "./text.js";

const PER_PAGE = 50;
// Kept in this tab's history, so that Back finds it; an address never holds a patient's name.
const wanted = { text: "", status: null, page: 1, ...history.state };
let filling = null; // the case whose files are being sent
const followed = new Map(); // case -> element that shows its analysis

async function load() {
  history.replaceState({ ...wanted }, "");
  const asked = { ...wanted };
  const found = await post("/cases/search", { ...asked, per_page: PER_PAGE });
  if (asked.text !== wanted.text || asked.status !== wanted.status || asked.page !== wanted.page) return;
  const filtered = wanted.text !== "" || wanted.status !== null;
  find("cases").replaceChildren(...found.cases.map(row));
  find("list").hidden = found.total === 0;
  find("empty").hidden = found.total > 0 || filtered;
  find("nothing").hidden = found.total > 0 || !filtered;
  find("total").textContent = counted("worklist.total", found.total);
  const pages = Math.max(1, Math.ceil(found.total / PER_PAGE));
  find("pages").hidden = pages === 1;
  find("page").textContent = t("pages.which", { page: whole(wanted.page), pages: whole(pages) });
  find("before").disabled = wanted.page === 1;
  find("after").disabled = wanted.page >= pages;
  // Only a case that the model has not seen may still be with it.
  for (const one of found.cases.filter((each) => each.model === null && each.id !== filling)) attempt(() => join(one.id));
}

function row(one) {
  const progress = element("td", { id: `progress-${one.id}` }, followed.get(one.id) ?? cells(one));
  return element(
    "tr", {},
    element("th", { scope: "row" }, element("a", { href: `/cases/${one.id}` }, one.slide)),
    element("td", {}, one.patient),
    element("td", { class: "date" }, day(one.specimen_date)),
    element("td", {}, status(one.status)),
    progress,
    element("td", { class: "figure" }, one.corrected ? whole(one.corrected) : ""),
    element("td", { class: "date quiet" }, moment(one.changed)),
  );
}

function cells(one) {
  if (one.cells === 0 && one.failures === 0) return element("span", { class: "quiet" }, t("worklist.no_cells"));
  return element("span", {}, counted("cells", one.cells),
    one.failures ? element("small", { class: "unsure" }, ` · ${counted("worklist.unreadable", one.failures)}`) : null,
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
    if (job.state === "finished" || job.state === "cancelled") say(t(`job.${job.state}`));
    else complain([t(`job.${job.state}`), translated(job.message)].filter(Boolean).join(" "));
    attempt(load);
  });
  followed.set(caseId, shown);
  find(`progress-${caseId}`)?.replaceChildren(shown);
}

// ---------------------------------------------------------------- a new case

let files = [];

function choose(more) {
  files = more;
  const words = files.length === 1 ? files[0].name : counted("newcase.files", files.length);
  find("chosen-files").textContent = files.length ? words : t("newcase.no_files");
  const slide = find("new-case").querySelector("[name=slide]");
  if (files.length && slide.value === "") slide.value = files[0].name.replace(/\.[a-z]+$/i, "");
}

async function newCase(dropping = []) {
  const dialog = find("new-case");
  dialog.querySelector("form").reset();
  choose(dropping);
  const values = await ask(dialog);
  if (values === null) return;
  let draft;
  try {
    draft = entries(values);
  } catch (error) {
    complain(error.message);
    return;
  }
  await attempt(async () => {
    const opened = await post("/cases", draft);
    filling = opened.id;
    await load();
    await fillCase(opened.id, values.get("folder")?.trim() ?? "");
    filling = null;
    await load();
  });
}

async function fillCase(caseId, folder) {
  if (folder) {
    report(await post(`/cases/${caseId}/import`, { folder }));
    return;
  }
  if (!files.length) return;
  const progress = (words) => find(`progress-${caseId}`)?.replaceChildren(element("span", { class: "quiet" }, words));
  const result = await send(caseId, files, progress);
  report(result);
  if (result.added) watch(caseId);
}

/** Say what was taken, and list what was not. */
function report(result) {
  say(outcome(result));
  find("refused").hidden = result.refused.length === 0;
  find("refused-words").textContent = counted("files.refused", result.refused.length);
  find("refused-list").replaceChildren(...refusals(result.refused));
}

dropped((list) => newCase(list));
for (const button of document.querySelectorAll(".new-case")) button.addEventListener("click", () => newCase());
find("choose-files").addEventListener("click", () => find("files").click());
find("files").addEventListener("change", (event) => choose([...event.target.files]));

// ---------------------------------------------------------------- looking for cases

let waiting = 0;
find("search").value = wanted.text;
find("filter").value = wanted.status ?? "";
find("search").addEventListener("input", (event) => {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    wanted.text = event.target.value.trim();
    wanted.page = 1;
    attempt(load);
  }, 200);
});
find("filter").addEventListener("change", (event) => {
  wanted.status = event.target.value || null;
  wanted.page = 1;
  attempt(load);
});
for (const [name, step] of [["before", -1], ["after", 1]]) {
  find(name).addEventListener("click", () => {
    wanted.page += step;
    attempt(load);
  });
}

ready();
attempt(load).then((there) => {
  find("work").setAttribute("aria-busy", "false");
  find("broken").hidden = there;
});
