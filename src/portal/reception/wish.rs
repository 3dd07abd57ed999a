//! What the desk looks for: service or need, when, how and with whom.

use jiff::civil::Date;
use serde::Deserialize;

use crate::{
    domain::{
        booking::{Channel, Service, SlotSearch},
        ids::HubId,
        slot::SEARCH_MAX,
        time::Timestamp,
    },
    portal::frame::Errors,
};

use super::{
    form::{Choice, characters},
    person::LINE_CHARACTERS_MAX,
    times,
};

/// Days that one search covers; systems answer for no more (GP Connect, Search for free slots).
pub(super) const DAYS_MAX: u16 = 14;
/// Adjacent slots that one booking takes; longer clinics have longer slots.
pub(super) const SLOTS_MAX: usize = 3;

/// The form. Its window is in days, both included.
#[derive(Clone, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct WishForm {
    pub service: String,
    pub need: String,
    pub from: String,
    pub until: String,
    pub channel: String,
    pub gender: String,
    pub language: String,
    pub step_free: String,
    pub slots: String,
}

impl WishForm {
    /// The form as it is first shown: two weeks from today.
    pub fn new(today: Date) -> Self {
        Self {
            from: today.to_string(),
            until: times::later(today, DAYS_MAX - 1).to_string(),
            slots: "1".to_owned(),
            ..Self::default()
        }
    }

    /// Filled in with what is known, from today on.
    pub fn of(search: &SlotSearch, today: Date) -> Self {
        let from = times::day(search.from).max(today);
        let until = times::day(before(search.until)).min(times::later(from, DAYS_MAX - 1)).max(from);
        Self {
            service: search.service.as_ref().map(ToString::to_string).unwrap_or_default(),
            need: search.need.clone(),
            from: from.to_string(),
            until: until.to_string(),
            channel: search.channel.map(Channel::name).unwrap_or_default().to_owned(),
            gender: search.gender.clone(),
            language: search.language.clone(),
            step_free: if search.step_free { "yes".to_owned() } else { String::new() },
            slots: "1".to_owned(),
        }
    }

    pub fn services(&self, services: &[Service]) -> Vec<Choice> {
        services_to_choose(services, &self.service)
    }

    pub fn channels(&self) -> Vec<Choice> {
        let any = Choice::new("", "Any", self.channel.is_empty());
        let named = Channel::ALL.map(|channel| {
            let chosen = self.channel == channel.name();
            Choice::new(channel.name(), channel.name(), chosen)
        });
        std::iter::once(any).chain(named).collect()
    }

    pub fn genders(&self) -> Vec<Choice> {
        [("", "Any"), ("female", "Female"), ("male", "Male")]
            .map(|(value, label)| Choice::new(value, label, self.gender == value))
            .into()
    }

    pub fn lengths(&self) -> Vec<Choice> {
        [
            ("1", "One slot"),
            ("2", "Two slots, one after the other"),
            ("3", "Three slots, one after the other"),
        ]
        .map(|(value, label)| Choice::new(value, label, self.slots() == value.parse().unwrap_or(0)))
        .into()
    }

    /// How many adjacent slots are wanted.
    pub fn slots(&self) -> usize {
        self.slots.parse().unwrap_or(1).clamp(1, SLOTS_MAX)
    }

