//! What goes where: pure rules over what a message says and where it came from.

use crate::domain::{
    nhs_number::NhsNumber,
    record::{Event, FieldChange, ItemKind},
};

use super::Position;

/// What a destination may be sent.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum What {
    /// Results of laboratories and analysers.
    Results,
    /// Reports of urgent care and other letters, and their withdrawal.
    Letters,
    /// Who patients are: A08, A28, A31 and A40, and what says nothing else in other protocols; merges always.
    Demographics,
    /// Booked, moved, cancelled, missed.
    Appointments,
}

/// Whom a route leads to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum To {
    /// The destination of this name.
    Named(String),
    /// Any destination whose ODS code is that of the patient's registered practice.
    RegisteredPractice,
    /// The destination of this name, for the patients who are registered there.
    RegisteredAt(String),
}

/// One route.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Route {
    /// The systems it leads from; all if there is none.
    pub from: Vec<String>,
    /// What goes along it.
    pub what: Vec<What>,
    /// Where it leads.
    pub to: To,
}

/// What is known of where a patient is registered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Registration {
    /// With the practice of this ODS code.
    At(String),
    /// Nobody has said.
    Unknown,
    /// What came up to this place of the journal has not been taken into the record yet: ask again.
    NotYet,
}

/// Knows where patients are registered: the one record, seen from here.
pub trait Registrations: Send + Sync {
    /// Where a patient is registered by everything that came before `position`.
    fn of(&self, patient: &NhsNumber, position: Position) -> Registration;
}

/// Knows nothing: only what a message itself says of its patient's practice counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRegistrations;

impl Registrations for NoRegistrations {
    fn of(&self, _: &NhsNumber, _: Position) -> Registration {
        Registration::Unknown
    }
}

/// Whether a destination is to have a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wanted {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// That depends on the patient's practice, which is not known yet.
    NotYet,
}

/// The routes that lead to one destination.
#[derive(Clone, Debug)]
pub struct Routes {
    name: String,
    ods: Option<String>,
    routes: Vec<Route>,
}

impl Routes {
    /// Of all `routes`, those that may lead to the destination of this name and ODS code.
    pub fn to(name: &str, ods: Option<&str>, routes: &[Route]) -> Self {
        let leads_here = |route: &&Route| match &route.to {
            To::Named(to) | To::RegisteredAt(to) => to == name,
            To::RegisteredPractice => ods.is_some(),
        };
        Self {
            name: name.to_owned(),
            ods: ods.map(normal),
            routes: routes.iter().filter(leads_here).cloned().collect(),
        }
    }

    /// Whether the destination is to have a message of `system`. What it sent itself never comes back to it.
    pub fn wants(
        &self,
        system: &str,
        event: &Event,
        position: Position,
        registrations: &dyn Registrations,
    ) -> Wanted {
        if system == self.name {
            return Wanted::No;
        }
        let what = what(event);
        let mut by_practice = false;
        for route in &self.routes {
            let from_here = route.from.is_empty() || route.from.iter().any(|from| from == system);
            if !from_here || !route.what.iter().any(|one| what.contains(one)) {
                continue;
            }
            match route.to {
                To::Named(_) => return Wanted::Yes,
                To::RegisteredPractice | To::RegisteredAt(_) => by_practice = true,
            }
        }
        if by_practice { self.is_registered_here(event, position, registrations) } else { Wanted::No }
    }

    fn is_registered_here(
        &self,
        event: &Event,
        position: Position,
        registrations: &dyn Registrations,
    ) -> Wanted {
        let said = practice_said(event).map(str::to_owned);
        let practice = match (said, event.nhs_number) {
            (Some(practice), _) => Registration::At(practice),
            (None, Ok(patient)) => registrations.of(&patient, position),
            (None, Err(_)) => Registration::Unknown,
        };
        match practice {
            Registration::At(practice) if Some(normal(&practice)) == self.ods => Wanted::Yes,
            Registration::At(_) | Registration::Unknown => Wanted::No,
            Registration::NotYet => Wanted::NotYet,
        }
    }
}

/// What a message is, in the words routes use.
pub fn what(event: &Event) -> Vec<What> {
    let has = |kind: ItemKind| event.items.iter().any(|item| item.kind == kind);
    let identity = ["ADT^A08", "ADT^A28", "ADT^A31", "ADT^A40"].contains(&event.kind.as_str());
    // HL7 v2 repeats who the patient is with everything it says; elsewhere what says only that is news of it.
    let only_that = !event.items.is_empty()
        && !event.kind.starts_with("ADT^")
        && event.items.iter().all(|item| item.kind == ItemKind::Demographics && !item.fields.is_empty());
    [
        (has(ItemKind::Result), What::Results),
        (has(ItemKind::Document) || !event.withdraws.is_empty(), What::Letters),
        (identity || only_that || !event.merged.is_empty(), What::Demographics),
        (has(ItemKind::Appointment), What::Appointments),
    ]
    .into_iter()
    .filter_map(|(is, what)| is.then_some(what))
    .collect()
}

