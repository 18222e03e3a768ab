"""How OKX v5 writes a value, and how we read it.

* Every number travels as a JSON string, and "not applicable" is the empty string.  Here empty, null and absent
  mean the same: the field's default, which is None for numbers and "" for text.
* Prices, sizes and money are `Decimal`; times are whole milliseconds (`_ms`) or microseconds (`_us`); ids stay
  text, because they exceed 2**53.
* Enumerations stay text: the venue adds values without notice, and a new one must not stop the reader.
* Unknown fields are ignored for the same reason.

A field is named as the venue names it, in snake_case, with its unit appended: `u_time_ms` is `uTime`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from functools import cache, partial
from typing import Any, TypeVar

import msgspec

Number = Decimal | None
Millis = int | None

T = TypeVar("T")

# "name":"" or "name":null, wherever white space may stand.  In valid JSON this text cannot occur inside a string,
# since an unescaped quote ends it; so a whole document is cleaned in one pass before it is decoded.
_EMPTY_FIELD = re.compile(r'"\w++"\s*+:\s*+(?:""|null\b)')
_NAMELESS = '"":0'

# Decimal accepts "NaN", "Infinity" and exponents that no price has.  They are looked for as text first, because
# visiting every number of every message would cost more than decoding it; a false alarm costs only the visit.
_SUSPECT_WORDS = ("nan", "inf")
_SUSPECT_EXPONENT = re.compile(r"[eE]\+?\d\d")
# Far above any amount in any currency, far below where arithmetic becomes slow.
EXPONENT_MAX = 40


class WireError(Exception):
    """What the venue sent could not be read. The text says why and never quotes the whole message."""


def venue_name(field: str) -> str:
    """`u_time_ms` → `uTime`: the unit is ours, the rest is the venue's."""
    head, *rest = field.removesuffix("_ms").removesuffix("_us").split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in rest)


class Row(msgspec.Struct, frozen=True, omit_defaults=True, rename=venue_name):
    """One record as the venue sends it. See the module's text for how values are read."""


_decoder = cache(partial(msgspec.json.Decoder, strict=False))  # one per type, for the life of the process


def clean(text: str) -> str:
    """The same document with its empty and null fields made nameless, so that defaults apply."""
    if '""' not in text and "null" not in text:
        return text
    return _EMPTY_FIELD.sub(_NAMELESS, text)


def decode_envelope(text: str, kind: type[T]) -> T:
    """Decode a cleaned document that holds no numbers of its own. Raises WireError as `decode` does."""
    shape: Any = kind
    try:
        value: T = _decoder(shape).decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise WireError(str(error)) from None
    return value


def decode(text: str, kind: type[T]) -> T:
    """Decode a cleaned document.

    Raises WireError when it is not JSON, does not have the shape, or holds a number that is none.
    """
    value = decode_envelope(text, kind)
    if _suspicious(text):
        for number in _numbers(value):
            if not number.is_finite() or abs(number.adjusted()) > EXPONENT_MAX:
                raise WireError(f"a number out of range: {str(number)[:20]}")
    return value


def _suspicious(text: str) -> bool:
    lower = text.lower()
    return any(word in lower for word in _SUSPECT_WORDS) or _SUSPECT_EXPONENT.search(text) is not None


def as_text(raw: bytes | str) -> str:
    """Raises WireError when the bytes are not UTF-8."""
    if isinstance(raw, str):
        return raw
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise WireError("not UTF-8") from None


def _numbers(value: object) -> Iterator[Decimal]:
    if isinstance(value, Decimal):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from _numbers(getattr(value, name))
