"""Working ahead in a thread: order, errors, stopping."""

import threading
from collections.abc import Iterator

import pytest

from encoders.prefetch import prefetch


def test_items_come_in_order() -> None:
    assert list(prefetch(range(100), depth=3)) == list(range(100))
    assert list(prefetch([])) == []


def test_the_next_items_are_made_while_this_one_is_used() -> None:
    made = threading.Event()

    def items() -> Iterator[int]:
        yield 0
        made.set()
        yield 1

    for item in prefetch(items()):
        # Without a thread the second item would be made only after this returns.
        assert made.wait(timeout=10), item


def test_no_more_than_depth_are_made_ahead() -> None:
    made: list[int] = []
    several = threading.Event()

    def items() -> Iterator[int]:
        for k in range(50):
            made.append(k)
            if k == 3:
                several.set()
            yield k

    ahead = prefetch(items(), depth=2)
    assert next(ahead) == 0
    assert several.wait(timeout=10)
    assert len(made) <= 1 + 2 + 1  # used, waiting in the queue, waiting to get into it
    ahead.close()
    assert not any(thread.name == "prefetch" for thread in threading.enumerate())


def test_an_error_arrives_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("broken")

    ahead = prefetch(items())
    assert next(ahead) == 1
    with pytest.raises(OSError, match="broken"):
        next(ahead)


def test_an_error_in_an_item_comes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        list(prefetch(1 // (3 - step) for step in range(9)))
