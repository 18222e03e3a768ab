"""Where to connect, and with which keys.

Hosts by region of registration, as OKX v5 documents them.  Demo trading uses the same REST host with the header
`x-simulated-trading: 1`, but WebSocket hosts of its own; a key works only in its region and environment.
"""

from __future__ import annotations

import ipaddress
from enum import Enum
from typing import NoReturn
from urllib.parse import urlsplit

import msgspec


class Environment(Enum):
    SIM = "sim"  # the embedded venue in the time of its market, from a file or a seed
    PAPER = "paper"  # the same in real time, a file shifted by whole days
    DEMO = "demo"
    LIVE = "live"


class Region(Enum):
    GLOBAL = "global"
    EEA = "eea"
    US = "us"  # app.okx.com: the United States and Australia


class WsPath(Enum):
    """The three WebSocket paths. A channel lives on exactly one of them."""

    PUBLIC = "public"
    PRIVATE = "private"
    BUSINESS = "business"


_REST = {
    Region.GLOBAL: "https://openapi.okx.com",
    Region.EEA: "https://eea.okx.com",
    Region.US: "https://us.okx.com",
}
_WS_LIVE = {
    Region.GLOBAL: "wss://ws.okx.com:8443/ws/v5",
    Region.EEA: "wss://wseea.okx.com:8443/ws/v5",
    Region.US: "wss://wsus.okx.com:8443/ws/v5",
}
_WS_DEMO = {
    Region.GLOBAL: "wss://wspap.okx.com:8443/ws/v5",
    Region.EEA: "wss://wseeapap.okx.com:8443/ws/v5",
    Region.US: "wss://wsuspap.okx.com:8443/ws/v5",
}


class Endpoints(msgspec.Struct, frozen=True):
    """The addresses of one environment. `ws_url` ends in `/ws/v5`; `simulated` asks for demo trading over REST."""

    rest_url: str
    ws_url: str
    simulated: bool

    def ws(self, path: WsPath) -> str:
        return f"{self.ws_url}/{path.value}"


def endpoints(
    environment: Environment,
    region: Region = Region.GLOBAL,
    *,
    rest_url: str | None = None,
    ws_url: str | None = None,
) -> Endpoints:
    """The addresses of `environment`, with overrides for a venue that listens elsewhere.

    `sim` and `paper` trade on the embedded venue, whose port is known only once it listens: both URLs are required.
    The header `x-simulated-trading` is sent everywhere but live, so that a live key can never trade by mistake.

    Raises ValueError naming the setting when an address is missing, malformed, or would carry keys over the
    network unencrypted.
    """
    if environment in (Environment.SIM, Environment.PAPER) and (rest_url is None or ws_url is None):
        raise ValueError(f"venue {environment.value}: rest_url and ws_url of the embedded venue are required")
    default_ws = (_WS_LIVE if environment is Environment.LIVE else _WS_DEMO)[region]
    return Endpoints(
        rest_url=_checked("rest_url", rest_url or _REST[region], secure="https", plain="http"),
        ws_url=_checked("ws_url", ws_url or default_ws, secure="wss", plain="ws"),
        simulated=environment is not Environment.LIVE,
    )


def _checked(setting: str, url: str, *, secure: str, plain: str) -> str:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = 0
    if (
        parts.scheme not in (secure, plain)
        or not parts.hostname
        or port == 0
        or parts.query
        or parts.username
    ):
        raise ValueError(f"{setting} {url!r}: expected {secure}://HOST[:PORT][/PATH]")
    if parts.scheme == plain and not _is_loopback(parts.hostname):
        raise ValueError(f"{setting} {url!r}: only a loopback address may be unencrypted; use {secure}://")
    return url.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Credentials:
    """One API key. Its text forms show nothing, and it refuses to be pickled, so that no log can hold a secret."""

    __slots__ = ("key", "passphrase", "secret")

    key: str
    secret: str
    passphrase: str

    def __init__(self, *, key: str, secret: str, passphrase: str) -> None:
        for setting, value in (("key", key), ("secret", secret), ("passphrase", passphrase)):
            # They travel in headers: a stray line end from a copied file would be refused far from its cause.
            if not value or not value.isascii() or value != value.strip() or not value.isprintable():
                raise ValueError(f"credentials: {setting} is empty or holds spaces or unprintable characters")
        self.key = key
        self.secret = secret
        self.passphrase = passphrase

    def __repr__(self) -> str:
        return "Credentials(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("credentials are not to be pickled")
