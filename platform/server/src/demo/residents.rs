//! Demo residents, read from a file into the card-holder base when the platform starts.
//!
//! For demonstrations and tests only; a city fills its base by other means. PINs in the file are not
//! read: they belong to the cards.

use contract::CardStatus;
use rusqlite::{Transaction, params};
use serde::Deserialize;

use crate::store::columns::to_json_column;

/// A resident of the demo file. No `Debug`: personal data.
#[derive(Deserialize)]
pub struct DemoResident {
    id: String,
    name: String,
    id_number: String,
    card: DemoCard,
    insurance: Option<DemoInsurance>,
}

#[derive(Deserialize)]
struct DemoCard {
    identification: String,
    number: String,
    version: String,
    #[serde(default = "in_force")]
    standing: CardStatus,
}

#[derive(Deserialize)]
struct DemoInsurance {
    status: String,
    insurance: String,
}

const fn in_force() -> CardStatus {
    CardStatus::InForce
}

#[derive(Deserialize)]
struct ResidentsFile {
    resident: Vec<DemoResident>,
}

/// Why the file of demo residents cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot parse the file of demo residents; expected [[resident]] tables with id, name, id_number, card"
)]
pub struct DemoResidentsError(#[source] Box<toml::de::Error>);

/// Parses the text of `residents.toml`.
///
/// # Errors
/// [`DemoResidentsError`], which does not quote the file: it holds personal data.
pub fn parse_demo_residents(text: &str) -> Result<Vec<DemoResident>, DemoResidentsError> {
    let file: ResidentsFile = toml::from_str(text).map_err(|mut error| {
        error.set_input(None);
        DemoResidentsError(Box::new(error))
    })?;
    Ok(file.resident)
}

/// Inserts residents and cards; existing ones are updated from the file and keep their row key.
pub(crate) fn insert_residents(tx: &Transaction<'_>, residents: &[DemoResident]) -> rusqlite::Result<()> {
    for person in residents {
        let insurance = person.insurance.as_ref();
        let resident: i64 = tx.query_row(
            "INSERT INTO residents (slug, name, id_number, status, insurance) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (slug) DO UPDATE SET name = ?2, id_number = ?3, status = ?4, insurance = ?5
             RETURNING resident",
            params![
                person.id,
                person.name,
                person.id_number,
                insurance.map(|insurance| &insurance.status),
                insurance.map(|insurance| &insurance.insurance),
            ],
            |row| row.get(0),
        )?;
        let card = &person.card;
        tx.execute(
            "INSERT INTO cards (resident, number, identification, version, standing)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (number) DO UPDATE SET resident = ?1, identification = ?3, version = ?4, standing = ?5",
            params![resident, card.number, card.identification, card.version, to_json_column(&card.standing)],
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demo_residents_parse_and_error_quotes_no_personal_data() {
        let text = include_str!("../../../../assets/residents.toml");
        assert!(parse_demo_residents(text).unwrap().iter().any(|person| person.name == "欧阳雪梅"));
        let error = parse_demo_residents(&text.replace("valid_to", "number")).err().unwrap();
        assert!(!format!("{error} {error:?}").contains("A1000"));
    }
}
