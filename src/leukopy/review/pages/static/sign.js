// The page where a case is looked over, signed, signed again, amended and handed out.

import { ready } from "./page.js";
import { Problem, address, attempt, get, patch, post } from "./api.js";
import { showAgreement } from "./agreement.js";
import { caseReadings } from "./casereadings.js";
import { OPEN, numberOf, showHead } from "./casehead.js";
import { showDeliveries } from "./deliveries.js";
import { beside, lines, notes, target } from "./differential.js";
import { ask, complain, element, find, say } from "./dom.js";
import { showElsewhere } from "./files.js";
import { entryRows } from "./history.js";
import { showPatient } from "./lymphocytosis.js";
import { ruleWords } from "./rules.js";
import { counted, moment, plain, t, whole } from "./text.js";

const id = location.pathname.split("/")[2];
const path = `/cases/${id}`;
const me = await get("/me");
let shown = null;

async function load() {
  const [now, view] = await Promise.all([get(path), get(`${path}/differential`)]);
  shown = now;
  showHead(shown);
  showSteps();
  showDownloads();
  find("count-words").textContent = counted("sign.counted", view.leukocytes, { cells: counted("cells", view.cells) });
  find("model").textContent = shown.model ? t("sign.model", { model: shown.model }) : "";
  showSeen(view.looked);
  find("target").replaceChildren(...target(view));
  find("count").replaceChildren(lines(view, true), beside(view), notes(view));
  for (const name of ["age", "lymphocytes"]) {
    find(name).value = plain(shown[name]);
    find(name).disabled = !OPEN.includes(shown.status);
  }
  find("patient-form").querySelector("button:not([type])").disabled = !OPEN.includes(shown.status);
  offer(view.lymphocytes);
  const parts = [
    attempt(async () => showDemands(await get(`${path}/demands`))),
    attempt(() => caseReadings(id)),
    attempt(async () => showHistory(await get(`${path}/history`))),
    attempt(() => showElsewhere(find("elsewhere"), id)),
    attempt(showSent),
  ];
  const byEye = shown.cells > 0 && shown.model === null; // without a model to compare with, or a picture to read
  for (const name of ["agreement", "patient", "blind"]) (document.querySelector(`[aria-labelledby=${name}-title]`)?? {}).hidden = byEye;
  if (byEye) find("to-gallery").href = `/cases/${id}/count`;
  if (shown.cells && !byEye) {
    parts.push(
      attempt(async () => showAgreement(
        { facts: find("agreement-facts"), classes: find("agreement-classes"), pairs: find("agreement-pairs") },
        await get(`${path}/agreement`))),
      attempt(() => showPatient(shown)),
    );
  }
  await Promise.all(parts);
}

// ---------------------------------------------------------------- results sent

let looking = null; // while a result is on its way

async function showSent() {
  const [{ routes }, found] = await Promise.all([get("/exchange"), get(`${path}/deliveries`)]);
  const may = me.user.role !== "reader" && shown.signatures.length > 0;
  find("sent").hidden = found.length === 0 && !(may && Object.keys(routes).length);
  showDeliveries(find("deliveries"), found, { again: may ? sendAgain : null });
  const unused = Object.keys(routes).filter((route) => may && !found.some((one) => one.route === route));
  find("send-buttons").replaceChildren(...unused.map((route) => element("button", { type: "button", class: "small",
    onclick: () => sendAgain(route) }, t("delivery.send", { route: t(`delivery.route.${route}`) }))));
  clearTimeout(looking);
  if (found.some((one) => one.state === "waiting")) looking = setTimeout(() => showSent().catch(() => null), 3000);
}

const sendAgain = (route) =>
  attempt(async () => {
    await post(`${path}/deliveries`, { route });
    say(t("said.queued"));
    await showSent();
  });

// ---------------------------------------------------------------- steps

/** Which buttons may be pressed now, and by whom. */
function showSteps() {
  const { status } = shown;
  const signs = me.user.role !== "reader";
  const own = shown.signatures.filter((one) => one.revision === shown.revision);
  const done = status === "signed" || status === "amended";
  const may = {
    reviewed: status === "draft" && shown.cells > 0,
    reopen: status === "reviewed",
    sign: signs && (status === "reviewed" || status === "amending"),
    second: signs && done && own.length === 1 && own[0].user !== me.user.full_name,
    amend: signs && done,
    void: signs && status !== "void",
  };
  for (const [step, allowed] of Object.entries(may)) find(step).hidden = !allowed;
  const hint = done && own.length === 1 && !may.second ? "second_other" : !signs && status !== "draft" ? "reader" : status;
  find("step-words").textContent = t(`step.${shown.cells || status !== "draft" ? hint : "empty"}`);
  for (const item of document.querySelectorAll("#path li")) {
    item.removeAttribute("aria-current");
    if (item.dataset.statuses.split(" ").includes(status)) item.setAttribute("aria-current", "step");
  }
  find("amending").hidden = !shown.amendment_reason;
  find("amending").textContent = shown.amendment_reason
    ? t("sign.reason", { revision: shown.revision, reason: shown.amendment_reason }) : "";
  find("voided").hidden = !shown.void_reason;
  find("voided").textContent = shown.void_reason ? t("void.is", { reason: shown.void_reason }) : "";
  find("signatures").replaceChildren(...shown.signatures.map(signature));
  find("unsigned").hidden = shown.signatures.length > 0;
}

