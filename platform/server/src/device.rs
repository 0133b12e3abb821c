//! The kiosks that the platform knows, and the check that a request comes from one of them.

use std::collections::BTreeMap;

use contract::{DeviceId, ProblemCode, Profile, PublicKey, Signature};
use serde::Deserialize;

use crate::fail::Fail;
use crate::wire::{Request, to_be_signed};

/// A registered kiosk.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// The public key that its requests and its log are signed with.
    pub key: PublicKey,
    /// Where it stands, in words.
    pub name: String,
    /// What kind of site that is.
    pub profile: Profile,
}

/// Somebody whose requests are signed with a key that is known here.
pub(crate) trait Registered {
    /// That key.
    fn key(&self) -> &PublicKey;
}

impl Registered for Device {
    fn key(&self) -> &PublicKey {
        &self.key
    }
}

/// Why the file of devices is not read.
#[derive(Debug, thiserror::Error)]
pub enum DevicesError {
    /// Not TOML of `[[device]]` tables.
    #[error("the file of devices cannot be read; it has [[device]] tables with id, key, name, profile")]
    Syntax(#[source] Box<toml::de::Error>),
    /// Two entries have one id.
    #[error("device {0} is there twice")]
    Twice(DeviceId),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    device: Vec<Device>,
}

/// Reads the file of devices: `[[device]]` tables with `id`, `key` (130 hexadecimal digits), `name` and
/// `profile`.
///
/// # Errors
/// When it is not such a file.
pub fn devices_of(text: &str) -> Result<Vec<Device>, DevicesError> {
    let file: File = toml::from_str(text).map_err(|error| DevicesError::Syntax(Box::new(error)))?;
    let mut seen = std::collections::BTreeSet::new();
    match file.device.iter().find(|device| !seen.insert(device.id)) {
        Some(twice) => Err(DevicesError::Twice(twice.id)),
        None => Ok(file.device),
    }
}

/// The kiosk, or other client, that signed the request.
///
/// `X-Time` is covered by the signature but not held against the platform's clock: a kiosk whose clock
/// battery is dead must still be able to settle its orders, and every request may be repeated without
/// doing anything twice.
pub(crate) fn signer<'a, R: Registered>(
    registered: &'a BTreeMap<DeviceId, R>,
    request: &Request,
) -> Result<&'a R, Fail> {
    let unknown = |title: &str| Fail::from(ProblemCode::DeviceUnknown.because(title));
    let (Some(id), Some(time), Some(signature)) = (&request.device, &request.time, &request.signature) else {
        return Err(unknown("X-Device, X-Time or X-Signature is missing"));
    };
    let device = id
        .parse()
        .ok()
        .and_then(|id: DeviceId| registered.get(&id))
        .ok_or_else(|| unknown("the device is not registered"))?;
    let mismatch = || unknown("the request's signature does not verify");
    let signature: Signature = signature.parse().map_err(|_| mismatch())?;
    let message = to_be_signed(request.verb, &request.target, time, &request.body);
    device.key().verify(&message, &signature).map_err(|_| mismatch())?;
    Ok(device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::SecretKey;

    #[test]
    fn devices_are_read_and_nonsense_is_refused() {
        let key = SecretKey::from_bytes(&[7; 32]).unwrap().public();
        let one = format!(
            "[[device]]\nid = \"K-1\"\nkey = \"{key}\"\nname = \"大厅一号机\"\nprofile = \"district-hall\"\n"
        );
        let devices = devices_of(&one).unwrap();
        assert_eq!((devices[0].id.to_string(), &devices[0].key), ("K-1".to_owned(), &key));
        assert!(matches!(devices_of(&format!("{one}{one}")), Err(DevicesError::Twice(_))));
        for bad in [one.replace("K-1", "k 1"), one.replace("04", "05"), one.replace("name", "nam")] {
            assert!(matches!(devices_of(&bad), Err(DevicesError::Syntax(_))), "{bad}");
        }
        assert!(devices_of("").unwrap().is_empty());
    }
}
