//! When a worker leaves by itself: at a time of day, after so long, or before its batch allocation ends. What is read is decided here; the clock is given.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::units::parse_time;

/// A worker leaves so long before its batch allocation ends: time enough to give its claims back.
pub const BATCH_MARGIN: Duration = Duration::from_secs(60);

/// How `--until` is written.
const FORMS: &str = "write a time from now (90m, 2h), a time of day here (18:30, its next occurrence) or a date and time (2026-11-24T06:00, with Z or +01:00 for another zone)";

/// `--until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Until(Timestamp);

impl Until {
    /// Reads `--until`, now and here.
    pub fn parse(text: &str) -> Result<Until, String> {
        until(text, Timestamp::now(), &TimeZone::system()).map(Until)
    }

    /// How long that is from now.
    pub fn left(self) -> Duration {
        between(Timestamp::now(), self.0)
    }
}

fn until(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, String> {
    let wrong = || format!("`{text}` is no time to leave at; {FORMS}");
    if let Ok(time) = parse_time(text) {
        let span = jiff::SignedDuration::try_from(time).map_err(|_| wrong())?;
        return now.checked_add(span).map_err(|_| wrong());
    }
    let here = now.to_zoned(zone.clone());
    // A date and time would be read as a time, too.
    if let Some(time) = text.parse::<jiff::civil::Time>().ok().filter(|_| text.len() <= "06:00:30".len()) {
        let on = |date: jiff::civil::Date| date.to_datetime(time).to_zoned(zone.clone()).map(|at| at.timestamp());
        let today = on(here.date()).map_err(|_| wrong())?;
        let tomorrow = || here.date().tomorrow().and_then(on).map_err(|_| wrong());
        return if today > now { Ok(today) } else { tomorrow() };
    }
    let at = match text.parse::<Timestamp>() {
        Ok(at) => at,
        Err(_) => {
            let civil = text.parse::<jiff::civil::DateTime>().map_err(|_| wrong())?;
            civil.to_zoned(zone.clone()).map_err(|_| wrong())?.timestamp()
        }
    };
    if at > now { Ok(at) } else { Err(format!("`{text}` is over; {FORMS}")) }
}

/// How long a worker may stay in its batch allocation, by what Slurm says in `SLURM_JOB_END_TIME` (seconds since 1970); `None` where nothing is said.
pub fn batch_time_left(end_time: Option<&str>) -> Option<Duration> {
    batch_left(end_time?, Timestamp::now())
}

fn batch_left(end_time: &str, now: Timestamp) -> Option<Duration> {
    let end = Timestamp::from_second(end_time.trim().parse().ok()?).ok()?;
    Some(between(now, end).saturating_sub(BATCH_MARGIN))
}

fn between(now: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let now: Timestamp = "2026-11-23T12:00:00Z".parse().expect("a time");
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        until(text, now, &zone).map(|at| at.to_string())
    }

    #[test]
    fn a_time_to_leave_at_is_read_in_its_forms() {
        for (text, at) in [
            ("90m", "2026-11-23T13:30:00Z"),
            ("2h", "2026-11-23T14:00:00Z"),
            ("18:30", "2026-11-23T17:30:00Z"),
            ("06:00", "2026-11-24T05:00:00Z"),
            ("06:00:30", "2026-11-24T05:00:30Z"),
            ("2026-11-24T06:00", "2026-11-24T05:00:00Z"),
            ("2026-11-24T06:00Z", "2026-11-24T06:00:00Z"),
            ("2026-11-24T06:00+02:00", "2026-11-24T04:00:00Z"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(at), "{text}");
        }
        for text in ["", "soon", "25:00", "18:61", "-1h", "2026-13-01T00:00"] {
            assert!(read(text).is_err_and(|words| words.contains("is no time to leave at")), "{text:?}");
        }
        assert!(read("2026-11-22T06:00").is_err_and(|words| words.contains("is over")));
    }

    #[test]
    fn a_batch_allocation_is_left_a_minute_before_its_end() {
        let now = Timestamp::from_second(1_000).expect("a time");
        assert_eq!(batch_left("1360", now), Some(Duration::from_secs(300)));
        assert_eq!(batch_left("1010", now), Some(Duration::ZERO), "nothing is begun any more");
        assert_eq!(batch_left("900", now), Some(Duration::ZERO));
        assert_eq!(batch_left("soon", now), None, "not Slurm's");
        assert_eq!(batch_time_left(None), None);
    }
}
