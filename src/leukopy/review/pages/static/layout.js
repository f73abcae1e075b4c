// Where the tiles of a group lie: in columns and rows of one size, so that those near the screen are known by reckoning.

const GAP = 2; // px between tiles
const WORDS = 14; // px that a tile is higher than wide: its line of words
const LEAST = { classes: 92, queue: 108 }; // px of a tile, where the reader chose no side
const MOST = 160;
const ACROSS = 9; // tiles beside each other on a wide screen

export class Layout {
  #board;
  #columns = 1;
  #width = 0;
  /** Of a tile, px. */
  side = LEAST.classes;
  /** The side that the reader chose; null: by the room there is. */
  wanted = null;
  /** Whether the pictures show the cell alone. */
  cropped = false;
  /** Whether the cells to look at are shown, whose tiles have more words. */
  queue = false;

  constructor(board) {
    this.#board = board;
  }

  /** Reckon columns and side from the width of the board; false: it has none. */
  measure() {
    this.#width = this.#board.clientWidth;
    const least = this.queue ? LEAST.queue : LEAST.classes;
    const wanted = this.wanted ?? Math.min(MOST, Math.max(least, this.#width / ACROSS));
    this.#columns = Math.max(1, Math.floor((this.#width + GAP) / (wanted + GAP)));
    this.side = Math.floor((this.#width - GAP * (this.#columns - 1)) / this.#columns);
    this.#board.style.setProperty("--side", `${this.side}px`);
    return this.#width > 0;
  }

  get #row() {
    return this.side + WORDS + GAP;
  }

  /** Give a list the height of its cells. */
  stretch(list, cells) {
    list.style.height = `${Math.ceil(cells / this.#columns) * this.#row}px`;
  }

  /** Indices of the cells of a list that lie on the screen, or less than a screen above or below it. */
  near(list, cells) {
    const { top } = list.getBoundingClientRect();
    const line = (y) => Math.floor((y - top) / this.#row);
    const first = Math.max(0, line(-innerHeight) * this.#columns);
    const last = Math.min(cells, (line(2 * innerHeight) + 1) * this.#columns);
    return Array.from({ length: Math.max(0, last - first) }, (_, number) => first + number);
  }

  /** Put a tile in its place, and tell its place to screen readers. */
  put(tile, index, cells) {
    const column = index % this.#columns;
    tile.style.left = `${column * (this.side + GAP)}px`;
    tile.style.top = `${((index - column) / this.#columns) * this.#row}px`;
    tile.setAttribute("aria-posinset", index + 1);
    tile.setAttribute("aria-setsize", cells);
  }

  /** The first of these tiles that is on the screen, and where. */
  topmost(tiles) {
    let first = null;
    for (const tile of tiles) {
      const { top, left, bottom } = tile.isConnected ? tile.getBoundingClientRect() : { bottom: -1 };
      if (bottom < 0 || top > innerHeight) continue;
      if (tile === document.activeElement) return { tile, top };
      if (first === null || top < first.top || (top === first.top && left < first.left)) first = { tile, top, left };
    }
    return first;
  }

  /** Scroll until a tile lies where it lay. */
  hold({ tile, top }) {
    if (tile.isConnected) scrollBy(0, tile.getBoundingClientRect().top - top);
  }

  /** The index beside another; null: in another group. */
  sideways(index, cells, back) {
    const next = back ? index - 1 : index + 1;
    return next >= 0 && next < cells ? next : null;
  }

  /** The index above or below another; null: in another group. */
  updown(index, cells, back) {
    if (back) return index >= this.#columns ? index - this.#columns : null;
    const row = (one) => Math.floor(one / this.#columns);
    return row(index) < row(cells - 1) ? Math.min(index + this.#columns, cells - 1) : null;
  }

  /** Where one enters a group from the column of an index of another: in its last row from below, else in its first. */
  entering(index, cells, back) {
    const start = back ? cells - 1 - ((cells - 1) % this.#columns) : 0;
    return Math.min(start + (index % this.#columns), cells - 1);
  }
}
