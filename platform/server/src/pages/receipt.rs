//! Page of an electronic receipt (电子凭条), fetched by its number and masked as it was printed.

use contract::{Receipt, ReceiptLine};
use rusqlite::OptionalExtension as _;

use super::{Value, escaped, not_found, page};
use crate::columns::value;
use crate::fail::Fail;
use crate::platform::Turn;
use crate::wire::{Reply, Response};

pub(crate) fn receipt(context: &Turn<'_>, number: &str) -> Result<Reply, Fail> {
    let stored: Option<String> = context
        .tx
        .query_row("SELECT content FROM receipts WHERE number = ?1", [number], |row| row.get(0))
        .optional()?;
    let Some(receipt) = stored.map(|stored| value::<Receipt>(&stored)).transpose()? else {
        return Ok(Response::html(404, not_found()).into());
    };
    let lines: String = receipt.lines.iter().map(line).collect();
    let html = page(
        include_str!("../../pages/receipt.html"),
        &[
            ("title", Value::Text(&receipt.title)),
            ("lines", Value::Html(&lines)),
            ("number", Value::Text(&receipt.number)),
        ],
    );
    Ok(Response::html(200, html).into())
}

fn line(line: &ReceiptLine) -> String {
    match line {
        ReceiptLine::Pair(label, value) => {
            format!("<div class=\"pair\"><span>{}</span><b>{}</b></div>", escaped(label), escaped(value))
        }
        ReceiptLine::Text(text) => format!("<p>{}</p>", escaped(text)),
        ReceiptLine::Amount(amount) => format!("<p class=\"amount\">{}</p>", escaped(amount)),
        ReceiptLine::Rule => "<hr>".to_owned(),
    }
}
