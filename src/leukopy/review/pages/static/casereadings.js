// Blind readings of one case, on the page where it is signed.

import { attempt, get, post } from "./api.js";
import { ask, element, find, say } from "./dom.js";
import { percent, t, whole } from "./text.js";

/** List the readings of a case, and let a reviewer ask for another. */
export async function caseReadings(id) {
  if (!find("blind")) return;
  find("ask-reading").onclick = () => askFor(id);
  const found = await get(`/cases/${id}/readings`);
  find("case-readings").replaceChildren(...found.map((one) => element("li", {},
    one.state === "finished" || one.own ? element("a", { href: `/readings/${one.id}` }, t(`reading_kind.${one.kind}`)) : t(`reading_kind.${one.kind}`),
    ` · ${one.reader} · ${t(`reading_state.${one.state}`)}`,
    one.agreed === null ? null : ` · ${t("agreement.raw")} ${percent((100 * one.agreed) / one.cells)}`,
    one.to_settle ? element("span", { class: "unsure" }, ` · ${t("readings.to_settle")} ${whole(one.to_settle)}`) : null)));
}

async function askFor(id) {
  const form = find("ask-dialog").querySelector("form");
  const users = (await get("/users")).filter((user) => user.active);
  form.elements.reader.replaceChildren(...users.map((user) => element("option", { value: user.id }, user.full_name)));
  const values = await ask(find("ask-dialog"));
  if (values === null) return;
  await attempt(async () => {
    await post(`/cases/${id}/readings`, { reader: values.get("reader"), cells: Number(values.get("cells")) || null });
    say(t("said.saved"));
    await caseReadings(id);
  });
}
