// The one place that talks to /api/v1.

import { complain } from "./dom.js";
import { t, translated } from "./text.js";

const ROOT = "/api/v1";
const LONGEST = 20000; // ms without an answer after which a gesture counts as unanswered
const token = document.querySelector("meta[name=csrf]");
const csrf = () => token.content;

/** Whether the page is on its way to the log-in, and comes back from there. */
export let leaving = false;

/** Why, in the language of the page; of a form that is wrong, which values are. */
function inWords({ errors, detail, title }) {
  if (!errors) return translated(detail ?? title ?? "");
  return errors.map((one) => `${one.where.replace(/^body\./, "")}: ${translated(one.message)}`).join("; ");
}

/** What the server would not do, and why (problem+json). */
export class Problem extends Error {
  constructor(status, body) {
    super(inWords(body));
    this.status = status;
    this.current = body.current ?? null;
  }

  /** For people: what happened, then why. */
  get sentence() {
    const known = [0, 400, 401, 403, 404, 409, 413, 415, 422, 429, 503].includes(this.status) ? this.status : 500;
    return [t(`problem.${known}`), this.message].filter(Boolean).join(" ");
  }
}

export const address = (path) => ROOT + path;

async function call(method, path, body, timeout) {
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["X-CSRF-Token"] = csrf();
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  let text;
  try {
    answer = await fetch(ROOT + path, {
      method, headers, body: body === undefined ? undefined : JSON.stringify(body),
      signal: timeout ? AbortSignal.timeout(timeout) : null,
    });
    text = answer.status === 204 ? "" : await answer.text();
  } catch {
    throw new Problem(0, {});
  }
  if (answer.status === 403 && method !== "GET" && (await renewed(timeout))) return call(method, path, body, timeout);
  return read(answer.status, text, path);
}

/** Whether the same user began another session in another tab, whose token the page then takes. */
async function renewed(timeout) {
  const me = await call("GET", "/me", undefined, timeout);
  if (me.csrf === csrf()) return false;
  if (me.user.id !== document.documentElement.dataset.user) {
    location.reload(); // nothing of this page is done in another user's name
    return false;
  }
  token.content = me.csrf;
  return true;
}

function read(status, text, path) {
  const body = text.startsWith("{") || text.startsWith("[") ? JSON.parse(text) : null;
  if (status === 401 && path !== "/session") {
    leaving = true;
    location.assign(`/login?next=${encodeURIComponent(location.pathname)}`);
  }
  if (status >= 400) throw new Problem(status, body ?? {});
  return body;
}

export const get = (path) => call("GET", path);
export const post = (path, body) => call("POST", path, body);
export const put = (path, body) => call("PUT", path, body);
export const patch = (path, body) => call("PATCH", path, body);
/** A call of a gesture, which is tried again where no answer comes in time. */
export const inTime = (method, path, body) => call(method, path, body, LONGEST);
export const remove = (path) => call("DELETE", path);

/** Ask so that the last question counts: the answer to an earlier one that comes after another was asked is null. */
export function newest(ask) {
  let last = 0;
  return async (...words) => {
    last += 1;
    const mine = last;
    const answer = await ask(...words);
    return mine === last ? answer : null;
  };
}

/** Send files; `progress` is told the share that was sent, 0 to 1 (fetch cannot tell it). */
export function upload(path, files, progress) {
  const form = new FormData();
  for (const file of files) form.append("files", file, file.name);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", ROOT + path);
    request.setRequestHeader("X-CSRF-Token", csrf());
    request.setRequestHeader("Accept", "application/json");
    request.upload.onprogress = (event) => progress(event.loaded / event.total);
    request.onerror = () => reject(new Problem(0, {}));
    request.onload = () => {
      try {
        resolve(read(request.status, request.responseText, path));
      } catch (problem) {
        reject(problem);
      }
    };
    request.send(form);
  });
}

/** Run what may be refused, and say so where it is. Answers whether it went well. */
export async function attempt(step) {
  busy(1);
  try {
    await step();
    return true;
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    complain(problem.sentence);
    return false;
  } finally {
    busy(-1);
  }
}

let steps = 0; // that the page waits for

function busy(more) {
  steps += more;
  document.documentElement.classList.toggle("busy", steps > 0);
}
