//! Whether two systems mean the same person: rules over claims to NHS numbers and exact demographics, and no guess.
//!
//! An NHS number by itself is not an identity: it is typed wrongly, and given to the wrong twin. A number counts for
//! sure if its sender has verified it against the Personal Demographics Service (`NSTS01` in HL7 v2, `01` in the NHS
//! Data Dictionary and in FHIR), or if people have decided so. A number that is not verified links two persons only if
//! their demographics are exactly the same, as a PDS trace asks for them: family name, birth date and gender, and the
//! given name, or where one of the two has no given name, the postcode. Two given names that differ link nothing,
//! for twins have the same postcode. Whatever is left is for people to decide.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    nhs_number::NhsNumber,
    record::{FieldChange, Identifier, ItemChange, ItemKind},
    time::Timestamp,
};

/// The kind of the journal's entries that keep decisions.
pub const DECISION_KIND: &str = "match-decision";
/// Persons one decision may name: more than the systems of one hub.
pub const DECISION_PERSONS_MAX: usize = 16;
/// Longest reason of a decision, in bytes.
pub const DECISION_REASON_BYTES_MAX: usize = 1000;

/// Demographics as far as they must be the same, hashed: enough to compare, too little to read.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Traits {
    /// Of family name, birth date and gender.
    person: u64,
    /// Of the first given name; zero if there is none.
    given: u64,
    /// Of the postcode; zero if there is none.
    postcode: u64,
}

impl Traits {
    /// Length of [`Traits::to_bytes`].
    pub const BYTES: usize = 24;

    /// The traits a message gives; none without family name, whole birth date and gender.
    pub fn of(items: &[ItemChange]) -> Option<Self> {
        let text = |name| demographic(items, name).unwrap_or_default();
        let family = letters(text("family_name"));
        let birth: String = text("birth_date").chars().filter(char::is_ascii_digit).take(8).collect();
        let gender = gender(text("gender"))?;
        if family.is_empty() || birth.len() < 8 {
            return None;
        }
        let given = letters(text("given_name").split_whitespace().next().unwrap_or_default());
        let given = if PLACEHOLDERS.contains(&given.as_str()) { String::new() } else { given };
        let postcode = letters(text("postcode"));
        // The NHS's codes for no fixed abode and for "unknown" begin with ZZ99: not a place anybody shares.
        let postcode = if postcode.starts_with("ZZ99") { String::new() } else { postcode };
        Some(Self {
            person: hash(&[&family, &birth, gender]),
            given: hash(&[&given]),
            postcode: hash(&[&postcode]),
        })
    }

    /// Whether these are exactly the demographics of one person.
    pub const fn agree(&self, other: &Self) -> bool {
        if self.person != other.person {
            return false;
        }
        if self.given != 0 && other.given != 0 {
            return self.given == other.given;
        }
        self.postcode != 0 && self.postcode == other.postcode
    }

    /// For storage.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        for (place, part) in bytes.chunks_exact_mut(8).zip([self.person, self.given, self.postcode]) {
            place.copy_from_slice(&part.to_be_bytes());
        }
        bytes
    }

    /// Reads [`Traits::to_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let part = |at: usize| Some(u64::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
        (bytes.len() == Self::BYTES).then_some(())?;
        Some(Self { person: part(0)?, given: part(8)?, postcode: part(16)? })
    }
}

/// What maternity and emergency systems write where a name is not yet known.
const PLACEHOLDERS: [&str; 12] =
    ["BABY", "BOY", "CHILD", "FEMALE", "GIRL", "INFANT", "MALE", "NK", "NOTKNOWN", "TWIN", "UNK", "UNKNOWN"];

/// A field of the demographics a message gives.
pub fn demographic<'a>(items: &'a [ItemChange], name: &str) -> Option<&'a str> {
    let of_person = items.iter().filter(|item| item.kind == ItemKind::Demographics && !item.withdrawn);
    let mut fields = of_person.flat_map(|item| &item.fields);
    fields.find_map(|(known, change)| match change {
        FieldChange::Set(text) if *known == name => Some(text.as_str()),
        _ => None,
    })
}

/// What a status of an NHS number says: verified, not verified, or nothing.
///
/// HL7 table 0445 as NHS England profiles it has `NSTS01`, the Data Dictionary and FHIR `01`, and GP Connect shows the
/// words.
pub fn is_verified(status: &str) -> Option<bool> {
    let status = letters(status);
    let status = status.strip_prefix("NSTS").unwrap_or(&status);
    if status.is_empty() {
        return None;
    }
    Some(["01", "1", "NUMBERPRESENTANDVERIFIED"].contains(&status))
}

/// What is known of a person's claim to an NHS number.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Claim {
    /// The newest message that tells says that it is verified.
    pub verified: bool,
    /// People linked it, or kept it apart.
    pub decided: Option<bool>,
}

impl Claim {
    const fn strength(self) -> u8 {
        match (self.decided, self.verified) {
            (Some(false), _) => 0,
            (None, false) => 1,
            (None, true) => 2,
            (Some(true), _) => 3,
        }
    }
}

