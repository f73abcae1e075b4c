// Comment templates and coded findings, in the language of the page.

import { get } from "./api.js";
import { element, find } from "./dom.js";
import { language, t } from "./text.js";

const all = await get("/phrases");

const inWords = (phrase) => (language === "fr" ? phrase.french : phrase.english);

/** The words of findings of a case. */
export const findingWords = (codes) =>
  codes.map((code) => inWords(all.find((one) => one.code === code) ?? { english: code, french: code }));

/** Let a template be put at the end of the text of a field. */
export function offerTemplates(choice, field) {
  const offered = all.filter((one) => one.kind === "comment" && one.active);
  choice.closest("label").hidden = offered.length === 0;
  choice.replaceChildren(element("option", { value: "" }, t("phrases.choose")),
    ...offered.map((one) => element("option", { value: one.code }, inWords(one))));
  choice.addEventListener("change", () => {
    const words = offered.find((one) => one.code === choice.value);
    if (words) field.value = [field.value.trim(), inWords(words)].filter(Boolean).join("\n");
    choice.value = "";
    field.focus();
  });
}

/** Fill a place with a box for each finding that is offered, or that the case has. */
export function fillFindings(place, codes) {
  const offered = all.filter((one) => one.kind === "finding" && (one.active || codes.includes(one.code)));
  place.replaceChildren(...offered.map((one) => element("label", { class: "check" },
    element("input", { type: "checkbox", name: "findings", value: one.code, checked: codes.includes(one.code) }), inWords(one))));
  find("findings-part").open = codes.length > 0;
}
