"""State of a document: preliminary before the signature, final with it, amended after an amendment."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from leukopy.review.records import Signature, SignedContent

State = Literal["preliminary", "final", "amended", "void"]


@dataclass(frozen=True)
class Issue:
    """A document: its numbers, signatures and state."""

    content: SignedContent
    signatures: tuple[Signature, ...]
    """Of this revision, the first reader's before the second's; none while it is preliminary."""
    laboratory: str
    preliminary: bool
    voided: str = ""
    """Why the case is void; empty: it is not."""

    @property
    def state(self) -> State:
        """Void with its case; preliminary without a signature; amended from revision 2 on."""
        if self.voided:
            return "void"
        if self.preliminary:
            return "preliminary"
        return "amended" if self.content.case.revision > 1 else "final"

    @property
    def at(self) -> datetime:
        """Time of the first signature, or of the last change before it."""
        return self.signatures[0].at if self.signatures else self.content.case.changed

    @property
    def entry(self) -> tuple[int, str] | None:
        """Number and hash of the audit log's entry on the last signature: the head of the chain then."""
        last = self.signatures[-1] if self.signatures else None
        return (last.entry, last.entry_hash) if last and last.entry and last.entry_hash else None

    @property
    def digest(self) -> str:
        """Digest (sha256) of the signed content, or of the present content before the signature."""
        if self.signatures:
            return self.signatures[0].digest
        return hashlib.sha256(self.content.model_dump_json().encode()).hexdigest()


def issue(
    content: SignedContent,
    *,
    signatures: Sequence[Signature] = (),
    laboratory: str = "",
    preliminary: bool = False,
    voided: str = "",
) -> Issue:
    """Assemble a document.

    Args:
        content: the numbers of one revision.
        signatures: of the case, any revision: those of this one are taken.
        laboratory: its name.
        preliminary: not signed yet. A content without a signature is preliminary in any case.
        voided: why its case is void; empty: it is not.
    """
    own = sorted((one for one in signatures if one.revision == content.case.revision), key=lambda one: one.part)
    return Issue(content, () if preliminary else tuple(own), laboratory, preliminary or not own, voided)
