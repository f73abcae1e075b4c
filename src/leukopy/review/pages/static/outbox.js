// Gestures on their way to the station: in order, kept in this tab until they are stored, even through a log-in.

import { Problem } from "./api.js";

const SLOW = 3000; // ms without an answer after which the reader is told
const PAUSES = [1000, 2000, 4000, 8000]; // ms before each further try
const UNANSWERED = [0, 401, 502, 503, 504]; // the station said nothing of the gesture itself

export class Outbox {
  #place;
  #send;
  #running = false;
  #goOn = () => {};
  waiting = [];
  /** The station does not answer: gestures wait, and nothing may be undone. */
  stalled = false;
  onchange = () => {};
  /** Told each gesture that was stored, with the answer. */
  onstored = () => {};
  /** Told each gesture that was refused, and why. Undo and redo that followed it are dropped. */
  onrefused = () => {};

  /** `name`: of user and case. `send(gesture)` resolves with the answer. */
  constructor(name, send) {
    this.#place = `gestures ${name}`;
    this.#send = send;
    const kept = JSON.parse(sessionStorage.getItem(this.#place) ?? "[]");
    this.waiting = kept.map((gesture) => ({ ...gesture, tried: true }));
  }

  add(gesture) {
    this.waiting.push(gesture);
    this.#changed();
    this.run();
  }

  /** Give up all that is not stored; one that is being sent may still be stored. */
  discard() {
    this.waiting = [];
    this.stalled = false;
    this.#changed();
    this.#goOn();
  }

  /** Try now what waits for its next try. */
  retry() {
    this.#goOn();
  }

  /** Let the waiting gestures name the versions that a stored one left. */
  rebase({ cells, case: shown }) {
    const versions = new Map(cells.map((row) => [row.id, row.version]));
    for (const gesture of this.waiting) {
      for (const change of gesture.changes ?? []) change.version = versions.get(change.cell) ?? change.version;
      if ("version" in gesture) gesture.version = shown.version;
    }
    this.#changed();
  }

  async run() {
    if (this.#running) return;
    this.#running = true;
    try {
      let failures = 0;
      while (this.waiting.length) failures = (await this.#next()) ? 0 : await this.#pause(failures);
    } finally {
      this.#running = false;
    }
  }

  /** Send the first gesture; false: it is still waiting. */
  async #next() {
    const [gesture] = this.waiting;
    const slow = setTimeout(() => this.#stall(), SLOW);
    let told;
    try {
      const answer = await this.#send(gesture);
      told = () => this.onstored(gesture, answer);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (UNANSWERED.includes(problem.status)) {
        gesture.tried = true;
        this.#stall();
        return this.waiting[0] !== gesture;
      }
      this.#dropUndo();
      told = () => this.onrefused(gesture, problem);
    } finally {
      clearTimeout(slow);
    }
    if (this.waiting[0] === gesture) this.waiting.shift();
    this.stalled = false;
    this.#changed();
    await told();
    return true;
  }

  #pause(failures) {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#goOn(), PAUSES[Math.min(failures, PAUSES.length - 1)]);
      this.#goOn = () => {
        clearTimeout(timer);
        resolve(failures + 1);
      };
    });
  }

  #stall() {
    this.stalled = true;
    this.#dropUndo();
    this.#changed();
  }

  /** An undo that was not sent would take back another gesture than the one that the reader saw. */
  #dropUndo() {
    this.waiting = this.waiting.filter((gesture, at) => at === 0 || !["undo", "redo"].includes(gesture.kind));
  }

  #changed() {
    if (this.waiting.length) sessionStorage.setItem(this.#place, JSON.stringify(this.waiting));
    else sessionStorage.removeItem(this.#place);
    this.onchange();
  }
}

/** What a gesture does to a row, as it is shown until the station has stored it. */
export function withWaiting(row, waiting, effects) {
  const shown = waiting.reduce((now, gesture) => effects[gesture.kind]?.(now, gesture) ?? now, row);
  return shown === row ? row : { ...shown, pending: true };
}
