"""One instrument as the desk follows it: its market, its feeds, and the facts that do not hold yet."""

from __future__ import annotations

from anchorwatch.machine.candle_repair import CANDLE_REPAIR, Repair
from anchorwatch.machine.candles import Span
from anchorwatch.machine.kernel import Snapshot
from anchorwatch.machine.market import Market
from anchorwatch.machine.parameters import Trading
from anchorwatch.machine.readiness import Feeds, symbol_facts
from anchorwatch.machine.regime import Regime, RegimeState
from anchorwatch.machine.strategy import Funding
from anchorwatch.machine.strategy.asking import Asker, decider
from anchorwatch.machine.world import QuoteMoved

NOT_YET = "not known yet"


class Chart:
    """``missing`` are the facts that the bot has been told are lost, each with the words why."""

    def __init__(
        self,
        instrument: str,
        trading: Trading,
        restored: RegimeState | None = None,
        asker: Asker = decider,
    ) -> None:
        self.instrument = instrument
        self.market = Market(instrument, trading.strategy.needs.keeping(trading.candles), restored)
        self.decide = asker(trading.strategy)
        self.fails_at: str | None = None  # where the strategy failed when it was asked last
        self.recorded: RegimeState | None = restored  # the regime as the journal has it
        self.quote: QuoteMoved | None = None
        self.mark_at_ms: int | None = None
        self.funding: Funding | None = None
        self.missing: dict[str, str] = dict.fromkeys(symbol_facts(self.market.settings), NOT_YET)
        self.repairs: dict[str, Snapshot[Repair]] = {
            timeframe: CANDLE_REPAIR.initial for timeframe, _ in self.market.settings.kept
        }
        self.repair_due_ms: dict[str, int] = {}
        self.doubted: dict[
            str, Span
        ] = {}  # known candles whose values are in doubt, until they are read again

    @property
    def regime(self) -> Regime | None:
        return self.market.regime.regime if self.market.regime is not None else None

    def feeds(self, *, has_rules: bool) -> Feeds:
        quote_at_ms = self.quote.at_ms if self.quote is not None else None
        return Feeds(
            mark_at_ms=self.mark_at_ms,
            quote_at_ms=quote_at_ms,
            funding_at_ms=self.funding.settles_ms if self.funding is not None else None,
            has_rules=has_rules,
        )
