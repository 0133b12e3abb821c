//! The register and the tickets. Tickets live in memory: one that a restart loses is made again by looking again.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// A ticket is good for this long.
const TICKET_MS: u64 = 5 * 60 * 1000;
/// Most tickets that wait; beyond it the oldest are forgotten.
const TICKETS_MAX: usize = 10_000;

/// A name and an ID number that are said to be one person's. No `Debug`: it is a person's data.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// 姓名.
    pub name: String,
    /// 公民身份号码.
    pub id_number: String,
}

/// Asks whom a ticket is about.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redeem {
    /// The ticket.
    pub ticket: String,
}

/// Whom the service saw. No `Debug`: it is a person's data.
#[derive(Serialize, Deserialize)]
pub struct Seen {
    /// How sure it is: `in-person` for 实人核验.
    pub assurance: String,
    /// 姓名.
    pub name: String,
    /// 公民身份号码.
    pub id_number: String,
    /// 身份凭证: names this person to this service from now on, and says nothing to anybody else.
    pub credential: String,
}

/// Asks how a credential stands.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// As [`Seen`] gave it.
    pub credential: String,
}

/// How a credential stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Its person is who they were.
    Valid,
    /// Nothing may rest on it any more: the person has to be seen again.
    Ended,
    /// This service did not give it, or has forgotten that it did.
    Unknown,
}

/// Why the file of demo residents is not read.
#[derive(Debug, thiserror::Error)]
#[error("the file of demo residents is not as expected: it has [[resident]] tables with name and id_number")]
pub struct SeedError(#[source] Box<toml::de::Error>);

/// The persons, and the tickets that wait.
#[derive(Default)]
pub struct Register {
    persons: BTreeSet<Claim>,
    tickets: BTreeMap<String, (Claim, u64)>,
    /// Whose each is, and whether it still stands.
    credentials: BTreeMap<String, (Claim, Standing)>,
}

impl Register {
    /// The persons in the text of `residents.toml`.
    ///
    /// # Errors
    /// When it is not TOML or lacks a field. The error quotes nobody.
    pub fn of(text: &str) -> Result<Self, SeedError> {
        #[derive(Deserialize)]
        struct File {
            resident: Vec<Person>,
        }
        #[derive(Deserialize)]
        struct Person {
            name: String,
            id_number: String,
        }
        let file: File = toml::from_str(text).map_err(|mut error| {
            error.set_input(None);
            SeedError(Box::new(error))
        })?;
        let persons = file.resident.into_iter();
        let persons = persons.map(|Person { name, id_number }| Claim { name, id_number }).collect();
        Ok(Self { persons, ..Self::default() })
    }

    /// 实名核验: whether name and number are one person's.
    #[must_use]
    pub fn matches(&self, claim: &Claim) -> bool {
        self.persons.contains(claim)
    }

    /// 实人核验: the person is here. Gives the ticket, whose text must be fresh random.
    pub fn see(&mut self, claim: Claim, ticket: String, now_ms: u64) -> Option<String> {
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

    /// Whom a ticket is about; once. The credential's text must be fresh random.
    pub fn redeem(&mut self, request: &Redeem, credential: String, now_ms: u64) -> Option<Seen> {
        let (claim, until) = self.tickets.remove(&request.ticket)?;
        if until <= now_ms {
            return None;
        }
        self.credentials.insert(credential.clone(), (claim.clone(), Standing::Valid));
        let Claim { name, id_number } = claim;
        Some(Seen { assurance: "in-person".to_owned(), name, id_number, credential })
    }

    /// How a credential stands.
    #[must_use]
    pub fn standing(&self, credential: &Credential) -> Standing {
        self.credentials.get(&credential.credential).map_or(Standing::Unknown, |(_, standing)| *standing)
    }

    /// All credentials of a person end. They may be seen again, and have a new one then.
    pub fn end(&mut self, claim: &Claim) {
        for (of, standing) in self.credentials.values_mut() {
            if of == claim {
                *standing = Standing::Ended;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(name: &str, id_number: &str) -> Claim {
        Claim { name: name.into(), id_number: id_number.into() }
    }

    fn register() -> Register {
        Register::of("[[resident]]\nname = \"张三\"\nid_number = \"1\"\ncard = 2\n").unwrap()
    }

    #[test]
    fn a_ticket_is_for_a_known_person_and_redeemed_once() {
        let mut register = register();
        assert!(register.see(claim("张三", "2"), "a".into(), 0).is_none());
        assert_eq!(register.see(claim("张三", "1"), "b".into(), 0), Some("b".into()));
        let ticket = Redeem { ticket: "b".into() };
        let seen = register.redeem(&ticket, "c".into(), 1).unwrap();
        assert_eq!((seen.name.as_str(), seen.id_number.as_str()), ("张三", "1"));
        assert!(register.redeem(&ticket, "d".into(), 1).is_none());
    }

    #[test]
    fn a_credential_stands_until_its_person_is_not_to_be_relied_on() {
        let mut register = register();
        register.see(claim("张三", "1"), "a".into(), 0).unwrap();
        let given = register.redeem(&Redeem { ticket: "a".into() }, "c".into(), 1).unwrap().credential;
        let credential = Credential { credential: given };
        assert_eq!(register.standing(&credential), Standing::Valid);
        register.end(&claim("李四", "2"));
        assert_eq!(register.standing(&credential), Standing::Valid);
        register.end(&claim("张三", "1"));
        assert_eq!(register.standing(&credential), Standing::Ended);
        assert_eq!(register.standing(&Credential { credential: "x".into() }), Standing::Unknown);
        register.see(claim("张三", "1"), "b".into(), 0).unwrap();
        register.redeem(&Redeem { ticket: "b".into() }, "d".into(), 1).unwrap();
        assert_eq!(register.standing(&Credential { credential: "d".into() }), Standing::Valid);
    }

    #[test]
    fn a_ticket_ends_after_five_minutes() {
        let mut register = register();
        register.see(claim("张三", "1"), "a".into(), 0).unwrap();
        register.see(claim("张三", "1"), "b".into(), 0).unwrap();
        assert!(register.redeem(&Redeem { ticket: "a".into() }, "c".into(), TICKET_MS - 1).is_some());
        assert!(register.redeem(&Redeem { ticket: "b".into() }, "d".into(), TICKET_MS).is_none());
    }

    #[test]
    fn an_error_in_the_file_quotes_nobody() {
        let error = Register::of("[[resident]]\nname = \"张三\"\n").err().unwrap();
        assert!(!format!("{error} {error:?}").contains("张三"));
    }
}
