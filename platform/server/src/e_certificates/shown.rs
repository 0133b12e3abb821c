//! Licences as they are shown: masked, with what stands on every printout.

use std::collections::BTreeSet;

use contract::{AnswerRow, Bilingual, ItemMask, LicenceItem, LicenceKind, WatermarkPart};

use crate::e_certificates::held::{HeldLicence, ListedLicence, Standing};
use crate::residents::masking::{masked_name, masked_number};

/// Longest text of a row's field, in characters.
const FIELD_MAX: usize = 200;
/// What is shown in the place of a hidden value, however long it is.
const HIDDEN: &str = "******";

/// The value of an item as shown to its holder, masked because of bystanders.
pub(crate) fn masked_value(item: &LicenceItem, value: &str) -> String {
    match item.mask {
        ItemMask::None => value.to_owned(),
        ItemMask::Name => masked_name(value),
        ItemMask::Number => masked_number(value),
        ItemMask::Hidden => HIDDEN.to_owned(),
    }
}

/// What an extract or a printout may be used for, by whom, and until when.
pub(crate) struct Use<'a> {
    pub(crate) purpose: &'a str,
    pub(crate) recipient: &'a str,
    /// Last day, `YYYY-MM-DD`.
    pub(crate) last_day: &'a str,
}

/// The text of a watermark, with those parts that the kind names.
pub(crate) fn watermark(parts: &BTreeSet<WatermarkPart>, of: &Use<'_>) -> String {
    let text = |part: &WatermarkPart| match part {
        WatermarkPart::Purpose => format!("仅用于：{}", of.purpose),
        WatermarkPart::Recipient => format!("使用人：{}", of.recipient),
        WatermarkPart::Validity => format!("有效期至{}", of.last_day),
    };
    let text = parts.iter().map(text).collect::<Vec<_>>().join("；");
    text.chars().take(FIELD_MAX).collect()
}

fn row<const N: usize>(fields: [(&str, String); N]) -> AnswerRow {
    fields.map(|(name, value)| (name.to_owned(), value)).into()
}

/// The row of a licence in the list at a kiosk.
pub(crate) fn listed_row(kind: &LicenceKind, listed: &ListedLicence) -> AnswerRow {
    row([
        ("licence", kind.id.clone()),
        ("title", kind.title.zh.clone()),
        ("issuer", kind.issuer.zh.clone()),
        ("standing", listed.state.standing.words().0.to_owned()),
        ("validity", listed.state.period()),
    ])
}

/// A licence as one row: its masked items by name, and what the platform adds.
pub(crate) fn licence_row(kind: &LicenceKind, held: &HeldLicence, watermark: &str, today: &str) -> AnswerRow {
    let mut shown = row([
        ("title", kind.title.zh.clone()),
        ("issuer", kind.issuer.zh.clone()),
        ("standing", held.state.standing.words().0.to_owned()),
        ("validity", held.state.period()),
        ("as-of", today.to_owned()),
        ("watermark", watermark.to_owned()),
    ]);
    shown.extend(masked_items(kind, held).map(|(item, value)| (item.name.clone(), value)));
    shown
}

/// A licence as rows with one field, `entry`: for services that do not know the items of its kind.
pub(crate) fn licence_entries(
    kind: &LicenceKind,
    held: &HeldLicence,
    watermark: &str,
    today: &str,
) -> Vec<AnswerRow> {
    let items = masked_items(kind, held).map(|(item, value)| format!("{}：{value}", item.title.zh));
    // What it may be used for stands first: on a small panel the rest is on further pages.
    let head = [kind.title.zh.clone(), watermark.to_owned()];
    let foot = [
        format!("有效期：{}", held.state.period()),
        format!("发证单位：{}", kind.issuer.zh),
        format!("{}，{today} 查询", held.state.standing.words().0),
    ];
    let all = head.into_iter().chain(items).chain(foot);
    all.map(|text| row([("entry", text.chars().take(FIELD_MAX).collect())])).collect()
}

fn masked_items<'a>(
    kind: &'a LicenceKind,
    held: &'a HeldLicence,
) -> impl Iterator<Item = (&'a LicenceItem, String)> {
    kind.items.iter().filter_map(|item| Some((item, masked_value(item, held.items.get(&item.name)?))))
}

/// Title and masked value of each item.
pub(crate) fn titled_items(kind: &LicenceKind, held: &HeldLicence) -> Vec<(String, String)> {
    masked_items(kind, held).map(|(item, value)| (item.title.zh.clone(), value)).collect()
}

/// Why a licence that is held cannot be shown as a proof.
pub(crate) fn not_shown(kind: &LicenceKind, standing: Standing) -> Bilingual {
    let (zh, en) = standing.words();
    Bilingual {
        zh: format!("您的{}{zh}，不能出示", kind.title.zh),
        en: format!("{}: {en}, so it cannot be shown", kind.title.en),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mask_hides_what_it_says() {
        let value = "500112194803150422";
        for (mask, shown) in [
            (ItemMask::None, value),
            (ItemMask::Name, "5****************2"),
            (ItemMask::Number, "5001**********0422"),
            (ItemMask::Hidden, "******"),
        ] {
            let words = Bilingual { zh: "号".into(), en: "No".into() };
            let item = LicenceItem { name: "number".into(), title: words, mask };
            assert_eq!(masked_value(&item, value), shown);
        }
    }

    #[test]
    fn watermark_has_the_parts_of_its_kind() {
        let of = Use { purpose: "租房", recipient: "安居公司", last_day: "2026-11-24" };
        let all = [WatermarkPart::Validity, WatermarkPart::Recipient, WatermarkPart::Purpose].into();
        assert_eq!(watermark(&all, &of), "仅用于：租房；使用人：安居公司；有效期至2026-11-24");
        assert_eq!(watermark(&[WatermarkPart::Purpose].into(), &of), "仅用于：租房");
    }
}
