// Elements are made one by one and filled with text: nothing that a person typed is ever read as HTML.

/** Make an element: `on…` attributes listen, `--…` ones are CSS properties, null and false ones are left out. */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name.startsWith("--")) node.style.setProperty(name, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Make an element of a drawing (SVG), like `element`. */
export function drawing(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("--")) node.style.setProperty(name, value);
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

export const find = (id) => document.getElementById(id);

/** The coloured dot of a class. */
export const dot = (colour) => element("span", { class: "dot", "--colour": colour, "aria-hidden": "true" });

export function table(heads, rows, attributes = {}) {
  const cell = ([text, kind], tag) => element(tag, { class: kind || null, scope: tag === "th" ? "col" : null }, text);
  return element(
    "div",
    { class: "scroll", tabindex: "0", role: "group", "aria-label": attributes["aria-label"] ?? null },
    element(
      "table",
      { class: attributes.class ?? null },
      element("thead", {}, element("tr", {}, heads.map((head) => cell([head].flat(), "th")))),
      element("tbody", {}, rows),
    ),
  );
}

/** Say what was done, to eyes and to screen readers. */
export function say(text) {
  show("said", text, 5000);
}

/** Say what went wrong; it stays until it is closed or another thing goes wrong. */
export function complain(text) {
  show("wrong", text, 0);
}

const timers = {};

function show(id, text, milliseconds) {
  const place = find(id);
  clearTimeout(timers[id]);
  place.querySelector("span").textContent = text;
  place.classList.add("shown");
  if (milliseconds) timers[id] = setTimeout(() => place.classList.remove("shown"), milliseconds);
}

export function quiet(id) {
  find(id).classList.remove("shown");
}

/** Ask in a dialog; resolves with its form's values when it is sent, with null when it is closed. */
export function ask(dialog) {
  const form = dialog.querySelector("form");
  return new Promise((resolve) => {
    const sent = (event) => {
      event.preventDefault();
      end(new FormData(form));
    };
    const closed = () => end(null);
    const end = (values) => {
      form.removeEventListener("submit", sent);
      dialog.removeEventListener("close", closed);
      dialog.close();
      resolve(values);
    };
    form.addEventListener("submit", sent);
    dialog.addEventListener("close", closed);
    dialog.showModal();
  });
}
