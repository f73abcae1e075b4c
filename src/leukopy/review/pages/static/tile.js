// One cell as a tile of the board.

import { address } from "./api.js";
import { className, colour } from "./classes.js";
import { element } from "./dom.js";
import { chance, t, word } from "./text.js";

const SIDES = [160, 320, 512]; // px of a picture's file: sharp on dense screens at half that size

export function makeTile(id) {
  return element(
    "li",
    { class: "tile", id: `cell-${id}`, role: "option", "data-cell": id, draggable: "true", tabindex: "-1" },
    element("img", { alt: "", decoding: "async", draggable: "false" }),
    element("span", { class: "chance" }), " ", element("span", { class: "note" }),
  );
}

/** Show a cell as it is now. `view`: of the board. */
export function fillTile(tile, row, view) {
  const changed = row.code !== row.model_code;
  tile.classList.toggle("uncertain", row.flags.includes("uncertain") && row.seen_by === null);
  tile.classList.toggle("seen", row.seen_by !== null);
  tile.classList.toggle("changed", changed);
  tile.classList.toggle("remarked", row.comment !== "");
  tile.classList.toggle("pending", row.pending === true);
  tile.querySelector(".chance").textContent = chance(row.confidence);
  const was = changed ? t("tile.model", { code: row.model_code ?? t("cell.no_class") }) : "";
  tile.querySelector(".note").textContent = view === "classes" ? was : (row.code ?? t("cell.no_class"));
  tile.style.setProperty("--colour", colour(row.code));
  const seen = [...tile.querySelectorAll("span")].map((span) => span.textContent).filter(Boolean).join(" ");
  tile.setAttribute("aria-label", describe(row, seen));
  tile.title = describe(row, chance(row.confidence));
}

/** Show the picture of a cell in a file that suits the side of its tile. `cropped`: to the cell itself. */
export function picture(tile, caseId, side, cropped) {
  const file = SIDES.find((one) => one >= 1.25 * side) ?? SIDES.at(-1);
  const found = address(`/cases/${caseId}/cells/${tile.dataset.cell}/image?side=${file}${cropped ? "&cropped=true" : ""}`);
  const image = tile.querySelector("img");
  if (image.getAttribute("src") !== found) image.src = found;
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
