// The user's own password.

import { ready } from "./page.js";
import { attempt, post } from "./api.js";
import { complain, find, say } from "./dom.js";
import { t } from "./text.js";

find("password-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  if (form.get("new") !== form.get("again")) {
    complain(t("account.differ"));
    return;
  }
  attempt(async () => {
    const me = await post("/me/password", { present: form.get("present"), new: form.get("new") });
    document.querySelector("meta[name=csrf]").content = me.csrf;
    event.target.reset();
    say(t("account.changed"));
  });
});

ready();