/** How many of the cells to look at were seen, with the way to the others. */
function showSeen(looked) {
  find("seen").hidden = !looked?.queue;
  if (find("seen").hidden) return;
  const figures = { seen: whole(looked.queue_seen), count: whole(looked.queue) };
  find("seen").replaceChildren(t("sign.seen", figures), " ",
    looked.queue_seen < looked.queue && OPEN.includes(shown.status)
      ? element("a", { href: `/cases/${id}#queue` }, t("sign.look")) : "");
}

/** What the rules of the laboratory ask of this case before it is signed. */
function showDemands(found) {
  const open = OPEN.includes(shown.status) && shown.cells > 0;
  find("demands").hidden = !open || found.length === 0;
  find("demands").replaceChildren(...found.map((one) => element("li", { class: one.met ? null : "unsure" },
    `${ruleWords(one.rule)} `, element("strong", {}, t(one.met ? "rules.met" : "rules.not_met")))));
}

/** The next step answers to Enter. */
function focusStep() {
  const next = ["reviewed", "sign", "second"].map(find).find((button) => !button.hidden);
  if (document.activeElement === document.body) next?.focus();
}

function signature(one) {
  return element("li", {},
    element("strong", {}, one.user), ` ${t(`signature.${one.part}`)}`,
    element("small", { class: "quiet" },
      ` ${t("sign.when", { revision: one.revision, at: moment(one.at) })} · sha256 `, element("code", {}, one.digest.slice(0, 12))));
}

async function step(name, body, words) {
  const buttons = [...document.querySelectorAll(".card .buttons button")];
  for (const button of buttons) button.disabled = true; // a second click would be a second step
  await attempt(async () => {
    try {
      shown = await post(`${path}/${name}`, { version: shown.version, ...body });
    } catch (problem) {
      if (problem instanceof Problem && problem.status === 409) await load();
      throw problem;
    }
    await load();
    say(t(words));
  });
  for (const button of buttons) button.disabled = false;
  focusStep();
}

find("reviewed").addEventListener("click", () => step("reviewed", {}, "said.reviewed"));
find("reopen").addEventListener("click", () => step("reopen", {}, "said.reopened"));
for (const name of ["sign", "second"]) {
  find(name).addEventListener("click", async () => {
    find("confirm-words").textContent = t(`confirm.${name}`, { name: me.user.full_name, slide: shown.slide });
    find("confirm").querySelector("form").reset();
    const values = await ask(find("confirm"));
    if (values !== null) await step(name, { password: values.get("password") }, `said.${name}`);
  });
}
find("void").addEventListener("click", async () => {
  find("void-dialog").querySelector("form").reset();
  const values = await ask(find("void-dialog"));
  if (values !== null) await step("void", { reason: values.get("reason") }, "said.void");
});
find("amend").addEventListener("click", async () => {
  find("amend-dialog").querySelector("form").reset();
  const values = await ask(find("amend-dialog"));
  if (values !== null) await step("amend", { reason: values.get("reason") }, "said.amend");
});

// ---------------------------------------------------------------- patient, history, downloads

/** Lymphocytes of the blood from leukocytes × share, where none are entered. */
function offer(lymphocytes) {
  const rounded = lymphocytes === null ? null : Math.round(100 * lymphocytes) / 100;
  find("offer").hidden = rounded === null || shown.lymphocytes !== null || !OPEN.includes(shown.status);
  find("offer").textContent = rounded === null ? "" : t("patient.offer", { value: plain(rounded) });
  find("offer").onclick = () => {
    find("lymphocytes").value = plain(rounded);
    find("lymphocytes").focus();
  };
}

find("patient-form").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(async () => {
    let fields;
    try {
      fields = { age: numberOf("age", find("age").value), lymphocytes: numberOf("lymphocytes", find("lymphocytes").value) };
    } catch (error) {
      complain(error.message);
      return;
    }
    shown = await patch(path, { version: shown.version, ...fields });
    await load();
    say(t("said.saved"));
  });
});

function showHistory(entries) {
  find("history").replaceChildren(...entryRows(entries, false));
}

function showDownloads() {
  const preliminary = shown.signatures.length === 0;
  const revision = preliminary ? shown.revision : Math.max(...shown.signatures.map((one) => one.revision));
  find("downloads-words").textContent = t(preliminary ? "download.preliminary" : "download.signed");
  for (const [name, ending] of [["html", "html"], ["pdf", "pdf"], ["fhir", "fhir.json"], ["csv", "csv"], ["xlsx", "xlsx"]]) {
    const link = find(`download-${name}`);
    link.href = address(`${path}/report.${ending}`);
    link.setAttribute("download", `leukopy-${id.slice(0, 8)}-r${revision}.${ending}`);
  }
  find("view").href = address(`${path}/report.html`);
}

ready();
attempt(load).then((there) => {
  focusStep();
  find("content").hidden = !there;
  find("missing").hidden = there;
});
