"""Secrets taken out of texts, before a ledger, an event or a log keeps them.

Goes in: any text, or plain JSON with texts in it. Comes out: the same, with a word in
the place of each secret. What stays out: who wrote the text, and where it goes.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

HIDDEN = "[secret]"

# Messages can be huge: no pattern may look far ahead from many places of one text.
_SECRETS = (
    # connection strings of Azure: AccountKey=...; SharedAccessSignature=...
    r"(?P<a>(?:Account|SharedAccess)Key\s*=\s*)[A-Za-z0-9+/]+={0,2}",
    r"(?P<b>SharedAccessSignature\s*=\s*)[^\s;'\"<>]+",
    # the signature of a SAS, wherever its other parameters lie
    r"(?P<c>\bsig(?:=|%3[Dd]))[^\s&;'\"<>]+",
    # a header, before its scheme is taken for its value
    (
        r"(?P<d>\bAuthorization['\"]?\s*[:=]\s*['\"]?(?:(?:Basic|Bearer|Digest|NTLM"
        r"|Negotiate|Token|ApiKey|SharedKey(?:Lite)?)\s+|(?=[A-Za-z0-9._~+/=-]{20})))"
        r"[^\s,;'\"<>]+"
    ),
    # libpq's key words, variables and forms of many tools: password=..., DB_SECRET: ...
    (
        r"(?P<e>(?:password|passwd|pwd|passphrase|api[_-]?key|secret"
        r"|(?:access|account|private|secret|subscription)[_-]?key"
        r"|[_-]token|\btoken(?=['\"=]))"
        r"['\"]?\s*[=:]\s*)(?:\[secret\]|'[^']*'|\"[^\"]*\"|[^\s,;&'\"<>]+)"
    ),
    r"(?P<f>\b(?:Bearer|SharedKey)\s+)[A-Za-z0-9._~+/:=-]{8,}",
    # a token or a key with nothing before it that says so
    r"(?P<g>\bwhsec_)[A-Za-z0-9+/_-]{8,}={0,2}",
    r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
    r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{86}==",
)
_PATTERNS = tuple(re.compile(one, re.IGNORECASE) for one in _SECRETS)
# may have a password, which may hold an @: the last one ends it
_AFTER_USER = re.compile(r"(://[^\s:/@?#]*:)([^\s'\"<>]+)")


def scrub(text: str) -> str:
    """`text` without secrets: account keys, signatures, passwords, tokens.

    >>> scrub("az://a?sv=1&sig=abc%3D&se=2 and postgresql://me:pa@ss@host/db")
    'az://a?sv=1&sig=[secret]&se=2 and postgresql://me:[secret]@host/db'
    """
    text = _AFTER_USER.sub(_hide_password, text)
    for pattern in _PATTERNS:
        text = pattern.sub(_hide, text)
    return text


def scrub_json(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Plain JSON with every text in it scrubbed, also the names of its members.

    >>> scrub_json({"found": ["password=x y", 1]})
    {'found': ['password=[secret] y', 1]}
    """
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, Mapping):
        members = cast("Mapping[Any, Any]", value).items()
        return {scrub(str(name)): scrub_json(one) for name, one in members}
    if isinstance(value, list | tuple):
        return [scrub_json(one) for one in cast("Sequence[Any]", value)]
    return value


def _hide(match: re.Match[str]) -> str:
    """What says that a secret follows, and a word for the secret."""
    before = next((text for text in match.groups() if text), "")
    return before + HIDDEN


def _hide_password(match: re.Match[str]) -> str:
    """What stands before a password in a URL, and what follows it."""
    before, rest = match.groups()
    password, at, host = rest.rpartition("@")
    return f"{before}{HIDDEN}{at}{host}" if password else match[0]
