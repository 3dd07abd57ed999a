//! Free slots, booking, and what becomes of a booking that was not answered.

use std::{collections::BTreeSet, time::Duration};

use serde_json::Value;
use tokio::time::Instant;

use crate::{
    codec::fhir::{
        self, Bundle, CodeableConcept, Element, HealthcareService, Location, Practitioner, Schedule,
        names::extension,
    },
    domain::{
        actor::Requester,
        slot::{
            Amendment, AppointmentStatus, BookedAppointment, Booking, Clinician, FreeSlot, PatientAtSystem,
            Place, SlotQuery,
        },
        time::Timestamp,
    },
    flow::ask::{AtFault, Outcome, Refusal, Retry},
};

use super::{
    GpConnect, Interaction,
    booking::{self, Rule},
    exchange::{Answer, Question, encoded},
    fault::Fault,
    local_time,
    map::Index,
};

/// No practice offers more in two weeks; what is beyond is left out and said so in the log.
const SLOTS_TAKEN_MAX: usize = 20_000;
/// A session has a place, a practitioner and a service; every slot looks at all of them.
const ACTORS_MAX: usize = 16;
/// Services of the Directory of Services have a parameter of their own.
const DOS_SERVICE_ID: &str = "https://fhir.nhs.uk/Id/uec-dos-service-id";
/// An answer that fails to come this soon was lost with its connection, not with a slow practice.
const DROPPED_WITHIN: Duration = Duration::from_secs(2);
/// No patient has more appointments to come.
const APPOINTMENTS_TAKEN_MAX: usize = 1_000;

impl GpConnect {
    pub(super) async fn ask_slots(
        &self,
        who: &Requester,
        query: &SlotQuery,
    ) -> Result<Vec<FreeSlot>, Refusal> {
        booking::check_window(query).map_err(Rule::refusal)?;
        let path = slots_path(who, query);
        let answer = self.asked(who, Interaction::FreeSlots, &path, None, None).await?;
        let Some(bundle) = Bundle::of(Element::of(&answer.body)) else {
            return Err(self.refused(Interaction::FreeSlots, Fault::UnreadableAnswer));
        };
        Ok(free_slots(bundle, query))
    }

    pub(super) async fn ask_booking(
        &self,
        who: &Requester,
        booking: &Booking,
    ) -> Result<BookedAppointment, Refusal> {
        let now = self.exchange.now();
        let slots = booking::check_booking(who, booking, now).map_err(Rule::refusal)?;
        let resource = booking::appointment(who, booking, &slots, now);
        let began = Instant::now();
        match self.book_once(who, booking, &slots, &resource).await {
            Ok(appointment) => Ok(appointment),
            // A kept connection had gone, and the practice has nothing: the second attempt can do no harm, for if
            // the first arrives late, one of them is rejected as a duplicate and the other found.
            Err(NotBooked::NeverHeard(_)) if began.elapsed() < DROPPED_WITHIN => {
                self.book_once(who, booking, &slots, &resource).await.map_err(NotBooked::into_refusal)
            }
            Err(not_booked) => Err(not_booked.into_refusal()),
        }
    }

    async fn book_once(
        &self,
        who: &Requester,
        booking: &Booking,
        slots: &[FreeSlot],
        resource: &Value,
    ) -> Result<BookedAppointment, NotBooked> {
        let wanted: BTreeSet<&str> = slots.iter().map(|slot| slot.id.as_str()).collect();
        let refusal = match self.asked(who, Interaction::Book, "/Appointment", Some(resource), None).await {
            Ok(answer) => match booked(&answer) {
                Some(appointment) if is_ours(&appointment, booking, &wanted) => return Ok(appointment),
                _ => self.refused(Interaction::Book, Fault::UnreadableAnswer),
            },
            Err(refusal) => refusal,
        };
        let taken = refusal.code == Fault::DuplicateRejected.row().code;
        if refusal.outcome == Outcome::NotDone && !taken {
            return Err(NotBooked::Refused(refusal));
        }
        // Either nobody knows whether it is booked, or the slot is taken, perhaps by an earlier attempt of ours.
        let until = local_time::day(slots.last().map_or(self.exchange.now(), |slot| slot.end));
        let Ok(found) = self.ask_appointments(who, &booking.patient, &until).await else {
            return Err(NotBooked::Refused(if taken { refusal } else { unresolved(refusal) }));
        };
        let by_us =
            |one: &BookedAppointment| one.booked_by.is_empty() || one.booked_by == who.organisation.ods_code;
        match found.into_iter().find(|one| is_ours(one, booking, &wanted) && by_us(one)) {
            Some(appointment) => Ok(appointment),
            None if taken => Err(NotBooked::Refused(refusal)),
            None if refusal.code == Fault::NoAnswer.row().code => {
                Err(NotBooked::NeverHeard(not_booked(refusal)))
            }
            None => Err(NotBooked::Refused(not_booked(refusal))),
        }
    }

