"""What the page says besides the document itself, in both languages."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from anchorwatch.io.verify.document import Language
from anchorwatch.io.verify.evidence import Result, Status

MARKS = {Status.PROVEN: "✓", Status.FAILED: "✕", Status.UNPROVEN: "○"}


def count(number: int) -> str:
    """A whole number with thin spaces between its thousands."""
    return f"{number:,}".replace(",", "\u202f")


class Words(msgspec.Struct, frozen=True):
    goal: str
    date: str
    commit: str
    machine: str
    took: str
    cells: str
    lived: str
    quick: str
    status: str
    right: str
    whole: str
    nothing: str
    nothing_more: str
    runs: str
    virtual: str
    seeds: str
    under: str
    switches: str
    defaults: str
    summary: str
    footer: str
    verdict: dict[Status, str]
    state: dict[Status, str]
    kinds: dict[str, str]
    units: dict[str, str]
    results: dict[Result, str]
    outcomes: dict[str, str]
    tests: Callable[[int], str]
    faults: Callable[[int], str]
    counted: Callable[[Status, int], str]
    duration: Callable[[float], str]


def _seconds_en(seconds: float) -> str:
    return _duration(seconds, "s", "min", "h")


def _seconds_ru(seconds: float) -> str:
    return _duration(seconds, "с", "мин", "ч").replace(".", ",")


def _duration(seconds: float, s: str, minutes: str, hours: str) -> str:
    if seconds < 120:
        return f"{seconds:.1f} {s}" if seconds < 10 else f"{seconds:.0f} {s}"
    if seconds < 7_200:
        return f"{seconds / 60:.0f} {minutes}"
    return f"{seconds / 3_600:.1f} {hours}"


def _russian(number: int, one: str, few: str, many: str) -> str:
    """The form of a noun that a Russian numeral asks for."""
    last, last_two = number % 10, number % 100
    if last == 1 and last_two != 11:
        form = one
    else:
        form = few if 2 <= last <= 4 and not 12 <= last_two <= 14 else many
    return f"{count(number)} {form}"


_RU_COUNTED = {
    Status.PROVEN: ("доказана", "доказаны", "доказано"),
    Status.FAILED: ("не выполняется", "не выполняются", "не выполняется"),
    Status.UNPROVEN: ("не доказана", "не доказаны", "не доказано"),
}


def _counted_ru(status: Status, number: int) -> str:
    return _russian(number, *_RU_COUNTED[status]).partition(" ")[2]


def _counted_en(status: Status, number: int) -> str:
    return status.value


_ENGLISH = Words(
    goal="Aim",
    date="Run",
    commit="Commit",
    machine="Machine",
    took="Took",
    cells="State × event, answered",
    lived="in tests and simulations",
    quick="the quick run",
    status="Status",
    right="correct",
    whole="the section as a whole",
    nothing="no evidence",
    nothing_more="Nothing was run that shows it. A line without evidence is not ticked.",
    runs="runs",
    virtual="of the bot's own time",
    seeds="seeds",
    under="faults that struck",
    switches="exchange's open questions",
    defaults="as by default",
    summary="In sum",
    footer="Every mark on this page was computed from the runs named behind it. A tick is what ran and held; "
    "○ is what nothing has shown; ✕ is what does not hold. Open a line to see what was run, and run it again.",
    verdict={
        Status.PROVEN: "Every line is proven",
        Status.FAILED: "Something does not hold",
        Status.UNPROVEN: "Nothing is broken, and not everything is proven",
    },
    state={Status.PROVEN: "proven", Status.FAILED: "does not hold", Status.UNPROVEN: "unproven"},
    kinds={
        "tests of the line": "tests of the line",
        "more tests": "more tests",
        "tests of the line, other switches": "the same, the exchange answering its open questions the other way",
        "more tests, other switches": "more tests, the other way",
        "exhaustive check": "exhaustive check",
        "single edits": "single edits of the tables, noticed",
        "simulation": "simulation",
        "crash sweep": "killed all along the log",
        "killed and back": "killed and back",
    },
    units={
        "exhaustive check": "states",
        "single edits": "edits",
        "simulation": "seeds",
        "crash sweep": "kills",
        "killed and back": "deaths",
    },
    results={
        Result.PASSED: "holds",
        Result.FAILED: "does not hold",
        Result.GAP: "known gap",
        Result.MISSING: "not shown",
        Result.LEFT_OUT: "left out of this run",
    },
    outcomes={},
    tests=lambda number: f"{count(number)} test{'' if number == 1 else 's'}",
    faults=lambda number: f"{count(number)} kind{'' if number == 1 else 's'} of fault",
    counted=_counted_en,
    duration=_seconds_en,
)

_RUSSIAN = Words(
    goal="Цель",
    date="Дата",
    commit="Версия кода",
    machine="Машина",
    took="Заняло",
    cells="Состояние × событие, отвечено",
    lived="в тестах и симуляциях",
    quick="короткий прогон",
    status="Статус",
    right="ПРАВИЛЬНО",
    whole="раздел в целом",
    nothing="нет доказательств",
    nothing_more="Ничего, что это показывает, не запускалось. Строка без доказательств не отмечается.",
    runs="прогонов",
    virtual="времени бота",
    seeds="зёрна",
    under="сбои, которые случились",
    switches="открытые вопросы биржи",
    defaults="как по умолчанию",
    summary="ИТОГОВАЯ ПРОВЕРКА",
    footer="Каждая отметка на этой странице вычислена из прогонов, названных за ней. Галочка — это то, что запускалось и "
    "выполнилось; ○ — то, чего ничто не показало; ✕ — то, что не выполняется. Откройте строку, чтобы увидеть, что "
    "запускалось, и запустить снова.",
    verdict={
        Status.PROVEN: "Доказана каждая строка",
        Status.FAILED: "Что-то не выполняется",
        Status.UNPROVEN: "Ничего не сломано, но доказано не всё",
    },
    state={Status.PROVEN: "доказано", Status.FAILED: "НЕ ВЫПОЛНЯЕТСЯ", Status.UNPROVEN: "не доказано"},
    kinds={
        "tests of the line": "тесты строки",
        "more tests": "другие тесты",
        "tests of the line, other switches": "они же, открытые вопросы биржи решены наоборот",
        "more tests, other switches": "другие тесты, вопросы решены наоборот",
        "exhaustive check": "полный перебор",
        "single edits": "единичные правки таблиц, замечены",
        "simulation": "симуляция",
        "crash sweep": "убит по ходу всего журнала",
        "killed and back": "убит и запущен снова",
    },
    units={
        "exhaustive check": "состояний",
        "single edits": "правок",
        "simulation": "зёрен",
        "crash sweep": "смертей",
        "killed and back": "смертей",
    },
    results={
        Result.PASSED: "выполняется",
        Result.FAILED: "не выполняется",
        Result.GAP: "известный пробел",
        Result.MISSING: "не показано",
        Result.LEFT_OUT: "пропущено в этом прогоне",
    },
    outcomes={
        "passed": "прошёл",
        "failed": "не прошёл",
        "skipped": "пропущен",
        "known gap": "известный пробел",
        "held": "выдержал",
        "holds": "выполняется",
    },
    tests=lambda number: _russian(number, "тест", "теста", "тестов"),
    faults=lambda number: _russian(number, "вид сбоев", "вида сбоев", "видов сбоев"),
    counted=_counted_ru,
    duration=_seconds_ru,
)

WORDS: dict[Language, Words] = {"en": _ENGLISH, "ru": _RUSSIAN}
