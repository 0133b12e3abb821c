//! The rows of all queries in the database: seeded from the data files, changed by what residents do.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::check::ANY;
use super::data::{DepartmentData, Query, QueryRow, plain};
use super::signatures::{sm3, to_hex};
use super::values::Value;
use super::wire::Input;

/// A row is for any person.
pub(crate) const ANYONE: &str = "*";
/// A row is for nobody in particular.
pub(crate) const NOBODY: &str = "";

/// A row of a query.
#[derive(Clone)]
pub(crate) struct StoredRow {
    pub(crate) id: i64,
    /// [`NOBODY`], [`ANYONE`] or an ID number.
    pub(crate) person: String,
    /// The input to which the row is given.
    pub(crate) input: Input,
    pub(crate) fields: BTreeMap<String, Value>,
    pub(crate) again: bool,
    /// The row that this one replaces for its person.
    pub(crate) base: Option<i64>,
    /// The submission that added it.
    pub(crate) submission: Option<String>,
    position: i64,
    removed: bool,
}

impl StoredRow {
    /// Whether the row is given to this input.
    pub(crate) fn answers(&self, input: &Input) -> bool {
        self.input.iter().all(|(field, value)| input.get(field) == Some(value))
    }

    /// Whether the input does not speak of another row: a field that was not entered decides nothing.
    pub(crate) fn agrees(&self, input: &Input) -> bool {
        self.input.iter().all(|(field, value)| input.get(field).is_none_or(|entered| entered == value))
    }
}

/// JSON as it is stored.
pub(crate) fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// JSON that this program stored; a database that was changed by hand gives the default.
pub(crate) fn from_json<T: DeserializeOwned + Default>(text: &str) -> T {
    serde_json::from_str(text).unwrap_or_default()
}

/// Values as they are stored.
pub(crate) fn fields_to_json(fields: &BTreeMap<String, Value>) -> String {
    to_json(&fields.iter().map(|(name, value)| (name, value.to_json())).collect::<BTreeMap<_, _>>())
}

fn row_from_sql(row: &Row<'_>) -> rusqlite::Result<StoredRow> {
    let input: String = row.get("input")?;
    let fields: String = row.get("fields")?;
    let fields: BTreeMap<String, serde_json::Value> = from_json(&fields);
    Ok(StoredRow {
        id: row.get("id")?,
        person: row.get("person")?,
        input: from_json(&input),
        fields: fields.iter().map(|(name, value)| (name.clone(), Value::from_json(value))).collect(),
        again: row.get("again")?,
        base: row.get("base")?,
        submission: row.get("submission")?,
        position: row.get("position")?,
        removed: row.get("removed")?,
    })
}

/// The rows that a person sees (`None`: nobody is asked about), whatever the input. Rows that residents added stand first, the
/// newest before the others; then those of the file.
pub(crate) fn rows_of(
    db: &Connection,
    department: &str,
    operation: &str,
    id_number: Option<&str>,
) -> rusqlite::Result<Vec<StoredRow>> {
    let mut select = db.prepare_cached(
        "SELECT * FROM rows WHERE department = ?1 AND operation = ?2 AND person IN ('', ?3, ?4) ORDER BY position, id",
    )?;
    let anyone = id_number.map_or(NOBODY, |_| ANYONE);
    let rows = select
        .query_map(params![department, operation, anyone, id_number.unwrap_or_default()], row_from_sql)?;
    let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let replaced: BTreeSet<i64> = rows.iter().filter_map(|row| row.base).collect();
    Ok(rows.into_iter().filter(|row| !row.removed && !replaced.contains(&row.id)).collect())
}

/// A row that something adds.
pub(crate) struct AddedRow<'a> {
    pub(crate) person: &'a str,
    pub(crate) input: &'a Input,
    pub(crate) fields: &'a BTreeMap<String, Value>,
    pub(crate) submission: Option<&'a str>,
}

