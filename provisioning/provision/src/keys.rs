//! Key files: hexadecimal, one line; secret keys have mode 0600.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use contract::{KioskId, SecretKey};
use zeroize::Zeroizing;

use crate::certificates;

/// Makes the keys of one kiosk.
pub(crate) fn make_kiosk_keys(directory: &Path, device: KioskId) -> Result<()> {
    fs::create_dir_all(directory)?;
    write_key_pair(directory, "device")?;
    certificates::make_request(directory, device)?;
    write_new(directory, "wrap.key", &hex(random_bytes::<16>()?.as_slice()), 0o600)
}

/// Makes the offline root key of a city's codes, which only signs lists of issuer keys.
pub(crate) fn make_root_key(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory)?;
    write_key_pair(directory, "root")
}

/// Makes the keys of a city.
pub(crate) fn make_city_keys(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory)?;
    write_key_pair(directory, "catalogue")?;
    write_key_pair(directory, "envelope")?;
    write_key_pair(directory, "department-requests")?;
    certificates::make_authority(directory)?;
    // For test cards. The key of real cards never leaves the city's HSM, which replaces this file.
    write_new(directory, "card.key", &hex(random_bytes::<32>()?.as_slice()), 0o600)?;
    write_new(directory, "format.key", &hex(random_bytes::<32>()?.as_slice()), 0o600)
}

pub(crate) fn write_key_pair(directory: &Path, name: &str) -> Result<()> {
    // The scalar must be below the group order; all but one in 2³² random numbers are.
    let (scalar, key) = loop {
        let scalar = random_bytes::<32>()?;
        if let Ok(key) = SecretKey::from_bytes(&scalar) {
            break (scalar, key);
        }
    };
    write_new(directory, &format!("{name}.key"), &hex(scalar.as_slice()), 0o600)?;
    write_new(directory, &format!("{name}.pub"), &key.public().to_string(), 0o644)
}

/// Reads a secret key from a file that [`write_key_pair`] wrote.
pub(crate) fn read_secret_key(path: &Path) -> Result<SecretKey> {
    let unreadable = || format!("{} does not hold a secret key", path.display());
    let text = Zeroizing::new(fs::read_to_string(path).with_context(unreadable)?);
    let scalar = Zeroizing::new(contract::from_hex(text.trim()).with_context(unreadable)?);
    SecretKey::from_bytes(&scalar).with_context(unreadable)
}

pub(crate) fn random_bytes<const N: usize>() -> Result<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice()).context("cannot get random bytes from the system")?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(contract::to_hex(bytes))
}

pub(crate) fn write_new(directory: &Path, name: &str, text: &str, mode: u32) -> Result<()> {
    let path = directory.join(name);
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(&path).with_context(|| {
            format!("cannot write {} (existing keys are never overwritten)", path.display())
        })?;
    writeln!(file, "{}", text.trim_end())?;
    file.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_keys_have_mode_0600_and_are_not_overwritten() {
        let name = format!("provision-keys-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let id: KioskId = "K-1".parse().unwrap();
        make_kiosk_keys(&directory, id).unwrap();
        let mode = |file: &str| {
            let metadata = fs::metadata(directory.join(file)).unwrap();
            std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777
        };
        assert_eq!((mode("device.key"), mode("wrap.key"), mode("device.pub")), (0o600, 0o600, 0o644));
        assert_eq!((mode("tls.key"), mode("tls.csr")), (0o600, 0o644));
        let before = fs::read(directory.join("device.key")).unwrap();
        assert!(make_kiosk_keys(&directory, id).is_err());
        assert_eq!(fs::read(directory.join("device.key")).unwrap(), before);
        fs::remove_dir_all(&directory).unwrap();
    }
}
