// A whole slide at low power, with the place of every field and cell. Keys reach both in the list of fields below it.

import { address, get } from "./api.js";
import { className, colour } from "./classes.js";
import { drawing, find } from "./dom.js";
import { counted, t } from "./text.js";

const RADIUS = 1 / 150; // of a cell's place, in widths of the slide

export class Overview {
  #path;
  #slide = null; // its size, px; null where the fields are photographs

  /** `hands.field(id)` shows a field, `hands.cell(id)` a cell in the gallery. */
  constructor(path, hands) {
    this.#path = path;
    find("places").addEventListener("click", ({ target }) => {
      const { field, cell } = target.dataset;
      if (cell) hands.cell(Number(cell));
      else if (field) hands.field(Number(field));
    });
  }

  async load() {
    this.#slide = await get(`${this.#path}/overview`);
    find("overview").hidden = this.#slide === null;
    if (this.#slide === null) return;
    find("overview-picture").src = address(`${this.#path}/overview/image`);
    find("places").setAttribute("viewBox", `0 0 ${this.#slide.width} ${this.#slide.height}`);
  }

  /** Show fields and cells as they are now; `open` is the field that is shown large. */
  show(fields, rows, open) {
    if (this.#slide === null) return;
    const placed = fields.filter((field) => field.place !== null);
    const of = new Map(placed.map((field) => [field.id, field]));
    const cells = rows.filter((row) => of.has(row.field));
    find("overview-picture").alt = t("overview.picture", { fields: counted("overview.fields", placed.length), cells: counted("cells", cells.length) });
    find("places").replaceChildren(...placed.map((field) => square(field, field.id === open)), ...cells.map((row) => this.#point(row, of.get(row.field))));
  }

  #point(row, { place: [left, top, across, down], width, height }) {
    const [x, y] = [row.box[0] + row.box[2] / 2, row.box[1] + row.box[3] / 2];
    const words = `${t("tile.number", { id: row.id })} ${className(row.code)}`;
    return drawing("circle", {
      "data-cell": row.id, cx: left + (x * across) / width, cy: top + (y * down) / height, r: RADIUS * this.#slide.width,
      "--colour": colour(row.code), class: row.not_counted === "void" ? "void" : "",
    }, drawing("title", {}, words));
  }

  /** Show which cells are chosen. */
  mark(chosen) {
    for (const point of find("places").querySelectorAll("circle")) point.classList.toggle("chosen", chosen.has(Number(point.dataset.cell)));
  }
}

const square = ({ id, name, place: [x, y, width, height] }, open) =>
  drawing("rect", { "data-field": id, x, y, width, height, class: open ? "open" : "" }, drawing("title", {}, name));
