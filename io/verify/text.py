"""The proof in a terminal: one line each, and for what is not proven the reason."""

from __future__ import annotations

from collections.abc import Iterator

from anchorwatch.io.verify.document import Language
from anchorwatch.io.verify.evidence import Judged, Result, Status
from anchorwatch.io.verify.proof import Proof
from anchorwatch.io.verify.words import MARKS, WORDS

TEXT_MAX_CHARS = 96
INDENT = " " * 11


def text(proof: Proof, language: Language) -> str:
    return "\n".join(_lines(proof, language)) + "\n"


def _lines(proof: Proof, language: Language) -> Iterator[str]:
    words = WORDS[language]
    for section in proof.document.sections:
        yield f"\n{section.ru if language == 'ru' else section.en}"
        for line in section.lines:
            judged = proof.lines[line.id]
            yield f"  {MARKS[judged.status]} {line.id:<6} {_cut(line.text(language))}"
            yield from _reasons(judged)
        whole = proof.sections[section.id]
        if any(piece.result in BAD for piece in whole.pieces):
            yield f"  {MARKS[whole.status]} {section.id:<6} {words.whole}"
            yield from _reasons(whole)
    yield ""
    if proof.coverage.of:
        yield f"{words.cells}: {proof.coverage.words}; {proof.coverage.lived:,} {words.lived}"
    counts = ", ".join(f"{proof.count(one)} {words.counted(one, proof.count(one))}" for one in Status)
    yield f"{words.verdict[proof.status_of(proof.document.ids())]}: {counts}"


BAD = (Result.FAILED, Result.GAP, Result.MISSING)


def _reasons(judged: Judged) -> Iterator[str]:
    """Why a line is not proven: what failed and what is missing, with the command that shows it."""
    if judged.status is Status.UNPROVEN and not judged.pieces:
        yield INDENT + "nothing was run that shows it"
    for piece in judged.pieces:
        if piece.result is Result.MISSING:
            yield INDENT + f"not shown by {piece.command}"
        elif piece.result in BAD:
            yield INDENT + f"{piece.result.value}: {piece.command}"
            yield from (INDENT + _cut(f"  {what}: {came}") for what, came in piece.details[:1])


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_MAX_CHARS else f"{text[: TEXT_MAX_CHARS - 1]}…"
