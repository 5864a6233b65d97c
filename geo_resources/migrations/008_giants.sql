-- Giant rasters: how each is cut, and what became of its tiles.

CREATE TABLE ops.giants (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ledger_id bigint NOT NULL REFERENCES ops.ledger,
    dataset text NOT NULL,
    container text NOT NULL,
    blob text NOT NULL,
    digest text NOT NULL UNIQUE,
    plan jsonb NOT NULL,
    state text NOT NULL DEFAULT 'open',
    message text,
    planned timestamptz NOT NULL,
    finished timestamptz,

    CONSTRAINT state_of_giant_is_known CHECK (state IN ('open', 'done', 'closed')),
    CONSTRAINT closed_giant_says_why CHECK (state <> 'closed' OR message IS NOT NULL)
);
COMMENT ON COLUMN ops.giants.digest IS
    'Of the blob version and the plan: equal digests, equal bytes. In keys and hrefs.';
COMMENT ON COLUMN ops.giants.state IS
    'open: tiles are made and kept; done: its products are the ledger''s; closed: not '
    'to be made any more, what was made is swept.';

-- A version has one plan at a time.
CREATE UNIQUE INDEX one_open_giant ON ops.giants (ledger_id) WHERE state = 'open';
CREATE INDEX giants_by_row ON ops.giants (ledger_id);
CREATE INDEX giants_by_source ON ops.giants (container, ops.digest(blob));

CREATE TABLE ops.giant_tiles (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    giant_id bigint NOT NULL REFERENCES ops.giants ON DELETE CASCADE,
    tile_row integer NOT NULL,
    tile_column integer NOT NULL,
    partition_key text NOT NULL UNIQUE,
    bytes bigint NOT NULL,
    state text NOT NULL DEFAULT 'waiting',
    facts jsonb,
    attempts integer NOT NULL DEFAULT 0,
    run_id text,
    run_key text,
    requested_at timestamptz,
    finished timestamptz,

    UNIQUE (giant_id, tile_row, tile_column),
    CONSTRAINT state_of_tile_is_known CHECK (
        state IN ('waiting', 'running', 'made', 'empty')
    ),
    CONSTRAINT running_tile_has_a_run CHECK (state <> 'running' OR run_id IS NOT NULL),
    CONSTRAINT made_tile_has_facts CHECK (
        state NOT IN ('made', 'empty') OR facts IS NOT NULL
    )
);
COMMENT ON COLUMN ops.giant_tiles.bytes IS 'Of its pixels, as they lie in memory.';
COMMENT ON COLUMN ops.giant_tiles.facts IS
    'What it became; kept while it is made again.';
CREATE INDEX giant_tiles_open ON ops.giant_tiles (giant_id)
    WHERE state IN ('waiting', 'running');

GRANT SELECT, INSERT, UPDATE, DELETE ON ops.giants, ops.giant_tiles TO strata_loader;
GRANT SELECT ON ops.giants, ops.giant_tiles TO strata_reader;
