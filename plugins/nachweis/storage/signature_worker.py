"""Verifies Ed25519 signatures in a process of its own: a script, started by its path.

Reads frames ``key (32) signature (64) length (4, big-endian) message`` from standard input until
its end, and writes one byte per frame: 1 if the signature verifies. It imports nothing of this
package, so that it starts fast and works where a parent may have no children of its own.
"""

from __future__ import annotations

import sys

KEY, SIGNATURE, LENGTH = 32, 64, 4


def verdicts(frames: memoryview) -> bytes:
    """Verify every frame.

    Args:
        frames: Frames, one behind the other.

    Returns:
        One byte per frame.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    keys: dict[bytes, Ed25519PublicKey] = {}
    found = bytearray()
    at = 0
    while at < len(frames):
        raw = bytes(frames[at : at + KEY])
        signature = bytes(frames[at + KEY : at + KEY + SIGNATURE])
        at += KEY + SIGNATURE
        size = int.from_bytes(frames[at : at + LENGTH], "big")
        message = bytes(frames[at + LENGTH : at + LENGTH + size])
        at += LENGTH + size
        key = keys.get(raw)
        if key is None:
            key = keys[raw] = Ed25519PublicKey.from_public_bytes(raw)
        try:
            key.verify(signature, message)
            found.append(1)
        except InvalidSignature:
            found.append(0)
    return bytes(found)


if __name__ == "__main__":
    sys.stdout.buffer.write(verdicts(memoryview(sys.stdin.buffer.read())))
