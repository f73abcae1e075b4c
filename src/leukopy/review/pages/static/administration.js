// Users, own classes, and the log that only grows.

import { ready } from "./page.js";
import { attempt, get, newest, patch, post } from "./api.js";
import { classes } from "./classes.js";
import { showDeliveries } from "./deliveries.js";
import { ask, complain, dot, element, find, say } from "./dom.js";
import { entryRows } from "./history.js";
import { counted, named, t, translated, whole } from "./text.js";
import "./wording.js";

// ---------------------------------------------------------------- users

async function users() {
  find("users").replaceChildren(...(await get("/users")).map(userRow));
}

function userRow(user) {
  return element("tr", { class: user.active ? null : "inactive" },
    element("th", { scope: "row" }, user.name), element("td", {}, user.full_name), element("td", {}, t(`role.${user.role}`)),
    element("td", {}, t(user.active ? "users.active" : "users.inactive")),
    element("td", { class: "figure" }, element("button", { type: "button", class: "small", onclick: () => changeUser(user),
      "aria-label": t("users.change_of", { name: user.full_name }) }, t("users.change"))));
}

async function changeUser(user) {
  const dialog = find("user-dialog");
  const form = dialog.querySelector("form");
  form.reset();
  find("user-title").textContent = user ? t("users.change_of", { name: user.full_name }) : t("users.add");
  find("user-name").hidden = user !== null;
  form.elements.name.required = user === null;
  form.elements.password.required = user === null;
  find("user-active").hidden = find("keep-password").hidden = user === null;
  form.elements.full_name.value = user?.full_name ?? "";
  form.elements.role.value = user?.role ?? "reader";
  form.elements.active.checked = user?.active ?? true;
  const values = await ask(dialog);
  if (values === null) return;
  await attempt(async () => {
    const change = { full_name: values.get("full_name"), role: values.get("role") };
    if (values.get("password")) change.password = values.get("password");
    if (user) await patch(`/users/${user.id}`, { ...change, active: values.has("active") });
    else await post("/users", { ...change, name: values.get("name") });
    await users();
    say(t("said.saved"));
  });
}

find("add-user")?.addEventListener("click", () => changeUser(null));

// ---------------------------------------------------------------- classes

function classRow(choice) {
  return element("tr", {},
    element("th", { scope: "row" }, dot(choice.colour), named(choice)), element("td", {}, choice.code),
    element("td", {}, choice.key ? element("kbd", {}, choice.key) : "–"), element("td", {}, t(`place.${choice.place}`)),
    element("td", {}, choice.own ? t("classes.own") : ""));
}

find("class-rows").replaceChildren(...classes.map(classRow));
find("add-class").addEventListener("click", async () => {
  find("class-dialog").querySelector("form").reset();
  const values = await ask(find("class-dialog"));
  if (values === null) return;
  await attempt(async () => {
    const choice = Object.fromEntries(["name", "french", "colour", "key", "place"].map((name) => [name, values.get(name)]));
    await post("/classes", { ...choice, code: values.get("code").toUpperCase(), key: choice.key.toLowerCase(), own: true });
    find("class-rows").replaceChildren(...(await get("/classes")).map(classRow));
    say(t("said.saved"));
  });
});

// ---------------------------------------------------------------- patients

const patient = () => new FormData(find("erase-form")).get("patient").trim();

/** The number of cases of the patient that is named; complains where there is none. */
async function casesOf() {
  const found = await post("/patients/cases", { patient: patient() });
  if (found.length === 0) complain(t("erase.none"));
  return found.length;
}

/** Ask once more, then erase; tells what was erased. */
async function erase(words, path, body) {
  find("erase-words").textContent = words;
  if ((await ask(find("erase-dialog"))) === null) return;
  const erased = await post(path, body);
  find("erase-form").reset();
  say(t("said.erased", { cases: whole(erased.cases), images: whole(erased.images) }));
  await Promise.all([audit(), due()]);
}

find("erase-form").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(async () => {
    const count = await casesOf();
    const body = { patient: patient() };
    if (count) await erase(t("erase.sure", { count: whole(count), name: body.patient }), "/patients/erase", body);
  });
});

find("void-patient").addEventListener("click", () =>
  attempt(async () => {
    if (!find("erase-form").reportValidity() || !(await casesOf())) return;
    find("void-dialog").querySelector("form").reset();
    const values = await ask(find("void-dialog"));
    if (values === null) return;
    const done = await post("/patients/void", { patient: patient(), reason: values.get("reason") });
    say(t("said.voided", { cases: whole(done.cases) }));
    await audit();
  }),
);

async function due() {
  const count = (await get("/patients/due")).length;
  find("due").hidden = count === 0;
  find("due").querySelector("span").textContent = t("erase.due", { count: whole(count) });
  find("due").querySelector("button").onclick = () =>
    attempt(() => erase(t("erase.due_sure", { count: whole(count) }), "/patients/due/erase"));
}

// ---------------------------------------------------------------- exchange

async function exchange() {
  const [state, found] = await Promise.all([get("/exchange"), get("/deliveries")]);
  const parts = Object.entries(state.routes).map(([route, to]) => t(`exchange.${route}`, { to }));
  if (state.orders_port !== null) parts.push(t("exchange.port", { port: state.orders_port }));
  if (state.orders_folder) parts.push(t("exchange.folder"));
  find("exchange-state").textContent = parts.length ? parts.join(" ") : t("exchange.nothing");
  find("exchange-table").hidden = found.deliveries.length === 0;
  find("exchange-counts").textContent = t("exchange.counts", { waiting: whole(found.waiting), refused: whole(found.refused) });
  showDeliveries(find("deliveries"), found.deliveries, { cases: true });
}

// ---------------------------------------------------------------- audit

let page = 1;
const entriesOf = newest(() => get(`/audit?page=${page}`));

async function audit() {
  const entries = await entriesOf();
  if (entries === null) return;
  find("entries").replaceChildren(...entryRows(entries, true));
  find("newer").disabled = page === 1;
  find("older").disabled = entries.length === 0 || entries.at(-1).number <= 1;
  find("audit-page").textContent = entries.length
    ? t("audit.shown", { from: whole(entries.at(-1).number), to: whole(entries[0].number) }) : t("audit.empty");
}

for (const [name, by] of [["newer", -1], ["older", 1]]) {
  find(name).addEventListener("click", () => {
    page += by;
    attempt(audit);
  });
}

find("verify").addEventListener("click", () =>
  attempt(async () => {
    const check = await get("/audit/verify");
    const place = find("verified");
    place.hidden = false;
    place.className = `verdict ${check.intact ? "intact" : "broken"}`;
    place.textContent = check.intact
      ? counted("audit.intact", check.entries) : [t("audit.broken"), translated(check.problem)].join(" ");
  }),
);

ready();
attempt(audit);
attempt(exchange);
attempt(due);
if (find("users")) attempt(users);
