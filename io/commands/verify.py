"""``anchorwatch verify``: run what stands behind every line of the user's document, and write the document anew."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

import anchorwatch
from anchorwatch.io.seams import real_seams
from anchorwatch.io.settings import Problem, SettingsError
from anchorwatch.io.verify.document import Language
from anchorwatch.io.verify.page import page
from anchorwatch.io.verify.proof import SEEDS, SEEDS_QUICK, prove, sources
from anchorwatch.io.verify.sources import MISSION
from anchorwatch.io.verify.text import text

# More seeds than this are a night's work, or a slip of the keyboard.
SEEDS_MAX = 1_000_000


def verify(
    *,
    json: Annotated[str | None, Parameter("--json", help="write the proof here, as JSON")] = None,
    out: Annotated[str | None, Parameter("--out", help="write the document here, a page of HTML")] = None,
    lang: Annotated[str, Parameter("--lang", help="en, or ru: as the user wrote it")] = "en",
    quick: Annotated[
        bool, Parameter("--quick", help="minutes instead of a quarter of an hour: fewer seeds, no kills")
    ] = False,
    seeds: Annotated[str | None, Parameter("--seeds", help="how many runs of the simulation")] = None,
    evidence: Annotated[
        str | None, Parameter("--evidence", help="the tests have run: what `pytest --evidence FILE` wrote")
    ] = None,
    coverage: Annotated[
        str | None, Parameter("--coverage", help="write every cell of every table here, with its hits, HTML")
    ] = None,
) -> int:
    """Run what stands behind every line of the user's document, and say which are proven.

    Exit codes: 0 every line is proven; 1 something does not hold; 3 nothing is broken, but something is unproven.
    """
    language = _language(lang)
    number = _seeds(seeds, SEEDS_QUICK if quick else SEEDS)
    for option, name in (("--json", json), ("--out", out), ("--coverage", coverage)):
        if name is not None and (Path(name).is_dir() or not Path(name).absolute().parent.is_dir()):
            raise SettingsError([Problem(f"{option} {name}", "allowed: a file in a directory that exists")])
    if evidence is not None and not Path(evidence).is_file():
        raise SettingsError([Problem(f"--evidence {evidence}", "there is no such file")])
    root = _checkout()
    from anchorwatch.io.commands.coverage import covered
    from anchorwatch.io.commands.coverage import page as cells

    proof = prove(
        root,
        sources(root, quick=quick, seeds=number, ready=Path(evidence) if evidence else None),
        version=anchorwatch.__version__,
        at_ms=real_seams().wall_ms(),
        quick=quick,
        tell=_tell,
    )
    proof = covered(proof)
    sys.stdout.write(text(proof, language))
    if json is not None:
        Path(json).write_bytes(msgspec.json.format(msgspec.json.encode(proof.as_mapping(language)), indent=1))
    if out is not None:
        Path(out).write_bytes(page(proof, language))
    if coverage is not None:
        Path(coverage).write_bytes(cells(proof))
    return proof.exit_code


def _tell(line: str) -> None:
    """Progress goes beside the result, so that the result can be piped."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _language(text: str) -> Language:
    if text == "en":
        return "en"
    if text == "ru":
        return "ru"
    raise SettingsError([Problem("--lang", f"{text!r}; allowed: en, ru")])


def _seeds(text: str | None, default: int) -> int:
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 8 and 1 <= int(text) <= SEEDS_MAX):
        raise SettingsError([Problem("--seeds", f"{text!r}; allowed: a whole number from 1 to {SEEDS_MAX}")])
    return int(text)


def _checkout() -> Path:
    """Where the tests are. An installed package has none, and nothing can be proven without them."""
    root = Path(anchorwatch.__path__[0]).resolve().parents[1]
    if not (root / MISSION).is_dir():
        raise SettingsError(
            [Problem("verify", f"there is no {MISSION} here; run it from a checkout (make verify)")]
        )
    return root
