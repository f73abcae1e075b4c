"use strict";
// Draw every figure from the data of the page, and show the cell under the pointer beside the projections.
const figures = JSON.parse(document.getElementById("figures").textContent);
// Only these buttons: Plotly's own set holds one that uploads the chart to its maker, which no policy of a page can stop.
const modeBarButtons = [["toImage", "zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]];
const config = { displaylogo: false, responsive: true, plotlyServerURL: "", modeBarButtons };
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