/// Adds a row before all others.
pub(crate) fn add_row(
    db: &Connection,
    department: &str,
    operation: &str,
    row: &AddedRow<'_>,
) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO rows (department, operation, person, input, fields, submission, position)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6,
                 (SELECT min(0, ifnull(min(position), 0)) - 1 FROM rows WHERE department = ?1 AND operation = ?2))",
        params![
            department,
            operation,
            row.person,
            to_json(row.input),
            fields_to_json(row.fields),
            row.submission
        ],
    )?;
    Ok(())
}

/// Changes a row's fields, or removes it (`None`). A row that any person sees is replaced for this person alone.
pub(crate) fn change_row(
    db: &Connection,
    department: &str,
    operation: &str,
    id_number: &str,
    row: &StoredRow,
    fields: Option<&BTreeMap<String, Value>>,
) -> rusqlite::Result<()> {
    let removed = fields.is_none();
    let fields = fields_to_json(fields.unwrap_or(&row.fields));
    if row.person == ANYONE {
        db.execute(
            "INSERT INTO rows (department, operation, person, input, fields, again, position, base, removed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                department,
                operation,
                id_number,
                to_json(&row.input),
                fields,
                row.again,
                row.position,
                row.id,
                removed
            ],
        )?;
    } else {
        db.execute(
            "UPDATE rows SET fields = ?1, removed = ?2 WHERE id = ?3",
            params![fields, removed, row.id],
        )?;
    }
    Ok(())
}

/// Brings the rows of the data files into the database. A row of a file that is there already keeps what residents
/// changed; one that is no longer in its file goes, with what residents changed in it.
pub(crate) fn seed(tx: &Transaction<'_>, data: &DepartmentData) -> rusqlite::Result<()> {
    let mut kept = BTreeSet::new();
    for (department, file) in &data.departments {
        for query in file.queries.iter().map(|query| query.get_ref()) {
            seed_query(tx, data, department, query, &mut kept)?;
        }
    }
    let mut seeded = tx.prepare("SELECT id FROM rows WHERE seed IS NOT NULL")?;
    let ids = seeded.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
    for id in ids.into_iter().filter(|id| !kept.contains(id)) {
        tx.execute("DELETE FROM rows WHERE id = ?1 OR base = ?1", [id])?;
    }
    Ok(())
}

fn seed_query(
    tx: &Transaction<'_>,
    data: &DepartmentData,
    department: &str,
    query: &Query,
    kept: &mut BTreeSet<i64>,
) -> rusqlite::Result<()> {
    let operation = query.operation.get_ref();
    let mut same: BTreeMap<String, u32> = BTreeMap::new();
    for (position, row) in (0_i64..).zip(&query.rows) {
        let row = row.get_ref();
        let person = seed_person(data, row);
        let (input, fields) = (to_json(&row.when), fields_to_json(&plain(&row.values)));
        let written = format!("{person}\n{input}\n{fields}\n{}", row.again);
        let copy = same.entry(written.clone()).or_default();
        let seed = to_hex(&sm3(&[written.as_bytes(), &copy.to_be_bytes()]));
        *copy += 1;
        let known: Option<i64> = tx
            .query_row(
                "SELECT id FROM rows WHERE department = ?1 AND operation = ?2 AND seed = ?3",
                params![department, operation, seed],
                |row| row.get(0),
            )
            .optional()?;
        if let Some(id) = known {
            tx.execute("UPDATE rows SET position = ?1 WHERE id = ?2 OR base = ?2", params![position, id])?;
            kept.insert(id);
        } else {
            tx.execute(
                "INSERT INTO rows (department, operation, person, input, fields, again, position, seed)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![department, operation, person, input, fields, row.again, position, seed],
            )?;
            kept.insert(tx.last_insert_rowid());
        }
    }
    Ok(())
}

fn seed_person<'a>(data: &'a DepartmentData, row: &QueryRow) -> &'a str {
    match &row.resident {
        None => NOBODY,
        Some(id) if id.get_ref() == ANY => ANYONE,
        Some(id) => data.residents.get(id.get_ref()).map_or(NOBODY, |resident| &resident.id_number),
    }
}
