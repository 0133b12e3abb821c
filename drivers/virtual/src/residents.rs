//! The demo residents, as far as their cards know them.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// One demo resident.
#[derive(Clone, Deserialize)]
pub struct Resident {
    /// Name of the entry, for the bench.
    pub id: String,
    /// 姓名.
    pub name: String,
    /// 公民身份号码.
    pub id_number: String,
    /// `male` or `female`.
    pub sex: String,
    /// `YYYY-MM-DD`.
    pub birth_date: String,
    /// GB/T 3304 code.
    pub nation: String,
    /// GB/T 2260 code.
    pub birth_place: String,
    /// Their card.
    pub card: ResidentCard,
    /// Their ID card.
    pub id_card: ResidentIdCard,
}

/// The card of a demo resident.
#[derive(Clone, Deserialize)]
pub struct ResidentCard {
    /// 卡识别码, 32 hexadecimal digits.
    pub identification: String,
    /// 卡号.
    pub number: String,
    /// 规范版本.
    pub version: String,
    /// 发卡日期, `YYYYMMDD`.
    pub issued: String,
    /// 有效期, `YYYYMMDD`.
    pub valid_to: String,
    /// The holder's PIN.
    pub pin: String,
}

/// The ID card of a demo resident, as far as it is not the resident.
#[derive(Clone, Deserialize)]
pub struct ResidentIdCard {
    /// 住址.
    pub address: String,
    /// 签发机关.
    pub issuer: String,
    /// 有效期限, its first day, `YYYYMMDD`.
    pub valid_from: String,
    /// 有效期限, its last day, `YYYYMMDD` or 长期.
    pub valid_to: String,
}

#[derive(Deserialize)]
struct File {
    resident: Vec<Resident>,
}

/// Reads the file of demo residents.
///
/// # Errors
/// When it cannot be read.
pub fn read(path: &Path) -> Result<Vec<Resident>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Ok(toml::from_str::<File>(&text).context("the file of demo residents")?.resident)
}
