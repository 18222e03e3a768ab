"""Settings: what holds, where it came from, and what is refused."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from anchorwatch.io.okx.environments import Environment
from anchorwatch.io.settings import (
    Secret,
    Settings,
    SettingsError,
    Sides,
    effective,
    load,
    parameters,
    reference,
)
from anchorwatch.io.settings.reading import FIELDS, KEYS, PER_SYMBOL
from anchorwatch.io.settings.schema import GROUPS
from anchorwatch.machine import connection, lifecycle
from anchorwatch.machine.parameters import Pace, Parameters, Trading
from anchorwatch.machine.strategy.scalper import Scalper
from anchorwatch.machine.units import Side

KEY, SECRET, PASSPHRASE = "ak-5b7e-31", "sk-09f2c4d1aa", "pp-Corrib.42"
ENVIRON = {
    "ANCHORWATCH_API_KEY": KEY,
    "ANCHORWATCH_API_SECRET": SECRET,
    "ANCHORWATCH_API_PASSPHRASE": PASSPHRASE,
}


def of_file(tmp_path: Path, text: str, *, environ: Mapping[str, str] | None = None, **more: Any) -> Settings:
    file = tmp_path / "anchorwatch.toml"
    file.write_text(text, encoding="utf-8")
    return load(file=file, environ=environ or {}, **more)


def refusal(tmp_path: Path, text: str, **more: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        of_file(tmp_path, text, **more)
    return [str(problem) for problem in caught.value.problems]


def test_without_a_file_everything_is_a_default_and_the_venue_is_the_embedded_one() -> None:
    settings = load(environ={})
    assert (settings.venue.kind, settings.account.exclusive) == (Environment.SIM, True)
    assert settings.keys is None
    assert settings.journal.file is None, "the embedded exchange begins anew: there is nothing to remember"
    assert {origin for _, _, origin in effective(settings)} == {"default"}


def test_a_later_source_wins_and_each_value_tells_its_origin(tmp_path: Path) -> None:
    text = 'symbols = ["ETH-USDT-SWAP"]\n[log]\nformat = "text"\n[strategy]\nname = "ema_cross"\nfast = 9\n'
    settings = of_file(
        tmp_path,
        text,
        options={"log.format": "json"},
        markets=(Path("binance_usdm_BTCUSDT_1m_setA.csv.gz"),),
    )
    origins = {key: (value, origin) for key, value, origin in effective(settings)}
    assert origins["strategy.fast"] == ("9", "file")
    assert origins["strategy.slow"] == ("21", "default")
    assert origins["log.format"] == ("json", "command line")
    assert origins["symbols"] == ("BTC-USDT-SWAP", "market file")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[protection]\nstop_fraction = nan", "protection.stop_fraction: NaN; allowed: a number above 0"),
        ("[protection]\nstop_fraction = inf", "protection.stop_fraction: Infinity; allowed"),
        (
            "[protection]\nstop_fraction = 1",
            "protection.stop_fraction: 1; allowed: a number above 0 and below 1",
        ),
        ("[protection]\nstop_fraction = -0.1", "protection.stop_fraction: -0.1; allowed"),
        ("[protection]\nstop_fraction = 1e99999999999999999999", "protection.stop_fraction: NaN; allowed"),
        ("[protection]\nstop_fraction = 0.06", "stop_fraction: 0.06; allowed: at most catastrophe_fraction"),
        ('[protection]\nstop_fraction = "0.01"', 'protection.stop_fraction: "0.01"; allowed: a number'),
        ("[strategy]\nfast = 8.0", "strategy.fast: 8.0; allowed: a whole number 2 to"),
        ("[strategy]\nfast = true", "strategy.fast: true; allowed: a whole number"),
        ('[strategy]\nname = "ema_cross"\nfast = 21', "strategy.fast: 21; allowed: below strategy.slow (21)"),
        (
            '[strategy]\nname = "moon"',
            'strategy.name: "moon"; allowed: scalper, ema_cross, or a class in a file',
        ),
        ('[strategy]\nsides = "up"', 'strategy.sides: "up"; allowed: long, short, both'),
        ('[account]\nexclusive = "yes"', 'account.exclusive: "yes"; allowed: true or false'),
        ("[account]\nleverage = 0", "account.leverage: 0; allowed: a whole number 1 to 100 (×)"),
        ("[sizing]\nnotional_usd = 0", "sizing.notional_usd: 0; allowed: a number above 0"),
        ("[connections]\nsilence_s = 25", "connections.silence_s: 25 with pong_within_s 8; allowed"),
        (
            "[connections]\nbackoff_first_s = 60\nbackoff_max_s = 30",
            "connections.backoff_first_s: 60; allowed",
        ),
        ("[stop]\nsafety = 3.0", "stop.within_s: 8; allowed: at least the sum of the steps (10.5 s)"),
        ('symbols = "BTC-USDT-SWAP"', 'symbols: "BTC-USDT-SWAP"; allowed: a list'),
        ("symbols = []", "symbols: is empty; allowed: at least one symbol"),
        ('symbols = ["BTCUSDT"]', 'symbols: "BTCUSDT"; allowed: USDT-settled swaps such as BTC-USDT-SWAP'),
        ('symbols = ["BTC-USDT-SWAP", "BTC-USDT-SWAP"]', "symbols: BTC-USDT-SWAP is there twice"),
        ('symbols = ["PEPE-USDT-SWAP"]', "symbols: PEPE-USDT-SWAP is not listed on the embedded exchange"),
        ('[strategy]\nname = "ema_cross"\n[candles]\n"1m" = 50', "candles.1m: 50; allowed: at least 94"),
        (
            '[strategy]\nname = "ema_cross"\n[candles]\n"1m" = 200\n"1d" = 3',
            "candles.1d: unknown timeframe; did you mean",
        ),
        ('[symbol."ETH-USDT-SWAP"]\nleverage = 5', 'symbol."ETH-USDT-SWAP": is not among symbols'),
        (
            '[strategy]\nname = "ema_cross"\n[symbol."BTC-USDT-SWAP"]\nfast = 50',
            'symbol."BTC-USDT-SWAP".fast: 50; allowed: below strategy.slow',
        ),
        ('[symbol."BTC-USDT-SWAP"]\nstop = 1', 'symbol."BTC-USDT-SWAP".stop: unknown setting'),
        ("symbol = 3", "symbol: allowed: sections such as"),
        (
            "[sizing]\nnotional_usd = 1001",
            "sizing.notional_usd: 1001; allowed: at most limits.total_usd (1000), or nothing would ever be entered",
        ),
        (
            '[symbol."BTC-USDT-SWAP"]\nnotional_usd = 1001',
            'symbol."BTC-USDT-SWAP".notional_usd: 1001; allowed: at most limits.total_usd (1000)',
        ),
        ("[protecton]\nstop_fraction = 0.01", "protecton: unknown setting; did you mean protection?"),
        ("[protection]\nstop_fracton = 0.01", "did you mean protection.stop_fraction?"),
        (
            "[zzz]\nx = 0.01",
            "zzz: unknown setting; allowed: venue, account, strategy, sizing, entry, protection, ",
        ),
        ("[log]\nxyzzy = 1", "log.xyzzy: unknown setting; allowed: log.format, log.level"),
        ("[sizing]\nleverage = 3", "sizing.leverage: unknown setting; did you mean account.leverage?"),
        ("protection = 3", "protection: is a value; allowed: a section [protection]"),
        ('[venue]\nrest_url = "http://127.0.0.1:8000"', "venue.ws_url: is not set; allowed: both addresses"),
        ("[venue\n", "is not valid TOML"),
    ],
)
def test_what_cannot_be_is_refused_with_its_name_its_value_and_what_is_allowed(
    tmp_path: Path, text: str, line: str
) -> None:
    lines = refusal(tmp_path, text)
    assert len(lines) == 1, lines
    assert line in lines[0]


def test_a_stop_beyond_an_isolated_margin_is_refused(tmp_path: Path) -> None:
    (line,) = refusal(
        tmp_path, '[account]\nmargin_mode = "isolated"\nleverage = 50\n[protection]\nstop_fraction = 0.02'
    )
    assert "loses 100% of an isolated margin; allowed: at most 75%" in line


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    lines = refusal(tmp_path, "frst = 1\n[strategy]\nfast = 0\n[account]\nleverage = 1000\n")
    assert [line.partition(":")[0] for line in lines] == ["frst", "account.leverage", "strategy.fast"]


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    for file, words in ((tmp_path / "none.toml", "No such file"), (tmp_path, "cannot be read")):
        with pytest.raises(SettingsError, match=words):
            load(file=file, environ={})
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="is not text"):
        load(file=binary, environ={})


def test_demo_and_live_demand_to_be_told_whose_the_account_is(tmp_path: Path) -> None:
    for kind in ("demo", "live"):
        (line,) = refusal(tmp_path, f'[venue]\nkind = "{kind}"', environ=ENVIRON)
        assert line.startswith(f"account.exclusive: must be said on {kind}")
    settings = of_file(
        tmp_path, '[venue]\nkind = "live"\n[account]\nexclusive = false', environ={**ENVIRON, "HOME": "/"}
    )
    assert settings.account.exclusive is False
    assert settings.journal.file is not None
    assert settings.journal.file.name == "live.sqlite"


def test_missing_keys_are_named_and_a_stray_space_is_told_without_the_key(tmp_path: Path) -> None:
    text = '[venue]\nkind = "demo"\n[account]\nexclusive = true'
    lines = refusal(tmp_path, text, environ={"ANCHORWATCH_API_KEY": f"{KEY}\n"})
    assert [line.partition(":")[0] for line in lines] == [
        "ANCHORWATCH_API_KEY",
        "ANCHORWATCH_API_SECRET",
        "ANCHORWATCH_API_PASSPHRASE",
    ]
    assert KEY not in "".join(lines)


def test_no_printed_form_of_the_settings_holds_a_secret(tmp_path: Path) -> None:
    settings = of_file(tmp_path, '[venue]\nkind = "demo"\n[account]\nexclusive = true', environ=ENVIRON)
    assert settings.secrets() == (KEY, SECRET, PASSPHRASE)
    printed = f"{settings} {settings!r} {effective(settings)} {settings.keys} {settings.keys!r}"
    for secret in settings.secrets():
        assert secret not in printed
    assert ("api.secret", "****", "environment") in effective(settings)
    with pytest.raises(TypeError, match="not to be pickled"):
        pickle.dumps(Secret("x"))


def test_a_secret_in_the_file_is_refused_without_being_quoted(tmp_path: Path) -> None:
    for text in (
        f'[account]\napi_secret = "{SECRET}"',
        f'[account]\nsecret = "{SECRET}"',
        f'api_key = "{SECRET}"',
    ):
        (line,) = refusal(tmp_path, text)
        assert "secrets are read from the environment only" in line
        assert SECRET not in line
    (line,) = refusal(tmp_path, f'[strategy]\nname = "{SECRET}"', environ=ENVIRON)
    assert SECRET not in line
    lines = refusal(
        tmp_path,
        '[venue]\nkind = "live"\nrest_url = "https://me:hunter2@okx.com"\n[account]\nexclusive = true',
        environ=ENVIRON,
    )
    assert "hunter2" not in "".join(lines)


def test_an_address_that_would_carry_keys_unencrypted_is_refused(tmp_path: Path) -> None:
    text = '[venue]\nkind = "live"\nrest_url = "http://okx.com"\n[account]\nexclusive = true'
    (line,) = refusal(tmp_path, text, environ=ENVIRON)
    assert line.startswith('venue.rest_url: "http://okx.com"; allowed: only a loopback address')


def test_a_symbol_takes_its_own_values_and_the_common_ones_for_the_rest(tmp_path: Path) -> None:
    settings = of_file(
        tmp_path,
        'symbols = ["BTC-USDT-SWAP", "ETH-USDT-SWAP"]\n[strategy]\nname = "ema_cross"\nslow = 30\n'
        '[symbol."ETH-USDT-SWAP"]\nleverage = 3\nfast = 5\nstop_fraction = 0.01\nsides = "short"\n',
    )
    own, common = settings.of("ETH-USDT-SWAP"), settings.of("BTC-USDT-SWAP")
    assert (own.leverage, own.strategy.fast, own.strategy.slow, own.strategy.sides) == (3, 5, 30, Sides.SHORT)
    assert own.protection.stop_fraction == Decimal("0.01")
    assert (common.leverage, common.strategy.fast, common.protection.stop_fraction) == (
        5,
        8,
        Decimal("0.006"),
    )
    assert ('symbol."ETH-USDT-SWAP".fast', "5", "file") in effective(settings)
    tuned = parameters(settings)
    assert tuned.of("ETH-USDT-SWAP").sides == (Side.SHORT,)
    assert tuned.of("ETH-USDT-SWAP").protecting.stop_fraction == Decimal("0.01")


def test_market_files_and_symbols_have_to_agree(tmp_path: Path) -> None:
    btc, eth = Path("binance_usdm_BTCUSDT_1m.csv.gz"), Path("okx_swap_ETH-USDT-SWAP_1m.csv")
    assert load(environ={}, markets=(btc, eth)).symbols == ("BTC-USDT-SWAP", "ETH-USDT-SWAP")
    for symbols, markets, words in (
        (None, (Path("prices.csv"),), "does not say its symbol"),
        (None, (btc, btc), "two files for BTC-USDT-SWAP"),
        (["ETH-USDT-SWAP"], (btc,), "which is not among --symbol"),
        (["BTC-USDT-SWAP", "ETH-USDT-SWAP"], (btc,), "ETH-USDT-SWAP has no --market file"),
    ):
        with pytest.raises(SettingsError, match=words):
            load(environ={}, options={"symbols": symbols} if symbols else {}, markets=markets)
    with pytest.raises(SettingsError, match="demo has a market of its own"):
        load(environ={}, options={"venue.kind": "demo"}, markets=(btc,))
    assert load(environ={}, options={"venue.kind": "paper"}, markets=(btc,)).symbols == ("BTC-USDT-SWAP",)


def test_the_defaults_are_those_of_the_machines() -> None:
    settings = load(environ={})
    assert settings.lifecycle_limits() == lifecycle.Limits()
    assert settings.connections.private_limits() == connection.Limits()
    public = settings.connections.public_limits()
    assert [public.backoff_s(failures) for failures in range(1, 11)] == [5] * 10
    trading = Trading(strategy=Scalper(), candles=settings.candles)
    assert parameters(settings) == Parameters(instruments=(("BTC-USDT-SWAP", trading),), pace=Pace())


def test_every_default_obeys_its_own_rule() -> None:
    for name, group in GROUPS.items():
        for field, (_, rule) in FIELDS[name].items():
            default = getattr(group(), field)
            assert rule.meaning, f"{name}.{field} says nothing"
            if isinstance(default, int | float | Decimal) and not isinstance(default, bool):
                assert rule.holds(Decimal(str(default))), f"{name}.{field}"


def test_a_symbol_setting_has_one_meaning_whatever_its_section() -> None:
    marked = [name for fields in FIELDS.values() for name, (_, rule) in fields.items() if rule.per_symbol]
    assert sorted(marked) == sorted(PER_SYMBOL)


def test_the_reference_names_every_setting() -> None:
    text = reference()
    for key in KEYS:
        group, _, name = key.partition(".")
        assert f"## [{group}]" in text
        assert f"| {name} " in text
