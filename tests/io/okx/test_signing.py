import pytest

from anchorwatch.io.okx.signing import rest_prehash, rest_timestamp, signature, ws_login_prehash

SECRET = "22222222-TEST-SECRET-NOT-REAL"
AT = "2026-01-02T03:04:05.678Z"


@pytest.mark.parametrize(
    ("method", "target", "body", "expected"),
    [
        ("GET", "/api/v5/account/config", "", "sd2aAtBFz7EzdsnCds0zAXR3rLtK1wCBwcmESIBSZno="),
        (
            "get",
            "/api/v5/account/positions?instType=SWAP&instId=BTC-USDT-SWAP",
            "",
            "8fimYgfrZ1KT7cOKKoJRPXqgjaXfMba2pS7mvwVqCN8=",
        ),
        (
            "POST",
            "/api/v5/trade/order",
            '{"instId":"BTC-USDT-SWAP","tdMode":"cross","side":"buy","ordType":"limit","px":"60000","sz":"1",'
            '"clOrdId":"bot0001"}',
            "fbylwHq6GFIpmWF9tjb9JV7swxIeT+KXemEKgr8fHqI=",
        ),
    ],
)
def test_rest_signatures_are_those_of_the_vectors(method: str, target: str, body: str, expected: str) -> None:
    assert signature(SECRET, rest_prehash(AT, method, target, body)) == expected


def test_the_login_signature_is_that_of_the_vector() -> None:
    assert signature(SECRET, ws_login_prehash("1767323045")) == "bVPUZTIDq9DDtPQoz2bivZ+RID3wuIN95X9DgIpur7I="


@pytest.mark.parametrize(
    ("at_ms", "text"),
    [(1767323045678, AT), (1767323045000, "2026-01-02T03:04:05.000Z"), (7, "1970-01-01T00:00:00.007Z")],
)
def test_a_timestamp_is_utc_with_three_digits_of_milliseconds(at_ms: int, text: str) -> None:
    assert rest_timestamp(at_ms) == text
