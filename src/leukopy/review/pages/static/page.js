// What every page has: theme, language, help, log-out.

import { attempt, remove } from "./api.js";
import { find, quiet } from "./dom.js";
import { t } from "./text.js";

const root = document.documentElement;
const THEMES = ["auto", "light", "dark"];

function theme() {
  return root.dataset.theme ?? "auto";
}

function nameTheme() {
  const button = find("theme");
  const words = t(`theme.${theme()}`);
  button.dataset.shows = theme();
  button.title = words;
  button.setAttribute("aria-label", words);
}

find("theme").addEventListener("click", () => {
  const next = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
  if (next === "auto") {
    delete root.dataset.theme;
    localStorage.removeItem("theme");
  } else {
    root.dataset.theme = next;
    localStorage.setItem("theme", next);
  }
  nameTheme();
});
nameTheme();

for (const button of document.querySelectorAll("[data-language]")) {
  button.addEventListener("click", () => {
    document.cookie = `language=${button.dataset.language}; path=/; max-age=31536000; samesite=strict`;
    location.reload();
  });
}

for (const button of document.querySelectorAll("dialog [data-close]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}
find("wrong").querySelector("button").addEventListener("click", () => quiet("wrong"));

find("leave")?.addEventListener("click", () =>
  attempt(async () => {
    await remove("/session");
    location.assign("/login");
  }),
);

const help = find("help");
find("ask-help")?.addEventListener("click", () => help.showModal());
document.addEventListener("keydown", (event) => {
  if (event.key === "?" && !typing(event)) help?.showModal();
});

/** Each page says when its buttons are wired: a click before would be lost. */
export function ready() {
  find("contents").inert = false;
}

/** Whether a key belongs to a field, or to a dialog that is open. */
export function typing(event) {
  return event.target.closest("input:not([type=range], [type=checkbox]), textarea, select") !== null
    || document.querySelector("dialog[open]") !== null;
}
