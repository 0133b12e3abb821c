//! The mission of the changed service: the title of a service in the city's own files, published while everything runs.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use contract::ServiceDocument;
use serde::Serialize;
use serde_json::{Value, json};

use crate::repository::{ServiceFile, service_files};

/// Longest title, in characters; the menu has no room for more.
const TITLE_CHARS_MAX: usize = 24;

/// Lines of a service document before and after a change.
#[derive(Debug, Serialize)]
pub(super) struct ServiceChange {
    file: String,
    version: u32,
    before: Vec<String>,
    after: Vec<String>,
}

/// Id, version and titles of each service in a folder.
pub(super) fn titles(folder: &Path) -> Result<Value> {
    let rows = service_files(folder)?.into_iter().map(|ServiceFile { document, .. }| {
        json!({
            "id": document.id,
            "version": document.version,
            "zh": document.title.zh,
            "en": document.title.en,
        })
    });
    Ok(rows.collect())
}

/// Gives one service this title and the next version.
pub(super) fn change_title(folder: &Path, service: &str, zh: &str, en: &str) -> Result<ServiceChange> {
    let files = service_files(folder)?;
    let ServiceFile { path, text, document } = files
        .iter()
        .find(|file| file.document.id == service)
        .with_context(|| format!("there is no service `{service}`"))?;
    let changed = with_title(text, document.version + 1, zh, en)?;
    let name = path.file_name().context("a service document without a name")?;
    fs::write(path, &changed)?;
    let different = |a: &str, b: &str| -> Vec<String> {
        a.lines().zip(b.lines()).filter(|(one, other)| one != other).map(|(one, _)| one.to_owned()).collect()
    };
    Ok(ServiceChange {
        file: name.to_string_lossy().into_owned(),
        version: document.version + 1,
        before: different(text, &changed),
        after: different(&changed, text),
    })
}

/// The document with another title and version; everything else stays, comments too.
fn with_title(text: &str, version: u32, zh: &str, en: &str) -> Result<String> {
    for title in [zh, en] {
        let length = title.chars().count();
        if title.trim().is_empty() || length > TITLE_CHARS_MAX || title.chars().any(char::is_control) {
            bail!("a title has 1 to {TITLE_CHARS_MAX} characters; this one has {length}");
        }
    }
    let [zh, en] = [zh, en].map(|title| toml::Value::String(title.to_owned()));
    let mut head = true;
    let lines = text.lines().map(|line| {
        head &= !line.starts_with('[');
        if head && line.starts_with("version = ") {
            format!("version = {version}\n")
        } else if head && line.starts_with("title = ") {
            format!("title = {{ zh = {zh}, en = {en} }}\n")
        } else {
            format!("{line}\n")
        }
    });
    let changed: String = lines.collect();
    let document = ServiceDocument::parse(&changed).context("the changed service document")?;
    if document.version != version {
        bail!("the service document has no line for its version");
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::services_folder;

    fn balance() -> String {
        fs::read_to_string(services_folder().join("medical-balance.toml")).unwrap()
    }

    #[test]
    fn title_and_version_change_and_nothing_else() {
        let before = balance();
        let changed = with_title(&before, 2, "我的\"医保\"余额", "My balance").unwrap();
        let document = ServiceDocument::parse(&changed).unwrap();
        assert_eq!(document.title.zh, "我的\"医保\"余额");
        assert_eq!((document.title.en.as_str(), document.version), ("My balance", 2));
        let different = before.lines().zip(changed.lines()).filter(|(a, b)| a != b).count();
        assert_eq!((different, changed.lines().count()), (2, before.lines().count()));
    }

    #[test]
    fn empty_and_overlong_titles_are_refused() {
        for title in ["", "  ", "a\nb", &"长".repeat(TITLE_CHARS_MAX + 1)] {
            assert!(with_title(&balance(), 2, title, "x").is_err(), "{title:?}");
        }
    }

    #[test]
    fn every_service_has_its_titles_listed() {
        let titles = titles(&services_folder()).unwrap();
        let ids: Vec<&str> =
            titles.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect();
        assert!(ids.contains(&"medical.balance") && ids.contains(&"water.pay"), "{ids:?}");
    }
}
