-- Messages that came in and were of no use, and those that go out to webhooks.

-- What the queue of blob events held besides hints; repeated ones share a row, so that
-- a flood of the same takes one.
CREATE TABLE ops.messages (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    queue text NOT NULL,
    message_id text NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    body text NOT NULL,
    bytes integer NOT NULL,
    dequeue_count integer NOT NULL,
    digest bytea NOT NULL,
    seen integer NOT NULL DEFAULT 1,
    first_seen timestamptz NOT NULL DEFAULT now(),
    last_seen timestamptz NOT NULL DEFAULT now(),

    CONSTRAINT reason_is_known CHECK (
        reason IN ('malformed', 'oversized', 'foreign', 'poison')
    ),
    CONSTRAINT the_same_share_a_row UNIQUE (queue, digest)
);
COMMENT ON COLUMN ops.messages.message_id IS 'Of the latest.';
COMMENT ON COLUMN ops.messages.body IS 'Its beginning, as the queue held it.';
COMMENT ON COLUMN ops.messages.seen IS 'How many messages were like this one.';

-- What targets of webhooks are told: in the order of the ids, target by target.
CREATE TABLE ops.outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    target text NOT NULL,
    event_id uuid NOT NULL,
    type text NOT NULL,
    dataset text,
    event jsonb NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    recorded timestamptz NOT NULL DEFAULT now(),
    due timestamptz NOT NULL DEFAULT now(),
    last_error text,
    delivered timestamptz,
    dead timestamptz,

    CONSTRAINT told_once UNIQUE (target, event_id),
    CONSTRAINT dead_is_not_delivered CHECK (delivered IS NULL OR dead IS NULL),
    CONSTRAINT dead_says_why CHECK (dead IS NULL OR last_error IS NOT NULL)
);
COMMENT ON COLUMN ops.outbox.due IS
    'Not tried before; while an attempt is under way, the end of its lease.';
COMMENT ON COLUMN ops.outbox.dead IS
    'Given up after the last attempt. Set to NULL, with attempts 0, to try again.';
CREATE INDEX outbox_waiting ON ops.outbox (target, id)
    WHERE delivered IS NULL AND dead IS NULL;

-- When a run ends, its files are asked for.
CREATE INDEX ledger_by_run ON ops.ledger (run_id) WHERE run_id IS NOT NULL;

GRANT SELECT, INSERT, UPDATE, DELETE ON ops.messages, ops.outbox TO strata_loader;
GRANT SELECT ON ops.messages, ops.outbox TO strata_reader;
