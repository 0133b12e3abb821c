//! Extracts of e-certificates (GB/T 36901): the part that a relying party receives with the holder's consent.
//!
//! An extract is not a redacted copy of the e-certificate: it is made for one recipient and one purpose, holds only the
//! items that the holder consented to and nothing that reveals the other items, and is signed under the city's root. So
//! the recipient can prove later what it received, and another party that obtains the extract cannot present it as
//! issued to itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::code::{IssuerKeys, SignedStatement, Statement, StatementError};
use crate::id::RelyingPartyId;
use crate::licence::TrustLevel;
use crate::time::UnixMs;
use sm_crypto::PublicKey;

/// Maximum number of items of one extract.
const ITEMS_MAX: usize = 16;

/// 电子证照摘要: an extract of an e-certificate. Signed by the revoker of the [`IssuerKeys`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ECertificateExtract {
    /// See [`IssuerKeys::city`].
    pub city: String,
    /// The platform's id of the e-certificate.
    #[serde(rename = "licence")]
    pub certificate: String,
    /// The common name of the e-certificate.
    pub title: String,
    /// The authority that issued the e-certificate.
    pub issuer: String,
    /// The id of the relying party that receives the extract.
    pub recipient: RelyingPartyId,
    /// The purpose, in the words that the holder read.
    pub purpose: String,
    /// The consent under which the extract is issued: 32 hexadecimal digits.
    pub consent: String,
    /// Value by name of item; at most 16.
    pub items: BTreeMap<String, String>,
    /// The time at which the items were true and the extract was issued.
    pub issued: UnixMs,
    /// The extract is not valid from this time on.
    pub until: UnixMs,
    /// Last day of the e-certificate itself, `YYYY-MM-DD`; `None`: it does not end, or an earlier platform did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_day: Option<String>,
    /// How far the data are trusted; `None`: an earlier platform did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<TrustLevel>,
    /// What stands on the extract wherever it is shown; `None`: an earlier platform did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermark: Option<String>,
}

impl Statement for ECertificateExtract {
    const DOMAIN: &'static [u8] = b"licence-extract/1";

    fn check(&self) -> Result<(), StatementError> {
        if self.items.is_empty() || self.items.len() > ITEMS_MAX {
            return Err(StatementError::Invalid("an extract has 1 to 16 items"));
        }
        if self.issued >= self.until {
            return Err(StatementError::Invalid("an extract expires before it is issued"));
        }
        Ok(())
    }
}

/// Why an extract is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ECertificateExtractError {
    /// The extract, or the list of keys that came with it, has no valid signature.
    #[error("the extract is not signed by the city: {0}")]
    Statement(#[from] StatementError),
    /// The list of keys is not in force, or belongs to another city.
    #[error("the city's list of keys is not in force: ask the platform for the extract again")]
    Keys,
    /// The extract was issued to another recipient.
    #[error("the extract was issued to another recipient: ask the holder for an extract of your own")]
    Recipient,
    /// The extract has expired or is not valid yet, or this machine's clock is wrong.
    #[error("the extract is not valid at this time: ask for it again, and check this machine's clock")]
    Time,
}

