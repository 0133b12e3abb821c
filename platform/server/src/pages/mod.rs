//! Pages for people: the demo phone, a receipt fetched by its number, the operator's overview.
//!
//! Plain HTML without a framework; nothing is loaded from other origins. A page is a template with named
//! placeholders; values are escaped in this module and nowhere else.

mod admin;
mod phone;
mod receipt;

pub(crate) use admin::{admin_orders, admin_page};
pub(crate) use phone::{masked_name, masked_number, phone_page, phone_page_token};
pub(crate) use receipt::receipt_page;

/// The style that all pages share.
const STYLE: &str = include_str!("../../pages/style.css");

/// Page for an address that does not exist (404).
pub(crate) fn not_found_page() -> String {
    render_template(
        include_str!("../../pages/message.html"),
        &[
            ("title", TemplateValue::Text("没有找到")),
            ("text", TemplateValue::Text("请核对网址或凭条上的号码。Nothing was found here.")),
        ],
    )
}

/// Value of a placeholder in a template.
enum TemplateValue<'a> {
    /// Text, which is escaped.
    Text(&'a str),
    /// HTML built by this crate, which is inserted as it is.
    Html(&'a str),
}

/// Fills the `{{placeholders}}` of a template.
fn render_template(template: &str, values: &[(&str, TemplateValue<'_>)]) -> String {
    let mut filled = String::with_capacity(template.len() + STYLE.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let (place, after) = after.split_once("}}").unwrap_or((after, ""));
        match values.iter().find(|(name, _)| *name == place) {
            Some((_, TemplateValue::Text(text))) => filled.push_str(&escape_html(text)),
            Some((_, TemplateValue::Html(html))) => filled.push_str(html),
            None if place == "style" => filled.push_str(STYLE),
            None => {}
        }
        rest = after;
    }
    filled.push_str(rest);
    filled
}

fn escape_html(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn template_values_are_escaped_and_unknown_places_empty() {
        let hostile = "<script>\"{{title}}\" & 'x'";
        let filled = render_template("<p>{{text}}</p>{{gone}}", &[("text", TemplateValue::Text(hostile))]);
        assert_eq!(filled, "<p>&lt;script&gt;&quot;{{title}}&quot; &amp; &#39;x&#39;</p>");
    }
}
