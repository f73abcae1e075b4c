"""How much a request may send: counted as it arrives, whatever it announces."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from leukopy.review.security.problems import problem

JSON_BYTES = 2 * 2**20
"""Of any request but an upload: the largest, 5000 corrections, has a tenth of this."""


class BodyLimit:
    """Refuses a body that is too long: by its announced length before a byte is read, else on the byte too many."""

    def __init__(self, app: ASGIApp, upload_bytes: int) -> None:
        self._app = app
        self._upload_bytes = upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._upload_bytes if _is_upload(scope) else JSON_BYTES
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if not announced.isdigit() or int(announced) > limit:
            await problem(413, _message(limit))(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise HTTPException(413, _message(limit))
            return message

        await self._app(scope, counted, send)


def _is_upload(scope: Scope) -> bool:
    path: str = scope["path"]
    return scope["method"] == "POST" and path.startswith("/api/v1/cases/") and path.endswith("/images")


def _message(limit: int) -> str:
    return f"More than {limit / 2**20:g} MiB in one request. Send less at a time."
