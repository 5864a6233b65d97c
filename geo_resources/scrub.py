"""Secrets taken out of texts, before a ledger, an event or a log keeps them.

Goes in: any text, or plain JSON with texts in it. Comes out: the same, with a word in
the place of each secret. What stays out: who wrote the text, and where it goes.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

HIDDEN = "[secret]"

_SECRETS = (
    # connection strings of Azure: AccountKey=...; SharedAccessSignature=...
    r"(?P<a>(?:Account|SharedAccess)Key\s*=\s*)[A-Za-z0-9+/]+={0,2}",
    r"(?P<b>SharedAccessSignature\s*=\s*)[^\s;'\"<>]+",
    # the signature of a SAS, wherever its other parameters lie
    r"(?P<c>\bsig(?:=|%3[Dd]))[^\s&;'\"<>]+",
    # password in a URL; it may hold an @, the last one ends it
    r"(?P<d>\b[A-Za-z][A-Za-z0-9+.-]*://[^\s:/@?#]*:)[^\s'\"<>]+(?=@)",
    # libpq's key words and forms of many tools: password=..., secret: ...
    (
        r"(?P<e>\b(?:password|passwd|pwd|secret|client_secret|access_token|api_?key)"
        r"['\"]?\s*[=:]\s*)(?:'[^']*'|\"[^\"]*\"|[^\s,;&'\"<>]+)"
    ),
    r"(?P<f>\b(?:Bearer|SharedKey)\s+)[A-Za-z0-9._~+/:=-]{8,}",
    # a token or an account key with nothing before it that says so
    r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
    r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{86}==",
)
_PATTERNS = tuple(re.compile(one, re.IGNORECASE) for one in _SECRETS)


def scrub(text: str) -> str:
    """`text` without secrets: account keys, signatures, passwords, tokens.

    >>> scrub("az://a?sv=1&sig=abc%3D&se=2 and postgresql://me:pa@ss@host/db")
    'az://a?sv=1&sig=[secret]&se=2 and postgresql://me:[secret]@host/db'
    """
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
