//! Publications: all documents of a city that kiosks and platform work by, signed together, offline.
//!
//! `provision service publish` makes one from the directories of services, operations and licences and the file of departments. A
//! running platform takes it into force as a whole or refuses it as a whole; the kiosks get the services by the feed. The
//! platform has no key that could sign a service.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sm_crypto::{PublicKey, SecretKey, Signature, sm3};

use crate::api::SignedServiceDocument;
use crate::code::{SignedStatement, Statement, StatementError};
use crate::department_list::{DepartmentList, DepartmentsProblem};
use crate::licence::LicenceProblem;
use crate::operation::{DepartmentId, Operations, OperationsProblem};
use crate::service::ServiceDocument;
use crate::service_check::ServiceDocumentError;
use crate::submission::DepartmentKeys;
use crate::time::UnixMs;
use crate::toml_place::TomlError;

/// The texts of a publication, each with the name of its file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublicationSources {
    /// Service documents.
    pub services: Vec<SourceFile>,
    /// Operations, a file for each department.
    pub operations: Vec<SourceFile>,
    /// Kinds of e-certificates.
    pub licences: Vec<SourceFile>,
    /// The list of departments, see [`DepartmentList::parse`].
    pub departments: String,
}

/// A text with the name of its file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceFile {
    /// Name of the file, for error messages.
    pub name: String,
    /// Its content.
    pub text: String,
}

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PublishedFiles {
    number: u64,
    made: UnixMs,
    services: Vec<PublishedService>,
    operations: Vec<SourceFile>,
    licences: Vec<SourceFile>,
    departments: String,
    department_keys: SignedStatement<DepartmentKeys>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PublishedService {
    name: String,
    text: String,
    signature: Signature,
}

impl Statement for PublishedFiles {
    const DOMAIN: &'static [u8] = b"publication/1";
    /// A city has a few hundred services of a few kilobytes.
    const TEXT_MAX: usize = 32 * 1024 * 1024;

    fn check(&self) -> Result<(), StatementError> {
        Ok(())
    }
}

/// Why files cannot be published, or a publication cannot be taken into force.
#[derive(Debug, thiserror::Error)]
pub enum PublicationError {
    /// A service document has a mistake, or calls what no operation offers.
    #[error("{0}: {1}")]
    Service(String, Box<ServiceDocumentError>),
    /// Two documents have the same id.
    #[error("{0}: service `{1}` is in another file, too")]
    ServiceTwice(String, String),
    /// A file of operations has a mistake.
    #[error("{0}: {1}")]
    Operations(String, TomlError<OperationsProblem>),
    /// A department or an operation is in two files.
    #[error("{0}: {1}")]
    OperationsTwice(String, OperationsProblem),
    /// A service calls an operation of a department that is not in the list.
    #[error(
        "department `{0}` is called by the service `{1}`, and is not in the list of departments: add [[department]] with id, url and key"
    )]
    NoDepartment(DepartmentId, String),
    /// A file of a licence kind has a mistake.
    #[error("{0}: {1}")]
    Licence(String, TomlError<LicenceProblem>),
    /// The list of departments has a mistake.
    #[error("the list of departments: {0}")]
    Departments(TomlError<DepartmentsProblem>),
    /// It is not signed with the city's catalogue key, or its content is not that of a publication.
    #[error("the publication was not accepted: {0}")]
    Statement(#[from] StatementError),
    /// The text is not that of a signed publication.
    #[error("the file is no publication: make it with `provision service publish`")]
    NoPublication,
    /// A service inside is signed with another key.
    #[error("{0}: the service document is not signed with the city's catalogue key")]
    ServiceSignature(String),
}

/// 公布: the documents of a city that are in force together. They fit each other.
#[derive(Clone, Debug)]
pub struct Publication {
    number: u64,
    made: UnixMs,
    digest: [u8; 32],
    documents: BTreeMap<String, (ServiceDocument, SignedServiceDocument)>,
    operations: Operations,
    departments: DepartmentList,
    department_keys: SignedStatement<DepartmentKeys>,
}

