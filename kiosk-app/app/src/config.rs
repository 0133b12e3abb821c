//! Configuration of the program: the site file and the keys.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use contract::{SecretKey, SignError, Site, SiteError, from_hex, sm3, to_hex};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use session::{Equipment, KioskSetup, ScreenSetup, TimeLimits};
use view::{Panel, Texts};
use zeroize::Zeroizing;

use crate::net::TlsCredentials;

/// Longest file that is read, in bytes: far above any site file or key.
const FILE_MAX: u64 = 128 * 1024;

/// Why the configuration is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KioskConfigError {
    /// A file does not exist or is not readable.
    #[error("cannot read {}", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    /// The site file is invalid.
    #[error("{} is not a valid site file", .0.display())]
    Site(PathBuf, #[source] SiteError),
    /// Not hexadecimal of the right length. The message does not quote the content.
    #[error("{path} is not a key of {bytes} bytes in hexadecimal: make it with `provision device-keys`", path = path.display())]
    KeySyntax {
        /// The key file.
        path: PathBuf,
        /// Expected length of the key.
        bytes: usize,
    },
    /// A number outside the range of SM2 private keys.
    #[error("{} is not an SM2 key: make it with `provision device-keys`", .0.display())]
    KeyValue(PathBuf, #[source] SignError),
    /// Not PEM of a certificate or a key. The message does not quote the content.
    #[error("{} is not PEM of the expected type: make it with `provision device-keys` and `provision certify`", .0.display())]
    Pem(PathBuf),
    /// A secret is accessible to users other than the owner.
    #[error("{} is accessible to other users: run `chmod 600` on it", .0.display())]
    Exposed(PathBuf),
}

/// The content of the configuration files.
pub(crate) struct KioskConfig {
    pub(crate) site: Site,
    /// SM3 of the site file in hexadecimal, for the journal.
    pub(crate) digest: String,
    /// The kiosk's signing key: signs requests and the heads of the record chain.
    pub(crate) device_key: Arc<SecretKey>,
    /// Wraps the journal's segment keys.
    pub(crate) wrap_key: Zeroizing<[u8; 16]>,
}

impl KioskConfig {
    /// Reads the site file, and from the directory of keys `device.key`, `wrap.key` and the TLS files.
    pub(crate) fn read(site: &Path, keys: &Path) -> Result<(Self, TlsCredentials), KioskConfigError> {
        let text = read(site)?;
        let digest = to_hex(&sm3(&[text.as_bytes()]));
        let parsed = Site::parse(&text).map_err(|error| KioskConfigError::Site(site.to_owned(), error))?;
        let path = keys.join("device.key");
        let device_key = SecretKey::from_bytes(&*read_key::<32>(&path)?)
            .map_err(|error| KioskConfigError::KeyValue(path, error))?;
        let wrap_key = read_key(&keys.join("wrap.key"))?;
        let credentials = TlsCredentials {
            authority: certificates(&keys.join("city-ca.pem"))?,
            chain: certificates(&keys.join("tls.pem"))?,
            key: tls_key(&keys.join("tls.key"))?,
        };
        Ok((Self { site: parsed, digest, device_key: Arc::new(device_key), wrap_key }, credentials))
    }

    /// The session's setup for this site.
    pub(crate) fn setup(&self) -> KioskSetup {
        let site = &self.site;
        let ms = |seconds: u16| u64::from(seconds) * 1000;
        KioskSetup {
            kiosk: site.device,
            profile: site.profile,
            hall: site.hall.clone(),
            utc_offset_minutes: site.utc_offset_minutes,
            receipt_url: site.platform.receipt_url.clone(),
            equipment: Equipment {
                card_reader: site.devices.card_reader.is_some(),
                code_reader: site.devices.code_reader.is_some(),
                id_reader: site.devices.id_reader.is_some(),
                receipt_printer: site.devices.printer.is_some(),
                document_printer: site.devices.document_printer.is_some(),
                screen: ScreenSetup {
                    panel: Panel { width: site.screen.width, height: site.screen.height },
                    featured: site.featured.clone(),
                },
            },
            code_rules: site.codes.clone(),
            gate_rules: site.gate,
            staff_keys: site.staff.clone(),
            time_limits: TimeLimits {
                idle_ms: ms(site.times.idle_s),
                idle_elder_ms: ms(site.times.idle_elder_s),
                countdown_ms: ms(site.times.countdown_s),
                ..TimeLimits::default()
            },
            texts: Arc::new(Texts::built_in()),
        }
    }
}

fn read(path: &Path) -> Result<Zeroizing<String>, KioskConfigError> {
    let failed = |error| KioskConfigError::Read(path.to_owned(), error);
    // Capacity for the whole file from the start: a growing buffer would leave copies of a key in memory.
    let mut text = Zeroizing::new(String::with_capacity(16 * 1024));
    fs::File::open(path).map_err(failed)?.take(FILE_MAX).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

fn read_secret(path: &Path) -> Result<Zeroizing<String>, KioskConfigError> {
    let metadata = fs::metadata(path).map_err(|error| KioskConfigError::Read(path.to_owned(), error))?;
    if std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077 != 0 {
        return Err(KioskConfigError::Exposed(path.to_owned()));
    }
    read(path)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, KioskConfigError> {
    let text = read(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    certificates.ok().filter(|some| !some.is_empty()).ok_or_else(|| KioskConfigError::Pem(path.to_owned()))
}

fn tls_key(path: &Path) -> Result<PrivateKeyDer<'static>, KioskConfigError> {
    let text = read_secret(path)?;
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| KioskConfigError::Pem(path.to_owned()))
}

fn read_key<const N: usize>(path: &Path) -> Result<Zeroizing<[u8; N]>, KioskConfigError> {
    let text = read_secret(path)?;
    let not_a_key = || KioskConfigError::KeySyntax { path: path.to_owned(), bytes: N };
    from_hex(text.trim()).map(Zeroizing::new).ok_or_else(not_a_key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;

    const HALL: &str = include_str!("../../../provisioning/sites/district-hall.toml");

    struct ConfigFiles(tempfile::TempDir);

    impl ConfigFiles {
        fn new() -> Self {
            let files = Self(tempfile::tempdir().unwrap());
            files.write("site.toml", HALL, 0o644);
            files.write("device.key", &format!("{}\n", "07".repeat(32)), 0o600);
            files.write("wrap.key", &"09".repeat(16), 0o600);
            let issued = rcgen::generate_simple_self_signed(["x".to_owned()]).unwrap();
            files.write("tls.key", &issued.signing_key.serialize_pem(), 0o600);
            files.write("tls.pem", &issued.cert.pem(), 0o644);
            files.write("city-ca.pem", &issued.cert.pem(), 0o644);
            files
        }

        fn write(&self, name: &str, text: &str, mode: u32) {
            let path = self.0.path().join(name);
            let _ = fs::remove_file(&path);
            let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }

        fn read(&self) -> Result<KioskConfig, KioskConfigError> {
            KioskConfig::read(&self.0.path().join("site.toml"), self.0.path()).map(|(config, _)| config)
        }
    }

    #[test]
    fn config_of_valid_files_yields_setup() {
        let config = ConfigFiles::new().read().unwrap();
        let setup = config.setup();
        assert_eq!(setup.kiosk.to_string(), "K-DH-0001");
        assert_eq!((setup.time_limits.idle_ms, setup.time_limits.countdown_ms), (60_000, 20_000));
        assert!(
            setup.equipment.card_reader && setup.equipment.code_reader && setup.equipment.receipt_printer
        );
        assert_eq!((*config.wrap_key, config.digest.len()), ([9; 16], 64));
    }

    #[test]
    fn secret_readable_by_others_is_refused() {
        for secret in ["device.key", "wrap.key", "tls.key"] {
            let files = ConfigFiles::new();
            let text = fs::read_to_string(files.0.path().join(secret)).unwrap();
            files.write(secret, &text, 0o640);
            assert!(matches!(files.read(), Err(KioskConfigError::Exposed(_))), "{secret}");
        }
    }

    #[test]
    fn malformed_key_is_refused_without_quoting_it() {
        for bad in ["", "09", &"0g".repeat(16), &"é".repeat(16), &"09".repeat(17)] {
            let files = ConfigFiles::new();
            files.write("wrap.key", bad, 0o600);
            let error = files.read().err().unwrap();
            assert!(matches!(error, KioskConfigError::KeySyntax { .. }));
            assert!(bad.is_empty() || !error.to_string().contains(bad));
        }
        let files = ConfigFiles::new();
        files.write("device.key", &"00".repeat(32), 0o600);
        assert!(matches!(files.read(), Err(KioskConfigError::KeyValue(..))));
    }

    #[test]
    fn malformed_pem_is_refused_without_quoting_it() {
        for file in ["tls.key", "tls.pem", "city-ca.pem"] {
            for bad in ["", "secret", "-----BEGIN PRIVATE KEY-----\nsecret\n"] {
                let files = ConfigFiles::new();
                files.write(file, bad, 0o600);
                let error = files.read().err().unwrap();
                assert!(matches!(error, KioskConfigError::Pem(_)), "{file}: {error}");
                assert!(!error.to_string().contains("secret"));
            }
        }
    }

    #[test]
    fn error_names_missing_file() {
        let files = ConfigFiles::new();
        fs::remove_file(files.0.path().join("device.key")).unwrap();
        assert!(files.read().err().unwrap().to_string().contains("device.key"));
    }
}
