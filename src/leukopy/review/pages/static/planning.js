// Priority, due day and owner of a case.

import { get, post } from "./api.js";
import { ask, element, find } from "./dom.js";

const me = document.documentElement.dataset;

/** Whether the user may plan a case and hand it over: its owner may, and reviewers. */
export const mayPlan = (one) => one.status !== "void" && (one.owner_id === me.user || me.role !== "reader");

/** Let a case be planned and handed over. Answers whether anything was changed. */
export async function plan(one) {
  const dialog = find("plan-dialog");
  const form = dialog.querySelector("form");
  find("plan-slide").textContent = one.slide;
  form.elements.priority.value = one.priority;
  form.elements.due.value = one.due ?? "";
  const users = (await get("/users")).filter((user) => user.active || user.id === one.owner_id);
  form.elements.owner.replaceChildren(...users.map((user) => element("option", { value: user.id }, user.full_name)));
  form.elements.owner.value = one.owner_id;
  const values = await ask(dialog);
  if (values === null) return false;
  let { version } = one;
  const due = values.get("due") || null;
  if (values.get("priority") !== one.priority || due !== one.due) {
    ({ version } = await post(`/cases/${one.id}/plan`, { version, priority: values.get("priority"), due }));
  }
  if (values.get("owner") !== one.owner_id) {
    await post(`/cases/${one.id}/owner`, { version, to: values.get("owner") });
  }
  return true;
}
