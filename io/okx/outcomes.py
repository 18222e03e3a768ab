"""How a REST call can end. The venue's and the network's faults are values here, never exceptions.

A read ends as `Answered`, `Refused` or `Failed`; a write as `Answered`, `Refused` or `Unknown`.  A write that never
left this host is `Refused` with the code `errors.NOT_SENT`: it surely had no effect.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from anchorwatch.io.okx.errors import TABLE, Remedy

R_co = TypeVar("R_co", covariant=True)


class Answered(msgspec.Struct, Generic[R_co], frozen=True):
    """The venue did it. The rows are complete: a list cut short is a failure, never a shorter list."""

    rows: tuple[R_co, ...]

    @property
    def row(self) -> R_co:
        """The one row of a call that answers with one."""
        assert len(self.rows) == 1, f"{len(self.rows)} rows where one is"
        return self.rows[0]


class Refused(msgspec.Struct, frozen=True):
    """The venue answered no, and this request had no effect. `sub_code` refines some codes (51008, 51004)."""

    code: str
    sub_code: str = ""
    message: str = ""

    @property
    def remedy(self) -> Remedy:
        verdict = TABLE.get(self.code)
        return verdict.remedy if verdict is not None else Remedy.NEVER

    @property
    def action(self) -> str:
        """What a person or the caller does about it; empty for a code that we do not know."""
        verdict = TABLE.get(self.code)
        return verdict.action if verdict is not None else ""


class Unknown(msgspec.Struct, frozen=True):
    """A write that may have been processed, or may yet be.

    `expires_ms` is the venue time after which it can no longer be accepted, where the request carried such a
    deadline (placements and amendments of normal orders); None where the venue has none (algo orders, closing a
    position, cancelling).  `code` is the venue's, if it gave one.
    """

    reason: str
    code: str = ""
    expires_ms: int | None = None


class Failed(msgspec.Struct, frozen=True):
    """A read that got no answer. Nothing is known that was not known before: least of all that a list is empty."""

    reason: str
    code: str = ""


R = TypeVar("R")
Read = Answered[R] | Refused | Failed
Write = Answered[R] | Refused | Unknown
