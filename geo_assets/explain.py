"""Say what is wrong in a `defs.yaml` so that its author can mend it."""

import re
from collections.abc import Iterator
from difflib import get_close_matches

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_PLACE = re.compile(r"^(?P<path>.*) at (?P<file>.*):(?P<line>\d+)$")
_BRANCH = re.compile(r"\.(literal|list)\[.*")  # which member of a union pydantic tried
_WORDS = {
    "missing": "is required",
    "extra_forbidden": "is not an attribute here",
}


class ContractError(Exception):
    """A dataset's YAML breaks its contract; the message names file, line and remedy."""


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """One line per mistake: file, line, attribute, what is wrong, what was meant."""
    return "\n".join(_line(detail, model) for detail in error.errors())


def _line(detail: ErrorDetails, model: type[BaseModel]) -> str:
    location = ".".join(str(part) for part in detail["loc"])
    place = _PLACE.match(location)
    path = (place["path"] if place else location).removeprefix("attributes.")
    path = _BRANCH.sub("", path)
    where = f"{place['file']}:{place['line']}: " if place else ""
    words = _WORDS.get(detail["type"])
    if words is None:
        shown = (
            "" if isinstance(detail["input"], dict) else f" (is {detail['input']!r})"
        )
        words = detail["msg"].removeprefix("Value error, ") + shown
    return f"{where}`{path}` {words}{_suggestion(detail, path, model)}"


def _suggestion(detail: ErrorDetails, path: str, model: type[BaseModel]) -> str:
    if detail["type"] != "extra_forbidden":
        return ""
    *parents, last = path.split(".")
    names = [*_fields(model, parents)]
    close = get_close_matches(last, names, n=1)
    known = ", ".join(sorted(names))
    return f"; did you mean `{close[0]}`?" if close else f"; known are: {known}"


def _fields(model: type[BaseModel], parents: list[str]) -> Iterator[str]:
    """Attribute names of the model that lies at a path below `model`."""
    for name in parents:
        field = model.model_fields.get(name)
        options = [field.annotation, *_members(field.annotation)] if field else []
        models = [
            one
            for one in options
            if isinstance(one, type) and issubclass(one, BaseModel)
        ]
        if models:
            model = models[0]
    yield from model.model_fields


def _members(annotation: object) -> tuple[object, ...]:
    return getattr(annotation, "__args__", ())
