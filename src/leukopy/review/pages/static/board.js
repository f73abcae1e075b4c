// The cells as images, grouped by class, least certain first; those that are not counted come last, by reason.

import { address } from "./api.js";
import { REASONS, UNIDENTIFIED, className, classes, colour } from "./classes.js";
import { dot, element } from "./dom.js";
import { Selection } from "./selection.js";
import { chance, counted, t, word } from "./text.js";

const SIDE = 160; // px of a thumbnail's file: sharp on dense screens at half that size
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

export class Board {
  #place;
  #caseId;
  #rows = new Map();
  #tiles = new Map();
  #groups = new Map();
  #displayed = new Set();
  #watch = new IntersectionObserver((entries) => entries.forEach((entry) => this.#see(entry)), { threshold: 0.6 });
  /** `classes`, or `queue`: the cells to look at. */
  view = "classes";
  selection = new Selection();
  /** Told when other cells are chosen. */
  onchoice = () => {};

  constructor(place, caseId) {
    this.#place = place;
    this.#caseId = caseId;
  }

  row(id) {
    return this.#rows.get(id);
  }

  get rows() {
    return [...this.#rows.values()];
  }

  /** Show the cells by class, or those to look at. */
  turn(view) {
    this.view = view;
    this.#place.dataset.view = view;
    this.#place.replaceChildren();
    this.#groups.clear();
    this.selection.none();
    this.selection.current = null;
    this.update(this.rows);
  }

  /** The cells of these that were on the screen: no other can be confirmed. */
  displayed(ids) {
    return ids.filter((id) => this.#displayed.has(id));
  }

  #see({ target, isIntersecting }) {
    if (isIntersecting) this.#displayed.add(Number(target.dataset.cell));
  }

  get size() {
    return this.#rows.size;
  }

  /** Ids in the order in which they are shown. */
  order() {
    return [...this.#place.querySelectorAll(".tile")].map((tile) => Number(tile.dataset.cell));
  }

  /** Ids of the cells of the group of a cell, as shown. */
  companions(id) {
    const tiles = this.#tiles.get(id)?.closest(".group")?.querySelectorAll(".tile") ?? [];
    return [...tiles].map((tile) => Number(tile.dataset.cell));
  }

  tile(id) {
    return this.#tiles.get(id);
  }

  /** Cells that reclassifying would move: those chosen, else the one that has the focus. */
  get meant() {
    if (this.selection.chosen.size) return [...this.selection.chosen];
    const focused = document.activeElement?.closest?.(".tile");
    return focused ? [Number(focused.dataset.cell)] : [];
  }

  /** Show these rows in place of all. */
  show(rows) {
    const kept = new Set(rows.map((row) => row.id));
    for (const [id, tile] of this.#tiles) {
      if (kept.has(id)) continue;
      tile.remove();
      this.#watch.unobserve(tile);
      this.#tiles.delete(id);
      this.#rows.delete(id);
      this.selection.chosen.delete(id);
    }
    this.update(rows);
  }

  /** Show these cells as they are now; the others stay where they are. */
  update(rows) {
    const focused = document.activeElement?.classList.contains("tile") ? document.activeElement : null;
    for (const row of rows) {
      this.#rows.set(row.id, row);
      const tile = this.#tiles.get(row.id) ?? this.#make(row.id);
      this.#fill(tile, row);
      this.#insert(tile, row);
    }
    for (const [name, group] of this.#groups) this.#head(name, group);
    this.mark();
    focused?.focus({ preventScroll: true }); // moving an element takes its focus away
  }

  #make(id) {
    const picture = element("img", {
      src: address(`/cases/${this.#caseId}/cells/${id}/image?side=${SIDE}`),
      alt: "", loading: "lazy", decoding: "async", width: "96", height: "96", draggable: "false",
    });
    const tile = element(
      "li",
      { class: "tile", id: `cell-${id}`, role: "option", "data-cell": id, draggable: "true", tabindex: "-1" },
      picture, element("span", { class: "chance" }), " ", element("span", { class: "note" }),
    );
    this.#tiles.set(id, tile);
    this.#watch.observe(tile);
    return tile;
  }

  #fill(tile, row) {
    const changed = row.code !== row.model_code;
    tile.classList.toggle("uncertain", row.flags.includes("uncertain") && row.seen_by === null);
    tile.classList.toggle("seen", row.seen_by !== null);
    tile.classList.toggle("changed", changed);
    tile.classList.toggle("remarked", row.comment !== "");
    tile.classList.toggle("pending", row.pending === true);
    tile.querySelector(".chance").textContent = chance(row.confidence);
    const was = changed ? t("tile.model", { code: row.model_code ?? t("cell.no_class") }) : "";
    tile.querySelector(".note").textContent = this.view === "classes" ? was : (row.code ?? t("cell.no_class"));
    tile.style.setProperty("--colour", colour(row.code));
    const seen = [...tile.querySelectorAll("span")].map((span) => span.textContent).filter(Boolean).join(" ");
    tile.setAttribute("aria-label", describe(row, seen));
    tile.title = describe(row, chance(row.confidence));
  }

  #insert(tile, row) {
    const name = GROUPS[this.view](row);
    if (name === null) return tile.remove();
    const list = this.#group(name).querySelector("ul");
    const after = (other) => RANKS[this.view](other, row);
    const next = [...list.children].find(
      (other) => other !== tile && after(this.#rows.get(Number(other.dataset.cell))) > 0,
    );
    if (tile.parentElement !== list || tile.nextElementSibling !== (next ?? null)) list.insertBefore(tile, next ?? null);
  }

  #group(name) {
    if (!this.#groups.has(name)) this.#groups.set(name, this.#makeGroup(name));
    return this.#groups.get(name);
  }

  #makeGroup(name) {
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
    place(reason ? this.#apart() : this.#place, group);
    return group;
  }

  /** The place of the cells that are not counted, after all classes. */
  #apart() {
    const there = this.#place.querySelector(`[data-group="${APART}"]`);
    if (there) return there;
    const apart = element("div", { class: APART, role: "presentation", "data-group": APART },
      element("p", { class: "apart-head", role: "presentation" }, t("not_counted.title")));
    this.#place.append(apart);
    return apart;
  }

