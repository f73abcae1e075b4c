// Shares over time as a drawing, with their limits; the table beside it says the same.

const WIDTH = 720;
const HEIGHT = 200;
const COLOURS = ["#5a3d8a", "#2f6b46", "#9c2c22", "#1f5c8a", "#7a5600", "#6b6b6b"];

function drawn(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

export const lineColour = (at) => COLOURS[at % COLOURS.length];

/**
 * Draw lines. `series`: for each line its points `{ at, value, low, high }`, `at` in milliseconds; `low` and `high` may
 * be null. `most`: the value at the upper edge; null: the greatest. `threshold`: a line across, or null.
 */
export function chart(series, most = 1, threshold = null) {
  const points = series.flat();
  const times = points.map((one) => one.at);
  const [first, last] = [Math.min(...times), Math.max(...times)];
  const top = most ?? Math.max(threshold ?? 0, ...points.map((one) => one.high ?? one.value)) * 1.1;
  const x = (at) => (first === last ? WIDTH / 2 : 8 + ((WIDTH - 16) * (at - first)) / (last - first));
  const y = (value) => HEIGHT - 8 - ((HEIGHT - 16) * value) / top;
  const svg = drawn("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" });
  for (const share of [0, 0.25, 0.5, 0.75, 1]) svg.append(drawn("path", { class: "grid", d: `M0 ${y(share * top)}H${WIDTH}` }));
  if (threshold !== null) svg.append(drawn("path", { class: "threshold", d: `M0 ${y(threshold)}H${WIDTH}` }));
  for (const [at, line] of series.entries()) {
    const colour = lineColour(at);
    const sorted = [...line].sort((one, other) => one.at - other.at);
    svg.append(drawn("path", { class: "line", stroke: colour, d: sorted.map((one, n) => `${n ? "L" : "M"}${x(one.at)} ${y(one.value)}`).join("") }));
    for (const one of sorted) {
      if (one.low !== null && one.low !== undefined) svg.append(drawn("path", { class: "whisker", stroke: colour, d: `M${x(one.at)} ${y(one.low)}V${y(one.high)}` }));
      svg.append(drawn("circle", { cx: x(one.at), cy: y(one.value), r: 4, fill: colour }));
    }
  }
  return svg;
}
