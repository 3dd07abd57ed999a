//! Finding people by name, birth date, telephone number and postcode: an index of what demographics say now.
//!
//! A key is the hash of a term and the person; the terms themselves stand in one value for each person, as local
//! identifiers do. A message that says what is indexed already costs one read; only one that says something else has
//! the person's demographics read anew, so that the order of arrival decides nothing, and old terms go. What a
//! withdrawn document said is found until the next demographics that differ: the record tells what holds.
//!
//! A word of a name takes one key of 15 bytes or so, a person about six keys and a value of some 60 bytes. Nothing of it
//! is in memory but what waits to be written, within the bounds of everything that waits.

use std::{collections::BTreeSet, fmt};

use super::{
    PatientId, RecordItem, ViewError,
    keys::{self, Room},
    state::State,
    wire::{Reader, Writer},
};
use crate::domain::record::{FieldChange, ItemChange, ItemKind};

/// Persons of one term that are looked at; a hub has a few hundred thousand, and a name of two letters fits many.
pub const CANDIDATES_MAX: usize = 1000;
/// Words of a name that are asked for at once.
const WORDS_ASKED_MAX: usize = 8;
/// Beginnings of words by which they are found, in letters, the longest that what is asked has; the rest is compared.
const PREFIXES: [usize; 3] = [2, 4, 6];
/// Terms of one person, and letters of one: together they stay below what a value may be, whatever the alphabet.
const TERMS_MAX: usize = 24;
const TERM_LETTERS_MAX: usize = 32;
/// Digits of a telephone number that count, from its end: national and international forms share them.
const TELEPHONE_DIGITS: usize = 9;

/// By what people are looked for; what is empty is not asked. Its `Debug` shows nothing.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct PeopleQuery {
    /// Beginnings of names, in any order; at least one of two letters, or something else is asked too.
    pub name: String,
    /// Year, month and day, with or without hyphens.
    pub birth_date: String,
    /// A telephone number; its last nine digits count.
    pub telephone: String,
    /// A whole postcode.
    pub postcode: String,
}

impl fmt::Debug for PeopleQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PeopleQuery(…)")
    }
}

/// Who fits all that was asked.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PeopleFound {
    /// The patients.
    pub patients: Vec<PatientId>,
    /// There may be more: more fit, or more than [`CANDIDATES_MAX`] would have had to be looked at.
    pub more: bool,
}

/// What kind of term it is; part of its hash.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
enum Kind {
    Name = b'n',
    Birth = b'b',
    Telephone = b't',
    Postcode = b'p',
}

impl Kind {
    const ALL: [Self; 4] = [Self::Name, Self::Birth, Self::Telephone, Self::Postcode];

    /// The fields of demographics it is from.
    const fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Name => &["family_name", "given_name", "middle_names"],
            Self::Birth => &["birth_date"],
            Self::Telephone => &["telephone"],
            Self::Postcode => &["postcode"],
        }
    }

    /// The terms of a field's text.
    fn terms(self, text: &str) -> Vec<String> {
        let digits = || text.chars().filter(char::is_ascii_digit);
        match self {
            Self::Name => words(text),
            Self::Birth => {
                Some(digits().take(8).collect::<String>()).filter(|day| day.len() == 8).into_iter().collect()
            }
            Self::Telephone => telephone(text).into_iter().collect(),
            Self::Postcode => Some(folded(text)).filter(|code| !code.is_empty()).into_iter().collect(),
        }
    }
}

/// The last nine digits of a telephone number; none if it has fewer.
pub fn telephone(text: &str) -> Option<String> {
    let digits: Vec<char> = text.chars().filter(char::is_ascii_digit).collect();
    let from = digits.len().checked_sub(TELEPHONE_DIGITS)?;
    Some(digits.into_iter().skip(from).collect())
}

/// The words of a name, as they are compared: letters and digits alone, in lower case, without accents. One with
/// hyphens is found as a whole and by each of its parts.
pub fn words(name: &str) -> Vec<String> {
    let mut words = BTreeSet::new();
    for word in name.split_whitespace() {
        words.insert(folded(word));
        words.extend(word.split(['-', '\u{2010}', '\u{2011}']).map(folded));
    }
    words.into_iter().filter(|word| !word.is_empty()).collect()
}

/// Letters and digits alone, in lower case, without the accents of Europe's Latin alphabets; at most 32.
pub fn folded(text: &str) -> String {
    let letters = text.chars().filter(|character| character.is_alphanumeric());
    let mut folded = String::new();
    for character in letters.flat_map(char::to_lowercase) {
        match plain(character) {
            Some(plain) => folded.push_str(plain),
            None if character.is_alphanumeric() => folded.push(character),
            None => {}
        }
    }
    folded.chars().take(TERM_LETTERS_MAX).collect()
}

