"""How long a storage account wants to be left alone, when obstore met its refusal.

obstore 0.12 keeps no header of an answer, so `Retry-After` is lost with it. Azure's SDK
shows it: in goes a question that it can ask; out comes its error in obstore's place.
"""

import re
from collections.abc import Callable, Generator
from contextlib import contextmanager

from azure.core.exceptions import AzureError, HttpResponseError
from obstore.exceptions import GenericError

REFUSALS = {429, 503}
_REFUSED = re.compile(r"status code: (?:429|503)\b")


@contextmanager
def shown_by_sdk(ask: Callable[[], object]) -> Generator[None]:
    """Raise what the SDK meets instead of what obstore did, if both are throttled.

    One more request for an operation that was refused to the end, and none for others.

    Args:
        ask: something that is answered alike; to be asked once, without retries.
    """
    try:
        yield
    except GenericError as error:
        if not _REFUSED.search(str(error)):
            raise
        refusal = _refusal(ask)
        if refusal is None:
            raise
        raise refusal from error


def _refusal(ask: Callable[[], object]) -> HttpResponseError | None:
    """What the SDK was told, if it was to wait as well."""
    try:
        ask()
    except HttpResponseError as error:
        return error if error.status_code in REFUSALS else None
    except AzureError:  # by now nobody answers, or another question was needed
        return None
    return None
