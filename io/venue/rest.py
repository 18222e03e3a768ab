"""The REST gateway: one HTTP request in, one answer out, without a socket.

Order of the checks: path, maintenance, signature, permission, body, rate limit, then the endpoint itself. Faults
stand around the endpoint, because what they are about is the difference between what was done and what was said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import parse_qsl

import msgspec

from anchorwatch.io.venue.answers import Answer, of_refusal
from anchorwatch.io.venue.authentication import Caller
from anchorwatch.io.venue.faults import Fault, FaultKind
from anchorwatch.io.venue.lagging import LAG_MAX_MS
from anchorwatch.io.venue.parameters import Parameters
from anchorwatch.io.venue.refusals import HTTP_STATUS, Refusal
from anchorwatch.io.venue.rest_account import READ_ROUTES, WRITE_ROUTES
from anchorwatch.io.venue.rest_public import PUBLIC_ROUTES
from anchorwatch.io.venue.rest_trade import TRADE_READS, TRADE_WRITES, Body, write

if TYPE_CHECKING:
    from anchorwatch.io.venue.exchange import Venue

PREFIX = "/api/v5/"
JSON_TYPE = "application/json"
HTML_TYPE = "text/html; charset=utf-8"
HTML_PAGE = b"<html><head><title>%d</title></head><body><center><h1>%d</h1></center></body></html>"
# What a client may send in one body: a batch of 20 orders with attached stops is far below.
BODY_MAX_BYTES = 1_000_000
# How long an answer that never comes is held back; clients give up long before.
NEVER_MS = 3_600_000

BEFORE: tuple[FaultKind, ...] = ("reject_with_code", "html_error", "reject_then_timeout")
AFTER: tuple[FaultKind, ...] = (
    "accept_then_timeout",
    "accept_then_code",
    "accept_then_html",
    "slow_answer",
    "truncated_answer",
)


class HttpAnswer(NamedTuple):
    """What goes back. `delay_ms` holds the answer back; a truncated one breaks off in the middle."""

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    delay_ms: int = 0
    fate: Literal["whole", "truncated", "never"] = "whole"


class HttpRequest(NamedTuple):
    """One request as it came: `target` raw with its query, header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    ip: str

    @property
    def endpoint(self) -> str:
        return self.target.partition("?")[0].removeprefix(PREFIX)


