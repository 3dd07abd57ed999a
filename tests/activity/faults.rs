//! Faults as a programmer would make them, planted at the seams: what goes into the ledger, and what comes out of it.

use polygate::{
    activity::{
        maps::Maps,
        route::{Route, route},
    },
    domain::{
        booking::CancelledBy,
        contact::{Contact, Dataset, Evidence, Month, Said, SaidKind, State, local_date},
        time::Timestamp,
    },
};

use super::year;

/// What is wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// A message that comes again is another one.
    ReplayCounted,
    /// Names are not looked at.
    NamesIgnored,
    /// A move is a cancellation and another booking.
    MovesIgnored,
    /// A second system's slot types are not mapped.
    SecondSystemUnmapped,
    /// Appointments of one day are one.
    DayForTime,
    /// Patients that were merged stay two.
    MergesIgnored,
    /// Calls to tell a result are counted.
    ResultCallsCounted,
    /// What works by appointment is sent as emergency care.
    AppointmentsAsEmergency,
    /// Who cancelled is mixed up.
    CancellersSwapped,
    /// The second system is believed.
    OwnerIgnored,
    /// What is late is dropped.
    LateDropped,
    /// Counted in the month in which it was told.
    MonthOfTelling,
    /// What was entered in error is counted.
    ErrorsCounted,
}

impl Fault {
    /// Every fault.
    pub const ALL: &'static [Self] = &[
        Self::ReplayCounted,
        Self::NamesIgnored,
        Self::MovesIgnored,
        Self::SecondSystemUnmapped,
        Self::DayForTime,
        Self::MergesIgnored,
        Self::ResultCallsCounted,
        Self::AppointmentsAsEmergency,
        Self::CancellersSwapped,
        Self::OwnerIgnored,
        Self::LateDropped,
        Self::MonthOfTelling,
        Self::ErrorsCounted,
    ];

    /// What goes into the ledger.
    pub fn statements(fault: Option<Self>, statements: Vec<Evidence>) -> Vec<Evidence> {
        let Some(fault) = fault else { return statements };
        statements.into_iter().filter_map(|statement| fault.statement(statement)).collect()
    }

    fn statement(self, mut statement: Evidence) -> Option<Evidence> {
        match self {
            Self::ReplayCounted => {
                statement.id.entry = format!("{}-{}", statement.id.entry, statement.taken.0).into();
                statement.references.clear();
            }
            Self::NamesIgnored => statement.references.clear(),
            Self::MovesIgnored => statement.replaces.clear(),
            Self::DayForTime => {
                let day = |start: Timestamp| Timestamp(start.0 - start.0.rem_euclid(24 * 60 * 60 * 1000));
                statement.start = statement.start.map(day);
                statement.references.clear();
            }
            Self::MergesIgnored if statement.said.kind() == SaidKind::PatientMerged => return None,
            Self::CancellersSwapped => {
                statement.said = match statement.said {
                    Said::Cancelled(Some(CancelledBy::Patient)) => {
                        Said::Cancelled(Some(CancelledBy::Provider))
                    }
                    said => said,
                }
            }
            Self::LateDropped if 30 * 24 * 3_600_000 < statement.taken.0 - statement.at.0 => return None,
            Self::ErrorsCounted if statement.said == Said::Withdrawn => return None,
            _ => {}
        }
        Some(statement)
    }

    /// What slot types are.
    pub fn maps(fault: Option<Self>) -> Maps {
        let (mut services, mut rows) = year::maps();
        match fault {
            Some(Self::SecondSystemUnmapped) => rows.retain(|row| {
                services.iter().any(|service| service.id == row.service && service.system == row.system)
            }),
            Some(Self::OwnerIgnored) => {
                for service in &mut services {
                    let second =
                        rows.iter().find(|row| row.service == service.id && row.system != service.system);
                    if let Some(second) = second {
                        service.system = second.system.clone();
                    }
                }
            }
            _ => {}
        }
        Maps::new(services, rows)
    }

    /// What comes out of it.
    pub fn contact(fault: Option<Self>, contact: &Contact) -> Contact {
        let mut contact = contact.clone();
        match fault {
            Some(Self::ResultCallsCounted) => contact.result_only = false,
            Some(Self::MonthOfTelling) => {
                let told = contact.evidence.iter().map(|cited| cited.taken).max();
                contact.day = told.and_then(local_date).unwrap_or(contact.day);
                assert!(Month::of(contact.day) == contact.month());
            }
            Some(Self::ErrorsCounted) if contact.state == State::Withdrawn => contact.state = State::Attended,
            _ => {}
        }
        contact
    }

    /// Where it goes.
    pub fn route(fault: Option<Self>, contact: &Contact, maps: &Maps) -> Route {
        let route = route(contact, maps);
        let is_wrong = fault == Some(Self::AppointmentsAsEmergency)
            && route.excluded == Some(polygate::activity::route::Exclusion::AppointmentBased);
        if is_wrong { Route { dataset: Some(Dataset::Ecds), excluded: None, ..route } } else { route }
    }
}
