"""Which channels each connection carries, and what its frames become.

Restored exactly on every reconnect (R6.4, R7.3): the list is a value, made once from the
settings, and the same function takes the frames whichever socket they came from (R7.4).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from anchorwatch.io.mailbox import Mailbox
from anchorwatch.io.okx.translate import events_of
from anchorwatch.io.okx.wire_fields import WireError
from anchorwatch.io.okx.wire_ws import Arg, ConnectionCount, Frame, Garbled, Push
from anchorwatch.io.settings import Settings
from anchorwatch.machine import reconciliation, world
from anchorwatch.machine.bot import RECONCILIATION
from anchorwatch.machine.connection import Name
from anchorwatch.machine.desk import Told
from anchorwatch.machine.kernel import Event

SWAP = "SWAP"
STATUS = "status"


def channels_of(settings: Settings) -> Mapping[Name, Sequence[Arg]]:
    """The subscriptions of the four connections."""
    symbols = settings.symbols
    timeframes = [timeframe for timeframe, _ in settings.candles]
    return {
        Name.PUBLIC: (
            *(
                Arg(channel=channel, inst_id=name)
                for name in symbols
                for channel in ("mark-price", "tickers", "funding-rate")
            ),
            Arg(channel="instruments", inst_type=SWAP),
            Arg(channel=STATUS),
        ),
        Name.BUSINESS: tuple(
            Arg(channel=f"candle{timeframe}", inst_id=name) for name in symbols for timeframe in timeframes
        ),
        Name.PRIVATE: (
            Arg(channel="orders", inst_type=SWAP),
            Arg(channel="positions", inst_type=SWAP),
            Arg(channel="account"),
        ),
        Name.PRIVATE_BUSINESS: (
            Arg(channel="orders-algo", inst_type=SWAP),
            Arg(channel="algo-advance", inst_type=SWAP),
        ),
    }


class Intake:
    """Frames to events, and each event to its place in the mailbox. Never waits."""

    def __init__(self, mailbox: Mailbox, *, note_status: Callable[[], None]) -> None:
        self._mailbox = mailbox
        self._note_status = note_status
        self.messages = 0
        self.pushes: Counter[str] = (
            Counter()
        )  # by channel, of which there are a dozen: one that is silent shows

    def take(self, name: Name, frame: Frame) -> None:
        self.messages += 1
        if isinstance(frame, Push):
            self.pushes[frame.channel] += 1
            if frame.channel == STATUS:
                self._note_status()
            try:
                for event in events_of(frame):
                    self._put(event)
            except WireError as error:
                self._lost(name, str(error))
        elif isinstance(frame, ConnectionCount) and name.is_private and frame.count is not None:
            self._mailbox.put(world.ConnectionsCounted(name.value, frame.channel, frame.count))
        elif isinstance(frame, Garbled):
            self._lost(name, frame.reason)

    def _put(self, event: Event) -> None:
        match event:
            case world.MarkMoved(instrument):
                self._mailbox.put_market("mark", instrument, event)
            case world.QuoteMoved(instrument):
                self._mailbox.put_market("quote", instrument, event)
            case world.FundingForecast(instrument):
                self._mailbox.put_market("funding", instrument, event)
            case world.RulesRead(instrument):
                self._mailbox.put_market("rules", instrument, event)
            case world.Observed():
                self._mailbox.put(event)

    def _lost(self, name: Name, reason: str) -> None:
        """A private frame that cannot be read is an event that was missed: read the account instead."""
        if name.is_private:
            doubt = reconciliation.BookDoubted(f"{name.value}: an unreadable frame: {reason}")
            self._mailbox.put(Told(RECONCILIATION, doubt))
