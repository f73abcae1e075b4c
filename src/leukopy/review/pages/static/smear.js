// Red cells and platelets of the fields: what was found, its evidence on the photograph, and what the reader says of it.

import { attempt, get, put } from "./api.js";
import { complain, element, find, say, table } from "./dom.js";
import { decimal, language, plain, range, t, typed, whole, word } from "./text.js";

const GRADES = ["none", "1+", "2+", "3+"];

export class Smear {
  #path;
  #hands;
  #view = null;

  /** `hands.version()` is the version of the case, `hands.changed()` is told that it changed. */
  constructor(path, hands) {
    this.#path = path;
    this.#hands = hands;
  }

  async load() {
    this.#view = await get(`${this.#path}/smear`);
    find("smear").hidden = this.#view === null;
    if (this.#view !== null) this.#show();
  }

  #show() {
    const { findings, by } = this.#view;
    find("smear-rows").replaceChildren(this.#platelets(findings), this.#shapes(findings));
    find("smear-comment").value = findings.comment;
    find("smear-by").textContent = by ? t("smear.by", { name: by }) : "";
    find("smear-comment").onchange = (event) => this.#change({ comment: event.target.value.trim() });
  }

  #platelets(findings) {
    const { platelet_estimate: found, platelets, clumps, platelets_refused: refused, red_cells: red } = this.#view;
    const own = element("input", { inputmode: "decimal", autocomplete: "off", size: "6", value: plain(findings.platelets), "aria-label": t("smear.own_platelets"),
      onchange: (event) => this.#number(event.target) });
    const seen = element("input", { type: "checkbox", checked: findings.clumps === true, "aria-label": t("smear.own_clumps"),
      onchange: (event) => this.#change({ clumps: event.target.checked }) });
    const why = language === "en" && refused ? refused : refused ? t("smear.refused") : "";
    return table([t("smear.of"), [t("differential.count"), "figure"], ["10⁹/L", "figure"], [t("differential.limits"), "figure"], t("smear.own")], [
      element("tr", {}, element("th", { scope: "row" }, t("smear.platelets")), element("td", { class: "figure" }, whole(platelets)),
        element("td", { class: "figure main" }, decimal(found.value, 0)), element("td", { class: "figure quiet", title: why }, range(found.low, found.high, 0)),
        element("td", {}, own)),
      element("tr", {}, element("th", { scope: "row" }, t("smear.clumps")), element("td", { class: "figure" }, whole(clumps)),
        element("td", {}), element("td", { class: "quiet" }, why), element("td", {}, seen)),
      element("tr", {}, element("th", { scope: "row" }, t("smear.red_cells")), element("td", { class: "figure" }, whole(red)),
        element("td", {}), element("td", {}), element("td", {})),
    ], { "aria-label": t("smear.platelets") });
  }

  #shapes(findings) {
    const { shapes, judged, shapes_refused: refused } = this.#view;
    if (refused) return element("p", { class: "quiet" }, t("smear.no_shapes"), " ", language === "en" && refused);
    const rows = shapes.map((one) => element("tr", {},
      element("th", { scope: "row" }, word("shape", one.name)), element("td", { class: "figure" }, whole(one.count)),
      element("td", { class: "figure main" }, decimal(one.percent.value)),
      element("td", { class: "figure quiet" }, range(one.percent.low, one.percent.high)),
      element("td", {}, one.grade ? one.grade.replaceAll("no grade", "–").replace(" to ", " – ") : "–"),
      element("td", {}, this.#grade(one.name, findings.shapes[one.name]))));
    return table([t("smear.shape", { count: whole(judged) }), [t("differential.count"), "figure"], ["%", "figure"], [t("differential.limits"), "figure"],
      t("smear.grade"), t("smear.own")], rows, { "aria-label": t("smear.shapes") });
  }

  #grade(name, chosen) {
    return element("select", { "aria-label": t("smear.own_grade", { shape: word("shape", name) }),
      onchange: (event) => this.#change({ shapes: withGrade(this.#view.findings.shapes, name, event.target.value) }) },
    element("option", { value: "" }, "–"),
    GRADES.map((grade) => element("option", { value: grade, selected: grade === chosen }, grade === "none" ? t("smear.none") : grade)));
  }

  #number(input) {
    const value = typed(input.value);
    if (Number.isNaN(value) || value < 0 || value > 10000) return complain(t("smear.number"));
    this.#change({ platelets: value });
  }

  #change(part) {
    attempt(async () => {
      await put(`${this.#path}/smear`, { version: this.#hands.version(), findings: { ...this.#view.findings, ...part } });
      say(t("said.saved"));
      await this.#hands.changed();
    });
  }
}

function withGrade(shapes, name, grade) {
  const { [name]: _, ...others } = shapes;
  return grade === "" ? others : { ...others, [name]: grade };
}