/// How a person stands to one of the numbers their messages gave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// It is theirs for sure: verified, or decided.
    Sure,
    /// It is the only one they gave, and not verified.
    Unsure,
    /// They have another one, of better standing.
    Outdone,
    /// They have two of the same standing: neither counts until people decide.
    Torn,
    /// People decided that it is not theirs.
    Apart,
}

/// How a person stands to the number of their claim `this`, with `others` to other numbers.
pub fn standing(this: Claim, others: &[Claim]) -> Standing {
    let strongest = others.iter().map(|claim| claim.strength()).max().unwrap_or(0);
    match this.strength() {
        0 => Standing::Apart,
        strength if strength < strongest => Standing::Outdone,
        strength if strength == strongest => Standing::Torn,
        1 => Standing::Unsure,
        _ => Standing::Sure,
    }
}

/// A person with a number, to be grouped with the others who gave the same one.
#[derive(Clone, Debug)]
pub struct Holder {
    /// How they stand to it: [`Standing::Sure`] or [`Standing::Unsure`].
    pub sure: bool,
    /// The demographics their messages gave, at most [`TRAITS_MAX`].
    pub traits: Vec<Traits>,
}

/// Different demographics that are kept of one person: names change with marriage and by correction, not often.
pub const TRAITS_MAX: usize = 8;

/// Groups those who hold one number: each group is one person. The holders' places, in order; the group of those who
/// hold it for sure is first, else the largest, else that with the first holder.
///
/// The result depends on nothing but the holders: not on who came first.
pub fn groups(holders: &[Holder]) -> Vec<Vec<usize>> {
    let linked = |one: &Holder, other: &Holder| {
        (one.sure && other.sure)
            || one.traits.iter().any(|ours| other.traits.iter().any(|theirs| ours.agree(theirs)))
    };
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (place, holder) in holders.iter().enumerate() {
        let near = |group: &mut Vec<usize>| group.iter().any(|other| linked(holder, &holders[*other]));
        let mut joined: Vec<usize> = groups.extract_if(.., near).flatten().collect();
        joined.push(place);
        joined.sort_unstable();
        groups.push(joined);
    }
    let unsure = |group: &[usize]| !group.iter().any(|place| holders[*place].sure);
    groups.sort_by_key(|group| (unsure(group), usize::MAX - group.len(), group.first().copied()));
    groups
}

/// Names a person as one system knows them. Its `Debug` shows no value.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct PersonName {
    /// The configured name of the system.
    pub system: String,
    /// One of the identifiers it uses for the person; of kind [`NAMELESS`] where its messages give none.
    pub identifier: Identifier,
}

/// The kind of the identifiers the hub makes for persons whose messages give a number and no local identifier: the
/// hash of number and demographics, for the same number with other demographics is another person until shown.
pub const NAMELESS: &str = "nameless";

/// The identifier of a person without a local one.
pub fn nameless(number: &NhsNumber, traits: Option<Traits>) -> Identifier {
    let traits = traits.map(Traits::to_bytes).unwrap_or_default();
    let digest = Sha256::new().chain_update(number.as_str()).chain_update(traits).finalize();
    let value = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    Identifier { value, authority: String::new(), kind: NAMELESS.to_owned() }
}

/// What people decided about persons who gave one NHS number: journalled, so that a rebuilt record keeps to it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The version of this layout: [`Decision::VERSION`].
    pub v: u8,
    /// The number.
    pub nhs_number: NhsNumber,
    /// Whom it is about.
    pub persons: Vec<PersonName>,
    /// The number is theirs, all of them; or it is none of theirs.
    pub link: bool,
    /// Who decided, such as `uid 1000`.
    pub by: String,
    /// Why, in their words.
    pub reason: String,
    /// When, by the hub's clock. Of two decisions the later counts.
    pub at: Timestamp,
}

impl Decision {
    /// The only version there is.
    pub const VERSION: u8 = 1;
}

/// Letters and digits in upper case: what differs in case, spaces, hyphens and apostrophes is the same. Accents are
/// left as they are: a name with and one without is for people to compare.
fn letters(text: &str) -> String {
    text.chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_uppercase).collect()
}

/// HL7's, FHIR's and the Data Dictionary's words for a gender; none for what is not known.
fn gender(text: &str) -> Option<&'static str> {
    match letters(text).as_str() {
        "M" | "MALE" | "1" => Some("M"),
        "F" | "FEMALE" | "2" => Some("F"),
        "O" | "OTHER" | "9" | "X" => Some("O"),
        _ => None,
    }
}

