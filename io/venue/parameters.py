"""What clients send, read the way the exchange reads it, and numbers written the way it writes them.

One rule covers the habits of every client library seen: an absent key, ``null`` and ``""`` mean the same; numbers
and booleans may arrive as strings or as JSON natives; unknown keys are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation

from anchorwatch.io.venue.refusals import Refusal

# Longer numbers are refused before Decimal sees them: OKX accepts 32 characters for a size or a price.
NUMBER_LENGTH_MAX = 32
CLIENT_ID = re.compile(r"[A-Za-z0-9]{1,32}")
TAG = re.compile(r"[A-Za-z0-9]{1,16}")
PLAIN_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]*)?|-?\.[0-9]+")
# Sixteen decimals is more than any price or amount of a USDT swap needs; the rest is noise of a division.
DECIMALS_SHOWN = 16
SMALLEST_SHOWN = Decimal(1).scaleb(-DECIMALS_SHOWN)


def plain(value: Decimal | None) -> str:
    """A decimal without exponent and without trailing zeros; ``""`` for None, as the wire writes "not applicable"."""
    if value is None:
        return ""
    text = format(value, "f")
    _, point, decimals = text.partition(".")
    if not point:
        return "0" if text == "-0" else text
    if len(decimals) > DECIMALS_SHOWN:
        text = format(value.quantize(SMALLEST_SHOWN), "f")
    text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


class Parameters:
    """The parameters of one request or one item of it. Every reader raises `Refusal` 51000 naming the parameter."""

    def __init__(self, raw: Mapping[str, object]) -> None:
        self._raw = raw

    def text(self, name: str, default: str = "") -> str:
        value = self._raw.get(name)
        if value is None or value == "":
            return default
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str):
            return value
        if isinstance(value, int):
            return str(value)
        if isinstance(value, float):
            return plain(Decimal(repr(value)))
        raise Refusal("51000", name)

    def required(self, name: str) -> str:
        value = self.text(name)
        if not value:
            raise Refusal("50014", name)
        return value

    def one_of(self, name: str, allowed: tuple[str, ...], default: str = "") -> str:
        """The value, which must be among `allowed`; absent is the default, and a refusal when there is none."""
        value = self.text(name, default)
        if value not in allowed:
            raise Refusal("51000", name)
        return value

    def decimal(self, name: str) -> Decimal | None:
        text = self.text(name)
        if not text:
            return None
        if len(text) > NUMBER_LENGTH_MAX or not PLAIN_NUMBER.fullmatch(text):
            raise Refusal("51000", name)
        try:
            return Decimal(text)
        except InvalidOperation:
            raise Refusal("51000", name) from None

    def whole(self, name: str) -> int | None:
        value = self.decimal(name)
        if value is None:
            return None
        if value != int(value):
            raise Refusal("51000", name)
        return int(value)

    def claim(self, name: str) -> bool:
        return self.one_of(name, ("true", "false"), "false") == "true"

    def client_id(self, name: str) -> str:
        """A client-chosen id: 1 to 32 case-sensitive letters and digits."""
        value = self.text(name)
        if value and not CLIENT_ID.fullmatch(value):
            raise Refusal("51000", name)
        return value

    def tag(self) -> str:
        value = self.text("tag")
        if value and not TAG.fullmatch(value):
            raise Refusal("51000", "tag")
        return value

    def items(self, name: str) -> Iterator[Parameters]:
        """The objects of a list parameter (``attachAlgoOrds``); absent, null, ``""`` and ``[]`` give none."""
        value = self._raw.get(name)
        if value in (None, ""):
            return
        if not isinstance(value, list):
            raise Refusal("51000", name)
        for item in value:
            if not isinstance(item, dict):
                raise Refusal("51000", name)
            yield Parameters(item)

    def names(self) -> frozenset[str]:
        """The names that carry a value."""
        return frozenset(name for name, value in self._raw.items() if value not in (None, "", []))
