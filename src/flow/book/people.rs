//! Finding who is meant, by demographics alone: nothing clinical leaves here.

use crate::{
    domain::{
        booking::{Person, Refused},
        nhs_number::NhsNumber,
        record::ItemKind,
    },
    flow::{
        reception::{PeopleFound, PersonFound, PersonSearch},
        words::gender,
    },
    store::{PatientId, PatientRecord, PeopleQuery, RecordItem, find},
};

use super::BookingDesk;

/// More than anybody reads: say more about whom you mean.
const FOUND_MAX: usize = 50;
/// Shorter parts of a name fit too many.
const NAME_LETTERS_MIN: usize = 2;

impl BookingDesk {
    /// People who may be meant, exact ones first. Reads the disk.
    pub(super) fn find_people(&self, search: &PersonSearch) -> Result<PeopleFound, Refused> {
        if *search == PersonSearch::default() {
            let words = "Enter an NHS number, a name with date of birth, a telephone number or a postcode.";
            return Err(Refused { code: "search-empty", words: words.to_owned(), field: "search" });
        }
        let longest = search.name.split_whitespace().map(|word| find::folded(word).chars().count()).max();
        if !search.name.is_empty() && longest.is_none_or(|letters| letters < NAME_LETTERS_MIN) {
            let words = "Enter at least two letters of the name.".to_owned();
            return Err(Refused { code: "name-short", words, field: "search" });
        }
        let systems = self.known_to_systems(search)?;
        let desk = self.known_at_desk(search);
        let mut more = systems.more || desk.more;
        let found = systems.people.into_iter().chain(desk.people);
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
        more |= FOUND_MAX < merged.len();
        merged.truncate(FOUND_MAX);
        Ok(PeopleFound { people: merged, more })
    }

    /// Those of whom the systems' demographics say what is asked.
    fn known_to_systems(&self, search: &PersonSearch) -> Result<PeopleFound, Refused> {
        let query = PeopleQuery {
            name: search.name.clone(),
            birth_date: search.birth_date.clone(),
            telephone: search.telephone.clone(),
            postcode: search.postcode.clone(),
        };
        let read = self.hub.in_view(|view| {
            let (patients, more): (Vec<PatientId>, bool) = match &search.nhs_number {
                Some(number) => (view.find_by_nhs_number(number)?.into_iter().collect(), false),
                None => {
                    let found = view.find_people(&query, FOUND_MAX)?;
                    (found.patients, found.more)
                }
            };
            let mut people = Vec::new();
            for patient in patients {
                people.extend(view.record(patient)?.and_then(|record| found_in(&record, search)));
            }
            Ok(PeopleFound { people, more })
        });
        read.map_err(|_| Refused {
            code: "view-closed",
            words: "The hub is still reading its records. Try again in a minute, or enter the details."
                .to_owned(),
            field: "",
        })
    }

    /// Those who have appointments or wait: the desk's own people.
    fn known_at_desk(&self, search: &PersonSearch) -> PeopleFound {
        let desk = self.desk();
        let waiting = desk.waiting();
        let people = desk.appointments().map(|appointment| &appointment.person);
        let people = people.chain(waiting.iter().map(|waiting| &waiting.person));
        let mut found = PeopleFound::default();
        for person in people.filter(|person| fits(person, search)) {
            let known = found.people.iter().any(|known| {
                known.person == *person
                    || (person.nhs_number.is_some() && known.person.nhs_number == person.nhs_number)
            });
            if known {
                continue;
            }
            if found.people.len() == FOUND_MAX {
                found.more = true;
                break;
            }
            found.people.push(PersonFound {
                person: person.clone(),
                systems: vec!["desk".to_owned()],
                verified: false,
                exact: is_exact(person, search),
            });
        }
        found
    }
}

/// Whether all that is asked fits a person of the desk; names by their beginnings.
fn fits(person: &Person, search: &PersonSearch) -> bool {
    let begin = |word: &str, known: &[String]| known.iter().any(|known| known.starts_with(word));
    agrees(person, search, begin)
}