impl ECertificateExtract {
    /// Returns the extract if it is valid for `recipient` at `now`. `root` is the city's offline key; `keys` came with
    /// the extract.
    ///
    /// # Errors
    /// [`ECertificateExtractError`] says which check failed.
    pub fn open(
        signed: &SignedStatement<Self>,
        keys: &SignedStatement<IssuerKeys>,
        root: &PublicKey,
        recipient: RelyingPartyId,
        now: UnixMs,
    ) -> Result<Self, ECertificateExtractError> {
        let keys = keys.open(root)?;
        let extract = signed.open(&keys.revoker)?;
        if extract.city != keys.city || now < keys.not_before || now >= keys.not_after {
            return Err(ECertificateExtractError::Keys);
        }
        if extract.recipient != recipient {
            return Err(ECertificateExtractError::Recipient);
        }
        if now < extract.issued || now >= extract.until {
            return Err(ECertificateExtractError::Time);
        }
        Ok(extract)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sm_crypto::SecretKey;

    const NOW: UnixMs = UnixMs(1_795_449_600_000);

    fn key(byte: u8) -> SecretKey {
        SecretKey::from_bytes(&[byte; 32]).unwrap()
    }

    fn keys(root: &SecretKey) -> SignedStatement<IssuerKeys> {
        let (not_before, not_after) = (UnixMs(NOW.0 - 1000), NOW.plus_ms(3_600_000));
        let revoker = key(2).public();
        let list =
            IssuerKeys { city: "YK".into(), version: 1, not_before, not_after, revoker, issuers: vec![] };
        SignedStatement::sign(&list, root)
    }

    fn extract() -> ECertificateExtract {
        ECertificateExtract {
            city: "YK".into(),
            certificate: "medical-insurance".into(),
            title: "医疗保险参保凭证".into(),
            issuer: "重庆市医疗保障局".into(),
            recipient: "PHARMACY".parse().unwrap(),
            purpose: "医保购药".into(),
            consent: "00".repeat(16),
            items: [("insured".to_owned(), "是".to_owned())].into(),
            issued: NOW,
            until: NOW.plus_ms(600_000),
            last_day: Some("2036-06-01".into()),
            trust: Some(TrustLevel::A),
            watermark: Some("仅用于医保购药".into()),
        }
    }

    fn opened(
        signed: &SignedStatement<ECertificateExtract>,
        to: &str,
        now: UnixMs,
    ) -> Result<ECertificateExtract, ECertificateExtractError> {
        ECertificateExtract::open(signed, &keys(&key(1)), &key(1).public(), to.parse().unwrap(), now)
    }

    #[test]
    fn extract_opens_only_for_its_recipient_and_period() {
        let signed = SignedStatement::sign(&extract(), &key(2));
        assert_eq!(opened(&signed, "PHARMACY", NOW), Ok(extract()));
        assert_eq!(opened(&signed, "TILL", NOW), Err(ECertificateExtractError::Recipient));
        assert_eq!(opened(&signed, "PHARMACY", NOW.plus_ms(600_000)), Err(ECertificateExtractError::Time));
        assert_eq!(opened(&signed, "PHARMACY", UnixMs(NOW.0 - 1)), Err(ECertificateExtractError::Time));
        let later = ECertificateExtract { until: NOW.plus_ms(7_200_000), ..extract() };
        let signed = SignedStatement::sign(&later, &key(2));
        assert_eq!(opened(&signed, "PHARMACY", NOW.plus_ms(3_600_000)), Err(ECertificateExtractError::Keys));
        let elsewhere =
            SignedStatement::sign(&ECertificateExtract { city: "CD".into(), ..extract() }, &key(2));
        assert_eq!(opened(&elsewhere, "PHARMACY", NOW), Err(ECertificateExtractError::Keys));
    }

    #[test]
    fn extract_of_an_earlier_platform_is_still_read() {
        let earlier = ECertificateExtract { last_day: None, trust: None, watermark: None, ..extract() };
        let text = serde_json::to_string(&earlier).unwrap();
        assert!(
            !text.contains("last_day") && !text.contains("trust") && !text.contains("watermark"),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<ECertificateExtract>(&text).unwrap(), earlier);
    }

    #[test]
    fn extract_changed_or_signed_by_another_key_is_refused() {
        let signed = SignedStatement::sign(&extract(), &key(2));
        let text = serde_json::to_string(&signed).unwrap();
        for (from, to) in
            [("是", "否"), ("医保购药", "商业保险"), ("PHARMACY", "PHARMACX"), ("600000", "900000")]
        {
            let changed = text.replace(from, to);
            assert_ne!(changed, text, "{from}");
            let changed = serde_json::from_str(&changed).unwrap();
            assert!(
                matches!(opened(&changed, "PHARMACY", NOW), Err(ECertificateExtractError::Statement(_))),
                "{from}"
            );
        }
        let forged = SignedStatement::sign(&extract(), &key(3));
        assert!(matches!(opened(&forged, "PHARMACY", NOW), Err(ECertificateExtractError::Statement(_))));
        // A list of keys under another root does not make the forger's key valid.
        let theirs = ECertificateExtract::open(
            &signed,
            &keys(&key(3)),
            &key(1).public(),
            "PHARMACY".parse().unwrap(),
            NOW,
        );
        assert!(matches!(theirs, Err(ECertificateExtractError::Statement(_))));
        let empty =
            SignedStatement::sign(&ECertificateExtract { items: BTreeMap::new(), ..extract() }, &key(2));
        assert!(matches!(opened(&empty, "PHARMACY", NOW), Err(ECertificateExtractError::Statement(_))));
    }
}
