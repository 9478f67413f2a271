-- People who sign in with a browser (OAuth 2.0, code flow with PKCE).
--
-- Codes and tokens are kept as SHA-256 digests only. A sign-in hangs on the API key that it
-- was proven with, so it ends with that key and is never worth more. Times are seconds
-- since 1970.

CREATE TABLE sign_ins (
    id TEXT PRIMARY KEY NOT NULL,
    key_id TEXT NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    client_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX sign_ins_key ON sign_ins (key_id);

-- A code that was used stays for a while, so that its second use is noticed.
CREATE TABLE sign_in_codes (
    digest TEXT PRIMARY KEY NOT NULL,
    key_id TEXT NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    client_id TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    scope TEXT NOT NULL,
    challenge TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_by TEXT
);
CREATE INDEX sign_in_codes_key ON sign_in_codes (key_id);

-- A refresh token that was used stays until it runs out, so that its theft is noticed.
CREATE TABLE sign_in_tokens (
    digest TEXT PRIMARY KEY NOT NULL,
    sign_in_id TEXT NOT NULL REFERENCES sign_ins (id) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('access', 'refresh')),
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);
CREATE INDEX sign_in_tokens_sign_in ON sign_in_tokens (sign_in_id);
