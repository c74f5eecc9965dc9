"""Frames of a kind and a length over one socket pair: jobs one way, messages and results the other."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator

Say = Callable[[bytes], None]
"""Sends the parent a message while the job goes on."""

JOB = b"j"
MESSAGE = b"m"
RESULT = b"r"
RESULT_AND_LEFT = b"l"
"""A result of a job that left processes or threads behind: this child takes no further job."""

_HEADER = struct.Struct("!cQ")
_AT_ONCE = 1 << 16
_READ = 1 << 18


def send_frame(channel: socket.socket, kind: bytes, payload: bytes) -> None:
    """Send a whole frame, waiting as long as it takes (the child's side)."""
    header = _HEADER.pack(kind, len(payload))
    if len(payload) <= _AT_ONCE:
        channel.sendall(header + payload)
    else:
        channel.sendall(header)
        channel.sendall(payload)


def receive_frame(channel: socket.socket) -> tuple[bytes, bytes] | None:
    """The next frame, waited for; ``None`` when the other side is gone (the child's side)."""
    header = _receive(channel, _HEADER.size)
    if header is None:
        return None
    kind, size = _HEADER.unpack(header)
    payload = _receive(channel, size)
    return None if payload is None else (kind, payload)


def _receive(channel: socket.socket, size: int) -> bytes | None:
    received = bytearray(size)
    rest = memoryview(received)
    while rest:
        try:
            count = channel.recv_into(rest)
        except ConnectionResetError:
            return None
        if not count:
            return None
        rest = rest[count:]
    return bytes(received)


class Outgoing:
    """A frame on its way out of a process that must not wait for the other side to read."""

    def __init__(self, kind: bytes, payload: bytes) -> None:
        self._rest = [memoryview(_HEADER.pack(kind, len(payload))), memoryview(payload)]

    def send(self, channel: socket.socket) -> bool:
        """Send what the channel takes now; True when nothing is left to send."""
        while self._rest:
            try:
                count = channel.sendmsg(self._rest)
            except BlockingIOError:
                return False
            except (BrokenPipeError, ConnectionResetError):
                return True  # nobody will read it: how the child died is seen elsewhere
            while self._rest and count >= len(self._rest[0]):
                count -= len(self._rest.pop(0))
            if count:
                self._rest[0] = self._rest[0][count:]
        return True


class Incoming:
    """Puts frames together from what arrives, without waiting."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.ended = False
        """The other side is gone, or closed its end."""

    def read(self, channel: socket.socket) -> bool:
        """Take one portion of what has arrived; False when there is none."""
        try:
            data = channel.recv(_READ)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            data = b""
        if not data:
            self.ended = True
            return False
        self._buffer += data
        return True

    def frames(self) -> Iterator[tuple[bytes, bytes]]:
        """The whole frames among what was read."""
        while len(self._buffer) >= _HEADER.size:
            kind, size = _HEADER.unpack_from(self._buffer)
            end = _HEADER.size + size
            if len(self._buffer) < end:
                return
            with memoryview(self._buffer) as view:
                payload = bytes(view[_HEADER.size : end])
            del self._buffer[:end]
            yield kind, payload