/// The ODS code that a message gives as its patient's practice.
fn practice_said(event: &Event) -> Option<&str> {
    let demographics = event.items.iter().find(|item| item.kind == ItemKind::Demographics)?;
    demographics.fields.iter().find_map(|(name, change)| match change {
        FieldChange::Set(value) if *name == "general_practice" => Some(value.as_str()),
        _ => None,
    })
}

fn normal(ods: &str) -> String {
    ods.trim().to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ids::Class, record::ItemChange};

    fn event(kind: &str, item: ItemKind, practice: Option<&str>) -> Event {
        let said = practice.map(|code| ("general_practice", FieldChange::Set(code.to_owned())));
        let demographics = ItemChange::new(ItemKind::Demographics, String::new(), said.into_iter().collect());
        Event {
            kind: kind.to_owned(),
            class: Class::Clinical,
            source_id: "1".to_owned(),
            sender: "A|B".to_owned(),
            occurred: None,
            nhs_number: NhsNumber::parse("9990000018"),
            identifiers: Vec::new(),
            merged: Vec::new(),
            items: vec![demographics, ItemChange::new(item, "1".to_owned(), Vec::new())],
            withdraws: Vec::new(),
            faults: Vec::new(),
        }
    }

    struct Record(Registration);

    impl Registrations for Record {
        fn of(&self, _: &NhsNumber, _: Position) -> Registration {
            self.0.clone()
        }
    }

    fn wants(routes: &[Route], system: &str, event: &Event, record: Registration) -> Wanted {
        Routes::to("emis", Some("f84006"), routes).wants(system, event, Position::default(), &Record(record))
    }

    fn route(from: &[&str], what: What, to: To) -> Route {
        Route { from: from.iter().map(ToString::to_string).collect(), what: vec![what], to }
    }

    #[test]
    fn nothing_goes_back_to_who_sent_it() {
        let routes = [route(&[], What::Results, To::Named("emis".to_owned()))];
        let result = event("ORU^R01", ItemKind::Result, None);
        assert_eq!(wants(&routes, "xn", &result, Registration::Unknown), Wanted::Yes);
        assert_eq!(wants(&routes, "emis", &result, Registration::Unknown), Wanted::No);
    }

    #[test]
    fn a_result_goes_to_the_registered_practice_and_to_no_other() {
        for to in [To::RegisteredPractice, To::RegisteredAt("emis".to_owned())] {
            let routes = [route(&[], What::Results, to)];
            let at = |code: &str| Registration::At(code.to_owned());
            for (said, record, expected) in [
                (Some("F84006"), Registration::Unknown, Wanted::Yes),
                (Some(" f84006 "), at("E87001"), Wanted::Yes),
                (Some("E87001"), at("F84006"), Wanted::No),
                (None, at("F84006"), Wanted::Yes),
                (None, at("E87001"), Wanted::No),
                (None, Registration::Unknown, Wanted::No),
                (None, Registration::NotYet, Wanted::NotYet),
            ] {
                let result = event("ORU^R01", ItemKind::Result, said);
                assert_eq!(wants(&routes, "xn", &result, record.clone()), expected, "{said:?} {record:?}");
            }
        }
        let elsewhere = [route(&[], What::Results, To::RegisteredAt("vision".to_owned()))];
        let result = event("ORU^R01", ItemKind::Result, Some("F84006"));
        assert_eq!(wants(&elsewhere, "xn", &result, Registration::Unknown), Wanted::No);
    }

    #[test]
    fn without_a_usable_number_only_what_the_message_says_counts() {
        let routes = [route(&[], What::Results, To::RegisteredPractice)];
        let mut result = event("ORU^R01", ItemKind::Result, None);
        result.nhs_number = NhsNumber::parse("1");
        assert_eq!(wants(&routes, "xn", &result, Registration::At("F84006".to_owned())), Wanted::No);
    }

    #[test]
    fn kinds_and_sources_are_told_apart() {
        let routes = [route(&["pas"], What::Demographics, To::Named("emis".to_owned()))];
        let of = |system: &str, kind: &str, item| {
            wants(&routes, system, &event(kind, item, None), Registration::Unknown)
        };
        assert_eq!(of("pas", "ADT^A31", ItemKind::Encounter), Wanted::Yes);
        assert_eq!(of("rio", "ADT^A31", ItemKind::Encounter), Wanted::No);
        assert_eq!(of("pas", "ADT^A01", ItemKind::Encounter), Wanted::No);
        assert_eq!(of("pas", "SIU^S12", ItemKind::Appointment), Wanted::No);
        let mut registration = event("registration", ItemKind::Result, Some("F84006"));
        registration.items.truncate(1);
        assert_eq!(what(&registration), [What::Demographics]);
        registration.kind = "ADT^A01".to_owned();
        assert_eq!(what(&registration), []);
        let mut withdrawal = event("ITK", ItemKind::Referral, None);
        withdrawal.withdraws.push("D1".to_owned());
        assert_eq!(what(&withdrawal), [What::Letters]);
    }
}