    /// What it says, or what is wrong with it. `practice` is the patient's own.
    pub fn read(&self, today: Date, services: &[Service], practice: &str) -> Result<SlotSearch, Errors> {
        let mut errors = Errors::default();
        let service = self.read_service(services, &mut errors);
        let (from, until) = self.read_window(today, &mut errors);
        if !["", "female", "male"].contains(&self.gender.as_str()) {
            errors.add("gender", "Choose the clinician’s gender, or any");
        }
        if LINE_CHARACTERS_MAX < characters(&self.language) {
            errors.add("language", format!("Shorten this to {LINE_CHARACTERS_MAX} characters"));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let from = times::start_of(from);
        let end = times::start_of(times::next(until));
        Ok(SlotSearch {
            need: if service.is_some() { String::new() } else { self.need.trim().to_owned() },
            service,
            from,
            // The two weeks in which summer time ends are an hour longer than systems allow.
            until: end.min(from.plus(SEARCH_MAX)),
            channel: Channel::of(&self.channel),
            gender: self.gender.clone(),
            language: self.language.trim().to_owned(),
            step_free: self.step_free == "yes",
            practice: practice.to_owned(),
        })
    }

    fn read_service(&self, services: &[Service], errors: &mut Errors) -> Option<HubId> {
        if LINE_CHARACTERS_MAX < characters(&self.need) {
            errors.add("need", format!("Shorten this to {LINE_CHARACTERS_MAX} characters"));
        }
        if self.service.is_empty() {
            if self.need.trim().is_empty() {
                errors.add("service", "Choose a service, or say in a word what is needed");
            }
            return None;
        }
        let known = services.iter().find(|service| service.id.as_str() == self.service);
        if known.is_none() {
            errors.add("service", "Choose a service from the list");
        }
        known.map(|service| service.id.clone())
    }

    /// The first and the last day.
    pub fn read_window(&self, today: Date, errors: &mut Errors) -> (Date, Date) {
        let (Some(from), Some(until)) = (times::read(&self.from), times::read(&self.until)) else {
            let id = if times::read(&self.from).is_none() { "from" } else { "until" };
            errors.add(id, "Enter a date that exists, such as 2026-11-23");
            return (today, today);
        };
        if from < today {
            errors.add("from", "Enter today or a later day");
        } else if until < from {
            errors.add("until", "Enter a day that is not before the first one");
        } else if times::later(from, DAYS_MAX) <= until {
            errors.add(
                "until",
                format!("Enter a day within {DAYS_MAX} days: systems answer for no more at once"),
            );
        }
        (from, until)
    }
}

/// Services to choose from, by name.
pub(super) fn services_to_choose(services: &[Service], chosen: &str) -> Vec<Choice> {
    let option = |service: &Service| {
        let id = service.id.as_str();
        Choice::new(id, format!("{} – {}", service.name, service.organisation), chosen == id)
    };
    services.iter().map(option).collect()
}

/// The last moment before.
const fn before(at: Timestamp) -> Timestamp {
    Timestamp(at.0.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::portal::reception::fake;

    fn read(change: impl FnOnce(&mut WishForm)) -> Result<SlotSearch, Errors> {
        let today = times::day(fake::NOW);
        let mut form = WishForm { service: "podiatry".to_owned(), ..WishForm::new(today) };
        change(&mut form);
        form.read(today, &fake::services(), "F84004")
    }

    #[test]
    fn the_first_form_asks_for_two_weeks_and_fills_itself_again() {
        let search = read(|_| ()).unwrap_or_else(|errors| panic!("{errors:?}"));
        let today = times::day(fake::NOW);
        assert_eq!(search.until.since(search.from), SEARCH_MAX);
        let again = WishForm::of(&search, today).read(today, &fake::services(), "F84004");
        assert_eq!(again.ok(), Some(search));
    }

    #[test]
    fn the_weeks_in_which_summer_time_ends_are_no_longer() {
        let today = jiff::civil::date(2026, 10, 20);
        let form = WishForm { service: "podiatry".to_owned(), ..WishForm::new(today) };
        let search = form.read(today, &fake::services(), "").unwrap_or_else(|errors| panic!("{errors:?}"));
        assert_eq!(search.until.since(search.from), SEARCH_MAX);
    }

    #[test]
    fn what_makes_no_sense_is_said_at_its_field() {
        type Slip = fn(&mut WishForm);
        let slips: [(&str, Slip); 7] = [
            ("service", |form| form.service.clear()),
            ("service", |form| form.service = "nowhere".to_owned()),
            ("from", |form| form.from = "2020-01-01".to_owned()),
            ("from", |form| form.from = "tomorrow".to_owned()),
            ("until", |form| form.until = form.from.replace("-23", "-22").replace("2026", "2026")),
            ("until", |form| form.until = "2027-01-01".to_owned()),
            ("gender", |form| form.gender = "x".to_owned()),
        ];
        for (field, slip) in slips {
            let errors = read(slip).err().unwrap_or_default();
            assert!(errors.of(field).is_some(), "{field}: {errors:?}");
        }
    }
}
