"""The quick test of the canonical form accepts exactly what RFC 8785 writes."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nachweis.domain.canonical import canonical_bytes, parse_canonical
from nachweis.domain.errors import NachweisError

numbers = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-(2**52), 2**52)
texts = st.text(max_size=20)
documents = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(documents)
@example({"a": "\u007f/\x1f", "b": [1, -1, 0, True, None]})
@example({"\U0001f600": 1, "\ufb33": 2})
def test_what_the_standard_writes_is_accepted(document: object) -> None:
    written = canonical_bytes(document)
    assert canonical_bytes(parse_canonical(written)) == written


@given(documents, st.data())
def test_any_other_bytes_are_refused(document: object, data: st.DataObject) -> None:
    written = canonical_bytes(document)
    other = data.draw(
        st.sampled_from(
            [
                json.dumps(document).encode(),
                json.dumps(document, indent=1, ensure_ascii=False).encode("utf-8", "replace"),
                b" " + written,
                written + b"\n",
            ]
        )
    )
    if other == written:
        return
    with pytest.raises(NachweisError):
        parse_canonical(other)


@pytest.mark.parametrize(
    "content",
    [
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        b'{"a":1,"a":2}',
        b'{"a":1.0}',
        b'{"a":1e2}',
        b'{"a":-0}',
        b'{"a":01}',
        b'{"a":9007199254740993}',
        b'{"a":"\\u0041"}',
        b'{"a":"\\/"}',
        b'{"a":NaN}',
        b'{"a": 1}',
        b'{"a":1',
        b"",
        b"\xff",
        b'"\\ud800"',
        b"[" * 100_000,
    ],
)
def test_every_other_spelling_is_refused(content: bytes) -> None:
    with pytest.raises(NachweisError):
        parse_canonical(content)
