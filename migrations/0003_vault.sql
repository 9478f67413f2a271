-- Secrets of keys, data of secrets and settings of projects are kept encrypted. The key for
-- that stands here, wrapped with the one in the key file; the program encrypts what it finds
-- in clear text when there is no row yet.
CREATE TABLE vault (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    wrapped TEXT NOT NULL,
    is_clean BOOLEAN NOT NULL
);

-- What a key that is presented is compared with: SHA-256 of its secret, in base64url. Keys
-- that only sign have none. The secret itself is kept for tokens, which are verified with it.
ALTER TABLE api_keys ADD COLUMN digest TEXT;
