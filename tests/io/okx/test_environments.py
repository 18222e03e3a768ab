import pickle

import pytest

from anchorwatch.io.okx.environments import Credentials, Environment, Region, WsPath, endpoints


def test_demo_and_live_differ_by_websocket_host_and_header_only() -> None:
    live, demo = endpoints(Environment.LIVE, Region.EEA), endpoints(Environment.DEMO, Region.EEA)
    assert (live.rest_url, live.simulated) == ("https://eea.okx.com", False)
    assert (demo.rest_url, demo.simulated) == ("https://eea.okx.com", True)
    assert live.ws(WsPath.PRIVATE) == "wss://wseea.okx.com:8443/ws/v5/private"
    assert demo.ws(WsPath.BUSINESS) == "wss://wseeapap.okx.com:8443/ws/v5/business"


def test_every_region_has_its_own_hosts() -> None:
    hosts = {
        (endpoints(env, region).ws_url) for env in (Environment.LIVE, Environment.DEMO) for region in Region
    }
    assert len(hosts) == 6


def test_both_addresses_can_be_overridden_for_a_venue_elsewhere() -> None:
    here = endpoints(
        Environment.DEMO, rest_url="http://127.0.0.1:8080/", ws_url="wss://venue.example:9443/ws/v5/"
    )
    assert here.rest_url == "http://127.0.0.1:8080"
    assert here.ws(WsPath.PUBLIC) == "wss://venue.example:9443/ws/v5/public"


@pytest.mark.parametrize("environment", [Environment.SIM, Environment.PAPER])
def test_the_embedded_venue_has_no_default_address(environment: Environment) -> None:
    with pytest.raises(ValueError, match="rest_url and ws_url"):
        endpoints(environment)


@pytest.mark.parametrize(
    "url",
    ["http://venue.example", "ftp://127.0.0.1", "https://", "https://h:99999", "https://user@h", "nonsense"],
)
def test_an_address_that_is_malformed_or_would_carry_keys_in_clear_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="rest_url"):
        endpoints(Environment.LIVE, rest_url=url)


def test_credentials_show_nothing_in_any_text_form() -> None:
    credentials = Credentials(key="the-key", secret="the-secret", passphrase="the-phrase")
    texts = (
        repr(credentials),
        str(credentials),
        f"{credentials}",
        repr([credentials]),
        f"{credentials!r:>40}",
    )
    assert not any(word in text for text in texts for word in ("the-key", "the-secret", "the-phrase"))
    with pytest.raises(TypeError):
        pickle.dumps(credentials)


@pytest.mark.parametrize("secret", ["", "two\nlines", " padded", "naïve"])
def test_credentials_that_would_break_a_header_are_refused_without_showing_them(secret: str) -> None:
    with pytest.raises(ValueError, match="secret") as refusal:
        Credentials(key="k", secret=secret, passphrase="p")
    assert not secret.strip() or secret not in str(refusal.value)
