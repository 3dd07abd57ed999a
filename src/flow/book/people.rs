//! Finding who is meant, by demographics alone: nothing clinical leaves here.

use crate::{
    domain::{
        booking::{Person, Refused},
        nhs_number::NhsNumber,
        record::ItemKind,
    },
    flow::reception::{PersonFound, PersonSearch},
    store::{PatientRecord, RecordItem},
};

use super::BookingDesk;

/// More than anybody reads: say more about whom you mean.
const FOUND_MAX: usize = 50;
/// Shorter parts of a name fit too many.
const NAME_LETTERS_MIN: usize = 2;

impl BookingDesk {
    /// People who may be meant, exact ones first. Reads the disk.
    pub(super) fn find_people(&self, search: &PersonSearch) -> Result<Vec<PersonFound>, Refused> {
        if *search == PersonSearch::default() {
            let words = "Enter an NHS number, a name with date of birth, a telephone number or a postcode.";
            return Err(Refused { code: "search-empty", words: words.to_owned(), field: "search" });
        }
        if !search.name.is_empty() && letters(&search.name).len() < NAME_LETTERS_MIN {
            let words = "Enter at least two letters of the name.".to_owned();
            return Err(Refused { code: "name-short", words, field: "search" });
        }
        let mut found: Vec<PersonFound> = Vec::new();
        if let Some(number) = &search.nhs_number {
            found.extend(self.known_by_number(number)?);
        }
        found.extend(self.known_at_desk(search));
        let mut merged: Vec<PersonFound> = Vec::new();
        for one in found {
            let same = |known: &PersonFound| {
                known.person.nhs_number.is_some() && known.person.nhs_number == one.person.nhs_number
            };
            match merged.iter_mut().find(|known| same(known)) {
                Some(known) => {
                    known.systems.extend(one.systems);
                    known.systems.sort();
                    known.systems.dedup();
                }
                None => merged.push(one),
            }
        }
        merged
            .sort_by_key(|one| (!one.exact, one.person.family_name.clone(), one.person.given_names.clone()));
        merged.truncate(FOUND_MAX);
        Ok(merged)
    }

    fn known_by_number(&self, number: &NhsNumber) -> Result<Option<PersonFound>, Refused> {
        let record = self.hub.in_view(|view| match view.find_by_nhs_number(number)? {
            Some(patient) => view.record(patient),
            None => Ok(None),
        });
        let record = record.map_err(|_| Refused {
            code: "view-closed",
            words: "The hub is still reading its records. Try again in a minute, or enter the details."
                .to_owned(),
            field: "",
        })?;
        Ok(record.and_then(|record| found_in(&record, *number)))
    }

    /// Those who have appointments or wait: the desk's own people.
    fn known_at_desk(&self, search: &PersonSearch) -> Vec<PersonFound> {
        let desk = self.desk();
        let waiting = desk.waiting();
        let people = desk.appointments().map(|appointment| &appointment.person);
        let people = people.chain(waiting.iter().map(|waiting| &waiting.person));
        let mut found: Vec<PersonFound> = Vec::new();
        for person in people.filter(|person| fits(person, search)) {
            let known = found.iter().any(|known| {
                known.person == *person
                    || (person.nhs_number.is_some() && known.person.nhs_number == person.nhs_number)
            });
            if !known && found.len() < FOUND_MAX {
                found.push(PersonFound {
                    person: person.clone(),
                    systems: vec!["desk".to_owned()],
                    verified: false,
                    exact: search.nhs_number.is_some(),
                });
            }
        }
        found
    }
}

/// Whether all that was said of a person fits; nothing said of a field fits any.
fn fits(person: &Person, search: &PersonSearch) -> bool {
    let number = search.nhs_number.is_none_or(|number| person.nhs_number == Some(number));
    let names = letters(&format!("{} {}", person.given_names, person.family_name));
    let name = search.name.split_whitespace().all(|word| names.contains(&letters(word)));
    let birth = search.birth_date.is_empty() || search.birth_date == person.birth_date;
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let telephone = search.telephone.is_empty() || digits(&person.telephone) == digits(&search.telephone);
    let postcode = search.postcode.is_empty() || letters(&person.postcode) == letters(&search.postcode);
    number && name && birth && telephone && postcode
}

/// Letters and digits alone, in lower case.
fn letters(text: &str) -> String {
    text.chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// A person as their systems say, the newest word of each field.
fn found_in(record: &PatientRecord, number: NhsNumber) -> Option<PersonFound> {
    let items = record.items.get(&ItemKind::Demographics)?;
    let text = |name: &str| newest(items, name);
    let person = Person {
        nhs_number: Some(number),
        family_name: text("family_name"),
        given_names: text("given_name"),
        title: text("title"),
        birth_date: text("birth_date").chars().take(10).collect(),
        gender: gender(&text("gender")).to_owned(),
        address: text("address"),
        postcode: text("postcode"),
        telephone: text("telephone"),
        practice: text("general_practice"),
    };
    let mut systems: Vec<String> = items.iter().map(|item| item.system.clone()).collect();
    systems.sort();
    systems.dedup();
    (!person.family_name.is_empty()).then_some(PersonFound {
        person,
        systems,
        verified: record.is_sure,
        exact: true,
    })
}

/// The word for a code of HL7 table 0001, or of the NHS Data Dictionary (PERSON GENDER CODE).
fn gender(code: &str) -> &'static str {
    match code.to_ascii_uppercase().as_str() {
        "M" | "1" | "MALE" => "male",
        "F" | "2" | "FEMALE" => "female",
        "O" | "A" | "9" | "OTHER" => "other",
        _ => "unknown",
    }
}

fn newest(items: &[RecordItem], name: &str) -> String {
    let fields =
        items.iter().filter(|item| item.withdrawn.is_none()).filter_map(|item| item.fields.get(name));
    let newest = fields.filter_map(|field| Some((field.occurred, field.value.clone()?))).max();
    newest.map(|(_, value)| value).unwrap_or_default()
}
