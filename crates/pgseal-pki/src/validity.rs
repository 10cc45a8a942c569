//! How long a certificate is to live, as people write it: `365d`, `12h`, `5m`, `90s`.

use std::fmt;
use std::str::FromStr;

use time::Duration;

/// A lifetime of at least one second and at most 100 years (36,500 days).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Validity(u32);

const UNITS: [(char, u32); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];
const LONGEST: u32 = 36_500 * 86_400;

impl Validity {
    /// 365 days.
    pub const A_YEAR: Self = Self(365 * 86_400);

    /// As a duration of whole seconds.
    pub fn duration(self) -> Duration {
        Duration::seconds(i64::from(self.0))
    }
}

impl fmt::Display for Validity {
    /// In the largest unit that leaves no rest: `365d`, `36h`, `90s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.iter().find(|(_, seconds)| self.0.is_multiple_of(*seconds));
        let (letter, seconds) = unit.copied().unwrap_or(('s', 1));
        write!(f, "{}{letter}", self.0 / seconds)
    }
}

/// The text was no lifetime.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValidityError {
    /// Not a whole number and a unit.
    #[error("\"{0}\" is no validity: write a whole number and a unit, such as 90d, 12h, 5m or 30s")]
    Form(String),
    /// Zero.
    #[error("a validity of zero would be over at once")]
    Zero,
    /// Past 36,500 days.
    #[error("a validity of \"{0}\" is longer than 36500d")]
    TooLong(String),
}

impl FromStr for Validity {
    type Err = ValidityError;

    fn from_str(text: &str) -> Result<Self, ValidityError> {
        let form = || ValidityError::Form(text.chars().take(40).collect());
        let unit = UNITS.iter().find_map(|(letter, seconds)| Some((text.strip_suffix(*letter)?, *seconds)));
        let (digits, seconds) = unit.ok_or_else(form)?;
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(form());
        }
        let too_long = || ValidityError::TooLong(text.chars().take(40).collect());
        let number: u32 = digits.parse().map_err(|_| too_long())?;
        match number.checked_mul(seconds).filter(|total| *total <= LONGEST) {
            None => Err(too_long()),
            Some(0) => Err(ValidityError::Zero),
            Some(total) => Ok(Self(total)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_validity_is_a_number_and_a_unit() {
        for (text, seconds, shown) in [
            ("365d", 31_536_000, "365d"),
            ("12h", 43_200, "12h"),
            ("48h", 172_800, "2d"),
            ("5m", 300, "5m"),
            ("90s", 90, "90s"),
            ("36500d", 3_153_600_000, "36500d"),
        ] {
            let validity: Validity = text.parse().unwrap();
            assert_eq!(validity.duration().whole_seconds(), seconds);
            assert_eq!(validity.to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_validity_is_refused() {
        for text in ["", "d", "365", "1.5d", "-1d", "+1d", "1 d", "1y", "365D", "d365", "１d"] {
            assert!(matches!(text.parse::<Validity>(), Err(ValidityError::Form(_))), "{text}");
        }
        for text in ["0d", "000s"] {
            assert_eq!(text.parse::<Validity>(), Err(ValidityError::Zero));
        }
        for text in ["36501d", "99999999999999d", "4294967295d"] {
            assert!(matches!(text.parse::<Validity>(), Err(ValidityError::TooLong(_))), "{text}");
        }
    }
}
