-- What lay in the containers and when, and what keeping it costs.

CREATE TABLE ops.inventories (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    taken_at timestamptz NOT NULL UNIQUE,
    filters jsonb NOT NULL,
    href text NOT NULL,
    blobs bigint NOT NULL,
    bytes numeric NOT NULL,
    summary jsonb NOT NULL,

    CONSTRAINT inventories_count CHECK (blobs >= 0 AND bytes >= 0)
);
COMMENT ON COLUMN ops.inventories.filters IS
    'Which blobs were looked at; {} for all: only the like is compared over time.';
COMMENT ON COLUMN ops.inventories.href IS
    'The snapshot in gold; old ones are deleted, their rows here stay.';

-- Only of inventories of everything: what storage is paid for.
CREATE TABLE ops.inventory_sizes (
    inventory_id bigint NOT NULL REFERENCES ops.inventories ON DELETE CASCADE,
    container text NOT NULL,
    dataset text NOT NULL,
    tier text NOT NULL,
    blobs bigint NOT NULL,
    bytes numeric NOT NULL,

    PRIMARY KEY (inventory_id, container, dataset, tier)
);
COMMENT ON COLUMN ops.inventory_sizes.dataset IS 'Empty: nobody claims the blobs.';

CREATE TABLE ops.storage_costs (
    month date NOT NULL,
    container text NOT NULL,
    dataset text NOT NULL,
    tier text NOT NULL,
    access_tier text NOT NULL,
    blobs numeric NOT NULL,
    bytes numeric NOT NULL,
    usd_per_gb numeric NOT NULL,
    usd numeric NOT NULL,
    inventories integer NOT NULL,
    updated timestamptz NOT NULL,

    PRIMARY KEY (month, container, dataset, tier),
    CONSTRAINT month_is_its_first_day CHECK (month = date_trunc('month', month))
);
COMMENT ON COLUMN ops.storage_costs.bytes IS
    'Mean of the month''s inventories: of the days so far, in the month that runs.';
COMMENT ON COLUMN ops.storage_costs.usd IS 'Of a whole month at that mean.';

GRANT SELECT, INSERT, UPDATE, DELETE
    ON ops.inventories, ops.inventory_sizes, ops.storage_costs TO strata_loader;
