// Rules of signing, in words.

import { byCode, className } from "./classes.js";
import { plain, t } from "./text.js";

/** The name of what a rule looks at. */
export const measureWords = (measure) => (byCode.has(measure) ? className(measure) : t(`measure.${measure}`));

/** A rule as a sentence. */
export const ruleWords = (rule) =>
  t("rules.sentence", {
    measure: measureWords(rule.measure), comparison: t(`comparison.${rule.comparison}`), limit: plain(rule.limit),
    unit: t(`rule_unit.${rule.unit}`), demand: t(`demand.${rule.demand}`),
  });
