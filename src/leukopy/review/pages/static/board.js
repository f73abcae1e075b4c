// The cells as images, grouped by class, least certain first. Only the tiles near the screen are in the page.

import { UNIDENTIFIED } from "./classes.js";
import { arranged, count, makeGroup, removeGroup } from "./groups.js";
import { Layout } from "./layout.js";
import { Selection } from "./selection.js";
import { fillTile, makeTile, picture } from "./tile.js";

export class Board {
  #place;
  #caseId;
  #layout;
  #rows = new Map();
  #tiles = new Map(); // of cells that were near the screen once
  #groups = new Map(); // by name, in their order: section, list, ids
  #places = new Map(); // of each cell that is shown: its group, and its index there
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
    this.#layout = new Layout(place);
    addEventListener("scroll", () => this.#draw(), { passive: true });
    new ResizeObserver(() => this.#lay()).observe(place);
  }

  row(id) {
    return this.#rows.get(id);
  }

  get rows() {
    return [...this.#rows.values()];
  }

  /** Show tiles of this side, in px (null: by the room there is), cropped to the cell or whole. */
  resize(side, cropped) {
    this.#layout.wanted = side;
    this.#layout.cropped = cropped;
    this.#lay();
  }

  /** The side of the tiles, px. */
  get side() {
    return this.#layout.side;
  }

  /** Show the cells by class, or those to look at. */
  turn(view) {
    this.view = view;
    this.#place.dataset.view = view;
    for (const group of this.#groups.values()) removeGroup(group.section);
    this.#groups.clear();
    this.selection.none();
    this.selection.current = null;
    this.#layout.queue = view === "queue";
    this.#layout.measure();
    this.update(this.rows);
  }

  /** The cells of these that were on the screen: no other can be confirmed. */
  displayed(ids) {
    return ids.filter((id) => this.#displayed.has(id));
  }

  /** These cells were on the screen elsewhere: on their field. */
  saw(ids) {
    for (const id of ids) this.#displayed.add(id);
  }

  #see({ target, isIntersecting }) {
    if (isIntersecting) this.#displayed.add(Number(target.dataset.cell));
  }

  /** Ids in the order in which they are shown. */
  order() {
    return [...this.#groups.values()].flatMap((group) => group.ids);
  }

  /** Ids of the cells of the group of a cell, as shown. */
  companions(id) {
    return this.#places.get(id)?.group.ids ?? [];
  }

  /** Cells that reclassifying would move: those chosen, else the one that has the focus. */
  get meant() {
    if (this.selection.chosen.size) return [...this.selection.chosen];
    const focused = this.#focused();
    return focused === null ? [] : [focused];
  }

  #focused() {
    const tile = document.activeElement?.closest?.(".tile");
    return tile ? Number(tile.dataset.cell) : null;
  }

  /** Show these rows in place of all. */
  show(rows) {
    const kept = new Set(rows.map((row) => row.id));
    for (const id of this.#rows.keys()) {
      if (kept.has(id)) continue;
      this.#tiles.get(id)?.remove();
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
      if (this.#tiles.has(row.id)) fillTile(this.#tiles.get(row.id), row, this.view);
    }
    this.#arrange();
    this.mark();
    focused?.focus({ preventScroll: true }); // moving an element takes its focus away
  }

  /** Give each cell its group and place. */
  #arrange() {
    const found = arranged(this.rows, this.view);
    for (const [name, group] of this.#groups) if (!found.has(name)) removeGroup(group.section);
    const groups = [...found].map(([name, ids]) => [name, { ...(this.#groups.get(name) ?? this.#make(name)), ids }]);
    this.#groups = new Map(groups);
    this.#places.clear();
    for (const group of this.#groups.values()) {
      count(group.section, group.ids.length);
      for (const [index, id] of group.ids.entries()) this.#places.set(id, { group, index });
    }
    this.#stretch();
  }

  #make(name) {
    const section = makeGroup(this.#place, name);
    return { section, list: section.querySelector("ul") };
  }

  /** Lay the tiles out anew, and keep what is on the screen there. */
  #lay() {
    const held = this.#layout.topmost(this.#tiles.values());
    if (!this.#layout.measure()) return;
    this.#stretch();
    this.#draw();
    if (held) this.#layout.hold(held);
  }

  #stretch() {
    for (const { list, ids } of this.#groups.values()) this.#layout.stretch(list, ids.length);
  }

  /** Have the tiles near the screen in the page, and the one that the Tab key goes to. */
  #draw() {
    const lists = [...this.#groups.values()].map((group) => ({ group, near: this.#layout.near(group.list, group.ids.length) }));
    const pinned = [this.selection.current, this.#focused()].map((id) => this.#places.get(id)).filter(Boolean);
    for (const { group, near } of lists) {
      const own = pinned.filter((one) => one.group === group).map((one) => one.index);
      this.#fill(group, [...new Set([...near, ...own])].sort((one, other) => one - other));
    }
  }

  /** Have the cells of these indices in the list of a group, in their order. */
  #fill({ list, ids }, indices) {
    const wanted = new Set(indices.map((index) => ids[index]));
    for (const tile of [...list.children]) if (!wanted.has(Number(tile.dataset.cell))) tile.remove();
    let next = list.firstElementChild;
    for (const index of indices) {
      const tile = this.#tile(ids[index]);
      this.#layout.put(tile, index, ids.length);
      picture(tile, this.#caseId, this.#layout.side, this.#layout.cropped);
      if (tile === next) next = next.nextElementSibling;
      else list.insertBefore(tile, next);
    }
  }

  #tile(id) {
    if (!this.#tiles.has(id)) {
      const tile = makeTile(id);
      fillTile(tile, this.#rows.get(id), this.view);
      this.#tiles.set(id, tile);
      this.#watch.observe(tile);
      this.#markOne(id, tile);
    }
    return this.#tiles.get(id);
  }

  /** Show what is chosen, and where the Tab key goes. */
  mark() {
    if (!this.#places.has(this.selection.current)) this.selection.current = this.order()[0] ?? null;
    this.#draw();
    for (const [id, tile] of this.#tiles) this.#markOne(id, tile);
    this.onchoice(this.selection.chosen);
  }

  #markOne(id, tile) {
    tile.setAttribute("aria-selected", this.selection.chosen.has(id) ? "true" : "false");
    tile.tabIndex = id === this.selection.current ? 0 : -1;
  }

  /** Put the focus on a cell, and show it. */
  focus(id) {
    if (!this.#places.has(id)) return;
    this.#tiles.get(this.selection.current)?.setAttribute("tabindex", "-1");
    this.selection.current = id;
    this.#draw();
    const tile = this.#tiles.get(id);
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
    const { group, index } = this.#places.get(id);
    const groups = [...this.#groups.values()];
    const at = groups.indexOf(group);
    const back = key === "ArrowLeft" || key === "ArrowUp";
    const sideways = key === "ArrowLeft" || key === "ArrowRight";
    const { ids } = group;
    const step = sideways ? this.#layout.sideways(index, ids.length, back) : this.#layout.updown(index, ids.length, back);
    if (step !== null) return ids[step];
    const other = groups[back ? at - 1 : at + 1]?.ids;
    if (!other) return id;
    if (sideways) return back ? other.at(-1) : other[0];
    return other[this.#layout.entering(index, other.length, back)];
  }

  /** Scroll to the group of a class. */
  reveal(code) {
    this.#groups.get(code === UNIDENTIFIED ? "unidentified" : code)?.section.scrollIntoView({ block: "start" });
  }
}
