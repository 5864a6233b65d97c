-- The last news that a dataset is complete, found without reading what all were told.
CREATE INDEX outbox_completions ON ops.outbox (dataset, id)
    WHERE type = 'strata.dataset.complete';
