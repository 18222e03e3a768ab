"""What a code of OKX v5 means for us, as a table.

The question that matters after a write is not whether it failed, but whether it *may have happened*.  So a code that
we do not know, a 5xx, and an answer that is no JSON all leave a write `UNKNOWN`: the order may be live, and only
asking the venue by client id can tell.

Sources: the error-code page of OKX v5 (REST and WebSocket), and field reports for the codes that it lacks.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal

import msgspec

from anchorwatch.io.okx.error_table import (
    ALREADY_THERE,
    DONE,
    NEVER,
    NOT_PROCESSED_STOP,
    READ_AGAIN,
    UNKNOWN_OUTCOME,
    WRITE_UNKNOWN,
    WS_LOGIN,
    WS_UPGRADE,
    retry_codes,
)

Operation = Literal["read", "write"]


class Remedy(Enum):
    """What to do about a code."""

    NEVER = "N"  # never again as it is: the request itself is wrong
    RETRY = "R"  # not processed; may be tried again after a wait (or after the change that `action` names)
    UNKNOWN = "U"  # it may have happened, or is already there: ask the venue before anything else
    STOP = "S"  # trading cannot go on until a human has acted
    DONE = "D"  # what was wanted is already so, after verification


class Verdict(msgspec.Struct, frozen=True):
    """A code, read. `outcome_known` is False when a write may have been processed all the same."""

    code: str
    remedy: Remedy
    meaning: str
    action: str
    outcome_known: bool


# A code of ours, beside the venue's: the request never left this host, so it surely had no effect.
NOT_SENT = "not-sent"

# Placement refused because the client id is in use: this request had no effect, the earlier one may have.
DUPLICATE_ID_CODES = tuple(ALREADY_THERE)
RATE_LIMIT_CODES = ("50011", "50061", "50040")
# The venue read `expTime` and did not process the request.
EXPIRED_CODES = ("50036", "50037")
CLOCK_CODES = ("50102", "60006")
# A query right after the acknowledgement may not find the order yet, so this is not proof of absence.
NOT_FOUND_CODES = ("51603",)


def _table() -> dict[str, Verdict]:
    table: dict[str, Verdict] = {}

    def add(codes: str, remedy: Remedy, meaning: str, action: str, *, outcome_known: bool = True) -> None:
        for code in codes.split():
            assert code not in table, f"{code} is listed twice"
            table[code] = Verdict(code, remedy, meaning, action, outcome_known)

    for codes, (meaning, action) in UNKNOWN_OUTCOME.items():
        add(codes, Remedy.UNKNOWN, meaning, action, outcome_known=False)
    for codes, (meaning, action) in ALREADY_THERE.items():
        add(codes, Remedy.UNKNOWN, meaning, action)
    for codes, (meaning, action) in READ_AGAIN.items():
        add(codes, Remedy.UNKNOWN, meaning, action)
    for codes, (meaning, action) in WRITE_UNKNOWN.items():
        add(codes, Remedy.RETRY, meaning, action, outcome_known=False)
    for codes, (meaning, action) in retry_codes().items():
        add(codes, Remedy.RETRY, meaning, action)
    for codes, (meaning, action) in DONE.items():
        add(codes, Remedy.DONE, meaning, action)
    for codes, (meaning, action) in NOT_PROCESSED_STOP.items():
        add(codes, Remedy.STOP, meaning, action)
    for codes, (meaning, action) in NEVER.items():
        add(codes, Remedy.NEVER, meaning, action)
    add(NOT_SENT, Remedy.RETRY, "the request never left this host", "decide anew")
    return table


TABLE = _table()
LOGIN_TABLE = {
    code: Verdict(code, Remedy(letter), meaning, action, True)
    for codes, (letter, meaning, action) in WS_LOGIN.items()
    for code in codes.split()
}


def classify(http_status: int, top_code: str, s_code: str, op: Operation) -> Verdict:
    """What an answer means that did not succeed.

    The item's `s_code` decides where there is one; `top_code` "" stands for an answer that was no JSON.  A write
    is of unknown outcome on every 5xx, whatever its body says, and on every code that the table does not list.
    """
    code = s_code if s_code not in ("", "0") else top_code
    verdict = TABLE.get(code)
    if op == "read":
        return verdict if verdict is not None else _unlisted(code, http_status, Remedy.RETRY, known=True)
    if verdict is None:
        return _unlisted(code, http_status, Remedy.UNKNOWN, known=False)
    if http_status >= 500 or not verdict.outcome_known:
        return msgspec.structs.replace(verdict, remedy=Remedy.UNKNOWN, outcome_known=False)
    return verdict


def classify_login(code: str) -> Verdict:
    """What a refused WebSocket login means. An unlisted code may be tried again: nothing was traded by it."""
    listed = LOGIN_TABLE.get(code) or TABLE.get(code)
    return listed if listed is not None else _unlisted(code, 0, Remedy.RETRY, known=True)


def classify_upgrade(http_status: int | None) -> Verdict | None:
    """What it means that a WebSocket was refused with this status; None where it is no more than a drop."""
    if http_status not in WS_UPGRADE:
        return None
    letter, meaning, action = WS_UPGRADE[http_status]
    return Verdict(str(http_status), Remedy(letter), meaning, action, True)


def _unlisted(code: str, http_status: int, remedy: Remedy, *, known: bool) -> Verdict:
    if code:
        meaning = f"code {code} is not in our table"
    elif http_status:
        meaning = f"HTTP {http_status} without an answer of the venue"
    else:
        meaning = "no answer"
    action = "ask the venue by client id" if remedy is Remedy.UNKNOWN else "wait, then ask again"
    return Verdict(code, remedy, meaning, action, known)
