// The queue: cells to look at before signing, across classes, the most doubtful first.

import { find, say } from "./dom.js";
import { t, whole } from "./text.js";

export class Queue {
  #board;
  /** Told when a view of the tiles is turned to. */
  onturn = () => {};

  constructor(board) {
    this.#board = board;
    for (const view of ["classes", "queue"]) find(`view-${view}`).addEventListener("click", () => this.turn(view));
  }

  get #cells() {
    return this.#board.rows.filter((row) => row.look?.length);
  }

  get #left() {
    return this.#cells.filter((row) => row.seen_by === null).length;
  }

  /** How much of it was seen. */
  show() {
    const cells = this.#cells.length;
    const figures = { seen: whole(cells - this.#left), count: whole(cells) };
    find("queue-seen").textContent = cells ? t("queue.seen", figures) : t("queue.none");
    find("view-queue").disabled = cells === 0;
  }

  /** Whether the view shows the queue and nothing of it is left. */
  done() {
    return this.#board.view === "queue" && this.#left === 0;
  }

  /** Show the queue, and choose its first cell. */
  start() {
    if (!this.#cells.length) return say(t("queue.none"));
    this.turn("queue");
    const [first] = this.#board.order();
    this.#board.selection.only(first);
    this.#board.mark();
    this.#board.focus(first);
  }

  /** Show the tiles by class, or those to look at. */
  turn(view) {
    this.onturn();
    this.#board.turn(view);
    for (const one of ["classes", "queue"]) find(`view-${one}`).setAttribute("aria-pressed", one === view ? "true" : "false");
    scrollTo(0, 0);
  }
}
