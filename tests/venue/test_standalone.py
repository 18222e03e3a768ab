"""Stories of ``anchorwatch venue`` as a program: killed and come back, told to misbehave, spoken to over TLS."""

from __future__ import annotations

import json
import ssl
from collections.abc import Awaitable, Callable
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest
import trio

from anchorwatch.io.cli import command
from anchorwatch.io.embedded import history_wanted_ms, market_of
from anchorwatch.io.run_options import RunOptions
from anchorwatch.io.settings import load
from anchorwatch.io.standalone import VenueOptions, accounts_of, feeds_of, venue_of
from anchorwatch.io.venue.certificate import NoTls, key_path, tls_context
from anchorwatch.io.venue.feeds import DAY_MS
from anchorwatch.io.venue.files import BadVenueFile, read_config, read_faults, write_state
from anchorwatch.io.venue.market import Market
from anchorwatch.io.venue.saved import saved
from tests.venue.program import LIMIT, running
from tests.venue.rig import BTC, START_MS

HAS_TLS = pytest.mark.skipif(
    find_spec("cryptography") is None, reason="cryptography is not installed: the extra 'tls'"
)
CONFIG = """
[switches]
attached_after = "each_fill"
[[accounts]]
cash = 5000.5
pos_mode = "long_short_mode"
[[accounts]]
name = "second"
cash = 100
[[accounts.keys]]
key = "k2"
secret = "s2"
passphrase = "sim-pass"
"""


async def until(claim: Callable[[], Awaitable[bool]]) -> None:
    with trio.fail_after(60):
        for _ in range(10_000):
            if await claim():
                return
            await trio.sleep(0.05)


