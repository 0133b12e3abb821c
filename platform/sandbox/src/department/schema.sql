-- person: '' nobody in particular, '*' any person, else an ID number. base: the row that this one replaces for its person.
CREATE TABLE IF NOT EXISTS rows (
    id         INTEGER PRIMARY KEY,
    department TEXT NOT NULL,
    operation  TEXT NOT NULL,
    person     TEXT NOT NULL,
    input      TEXT NOT NULL,
    fields     TEXT NOT NULL,
    again      INTEGER NOT NULL DEFAULT 0,
    position   INTEGER NOT NULL,
    seed       TEXT,
    base       INTEGER,
    submission TEXT,
    removed    INTEGER NOT NULL DEFAULT 0,
    UNIQUE (department, operation, seed),
    UNIQUE (base, person)
) STRICT;
CREATE INDEX IF NOT EXISTS rows_by_person ON rows (department, operation, person);
CREATE TABLE IF NOT EXISTS offers (
    department TEXT NOT NULL,
    key        TEXT NOT NULL,
    operation  TEXT NOT NULL,
    family     TEXT NOT NULL,
    person     TEXT NOT NULL,
    input      TEXT NOT NULL,
    fields     TEXT NOT NULL,
    amount_fen INTEGER NOT NULL,
    PRIMARY KEY (department, key, operation)
) STRICT;
CREATE TABLE IF NOT EXISTS paid_bills (
    department TEXT NOT NULL,
    key        TEXT NOT NULL,
    family     TEXT NOT NULL,
    [order]    TEXT NOT NULL,
    amount_fen INTEGER NOT NULL CHECK (amount_fen > 0),
    PRIMARY KEY (department, key)
) STRICT;
CREATE INDEX IF NOT EXISTS paid_bills_by_family ON paid_bills (department, family);
CREATE TABLE IF NOT EXISTS orders (
    department TEXT NOT NULL,
    [order]    TEXT NOT NULL,
    reference  TEXT NOT NULL,
    body       TEXT NOT NULL,
    PRIMARY KEY (department, [order])
) STRICT;
CREATE TABLE IF NOT EXISTS tickets (
    department TEXT NOT NULL,
    ticket     TEXT NOT NULL,
    digest     TEXT NOT NULL,
    day        TEXT NOT NULL,
    prefix     TEXT NOT NULL,
    number     INTEGER NOT NULL,
    ends_ms    INTEGER NOT NULL,
    fields     TEXT NOT NULL,
    PRIMARY KEY (department, ticket)
) STRICT;
CREATE INDEX IF NOT EXISTS tickets_by_day ON tickets (department, day, prefix);
CREATE TABLE IF NOT EXISTS submissions (
    department TEXT NOT NULL,
    submission TEXT NOT NULL,
    digest     TEXT NOT NULL,
    operation  TEXT NOT NULL,
    person     TEXT NOT NULL,
    day        TEXT NOT NULL,
    at_ms      INTEGER NOT NULL,
    number     TEXT NOT NULL,
    course     TEXT NOT NULL,
    refused    TEXT,
    PRIMARY KEY (department, submission)
) STRICT;
CREATE TABLE IF NOT EXISTS messages (
    number            INTEGER PRIMARY KEY,
    department        TEXT NOT NULL,
    method            TEXT NOT NULL,
    target            TEXT NOT NULL,
    request_ms        INTEGER NOT NULL,
    request_hash      TEXT NOT NULL,
    request_signature TEXT NOT NULL,
    status            INTEGER NOT NULL,
    answer_ms         INTEGER NOT NULL,
    answer_hash       TEXT NOT NULL,
    answer_signature  TEXT NOT NULL
) STRICT;
