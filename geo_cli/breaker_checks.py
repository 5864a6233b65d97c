"""Doctor: whether work waits for a service that was down."""

from collections.abc import Iterator

from geo_cli.findings import Finding
from geo_resources.breakers import OPEN
from geo_resources.recovery import Recovery
from geo_resources.settings import Settings

FIX = {
    "storage": "see the findings on storage; work goes on by itself when it answers",
    "database": "see the findings on the database; strata up starts a private one",
    "pgstac": "look for long transactions on schema pgstac in pg_stat_activity",
}


def check_breakers(settings: Settings) -> Iterator[Finding]:
    """One finding per service; a breaker that waits for a trial is well enough."""
    for one in Recovery.of(settings).open_breakers().look():
        yield Finding(
            name=f"breaker-{one.service}",
            ok=one.state != OPEN,
            found=str(one),
            expected="closed; half-open while the next work is a trial",
            fix=FIX[one.service],
        )
