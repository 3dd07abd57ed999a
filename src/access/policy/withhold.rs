//! What is kept back from someone who may see a record, and that it is said so.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::record::ItemKind;

use super::words::words;

words! {
    /// What a permit opens.
    #[derive(Default)]
    pub enum Shows {
        /// The clinical record.
        Record = "record",
        /// Bookings, and who the patient is.
        Appointments = "appointments",
        /// No part of the record: who has viewed, how many items there are, or what the patient says of sharing.
        #[default]
        Nothing = "nothing",
    }
}

words! {
    /// How carefully an item is to be kept.
    pub enum Sensitivity {
        /// Like most.
        Ordinary = "ordinary",
        /// In the exclusion set, or marked by its source as restricted.
        Sensitive = "sensitive",
        /// Sealed, locked or private at its source.
        Sealed = "sealed",
    }
}

words! {
    /// Why something is not shown. It is counted, and pages and documents say how many of each.
    pub enum Withheld {
        /// It is not part of what was asked for.
        OutOfScope = "out-of-scope",
        /// The patient dissents to sharing what this system holds.
        Dissent = "dissent",
        /// It is sealed at its source; nobody sees it here.
        Sealed = "sealed",
        /// It is sensitive, and this view does not open sensitive items.
        Sensitive = "sensitive",
        /// It would tell where the patient lives or can be reached.
        Location = "location",
    }
}

impl Withheld {
    /// What is said in its place.
    pub const fn text(self) -> &'static str {
        match self {
            Self::OutOfScope => "Not part of this view.",
            Self::Dissent => "Withheld: the patient does not agree to sharing what this system holds.",
            Self::Sealed => "Withheld: sealed where it was recorded.",
            Self::Sensitive => "Withheld: sensitive. Ask the patient, or the service that recorded it.",
            Self::Location => "Withheld: it may tell where the patient lives.",
        }
    }
}

/// Fields of [`ItemKind::Demographics`] that do not tell where somebody lives or can be reached. A field that is not
/// listed is taken to tell.
const SHOWN_WITHOUT_LOCATION: [&str; 11] = [
    "birth_date",
    "death_date",
    "death_indicator",
    "ethnic_category",
    "family_name",
    "gender",
    "given_name",
    "language",
    "middle_names",
    "nhs_number_status",
    "title",
];
/// Fields of other items that tell where the patient is seen, and with it where they live.
const TELLING: [&str; 6] =
    ["author", "clinician", "general_practice", "location", "organisation", "performer"];

/// What a permit keeps back.
///
/// To be asked of each statement of each system *before* statements are folded into one item, so that nothing of a
/// withheld one is left in it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Withhold {
    /// What of the record is opened at all.
    pub shows: Shows,
    /// Systems whose clinical items are kept back, because the patient dissents.
    pub systems: BTreeSet<String>,
    /// Sensitive items are kept back. Sealed ones always are.
    pub sensitive: bool,
    /// Whatever tells where the patient lives or can be reached is kept back: address, telephone, practice. The names
    /// of systems in sources and notices are the caller's to leave out. Free text is not searched for addresses.
    pub location: bool,
}

impl Withhold {
    /// Why an item of a system is not to be shown; none if it is.
    pub fn item(&self, kind: ItemKind, system: &str, sensitivity: Sensitivity) -> Option<Withheld> {
        let is_person = kind == ItemKind::Demographics;
        let is_office = is_person || kind == ItemKind::Appointment;
        let in_scope = match self.shows {
            Shows::Record => true,
            Shows::Appointments => is_office,
            Shows::Nothing => false,
        };
        // A letter has the address in its head.
        let tells = self.location && kind == ItemKind::Document;
        // Dissent is not for bookings, nor for who it is; a notice may hold a practice's own words on the patient.
        let dissented = !is_office && self.systems.contains(system);
        [
            (!in_scope, Withheld::OutOfScope),
            (sensitivity == Sensitivity::Sealed, Withheld::Sealed),
            (dissented, Withheld::Dissent),
            (self.sensitive && sensitivity == Sensitivity::Sensitive, Withheld::Sensitive),
            (tells, Withheld::Location),
        ]
        .into_iter()
        .find_map(|(applies, why)| applies.then_some(why))
    }

    /// Whether an identifier of the patient is to be left out: a practice's own numbers tell which practice it is.
    pub fn hides_identifier(&self, authority: &str) -> bool {
        self.location && authority != "NHS"
    }

    /// Whether a field of an item that is shown is to be left out of it.
    pub fn hides_field(&self, kind: ItemKind, field: &str) -> bool {
        let tells = if kind == ItemKind::Demographics {
            !SHOWN_WITHOUT_LOCATION.contains(&field)
        } else {
            TELLING.contains(&field)
        };
        self.location && tells
    }
}

