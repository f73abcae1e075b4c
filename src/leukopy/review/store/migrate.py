"""Upgrades the tables of a database by alembic."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util import CommandError

from leukopy.core.errors import SettingsError


def upgrade(connection: sa.Connection) -> None:
    """Upgrade the tables to this version.

    Raises:
        SettingsError: the database was written by a newer leukopy.
    """
    try:
        command.upgrade(migrations(connection), "head")
    except CommandError as error:
        raise SettingsError("the database was written by a newer leukopy: update leukopy.") from error


def migrations(connection: sa.Connection) -> Config:
    """Configuration of alembic for a connection."""
    config = Config()
    folder = str(Path(__file__).parent / "migrations")
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
