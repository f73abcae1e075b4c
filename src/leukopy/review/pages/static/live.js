// Word of changes in the station, while somebody is there to read it.

import { address, get } from "./api.js";

const SILENCE = 15000; // ms without a sign of the station after which the connection counts as lost
const AGAIN = 4000; // ms before a closed connection is tried again
const PRESENT = 15 * 60000; // ms since the last gesture after which nobody is there: the session may end
const PACE = 1500; // ms between two words of changes

/** Call `changed` after changes; `state` is told `live`, `lost`, or `paused` (the page is hidden, or nobody is there). */
export function follow(changed, state) {
  let events = null;
  let silence = 0;
  let seen = Date.now();
  let due = 0;
  let first = true;

  const close = () => {
    clearTimeout(silence);
    events?.close();
    events = null;
  };
  const pause = () => {
    close();
    state("paused");
  };
  const alive = () => {
    clearTimeout(silence);
    silence = setTimeout(lost, SILENCE);
  };
  const lost = () => {
    close();
    state("lost");
    setTimeout(async () => {
      await get("/me").catch(() => null); // a session that has ended leads to the log-in
      if (events === null && !document.hidden) open();
    }, AGAIN);
  };
  const tell = () => {
    clearTimeout(due);
    due = setTimeout(changed, PACE);
  };

  function open() {
    close();
    events = new EventSource(address("/worklist/events"));
    alive();
    events.addEventListener("alive", () => (Date.now() - seen > PRESENT ? pause() : alive()));
    events.addEventListener("changed", () => {
      alive();
      tell();
    });
    // The station has looked at its log: what changed before this is on every list that is loaded from now on.
    events.addEventListener("ready", () => {
      state("live");
      if (!first) changed();
      first = false;
    });
    events.addEventListener("again", open);
    events.addEventListener("error", lost);
  }

  for (const kind of ["pointerdown", "keydown", "wheel"]) {
    addEventListener(kind, () => {
      seen = Date.now();
      if (events === null && !document.hidden) open();
    }, { passive: true });
  }
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) pause();
    else {
      seen = Date.now();
      open();
    }
  });
  addEventListener("pagehide", close);
  open();
}
