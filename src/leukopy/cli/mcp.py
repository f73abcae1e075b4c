"""``leukopy mcp``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leukopy.cli.console import say
from leukopy.core.errors import MissingExtraError
from leukopy.core.provenance import RESEARCH_USE_ONLY


def mcp(
    folder: Annotated[Path, typer.Argument(help="Folder of pictures; nothing outside it is read.", readable=False)],
    model: Annotated[str, typer.Option(help="A bundled model, or a bundle folder.")] = "default",
) -> None:
    """Let an assistant read slides through the Model Context Protocol, on standard input and output.

    Its tools analyse a slide, describe and explain a cell, compare two slides, and find measured figures. They are
    read-only: they do not sign, correct, or write below FOLDER. Example:

        leukopy mcp slides/
    """
    try:
        from leukopy.assistant.server import create_server
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("leukopy"):
            raise
        raise MissingExtraError("leukopy mcp", "mcp") from error
    server = create_server(folder, model)
    say(f"{RESEARCH_USE_ONLY}\nReading {folder.resolve()}. Waiting for an assistant on standard input; Ctrl-C ends it.")
    server.run("stdio")
