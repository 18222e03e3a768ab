"""Where the venue of the settings is, and with which key it is entered."""

from __future__ import annotations

from anchorwatch.io.okx.environments import Credentials, Endpoints, endpoints
from anchorwatch.io.settings import Settings


def access(settings: Settings) -> tuple[Endpoints, Credentials | None]:
    """The endpoints and the key of a venue on the network (demo and live)."""
    venue, keys = settings.venue, settings.keys
    credentials = (
        Credentials(key=keys.key.reveal(), secret=keys.secret.reveal(), passphrase=keys.passphrase.reveal())
        if keys is not None
        else None
    )
    where = endpoints(venue.kind, venue.region, rest_url=venue.rest_url or None, ws_url=venue.ws_url or None)
    return where, credentials
