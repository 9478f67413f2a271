-- What rooms keep beside their files.
--
-- The messages of a queue are received in the order of `seq`, which is drawn from the sequence of
-- all revisions. A message that was handed out stays until it was sent.
CREATE TABLE queues (
    room_id TEXT NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    is_closed BOOLEAN NOT NULL,
    PRIMARY KEY (room_id, name)
);

CREATE TABLE queue_messages (
    room_id TEXT NOT NULL,
    queue TEXT NOT NULL,
    seq BIGINT NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (room_id, queue, seq),
    FOREIGN KEY (room_id, queue) REFERENCES queues (room_id, name) ON DELETE CASCADE
);

-- The media types of files in rooms, where they are not what follows from the name.
CREATE TABLE room_files (
    room_id TEXT NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    path TEXT NOT NULL,
    mime_type TEXT NOT NULL,
    PRIMARY KEY (room_id, path)
);

CREATE INDEX sessions_open ON sessions (project_id) WHERE ended_at IS NULL;

-- The last deliveries of each webhook.
CREATE TABLE webhook_deliveries (
    webhook_id TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    seq BIGINT NOT NULL,
    event TEXT NOT NULL,
    ended_at TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    problem TEXT,
    PRIMARY KEY (webhook_id, seq)
);
