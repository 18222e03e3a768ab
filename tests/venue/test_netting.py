"""What the environment of the check says of net mode happens on the embedded exchange."""

from __future__ import annotations

from decimal import Decimal

import pytest

from anchorwatch.io.venue.accounts import AccountSpec
from anchorwatch.io.venue.switches import Switches
from tests.venue.rig import BTC, Rig


def net_rig(*, attached_reduce_only: bool = False) -> Rig:
    return Rig(AccountSpec(pos_mode="net_mode"), switches=Switches(attached_reduce_only=attached_reduce_only))


def held(rig: Rig) -> Decimal:
    position = rig.venue.accounts["main"].position(BTC, "cross", "net")
    return position.contracts if position is not None else Decimal(0)


def test_an_order_of_the_other_side_takes_from_the_position_and_turns_it() -> None:
    rig = net_rig()
    rig.order("buy", "1")
    rig.order("sell", "0.4")
    assert held(rig) == Decimal("0.6")
    rig.order("sell", "1.6")
    assert held(rig) == -1


def test_what_only_reduces_is_refused_while_the_other_side_is_open() -> None:
    rig = net_rig()
    rig.order("sell", "1")
    assert rig.order("sell", "1", reduceOnly=True)["sCode"] == "51170"
    assert held(rig) == -1


def test_the_stop_of_the_whole_position_dies_when_the_position_turns() -> None:
    rig = net_rig()
    rig.order("buy", "1")
    rig.algo("sell", closeFraction="1", reduceOnly=True, slTriggerPx="59000", slOrdPx="-1")
    rig.order("sell", "2")
    assert held(rig) == -1
    assert not rig.venue.accounts["main"].algos


@pytest.mark.parametrize("only_reduces", [False, True])
def test_a_stop_that_outlived_its_position_opens_the_other_side_unless_it_only_reduces(
    only_reduces: bool,
) -> None:
    rig = net_rig(attached_reduce_only=only_reduces)
    rig.order(
        "buy", "1", attachAlgoOrds=[{"slTriggerPx": "59000", "slOrdPx": "-1", "slTriggerPxType": "last"}]
    )
    rig.order("sell", "1", reduceOnly=True)
    assert not held(rig)
    assert len(rig.venue.accounts["main"].algos) == 1
    rig.price("58900")
    assert held(rig) == (0 if only_reduces else -1)
