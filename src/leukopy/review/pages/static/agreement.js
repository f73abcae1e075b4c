// Model against reader: of one case, or of all that are signed.

import { className, colour } from "./classes.js";
import { dot, element, table } from "./dom.js";
import { counted, decimal, named, percent, range, t, whole } from "./text.js";

const share = (value) => (value === null ? null : 100 * value);

/** Fill the places of an agreement. */
export function showAgreement(places, view) {
  places.facts.replaceChildren(
    fact(t("agreement.raw"), percent(share(view.raw)), `${t("limits")} ${range(share(view.raw_low), share(view.raw_high))}\u202f%`),
    fact(t("agreement.kappa"), decimal(view.kappa, 2), `${t("limits")} ${range(view.kappa_low, view.kappa_high, 2)}`),
    fact(t("agreement.cells"), whole(view.cells), counted("agreement.cases", view.cases)),
  );
  places.classes.replaceChildren(perClass(view));
  places.confusion?.replaceChildren(matrix(view));
  places.pairs.replaceChildren(pairs(view));
}

function fact(name, value, more) {
  return element("div", {}, element("dt", {}, name), element("dd", {}, value, element("small", {}, more)));
}

function perClass(view) {
  const heads = [[t("differential.class")], [t("agreement.reader"), "figure"], [t("agreement.model"), "figure"],
    [t("agreement.both"), "figure"], [t("agreement.recall"), "figure"], [t("agreement.precision"), "figure"]];
  const rows = view.classes.map((line) =>
    element("tr", {},
      element("th", { scope: "row" }, dot(colour(line.code)), named(line)),
      ...[line.reader, line.model, line.both].map((number) => element("td", { class: "figure" }, whole(number))),
      ...[line.recall, line.precision].map((value) => element("td", { class: "figure" }, percent(share(value))))),
  );
  return table(heads, rows, { class: "agreement", "aria-label": t("agreement.by_class") });
}

/** Disagreements, most frequent first. */
function pairs(view) {
  const found = view.confusion.filter(([reader, model]) => reader !== model);
  if (!found.length) return element("p", { class: "quiet" }, t("agreement.none"));
  const rows = found.slice(0, 12).map(([reader, model, cells]) =>
    element("tr", {}, element("td", {}, dot(colour(model)), className(model)),
      element("td", {}, dot(colour(reader)), className(reader)), element("td", { class: "figure" }, whole(cells))));
  return table([[t("agreement.model_said")], [t("agreement.reader_said")], [t("agreement.cells"), "figure"]], rows,
    { class: "pairs", "aria-label": t("agreement.pairs") });
}

/** All cells: a row for each class of the reader's, a column for each of the model's. */
function matrix(view) {
  const codes = view.classes.map((line) => line.code);
  const cells = new Map(view.confusion.map(([reader, model, number]) => [`${reader} ${model}`, number]));
  for (const line of view.classes) cells.set(`${line.code} ${line.code}`, line.both);
  const rows = view.classes.map((line) =>
    element("tr", {},
      element("th", { scope: "row", title: named(line) }, dot(colour(line.code)), line.code),
      ...codes.map((model) => {
        const number = cells.get(`${line.code} ${model}`) ?? 0;
        const part = line.reader ? number / line.reader : 0;
        return element("td", { class: `figure ${line.code === model ? "right" : "wrong"}`, "--share": part }, number ? whole(number) : "");
      })),
  );
  return table([t("agreement.corner"), ...codes.map((code) => [code, "figure"])], rows,
    { class: "confusion", "aria-label": t("agreement.confusion") });
}
