import pytest

from anchorwatch.io.okx.errors import (
    DUPLICATE_ID_CODES,
    NOT_FOUND_CODES,
    TABLE,
    Operation,
    Remedy,
    classify,
    classify_login,
)


@pytest.mark.parametrize(
    ("http_status", "top_code", "s_code", "op", "remedy", "outcome_known"),
    [
        (200, "1", "51008", "write", Remedy.NEVER, True),
        (200, "0", "51008", "write", Remedy.NEVER, True),  # an algo order refused under a successful top code
        (400, "50004", "", "write", Remedy.UNKNOWN, False),
        (500, "51149", "", "write", Remedy.UNKNOWN, False),
        (503, "50001", "", "write", Remedy.UNKNOWN, False),
        (503, "50001", "", "read", Remedy.RETRY, False),
        (502, "", "", "write", Remedy.UNKNOWN, False),
        (502, "", "", "read", Remedy.RETRY, True),
        (200, "1", "51999", "write", Remedy.UNKNOWN, False),  # not in the table
        (500, "1", "51008", "write", Remedy.UNKNOWN, False),  # a refusal that a proxy's 5xx contradicts
        (429, "50011", "", "write", Remedy.RETRY, True),
        (200, "50011", "", "write", Remedy.RETRY, True),
        (401, "50102", "", "write", Remedy.RETRY, True),
        (401, "50111", "", "read", Remedy.STOP, True),
        (200, "1", "51016", "write", Remedy.UNKNOWN, True),
        (200, "1", "51400", "write", Remedy.DONE, True),
        (200, "51603", "", "read", Remedy.UNKNOWN, True),
        (200, "1", "50036", "write", Remedy.DONE, True),
    ],
)
def test_a_code_means_what_the_venue_documents(
    http_status: int, top_code: str, s_code: str, op: Operation, remedy: Remedy, outcome_known: bool
) -> None:
    verdict = classify(http_status, top_code, s_code, op)
    assert (verdict.remedy, verdict.outcome_known) == (remedy, outcome_known)
    assert verdict.meaning
    assert verdict.action


def test_no_code_that_is_not_listed_ever_lets_a_write_count_as_refused() -> None:
    for number in range(50000, 65000):
        code = str(number)
        if code not in TABLE:
            assert not classify(200, code, "", "write").outcome_known


def test_a_5xx_leaves_every_write_open_whatever_its_body_says() -> None:
    for code in TABLE:
        verdict = classify(500, code, "", "write")
        assert (verdict.remedy, verdict.outcome_known) == (Remedy.UNKNOWN, False)


def test_the_lists_that_others_match_on_are_in_the_table() -> None:
    for code in (*DUPLICATE_ID_CODES, *NOT_FOUND_CODES):
        assert TABLE[code].remedy is Remedy.UNKNOWN


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("60024", Remedy.STOP),
        ("60005", Remedy.STOP),
        ("60009", Remedy.RETRY),
        ("60006", Remedy.RETRY),
        ("50110", Remedy.STOP),
        ("60031", Remedy.DONE),
        ("60999", Remedy.RETRY),
    ],
)
def test_a_refused_login_is_told_from_one_that_may_be_tried_again(code: str, remedy: Remedy) -> None:
    assert classify_login(code).remedy is remedy
