//! The registered kiosks.

use contract::{KioskId, PublicKey, SiteProfile};
use serde::Deserialize;

use crate::request_signature::RegisteredSigner;

/// A kiosk (自助终端) that is registered with the platform.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisteredKiosk {
    /// Id of the kiosk, as in `X-Device`.
    pub id: KioskId,
    /// Public key that verifies the kiosk's requests and signed heads.
    pub key: PublicKey,
    /// Name of the place of the kiosk, as residents read it in their list of uses.
    pub name: String,
    /// Profile of the kiosk's site; decides which services are offered.
    pub profile: SiteProfile,
}

impl RegisteredSigner for RegisteredKiosk {
    type Id = KioskId;

    fn public_key(&self) -> &PublicKey {
        &self.key
    }
}

/// Why the file of registered kiosks cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum KioskRegistryError {
    /// The file is not TOML with `[[device]]` tables.
    #[error(
        "cannot parse the file of registered kiosks; expected [[device]] tables with id, key, name, profile"
    )]
    Syntax(#[source] Box<toml::de::Error>),
    /// Two entries have the same id.
    #[error("kiosk {0} is registered twice")]
    DuplicateId(KioskId),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KiosksFile {
    #[serde(default)]
    device: Vec<RegisteredKiosk>,
}

/// Parses the file of registered kiosks: `[[device]]` tables with `id`, `key` (130 hexadecimal digits), `name` and
/// `profile`.
///
/// # Errors
/// [`KioskRegistryError`], when the text is not TOML with these tables or an id occurs twice.
pub fn parse_registered_kiosks(text: &str) -> Result<Vec<RegisteredKiosk>, KioskRegistryError> {
    let file: KiosksFile =
        toml::from_str(text).map_err(|error| KioskRegistryError::Syntax(Box::new(error)))?;
    let mut seen = std::collections::BTreeSet::new();
    match file.device.iter().find(|kiosk| !seen.insert(kiosk.id)) {
        Some(twice) => Err(KioskRegistryError::DuplicateId(twice.id)),
        None => Ok(file.device),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::SecretKey;

    #[test]
    fn kiosks_file_parses_and_rejects_duplicates_and_bad_entries() {
        let key = SecretKey::from_bytes(&[7; 32]).unwrap().public();
        let one = format!(
            "[[device]]\nid = \"K-1\"\nkey = \"{key}\"\nname = \"大厅一号机\"\nprofile = \"district-hall\"\n"
        );
        let devices = parse_registered_kiosks(&one).unwrap();
        assert_eq!((devices[0].id.to_string(), &devices[0].key), ("K-1".to_owned(), &key));
        assert!(matches!(
            parse_registered_kiosks(&format!("{one}{one}")),
            Err(KioskRegistryError::DuplicateId(_))
        ));
        for bad in [one.replace("K-1", "k 1"), one.replace("04", "05"), one.replace("name", "nam")] {
            assert!(matches!(parse_registered_kiosks(&bad), Err(KioskRegistryError::Syntax(_))), "{bad}");
        }
        assert!(parse_registered_kiosks("").unwrap().is_empty());
    }
}