impl Publication {
    /// Checks the files, signs them, and returns the publication beside its text. `number` rises with each publication.
    ///
    /// # Errors
    /// [`PublicationError`], with file, line and column.
    pub fn sign(
        number: u64,
        made: UnixMs,
        sources: PublicationSources,
        key: &SecretKey,
    ) -> Result<(Self, String), PublicationError> {
        let PublicationSources { services, operations, licences, departments } = sources;
        let all = read_operations(&operations, &licences)?;
        let list = DepartmentList::parse(&departments).map_err(PublicationError::Departments)?;
        let department_keys = SignedStatement::sign(&list.submission_keys(&all), key);
        let services = services.into_iter().map(|SourceFile { name, text }| {
            let signature = key.sign(&SignedServiceDocument::to_be_signed(&text));
            PublishedService { name, text, signature }
        });
        let services = services.collect();
        let files =
            PublishedFiles { number, made, services, operations, licences, departments, department_keys };
        let signed = SignedStatement::sign(&files, key);
        let text = serde_json::to_string(&signed).map_err(|_| PublicationError::NoPublication)?;
        Ok((Self::from_files(files, &signed, all, list)?, text))
    }

    /// Reads a publication and checks everything in it, as if nobody had.
    ///
    /// # Errors
    /// [`PublicationError`].
    pub fn open(text: &str, key: &PublicKey) -> Result<Self, PublicationError> {
        let signed: SignedStatement<PublishedFiles> =
            serde_json::from_str(text).map_err(|_| PublicationError::NoPublication)?;
        let files = signed.open(key)?;
        for PublishedService { name, text, signature } in &files.services {
            key.verify(&SignedServiceDocument::to_be_signed(text), signature)
                .map_err(|_| PublicationError::ServiceSignature(name.clone()))?;
        }
        files.department_keys.open(key)?;
        let operations = read_operations(&files.operations, &files.licences)?;
        let list = DepartmentList::parse(&files.departments).map_err(PublicationError::Departments)?;
        Self::from_files(files, &signed, operations, list)
    }

    fn from_files(
        files: PublishedFiles,
        signed: &SignedStatement<PublishedFiles>,
        operations: Operations,
        departments: DepartmentList,
    ) -> Result<Self, PublicationError> {
        let mut documents = BTreeMap::new();
        for PublishedService { name, text, signature } in files.services {
            let signed = SignedServiceDocument { text, signature };
            let parsed = ServiceDocument::parse(&signed.text).and_then(|document| {
                document.check_calls(&signed.text, &operations)?;
                Ok(document)
            });
            let document =
                parsed.map_err(|error| PublicationError::Service(name.clone(), Box::new(error)))?;
            let id = document.id.clone();
            if documents.insert(id.clone(), (document, signed)).is_some() {
                return Err(PublicationError::ServiceTwice(name, id));
            }
        }
        let called =
            operations.operations().filter(|operation| departments.get(&operation.department).is_none());
        for operation in called {
            let calls = |document: &ServiceDocument| {
                document.steps.iter().any(|step| step.call() == Some(operation.name.as_str()))
            };
            if let Some((id, _)) = documents.iter().find(|(_, (document, _))| calls(document)) {
                return Err(PublicationError::NoDepartment(operation.department.clone(), id.clone()));
            }
        }
        let digest = sm3(&[signed.text().as_bytes()]);
        let PublishedFiles { number, made, department_keys, .. } = files;
        Ok(Self { number, made, digest, documents, operations, departments, department_keys })
    }

    /// Its number, which rises with each publication.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// When it was made.
    #[must_use]
    pub const fn made(&self) -> UnixMs {
        self.made
    }

    /// SM3 of what was signed: two publications of one number and of different content have different ones.
    #[must_use]
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// A service document.
    #[must_use]
    pub fn document(&self, service: &str) -> Option<&ServiceDocument> {
        self.signed_document(service).map(|(document, _)| document)
    }

    /// A service document, and as it is signed for kiosks.
    #[must_use]
    pub fn signed_document(&self, service: &str) -> Option<&(ServiceDocument, SignedServiceDocument)> {
        self.documents.get(service)
    }

    /// All service documents, each as it is signed for kiosks.
    pub fn documents(&self) -> impl Iterator<Item = (&ServiceDocument, &SignedServiceDocument)> {
        self.documents.values().map(|(document, signed)| (document, signed))
    }

    /// The operations, and the kinds of licence.
    #[must_use]
    pub const fn operations(&self) -> &Operations {
        &self.operations
    }

    /// The departments.
    #[must_use]
    pub const fn departments(&self) -> &DepartmentList {
        &self.departments
    }

