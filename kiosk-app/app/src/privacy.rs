//! What a dying process must not leave behind (I3): no core file, no debugger's view of its memory, and no
//! panic text, which could quote what a resident typed.

use std::{panic, thread};

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

use crate::cache;

/// Exit code after a panic. systemd starts the kiosk again; its log says what was open.
pub(crate) const EXIT_PANIC: i32 = 70;

/// Forbids core files and other processes' looks into this one.
///
/// # Errors
/// What the kernel said. A kiosk that could leave memory behind must not start.
pub(crate) fn forbid_dumps() -> rustix::io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

/// A panic in any thread ends the process: half a kiosk would be worse than a restart. Only the place is
/// logged. The kernel wipes the memory. The cache alone may panic: it knows how to begin anew.
pub(crate) fn end_on_panic() {
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "unknown".to_owned(), ToString::to_string);
        if thread::current().name().is_some_and(cache::is_its_thread) {
            tracing::warn!(place, "the cache panicked");
            return;
        }
        tracing::error!(place, "the kiosk ends by a panic and is to be started again");
        std::process::exit(EXIT_PANIC);
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const SECRET: &str = "500101199001011239";
    /// Set in the process that the test starts to see it die.
    const DYING: &str = "KIOSK_TEST_DYING";

    #[test]
    fn a_panic_in_any_thread_ends_the_process_and_quotes_nothing() {
        if std::env::var_os(DYING).is_some() {
            return panic_in_a_thread();
        }
        let itself = ["--exact", "privacy::tests::a_panic_in_any_thread_ends_the_process_and_quotes_nothing"];
        let mut program = Command::new(std::env::current_exe().unwrap());
        let output = program.args(itself).arg("--nocapture").env(DYING, "1").output().unwrap();
        assert_eq!(output.status.code(), Some(EXIT_PANIC));
        let said = [output.stdout, output.stderr].concat();
        assert!(!String::from_utf8_lossy(&said).contains(SECRET));
    }

    fn panic_in_a_thread() {
        forbid_dumps().unwrap();
        let core = rustix::process::getrlimit(Resource::Core);
        assert_eq!((core.current, core.maximum), (Some(0), Some(0)));
        end_on_panic();
        let cache = thread::Builder::new().name("cache".to_owned()).spawn(|| panic!("{SECRET}"));
        assert!(cache.unwrap().join().is_err(), "a panic of the cache ends its thread only");
        let ended = thread::spawn(|| panic!("{SECRET}")).join();
        assert!(ended.is_ok(), "the process should have ended");
    }
}
