"""The user's document as data: sections and lines with their ids, in its order, in English and in Russian."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Literal

import msgspec

Language = Literal["en", "ru"]

# `r6_2` in a test's name is the line R6.2, `r10_4_to_r10_6` the lines from one to the other, `p13` the pain P13.
_RANGE = re.compile(r"(?<![a-z0-9])r(\d+)_(\d+)_to_r(\d+)_(\d+)(?![0-9])")
_LINE = re.compile(r"(?<![a-z0-9])r(\d+)_(\d+)(?![0-9])")
_PAIN = re.compile(r"(?<![a-z0-9])p(\d+)(?![0-9])")
_SECTION = re.compile(r"(?<![a-z0-9])r(\d+)(?!_?[0-9])")


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line. ``ru`` begins with the line itself and goes on with the points under it."""

    id: str
    en: str
    ru: tuple[str, ...]

    def text(self, language: Language) -> str:
        if language == "en":
            return self.en
        head, *points = self.ru
        return f"{head}: {'; '.join(points)}" if points else head


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One section; ``verdict`` is the sentence that the user ticked at its end."""

    id: str
    en: str
    ru: str
    verdict_en: str
    verdict_ru: str
    lines: tuple[Line, ...]


class Point(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One point of a closing list, and the ids of the lines that it rests on."""

    en: str
    ru: str
    lines: tuple[str, ...]


class Summary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    en: str
    ru: str
    points: tuple[Point, ...]


class Title(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    en: str
    ru: str
    goal_en: str
    goal_ru: str


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: Title
    sections: tuple[Section, ...]
    summaries: tuple[Summary, ...]

    def lines(self) -> Iterator[Line]:
        for section in self.sections:
            yield from section.lines

    def ids(self) -> tuple[str, ...]:
        return tuple(line.id for line in self.lines())


@cache
def document() -> Document:
    text = (resources.files("anchorwatch.io.verify") / "lines.toml").read_text(encoding="utf-8")
    return msgspec.toml.decode(text, type=Document)


def lines_named(test: str) -> tuple[str, ...]:
    """The ids that a test's name (its parameters included) says it is about, in the document's order; maybe none.

    A test that names a section as a whole (`test_r10_the_seven_steps`) is about the section's own id, `R10`.
    """
    name = test.rsplit("::", 1)[-1].lower()
    found = {f"R{section}.{line}" for section, line in _LINE.findall(name)}
    for section, first, _, last in _RANGE.findall(name):
        found |= {f"R{section}.{line}" for line in range(int(first), int(last) + 1)}
    found |= {f"P{number}" for number in _PAIN.findall(name)}
    found |= {f"R{number}" for number in _SECTION.findall(name)}
    known = (*(section.id for section in document().sections), *document().ids())
    return tuple(id for id in known if id in found)
