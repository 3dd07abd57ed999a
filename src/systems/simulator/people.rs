//! Invented people, with NHS numbers from the range that is never issued (999 xxx xxxx).

use crate::{domain::nhs_number::NhsNumber, sys::entropy::Entropy};

const FAMILY_NAMES: [&str; 24] = [
    "ABBOTT",
    "ADEYEMI",
    "AHMED",
    "BAPTISTE",
    "BENNETT",
    "CHOWDHURY",
    "CLARKE",
    "DA SILVA",
    "EVANS",
    "FAROUK",
    "GREEN",
    "HASSAN",
    "IBRAHIM",
    "JONES",
    "KOWALSKI",
    "LEWIS",
    "MORRIS",
    "NGUYEN",
    "O'BRIEN",
    "PATEL",
    "QUINN",
    "ROBERTS",
    "SINGH",
    "WILLIAMS",
];
const GIVEN_NAMES: [&str; 20] = [
    "Amina", "Ben", "Chloe", "David", "Elena", "Femi", "Grace", "Hugo", "Ines", "Jamal", "Kate", "Leo",
    "Mei", "Noah", "Olu", "Priya", "Rosa", "Sami", "Tom", "Yusuf",
];
const STREETS: [&str; 8] = [
    "Abbey Road",
    "Cedar Lane",
    "Grove Park",
    "High Street",
    "Mill Hill",
    "Station Road",
    "Vine Court",
    "West End Lane",
];

/// One invented person, as a patient administration system would hold them.
#[derive(Clone, Eq, PartialEq)]
pub struct Person {
    /// A number within the population, from 0.
    pub number: u64,
    /// Valid, and never issued.
    pub nhs_number: NhsNumber,
    /// In capitals.
    pub family_name: &'static str,
    /// As written.
    pub given_name: &'static str,
    /// `YYYYMMDD`.
    pub birth_date: String,
    /// HL7 table 0001.
    pub sex: &'static str,
    /// House number and street.
    pub address: String,
}

impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Person({})", self.number)
    }
}

/// The practices of the simulated polysystem: people of even hundreds are with the first, of odd ones with the second.
pub const PRACTICES: [&str; 2] = ["E87001", "F86001"];

impl Person {
    /// ODS code of the practice where the person is registered.
    pub fn practice(&self) -> &'static str {
        if (self.number / 100).is_multiple_of(2) { PRACTICES[0] } else { PRACTICES[1] }
    }

    /// The person of a number: always the same one.
    pub fn of(number: u64) -> Self {
        let mut entropy = Entropy::from_seed(number.wrapping_mul(0x9e37_79b9) ^ 0x0070_6f6c);
        let year = 1935 + entropy.below(85);
        let (month, day) = (1 + entropy.below(12), 1 + entropy.below(28));
        Self {
            number,
            nhs_number: nhs_number(number),
            family_name: entropy.pick(&FAMILY_NAMES).copied().unwrap_or_default(),
            given_name: entropy.pick(&GIVEN_NAMES).copied().unwrap_or_default(),
            birth_date: format!("{year}{month:02}{day:02}"),
            sex: if entropy.below(2) == 0 { "F" } else { "M" },
            address: format!(
                "{} {}",
                1 + entropy.below(140),
                entropy.pick(&STREETS).copied().unwrap_or_default()
            ),
        }
    }
}

/// A valid NHS number of the test range for each number, counted round after 490,000 of them.
fn nhs_number(number: u64) -> NhsNumber {
    let mut stem = 999_000_000 + (number % 490_000) * 2;
    loop {
        let valid = (0..10).find_map(|digit| NhsNumber::parse(&format!("{stem}{digit}")).ok());
        if let Some(valid) = valid {
            return valid;
        }
        // One stem in eleven has no check digit; its odd neighbour, which is nobody else's, has.
        stem += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_the_same_each_time_and_from_the_test_range() {
        for number in [0, 1, 17, 4_999, 489_999, 490_000, u64::MAX] {
            let person = Person::of(number);
            assert_eq!(person, Person::of(number));
            assert!(person.nhs_number.as_str().starts_with("999"), "{number}");
        }
    }

    #[test]
    fn everyone_has_a_number_of_their_own() {
        let numbers: std::collections::BTreeSet<NhsNumber> = (0..490_000).map(nhs_number).collect();
        assert_eq!(numbers.len(), 490_000);
    }
}
