"""The tools that an assistant may call. All of them read; none signs, corrects, or writes below the opened folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mcp.server.mcpserver import Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations

from leukopy import __version__
from leukopy.assistant.confine import confined
from leukopy.core.errors import InputError, LeukopyError
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.slides.comparison import compare
from leukopy.workflows.analyze import AnalyzeSettings, analyze
from leukopy.workflows.explain import OVERLAYS, ExplainSettings, explain
from leukopy.workflows.find_figures import find_figures
from leukopy.workflows.slide_run import SlideResult

_INSTRUCTIONS = (
    f"leukopy counts the cells of blood smears. {RESEARCH_USE_ONLY} The tools read pictures below one folder; paths "
    "are relative to it. Report counts with limits and every note, and never as a diagnosis: a person checks, "
    "corrects and signs in the review station."
)
_READ = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
_LISTED = 500
"""Entries of a folder that are listed at most."""

Answer = dict[str, Any]


def create_server(root: Path, model: str = "default") -> MCPServer[Any]:
    """The server of one folder.

    Args:
        root: the folder; nothing outside is read, and nothing below it is written.
        model: a bundled model, or a bundle folder.

    Raises:
        InputError: ``root`` is no folder.
    """
    if not root.is_dir():
        raise InputError(f"{root}: is no folder. Name the folder that holds the pictures.")
    server: MCPServer[Any] = MCPServer("leukopy", instructions=_INSTRUCTIONS, version=__version__)
    tools = Tools(root.resolve(), model)
    for tool in (tools.list_slides, tools.analyze, tools.describe_cell, tools.compare_slides, tools.find_figure):
        server.tool(annotations=_READ)(tool)
    server.tool(annotations=_READ, structured_output=False)(tools.explain)  # text and pictures
    return server


class Tools:
    """The tools, each with its text for the assistant."""

    def __init__(self, root: Path, model: str) -> None:
        self._root, self._model = root, model

    def list_slides(self, folder: str = ".") -> Answer:
        """List the folders and files below a folder."""
        with _told():
            path = confined(self._root, folder)
            entries = sorted(path.iterdir()) if path.is_dir() else [path]
            shown = entries[:_LISTED]
            return {
                "folders": [str(each.relative_to(self._root)) for each in shown if each.is_dir()],
                "files": [str(each.relative_to(self._root)) for each in shown if each.is_file()],
                "not_listed": len(entries) - len(shown),
            }

    def analyze(self, path: str) -> Answer:
        """Count the cells of one slide: a folder of pictures of cells, of photographs of fields, or a whole slide.

        The answer holds the differential count with 95 % limits, counts of red cells and platelets for fields, and
        notes. A reason in "refused" takes the place of a count that cannot be trusted. It takes seconds to minutes.
        """
        with _told(), self._analysed(path) as (result, out):
            counts = out / "counts.json"
            return {
                "notice": RESEARCH_USE_ONLY,
                "slide": path,
                "model": self._model,
                "pictures": result.record.pictures,
                "unreadable": result.record.failures,
                "differential": _read(out / "differential.json"),
                "fields": _read(counts) if counts.exists() else None,
            }

    def describe_cell(self, path: str) -> Answer:
        """Class, probabilities, flags and morphological attributes of one picture of one cell.

        A single cell is classified without its slide: the class may differ from the one in the slide's count.
        """
        with _told():
            from leukopy.slides.classifier import Classifier  # noqa: PLC0415 (heavy)

            picture = self._picture(path)
            found = Classifier.open(self._model).predict([str(picture)])
            if len(found.failures):
                raise InputError(str(found.failures["message"][0]))
            row = found.cells.drop("path", "digest").row(0, named=True)
            return {"notice": RESEARCH_USE_ONLY, **row, "cell_id": path}

    def explain(self, path: str) -> list[Any]:
        """Where the model looks in one picture of one cell: heat map, and the scores of its reliability."""
        with _told(), TemporaryDirectory() as folder:
            out = Path(folder) / "maps"
            result = explain(ExplainSettings(inputs=(self._picture(path),), model=self._model, sanity=0), out)
            if result.failures:
                raise InputError(f"{path}: cannot be read as a picture of a cell.")
            maps = [Image(data=each.read_bytes(), format="png") for each in sorted((out / OVERLAYS).glob("*.png"))]
            return [f"{RESEARCH_USE_ONLY}\n{(out / 'summary.md').read_text('utf-8')}", *maps]

    def compare_slides(self, first: str, second: str) -> Answer:
        """Compare the differential counts of two slides, class by class, with 95 % limits of each difference.

        The limits cover sampling error alone, one class at a time: with many classes, one in twenty differs by chance.
        """
        with _told(), self._analysed(first) as (one, _), self._analysed(second) as (other, _):
            refused = {
                name: result.differential.refused
                for name, result in ((first, one), (second, other))
                if result.differential.refused
            }
            return {
                "notice": RESEARCH_USE_ONLY,
                "first": {"slide": first, "leukocytes": one.differential.leukocytes, "notes": one.differential.notes},
                "second": {
                    "slide": second, "leukocytes": other.differential.leukocytes, "notes": other.differential.notes,
                },
                "refused": refused,
                "classes": [] if refused else list(map(asdict, compare(one.differential, other.differential))),
            }  # fmt: skip

    def find_figure(self, words: str) -> Answer:
        """Find measured figures of the models (accuracy, AUROC, calibration …) with the command that measured each.

        Args:
            words: each must stand in the figure's name, data or command, for example "balanced accuracy pbc".
        """
        with _told():
            return {"figures": [asdict(figure) for figure in find_figures(words)]}

    def _picture(self, name: str) -> Path:
        path = confined(self._root, name)
        if not path.is_file():
            raise InputError(f"{name}: is a folder. Name one picture of a cell.")
        return path

    @contextmanager
    def _analysed(self, name: str) -> Iterator[tuple[SlideResult, Path]]:
        """The results of a slide, in a folder that goes away."""
        settings = AnalyzeSettings(input=confined(self._root, name), model=self._model, per_class=0, fields_shown=0)
        with TemporaryDirectory() as folder:
            out = Path(folder) / "slide"
            result = analyze(settings, out)
            if not isinstance(result, SlideResult):
                raise InputError(f"{name}: holds several slides. Name one of them.")
            yield result, out


@contextmanager
def _told() -> Iterator[None]:
    """Errors of leukopy as answers of the tool."""
    try:
        yield
    except LeukopyError as error:
        raise ToolError(str(error)) from error


def _read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))
