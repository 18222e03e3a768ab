"""The codes of OKX v5 that a swap bot meets, sorted by what follows from them. Read by ``errors``.

A key lists codes of one meaning; a value is (meaning, what to do).
"""

from __future__ import annotations

# The venue itself says that it does not know, or the effect of the earlier request is open.
UNKNOWN_OUTCOME = {
    "50004": ("the endpoint timed out, result unknown", "ask by client id"),
    "51149": ("the order timed out, result unknown", "ask by client id"),
    "50042": ("repeated request", "ask by client id"),
    "51412 51416": (
        "cancellation timed out, or the algo order has already triggered",
        "query the algo order",
    ),
    "64007": ("internal error on the operation", "ask by client id"),
}

# This very request was refused, and something with its id exists.
ALREADY_THERE = {
    "51011": ("duplicate order id", "query the order and adopt it"),
    "51016": ("duplicate client order id", "query the order and adopt it"),
    "50071": ("something with this id already exists", "query it and adopt it"),
    "51065": ("duplicate algo client id", "query the algo order and adopt it"),
    "51068": ("duplicate attached algo client id", "query the algo order and adopt it"),
}

# An answer to a query that is not final.
READ_AGAIN = {
    "51603": ("order not found", "ask again, then pending orders, history and fills, before believing it"),
}

# A read may be repeated; a write may have been processed.
WRITE_UNKNOWN = {
    "50001": ("service unavailable", "look at the system status, wait; resting stops stay"),
    "50013": ("system busy", "wait"),
    "50026": ("system error", "wait"),
}

RETRY_AT_ONCE = {
    "50011": ("rate limit of the endpoint", "wait at least its window"),
    "50061": ("order limit of the sub-account", "slow down on all instruments"),
    "50040": ("too frequent operation", "wait"),
    "50102": ("timestamp expired", "measure the clock offset, then send anew"),
    "60014 60023": ("requests too frequent on this connection", "wait, then go on"),
    "60011": ("not logged in", "log in, then subscribe anew"),
}
RETRY_LATER = {
    "50017 50018 50019 50020 50021 50022 50023": (
        "frozen by ADL, liquidation or funding",
        "wait some seconds and read the account again",
    ),
    "51021 51022 51027 51028 51029 54072": ("the instrument is not trading", "no entries on it for now"),
    "51030": ("funding is being settled", "wait a second, up to a minute"),
    "54012": ("thin-book protection: only cancels and post-only", "keep stops, no entries"),
    "60018": ("the channel or instrument does not exist here", "drop the subscription and raise an alarm"),
}
RETRY_AFTER_A_CHANGE = {
    "51006 51031 51116 51135 51136 51137 51138": (
        "outside the price limit",
        "read the price limit, re-price",
    ),
    "51025 51102 51103 51104 51174": ("too many pending orders", "cancel some first"),
    "51108 51113": ("market close too big or too frequent", "slice it"),
    "51115 51117": ("closing orders are pending", "cancel them first, or let the venue (autoCxl)"),
    "51148": ("would execute against existing reduce-only orders", "cancel those first"),
    "59101 59107 59112": ("leverage change blocked by pending orders", "cancel them first"),
}

DONE = {
    "50036 50037": ("the request's deadline passed, not processed", "decide anew"),
    "51023": ("the position does not exist", "read positions again"),
    "51058": ("no position for this algo order", "read positions again"),
    "51088": ("a stop of the whole position already exists", "find it and amend it"),
    "51169": ("nothing to reduce in that direction", "read positions again: a stop may have fired"),
    "51400 51401 51402": ("nothing to cancel: filled, cancelled or unknown", "query its final state"),
    "51405": ("no pending orders", "none needed"),
    "51410": ("the cancellation is already under way", "wait for the push"),
    "51500 51503 51509 51510": (
        "nothing to amend: the order is filled, cancelled or unknown",
        "query its state",
    ),
    "60010 60031": ("logged in already", "none needed"),
}

NOT_PROCESSED_STOP = {
    "50007 50009 50012 50027 50028 50029 50030 51009 51024": (
        "the account is blocked or restricted",
        "see the account",
    ),
    "50072": ("isolated margin is not available in this account mode", "use cross margin"),
    "50100": ("the API key is frozen", "see the key's page"),
    "50101": ("the key belongs to the other environment (demo or live)", "use a key of this environment"),
    "50103 50104 50106 50107": (
        "a header of the signature is missing",
        "a bug of ours, or a proxy strips headers",
    ),
    "50105": ("wrong passphrase", "correct the passphrase"),
    "50110": ("this host's address is not on the key's list", "add the address to the key"),
    "50111": ("the key is not valid", "correct the key"),
    "50113": ("the signature is not valid", "correct the secret"),
    "50114": ("authorization is not valid", "correct the key"),
    "50119": ("the key does not exist in this region", "set the region that the account is registered in"),
    "50120": ("the key lacks the permission", "give the key the permission to trade"),
    "51010": ("not supported in this account mode", "change the account mode on the venue's page"),
    "51037 51038": ("the account may only reduce risk with IOC orders", "see the account"),
    "51155 50051 50052": ("compliance restriction", "see the account"),
    "59200 59201": ("insufficient or negative balance", "see the account"),
}

