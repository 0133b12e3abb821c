//! The demo residents, read into the card-holder base when the platform starts.
//!
//! A city fills its base by other means; only a demonstration reads people from a file. What the file
//! says of cards' PINs and of bills is not read: a PIN is the card's own, bills are the departments'.

use contract::CardStanding;
use rusqlite::{Transaction, params};
use serde::Deserialize;

use crate::columns::text;

/// A resident of the card-holder base. No `Debug`: it is a person's data.
#[derive(Deserialize)]
pub struct Resident {
    id: String,
    name: String,
    id_number: String,
    card: Card,
    insurance: Option<Insurance>,
}

#[derive(Deserialize)]
struct Card {
    identification: String,
    number: String,
    version: String,
    #[serde(default = "in_force")]
    standing: CardStanding,
}

#[derive(Deserialize)]
struct Insurance {
    balance_fen: u32,
    as_of: String,
    status: String,
    insurance: String,
    employer: String,
    months: u32,
}

const fn in_force() -> CardStanding {
    CardStanding::InForce
}

#[derive(Deserialize)]
struct File {
    resident: Vec<Resident>,
}

/// Why the file of demo residents is not read.
#[derive(Debug, thiserror::Error)]
#[error(
    "the file of demo residents cannot be read; it has [[resident]] tables with id, name, id_number, card"
)]
pub struct SeedError(#[source] Box<toml::de::Error>);

/// Reads the text of `residents.toml`.
///
/// # Errors
/// When it is not such a file. The error does not quote the file: it is people's data.
pub fn residents_of(text: &str) -> Result<Vec<Resident>, SeedError> {
    let file: File = toml::from_str(text).map_err(|mut error| {
        error.set_input(None);
        SeedError(Box::new(error))
    })?;
    Ok(file.resident)
}

/// Writes residents and cards; those already there take the file's particulars and keep their key.
pub(crate) fn enter(tx: &Transaction<'_>, residents: &[Resident]) -> rusqlite::Result<()> {
    for person in residents {
        let insurance = person.insurance.as_ref();
        let resident: i64 = tx.query_row(
            "INSERT INTO residents (slug, name, id_number, balance_fen, as_of, status, insurance, employer, months)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (slug) DO UPDATE SET name = ?2, id_number = ?3, balance_fen = ?4, as_of = ?5,
                 status = ?6, insurance = ?7, employer = ?8, months = ?9
             RETURNING resident",
            params![
                person.id,
                person.name,
                person.id_number,
                insurance.map(|i| i.balance_fen),
                insurance.map(|i| &i.as_of),
                insurance.map(|i| &i.status),
                insurance.map(|i| &i.insurance),
                insurance.map(|i| &i.employer),
                insurance.map(|i| i.months),
            ],
            |row| row.get(0),
        )?;
        let card = &person.card;
        tx.execute(
            "INSERT INTO cards (resident, number, identification, version, standing)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (number) DO UPDATE SET resident = ?1, identification = ?3, version = ?4, standing = ?5",
            params![resident, card.number, card.identification, card.version, text(&card.standing)],
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_residents_are_read_and_an_error_quotes_nobody() {
        let text = include_str!("../../../assets/residents.toml");
        assert!(residents_of(text).unwrap().iter().any(|person| person.name == "欧阳雪梅"));
        let error = residents_of(&text.replace("valid_to", "number")).err().unwrap();
        assert!(!format!("{error} {error:?}").contains("A1000"));
    }
}
