"""The rules of the house hold here, and each is shown to notice a breach on a small tree of its own."""

from pathlib import Path

import pytest

from tests.tidy import order, rules
from tests.tidy.rules import Rule

ROOT = Path(__file__).parents[2]
THE_RULES: tuple[Rule, ...] = (
    rules.machine_knows_only_machine,
    rules.machine_is_pure,
    rules.transitions_has_one_door,
    rules.diagrams_know_only_machine,
    rules.only_the_command_line_knows_diagrams,
    rules.chance_and_clocks_enter_through_the_seams,
    order.nothing_depends_on_an_unordered_thing,
    rules.io_shadows_nothing,
    rules.no_file_is_long,
    rules.the_package_is_symlinks,
    rules.names_say_what_a_thing_is,
    rules.errors_are_not_swallowed,
    rules.nothing_is_left_for_later,
    rules.nothing_is_a_stub,
    rules.constraints_name_no_host,
    rules.no_place_on_one_machine,
)


def a_house(root: Path, **changed: str) -> Path:
    """A small tree that keeps every rule, with the given files (`io__x` is io/x.py) put in."""
    package = root / ".src" / "anchorwatch"
    package.mkdir(parents=True)
    for room in rules.ROOMS:
        (root / room).mkdir()
        (package / room).symlink_to(f"../../{room}")
    (root / "tests").mkdir()
    (root / "constraints.txt").write_text("trio==0.35.0\n")
    sound = {
        "machine__kernel": "import transitions\nimport msgspec\n",
        "machine__order": "from decimal import Decimal\nfrom anchorwatch.machine import kernel\nX = sorted({1, 2})\n"
        "Y = any(one > 1 for one in {1, 2}) and 1 in {1, 2} and {one for one in {3}} == {3}\n",
        "diagrams__draw": "import transitions\nfrom anchorwatch.machine.kernel import Row\n",
        "io__cli": "from anchorwatch import __version__\nfrom anchorwatch.diagrams import draw\n",
        "io__seams": "import random\nimport time\nNOW = time.time\n",
        "io__engine": "import random\nimport trio\nfrom anchorwatch.machine import order\nR = random.Random(1)\n",
    }
    for name, text in (sound | changed).items():
        path = root / f"{name.replace('__', '/', 1)}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize("rule", THE_RULES, ids=lambda rule: rule.__name__)
def test_this_house_keeps_the_rule(rule: Rule) -> None:
    complaints = rule(ROOT)
    assert not complaints, "\n" + "\n".join(complaints)


@pytest.mark.parametrize("rule", THE_RULES, ids=lambda rule: rule.__name__)
def test_a_sound_house_is_not_complained_of(rule: Rule, tmp_path: Path) -> None:
    assert rule(a_house(tmp_path)) == []


def test_every_rule_has_a_breach_below() -> None:
    assert {rule.__name__ for rule, _, _ in BREACHES} | UNUSUAL == {rule.__name__ for rule in THE_RULES}