NEVER = {
    "50000 50002 50006": ("the body is empty or malformed", "a bug of ours"),
    "50005": ("the endpoint is offline", "raise an alarm"),
    "50014 50015 50016 50024 50025": ("a parameter breaks a rule", "a bug of ours"),
    "50038": ("not available in demo trading", "none"),
    "50112": ("the timestamp is malformed", "a bug of ours"),
    "50115": ("wrong method", "a bug of ours"),
    "51000": ("parameter error", "compare position mode and parameters"),
    "51001 51015": ("unknown instrument", "load the instruments again"),
    "51003 51407": ("an order id is required", "a bug of ours"),
    "51004": ("position tier limit at this leverage", "reduce size or leverage"),
    "51005 51101 51202 51185": ("above the maximum order size", "split the order"),
    "51007 51020 51120": ("below the minimum order size", "none at this size"),
    "51008 51119 51127 51131": ("insufficient margin", "reduce the size; never loop"),
    "51012 51013 51014": ("unknown token, or a parameter that does not fit it", "load the instruments again"),
    "51046 51047 51048 51049 51050 51051 51052 51053": (
        "an attached stop is on the wrong side",
        "decide anew",
    ),
    "51071": ("too many cancel-all-after timers with tags", "use one tag"),
    "51076 51077 51078 51079 51080 51081 51082 51083 51084 51085 51086 51087": (
        "a rule of take-profits",
        "decide anew",
    ),
    "51089 51090 51091 51092 51093 51094 51095 51096 51097 51098 51099": (
        "a rule of take-profits",
        "decide anew",
    ),
    "51100 51333": ("stops cannot be attached to a closing order", "place the stop by itself"),
    "51105 51106 51107 51187 54030 54031": ("a position or open-interest ceiling", "none at this size"),
    "51112": ("more than can be closed", "read the position and pending closes again"),
    "51121": ("not a multiple of the lot size", "load the instrument again"),
    "51170": ("reduce-only in the position's own direction", "read positions again"),
    "51186": ("leverage above the maximum", "reduce leverage"),
    "51205": ("reduce-only is not available here", "a bug of ours"),
    "51257 51258 51259 51260 51261 51275 51276": ("a rule of algo orders", "decide anew"),
    "51277 51279 51300 51302": ("the trigger price is on the wrong side", "decide anew"),
    "51278 51280": ("the price is already beyond the stop", "close at market"),
    "51327 51328 51329 51330 51331": ("a rule of stops of the whole position", "decide anew"),
    "51403 51404 51413": ("this type cannot be cancelled here", "use the other cancellation"),
    "51506 51511 51512 51513 51514 51521 51522 51523 51524 51525 51526 51527": (
        "the amendment breaks a rule; the order goes on as it was",
        "cancel and place anew, or wait for amendments in flight",
    ),
    "54004": ("the batch failed because of another item", "look at the other item"),
    "54009": ("a parameter is out of range", "a bug of ours"),
    "54036": ("fill-or-kill with this self-trade prevention", "a bug of ours"),
    "59000": ("blocked by open positions or orders", "change the setting when flat"),
    "59102 59103 59104 59105 59106 59108 59109 59111": (
        "the leverage does not fit the margin",
        "change leverage when flat",
    ),
    "60008 60028 64001 64002": ("this channel or operation belongs on another path", "a bug of ours"),
    "60012 60013 60019 60027 60033": ("malformed request", "a bug of ours"),
    "60020 60025": ("too many subscriptions", "subscribe to less"),
    "64000": ("an old parameter", "a bug of ours"),
    "64003": ("the fee tier is too low for this channel", "do not use the channel"),
    "64004": ("conflicting depth channels", "subscribe to one of them"),
}

# Codes of the WebSocket login: (letter, meaning, what a person does about it).
WS_LOGIN = {
    "60001 60002 60003": ("N", "key, signature or passphrase is missing", "report it: a bug of ours"),
    "60004 60006": (
        "R",
        "the timestamp is malformed or expired although the clock was just measured",
        "synchronise this host's clock (chrony, ntpd); it is tried again meanwhile",
    ),
    "60005 60032": (
        "S",
        "the key is not valid, was deleted or has expired, or belongs to another region or environment",
        "check ANCHORWATCH_API_KEY, venue.kind and venue.region, or make a new key; then start the bot again",
    ),
    "60007": (
        "S",
        "the signature is not valid",
        "correct ANCHORWATCH_API_SECRET, then start the bot again",
    ),
    "60024": (
        "S",
        "wrong passphrase",
        "correct ANCHORWATCH_API_PASSPHRASE, then start the bot again",
    ),
    "50110": (
        "S",
        "this host's address is not on the key's list",
        "add the address to the key on the venue's page, then start the bot again",
    ),
    "60009 63999": ("R", "login failed, and the venue does not say why", "none yet: it is tried again"),
    "60022 60026 60029 60030": (
        "N",
        "this login is not available to the account",
        "see the account on the venue's page, then start the bot again",
    ),
    "4001": ("R", "the venue closed the connection at login", "none yet: it is tried again"),
    "4007": (
        "S",
        "the key was changed or deleted",
        "make a new key, put it into the environment, and start the bot again",
    ),
    "50001 50013 50026": (
        "R",
        "the venue is closed for maintenance, or overloaded",
        "none: it is tried again; resting stops stay, entries wait",
    ),
}

# HTTP statuses with which the venue, or what stands before it, refuses a WebSocket.
WS_UPGRADE = {
    401: (
        "S",
        "the venue does not let this host in",
        "see whether the venue serves your country and address",
    ),
    403: (
        "S",
        "the venue does not let this host in",
        "see whether the venue serves your country and address",
    ),
    451: (
        "S",
        "the venue does not serve this place",
        "see whether the venue serves your country and address",
    ),
    503: (
        "R",
        "the venue is closed for maintenance, or overloaded",
        "none: it is tried again; resting stops stay, entries wait",
    ),
}


def retry_codes() -> dict[str, tuple[str, str]]:
    return {**RETRY_AT_ONCE, **RETRY_LATER, **RETRY_AFTER_A_CHANGE}