    pub(super) async fn ask_appointments(
        &self,
        who: &Requester,
        patient: &PatientAtSystem,
        until: &str,
    ) -> Result<Vec<BookedAppointment>, Refusal> {
        let today = local_time::day(self.exchange.now());
        if local_time::start_of_day(until).is_none() || *until < *today {
            return Err(Rule::WindowBackwards.refusal());
        }
        let deed = Interaction::PatientAppointments;
        let id = self.in_path(deed, &patient.id)?;
        let path = format!("/Patient/{id}/Appointment?start=ge{today}&start=le{until}");
        let answer = self.asked(who, deed, &path, None, None).await?;
        let Some(bundle) = Bundle::of(Element::of(&answer.body)) else {
            return Err(self.refused(deed, Fault::UnreadableAnswer));
        };
        let mut found = Vec::new();
        for resource in bundle.resources().filter_map(fhir::Appointment::of).take(APPOINTMENTS_TAKEN_MAX) {
            let one =
                appointment(resource, None).ok_or_else(|| self.refused(deed, Fault::UnreadableAnswer))?;
            if one.patient != patient.id {
                return Err(self.refused(deed, Fault::AnotherPatient));
            }
            found.push(one);
        }
        Ok(found)
    }

    pub(super) async fn ask_appointment(
        &self,
        who: &Requester,
        patient: &PatientAtSystem,
        id: &str,
    ) -> Result<BookedAppointment, Refusal> {
        Ok(self.fetched(who, patient, id).await?.1)
    }

    pub(super) async fn ask_amendment(
        &self,
        who: &Requester,
        patient: &PatientAtSystem,
        appointment: &BookedAppointment,
        amendment: &Amendment,
    ) -> Result<BookedAppointment, Refusal> {
        booking::check_amendment(appointment, amendment, self.exchange.now()).map_err(Rule::refusal)?;
        let resource = self.unchanged(who, patient, appointment).await?;
        let amended = booking::amended(resource, amendment);
        let words =
            ["description", "comment"].map(|name| Element::of(&amended).text_of(name).unwrap_or_default());
        // A practice that has room for one text keeps both in it.
        let done = |one: &BookedAppointment| {
            let kept = format!("{}\n{}", one.description, one.comment);
            one.status == AppointmentStatus::Booked && words.iter().all(|words| kept.contains(words))
        };
        self.changed(who, patient, appointment, Interaction::Amend, &amended, done).await
    }

    pub(super) async fn ask_cancellation(
        &self,
        who: &Requester,
        patient: &PatientAtSystem,
        appointment: &BookedAppointment,
        reason: &str,
    ) -> Result<BookedAppointment, Refusal> {
        booking::check_cancellation(appointment, reason, self.exchange.now()).map_err(Rule::refusal)?;
        let resource = self.unchanged(who, patient, appointment).await?;
        let cancelled = booking::cancelled(resource, reason);
        let done = |one: &BookedAppointment| one.status == AppointmentStatus::Cancelled;
        self.changed(who, patient, appointment, Interaction::Cancel, &cancelled, done).await
    }

    /// The appointment as it is now, if it is still the version that somebody looked at: everything else in it
    /// must go back as it came.
    async fn unchanged(
        &self,
        who: &Requester,
        patient: &PatientAtSystem,
        appointment: &BookedAppointment,
    ) -> Result<Value, Refusal> {
        let (resource, now) = self.fetched(who, patient, &appointment.id).await?;
        if now.version != appointment.version {
            return Err(self.refused(Interaction::ReadAppointment, Fault::FhirConstraintViolation));
        }
        Ok(resource)
    }

