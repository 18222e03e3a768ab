"""Stories of what may be lost and how much may be held; of counters that a restart does not forget."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorwatch.io.journal import open_journal
from anchorwatch.machine import bot as bots
from anchorwatch.machine import connection, lifecycle, limits, permission, position, requests, world
from anchorwatch.machine.connection import Name
from anchorwatch.machine.desk import Desk, risk
from anchorwatch.machine.facts import Fact, Facts, RiskFact, StreakFact
from anchorwatch.machine.limits import Exposure, Limits, Reentry
from anchorwatch.machine.parameters import Parameters, Protecting, Trading
from anchorwatch.machine.readiness import EQUITY_AGE_MS
from anchorwatch.machine.regime import Regime, RegimeState
from anchorwatch.machine.sizing import FEES_BOTH_WAYS, SizedBy, Sizing, contracts_of, profile_of, worth
from anchorwatch.machine.timeframes import DAY_MS
from anchorwatch.machine.units import Contracts, Fraction, PositionMode, Side, Usd, closing_deal
from tests.machine.desk_rig import BTC, ENTRY, LONG, RULES, START_MS, DeskRig

ETH = "ETH-USDT-SWAP"
DAY = START_MS - START_MS % DAY_MS
BEGUN = RiskFact(DAY, Decimal(1_000), Decimal(0), Decimal(1_000), Decimal(0), Decimal(0))


def rig_with(
    bounds: Limits | None = None,
    facts: Facts | None = None,
    reentry: Reentry | None = None,
    *symbols: str,
    max_positions: int = 5,
) -> DeskRig:
    """A desk with these limits, booted, whose journal is kept in ``rig.recorded``."""
    rig = DeskRig()
    trading = Trading(reentry=reentry or Reentry(0, 0, 0), making=rig.desk.context.parameters.of(BTC).making)
    names = symbols or (BTC,)
    parameters = Parameters(
        tuple((name, trading) for name in names), limits=bounds or Limits(), max_positions=max_positions
    )
    links = {name: connection.Limits() for name in Name}
    bot = bots.unborn(lifecycle.Limits(), links, PositionMode.HEDGE)
    rig.desk = Desk(parameters, bot, "rig00001", facts)
    return rig


def rig_of_two(
    bounds: Limits, eth: tuple[world.Candle, ...] | None = None, *, max_positions: int = 5
) -> DeskRig:
    """BTC and ETH, both ready to be entered. ETH has the candles of BTC, or these."""
    rig = rig_with(bounds, None, None, BTC, ETH, max_positions=max_positions)
    rules = (RULES, msgspec.structs.replace(RULES, name=ETH))
    ready = msgspec.structs.replace(rig.venue_ready(), instruments=rules)
    history = rig.history()
    rig.say(ready, history, world.HistoryLoaded(ETH, "1m", history.candles if eth is None else eth))
    rig.candles -= len(history.candles)
    rig.boot()
    rig.say(ready, world.MarkMoved(ETH, ENTRY, START_MS), world.QuoteMoved(ETH, ENTRY, ENTRY, START_MS))
    rig.asked.clear()
    return rig


# Loss.


def test_a_day_s_loss_counts_what_is_open_and_begins_anew_at_midnight() -> None:
    bounds = Limits(daily_loss=Fraction(Decimal("0.05")), drawdown=Fraction(Decimal(0)))
    risk = limits.with_end(BEGUN, Decimal(-30))
    assert limits.breach(risk, Decimal("-19.99"), bounds) == ""
    assert limits.breach(risk, Decimal(-20), bounds) == "daily loss: 50.00 of 1000.00 USD (5.0%)"
    tomorrow = limits.begun(risk, Decimal(970), DAY + DAY_MS)
    assert tomorrow == msgspec.structs.replace(
        risk, day_ms=DAY + DAY_MS, day_equity=Decimal(970), day_net=Decimal(0)
    )
    assert limits.begun(risk, Decimal(5), DAY + DAY_MS - 1) is risk


def test_a_drawdown_is_measured_from_the_best_result_over_all_days() -> None:
    bounds = Limits(daily_loss=Fraction(Decimal(0)), drawdown=Fraction(Decimal("0.08")))
    risk = limits.with_end(limits.with_end(BEGUN, Decimal(60)), Decimal(-70))
    assert limits.breach(risk, Decimal("-9.99"), bounds) == ""
    assert limits.breach(risk, Decimal(-10), bounds) == "drawdown: 80.00 of 1000.00 USD (8.0%)"
    assert limits.breach(limits.counted_anew(risk), Decimal(-10), bounds) == ""
    # Of the equity of the first day, whatever was paid in or out since.
    richer = limits.begun(risk, Decimal(5_000), DAY + DAY_MS)
    assert (richer.day_equity, richer.first_equity) == (Decimal(5_000), Decimal(1_000))
    assert limits.breach(richer, Decimal(-10), bounds) == "drawdown: 80.00 of 1000.00 USD (8.0%)"


@given(st.lists(st.integers(-(10**9), 10**9), max_size=5))
def test_money_paid_in_or_out_is_neither_profit_nor_loss(equities: list[int]) -> None:
    risk = limits.with_end(BEGUN, Decimal(-40))
    for equity in equities:
        assert limits.begun(risk, Decimal(equity), DAY + 1) is risk
    assert limits.breach(risk, Decimal(0), Limits()) == ""


def test_five_losses_in_a_row_pause_the_symbol_and_a_gain_breaks_the_row() -> None:
    known: StreakFact | None = None
    for net, losses in ((-1, 1), (-1, 2), (3, 0), (-1, 1), (0, 0), (-1, 1), (-1, 2), (-1, 3), (-1, 4)):
        known = limits.streak_after(known, BTC, Side.LONG, Decimal(net), 7_000, Limits())
        assert (known.losses, known.paused_until_ms) == (losses, 0)
    known = limits.streak_after(known, BTC, Side.LONG, Decimal(-1), 7_000, Limits())
    assert (known.losses, known.paused_until_ms) == (0, 7_000 + 1_800_000)
    words = limits.reentry_obstacles(known, Side.SHORT, 7_000 + 1_799_999, Reentry())
    assert words == ("the pause after too many losses in a row",)
    assert limits.reentry_obstacles(known, Side.SHORT, 7_000 + 1_800_000, Reentry()) == ()


@pytest.mark.parametrize("side", list(Side))
def test_after_a_close_by_hand_neither_side_is_entered_until_the_longest_wait_is_over(side: Side) -> None:
    streak = limits.streak_after(None, BTC, Side.LONG, Decimal(1), 1_000_000, Limits(), was_by_hand=True)
    assert limits.reentry_obstacles(streak, side, 1_179_999, Reentry()) == (
        "the cool-down after the last close",
    )
    assert limits.reentry_obstacles(streak, side, 1_180_000, Reentry()) == ()


@pytest.mark.parametrize(
    ("side", "was_loss", "wait_s"),
    [(Side.LONG, False, 60), (Side.LONG, True, 180), (Side.SHORT, True, 5), (Side.SHORT, False, 5)],
)
def test_the_way_back_in_waits_by_side_and_by_result(side: Side, was_loss: bool, wait_s: int) -> None:
    streak = StreakFact(BTC, 0, 0, "long", was_loss, 1_000_000)
    last_ms = 1_000_000 + wait_s * 1000
    assert limits.reentry_obstacles(streak, side, last_ms - 1, Reentry()) == (
        "the cool-down after the last close",
    )
    assert limits.reentry_obstacles(streak, side, last_ms, Reentry()) == ()


def test_after_a_loss_the_longer_of_the_two_waits_counts() -> None:
    streak = StreakFact(BTC, 0, 0, "long", True, 1_000_000)
    patient = Reentry(same_side_s=300, after_loss_s=180)
    assert limits.reentry_obstacles(streak, Side.LONG, 1_299_999, patient)
    assert limits.reentry_obstacles(streak, Side.LONG, 1_300_000, patient) == ()


def test_a_halt_that_was_lifted_begins_the_day_s_count_anew() -> None:
    bounds = Limits(daily_loss=Fraction(Decimal("0.05")), drawdown=Fraction(Decimal(0)))
    lost = limits.with_end(BEGUN, Decimal(-60))
    assert limits.breach(lost, Decimal(0), bounds)
    lifted = limits.counted_anew(lost)
    assert limits.breach(lifted, Decimal("-49.99"), bounds) == ""
    assert limits.breach(lifted, Decimal(-50), bounds)


def test_a_loss_beyond_the_day_s_limit_halts_and_the_halt_and_its_count_are_recorded() -> None:
    rig = rig_with(Limits(daily_loss=Fraction(Decimal("0.0005")))).booted()  # 5 USD of 10,000
    rig.enter_and_fill()
    rig.asked.clear()
    rig.mark(ENTRY - 1_990)  # 0.25 contracts of 0.01: 4.975 and the fee of 0.075 USD
    rig.journal_writes = False
    rig.say(world.ClockTicked())
    assert rig.bot.permission.state is permission.S.HALTED
    assert "daily loss" in rig.bot.permission.data.reason
    facts = [fact for record in rig.taken(requests.Record) for fact in record.facts]
    assert any(isinstance(fact, RiskFact) and fact.day_net == 0 for fact in facts)


@pytest.mark.parametrize(
    ("funding", "net", "losses"),
    [("0", "-0.0250625", 1), ("0.1", "0.0749375", 0), ("-0.1", "-0.1250625", 1)],
)
def test_what_an_end_brought_is_its_price_its_fees_and_its_funding(
    funding: str, net: str, losses: int
) -> None:
    """0.25 contracts of 0.01 coins, 50 USD higher: 0.125 USD, and 0.1500625 USD of fees."""
    rig = rig_with().booted()
    rig.covered()
    rig.say(funded(rig, funding))
    rig.journal_writes = False
    held = rig.leg().contracts
    rig.say(world.OrderPushed(rig.traded(LONG, closing_deal(Side.LONG), held, ENTRY + 50)))
    book = rig.desk.context.book
    assert book.risk is not None
    assert book.risk.day_net == Decimal(net)
    assert book.streaks[BTC].losses == losses


def test_what_is_open_counts_with_what_its_parts_its_fees_and_its_funding_have_brought() -> None:
    """5 USD may be lost: a part lost 0.1, what is left stands at -0.3, 0.10495 went for fees and 2 for funding."""
    bounds = Limits(daily_loss=Fraction(Decimal("0.0005")), drawdown=Fraction(Decimal(0)))
    rig = rig_with(bounds).booted()
    rig.covered()
    rig.say(funded(rig, "-2"))
    rig.say(world.OrderPushed(rig.traded(LONG, closing_deal(Side.LONG), "0.1", ENTRY - 100)))
    rig.mark(ENTRY - 200)
    assert rig.leg().contracts == Decimal("0.15")
    assert risk.room_to_halt(rig.desk.context) == 5 - Decimal("2.50495")


def test_what_a_stranger_loses_on_the_account_halts_nobody() -> None:
    rig = DeskRig(is_exclusive=False, limits=Limits(daily_loss=Fraction(Decimal("0.0005")))).booted()
    rig.reconcile(rig.reading(rig.position("5")))
    assert rig.slot().position.state is position.S.WATCHED
    rig.mark(ENTRY - 1_000)  # 50 USD
    rig.say(world.ClockTicked())
    assert rig.bot.permission.state is permission.S.OPEN


def test_nothing_is_sized_by_an_equity_that_was_not_told_for_a_minute() -> None:
    rig = rig_with().booted()
    for later_ms, obstacles in ((EQUITY_AGE_MS, ()), (1, ("the equity is not fresh",))):
        rig.now_ms += later_ms
        rig.say(world.MarkMoved(BTC, ENTRY, rig.now_ms))
        assert risk.obstacles(rig.desk.context, LONG, Contracts(Decimal("0.01"))) == obstacles


def funded(rig: DeskRig, funding: str) -> world.PositionPushed:
    report = rig.position(rig.leg().contracts, created_ms=rig.leg().entered_ms)
    return world.PositionPushed(msgspec.structs.replace(report, funding=Decimal(funding)))


# Size.


def test_what_is_under_way_holds_its_size_against_the_total() -> None:
    """Two symbols cross in one moment, and the total allows one position: the second finds its place taken."""
    rig = rig_of_two(Limits(total_usd=Usd(Decimal(200)), correlation=1.0))
    crossing = rig.next_candle(Side.LONG)
    rig.journal_writes = False
    rig.say(*(world.CandleClosed(name, "1m", crossing) for name in (BTC, ETH)))
    lines = {line.name: dict(line.fields) for line in rig.taken(requests.Announce)}
    assert lines["ENTRY"]["leg"] == f"{BTC}/long"
    assert lines["ENTRY_DENIED"]["because"] == "300 USD in all, allowed 200"


def test_the_margin_of_an_entry_under_way_is_its_worth_by_its_leverage() -> None:
    """Of 10,000 USD half a percent: 150 USD at 5x bind 30 of these 50, and the second would bind 30 more."""
    rig = rig_of_two(Limits(margin_share=Fraction(Decimal("0.005")), correlation=1.0))
    crossing = rig.next_candle(Side.LONG)
    rig.journal_writes = False
    rig.say(*(world.CandleClosed(name, "1m", crossing) for name in (BTC, ETH)))
    lines = {line.name: dict(line.fields) for line in rig.taken(requests.Announce)}
    assert lines["ENTRY"]["leg"] == f"{BTC}/long"
    assert lines["ENTRY_DENIED"]["because"].startswith("margin of 60 USD in all")


@pytest.mark.parametrize("most", [1, 2])
def test_an_entry_under_way_takes_a_place_among_the_positions(most: int) -> None:
    rig = rig_of_two(Limits(correlation=1.0), max_positions=most)
    crossing = rig.next_candle(Side.LONG)
    rig.journal_writes = False
    rig.say(*(world.CandleClosed(name, "1m", crossing) for name in (BTC, ETH)))
    told = [(line.name, dict(line.fields)) for line in rig.taken(requests.Announce)]
    assert [name for name, _ in told] == ["ENTRY", "ENTRY" if most == 2 else "ENTRY_DENIED"]
    if most == 1:
        assert told[1][1]["because"] == "1 positions are open or under way"


def test_the_total_may_be_reached_and_not_passed() -> None:
    held = (Exposure(Decimal(850), Decimal(10)),)
    for usd, obstacles in ((150, ()), (151, ("1001 USD in all, allowed 1000",))):
        wanted = Exposure(Decimal(usd), Decimal(10))
        assert limits.size_obstacles(held, wanted, Decimal(10_000), Limits()) == obstacles


def test_margin_in_use_is_bounded_by_the_equity() -> None:
    held = (Exposure(Decimal(400), Decimal(80)),)
    wanted = Exposure(Decimal(100), Decimal(20))
    assert limits.size_obstacles(held, wanted, Decimal(118), Limits()) == ()
    (words,) = limits.size_obstacles(held, wanted, Decimal(117), Limits())
    assert words == "margin of 100 USD in all, allowed 85% of 117"


@pytest.mark.parametrize(
    ("equity", "name"),
    [(499, "micro"), (500, "small"), (1_500, "medium"), (2_999, "medium"), (3_000, "large")],
)
def test_the_profile_goes_by_the_balance(equity: int, name: str) -> None:
    assert profile_of(Decimal(equity)).name == name


@given(
    st.integers(100, 200_000).map(Decimal),
    st.decimals("0.002", "0.05", places=4),
    st.sampled_from([None, *Regime]),
    st.decimals("0.001", "0.02", places=3),
)
def test_by_risk_a_stop_never_costs_more_than_its_share_and_the_profile_bounds_the_margin(
    equity: Decimal, stop: Decimal, regime: Regime | None, risk: Decimal
) -> None:
    sizing = Sizing(by=SizedBy.RISK, risk=Fraction(risk), leverage=5)
    usd, profile = worth(sizing, equity, stop, regime), profile_of(equity)
    assert usd * (stop + FEES_BOTH_WAYS) <= risk * Decimal("1.3") * equity + Decimal("1e-9")
    assert usd / sizing.leverage <= profile.margin_share * equity + Decimal("1e-9")
    assert usd == 0 or profile.least_usd <= usd <= profile.most_usd
    contracts = contracts_of(sizing, equity, stop, regime, ENTRY, RULES)
    assert contracts % RULES.lot_size == 0
    assert RULES.notional(contracts, ENTRY) <= usd


def test_the_size_follows_the_equity_as_it_is_now() -> None:
    sizing = Sizing(by=SizedBy.RISK)
    assert worth(sizing, Decimal(10_000), Decimal("0.006"), None) == 2_500  # 5 % of margin at 5×
    assert worth(sizing, Decimal(5_000), Decimal("0.006"), None) == 1_250


@pytest.mark.parametrize(
    ("regime", "usd"),
    [(Regime.TRENDING, 1_300), (Regime.RANGING, 1_200), (Regime.CHOPPY, 1_000), (None, 1_000)],
)
def test_by_risk_the_regime_multiplies_what_a_stop_may_cost(regime: Regime | None, usd: int) -> None:
    """10 USD of 10,000, at a stop of 0.9 % and fees of 0.1 %."""
    sizing = Sizing(by=SizedBy.RISK, risk=Fraction(Decimal("0.001")))
    assert worth(sizing, Decimal(10_000), Decimal("0.009"), regime) == usd


@pytest.mark.parametrize(
    ("equity", "leverage", "usd"),
    [
        (11, 5, 0),  # 13.75 of the 15 that micro puts in at least
        (12, 5, 15),
        (300, 5, 375),  # a quarter as margin
        (499, 5, 450),
        (1_000, 5, 750),  # 15 %
        (1_499, 20, 1_350),
        (2_000, 5, 1_000),  # 10 %
        (2_999, 20, 3_000),
        (10_000, 5, 2_500),  # 5 %
        (100_000, 20, 15_000),
    ],
)
def test_by_risk_each_profile_has_its_share_of_margin_and_its_bounds(
    equity: int, leverage: int, usd: int
) -> None:
    sizing = Sizing(by=SizedBy.RISK, risk=Fraction(Decimal("0.1")), leverage=leverage)
    assert worth(sizing, Decimal(equity), Decimal("0.006"), None) == usd


@pytest.mark.parametrize(("equity", "least"), [(1_000, 50), (2_000, 150), (10_000, 300)])
def test_what_a_profile_would_not_put_in_is_not_entered(equity: int, least: int) -> None:
    """A stop of 0.9 % and fees of 0.1 %: what it may cost is a hundredth of the worth."""
    for usd, found in ((least, least), (least - 1, 0)):
        sizing = Sizing(by=SizedBy.RISK, risk=Fraction(Decimal(usd) / 100 / equity))
        assert worth(sizing, Decimal(equity), Decimal("0.009"), None) == found


@pytest.mark.parametrize(("regime", "usd"), [(Regime.TRENDING, 650), (Regime.RANGING, 600), (None, 500)])
def test_an_entry_is_sized_by_its_symbol_s_stop_and_by_the_regime_of_the_moment(
    regime: Regime | None, usd: int
) -> None:
    rig = DeskRig(
        sizing=Sizing(by=SizedBy.RISK, risk=Fraction(Decimal("0.0005"))),
        protecting=Protecting(stop_fraction=Fraction(Decimal("0.009"))),
    ).booted()
    rig.desk.context.charts[BTC].market.regime = RegimeState(regime, 0, 0) if regime is not None else None
    assert rig.enter().contracts == RULES.contracts_for(Decimal(usd), ENTRY)


# Restarts.


def test_a_restart_forgets_neither_the_day_nor_the_row_of_losses() -> None:
    """P17: limits and cool-downs in memory are none."""
    rig = rig_with(reentry=Reentry()).booted()
    rig.enter_and_fill()
    rig.asked.clear()
    rig.journal_writes = False
    held = rig.leg().contracts
    rig.say(world.OrderPushed(rig.traded(LONG, closing_deal(Side.LONG), held, ENTRY - 600)))
    facts: list[Fact] = [
        fact
        for record in rig.taken(requests.Record)
        for fact in record.facts
        if isinstance(fact, RiskFact | StreakFact)
    ]
    assert {type(fact) for fact in facts} == {RiskFact, StreakFact}
    with open_journal(None, "sim", "key") as journal:
        journal.record(facts)
        known = journal.read()
    assert known.streaks[0].losses == 1
    assert known.risk is not None
    assert known.risk.day_net < -1
    again = rig_with(facts=known, reentry=Reentry()).booted()
    again.cross(Side.LONG)
    assert again.taken(requests.PlaceOrder) == []
    denied = [dict(line.fields) for line in again.taken(requests.Announce) if line.name == "ENTRY_DENIED"]
    assert denied[0]["because"] == "the cool-down after the last close"
    assert again.desk.context.book.risk == known.risk
