//! People as the desk shows them (NHS Common User Interface, Patient Banner) and as its form asks for them.

use jiff::civil::Date;
use serde::Deserialize;

use crate::{
    domain::{
        booking::Person,
        nhs_number::{InvalidNhsNumber, NhsNumber},
    },
    portal::frame::Errors,
};

use super::{asked, form::Choice, times};

/// Nobody older is booked for; a year of birth beyond it is a slip.
const AGE_MAX: i16 = 130;
/// The longest single line, in characters.
pub(super) const LINE_CHARACTERS_MAX: usize = 100;
/// The longest address, in characters.
const ADDRESS_CHARACTERS_MAX: usize = 500;
/// How people may be called, as forms and systems say it, and as pages do.
const GENDERS: [(&str, &str); 4] =
    [("female", "Female"), ("male", "Male"), ("other", "Other"), ("unknown", "Not known")];

/// What stands above every page that is about one patient.
pub(in crate::portal) struct Banner {
    pub name: String,
    pub born: String,
    pub gender: &'static str,
    pub nhs_number: String,
    pub address: String,
    pub telephone: String,
}

impl Banner {
    pub fn of(person: &Person, today: Date) -> Self {
        let address = [person.address.as_str(), person.postcode.as_str()];
        Self {
            name: name(person),
            born: born(person, today),
            gender: gender(&person.gender),
            nhs_number: number(person),
            address: address.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", "),
            telephone: person.telephone.clone(),
        }
    }
}

/// `OKAFOR, Grace (Mrs)`.
pub(super) fn name(person: &Person) -> String {
    let mut name = person.family_name.to_uppercase();
    if !person.given_names.is_empty() {
        name = format!("{name}, {}", person.given_names);
    }
    if !person.title.is_empty() {
        name = format!("{name} ({})", person.title);
    }
    if name.is_empty() { "No name given".to_owned() } else { name }
}

/// `18-Nov-1950 (76y)`.
pub(super) fn born(person: &Person, today: Date) -> String {
    if person.birth_date.is_empty() {
        return "Not known".to_owned();
    }
    let born = times::birth(&person.birth_date);
    times::age(&person.birth_date, today).map_or(born.clone(), |age| format!("{born} ({age})"))
}

/// `999 000 0018`, or that it is not known.
pub(super) fn number(person: &Person) -> String {
    person.nhs_number.map_or_else(|| "Not known".to_owned(), |number| spaced(&number))
}

pub(in crate::portal) fn spaced(number: &NhsNumber) -> String {
    let digits = number.as_str();
    let parts = [digits.get(..3), digits.get(3..6), digits.get(6..)];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// The word for a gender.
pub(super) fn gender(text: &str) -> &'static str {
    GENDERS.into_iter().find(|(value, _)| *value == text).map_or("Not known", |(_, word)| word)
}

/// The form for somebody whom no list has.
#[derive(Clone, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct PersonForm {
    pub nhs_number: String,
    pub title: String,
    pub given_names: String,
    pub family_name: String,
    pub birth_day: String,
    pub birth_month: String,
    pub birth_year: String,
    pub gender: String,
    pub address: String,
    pub postcode: String,
    pub telephone: String,
    pub practice: String,
}

impl PersonForm {
    /// Filled in with what is known.
    pub fn of(person: &Person) -> Self {
        let mut parts = person.birth_date.split('-').map(str::to_owned);
        let (year, month, day) = (parts.next(), parts.next(), parts.next());
        Self {
            nhs_number: person.nhs_number.map(|number| spaced(&number)).unwrap_or_default(),
            title: person.title.clone(),
            given_names: person.given_names.clone(),
            family_name: person.family_name.clone(),
            birth_day: day.unwrap_or_default(),
            birth_month: month.unwrap_or_default(),
            birth_year: year.unwrap_or_default(),
            gender: person.gender.clone(),
            address: person.address.clone(),
            postcode: person.postcode.clone(),
            telephone: person.telephone.clone(),
            practice: person.practice.clone(),
        }
    }

    /// The genders to choose from.
    pub fn genders(&self) -> Vec<Choice> {
        GENDERS.iter().map(|(value, label)| Choice::new(*value, *label, self.gender == *value)).collect()
    }

