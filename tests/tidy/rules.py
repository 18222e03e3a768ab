"""The rules of the house, each a function from the root of a tree to complaints about it.

A complaint is one line: where, what, and what to do about it. No complaint, no breach.
"""

import ast
import re
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

ROOMS = ("machine", "io", "diagrams")
LINES_MAX = 600

# What machine/ may import besides itself: the standard library's pure part, and libraries made for the field.
PURE = frozenset(
    (
        *("__future__", "abc", "collections", "copy", "dataclasses", "enum", "functools", "types", "typing"),
        *("bisect", "heapq", "itertools", "operator", "re", "string", "hashlib"),
        *("datetime", "decimal", "fractions", "math", "numbers", "statistics"),
        *("msgspec", "numpy", "talib", "transitions"),
    )
)
TRANSITIONS_MAY_BE_IMPORTED_BY = ("machine/kernel.py", "diagrams/draw.py")
DIAGRAMS_MAY_BE_IMPORTED_BY = ("io/cli.py", "io/commands/")

# Where io/ may touch clocks, chance, threads and signals, and why there. Everything else is handed what it needs by the first.
SEAMS = {
    "io/seams.py": "the one door: wall time, chance, signals and the stop watch are made here",
    "io/clocks.py": "trio's clock for a paced run has to know how fast real time passes",
    "io/simulation/": "replaces all of it: it must name what it replaces, and spreads seeds over processes",
}
IMPURE_MODULES = frozenset(
    ("asyncio", "concurrent", "multiprocessing", "secrets", "threading", "time", "uuid")
)
IMPURE_CALLS = re.compile(
    r"^(?:datetime\.)?(?:datetime|date)\.(?:now|utcnow|today)$"
    r"|^os\.(?:urandom|getrandom)$"
    r"|^(?:np|numpy)\.random$"
    r"|^random\.(?!Random$)"  # a seeded random.Random is data; the module's own functions are not
    r"|^trio\.to_thread$"
    r"|^signal\.(?:setitimer|alarm)$"
)
WORLDLY_CALLS = frozenset(("open", "print", "input", "exec", "eval"))

# “info” is not among them: it is a log level, and the venue's own word in some paths.
NEVER_A_NAME = frozenset(
    ("manager", "coordinator", "handler", "helper", "util", "utils", "orchestrator", "flag")
)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
BROAD = ("Exception", "BaseException")
UNFINISHED = re.compile(r"\b(?:" + "|".join(("TO" + "DO", "FIX" + "ME", "X" + "XX")) + r")\b")
PLACES_ON_ONE_MACHINE = re.compile(r"/(?:work|tmp|home|root|Users)/[a-z]")
PROSE = ("README.md", "CHANGELOG.md", "pyproject.toml", "constraints.txt", "Makefile")


@cache
def _parsed(source: str, name: str) -> ast.Module:
    """Every rule reads the whole house: parsing it once is most of what that costs."""
    return ast.parse(source, filename=name)


def files(root: Path, *rooms: str) -> Iterator[tuple[str, Path]]:
    """The Python files of these rooms, by their path from the root, in order."""
    for room in rooms:
        for path in sorted((root / room).rglob("*.py")):
            yield path.relative_to(root).as_posix(), path


def trees(root: Path, *rooms: str) -> Iterator[tuple[str, ast.Module]]:
    for name, path in files(root, *rooms):
        yield name, _parsed(path.read_text(encoding="utf-8"), name)


