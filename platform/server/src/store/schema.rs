//! The database: its tables and its settings.
//!
//! Every table begins with its distribution key: `device` for data that kiosks send, `resident` for a
//! resident's data. Joins between the two groups use these keys only.

use rusqlite::Connection;

const TABLES: &str = "
-- By resident: the card-holder base and what belongs to a person.
CREATE TABLE IF NOT EXISTS residents (
    resident     INTEGER PRIMARY KEY,
    slug         TEXT NOT NULL UNIQUE,
    name         TEXT NOT NULL,
    id_number    TEXT NOT NULL UNIQUE,
    status       TEXT,
    insurance    TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS cards (
    resident       INTEGER NOT NULL,
    number         TEXT NOT NULL PRIMARY KEY,
    identification TEXT NOT NULL,
    version        TEXT NOT NULL,
    standing       TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS card_changes (
    resident INTEGER NOT NULL,
    number   TEXT NOT NULL,
    at_ms    INTEGER NOT NULL,
    client   TEXT NOT NULL,
    what     TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS tokens (
    resident   INTEGER NOT NULL,
    hash       BLOB NOT NULL PRIMARY KEY,
    expires_ms INTEGER NOT NULL,
    used_by    TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS phones (
    resident INTEGER NOT NULL,
    hash     BLOB NOT NULL PRIMARY KEY,
    bound_ms INTEGER NOT NULL,
    ended_ms INTEGER
) STRICT;
-- Credential (身份凭证) of a resident who bound a phone through the trusted identity service.
CREATE TABLE IF NOT EXISTS phone_credentials (
    phone      BLOB NOT NULL PRIMARY KEY,
    credential TEXT NOT NULL
) STRICT, WITHOUT ROWID;
-- A resident has at most one pairing code.
CREATE TABLE IF NOT EXISTS pairings (
    resident INTEGER NOT NULL PRIMARY KEY,
    hash     BLOB NOT NULL UNIQUE,
    until_ms INTEGER NOT NULL,
    wrong    INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS code_aliases (
    resident  INTEGER NOT NULL,
    alias     BLOB NOT NULL PRIMARY KEY,
    holder    TEXT NOT NULL,
    phone     BLOB,
    issued_ms INTEGER NOT NULL,
    ends_ms   INTEGER NOT NULL,
    revoked   INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS code_aliases_by_holder ON code_aliases (holder);
CREATE INDEX IF NOT EXISTS code_aliases_by_resident ON code_aliases (resident, ends_ms);
-- I5: an offline code is accepted once, by alias and time step.
CREATE TABLE IF NOT EXISTS code_moments (
    resident INTEGER NOT NULL,
    alias    BLOB NOT NULL,
    slot     INTEGER NOT NULL,
    used_by  TEXT NOT NULL,
    until_ms INTEGER NOT NULL,
    PRIMARY KEY (alias, slot)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS code_uses (
    resident INTEGER NOT NULL,
    at_ms    INTEGER NOT NULL,
    place    TEXT NOT NULL,
    purpose  TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS code_uses_of_resident ON code_uses (resident, at_ms);
-- Uses that a resident reported as not theirs; `use` is derived from the use, see `codes/use_reports.rs`.
CREATE TABLE IF NOT EXISTS use_reports (
    resident INTEGER NOT NULL,
    use      TEXT NOT NULL,
    at_ms    INTEGER NOT NULL,
    PRIMARY KEY (resident, use)
) STRICT, WITHOUT ROWID;
-- What a resident had the platform do at a kiosk, once per ticket; a repeated request gets `answer` again.
CREATE TABLE IF NOT EXISTS acts (
    resident  INTEGER NOT NULL,
    ticket    TEXT NOT NULL PRIMARY KEY,
    device    TEXT NOT NULL,
    visit     TEXT NOT NULL,
    operation TEXT NOT NULL,
    input     TEXT NOT NULL,
    at_ms     INTEGER NOT NULL,
    answer    TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS subjects (
    resident INTEGER NOT NULL,
    client   TEXT NOT NULL,
    subject  TEXT NOT NULL,
    PRIMARY KEY (resident, client)
) STRICT, WITHOUT ROWID;
-- What each resident was shown: bills by department and the department's key, `DEPARTMENT/KEY`; `operation` and `input` are what listed them, to ask once more.
CREATE TABLE IF NOT EXISTS bills (
    resident   INTEGER NOT NULL,
    key        TEXT NOT NULL,
    operation  TEXT NOT NULL,
    input      TEXT NOT NULL,
    payee      TEXT NOT NULL,
    amount_fen INTEGER NOT NULL,
    listed     INTEGER NOT NULL,
    PRIMARY KEY (resident, key)
) STRICT;
CREATE TABLE IF NOT EXISTS orders (
    resident    INTEGER,
    [order]     TEXT NOT NULL PRIMARY KEY,
    device      TEXT NOT NULL,
    body_hash   BLOB,
    total_fen   INTEGER NOT NULL,
    settlement  TEXT,
    created_ms  INTEGER NOT NULL,
    asked       INTEGER NOT NULL DEFAULT 0,
    next_ask_ms INTEGER
) STRICT;
-- Requests about an order of unknown outcome that the acquirer refused.
CREATE TABLE IF NOT EXISTS order_refusals (
    [order] TEXT NOT NULL PRIMARY KEY,
    count   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS orders_to_ask ON orders (next_ask_ms) WHERE settlement IS NULL;
CREATE TABLE IF NOT EXISTS order_items (
    resident   INTEGER NOT NULL,
    [order]    TEXT NOT NULL,
    bill       TEXT NOT NULL,
    amount_fen INTEGER NOT NULL,
    claims     INTEGER NOT NULL,
    PRIMARY KEY ([order], bill)
) STRICT;
-- I1: a bill has at most one order that is live or paid.
CREATE UNIQUE INDEX IF NOT EXISTS one_claim_per_bill ON order_items (bill) WHERE claims = 1;
CREATE TABLE IF NOT EXISTS postings (
    resident   INTEGER NOT NULL,
    [order]    TEXT NOT NULL,
    department TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('open', 'done', 'refused')),
    tried      INTEGER NOT NULL DEFAULT 0,
    next_ms    INTEGER NOT NULL,
    PRIMARY KEY ([order], department)
) STRICT;
CREATE INDEX IF NOT EXISTS postings_to_send ON postings (next_ms) WHERE state = 'open';
-- I2: a submission is delivered to its department once; `resident` is NULL where a restore has forgotten whom the kiosk means; `next_ms` is when it is sent or asked about next, NULL when it is decided.
CREATE TABLE IF NOT EXISTS submissions (
    resident    INTEGER,
    submission  TEXT NOT NULL PRIMARY KEY,
    device      TEXT NOT NULL,
    service     TEXT NOT NULL,
    version     INTEGER NOT NULL,
    operation   TEXT NOT NULL,
    sealed      TEXT NOT NULL,
    hash        TEXT NOT NULL,
    level       TEXT NOT NULL,
    offline     INTEGER NOT NULL,
    recorded_ms INTEGER NOT NULL,
    state       TEXT NOT NULL,
    number      TEXT,
    words       TEXT,
    tried       INTEGER NOT NULL DEFAULT 0,
    next_ms     INTEGER
) STRICT;
CREATE INDEX IF NOT EXISTS submissions_of_resident ON submissions (resident, recorded_ms);
CREATE INDEX IF NOT EXISTS submissions_due ON submissions (next_ms) WHERE next_ms IS NOT NULL;

-- By device: visits and what kiosks record.
CREATE TABLE IF NOT EXISTS visits (
    device        TEXT NOT NULL,
    visit         TEXT NOT NULL,
    key           TEXT NOT NULL UNIQUE,
    resident      INTEGER NOT NULL,
    evidence      TEXT NOT NULL,
    evidence_hash BLOB NOT NULL,
    level         TEXT NOT NULL,
    expires_ms    INTEGER NOT NULL,
    PRIMARY KEY (device, visit)
) STRICT;
-- Card authentications by kiosk and card. Each random number of a card is answered once.
CREATE TABLE IF NOT EXISTS card_authentications (
    device    TEXT NOT NULL,
    visit     TEXT NOT NULL,
    card      TEXT NOT NULL,
    challenge BLOB NOT NULL,
    at_ms     INTEGER NOT NULL,
    outcome   TEXT NOT NULL,
    PRIMARY KEY (card, challenge)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS card_authentications_of_device ON card_authentications (device, at_ms);
-- I5: used-code records of kiosks that verified codes without the platform; one code at two kiosks was used twice.
CREATE TABLE IF NOT EXISTS code_marks (
    device   TEXT NOT NULL,
    holder   TEXT NOT NULL,
    slot     INTEGER NOT NULL,
    visit    TEXT NOT NULL,
    until_ms INTEGER NOT NULL,
    offline  INTEGER NOT NULL,
    PRIMARY KEY (holder, slot, device)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS code_marks_to_forget ON code_marks (until_ms);
-- I5: a kiosk's challenge is answered once.
CREATE TABLE IF NOT EXISTS challenges (
    device   TEXT NOT NULL,
    nonce    BLOB NOT NULL,
    given    BLOB NOT NULL,
    until_ms INTEGER NOT NULL,
    PRIMARY KEY (device, nonce)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS challenges_to_forget ON challenges (until_ms);
CREATE TABLE IF NOT EXISTS pseudonyms (
    device    TEXT NOT NULL,
    resident  INTEGER NOT NULL,
    pseudonym TEXT NOT NULL,
    PRIMARY KEY (device, resident),
    UNIQUE (device, pseudonym)
) STRICT;
CREATE TABLE IF NOT EXISTS consents (
    device    TEXT NOT NULL,
    consent   TEXT NOT NULL,
    pseudonym TEXT NOT NULL,
    service   TEXT NOT NULL,
    until_ms  INTEGER NOT NULL,
    PRIMARY KEY (device, consent)
) STRICT;
CREATE TABLE IF NOT EXISTS consent_uses (
    device   TEXT NOT NULL,
    consent  TEXT NOT NULL,
    resident INTEGER NOT NULL,
    service  TEXT NOT NULL,
    at_ms    INTEGER NOT NULL,
    proof    TEXT NOT NULL UNIQUE,
    PRIMARY KEY (device, consent)
) STRICT;
CREATE TABLE IF NOT EXISTS records (
    device      TEXT NOT NULL,
    epoch       TEXT NOT NULL,
    seq         INTEGER NOT NULL,
    header      BLOB NOT NULL,
    salt        BLOB NOT NULL,
    body        TEXT NOT NULL,
    hash        BLOB NOT NULL,
    understood  INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    PRIMARY KEY (device, epoch, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS heads (
    device    TEXT NOT NULL,
    epoch     TEXT NOT NULL,
    seq       INTEGER NOT NULL,
    signature TEXT NOT NULL,
    PRIMARY KEY (device, epoch, seq)
) STRICT, WITHOUT ROWID;
-- Statements of kiosks as they were signed: there may be stored records after `after_seq`, up to the gap that ends with `last_seq`.
CREATE TABLE IF NOT EXISTS missing_records (
    device      TEXT NOT NULL,
    epoch       TEXT NOT NULL,
    after_seq   INTEGER NOT NULL,
    last_seq    INTEGER NOT NULL,
    hash        BLOB NOT NULL,
    signature   TEXT NOT NULL,
    PRIMARY KEY (device, epoch, last_seq)
) STRICT, WITHOUT ROWID;
-- What kiosks reported of their orders. `content` is what a kiosk needs to know of an order that it has lost; NULL: the kiosk's
-- records have the outcome and, if the order is paid, the receipt.
CREATE TABLE IF NOT EXISTS order_reports (
    device     TEXT NOT NULL,
    [order]    TEXT NOT NULL PRIMARY KEY,
    content    TEXT,
    created_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS unreported_orders ON order_reports (device, created_ms) WHERE content IS NOT NULL;
-- Receipts by their ids, which are secrets: the number on the paper alone opens nothing.
CREATE TABLE IF NOT EXISTS receipts_by_id (
    receipt TEXT NOT NULL PRIMARY KEY,
    device  TEXT NOT NULL,
    content TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- By client: verifications of relying parties, with purpose and answer.
CREATE TABLE IF NOT EXISTS verifications (
    client   TEXT NOT NULL,
    request  BLOB NOT NULL,
    at_ms    INTEGER NOT NULL,
    purpose  TEXT NOT NULL,
    asked    BLOB NOT NULL,
    answer   BLOB NOT NULL,
    resident INTEGER,
    PRIMARY KEY (client, request)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS verifications_of_client ON verifications (client, at_ms);
-- By resident: consents to claims or to items of an e-certificate, both in `facts`; `answer` is the phone's signature over `statement`.
CREATE TABLE IF NOT EXISTS fact_consents (
    consent    TEXT NOT NULL PRIMARY KEY,
    client     TEXT NOT NULL,
    request    BLOB NOT NULL,
    resident   INTEGER NOT NULL,
    purpose    TEXT NOT NULL,
    facts      TEXT NOT NULL,
    days       INTEGER NOT NULL,
    statement  TEXT NOT NULL,
    asked_ms   INTEGER NOT NULL,
    state      TEXT NOT NULL DEFAULT 'asked',
    answer     TEXT,
    decided_ms INTEGER,
    until_ms   INTEGER NOT NULL DEFAULT 0,
    UNIQUE (client, request, facts)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts_told (
    client  TEXT NOT NULL,
    request BLOB NOT NULL,
    facts   TEXT NOT NULL,
    at_ms   INTEGER NOT NULL,
    PRIMARY KEY (client, request, facts)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS fact_consents_of_resident ON fact_consents (resident, state);

-- By department: what it was asked and what it answered, as hashes and signatures.
CREATE TABLE IF NOT EXISTS department_messages (
    department        TEXT NOT NULL,
    asked_ms          INTEGER NOT NULL,
    target            TEXT NOT NULL,
    request_hash      BLOB NOT NULL,
    request_signature TEXT NOT NULL,
    status            INTEGER,
    answered_ms       INTEGER,
    answer_hash       BLOB,
    answer_signature  TEXT,
    PRIMARY KEY (department, request_signature)
) STRICT, WITHOUT ROWID;

-- By city: the feed, revocations, and incidents for the operator.
CREATE TABLE IF NOT EXISTS changes (
    service TEXT NOT NULL PRIMARY KEY,
    cursor  INTEGER NOT NULL UNIQUE,
    item    TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS code_revocations (
    number  INTEGER PRIMARY KEY,
    name    TEXT NOT NULL,
    at_ms   INTEGER NOT NULL,
    ends_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS card_stops (
    number  INTEGER PRIMARY KEY,
    name    TEXT NOT NULL,
    at_ms   INTEGER NOT NULL,
    ends_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS card_stops_of_card ON card_stops (name);
CREATE TABLE IF NOT EXISTS signed_anew (
    what  TEXT NOT NULL PRIMARY KEY,
    at_ms INTEGER NOT NULL
) STRICT;
-- The database as a whole: its generation, and how far its recovery is.
CREATE TABLE IF NOT EXISTS database_state (
    name  TEXT NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS recovered_kiosks (
    device      TEXT NOT NULL PRIMARY KEY,
    uploaded_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- Orders of kiosks' logs that were not known here when their record arrived.
CREATE TABLE IF NOT EXISTS recovery_orders (
    device  TEXT NOT NULL,
    [order] TEXT NOT NULL PRIMARY KEY,
    next_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS disputes (
    about TEXT NOT NULL PRIMARY KEY,
    what  TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;
";

/// Creates the tables. WAL with full synchronisation: a commit is on disk before the request is answered.
pub(crate) fn prepare_schema(db: &Connection) -> rusqlite::Result<()> {
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.execute_batch(TABLES)
}
