//! Moments as RFC 3339 text in UTC, with milliseconds.
//!
//! The calendar is the proleptic Gregorian one, counted in eras of 400 years that begin on 1 March.

use crate::time::Millis;

const DAY_MS: i64 = 86_400_000;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;
const ERA_DAYS: i64 = 146_097;

/// The moment as text, such as `2026-11-21T10:00:00.123Z`.
pub fn time(at: Millis) -> String {
    let (days, ms) = (at.0.div_euclid(DAY_MS), at.0.rem_euclid(DAY_MS));
    let (year, month, day) = date(days);
    let (hour, minute) = (ms / 3_600_000, ms / 60_000 % 60);
    let (second, milli) = (ms / 1_000 % 60, ms % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// The month of a moment in UTC: its text such as `2026-11`, when it begins, and when the next one does.
pub fn month(at: Millis) -> (String, Millis, Millis) {
    let (year, month, _) = date(at.0.div_euclid(DAY_MS));
    let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    let begins = |(year, month)| Millis(days(year, month, 1) * DAY_MS);
    (format!("{year:04}-{month:02}"), begins((year, month)), begins(next))
}

/// The day of a moment in UTC, counted from 1970-01-01.
pub const fn day(at: Millis) -> i64 {
    at.0.div_euclid(DAY_MS)
}

/// Reads RFC 3339 text with any offset; `None` when it is none, or names no day of the calendar.
pub fn read_time(text: &str) -> Option<Millis> {
    let bytes = text.as_bytes();
    let number = |range: std::ops::Range<usize>| -> Option<i64> {
        let digits = text.get(range)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let marks = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    let marked = marks.iter().all(|(at, mark)| bytes.get(*at) == Some(mark));
    if !marked || !matches!(bytes.get(10), Some(b'T' | b't' | b' ')) {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let days = days(year, month, day);
    if date(days) != (year, month, day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (milli, zone) = fraction(text.get(19..)?)?;
    let ms = hour * 3_600_000 + minute * 60_000 + second * 1_000 + milli - offset_ms(zone)?;
    Some(Millis(days * DAY_MS + ms))
}

/// The milliseconds of a fraction, and what follows it.
fn fraction(rest: &str) -> Option<(i64, &str)> {
    let Some(rest) = rest.strip_prefix('.') else { return Some((0, rest)) };
    let len = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, zone) = rest.split_at(len);
    let three: String = digits.chars().chain("000".chars()).take(3).collect();
    (len > 0).then(|| Some((three.parse().ok()?, zone)))?
}

fn offset_ms(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let two = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<i64>().ok())?
    };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60_000)
}

/// Year, month and day of a day counted from 1970-01-01.
const fn date(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH_DAYS;
    let era = days.div_euclid(ERA_DAYS);
    let of_era = days.rem_euclid(ERA_DAYS);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400;
    (if month <= 2 { year + 1 } else { year }, month, day)
}

/// The day counted from 1970-01-01; a day that is not in the calendar gives another one.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * month_from_march + 2) / 5 + day - 1;
    era * ERA_DAYS + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - EPOCH_DAYS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_moments_have_their_known_text() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_795_255_516_007, "2026-11-21T10:05:16.007Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(time(Millis(ms)), text);
            assert_eq!(read_time(text), Some(Millis(ms)));
        }
    }

    #[test]
    fn an_offset_and_a_long_fraction_are_read() {
        let noon = read_time("2026-11-21T12:00:00Z").unwrap();
        assert_eq!(read_time("2026-11-21T14:30:00.0004+02:30"), Some(noon));
        assert_eq!(read_time("2026-11-21t11:00:00.5-01:00"), Some(noon.plus(500)));
    }

    #[test]
    fn a_month_ends_where_the_next_begins() {
        for (at, text, days) in [
            ("2026-11-21T10:05:16.007Z", "2026-11", 30),
            ("2026-12-31T23:59:59.999Z", "2026-12", 31),
            ("2028-02-01T00:00:00Z", "2028-02", 29),
        ] {
            let at = read_time(at).unwrap();
            let (named, begins, ends) = month(at);
            assert_eq!((named.as_str(), day(ends) - day(begins)), (text, days));
            assert!(begins <= at && at < ends);
            assert_eq!(time(begins), format!("{text}-01T00:00:00.000Z"));
        }
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for wrong in [
            "",
            "2026-11-21",
            "2026-02-30T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-11-21T24:00:00Z",
            "2026-11-21T10:00:00",
            "2026-11-21T10:00:00.Z",
            "2026-11-21T10:00:00+2",
            "+026-11-21T10:00:00Z",
        ] {
            assert_eq!(read_time(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn every_moment_is_read_as_it_was_written(ms in 0_i64..253_402_300_800_000) {
            prop_assert_eq!(read_time(&time(Millis(ms))), Some(Millis(ms)));
        }
    }
}
