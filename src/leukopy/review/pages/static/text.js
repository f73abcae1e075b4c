// What the page says, in the language of the page, and numbers in that language's manner.

export const language = document.documentElement.lang;

const { server, ...texts } = await (await fetch(`/texts/${language}.json`)).json();
const plural = new Intl.PluralRules(language);
const SPACE = "\u202f"; // narrow, and no line is broken at it

/** The sentence of a key, with `{name}` filled in. */
export function t(key, values = {}) {
  return fill(texts[key] ?? key, values);
}

const fill = (sentence, values) => sentence.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

/** A sentence of the server's, which speaks English, in the language of the page; as it is where it is not known. */
export function translated(sentence) {
  for (const [english, own] of Object.entries(server)) {
    const found = sentence.match(pattern(english));
    if (found) return fill(own, found.groups ?? {});
  }
  return sentence;
}

const pattern = (english) =>
  new RegExp(`^${english.replace(/[.*+?^$()|[\]\\]/g, "\\$&").replace(/\{(\w+)\}/g, "(?<$1>.+)")}$`);

/** The sentence of a key that counts something: `key.one` or `key.other`. */
export function counted(key, number, values = {}) {
  const form = plural.select(number) === "one" ? "one" : "other";
  return t(`${key}.${form}`, { count: whole(number), ...values });
}

/** The sentence of a fixed word of the server's; the word itself where none is known. */
export const word = (group, value) => texts[`${group}.${value}`] ?? value;

const decimals = [0, 1, 2, 3].map(
  (digits) => new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits }),
);
const shortest = new Intl.NumberFormat(language, { maximumFractionDigits: 3 });

export const whole = (number) => decimals[0].format(number);
/** A number with a fixed number of decimals; a dash where there is none. */
export const decimal = (number, digits = 1) => (number === null ? "–" : decimals[digits].format(number));
/** A number with as many decimals as it has. */
export const plain = (number) => (number === null || number === undefined ? "" : shortest.format(number));
export const percent = (number, digits = 1) => (number === null ? "–" : `${decimal(number, digits)}${SPACE}%`);
export const range = (low, high, digits = 1) =>
  low === null || high === null ? "–" : `${decimal(low, digits)} – ${decimal(high, digits)}`;

/** A probability in whole per cent, never the certainty of 0 or 100; empty where there is none. */
export function chance(probability) {
  if (probability === null) return "";
  const share = 100 * probability;
  return share > 99 ? `>${SPACE}99${SPACE}%` : share < 1 ? `<${SPACE}1${SPACE}%` : `${whole(share)}${SPACE}%`;
}

const LOCALE = language === "en" ? "en-GB" : language; // the day before the month in both
const days = new Intl.DateTimeFormat(LOCALE, { dateStyle: "medium", timeZone: "UTC" });
const times = new Intl.DateTimeFormat(LOCALE, { dateStyle: "medium", timeStyle: "short" });

/** A day, written as the language does. */
export const day = (iso) => (iso ? days.format(new Date(`${iso}T00:00:00Z`)) : "");
/** A moment, in the reader's own time zone. */
export const moment = (iso) => times.format(new Date(iso));

/** What a person typed as a number, with comma or point: null for nothing, NaN for no number. */
export function typed(text) {
  const plainText = text.trim().replace(",", ".");
  return plainText === "" ? null : Number(plainText);
}

export const capital = (text) => text.charAt(0).toLocaleUpperCase(language) + text.slice(1);
/** The name of a class, a line or a row that bears both languages. */
export const named = (thing) => capital(language === "fr" ? thing.french : thing.name);
