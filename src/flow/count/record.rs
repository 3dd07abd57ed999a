//! What systems' messages say of contacts: appointments (SIU), emergency attendances (ADT) and urgent cases (Adastra).
//!
//! A visit of another class than emergency says nothing here: whoever sends those sends the appointment too, and a stay is
//! no contact of a polyclinic. Laboratory results are no contacts either.

use std::sync::Arc;

use jiff::{civil::Date, tz::TimeZone};

use crate::domain::{
    booking::{AppointmentId, CancelledBy},
    contact::{
        CaseStatus, Code, Evidence, EvidenceId, Facts, LocalId, NumberStatus, Patient, Reference,
        ReferenceKind, Said, SlotType,
    },
    entry::Entry,
    ids::HubId,
    record::{Event, FieldChange, Identifier, ItemChange, ItemKind},
    time::Timestamp,
};

use super::desk::{gender, named};

/// What an entry of a system says, each part once. `identity` names the entry and holds nothing of the patient.
pub(super) fn statements(hub: &HubId, entry: &Entry, event: &Event, identity: &str) -> Vec<Evidence> {
    let mut telling = Telling { hub, entry, event, identity, told: Vec::new() };
    match event.kind.split('^').next() {
        Some("SIU") => telling.of(ItemKind::Appointment, Telling::appointment),
        Some("ADT") => {
            telling.merged();
            telling.of(ItemKind::Encounter, Telling::attendance);
        }
        Some("Adastra" | "ITK") => {
            telling.urgent_case();
            telling.withdrawn_reports();
        }
        // What BaRS senders book, the desk books.
        _ => {}
    }
    telling.told
}

/// Whether messages of a kind say anything of contacts.
pub(super) fn may_tell(kind: &str) -> bool {
    matches!(kind.split('^').next(), Some("SIU" | "ADT" | "Adastra" | "ITK"))
}

struct Telling<'a> {
    hub: &'a HubId,
    entry: &'a Entry,
    event: &'a Event,
    identity: &'a str,
    told: Vec<Evidence>,
}