/// Stable for ever, for it is stored; zero for nothing.
fn hash(parts: &[&str]) -> u64 {
    if parts.iter().all(|part| part.is_empty()) {
        return 0;
    }
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().first_chunk().map_or(1, |bytes| u64::from_be_bytes(*bytes).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(family: &str, given: &str, born: &str, gender: &str, postcode: &str) -> Option<Traits> {
        let names = ["family_name", "given_name", "birth_date", "gender", "postcode"];
        let values = [family, given, born, gender, postcode];
        let fields = names.into_iter().zip(values.map(|value| FieldChange::Set(value.to_owned()))).collect();
        Traits::of(&[ItemChange::new(ItemKind::Demographics, String::new(), fields)])
    }

    #[test]
    fn exact_demographics_agree_across_the_systems_spellings() {
        let one = person("O'Tester", "Ada", "1971-02-03", "female", "W1A 1AA").unwrap();
        assert!(one.agree(&person("OTESTER", "ADA JANE", "19710203", "F", "W1A1AA").unwrap()));
        assert!(one.agree(&person("o’tester", "Ada", "19710203000000", "2", "").unwrap()), "moved house");
        assert!(one.agree(&person("O TESTER", "", "19710203", "F", "w1a 1aa").unwrap()));
        for (family, given, born, gender, postcode) in [
            ("Otester", "Eva", "19710203", "F", "W1A 1AA"),
            ("Otester", "Ada", "19710204", "F", "W1A 1AA"),
            ("Otester", "Ada", "19710203", "M", "W1A 1AA"),
            ("Tester", "Ada", "19710203", "F", "W1A 1AA"),
            ("Otester", "", "19710203", "F", "W1A 1AB"),
            ("Otester", "", "19710203", "F", ""),
        ] {
            let other = person(family, given, born, gender, postcode).unwrap();
            assert!(!one.agree(&other), "{family} {given} {born} {gender} {postcode}");
            assert!(!other.agree(&one));
        }
        let ada = person("Otestér", "Ada", "19710203", "F", "").unwrap();
        assert!(!one.agree(&ada), "accents are for people to compare");
    }

    #[test]
    fn what_is_not_known_is_no_demographics() {
        assert_eq!(person("", "Ada", "19710203", "F", "W1A 1AA"), None);
        assert_eq!(person("Tester", "Ada", "1971", "F", "W1A 1AA"), None);
        assert_eq!(person("Tester", "Ada", "19710203", "U", "W1A 1AA"), None);
        let twins =
            ["Twin", "Twin"].map(|given| person("Tester", given, "20260101", "F", "ZZ99 3VZ").unwrap());
        assert!(!twins[0].agree(&twins[1]), "a placeholder is no name, and nowhere is no address");
        assert_eq!(Traits::from_bytes(&twins[0].to_bytes()), Some(twins[0]));
    }

    #[test]
    fn only_present_and_verified_is_verified() {
        for status in ["NSTS01", "nsts01", "01", "Number present and verified"] {
            assert_eq!(is_verified(status), Some(true), "{status}");
        }
        for status in ["NSTS02", "02", "NSTS08", "Number present but not traced", "NSTS010", "verified"] {
            assert_eq!(is_verified(status), Some(false), "{status}");
        }
        assert_eq!(is_verified(" "), None);
    }

    #[test]
    fn one_number_of_the_best_standing_counts() {
        let claim = |verified, decided| Claim { verified, decided };
        let (plain, traced) = (claim(false, None), claim(true, None));
        assert_eq!(standing(plain, &[]), Standing::Unsure);
        assert_eq!(standing(traced, &[plain]), Standing::Sure);
        assert_eq!(standing(plain, &[traced]), Standing::Outdone);
        assert_eq!(standing(traced, &[traced]), Standing::Torn);
        assert_eq!(standing(plain, &[plain]), Standing::Torn);
        assert_eq!(standing(plain, &[claim(true, Some(false))]), Standing::Unsure);
        assert_eq!(standing(claim(false, Some(true)), &[traced]), Standing::Sure);
        assert_eq!(standing(claim(true, Some(false)), &[]), Standing::Apart);
    }

    #[test]
    fn groups_depend_on_nobodys_place_in_the_queue() {
        let ada = person("Tester", "Ada", "19710203", "F", "W1A 1AA").unwrap();
        let married = person("Married", "Ada", "19710203", "F", "W1A 1AA").unwrap();
        let bob = person("Tester", "Bob", "19710203", "M", "W1A 1AA").unwrap();
        let holder = |sure, traits: &[Traits]| Holder { sure, traits: traits.to_vec() };
        let holders = [
            holder(false, &[bob]),
            holder(true, &[]),
            holder(true, &[ada]),
            holder(false, &[married]),
            holder(false, &[ada, married]),
            holder(false, &[]),
        ];
        assert_eq!(groups(&holders), [vec![1, 2, 3, 4], vec![0], vec![5]]);
        let mut turned = holders.to_vec();
        turned.reverse();
        assert_eq!(groups(&turned), [vec![1, 2, 3, 4], vec![0], vec![5]]);
        assert_eq!(groups(&holders[3..]), [vec![0, 1], vec![2]]);
        assert_eq!(groups(&[]), Vec::<Vec<usize>>::new());
    }

    #[test]
    fn the_nameless_differ_by_number_and_demographics_and_show_neither() {
        let number = NhsNumber::parse("9990000018").unwrap();
        let ada = person("Tester", "Ada", "19710203", "F", "W1A 1AA");
        let one = nameless(&number, ada);
        assert_ne!(one, nameless(&number, None));
        assert_ne!(one, nameless(&NhsNumber::parse("9990000026").unwrap(), ada));
        assert!(!one.value.contains("999000"));
    }
}
