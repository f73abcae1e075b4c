"""How far a document binds: preliminary before the signature, final with it, amended after an amendment."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from leukopy.review.records import Signature, SignedContent

State = Literal["preliminary", "final", "amended"]


@dataclass(frozen=True)
class Issue:
    """What stands around the numbers of a document."""

    content: SignedContent
    signatures: tuple[Signature, ...]
    """Of this revision, the first reader's before the second's; none while it is preliminary."""
    laboratory: str
    preliminary: bool

    @property
    def state(self) -> State:
        """Whether the numbers may still change, and whether they replace earlier ones."""
        if self.preliminary:
            return "preliminary"
        return "amended" if self.content.case.revision > 1 else "final"

    @property
    def at(self) -> datetime:
        """When it was first signed; before that, when the case was last changed."""
        return self.signatures[0].at if self.signatures else self.content.case.changed

    @property
    def digest(self) -> str:
        """What the signatures are given for; before that, the sha256 of the numbers as they are."""
        if self.signatures:
            return self.signatures[0].digest
        return hashlib.sha256(self.content.model_dump_json().encode()).hexdigest()


def issue(
    content: SignedContent, *, signatures: Sequence[Signature] = (), laboratory: str = "", preliminary: bool = False
) -> Issue:
    """Put together what a document tells.

    Args:
        content: the numbers of one revision.
        signatures: of the case, any revision: those of this one are taken.
        laboratory: its name.
        preliminary: not signed yet. A content without a signature is preliminary in any case.
    """
    own = sorted((one for one in signatures if one.revision == content.case.revision), key=lambda one: one.part)
    return Issue(content, () if preliminary else tuple(own), laboratory, preliminary or not own)
