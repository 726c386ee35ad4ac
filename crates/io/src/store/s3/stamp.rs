//! Moments as S3 writes them.

use matinee_core::time::Millis;

const DAY_MS: i64 = 86_400_000;

/// `20261121T060000Z`, as signatures have it.
pub(in crate::store) fn basic(now: Millis) -> String {
    let (year, month, day, hour, minute, second) = parts(now);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// `2026-11-21T06:00:00.000Z`, as listings have it.
pub(in crate::store) fn extended(now: Millis) -> String {
    let (year, month, day, hour, minute, second) = parts(now);
    let ms = now.0.rem_euclid(1_000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// Reads the form of signatures.
pub(in crate::store) fn parse_basic(text: &str) -> Option<Millis> {
    let form = text.len() == 16 && text.is_ascii() && &text[8..9] == "T" && &text[15..] == "Z";
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    form.then_some(())?;
    let day = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    of(day, (number(9, 11)?, number(11, 13)?, number(13, 15)?))
}

/// Reads the form of listings, with or without a fraction.
pub(in crate::store) fn parse_extended(text: &str) -> Option<Millis> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let form = text.is_ascii() && text.get(10..11)? == "T" && text.ends_with('Z');
    form.then_some(())?;
    let day = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    of(day, (number(11, 13)?, number(14, 16)?, number(17, 19)?))
}

/// From a day and a time of it. Years begin in March here, so that the day that some have comes last.
fn of((year, month, day): (i64, i64, i64), (hour, minute, second): (i64, i64, i64)) -> Option<Millis> {
    let fits =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
    fits.then_some(())?;
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let days = 365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let days = days + (153 * month + 2) / 5 + day - 1 - 719_468;
    Some(Millis((days * 86_400 + hour * 3_600 + minute * 60 + second) * 1_000))
}

fn parts(now: Millis) -> (i64, i64, i64, i64, i64, i64) {
    let (days, ms) = (now.0.div_euclid(DAY_MS), now.0.rem_euclid(DAY_MS));
    // Days since the first of March of the year 0, in spans of 400 years.
    let days = days + 719_468;
    let span = days.div_euclid(146_097);
    let of_span = days.rem_euclid(146_097);
    let year_of_span = (of_span - of_span / 1_460 + of_span / 36_524 - of_span / 146_096) / 365;
    let of_year = of_span - (365 * year_of_span + year_of_span / 4 - year_of_span / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_span + 400 * span + i64::from(month <= 2);
    let second = ms / 1_000;
    (year, month, day, second / 3_600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_and_read() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_369_353_600_000, "2013-05-24T00:00:00.000Z"),
            (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(extended(Millis(ms)), text);
            let whole = Millis(ms - ms % 1_000);
            assert_eq!(parse_extended(text), Some(whole));
            assert_eq!(parse_basic(&basic(whole)), Some(whole));
        }
        assert_eq!(basic(Millis(1_369_353_600_000)), "20130524T000000Z");
        for wrong in ["", "20130524T000000", "20131324T000000Z", "2013-05-24T0000Z", "20130524 000000Z"] {
            assert_eq!(parse_basic(wrong), None, "{wrong}");
        }
    }
}
