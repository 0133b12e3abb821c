//! Keeps personal data out of what a crashing process leaves behind (I3): no core file, no debugger access to its
//! memory, and no panic text, which could quote what a resident typed.

use std::{panic, thread};

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

use crate::cache_thread;

/// Exit code after a panic. systemd restarts the kiosk, which recovers its open work from the journal.
pub(crate) const EXIT_PANIC: i32 = 70;

/// Disables core files, and access of other processes to the memory of this one.
///
/// # Errors
/// The kernel's error. A kiosk that could leave its memory behind must not start.
pub(crate) fn forbid_dumps() -> rustix::io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

/// Makes a panic in any thread end the process: a partly working kiosk would be worse than a restart. Only the
/// source location is logged. The kernel wipes the memory. Only the cache thread may panic: the cache is recreated.
pub(crate) fn end_on_panic() {
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "unknown".to_owned(), ToString::to_string);
        if thread::current().name().is_some_and(cache_thread::is_cache_thread) {
            tracing::warn!(place, "cache thread panicked, continuing without cache");
            return;
        }
        tracing::error!(place, "panic: the process exits and must be restarted");
        std::process::exit(EXIT_PANIC);
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const SECRET: &str = "500101199001011239";
    /// Set in the child process that the test starts and that must panic.
    const PANIC_CHILD: &str = "KIOSK_TEST_DYING";

    #[test]
    fn panic_ends_process_without_logging_its_text() {
        if std::env::var_os(PANIC_CHILD).is_some() {
            return panic_in_a_thread();
        }
        let own_test = ["--exact", "privacy::tests::panic_ends_process_without_logging_its_text"];
        let mut program = Command::new(std::env::current_exe().unwrap());
        let output = program.args(own_test).arg("--nocapture").env(PANIC_CHILD, "1").output().unwrap();
        assert_eq!(output.status.code(), Some(EXIT_PANIC));
        let printed = [output.stdout, output.stderr].concat();
        assert!(!String::from_utf8_lossy(&printed).contains(SECRET));
    }

    fn panic_in_a_thread() {
        forbid_dumps().unwrap();
        let core = rustix::process::getrlimit(Resource::Core);
        assert_eq!((core.current, core.maximum), (Some(0), Some(0)));
        end_on_panic();
        let cache = thread::Builder::new().name("cache".to_owned()).spawn(|| panic!("{SECRET}"));
        assert!(cache.unwrap().join().is_err(), "a panic of the cache thread ends only this thread");
        let ended = thread::spawn(|| panic!("{SECRET}")).join();
        assert!(ended.is_ok(), "the process should have ended");
    }
}
