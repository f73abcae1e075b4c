// The classes that a reader may give, in display order.

import { get } from "./api.js";
import { named, t } from "./text.js";

const all = document.documentElement.dataset.page === "login" ? [] : await get("/classes");

export const classes = all;
export const byCode = new Map(all.map((choice) => [choice.code, choice]));
export const byKey = new Map(all.filter((choice) => choice.key).map((choice) => [choice.key, choice]));
/** A cell with another class, as it is shown until the server answers with the counting rule applied. */
export function reclassified(row, code) {
  const reason = row.flags.includes("void") ? "void" : row.flags.includes("duplicate") ? "duplicate" : code === UNIDENTIFIED ? "unidentified" : null;
  return { ...row, code, not_counted: reason };
}

const UNKNOWN = "#8a8a8a";

/** Why cells are not counted, in the order in which they are shown. */
export const REASONS = ["unidentified", "no_cell", "several_cells", "duplicate", "void"];
export const UNIDENTIFIED = "UNIDENTIFIED";

/** The name of a class; `null` is that of an image without a single cell. */
export const className = (code) => (byCode.has(code) ? named(byCode.get(code)) : (code ?? t("cell.no_class")));
export const colour = (code) => byCode.get(code)?.colour ?? UNKNOWN;
