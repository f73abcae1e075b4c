// Results on their way to other systems: of one case, or all.

import { element } from "./dom.js";
import { moment, t, whole } from "./text.js";

/** Fill a table of deliveries. `again`: called with a route, to send its result once more. */
export function showDeliveries(body, deliveries, { cases = false, again = null } = {}) {
  const latest = new Set();
  body.replaceChildren(...deliveries.map((one) => {
    const first = !latest.has(one.route);
    latest.add(one.route);
    return row(one, cases, again && first ? () => again(one.route) : null);
  }));
}

function row(one, cases, again) {
  const state = t(`delivery.state.${one.state}`);
  return element("tr", { "data-delivery": one.id },
    element("td", { class: "date" }, moment(one.sent ?? one.created)),
    element("td", {}, t(`delivery.route.${one.route}`)),
    element("td", {}, t(`delivery.kind.${one.kind}`)),
    element("td", { class: "figure" }, whole(one.revision)),
    element("td", {}, element("span", { class: `delivery ${one.state}` }, state),
      one.next_attempt && one.attempts ? ` ${t("delivery.next", { at: moment(one.next_attempt) })}` : ""),
    element("td", { class: "figure" }, whole(one.attempts)),
    element("td", { class: "quiet details" }, one.answer),
    cases ? element("td", {}, element("a", { href: `/cases/${one.case_id}/sign` }, t("audit.open"))) : null,
    again ? element("td", { class: "figure" }, element("button", { type: "button", class: "small", onclick: again,
      "aria-label": t("delivery.again_by", { route: t(`delivery.route.${one.route}`) }) }, t("delivery.again"))) : cases ? null : element("td", {}));
}