    /// The keys that submissions are sealed to, as signed for kiosks.
    #[must_use]
    pub const fn department_keys(&self) -> &SignedStatement<DepartmentKeys> {
        &self.department_keys
    }
}

fn read_operations(
    operations: &[SourceFile],
    licences: &[SourceFile],
) -> Result<Operations, PublicationError> {
    let mut all = Operations::default();
    for SourceFile { name, text } in operations {
        let one =
            Operations::parse(text).map_err(|error| PublicationError::Operations(name.clone(), error))?;
        all.add(one).map_err(|problem| PublicationError::OperationsTwice(name.clone(), problem))?;
    }
    for SourceFile { name, text } in licences {
        all.add_licence(text).map_err(|error| PublicationError::Licence(name.clone(), error))?;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = include_str!("../../../assets/services/water-pay.toml");
    const OPERATIONS: &str = include_str!("../../../assets/operations/water.toml");

    fn file(name: &str, text: &str) -> SourceFile {
        SourceFile { name: name.into(), text: text.into() }
    }

    fn key(byte: u8) -> SecretKey {
        SecretKey::from_bytes(&[byte; 32]).unwrap()
    }

    fn sources() -> PublicationSources {
        let public = key(3).public();
        PublicationSources {
            services: vec![file("water-pay.toml", DOCUMENT)],
            operations: vec![file("water.toml", OPERATIONS)],
            licences: Vec::new(),
            departments: format!(
                "platform = \"CQ-PLATFORM\"\n[[department]]\nid = \"water\"\nurl = \"http://127.0.0.1:1/water\"\n\
                 key = \"{public}\"\nsealing = \"{public}\"\n"
            ),
        }
    }

    fn signed(sources: PublicationSources) -> Result<(Publication, String), String> {
        Publication::sign(7, UnixMs(9), sources, &key(1)).map_err(|error| error.to_string())
    }

    #[test]
    fn publication_is_read_as_it_was_signed() {
        let (made, text) = signed(sources()).unwrap();
        let read = Publication::open(&text, &key(1).public()).unwrap();
        assert_eq!((read.number(), read.made(), read.digest()), (7, UnixMs(9), made.digest()));
        let id = made.documents().next().unwrap().0.id.clone();
        assert!(read.document(&id).is_some() && read.operations().get("water.bills").is_some());
        let (_, document) = read.documents().next().unwrap();
        assert_eq!((document.text.as_str(), document.verify(&key(1).public())), (DOCUMENT, Ok(())));
        let keys = read.department_keys().open(&key(1).public()).unwrap();
        assert_eq!((keys.departments.len(), read.departments().departments().count()), (1, 1));
    }

    #[test]
    fn publication_of_another_key_or_changed_is_refused() {
        let (_, text) = signed(sources()).unwrap();
        let open = |text: &str, by: u8| {
            Publication::open(text, &key(by).public()).map(drop).map_err(|error| error.to_string())
        };
        assert!(open(&text, 2).unwrap_err().contains("signature does not verify"));
        let changed = text.replacen("水费", "电费", 1);
        assert_ne!(changed, text);
        assert!(open(&changed, 1).unwrap_err().contains("signature does not verify"));
        assert!(open("{}", 1).unwrap_err().contains("no publication"));
        assert_eq!(open(&text, 1), Ok(()));
    }

    #[test]
    fn mistakes_name_the_file() {
        let mistakes = |change: fn(&mut PublicationSources)| {
            let mut sources = sources();
            change(&mut sources);
            signed(sources).map(drop).unwrap_err()
        };
        let found = [
            mistakes(|all| all.services[0].text = DOCUMENT.replacen("do = ", "does = ", 1)),
            mistakes(|all| all.services.push(file("again.toml", DOCUMENT))),
            mistakes(|all| all.operations[0].text.push_str("\nmore = 1\n")),
            mistakes(|all| all.operations.push(file("again.toml", OPERATIONS))),
            mistakes(|all| all.licences.push(file("permit.toml", "id = 1"))),
            mistakes(|all| all.departments.push_str("more = 1")),
            mistakes(|all| all.operations.clear()),
        ];
        let expected = [
            "water-pay.toml: line ",
            "again.toml: service `",
            "water.toml: line ",
            "again.toml: ",
            "permit.toml: line ",
            "the list of departments: line ",
            "water-pay.toml: line ",
        ];
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found}");
        }
    }
}
