// The fields of a case: each photograph with the boxes of its cells, which are chosen, corrected, drawn and removed there.

import { address, attempt, get, post } from "./api.js";
import { className, colour } from "./classes.js";
import { drawing, element, find } from "./dom.js";
import { Overview } from "./overview.js";
import { counted, t, word } from "./text.js";

const SMALL = 160; // px of a photograph in the list
const STEP = 1 / 60; // of the width of a field, that an arrow key moves a box that is drawn
const USUAL = 0.08; // side of a box that is drawn, in widths of the field, where no cell is known

export class FieldView {
  #board;
  #path;
  #hands;
  #overview;
  #list = [];
  #field = null; // the one that is shown
  #drawn = null; // left, top, width, height of the box that is being drawn, px of the field

  /**
   * `hands.open(id)` shows a cell, `hands.tile(id)` its tile among the others, `hands.remove(id)` asks why a cell is false, `hands.leave()` closes what
   * else is shown in place of the tiles, `hands.version()` is that of the case, `hands.drawn()` follows the analysis of a cell that was drawn.
   */
  constructor(board, path, hands) {
    this.#board = board;
    this.#path = path;
    this.#hands = hands;
    this.#overview = new Overview(path, { cell: hands.tile, field: (id) => this.#show(this.#list.find((one) => one.id === id)) });
    find("view-fields").addEventListener("click", () => this.open());
    find("boxes").addEventListener("click", (event) => this.#choose(event));
    find("boxes").addEventListener("dblclick", (event) => hands.open(cellOf(event)));
    find("boxes").addEventListener("keydown", (event) => this.#keys(event));
    find("show-objects").addEventListener("change", () => this.#objects());
    find("draw").addEventListener("click", () => this.#draw(this.#drawn === null));
    find("field").addEventListener("pointerdown", (event) => this.#pull(event));
    find("field").addEventListener("keydown", (event) => this.#shift(event));
  }

  /** Whether the fields are on the screen, and not the tiles. */
  get shown() {
    return !find("fieldview").hidden;
  }

  /** Fetch the fields of the case. */
  async load() {
    [this.#list] = await Promise.all([get(`${this.#path}/fields`), this.#overview.load()]);
    find("view-fields").hidden = this.#list.length === 0;
    this.#field = this.#list.find((one) => one.id === this.#field?.id) ?? this.#list[0] ?? null;
    if (this.shown) this.update();
  }

  open() {
    if (this.shown) return;
    this.#hands.leave();
    this.#turn(true);
    const [chosen] = this.#board.selection.chosen;
    const of = this.#board.row(chosen)?.field;
    this.#field = this.#list.find((one) => one.id === of) ?? this.#field;
    this.update();
  }

  close() {
    if (this.shown) this.#turn(false);
  }

  #turn(shown) {
    find("fieldview").hidden = !shown;
    find("board").hidden = shown;
    find("view-fields").setAttribute("aria-pressed", shown ? "true" : "false");
    if (shown) for (const view of ["classes", "queue"]) find(`view-${view}`).setAttribute("aria-pressed", "false");
    this.#draw(false);
  }

  #cells(field) {
    return this.#board.rows.filter((row) => row.field === field.id).sort((one, other) => one.box[1] - other.box[1] || one.id - other.id);
  }

  /** Show fields and boxes as they are now. */
  update() {
    if (!this.shown || this.#field === null) return;
    this.#overview.show(this.#list, this.#board.rows, this.#field.id);
    find("field-list").replaceChildren(...this.#list.map((field) => this.#item(field)));
    const field = this.#field;
    const picture = address(`${this.#path}/fields/${field.id}/image`);
    const image = find("field-picture");
    image.hidden = field.reason !== null;
    if (!image.hidden && image.getAttribute("src") !== picture) image.src = picture;
    image.alt = t("fields.picture", { name: field.name, width: field.width, height: field.height });
    find("field").style.setProperty("--ratio", `${field.width} / ${field.height}`);
    find("field-note").hidden = field.reason === null && field.left_out === null;
    find("field-note").textContent = field.reason ? t("fields.failed", { name: field.name }) : t("fields.left_out", { reason: field.left_out ?? "" });
    find("draw").disabled = !field.searched;
    const focused = find("boxes").contains(document.activeElement) ? idOf(document.activeElement) : null;
    find("boxes").replaceChildren(...this.#cells(field).map((row) => this.#box(row)));
    this.mark();
    if (focused !== null) this.focus(focused);
    this.#objects();
  }

  /** Show all that the detector found on the field: the evidence of the counts of red cells and platelets. */
  async #objects() {
    const place = find("objects");
    const field = this.#field;
    const wanted = find("show-objects").checked && field.searched;
    if (!wanted || Number(place.dataset.field) !== field.id) place.replaceChildren();
    place.dataset.field = wanted ? field.id : "";
    if (!wanted || place.childElementCount) return;
    place.setAttribute("viewBox", `0 0 ${field.width} ${field.height}`);
    await attempt(async () => {
      const found = await get(`${this.#path}/fields/${field.id}/objects`);
      if (Number(place.dataset.field) === field.id) place.replaceChildren(...found.filter((one) => one.kind !== "leukocyte").map(outline));
    });
  }

  #item(field) {
    const cells = this.#cells(field).length;
    const shown = field === this.#field;
    const words = `${field.name}, ${counted("cells", cells)}`;
    return element("li", {},
      element("button", { type: "button", "aria-current": shown ? "true" : null, onclick: () => this.#show(field) },
        field.reason === null && element("img", { src: address(`${this.#path}/fields/${field.id}/image?side=${SMALL}`), alt: "", loading: "lazy", width: SMALL / 2 }),
        element("span", {}, words)));
  }

  #show(field) {
    this.#field = field;
    this.#draw(false);
    this.update();
    find("field-list").querySelector("[aria-current]")?.focus();
  }

  #box(row) {
    const { width, height } = this.#field;
    const [left, top, across, down] = row.box;
    const shown = row.code ?? "–";
    const words = [t("tile.number", { id: row.id }), shown, className(row.code), row.not_counted && t(`not_counted.${row.not_counted}`),
      row.seen_by && t("tile.seen", { name: row.seen_by }), row.drawn_by && t("fields.drawn_by", { name: row.drawn_by }), row.pending && t("tile.pending")];
    return element("div", {
      class: ["box", row.not_counted === "void" && "void", row.seen_by && "seen", row.pending && "pending"].filter(Boolean).join(" "),
      role: "option", "data-cell": row.id, tabindex: "-1", "aria-label": words.filter(Boolean).join(", "), title: words.filter(Boolean).join(", "),
      "--colour": colour(row.code), "--left": `${(100 * left) / width}%`, "--top": `${(100 * top) / height}%`,
      "--across": `${(100 * across) / width}%`, "--down": `${(100 * down) / height}%`,
    }, element("span", { class: "code", "aria-hidden": "true" }, shown));
  }

  /** Show which cells are chosen, and where the Tab key goes. */
  mark() {
    if (!this.shown) return;
    const { chosen, current } = this.#board.selection;
    this.#overview.mark(chosen);
    const boxes = [...find("boxes").children];
    const stop = boxes.find((box) => idOf(box) === current) ?? boxes[0];
    for (const box of boxes) {
      box.setAttribute("aria-selected", chosen.has(idOf(box)) ? "true" : "false");
      box.tabIndex = box === stop ? 0 : -1;
    }
  }

  /** Put the focus on the box of a cell of the field that is shown. */
  focus(id) {
    const box = [...find("boxes").children].find((one) => idOf(one) === id);
    if (!box) return;
    this.#board.saw([id]);
    box.focus();
  }

  /** The cell that should be looked at after these: the next of the field. */
  after(ids) {
    const order = this.#cells(this.#field).map((row) => row.id);
    return order[Math.max(...ids.map((id) => order.indexOf(id))) + 1] ?? ids.at(-1);
  }

  #choose(event) {
    const id = cellOf(event);
    const { selection } = this.#board;
    if (id === null) return;
    if (event.ctrlKey || event.metaKey || event.pointerType === "touch") selection.toggle(id);
    else selection.only(id);
    this.#chosen(id);
  }

  #chosen(id) {
    this.#board.mark();
    this.focus(id);
  }

  #keys(event) {
    const id = cellOf(event);
    if (id === null || event.ctrlKey || event.metaKey || event.altKey) return;
    const order = this.#cells(this.#field).map((row) => row.id);
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step) {
      const next = order[order.indexOf(id) + step] ?? id;
      this.#board.selection.only(next);
      this.#chosen(next);
    } else if (event.key === "Enter") this.#hands.open(id);
    else if (event.key === "Delete") this.#hands.remove(id);
    else return;
    event.preventDefault();
  }

  // -------------------------------------------------------------- a missed cell is drawn

  #draw(on) {
    find("draw").setAttribute("aria-pressed", on ? "true" : "false");
    find("field").classList.toggle("drawing", on);
    find("draw-help").hidden = find("drawing").hidden = !on;
    this.#drawn = on ? this.#usual() : null;
    if (!on) return;
    this.#place();
    find("field").focus();
  }

