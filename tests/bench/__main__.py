"""``python -m tests.bench [names…]``: run the named benchmarks, or all of them, and print what they found.

Nothing is asserted: a machine that is busy would fail a test that nobody could repeat.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys

import tests.bench


def names() -> list[str]:
    """Every benchmark there is: the modules of this package."""
    found = (module.name for module in pkgutil.iter_modules(tests.bench.__path__))
    return sorted(name for name in found if not name.startswith("_"))


def main(wanted: list[str]) -> int:
    known = names()
    for name in wanted:
        if name not in known:
            print(f"no benchmark is called {name!r}; there are {', '.join(known)}", file=sys.stderr)
            return 2
    for name in wanted or known:
        print(f"# {name}")
        for line in importlib.import_module(f"tests.bench.{name}").run():
            print(line, flush=True)
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
