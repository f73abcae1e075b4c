// What each kind of gesture shows, sends, and says.

import { inTime } from "./api.js";
import { className, reclassified } from "./classes.js";
import { counted, t } from "./text.js";

const ME = document.querySelector(".who")?.textContent ?? "";

/** What a gesture does to a row, as it is shown until the station has stored it. */
export const EFFECTS = {
  correct: of((row, { code }) => ({ ...reclassified(row, code), seen_by: ME })),
  confirm: of((row) => ({ ...row, seen_by: row.seen_by ?? ME })),
  comment: of((row, { comment }) => ({ ...row, comment })),
};

function of(effect) {
  return (row, { changes }) => {
    const change = changes.find((one) => one.cell === row.id);
    return change && effect(row, change);
  };
}

/** Send a gesture of a case; resolves with its case, the cells that it changed, and what else the answer holds. */
export const sender = (path) => (gesture) => SEND[gesture.kind](path, gesture);

const SEND = {
  correct: (path, { changes }) => inTime("POST", `${path}/corrections`, { changes }),
  confirm: (path, { changes }) => inTime("POST", `${path}/confirmations`, { changes }),
  undo: (path, gesture) => inTime("POST", `${path}/undo`, knowing(gesture)),
  redo: (path, gesture) => inTime("POST", `${path}/redo`, knowing(gesture)),
  comment: async (path, { changes: [{ cell, ...change }] }) => {
    const row = await inTime("PATCH", `${path}/cells/${cell}`, change);
    return { case: await inTime("GET", path), cells: [row] }; // a remark is a change of the case too
  },
  case: async (path, { version, fields }) => {
    const changed = await inTime("PATCH", path, { version, ...fields });
    return { case: changed, cells: [], differential: await inTime("GET", `${path}/differential`) };
  },
};

/** An undo that may have been done already is done on the known version only. */
const knowing = ({ tried, version }) => (tried ? { version } : {});

/** Whether a gesture that is refused now was stored before, and only its answer was lost. `truth`: the cells now. */
export function stored({ kind, tried, changes, fields }, current, truth) {
  if (!tried || current === null) return false;
  if (kind === "case") return Object.entries(fields).every(([name, value]) => current[name] === value);
  const row = (cell) => truth.get(cell) ?? {};
  if (kind === "correct") return changes.every(({ cell, code }) => row(cell).code === code);
  if (kind === "confirm") return changes.every(({ cell }) => row(cell).seen_by === ME);
  return kind === "comment" && changes.every(({ cell, comment }) => row(cell).comment === comment);
}

export const SAY = {
  correct: ({ changes }) => counted("said.reclassified", changes.length, { class: className(changes[0].code) }),
  confirm: ({ changes }) => counted("said.confirmed", changes.length),
  undo: (_, result) => counted("said.undo", result.cells.length),
  redo: (_, result) => counted("said.redo", result.cells.length),
  comment: () => t("said.comment"),
  case: () => t("said.saved"),
};

/** Whose change of cells was stored first, and what they are now. */
export function won(rows) {
  const names = [...new Set(rows.map((row) => row.changed_by))].join(", ");
  const what = rows.slice(0, 5).map((row) => `${t("tile.number", { id: row.id })} → ${className(row.code)}`).join("; ");
  return counted("gallery.conflict", rows.length, { name: names, what });
}
