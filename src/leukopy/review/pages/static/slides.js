// Two slides of one patient, class by class; and both as one case.

import { ready } from "./page.js";
import { attempt, get, newest, post } from "./api.js";
import { colour } from "./classes.js";
import { dot, element, find, table } from "./dom.js";
import { day, decimal, named, percent, t, whole } from "./text.js";

const id = location.pathname.split("/")[2];
let shown = null;
const ask = newest((other) => get(`/cases/${id}/comparison/${other}`));

async function load() {
  shown = await get(`/cases/${id}`);
  const siblings = await get(`/cases/${id}/siblings`);
  find("slide").textContent = shown.slide;
  find("alone").hidden = siblings.length > 0;
  find("both").hidden = siblings.length === 0;
  find("other").replaceChildren(...siblings.map((one) =>
    element("option", { value: one.id }, [one.slide, day(one.specimen_date)].filter(Boolean).join(" · "))));
  if (siblings.length) await compare();
}

async function compare() {
  const merge = find("merge-form").querySelector("button");
  merge.disabled = true; // nobody merges a slide whose comparison is not on the screen
  const found = await ask(find("other").value);
  if (found === null) return;
  const { cases, leukocytes, lines } = found;
  const heads = [[t("differential.class")], ...cases.flatMap((one, at) => [[`${one.slide} (${whole(leukocytes[at])})`, "figure"], ["%", "figure"]]),
    [t("compare.pooled"), "figure"], [t("compare.p"), "figure"], [t("differential.flag")]];
  find("lines").replaceChildren(table(heads, lines.map(row), { "aria-label": t("title.slides") }));
  find("merge-form").elements.slide.value = cases.map((one) => one.slide).join(" + ").slice(0, 200);
  merge.disabled = false;
}

function row(line) {
  const name = ["NEU", "IG"].includes(line.code) ? t(`differential.sum.${line.code}`) : named(line);
  return element("tr", { "data-line": line.code },
    element("th", { scope: "row" }, dot(colour(line.code)), name),
    ...[0, 1].flatMap((at) => [element("td", { class: "figure" }, whole(line.counts[at])), element("td", { class: "figure" }, percent(line.percents[at]))]),
    element("td", { class: "figure main" }, percent(line.pooled)),
    element("td", { class: "figure quiet" }, line.p === null ? "" : line.p < 0.001 ? `< ${decimal(0.001, 3)}` : decimal(line.p, 3)),
    element("td", { class: line.differs ? "sure" : "quiet" }, line.differs ? t("compare.differs") : ""));
}

find("other").addEventListener("change", () => attempt(compare));
find("merge-form").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(async () => {
    const merged = await post(`/cases/${id}/merge`, { other: find("other").value, slide: event.target.elements.slide.value });
    location.assign(`/cases/${merged.id}`);
  });
});

ready();
attempt(load).then((there) => {
  find("compare").setAttribute("aria-busy", "false");
  find("compare").hidden = !there;
  find("missing").hidden = there;
});
