//! The departments of a city, as the platform calls them: their addresses and their keys.

use std::collections::BTreeMap;

use serde::Deserialize;
use sm_crypto::PublicKey;

use crate::id::RelyingPartyId;
use crate::operation::{DepartmentId, Operations};
use crate::submission::{DepartmentKey, DepartmentKeys};
use crate::toml_place::{TomlError, parse_toml};

/// Most bytes of the file.
const TEXT_MAX: usize = 256 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListFile {
    platform: RelyingPartyId,
    #[serde(default)]
    department: Vec<RegisteredDepartment>,
}

/// A department's adapter.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisteredDepartment {
    /// The department.
    pub id: DepartmentId,
    /// Base URL of its adapter, without a slash at its end.
    pub url: String,
    /// The key that it signs its answers with.
    pub key: PublicKey,
    /// The key that submissions to it are sealed to; `None`: it takes none.
    pub sealing: Option<PublicKey>,
}

/// What is wrong with a file of departments.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DepartmentsProblem {
    /// The department is in the file twice.
    #[error("department `{0}` is in the file twice")]
    Twice(DepartmentId),
    /// The URL cannot be one.
    #[error(
        "`{0}` is no base URL: give http://, host and path, without a slash at the end; to an adapter with TLS, the address of a \
         proxy on this host"
    )]
    Url(String),
}

/// 部门名录: the departments that the platform calls, and the name under which it signs its requests to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepartmentList {
    /// The name under which the platform signs.
    pub platform: RelyingPartyId,
    departments: BTreeMap<DepartmentId, RegisteredDepartment>,
}

impl DepartmentList {
    /// Reads `departments.toml`: the id of the platform, and an entry for each department.
    ///
    /// # Errors
    /// With line and column.
    pub fn parse(text: &str) -> Result<Self, TomlError<DepartmentsProblem>> {
        let file: ListFile = parse_toml(text, TEXT_MAX)?;
        let mut departments = BTreeMap::new();
        for (at, department) in file.department.into_iter().enumerate() {
            let fault = |key, problem| TomlError::of_item(text, "department", at, key, problem);
            // The platform's client has no TLS: messages are signed, and a proxy on the platform's host encrypts them.
            let host = department.url.strip_prefix("http://");
            if host.is_none_or(|host| host.is_empty() || host.ends_with('/')) {
                return Err(fault("url", DepartmentsProblem::Url(department.url)));
            }
            let id = department.id.clone();
            if departments.insert(id.clone(), department).is_some() {
                return Err(fault("id", DepartmentsProblem::Twice(id)));
            }
        }
        Ok(Self { platform: file.platform, departments })
    }

    /// The department, if the platform may call it.
    #[must_use]
    pub fn get(&self, id: &DepartmentId) -> Option<&RegisteredDepartment> {
        self.departments.get(id)
    }

    /// All departments.
    pub fn departments(&self) -> impl Iterator<Item = &RegisteredDepartment> {
        self.departments.values()
    }

    /// The departments that take submissions, for kiosks.
    pub(crate) fn submission_keys(&self, operations: &Operations) -> DepartmentKeys {
        let keys = self.departments.values().filter_map(|department| {
            let name = operations.department(&department.id)?.name.clone();
            Some(DepartmentKey { id: department.id.clone(), name, key: department.sealing.clone()? })
        });
        DepartmentKeys { departments: keys.collect() }
    }
}

#[cfg(test)]
mod tests {
    use sm_crypto::SecretKey;

    use super::*;

    fn parse(text: &str) -> Result<DepartmentList, String> {
        let public = SecretKey::from_bytes(&[3; 32]).unwrap().public().to_string();
        DepartmentList::parse(&text.replace("KEY", &public)).map_err(|error| error.to_string())
    }

    const GOOD: &str = r#"
platform = "CQ-PLATFORM"
[[department]]
id = "water"
url = "http://127.0.0.1:8083/water"
key = "KEY"
"#;

    #[test]
    fn departments_file_with_a_mistake_names_line_and_reason() {
        let list = parse(GOOD).map_err(|error| assert_eq!(error, "")).unwrap();
        assert!(list.get(&"water".parse().unwrap()).is_some());
        for (from, to, line, expected) in [
            ("http://127.0.0.1:8083/water", "127.0.0.1", 5, "is no base URL"),
            ("/water\"", "/water/\"", 5, "without a slash at the end"),
            ("http://", "https://", 5, "the address of a proxy on this host"),
            ("\"KEY\"", "\"12\"", 6, "in hexadecimal"),
            ("key =", "keys =", 6, "unknown field `keys`"),
            ("\"CQ-PLATFORM\"", "\"cq\"", 2, "id of a relying party or of the platform"),
        ] {
            let Err(error) = parse(&GOOD.replacen(from, to, 1)) else { panic!("{to} was accepted") };
            assert!(error.starts_with(&format!("line {line},")) && error.contains(expected), "{error}");
        }
        let twice = format!("{GOOD}{}", GOOD.split_once("\"CQ-PLATFORM\"\n").unwrap().1);
        assert!(parse(&twice).is_err_and(|error| error.contains("in the file twice")));
    }

    #[test]
    fn directory_names_keys_only_of_departments_with_operations() {
        let list = parse(&GOOD.replace("key =", "sealing = \"KEY\"\nkey =")).unwrap();
        let operations = Operations::parse(
            "[[department]]\nid = \"water\"\nname = { zh = \"水\", en = \"Water\" }\n\n[[operation]]\nname = \"water.state\"\n\
             department = \"water\"\nkind = \"query\"\nanswer = { state = \"text\" }\n",
        )
        .unwrap();
        let names = |operations: &Operations| list.submission_keys(operations).departments.len();
        assert_eq!((names(&operations), names(&Operations::default())), (1, 0));
    }
}
