//! From INX to INF: the architecture, the version and the catalogue's name are put in.

use std::fmt;

use crate::inf;

/// What is put in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The architecture as section names have it: `amd64` or `arm64`.
    pub architecture: &'static str,
    /// The date of the version.
    pub date: Date,
    /// The version, in four parts.
    pub version: Version,
    /// The file name of the catalogue.
    pub catalog: String,
}

/// A day of the Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

/// A driver's version, which shows as `1.2.3.4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub [u16; 4]);

/// Seconds in a day.
const DAY_S: i64 = 86_400;

impl Date {
    /// A day that exists, from 1970 to 2049: what both an INF and the time of a catalogue can say.
    #[must_use]
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let leap =
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match month {
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            1..=12 => 31,
            _ => return None,
        };
        let exists = (1970..2050).contains(&year) && (1..=days).contains(&day);
        exists.then_some(Self { year, month, day })
    }

    /// The day, in UTC, of a time in seconds since 1970.
    #[must_use]
    pub fn of_unix_time(seconds: i64) -> Option<Self> {
        let mut days = seconds.div_euclid(DAY_S);
        for year in 1970..2050 {
            for month in 1..=12 {
                for day in 1..=31 {
                    let Some(date) = Self::new(year, month, day) else {
                        break;
                    };
                    if days == 0 {
                        return Some(date);
                    }
                    days -= 1;
                }
            }
        }
        None
    }

    /// Reads `2026-11-22`.
    #[must_use]
    pub fn from_iso(text: &str) -> Option<Self> {
        let (year, rest) = text.split_once('-')?;
        let (month, day) = rest.split_once('-')?;
        Self::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
    }

    /// Reads `11/22/2026`, as `DriverVer` has it.
    #[must_use]
    pub fn from_inf(text: &str) -> Option<Self> {
        let (month, rest) = text.split_once('/')?;
        let (day, year) = rest.split_once('/')?;
        Self::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
    }

    /// `11/22/2026`.
    #[must_use]
    pub fn inf(self) -> String {
        format!("{:02}/{:02}/{:04}", self.month, self.day, self.year)
    }

    /// Year, month and day.
    #[must_use]
    pub fn parts(self) -> (u16, u8, u8) {
        (self.year, self.month, self.day)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:04}-{:02}-{:02}",
            self.year, self.month, self.day
        )
    }
}

impl Version {
    /// Reads up to four numbers with dots between them; those left out are 0.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut version = [0; 4];
        for (index, part) in text.split('.').enumerate() {
            *version.get_mut(index)? = part.parse().ok()?;
        }
        Some(Self(version))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch, build] = self.0;
        write!(formatter, "{major}.{minor}.{patch}.{build}")
    }
}

/// Stamps an INX. Comments and layout stay; lines end as Windows ends them.
///
/// `$ARCH$` is replaced everywhere, `DriverVer` and `CatalogFile` are set in `[Version]`, where they are added if they are not there.
#[must_use]
pub fn stamp(inx: &str, stamp: &Stamp) -> String {
    let values = [
        (
            "DriverVer",
            format!("{},{}", stamp.date.inf(), stamp.version),
        ),
        ("CatalogFile", stamp.catalog.clone()),
    ];
    let inx = inx.replace("$ARCH$", stamp.architecture);
    let mut lines: Vec<String> = Vec::new();
    let mut in_version = false;
    let mut set = [false; 2];
    for line in inx.lines() {
        if line.trim_start().starts_with('[') {
            in_version = is_version_header(line);
        }
        // A catalogue for each architecture has the name that is there.
        set[1] |= in_version
            && line
                .to_ascii_lowercase()
                .trim_start()
                .starts_with("catalogfile.");
        let assignment = line.split_once('=').filter(|_| in_version);
        let place = assignment.and_then(|(key, _)| {
            let index = values
                .iter()
                .position(|(name, _)| key.trim().eq_ignore_ascii_case(name))?;
            Some((key, index))
        });
        if let Some((key, index)) = place {
            lines.push(format!("{key}= {}", values[index].1));
            set[index] = true;
        } else {
            lines.push(line.to_owned());
        }
    }
    let header = lines.iter().position(|line| is_version_header(line));
    for ((name, value), _) in values.iter().zip(set).filter(|(_, set)| !set) {
        if let Some(header) = header {
            lines.insert(header + 1, format!("{name} = {value}"));
        }
    }
    lines
        .iter()
        .flat_map(|line| [line.as_str(), "\r\n"])
        .collect()
}

/// Stamps an INX file, which keeps its encoding. One that is in no encoding of an INF stays as it is.
#[must_use]
pub fn stamp_file(inx: &[u8], values: &Stamp) -> Vec<u8> {
    inf::edited(inx, |text| stamp(text, values)).unwrap_or_else(|| inx.to_owned())
}

fn is_version_header(line: &str) -> bool {
    line.trim().eq_ignore_ascii_case("[version]")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Stamp {
        Stamp {
            architecture: "amd64",
            date: Date::new(2026, 2, 28).unwrap(),
            version: Version([1, 2, 3, 4]),
            catalog: "x.cat".into(),
        }
    }

    #[test]
    fn what_is_there_is_replaced_in_its_place() {
        let inx =
            "[Version]\nDriverVer   = ; stamped\ncatalogfile=y.cat\n[M.NT$ARCH$]\nDriverVer = 1\n";
        let expected = "[Version]\r\nDriverVer   = 02/28/2026,1.2.3.4\r\ncatalogfile= x.cat\r\n[M.NTamd64]\r\n\
                        DriverVer = 1\r\n";
        assert_eq!(stamp(inx, &example()), expected);
    }

    #[test]
    fn what_is_not_there_is_added_to_its_section() {
        let expected = "[A]\r\n[version]\r\nCatalogFile = x.cat\r\nDriverVer = 02/28/2026,1.2.3.4\r\nb = c\r\n";
        assert_eq!(stamp("[A]\r\n[version]\r\nb = c", &example()), expected);
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        assert_eq!(Date::new(2023, 2, 29), None);
        assert_eq!(
            Date::new(2000, 2, 29).map(Date::inf).as_deref(),
            Some("02/29/2000")
        );
        assert_eq!(Date::new(2026, 13, 1), None);
        assert_eq!(Date::of_unix_time(0), Date::new(1970, 1, 1));
        assert_eq!(Date::of_unix_time(1_709_251_199), Date::new(2024, 2, 29));
        assert_eq!(Date::of_unix_time(1_709_251_200), Date::new(2024, 3, 1));
        assert_eq!(Date::of_unix_time(-1), None);
        assert_eq!(Date::from_iso("2026-11-22"), Date::from_inf("11/22/2026"));
    }

    #[test]
    fn a_version_has_at_most_four_parts_of_sixteen_bits() {
        assert_eq!(Version::parse("0.1.0").unwrap().to_string(), "0.1.0.0");
        assert_eq!(Version::parse("1.2.3.4.5"), None);
        assert_eq!(Version::parse("1.65536"), None);
        assert_eq!(Version::parse(""), None);
    }
}
