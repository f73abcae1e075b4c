// The head of a case: whose slide, where it stands, and its entries.

import { patch, post } from "./api.js";
import { ask, complain, element, find } from "./dom.js";
import { fillFindings, findingWords, offerTemplates } from "./phrases.js";
import { day, decimal, plain, t, typed } from "./text.js";

const NUMBERS = { age: 120, lymphocytes: 2000, leukocytes: 2000 }; // greatest value that may be entered
export const OPEN = ["draft", "reviewed", "amending"];

/** Show slide, patient and status. */
export function showHead(shown) {
  find("slide").textContent = shown.slide;
  document.title = `${shown.slide} · leukopy`;
  const facts = [
    [t("case.patient"), shown.patient],
    [t("case.specimen"), day(shown.specimen_date)],
    [t("case.order"), shown.order?.number],
    [t("case.requester"), shown.order?.requester],
    [t("case.age"), shown.age === null ? "" : t("unit.years", { value: plain(shown.age) })],
    [t("phrases.findings"), findingWords(shown.findings).join(", ")],
  ].filter(([, value]) => value);
  find("facts").replaceChildren(
    ...facts.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))),
  );
  find("status").replaceChildren(status(shown.status));
  find("unlike").hidden = !shown.slide_check?.unlike_training;
  find("unlike").textContent = shown.slide_check?.unlike_training ? unlike(shown) : "";
}

/** Warning that a slide is unlike the training data. */
export const unlike = ({ slide_check: found }) =>
  t("case.unlike", { distance: decimal(found.distance), nearest: found.nearest });

export const status = (value) => element("span", { class: `status ${value}` }, t(`status.${value}`));

/** A field's number, or a sentence on why it is none. */
export function numberOf(name, text) {
  const value = typed(text);
  if (value === null || (value >= 0 && value <= NUMBERS[name])) return value;
  throw new RangeError(t("case.number", { name: t(`case.${name}`), most: decimal(NUMBERS[name], 0) }));
}

/** The fields of a case from its form, as the API takes them. */
export function entries(values) {
  const fields = {
    slide: values.get("slide"), patient: values.get("patient"), comment: values.get("comment"),
    sex: values.get("sex") || null, leukocytes_corrected: values.get("leukocytes_corrected") !== null,
    specimen_date: values.get("specimen_date") || null, target: Number(values.get("target")),
  };
  for (const name of Object.keys(NUMBERS)) fields[name] = numberOf(name, values.get(name));
  return fields;
}

/** Fill the form of a case. */
export function fill(form, shown) {
  for (const name of ["slide", "patient", "comment", "sex", "specimen_date", "target"]) form.elements[name].value = shown[name] ?? "";
  for (const name of Object.keys(NUMBERS)) form.elements[name].value = plain(shown[name]);
  form.elements.leukocytes_corrected.checked = shown.leukocytes_corrected;
}

for (const field of document.querySelectorAll("[name=comment]")) {
  const choice = field.closest("form").querySelector("select.templates");
  if (choice) offerTemplates(choice, field);
}

/** Let a case's entries be edited. Answers the changed case, or null where nothing was changed. */
export async function edit(shown) {
  const dialog = find("case-dialog");
  dialog.querySelector("form").reset();
  fill(dialog.querySelector("form"), shown);
  fillFindings(find("findings"), shown.findings);
  const values = await ask(dialog);
  if (values === null) return null;
  try {
    const changed = await patch(`/cases/${shown.id}`, {
      version: shown.version, ...entries(values), findings: values.getAll("findings"),
    });
    const name = values.get("share")?.trim();
    return name ? await post(`/cases/${shown.id}/share`, { name }) : changed;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    complain(error.message);
    return null;
  }
}
