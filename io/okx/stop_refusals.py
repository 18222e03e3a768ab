"""What OKX's refusal of a stop asks for, code by code: the answers are `protection.Refusal`, the table is here.

Source: the error-code page of OKX v5 (algo trading, 51xxx; settlement and thin-book protection, 510xx and 54xxx).
A code that is not listed may be mended by another try (a full list, a busy lane, a rate limit), until the
deadline of the uncovered position.
"""

from __future__ import annotations

from anchorwatch.io.okx.errors import DUPLICATE_ID_CODES
from anchorwatch.machine.protection import Refusal

ANSWERS = {
    # The trigger is on the wrong side of last (51277–51280) or of mark (51300, 51302): the market has passed it.
    Refusal.BEYOND: "51277 51278 51279 51280 51300 51302",
    # One stop of the whole position a position.
    Refusal.EXISTS: " ".join(("51088", *DUPLICATE_ID_CODES)),
    Refusal.NO_POSITION: "51023 51058 51169 51170",
    # Lot, tick, smallest and largest size, price limits, an instrument that was renamed: they may have changed.
    Refusal.RULES: "51000 51001 51005 51006 51007 51014 51015 51020 51101 51116 51120 51121 51135 51136 51137 51138 51202",
    # Frozen by ADL, liquidation or funding; not trading; in settlement; a thin book.
    Refusal.BARRED: "50017 50018 50019 50020 50021 50022 50023 51021 51022 51027 51028 51029 51030 54012 54072",
}  # fmt: skip

_TABLE = {code: refusal for refusal, codes in ANSWERS.items() for code in codes.split()}


def answer_to(code: str) -> Refusal:
    """What is done about a stop that was refused with this code."""
    return _TABLE.get(code, Refusal.RETRY)
