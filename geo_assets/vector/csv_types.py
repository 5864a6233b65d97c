"""Types of CSV columns: found over the whole file, so that no value is changed."""

# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported: pyright cannot see them.
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from geo_assets.vector.stream import text_field

_REAL = r"^-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^(?i:nan)$"
_COMMA = r"^-?(\d{1,3}(\.\d{3})+|\d*),\d+$|^-?\d+$"
_PATTERNS = {  # in the order of preference
    "int64": r"^-?(0|[1-9]\d{0,18})$",
    "double": _REAL,
    "comma": _COMMA,
    "bool": r"^(?i:true|false)$",
    "date32[day]": r"^\d{4}-\d{2}-\d{2}$",
    "time": (
        r"^\d{4}-\d{2}-\d{2}"
        r"([T ]\d{2}:\d{2}(:\d{2}([.,]\d+)?)?( ?(Z|z|[+-]\d{2}(:?\d{2})?))?)?$"
    ),
}
_LOSES = {  # what a number would not give back
    "double": r"^-?0\d|^-?\d{16,}$",
    "comma": r"^-?0\d|^-?\d{16,}$",
}
_CAST = {"int64": pa.int64(), "date32[day]": pa.date32()}


@dataclass
class Guess:
    """The types that a column may still have."""

    left: list[str] = field(default_factory=lambda: list(_PATTERNS))
    seen: bool = False
    """Whether there was any value."""

    def narrow(self, column: pa.Array) -> None:
        """Strike the types that do not fit all values of a batch."""
        values = trimmed(column).drop_null()
        if not len(values) or not self.left:
            return
        self.seen = True
        self.left = [kind for kind in self.left if _fits(values, kind)]

    def kind(self, *, comma: bool) -> str:
        """The type of the column: the narrowest that is left, else text.

        Args:
            comma: whether numbers may have a decimal comma.
        """
        usable = [one for one in self.left if one != "comma" or comma]
        return usable[0] if self.seen and usable else "string"


def trimmed(column: pa.Array) -> pa.Array:
    """Text without blanks around it; nothing but blanks is null."""
    text = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.equal(text, ""), None, text)


def _fits(values: pa.Array, kind: str) -> bool:
    if not pc.all(pc.match_substring_regex(values, _PATTERNS[kind])).as_py():
        return False
    loses = _LOSES.get(kind)
    if loses and pc.any(pc.match_substring_regex(values, loses)).as_py():
        return False
    try:
        pc.cast(values, _CAST[kind]) if kind in _CAST else None
    except pa.ArrowInvalid:
        return False
    return True


def typed_field(name: str, kind: str) -> pa.Field:
    """The field of a column of the type that `Guess.kind` found."""
    if kind in ("time", "string"):
        return (
            text_field(name, time=True)
            if kind == "time"
            else pa.field(name, pa.string())
        )
    types = {"double": pa.float64(), "comma": pa.float64(), "bool": pa.bool_()}
    return pa.field(name, types.get(kind) or _CAST[kind])


def typed(column: pa.Array, kind: str) -> pa.Array:
    """The values of a column in the type that `Guess.kind` found."""
    if kind == "string":
        return column
    values = trimmed(column)
    if kind == "time":
        return values
    if kind == "bool":
        return pc.cast(pc.utf8_lower(values), pa.bool_())
    if kind in ("double", "comma"):
        return numbers(values, comma=kind == "comma")[0]
    return pc.cast(values, _CAST[kind])


def numbers(values: pa.Array, *, comma: bool) -> tuple[pa.Array, pa.Array]:
    """Numbers of trimmed text, and for each whether it is text that is no number."""
    if comma:
        grouped = pc.match_substring(values, ",")
        bare = pc.replace_substring(values, ".", "")
        values = pc.replace_substring(pc.if_else(grouped, bare, values), ",", ".")
    fits = pc.fill_null(pc.match_substring_regex(values, _REAL), fill_value=False)
    wrong = pc.and_(pc.is_valid(values), pc.invert(fits))
    return pc.cast(pc.if_else(fits, values, None), pa.float64()), wrong
