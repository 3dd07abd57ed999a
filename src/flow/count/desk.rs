//! What the hub's own desk says of contacts: appointments, where patients are, and walk-ins.

use crate::{
    booking::act::{Act, Said as DeskSaid},
    domain::{
        booking::{Appointment, AppointmentId, Attendance, Channel, Person, Standing, Ticket, TicketState},
        contact::{Code, Evidence, EvidenceId, Facts, Mechanism, Patient, Reference, ReferenceKind, Said},
        ids::HubId,
        time::Timestamp,
    },
};

/// What an act of this hub's desk says, each part once.
pub(super) fn statements(hub: &HubId, act: &Act, taken: Timestamp) -> Vec<Evidence> {
    let mut telling = Telling { hub, act, taken, told: Vec::new() };
    for said in &act.said {
        match said {
            DeskSaid::Appointment(appointment) => telling.appointment(appointment),
            DeskSaid::Attendance { appointment, attendance } => {
                telling.attendance(*appointment, *attendance);
            }
            DeskSaid::Ticket(ticket) => telling.ticket(ticket),
            // What a system has said is in its own message.
            _ => {}
        }
    }
    telling.told
}

/// The polysystem's name of an appointment.
pub(super) fn named(id: AppointmentId) -> Reference {
    let (issuer, value) = (EvidenceId::DESK.into(), id.to_string().into());
    Reference { kind: ReferenceKind::Appointment, issuer, value }
}

struct Telling<'a> {
    hub: &'a HubId,
    act: &'a Act,
    taken: Timestamp,
    told: Vec<Evidence>,
}

impl Telling<'_> {
    fn evidence(&self, said: Said, at: Timestamp, references: Vec<Reference>) -> Evidence {
        let place = self.act.place;
        Evidence {
            id: EvidenceId {
                hub: self.hub.clone(),
                system: EvidenceId::DESK.into(),
                entry: format!("act {}.{}", place.incarnation, place.number).into(),
                part: u16::try_from(self.told.len()).unwrap_or(u16::MAX),
            },
            said,
            at,
            taken: self.taken,
            references,
            replaces: Vec::new(),
            patient: Patient::default(),
            service: None,
            slot_type: <_>::default(),
            owner: None,
            start: None,
            day: None,
            facts: Facts::default(),
            cleared: Vec::new(),
        }
    }

    fn appointment(&mut self, one: &Appointment) {
        let said = match &one.standing {
            Standing::Firm | Standing::Confirmed(_) => Said::Booked,
            Standing::Cancelled(cancelled) => Said::Cancelled(Some(cancelled.by)),
            // Nothing is booked yet, or nothing was.
            Standing::Provisional { .. } | Standing::Failed { .. } => return,
        };
        let mut told = self.evidence(said, self.act.at, names(one));
        (told.patient, told.facts) = (whose(&one.person), facts(one));
        (told.service, told.start) = (Some(one.service.clone()), Some(one.start));
        told.owner = Some(EvidenceId::system_at(&one.system, &one.hub));
        told.replaces = one.replaces.map(named).into_iter().collect();
        let stands = one.is_confirmed();
        self.told.push(told);
        if stands && one.attendance != Attendance::Expected {
            self.attendance(one.id, one.attendance);
        }
    }

    fn attendance(&mut self, id: AppointmentId, attendance: Attendance) {
        let said = match attendance {
            Attendance::Expected => Said::Amended,
            Attendance::Arrived => Said::Arrived,
            Attendance::Called => Said::Called,
            Attendance::In | Attendance::Done => Said::Attended,
            Attendance::DidNotAttend => Said::DidNotAttend,
        };
        let at = self.act.at;
        let mut told = self.evidence(said, at, vec![named(id)]);
        match attendance {
            Attendance::Arrived => told.facts.arrived_at = Some(at),
            Attendance::In => told.facts.seen_at = Some(at),
            Attendance::Done => told.facts.concluded_at = Some(at),
            _ => {}
        }
        self.told.push(told);
    }

    fn ticket(&mut self, ticket: &Ticket) {
        let (said, at) = match ticket.state {
            TicketState::Waiting => (Said::WalkInOpened, ticket.taken),
            TicketState::Called => (Said::Called, self.act.at),
            TicketState::In | TicketState::Done => (Said::Attended, self.act.at),
            TicketState::DidNotAttend | TicketState::Left => (Said::Left, self.act.at),
        };
        let name = Reference {
            kind: ReferenceKind::Ticket,
            issuer: EvidenceId::DESK.into(),
            value: ticket.id.to_string().into(),
        };
        let mut told = self.evidence(said, at, vec![name]);
        told.patient = whose(&ticket.walk_in.person);
        told.service = Some(ticket.walk_in.service.clone());
        told.facts = of_person(&ticket.walk_in.person);
        told.facts.arrived_at = Some(ticket.taken);
        match ticket.state {
            TicketState::In => told.facts.seen_at = Some(at),
            TicketState::Done => told.facts.concluded_at = Some(at),
            TicketState::Left => told.facts.left_at = Some(at),
            _ => {}
        }
        self.told.push(told);
    }
}

/// How an appointment is named: in the polysystem, and in the system in whose book it is.
fn names(one: &Appointment) -> Vec<Reference> {
    let theirs = match &one.standing {
        Standing::Confirmed(reference) => Some(reference),
        Standing::Cancelled(cancelled) => cancelled.reference.as_ref(),
        _ => None,
    };
    let theirs = theirs
        .filter(|reference| !reference.id.is_empty() && reference.id.len() <= Reference::VALUE_BYTES_MAX);
    let theirs = theirs.map(|reference| Reference {
        kind: ReferenceKind::Filler,
        issuer: EvidenceId::system_at(&one.system, &one.hub),
        value: reference.id.as_str().into(),
    });
    std::iter::once(named(one.id)).chain(theirs).collect()
}

/// The desk has verified no number itself.
fn whose(person: &Person) -> Patient {
    Patient { nhs_number: person.nhs_number, status: None, local: Vec::new() }
}

fn facts(one: &Appointment) -> Facts {
    let minutes = one.end.since(one.start).as_secs() / 60;
    Facts {
        mechanism: Some(match one.channel {
            Channel::InPerson => Mechanism::FaceToFace,
            Channel::Telephone => Mechanism::Telephone,
            Channel::Video => Mechanism::Video,
        }),
        duration_minutes: u32::try_from(minutes).ok(),
        booked_at: Some(one.made),
        ..of_person(&one.person)
    }
}

fn of_person(person: &Person) -> Facts {
    let code = |text: &str| text.parse::<Code>().ok();
    Facts {
        birth_date: person.birth_date.parse().ok(),
        gender: gender(&person.gender),
        postcode: code(&person.postcode),
        practice: code(&person.practice),
        ..Facts::default()
    }
}

/// PERSON GENDER CODE CURRENT, of FHIR's words and HL7 table 0001.
pub(super) fn gender(word: &str) -> Option<Code> {
    let code = match word.trim().to_ascii_lowercase().as_str() {
        "male" | "m" | "1" => "1",
        "female" | "f" | "2" => "2",
        "other" | "o" | "9" => "9",
        "unknown" | "u" | "n" | "0" => "0",
        _ => return None,
    };
    code.parse().ok()
}
