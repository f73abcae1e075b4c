// The count of a case: beside the gallery, and in full on the page where it is signed.

import { colour } from "./classes.js";
import { dot, element, table } from "./dom.js";
import { counted, decimal, named, percent, plain, range, t, whole } from "./text.js";

const WIDTH = 240; // of a bar's drawing; it is stretched to its place

/** The lines of the 100 %, one row each with its bar. `wide`: with columns for limits, ranges and flags in words. */
export function lines(view, wide) {
  const absolute = view.total !== null && view.total !== undefined;
  const scale = scaleOf(view);
  const heads = [
    [t("differential.class")], [t("differential.count"), "figure"], ["%", "figure"], [t("differential.limits"), "figure"],
    ...(wide ? [[axis(scale), "bars"], [t("differential.usual"), "figure"]] : []),
    ...(wide ? [[t("differential.flag")]] : []),
    ...(absolute ? [["10⁹/L", "figure"], ...(wide ? [[t("differential.usual_absolute"), "figure"]] : [])] : []),
  ];
  const rows = view.lines.map((line) =>
    element(
      "tr",
      { class: line.sums.length ? "sum" : null, "data-line": line.code },
      head(line, wide),
      element("td", { class: "figure" }, line.undivided && !line.count ? "–" : whole(line.count)),
      element("td", { class: "figure main" }, wide ? null : arrowed(line), decimal(line.percent)),
      element("td", { class: "figure quiet" }, limits(line), wide ? null : bar(line, scale)),
      wide ? [element("td", { class: "bars" }, bar(line, scale)), usual(line.reference), flag(line)] : null,
      absolute ? absolutes(line, wide) : null,
    ),
  );
  if (absolute) rows.push(totalRow(view.total, wide));
  return table(heads, rows, { class: wide ? "differential" : "differential narrow", "aria-label": t("differential.title") });
}

function totalRow(total, wide) {
  const before = wide ? 6 : 3;
  return element("tr", { class: "sum", "data-line": total.code },
    element("th", { scope: "row" }, t("differential.total")),
    element("td", { class: "figure" }, whole(total.count)),
    element("td", { colspan: before - 1 }),
    absolutes(total, wide));
}

/** Name of a line; with its usual range below where that has no column of its own. */
function head(line, wide = true) {
  const name = line.sums.length ? t(`differential.sum.${line.code}`) : named(line);
  return element("th", { scope: "row" }, element("span", { class: "line" }, dot(colour(line.code)),
    element("span", {}, name, wide || !line.reference ? null : element("small", {},
      t("differential.usual_range", { low: plain(line.reference[0]), high: plain(line.reference[1]) })))));
}

/** Limits of sampling, and below them those that hold the model's errors too. */
function limits(line) {
  const total = line.total_low ?? null;
  if (total === null) return range(line.low, line.high);
  const words = t("differential.limits.total", { range: range(total, line.total_high) });
  return [range(line.low, line.high), element("small", { class: "total-limits", title: t("differential.limits.lead") },
    words, line.mainly_classification ? "*" : null)];
}

function usual(reference) {
  return element("td", { class: "figure quiet" }, reference ? `${plain(reference[0])} – ${plain(reference[1])}` : "");
}

function absolutes(line, wide) {
  const words = marked(line.absolute_flag) ? t(`flag.${line.absolute_flag}`) : null;
  return [
    element("td", { class: words ? "figure unsure" : "figure" }, words ? [arrow(line.absolute_flag, words), " "] : null,
      decimal(line.absolute, 2)),
    wide ? usual(line.absolute_reference) : null,
  ];
}

const marked = (value) => value === "L" || value === "H";

function arrow(value, words) {
  return element("span", { role: "img", "aria-label": words, title: words }, value === "L" ? "↓" : "↑");
}

/** An arrow before a share that lies outside its usual range. */
function arrowed(line) {
  if (!marked(line.flag)) return null;
  const words = t(`flag.${line.flag}`);
  return element("span", { class: line.beyond_error ? "sure" : "unsure" },
    arrow(line.flag, line.beyond_error ? words : `${words}, ${t("flag.within")}`), " ");
}

function flag(line) {
  const words = line.flag ? t(`flag.${line.flag}`) : "";
  if (!marked(line.flag)) return element("td", { class: "flag quiet" }, words);
  return element("td", { class: "flag" },
    element("span", { class: line.beyond_error ? "sure" : "unsure" }, words),
    line.beyond_error ? null : element("small", {}, `, ${t("flag.within")}`));
}

/** Share at the right end of all bars, %. */
function scaleOf(view) {
  const ends = view.lines.flatMap((line) => [line.high ?? 0, line.reference?.[1] ?? 0]);
  return Math.min(100, 10 * (Math.floor(Math.max(0, ...ends) / 10) + 1));
}

function axis(scale) {
  return element("span", { class: "axis" }, element("span", {}, "0"), element("span", {}, plain(scale / 2)),
    element("span", {}, percent(scale, 0)));
}

function drawn(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function bar(line, scale) {
  const at = (share) => (WIDTH * share) / scale;
  const svg = drawn("svg", { class: "bar", viewBox: `0 0 ${WIDTH} 16`, preserveAspectRatio: "none", "aria-hidden": "true" });
  if (line.reference) {
    const [low, high] = line.reference;
    svg.append(drawn("rect", { class: "range", x: at(low), y: 0, width: at(high - low), height: 16 }));
  }
  if (line.percent !== null) {
    svg.append(
      drawn("rect", { class: "share", x: 0, y: 4.5, width: at(line.percent), height: 7, fill: colour(line.code) }),
      drawn("path", { class: "limits", d: `M${at(line.low)} 8H${at(line.high)}` }),
    );
  }
  return svg;
}

/** Cells beside the 100 %: per 100 leukocytes, only counted, and not counted. */
export function beside(view) {
  const heads = [[t("differential.beside")], [t("differential.count"), "figure"],
    [t("differential.per_100"), "figure"], [t("differential.limits"), "figure"]];
  const row = (line, words) =>
    element("tr", { "data-line": line.code }, head(line), element("td", { class: "figure" }, whole(line.count)),
      element("td", { class: words ? "figure quiet" : "figure main" }, words ?? decimal(line.percent)),
      element("td", { class: "figure quiet" }, words ? "" : limits(line)));
  const rows = [
    ...view.beside.map((line) => row(line)), ...view.outside.map((line) => row(line, t("differential.only_counted"))),
    ...view.not_counted.map((line) => row(line, t("differential.not_counted"))),
  ];
  return table(heads, rows,
    { class: "differential beside", "aria-label": t("differential.beside") });
}

/** How many leukocytes of the target are counted. */
export function target(view) {
  const words = counted("differential.progress", view.leukocytes, { target: whole(view.target) });
  return [
    element("p", { class: "target-words" }, words),
    element("progress", { class: view.leukocytes >= view.target ? "reached" : null, max: view.target,
      value: Math.min(view.leukocytes, view.target), "aria-label": words }),
  ];
}

export function notes(view) {
  return element("ul", { class: "notes" }, view.notes.map((note) => element("li", {}, note)));
}
