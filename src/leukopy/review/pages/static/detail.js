// All that is known of one cell, beside the gallery.

import { Problem, address, get } from "./api.js";
import { byCode, className, classes, colour } from "./classes.js";
import { dot, element, find } from "./dom.js";
import { offerTemplates } from "./phrases.js";
import { Stage } from "./stage.js";
import { capital, chance, decimal, language, t, word } from "./text.js";

const SHOWN = 0.005; // probabilities below are not worth a bar

export class Detail {
  #caseId;
  #stage = new Stage();
  #cell = null;
  /** Told a cell and its new comment. */
  oncomment = () => {};

  constructor(caseId) {
    this.#caseId = caseId;
    const choice = find("reference-class");
    for (const one of classes) choice.append(element("option", { value: one.code }, className(one.code)));
    choice.addEventListener("change", () => this.#references(choice.value));
    offerTemplates(find("cell-templates"), find("comment"));
    find("void-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.onvoid(this.shown, this.#cell.version, find("void-reason").value.trim());
    });
    find("comment-form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (find("comment").value.trim() !== this.#cell.comment) this.oncomment(this.shown, find("comment").value.trim());
    });
  }

  /** Told a cell, its version, and why it is void. */
  onvoid = () => {};

  get shown() {
    return this.#cell?.id ?? null;
  }

  /** Fetch and show a cell; an answer that comes after another cell was asked for is not shown. */
  async show(id) {
    this.#cell = { id };
    const path = `/cases/${this.#caseId}/cells/${id}`;
    const cell = await get(path);
    if (this.shown !== id) return;
    this.#cell = cell;
    find("no-cell").hidden = true;
    find("cell").hidden = false;
    this.#stage.show(cell, address(`${path}/image?shown=true`), address(`${path}/heat`));
    this.#words(cell);
    find("comment").value = cell.comment;
    find("void-reason").value = cell.void_reason ?? "";
    find("void-part").open = cell.void_reason !== null;
    find("reference-class").value = byCode.has(cell.code) ? cell.code : classes[0].code;
    this.#references(find("reference-class").value);
    pictures(find("similar"), () => get(`${path}/similar`), () => this.shown === id);
  }

  /** Another class was given to a cell that is shown. */
  async refresh(rows) {
    const row = rows.find((one) => one.id === this.shown);
    if (!row || !("probabilities" in this.#cell)) return;
    this.#cell = { ...this.#cell, ...row };
    this.#words(this.#cell);
  }

  #words(cell) {
    find("cell-class").replaceChildren(dot(colour(cell.code)), className(cell.code));
    const key = cell.model_code === null ? "detail.no_class" : cell.code === cell.model_code ? "detail.agrees" : "detail.said";
    const who = cell.changed_by && cell.code !== cell.model_code ? t("detail.by", { name: cell.changed_by }) : "";
    find("cell-said").textContent =
      [t(key, { class: className(cell.model_code), chance: chance(cell.confidence) }), who].filter(Boolean).join(" ");
    const why = (cell.look ?? []).filter((reason) => !cell.flags.includes(reason)).map((reason) => word("look", reason));
    const voided = cell.void_reason ? [t("detail.voided", { reason: cell.void_reason })] : [];
    find("cell-flags").textContent = [...voided, ...cell.flags.filter((flag) => flag !== "void").map((flag) => word("flag", flag)), ...why].map(capital).join(", ");
    find("cell-file").textContent = t("detail.file", { name: cell.name, width: cell.width, height: cell.height });
    find("why").textContent = language === "en" ? capital(cell.why) : "";
    find("attributes").replaceChildren(...attributes(cell.attributes));
    find("no-attributes").hidden = Object.keys(cell.attributes).length > 0;
    find("probabilities").replaceChildren(...bars(cell.probabilities));
  }

  #references(code) {
    pictures(find("references"), () => get(`/references/${code}`), () => find("reference-class").value === code);
  }
}

function bars(probabilities) {
  return Object.entries(probabilities)
    .filter(([, probability]) => probability >= SHOWN)
    .sort(([, one], [, other]) => other - one)
    .map(([code, probability]) =>
      element("li", { "--share": probability, "--colour": colour(code) },
        element("span", {}, className(code)), element("span", { class: "track", "aria-hidden": "true" }),
        element("span", { class: "figure" }, chance(probability))),
    );
}

function attributes(found) {
  return Object.entries(found).map(([name, [value, probability]]) =>
    element("div", {}, element("dt", {}, word("attribute", name)),
      element("dd", {}, word(`attribute.${name}`, value), element("small", { class: "quiet" }, ` ${chance(probability)}`))),
  );
}

/** Fill a list with cells that are like another; `wanted` tells whether they are still asked for, `more` keeps those shown. */
export async function pictures(place, ask, wanted, more = false) {
  if (!more) place.replaceChildren(element("li", { class: "quiet" }, t("detail.searching")));
  let found;
  try {
    found = await ask();
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (wanted()) place.replaceChildren(element("li", { class: "quiet" }, t("detail.none"), " ", problem.message));
    return;
  }
  if (!wanted()) return;
  const list = found.map((one) =>
    element("li", { title: `${className(one.code)} · ${one.source}` },
      one.image
        ? element("img", { src: one.image, alt: className(one.code), width: "72", height: "72", loading: "lazy" }) : null,
      element("span", {}, dot(colour(one.code)), one.code, one.similarity < 1 ? " " : null),
      one.similarity < 1 ? element("small", { class: "quiet" }, decimal(one.similarity, 2)) : null),
  );
  if (!list.length) list.push(element("li", { class: "quiet" }, t("detail.none")));
  else if (!found.some((one) => one.image)) list.push(element("li", { class: "quiet" }, t("detail.no_pictures")));
  place.replaceChildren(...list);
}
