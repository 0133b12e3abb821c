//! Each driver in its own process, on the wire that it has in a kiosk: a card behind a real pcscd, a printer
//! behind a tty, a camera behind a stream. The far side is `drivers/virtual`.

mod camera;
mod card_reader;
mod printer;

use std::env;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use device::framing::{read_frame, read_version, write_frame, write_version};
use device::wire::{Answer, DeviceConfig, Fault, FromDevice, Health, ToDevice, Work};
use system_tests::namespace;

/// Whatever is waited for comes within this time, even on two busy cores.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a test inside a namespace of its own; `name` is the test's full name.
fn alone(name: &str, test: impl FnOnce()) {
    if namespace::is_inside() {
        namespace::furnish().unwrap();
        return test();
    }
    let output = namespace::command(&env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .output()
        .expect("`unshare`, from Debian's util-linux");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains("1 passed"), "`{name}` is not the name of this test");
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The kiosk's side of a device process. The process ends with it.
struct DeviceProcess {
    child: Child,
    wire: UnixStream,
    said: Receiver<FromDevice>,
    tickets: u64,
}

impl DeviceProcess {
    fn start(config: DeviceConfig) -> Self {
        let (mut wire, theirs) = UnixStream::pair().unwrap();
        let program = env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("kiosk-device");
        let child = Command::new(program)
            .arg("test")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()
            .expect("`kiosk-device` is built first: use `cargo xtask test`");
        write_version(&mut wire).unwrap();
        read_version(&mut wire).unwrap();
        write_frame(&mut wire, &ToDevice::Open(config)).unwrap();
        let (tell, said) = channel();
        let mut reader = wire.try_clone().unwrap();
        thread::spawn(move || {
            // Ends when the process does.
            while let Ok(message) = read_frame(&mut reader) {
                if tell.send(message).is_err() {
                    return;
                }
            }
        });
        Self { child, wire, said, tickets: 0 }
    }

    /// The first message that is the one looked for.
    fn wait<T>(&self, what: &str, mut pick: impl FnMut(FromDevice) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let message = self.said.recv_timeout(left).unwrap_or_else(|_| panic!("{what} did not come"));
            if let Some(found) = pick(message) {
                return found;
            }
        }
    }

    fn wait_for_health(&self, wanted: Health) {
        self.wait(&format!("{wanted:?}"), |message| {
            matches!(message, FromDevice::Health(health) if health == wanted).then_some(())
        });
    }

    fn ask(&mut self, work: Work) -> Result<Answer, Fault> {
        self.tickets += 1;
        let asked = self.tickets;
        write_frame(&mut self.wire, &ToDevice::Do(asked, work)).unwrap();
        self.wait("an answer", |message| match message {
            FromDevice::Answer(ticket, answer) if ticket == asked => Some(answer),
            FromDevice::Answer(..) | FromDevice::Health(_) | FromDevice::Event(_) | FromDevice::Pong(_) => {
                None
            }
        })
    }
}

impl Drop for DeviceProcess {
    fn drop(&mut self) {
        self.wire.shutdown(Shutdown::Both).ok();
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn a_device_process_ends_when_the_kiosk_does() {
    let mut device = DeviceProcess::start(DeviceConfig::Card { reader: "no such reader".into() });
    device.wire.shutdown(Shutdown::Both).unwrap();
    let until = Instant::now() + PATIENCE;
    while device.child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < until, "it is still running");
        thread::sleep(Duration::from_millis(20));
    }
}
