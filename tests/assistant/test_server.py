"""The server of assistants, asked through the protocol's own client."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp", reason="the server of assistants needs the extra 'mcp'")

from mcp import Client, StdioServerParameters, stdio_client

from leukopy.assistant.server import create_server
from leukopy.core.errors import InputError
from leukopy.workflows.draw import DrawSettings, draw
from support.coroutines import run_apart
from support.files import REPOSITORY

TOOLS = {"list_slides", "analyze", "describe_cell", "explain", "compare_slides", "find_figure"}


@pytest.fixture
def slides(colour_model: Any, tmp_path: Path) -> Path:
    """Two slides: one of lymphocytes and eosinophils, one of lymphocytes."""
    root = tmp_path / "slides"
    for number in range(40):
        for slide, code in (("one", "LY" if number % 2 else "EO"), ("two", "LY")):
            path = root / slide / f"c{number:02d}.png"
            colour_model.draw(path, code)
    return root


def ask(root: Path, model: str, tool: str, **arguments: Any) -> Any:
    """The result of one call."""

    async def call() -> Any:
        async with Client(create_server(root, model)) as client:
            return await client.call_tool(tool, arguments)

    return run_apart(call())


def content(result: Any) -> Any:
    assert not result.is_error, result.content
    return json.loads(result.content[0].text)


def refused(result: Any) -> str:
    assert result.is_error
    return str(result.content[0].text)


def test_every_tool_says_that_it_only_reads(slides: Path) -> None:
    async def listed() -> Any:
        async with Client(create_server(slides)) as client:
            return (await client.list_tools()).tools

    tools = run_apart(listed())
    assert {tool.name for tool in tools} == TOOLS
    assert all(tool.annotations.read_only_hint and tool.description for tool in tools)


def test_a_slide_is_counted_and_nothing_is_written(slides: Path, colour_model: Any) -> None:
    before = sorted(slides.rglob("*"))
    found = content(ask(slides, str(colour_model.path), "analyze", path="one"))
    assert sorted(slides.rglob("*")) == before
    counts = {line["code"]: line["count"] for line in found["differential"]["lines"]}
    assert (counts["LY"], counts["EO"]) == (20, 20)
    assert found["pictures"] == 40
    assert "Research use only" in found["notice"]


def test_two_slides_are_compared(slides: Path, colour_model: Any) -> None:
    found = content(ask(slides, str(colour_model.path), "compare_slides", first="one", second="two"))
    classes = {row["code"]: row for row in found["classes"]}
    assert classes["EO"]["difference"] == -50
    assert classes["EO"]["apart"]
    assert not classes["MO"]["apart"]


def test_a_cell_is_described(slides: Path, colour_model: Any) -> None:
    found = content(ask(slides, str(colour_model.path), "describe_cell", path="two/c01.png"))
    assert (found["coarse"], found["cell_id"]) == ("LY", "two/c01.png")
    assert "path" not in found


def test_a_cell_is_explained_with_its_heat_map(tmp_path: Path) -> None:
    (cell,) = draw(DrawSettings(cells=1), tmp_path / "drawn").cells.iterdir()
    result = ask(tmp_path, "default", "explain", path=str(cell.relative_to(tmp_path)))
    assert not result.is_error, result.content
    assert [part.type for part in result.content] == ["text", "image"]
    assert "Research use only" in result.content[0].text


def test_a_figure_is_found_with_its_command() -> None:
    figures = content(ask(REPOSITORY, "default", "find_figure", words="balanced accuracy coarse"))["figures"]
    assert figures
    assert all(word in json.dumps(each).lower() for each in figures for word in ("balanced", "accuracy", "coarse"))
    assert len(figures) < len(content(ask(REPOSITORY, "default", "find_figure", words=""))["figures"])
    assert any(each["command"].startswith("leukopy evaluate") for each in figures)


@pytest.mark.parametrize("name", ["..", "../secret.png", "/etc", "one/../../secret.png"])
def test_a_path_outside_is_refused(slides: Path, name: str) -> None:
    (slides.parent / "secret.png").write_bytes(b"")
    assert "outside the folder" in refused(ask(slides, "default", "describe_cell", path=name))


def test_a_link_that_leads_out_is_refused(slides: Path) -> None:
    (slides.parent / "secret").mkdir()
    (slides / "one" / "link").symlink_to(slides.parent / "secret")
    assert "leads out" in refused(ask(slides, "default", "analyze", path="one"))
    assert "outside the folder" in refused(ask(slides, "default", "analyze", path="one/link"))


def test_a_list_of_files_is_refused(slides: Path) -> None:
    (slides / "list.csv").write_text("path\n/etc/passwd\n")
    assert "may lie anywhere" in refused(ask(slides, "default", "analyze", path="list.csv"))


def test_what_is_not_there_is_said(slides: Path) -> None:
    assert "no such file" in refused(ask(slides, "default", "analyze", path="three"))
    assert "is a folder" in refused(ask(slides, "default", "describe_cell", path="one"))
    with pytest.raises(InputError, match="is no folder"):
        create_server(slides / "one" / "c01.png")


@pytest.mark.slow
def test_through_the_real_process(slides: Path) -> None:
    """Nothing but the protocol reaches standard output."""
    command = ["-c", "from leukopy.cli.main import main; main()", "mcp", str(slides)]
    server = StdioServerParameters(command=sys.executable, args=command, env=dict(os.environ))

    async def call() -> Any:
        async with Client(stdio_client(server)) as client:
            return await client.call_tool("list_slides", {"folder": "."})

    assert content(run_apart(call()))["folders"] == ["one", "two"]
