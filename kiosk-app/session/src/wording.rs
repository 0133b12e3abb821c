//! Texts of service documents, and times, in the resident's language and place.

use contract::{Bilingual, LabelledField, PaymentMethod, UnixMs};
use jiff::Timestamp;
use jiff::tz::Offset;
use view::{Lang, TextId};

/// The text of a service document in this language.
pub(crate) fn in_language(words: &Bilingual, lang: Lang) -> &str {
    match lang {
        Lang::Zh => &words.zh,
        Lang::En => &words.en,
    }
}

/// A declared field's label.
pub(crate) fn label_of(label: &LabelledField, lang: Lang) -> &str {
    match lang {
        Lang::Zh => &label.zh,
        Lang::En => &label.en,
    }
}

/// The name of a payment method.
pub(crate) const fn method_name(method: PaymentMethod) -> TextId {
    match method {
        PaymentMethod::CardAccount => TextId::MethodCardAccount,
        PaymentMethod::ResidentCode => TextId::MethodResidentCode,
    }
}

/// The local civil time; that of the Unix epoch when the clock is out of range.
pub(crate) fn local_time(at: UnixMs, offset_minutes: i16) -> jiff::civil::DateTime {
    let offset = Offset::from_seconds(i32::from(offset_minutes) * 60).unwrap_or(Offset::UTC);
    let time = i64::try_from(at.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    offset.to_datetime(time.unwrap_or(Timestamp::UNIX_EPOCH))
}

/// Date and time to the second.
pub(crate) fn date_time(at: UnixMs, offset_minutes: i16) -> String {
    local_time(at, offset_minutes).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_time_is_local_and_epoch_when_out_of_range() {
        assert_eq!(date_time(UnixMs(0), 480), "1970-01-01 08:00:00");
        assert_eq!(date_time(UnixMs(u64::MAX), 480), "1970-01-01 08:00:00");
    }
}
