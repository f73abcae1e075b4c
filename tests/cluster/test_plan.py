"""Plans: every picture once, slides whole, the same shards from the same input."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leukopy.cluster import listing, plan
from leukopy.cluster.plan import Plan, pack
from leukopy.cluster.planning import make_plan
from leukopy.cluster.settings import PlanSettings
from leukopy.cluster.storage import open_store
from leukopy.core.errors import InputError, ManifestError, OutputError, SettingsError
from leukopy.inference.inputs import list_inputs

from .conftest import CELLS, NAMES


def rows_of(out: Path) -> pl.DataFrame:
    return pl.read_parquet(out / "plan.parquet")


def test_a_plan_lists_every_picture_once_and_divides_no_slide(night, plan_of, tmp_path):
    made = plan_of(night, tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    listed = list_inputs(night, slides=True)
    cells = rows.drop_nulls("path")
    assert cells.select("name", "path", "slide").rows() == [(one.cell_id, one.path, one.slide) for one in listed.cells]
    assert rows.filter(pl.col("path").is_null())["slide"].to_list() == ["empty"]
    assert rows.group_by("slide").agg(pl.col("shard").n_unique())["shard"].max() == 1
    assert [shard.rows for shard in made.shards] == [25, 24, 13]
    assert sum(shard.slides for shard in made.shards) == len(NAMES) + 1
    assert made.rows == len(rows) == CELLS * 5 + 2


def test_each_shard_reads_its_own_rows(night, plan_of, tmp_path):
    plan_of(night, tmp_path / "out")
    made = Plan.load(open_store(str(tmp_path / "out")), tmp_path)
    parts = pl.concat(made.shard_rows(shard) for shard in made.shards)
    assert parts.equals(rows_of(tmp_path / "out").drop("shard"))


@given(
    st.lists(st.integers(1, 40), max_size=60),
    st.integers(1, 50),
    st.sampled_from(sorted(plan.WEIGHTS)),
)
def test_shards_are_full_and_hold_whole_slides(counts: list[int], images: int, kind: str) -> None:
    settings = PlanSettings(input="x", shard_images=images)
    shards = pack(counts, kind, settings)
    assert len(shards) == len(counts)
    assert sorted(set(shards)) == list(range(len(set(shards))))
    assert shards == sorted(shards)
    weights: dict[int, list[int]] = {}
    for shard, count in zip(shards, counts, strict=True):
        weights.setdefault(shard, []).append(count * plan.WEIGHTS[kind])
    assert all(sum(own) <= images or len(own) == 1 for own in weights.values())
    assert all(sum(weights[shard]) + weights[shard + 1][0] > images for shard in range(len(weights) - 1))


def test_ids_follow_inputs_model_and_settings_alone(night, plan_of, tmp_path, outside_model):
    def ids(name: str, **settings) -> list[str]:
        return [shard.id for shard in plan_of(night, tmp_path / name, **settings).shards]

    first = ids("a")
    assert ids("b") == first
    assert not set(ids("c", blast_share=2.0)) & set(first)
    assert not set(ids("d", model=str(outside_model.path))) & set(first)
    (night / "e" / "e00.png").rename(night / "e" / "e99.png")
    assert [a == b for a, b in zip(ids("e"), first, strict=True)] == [True, True, False]


def test_a_plan_is_made_again_where_it_is_the_same(night, plan_of, tmp_path):
    first = plan_of(night, tmp_path / "out")
    assert plan_of(night, tmp_path / "out").id == first.id
    with pytest.raises(OutputError, match="holds another plan"):
        plan_of(night, tmp_path / "out", blast_share=2.0)


def manifest(night: Path, tmp_path: Path) -> pl.DataFrame:
    cells = list_inputs(night, slides=True).cells
    rows = [(str(Path(one.path).relative_to(tmp_path)), f"s {one.slide}") for one in cells]
    return pl.DataFrame(rows, schema=["path", "slide"], orient="row").sample(fraction=1, shuffle=True, seed=1)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_large_manifest_gives_the_plan_of_a_small_one(night, plan_of, tmp_path, monkeypatch, suffix):
    table = manifest(night, tmp_path)
    path = tmp_path / f"night{suffix}"
    table.write_csv(path) if suffix == ".csv" else table.write_parquet(path)
    small = plan_of(path, tmp_path / "small")
    monkeypatch.setattr(listing, "SMALL_ROWS", 0)
    monkeypatch.setattr(listing, "_SMALL_BYTES", 0)
    monkeypatch.setattr(plan, "_PASS_ROWS", 20)
    large = plan_of(path, tmp_path / "large")
    assert large.id == small.id
    rows = rows_of(tmp_path / "large")
    assert rows.equals(rows_of(tmp_path / "small"))
    assert rows["slide"].unique(maintain_order=True).to_list() == table["slide"].unique(maintain_order=True).to_list()


@pytest.mark.parametrize("large", [False, True])
def test_manifests_that_are_wrong_are_refused(night, plan_of, tmp_path, monkeypatch, large):
    if large:
        monkeypatch.setattr(listing, "SMALL_ROWS", -1)
        monkeypatch.setattr(listing, "_SMALL_BYTES", -1)
    path = tmp_path / "night.parquet"
    table = manifest(night, tmp_path)
    for wrong, message in (
        (table.drop("slide"), "slide"),
        (table.drop("path"), "column 'path' is missing"),
        (table.with_columns(slide=pl.when(pl.col("slide") == "s b").then(None).otherwise("slide")), "name no|no slide"),
        (pl.concat([table, table.head(1)]), "is listed 2 times|is on row 1 too"),
        (table.head(0), "no rows"),
    ):
        wrong.write_parquet(path)
        with pytest.raises(ManifestError, match=message):
            plan_of(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_inputs_that_are_wrong_are_refused(night, plan_of, tmp_path, colour_model):
    with pytest.raises(InputError, match="no such folder or manifest"):
        plan_of(tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(SettingsError, match="not a known object store"):
        plan_of("ftp://host/x", tmp_path / "out")
    with pytest.raises(SettingsError, match="credentials"):
        plan_of("s3://key:secret@bucket/x", tmp_path / "out")
    (tmp_path / "none" / "a").mkdir(parents=True)
    (tmp_path / "none" / "a" / "notes.txt").write_text("x")
    with pytest.raises(InputError, match="holds no picture in the folder of a slide"):
        plan_of(tmp_path / "none", tmp_path / "out")
    colour_model.draw(night / "loose.png", "LY")
    with pytest.raises(InputError, match="1 images lie beside the folders of the slides"):
        plan_of(night, tmp_path / "out")


def test_other_files_are_named(night, plan_of, tmp_path):
    (night / "b" / "b.czi").write_text("x")
    (night / "notes.txt").write_text("x")
    (night / "Thumbs.db").write_text("x")
    assert plan_of(night, tmp_path / "out").note == "tables and notes: 1 file (.txt); b: not read: 1 file (.czi)"


def test_the_pictures_tell_what_they_are(night, colour_model, tmp_path):
    settings = PlanSettings(input=str(night), model=str(colour_model.path))
    assert make_plan(settings, str(tmp_path / "out")).kind == "cells"
