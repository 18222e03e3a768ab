"""Whoever holds trades against the limits must find what a bot with looser ones did."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from anchorwatch.io.backtest.run import Backtest
from anchorwatch.machine.lifecycle import Exit
from tests.backtest.limits_kept import broken_by_trades, violations
from tests.backtest.rig import run, settings, walk

LOOSE = {"limits__daily_loss": 0, "limits__drawdown": 0, "entry__order_kind": "market"}
SERIES = walk(900)


@pytest.fixture(scope="module")
def loose() -> Backtest:
    """A lively run that nothing held back."""
    return run(SERIES, settings(**LOOSE))


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ({"limits__daily_loss": Decimal("0.0002")}, "entered after a limit of loss"),
        ({"limits__drawdown": Decimal("0.0002")}, "entered after a limit of loss"),
        ({"limits__losses_in_row": 2}, "entered in the pause after 2 losses in a row"),
        ({"limits__total_usd": Decimal(100), "sizing__by": "risk"}, "USD in all"),
        ({"limits__margin_share": Decimal("0.002")}, "USD of margin in use"),
        ({"strategy__cooldown_s": 86_400, "strategy__cooldown_opposite_s": 0}, "back in after"),
        ({"strategy__cooldown_opposite_s": 3_600}, "back in after"),
    ],
)
def test_what_a_looser_bot_did_is_found_and_a_bot_with_the_limit_does_not_do_it(
    loose: Backtest, limit: dict[str, object], words: str
) -> None:
    strict = settings(**{**LOOSE, **limit})
    found = broken_by_trades(loose.record.trades, strict, loose.costs.cash, loose.end_ms)
    assert any(words in one for one in found), found
    kept = run(SERIES, strict)
    assert violations(kept, strict, Exit.CLEAN) == []


def test_a_trade_that_ends_in_the_moment_in_which_it_began_is_not_its_own_predecessor(
    loose: Backtest,
) -> None:
    first = min(loose.record.trades, key=lambda one: one.number)
    at_once = msgspec.structs.replace(first, left_ms=first.entered_ms)
    strict = settings(
        **{
            **LOOSE,
            "strategy__cooldown_s": 600,
            "strategy__cooldown_opposite_s": 600,
            "limits__losses_in_row": 1,
        }
    )
    assert broken_by_trades([at_once], strict, loose.costs.cash, loose.end_ms) == []
    again = msgspec.structs.replace(first, number=first.number + 1, left_ms=0)
    assert broken_by_trades([at_once, again], strict, loose.costs.cash, loose.end_ms) != []


def test_a_lively_run_keeps_its_own_limits(loose: Backtest) -> None:
    assert len(loose.record.trades) > 20
    assert violations(loose, settings(**LOOSE), Exit.CLEAN) == []
    assert violations(loose, settings(**LOOSE), Exit.STOP_INCOMPLETE) == ["exit STOP_INCOMPLETE"]
