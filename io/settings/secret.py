"""Values that must never be seen: the API key and what belongs to it."""

from __future__ import annotations

from typing import NoReturn

import msgspec

MASK = "****"


class Secret:
    """A text whose every printed form is ``****``; `reveal` is the one way to it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself: for the signature and for redaction, never for people."""
        return self._text

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not to be pickled")


class Keys(msgspec.Struct, frozen=True):
    """One API key of the venue with its secret and its passphrase."""

    key: Secret
    secret: Secret
    passphrase: Secret