impl<'a> Telling<'a> {
    fn of(&mut self, kind: ItemKind, each: impl Fn(&mut Self, &'a ItemChange)) {
        let event = self.event;
        event.items.iter().filter(|item| item.kind == kind).for_each(|item| each(self, item));
    }

    fn tell(&mut self, said: Said, references: Vec<Reference>, more: impl FnOnce(&mut Evidence)) {
        let mut told = Evidence {
            id: EvidenceId {
                hub: self.hub.clone(),
                system: self.system(),
                entry: self.identity.into(),
                part: u16::try_from(self.told.len()).unwrap_or(u16::MAX),
            },
            said,
            at: self.event.occurred.unwrap_or(self.entry.at),
            taken: self.entry.at,
            references,
            replaces: Vec::new(),
            patient: self.patient(&self.event.identifiers),
            service: None,
            slot_type: SlotType::default(),
            owner: None,
            start: None,
            day: None,
            facts: self.person(),
            cleared: Vec::new(),
        };
        more(&mut told);
        self.told.push(told);
    }

    fn system(&self) -> Arc<str> {
        EvidenceId::system_at(&self.entry.system, self.hub)
    }

    fn patient(&self, identifiers: &[Identifier]) -> Patient {
        let own = identifiers.iter().filter(|one| one.authority != "NHS" && one.kind != "NH");
        let local = own
            .take(Evidence::LOCAL_IDS_MAX)
            .map(|one| LocalId { system: self.system(), value: one.value.as_str().into() });
        Patient { nhs_number: self.event.nhs_number.ok(), status: self.status(), local: local.collect() }
    }

    fn status(&self) -> Option<NumberStatus> {
        let said = self.demographics().and_then(|item| text(item, "nhs_number_status"))?;
        NumberStatus::of(said.trim_start_matches("NSTS"))
    }

    fn demographics(&self) -> Option<&ItemChange> {
        self.event.items.iter().find(|item| item.kind == ItemKind::Demographics)
    }

    /// What is said of the patient and goes into returns.
    fn person(&self) -> Facts {
        let Some(item) = self.demographics() else { return Facts::default() };
        let code = |name: &str| text(item, name).and_then(|said| said.parse::<Code>().ok());
        let day = |name: &str| text(item, name).and_then(day_of);
        let sealed = text(item, "confidentiality").map(|mark| !matches!(mark, "U" | "N" | "R"));
        Facts {
            birth_date: day("birth_date"),
            death_date: day("death_date"),
            gender: text(item, "gender").and_then(gender),
            ethnic_category: code("ethnic_category"),
            language: code("language"),
            postcode: code("postcode"),
            practice: code("general_practice"),
            sealed,
            ..Facts::default()
        }
    }

    fn merged(&mut self) {
        if self.event.merged.is_empty() {
            return;
        }
        // Numbers that are no longer used; the NHS number of one that is merged away is not among them.
        let old = Patient { nhs_number: None, status: None, local: self.patient(&self.event.merged).local };
        if !old.local.is_empty() {
            self.tell(Said::PatientMerged(old), Vec::new(), |_| {});
        }
    }

    fn appointment(&mut self, item: &ItemChange) {
        let moved = self.event.kind.ends_with("^S13");
        let changed = self.event.kind.ends_with("^S14");
        let said = match text(item, "status").unwrap_or_default() {
            "arrived" => Said::Arrived,
            "attended" => Said::Attended,
            "did not attend" => Said::DidNotAttend,
            // SIU does not say by whom.
            "cancelled" => Said::Cancelled(None),
            "discontinued" => Said::Cancelled(Some(CancelledBy::Provider)),
            "deleted" => Said::Withdrawn,
            "provisional" => return,
            _ if moved => Said::Moved,
            _ if changed => Said::Amended,
            _ => Said::Booked,
        };
        let said = if item.withdrawn { Said::Withdrawn } else { said };
        let references = self.names(item);
        if references.is_empty() {
            return;
        }
        let system = self.system();
        self.tell(said, references, |told| {
            told.start = text(item, "start").and_then(moment_of);
            told.day = text(item, "start").and_then(day_of);
            let clinic = text(item, "location").unwrap_or_default().into();
            let slot = text(item, "service").or_else(|| text(item, "type")).unwrap_or_default().into();
            told.slot_type = SlotType { clinic, slot };
            told.owner = Some(system);
            told.facts.duration_minutes = text(item, "duration").and_then(|minutes| minutes.parse().ok());
            told.facts.clinician = text(item, "clinician").and_then(|code| code.parse().ok());
        });
    }

    /// SCH-1 and SCH-2, or the item's own key.
    fn names(&self, item: &ItemChange) -> Vec<Reference> {
        let theirs = |kind, value: &str| Reference { kind, issuer: self.system(), value: value.into() };
        let ours = |value: &str| value.parse::<AppointmentId>().ok().map(named);
        let usable = |value: &&str| !value.is_empty() && value.len() <= Reference::VALUE_BYTES_MAX;
        let placer = text(item, "placer_id")
            .filter(usable)
            .map(|value| ours(value).unwrap_or_else(|| theirs(ReferenceKind::Placer, value)));
        let filler = text(item, "filler_id")
            .filter(usable)
            .map(|value| ours(value).unwrap_or_else(|| theirs(ReferenceKind::Filler, value)));
        let mut names: Vec<Reference> = placer.into_iter().chain(filler).collect();
        if names.is_empty() && usable(&item.key.as_str()) {
            names.push(ours(&item.key).unwrap_or_else(|| theirs(ReferenceKind::Filler, &item.key)));
        }
        names
    }

    /// An attendance at an emergency department: an urgent treatment centre's, or a walk-in centre's.
    fn attendance(&mut self, item: &ItemChange) {
        if text(item, "patient_class") != Some("E") || Reference::VALUE_BYTES_MAX < item.key.len() {
            return;
        }
        let said = match text(item, "status") {
            Some("discharged") => Said::Attended,
            Some("admission cancelled" | "pre-admission cancelled") => Said::Withdrawn,
            Some("registered" | "admitted") => Said::WalkInOpened,
            _ => Said::Amended,
        };
        let visit =
            Reference { kind: ReferenceKind::Visit, issuer: self.system(), value: item.key.as_str().into() };
        self.tell(said, vec![visit], |told| {
            let started = text(item, "started").and_then(moment_of);
            told.facts.arrived_at = started;
            told.facts.concluded_at = text(item, "ended").and_then(moment_of);
            told.facts.left_at = told.facts.concluded_at;
            told.facts.clinician = text(item, "clinician").and_then(|code| code.parse().ok());
            told.day = text(item, "started").and_then(day_of);
            let clinic = text(item, "location").unwrap_or_default().into();
            told.slot_type = SlotType { clinic, slot: "emergency".into() };
        });
    }

    /// A case of NHS 111 or out-of-hours care: one contact, however often it is exported.
    fn urgent_case(&mut self) {
        let items = &self.event.items;
        let Some(case) = items.iter().find(|item| item.kind == ItemKind::Referral) else { return };
        let consulted = items.iter().filter(|item| item.kind == ItemKind::Encounter);
        let consulted: Vec<&ItemChange> = consulted.filter(|item| text(item, "ended").is_some()).collect();
        let booked = items.iter().find(|item| item.kind == ItemKind::Appointment);
        let status = case_status(
            text(case, "status").unwrap_or_default(),
            booked.and_then(|item| text(item, "status")).unwrap_or_default(),
            !consulted.is_empty(),
        );
        let said = if case.withdrawn { Said::Withdrawn } else { Said::UrgentCase(status) };
        // A report is withdrawn by its own name, which may be another than its case's.
        let document = items.iter().find(|item| item.kind == ItemKind::Document);
        let document = document.map(|item| item.part_of.as_str()).filter(|name| *name != case.key);
        let names = std::iter::once(case.key.as_str()).chain(document).filter_map(|name| self.case(name));
        let names: Vec<Reference> = names.collect();
        self.tell(said, names, |told| {
            told.day = text(case, "received").and_then(day_of);
            let slot = text(case, "service").unwrap_or("urgent case").into();
            told.slot_type = SlotType { clinic: "".into(), slot };
            told.facts.seen_at = consulted.first().and_then(|item| text(item, "started")).and_then(moment_of);
            told.facts.concluded_at =
                consulted.last().and_then(|item| text(item, "ended")).and_then(moment_of);
        });
    }

    fn case(&self, name: &str) -> Option<Reference> {
        let usable = !name.is_empty() && name.len() <= Reference::VALUE_BYTES_MAX;
        let issuer = self.system();
        usable.then(|| Reference { kind: ReferenceKind::Case, issuer, value: name.into() })
    }

    fn withdrawn_reports(&mut self) {
        for name in &self.event.withdraws {
            if let Some(case) = self.case(name) {
                self.tell(Said::Withdrawn, vec![case], |_| {});
            }
        }
    }
}

/// What became of a case, of its own status, that of its appointment, and whether somebody was consulted.
fn case_status(case: &str, appointment: &str, consulted: bool) -> CaseStatus {
    match (case, appointment) {
        ("cancelled", _) | (_, "cancelled") => CaseStatus::Cancelled,
        (_, "did not attend") => CaseStatus::NotReached,
        _ if consulted => CaseStatus::Consulted,
        (_, "arrived") => CaseStatus::Begun,
        ("completed" | "complete" | "closed" | "finished", _) => CaseStatus::Closed,
        _ => CaseStatus::Open,
    }
}

/// What an item says in a field.
fn text<'a>(item: &'a ItemChange, name: &str) -> Option<&'a str> {
    item.fields.iter().find_map(|(known, change)| match change {
        FieldChange::Set(text) if *known == name => Some(text.as_str()),
        _ => None,
    })
}

/// A moment of ISO 8601; without an offset it is London's time. None if it is only a day.
fn moment_of(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(Timestamp(at.as_millisecond()));
    }
    let local: jiff::civil::DateTime = text.contains(['T', ' ']).then(|| text.parse().ok())??;
    let zone = TimeZone::get("Europe/London").ok()?;
    Some(Timestamp(local.to_zoned(zone).ok()?.timestamp().as_millisecond()))
}

fn day_of(text: &str) -> Option<Date> {
    text.get(..10)?.parse().ok()
}

#[cfg(test)]
mod tests;