    async fn changed(
        &self,
        who: &Requester,
        patient: &PatientAtSystem,
        appointment: &BookedAppointment,
        deed: Interaction,
        resource: &Value,
        done: impl Fn(&BookedAppointment) -> bool,
    ) -> Result<BookedAppointment, Refusal> {
        let path = format!("/Appointment/{}", encoded(&appointment.id));
        let answer = self.asked(who, deed, &path, Some(resource), Some(&appointment.version)).await;
        let refusal = match answer {
            Ok(answer) => match booked(&answer) {
                Some(one) if one.id == appointment.id && done(&one) => return Ok(one),
                _ => self.refused(deed, Fault::UnreadableAnswer),
            },
            Err(refusal) if refusal.outcome == Outcome::NotDone => return Err(refusal),
            Err(refusal) => refusal,
        };
        match self.fetched(who, patient, &appointment.id).await {
            Ok((_, now)) if done(&now) => Ok(now),
            // It still stands as it was; with `If-Match` a late arrival of what we sent does no harm.
            Ok((_, now)) if now.version == appointment.version => {
                Err(Refusal { outcome: Outcome::NotDone, retry: Retry::AfterFreshLook, ..refusal })
            }
            Ok(_) => Err(self.refused(deed, Fault::FhirConstraintViolation)),
            Err(_) => Err(unresolved(refusal)),
        }
    }

    async fn fetched(
        &self,
        who: &Requester,
        patient: &PatientAtSystem,
        id: &str,
    ) -> Result<(Value, BookedAppointment), Refusal> {
        let deed = Interaction::ReadAppointment;
        let path = format!("/Appointment/{}", self.in_path(deed, id)?);
        let answer = self.asked(who, deed, &path, None, None).await?;
        let Some(found) = booked(&answer) else {
            return Err(self.refused(deed, Fault::UnreadableAnswer));
        };
        if found.patient != patient.id {
            return Err(Rule::AnotherPatientsAppointment.refusal());
        }
        Ok((answer.body, found))
    }

    /// An id within a path. One of dots alone would lead elsewhere.
    fn in_path(&self, deed: Interaction, id: &str) -> Result<String, Refusal> {
        if id.bytes().any(|byte| byte.is_ascii_alphanumeric()) {
            Ok(encoded(id))
        } else {
            Err(self.refused(deed, Fault::NoRecordFound))
        }
    }

    pub(super) async fn asked(
        &self,
        who: &Requester,
        interaction: Interaction,
        path: &str,
        body: Option<&Value>,
        version: Option<&str>,
    ) -> Result<Answer, Refusal> {
        self.exchange.ask(who, Question { interaction, path, body, version }).await
    }

    pub(super) fn refused(&self, interaction: Interaction, fault: Fault) -> Refusal {
        self.exchange.refuse(Question { interaction, path: "", body: None, version: None }, fault, 0)
    }
}

/// Why a booking does not stand.
enum NotBooked {
    /// Said by the practice, or not to be found out.
    Refused(Refusal),
    /// No answer came, and the appointment is not there.
    NeverHeard(Refusal),
}

impl NotBooked {
    fn into_refusal(self) -> Refusal {
        match self {
            Self::Refused(refusal) | Self::NeverHeard(refusal) => refusal,
        }
    }
}

/// Whether it is booked is not known, and could not be found out.
fn unresolved(refusal: Refusal) -> Refusal {
    Refusal {
        code: "OUTCOME_UNKNOWN",
        retry: Retry::AfterFreshLook,
        outcome: Outcome::Unknown,
        words: "It is not known whether the practice's system has done this. Look at the patient's appointments \
                there before trying again, or ring the practice.",
        ..refusal
    }
}

/// It is not among the patient's appointments. The practice may still be working on it, so the next attempt
/// begins with a fresh look; if it takes the slot late, that attempt finds it as its own.
fn not_booked(refusal: Refusal) -> Refusal {
    Refusal {
        code: "NOT_BOOKED_AFTER_ALL",
        at_fault: AtFault::System,
        retry: Retry::AfterFreshLook,
        outcome: Outcome::NotDone,
        words: "The practice's system did not answer, and the appointment is not there. Search again and book again.",
        ..refusal
    }
}

fn is_ours(one: &BookedAppointment, booking: &Booking, wanted: &BTreeSet<&str>) -> bool {
    let slots: BTreeSet<&str> = one.slots.iter().map(String::as_str).collect();
    one.status == AppointmentStatus::Booked && one.patient == booking.patient.id && slots == *wanted
}