/// Marks that say nothing special: HL7 v3 `N`, `L`, `M` and `U`, and table 0177 `U`.
const ORDINARY_MARKS: [&str; 8] = ["", "n", "l", "m", "u", "normal", "unrestricted", "usual"];
/// Marks that seal: HL7 v3 and table 0177 `V`, and the words of general-practice and hospital systems.
const SEALING_MARKS: [&str; 7] =
    ["v", "sealed", "sealed-and-locked", "locked", "private", "very-restricted", "very restricted"];

/// How carefully an item is to be kept, from its coded entries and from what its source marked it with.
///
/// `codes` are pairs of code system and code, in the words of [`crate::domain::one_record::Coding`]. `marks` are the
/// values of the item's own confidentiality fields, and nothing else: a mark that is not known makes it sensitive.
pub fn sensitivity<'a>(
    codes: impl IntoIterator<Item = (&'a str, &'a str)>,
    marks: impl IntoIterator<Item = &'a str>,
    exclusions: &Exclusions,
) -> Sensitivity {
    let is_excluded =
        codes.into_iter().fold(false, |found, (system, code)| found | exclusions.has(system, code));
    let of_mark = |mark: &str| {
        let mark = mark.trim().to_ascii_lowercase();
        if SEALING_MARKS.contains(&mark.as_str()) {
            Sensitivity::Sealed
        } else if ORDINARY_MARKS.contains(&mark.as_str()) {
            Sensitivity::Ordinary
        } else {
            Sensitivity::Sensitive
        }
    };
    let marked = marks.into_iter().map(of_mark).max().unwrap_or(Sensitivity::Ordinary);
    if is_excluded { marked.max(Sensitivity::Sensitive) } else { marked }
}

/// The codes of the exclusion set: what is not shared beyond those whom the patient lets see it.
///
/// The set of the Royal College of General Practitioners is the deploying organisation's to supply, in the code systems
/// that its sources use. The hub has none of its own: an empty set keeps nothing back, and [`Self::is_empty`] is there
/// to be complained of.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Exclusions {
    whole: BTreeMap<String, BTreeSet<String>>,
    beginnings: BTreeMap<String, BTreeSet<String>>,
}

/// The national set has some thousands of codes in each code system.
pub const EXCLUSIONS_MAX: usize = 100_000;

/// A line of an exclusion set cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidExclusions {
    /// It is neither empty, nor a remark, nor a code.
    #[error("line {line} of the exclusion set is not `system,code` or `system,beginning*`")]
    Line {
        /// From 1.
        line: usize,
    },
    /// There are more than [`EXCLUSIONS_MAX`].
    #[error("an exclusion set has {EXCLUSIONS_MAX} codes at most")]
    TooMany,
}

impl Exclusions {
    /// Reads lines of `system,code`, such as `snomed-ct,12345`; a code that ends with `*` stands for all that begin so,
    /// as Read codes do. Empty lines and those that begin with `#` are remarks.
    ///
    /// # Errors
    /// Names the first line that is none of these: half a set is worse than a start that fails.
    pub fn parse(text: &str) -> Result<Self, InvalidExclusions> {
        let mut found = Self::default();
        let lines = text.lines().zip(1..).map(|(line, number)| (line.trim(), number));
        for (count, (line, number)) in
            lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#')).enumerate()
        {
            if EXCLUSIONS_MAX <= count {
                return Err(InvalidExclusions::TooMany);
            }
            let Some((system, code)) = line.split_once(',') else {
                return Err(InvalidExclusions::Line { line: number });
            };
            let (system, code) = (system.trim(), code.trim());
            let (into, code) = match code.strip_suffix('*') {
                Some(beginning) => (&mut found.beginnings, beginning),
                None => (&mut found.whole, code),
            };
            if system.is_empty() || code.is_empty() || code.contains([',', '*']) {
                return Err(InvalidExclusions::Line { line: number });
            }
            into.entry(system.to_owned()).or_default().insert(code.to_owned());
        }
        Ok(found)
    }

