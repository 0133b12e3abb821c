//! Each driver in its own process, on the interface that it uses in a kiosk: a card behind pcscd, a printer behind a tty,
//! a camera behind a video stream. The devices are the emulators of `drivers/emulator`.

mod camera;
mod card_authority;
mod card_reader;
mod gate;
mod id_reader;
mod missions;
mod printer;
mod publication;

use std::env;

use device::wire::DeviceConfig;
use system_tests::driver_process::DriverProcess;
use system_tests::namespace;

/// Runs a test in a Linux namespace of its own; `name` is the full name of the test.
fn in_namespace(name: &str, test: impl FnOnce()) {
    if namespace::is_inside() {
        namespace::prepare().unwrap();
        return test();
    }
    let output = namespace::command_inside(&env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .output()
        .expect("`unshare`, from Debian's util-linux");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains("1 passed"), "`{name}` is not the name of this test");
}

#[test]
fn device_process_ends_with_the_kiosk() {
    let mut driver = DriverProcess::start(DeviceConfig::Card {
        reader: "no such reader".into(),
        psam: None,
        older: card::OldAlgorithmPolicy::Limit,
    })
    .unwrap();
    driver.disconnect().unwrap();
}