BREACHES: list[tuple[Rule, str, str]] = [
    (rules.machine_knows_only_machine, "machine__order", "from anchorwatch.io.seams import Seams\n"),
    (rules.machine_knows_only_machine, "machine__order", "from ..io import seams\n"),
    (rules.machine_knows_only_machine, "machine__order", "import anchorwatch.diagrams.draw\n"),
    (rules.machine_knows_only_machine, "machine__strategy/rsi", "from ...io.seams import Seams\n"),
    (rules.machine_is_pure, "machine__order", "import trio\n"),
    (rules.machine_is_pure, "machine__order", "def f():\n    from time import monotonic\n"),
    (rules.machine_is_pure, "machine__order", "from random import Random\n"),
    (rules.machine_is_pure, "machine__order", "from uuid import uuid4\n"),
    (rules.machine_is_pure, "machine__order", "import os\n"),
    (rules.machine_is_pure, "machine__order", "import sqlite3\n"),
    (rules.machine_is_pure, "machine__order", "from datetime import datetime\nNOW = datetime.now\n"),
    (rules.machine_is_pure, "machine__order", "import datetime\nNOW = datetime.date.today()\n"),
    (rules.machine_is_pure, "machine__order", "import numpy as np\nX = np.random.default_rng(1)\n"),
    (rules.machine_is_pure, "machine__order", "TEXT = open('x').read()\n"),
    (rules.transitions_has_one_door, "machine__order", "from transitions import Machine\n"),
    (rules.transitions_has_one_door, "io__engine", "import transitions.extensions\n"),
    (rules.transitions_has_one_door, "diagrams__export", "import transitions\n"),
    (rules.diagrams_know_only_machine, "diagrams__draw", "from anchorwatch.io import seams\n"),
    (rules.diagrams_know_only_machine, "diagrams__draw", "from anchorwatch import __version__\n"),
    (rules.only_the_command_line_knows_diagrams, "io__engine", "from anchorwatch import diagrams\n"),
    (rules.only_the_command_line_knows_diagrams, "io__venue/app", "from ...diagrams.draw import svg\n"),
    (rules.chance_and_clocks_enter_through_the_seams, "io__engine", "import time\n"),
    (rules.chance_and_clocks_enter_through_the_seams, "io__engine", "from random import choice\n"),
    (rules.chance_and_clocks_enter_through_the_seams, "io__engine", "import random\nX = random.random()\n"),
    (rules.chance_and_clocks_enter_through_the_seams, "io__engine", "import random\nX = random.Random()\n"),
    (
        rules.chance_and_clocks_enter_through_the_seams,
        "io__engine",
        "import random\nX = random.SystemRandom(1)\n",
    ),
    (rules.chance_and_clocks_enter_through_the_seams, "io__engine", "import uuid\n"),
    (rules.chance_and_clocks_enter_through_the_seams, "io__engine", "from secrets import token_hex\n"),
    (rules.chance_and_clocks_enter_through_the_seams, "io__engine", "import os\nX = os.urandom(4)\n"),
    (rules.chance_and_clocks_enter_through_the_seams, "io__engine", "from os import urandom\n"),
    (rules.chance_and_clocks_enter_through_the_seams, "io__engine", "import threading\n"),
    (
        rules.chance_and_clocks_enter_through_the_seams,
        "io__engine",
        "import signal\nsignal.setitimer(signal.ITIMER_REAL, 1)\n",
    ),
    (
        rules.chance_and_clocks_enter_through_the_seams,
        "io__engine",
        "import trio\nX = trio.to_thread.run_sync\n",
    ),
    (
        rules.chance_and_clocks_enter_through_the_seams,
        "io__engine",
        "from datetime import UTC, datetime\nX = datetime.now(UTC)\n",
    ),
    *(
        (order.nothing_depends_on_an_unordered_thing, "machine__order", text)
        for text in (
            "for one in {1, 2}: ...\n",
            "def f(names: set[str]) -> list[str]:\n    return [name for name in names]\n",
            "def f(names: frozenset[str]) -> str:\n    return ', '.join(names)\n",
            "X = {1, 2}\nY = tuple(X | {3})\n",
            "X = [*set('ab')]\n",
            "X = {}\nY = list(X.keys() - {1})\n",
            "class A:\n    seen: set[str]\ndef f(a: A) -> None:\n    for one in a.seen: ...\n",
            "def g() -> set[str]: return set()\nX = {one: 1 for one in g()}\n",
            "X = {'a', 'b'}\nY = X.pop()\n",
            "X = min({'a', 'b'}, key=len)\n",
            "def f(x: object) -> int: return hash(x)\n",
            "def f(x: object) -> int: return id(x)\n",
        )
    ),
    (
        order.nothing_depends_on_an_unordered_thing,
        "io__engine",
        "from pathlib import Path\nX = [one for one in Path().iterdir()]\n",
    ),
    (rules.io_shadows_nothing, "io____init__", ""),
    (rules.no_file_is_long, "tests__test_all", "X = 1\n" * (rules.LINES_MAX + 1)),
    (rules.names_say_what_a_thing_is, "io__order_manager", ""),
    (rules.names_say_what_a_thing_is, "io__engine", "class OrderHandler: ...\n"),
    (rules.names_say_what_a_thing_is, "io__engine", "def string_utils(): ...\n"),
    (rules.names_say_what_a_thing_is, "io__engine", "FLAGS = 1\n"),
    (rules.names_say_what_a_thing_is, "machine__order", "class Order:\n    flag: bool\n"),
    (rules.names_say_what_a_thing_is, "tests__helpers", ""),
    (rules.errors_are_not_swallowed, "io__engine", "try:\n    X = 1\nexcept Exception:\n    pass\n"),
    (rules.errors_are_not_swallowed, "io__engine", "try:\n    X = 1\nexcept:\n    ...\n"),
    (
        rules.errors_are_not_swallowed,
        "io__engine",
        "for _ in ():\n  try: 1\n  except BaseException: continue\n",
    ),
    (rules.errors_are_not_swallowed, "io__engine", "import contextlib\nX = contextlib.suppress(Exception)\n"),
    (rules.nothing_is_left_for_later, "io__engine", "X = 1  # " + "TO" + "DO: two\n"),
    (rules.nothing_is_left_for_later, "tests__test_x", "# " + "FIX" + "ME\n"),
    (rules.nothing_is_a_stub, "machine__order", "def f():\n    raise NotImplementedError('later')\n"),
    (rules.no_place_on_one_machine, "io__engine", "PATH = '" + "/home" + "/me/data'\n"),
]
UNUSUAL = {"the_package_is_symlinks", "constraints_name_no_host"}  # they do not concern a Python file


@pytest.mark.parametrize(("rule", "name", "text"), BREACHES)
def test_a_breach_is_noticed(rule: Rule, name: str, text: str, tmp_path: Path) -> None:
    complaints = rule(a_house(tmp_path, **{name: text}))
    assert len(complaints) == 1
    assert complaints[0].startswith(name.replace("__", "/", 1) + ".py")


def test_a_copied_folder_in_place_of_a_symlink_is_noticed(tmp_path: Path) -> None:
    link = a_house(tmp_path) / ".src" / "anchorwatch" / "io"
    link.unlink()
    link.mkdir()
    assert rules.the_package_is_symlinks(tmp_path) == [
        ".src/anchorwatch/io: make it a symlink to ../../io",
    ]


@pytest.mark.parametrize("line", ["x @ https://host/x.whl", "--index-url host", "-i host"])
def test_a_package_source_among_the_constraints_is_noticed(line: str, tmp_path: Path) -> None:
    (a_house(tmp_path) / "constraints.txt").write_text(f"trio==0.35.0\n{line}\n")
    [complaint] = rules.constraints_name_no_host(tmp_path)
    assert complaint.startswith("constraints.txt:2")


def test_a_complaint_says_where_what_and_what_to_do(tmp_path: Path) -> None:
    a_house(tmp_path, machine__order="from decimal import Decimal\nimport trio\n")
    assert rules.machine_is_pure(tmp_path) == [
        "machine/order.py:2: imports trio; only pure modules may decide (if it is pure, add it to PURE)"
    ]
