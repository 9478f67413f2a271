-- The deliveries of each webhook: those that wait, in the order of `seq`, and the last that ended.
-- What waits outlives the process, and is delivered by the next one.
CREATE TABLE deliveries (
    webhook_id TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    seq BIGINT NOT NULL,
    -- The same in each attempt, and for each webhook that is told of the event.
    event_id TEXT NOT NULL,
    event TEXT NOT NULL,
    -- What is told, as long as it waits.
    data TEXT,
    noted_at TEXT,
    attempts BIGINT NOT NULL,
    problem TEXT,
    next_attempt_at TEXT,
    ended_at TEXT,
    PRIMARY KEY (webhook_id, seq)
);

CREATE INDEX deliveries_waiting ON deliveries (webhook_id, seq) WHERE ended_at IS NULL;
CREATE INDEX deliveries_ended ON deliveries (webhook_id, seq) WHERE ended_at IS NOT NULL;

INSERT INTO deliveries (webhook_id, seq, event_id, event, attempts, problem, ended_at)
SELECT webhook_id, seq, '', event, attempts, problem, ended_at FROM webhook_deliveries;

DROP TABLE webhook_deliveries;

-- How many events were left out for a webhook because too many waited, and when that was last so.
CREATE TABLE left_out (
    webhook_id TEXT PRIMARY KEY NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    count BIGINT NOT NULL,
    last_at TEXT NOT NULL
);
