//! The register of persons, the tickets and the credentials. Tickets are kept in memory: after a restart the person is
//! verified again.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::shell::{ResidentsError, parse_residents};

/// Validity of a ticket in milliseconds.
const TICKET_MS: u64 = 5 * 60 * 1000;
/// Maximum number of open tickets; beyond it the oldest are dropped.
const TICKETS_MAX: usize = 10_000;

/// A name and an ID number that are claimed to belong to one person. No `Debug`: personal data.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonIdentity {
    /// 姓名.
    pub name: String,
    /// 公民身份号码.
    pub id_number: String,
}

/// Asks for the person of a ticket.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedeemRequest {
    /// Text of the ticket.
    pub ticket: String,
}

/// A person whom the service verified. No `Debug`: personal data.
#[derive(Serialize, Deserialize)]
pub struct RedeemAnswer {
    /// Assurance of the verification: `in-person` for 实人核验.
    pub assurance: String,
    /// 姓名.
    pub name: String,
    /// 公民身份号码.
    pub id_number: String,
    /// 身份凭证: an opaque name of this person at this service; without meaning to anybody else.
    pub credential: String,
}

/// Asks for the status of a credential.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialQuery {
    /// The credential from a [`RedeemAnswer`].
    pub credential: String,
}

/// Status of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialState {
    /// The credential is in force.
    Valid,
    /// The credential has ended: the person has to be verified again.
    Ended,
    /// This service did not issue the credential, or no longer has it.
    Unknown,
}

/// The persons, the open tickets and the credentials.
#[derive(Default)]
pub struct Register {
    persons: BTreeSet<PersonIdentity>,
    tickets: BTreeMap<String, (PersonIdentity, u64)>,
    /// Person and status of each credential.
    credentials: BTreeMap<String, (PersonIdentity, CredentialState)>,
}

impl Register {
    /// Reads the persons from the text of `residents.toml`.
    ///
    /// # Errors
    /// When the text is not TOML or lacks a field.
    pub fn from_toml(text: &str) -> Result<Self, ResidentsError> {
        #[derive(Deserialize)]
        struct Person {
            name: String,
            id_number: String,
        }
        let persons = parse_residents::<Person>(text)?.into_iter();
        let persons = persons.map(|Person { name, id_number }| PersonIdentity { name, id_number }).collect();
        Ok(Self { persons, ..Self::default() })
    }

    /// 实名核验: whether name and number belong to one person in the register.
    #[must_use]
    pub fn matches(&self, claim: &PersonIdentity) -> bool {
        self.persons.contains(claim)
    }

    /// 实人核验: issues the ticket of a verified person. The text of `ticket` must be fresh and random.
    pub fn issue_ticket(&mut self, claim: PersonIdentity, ticket: String, now_ms: u64) -> Option<String> {
        if !self.matches(&claim) {
            return None;
        }
        self.tickets.retain(|_, (_, until)| *until > now_ms);
        if self.tickets.len() >= TICKETS_MAX {
            let oldest = self.tickets.iter().min_by_key(|(_, (_, until))| *until).map(|(key, _)| key.clone());
            self.tickets.remove(&oldest?);
        }
        self.tickets.insert(ticket.clone(), (claim, now_ms.saturating_add(TICKET_MS)));
        Some(ticket)
    }

    /// Returns the person of a ticket, once. The text of `credential` must be fresh and random.
    pub fn redeem(
        &mut self,
        request: &RedeemRequest,
        credential: String,
        now_ms: u64,
    ) -> Option<RedeemAnswer> {
        let (claim, until) = self.tickets.remove(&request.ticket)?;
        if until <= now_ms {
            return None;
        }
        self.credentials.insert(credential.clone(), (claim.clone(), CredentialState::Valid));
        let PersonIdentity { name, id_number } = claim;
        Some(RedeemAnswer { assurance: "in-person".to_owned(), name, id_number, credential })
    }

    /// The status of a credential.
    #[must_use]
    pub fn credential_state(&self, credential: &CredentialQuery) -> CredentialState {
        self.credentials
            .get(&credential.credential)
            .map_or(CredentialState::Unknown, |(_, standing)| *standing)
    }

    /// Ends all credentials of a person. The person may be verified again and then gets a new credential.
    pub fn end_credentials(&mut self, claim: &PersonIdentity) {
        for (holder, standing) in self.credentials.values_mut() {
            if holder == claim {
                *standing = CredentialState::Ended;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(name: &str, id_number: &str) -> PersonIdentity {
        PersonIdentity { name: name.into(), id_number: id_number.into() }
    }

    fn register() -> Register {
        Register::from_toml("[[resident]]\nname = \"张三\"\nid_number = \"1\"\ncard = 2\n").unwrap()
    }

    #[test]
    fn ticket_is_for_a_known_person_and_redeemed_once() {
        let mut register = register();
        assert!(register.issue_ticket(claim("张三", "2"), "a".into(), 0).is_none());
        assert_eq!(register.issue_ticket(claim("张三", "1"), "b".into(), 0), Some("b".into()));
        let ticket = RedeemRequest { ticket: "b".into() };
        let seen = register.redeem(&ticket, "c".into(), 1).unwrap();
        assert_eq!((seen.name.as_str(), seen.id_number.as_str()), ("张三", "1"));
        assert!(register.redeem(&ticket, "d".into(), 1).is_none());
    }

    #[test]
    fn credential_is_valid_until_its_person_is_ended() {
        let mut register = register();
        register.issue_ticket(claim("张三", "1"), "a".into(), 0).unwrap();
        let given = register.redeem(&RedeemRequest { ticket: "a".into() }, "c".into(), 1).unwrap().credential;
        let credential = CredentialQuery { credential: given };
        assert_eq!(register.credential_state(&credential), CredentialState::Valid);
        register.end_credentials(&claim("李四", "2"));
        assert_eq!(register.credential_state(&credential), CredentialState::Valid);
        register.end_credentials(&claim("张三", "1"));
        assert_eq!(register.credential_state(&credential), CredentialState::Ended);
        assert_eq!(
            register.credential_state(&CredentialQuery { credential: "x".into() }),
            CredentialState::Unknown
        );
        register.issue_ticket(claim("张三", "1"), "b".into(), 0).unwrap();
        register.redeem(&RedeemRequest { ticket: "b".into() }, "d".into(), 1).unwrap();
        assert_eq!(
            register.credential_state(&CredentialQuery { credential: "d".into() }),
            CredentialState::Valid
        );
    }

    #[test]
    fn ticket_expires_after_five_minutes() {
        let mut register = register();
        register.issue_ticket(claim("张三", "1"), "a".into(), 0).unwrap();
        register.issue_ticket(claim("张三", "1"), "b".into(), 0).unwrap();
        assert!(register.redeem(&RedeemRequest { ticket: "a".into() }, "c".into(), TICKET_MS - 1).is_some());
        assert!(register.redeem(&RedeemRequest { ticket: "b".into() }, "d".into(), TICKET_MS).is_none());
    }

    #[test]
    fn seed_error_does_not_quote_the_file() {
        let error = Register::from_toml("[[resident]]\nname = \"张三\"\n").err().unwrap();
        assert!(!format!("{error} {error:?}").contains("张三"));
    }
}
