CREATE TABLE IF NOT EXISTS charges (
    number    INTEGER PRIMARY KEY,
    [order]   TEXT NOT NULL UNIQUE,
    outcome   TEXT NOT NULL CHECK (outcome IN ('paid', 'declined', 'void')),
    total_fen INTEGER NOT NULL,
    account   TEXT NOT NULL,
    method    TEXT NOT NULL,
    bills     TEXT NOT NULL,
    at_ms     INTEGER NOT NULL,
    amounts   TEXT NOT NULL DEFAULT '',
    terminal  TEXT NOT NULL DEFAULT ''
) STRICT;
