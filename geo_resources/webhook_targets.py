"""Who is told of what becomes of datasets: the file that `STRATA_WEBHOOKS` names.

In goes YAML or JSON; out come targets whose addresses and secrets no `repr` shows. What
stays out: requests (`webhook.py`).
"""

import base64
import binascii
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from geo_resources.cloud_events import EventType, News
from geo_resources.settings import secret_variable

SECRET_PREFIX = "whsec_"  # noqa: S105 - of Standard Webhooks; before the base64
KEY_BYTES = range(24, 65)  # of Standard Webhooks


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )


class Variable(_Model):
    """A secret that is in the environment, not in the file."""

    env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    """Name of the variable."""


class Target(_Model):
    """One receiver: events go to it in order, each until it answers 2xx."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
    """Stable: what is under way is kept by this name."""
    url: SecretStr
    """http or https; secret, because some receivers' addresses are."""
    secret: Variable | SecretStr
    """`whsec_` and base64 of 24 to 64 random bytes."""
    datasets: tuple[str, ...] = ("*",)
    """Names or patterns (`flood_*`); events of no dataset go to `*` only."""
    events: tuple[EventType, ...] | None = None
    """Types; all when omitted."""
    timeout_seconds: Annotated[float, Field(gt=0, le=20)] = 10
    """How long a request may take as a whole."""
    attempts: Annotated[int, Field(ge=1, le=100)] = 12
    """How often an event is tried before it is a dead letter."""

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: SecretStr) -> SecretStr:
        text = url.get_secret_value()
        if not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError("an address is ASCII: all else is percent-encoded")
        try:
            parts = urlsplit(text)
            usable = parts.scheme in {"http", "https"} and parts.port != 0
        except ValueError:  # its own message would show a part of the address
            parts, usable = urlsplit(""), False
        if not usable or not parts.hostname:
            raise ValueError("not of the form http://host/path or https://host/path")
        if parts.username or parts.password or parts.fragment:
            raise ValueError("an address has neither a user, a password nor a fragment")
        return url

    @property
    def key(self) -> bytes:
        """What signatures are made with.

        Raises:
            LookupError: the variable is not set.
            ValueError: the secret is not of the form that Standard Webhooks wants.
        """
        secret = self.secret
        if isinstance(secret, Variable):
            secret = secret_variable(secret.env)
        return _decode(self.name, secret.get_secret_value())

    def wants(self, news: News) -> bool:
        """Whether this target is to be told."""
        wanted = self.events is None or news.type in self.events
        dataset = news.dataset or ""
        return wanted and any(fnmatchcase(dataset, one) for one in self.datasets)


def _decode(name: str, secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) not in KEY_BYTES:
        message = (
            f"the secret of webhook target {name!r} is not {SECRET_PREFIX} and base64 "
            f"of {KEY_BYTES[0]} to {KEY_BYTES[-1]} bytes; one is made by: "
            f'echo "{SECRET_PREFIX}$(openssl rand -base64 32)"'
        )
        raise ValueError(message)
    return key


class Targets(_Model):
    """What the file holds."""

    targets: tuple[Target, ...]
    """The receivers."""

    @field_validator("targets")
    @classmethod
    def _are_told_apart(cls, targets: tuple[Target, ...]) -> tuple[Target, ...]:
        names = [one.name for one in targets]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            message = f"names of more than one target: {', '.join(twice)}"
            raise ValueError(message)
        return targets


def read_targets(path: Path) -> Sequence[Target]:
    """The targets in a file, each with a secret that can be used.

    Raises:
        OSError: there is no such file, or it cannot be read.
        ValueError: it does not say what it must (also pydantic's, and YAML's).
        LookupError: a secret's variable is not set.
    """
    import yaml

    try:
        written = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError:  # its own message would show the line
        message = f"{path}: neither YAML nor JSON"
        raise ValueError(message) from None
    targets = Targets.model_validate(written).targets
    for target in targets:
        _ = target.key
    return targets
