"""Signatures of OKX v5: one for REST requests, one for the WebSocket login.

Both are Base64(HMAC-SHA256(secret, text)).  The text of a REST request is made of the bytes that go over the
wire, so the caller passes the target and the body exactly as they will be sent.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime

WS_LOGIN_TARGET = "GET/users/self/verify"


def signature(secret: str, text: str) -> str:
    """Base64(HMAC-SHA256(secret, text)), as OKX v5 wants it in `OK-ACCESS-SIGN`."""
    digest = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode("ascii")


def rest_timestamp(at_ms: int) -> str:
    """UTC milliseconds as ISO-8601 with milliseconds and `Z`, the only form that OKX v5 accepts over REST."""
    seconds, ms = divmod(at_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ms:03d}Z"


def rest_prehash(timestamp: str, method: str, target: str, body: str = "") -> str:
    """What is signed: `target` starts with `/api/v5/` and includes the query; `body` is the exact JSON sent."""
    return f"{timestamp}{method.upper()}{target}{body}"


def ws_login_prehash(timestamp_s: str) -> str:
    """What is signed to log in on a WebSocket; the timestamp is in whole seconds there, not milliseconds."""
    return timestamp_s + WS_LOGIN_TARGET
