-- What the API of 0.56 has and that of 0.31 does not.
--
-- A room that is not enabled cannot be entered.
ALTER TABLE rooms ADD COLUMN enabled BOOLEAN NOT NULL DEFAULT TRUE;

-- The name of a route's spec; null if it is the domain.
ALTER TABLE routes ADD COLUMN name TEXT;
-- Where the paths of a route lead, as JSON; null for one plain path `/` to the column `port`.
ALTER TABLE routes ADD COLUMN paths TEXT;