def imports(tree: ast.Module, name: str) -> Iterator[tuple[int, str]]:
    """Every module or name imported, dotted and absolute: `from a.b import c` gives `a.b.c`."""
    package = ("anchorwatch", *Path(name).parent.parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            for alias in node.names:
                yield node.lineno, ".".join([*base, *([node.module] if node.module else []), alias.name])


def dotted(node: ast.expr) -> str:
    """`a.b.c` for such an expression; empty for any other."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""


def ours(module: str) -> str | None:
    """The room of an import of ours ("" for the bare package), None for anybody else's."""
    head, *rest = module.split(".")
    if head != "anchorwatch":
        return None
    return rest[0] if rest and rest[0] in ROOMS else ""


def machine_knows_only_machine(root: Path) -> list[str]:
    return [
        f"{name}:{line}: imports {module}; machine/ is closed: let it arrive in an event or as a parameter"
        for name, tree in trees(root, "machine")
        for line, module in imports(tree, name)
        if ours(module) not in (None, "machine")
    ]


def machine_is_pure(root: Path) -> list[str]:
    complaints = [
        f"{name}:{line}: imports {module}; only pure modules may decide (if it is pure, add it to PURE)"
        for name, tree in trees(root, "machine")
        for line, module in imports(tree, name)
        if ours(module) is None and module.split(".")[0] not in PURE
    ]
    for name, tree in trees(root, "machine"):
        complaints += [
            f"{name}:{line}: {what}; machine/ touches no clock, chance, file or terminal"
            for line, what in used_chance(tree)
        ]
        complaints += [
            f"{name}:{node.lineno}: calls {dotted(node.func)}; machine/ touches no file or terminal"
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and dotted(node.func) in WORLDLY_CALLS
        ]
    return complaints


def transitions_has_one_door(root: Path) -> list[str]:
    return [
        f"{name}:{line}: imports transitions; go through anchorwatch.machine.kernel"
        for name, tree in trees(root, *ROOMS)
        for line, module in imports(tree, name)
        if module.split(".")[0] == "transitions" and name not in TRANSITIONS_MAY_BE_IMPORTED_BY
    ]


def diagrams_know_only_machine(root: Path) -> list[str]:
    return [
        f"{name}:{line}: imports {module}; of ours, diagrams/ draws machine/ and nothing else"
        for name, tree in trees(root, "diagrams")
        for line, module in imports(tree, name)
        if ours(module) not in (None, "machine", "diagrams")
    ]


def only_the_command_line_knows_diagrams(root: Path) -> list[str]:
    return [
        f"{name}:{line}: imports {module}; only io/cli.py and io/commands/ may import diagrams"
        for name, tree in trees(root, "io")
        for line, module in imports(tree, name)
        if ours(module) == "diagrams" and not name.startswith(DIAGRAMS_MAY_BE_IMPORTED_BY)
    ]


def imported_chance(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Imports of a clock, of chance or of threads."""
    for line, module in imports(tree, "."):
        head = module.split(".")[0]
        is_chance = head == "random" and module not in ("random", "random.Random")
        is_entropy = module in ("os.urandom", "os.getrandom", "trio.to_thread")
        if head in IMPURE_MODULES or is_chance or is_entropy:
            yield line, f"imports {module}"


def used_chance(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Uses of a clock, of chance or of threads through a module that has harmless parts too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and IMPURE_CALLS.search(dotted(node)):
            yield node.lineno, f"uses {dotted(node)}"
        elif (
            isinstance(node, ast.Call) and not node.args and dotted(node.func) in ("random.Random", "Random")
        ):
            yield node.lineno, "makes an unseeded Random"


def chance_and_clocks_enter_through_the_seams(root: Path) -> list[str]:
    return [
        f"{name}:{line}: {what}; take it from Seams, trio.current_time() or a parameter"
        for name, tree in trees(root, "io")
        for line, what in (*imported_chance(tree), *used_chance(tree))
        if not name.startswith(tuple(SEAMS))
    ]


def io_shadows_nothing(root: Path) -> list[str]:
    if (root / "io" / "__init__.py").exists():
        return ["io/__init__.py: remove it; with it mypy takes the standard library's io for ours"]
    return []


def no_file_is_long(root: Path) -> list[str]:
    complaints = []
    for name, path in files(root, *ROOMS, "tests"):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > LINES_MAX:
            complaints.append(f"{name}: {lines} lines, over {LINES_MAX}; it has a second purpose: split it")
    return complaints


def the_package_is_symlinks(root: Path) -> list[str]:
    complaints = []
    for room in ROOMS:
        link = root / ".src" / "anchorwatch" / room
        if not link.is_symlink() or link.readlink().as_posix() != f"../../{room}":
            complaints.append(f".src/anchorwatch/{room}: make it a symlink to ../../{room}")
    listed = subprocess.run(
        ["git", "ls-files", "--stage", ".src"], cwd=root, capture_output=True, text=True, check=False
    )
    if listed.returncode == 0:  # an unpacked sdist is no repository, and has nothing to commit
        modes = {line.split("\t")[1]: line.split()[0] for line in listed.stdout.splitlines()}
        for room in ROOMS:
            if modes.get(f".src/anchorwatch/{room}") != "120000":
                complaints.append(f".src/anchorwatch/{room}: commit it as a symlink (git mode 120000)")
    return complaints


def public_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.lineno, node.name
            for inner in node.body if isinstance(node, ast.ClassDef) else ():
                yield from assigned(inner)
    for statement in tree.body:
        yield from assigned(statement)


def assigned(statement: ast.stmt) -> Iterator[tuple[int, str]]:
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    for target in targets:
        if isinstance(target, ast.Name):
            yield statement.lineno, target.id


def words(name: str) -> list[str]:
    """The words of a snake_case or CamelCase name, in lower case and the singular."""
    return [
        word if word in NEVER_A_NAME else word.removesuffix("s")
        for word in map(str.lower, _WORDS.findall(name))
    ]


def names_say_what_a_thing_is(root: Path) -> list[str]:
    complaints = []
    for name, tree in trees(root, *ROOMS, "tests"):
        found = [(1, Path(name).stem), *public_names(tree)]
        for line, public in found:
            empty = NEVER_A_NAME.intersection(words(public))
            if empty and not public.startswith("_"):
                complaints.append(
                    f"{name}:{line}: {public}: “{min(empty)}” says nothing; use the field's word"
                )
    return complaints


def errors_are_not_swallowed(root: Path) -> list[str]:
    return [
        f"{name}:{node.lineno}: every error is dropped here; name the error, or make an event of it"
        for name, tree in trees(root, *ROOMS, "tests")
        for node in ast.walk(tree)
        if (isinstance(node, ast.ExceptHandler) and drops_all(node))
        or (isinstance(node, ast.Call) and suppresses_all(node))
    ]


def drops_all(node: ast.ExceptHandler) -> bool:
    does_nothing = all(
        isinstance(step, (ast.Pass, ast.Continue))
        or (isinstance(step, ast.Expr) and isinstance(step.value, ast.Constant))
        for step in node.body
    )
    return does_nothing and (node.type is None or dotted(node.type) in BROAD)


def suppresses_all(node: ast.Call) -> bool:
    is_suppress = dotted(node.func) in ("suppress", "contextlib.suppress")
    return is_suppress and any(dotted(argument) in BROAD for argument in node.args)


def nothing_is_left_for_later(root: Path) -> list[str]:
    return [
        f"{name}:{number}: do it now, or write an issue and leave no mark here"
        for name, number, line in text_lines(root)
        if UNFINISHED.search(line)
    ]


def nothing_is_a_stub(root: Path) -> list[str]:
    return [
        f"{name}:{node.lineno}: NotImplementedError; write it, or leave it out"
        for name, tree in trees(root, *ROOMS)
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id == "NotImplementedError"
    ]


def constraints_name_no_host(root: Path) -> list[str]:
    lines = (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [
        f"constraints.txt:{number}: names where a package comes from; pin versions only"
        for number, line in enumerate(lines, 1)
        if "://" in line
        or line.startswith(("-i", "--index", "--extra-index", "--find-links", "--trusted-host"))
    ]


def no_place_on_one_machine(root: Path) -> list[str]:
    return [
        f"{name}:{number}: a path of the machine it was written on; nobody else has it"
        for name, number, line in text_lines(root)
        if PLACES_ON_ONE_MACHINE.search(line)
    ]


def text_lines(root: Path) -> Iterator[tuple[str, int, str]]:
    """All lines of code and prose, except of this file's own folder, which must name what it forbids."""
    prose = [(name, root / name) for name in PROSE if (root / name).exists()]
    for name, path in [*files(root, *ROOMS, "tests"), *prose]:
        if not name.startswith("tests/tidy/"):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                yield name, number, line


Rule = Callable[[Path], list[str]]
