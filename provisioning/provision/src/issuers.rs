//! Issuer keys (发码密钥): the keys that sign a city's codes, made and replaced under its offline root.
//!
//! One directory has the files for the platform: `issuer-keys.json`, the list signed by the root; `issuer-N.key`, the
//! secret keys of the listed issuers; `revoker.key`. The first call creates the directory; each further call adds an
//! issuer key, which signs from now on, and keeps older keys in the list until the last code under them has ended.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use contract::{IssuerKey, IssuerKeys, SecretKey, SignedStatement, UnixMs};

use crate::keys;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// The list and the key are valid from this long before they are made, because kiosks' clocks may be behind.
const BACKDATED_MS: u64 = DAY_MS;
const LIST_FILE: &str = "issuer-keys.json";

/// Adds an issuer key and signs the list.
pub(crate) fn add_issuer_key(directory: &Path, root: &Path, city: &str, days: u16) -> Result<IssuerKeys> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).context("the system clock is before 1970")?;
    let now = UnixMs(u64::try_from(since.as_millis()).context("the system clock is out of range")?);
    add_issuer_key_at(directory, &keys::read_secret_key(root)?, city, days, now)
}

fn add_issuer_key_at(
    directory: &Path,
    root: &SecretKey,
    city: &str,
    days: u16,
    now: UnixMs,
) -> Result<IssuerKeys> {
    fs::create_dir_all(directory)?;
    let path = directory.join(LIST_FILE);
    let before = if path.exists() { Some(read_list(&path, root)?) } else { None };
    let (begins, ends) = (UnixMs(now.0.saturating_sub(BACKDATED_MS)), now.plus_ms(u64::from(days) * DAY_MS));
    let revoker = match &before {
        Some(list) => list.revoker.clone(),
        None => {
            keys::write_key_pair(directory, "revoker")?;
            keys::read_secret_key(&directory.join("revoker.key"))?.public()
        }
    };
    let mut issuers = before.as_ref().map(|list| list.issuers.clone()).unwrap_or_default();
    let last = issuers.iter().max_by_key(|issuer| issuer.not_before).map_or(0, |issuer| issuer.id);
    issuers.retain(|issuer| issuer.not_after > now);
    let id = (1..=u8::MAX)
        .map(|step| last.wrapping_add(step))
        .find(|id| issuers.iter().all(|issuer| issuer.id != *id))
        .context("all 256 ids of issuer keys are in use: wait until one has ended")?;
    let name = format!("issuer-{id}");
    for ended in [format!("{name}.key"), format!("{name}.pub")].map(|file| directory.join(file)) {
        // An id is reused only when its key is no longer listed.
        if ended.exists() {
            fs::remove_file(ended)?;
        }
    }
    keys::write_key_pair(directory, &name)?;
    let key = keys::read_secret_key(&directory.join(format!("{name}.key")))?.public();
    issuers.push(IssuerKey { id, key, not_before: begins, not_after: ends });
    let list = IssuerKeys {
        city: city.to_owned(),
        version: before
            .map_or(Some(1), |list| list.version.checked_add(1))
            .context("the version number of the list is exhausted")?,
        not_before: begins,
        not_after: issuers.iter().map(|issuer| issuer.not_after).max().unwrap_or(ends),
        revoker,
        issuers,
    };
    let signed = SignedStatement::sign(&list, root);
    ensure!(signed.open(&root.public()).is_ok(), "kiosks would refuse this list: check --city and --days");
    // Written to a temporary file and renamed, so that the platform never reads a partial list.
    let fresh = directory.join("issuer-keys.json.new");
    fs::write(&fresh, serde_json::to_vec(&signed)?)?;
    fs::File::open(&fresh)?.sync_all()?;
    fs::rename(fresh, path)?;
    Ok(list)
}

fn read_list(path: &Path, root: &SecretKey) -> Result<IssuerKeys> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let signed: SignedStatement<IssuerKeys> =
        serde_json::from_str(&text).context("issuer-keys.json is not a signed list of issuer keys")?;
    signed.open(&root.public()).context("issuer-keys.json is not signed by this root key")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_issuer_key_keeps_older_ones_until_they_end() {
        let directory = std::env::temp_dir().join(format!("provision-issuers-{}", std::process::id()));
        let root = SecretKey::from_bytes(&[7; 32]).unwrap();
        let begin = UnixMs(1_795_500_000_000);
        let first = add_issuer_key_at(&directory, &root, "YK", 90, begin).unwrap();
        assert_eq!((first.version, first.issuers.len(), first.issuers[0].id), (1, 1, 1));
        let second = add_issuer_key_at(&directory, &root, "YK", 90, begin.plus_ms(60 * DAY_MS)).unwrap();
        assert_eq!(second.issuers.iter().map(|issuer| issuer.id).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(second.revoker, first.revoker);
        let third = add_issuer_key_at(&directory, &root, "YK", 90, begin.plus_ms(120 * DAY_MS)).unwrap();
        assert_eq!(third.issuers.iter().map(|issuer| issuer.id).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(third.version, 3);
        for id in 1..=3 {
            assert!(directory.join(format!("issuer-{id}.key")).exists());
        }
        assert_eq!(read_list(&directory.join(LIST_FILE), &root).unwrap(), third);

        let stranger = SecretKey::from_bytes(&[8; 32]).unwrap();
        assert!(add_issuer_key_at(&directory, &stranger, "YK", 90, begin).is_err());
        assert!(add_issuer_key_at(&directory.join("other"), &root, "yk", 90, begin).is_err());
        fs::remove_dir_all(&directory).unwrap();
    }
}
