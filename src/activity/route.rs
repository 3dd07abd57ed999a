//! Into which return a contact goes, and why: data, in rows that people can read.
//!
//! Exactly one row fits each situation, which a test shows; so their order never matters. The table stands in
//! docs/activity.md, which a test keeps equal to the code.

use serde::Serialize;

use crate::domain::contact::{Contact, Dataset, State, words::words};

use super::maps::{Maps, ServiceKind, ServiceProfile};

/// ACTIVITY LOCATION TYPE CODE of what takes place here: polyclinic.
pub const POLYCLINIC: &str = "B02";

words! {
    /// What sort of matter it is at all.
    pub enum Matter {
        /// A contact, and nothing speaks against counting it.
        Contact = "contact",
        /// Entered in error.
        Withdrawn = "entered in error",
        /// Nothing but telling a result.
        ResultOnly = "result only",
        /// Sealed.
        Sealed = "sealed",
        /// Nobody has said which service its slot type is.
        Unmapped = "slot type unmapped",
    }
}

words! {
    /// Under which agreement an allied health clinic works.
    pub enum Agreement {
        /// Commissioned as a community service.
        Community = "community",
        /// Not that, and referral to treatment is measured.
        TreatmentTime = "referral to treatment",
        /// Neither.
        Neither = "neither",
    }
}

words! {
    /// How patients come to the service.
    pub enum Access {
        /// Mainly or entirely by appointment.
        ByAppointment = "by appointment",
        /// As they come.
        Open = "open",
    }
}

words! {
    /// Whether main specialty and treatment function are known, of the contact or its service.
    pub enum Specialty {
        /// Both are.
        Stated = "stated",
        /// One is not.
        Missing = "missing",
    }
}

words! {
    /// How far it has come.
    pub enum Stage {
        /// It is outstanding.
        Ahead = "outstanding",
        /// The patient came, seen or not.
        Came = "came",
        /// The patient did not come: missed, cancelled, or closed without being seen.
        DidNotCome = "did not come",
    }
}

words! {
    /// Why a contact is in no return.
    pub enum Exclusion {
        /// It never was.
        Withdrawn = "entered-in-error",
        /// Telling the outcome of a test is no care contact.
        ResultOnly = "result-only",
        /// Sealed items never leave.
        Sealed = "sealed",
        /// Its slot type is mapped to no service.
        Unmapped = "unmapped",
        /// An urgent treatment centre or walk-in centre that works by appointment is not emergency care.
        AppointmentBased = "appointment-based",
        /// Emergency care counts those who come.
        NeverCame = "never-came",
        /// Without main specialty and treatment function it is no outpatient attendance.
        NoSpecialty = "no-specialty",
        /// Neither agreement asks for it.
        NoAgreement = "no-agreement",
    }
}

/// Everything that rows look at, and nothing else.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Situation {
    /// What sort of matter.
    pub matter: Matter,
    /// At what sort of service; any, if unmapped.
    pub service: ServiceKind,
    /// Under which agreement.
    pub agreement: Agreement,
    /// How patients come there.
    pub access: Access,
    /// Whether specialty and function are known.
    pub specialty: Specialty,
    /// How far it has come.
    pub stage: Stage,
}

/// What a row says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Then {
    /// It goes into this return.
    Return(Dataset),
    /// It goes into none.
    Exclude(Exclusion),
}

/// A row: conditions, of which an empty one is met by anything, and what follows.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name; it never changes.
    pub id: &'static str,
    matter: &'static [Matter],
    service: &'static [ServiceKind],
    agreement: &'static [Agreement],
    access: &'static [Access],
    specialty: &'static [Specialty],
    stage: &'static [Stage],
    /// What follows.
    pub then: Then,
    /// The reason, for people.
    pub why: &'static str,
    /// Whether the rule was seen in an official source; what was not is to be confirmed before it is relied on.
    pub is_confirmed: bool,
}

