// The classes as a bar: what they count, what key gives them, and where cells are dropped.

import { classes, className, colour } from "./classes.js";
import { dot, element } from "./dom.js";
import { t, whole } from "./text.js";

/** Fill the bar; `choose` is told the code of a class that was clicked. */
export function fillBar(place, choose) {
  for (const [index, choice] of classes.entries()) {
    const first = index > 0 && choice.place !== classes[index - 1].place;
    place.append(
      element(
        "li",
        { class: first ? "place" : null },
        element(
          "button",
          { type: "button", class: "class", "data-code": choice.code, "--colour": choice.colour,
            title: className(choice.code), onclick: () => choose(choice.code) },
          dot(colour(choice.code)),
          element("span", { class: "name" }, className(choice.code)),
          element("span", { class: "figure" }),
          choice.key ? element("kbd", { "aria-label": t("bar.key", { key: choice.key }) }, choice.key) : null,
        ),
      ),
    );
  }
}

/** Show how many cells each class has; duplicates are in none. */
export function countBar(place, rows) {
  const counts = Map.groupBy(rows.filter((row) => row.not_counted !== "duplicate"), (row) => row.code);
  for (const button of place.querySelectorAll(".class")) {
    const number = counts.get(button.dataset.code)?.length ?? 0;
    button.classList.toggle("none", number === 0);
    button.querySelector(".figure").textContent = number ? whole(number) : "";
  }
}

/** List the keys of the classes, for the help. */
export function fillKeys(place) {
  place.append(...classes.filter((choice) => choice.key).map((choice) =>
    element("li", {}, element("kbd", {}, choice.key), dot(choice.colour), className(choice.code))));
}
