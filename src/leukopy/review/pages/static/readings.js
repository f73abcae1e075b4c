// Blind readings: those to do, those done, and the scores of tests over time.

import { ready } from "./page.js";
import { attempt, get, post } from "./api.js";
import { chart, lineColour } from "./chart.js";
import { dot, element, find, table } from "./dom.js";
import { day, moment, percent, t, whole } from "./text.js";

const reviews = document.documentElement.dataset.role !== "reader";

async function load() {
  const all = await get("/readings");
  const open = all.filter((one) => one.state === "open");
  const finished = all.filter((one) => one.state === "finished");
  show("todo", open, [[t("readings.kind")], [t("worklist.owner")], [t("readings.asked")], [t("readings.progress"), "figure"], [act()]], todoRow);
  show("done", finished, [[t("readings.kind")], [t("case.slide")], [t("worklist.owner")], [t("readings.finished")], [t("agreement.raw"), "figure"], [t("readings.to_settle"), "figure"], [act()]], doneRow);
  showScores(finished.filter((one) => one.kind === "test"));
}

function show(place, readings, heads, row) {
  const title = t(`readings.${place}`);
  find(place).replaceChildren(readings.length
    ? table(heads, readings.map(row), { "aria-label": title }) : element("p", { class: "quiet" }, t("readings.none")));
}

/** The head of a column of buttons, for screen readers. */
const act = () => element("span", { class: "sr" }, t("users.change"));
const kind = (one) => element("th", { scope: "row" }, t(`reading_kind.${one.kind}`));

function todoRow(one) {
  const withdraw = () => attempt(async () => {
    await post(`/readings/${one.id}/withdraw`);
    await load();
  });
  return element("tr", {}, kind(one), element("td", {}, one.reader),
    element("td", {}, `${moment(one.created)} · ${one.asked_by}`),
    element("td", { class: "figure" }, t("readings.of", { answered: whole(one.answered), cells: whole(one.cells) })),
    element("td", { class: "figure" }, one.own
      ? element("a", { class: "button small main", href: `/readings/${one.id}` }, t("readings.read"))
      : reviews ? element("button", { type: "button", class: "small", onclick: withdraw }, t("readings.withdraw")) : null));
}

function doneRow(one) {
  return element("tr", {}, kind(one), element("td", {}, one.slide ?? "–"), element("td", {}, one.reader),
    element("td", {}, moment(one.finished)), element("td", { class: "figure" }, percent((100 * one.agreed) / one.cells)),
    element("td", { class: one.to_settle ? "figure unsure" : "figure" }, one.to_settle ? whole(one.to_settle) : ""),
    element("td", { class: "figure" }, element("a", { class: "button small", href: `/readings/${one.id}` }, t("readings.open"))));
}

/** Share of the signed classes that each reader found, over time. */
function showScores(tests) {
  find("scores-chart").replaceChildren();
  if (!tests.length) {
    find("scores").replaceChildren(element("p", { class: "quiet" }, t("readings.none")));
    return;
  }
  const byReader = [...Map.groupBy(tests, (one) => one.reader)];
  find("scores-chart").append(chart(byReader.map(([, list]) =>
    list.map((one) => ({ at: Date.parse(one.finished), value: one.agreed / one.cells, low: null, high: null })))));
  const rows = byReader.map(([reader, list], at) => {
    const cells = list.reduce((sum, one) => sum + one.cells, 0);
    const agreed = list.reduce((sum, one) => sum + one.agreed, 0);
    const [last] = list; // latest first
    return element("tr", {}, element("th", { scope: "row" }, dot(lineColour(at)), reader),
      element("td", { class: "figure" }, whole(list.length)), element("td", { class: "figure" }, whole(cells)),
      element("td", { class: "figure" }, percent((100 * agreed) / cells)),
      element("td", { class: "figure" }, percent((100 * last.agreed) / last.cells)), element("td", {}, day(last.finished.slice(0, 10))));
  });
  find("scores").replaceChildren(table(
    [[t("worklist.owner")], [t("readings.tests"), "figure"], [t("agreement.cells"), "figure"], [t("agreement.raw"), "figure"], [t("readings.last"), "figure"], [t("readings.finished")]],
    rows, { "aria-label": t("readings.scores") }));
}

ready();
attempt(load).then((there) => {
  find("readings").setAttribute("aria-busy", "false");
  find("broken").hidden = there;
});
