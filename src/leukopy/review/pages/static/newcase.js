// A new case: its entries, and the files or folder that fill it.

import { attempt, post } from "./api.js";
import { entries } from "./casehead.js";
import { ask, complain, element, find, say } from "./dom.js";
import { dropped, outcome, refusals, send } from "./files.js";
import { counted, t } from "./text.js";

let files = [];
let list = null; // what the work list does: load, watch, hold

function choose(more) {
  files = more;
  const words = files.length === 1 ? files[0].name : counted("newcase.files", files.length);
  find("chosen-files").textContent = files.length ? words : t("newcase.no_files");
  const slide = find("new-case").querySelector("[name=slide]");
  if (files.length && slide.value === "") slide.value = files[0].name.replace(/\.[a-z]+$/i, "");
}

async function newCase(dropping = [], byEye = false) {
  const dialog = find("new-case");
  dialog.querySelector("form").reset();
  find("new-title").textContent = t(byEye ? "count.start" : "newcase.title");
  for (const part of dialog.querySelectorAll(".choose, details")) part.hidden = byEye;
  choose(dropping);
  const values = await ask(dialog);
  if (values === null) return;
  let draft;
  try {
    draft = { ...entries(values), priority: values.get("priority"), due: values.get("due") || null };
  } catch (error) {
    complain(error.message);
    return;
  }
  await attempt(async () => {
    const opened = await post("/cases", draft);
    if (byEye) return location.assign(`/cases/${opened.id}/count`);
    list.hold(opened.id);
    await list.load();
    await fillCase(opened.id, values.get("folder")?.trim() ?? "");
    list.hold(null);
    await list.load();
  });
}

async function fillCase(caseId, folder) {
  if (folder) {
    report(await post(`/cases/${caseId}/import`, { folder }));
    return;
  }
  if (!files.length) return;
  const progress = (words) => find(`progress-${caseId}`)?.replaceChildren(element("span", { class: "quiet" }, words));
  const result = await send(caseId, files, progress);
  report(result);
  if (result.added) list.watch(caseId);
}

/** Say what was taken, and list what was not. */
function report(result) {
  say(outcome(result));
  find("refused").hidden = result.refused.length === 0;
  find("refused-words").textContent = counted("files.refused", result.refused.length);
  find("refused-list").replaceChildren(...refusals(result.refused));
}

/** Wire the buttons. `load()` lists the cases again, `watch(id)` shows an analysis, `hold(id)`: its files are sent now. */
export function wireNewCase(hands) {
  list = hands;
  dropped((dropping) => newCase(dropping));
  for (const button of document.querySelectorAll(".new-case")) button.addEventListener("click", () => newCase());
  find("count-by-eye").addEventListener("click", () => newCase([], true));
  find("choose-files").addEventListener("click", () => find("files").click());
  find("files").addEventListener("change", (event) => choose([...event.target.files]));
}
