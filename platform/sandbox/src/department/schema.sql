CREATE TABLE IF NOT EXISTS bills (
    key        TEXT PRIMARY KEY,
    id_number  TEXT NOT NULL,
    account    TEXT NOT NULL,
    address    TEXT NOT NULL,
    period     TEXT NOT NULL,
    usage      TEXT NOT NULL,
    amount_fen INTEGER NOT NULL CHECK (amount_fen > 0),
    paid_by    TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS bills_by_person ON bills (id_number);
CREATE TABLE IF NOT EXISTS payments (
    [order]   TEXT PRIMARY KEY,
    reference TEXT NOT NULL,
    body      TEXT NOT NULL
) STRICT;
