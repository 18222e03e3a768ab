"""``run --plan``: everything is read, every stop level is shown, and nothing is sent."""

from __future__ import annotations

import json
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
import trio
from rich.console import Console
from trio.testing import MockClock

from anchorwatch.io.cli import command
from anchorwatch.io.commands.plan import render, write
from anchorwatch.io.journal import open_journal
from anchorwatch.io.okx.environments import Environment, endpoints
from anchorwatch.io.okx.errors import NOT_SENT
from anchorwatch.io.okx.outcomes import Refused
from anchorwatch.io.okx.requests import OrderRequest
from anchorwatch.io.okx.rest import OkxRest
from anchorwatch.io.plan import Plan, make_plan
from anchorwatch.io.settings import Settings
from anchorwatch.machine.facts import Facts
from anchorwatch.machine.ids import ClientId, Made
from tests.io.engine_rig import KEY
from tests.mission.rig import BTC_LONG, BTC_SHORT, Scene, eager, exchange, still
from tests.venue.rig import BTC


def reader(scene: Scene) -> OkxRest:
    where = endpoints(Environment.SIM, rest_url=f"http://{scene.host}", ws_url=f"ws://{scene.host}/ws/v5")
    return OkxRest(where, KEY, scene.seams.wall_ms, reads_only=True)


async def planned(scene: Scene, given: Settings, facts: Facts) -> Plan:
    before = len(scene.writes())
    async with reader(scene) as rest:
        plan = await make_plan(given, rest, facts)
    assert isinstance(plan, Plan), plan
    assert len(scene.writes()) == before, "a plan sends nothing"
    return plan


def shown(plan: Plan) -> str:
    console = Console(width=200, record=True, file=StringIO())
    render(plan, console)
    return console.export_text()


async def test_a_client_that_reads_only_refuses_every_write_before_it_is_sent(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene, reader(scene) as rest:
        request = OrderRequest(
            inst_id=BTC, td_mode="cross", side="buy", ord_type="market", sz=Decimal(1), cl_ord_id="a1"
        )
        outcome = await rest.place_order(request)
        assert isinstance(outcome, Refused)
        assert outcome.code == NOT_SENT
        assert scene.writes() == []


async def test_a_plan_shows_what_would_be_adopted_with_its_stop_and_what_would_be_cancelled(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    async with exchange() as scene:
        scene.trade(BTC_LONG, "0.5")
        orphan = str(ClientId("oldold00", Made.ENTRY, 7))
        assert scene.rig.order("buy", "0.1", "50000", posSide="long", clOrdId=orphan)["sCode"] == "0"
        plan = await planned(scene, still(), Facts())
        [leg] = plan.positions
        assert (leg.leg, leg.state, leg.contracts) == (str(BTC_LONG), "open", Decimal("0.5"))
        assert leg.stop_resting is None
        assert leg.stop_planned is not None
        assert f"place a stop of the whole position at {leg.stop_planned}" in leg.would
        assert {"DRIFT_ADD", "DRIFT_ORDER_ORPHAN"} <= {line["found"] for line in plan.found}
        assert any("nobody waits for" in action for action in plan.actions)
        text = shown(plan)
        assert f"{leg.stop_planned.normalize():f}" in text
        path = tmp_path / "plan.json"
        write(plan, path)
        record = json.loads(path.read_text())
        assert record["positions"][0]["stop_planned"] == float(leg.stop_planned)
        async with scene.life(still()) as life:
            await life.ready()
            assert scene.stops()[0].sl_trigger_px == leg.stop_planned, "the start does what the plan said"


async def test_a_plan_beside_a_running_bot_finds_everything_kept(autojump_clock: MockClock) -> None:
    with open_journal(None, "sim", "sim-key") as journal:
        async with exchange() as scene:
            await scene.before_a_cross()
            given = eager(protection__take_profit_fraction=Decimal(0))
            async with scene.life(given, journal=journal) as life:
                await life.ready()
                await scene.cross()
                await life.entered()
                await trio.sleep(2)
                plan = await planned(scene, given, journal.read())
                [leg] = plan.positions
                assert leg.would == "keep the stop"
                assert leg.stop_resting == leg.stop_planned == life.book().resting
                assert plan.actions == ()


async def test_a_plan_of_a_position_that_is_gone_says_how_it_ended(autojump_clock: MockClock) -> None:
    with open_journal(None, "sim", "sim-key") as journal:
        async with exchange() as scene:
            scene.trade(BTC_LONG, "0.5")
            async with scene.life(journal=journal) as life:
                await life.ready()
                await life.crash()
            scene.trade(BTC_LONG, "0.5", closes=True)
            plan = await planned(scene, still(), journal.read())
            assert plan.positions == ()
            found = {line["found"]: line for line in plan.found}
            assert found["DRIFT_REMOVE"]["leg"] == str(BTC_LONG)
            assert found["EXIT"]["cause"] == "closed by hand"
            assert [leg.opened is not None for leg in journal.read().legs] == [True], "nothing was recorded"


async def test_a_plan_on_a_shared_account_leaves_a_humans_position(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        scene.trade(BTC_SHORT, "0.5")
        plan = await planned(scene, still(account__exclusive=False), Facts())
        [leg] = plan.positions
        assert (leg.state, leg.would) == ("watched", "watch, and never touch")
        assert plan.actions == ()


async def test_a_plan_that_cannot_read_says_why(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        scene.fault("html_error", "account/positions", times=0)
        async with reader(scene) as rest:
            plan = await make_plan(still(), rest, Facts())
        assert isinstance(plan, str)
        assert "positions" in plan


@pytest.mark.parametrize("options", [[], ["--summary", "plan.json"]])
def test_the_command_prints_a_plan_and_ends_well(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(["run", "--plan", *options]) == 0
    said = capsys.readouterr().out
    assert "No position is open" in said
    assert "It would send" in said
    assert (tmp_path / "plan.json").exists() == bool(options)