async def test_a_killed_exchange_comes_back_with_its_orders_positions_and_stops(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    async with running("--state", state) as venue:
        px = await venue.last()
        far = str(round(px * 0.9))
        market = {**LIMIT, "ordType": "market"}
        assert (await venue.ask("POST", "/api/v5/trade/order", market))["code"] == "0"
        stop = {**LIMIT, "side": "sell", "ordType": "conditional", "slTriggerPx": far, "slOrdPx": "-1"}
        stopped = await venue.ask("POST", "/api/v5/trade/order-algo", {**stop, "reduceOnly": True})
        resting = await venue.ask("POST", "/api/v5/trade/order", {**LIMIT, "px": far, "clOrdId": "resting"})
        order_id, algo_id = resting["data"][0]["ordId"], stopped["data"][0]["algoId"]
        cash = (await venue.ask("GET", "/anchorwatch/accounts/main"))["cash"]

        async def is_saved() -> bool:
            return order_id in state.read_text()

        await until(is_saved)
        await venue.kill()
    async with running("--state", state) as venue:
        order = await venue.ask("GET", f"/api/v5/trade/order?instId={BTC}&clOrdId=resting")
        assert (order["data"][0]["ordId"], order["data"][0]["state"]) == (order_id, "live")
        algo = await venue.ask("GET", "/api/v5/trade/orders-algo-pending?ordType=conditional")
        assert [one["algoId"] for one in algo["data"]] == [algo_id]
        positions = await venue.ask("GET", "/api/v5/account/positions")
        assert [one["pos"] for one in positions["data"]] == ["1"]
        assert (await venue.ask("GET", "/anchorwatch/accounts/main"))["cash"] == cash
        newer = await venue.ask("POST", "/api/v5/trade/order", {**LIMIT, "px": far})
        assert int(newer["data"][0]["ordId"]) > int(order_id) + 1_000
        assert abs(await venue.last() / px - 1) < 0.02, "the market goes on where it was"
        assert await venue.stop() == 0
    assert newer["data"][0]["ordId"] in state.read_text(), "an orderly stop saves what came last"


async def test_a_fault_comes_from_a_file_and_another_over_the_control_surface(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(
        '[[rules]]\nkind = "reject_with_code"\nwhere = "trade/order"\ncode = "50026"\nafter = 1\n'
    )
    async with running("--faults", plan) as venue:
        order = {**LIMIT, "px": str(round(await venue.last() * 0.9))}
        codes = [(await venue.ask("POST", "/api/v5/trade/order", order))["code"] for _ in range(3)]
        assert codes == ["0", "50026", "0"]
        rule = {"kind": "ack_then_cancel", "where": BTC, "code": "15"}
        rules = (await venue.ask("POST", "/anchorwatch/faults", rule))["rules"]
        assert [(one["kind"], one["struck"]) for one in rules] == [
            ("reject_with_code", 1),
            ("ack_then_cancel", 0),
        ]
        placed = await venue.ask("POST", "/anchorwatch/orders/main", {**order, "clOrdId": "byhand"})
        assert placed["sCode"] == "0"
        shown = await venue.ask("GET", f"/api/v5/trade/order?instId={BTC}&clOrdId=byhand")
        assert shown["data"][0]["cancelSource"] == "15"
        assert (await venue.ask("DELETE", "/anchorwatch/faults"))["rules"] == []
        assert (await venue.ask("DELETE", "/anchorwatch/orders/main"))["cancelled"] == 2


async def test_accounts_and_switches_come_from_a_file_and_the_second_account_has_its_own_key(
    tmp_path: Path,
) -> None:
    config = tmp_path / "venue.toml"
    config.write_text(CONFIG)
    async with running("--config", config) as venue:
        assert "s2" not in venue.words, "a configured secret is not printed"
        first = (await venue.ask("GET", "/api/v5/account/config"))["data"][0]
        second = (await venue.ask("GET", "/api/v5/account/config", key="k2", secret="s2"))["data"][0]
        assert (first["posMode"], second["posMode"]) == ("long_short_mode", "net_mode")
        assert first["uid"] != second["uid"]
        balance = await venue.ask("GET", "/api/v5/account/balance", key="k2", secret="s2")
        assert balance["data"][0]["details"][0]["cashBal"] == "100"


@HAS_TLS
async def test_a_client_that_trusts_the_certificate_speaks_tls(tmp_path: Path) -> None:
    certificate = tmp_path / "cert.pem"
    async with running("--tls-port", 0, "--tls-cert", certificate) as venue:
        assert venue.certificate == certificate
        trusting = ssl.create_default_context(cafile=str(certificate))
        target = f"https://localhost:{venue.tls_port}/api/v5/public/time"
        async with httpx.AsyncClient(trust_env=False, verify=trusting) as http:
            assert (await http.get(target)).json()["code"] == "0"
        async with httpx.AsyncClient(trust_env=False) as http:
            with pytest.raises(httpx.ConnectError):
                await http.get(target)
        assert (await venue.ask("GET", "/api/v5/public/time"))["code"] == "0", "others are unharmed"


@HAS_TLS
def test_a_certificate_is_made_once_and_again_when_it_has_expired(tmp_path: Path) -> None:
    certificate = tmp_path / "cert.pem"
    tls_context(certificate, START_MS)
    first = certificate.read_bytes()
    tls_context(certificate, START_MS + 86_400_000)
    assert certificate.read_bytes() == first
    tls_context(certificate, START_MS + 400 * 86_400_000)
    assert certificate.read_bytes() != first
    assert key_path(certificate).stat().st_mode & 0o077 == 0, "nobody else reads the key"
    with pytest.raises(NoTls, match="No such file"):
        tls_context(tmp_path / "nowhere" / "cert.pem", START_MS)


@pytest.mark.parametrize(
    ("option", "text", "says"),
    [
        ("--faults", '[[rules]]\nkind = "nonsense"', "Invalid enum value 'nonsense'"),
        ("--faults", '[[rules]]\nkind = "drop_push"\nwher = "x"', "unknown field `wher`"),
        ("--faults", '[[rules]]\nkind = "drop_push"\nprobability = 2', "<= 1"),
        ("--faults", '[[changes]]\nat_ms = 1\ninst_id = "BTC-USDT-SWAP"\ntick_sz = "0"', "positive number"),
        ("--faults", '[[changes]]\nat_ms = 1\ninst_id = "NO-USDT-SWAP"', "does not list NO-USDT-SWAP"),
        ("--faults", "[[", "Invalid initial character"),
        ("--config", "[switches]\nattached_after = 'never'", "Invalid enum value 'never'"),
        ("--config", "[[accounts]]\n[[accounts]]", "'main' is there twice"),
        ("--state", "{", "is no saved state"),
    ],
)
def test_a_bad_file_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, text: str, says: str
) -> None:
    file = tmp_path / "file.toml"
    file.write_text(text)
    assert command(["venue", "--port", "0", option, str(file)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(file) in line
    assert says in line


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--speed", "0"], "--speed: '0'; allowed: a whole number from 1 to 100"),
        (["--speed", "1.5"], "--speed: '1.5'"),
        (["--pos-mode", "both"], "--pos-mode: 'both'; allowed: net, long_short"),
        (["--tls-port", "70000"], "--tls-port: 70000"),
        (["--state", "nowhere/at/all.json"], "cannot be written"),
        (["--faults", "nowhere.toml"], "No such file"),
    ],
)
def test_a_bad_option_is_one_clear_line(
    capsys: pytest.CaptureFixture[str], options: list[str], says: str
) -> None:
    assert command(["venue", "--port", "0", *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line


def test_moments_of_a_plan_count_from_the_first_start_unless_it_says_otherwise(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    rules = [{"kind": "drop_push", "from_ms": 5, "until_ms": 9}]
    maintenance = [{"begin_ms": 1, "end_ms": 3, "pre_open_ms": 2}]
    whole = {"rules": rules, "changes": [{"at_ms": 4, "inst_id": BTC}], "maintenance": maintenance}
    plan.write_text(json.dumps(whole))
    read = read_faults(plan, 1_000)
    assert (read.rules[0].from_ms, read.rules[0].until_ms, read.changes[0].at_ms) == (1_005, 1_009, 1_004)
    one = read.maintenance[0]
    assert (one.begin_ms, one.pre_open_ms, one.end_ms) == (1_001, 1_002, 1_003)
    plan.write_text(json.dumps({**whole, "times": "epoch"}))
    assert read_faults(plan, 1_000).rules[0].from_ms == 5


def test_one_option_sets_the_position_mode_of_all_accounts(tmp_path: Path) -> None:
    config = tmp_path / "venue.toml"
    config.write_text(CONFIG)
    accounts = accounts_of(read_config(config), "long_short")
    assert [one.pos_mode for one in accounts] == ["long_short_mode"] * 2
    assert [one.cash for one in accounts] == [Decimal("5000.5"), Decimal(100)]


def test_a_faster_market_keeps_the_clock_and_goes_on_where_it_was_first_entered(tmp_path: Path) -> None:
    options = VenueOptions(speed=50)
    feed = feeds_of(options, START_MS)[BTC]
    later = feeds_of(options, START_MS)[BTC]
    hour_ms = 3_600_000
    assert feed.minutes(START_MS + hour_ms, 1).close[0] == later.minutes(START_MS + hour_ms, 1).close[0]
    moved = abs(int(feed.minutes(START_MS, 1).close[0]) - int(feed.minutes(START_MS, 1).open[0]))
    slow = feeds_of(VenueOptions(), START_MS)[BTC].minutes(START_MS, 50)
    assert moved == abs(int(slow.close[-1]) - int(slow.open[0]))
    venue, anchor_ms = venue_of(options, lambda: START_MS)
    assert (venue.now_ms(), anchor_ms) == (START_MS, START_MS)


def test_a_state_of_another_market_is_refused(tmp_path: Path) -> None:
    options = VenueOptions(state=tmp_path / "state.json")
    venue, anchor_ms = venue_of(options, lambda: START_MS)
    assert options.state is not None
    write_state(options.state, saved(venue, anchor_ms=anchor_ms, market=options.market_words))
    assert venue_of(options, lambda: START_MS + 60_000)[1] == START_MS, "the market's first entry is kept"
    with pytest.raises(BadVenueFile, match="another market"):
        venue_of(VenueOptions(state=options.state, seed=2), lambda: START_MS)


def test_the_examples_of_the_readme_are_files_that_it_takes(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    config, plan = (
        next(block for block in readme.split("```toml\n") if block.startswith(f"# --{option}")).partition(
            "```"
        )[0]
        for option in ("config", "faults")
    )
    (tmp_path / "venue.toml").write_text(config)
    (tmp_path / "plan.toml").write_text(plan)
    assert [one.name for one in read_config(tmp_path / "venue.toml").accounts] == ["main", "second"]
    read = read_faults(tmp_path / "plan.toml", 0)
    assert (len(read.rules), read.changes[0].at_ms, read.maintenance[0].end_ms) == (2, 60_000, 360_000)


@pytest.mark.parametrize("speed", [1, 20])
def test_a_recorded_market_begins_with_what_the_default_strategy_waits_for(
    tmp_path: Path, speed: int
) -> None:
    """A bot beside it would wait for days, at the pace of the clock, for what the file already holds."""
    file = recorded_market(tmp_path, days=9)
    wanted_ms = history_wanted_ms(load(file=None, environ={}, options={}, markets=()))
    assert wanted_ms > 4 * DAY_MS
    # At any time of the day, and from a file that is shorter than what is wanted of it.
    for now_ms in (START_MS, START_MS + 17 * 3_600_000):
        feed = feeds_of(VenueOptions(markets=(file,), speed=speed), now_ms)[BTC]
        assert feed.first_ms <= now_ms - wanted_ms
        assert len(Market({BTC: feed}, now_ms).candles(BTC, "1H", limit=100)) == 100


def test_paper_begins_with_what_its_strategy_waits_for(tmp_path: Path) -> None:
    file = recorded_market(tmp_path, days=9)
    settings = load(file=None, environ={}, options={}, markets=(file,))
    stage = market_of(settings, RunOptions(markets=(file,)), wall_ms=START_MS)
    assert len(stage.market.candles(BTC, "1H", limit=100)) == 100


def recorded_market(folder: Path, days: int) -> Path:
    rows = [f"{START_MS + n * 60_000},95000,95010,94990,95000,1.5" for n in range(days * 1_440)]
    file = folder / "BTCUSDT_1m.csv"
    file.write_text("\n".join(["ts,open,high,low,close,volume", *rows, ""]))
    return file
