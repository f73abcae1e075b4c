// Size and crop of the tiles: chosen by slider, button and keys, and kept for the user in this browser.

import { find } from "./dom.js";
import { typing } from "./page.js";

const STEP = 16; // px that a key changes
const KEPT = `tiles ${document.documentElement.dataset.user}`;

/** Wire the controls of the tiles of a board. */
export function wireTiles(board) {
  const slider = find("tile-size");
  const crop = find("crop");
  const chosen = { side: null, cropped: false, ...JSON.parse(localStorage.getItem(KEPT) ?? "{}") };
  const choose = (change) => {
    Object.assign(chosen, change);
    localStorage.setItem(KEPT, JSON.stringify(chosen));
    show();
  };
  const show = () => {
    board.resize(chosen.side, chosen.cropped);
    slider.value = chosen.side ?? board.side;
    crop.setAttribute("aria-pressed", chosen.cropped ? "true" : "false");
  };
  const step = (pixels) => {
    slider.value = Number(slider.value) + pixels; // within its ends
    choose({ side: Number(slider.value) });
  };
  slider.addEventListener("input", () => choose({ side: Number(slider.value) }));
  crop.addEventListener("click", () => choose({ cropped: !chosen.cropped }));
  document.addEventListener("keydown", (event) => {
    if (typing(event) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "+" || event.key === "=") step(STEP);
    else if (event.key === "-") step(-STEP);
    else if (event.key === ".") choose({ cropped: !chosen.cropped });
    else return;
    event.preventDefault();
  });
  show();
}
