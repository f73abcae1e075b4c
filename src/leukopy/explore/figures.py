"""The interactive plots of the page, as Plotly describes them (plain mappings, drawn by plotly.js in the browser)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import polars as pl

from leukopy.explore.means import RADII, MeanCell
from leukopy.explore.projections import Space
from leukopy.explore.summaries import NO_LABEL, class_name, in_order
from leukopy.imaging.measures import Feature
from leukopy.taxonomy import find

Trace = dict[str, Any]

# Okabe & Ito, "Color Universal Design" (2008): distinct for most colour-blind readers, on light and dark paper.
_SOURCE_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9")
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
_RGB = {"red": "#c8443c", "green": "#3c9a4a", "blue": "#3f6fd1"}


@dataclass(frozen=True)
class Figure:
    """One plot and the sentence that says how to read it."""

    name: str
    """Its id in the page."""
    title: str
    reading: str
    data: list[Trace]
    layout: dict[str, Any]


def class_colour(code: str) -> str:
    """Hexadecimal colour of a class."""
    return "#8a8a8a" if code == NO_LABEL else find(code).colour


def source_colours(sources: Sequence[str]) -> dict[str, str]:
    """Hexadecimal colour of each source; from the seventh on they repeat."""
    return {source: _SOURCE_COLOURS[at % len(_SOURCE_COLOURS)] for at, source in enumerate(sources)}


def classes_figure(counts: pl.DataFrame, colours: Mapping[str, str]) -> Figure:
    """Cells by class and source."""
    order = in_order(counts["code"])
    data = []
    for source, colour in colours.items():
        found = dict(counts.filter(source=source).select("code", "cells").rows())
        data.append({
            "type": "bar", "orientation": "h", "name": escape(source), "marker": {"color": colour},
            "x": [found.get(code, 0) for code in order], "y": [class_name(code) for code in order],
            "hovertemplate": "%{x:,} cells",
        })  # fmt: skip
    layout = _layout(
        90 + 26 * len(order), barmode="stack", xaxis=_axis("cells"), yaxis={"automargin": True, "autorange": "reversed"}
    )
    return Figure(
        "classes", "Classes by source",
        "Each bar is a class as its source labels it; its length is the number of cells, its colours the sources.",
        data, layout,
    )  # fmt: skip


def sizes_figure(sizes: pl.DataFrame, colours: Mapping[str, str]) -> Figure:
    """Width and height of the images."""
    data = []
    for source, colour in colours.items():
        found = sizes.filter(source=source)
        data.append({
            "type": "scatter", "mode": "markers", "name": escape(source),
            "x": found["width"].to_list(), "y": found["height"].to_list(),
            "customdata": found["images"].to_list(),
            "marker": {"color": colour, "opacity": 0.7,
                       "size": [round(8 + 4 * float(np.log10(count)), 1) for count in found["images"]]},
            "hovertemplate": "%{x} × %{y} px: %{customdata:,} images",
        })  # fmt: skip
    layout = _layout(340, xaxis=_axis("width (px)"), yaxis=_axis("height (px)"))
    return Figure(
        "sizes", "Image sizes by source",
        "Each disc is one size of image, in pixels as stored; a larger disc holds more images (logarithmic).",
        data, layout,
    )  # fmt: skip


def boxes_figure(
    figure: tuple[str, str, str], spread: pl.DataFrame, features: Sequence[Feature], colours: Mapping[str, str]
) -> Figure:
    """Box plots by class and source, one feature shown at a time.

    Args:
        figure: its id, title and explanation.
        spread: the rows of `summaries.spreads`.
        features: those to choose from.
        colours: of the sources.
    """
    name, title, reading = figure
    order = in_order(spread["class"])
    data = []
    for at, feature in enumerate(features):
        for source, colour in colours.items():
            rows = spread.filter(pl.col("feature") == feature.name, pl.col("source") == source, pl.col("cells") > 0)
            columns = {"q1": "q1", "median": "median", "q3": "q3", "mean": "mean",
                       "lowerfence": "whisker_low", "upperfence": "whisker_high"}  # fmt: skip
            data.append({
                "type": "box", "name": escape(source), "x": rows["class"].to_list(), "visible": at == 0,
                **{key: _rounded(rows[column]) for key, column in columns.items()},
                "marker": {"color": colour}, "line": {"width": 1.2}, "offsetgroup": source, "legendgroup": source,
            })  # fmt: skip
    choose = _buttons([
        (shown.title, "update", [
            {"visible": [feature == shown for feature in features for _ in colours]},
            {"yaxis.title.text": _named(shown)},
        ])
        for shown in features
    ])  # fmt: skip
    layout = _layout(380, [choose], boxmode="group", xaxis=_categories(order), yaxis=_axis(_named(features[0])))
    how = (
        "The line in a box is the median (dashed: the mean), the box holds the middle half of the cells, the whiskers "
        "reach to the outermost cells within Tukey's fences (1.5 times the height of the box beyond it)."
    )
    return Figure(name, title, f"{reading} {how}", data, layout)


def colours_figure(spread: pl.DataFrame, sources: Sequence[str]) -> Figure:
    """Mean red, green and blue of each class, one source shown at a time."""
    order = in_order(spread["class"])
    data = []
    for source in sources:
        for channel, colour in _RGB.items():
            rows = spread.filter(pl.col("source") == source, pl.col("feature") == channel)
            data.append({
                "type": "bar", "name": channel, "x": rows["class"].to_list(), "y": _rounded(rows["mean"]),
                "error_y": {"type": "data", "array": _rounded(rows["deviation"]), "thickness": 1, "width": 2},
                "marker": {"color": colour}, "visible": source == sources[0],
            })  # fmt: skip
    choose = _buttons([
        (escape(shown), "restyle", [{"visible": [source == shown for source in sources for _ in _RGB]}])
        for shown in sources
    ])  # fmt: skip
    yaxis = _axis("mean level (0 to 255)")
    layout = _layout(340, [choose], barmode="group", xaxis=_categories(order), yaxis=yaxis)
    return Figure(
        "rgb", "Mean red, green and blue of each class",
        "Each bar is the mean of a channel over whole pictures, 0 (dark) to 255 (bright); the thin line is the "
        "standard deviation from cell to cell. Red above green means pink or violet.",
        data, layout,
    )  # fmt: skip


def profiles_figure(means: Mapping[tuple[str, str], MeanCell], sources: Sequence[str]) -> Figure:
    """Luminance from the centre of the mean cell outwards."""
    data = []
    for code in in_order(code for code, _ in means):
        for at, source in enumerate(sources):
            if mean := means.get((code, source)):
                data.append({
                    "type": "scatter", "mode": "lines", "name": f"{code} · {escape(source)}", "legendgroup": code,
                    "x": [round(float(radius), 1) for radius in RADII],
                    "y": [round(float(value), 1) for value in mean.profile],
                    "line": {"color": class_colour(code), "dash": _DASHES[at % len(_DASHES)], "width": 2},
                    "customdata": [round(float(value), 1) for value in mean.deviation],
                    "hovertemplate": "%{y} ± %{customdata} % at %{x} %",
                })  # fmt: skip
    xaxis = _axis("distance from the centre (% of the way to the edge)")
    layout = _layout(520, xaxis=xaxis, yaxis=_axis("luminance (% of white)"))
    return Figure(
        "profiles", "Radial luminance of the mean cell",
        "From the centre of the picture (left) to its edge (right): dark where nuclei are, bright where the cells "
        "end. A curve that rises early belongs to a small cell. Each dash is a source; a click in the legend hides.",
        data, layout,
    )  # fmt: skip


def projections_figure(cells: pl.DataFrame, spaces: Sequence[Space], colours: Mapping[str, str]) -> Figure | None:
    """The sample in every plane, one plane and one colouring shown at a time; None where there is no plane.

    Args:
        cells: the sample, with ``cell_id``, ``class`` and ``source``; row i is point i of every plane.
        spaces: the projected spaces.
        colours: of the sources.
    """
    planes = {
        f"{space.name}: {method}": np.round(points / (np.abs(points).max() or 1) * 100, 2)
        for space in spaces
        for method, points in space.planes.items()
    }
    if not planes:
        return None
    pairs = [(code, source) for code in in_order(cells["class"]) for source in colours]
    groups = {
        pair: np.flatnonzero(((cells["class"] == pair[0]) & (cells["source"] == pair[1])).to_numpy()) for pair in pairs
    }
    groups = {pair: rows for pair, rows in groups.items() if len(rows)}
    ids = [escape(cell_id) for cell_id in cells["cell_id"]]
    first, points = next(iter(planes.items()))
    data = [
        {
            "type": "scatter", "mode": "markers", **style, "x": points[rows, 0].tolist(), "y": points[rows, 1].tolist(),
            "text": [ids[row] for row in rows], "customdata": rows.tolist(), "hovertemplate": "%{text}",
        }
        for style, rows in zip(_styles(list(groups), colours, 0), groups.values(), strict=True)
    ]  # fmt: skip
    choose_plane = _buttons([
        (label, "update", [
            {axis: [plane[rows, at].tolist() for rows in groups.values()] for at, axis in enumerate("xy")},
            {"xaxis.title.text": label, "xaxis.autorange": True, "yaxis.autorange": True},
        ])
        for label, plane in planes.items()
    ], kind="dropdown")  # fmt: skip
    choose_colour = _buttons([
        (f"colour: {what}", "restyle", [_columns(_styles(list(groups), colours, part))])
        for part, what in enumerate(("class", "source"))
    ])  # fmt: skip
    choose_colour["x"] = 0.3
    axis_style = {"showticklabels": False, "zeroline": False}
    layout = _layout(
        640, [choose_plane, choose_colour], xaxis={**axis_style, "title": {"text": first}}, yaxis=axis_style
    )
    return Figure(
        "projections", "Projections",
        "Each point is a cell, and cells that look alike to the method lie near each other; the axes have no unit. "
        "Choose the method at the top left, and colours by class or by source. Classes that form islands are told "
        "apart easily; sources that form islands inside a class show that laboratories differ.",
        data, layout,
    )  # fmt: skip


def _styles(groups: Sequence[tuple[str, str]], colours: Mapping[str, str], part: int) -> list[Trace]:
    """Colour and legend of each (class, source): by class for ``part`` 0, by source for 1."""
    styles, seen = [], set[str]()
    for group in groups:
        key = group[part]
        colour = colours[key] if part else class_colour(key)
        styles.append({
            "name": escape(key), "legendgroup": key, "showlegend": key not in seen,
            "marker": {"size": 6, "color": colour, "opacity": 0.75, "line": {"width": 0.5, "color": "#80808099"}},
        })  # fmt: skip
        seen.add(key)
    return styles


def _columns(styles: Sequence[Trace]) -> dict[str, list[Any]]:
    """Styles as one list per property, as a restyle takes them."""
    columns: dict[str, list[Any]] = {
        key: [style[key] for style in styles] for key in ("name", "legendgroup", "showlegend")
    }
    return columns | {"marker.color": [style["marker"]["color"] for style in styles]}


def _layout(height: int, menus: Sequence[dict[str, Any]] = (), **parts: Any) -> dict[str, Any]:
    return {
        "height": height,
        "margin": {"l": 70, "r": 20, "t": 70 if menus else 30, "b": 55},
        "updatemenus": list(menus),
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 13},
        "hovermode": "closest",
        "showlegend": True,
        "legend": {"traceorder": "normal", "itemsizing": "constant"},
        **parts,
    }


def _axis(title: str) -> dict[str, Any]:
    return {"title": {"text": title}, "automargin": True}


def _categories(order: Sequence[str]) -> dict[str, Any]:
    return {"type": "category", "categoryorder": "array", "categoryarray": list(order), "automargin": True}


def _named(feature: Feature) -> str:
    return f"{feature.title} ({feature.unit})"


def _buttons(choices: Sequence[tuple[str, str, list[Any]]], kind: str = "buttons") -> dict[str, Any]:
    return {
        "type": kind,
        "direction": "right" if kind == "buttons" else "down",
        "x": 0,
        "xanchor": "left",
        "y": 1.02,
        "yanchor": "bottom",
        "pad": {"t": 0, "b": 4},
        "buttons": [{"label": label, "method": method, "args": args} for label, method, args in choices],
    }


def _rounded(values: pl.Series) -> list[float | None]:
    """Four significant figures, and None for what is no number."""
    return [None if value is None else float(f"{value:.4g}") for value in values]
