"""``python -m anchorwatch.diagrams.check [--json] [--thorough]``"""

from __future__ import annotations

import sys

from anchorwatch.diagrams.check.configurations import QUICK, THOROUGH
from anchorwatch.diagrams.check.run import run

if __name__ == "__main__":
    chosen = THOROUGH if "--thorough" in sys.argv else QUICK
    sys.exit(run(chosen, "--json" in sys.argv, sys.stdout.write))
