"""What another scanner says about a pickle: picklescan, which knows names that do harm.

Our own listing refuses whatever is not on an allow-list. This one looks for names known to be
dangerous; where the two disagree, the file is refused all the same.
"""

from __future__ import annotations

import logging
from typing import BinaryIO

LARGEST = 100_000_000
"""Bytes beyond which it is not asked: it holds every opcode in memory."""


def dangerous_imports(stream: BinaryIO) -> list[str] | None:
    """Names in a pickle that picklescan holds to be dangerous; nothing is loaded.

    Args:
        stream: A seekable stream at the pickle's start; the caller has read it to its end before,
            so that it is complete.

    Returns:
        Dotted names, sorted; None where picklescan has no opinion.
    """
    from picklescan.scanner import SafetyLevel, scan_pickle_bytes

    # Its log would repeat what stands in the file.
    logging.getLogger("picklescan").setLevel(logging.CRITICAL + 1)
    try:
        found = scan_pickle_bytes(stream, "model")
    except Exception:  # noqa: BLE001 - hostile bytes; our own listing has its verdict
        return None
    if found.scan_err:
        return None
    dangerous = [one for one in found.globals if one.safety is SafetyLevel.Dangerous]
    return sorted(f"{one.module}.{one.name}" for one in dangerous)
