"""Writes this station with the code of leukopy 0.1.0 (commit 50adde8), from whose folder it is run:

    PYTHONPATH=src python …/tests/review/data/station-0.1.0/write.py /tmp/station

``station.sql`` is the SQLite database as text; ``images/`` holds drawn cells; ``audit.key`` is a key for tests.
"""

# ruff: noqa

import shutil
import sqlite3
import sys
from io import BytesIO
from pathlib import Path
from time import sleep

from argon2 import PasswordHasher
from PIL import Image

from leukopy.review.agreement import Reading, agree
from leukopy.review.content import signed_content
from leukopy.review.counting import count_case
from leukopy.review.records import (
    Amendment,
    CaseDraft,
    CellComment,
    ClassChoice,
    Correction,
    Corrections,
    NewUser,
    Refused,
    Role,
)
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import NewImage, Store
from leukopy.review.store.users import Passwords
from leukopy.review.worker import Worker
from leukopy.synthesis import draw_cell

HERE = Path(__file__).parent
CODES = ("SNE", "LY", "MO", "EO", "BNE", "PLT", "ERB")


def pictures(count: int) -> list[NewImage]:
    drawn = []
    for number in range(1, count + 1):
        stream = BytesIO()
        code = CODES[number % len(CODES)]
        Image.fromarray(draw_cell(code, seed=number, size=48).image).save(stream, "JPEG", quality=60)
        drawn.append(NewImage(f"{code}_{number}.jpg", stream.getvalue(), 48, 48, "image/jpeg"))
    return drawn


def main() -> None:
    folder = Path(sys.argv[1])
    settings = ReviewSettings(folder=folder)
    store = Store.open(settings, Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)))

    def person(name: str, role: Role) -> NewUser:
        return NewUser(name=name, full_name=f"Dr {name}", role=role, password="correct horse battery")

    ada = store.add_user(None, person("ada", Role.ADMINISTRATOR))
    rita = store.add_user(ada, person("rita", Role.REVIEWER))
    saul = store.add_user(ada, person("saul", Role.REVIEWER))
    ron = store.add_user(ada, person("ron", Role.READER))
    eve = store.add_user(ada, person("eve", Role.READER))
    store.add_class(
        ada,
        ClassChoice(
            code="HAIRY", name="hairy cell", french="tricholeucocyte", colour="#123456", key="", place="differential"
        ),
    )
    session = store.start_session(ron)
    draft = {"slide": "S1", "patient": "Ann", "age": 61, "lymphocytes": 5.2, "leukocytes": 9.5, "comment": "first"}
    signed = store.open_case(ron, CaseDraft.model_validate(draft))
    store.add_images(ron, signed.id, pictures(24))
    store.add_failures(ron, signed.id, [Refused(name="notes.txt", reason="not_an_image", message="not an image")])
    opened = store.open_case(ron, CaseDraft(slide="S2", patient="Bob", target=200))
    store.add_images(ron, opened.id, pictures(5))
    store.share_case(ron, opened.id, "eve")
    waiting = store.open_case(eve, CaseDraft(slide="S3"))
    worker = Worker(store, settings)
    worker.start()
    for case in (signed, opened):
        store.start_job(ron, case.id)
        while store.job(ron, case.id).state not in ("finished", "failed"):
            sleep(0.1)
        assert store.job(ron, case.id).state == "finished", store.job(ron, case.id)
    worker.stop()
    store.note_classes(signed.id, 24)
    store.add_images(eve, waiting.id, pictures(2))

    def correct(user, case, *moves):
        now = {cell.id: cell.version for cell in store.cells(user, case.id)}
        changes = tuple(Correction(cell=number, version=now[number], code=code) for number, code in moves)
        store.correct(user, case.id, Corrections(changes=changes))

    def sign(user, case):
        case, cells = store.case(user, case.id), store.cells(user, case.id)
        classes = store.classes(user)
        store.sign(
            user,
            case.id,
            case.version,
            signed_content(
                case,
                cells,
                count_case(cells, classes, case, settings),
                agree(Reading.of(case.id, cells), classes),
                None,
                store.model_facts(user, case.id),
            ),
        )

    correct(ron, signed, (1, "LYA"), (2, "HAIRY"))
    correct(ron, signed, (3, "UNIDENTIFIED"))
    store.comment(ron, signed.id, 1, CellComment(version=2, comment="large"))
    store.mark_reviewed(ron, signed.id, store.case(ron, signed.id).version)
    sign(rita, signed)
    store.second_sign(saul, signed.id, store.case(saul, signed.id).version)
    store.amend(rita, signed.id, Amendment(version=store.case(rita, signed.id).version, reason="one cell missed"))
    correct(rita, signed, (4, "BLAST"))
    sign(rita, signed)
    correct(ron, opened, (1, "LY"), (2, "MO"))
    correct(eve, opened, (3, "BLAST"))
    store.undo(eve, opened.id)
    correct(ron, opened, (4, "ERB"))
    store.end_session(session.token)
    assert store.verify_audit().intact
    store.close()

    with sqlite3.connect(folder / "review.sqlite") as database:
        (HERE / "station.sql").write_text("\n".join(database.iterdump()) + "\n", encoding="utf-8")
    shutil.copytree(folder / "images", HERE / "images", dirs_exist_ok=True)
    shutil.copy(folder / "audit.key", HERE / "audit.key")


main()
