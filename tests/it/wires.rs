//! Each driver in its own process, on the wire that it has in a kiosk: a card behind a real pcscd, a printer
//! behind a tty, a camera behind a stream. The far side is `drivers/virtual`.

mod camera;
mod card_authority;
mod card_reader;
mod faults;
mod gate;
mod id_reader;
mod printer;

use std::env;
use std::path::{Path, PathBuf};

use device::wire::DeviceConfig;
use system_tests::driver::Driver;
use system_tests::namespace;

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

#[test]
fn a_device_process_ends_when_the_kiosk_does() {
    let mut driver = Driver::start(DeviceConfig::Card {
        reader: "no such reader".into(),
        psam: None,
        older: card::OlderCards::Limit,
    })
    .unwrap();
    driver.leave().unwrap();
}
