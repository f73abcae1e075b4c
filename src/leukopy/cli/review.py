"""``leukopy review``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.cli.options import Given, Spelling, options
from leukopy.core.errors import EXIT_ERROR, EXIT_FAILURES, MissingExtraError
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.core.settings import read_mapping
from leukopy.review.settings import ReviewSettings

if TYPE_CHECKING:
    from leukopy.review.on_cluster import Cluster
    from leukopy.review.store import Store
    from leukopy.review.store.backup import Saved

PasswordFile = Annotated[
    typer.FileText | None, typer.Option(help="Its first line is the password (- for standard input).")
]
"""A parameter of several commands."""

app = typer.Typer(rich_markup_mode="markdown", add_completion=False)


@contextmanager
def _station() -> Iterator[None]:
    """Context for imports that need the ``app`` extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("leukopy"):
            raise
        raise MissingExtraError("leukopy review", "app") from error


@app.callback(invoke_without_command=True)
@options(
    ReviewSettings,
    {"reference": Spelling(metavar="FILE", type=Path, read=read_mapping)},
    without=("limits", "session", "idle", "absolute"),
)
def review(
    context: typer.Context,
    given: Given[ReviewSettings],
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
) -> None:
    """Check, correct and sign differentials in the browser.

    For one user on this computer, the printed address grants access once. With --serve users log in; put a proxy with
    HTTPS in front. A settings file (`--config`) holds more: limits, sessions, absolute counts. Options come before a
    subcommand. Examples:

        leukopy review

        leukopy review --folder station --port 9000 --no-browser

        leukopy review import results/slide3 --patient P17

        leukopy review --folder station add-user anna --full-name "Anna Weiss"

        leukopy review --folder station --serve --https --database postgresql://leukopy@localhost/leukopy

        leukopy review --folder station backup station.zip
    """
    context.obj = given.build()
    if context.invoked_subcommand is None:
        _serve(context.obj, browser=not (no_browser or context.obj.serve))


def _serve(settings: ReviewSettings, *, browser: bool) -> None:
    with _station():
        from leukopy.review.serving import serve

    def ready(address: str) -> None:
        say(f"{RESEARCH_USE_ONLY}\nThe review station is at {address}\nCtrl-C ends it; nothing is lost.")
        if settings.serve and not settings.https:
            say("Without HTTPS passwords can be read on the way: put a proxy in front, and add --https.")
        if browser:
            typer.launch(address)

    serve(settings, ready, _cluster(settings))


def _cluster(settings: ReviewSettings) -> Cluster | None:
    """The Ray cluster of big cases; Ray is imported in a process of its own, with the first of them."""
    if settings.cluster is None:
        return None
    from leukopy.cluster.pool import ray_pool_apart

    return partial(ray_pool_apart, settings.cluster)


@contextmanager
def _opened(context: typer.Context) -> Iterator[Store]:
    with _station():
        from leukopy.review.store import Store
    with closing(Store.open(context.obj)) as store:
        yield store


@app.command("import")
def import_(
    context: typer.Context,
    result: Annotated[Path, typer.Argument(help="Output folder of `leukopy analyze`.")],
    slide: Annotated[str | None, typer.Option(help="Name of the slide.", show_default="name of RESULT")] = None,
    patient: Annotated[str, typer.Option(help="Name or number of the patient.")] = "",
) -> None:
    """Open a case with the cells and classes of an analysis; the station need not run.

    Images that are no longer where they were are listed in the case and make the exit code 3. Example:

        leukopy review import results/slide3 --slide "Slide 3"
    """
    with _opened(context) as store:
        from leukopy.review.importing import import_as_case
        from leukopy.review.records import CaseDraft

        draft = CaseDraft.build({"slide": slide or result.resolve().name, "patient": patient}, where="import")
        with progress_bar() as progress:
            found = import_as_case(store, store.users.single_user(), draft, result, progress)
    say(f"{found.added:,} cells are in the case {draft.slide!r}.")
    if found.refused:
        say(f"{len(found.refused):,} images were not taken; the case lists them.")
        raise typer.Exit(EXIT_FAILURES)


@app.command("add-user")
def add_user(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Log-in name: small letters, digits, . _ -")],
    full_name: Annotated[str | None, typer.Option(help="Name shown under signatures.", show_default="NAME")] = None,
    password_file: PasswordFile = None,
) -> None:
    """Add the first administrator of a station with users; further users are added in the browser.

    Asks for the password where no file is given. Example:

        leukopy review --folder station add-user anna --full-name "Anna Weiss"
    """
    password = _password(password_file, confirm=True)
    with _opened(context) as store:
        from leukopy.review.records import NewUser, Role

        new = {"name": name, "full_name": full_name or name, "role": Role.ADMINISTRATOR, "password": password}
        user = store.users.add(None, NewUser.build(new, where="add-user"))
    say(f"{user.name} is {user.role.value}.")


