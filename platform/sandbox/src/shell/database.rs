//! The SQLite database of a sandbox.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use rusqlite::Connection;

/// Opens a database file, created with mode 0600; SQLite gives its other files the same mode.
///
/// # Errors
/// When the file cannot be created or opened. The error names the path.
pub fn open_private_database(path: &Path) -> anyhow::Result<Connection> {
    let open = || -> anyhow::Result<Connection> {
        OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        Ok(Connection::open(path)?)
    };
    open().with_context(|| format!("cannot open the database {}", path.display()))
}

/// Creates the tables that do not exist yet, and puts every later commit on disk before it returns.
///
/// # Errors
/// When the database has another schema or cannot be used.
pub(crate) fn prepare_database(db: &Connection, schema: &str) -> rusqlite::Result<()> {
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.execute_batch(schema)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn database_files_are_readable_by_their_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let db = open_private_database(&dir.path().join("a.db")).unwrap();
        prepare_database(&db, "CREATE TABLE IF NOT EXISTS a (b INTEGER) STRICT;").unwrap();
        let files: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(Result::unwrap).collect();
        assert!(files.len() > 1, "the write-ahead log is a file of its own");
        for file in files {
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
        }
    }
}
