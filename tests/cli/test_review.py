"""``leukopy review`` and its subcommands, without a browser."""

from __future__ import annotations

import builtins
import re
import shlex
import socket
import sqlite3
import sys

import pytest
from typer.testing import CliRunner

from leukopy.cli import review
from leukopy.cli.main import app
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.review import serving
from leukopy.review.records import CaseSearch, Role
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import Store


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEUKOPY_REVIEW", str(tmp_path / "mine"))

    def run(*words, **given):
        return CliRunner().invoke(app, ["review", *map(str, words)], **given)

    return run


@pytest.fixture
def result(colour_model, tmp_path):
    colour_model.draw_folder(tmp_path / "slide3", 6)
    out = tmp_path / "results" / "slide3"
    analysed = CliRunner().invoke(
        app, ["analyze", str(tmp_path / "slide3"), "--out", str(out), "--model", str(colour_model.path)]
    )
    assert analysed.exit_code == 0
    return out


@pytest.fixture
def server(monkeypatch):
    """In place of the server: notes how it was started."""
    started = []

    def serve(settings, ready, cluster):
        started.append(settings)
        ready("http://127.0.0.1:1/?token=secret")

    monkeypatch.setattr(serving, "serve", serve)
    return started


@pytest.fixture
def opened(monkeypatch):
    """What the browser was told to open."""
    found = []
    monkeypatch.setattr(review.typer, "launch", found.append)
    return found


def test_it_says_where_it_is_and_opens_the_browser(run, server, opened, tmp_path):
    done = run()
    assert done.exit_code == 0, done.output
    assert "http://127.0.0.1:1/?token=secret" in done.stderr
    assert RESEARCH_USE_ONLY in done.stderr
    assert opened == ["http://127.0.0.1:1/?token=secret"]
    assert server[0] == ReviewSettings(folder=tmp_path / "mine")


@pytest.mark.parametrize("option", ["--no-browser", "--serve"])
def test_no_browser_is_opened_where_nobody_would_see_it(run, server, opened, option):
    assert run(option).exit_code == 0
    assert not opened


def test_options_and_settings_file_reach_the_station(run, server, tmp_path):
    (tmp_path / "station.yaml").write_text("laboratory: Here\nport: 1\nlimits: {zip_entries: 7}\n")
    done = run("--config", "station.yaml", "--folder", "there", "--port", 9000, "--serve", "--https", "--database",
               "postgresql://x@localhost/y", "--host", "::1", "--model", "m")  # fmt: skip
    assert done.exit_code == 0, done.output
    found = server[0]
    assert (str(found.folder), found.port, found.serve, found.https, found.host) == ("there", 9000, True, True, "::1")
    assert (found.database, found.model) == ("postgresql://x@localhost/y", "m")
    assert (found.laboratory, found.limits.zip_entries) == ("Here", 7)


def test_a_wrong_setting_is_one_line(run, tmp_path):
    (tmp_path / "station.yaml").write_text("colour: red\n")
    done = run("--config", "station.yaml")
    assert done.exit_code == 1
    assert done.stderr == "leukopy: station.yaml: colour: Extra inputs are not permitted\n"


def test_nobody_else_may_reach_a_station_without_log_in(run):
    done = run("--host", "0.0.0.0", "--no-browser")
    assert done.exit_code == 1
    assert "--serve" in done.stderr


def test_a_port_that_is_taken_is_told(run):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("--port", port, "--no-browser")
    assert done.exit_code == 1
    assert f"127.0.0.1:{port}" in done.stderr
    assert "--port" in done.stderr


def test_an_analysis_becomes_a_case(run, result, tmp_path):
    done = run("import", result, "--patient", "P17")
    assert (done.exit_code, done.stderr) == (0, "6 cells are in the case 'slide3'.\n")
    store = Store.open(ReviewSettings(folder=tmp_path / "mine"))
    (case,) = store.cases.search(store.users.single_user(), CaseSearch()).cases
    store.close()
    assert (case.slide, case.patient, case.cells) == ("slide3", "P17", 6)


def test_images_that_are_gone_make_the_exit_code_3(run, result, tmp_path):
    next((tmp_path / "slide3").iterdir()).unlink()
    done = run("import", result)
    assert done.exit_code == 3
    assert "1 images were not taken" in done.stderr