/// Whether all that is asked fits exactly what is shown of a person.
fn is_exact(person: &Person, search: &PersonSearch) -> bool {
    agrees(person, search, |word, known| known.iter().any(|known| known == word))
}

fn agrees(person: &Person, search: &PersonSearch, name: impl Fn(&str, &[String]) -> bool) -> bool {
    let known = find::words(&format!("{} {}", person.given_names, person.family_name));
    let mut asked = search.name.split_whitespace().map(find::folded).filter(|word| !word.is_empty());
    let same = |asked: &str, known: &str, normal: fn(&str) -> String| {
        asked.is_empty() || (normal(asked) == normal(known) && !normal(asked).is_empty())
    };
    search.nhs_number.is_none_or(|number| person.nhs_number == Some(number))
        && asked.all(|word| name(&word, &known))
        && same(&search.birth_date, &person.birth_date, day)
        && same(&search.telephone, &person.telephone, |text| find::telephone(text).unwrap_or_default())
        && same(&search.postcode, &person.postcode, find::folded)
}

/// A day as `YYYY-MM-DD`, whether or not it came with hyphens and a time; empty if it is not whole.
fn day(text: &str) -> String {
    let digits: String = text.chars().filter(char::is_ascii_digit).take(8).collect();
    match (digits.get(..4), digits.get(4..6), digits.get(6..8)) {
        (Some(year), Some(month), Some(day)) => format!("{year}-{month}-{day}"),
        _ => String::new(),
    }
}

/// A person as their systems say, the newest word of each field.
fn found_in(record: &PatientRecord, search: &PersonSearch) -> Option<PersonFound> {
    let items = record.items.get(&ItemKind::Demographics)?;
    let person = person(record.nhs_number, |name| newest(items, name));
    let mut systems: Vec<String> = items.iter().map(|item| item.system.clone()).collect();
    systems.sort();
    systems.dedup();
    let exact = is_exact(&person, search);
    (!person.family_name.is_empty()).then_some(PersonFound {
        person,
        systems,
        verified: record.is_sure,
        exact,
    })
}

/// A person of whom a system says these demographics, field by field.
pub(super) fn person(nhs_number: Option<NhsNumber>, text: impl Fn(&str) -> String) -> Person {
    let together = |names: &[&str], between: &str| {
        let texts: Vec<String> =
            names.iter().map(|name| text(name)).filter(|text| !text.is_empty()).collect();
        texts.join(between)
    };
    Person {
        nhs_number,
        family_name: text("family_name"),
        given_names: together(&["given_name", "middle_names"], " "),
        title: text("title"),
        birth_date: day(&text("birth_date")),
        gender: gender(&text("gender")).to_owned(),
        address: together(&["address_line_1", "address_line_2", "city"], ", "),
        postcode: text("postcode"),
        telephone: text("telephone"),
        practice: text("general_practice"),
    }
}

/// Fields that are one system's word together, never some of one and some of another; the first two make it whole.
const TOGETHER: [&[&str]; 2] = [
    &["family_name", "given_name", "middle_names", "title"],
    &["address_line_1", "postcode", "address_line_2", "city", "county"],
];

/// What was said last of a field; of a name or an address, by whoever last gave it whole, or else a part of it.
fn newest(items: &[RecordItem], name: &str) -> String {
    let alone = [name];
    let parts = TOGETHER.into_iter().find(|parts| parts.contains(&name)).unwrap_or(&alone);
    let rank = |item: &RecordItem| {
        let said = |name: &&str| item.fields.get(*name).filter(|field| field.value.is_some());
        let whole = parts.iter().take(2).all(|name| said(name).is_some());
        let last = parts.iter().filter_map(said).map(|field| field.occurred).max()?;
        Some((whole, last, item.system.clone(), item.key.clone()))
    };
    let living = items.iter().filter(|item| item.withdrawn.is_none());
    let newest = living.filter_map(|item| Some((rank(item)?, item))).max_by(|(a, _), (b, _)| a.cmp(b));
    newest.and_then(|(_, item)| item.fields.get(name)?.value.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
