//! Views of sessions, their slots and what is booked in them.

use super::Organization;
use crate::codec::fhir::{CodeableConcept, Element, Reference, names::extension};

resource! {
    /// An appointment.
    Appointment, "Appointment"
}
texts! { Appointment {
    /// `booked`, `cancelled` and others.
    status: "status";
    /// A short label.
    description: "description";
    /// In more words.
    comment: "comment";
    /// When it was booked, as written.
    created: "created";
} }

impl<'a> Appointment<'a> {
    /// The current version, for `If-Match`.
    pub fn version(self) -> Option<&'a str> {
        self.0.at(&["meta", "versionId"]).text()
    }

    /// The slots it fills.
    pub fn slots(self) -> impl Iterator<Item = Reference<'a>> {
        self.0.each("slot").map(Reference::of)
    }

    /// The participant of a type, such as `Patient`.
    pub fn participant(self, kind: &'static str) -> Option<Reference<'a>> {
        let actors = self.0.each("participant").map(|one| Reference::of(one.get("actor")));
        actors.into_iter().find(|actor| actor.id_of(kind).is_some())
    }

    /// Who booked.
    pub fn booking_organisation(self) -> Option<Organization<'a>> {
        let extension = self.0.extension(extension::BOOKING_ORGANISATION);
        let target = Reference::of(extension.get("valueReference")).target()?.strip_prefix('#')?;
        let contained = self.0.each("contained").filter_map(Organization::of);
        contained.into_iter().find(|organisation| organisation.id() == Some(target))
    }

    /// Why it was cancelled.
    pub fn cancellation_reason(self) -> Option<&'a str> {
        self.0.extension(extension::CANCELLATION_REASON).text_of("valueString")
    }
}

resource! {
    /// A time that can be booked.
    Slot, "Slot"
}
texts! { Slot {
    /// `free`, `busy` and others.
    status: "status";
} }
parts! { Slot {
    /// What for.
    service: CodeableConcept("serviceType");
    /// In which schedule.
    schedule: Reference("schedule");
} }

resource! {
    /// Somebody's session.
    Schedule, "Schedule"
}
parts! { Schedule {
    /// What sort.
    category: CodeableConcept("serviceCategory");
} }

impl<'a> Schedule<'a> {
    /// Who and where.
    pub fn actors(self) -> impl Iterator<Item = Reference<'a>> {
        self.0.each("actor").map(Reference::of)
    }

    /// The practitioner's job role.
    pub fn role(self) -> CodeableConcept<'a> {
        CodeableConcept::of(self.0.extension(extension::PRACTITIONER_ROLE).get("valueCodeableConcept"))
    }
}
