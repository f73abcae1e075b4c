// One cell, large: zoom, brightness, heat map, scale bar.

import { find } from "./dom.js";
import { plain, t } from "./text.js";

const MOST = 8; // times
const LENGTHS = [50, 20, 10, 5, 2, 1]; // µm of a scale bar

export class Stage {
  #place = find("stage");
  #picture = find("picture");
  #heat = find("heat");
  #zoom = 1;
  #shift = { x: 0, y: 0 };
  #cell = null;
  #heatAddress = "";

  constructor() {
    find("zoom").addEventListener("input", (event) => this.#zoomTo(Number(event.target.value)));
    find("brightness").addEventListener("input", (event) =>
      this.#place.style.setProperty("--brightness", event.target.value),
    );
    find("show-heat").addEventListener("change", () => this.#showHeat());
    this.#place.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.#zoomTo(this.#zoom * (event.deltaY < 0 ? 1.2 : 1 / 1.2));
    });
    this.#place.addEventListener("pointerdown", (event) => this.#drag(event));
    this.#place.addEventListener("keydown", (event) => this.#keys(event));
    new ResizeObserver(() => this.#scale()).observe(this.#place);
    this.#heat.addEventListener("error", () => {
      this.#heat.hidden = true;
      find("heat-missing").hidden = false;
    });
  }

  /** Show a cell (`CellDetail`) from the address of its picture and of its heat map. */
  show(cell, picture, heat) {
    this.#cell = cell;
    this.#picture.src = picture;
    this.#picture.alt = t("detail.picture", { id: cell.id, width: cell.width, height: cell.height });
    this.#heatAddress = heat;
    this.#zoomTo(1);
    this.#showHeat();
  }

  #showHeat() {
    const wanted = find("show-heat").checked && this.#cell !== null;
    find("heat-missing").hidden = true;
    this.#heat.hidden = !wanted;
    if (wanted && this.#heat.getAttribute("src") !== this.#heatAddress) this.#heat.src = this.#heatAddress;
  }

  #zoomTo(zoom) {
    this.#zoom = Math.min(MOST, Math.max(1, zoom));
    if (this.#zoom === 1) this.#shift = { x: 0, y: 0 };
    find("zoom").value = this.#zoom;
    this.#apply();
  }

  #apply() {
    const room = (this.#place.clientWidth * (this.#zoom - 1)) / 2;
    for (const side of ["x", "y"]) this.#shift[side] = Math.max(-room, Math.min(room, this.#shift[side]));
    this.#place.style.setProperty("--zoom", this.#zoom);
    this.#place.style.setProperty("--x", `${this.#shift.x}px`);
    this.#place.style.setProperty("--y", `${this.#shift.y}px`);
    this.#scale();
  }

  #drag(event) {
    event.preventDefault();
    this.#place.focus();
    this.#place.setPointerCapture(event.pointerId);
    let last = event;
    const moved = (next) => {
      this.#shift.x += next.clientX - last.clientX;
      this.#shift.y += next.clientY - last.clientY;
      last = next;
      this.#apply();
    };
    this.#place.addEventListener("pointermove", moved);
    const end = () => this.#place.removeEventListener("pointermove", moved);
    this.#place.addEventListener("pointerup", end, { once: true });
    this.#place.addEventListener("pointercancel", end, { once: true });
  }

  #keys(event) {
    const step = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] }[event.key];
    if (event.key === "+" || event.key === "-") this.#zoomTo(this.#zoom * (event.key === "+" ? 1.25 : 0.8));
    else if (step) {
      this.#shift.x += step[0];
      this.#shift.y += step[1];
      this.#apply();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** The longest bar of a round length that fits into a third of the picture. */
  #scale() {
    const bar = find("scale");
    const size = this.#cell?.micrometres_per_pixel;
    bar.hidden = !size;
    if (!size) return;
    const pixels = (this.#place.clientWidth / Math.max(this.#cell.width, this.#cell.height)) * this.#zoom;
    const width = (length) => (length / size) * pixels;
    const length = LENGTHS.find((one) => width(one) <= this.#place.clientWidth / 3) ?? LENGTHS.at(-1);
    bar.style.setProperty("--width", `${width(length)}px`);
    bar.querySelector("span").textContent = `${plain(length)}\u202fµm`;
  }
}
