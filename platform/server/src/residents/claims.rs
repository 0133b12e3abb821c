//! Claims, evaluated for a resident.

use contract::UnixMs;

use crate::config::disclosures::Claim;
use crate::context::RequestContext;

/// Whether the claim holds for this resident now.
pub(crate) fn evaluate_claim(
    context: &RequestContext<'_>,
    claim: Claim,
    resident: i64,
) -> rusqlite::Result<bool> {
    let (status, id_number): (Option<String>, String) = context.tx.query_row(
        "SELECT status, id_number FROM residents WHERE resident = ?1",
        [resident],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(match claim {
        // Retired persons (退休人员) are insured without paying; any other status is not insured.
        Claim::Insured => matches!(status.as_deref(), Some("正常参保" | "退休")),
        Claim::Over60 => has_reached_sixty(&id_number, context.now),
    })
}

/// Whether the person of this ID number is at least sixty years old today, by the date in Chongqing (UTC+8).
fn has_reached_sixty(id_number: &str, now: UnixMs) -> bool {
    let Ok(today) = jiff::Timestamp::from_millisecond(i64::try_from(now.0).unwrap_or(i64::MAX)) else {
        return false;
    };
    let today = today.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(8))).strftime("%Y%m%d").to_string();
    let number = |day: &str| day.parse::<u32>().ok();
    match (id_number.get(6..14).and_then(number), number(&today)) {
        (Some(born), Some(today)) => born + 60_00_00 <= today,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_is_reached_at_midnight_of_birthday_in_chongqing() {
        // 2026-11-24 in Chongqing begins at 16:00 of the day before, UTC.
        let midnight = UnixMs(1_795_449_600_000);
        assert!(has_reached_sixty("500112196611240422", midnight));
        assert!(!has_reached_sixty("500112196611240422", UnixMs(midnight.0 - 1)));
        assert!(!has_reached_sixty("500112", midnight));
    }
}
