// How well model and readers agree over all signed cases.

import { ready } from "./page.js";
import { attempt, get } from "./api.js";
import { showAgreement } from "./agreement.js";
import { showDaily } from "./daily.js";
import { element, find } from "./dom.js";
import { decimal, moment, range, t, whole } from "./text.js";

/** A model: since when it is used, how many cases it judged, and what fitting it to the laboratory gained. */
function modelRow({ name, sha256, current, since, cases, signed, gain }) {
  const measured = gain && t("teach.measured", { before: decimal(gain.before, 3), after: decimal(gain.after, 3),
    limits: range(gain.low, gain.high, 3), cells: whole(gain.cells), held_out: gain.held_out });
  return element("tr", {},
    element("th", { scope: "row" }, name, " ", element("code", { title: sha256 }, sha256.slice(0, 12)), current ? ` ${t("teach.current")}` : ""),
    element("td", {}, since ? moment(since) : "–"), element("td", { class: "figure" }, whole(cases)),
    element("td", { class: "figure" }, whole(signed)), element("td", { class: "quiet details" }, measured ?? "–"));
}

ready();
if (find("models")) attempt(async () => find("models").replaceChildren(...(await get("/models")).map(modelRow)));
attempt(async () => {
  const view = await get("/agreement");
  find("empty").hidden = view.cells > 0;
  find("figures").hidden = view.cells === 0;
  if (view.cells) {
    showAgreement(
      { facts: find("facts"), classes: find("classes"), confusion: find("confusion"), pairs: find("pairs") }, view);
  }
  await showDaily();
}).then((there) => {
  find("broken").hidden = there;
});
