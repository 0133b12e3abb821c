//! Submissions (办件): what a resident hands in at a kiosk, sealed to the department that decides it.
//!
//! A submission is no request: its record is the message. It reaches the department exactly once, however long the link is down.
//! Neither the kiosk's disk nor the platform can read what was entered.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sm_crypto::{PublicKey, sm3, to_hex};
use sm2::pke::EncryptingKey;
use zeroize::Zeroizing;

use crate::bilingual::Bilingual;
use crate::code::{Statement, StatementError};
use crate::envelope::EnvelopeRng;
use crate::operation::DepartmentId;

/// The key that submissions to a department are sealed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DepartmentKey {
    /// The department.
    pub id: DepartmentId,
    /// Its name, as residents know it.
    pub name: Bilingual,
    /// An SM2 key for encryption.
    pub key: PublicKey,
}

/// 部门密钥表: the departments that take submissions. Signed with the catalogue's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DepartmentKeys {
    /// The departments, each once.
    pub departments: Vec<DepartmentKey>,
}

impl Statement for DepartmentKeys {
    const DOMAIN: &'static [u8] = b"department-keys/1";

    fn check(&self) -> Result<(), StatementError> {
        let different: BTreeSet<&DepartmentId> =
            self.departments.iter().map(|department| &department.id).collect();
        if different.len() == self.departments.len() {
            Ok(())
        } else {
            Err(StatementError::Invalid("a department is in the list twice"))
        }
    }
}

/// Keys of the sealed object beside the inputs. No operation has an input of these names.
const SALT: &str = "salt";
const PERSON_ID_NUMBER: &str = "person.id-number";
const PERSON_NAME: &str = "person.name";

/// Whether a name is free for an input.
pub(crate) fn is_input_name(name: &str) -> bool {
    name != SALT && !name.starts_with("person.")
}

/// Who submits. No `Debug`: personal data.
#[derive(Clone, Copy)]
pub struct SubmittingPerson<'a> {
    /// 公民身份号码.
    pub id_number: &'a str,
    /// 姓名.
    pub name: &'a str,
}

/// What a resident entered, sealed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SealedSubmission {
    /// SM2Cipher (GM/T 0009-2012, 7.2; DER) of the JSON object of all inputs, in hexadecimal.
    pub sealed: String,
    /// SM3 of that JSON, in hexadecimal. The JSON has a random `salt`, so that nobody can guess its content and compare.
    pub hash: String,
}

impl DepartmentKey {
    /// Seals the inputs, and who submits them where the kiosk knows it: the record then needs nothing that a platform could have
    /// forgotten. `seed` must be fresh: all secret values are derived from it.
    ///
    /// # Panics
    /// Never: the JSON is not empty, the key is a point other than infinity, and the randomness does not fail.
    #[must_use]
    pub fn seal(
        &self,
        person: Option<SubmittingPerson<'_>>,
        input: &BTreeMap<String, Zeroizing<String>>,
        seed: &Zeroizing<[u8; 32]>,
    ) -> SealedSubmission {
        let mut drawn = EnvelopeRng::new(seed);
        let mut salt = Zeroizing::new([0; 16]);
        drawn.fill(salt.as_mut_slice());
        let salt = Zeroizing::new(to_hex(salt.as_slice()));
        let mut whole: BTreeMap<&str, &str> =
            input.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        whole.insert(SALT, salt.as_str());
        if let Some(SubmittingPerson { id_number, name }) = person {
            whole.insert(PERSON_ID_NUMBER, id_number);
            whole.insert(PERSON_NAME, name);
        }
        let json = Zeroizing::new(serde_json::to_vec(&whole).expect("texts by name are always JSON"));
        let sealed = EncryptingKey::new(self.key.to_curve_key()).encrypt_der(&mut drawn, &json).expect(
            "a point other than infinity, a message that is not empty, randomness that does not fail",
        );
        SealedSubmission { sealed: to_hex(&sealed), hash: to_hex(&sm3(&[&json])) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sm_crypto::{SecretKey, from_hex};
    use sm2::pke::DecryptingKey;

    fn key() -> DepartmentKey {
        let name = Bilingual { zh: "社保局".into(), en: "Social insurance".into() };
        let key = SecretKey::from_bytes(&[7; 32]).unwrap().public();
        DepartmentKey { id: "social-insurance".parse().unwrap(), name, key }
    }

    #[test]
    fn department_opens_what_was_sealed_and_no_two_seals_are_alike() {
        let input = BTreeMap::from([("phone".to_owned(), Zeroizing::new("13800000000".to_owned()))]);
        let person = SubmittingPerson { id_number: "500112194803150422", name: "张桂英" };
        let seal = |seed| key().seal(Some(person), &input, &Zeroizing::new([seed; 32]));
        let (one, other) = (seal(1), seal(2));
        assert_ne!(one.sealed, other.sealed);
        assert_ne!(one.hash, other.hash, "the hash does not show that the content is the same");

        let bytes: Vec<u8> = (0..one.sealed.len() / 2)
            .map(|at| u8::from_str_radix(&one.sealed[at * 2..at * 2 + 2], 16).unwrap())
            .collect();
        let opened = DecryptingKey::from_slice(&[7; 32]).unwrap().decrypt_der(&bytes).unwrap();
        let opened_input: BTreeMap<String, String> = serde_json::from_slice(&opened).unwrap();
        assert_eq!(opened_input["phone"], "13800000000");
        assert_eq!(opened_input["person.id-number"], "500112194803150422");
        assert_eq!(opened_input["person.name"], "张桂英");
        assert_eq!(opened_input["salt"].len(), 32);
        assert_eq!(from_hex::<32>(&one.hash), Some(sm3(&[&opened])));
    }

    #[test]
    fn list_with_a_department_twice_is_refused() {
        assert_eq!(DepartmentKeys { departments: vec![key()] }.check(), Ok(()));
        assert!(DepartmentKeys { departments: vec![key(), key()] }.check().is_err());
    }
}
