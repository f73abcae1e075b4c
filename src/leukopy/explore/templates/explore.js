"use strict";
// Draw every figure from the data of the page, and show the cell under the pointer beside the projections.
const figures = JSON.parse(document.getElementById("figures").textContent);
const config = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["select2d", "lasso2d"] };
for (const { name, data, layout } of figures) Plotly.newPlot(name, data, layout, config);

const plot = document.getElementById("projections");
const shown = document.getElementById("hovered");
if (plot && shown) {
  const { tile, side } = shown.dataset;
  plot.on("plotly_hover", ({ points: [point] }) => {
    const at = point.customdata;
    shown.firstElementChild.style.backgroundPosition = `${-(at % side) * tile * 3}px ${-Math.floor(at / side) * tile * 3}px`;
    shown.lastElementChild.textContent = point.text;
    shown.hidden = false;
  });
}
