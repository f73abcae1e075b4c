// Quality day by day: model against reader, and the drift of slides from the training data.

import { attempt, newest, post } from "./api.js";
import { chart } from "./chart.js";
import { className } from "./classes.js";
import { element, find, table } from "./dom.js";
import { day, decimal, percent, range, t, whole } from "./text.js";

let known = null; // all names, of the view without a choice
const ask = newest((wanted) => post("/agreement/daily", wanted));

/** Load the figures for what is chosen, and show them. */
export async function showDaily() {
  const form = new FormData(find("daily-form"));
  const wanted = { seen_only: form.has("seen_only") };
  for (const name of ["reader", "model", "code"]) wanted[name] = form.get(name) || null;
  const view = await ask(wanted);
  if (view === null) return;
  if (known === null) {
    known = view;
    choices("reader", view.readers, (name) => name);
    choices("model", view.models, (name) => name);
    choices("code", view.classes, className);
    find("daily-form").addEventListener("change", () => attempt(showDaily));
  }
  find("daily").hidden = known.days.length === 0;
  find("daily-chart").replaceChildren(view.days.length ? chart([view.days.map((one) => (
    { at: Date.parse(one.name), value: one.agreed / one.cells, low: one.low, high: one.high }))]) : "");
  show("daily-days", t("daily.day"), [...view.days].reverse(), day);
  show("daily-readers", t("worklist.owner"), view.readers, (name) => name);
  show("daily-models", t("daily.model"), view.models, (name) => name);
  show("daily-classes", t("differential.class"), view.classes, className);
  showDrift(view.slides);
}

function choices(name, shares, words) {
  find("daily-form").elements[name].replaceChildren(element("option", { value: "" }, t("worklist.all")),
    ...shares.map((one) => element("option", { value: one.name }, words(one.name))));
}

function show(place, head, shares, words) {
  const heads = [[head], [t("daily.cases"), "figure"], [t("agreement.cells"), "figure"], [t("agreement.raw"), "figure"], [t("limits"), "figure"]];
  const rows = shares.map((one) => element("tr", {}, element("th", { scope: "row" }, words(one.name)),
    element("td", { class: "figure" }, whole(one.cases)), element("td", { class: "figure" }, whole(one.cells)),
    element("td", { class: "figure main" }, percent((100 * one.agreed) / one.cells)),
    element("td", { class: "figure quiet" }, range(100 * one.low, 100 * one.high))));
  find(place).replaceChildren(rows.length ? table(heads, rows, { "aria-label": head }) : element("p", { class: "quiet" }, t("daily.none")));
}

function showDrift(slides) {
  find("drift").hidden = slides.length === 0;
  if (!slides.length) return;
  find("drift-chart").replaceChildren(chart([slides.map((one) => ({ at: Date.parse(one.day), value: one.median, low: one.median, high: one.greatest }))], null, 1));
  const heads = [[t("daily.day")], [t("drift.slides"), "figure"], [t("drift.median"), "figure"], [t("drift.greatest"), "figure"], [t("drift.unlike"), "figure"]];
  find("drift-days").replaceChildren(table(heads, [...slides].reverse().map((one) => element("tr", {},
    element("th", { scope: "row" }, day(one.day)), element("td", { class: "figure" }, whole(one.slides)),
    element("td", { class: one.median > 1 ? "figure unsure" : "figure" }, decimal(one.median, 2)),
    element("td", { class: "figure" }, decimal(one.greatest, 2)),
    element("td", { class: "figure" }, one.unlike_training ? whole(one.unlike_training) : ""))), { "aria-label": t("drift.title") }));
}
