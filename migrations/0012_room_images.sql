-- The names of images that rooms brought to the engine: by pulling, building or loading them.
CREATE TABLE room_images (
    room_id TEXT NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    PRIMARY KEY (room_id, name)
);
