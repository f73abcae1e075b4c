// Keys of a count by eye on their way to the station: kept in this browser until they are stored, even if it is closed.

import { Problem } from "./api.js";

const GATHER = 300; // ms in which keys are gathered into one part
const PAUSES = [1000, 2000, 4000, 8000]; // ms before each further try
const UNANSWERED = [0, 401, 502, 503, 504]; // the station said nothing of the keys themselves
const LONGEST = 200; // keys of one part

/** A random name; `crypto.randomUUID` needs HTTPS. */
const newKey = () => [...crypto.getRandomValues(new Uint8Array(16))].map((one) => one.toString(16).padStart(2, "0")).join("");

export class Tally {
  #name;
  #place;
  #send;
  #running = false;
  #sent = null; // the part that is being sent
  /** Parts that are not stored: `{ key, steps }`, the steps as the API takes them. */
  parts = [];
  stalled = false;
  onchange = () => {};
  /** Told the station's answer to a part that was stored. */
  onstored = () => {};
  /** Told why a part was refused; it is dropped. */
  onrefused = () => {};

  /** `name`: of user and case. `send(part)` resolves with the answer. */
  constructor(name, send) {
    this.#name = `tally ${name} `;
    this.#place = this.#name + newKey();
    this.#send = send;
    this.#adopt();
  }

  /** Take over what a closed page left; a part that another open page sends too is stored once, by its key. */
  #adopt() {
    for (const place of Object.keys(localStorage).filter((one) => one.startsWith(this.#name))) {
      this.parts.push(...JSON.parse(localStorage.getItem(place)));
      localStorage.removeItem(place);
    }
    this.#keep();
  }

  /** Count a cell of a class; null takes the last one back. */
  press(code) {
    let part = this.parts.at(-1);
    if (part === undefined || part === this.#sent || part.steps.length >= LONGEST) {
      part = { key: newKey(), steps: [] };
      this.parts.push(part);
    }
    part.steps.push(code);
    this.#keep();
    this.onchange();
    this.run();
  }

  /** Steps that are not stored, in order. */
  get steps() {
    return this.parts.flatMap((part) => part.steps);
  }

  #keep() {
    if (this.parts.length) localStorage.setItem(this.#place, JSON.stringify(this.parts));
    else localStorage.removeItem(this.#place);
  }

  async run() {
    if (this.#running) return;
    this.#running = true;
    let failures = 0;
    while (this.parts.length) {
      await wait(failures ? PAUSES[Math.min(failures, PAUSES.length) - 1] : GATHER);
      failures = (await this.#next()) ? 0 : failures + 1;
    }
    this.#running = false;
  }

  /** Send the first part; false: it is still waiting. */
  async #next() {
    this.#sent = this.parts[0];
    try {
      const answer = await this.#send(this.#sent);
      this.#drop();
      this.onstored(answer);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (UNANSWERED.includes(problem.status)) {
        this.stalled = true;
        this.onchange();
        return false;
      }
      this.#drop();
      await this.onrefused(problem);
    }
    return true;
  }

  #drop() {
    this.parts.shift();
    this.#sent = null;
    this.stalled = false;
    this.#keep();
    this.onchange();
  }
}

const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
