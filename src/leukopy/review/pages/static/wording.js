// Administration of comment templates, findings, and rules of signing.

import { attempt, get, post } from "./api.js";
import { classes, className } from "./classes.js";
import { ask, complain, element, find, say } from "./dom.js";
import { measureWords, ruleWords } from "./rules.js";
import { t, typed } from "./text.js";

const SUMS = ["BLASTS", "WBC", "NEU", "IG"]; // measures of a rule that may be no class of one cell

function changeButton(code, change) {
  return element("td", { class: "figure" }, element("button", { type: "button", class: "small", onclick: change,
    "aria-label": t("users.change_of", { name: code }) }, t("users.change")));
}

async function showPhrases() {
  find("phrase-rows").replaceChildren(...(await get("/phrases")).map((one) =>
    element("tr", { class: one.active ? null : "inactive", "data-phrase": one.code },
      element("th", { scope: "row" }, one.code), element("td", {}, t(`phrase_kind.${one.kind}`)),
      element("td", { lang: "en" }, one.english), element("td", { lang: "fr" }, one.french),
      element("td", {}, t(one.active ? "phrases.offered" : "phrases.hidden")), changeButton(one.code, () => changePhrase(one)))));
}

async function showRules() {
  find("rule-rows").replaceChildren(...(await get("/rules")).map((one) =>
    element("tr", { class: one.active ? null : "inactive", "data-rule": one.code },
      element("th", { scope: "row" }, one.code), element("td", {}, ruleWords(one)),
      element("td", {}, t(one.active ? "rules.on" : "rules.off")), changeButton(one.code, () => changeRule(one)))));
}

/** Open a dialog with the values of a row, or empty for a new one; answers what was entered, or null. */
async function enter(dialog, row) {
  const form = dialog.querySelector("form");
  form.reset();
  for (const [name, value] of Object.entries(row ?? { active: true })) {
    if (name === "active") form.elements.active.checked = value;
    else form.elements[name].value = value;
  }
  form.elements.code.readOnly = row !== null;
  const values = await ask(dialog);
  return values && { ...Object.fromEntries(values), active: values.has("active") };
}

async function changePhrase(phrase) {
  const entered = await enter(find("phrase-dialog"), phrase);
  if (entered === null) return;
  await attempt(async () => {
    await post("/phrases", entered);
    await showPhrases();
    say(t("said.saved"));
  });
}

async function changeRule(rule) {
  const entered = await enter(find("rule-dialog"), rule);
  if (entered === null) return;
  const limit = typed(entered.limit);
  if (!(limit >= 0)) {
    complain(t("rules.limit_wrong"));
    return;
  }
  await attempt(async () => {
    await post("/rules", { ...entered, limit });
    await showRules();
    say(t("said.saved"));
  });
}

const known = new Set(classes.map((one) => one.code));
find("rule-dialog").querySelector("[name=measure]").replaceChildren(
  ...SUMS.filter((one) => !known.has(one)).map((one) => element("option", { value: one }, measureWords(one))),
  ...classes.map((one) => element("option", { value: one.code }, className(one.code))));
find("add-phrase").addEventListener("click", () => changePhrase(null));
find("add-rule").addEventListener("click", () => changeRule(null));
attempt(showPhrases);
attempt(showRules);
