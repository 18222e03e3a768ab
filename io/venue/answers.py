"""Answers as data: the envelope of OKX v5, item codes, lists and their paging."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from anchorwatch.io.venue.order_rows import Row
from anchorwatch.io.venue.parameters import Parameters
from anchorwatch.io.venue.refusals import OPERATION_FAILED, PARTLY_FAILED, Refusal

T = TypeVar("T")


class Answer(NamedTuple):
    """The top-level code and the data. Trade endpoints are timed: the gateway's arrival and departure in µs."""

    data: Sequence[object]
    code: str = "0"
    text: str = ""
    is_timed: bool = False

    def encoded(self, in_ms: int, out_ms: int, head: Row | None = None) -> bytes:
        row: Row = {**(head or {}), "code": self.code, "msg": self.text, "data": self.data}
        if self.is_timed:
            row |= {"inTime": f"{in_ms}000", "outTime": f"{out_ms}000"}
        return msgspec.json.encode(row)


def of_items(items: Sequence[Row], *, is_timed: bool = True) -> Answer:
    """The envelope of item rows: 0 when all succeeded, 1 when none did, 2 in between."""
    failed = sum(1 for item in items if item["sCode"] != "0")
    if not failed:
        return Answer(items, is_timed=is_timed)
    if failed == len(items):
        text = "All operations failed" if len(items) > 1 else "Operation failed."
        return Answer(items, OPERATION_FAILED, text, is_timed)
    return Answer(items, PARTLY_FAILED, "Bulk operation partially succeeded.", is_timed)


def of_refusal(refusal: Refusal) -> Answer:
    return Answer((), refusal.code, refusal.text)


def limit_of(asked: Parameters, default: int, most: int) -> int:
    """The page length: a larger wish than the maximum gets the maximum."""
    limit = asked.whole("limit")
    if limit is None:
        return default
    if limit < 1:
        raise Refusal("51000", "limit")
    return min(limit, most)


def page(
    newest_first: Iterable[T],
    asked: Parameters,
    key: Callable[[T], int],
    *,
    most: int = 100,
    default: int = 100,
) -> list[T]:
    """One page: ``after`` asks for what is older than it, ``before`` for what is newer, both exclusive."""
    after, before = asked.whole("after"), asked.whole("before")
    limit = limit_of(asked, default, most)
    rows: list[T] = []
    for row in newest_first:
        cursor = key(row)
        if (after is None or cursor < after) and (before is None or cursor > before):
            rows.append(row)
            if len(rows) == limit:
                break
    return rows
