-- Since which revision a member may build, without a break; null if they may not, or if they could
-- before this was noted. What was given to a builder ends when they stop being one.
ALTER TABLE members ADD COLUMN builds_since BIGINT;
