//! The demo residents: the data on their cards.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// One demo resident.
#[derive(Clone, Deserialize)]
pub struct BenchResident {
    /// Id of the entry, used by the bench.
    pub id: String,
    /// Name. 姓名.
    pub name: String,
    /// Citizen ID number. 公民身份号码.
    pub id_number: String,
    /// Sex, `male` or `female`.
    pub sex: String,
    /// Date of birth, `YYYY-MM-DD`.
    pub birth_date: String,
    /// Ethnic group, GB/T 3304 code.
    pub nation: String,
    /// Place of birth, GB/T 2260 code.
    pub birth_place: String,
    /// The resident's social security card.
    pub card: BenchResidentCard,
    /// The resident's ID card.
    pub id_card: BenchResidentIdCard,
}

/// The social security card of a demo resident.
#[derive(Clone, Deserialize)]
pub struct BenchResidentCard {
    /// Card identification, 32 hexadecimal digits. 卡识别码.
    pub identification: String,
    /// Card number. 卡号.
    pub number: String,
    /// Version of the card specification, such as `3.00`. 规范版本.
    pub version: String,
    /// Date of issue, `YYYYMMDD`. 发卡日期.
    pub issued: String,
    /// Last day of validity, `YYYYMMDD`. 有效期.
    pub valid_to: String,
    /// The holder's PIN.
    pub pin: String,
}

/// The data on a demo resident's ID card that [`BenchResident`] does not hold.
#[derive(Clone, Deserialize)]
pub struct BenchResidentIdCard {
    /// Address. 住址.
    pub address: String,
    /// Issuing authority. 签发机关.
    pub issuer: String,
    /// First day of validity, `YYYYMMDD`. 有效期限.
    pub valid_from: String,
    /// Last day of validity, `YYYYMMDD` or 长期 (unlimited).
    pub valid_to: String,
}

#[derive(Deserialize)]
struct BenchResidentsFile {
    resident: Vec<BenchResident>,
}

/// Reads the file of demo residents.
///
/// # Errors
/// When the file cannot be read or is invalid.
pub fn read_residents(path: &Path) -> Result<Vec<BenchResident>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Ok(toml::from_str::<BenchResidentsFile>(&text)
        .context("cannot parse the file of demo residents")?
        .resident)
}
