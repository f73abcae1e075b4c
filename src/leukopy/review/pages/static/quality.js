// How well model and readers agree over all signed cases.

import { ready } from "./page.js";
import { attempt, get } from "./api.js";
import { showAgreement } from "./agreement.js";
import { find } from "./dom.js";

ready();
attempt(async () => {
  const view = await get("/agreement");
  find("empty").hidden = view.cells > 0;
  find("figures").hidden = view.cells === 0;
  if (view.cells) {
    showAgreement(
      { facts: find("facts"), classes: find("classes"), confusion: find("confusion"), pairs: find("pairs") }, view);
  }
}).then((there) => {
  find("broken").hidden = there;
});
