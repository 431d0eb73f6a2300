"""Which form a model file has, told by its content; its name only chooses among forms it could be.

A name proves nothing: a pickle called ``model.json`` is a pickle for whoever unpickles it. Every
form here begins as no pickle can begin, or is read as a pickle as well before it is accepted.
"""

from __future__ import annotations

import io
import json
import pickletools
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

PICKLE_ENDINGS = frozenset({".pkl", ".pickle", ".joblib"})
_PICKLE = b"\x80"
_NEWEST_PROTOCOL = 5
_LARGEST_HEADER = 100_000_000
"""Bytes that the header of a safetensors file may have at most."""
_ONNX_FIELDS = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
"""Fields of an ONNX model (onnx.proto, ModelProto) with their wire types."""
_ONNX_GRAPH = 7
_TEXT_BEGINNINGS = {
    ".json": (b"{", b"["),  # XGBoost, CatBoost
    ".ubj": (b"{",),  # XGBoost
    ".txt": (b"tree", b"booster["),  # LightGBM, XGBoost
    ".cbm": (b"CBM1",),  # CatBoost
}
_STOPS = ("at position ", "pickle exhausted", "expected ", "not enough data")
"""How pickletools begins to say that a byte is no opcode, or that the file ends too early."""
_NO_VALUE = frozenset({"PROTO", "FRAME", "MARK", "NEWTRUE", "NEWFALSE", "NONE"})
_IMPORTS = frozenset({"GLOBAL", "INST", "STACK_GLOBAL"})


def ending_of(uri: str) -> str:
    """The last ending of a file's name, in small letters."""
    return Path(uri).suffix.lower()


def form_of(stream: BinaryIO, uri: str) -> str:
    """Tell the form of a file that is no archive.

    Args:
        stream: The file, seekable; left at its start.
        uri: Its name.

    Returns:
        ``pickle``, ``joblib``, ``onnx``, ``native`` or ``unknown``.
    """
    ending = ending_of(uri)
    if ending in PICKLE_ENDINGS:
        return "joblib" if ending == ".joblib" else "pickle"
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    head = stream.read(16)
    safetensors = _is_safetensors(stream, size)
    if safetensors:
        form = "native"
    elif ending != ".safetensors" and _begins_as_pickle(head):
        return _at_start(stream, "pickle")
    elif ending == ".onnx" and _is_onnx(stream, size):
        form = "onnx"
    elif head.lstrip().startswith(_TEXT_BEGINNINGS.get(ending, ())):
        form = "native"
    else:
        form = "unknown"
    read = _read_as_pickle(stream)
    if read == "imports" or (read == "ends" and form == "unknown"):
        form = "pickle"
    elif read == "unclear" and not safetensors:  # whose header leaves no doubt
        form = "unknown"
    return _at_start(stream, form)


def _at_start(stream: BinaryIO, form: str) -> str:
    stream.seek(0)
    return form


def _begins_as_pickle(head: bytes) -> bool:
    return head[:1] == _PICKLE and len(head) > 1 and head[1] <= _NEWEST_PROTOCOL


def _is_safetensors(stream: BinaryIO, size: int) -> bool:
    """Eight bytes with the length of a header in JSON, then the header, then numbers."""
    stream.seek(0)
    start = stream.read(9)
    length = int.from_bytes(start[:8], "little")
    if start[8:] != b"{" or length > min(size - 8, _LARGEST_HEADER):
        return False
    try:
        return isinstance(json.loads(b"{" + stream.read(length - 1)), dict)
    except (ValueError, RecursionError):
        return False


def _is_onnx(stream: BinaryIO, size: int) -> bool:
    """Whether a file is a sequence of an ONNX model's fields up to its end, with a graph."""
    stream.seek(0)
    fields = set()
    try:
        for number, wire in _fields(stream, size):
            if _ONNX_FIELDS.get(number) != wire:
                return False
            fields.add(number)
    except EOFError:
        return False
    return _ONNX_GRAPH in fields


def _fields(stream: BinaryIO, size: int) -> Iterator[tuple[int, int]]:
    """Numbers and wire types of a Protocol Buffers message; contents are skipped."""
    while stream.tell() < size:
        number, wire = divmod(_varint(stream), 8)
        yield number, wire
        length = _varint(stream)
        if wire == 2 and stream.seek(length, io.SEEK_CUR) > size:
            raise EOFError


def _varint(stream: BinaryIO) -> int:
    value = 0
    for place in range(10):
        byte = stream.read(1)
        if not byte:
            raise EOFError
        value |= (byte[0] & 0x7F) << (7 * place)
        if byte[0] < 0x80:
            return value
    raise EOFError


def _read_as_pickle(stream: BinaryIO) -> str:
    """What an unpickler would make of a file.

    Returns:
        ``imports`` or ``ends``, whichever comes first; ``no`` if it would stop at a byte that is no
        opcode or at the end of the file; ``unclear`` if there is something that this reader does
        not read, but another may, such as a number in a notation that only some understand.
    """
    stream.seek(0)
    before = 0
    try:
        for operation, _, _ in pickletools.genops(stream):
            if operation.name == "STACK_GLOBAL" and before < 2:
                return "no"  # it takes two names that stand before it
            if operation.name in _IMPORTS:
                return "imports"
            before += operation.name not in _NO_VALUE
            if operation.name == "STOP":
                return "ends"
    except Exception as error:  # noqa: BLE001 - hostile bytes
        return "no" if str(error).startswith(_STOPS) else "unclear"
    return "no"
