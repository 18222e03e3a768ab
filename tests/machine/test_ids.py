"""Client ids: what the venue takes, whose they are, and that no two are alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorwatch.machine.ids import ClientId, Made, parse

TOKENS = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=8, max_size=8)
SEQUENCES = st.integers(0, 36**7 - 1)


@given(token=TOKENS, made=st.sampled_from(Made), seq=SEQUENCES)
def test_an_id_is_read_back_as_it_was_made(token: str, made: Made, seq: int) -> None:
    text = str(ClientId(token, made, seq))
    assert parse(text) == ClientId(token, made, seq)
    assert text.isascii()
    assert text.isalnum()
    assert len(text) <= 32  # OKX v5


@given(
    one=st.tuples(TOKENS, st.sampled_from(Made), SEQUENCES),
    other=st.tuples(TOKENS, st.sampled_from(Made), SEQUENCES),
)
def test_two_ids_are_alike_only_when_they_are_the_same(
    one: tuple[str, Made, int], other: tuple[str, Made, int]
) -> None:
    assert (str(ClientId(*one)) == str(ClientId(*other))) == (one == other)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "aw",
        "operator",
        "awrig00001x0000001",  # nothing is made for x
        "awrig00001e000000",  # too short
        "awrig00001e00000011",  # too long
        "bwrig00001e0000001",
        "awrig00001e00000-1",
        "AWRIG00001E0000001",  # the venue's ids are case-sensitive, and so are ours
    ],
)
def test_what_is_not_ours_is_not_read_as_ours(text: str) -> None:
    assert parse(text) is None


def test_sequences_do_not_overflow_in_silence() -> None:
    with pytest.raises(AssertionError, match="out of sequences"):
        str(ClientId("rig00001", Made.ENTRY, 36**7))
