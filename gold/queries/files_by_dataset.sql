-- Files, bytes and rows of every dataset, by what became of them.
-- cron: 45 3 * * *
SELECT
    dataset,
    status,
    count(*) AS files,
    sum(bytes)::BIGINT AS bytes,
    coalesce(sum(rows_loaded), 0)::BIGINT AS rows_loaded,
    max(finished) AS last_finished
FROM ledger
WHERE dataset IS NOT NULL
GROUP BY dataset, status
ORDER BY dataset, status
