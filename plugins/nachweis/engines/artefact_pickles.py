"""What a pickle would do: its stack is followed opcode by opcode, with nothing ever executed.

The names that a pickle imports say too little: two harmless classes can be put together so that
loading them evaluates a text. Each import is therefore held against an allow-list together with the
use that is made of it, and every value on the stack is known by where it comes from.
"""

from __future__ import annotations

import pickletools
import re
from dataclasses import dataclass
from typing import BinaryIO

from nachweis.engines.artefact_allowlist import (
    CALLED,
    ENCODINGS,
    MAPPINGS,
    PLAIN_RESULTS,
    Use,
    allows,
    as_listed,
)


@dataclass(eq=False, slots=True)
class _Value:
    """A value that a pickle would hold, by where it comes from.

    Attributes:
        kind: ``plain`` (texts, numbers, bytes), ``list``, ``dict``, ``set``, ``frozenset``,
            ``tuple``, ``name`` (an import) or ``made`` (what a call returned).
        name: The import, or that of the class or function which made the value.
        text: A plain text's content.
        items: Members of a tuple, which cannot change.
        simple: Whether something that holds values holds plain ones that cannot change.
        odd: What keeps a dictionary from being the attributes of an object, in words.
    """

    kind: str
    name: str = ""
    text: str | None = None
    items: tuple[_Value, ...] = ()
    simple: bool = True
    odd: str = ""

    def is_plain(self) -> bool:
        """Whether no method of an object runs when this is gone through."""
        return self.kind not in {"made", "name"} and self.simple

    def is_fixed(self) -> bool:
        """Whether it is plain and stays so; such values may be keys."""
        return self.is_plain() and self.kind in {"plain", "tuple", "frozenset"}


_TEXTS = frozenset(
    {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE", "STRING", "BINSTRING",
     "SHORT_BINSTRING"}
)  # fmt: skip
_PLAIN = frozenset(
    {"NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4",
     "FLOAT", "BINFLOAT", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"}
)  # fmt: skip
_EMPTY = {"EMPTY_LIST": "list", "EMPTY_DICT": "dict", "EMPTY_SET": "set"}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_SPECIAL = "a special attribute"
"""One that Python itself looks for, such as the class."""
_GETS = frozenset({"BINGET", "LONG_BINGET", "GET"})
_PUTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})


class PickleReader:
    """Follows the pickles of one file.

    Attributes:
        refused: What is not on the allow-list, in words.
        imports: How many names were imported.
    """

    def __init__(self) -> None:
        self.refused: list[str] = []
        self.imports = 0

    def read(self, stream: BinaryIO) -> None:
        """Follow every pickle up to the end of a file.

        Args:
            stream: A seekable stream at the start of the first one.

        Raises:
            Exception: If there are bytes that are no complete pickle, or a stack that no unpickler
                could work with.
        """
        while True:
            stack = _Stack(self)
            for operation, argument, _ in pickletools.genops(stream):
                stack.step(operation.name, argument)
            if not stream.read(1):
                return
            stream.seek(-1, 1)

    def imported(self, module: str, attribute: str) -> _Value:
        """Note an import and whether it is allowed."""
        self.imports += 1
        name = as_listed(f"{module}.{attribute}")
        if "." in attribute:
            # Attributes of a module lead to whatever it imports, such as subprocess.
            self.refuse(f"the import {shown(name)} through attributes")
        elif not allows(name):
            self.refuse(f"the import {shown(name)}")
        return _Value("name", name)

    def refuse(self, what: str) -> None:
        """Note something that is not allowed."""
        self.refused.append(what)


