-- Secrets of rooms. One belongs to an identity, which is the name of a participant, and may be
-- delegated to another one; without that, `delegated_to` is empty. `origin` is `stored`, `requested`
-- or `oauth`; `provider` is the identity that gave it, if its owner has asked for it. `data` is
-- encrypted.
CREATE TABLE room_secrets (
    id TEXT PRIMARY KEY NOT NULL,
    room_id TEXT NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    owner TEXT NOT NULL,
    delegated_to TEXT NOT NULL,
    origin TEXT NOT NULL,
    secret_id TEXT NOT NULL,
    type TEXT NOT NULL,
    name TEXT NOT NULL,
    provider TEXT,
    data TEXT NOT NULL,
    seq BIGINT NOT NULL,
    UNIQUE (room_id, owner, delegated_to, origin, secret_id)
);
CREATE INDEX room_secrets_delegated ON room_secrets (room_id, delegated_to);
