//! Phone of a demo resident, which presents online tokens (亮码). The page replaces the city's app for demonstrations
//! and tests only: it has no sign-in, by which the app knows its user.

use contract::ProblemCode;
use qrcode::{Color, EcLevel, QrCode};
use rusqlite::OptionalExtension as _;
use serde::Serialize;

use crate::codes::online_tokens::{TOKEN_TTL_MS, issue_token};
use crate::context::RequestContext;
use crate::messages::PlatformResponse;
use crate::pages::template::{TemplateValue, not_found_page, render_template};
use crate::peer_calls::PlatformReply;
use crate::request_error::RequestError;
use crate::residents::masking::masked_name;

/// Light modules around a QR code (ISO/IEC 18004, 9.1).
const QUIET_ZONE: usize = 4;

/// Answer to `GET /phone/{resident}/token`.
#[derive(Serialize)]
struct ShownCode {
    /// Text of the QR code.
    text: String,
    /// The QR code as an SVG element.
    svg: String,
    /// Time for which the code is accepted from now on, in milliseconds.
    lives_ms: u64,
}

pub(crate) fn phone_page(context: &RequestContext<'_>, slug: &str) -> Result<PlatformReply, RequestError> {
    let name: Option<String> = context
        .tx
        .query_row("SELECT name FROM residents WHERE slug = ?1", [slug], |row| row.get(0))
        .optional()?;
    let Some(name) = name else { return Ok(PlatformResponse::html(404, not_found_page()).into()) };
    let html = render_template(
        include_str!("../../pages/phone.html"),
        &[("name", TemplateValue::Text(&masked_name(&name)))],
    );
    Ok(PlatformResponse::html(200, html).into())
}

/// Issues a new online token (制码) for the page.
pub(crate) fn phone_page_token(
    context: &mut RequestContext<'_>,
    slug: &str,
) -> Result<PlatformReply, RequestError> {
    let resident: i64 = context
        .tx
        .query_row("SELECT resident FROM residents WHERE slug = ?1", [slug], |row| row.get(0))
        .optional()?
        .ok_or_else(|| ProblemCode::NotOffered.into_problem("there is no such demo resident"))?;
    let text = issue_token(context, resident)?;
    let svg = qr_svg(&text);
    Ok(PlatformResponse::json(&ShownCode { text, svg, lives_ms: TOKEN_TTL_MS }).into())
}

/// Renders a QR code as SVG, one unit per module; each run of dark modules is one subpath.
fn qr_svg(text: &str) -> String {
    let code = QrCode::with_error_correction_level(text, EcLevel::M)
        .expect("37 characters fit the smallest QR codes");
    let (modules, size) = (code.width(), code.width() + 2 * QUIET_ZONE);
    let mut path = String::new();
    for (y, row) in code.to_colors().chunks(modules).enumerate() {
        let mut x = 0;
        for run in row.chunk_by(|a, b| a == b) {
            if run.first() == Some(&Color::Dark) {
                path.push_str(&format!(
                    "M{} {}h{}v1h-{}z",
                    x + QUIET_ZONE,
                    y + QUIET_ZONE,
                    run.len(),
                    run.len()
                ));
            }
            x += run.len();
        }
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {size} {size}\" shape-rendering=\"crispEdges\" \
         role=\"img\" aria-label=\"渝快码\"><rect width=\"{size}\" height=\"{size}\" fill=\"#fff\"/>\
         <path d=\"{path}\" fill=\"#000\"/></svg>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qr_svg_has_quiet_zone_and_finder_pattern() {
        let svg = qr_svg("YK1:*62746QF60R6J%6%470ECJPC% CD8NNFW");
        assert!(svg.contains("viewBox=\"0 0 33 33\""), "{svg}");
        assert!(svg.contains("M4 4h7v1h-7z"), "{svg}");
    }
}
