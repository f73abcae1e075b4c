"""Receipts: what was done, written last. A shard with a receipt is done; all else is repeated."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Self

from leukopy.cluster.plan import Plan
from leukopy.cluster.storage import Store
from leukopy.core.errors import InputError

RECEIPTS = "receipts"
PARTS = "parts"
_READERS = 16


class Part(NamedTuple):
    """One table of a shard."""

    name: str
    """Of its file in the store; it holds the digest, so that two results never share a file."""
    sha256: str
    size: int
    """Bytes."""
    rows: int


@dataclass(frozen=True)
class Receipt:
    """Result of a shard."""

    shard: str
    inputs: int
    """Pictures of its plan."""
    slides: int
    cells: int
    """Rows of classified cells."""
    failures: int
    """Pictures that could not be read."""
    failed_slides: tuple[str, ...]
    """Slides that could not be analysed."""
    incomplete_slides: tuple[str, ...]
    """Slides with unreadable pictures."""
    parts: Mapping[str, Part]
    """``cells``, ``failures``, ``slides``; with fields also ``fields`` and ``objects``."""
    seconds: float
    """Work on one core."""
    retries: int
    """Repeated calls to object stores."""
    finished: str
    """Time, UTC."""

    @property
    def digest(self) -> str:
        """Digest of the output."""
        text = json.dumps({name: part.sha256 for name, part in self.parts.items()}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> bytes:
        """The content of its file."""
        content = asdict(self) | {"parts": {name: part._asdict() for name, part in self.parts.items()}}
        return json.dumps(content | {"digest": self.digest}, indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """The receipt in a file.

        Raises:
            ValueError: damaged, or changed.
        """
        try:
            content: dict[str, Any] = json.loads(data)
            digest = content.pop("digest")
            parts = {name: Part(**part) for name, part in content.pop("parts").items()}
            for name in ("failed_slides", "incomplete_slides"):
                content[name] = tuple(content[name])
            found = cls(**content, parts=parts)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("not a receipt") from error
        if digest != found.digest:
            raise ValueError("a receipt whose digest differs")
        return found


def receipt_name(shard: str) -> str:
    """The file of a shard's receipt."""
    return f"{RECEIPTS}/{shard}.json"


def part_name(table: str, shard: str, sha256: str) -> str:
    """The file of a table."""
    return f"{PARTS}/{table}/{shard}-{sha256[:16]}.parquet"


@dataclass(frozen=True)
class Done:
    """The receipts of a plan."""

    receipts: Mapping[str, Receipt]
    """Whole ones, by shard, whose parts are there in their size."""
    damaged: Mapping[str, str]
    """Shards whose receipt or part is damaged, and how."""


def read_receipts(store: Store, plan: Plan) -> Done:
    """Read the receipts of a plan, and compare the sizes of their parts.

    Raises:
        InputError: the store cannot be read.
    """
    planned = {shard.id for shard in plan.shards}
    names = [name for name in store.files(RECEIPTS) if name.removesuffix(".json") in planned]
    sizes = {f"{PARTS}/{name}": size for name, size in store.files(PARTS).items()} if names else {}
    receipts: dict[str, Receipt] = {}
    damaged: dict[str, str] = {}
    with ThreadPoolExecutor(_READERS) as pool:
        for name, data in zip(names, pool.map(lambda name: _read(store, name), names), strict=True):
            shard = name.removesuffix(".json")
            if data is None:  # removed since
                continue
            try:
                receipt = Receipt.from_json(data)
            except ValueError as error:
                damaged[shard] = f"{RECEIPTS}/{name}: {error}"
                continue
            wrong = [part.name for part in receipt.parts.values() if sizes.get(part.name) != part.size]
            if wrong:
                damaged[shard] = f"{wrong[0]}: absent, or of another size than its receipt says"
            else:
                receipts[shard] = receipt
    return Done(receipts, damaged)


def verify(store: Store, receipts: Iterable[Receipt]) -> dict[str, str]:
    """Shards whose parts are not the bytes of their receipts, and how they differ. All parts are read."""

    def check(receipt: Receipt) -> tuple[str, str]:
        for part in receipt.parts.values():
            try:
                read_part(store, part)
            except InputError as error:
                return receipt.shard, str(error)
        return receipt.shard, ""

    with ThreadPoolExecutor(_READERS) as pool:
        return {shard: wrong for shard, wrong in pool.map(check, receipts) if wrong}


def read_part(store: Store, part: Part) -> bytes:
    """The bytes of a part.

    Raises:
        InputError: absent, or not the bytes that its receipt names.
    """
    try:
        data = store.read(part.name)
    except FileNotFoundError as error:
        raise InputError(f"{part.name}: absent") from error
    if hashlib.sha256(data).hexdigest() != part.sha256:
        raise InputError(f"{part.name}: damaged; its digest differs from the receipt's")
    return data


def _read(store: Store, name: str) -> bytes | None:
    try:
        return store.read(f"{RECEIPTS}/{name}")
    except FileNotFoundError:
        return None