/// A lower-case letter without its accent.
const fn plain(character: char) -> Option<&'static str> {
    Some(match character {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ā' | 'ă' | 'ą' | 'ǎ' => "a",
        'æ' => "ae",
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => "e",
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => "g",
        'ĥ' | 'ħ' => "h",
        'ì' | 'í' | 'î' | 'ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' => "i",
        'ĵ' => "j",
        'ķ' => "k",
        'ĺ' | 'ļ' | 'ľ' | 'ł' => "l",
        'ñ' | 'ń' | 'ņ' | 'ň' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ō' | 'ŏ' | 'ő' => "o",
        'œ' => "oe",
        'ŕ' | 'ŗ' | 'ř' => "r",
        'ś' | 'ŝ' | 'ş' | 'š' | 'ș' => "s",
        'ß' => "ss",
        'ţ' | 'ť' | 'ț' => "t",
        'þ' => "th",
        'ù' | 'ú' | 'û' | 'ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' => "u",
        'ŵ' => "w",
        'ý' | 'ÿ' | 'ŷ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        _ => return None,
    })
}

type Terms = BTreeSet<(Kind, String)>;

impl State {
    /// Brings the index to what a person's demographics say, after a message has told of them.
    pub(super) fn index(&mut self, person: u64, items: &[ItemChange]) -> Result<(), ViewError> {
        if !items.iter().any(|item| item.kind == ItemKind::Demographics) {
            return Ok(());
        }
        let known = self.terms_of(person)?;
        if says_nothing_else(items, &known) {
            return Ok(());
        }
        let mut terms = Terms::new();
        for item in self.demographics_of(person)?.iter().filter(|item| item.withdrawn.is_none()) {
            for kind in Kind::ALL {
                let texts = kind.fields().iter().filter_map(|name| item.fields.get(*name)?.value.as_deref());
                terms.extend(texts.flat_map(|text| kind.terms(text)).map(|term| (kind, term)));
            }
        }
        // Birth date, telephone and postcode before names: of too many names the last are left out.
        let mut terms: Vec<(Kind, String)> = terms.into_iter().collect();
        terms.sort_by_key(|(kind, _)| *kind == Kind::Name);
        let terms: Terms = terms.into_iter().take(TERMS_MAX).collect();
        if terms != known {
            self.put_terms(person, &known, &terms);
        }
        Ok(())
    }

    fn put_terms(&mut self, person: u64, known: &Terms, terms: &Terms) {
        let keys = |terms: &Terms| -> BTreeSet<Vec<u8>> {
            let by = |(kind, term): &(Kind, String)| {
                keys::sought_by(*kind as u8, kind.parts(term).iter().map(String::as_str))
            };
            terms.iter().map(|term| keys::sought(by(term), person)).collect()
        };
        let (before, after) = (keys(known), keys(terms));
        before.difference(&after).for_each(|key| self.shelf.put(key.clone(), None));
        after.difference(&before).for_each(|key| self.shelf.put(key.clone(), Some(Vec::new())));
        let mut writer = Writer::default();
        for (kind, term) in terms {
            writer.number(u64::from(*kind as u8)).text(term);
        }
        self.shelf.put(keys::numbered(Room::Terms, person), Some(writer.0).filter(|bytes| !bytes.is_empty()));
    }

    fn terms_of(&self, person: u64) -> Result<Terms, ViewError> {
        let bytes = self.shelf.get(&keys::numbered(Room::Terms, person))?.unwrap_or_default();
        let mut reader = Reader(&bytes);
        let mut terms = Terms::new();
        while reader.end().is_none() {
            let mut read = || {
                let number = reader.number()?;
                let kind = Kind::ALL.into_iter().find(|kind| u64::from(*kind as u8) == number)?;
                Some((kind, reader.text()?.to_owned()))
            };
            terms.insert(read().ok_or(ViewError::Damaged("a person's terms cannot be read"))?);
        }
        Ok(terms)
    }

    fn demographics_of(&self, person: u64) -> Result<Vec<RecordItem>, ViewError> {
        let mut found = self.shelf.items(person)?;
        found.retain(|key, _| keys::item_name(key).is_some_and(|name| name.kind == ItemKind::Demographics));
        Ok(self.read_found(found, 0)?.remove(&ItemKind::Demographics).unwrap_or_default())
    }

