"""How a run says which of its files were not usable.

Goes in: what became of the batch. Comes out: one `Failure`. What stays out: the loop.
"""

import dagster as dg

from geo_assets.batch import BatchReport, Broken, Refused

MOST_REPORTED = 50  # faults with all their evidence


def failure_of(report: BatchReport) -> dg.Failure:
    """The one failure of a run: its bad files with code, reason and what to do.

    Dagster tries none of its levels again: a file's own retries are used up, and the
    ledger queues what may pass.
    """
    lines = [_line(outcome) for outcome in report.bad]
    faults = [one.report.as_json() for one in report.bad[:MOST_REPORTED]]
    return dg.Failure(
        f"{len(report.bad)} of {report.total} files are not usable",
        metadata={
            "files": dg.MetadataValue.md("\n".join([*_TABLE_HEAD, *lines])),
            "errors": dg.MetadataValue.json(faults),
            "accepted": report.done,
            "not accepted": len(report.bad),
        },
        allow_retries=False,
    )


_TABLE_HEAD = ("| file | code | reason | what to do |", "|---|---|---|---|")


def _line(outcome: Refused | Broken) -> str:
    said = outcome.report
    cells = (outcome.row.blob, said.code, said.message, said.suggested_action)
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|")
