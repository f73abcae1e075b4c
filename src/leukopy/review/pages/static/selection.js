// Which cells are chosen, and which one the keys act on. It knows ids only, no page.

export class Selection {
  chosen = new Set();
  current = null;
  #anchor = null;

  only(id) {
    this.chosen = new Set(id === null ? [] : [id]);
    this.current = this.#anchor = id;
  }

  toggle(id) {
    if (!this.chosen.delete(id)) this.chosen.add(id);
    this.current = this.#anchor = id;
  }

  /** All from where the last choice began up to `id`, in the order of `order`. */
  upTo(id, order) {
    this.#anchor ??= this.current ?? id;
    const from = order.indexOf(this.#anchor);
    const to = order.indexOf(id);
    this.chosen = new Set(order.slice(Math.min(from, to), Math.max(from, to) + 1));
    this.current = id;
  }

  all(ids) {
    this.chosen = new Set(ids);
  }

  none() {
    this.chosen.clear();
    this.#anchor = null;
  }
}