def test_no_case_is_opened_for_what_is_no_analysis(run, tmp_path):
    (tmp_path / "empty").mkdir()
    assert run("import", "empty").exit_code == 1
    store = Store.open(ReviewSettings(folder=tmp_path / "mine"))
    assert store.cases.search(store.users.single_user(), CaseSearch()).total == 0
    store.close()


def test_the_first_user_is_an_administrator(run, tmp_path):
    done = run("add-user", "anna", "--full-name", "Anna Weiss", input="0123456789\n0123456789\n")
    assert done.exit_code == 0, done.output
    store = Store.open(ReviewSettings(folder=tmp_path / "mine"))
    user = store.users.check_password("anna", "0123456789")
    store.close()
    assert user is not None
    assert (user.full_name, user.role) == ("Anna Weiss", Role.ADMINISTRATOR)
    again = run("add-user", "bob", "--password-file", "-", input="0123456789\n")
    assert again.exit_code == 1
    assert "administrator" in again.stderr


def test_a_password_is_not_shown_or_taken_if_too_short(run):
    done = run("add-user", "anna", input="short\nshort\n")
    assert done.exit_code == 1
    assert "short\n" not in done.output.replace("Password", "").partition("leukopy:")[0]


def test_a_log_that_was_tampered_with_is_found(run, result, tmp_path):
    run("import", result)
    done = run("verify-audit")
    assert done.exit_code == 0
    assert re.match(r"All \d+ entries", done.stderr)
    with sqlite3.connect(tmp_path / "mine" / "review.sqlite") as database:
        triggers = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
        for name in triggers:
            database.execute(f"DROP TRIGGER {name}")
        database.execute("UPDATE audit SET user_name = 'somebody' WHERE number = 2")
    database.close()
    done = run("verify-audit")
    assert done.exit_code == 1
    assert "entry 2" in done.stderr


def test_a_backup_is_restored_elsewhere(run, result, tmp_path):
    run("import", result)
    assert run("backup", "station.zip").exit_code == 0
    assert "audit-key" in run("--folder", "restored", "restore", "station.zip").stderr
    done = run("--folder", "restored", "restore", "station.zip", "--audit-key", tmp_path / "mine" / "audit.key")
    assert done.exit_code == 0, done.output
    assert "1 cases, 6 images" in done.stderr
    assert run("--folder", "restored", "verify-audit").exit_code == 0
    assert run("restore", "station.zip").exit_code == 1  # the folder is not empty


def test_an_encrypted_backup_and_a_stamp(run, result, tmp_path):
    run("import", result)
    assert run("backup", "secret.zip", "--encrypt", input="long password\nlong password\n").exit_code == 0
    assert run("--folder", "wrong", "restore", "secret.zip", input="other password\n").exit_code == 1
    assert run("--folder", "restored", "restore", "secret.zip", input="long password\n").exit_code == 0
    assert run("--folder", "restored", "stamp", "monday.json").exit_code == 0
    assert run("--folder", "restored", "verify-audit", "--stamp", "monday.json").exit_code == 0
    done = run("verify-audit", "--stamp", "monday.json")  # the first station lacks the entry on the restoring
    assert done.exit_code == 1
    assert "put back" in done.stderr


@pytest.mark.parametrize("words", [[], ["verify-audit"], ["backup", "x.zip"], ["import", "x"]], ids=str)
def test_without_the_extra_it_says_what_to_install(run, monkeypatch, words):
    import_ = builtins.__import__

    def absent(name, *given, **named):
        if name.partition(".")[0] in ("sqlalchemy", "uvicorn"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return import_(name, *given, **named)

    for module in [name for name in sys.modules if name.startswith("leukopy.review.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(builtins, "__import__", absent)
    done = run(*words)
    assert done.exit_code == 1
    assert "pip install 'leukopy[app]'" in done.stderr


def test_the_examples_of_the_help_are_run_as_they_stand(run, result, server, opened):
    shown = [
        line.strip()
        for command in (review.review, review.import_, review.add_user, review.stamp, review.verify_audit,
                        review.backup, review.restore)
        for line in (command.__doc__ or "").splitlines()
        if line.strip().startswith("leukopy ")
    ]  # fmt: skip
    assert len(shown) == 15
    for example in dict.fromkeys(shown):
        words = shlex.split(example)[2:]
        done = run(*words, input="0123456789\n0123456789\n")
        assert done.exit_code == 0, (example, done.output)