fn slots_path(who: &Requester, query: &SlotQuery) -> String {
    let moment = |moment: Timestamp| encoded(&local_time::moment(local_time::whole_second(moment)));
    let mut path = format!(
        "/Slot?start=ge{}&end=le{}&status=free&_include=Slot:schedule\
         &_include:recurse=Schedule:actor:Practitioner&_include:recurse=Schedule:actor:Location\
         &_include:recurse=Schedule:actor:HealthcareService&_include:recurse=Location:managingOrganization",
        moment(query.from),
        moment(query.until)
    );
    let organisation = &who.organisation;
    let own = [
        (fhir::names::ODS_CODE, organisation.ods_code.as_str()),
        (fhir::names::ORGANISATION_TYPE, organisation.kind.as_str()),
    ];
    let others = query.filters.iter().map(|(system, code)| (system.as_str(), code.as_str()));
    for (system, code) in own.into_iter().chain(others).filter(|(_, code)| !code.is_empty()) {
        let name = if system == DOS_SERVICE_ID { "service.identifier" } else { "searchFilter" };
        path.extend(["&", name, "="]);
        path.push_str(&encoded(&format!("{system}|{code}")));
    }
    path
}

/// The free slots of an answer that lie wholly within the window, in order of time. What is not free, outside,
/// or without a readable time is left out, whatever the provider thought of it.
fn free_slots(bundle: Bundle<'_>, query: &SlotQuery) -> Vec<FreeSlot> {
    let index = Index::of(bundle);
    let slots = bundle.resources().filter_map(fhir::Slot::of).filter(|slot| slot.status() == Some("free"));
    let mut found: Vec<FreeSlot> = slots
        .filter_map(|slot| free_slot(slot, &index))
        .filter(|slot| query.from <= slot.start && slot.end <= query.until && slot.start < slot.end)
        .take(SLOTS_TAKEN_MAX)
        .collect();
    if found.len() == SLOTS_TAKEN_MAX {
        tracing::warn!(taken = SLOTS_TAKEN_MAX, "a practice offers more free slots than are taken in");
    }
    found.sort_by(|one, other| (one.start, &one.id).cmp(&(other.start, &other.id)));
    found
}

fn free_slot(slot: fhir::Slot<'_>, index: &Index<'_>) -> Option<FreeSlot> {
    let moment = |name: &str| slot.element().get(name).moment()?.timestamp();
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let schedule = index.find(slot.schedule()).and_then(Schedule::of);
    let actors = || {
        let all = schedule.into_iter().flat_map(Schedule::actors).take(ACTORS_MAX);
        all.filter_map(|one| index.find(one))
    };
    let location = actors().find_map(Location::of);
    let practitioner = actors().find_map(Practitioner::of);
    let role = schedule.and_then(|schedule| schedule.role().words());
    let service = actors().find_map(HealthcareService::of).and_then(HealthcareService::name);
    let category = schedule.and_then(|schedule| schedule.category().words());
    let session: Vec<&str> = category.into_iter().chain(service).collect();
    Some(FreeSlot {
        id: slot.id()?.to_owned(),
        schedule: text(slot.schedule().target()),
        start: moment("start")?,
        end: moment("end")?,
        service: text(slot.service().words()),
        session: session.join(", "),
        delivery_channel: text(channel(slot.element())),
        location: location.map(|location| place(location, index)).unwrap_or_default(),
        practitioner: practitioner.map(|one| Clinician {
            id: text(one.id()),
            name: one.full_name().unwrap_or_default(),
            gender: text(one.gender()),
            role: text(role),
        }),
    })
}

fn place(location: Location<'_>, index: &Index<'_>) -> Place {
    let organisation = index.find(location.managing_organisation()).and_then(fhir::Organization::of);
    let name = organisation.and_then(fhir::Organization::name).or(location.managing_organisation().display());
    Place {
        id: location.id().unwrap_or_default().to_owned(),
        name: location.name().unwrap_or_default().to_owned(),
        address: location.address().unwrap_or_default(),
        organisation: name.unwrap_or_default().to_owned(),
    }
}

fn channel(element: Element<'_>) -> Option<&str> {
    let extension = element.extension(extension::DELIVERY_CHANNEL);
    let concept = CodeableConcept::of(extension.get("valueCodeableConcept"));
    extension.text_of("valueCode").or_else(|| concept.any_code())
}

