from __future__ import annotations

import base64
import itertools
import re
from dataclasses import replace
from functools import partial

import polars as pl
import pytest

from leukopy.bundle import OpenSet, open_bundle
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.inference.rows import FAILURE_SCHEMA
from leukopy.reports import gallery
from leukopy.reports.page import FAILURES_SHOWN, ReportContent, write_report
from leukopy.slides.differential_files import count_cells
from leukopy.slides.review_order import review_ranks
from support.pages import assert_offline, read_page

_HOSTILE = '<script>alert("x")</script>\'"&.png'


def _failures(count: int) -> pl.DataFrame:
    rows = [
        (f"slide/bad{number}.jpg", f"/home/maria/slide/bad{number}.jpg", "not_an_image",
         f"/home/maria/slide/bad{number}.jpg: not an image. Remove it from the input, or replace it.")
        for number in range(count)
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=FAILURE_SCHEMA, orient="row")


@pytest.fixture
def content(slide, card):
    cells = slide.lazy()
    chosen = gallery.choose(cells, per_class=4)
    return ReportContent(
        title="Slide 7",
        cells=chosen,
        first=slide.head(0),
        thumbnails=gallery.Thumbnails().of(chosen),
        totals=gallery.totals(cells),
        differential=count_cells(cells),
        failures=_failures(2),
        failures_total=2,
        left_out=gallery.choose_left_out(cells),
        left_out_total=0,
        card=card,
        provenance={"created": "2026-03-01T10:00:00+00:00", "commit": None, "packages": {"numpy": "2.4"}},
    )


@pytest.fixture
def render(tmp_path):
    return partial(read_page, write_report, tmp_path)


def test_page_shows_everything(content, render):
    _, page = render(content)
    for expected in (
        "Slide 7", RESEARCH_USE_ONLY, "A small model", "2026-03-01",
        "Segmented neutrophil SNE", "All neutrophils SNE + BNE", "75.0",  # 6 of 8 leukocytes
        "40 – 60", "High", "Only 8 leukocytes", "4 of 6 cells; 2 more certain not shown", "all 2 cells",
        "EO 67 %", "2 images were not read", "slide/bad1.jpg", "not an image", "Trained on one laboratory only.",
        "Drawn cells", "0.987", "0.980 – 0.993", "the test split", "packages.numpy", "2.4", "below 60 %",
    ):  # fmt: skip
        assert expected in page.text, expected


def test_every_chosen_cell_has_its_picture_and_its_name(content, render):
    _, page = render(content)
    pictures = page.all("img")
    assert len(pictures) == content.cells.height == 10
    for picture, cell_id in zip(pictures, content.cells["cell_id"], strict=True):
        assert cell_id in picture["alt"]
        assert base64.b64decode(picture["src"].removeprefix("data:image/jpeg;base64,")) == content.thumbnails[cell_id]


def test_second_choice_is_the_next_most_probable_class(content, render):
    _, page = render(content)
    eosinophil = content.cells.filter(pl.col("fine") == "EO").row(0, named=True)
    assert f"EO 67 % BA {100 * eosinophil['p_BA']:.0f} %" in page.text  # the fixture's second choice of EO is BA


def test_a_cell_is_told_in_words_where_the_model_judges_attributes(content, render, judging_model):
    plain, _ = render(content)
    assert 'class="why"' not in plain
    assert "Attributes of a cell" not in plain
    card = content.card.model_copy(update={"attributes": open_bundle(judging_model.path).card.attributes})
    said = pl.when(pl.col("fine") == "EO").then(pl.lit("bilobed nucleus, <red> granules"))
    text, page = render(replace(content, card=card, cells=content.cells.with_columns(why=said)))
    assert page.text.count("Bilobed nucleus, <red> granules.") == 2
    assert text.count('class="why"') == 2
    for expected in ("to read the attributes", "11 attributes of neutrophils, eosinophils", "macro F1, nucleus shape",
                     "0.700", "drawn colours"):  # fmt: skip
        assert expected in page.text, expected


def test_page_asks_the_network_for_nothing_and_runs_no_script(content, render):
    text, page = render(content)
    assert_offline(text, page, "jpeg")


def test_hostile_names_are_text(content, render):
    hostile = replace(
        content,
        title=_HOSTILE,
        cells=content.cells.with_columns(cell_id=pl.lit(_HOSTILE)),
        failures=content.failures.with_columns(cell_id=pl.lit(_HOSTILE), message=pl.lit(_HOSTILE)),
        provenance={_HOSTILE: _HOSTILE},
        card=content.card.model_copy(update={"title": _HOSTILE, "limits": (_HOSTILE,)}),
    )
    text, page = render(hostile)
    assert "<script" not in text
    assert not page.all("script")
    assert page.text.count(_HOSTILE) > 10 + 2 + 2 + 2


def test_accessible_by_ear_and_keyboard(content, render):
    _, page = render(content)
    assert page.all("html")[0]["lang"] == "en-GB"
    headings = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(headings))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    named = [attributes["aria-labelledby"] for _, attributes in page.tags if "aria-labelledby" in attributes]
    anchors = [link["href"].removeprefix("#") for link in page.all("a")]
    assert {*named, *anchors} <= set(ids)
    assert all(box["aria-label"].startswith("Enlarge ") for box in page.all("input"))
    assert all("scope" in cell for cell in page.all("th"))


