"""Whether the environment of the check could have done what a trace shows."""

from anchorwatch.diagrams.check.acceptance.reading import Reader, Verdict, accepts
from anchorwatch.diagrams.check.acceptance.tracks import Rejection

__all__ = ["Reader", "Rejection", "Verdict", "accepts"]
