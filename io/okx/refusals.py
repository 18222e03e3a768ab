"""What OKX's refusal of a stop or of a closing order asks for, code by code.

Source: the error-code page of OKX v5 (trading 510xx and 511xx, algo trading 512xx–513xx, settlement and thin-book
protection 510xx and 54xxx). A code that is not listed may be mended by another try: a full list, a busy lane, a
rate limit. What bounds the tries is the deadline of the uncovered position, and for a close nothing.
"""

from __future__ import annotations

from anchorwatch.io.okx.errors import DUPLICATE_ID_CODES
from anchorwatch.machine.protection import Refusal
from anchorwatch.machine.world import CloseRefusal

TOO_BIG = "51005 51101 51108 51113 51185 51202"
# Lot, tick, smallest size, price limits, an instrument that was renamed: they may have changed.
RULES = "51000 51001 51006 51007 51014 51015 51020 51116 51120 51121 51135 51136 51137 51138"

STOPS = {
    # The trigger is on the wrong side of last (51277–51280) or of mark (51300, 51302): the market has passed it.
    Refusal.BEYOND: "51277 51278 51279 51280 51300 51302",
    # One stop of the whole position a position.
    Refusal.EXISTS: " ".join(("51088", *DUPLICATE_ID_CODES)),
    Refusal.NO_POSITION: "51023 51058 51169 51170",
    Refusal.RULES: f"{RULES} {TOO_BIG}",
    # Frozen by ADL, liquidation or funding; not trading; in settlement; a thin book.
    Refusal.BARRED: "50017 50018 50019 50020 50021 50022 50023 51021 51022 51027 51028 51029 51030 54012 54072",
}
CLOSES = {
    CloseRefusal.TOO_BIG: TOO_BIG,
    # Resting orders that would close the position take up its size (51112 in hedge mode), or must go first.
    CloseRefusal.BLOCKED: "51112 51115 51117 51148",
    CloseRefusal.RULES: RULES,
}

_OF_STOPS = {code: refusal for refusal, codes in STOPS.items() for code in codes.split()}
_OF_CLOSES = {code: refusal for refusal, codes in CLOSES.items() for code in codes.split()}


def answer_to_stop(code: str) -> Refusal:
    """What is done about a stop that was refused with this code."""
    return _OF_STOPS.get(code, Refusal.RETRY)


def answer_to_close(code: str) -> CloseRefusal:
    """What is done about a closing order that was refused with this code."""
    return _OF_CLOSES.get(code, CloseRefusal.ANOTHER_TRY)
