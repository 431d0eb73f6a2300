"""Overlapping work keeps its order, its errors and at most two items at a time."""

from __future__ import annotations

import threading

import pytest

from nachweis.domain.errors import DataError
from nachweis.engines.two_stages import two_stages


def test_results_stand_in_the_order_of_the_items():
    assert two_stages(range(20), lambda item: lambda: item * item) == [i * i for i in range(20)]
    assert two_stages([], lambda item: lambda: item) == []


def test_an_item_is_finished_while_the_next_one_is_begun():
    next_has_begun = threading.Event()

    def begin(item):
        if item == 1:
            next_has_begun.set()
        return lambda: next_has_begun.wait(timeout=30)

    assert two_stages([0, 1], begin) == [True, True]


def test_at_most_two_items_are_under_way():
    lock, under_way, most = threading.Lock(), 0, 0

    def begin(item):
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)

        def finish():
            nonlocal under_way
            with lock:
                under_way -= 1

        return finish

    two_stages(range(50), begin)
    assert most <= 2


def test_what_the_data_do_not_allow_takes_no_other_item_with_it():
    def begin(item):
        if item == 1:
            raise DataError("cannot be read")

        def finish():
            if item == 2:
                raise DataError("cannot be sorted")
            return item

        return finish

    found = two_stages(range(4), begin)
    assert [str(one) for one in found] == ["0", "cannot be read", "cannot be sorted", "3"]
    assert [isinstance(one, DataError) for one in found] == [False, True, True, False]


def test_a_programming_error_is_not_swallowed():
    with pytest.raises(ZeroDivisionError):
        two_stages([1], lambda item: lambda: item / 0)