def _luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_words_stand_out_from_their_ground_in_light_and_dark(content, render):
    """WCAG 2.2, 1.4.3 (AA): a contrast of 4.5 to 1."""
    text, _ = render(content)
    themes = re.findall(r":root \{(.*?)\}", text, flags=re.DOTALL)
    assert len(themes) == 3  # light, dark, paper
    for theme in themes:
        colours = dict(re.findall(r"--([\w-]+): (#\w+)", theme))
        full = {name: value if len(value) == 7 else "#" + "".join(2 * c for c in value[1:])
                for name, value in colours.items()}  # fmt: skip
        pairs = [
            (ink, ground) for ink in ("ink", "quiet", "accent", "sure", "unsure") for ground in ("paper", "raised")
        ]
        for ink, ground in [*pairs, ("banner-ink", "banner")]:
            high, low = sorted((_luminance(full[ink]), _luminance(full[ground])), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= 4.5, (ink, ground)


def test_paths_of_failed_images_stay_out(content, render):
    text, _ = render(content)
    assert "maria" not in text


def test_many_failures_are_cut_and_said_to_be(content, render):
    _, page = render(replace(content, failures=_failures(300), failures_total=1500))
    assert f"The first {FAILURES_SHOWN} are listed" in page.text
    assert "1,500 images failed" in page.text
    assert f"slide/bad{FAILURES_SHOWN - 1}.jpg" in page.text
    assert f"slide/bad{FAILURES_SHOWN}.jpg" not in page.text


def test_a_picture_that_went_away_leaves_a_note(content, render):
    gone = content.cells["cell_id"][0]
    _, page = render(replace(content, thumbnails={k: v for k, v in content.thumbnails.items() if k != gone}))
    assert len(page.all("img")) == 9
    assert "The picture can no longer be read." in page.text
    assert gone in page.text


def test_an_empty_slide_still_makes_a_page(content, make_cells, render):
    empty = make_cells({}).lazy()
    _, page = render(
        replace(
            content,
            cells=gallery.choose(empty),
            totals=gallery.totals(empty),
            thumbnails={},
            differential=count_cells(empty),
            failures=_failures(0),
            failures_total=0,
        )
    )
    assert "No cell was classified." in page.text
    assert "there is no differential" in page.text
    assert "Every image was read." in page.text


def test_a_gallery_of_none_says_so(content, slide, render):
    _, page = render(replace(content, cells=gallery.choose(slide.lazy(), per_class=0), thumbnails={}))
    assert "Segmented neutrophil SNE 6 cells, none shown" in page.text
    assert not page.all("img")


def test_flags_are_words(content, render):
    flagged = content.cells.with_columns(flags=pl.lit("low_resolution;not_square"))
    _, page = render(replace(content, cells=flagged))
    assert page.text.count("low resolution, not square") == 10


def test_unidentified_cells_stand_apart_with_their_reason(content, slide, card, render):
    assert "Unidentified" not in render(content)[1].text
    odd = pl.col("cell_id") == "slide/EO_001.png"
    cells = slide.with_columns(
        flags=pl.when(odd).then(pl.lit("unidentified")).otherwise("flags"),
        ood_score=pl.when(odd).then(1.5).otherwise(0.4),
        unidentified_reason=pl.when(odd).then(pl.lit("out of focus")),
    )
    knowing = OpenSet(threshold=20, keep_rate=0.97, fitted_on="some", method="made for tests")
    _, page = render(
        replace(
            content,
            cells=gallery.choose(cells.lazy()),
            totals=gallery.totals(cells.lazy()),
            differential=count_cells(cells.lazy()),
            card=card.model_copy(update={"open_set": knowing}),
        )
    )
    assert "Unidentified UNIDENTIFIED the only cell EO 83 % BA" in page.text
    assert "unidentified Out of focus" in page.text
    assert "Of 12 cells, 1 cell is unidentified: it is counted in no class." in page.text
    assert "Eosinophil EO the only cell" in page.text
    assert "score exceeds that of 97 % of the validation cells" in page.text


def test_a_shift_beyond_sampling_error_is_named_at_the_top(content, make_cells, render):
    _, page = render(replace(content, differential=count_cells(make_cells({"LY": 150, "SNE": 50}).lazy())))
    assert "Lymphocytes high: 75.0 % (68.4 to 80.8), reference 20 to 40 %." in page.text
    assert "Neutrophils low: 25.0 %" in page.text


def test_certainty_is_never_printed_as_0_or_100(content, render):
    sure = content.cells.with_columns(fine_confidence=pl.lit(0.9999, pl.Float32), p_BNE=pl.lit(0.0001, pl.Float32))
    _, page = render(replace(content, cells=sure))
    assert "SNE > 99 %" in page.text
    assert "100 %" not in page.text.split("Cells In each class, the least")[1].split("Unreadable images")[0]


def test_page_shows_the_cells_to_look_at_first(content, slide, render):
    without, _ = render(content)
    assert "look-first" not in without
    first = gallery.choose_first(slide.with_columns(review_ranks(slide.lazy())).lazy(), 3)
    names = first["cell_id"].to_list()
    assert len(names) == 3
    page, text = render(replace(content, first=first))
    shown = page[page.index('id="look-first"') : page.index('id="class-SNE"')]
    places = [shown.index(f'<p class="id">{name}</p>') for name in names]
    assert places == sorted(places)
    assert shown.count('<p class="id">') == len(names)
    assert "Look at these first 3 cells" in text.text