    /// Whether there are no codes at all.
    pub fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.beginnings.is_empty()
    }

    /// Whether a code is excluded. Case and dots count: in Read codes they tell codes apart.
    pub fn has(&self, system: &str, code: &str) -> bool {
        let code = code.trim();
        let is_whole = self.whole.get(system).is_some_and(|codes| codes.contains(code));
        // Of all that are not after `code`, only its own beginnings can begin it; there are as many as characters.
        let begins = self.beginnings.get(system).is_some_and(|beginnings| {
            code.char_indices()
                .map(|(at, one)| at + one.len_utf8())
                .any(|end| code.get(..end).is_some_and(|part| beginnings.contains(part)))
        });
        is_whole | begins
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Withhold {
        Withhold {
            shows: Shows::Record,
            systems: BTreeSet::from(["rio".to_owned()]),
            sensitive: true,
            location: true,
        }
    }

    #[test]
    fn dissent_keeps_back_everything_clinical_of_that_system_and_no_bookings() {
        let withhold = Withhold { location: false, ..all() };
        for kind in ItemKind::ALL {
            let expected = (!matches!(kind, ItemKind::Demographics | ItemKind::Appointment))
                .then_some(Withheld::Dissent);
            assert_eq!(withhold.item(kind, "rio", Sensitivity::Ordinary), expected, "{kind:?}");
            assert_eq!(withhold.item(kind, "emis", Sensitivity::Ordinary), None, "{kind:?}");
        }
    }

    #[test]
    fn sealed_items_are_never_shown() {
        for kind in ItemKind::ALL {
            for shows in Shows::ALL {
                let open = Withhold { shows: *shows, ..Withhold::default() };
                assert!(open.item(kind, "emis", Sensitivity::Sealed).is_some());
            }
        }
    }

    #[test]
    fn nothing_is_opened_unless_it_is_said() {
        let none = Withhold::default();
        let office = Withhold { shows: Shows::Appointments, ..Withhold::default() };
        for kind in ItemKind::ALL {
            assert_eq!(none.item(kind, "emis", Sensitivity::Ordinary), Some(Withheld::OutOfScope));
            let is_office = matches!(kind, ItemKind::Demographics | ItemKind::Appointment);
            assert_eq!(office.item(kind, "emis", Sensitivity::Ordinary).is_none(), is_office);
        }
    }

    #[test]
    fn location_hides_what_is_not_known_to_be_harmless() {
        let kept = all();
        for field in ["postcode", "telephone", "general_practice", "address_line_1", "city", "a_new_field"] {
            assert!(kept.hides_field(ItemKind::Demographics, field), "{field}");
            assert!(!Withhold::default().hides_field(ItemKind::Demographics, field));
        }
        for field in ["family_name", "birth_date", "nhs_number_status"] {
            assert!(!kept.hides_field(ItemKind::Demographics, field));
        }
        assert!(kept.hides_field(ItemKind::Problem, "organisation"));
        assert!(kept.hides_identifier("F84001") && !kept.hides_identifier("NHS"));
        assert!(!Withhold::default().hides_identifier("F84001"));
        assert!(!kept.hides_field(ItemKind::Problem, "name"));
        assert_eq!(kept.item(ItemKind::Document, "emis", Sensitivity::Ordinary), Some(Withheld::Location));
    }

    #[test]
    fn the_exclusion_set_knows_whole_codes_and_beginnings() {
        let set = Exclusions::parse("# invented\n\nsnomed-ct,100\nread-2,Zz1*\r\n").unwrap();
        assert!(set.has("snomed-ct", "100") && set.has("read-2", "Zz1") && set.has("read-2", "Zz12."));
        for (system, code) in
            [("snomed-ct", "1001"), ("snomed-ct", "10"), ("read-2", "zz1"), ("ctv3", "Zz1"), ("read-2", "")]
        {
            assert!(!set.has(system, code), "{system} {code}");
        }
        assert!(!set.is_empty() && Exclusions::default().is_empty());
        assert_eq!(sensitivity([("read-2", "Zz1é")], [], &set), Sensitivity::Sensitive);
        assert_eq!(sensitivity([("read-2", "A1")], [], &set), Sensitivity::Ordinary);
    }

    #[test]
    fn half_a_set_is_refused() {
        for text in ["100", "snomed-ct,", ",1", "read-2,*", "read-2,1,2", "read-2,a*b"] {
            let found = Exclusions::parse(&format!("# head\n{text}"));
            assert_eq!(found, Err(InvalidExclusions::Line { line: 2 }), "{text}");
        }
        let many: String = (0..=EXCLUSIONS_MAX).map(|code| format!("s,{code}\n")).collect();
        assert_eq!(Exclusions::parse(&many), Err(InvalidExclusions::TooMany));
    }

    #[test]
    fn an_unknown_mark_is_taken_for_a_sensitive_one_and_the_strictest_counts() {
        let of = |marks: &[&str]| sensitivity([], marks.iter().copied(), &Exclusions::default());
        assert_eq!(of(&[]), Sensitivity::Ordinary);
        assert_eq!(of(&["N", " U "]), Sensitivity::Ordinary);
        for mark in ["R", "HIV", "confidential", "?"] {
            assert_eq!(of(&["N", mark]), Sensitivity::Sensitive, "{mark}");
        }
        assert_eq!(of(&["R", "Sealed", "N"]), Sensitivity::Sealed);
    }
}
