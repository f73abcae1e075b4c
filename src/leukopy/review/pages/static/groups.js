// The groups of the board: one section each, in the order of the classes; those that are not counted come last.

import { REASONS, UNIDENTIFIED, className, classes, colour } from "./classes.js";
import { dot, element } from "./dom.js";
import { counted, t } from "./text.js";

const APART = "not-counted"; // holds the groups of the cells that are not counted
const QUEUE = ["look", "looked"]; // groups of the cells to look at, and of those that were
const ORDER = [...QUEUE, ...classes.map((choice) => choice.code), APART, ...REASONS];

/** The group of a cell: its class, or why it is not counted; in the view of the queue, whether it was seen. */
const GROUPS = {
  classes: (row) => row.not_counted ?? row.code,
  queue: (row) => (!row.look?.length ? null : row.seen_by === null ? "look" : "looked"),
};
const RANKS = {
  classes: (one, other) => (one.confidence ?? 0) - (other.confidence ?? 0) || one.id - other.id,
  queue: (one, other) => one.rank - other.rank,
};

/** The ids of cells by the name of their group, in the order in which a view shows them. */
export function arranged(rows, view) {
  const groups = Map.groupBy([...rows].sort(RANKS[view]), GROUPS[view]);
  groups.delete(null);
  const names = [...groups.keys()].sort((one, other) => ORDER.indexOf(one) - ORDER.indexOf(other));
  return new Map(names.map((name) => [name, groups.get(name).map((row) => row.id)]));
}

/** Make the section of a group on the board. */
export function makeGroup(board, name) {
  const reason = REASONS.includes(name);
  const queue = QUEUE.includes(name);
  const words = reason ? t(`not_counted.${name}`) : queue ? t(`queue.${name}`) : className(name);
  const code = reason || queue ? null : name; // of the class that cells dropped here get
  const group = element(
    "section",
    { class: "group", role: "group", "data-group": name, "data-code": name === "unidentified" ? UNIDENTIFIED : code,
      "aria-labelledby": `group-${name}`, "--colour": colour(code) },
    element("p", { class: "group-head", id: `group-${name}`, role: "presentation" },
      dot(colour(code)), element("strong", {}, words), element("span", { class: "figure" })),
    element("ul", { class: "tiles", role: "presentation" }),
  );
  place(reason ? apart(board) : board, group);
  return group;
}

/** Say in its head how many cells a group holds. */
export function count(group, cells) {
  group.querySelector(".group-head .figure").textContent = counted("cells", cells);
}

export function removeGroup(group) {
  const around = group.closest(`.${APART}`);
  group.remove();
  if (around && !around.querySelector(".group")) around.remove();
}

/** The place of the cells that are not counted, after all classes. */
function apart(board) {
  const there = board.querySelector(`[data-group="${APART}"]`);
  if (there) return there;
  const made = element("div", { class: APART, role: "presentation", "data-group": APART },
    element("p", { class: "apart-head", role: "presentation" }, t("not_counted.title")));
  board.append(made);
  return made;
}

/** Put a group among its siblings, in the order of groups. */
function place(parent, group) {
  const rank = (other) => ORDER.indexOf(other.dataset.group);
  const before = [...parent.children].find((other) => other.dataset.group && rank(other) > rank(group));
  parent.insertBefore(group, before ?? null);
}