  /** A box in the middle, as large as the cells of the field. */
  #usual() {
    const { width, height } = this.#field;
    const sides = this.#cells(this.#field).map((row) => Math.max(row.box[2], row.box[3])).sort((one, other) => one - other);
    const side = sides[Math.floor(sides.length / 2)] ?? USUAL * width;
    return [(width - side) / 2, (height - side) / 2, side, side];
  }

  #place() {
    const { width, height } = this.#field;
    for (const [index, name] of ["left", "top", "across", "down"].entries()) {
      find("drawing").style.setProperty(`--${name}`, `${(100 * this.#drawn[index]) / (index % 2 ? height : width)}%`);
    }
  }

  #pull(event) {
    if (this.#drawn === null || event.button !== 0) return;
    event.preventDefault();
    const place = find("field");
    place.setPointerCapture(event.pointerId);
    const begin = this.#at(event);
    const moved = (next) => {
      const end = this.#at(next);
      this.#drawn = [0, 1].map((axis) => Math.min(begin[axis], end[axis])).concat([0, 1].map((axis) => Math.abs(end[axis] - begin[axis])));
      this.#place();
    };
    place.addEventListener("pointermove", moved);
    place.addEventListener("pointerup", () => {
      place.removeEventListener("pointermove", moved);
      if (this.#drawn && Math.min(this.#drawn[2], this.#drawn[3]) >= 4) this.#send();
    }, { once: true });
  }

  /** Where a pointer is, in pixels of the field and within it. */
  #at(event) {
    const { left, top, width, height } = find("field").getBoundingClientRect();
    const within = (share) => Math.min(1, Math.max(0, share));
    return [within((event.clientX - left) / width) * this.#field.width, within((event.clientY - top) / height) * this.#field.height];
  }

  #shift(event) {
    if (this.#drawn === null || event.target !== find("field")) return;
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (step) {
      const first = event.shiftKey ? 2 : 0;
      for (const axis of [0, 1]) this.#drawn[first + axis] = Math.max(first ? 8 : 0, this.#drawn[first + axis] + step[axis] * STEP * this.#field.width);
      this.#place();
    } else if (event.key === "Enter") this.#send();
    else if (event.key === "Escape") {
      this.#draw(false);
      find("draw").focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #send() {
    const box = this.#drawn.map(Math.round);
    const { id } = this.#field;
    this.#draw(false);
    attempt(async () => {
      await post(`${this.#path}/fields/${id}/cells`, { version: this.#hands.version(), box });
      this.#hands.drawn();
    });
  }
}

/** An object of a field as a rectangle, with its kind and shape in words. */
function outline({ kind, box: [x, y, width, height], shape }) {
  const words = [word("object", kind), shape && word("shape", shape)].filter(Boolean).join(", ");
  return drawing("rect", { class: kind, x, y, width, height }, drawing("title", {}, words));
}

const idOf = (box) => Number(box.dataset.cell);

function cellOf(event) {
  const box = event.target.closest(".box");
  return box ? idOf(box) : null;
}
