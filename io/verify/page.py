"""The user's document anew, as one page of HTML: each line with its mark, and behind it what was shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

from anchorwatch.io.verify.document import Language, Line, Section
from anchorwatch.io.verify.evidence import Judged, Piece, Result, Status
from anchorwatch.io.verify.proof import Proof
from anchorwatch.io.verify.sources import DEFAULTS
from anchorwatch.io.verify.style import SCRIPT, STYLE
from anchorwatch.io.verify.words import MARKS, WORDS, Words, count

_CODE = re.compile(r"`([^`]+)`")
_STRONG = re.compile(r"\*([^*]+)\*")
FAULTS_SHOWN = 40
WHOLE = ("exhaustive check", "single edits", "simulation", "crash sweep", "killed and back")
"""Kinds of evidence that stand for themselves; tests are counted instead."""


def page(proof: Proof, language: Language) -> bytes:
    """The whole page; it needs nothing but itself."""
    return "\n".join(_parts(proof, language)).encode()


def _parts(proof: Proof, language: Language) -> Iterator[str]:
    words = WORDS[language]
    title = proof.document.title
    name, goal = (title.ru, title.goal_ru) if language == "ru" else (title.en, title.goal_en)
    where = proof.surroundings
    yield f"<!doctype html><html lang={language}><head><meta charset=utf-8>"
    yield "<meta name=viewport content='width=device-width, initial-scale=1'>"
    yield f"<title>anchorwatch — {escape(name.capitalize())}</title><style>{STYLE}</style></head><body><main>"
    yield f"<header><p class=brand>anchorwatch {escape(where.version)}</p><h1>{escape(name)}</h1>"
    yield f"<p class=goal><b>{words.goal}:</b> {escape(goal)}</p>{_banner(proof, words)}"
    facts = [
        (words.date, where.at.replace("T", " ").removesuffix("+00:00") + " UTC"),
        (words.commit, where.commit or "—"),
        (words.machine, where.machine),
        (words.took, words.duration(where.seconds) + (f", {words.quick}" if where.quick else "")),
    ]
    if proof.coverage.of:
        facts.append((words.cells, f"{proof.coverage.words}; {proof.coverage.lived:,} {words.lived}"))
    yield (
        "<dl class=facts>"
        + "".join(f"<div><dt>{k}</dt><dd>{escape(v)}</dd></div>" for k, v in facts)
        + "</dl>"
    )
    yield f"<nav>{''.join(_link(section, proof, language) for section in proof.document.sections)}</nav></header>"
    for number, section in enumerate(proof.document.sections, 1):
        yield from _section(number, section, proof, language)
    yield from _summaries(proof, language)
    yield f"<footer>{words.footer}</footer></main><script>{SCRIPT}</script></body></html>\n"


def _banner(proof: Proof, words: Words) -> str:
    status = proof.status_of(proof.document.ids())
    counts = "".join(
        f"<span class='{one.value}'><b>{proof.count(one)}</b> {words.counted(one, proof.count(one))}</span>"
        for one in Status
    )
    return (
        f"<div class='banner {status.value}'><strong>{MARKS[status]} {words.verdict[status]}</strong>"
        f"<div class=counts>{counts}</div></div>"
    )


def _link(section: Section, proof: Proof, language: Language) -> str:
    name = section.ru if language == "ru" else section.en
    status = proof.sections[section.id].status
    return f"<a href='#{section.id}' class={status.value}><i>{MARKS[status]}</i>{escape(name)}</a>"


def _section(number: int, section: Section, proof: Proof, language: Language) -> Iterator[str]:
    words = WORDS[language]
    whole = proof.sections[section.id]
    name = section.ru if language == "ru" else section.en
    verdict = section.verdict_ru if language == "ru" else section.verdict_en
    yield f"<section id='{section.id}'><h2><i class={whole.status.value}>{MARKS[whole.status]}</i>"
    yield f"<span>{number}. {escape(name)}</span></h2><div class=lines>"
    for line in section.lines:
        yield _line(line, proof.lines[line.id], language)
    if whole.pieces:
        own = Judged(section.id, _alone(whole), whole.pieces)
        yield _entry(section.id, f"<span class=whole>{words.whole}</span>", own, words)
    yield f"</div><p class='verdict {whole.status.value}'><b>{words.status}:</b> "
    if whole.status is Status.PROVEN:
        yield f"{MARKS[whole.status]} {words.right} — {escape(verdict)}</p></section>"
    else:
        bad = [line.id for line in section.lines if proof.lines[line.id].status is not Status.PROVEN]
        yield f"{MARKS[whole.status]} {words.state[whole.status]}: {', '.join(bad) or words.whole}</p></section>"


def _alone(whole: Judged) -> Status:
    """A section without its lines."""
    results = {piece.result for piece in whole.pieces}
    if Result.FAILED in results:
        return Status.FAILED
    return Status.PROVEN if results <= {Result.PASSED, Result.LEFT_OUT} else Status.UNPROVEN


def _line(line: Line, judged: Judged, language: Language) -> str:
    if language == "en":
        text = _marked(line.en)
    else:
        head, *points = line.ru
        text = _marked(head)
        if points:
            text += "<ul>" + "".join(f"<li>{_marked(point)}</li>" for point in points) + "</ul>"
    return _entry(line.id, text, judged, WORDS[language])


def _entry(id: str, text: str, judged: Judged, words: Words) -> str:
    shown = [piece for piece in judged.pieces if piece.result is not Result.LEFT_OUT]
    tests = sum(piece.runs for piece in shown if piece.kind.startswith(("tests", "more")))
    kinds = len(judged.faults)
    parts = [words.tests(tests)] if tests else []
    parts += [
        words.kinds[piece.kind] for piece in shown if piece.kind in WHOLE and piece.result is Result.PASSED
    ]
    parts += [words.faults(kinds)] if kinds else []
    short = " · ".join(dict.fromkeys(parts)) or words.nothing
    body = (
        "".join(_piece(piece, words) for piece in judged.pieces) or f"<p class=none>{words.nothing_more}</p>"
    )
    return (
        f"<details class={judged.status.value} id='line-{id}'><summary><i class=mark title='{words.state[judged.status]}'>"
        f"{MARKS[judged.status]}</i><span class=id>{id}</span><span class=text>{text}</span>"
        f"<span class=short>{short}</span></summary><div class=evidence>{body}</div></details>"
    )


def _piece(piece: Piece, words: Words) -> str:
    unit = words.units.get(piece.kind, words.runs)
    figures = [f"{count(piece.runs)} {unit}"] if piece.runs else []
    if piece.seconds:
        figures.append(words.duration(piece.seconds))
    if piece.virtual_seconds:
        figures.append(f"{words.duration(piece.virtual_seconds)} {words.virtual}")
    if piece.seeds:
        figures.append(f"{words.seeds} {piece.seeds}")
    name = words.kinds.get(piece.kind, piece.kind)
    parts = [
        f"<article class='{piece.result.name.lower()}'><h4>{escape(name)}<em>{words.results[piece.result]}</em></h4>",
        f"<p class=command><code>{escape(piece.command)}</code></p>",
    ]
    if figures:
        parts.append(f"<p class=figures>{' · '.join(figures)}</p>")
    if piece.faults:
        struck = sorted(piece.faults.items(), key=lambda pair: (-pair[1], pair[0]))[:FAULTS_SHOWN]
        chips = "".join(
            f"<li>{escape(kind.replace('_', ' '))} <b>{count(times)}</b></li>" for kind, times in struck
        )
        parts.append(f"<div class=chips><span>{words.under}</span><ul>{chips}</ul></div>")
    if piece.switches:
        chips = "".join(
            f"<li>{escape(words.defaults if name == DEFAULTS else name.replace('_', ' '))} <b>{count(times)}</b></li>"
            for name, times in piece.switches.items()
        )
        parts.append(f"<div class=chips><span>{words.switches}</span><ul>{chips}</ul></div>")
    if piece.details:
        rows = "".join(_detail(what, came, words) for what, came in piece.details)
        parts.append(f"<table>{rows}</table>")
    return "".join(parts) + "</article>"


def _detail(what: str, came: str, words: Words) -> str:
    short, _, more = came.partition(":")
    shown = words.outcomes.get(short, short) + (f": {more.strip()}" if more else "")
    is_good = short in ("passed", "held", "holds") or short.startswith("holds;") or "complete" in came
    return f"<tr class={'good' if is_good else 'bad'}><td>{escape(what)}</td><td>{escape(shown)}</td></tr>"


def _summaries(proof: Proof, language: Language) -> Iterator[str]:
    words = WORDS[language]
    yield f"<section id=summary><h2><span>{words.summary}</span></h2><div class=columns>"
    for summary in proof.document.summaries:
        yield f"<div><h3>{escape(summary.ru if language == 'ru' else summary.en)}</h3><ul class=points>"
        for point in summary.points:
            status = proof.status_of(point.lines)
            text = escape(point.ru if language == "ru" else point.en)
            yield f"<li class={status.value}><i>{MARKS[status]}</i><span>{text} <small>{_span(point.lines)}</small></span></li>"
        yield "</ul></div>"
    yield "</div></section>"


def _span(ids: tuple[str, ...]) -> str:
    return f"{ids[0]}…{ids[-1]}" if len(ids) > 3 else ", ".join(ids)


def _marked(text: str) -> str:
    """The little Markdown of the document: code and stress."""
    return _STRONG.sub(r"<b>\1</b>", _CODE.sub(r"<code>\1</code>", escape(text)))
