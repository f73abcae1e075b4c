// Some cells large, side by side, beside reference cells and look-alikes from the station's own signed cells.

import { address, get } from "./api.js";
import { className, classes, colour } from "./classes.js";
import { pictures } from "./detail.js";
import { dot, element, find, say } from "./dom.js";
import { chance, counted, t } from "./text.js";

const FEWEST = 2;
const MOST = 8;

export class CompareView {
  #board;
  #path;
  #hands;
  #cells = []; // ids, in the order of the board
  #asked = null; // the cell whose look-alikes are shown

  /** `hands.leave()` closes what else is shown in place of the tiles, `hands.open(id)` shows a cell. */
  constructor(board, path, hands) {
    this.#board = board;
    this.#path = path;
    this.#hands = hands;
    find("compare").addEventListener("click", () => this.open());
    find("close-compare").addEventListener("click", () => this.close());
    const place = find("compared");
    place.addEventListener("click", (event) => this.#choose(event));
    place.addEventListener("dblclick", (event) => hands.open(cellOf(event)));
    place.addEventListener("keydown", (event) => this.#keys(event));
    document.addEventListener("keydown", (event) => {
      if (event.key === "/" && !event.ctrlKey && !event.target.closest("input, textarea, select, dialog")) {
        event.preventDefault();
        if (this.shown) this.close();
        else this.open();
      }
    });
    const choice = find("compare-class");
    for (const one of classes) choice.append(element("option", { value: one.code }, className(one.code)));
    choice.addEventListener("change", () => this.#references());
  }

  get shown() {
    return !find("compareview").hidden;
  }

  /** Show the chosen cells. */
  open() {
    const { chosen } = this.#board.selection;
    const cells = this.#board.order().filter((id) => chosen.has(id));
    if (cells.length < FEWEST || cells.length > MOST) return say(t("compare.choose", { fewest: FEWEST, most: MOST }));
    this.#hands.leave();
    this.#cells = cells;
    find("compareview").hidden = false;
    find("board").hidden = true;
    this.update();
    this.#only(cells[0]);
    scrollTo(0, 0);
  }

  close() {
    if (!this.shown) return;
    find("compareview").hidden = true;
    find("board").hidden = false;
    this.#asked = null;
    const { selection } = this.#board;
    selection.all(this.#cells);
    this.#board.mark();
    this.#board.focus(selection.current ?? this.#cells[0]);
  }

  /** Show the cells as they are now. */
  update() {
    if (!this.shown) return;
    this.#cells = this.#cells.filter((id) => this.#board.row(id));
    const focused = find("compared").contains(document.activeElement) ? cellAt(document.activeElement) : null;
    find("compared").style.setProperty("--columns", this.#cells.length > 4 ? Math.ceil(this.#cells.length / 2) : this.#cells.length);
    find("compared").replaceChildren(...this.#cells.map((id) => this.#figure(this.#board.row(id))));
    this.mark();
    if (focused !== null) this.focus(focused);
  }

  #figure(row) {
    const shown = `${t("tile.number", { id: row.id })} · ${row.code ?? t("cell.no_class")} ${chance(row.confidence)}${row.seen_by ? " ✓" : ""}`;
    const words = [shown, className(row.code), row.seen_by && t("tile.seen", { name: row.seen_by }), row.comment].filter(Boolean).join(", ");
    return element("div", { class: "figure-cell", role: "option", tabindex: "-1", "data-cell": row.id, "aria-label": words, "--colour": colour(row.code) },
      element("img", { src: address(`${this.#path}/cells/${row.id}/image?shown=true`), alt: "", draggable: "false" }),
      element("span", {}, dot(colour(row.code)), shown));
  }

  /** Show which cell is chosen. */
  mark() {
    if (!this.shown) return;
    const { chosen, current } = this.#board.selection;
    for (const figure of find("compared").children) {
      figure.setAttribute("aria-selected", chosen.has(cellAt(figure)) ? "true" : "false");
      figure.tabIndex = cellAt(figure) === current ? 0 : -1;
    }
  }

  focus(id) {
    this.#board.saw([id]);
    [...find("compared").children].find((figure) => cellAt(figure) === id)?.focus();
  }

  /** The cell that should be looked at after these: the next of those compared. */
  after(ids) {
    return this.#cells[Math.max(...ids.map((id) => this.#cells.indexOf(id))) + 1] ?? ids.at(-1);
  }

  #only(id) {
    this.#board.selection.only(id);
    this.#board.mark();
    this.focus(id);
    if (id === this.#asked) return;
    this.#asked = id;
    const { code } = this.#board.row(id);
    if (classes.some((one) => one.code === code)) find("compare-class").value = code;
    find("alike-words").textContent = t("compare.alike_of", { id });
    this.#references();
    this.#alike(id);
  }

  #references() {
    const { value } = find("compare-class");
    pictures(find("compare-references"), () => get(`/references/${value}`), () => find("compare-class").value === value);
  }

  /** Look-alikes of a cell; the station compares some signed cells at a time. */
  async #alike(id) {
    const wanted = () => this.shown && this.#asked === id;
    let waiting = 0;
    const ask = async () => {
      const found = await get(`${this.#path}/cells/${id}/look-alikes`);
      waiting = found.waiting;
      return found.cells;
    };
    do {
      await pictures(find("alike"), ask, wanted, waiting > 0);
      if (wanted()) find("alike-waiting").textContent = waiting ? counted("compare.waiting", waiting) : "";
    } while (waiting > 0 && wanted());
  }

  #choose(event) {
    const id = cellOf(event);
    if (id !== null) this.#only(id);
  }

  #keys(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const id = cellOf(event);
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step) this.#only(this.#cells[this.#cells.indexOf(id) + step] ?? id);
    else if (event.key === "Enter") this.#hands.open(id);
    else if (event.key === "Escape") this.close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

const cellAt = (figure) => Number(figure.dataset.cell);

function cellOf(event) {
  const figure = event.target.closest(".figure-cell");
  return figure ? cellAt(figure) : null;
}