@app.command("verify-audit")
def verify_audit(
    context: typer.Context,
    stamp: Annotated[list[Path] | None, typer.Option(help="A file of `leukopy review stamp`; may be repeated.")] = None,
    entry: Annotated[
        list[str] | None, typer.Option(help="NUMBER:HASH as printed on a signed report; may be repeated.")
    ] = None,
    roots: Annotated[Path | None, typer.Option(help="Certificates (PEM) to verify the stamps' authority with.")] = None,
) -> None:
    """Check the audit log and all records behind the reports for changes made outside the station; exit code 1 if any.

    That covers users, roles, cases, cells, corrections, signatures, signed contents, log-ins and the files of the
    images. Stamps and printed entries also detect a rollback of the database. Examples:

        leukopy review --folder station verify-audit

        leukopy review --folder station verify-audit --stamp monday.json
    """
    with _opened(context) as store:
        from leukopy.review import stamps
        from leukopy.review.records import AuditHead

        known = [
            AuditHead.build({"number": number, "hash": digest}, where=f"--entry {one}")
            for one in entry or ()
            for number, _, digest in [one.partition(":")]
        ]
        read = [stamps.read_stamp(path) for path in stamp or ()]
        for one in read:
            stamps.check(one, roots)
        found = store.audit.verify([*known, *stamps.heads(read)])
    if not found.intact:
        say(f"The station was tampered with: {found.problem}")
        raise typer.Exit(EXIT_ERROR)
    say(f"All {found.entries:,} entries of the audit log and all records behind the reports are unchanged.")


@app.command()
def stamp(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="A new .json; keep it outside the station.")],
    authority: Annotated[str | None, typer.Option(help="URL of an RFC 3161 time-stamping authority.")] = None,
) -> None:
    """Save the head of the audit log to a file, to detect a later rollback of the database.

    An authority, such as https://freetsa.org/tsr, adds the time. Example:

        leukopy review --folder station stamp monday.json
    """
    with _opened(context) as store:
        from leukopy.review.stamps import write_stamp

        head = store.audit.head()
    write_stamp(head, path, authority)
    say(f"{path}: entry {head.number:,} of the audit log, {head.hash[:12]}…. Keep it outside the station.")


@app.command()
def backup(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="A new .zip.")],
    encrypt: Annotated[bool, typer.Option("--encrypt", help="Encrypt it with a password, which is asked for.")] = False,
    password_file: PasswordFile = None,
) -> None:
    """Save cases, images, users and the audit log in one file, while the station runs or not.

    Without a password the file holds patients' data unencrypted, and without the key of the audit log: keep a copy of
    FOLDER/audit.key elsewhere, since `restore` needs it. Examples:

        leukopy review --folder station backup secret.zip --encrypt

        leukopy review --folder station backup station.zip
    """
    with _station():
        from leukopy.review.store.backup import backup
    password = _password(password_file, confirm=True) if encrypt or password_file else None
    _tell(path, backup(context.obj, path, password))
    if password is None:
        say(f"It is not encrypted. Keep a copy of {context.obj.folder / 'audit.key'} elsewhere: restore needs it.")


@app.command()
def restore(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="A file of `leukopy review backup`.")],
    password_file: PasswordFile = None,
    audit_key: Annotated[
        Path | None, typer.Option(help="A copy of the old station's audit.key, for a backup that is not encrypted.")
    ] = None,
) -> None:
    """Fill an empty station from a backup, and check every image and the audit log.

    Examples:

        leukopy review --folder restored restore secret.zip

        leukopy review --folder again restore station.zip --audit-key station/audit.key
    """
    with _station():
        from leukopy.review.store.backup import restore
        from leukopy.review.store.encryption import is_encrypted
    password = _password(password_file) if password_file or is_encrypted(path) else None
    _tell(context.obj.folder, restore(context.obj, path, password, audit_key))


@app.command("use-model")
def use_model(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="A bundle folder, or `default`: that of the settings.")],
) -> None:
    """Judge new cases by another model, such as one that `leukopy adapt` fitted to the laboratory.

    The station keeps a copy of it, and the audit log tells of the change. Cases that another model began stay with it.
    Nothing need be started anew. Example:

        leukopy review --folder station use-model runs/ours/bundle
    """
    with _opened(context) as store:
        used = store.models.use(store.users.for_maintenance(), None if model == "default" else Path(model))
    say(f"New cases are judged by {used.name} {used.sha256[:12]}.")


@app.command()
def erase(
    context: typer.Context,
    patient: Annotated[str, typer.Option(help="Name or number of the patient, exactly as in the cases.")] = "",
    due: Annotated[bool, typer.Option("--due", help="Cases past their retention period (`retention`).")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Erase the cases of a patient, or all cases past their retention period, with their images.

    The audit log keeps a tombstone of each case and still verifies; backups keep what they hold. Example:

        leukopy review --folder station erase --due --yes
    """
    if bool(patient) == due:
        raise typer.BadParameter("give either --patient or --due.")
    with _opened(context) as store:
        user = store.users.for_maintenance()
        removal = store.removal
        cases = removal.due(user, context.obj.retention) if due else removal.cases_of(user, patient)
        say(f"{len(cases):,} cases: {', '.join(case.id[:8] for case in cases) or 'none'}.")
        if cases and (yes or typer.confirm("Erase them for good?")):
            found = removal.erase(user, [case.id for case in cases], "retention" if due else "request")
            say(f"Erased: {found.cases:,} cases, {found.images:,} images.")


def _password(file: typer.FileText | None, *, confirm: bool = False) -> str:
    """The first line of a file, or what is typed."""
    if file:
        return file.readline().rstrip("\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=confirm))


def _tell(where: Path, saved: Saved) -> None:
    say(f"{where}: {saved.cases:,} cases, {saved.images:,} images, {saved.entries:,} entries of the audit log.")
    if saved.damaged:
        say(f"{len(saved.damaged):,} images are lost: absent from the station, or no longer what was stored.")
        raise typer.Exit(EXIT_FAILURES)
