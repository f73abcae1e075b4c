// The classes that a reader may give, in display order.

import { get } from "./api.js";
import { named } from "./text.js";

const all = document.documentElement.dataset.page === "login" ? [] : await get("/classes");

export const classes = all;
export const byCode = new Map(all.map((choice) => [choice.code, choice]));
export const byKey = new Map(all.filter((choice) => choice.key).map((choice) => [choice.key, choice]));
const UNKNOWN = "#8a8a8a";

export const className = (code) => (byCode.has(code) ? named(byCode.get(code)) : code);
export const colour = (code) => byCode.get(code)?.colour ?? UNKNOWN;
