//! Page of an electronic receipt (电子凭条), masked as it was printed. It is fetched by the secret in the QR code; the number on the
//! paper opens nothing, so that nobody can count through the receipts of others.

use contract::{Receipt, ReceiptLine};
use rusqlite::OptionalExtension as _;

use super::template::{TemplateValue, escape_html, not_found_page, render_template};
use crate::context::RequestContext;
use crate::messages::PlatformResponse;
use crate::peer_calls::PlatformReply;
use crate::request_error::RequestError;
use crate::store::columns::from_json_column;

pub(crate) fn receipt_page(
    context: &RequestContext<'_>,
    receipt: &str,
) -> Result<PlatformReply, RequestError> {
    let stored: Option<String> = context
        .tx
        .query_row("SELECT content FROM receipts_by_id WHERE receipt = ?1", [receipt], |row| row.get(0))
        .optional()?;
    let Some(receipt) = stored.map(|stored| from_json_column::<Receipt>(&stored)).transpose()? else {
        return Ok(PlatformResponse::html(404, not_found_page()).into());
    };
    let lines: String = receipt.lines.iter().map(receipt_line).collect();
    let html = render_template(
        include_str!("../../pages/receipt.html"),
        &[
            ("title", TemplateValue::Text(&receipt.title)),
            ("lines", TemplateValue::Html(&lines)),
            ("number", TemplateValue::Text(&receipt.number)),
        ],
    );
    Ok(PlatformResponse::html(200, html).into())
}

fn receipt_line(line: &ReceiptLine) -> String {
    match line {
        ReceiptLine::Pair(label, value) => {
            format!(
                "<div class=\"pair\"><span>{}</span><b>{}</b></div>",
                escape_html(label),
                escape_html(value)
            )
        }
        ReceiptLine::Text(text) => format!("<p>{}</p>", escape_html(text)),
        ReceiptLine::Amount(amount) => format!("<p class=\"amount\">{}</p>", escape_html(amount)),
        ReceiptLine::Rule => "<hr>".to_owned(),
    }
}
