"""Stories of an exchange that is stopped and comes back with what it knew."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest

from anchorwatch.io.venue.accounts import AccountSpec
from anchorwatch.io.venue.exchange import Venue
from anchorwatch.io.venue.faults import Fault, Faults, InstrumentChange
from anchorwatch.io.venue.parameters import Parameters
from anchorwatch.io.venue.saved import BadState, Saved, decoded, encoded, resume, saved
from tests.venue.rig import BTC, ETH, START_MS, Clock, Rig

SECOND = AccountSpec(name="second", uid="2", keys=())
PLAN = Faults(
    rules=(Fault(kind="ack_then_cancel", after=2),),
    changes=(InstrumentChange(at_ms=START_MS + 50_000, inst_id=ETH, tick_sz="0.05"),),
)


def written(rig: Rig) -> Saved:
    """What a reader of the file finds."""
    return decoded(encoded(saved(rig.venue, anchor_ms=START_MS, market="by hand")))


def busy() -> Rig:
    """Two accounts with everything that an exchange keeps."""
    rig = Rig(AccountSpec(), SECOND, faults=PLAN)
    main = rig.venue.accounts["main"]
    rig.venue.trading.set_leverage(
        main, Parameters({"instId": ETH, "mgnMode": "isolated", "lever": "7", "posSide": "net"})
    )
    rig.order(
        "buy", "2", attachAlgoOrds=[{"slTriggerPx": "59000", "slOrdPx": "-1", "attachAlgoClOrdId": "s"}]
    )
    rig.algo("sell", ordType="move_order_stop", sz="1", callbackRatio="0.01", reduceOnly=True)
    rig.order("sell", "1", account="second")
    rig.order("buy", "1", "59000", account="second", clOrdId="struck")
    rig.order("buy", "1", "59000", account="second", clOrdId="resting")
    rig.price("60500")
    rig.order("sell", "0.5", reduceOnly=True)
    rig.venue.trading.renew_cancel_all_after(rig.venue.accounts["second"], Parameters({"timeOut": "60"}))
    rig.pass_ms(60_001 - 100)
    return rig


def again(state: Saved, *, after_ms: int = 0) -> Rig:
    """A new process: the same configuration, the same market, some time later."""
    rig = Rig(AccountSpec(), SECOND, faults=PLAN, clock=Clock(state.at_ms + after_ms))
    resume(rig.venue, state)
    return rig


def test_a_venue_comes_back_with_every_account_order_position_and_record() -> None:
    before = busy()
    state = written(before)
    after = again(state)
    for name in ("main", "second"):
        old, new = before.venue.accounts[name], after.venue.accounts[name]
        assert replace(old, spec=new.spec) == new
    assert msgspec.structs.replace(written(after), ids=state.ids) == state
    assert before.venue.algos(), "the story holds stops"
    assert before.venue.accounts["main"].history, "and has closed something"


def test_what_became_due_while_it_was_down_happens_when_it_is_back() -> None:
    before = Rig()
    before.order("buy", "1", "59000", tag="entry")
    before.order("buy", "1")
    before.algo("sell", sz="1", slTriggerPx="59500", slOrdPx="-1", reduceOnly=True)
    asked = Parameters({"timeOut": "20", "tag": "entry"})
    before.venue.trading.renew_cancel_all_after(before.venue.accounts["main"], asked)
    state = written(before)

    after = Rig(clock=Clock(START_MS + 9 * 3_600_000))
    resume(after.venue, state)
    assert len(after.venue.orders()) == 1
    after.venue.advance()
    assert [one.cancel_source for one in after.venue.accounts["main"].done][-1] == "20"
    assert after.venue.positions()[0].funding != 0, "one funding time was missed, and is made good"
    after.price("59400")
    assert after.venue.positions() == (), "the stop still watches"


def test_identifiers_of_the_lost_seconds_are_not_given_out_again() -> None:
    rig = Rig()
    state = written(rig)
    lost = [rig.order("buy", "1", "59000")["ordId"] for _ in range(3)]
    lost_trades = [rig.venue.ids.trade(BTC) for _ in range(3)]
    after = Rig()
    resume(after.venue, state)
    assert int(str(after.order("buy", "1", "59000")["ordId"])) > max(int(str(one)) for one in lost)
    assert int(after.venue.ids.trade(BTC)) > max(int(one) for one in lost_trades)


def test_a_fault_that_has_struck_does_not_strike_again_and_a_change_stays_changed() -> None:
    before = busy()
    assert [one.cancel_source for one in before.venue.accounts["second"].done] == ["", "3"]
    after = again(written(before))
    after.venue.advance()
    assert after.venue.instrument(ETH).tick_sz == Decimal("0.05")
    assert after.order("buy", "1", "59000")["sCode"] == "0"
    assert len(after.venue.orders()) == 1, "the rule struck once, in the first life"


def test_a_changed_plan_begins_anew() -> None:
    state = written(busy())
    rules = (Fault(kind="ack_then_cancel"),)
    rig = Rig(AccountSpec(), SECOND, faults=Faults(rules=rules), clock=Clock(state.at_ms))
    resume(rig.venue, state)
    rig.order("buy", "1", "59000")
    assert rig.venue.orders() == ()


def test_the_file_holds_no_secret() -> None:
    text = encoded(saved(busy().venue, anchor_ms=0, market="")).decode()
    assert "sim-secret" not in text
    assert "sim-pass" not in text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "no saved state"),
        (b'{"layout":1}', "no saved state"),
        (b"[" * 100_000, "no saved state"),
    ],
)
def test_a_file_that_is_no_state_is_refused_in_one_line(text: bytes, says: str) -> None:
    with pytest.raises(BadState, match=says) as refused:
        decoded(text)
    assert "\n" not in str(refused.value)


def test_a_state_of_another_configuration_is_refused() -> None:
    state = written(busy())
    with pytest.raises(BadState, match="'second' that is not configured"):
        resume(Rig().venue, state)
    with pytest.raises(BadState, match="layout 2"):
        decoded(encoded(msgspec.structs.replace(state, layout=2)))


def test_a_venue_without_its_market_refuses_the_state() -> None:
    state = written(busy())
    position = replace(state.accounts[0].positions[0], inst_id="SOL-USDT-SWAP")
    account = msgspec.structs.replace(state.accounts[0], positions=(position,))
    other = msgspec.structs.replace(state, accounts=(account,))
    venue: Venue = Rig(AccountSpec(), SECOND).venue
    with pytest.raises(BadState, match="SOL-USDT-SWAP, which this market does not list"):
        resume(venue, other)