    /// Those whom all that is asked fits, whichever of their systems says it.
    pub(super) fn find_people(&self, query: &PeopleQuery, limit: usize) -> Result<PeopleFound, ViewError> {
        let Some(asked) = asked(query) else { return Ok(PeopleFound::default()) };
        let mut fewest: Option<Vec<u64>> = None;
        for (kind, term) in &asked {
            if kind.parts_known(term) == 0 {
                continue;
            }
            let found = self.persons_with(*kind, term)?;
            if fewest.as_ref().is_none_or(|known| found.len() < known.len()) {
                fewest = Some(found);
            }
        }
        let candidates = fewest.unwrap_or_default();
        let mut found = PeopleFound { more: CANDIDATES_MAX < candidates.len(), ..PeopleFound::default() };
        let mut seen: BTreeSet<u64> = BTreeSet::new();
        for person in candidates.into_iter().take(CANDIDATES_MAX) {
            if seen.contains(&person) {
                continue;
            }
            let whole = self.whole(person)?;
            seen.extend(&whole.persons);
            let mut terms = Terms::new();
            for one in &whole.persons {
                terms.extend(self.terms_of(*one)?);
            }
            let patient = PatientId(whole.patient);
            if asked.iter().all(|asked| fits(asked, &terms)) && !found.patients.contains(&patient) {
                if limit <= found.patients.len() {
                    found.more = true;
                    break;
                }
                found.patients.push(patient);
            }
        }
        Ok(found)
    }

    /// Persons who may have a term, and one more than are looked at if there are more.
    fn persons_with(&self, kind: Kind, term: &str) -> Result<Vec<u64>, ViewError> {
        let parts = kind.parts(term);
        let known = parts.iter().take(kind.parts_known(term)).map(String::as_str);
        let found = self.shelf.scan(&keys::sought_by(kind as u8, known), CANDIDATES_MAX + 1)?;
        let persons: Option<Vec<u64>> =
            found.keys().map(|key| keys::sought_person(key, parts.len())).collect();
        persons.ok_or(ViewError::Damaged("a key of the search index cannot be read"))
    }
}

/// What is asked, as terms; none if nothing is, or something that fits nobody.
fn asked(query: &PeopleQuery) -> Option<Vec<(Kind, String)>> {
    let mut asked: Vec<(Kind, String)> = Vec::new();
    for (kind, text) in [
        (Kind::Birth, &query.birth_date),
        (Kind::Telephone, &query.telephone),
        (Kind::Postcode, &query.postcode),
    ] {
        if !text.trim().is_empty() {
            asked.push((kind, kind.terms(text).pop()?));
        }
    }
    let words = query.name.split_whitespace().map(folded).filter(|word| !word.is_empty());
    asked.extend(words.take(WORDS_ASKED_MAX).map(|word| (Kind::Name, word)));
    Some(asked)
}

fn fits((kind, term): &(Kind, String), terms: &Terms) -> bool {
    match kind {
        Kind::Name => {
            terms.iter().any(|(known, word)| *known == Kind::Name && word.starts_with(term.as_str()))
        }
        _ => terms.contains(&(*kind, term.clone())),
    }
}

impl Kind {
    /// The parts that a term's key is made of: a name's beginnings, of a short word the whole.
    fn parts(self, term: &str) -> Vec<String> {
        match self {
            Self::Name => PREFIXES.into_iter().map(|length| term.chars().take(length).collect()).collect(),
            _ => vec![term.to_owned()],
        }
    }

    /// How many of them are known of what is asked.
    fn parts_known(self, term: &str) -> usize {
        match self {
            Self::Name => PREFIXES.into_iter().filter(|length| *length <= term.chars().count()).count(),
            _ => 1,
        }
    }
}

/// Whether a message's demographics say only what is indexed.
fn says_nothing_else(items: &[ItemChange], known: &Terms) -> bool {
    let mut told = items.iter().filter(|item| item.kind == ItemKind::Demographics);
    told.all(|item| !item.withdrawn && Kind::ALL.into_iter().all(|kind| says_the_same(item, kind, known)))
}

fn says_the_same(item: &ItemChange, kind: Kind, known: &Terms) -> bool {
    let said = || item.fields.iter().filter(|(name, _)| kind.fields().contains(name));
    let texts = said().filter_map(|(_, change)| match change {
        FieldChange::Set(text) => Some(text),
        FieldChange::Delete => None,
    });
    let terms: BTreeSet<String> = texts.flat_map(|text| kind.terms(text)).collect();
    let known: BTreeSet<String> =
        known.iter().filter(|(of, _)| *of == kind).map(|(_, term)| term.clone()).collect();
    said().next().is_none() || terms == known
}
