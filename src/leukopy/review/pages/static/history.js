// Entries of the log that only grows, as rows of a table.

import { element } from "./dom.js";
import { counted, moment, t, whole, word } from "./text.js";

const JOINED = ["cells.classified", "cells.counted", "reading.answered"]; // one for each part of the cells

/** Entries as rows; those of one analysis that follow each other make one. */
export function entryRows(entries, cases) {
  const joined = [];
  for (const entry of entries) {
    const last = joined.at(-1);
    const same = last?.action === entry.action && last.case_id === entry.case_id && last.user === entry.user;
    if (same && JOINED.includes(entry.action)) joined.push(join(joined.pop(), entry));
    else joined.push(entry);
  }
  return joined.map((entry) => entryRow(entry, cases));
}

/** Two entries on parts of the cells as one: the later one, with the cells of both. */
function join(one, other) {
  const [before, after] = one.number < other.number ? [one, other] : [other, one];
  const { cells, first, last } = before.detail;
  const detail = { ...after.detail, cells: cells + after.detail.cells };
  if (first) Object.assign(detail, { first: Math.min(first, detail.first), last: Math.max(last, detail.last) });
  delete detail.codes; // of the later part only
  return { ...after, from: before.from ?? before.number, detail };
}

/** One row: number, when, who, what, details. `cases`: with a link to the case. */
function entryRow(entry, cases) {
  return element("tr", { "data-entry": entry.number },
    element("td", { class: "figure quiet" }, [entry.from, entry.number].filter(Boolean).map(whole).join(" – ")),
    element("td", { class: "date" }, moment(entry.at)),
    element("td", {}, entry.user),
    element("td", {}, word("action", entry.action)),
    element("td", { class: "quiet details" }, details(entry.detail)),
    cases ? element("td", {}, entry.case_id ? element("a", { href: `/cases/${entry.case_id}` }, t("audit.open")) : "") : null,
    element("td", {}, element("code", { title: entry.hash }, entry.hash.slice(0, 8))));
}

function details(detail) {
  const { moves, cells, ...others } = detail;
  const parts = [];
  if (moves) parts.push(moves.slice(0, 4).map(([cell, before, after]) => move(cell, before, after)).join(", "));
  if (cells > 4 || (cells && !moves)) parts.push(counted("cells", cells));
  for (const [name, value] of Object.entries(others)) {
    if (name !== "version") parts.push(`${word("detail_name", name)} ${shortened(value)}`);
  }
  return parts.filter(Boolean).join(" · ");
}

function move(cell, before, after) {
  const [was, is] = [before, after].map((code) => code ?? t("cell.no_class"));
  return `${t("tile.number", { id: cell })} ${was === is ? `${is} ✓` : `${was} → ${is}`}`;
}

function shortened(value) {
  const text = Array.isArray(value) ? value.map((one) => word("field", one)).join(", ") : String(value);
  return /^[0-9a-f]{32,}$/.test(text) ? text.slice(0, 12) : text;
}
