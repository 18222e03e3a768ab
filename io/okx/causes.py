"""What the network said, dug out of the exceptions that libraries wrap around it."""

from __future__ import annotations


def root_cause(error: BaseException) -> str:
    """The text of the innermost exception that has one; of a group, its first member speaks for all."""
    said = ""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
            continue
        said = str(cause) or said
        cause = cause.__cause__ or cause.__context__
    return said
