// Reactive or tumoral lymphocytosis of a case.

import { Problem, address, get } from "./api.js";
import { element, find } from "./dom.js";
import { counted, decimal, language, percent, range, t, word } from "./text.js";

/** Show the result of a case, or say what it lacks. */
export async function showPatient(shown) {
  const missing = [shown.age === null ? t("case.age") : "", shown.lymphocytes === null ? t("case.lymphocytes") : ""];
  if (missing.some(Boolean)) {
    without(t("patient.missing", { what: missing.filter(Boolean).join(", ") }));
    return;
  }
  try {
    show(shown, await get(`/cases/${shown.id}/patient`));
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    without([t("patient.none"), problem.message].join(" "));
  }
}

function without(words) {
  find("patient-missing").textContent = words;
  find("patient-missing").hidden = false;
  find("patient-result").hidden = true;
}

function show(shown, view) {
  find("patient-missing").hidden = true;
  find("patient-result").hidden = false;
  find("decision").textContent = t(`decision.${view.decision}`);
  find("decision").className = `decision ${view.decision}`;
  find("probability").textContent = percent(100 * view.probability, 0);
  find("patient-limits").textContent =
    view.low === null ? "" : t("patient.interval", { range: range(100 * view.low, 100 * view.high, 0) });
  const gauge = find("gauge");
  gauge.style.setProperty("--at", view.probability);
  gauge.style.setProperty("--threshold", view.threshold);
  gauge.style.setProperty("--low", view.low ?? view.probability);
  gauge.style.setProperty("--high", view.high ?? view.probability);
  find("operating").textContent = t("patient.operating", {
    point: word("point", view.operating_point), threshold: percent(100 * view.threshold, 0),
    sensitivity: percent(100 * view.sensitivity, 0), specificity: percent(100 * view.specificity, 0),
  });
  find("patient-read").textContent = counted("patient.read", view.lymphocytes_read, {
    share: signed(view.clinical_share), model: view.model,
  });
  find("patient-flags").replaceChildren(
    ...view.flags.map((sentence, index) => element("li", {}, flag(sentence, view.flag_words[index]))),
  );
  find("influential").replaceChildren(
    ...view.cells.map((one) =>
      element("li", {},
        element("img", { src: address(`/cases/${shown.id}/cells/${one.cell}/image?side=160`), alt: "", width: "80", height: "80", loading: "lazy" }),
        element("span", {}, t("tile.number", { id: one.cell })),
        element("small", { class: one.influence > 0 ? "towards" : "against" }, signed(one.influence))),
    ),
  );
}

/** The model's own sentence in English, which holds the numbers; what its fixed word stands for in other languages. */
const flag = (sentence, fixed) => (language === "en" || !fixed ? sentence : word("patient_flag", fixed));

const signed = (value) => `${value > 0 ? "+" : "−"}${decimal(Math.abs(value), 2)}`;