/// Where a contact goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Route {
    /// Into which return; none if it is excluded.
    pub dataset: Option<Dataset>,
    /// Why it is excluded; none if it is not.
    pub excluded: Option<Exclusion>,
    /// Whether it is priced, and so in ACM and PLCM too.
    pub contract: bool,
    /// The row that decided.
    pub row: &'static str,
    /// Its reason.
    pub why: &'static str,
    /// Whether that rule is confirmed.
    pub is_confirmed: bool,
}

const ANY: Row = Row {
    id: "",
    matter: &[Matter::Contact],
    service: &[],
    agreement: &[],
    access: &[],
    specialty: &[],
    stage: &[],
    then: Then::Exclude(Exclusion::NoAgreement),
    why: "",
    is_confirmed: true,
};

const CLINICS: &[ServiceKind] = &[ServiceKind::Consultant, ServiceKind::Nurse, ServiceKind::Midwife];
const EMERGENCY: &[ServiceKind] = &[ServiceKind::UrgentTreatment, ServiceKind::WalkInCentre];
const OVER: &[Stage] = &[Stage::Came, Stage::DidNotCome];

/// The table.
pub const ROWS: [Row; 21] = [
    Row {
        id: "R01",
        matter: &[Matter::Withdrawn],
        then: Then::Exclude(Exclusion::Withdrawn),
        why: "it was entered in error: there was no such contact",
        ..ANY
    },
    Row {
        id: "R02",
        matter: &[Matter::ResultOnly],
        then: Then::Exclude(Exclusion::ResultOnly),
        why: "a contact solely to inform of the outcome of a diagnostic test is not a care contact (CONSULTATION MECHANISM)",
        ..ANY
    },
    Row {
        id: "R03",
        matter: &[Matter::Sealed],
        then: Then::Exclude(Exclusion::Sealed),
        why: "sealed items never leave",
        ..ANY
    },
    Row {
        id: "R04",
        matter: &[Matter::Unmapped],
        then: Then::Exclude(Exclusion::Unmapped),
        why: "nobody has said which service its slot type is: map it, and it is routed",
        ..ANY
    },
    Row {
        id: "R10",
        service: &[ServiceKind::GeneralPractice],
        then: Then::Return(Dataset::Gpad),
        why: "an appointment in a practice's or network's book; the system's supplier extracts it",
        ..ANY
    },
    Row {
        id: "R20",
        service: CLINICS,
        specialty: &[Specialty::Stated],
        stage: OVER,
        then: Then::Return(Dataset::Cds020),
        why: "outpatient activity under the care of a consultant, midwife or nurse, attended, cancelled or missed",
        ..ANY
    },
    Row {
        id: "R21",
        service: CLINICS,
        specialty: &[Specialty::Stated],
        stage: &[Stage::Ahead],
        then: Then::Return(Dataset::Cds021),
        why: "a future outpatient appointment (version 6.2 only)",
        ..ANY
    },
    Row {
        id: "R22",
        service: CLINICS,
        specialty: &[Specialty::Missing],
        then: Then::Exclude(Exclusion::NoSpecialty),
        why: "outpatient activity needs a main specialty and a treatment function",
        ..ANY
    },
    Row {
        id: "R30",
        service: &[ServiceKind::AlliedHealth],
        agreement: &[Agreement::Community],
        then: Then::Return(Dataset::Csds),
        why: "an allied health clinic that is commissioned as a community service",
        ..ANY
    },
    Row {
        id: "R31",
        service: &[ServiceKind::AlliedHealth],
        agreement: &[Agreement::TreatmentTime],
        specialty: &[Specialty::Stated],
        stage: OVER,
        then: Then::Return(Dataset::Cds020),
        why: "an allied health clinic under referral to treatment measurement",
        ..ANY
    },
    Row {
        id: "R32",
        service: &[ServiceKind::AlliedHealth],
        agreement: &[Agreement::TreatmentTime],
        specialty: &[Specialty::Stated],
        stage: &[Stage::Ahead],
        then: Then::Return(Dataset::Cds021),
        why: "a future appointment of an allied health clinic under referral to treatment measurement",
        ..ANY
    },
    Row {
        id: "R33",
        service: &[ServiceKind::AlliedHealth],
        agreement: &[Agreement::TreatmentTime],
        specialty: &[Specialty::Missing],
        then: Then::Exclude(Exclusion::NoSpecialty),
        why: "outpatient activity needs a main specialty and a treatment function",
        ..ANY
    },
    Row {
        id: "R34",
        service: &[ServiceKind::AlliedHealth],
        agreement: &[Agreement::Neither],
        then: Then::Exclude(Exclusion::NoAgreement),
        why: "neither commissioned as a community service nor under referral to treatment measurement",
        ..ANY
    },
    Row {
        id: "R40",
        service: &[ServiceKind::Community],
        then: Then::Return(Dataset::Csds),
        why: "a community service",
        ..ANY
    },
    Row {
        id: "R50",
        service: EMERGENCY,
        access: &[Access::Open],
        stage: &[Stage::Came],
        then: Then::Return(Dataset::Ecds),
        why: "an urgent treatment centre, minor injuries unit or walk-in centre (department type 03 or 04)",
        ..ANY
    },
    Row {
        id: "R51",
        service: EMERGENCY,
        access: &[Access::Open],
        stage: &[Stage::Ahead],
        then: Then::Return(Dataset::Ecds),
        why: "is waited for at an urgent treatment centre, minor injuries unit or walk-in centre",
        ..ANY
    },
    Row {
        id: "R52",
        service: EMERGENCY,
        access: &[Access::Open],
        stage: &[Stage::DidNotCome],
        then: Then::Exclude(Exclusion::NeverCame),
        why: "emergency care counts those who come",
        is_confirmed: false,
        ..ANY
    },
    Row {
        id: "R53",
        service: EMERGENCY,
        access: &[Access::ByAppointment],
        then: Then::Exclude(Exclusion::AppointmentBased),
        why: "a service mainly or entirely appointment based is excluded from emergency care",
        ..ANY
    },
    Row {
        id: "R60",
        service: &[ServiceKind::OutOfHours],
        then: Then::Return(Dataset::IucAdc),
        why: "out-of-hours care and NHS 111; the provider submits the aggregate",
        ..ANY
    },
    Row {
        id: "R70",
        service: &[ServiceKind::MentalHealth],
        then: Then::Return(Dataset::Mhsds),
        why: "mental health; RiO submits it, we reconcile",
        ..ANY
    },
    Row {
        id: "R80",
        service: &[ServiceKind::Diagnostics],
        then: Then::Return(Dataset::Dids),
        why: "imaging and diagnostics (DIDS, DM01)",
        is_confirmed: false,
        ..ANY
    },
];

