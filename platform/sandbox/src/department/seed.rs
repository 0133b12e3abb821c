//! Bills of the demo residents, read from the file that seeds all programs of the demo city.
//!
//! The module reads only the fields that a water department would know.

use serde::Deserialize;

use super::bills::{Bill, PAYEE};
use crate::shell::{ResidentsError, parse_residents};

#[derive(Deserialize)]
struct Resident {
    id_number: String,
    #[serde(default)]
    bill: Vec<SeedBill>,
}

#[derive(Deserialize)]
struct SeedBill {
    key: String,
    account: String,
    address: String,
    period: String,
    usage_tonnes: u32,
    amount_fen: u32,
}

/// The bills in the text of `residents.toml`, each with the ID number of the person who owes it.
///
/// # Errors
/// When the text is not TOML or lacks a field.
pub fn parse_bills(text: &str) -> Result<Vec<(String, Bill)>, ResidentsError> {
    let bills = parse_residents::<Resident>(text)?.into_iter().flat_map(|resident| {
        let Resident { id_number, bill } = resident;
        bill.into_iter().map(move |bill| (id_number.clone(), bill.into()))
    });
    Ok(bills.collect())
}

impl From<SeedBill> for Bill {
    fn from(seed: SeedBill) -> Self {
        Self {
            key: seed.key,
            account: seed.account,
            address: seed.address,
            period: seed.period,
            usage: format!("{} 吨", seed.usage_tonnes),
            amount: seed.amount_fen.into(),
            payee: PAYEE.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_reads_only_the_bills() {
        let text = r#"
            [[resident]]
            id = "first"
            name = "张三"
            id_number = "person-1"
            [resident.card]
            number = "A1"
            [[resident.bill]]
            key = "w-1"
            account = "W-1"
            address = "渝中区"
            period = "2026-10"
            usage_tonnes = 12
            amount_fen = 8640
            [[resident]]
            id_number = "person-2"
        "#;
        let bills = parse_bills(text).unwrap();
        assert_eq!(bills.len(), 1);
        assert_eq!(
            (bills[0].0.as_str(), bills[0].1.usage.as_str(), bills[0].1.amount),
            ("person-1", "12 吨", 8640)
        );
    }

    #[test]
    fn seed_error_does_not_quote_the_file() {
        let error = parse_bills("[[resident]]\nid_number = \"person-1\"\nbill = 3").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("person-1"));
    }
}