fn booked(answer: &Answer) -> Option<BookedAppointment> {
    appointment(fhir::Appointment::of(Element::of(&answer.body))?, answer.version.as_deref())
}

/// An appointment in the hub's terms; none if it lacks what cannot be done without: id, version, times, patient.
pub(super) fn appointment(
    resource: fhir::Appointment<'_>,
    version: Option<&str>,
) -> Option<BookedAppointment> {
    let moment = |name: &str| resource.element().get(name).moment()?.timestamp();
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let organisation = resource.booking_organisation();
    Some(BookedAppointment {
        id: resource.id()?.to_owned(),
        version: resource.version().or(version)?.to_owned(),
        patient: resource.participant("Patient")?.id_of("Patient")?.to_owned(),
        status: match resource.status()? {
            "booked" => AppointmentStatus::Booked,
            "cancelled" => AppointmentStatus::Cancelled,
            "arrived" => AppointmentStatus::Arrived,
            "fulfilled" => AppointmentStatus::Fulfilled,
            "noshow" => AppointmentStatus::NoShow,
            _ => AppointmentStatus::Other,
        },
        start: moment("start")?,
        end: moment("end")?,
        slots: resource.slots().filter_map(|slot| slot.id_of("Slot")).map(str::to_owned).collect(),
        description: text(resource.description()),
        comment: text(resource.comment()),
        created: text(resource.created()),
        booked_by: text(organisation.and_then(fhir::Organization::ods_code)),
        delivery_channel: text(channel(resource.element())),
        cancellation_reason: text(resource.cancellation_reason()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systems::gp_connect::tests::{NOW, requester};
    use serde_json::json;

    fn query() -> SlotQuery {
        SlotQuery { from: NOW, until: NOW.plus(Duration::from_secs(86_400)), filters: Vec::new() }
    }

    #[test]
    fn the_search_says_local_time_and_who_asks() {
        let path = slots_path(&requester(), &query());
        assert!(
            path.starts_with("/Slot?start=ge2026-11-23T08%3A00%3A00%2B00%3A00&end=le2026-11-24T"),
            "{path}"
        );
        for part in ["status=free", "_include=Slot:schedule", "_include:recurse=Schedule:actor:Location"] {
            assert!(path.contains(part), "{part}");
        }
        let dos = (DOS_SERVICE_ID.to_owned(), "1000123".to_owned());
        let of_service = slots_path(&requester(), &SlotQuery { filters: vec![dos], ..query() });
        assert!(
            of_service.ends_with(
                "&service.identifier=https%3A%2F%2Ffhir.nhs.uk%2FId%2Fuec-dos-service-id%7C1000123"
            )
        );
        assert!(path.contains("ods-organization-code%7C5LC01") && path.contains("%7Curgent-care"), "{path}");
    }

    #[test]
    fn only_free_slots_within_the_window_are_taken() {
        let slot = |id: &str, status: &str, start: &str, end: &str| {
            json!({"resource": {"resourceType": "Slot", "id": id, "status": status, "start": start, "end": end,
                "schedule": {"reference": "Schedule/gone"}}})
        };
        let body = json!({"resourceType": "Bundle", "entry": [
            slot("late", "free", "2026-11-23T10:00:00+00:00", "2026-11-23T10:10:00+00:00"),
            slot("good", "free", "2026-11-23T09:00:00+00:00", "2026-11-23T09:10:00+00:00"),
            slot("busy", "busy", "2026-11-23T09:00:00+00:00", "2026-11-23T09:10:00+00:00"),
            slot("outside", "free", "2026-11-23T07:59:00+00:00", "2026-11-23T08:10:00+00:00"),
            slot("over", "free", "2026-11-24T07:55:00+00:00", "2026-11-24T08:05:00+00:00"),
            slot("local", "free", "2026-11-23T09:00:00", "2026-11-23T09:10:00"),
            slot("backwards", "free", "2026-11-23T09:10:00+00:00", "2026-11-23T09:00:00+00:00"),
            {"resource": {"resourceType": "Slot"}}, {}
        ]});
        let found = free_slots(Bundle::of(Element::of(&body)).unwrap(), &query());
        assert_eq!(found.iter().map(|slot| slot.id.as_str()).collect::<Vec<_>>(), ["good", "late"]);
    }
}
