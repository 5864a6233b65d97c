"""The ledger, as sensors, runs and commands call it: `ledger.observe(connection, ...)`.

One row per blob version ever seen says what became of it and which products it owns.
Every function works in the transaction of the connection it is given and commits
nothing: the caller decides what belongs together. The parts:

- `ledger_arrivals`: a container's listing against the ledger;
- `ledger_routes`: which dataset a file waits for;
- `ledger_claims`: which file waits, for which run, who holds it;
- `ledger_facts`: what runs have found out about files;
- `ledger_outcomes`: what became of a claimed file;
- `ledger_recovery`: which file waits again;
- `ledger_sidecars`: what rasters are read with;
- `ledger_withdrawals`: products that are given up;
- `ledger_report`: the ledger for people.
"""

from geo_resources.ledger_arrivals import (
    lock_requests,
    observe,
    observe_some,
    unsettled,
)
from geo_resources.ledger_claims import (
    claim,
    forget_request,
    mark_requested,
    requests,
    running_ids,
    running_run_ids,
    waiting,
)
from geo_resources.ledger_facts import Picked, accepted_facts
from geo_resources.ledger_outcomes import (
    accept,
    content,
    fail,
    intend,
    mark_duplicate,
    reject,
    return_to_pending,
    save_facts,
)
from geo_resources.ledger_recovery import (
    mark_told,
    release,
    requeue_changed,
    requeue_due,
    requeue_untold,
    retry,
    untold_run_ids,
)
from geo_resources.ledger_report import (
    Count,
    KnownFile,
    TierSize,
    counts,
    known_file,
    rows,
    tier_sizes,
)
from geo_resources.ledger_routes import rehome, reroute
from geo_resources.ledger_rows import (
    ClaimHeldError,
    ClaimLostError,
    Fault,
    First,
    LedgerRow,
    Observed,
    PendingRow,
    Product,
    Request,
    Status,
    Tally,
)
from geo_resources.ledger_sidecars import (
    SidecarRow,
    Use,
    find_sidecars,
    lock_files,
    note_uses,
    tell_rasters,
    want_sidecars,
)
from geo_resources.ledger_withdrawals import (
    Deleted,
    HeldBlob,
    Withdrawal,
    deletions_done,
    deletions_due,
    give_up_deleted,
    held_blobs,
    plan_withdrawal,
    put_off_deletions,
    unpublish,
)

__all__ = [
    "ClaimHeldError",
    "ClaimLostError",
    "Count",
    "Deleted",
    "Fault",
    "First",
    "HeldBlob",
    "KnownFile",
    "LedgerRow",
    "Observed",
    "PendingRow",
    "Picked",
    "Product",
    "Request",
    "SidecarRow",
    "Status",
    "Tally",
    "TierSize",
    "Use",
    "Withdrawal",
    "accept",
    "accepted_facts",
    "claim",
    "content",
    "counts",
    "deletions_done",
    "deletions_due",
    "fail",
    "find_sidecars",
    "forget_request",
    "give_up_deleted",
    "held_blobs",
    "intend",
    "known_file",
    "lock_files",
    "lock_requests",
    "mark_duplicate",
    "mark_requested",
    "mark_told",
    "note_uses",
    "observe",
    "observe_some",
    "plan_withdrawal",
    "put_off_deletions",
    "rehome",
    "reject",
    "release",
    "requests",
    "requeue_changed",
    "requeue_due",
    "requeue_untold",
    "reroute",
    "retry",
    "return_to_pending",
    "rows",
    "running_ids",
    "running_run_ids",
    "save_facts",
    "tell_rasters",
    "tier_sizes",
    "unpublish",
    "unsettled",
    "untold_run_ids",
    "waiting",
    "want_sidecars",
]
