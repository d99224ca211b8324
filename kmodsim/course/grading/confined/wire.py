# SPDX-License-Identifier: GPL-2.0-only
"""Messages between judge and confinement: four bytes of length, then plain data as one line of JSON."""

from __future__ import annotations

import socket
import struct
from typing import Any

from ...plain import decode, encode

LENGTH = struct.Struct("<I")
MOST = 8 << 20  # bytes of one message; what is longer counts as broken


class BrokenError(Exception):
    """The other side is gone, or speaks no such message."""


def send(connection: socket.socket, value: Any) -> None:
    """Send plain data; NotPlainError when it is none, BrokenError when nobody listens."""
    line = encode(value)
    if len(line) > MOST:
        raise BrokenError("the message is too long")
    try:
        connection.sendall(LENGTH.pack(len(line)) + line)
    except OSError as error:
        raise BrokenError(str(error)) from None


def receive(connection: socket.socket) -> Any:
    """The next message; BrokenError at the end or at one that is too long, NotPlainError for garbage.

    TimeoutError comes from the socket's own timeout.
    """
    (length,) = LENGTH.unpack(_exactly(connection, LENGTH.size))
    if length > MOST:
        raise BrokenError("the message is too long")
    return decode(_exactly(connection, length))


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        try:
            piece = connection.recv(min(count - len(data), 1 << 20))
        except TimeoutError:
            raise
        except OSError as error:
            raise BrokenError(str(error)) from None
        if not piece:
            raise BrokenError("it is gone")
        data += piece
    return bytes(data)
