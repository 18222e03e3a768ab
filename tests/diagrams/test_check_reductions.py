"""What the checker leaves out of a leg is left out because the tables ignore it."""

from __future__ import annotations

import pytest

from anchorwatch.machine import order
from anchorwatch.machine.kernel import Event, Verdict

LATE_WORDS: tuple[type[Event], ...] = (
    order.OrderAcknowledged,
    order.OrderRefused,
    order.AnswerLost,
    order.CancelAcknowledged,
    order.CancelFruitless,
    order.OrderDoubted,
    order.QueryDue,
    order.QueryInconclusive,
    order.AbsenceProven,
)


@pytest.mark.parametrize("event", LATE_WORDS, ids=lambda event: event.__name__)
@pytest.mark.parametrize("state", order.FINAL, ids=lambda state: state.name)
def test_an_order_whose_end_is_known_ignores_every_answer_query_and_timer(
    state: order.S, event: type[Event]
) -> None:
    assert {row.verdict for row in order.ORDER.cell(state, event)} == {Verdict.IGNORED}
