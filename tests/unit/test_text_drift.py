"""New words, length and languages of texts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nachweis.domain.errors import UndefinedError
from nachweis.engines.text_drift import languages_moved, length_moved, new_words, words_of

KNOWN = [f"word{chr(97 + i)}{chr(97 + j)}" for i in range(10) for j in range(10)]


def texts(n: int, seed: int, vocabulary: list[str] = KNOWN, size: int = 8) -> list[list[int]]:
    generator = np.random.default_rng(seed)
    return [words_of(" ".join(generator.choice(vocabulary, size))) for _ in range(n)]


def test_words_are_letters_whatever_their_case() -> None:
    assert words_of("Größe 42: ØRESUND øresund!") == words_of("größe øresund ØRESUND")
    assert words_of("12345 a 7") == []
    assert all(isinstance(word, int) for word in words_of("No word stays"))


@settings(max_examples=40, deadline=None)
@given(st.one_of(st.none(), st.text(max_size=60), st.integers(), st.floats(), st.binary()))
def test_anything_can_stand_in_a_text_column(value) -> None:
    assert isinstance(words_of(value), list)


def test_texts_of_the_same_kind_hold_no_more_new_words() -> None:
    intervals = [new_words(texts(300, i), texts(100, 500 + i)).interval for i in range(30)]
    assert sum(low > 0 for low, _ in intervals) <= 3


def test_new_words_are_counted_per_text() -> None:
    baseline = texts(400, 1)
    window = [text[:6] + words_of("brandnew unheard") for text in texts(100, 2)]
    found = new_words(baseline, window)
    assert found.now == pytest.approx(0.25)
    assert found.before == pytest.approx(0.0)
    assert found.interval[0] == pytest.approx(0.25)
    assert found.vocabulary == len(KNOWN)


def test_words_that_are_always_new_are_no_difference() -> None:
    def named(n: int, seed: int) -> list[list[int]]:
        names = np.random.default_rng(seed).integers(0, 10**9, n)
        return [
            [*text, *words_of("q".join("abcdefghij"[int(d)] for d in str(name)))]
            for text, name in zip(texts(n, seed), names, strict=True)
        ]

    found = new_words(named(400, 1), named(150, 2))
    assert found.before == pytest.approx(1 / 9, abs=0.01)
    assert found.interval[0] < 0.01


@pytest.mark.parametrize(("earlier", "now"), [(199, 100), (300, 49), (0, 0)])
def test_few_texts_give_no_answer(earlier: int, now: int) -> None:
    with pytest.raises(UndefinedError, match="are needed"):
        new_words(texts(earlier, 1), texts(now, 2))


def test_texts_without_words_are_no_texts() -> None:
    with pytest.raises(UndefinedError):
        new_words([*texts(100, 1), *([[]] * 300)], texts(100, 2))


def test_longer_texts_are_farther_than_chance_explains() -> None:
    generator = np.random.default_rng(1)
    sizes = generator.integers(5, 15, 400)
    baseline = [[0] * size for size in sizes]
    same = [[0] * size for size in generator.integers(5, 15, 150)]
    longer = [[0] * size for size in generator.integers(12, 22, 150)]
    assert length_moved(baseline, same).surely < 0.1
    assert length_moved(baseline, longer).surely > 1


def test_languages_are_compared_by_their_shares() -> None:
    before = np.array(["de"] * 300 + ["da"] * 100, dtype=object)
    same = np.array(["de"] * 76 + ["da"] * 24 + [None] * 10, dtype=object)
    other = np.array(["de"] * 20 + ["en"] * 80, dtype=object)
    assert languages_moved(before, same).surely < 0.05
    assert languages_moved(before, other).surely > 0.3
    with pytest.raises(UndefinedError):
        languages_moved(before, np.array([None, None], dtype=object))