fn meets<T: PartialEq>(wanted: &[T], is: T) -> bool {
    wanted.is_empty() || wanted.contains(&is)
}

impl Row {
    /// Whether the row is about a situation.
    pub fn fits(&self, situation: &Situation) -> bool {
        meets(self.matter, situation.matter)
            && meets(self.service, situation.service)
            && meets(self.agreement, situation.agreement)
            && meets(self.access, situation.access)
            && meets(self.specialty, situation.specialty)
            && meets(self.stage, situation.stage)
    }

    /// Its conditions in words.
    pub fn conditions(&self) -> String {
        let said = |what: &str, words: Vec<&'static str>| {
            if words.is_empty() { None } else { Some(format!("{what}: {}", words.join(" / "))) }
        };
        let matter = if self.matter == [Matter::Contact] { &[] } else { self.matter };
        let all = [
            said("matter", matter.iter().map(|value| value.word()).collect()),
            said("service", self.service.iter().map(|value| value.word()).collect()),
            said("agreement", self.agreement.iter().map(|value| value.word()).collect()),
            said("access", self.access.iter().map(|value| value.word()).collect()),
            said("specialty and function", self.specialty.iter().map(|value| value.word()).collect()),
            said("stage", self.stage.iter().map(|value| value.word()).collect()),
        ];
        all.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

/// The situation of a contact.
pub fn situation(contact: &Contact, maps: &Maps) -> Situation {
    let profile = contact.service.as_ref().and_then(|service| maps.profile(service));
    let is_sealed = contact.facts.sealed.is_some_and(|sealed| sealed.value);
    let matter = match (contact.state, profile) {
        (State::Withdrawn, _) => Matter::Withdrawn,
        _ if contact.result_only => Matter::ResultOnly,
        _ if is_sealed => Matter::Sealed,
        (_, None) => Matter::Unmapped,
        _ => Matter::Contact,
    };
    let is = |flag: fn(&ServiceProfile) -> bool| profile.is_some_and(flag);
    let specialty = contact.facts.main_specialty.map(|fact| fact.value);
    let specialty = specialty.or_else(|| profile.and_then(|profile| profile.main_specialty));
    let function = contact.facts.treatment_function.map(|fact| fact.value);
    let function = function.or_else(|| profile.and_then(|profile| profile.treatment_function));
    Situation {
        matter,
        service: profile.map_or(ServiceKind::GeneralPractice, |profile| profile.kind),
        agreement: if is(|profile| profile.community_commissioned) {
            Agreement::Community
        } else if is(|profile| profile.treatment_time_measured) {
            Agreement::TreatmentTime
        } else {
            Agreement::Neither
        },
        access: if is(|profile| profile.by_appointment) { Access::ByAppointment } else { Access::Open },
        specialty: if specialty.is_some() && function.is_some() {
            Specialty::Stated
        } else {
            Specialty::Missing
        },
        stage: match contact.state {
            State::Outstanding if !contact.arrived => Stage::Ahead,
            State::Outstanding | State::Attended | State::NotSeen => Stage::Came,
            _ => Stage::DidNotCome,
        },
    }
}

/// Where a contact goes, and why.
pub fn route(contact: &Contact, maps: &Maps) -> Route {
    let situation = situation(contact, maps);
    let priced = contact.service.as_ref().and_then(|service| maps.profile(service));
    let row = ROWS.iter().find(|row| row.fits(&situation)).unwrap_or(&ANY);
    let (dataset, excluded) = match row.then {
        Then::Return(dataset) => (Some(dataset), None),
        Then::Exclude(exclusion) => (None, Some(exclusion)),
    };
    let contract = dataset.is_some() && priced.is_some_and(|profile| profile.priced);
    Route { dataset, excluded, contract, row: row.id, why: row.why, is_confirmed: row.is_confirmed }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn situations() -> impl Iterator<Item = Situation> {
        let kinds =
            Matter::ALL.iter().flat_map(|matter| ServiceKind::ALL.iter().map(move |kind| (*matter, *kind)));
        let rest = Agreement::ALL.iter().flat_map(|agreement| {
            Access::ALL.iter().flat_map(move |access| {
                Specialty::ALL.iter().flat_map(move |specialty| {
                    Stage::ALL.iter().map(move |stage| (*agreement, *access, *specialty, *stage))
                })
            })
        });
        let rest: Vec<_> = rest.collect();
        kinds.flat_map(move |(matter, service)| {
            rest.clone().into_iter().map(move |(agreement, access, specialty, stage)| Situation {
                matter,
                service,
                agreement,
                access,
                specialty,
                stage,
            })
        })
    }

    #[test]
    fn exactly_one_row_fits_each_situation_and_each_row_some() {
        let mut used = std::collections::BTreeSet::new();
        for situation in situations() {
            let fitting: Vec<&str> =
                ROWS.iter().filter(|row| row.fits(&situation)).map(|row| row.id).collect();
            assert_eq!(fitting.len(), 1, "{situation:?}: {fitting:?}");
            used.extend(fitting);
        }
        assert_eq!(used.len(), ROWS.len());
    }

    #[test]
    fn what_works_by_appointment_and_what_tells_a_result_is_never_emergency_care() {
        for situation in situations() {
            let row = ROWS.iter().find(|row| row.fits(&situation)).unwrap();
            let is_ecds = row.then == Then::Return(Dataset::Ecds);
            assert!(!is_ecds || (situation.access == Access::Open && situation.matter == Matter::Contact));
        }
    }
}
