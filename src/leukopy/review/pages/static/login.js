// Name and password.

import { ready } from "./page.js";
import { attempt, post } from "./api.js";
import { find } from "./dom.js";

/** A path of this station, nothing else: an address from outside is no place to go to. */
function wanted() {
  const next = new URLSearchParams(location.search).get("next") ?? "/";
  return /^\/[a-z0-9/]*$/.test(next) && !next.startsWith("//") ? next : "/";
}

find("login")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  attempt(async () => {
    await post("/session", { name: form.get("name"), password: form.get("password") });
    location.assign(wanted());
  }).then((welcome) => {
    if (!welcome) find("password").select();
  });
});

ready();
document.querySelector("#login [name=name]")?.focus();