class _Stack:
    """The stack and the memo of one pickle."""

    def __init__(self, reader: PickleReader) -> None:
        self.reader = reader
        self.stack: list[_Value] = []
        self.marked: list[list[_Value]] = []
        self.memo: dict[int, _Value] = {}

    def step(self, name: str, argument: object) -> None:
        """Follow one opcode; what is not handled here is refused and ends the reading."""
        push = self.stack.append  # what comes in between changes this list and does not replace it
        if name in _TEXTS:
            push(_Value("plain", text=str(argument)))
        elif name in _PLAIN:
            push(_Value("plain"))
        elif name in _EMPTY:
            push(_Value(_EMPTY[name]))
        elif name in _TUPLES:
            push(_tuple(self._pop(_TUPLES[name])))
        elif name in _GETS:
            push(self.memo[int(str(argument))])
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif name in _PUTS:
            self.memo[int(str(argument))] = self.stack[-1]
        elif name == "MARK":
            self.marked.append(self.stack)
            self.stack = []
        elif name == "GLOBAL":
            module, _, attribute = str(argument).partition(" ")
            push(self.reader.imported(module, attribute))
        elif name == "STACK_GLOBAL":
            push(self._computed_import())
        elif name == "STOP":
            self._pop(1)
            if self.stack or self.marked:
                raise ValueError
        elif name not in {"PROTO", "FRAME"}:
            self._use(name)

    def _use(self, name: str) -> None:
        """Opcodes that put values together or call something."""
        if name in {"TUPLE", "LIST", "FROZENSET", "DICT"}:
            items = self._since_mark()
            made = _tuple(items) if name == "TUPLE" else _Value(name.lower())
            self.stack.append(made)
            self._fill(made, items)
        elif name in {"APPENDS", "ADDITEMS", "SETITEMS"}:
            items = self._since_mark()
            self._add(name, items)
        elif name in {"APPEND", "SETITEM"}:
            items = self._pop(1 if name == "APPEND" else 2)
            self._add(f"{name}S", items)
        elif name in {"REDUCE", "NEWOBJ"}:
            callable_, arguments = self._pop(2)
            self.stack.append(self._call(name, callable_, arguments))
        elif name == "BUILD":
            (state,) = self._pop(1)
            self._build(self.stack[-1], state)
        else:
            self.reader.refuse(f"the opcode {name}")
            raise ValueError

    def _pop(self, count: int) -> list[_Value]:
        if len(self.stack) < count:
            raise IndexError
        cut = len(self.stack) - count
        taken = self.stack[cut:]
        del self.stack[cut:]
        return taken

    def _since_mark(self) -> list[_Value]:
        taken, self.stack = self.stack, self.marked.pop()
        return taken

    def _computed_import(self) -> _Value:
        module, attribute = self._pop(2)
        if module.text is None or attribute.text is None:
            self.reader.imports += 1
            self.reader.refuse("an import whose name is computed")
            return _Value("name")
        return self.reader.imported(module.text, attribute.text)

    def _add(self, name: str, items: list[_Value]) -> None:
        target = self.stack[-1]
        expected = {"APPENDS": "list", "ADDITEMS": "set", "SETITEMS": "dict"}[name]
        if target.kind == expected or (
            expected == "dict" and target.kind == "made" and target.name in MAPPINGS
        ):
            self._fill(target, items, expected)
        else:
            self.reader.refuse("an object that items are put into")

    def _fill(self, target: _Value, items: list[_Value], kind: str = "") -> None:
        kind = kind or target.kind
        if kind == "dict":
            if len(items) % 2:
                raise ValueError
            odd = _odd(items[::2])
            target.odd = target.odd or odd
            if target.kind == "made" and odd == _SPECIAL:
                self.reader.refuse(odd)
        hashed = {"dict": items[::2], "set": items, "frozenset": items}.get(kind, [])
        if not all(item.is_fixed() for item in hashed):
            self.reader.refuse("an object as a key")
        target.simple = target.simple and all(item.is_fixed() for item in items)

    def _call(self, opcode: str, callable_: _Value, arguments: _Value) -> _Value:
        if callable_.kind != "name" or arguments.kind != "tuple":
            self.reader.refuse("a call of something that is no import")
            return _Value("made")
        name = callable_.name
        use = Use.NEW if opcode == "NEWOBJ" else Use.CALL
        if not allows(name, use):
            if allows(name):
                self.reader.refuse(f"a call of {shown(name)}")
            return _Value("made")
        if use is Use.CALL and not self._arguments_allowed(name, arguments.items):
            self.reader.refuse(f"a call of {shown(name)} with such arguments")
        if name in PLAIN_RESULTS:
            return _Value("plain")
        return _Value("made", name)

    def _arguments_allowed(self, name: str, arguments: tuple[_Value, ...]) -> bool:
        """Whether arguments are of the kind that pickles of such objects hold."""
        if name == "_codecs.encode":
            return len(arguments) == 2 and arguments[1].text in ENCODINGS
        origins = CALLED[name]
        plain = _Value.is_fixed if name in PLAIN_RESULTS else _Value.is_plain
        return all(
            plain(one) or (one.kind in {"name", "made"} and one.name.startswith(origins))
            for one in arguments
        )

    def _build(self, target: _Value, state: _Value) -> None:
        if target.kind != "made":
            self.reader.refuse("a state for something that is no new object")
        elif state.kind == "dict":
            if state.odd:
                self.reader.refuse(state.odd)
        elif state.kind != "tuple" or (
            # A pair of dictionaries would set any attribute, also the class.
            len(state.items) == 2 and not target.name.startswith("numpy.random.")
        ):
            self.reader.refuse("a state that is computed")


def _tuple(items: list[_Value]) -> _Value:
    return _Value("tuple", items=tuple(items), simple=all(item.is_fixed() for item in items))


def _odd(keys: list[_Value]) -> str:
    """Why keys cannot be the names of attributes."""
    if any(re.fullmatch(r"__\w*__", key.text or "") for key in keys):
        return _SPECIAL
    return "an attribute whose name is computed" if any(key.text is None for key in keys) else ""


def shown(name: str) -> str:
    """A dotted name for people; anything that is no name is not repeated."""
    return name if re.fullmatch(r"[A-Za-z_][\w.]{0,99}", name) else "(not a plain name)"
