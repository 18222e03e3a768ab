"""Who is calling: REST signatures over the raw bytes received, and WebSocket login.

The order of the checks is ours, since OKX does not publish its own: missing headers, key, timestamp format, clock,
passphrase, environment, address, signature, permission.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import unquote

from anchorwatch.io.venue.accounts import Account, ApiKey
from anchorwatch.io.venue.parameters import Parameters
from anchorwatch.io.venue.refusals import Refusal

# OKX: how far a client's clock may be off, either way.
CLOCK_WINDOW_MS = 30_000
LOGIN_PREHASH = "GET/users/self/verify"
REQUIRED_HEADERS = (
    ("ok-access-key", "50103"),
    ("ok-access-passphrase", "50104"),
    ("ok-access-sign", "50106"),
    ("ok-access-timestamp", "50107"),
)


class Caller(NamedTuple):
    account: Account
    key: ApiKey


class KeyRing:
    """Every key of every account."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._callers = {key.key: Caller(account, key) for account in accounts for key in account.spec.keys}

    def find(self, key: str) -> Caller | None:
        return self._callers.get(key)

    def forget(self, key: str) -> None:
        self._callers.pop(key, None)

    def rest_caller(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, ip: str, now_ms: int
    ) -> Caller:
        """The account behind a signed request. `target` is the request target as it came, query included."""
        for name, code in REQUIRED_HEADERS:
            if not headers.get(name):
                raise Refusal(code)
        caller = self.find(headers["ok-access-key"])
        if caller is None:
            raise Refusal("50111")
        stamp = headers["ok-access-timestamp"]
        at_ms = _iso_ms(stamp)
        if abs(at_ms - now_ms) > CLOCK_WINDOW_MS:
            raise Refusal("50102")
        if not hmac.compare_digest(headers["ok-access-passphrase"].encode(), caller.key.passphrase.encode()):
            raise Refusal("50105")
        if (headers.get("x-simulated-trading") == "1") != caller.key.is_demo and not caller.key.serves_both:
            raise Refusal("50101")
        if caller.key.ips and ip not in caller.key.ips:
            raise Refusal("50110")
        given = headers["ok-access-sign"]
        # Some HTTP libraries re-encode the target after it was signed; the decoded form is what they signed.
        for path in (target, unquote(target)):
            expected = _sign(caller.key.secret, f"{stamp}{method}{path}".encode() + body)
            if hmac.compare_digest(expected.encode(), given.encode()):
                return caller
        raise Refusal("50113")

    def ws_caller(self, args: Parameters, ip: str, now_ms: int) -> Caller:
        """The account behind a WebSocket login. The timestamp is in seconds."""
        key, stamp = args.text("apiKey"), args.text("timestamp")
        caller = self.find(key)
        if caller is None:
            raise Refusal("60005")
        try:
            at_ms = int(float(stamp) * 1000)
        except (ValueError, OverflowError):
            raise Refusal("60004") from None
        if abs(at_ms - now_ms) > CLOCK_WINDOW_MS:
            raise Refusal("60006")
        if not hmac.compare_digest(args.text("passphrase").encode(), caller.key.passphrase.encode()):
            raise Refusal("60024")
        if caller.key.ips and ip not in caller.key.ips:
            raise Refusal("50110")
        expected = _sign(caller.key.secret, f"{stamp}{LOGIN_PREHASH}".encode())
        if not hmac.compare_digest(expected.encode(), args.text("sign").encode()):
            raise Refusal("60007")
        return caller


def _sign(secret: str, prehash: bytes) -> str:
    return base64.b64encode(hmac.new(secret.encode(), prehash, hashlib.sha256).digest()).decode()


def _iso_ms(stamp: str) -> int:
    if not stamp.endswith("Z"):
        raise Refusal("50112")
    try:
        at = datetime.fromisoformat(stamp)
    except ValueError:
        raise Refusal("50112") from None
    return round(at.astimezone(UTC).timestamp() * 1000)
