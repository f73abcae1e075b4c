"""Encryption of backups with a password: scrypt, and AES-256-GCM in chunks.

The chunks follow STREAM (Hoang et al., "Online authenticated-encryption and its nonce-reuse misuse-resistance", 2015):
the nonce holds the number of the chunk and whether it is the last, so that no chunk can be changed, moved or cut off.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import RawIOBase
from pathlib import Path
from typing import BinaryIO

from leukopy.core.errors import InputError, MissingExtraError

MAGIC = b"leukopy encrypted backup 1\n"
_SALT, _PREFIX = 16, 7
_CHUNK = 2**16
_TAG = 16
_SCRYPT = {"length": 32, "n": 2**17, "r": 8, "p": 1}
"""OWASP's parameters: 128 MiB and some tenths of a second for each guess."""


class Encrypted(RawIOBase):
    """A stream that encrypts what is written to it; it must be closed, and closing leaves the target open."""

    def __init__(self, target: BinaryIO, password: str) -> None:
        salt = os.urandom(_SALT)
        self._cipher = _Cipher(password, salt, prefix=os.urandom(_PREFIX))
        self._target = target
        self._waiting = bytearray()
        target.write(MAGIC + salt + self._cipher.prefix)

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, data: object, /) -> int:
        """Take bytes; whole chunks are written."""
        part = bytes(data)  # type: ignore[call-overload]
        self._waiting += part
        while len(self._waiting) > _CHUNK:  # the last chunk waits for `close`
            self._target.write(self._cipher.encrypt(bytes(self._waiting[:_CHUNK]), last=False))
            del self._waiting[:_CHUNK]
        return len(part)

    def close(self) -> None:
        """Write the last chunk."""
        if not self.closed:
            self._target.write(self._cipher.encrypt(bytes(self._waiting), last=True))
        super().close()


@contextmanager
def decrypted(path: Path, password: str | None) -> Iterator[BinaryIO]:
    """A backup to be read, encrypted or not; of an encrypted one, a nameless file that vanishes when it is closed.

    Raises:
        InputError: the password is missing or wrong, or the file was changed or cut off.
        OSError: the file cannot be read.
    """
    with path.open("rb") as source:
        if source.read(len(MAGIC)) != MAGIC:
            source.seek(0)
            yield source
            return
        if password is None:
            raise InputError(f"{path}: is encrypted; give its password (--password-file).")
        with tempfile.TemporaryFile() as clear:
            _decrypt(path, source, clear, password)
            clear.seek(0)
            yield clear


def is_encrypted(path: Path) -> bool:
    """Whether a file is an encrypted backup; False where it cannot be read."""
    try:
        with path.open("rb") as source:
            return source.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def _decrypt(path: Path, source: BinaryIO, clear: BinaryIO, password: str) -> None:
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415

    cipher = _Cipher(password, source.read(_SALT), source.read(_PREFIX))
    chunk = source.read(_CHUNK + _TAG)
    try:
        while following := source.read(_CHUNK + _TAG):
            clear.write(cipher.decrypt(chunk, last=False))
            chunk = following
        clear.write(cipher.decrypt(chunk, last=True))
    except InvalidTag as error:
        raise InputError(f"{path}: the password is wrong, or the file was changed or cut off.") from error


class _Cipher:
    """AES-256-GCM of chunks in their order."""

    def __init__(self, password: str, salt: bytes, prefix: bytes) -> None:
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415
            from cryptography.hazmat.primitives.kdf.scrypt import Scrypt  # noqa: PLC0415
        except ImportError as error:
            raise MissingExtraError("An encrypted backup", "app") from error
        self.prefix = prefix
        self._aes = AESGCM(Scrypt(salt=salt, **_SCRYPT).derive(password.encode()))
        self._number = 0

    def encrypt(self, chunk: bytes, *, last: bool) -> bytes:
        return self._aes.encrypt(self._nonce(last), chunk, None)

    def decrypt(self, chunk: bytes, *, last: bool) -> bytes:
        return self._aes.decrypt(self._nonce(last), chunk, None)

    def _nonce(self, last: bool) -> bytes:
        nonce = self.prefix + self._number.to_bytes(4, "big") + bytes([last])
        self._number += 1
        return nonce
