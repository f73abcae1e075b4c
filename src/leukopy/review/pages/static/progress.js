// How far an analysis is, live.

import { address, attempt, get, remove } from "./api.js";
import { element } from "./dom.js";
import { counted, t, whole } from "./text.js";

export const working = (job) => job.state === "queued" || job.state === "running";

/** Follow the analysis of a case until it ends; `ended` is told how. Answers the element that shows it. */
export function follow(caseId, ended) {
  const bar = element("progress", { max: "1", value: "0", "aria-label": t("progress.label") });
  const words = element("span", { class: "quiet" }, t("progress.queued"));
  const cancel = element("button", { type: "button", class: "small" }, t("progress.cancel"));
  cancel.addEventListener("click", () => attempt(() => remove(`/cases/${caseId}/analysis`)));
  const events = new EventSource(address(`/cases/${caseId}/analysis/events`));
  events.addEventListener("job", (event) => {
    const job = JSON.parse(event.data);
    if (job.total) bar.value = job.done / job.total;
    words.textContent =
      job.state === "queued" ? t("progress.queued") : counted("progress.running", job.total, { done: whole(job.done) });
    if (working(job)) return;
    events.close();
    ended(job);
  });
  events.addEventListener("error", () => {
    if (events.readyState === EventSource.CLOSED) ended({ state: "lost", message: "" });
  });
  addEventListener("pagehide", () => events.close());
  return element("span", { class: "progress" }, bar, words, cancel);
}

/** The analysis of a case, where one was started; null otherwise. */
export const latest = (caseId) => get(`/cases/${caseId}/analysis`);