  #head(name, group) {
    const cells = group.querySelector("ul").childElementCount;
    if (!cells) {
      const apart = group.closest(`.${APART}`);
      group.remove();
      this.#groups.delete(name);
      if (apart && !apart.querySelector(".group")) apart.remove();
      return;
    }
    group.querySelector(".group-head .figure").textContent = counted("cells", cells);
  }

  /** Show what is chosen, and where the Tab key goes. */
  mark() {
    const { chosen } = this.selection;
    if (!this.#tiles.get(this.selection.current)?.isConnected) this.selection.current = this.order()[0] ?? null;
    for (const [id, tile] of this.#tiles) {
      tile.setAttribute("aria-selected", chosen.has(id) ? "true" : "false");
      tile.tabIndex = id === this.selection.current ? 0 : -1;
    }
    this.onchoice(chosen);
  }

  /** Put the focus on a cell, and show it. */
  focus(id) {
    const tile = this.#tiles.get(id);
    if (!tile?.isConnected) return;
    this.selection.current = id;
    for (const other of this.#place.querySelectorAll('.tile[tabindex="0"]')) other.tabIndex = -1;
    tile.tabIndex = 0;
    tile.focus({ preventScroll: true });
    tile.scrollIntoView({ block: "nearest" });
  }

  /** The cell that should be looked at once these have gone elsewhere: the next of their class, or of the queue. */
  after(ids) {
    const gone = new Set(ids);
    const order = this.view === "queue" ? this.companions(ids[0]) : this.order();
    const last = Math.max(...ids.map((id) => order.indexOf(id)));
    const next = order.slice(last + 1).find((id) => !gone.has(id));
    return next ?? order.slice(0, last).reverse().find((id) => !gone.has(id)) ?? null;
  }

  /** The cell beside, above or below another as they lie on the screen; itself where there is none. */
  beside(id, key) {
    const order = this.order();
    const at = order.indexOf(id);
    if (key === "ArrowRight") return order[Math.min(at + 1, order.length - 1)];
    if (key === "ArrowLeft") return order[Math.max(at - 1, 0)];
    const box = (other) => this.#tiles.get(other).getBoundingClientRect();
    const here = box(id);
    const down = key === "ArrowDown";
    const beyond = (down ? order.slice(at + 1) : order.slice(0, at).reverse())
      .map((other) => ({ other, box: box(other) }))
      .filter((one) => (down ? one.box.top > here.top + 1 : one.box.top < here.top - 1));
    if (!beyond.length) return id;
    const row = beyond.filter((one) => Math.abs(one.box.top - beyond[0].box.top) < 1);
    const far = (one) => Math.abs(one.box.left - here.left);
    return row.reduce((best, one) => (far(one) < far(best) ? one : best)).other;
  }

  /** Scroll to the group of a class. */
  reveal(code) {
    this.#groups.get(code === UNIDENTIFIED ? "unidentified" : code)?.scrollIntoView({ block: "start" });
  }
}

/** Put a group among its siblings, in the order of groups. */
function place(parent, group) {
  const rank = (other) => ORDER.indexOf(other.dataset.group);
  const before = [...parent.children].find((other) => other.dataset.group && rank(other) > rank(group));
  parent.insertBefore(group, before ?? null);
}

/** A cell in words, for screen readers; `seen`: the text of its tile, which the words hold as it stands there. */
function describe(row, seen) {
  const parts = [`${t("tile.number", { id: row.id })} ${className(row.code)}`];
  if (row.code !== row.model_code) {
    parts.push(t("tile.said", { class: className(row.model_code), chance: seen }));
  } else parts.push(seen);
  if (row.not_counted) parts.push(t("not_counted.title"));
  parts.push(...row.flags.map((flag) => word("flag", flag)));
  if (row.seen_by) parts.push(t(row.code === row.model_code ? "tile.seen" : "tile.by", { name: row.seen_by }));
  else parts.push(...(row.look ?? []).filter((reason) => !row.flags.includes(reason)).map((reason) => word("look", reason)));
  if (row.comment) parts.push(t("tile.comment", { comment: row.comment }));
  if (row.pending) parts.push(t("tile.pending"));
  return parts.filter(Boolean).join(", ");
}