    /// Whom it says, or what is wrong with it.
    pub fn read(&self, today: Date) -> Result<Person, Errors> {
        let mut errors = Errors::default();
        let nhs_number = self.read_number(&mut errors);
        self.check_lines(&mut errors);
        let birth_date = self.read_birth(today, &mut errors);
        if !GENDERS.iter().any(|(value, _)| *value == self.gender) {
            errors.add("gender", "Choose a gender, or that it is not known");
        }
        let postcode = match self.postcode.trim() {
            "" => String::new(),
            text => asked::postcode(text).unwrap_or_else(|| {
                errors.add("postcode", "Enter a full postcode, such as E1 4DG");
                String::new()
            }),
        };
        let telephone = match self.telephone.trim() {
            "" => String::new(),
            text => telephone(text).unwrap_or_else(|| {
                errors.add("telephone", "Enter a telephone number of 10 or 11 digits, such as 020 7946 0018");
                String::new()
            }),
        };
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Person {
            nhs_number,
            family_name: self.family_name.trim().to_owned(),
            given_names: self.given_names.trim().to_owned(),
            title: self.title.trim().to_owned(),
            birth_date: birth_date.map(|date| date.to_string()).unwrap_or_default(),
            gender: self.gender.clone(),
            address: self.address.split_whitespace().collect::<Vec<_>>().join(" "),
            postcode,
            telephone,
            practice: self.practice.trim().to_ascii_uppercase(),
        })
    }

    fn read_number(&self, errors: &mut Errors) -> Option<NhsNumber> {
        match NhsNumber::parse(&self.nhs_number) {
            Ok(number) => return Some(number),
            Err(InvalidNhsNumber::Absent) => {}
            Err(InvalidNhsNumber::NotTenDigits) => {
                errors.add("nhs-number", "Enter 10 digits, such as 999 000 0018")
            }
            Err(InvalidNhsNumber::CheckDigit) => {
                errors
                    .add("nhs-number", "Check the NHS number: its last digit does not agree with the others");
            }
            Err(InvalidNhsNumber::Filler) => {
                errors.add("nhs-number", "Enter the patient’s own NHS number, or leave it empty");
            }
        }
        None
    }

    fn check_lines(&self, errors: &mut Errors) {
        let too_long = |text: &str, most: usize| most < text.trim().chars().count();
        if self.family_name.trim().is_empty() {
            errors.add("family-name", "Enter the family name");
        }
        for (id, text) in [
            ("title", &self.title),
            ("given-names", &self.given_names),
            ("family-name", &self.family_name),
            ("practice", &self.practice),
        ] {
            if too_long(text, LINE_CHARACTERS_MAX) {
                errors.add(id, format!("Shorten this to {LINE_CHARACTERS_MAX} characters"));
            }
        }
        if too_long(&self.address, ADDRESS_CHARACTERS_MAX) {
            errors.add("address", format!("Shorten the address to {ADDRESS_CHARACTERS_MAX} characters"));
        }
    }

    fn read_birth(&self, today: Date, errors: &mut Errors) -> Option<Date> {
        let parts = [&self.birth_day, &self.birth_month, &self.birth_year].map(|part| part.trim());
        if parts.iter().all(|part| part.is_empty()) {
            if self.nhs_number.trim().is_empty() {
                errors
                    .add("birth-day", "Enter the date of birth, or the NHS number if the date is not known");
            }
            return None;
        }
        let [day, month, year] = parts;
        let Some(date) = asked::date(day, month, year) else {
            errors.add("birth-day", "Enter a date of birth that exists, such as 18 11 1950");
            return None;
        };
        if today < date || date.year() < today.year() - AGE_MAX {
            errors.add("birth-day", "Enter a date of birth in the past, at most 130 years ago");
            return None;
        }
        Some(date)
    }
}

/// A telephone number as digits; none if it is no number of the United Kingdom.
pub(super) fn telephone(text: &str) -> Option<String> {
    let plain: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')')).collect();
    let digits = plain.strip_prefix("+44").map_or(plain.clone(), |rest| format!("0{rest}"));
    let legal = digits.starts_with('0')
        && (10..=11).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit());
    legal.then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn today() -> Date {
        jiff::civil::date(2026, 11, 23)
    }

    fn form() -> PersonForm {
        PersonForm {
            nhs_number: "999 000 0018".to_owned(),
            title: "Mrs".to_owned(),
            given_names: "Grace".to_owned(),
            family_name: "Okafor".to_owned(),
            birth_day: "18".to_owned(),
            birth_month: "11".to_owned(),
            birth_year: "1950".to_owned(),
            gender: "female".to_owned(),
            postcode: "e14dg".to_owned(),
            telephone: "+44 20 7946 0018".to_owned(),
            ..PersonForm::default()
        }
    }

    #[test]
    fn a_person_is_shown_as_the_banner_wants_it() {
        let banner = Banner::of(&form().read(today()).unwrap(), today());
        assert_eq!(banner.name, "OKAFOR, Grace (Mrs)");
        assert_eq!(banner.born, "18-Nov-1950 (76y)");
        assert_eq!((banner.gender, banner.nhs_number.as_str()), ("Female", "999 000 0018"));
        assert_eq!((banner.address.as_str(), banner.telephone.as_str()), ("E1 4DG", "02079460018"));
        let nobody = Banner::of(&Person::default(), today());
        assert_eq!((nobody.name.as_str(), nobody.born.as_str()), ("No name given", "Not known"));
    }

    #[test]
    fn what_was_read_fills_the_form_again() {
        let person = form().read(today()).unwrap();
        assert!(PersonForm::of(&person).read(today()).unwrap() == person);
    }

    #[test]
    fn every_slip_is_said_at_its_field() {
        type Slip = fn(&mut PersonForm);
        let slips: [(&str, Slip); 9] = [
            ("nhs-number", |form| form.nhs_number = "9990000019".to_owned()),
            ("nhs-number", |form| form.nhs_number = "999".to_owned()),
            ("family-name", |form| form.family_name = " ".to_owned()),
            ("given-names", |form| form.given_names = "x".repeat(101)),
            ("birth-day", |form| form.birth_day = "31".to_owned()),
            ("birth-day", |form| form.birth_year = "2027".to_owned()),
            ("gender", |form| form.gender = "<script>".to_owned()),
            ("postcode", |form| form.postcode = "London".to_owned()),
            ("telephone", |form| form.telephone = "12".to_owned()),
        ];
        for (field, slip) in slips {
            let mut form = form();
            slip(&mut form);
            let errors = form.read(today()).unwrap_err();
            assert!(errors.of(field).is_some(), "{field}: {errors:?}");
            assert_eq!(errors.all().len(), 1);
        }
    }

    #[test]
    fn without_a_number_the_date_of_birth_must_be_known() {
        let mut form = form();
        (form.birth_day, form.birth_month, form.birth_year) = Default::default();
        assert!(form.read(today()).unwrap().birth_date.is_empty());
        form.nhs_number.clear();
        assert!(form.read(today()).unwrap_err().of("birth-day").is_some());
    }
}
