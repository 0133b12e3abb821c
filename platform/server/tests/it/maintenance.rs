//! The commands of `kiosk-platform` for the database.

use std::path::Path;
use std::process::{Command, Output};

use rusqlite::Connection;
use server::Platform;
use server::recovery::backup::DatabaseLock;
use server::recovery::generation_file::GenerationFile;

use crate::fixture::setup;

fn run(arguments: &[&str], directory: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kiosk-platform"))
        .args(arguments)
        .current_dir(directory)
        .env_remove("RUST_LOG")
        .output()
        .unwrap()
}

fn log_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn backup_and_restore_work_from_the_command_line() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("platform.db");
    let (platform, generation) =
        Platform::open_at_generation(Connection::open(&database).unwrap(), setup(), None).unwrap();
    GenerationFile::beside(&database).write(generation).unwrap();
    // The platform is open, as when it runs.
    let lock = DatabaseLock::take(&database).unwrap();
    let (backup, restore) = (
        ["backup", "--db", "platform.db", "--to", "copy.db"],
        ["restore", "--db", "platform.db", "--from", "copy.db"],
    );
    let made = run(&backup, directory.path());
    assert!(made.status.success() && log_of(&made).contains("backup written"), "{}", log_of(&made));
    let refused = run(&restore, directory.path());
    assert!(!refused.status.success() && log_of(&refused).contains("stop it first"), "{}", log_of(&refused));
    drop((platform, lock));
    let restored = run(&restore, directory.path());
    assert!(restored.status.success() && log_of(&restored).contains("recovers"), "{}", log_of(&restored));
    assert_eq!(GenerationFile::beside(&database).read().unwrap(), Some(generation + 1));
    let confirmed = run(&["confirm-recovery", "--db", "platform.db"], directory.path());
    assert!(log_of(&confirmed).contains("nothing to confirm"), "not begun: {}", log_of(&confirmed));
}

#[test]
fn help_lists_the_commands_and_missing_options_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let help = run(&["--help"], directory.path());
    let help = String::from_utf8(help.stdout).unwrap();
    for word in ["backup", "restore", "confirm-recovery", "--tls-listen"] {
        assert!(help.contains(word), "{word}: {help}");
    }
    for command in ["backup", "restore", "confirm-recovery"] {
        let help = run(&[command, "--help"], directory.path());
        assert!(help.status.success() && !help.stdout.is_empty());
    }
    let without = run(&[], directory.path());
    assert!(!without.status.success() && log_of(&without).contains("--db"), "{}", log_of(&without));
}
