"""Messages between `mmt.torch_side.pool` and its worker processes, the same in both directions: 4 bytes (little endian)
length of a JSON header, the header, then as many bytes as its field `payload_bytes` says.
"""

from __future__ import annotations

import json
import os
from typing import Any


def write_message(fd: int, header: dict[str, Any], payload: bytes = b"") -> None:
    text = json.dumps({**header, "payload_bytes": len(payload)}).encode()
    view = memoryview(len(text).to_bytes(4, "little") + text + payload)
    while view:
        view = view[os.write(fd, view) :]


def read_message(fd: int) -> tuple[dict[str, Any], bytes] | None:
    """The next message; None where the other side has closed. Blocks."""
    size = _read_exactly(fd, 4)
    if not size:
        return None
    header = json.loads(_read_exactly(fd, int.from_bytes(size, "little")))
    return header, _read_exactly(fd, header["payload_bytes"])


def _read_exactly(fd: int, count: int) -> bytes:
    pieces = []
    while count > 0:
        piece = os.read(fd, min(count, 1 << 20))
        if not piece:
            return b""
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)
