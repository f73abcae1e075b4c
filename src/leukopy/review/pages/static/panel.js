// The panel beside the tiles: the count, and one cell.

import { find } from "./dom.js";

const TABS = ["count", "cell"];

export function tab(name) {
  for (const one of TABS) {
    find(`tab-${one}`).setAttribute("aria-selected", one === name ? "true" : "false");
    find(`tab-${one}`).tabIndex = one === name ? 0 : -1;
    find(`panel-${one}`).hidden = one !== name;
  }
  find("panel").scrollTo(0, 0);
}

export function panel(open) {
  find("panel").classList.toggle("open", open);
  find("show-panel").setAttribute("aria-expanded", open ? "true" : "false");
}

/** `chosen()` is told that the reader wants to see the cell that is meant. */
export function wirePanel(chosen) {
  for (const name of TABS) {
    find(`tab-${name}`).addEventListener("click", () => {
      tab(name);
      if (name === "cell") chosen();
    });
    find(`tab-${name}`).addEventListener("keydown", (event) => {
      if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
      const other = name === "count" ? "cell" : "count";
      tab(other);
      find(`tab-${other}`).focus();
    });
  }
  find("show-panel").addEventListener("click", () => panel(!find("panel").classList.contains("open")));
  find("close-panel").addEventListener("click", () => panel(false));
}