class Gateway:
    """Answers requests against a venue."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def late_ms(self, request: HttpRequest) -> int:
        """How long the exchange lets this request lie before it looks at it (the fault `late_processing`)."""
        rule = self._venue.faults.draw("late_processing", request.endpoint, self._venue.now_ms())
        return 0 if rule is None else rule.delay_ms

    def answer(self, request: HttpRequest) -> HttpAnswer:
        """Process one request now. Never raises: what goes wrong is an answer."""
        self._venue.advance()
        before = self._fault(BEFORE, request.endpoint)
        if before is not None:
            return self._instead(before)
        arrived_ms = self._venue.now_ms()
        status = 200
        try:
            answer = self._served(request)
        except Refusal as refusal:
            answer, status = of_refusal(refusal), refusal.http_status
            if refusal.code in ("50011", "50061"):
                status = self._venue.switches.rate_limit_status
        self._venue.settle()
        after = self._fault(AFTER, request.endpoint)
        whole = HttpAnswer(status, answer.encoded(arrived_ms, self._venue.now_ms()))
        return whole if after is None else self._spoiled(after, whole)

    def _fault(self, kinds: tuple[FaultKind, ...], endpoint: str) -> Fault | None:
        plan = self._venue.faults
        if not plan.is_armed:
            return None
        for kind in kinds:
            rule = plan.draw(kind, endpoint, self._venue.now_ms())
            if rule is not None:
                self._venue.note("fault", f"{kind} {endpoint}")
                return rule
        return None

    def _instead(self, rule: Fault) -> HttpAnswer:
        """The answer to a request that is not processed."""
        if rule.kind == "reject_then_timeout":
            return HttpAnswer(504, b"", HTML_TYPE, NEVER_MS, "never")
        if rule.kind == "html_error":
            return HttpAnswer(rule.status, HTML_PAGE % (rule.status, rule.status), HTML_TYPE)
        return self._coded(rule.code_or_default)

    def _spoiled(self, rule: Fault, whole: HttpAnswer) -> HttpAnswer:
        """The answer to a request that was processed."""
        if rule.kind == "accept_then_timeout":
            return HttpAnswer(504, b"", HTML_TYPE, NEVER_MS, "never")
        if rule.kind == "accept_then_html":
            return HttpAnswer(rule.status, HTML_PAGE % (rule.status, rule.status), HTML_TYPE)
        if rule.kind == "accept_then_code":
            return self._coded(rule.code_or_default)
        if rule.kind == "slow_answer":
            return whole._replace(delay_ms=rule.delay_ms)
        return whole._replace(fate="truncated")

    def _coded(self, code: str) -> HttpAnswer:
        now_ms = self._venue.now_ms()
        return HttpAnswer(HTTP_STATUS.get(code, 200), of_refusal(Refusal(code)).encoded(now_ms, now_ms))

    def _served(self, request: HttpRequest) -> Answer:
        path, _, query = request.target.partition("?")
        if not path.startswith(PREFIX):
            raise Refusal("50005")
        endpoint = path.removeprefix(PREFIX)
        if request.method == "GET":
            asked = Parameters(dict(parse_qsl(query)))
            if endpoint in PUBLIC_ROUTES:
                self._spend(endpoint, request, None, asked, 1)
                return Answer(PUBLIC_ROUTES[endpoint](self._venue, asked))
            route = READ_ROUTES.get(endpoint) or TRADE_READS.get(endpoint)
            if route is None:
                raise Refusal("50115" if endpoint in TRADE_WRITES or endpoint in WRITE_ROUTES else "50005")
            caller = self._caller(request, "read_only")
            limited = {"trade/order": "trade/get-order", "trade/order-algo": "trade/get-order-algo"}
            self._spend(limited.get(endpoint, endpoint), request, caller, asked, 1)
            return Answer(route(self._venue, self._lagging(caller, endpoint), asked))
        if request.method != "POST":
            raise Refusal("50115")
        if endpoint not in TRADE_WRITES and endpoint not in WRITE_ROUTES:
            known = endpoint in PUBLIC_ROUTES or endpoint in READ_ROUTES or endpoint in TRADE_READS
            raise Refusal("50115" if known else "50005")
        return self._written(endpoint, request)

    def _lagging(self, caller: Caller, endpoint: str) -> Caller:
        """The caller with its account as it was a moment ago, where the fault `rest_lag` says so."""
        now_ms = self._venue.now_ms()
        rule = self._venue.faults.draw("rest_lag", endpoint, now_ms)
        if rule is None:
            return caller
        return caller._replace(
            account=self._venue.pasts.account_at(caller.account, now_ms - min(rule.delay_ms, LAG_MAX_MS))
        )

    def _written(self, endpoint: str, request: HttpRequest) -> Answer:
        self._venue.note("write", endpoint)
        caller = self._caller(request, "trade")
        body = self._body(request)
        first = body[0] if isinstance(body, list) else body
        orders = len(body) if isinstance(body, list) else 1
        asked = Parameters(first)
        self._check_maintenance(endpoint, asked)
        self._spend(endpoint, request, caller, asked, orders)
        if endpoint in WRITE_ROUTES:
            return Answer(WRITE_ROUTES[endpoint](self._venue, caller, asked))
        expiry = request.headers.get("exptime", "")
        if expiry and "cancel" not in endpoint:
            expiring = {"expTime": expiry}
            body = [{**item, **expiring} for item in body] if isinstance(body, list) else {**body, **expiring}
        return write(self._venue, caller, endpoint, body)

    def _caller(self, request: HttpRequest, permission: str) -> Caller:
        caller = self._venue.keys.rest_caller(
            request.method, request.target, request.headers, request.body, request.ip, self._venue.now_ms()
        )
        if permission not in caller.key.permissions.split(","):
            raise Refusal("50120")
        return caller

    def _body(self, request: HttpRequest) -> Body:
        if not request.body:
            raise Refusal("50000")
        if not request.headers.get("content-type", "").startswith(JSON_TYPE):
            raise Refusal("50006")
        try:
            body = msgspec.json.decode(request.body)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            raise Refusal("50002") from None
        if isinstance(body, dict):
            return body
        if isinstance(body, list) and body and all(isinstance(item, dict) for item in body):
            return body
        raise Refusal("50002")

    def _check_maintenance(self, endpoint: str, asked: Parameters) -> None:
        now_ms = self._venue.now_ms()
        for one in self._venue.faults.faults.maintenance:
            if not one.begin_ms <= now_ms < one.end_ms:
                continue
            is_pre_open = one.pre_open_ms is not None and now_ms >= one.pre_open_ms
            if is_pre_open and ("cancel" in endpoint or asked.text("ordType") == "post_only"):
                continue
            raise Refusal("50001")

    def _spend(
        self, endpoint: str, request: HttpRequest, caller: Caller | None, asked: Parameters, orders: int
    ) -> None:
        self._venue.rate_limits.spend(
            endpoint,
            ip=request.ip,
            user=caller.account.name if caller is not None else "",
            instrument=asked.text("instId"),
            tag=asked.text("tag"),
            orders=orders,
            now_ms=self._venue.now_ms(),
        )
