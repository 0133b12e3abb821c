//! The file of the demo residents, which seeds all programs of the demo city. Each sandbox reads only the fields that
//! its organisation would know.

use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Why the file of demo residents is rejected. The error holds no personal data.
#[derive(Debug, thiserror::Error)]
#[error(
    "the file of demo residents is not valid: it needs [[resident]] tables with all that this sandbox reads"
)]
pub struct ResidentsError(#[source] Box<toml::de::Error>);

/// The text of the file.
///
/// # Errors
/// When the file cannot be read.
pub fn read_residents(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).context("cannot read the file of demo residents")
}

/// The `[[resident]]` tables in the text of the file.
///
/// # Errors
/// When the text is not TOML or lacks a field.
pub(crate) fn parse_residents<R: DeserializeOwned>(text: &str) -> Result<Vec<R>, ResidentsError> {
    #[derive(Deserialize)]
    struct ResidentsFile<R> {
        resident: Vec<R>,
    }
    // The parser's message quotes the line, which may hold personal data; only the position is kept.
    let file: ResidentsFile<R> = toml::from_str(text).map_err(|mut error| {
        error.set_input(None);
        ResidentsError(Box::new(error))
    })?;
    Ok(file.resident)
}
