// Files dropped onto the page, and sending them.

import { get, post, upload } from "./api.js";
import { element } from "./dom.js";
import { counted, language, t, word } from "./text.js";

const CASES = 5; // other cases that are named

/** Call `take` with files that are dropped anywhere on the page; a veil says that they may be. */
export function dropped(take) {
  const veil = element("div", { class: "veil", "aria-hidden": "true" }, element("p", {}, t("files.drop")));
  document.body.append(veil);
  const holds = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!holds(event)) return;
    event.preventDefault();
    veil.classList.add("shown");
  });
  document.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) veil.classList.remove("shown");
  });
  document.addEventListener("drop", (event) => {
    veil.classList.remove("shown");
    if (!holds(event)) return;
    event.preventDefault();
    take([...event.dataTransfer.files]);
  });
}

/**
 * Send files to a case and start its analysis. `progress` gets sentences; without a kind (cells, fields) the pictures tell.
 * Returns the refused files.
 */
export async function send(caseId, files, progress, kind) {
  progress(t("files.sending", { share: "0" }));
  const result = await upload(`/cases/${caseId}/images${kind ? `?kind=${kind}` : ""}`, files, (share) =>
    progress(share < 1 ? t("files.sending", { share: Math.floor(100 * share) }) : t("files.checking")),
  );
  if (result.added) await post(`/cases/${caseId}/analysis`);
  return result;
}

/** What became of files, as one sentence. */
export function outcome(result) {
  const refused = result.refused.length;
  const kinds = Object.keys(result.passed_over);
  const passed = Object.values(result.passed_over).reduce((sum, count) => sum + count, 0);
  return [
    counted("files.added", result.added),
    result.repeated ? counted("files.repeated", result.repeated) : "",
    ...elsewhere(result.elsewhere),
    refused ? counted("files.refused", refused) : "",
    passed ? `${counted("files.passed_over", passed)} (${kinds.join(", ")})` : "",
  ].filter(Boolean).join(" ");
}

/** Sentences on other cases that hold images of a case. */
export const elsewhere = (cases) =>
  cases.slice(0, CASES).map((one) => counted("files.elsewhere", one.images, { slide: one.slide }));

/** Show under which other cases a case's images lie. */
export async function showElsewhere(place, caseId) {
  const found = await get(`/cases/${caseId}/elsewhere`);
  place.hidden = found.length === 0;
  place.replaceChildren(...found.slice(0, CASES).map((one) =>
    element("a", { href: `/cases/${one.id}` }, counted("files.elsewhere", one.images, { slide: one.slide }))));
}

/** Files that were not taken, as list items. */
export function refusals(refused) {
  return refused.map((one) =>
    element("li", {}, element("strong", {}, one.name), " ", word("refused", one.reason),
      language === "en" && element("small", { class: "quiet" }, one.message)),
  );
}
