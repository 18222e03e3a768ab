"""What the README shows is true of today's code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from anchorwatch.io.settings import load
from anchorwatch.machine.lifecycle import Exit

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_python_examples_run() -> None:
    assert blocks("python")
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), {})


def test_the_example_of_a_settings_file_is_accepted(tmp_path: Path) -> None:
    for number, block in enumerate(blocks("toml")):
        data: dict[str, Any] = tomllib.loads(block)
        if "symbols" in data:
            file = tmp_path / f"{number}.toml"
            file.write_text(block, encoding="utf-8")
            assert load(file=file, environ={}).symbols == tuple(data["symbols"])


def test_every_exit_code_is_documented() -> None:
    table = re.search(r"\| exit code \| meaning \|\n(.*?)\n\n", README, re.DOTALL)
    assert table is not None
    named = {int(code) for row in table[1].splitlines() for code in re.findall(r"\b\d+\b", row.split("|")[1])}
    assert named == {exit_.value for exit_ in Exit}


def test_every_picture_and_link_into_the_tree_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if "://" not in target:
            assert (ROOT / target).exists(), target
