"""What seldom happens: a market that falls through its price limit, and what the bot never does: a client that is not
ours lets a closing order rest, and cancels it.
"""

from __future__ import annotations

from decimal import Decimal

from anchorwatch.machine.trace import Seen
from tests.clients.client_exchange import overhear
from tests.clients.one_by_one import seen_of
from tests.venue.rig import BTC, HEDGED, Rig
from tests.venue.stories import CLOSE_STOP, PX, Story

LONG = {"posSide": "long"}
CLOSE = {"instId": BTC, "clOrdId": "resting"}


def stopped_beyond_the_price_limit() -> Story:
    """Nobody may sell so low; when the market is back, the bot closes by itself."""
    story = Story(protecting=CLOSE_STOP)
    story.enter()
    story.live_s(1, PX * Decimal("0.7"))
    story.live_s(10, PX * Decimal("0.999"))
    return story


def close_cancelled() -> tuple[Seen, ...]:
    """The first cancel of a resting close is lost, the second one ends it, and for the third nothing is left."""
    rig, trace = Rig(HEDGED), list[Seen]()
    overheard, own = overhear(rig.venue, trace), rig.venue.accounts["main"]
    assert rig.order("buy", "1", **LONG)["sCode"] == "0"
    rig.pass_ms(100)
    assert rig.order("sell", "1", "60500", clOrdId="resting", **LONG)["sCode"] == "0"
    rig.pass_ms(100)
    overheard.lose_cancel(own, CLOSE)
    for code in ("0", "51400"):
        rig.pass_ms(100)
        assert overheard.cancel(own, CLOSE)["sCode"] == code
    return tuple(seen_of("resting", trace))
