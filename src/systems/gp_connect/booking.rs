//! The rules of booking, checked before anything is sent, and the resources that are sent (GP Connect 1.2.7,
//! Book, Amend and Cancel an appointment).

use serde_json::{Map, Value, json};

use crate::{
    codec::fhir::names::{self, extension},
    domain::{
        actor::{Organisation, Requester},
        slot::{
            Amendment, AppointmentStatus, BookedAppointment, Booking, COMMENT_CHARACTERS_MAX,
            DESCRIPTION_CHARACTERS_MAX, FreeSlot, SEARCH_MAX, SlotQuery,
        },
        time::Timestamp,
    },
    flow::ask::{AtFault, Outcome, Refusal, Retry},
};

use super::local_time;

/// One appointment fills at most this many slots: a long session in the shortest slots practices use.
pub const SLOTS_MAX: usize = 24;
/// The longest reason for a cancellation, in characters: as long as a comment.
pub const REASON_CHARACTERS_MAX: usize = COMMENT_CHARACTERS_MAX;

/// A rule that a request breaks. Nothing has been sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rule {
    /// The window ends before it begins.
    WindowBackwards,
    /// The window is wider than two weeks.
    WindowTooWide,
    /// No slot, or more than [`SLOTS_MAX`].
    SlotCount,
    /// The slots are of several sessions, of several sorts or not adjacent.
    SlotsNotAdjacent,
    /// The slot has no place: one must be named.
    NoLocation,
    /// It begins before now.
    InThePast,
    /// There is no label: practices require one.
    NoDescription,
    /// The label is longer than [`DESCRIPTION_CHARACTERS_MAX`].
    DescriptionTooLong,
    /// The comment is longer than [`COMMENT_CHARACTERS_MAX`].
    CommentTooLong,
    /// A cancellation needs a reason.
    NoReason,
    /// The reason is longer than [`REASON_CHARACTERS_MAX`].
    ReasonTooLong,
    /// The organisation that books needs an ODS code, a name and a telephone number.
    OrganisationIncomplete,
    /// Only what is booked can be changed.
    NotBooked,
    /// Nothing is to be changed.
    NothingToChange,
    /// The appointment is another patient's.
    AnotherPatientsAppointment,
    /// Visits can be cancelled by the practice alone.
    Visit,
}

impl Rule {
    /// Its stable code, who can put it right, and what to say at the desk.
    const fn words(self) -> (&'static str, AtFault, &'static str) {
        use AtFault::{Asker, Hub};
        match self {
            Self::WindowBackwards => {
                ("WINDOW_BACKWARDS", Asker, "The last day lies before the first. Change the days.")
            }
            Self::WindowTooWide => (
                "WINDOW_TOO_WIDE",
                Asker,
                "Practices can be searched two weeks at a time. Choose fewer days.",
            ),
            Self::SlotCount => {
                ("SLOT_COUNT", Asker, "Choose at least one time, and no more than belong together.")
            }
            Self::SlotsNotAdjacent => (
                "SLOTS_NOT_ADJACENT",
                Asker,
                "Times can be booked together only if they follow one another in the same session. Choose others.",
            ),
            Self::NoLocation => (
                "NO_LOCATION",
                Asker,
                "The practice does not say where this appointment is. Choose another, or ring.",
            ),
            Self::InThePast => ("IN_THE_PAST", Asker, "This time has passed. Choose one to come."),
            Self::NoDescription => ("NO_DESCRIPTION", Asker, "Give the appointment a label, in a few words."),
            Self::Visit => ("VISIT", Asker, "Only the practice can cancel a visit. Ring the practice."),
            Self::DescriptionTooLong => {
                ("DESCRIPTION_TOO_LONG", Asker, "The label is longer than 100 characters. Shorten it.")
            }
            Self::CommentTooLong => {
                ("COMMENT_TOO_LONG", Asker, "The comment is longer than 500 characters. Shorten it.")
            }
            Self::NoReason => ("NO_REASON", Asker, "Say why the appointment is cancelled."),
            Self::ReasonTooLong => {
                ("REASON_TOO_LONG", Asker, "The reason is longer than 500 characters. Shorten it.")
            }
            Self::OrganisationIncomplete => (
                "ORGANISATION_INCOMPLETE",
                Hub,
                "This hub's own name, code or telephone number is not set up. Tell the hub's support.",
            ),
            Self::NotBooked => {
                ("NOT_BOOKED", Asker, "This appointment does not stand any more. Look at it again.")
            }
            Self::NothingToChange => {
                ("NOTHING_TO_CHANGE", Asker, "Nothing was changed. Change the label or the comment.")
            }
            Self::AnotherPatientsAppointment => (
                "ANOTHER_PATIENTS_APPOINTMENT",
                Hub,
                "This appointment is another patient's. Start again from the patient.",
            ),
        }
    }

    /// As others see it.
    pub fn refusal(self) -> Refusal {
        let (code, at_fault, words) = self.words();
        Refusal {
            code,
            at_fault,
            retry: Retry::Never,
            outcome: Outcome::NotDone,
            words,
            detail: "refused here; nothing was sent".to_owned(),
        }
    }
}

/// Whether a search may be sent.
///
/// # Errors
/// The rule it breaks.
pub fn check_window(query: &SlotQuery) -> Result<(), Rule> {
    if query.until <= query.from {
        return Err(Rule::WindowBackwards);
    }
    if SEARCH_MAX < query.until.since(query.from) { Err(Rule::WindowTooWide) } else { Ok(()) }
}

/// Whether a booking may be sent; its slots in order of time.
///
/// # Errors
/// The rule it breaks.
pub fn check_booking(who: &Requester, booking: &Booking, now: Timestamp) -> Result<Vec<FreeSlot>, Rule> {
    check_organisation(&who.organisation)?;
    check_words(Some(&booking.description), Some(&booking.comment))?;
    let mut slots = booking.slots.clone();
    slots.sort_by_key(|slot| slot.start);
    let Some(first) = slots.first() else { return Err(Rule::SlotCount) };
    if SLOTS_MAX < slots.len() {
        return Err(Rule::SlotCount);
    }
    if first.start <= now {
        return Err(Rule::InThePast);
    }
    if first.location.id.is_empty() {
        return Err(Rule::NoLocation);
    }
    if !slots.windows(2).all(|pair| are_adjacent(&pair[0], &pair[1])) {
        return Err(Rule::SlotsNotAdjacent);
    }
    Ok(slots)
}

/// One ends as the other begins, in the same session, of the same sort, in the same way.
fn are_adjacent(one: &FreeSlot, next: &FreeSlot) -> bool {
    one.end == next.start
        && one.id != next.id
        && one.schedule == next.schedule
        && one.delivery_channel == next.delivery_channel
        && one.service == next.service
}

fn check_organisation(organisation: &Organisation) -> Result<(), Rule> {
    let needed = [&organisation.ods_code, &organisation.name, &organisation.telephone];
    if needed.iter().any(|text| text.trim().is_empty()) { Err(Rule::OrganisationIncomplete) } else { Ok(()) }
}

/// Characters as people count them; never cut, for the end of a note may be what matters.
fn check_words(description: Option<&str>, comment: Option<&str>) -> Result<(), Rule> {
    let longer = |text: Option<&str>, most: usize| text.is_some_and(|text| most < text.chars().count());
    if description.is_some_and(|text| text.trim().is_empty()) {
        return Err(Rule::NoDescription);
    }
    if longer(description, DESCRIPTION_CHARACTERS_MAX) {
        return Err(Rule::DescriptionTooLong);
    }
    if longer(comment, COMMENT_CHARACTERS_MAX) { Err(Rule::CommentTooLong) } else { Ok(()) }
}

/// Whether an appointment may be amended so.
///
/// # Errors
/// The rule it breaks.
pub fn check_amendment(
    appointment: &BookedAppointment,
    amendment: &Amendment,
    now: Timestamp,
) -> Result<(), Rule> {
    check_stands(appointment, now)?;
    if amendment.description.is_none() && amendment.comment.is_none() {
        return Err(Rule::NothingToChange);
    }
    check_words(amendment.description.as_deref(), amendment.comment.as_deref())
}

/// Whether an appointment may be cancelled for this reason.
///
/// # Errors
/// The rule it breaks.
pub fn check_cancellation(appointment: &BookedAppointment, reason: &str, now: Timestamp) -> Result<(), Rule> {
    check_stands(appointment, now)?;
    if appointment.delivery_channel.eq_ignore_ascii_case("visit") {
        return Err(Rule::Visit);
    }
    if reason.trim().is_empty() {
        return Err(Rule::NoReason);
    }
    if REASON_CHARACTERS_MAX < reason.chars().count() { Err(Rule::ReasonTooLong) } else { Ok(()) }
}

fn check_stands(appointment: &BookedAppointment, now: Timestamp) -> Result<(), Rule> {
    if appointment.status != AppointmentStatus::Booked {
        return Err(Rule::NotBooked);
    }
    if appointment.start <= now { Err(Rule::InThePast) } else { Ok(()) }
}

/// The appointment to create. `slots` is in order of time and not empty.
pub fn appointment(who: &Requester, booking: &Booking, slots: &[FreeSlot], now: Timestamp) -> Value {
    let participant = |reference: String| json!({"actor": {"reference": reference}, "status": "accepted"});
    let first = slots.first();
    let mut participants = vec![participant(format!("Patient/{}", booking.patient.id))];
    participants.extend(first.map(|slot| participant(format!("Location/{}", slot.location.id))));
    let practitioner = first.and_then(|slot| slot.practitioner.as_ref());
    participants.extend(practitioner.map(|one| participant(format!("Practitioner/{}", one.id))));
    let references: Vec<Value> =
        slots.iter().map(|slot| json!({"reference": format!("Slot/{}", slot.id)})).collect();
    let mut resource = json!({
        "resourceType": "Appointment",
        "meta": {"profile": [names::profile("GPConnect-Appointment-1")]},
        "contained": [booking_organisation(&who.organisation)],
        "extension": [{
            "url": names::profile(extension::BOOKING_ORGANISATION),
            "valueReference": {"reference": "#1"},
        }],
        "status": "booked",
        "start": local_time::moment(first.map_or(now, |slot| slot.start)),
        "end": local_time::moment(slots.last().map_or(now, |slot| slot.end)),
        "slot": references,
        "created": local_time::moment(local_time::whole_second(now)),
        "participant": participants,
    });
    set_words(&mut resource, "description", Some(&booking.description));
    set_words(&mut resource, "comment", Some(&booking.comment));
    resource
}

fn booking_organisation(organisation: &Organisation) -> Value {
    let mut resource = json!({
        "resourceType": "Organization",
        "id": "1",
        "meta": {"profile": [names::profile("CareConnect-GPC-Organization-1")]},
        "identifier": [{"system": names::ODS_CODE, "value": organisation.ods_code}],
        "name": organisation.name,
        "telecom": [{"system": "phone", "value": organisation.telephone}],
    });
    if !organisation.kind.is_empty() {
        resource["type"] =
            json!([{"coding": [{"system": names::ORGANISATION_TYPE, "code": organisation.kind}]}]);
    }
    resource
}

/// The appointment as it was read, with other words.
pub fn amended(mut appointment: Value, amendment: &Amendment) -> Value {
    set_words(&mut appointment, "description", amendment.description.as_deref());
    set_words(&mut appointment, "comment", amendment.comment.as_deref());
    appointment
}

/// The appointment as it was read, cancelled.
pub fn cancelled(mut appointment: Value, reason: &str) -> Value {
    let url = names::profile(extension::CANCELLATION_REASON);
    if let Some(members) = appointment.as_object_mut() {
        members.insert("status".to_owned(), json!("cancelled"));
        let extensions = members.entry("extension").or_insert_with(|| json!([]));
        if let Some(extensions) = extensions.as_array_mut() {
            extensions.retain(|one| one.get("url") != Some(&json!(url)));
            extensions.push(json!({"url": url, "valueString": reason}));
        }
    }
    appointment
}

/// None leaves the element; blank removes it, for FHIR has no empty text.
fn set_words(resource: &mut Value, name: &str, words: Option<&str>) {
    let Some((members, words)) = resource.as_object_mut().zip(words) else { return };
    if words.trim().is_empty() {
        Map::remove(members, name);
    } else {
        members.insert(name.to_owned(), json!(words));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systems::gp_connect::tests::{NOW, booking, requester, slot};
    use std::time::Duration;

    #[test]
    fn two_weeks_may_be_searched_and_not_a_second_more() {
        let query = |seconds: u64| SlotQuery {
            from: NOW,
            until: NOW.plus(Duration::from_secs(seconds)),
            filters: Vec::new(),
        };
        assert_eq!(check_window(&query(14 * 86_400)), Ok(()));
        assert_eq!(check_window(&query(14 * 86_400 + 1)), Err(Rule::WindowTooWide));
        assert_eq!(check_window(&query(0)), Err(Rule::WindowBackwards));
    }

    #[test]
    fn words_are_counted_in_characters_and_never_cut() {
        let with = |description: usize, comment: usize| {
            let mut booking = booking(&[1]);
            booking.description = "é".repeat(description);
            booking.comment = "é".repeat(comment);
            check_booking(&requester(), &booking, NOW).map(|slots| slots.len())
        };
        assert_eq!(with(100, 500), Ok(1));
        assert_eq!(with(101, 0), Err(Rule::DescriptionTooLong));
        assert_eq!(with(1, 501), Err(Rule::CommentTooLong));
        assert_eq!(with(0, 0), Err(Rule::NoDescription));
    }

    #[test]
    fn slots_go_together_only_if_they_follow_one_another_in_all_respects() {
        let check = |slots: Vec<FreeSlot>| {
            let booking = Booking { slots, ..booking(&[]) };
            check_booking(&requester(), &booking, NOW)
        };
        let ids = |slots: Vec<FreeSlot>| slots.into_iter().map(|slot| slot.id).collect::<Vec<_>>();
        assert_eq!(check(vec![slot(2), slot(1)]).map(ids), Ok(vec!["1".to_owned(), "2".to_owned()]));
        assert_eq!(check(vec![slot(1), slot(3)]), Err(Rule::SlotsNotAdjacent));
        let changes: [fn(&mut FreeSlot); 4] = [
            |slot| slot.schedule = "other".to_owned(),
            |slot| slot.delivery_channel = "Telephone".to_owned(),
            |slot| slot.service = "Smear".to_owned(),
            |slot| slot.id = "1".to_owned(),
        ];
        for change in changes {
            let mut second = slot(2);
            change(&mut second);
            assert_eq!(check(vec![slot(1), second]), Err(Rule::SlotsNotAdjacent));
        }
        assert_eq!(check(Vec::new()), Err(Rule::SlotCount));
        assert_eq!(check((1..40).map(slot).collect()), Err(Rule::SlotCount));
    }

    #[test]
    fn the_past_no_place_and_no_telephone_are_refused() {
        let later = slot(1).start;
        assert_eq!(check_booking(&requester(), &booking(&[1]), later), Err(Rule::InThePast));
        let mut nowhere = booking(&[1]);
        nowhere.slots[0].location.id.clear();
        assert_eq!(check_booking(&requester(), &nowhere, NOW), Err(Rule::NoLocation));
        let mut mute = requester();
        mute.organisation.telephone = " ".to_owned();
        assert_eq!(check_booking(&mute, &booking(&[1]), NOW), Err(Rule::OrganisationIncomplete));
    }

    #[test]
    fn the_resource_has_what_a_booking_needs_and_neither_reason_nor_specialty() {
        let (who, mut booking) = (requester(), booking(&[1, 2]));
        booking.comment = String::new();
        let slots = check_booking(&who, &booking, NOW).unwrap();
        let resource = appointment(&who, &booking, &slots, NOW);
        assert_eq!(resource["slot"], json!([{"reference": "Slot/1"}, {"reference": "Slot/2"}]));
        assert_eq!(resource["contained"][0]["identifier"][0]["value"], "5LC01");
        assert_eq!(resource["participant"][1]["actor"]["reference"], "Location/L1");
        for absent in ["reason", "specialty", "comment", "id"] {
            assert!(resource.get(absent).is_none(), "{absent}");
        }
    }

    #[test]
    fn amending_and_cancelling_change_nothing_else() {
        let read = json!({"resourceType": "Appointment", "id": "9", "status": "booked", "description": "a",
            "comment": "b", "extension": [{"url": "urn:kept", "valueCode": "x"}], "zzz": 1});
        let amendment = Amendment { description: Some("c".to_owned()), comment: Some(String::new()) };
        let amended = amended(read.clone(), &amendment);
        assert_eq!(amended["description"], "c");
        assert!(amended.get("comment").is_none() && amended["zzz"] == 1);
        let twice = cancelled(cancelled(read, "moved away"), "moved again");
        assert_eq!(twice["status"], "cancelled");
        assert_eq!(twice["extension"].as_array().map(Vec::len), Some(2));
        assert_eq!(twice["extension"][1]["valueString"], "moved again");
    }

    #[test]
    fn what_does_not_stand_passed_or_is_a_visit_cannot_be_cancelled() {
        let appointment = |change: fn(&mut BookedAppointment)| {
            let mut appointment = crate::systems::gp_connect::tests::booked();
            change(&mut appointment);
            appointment
        };
        for (change, reason, rule) in [
            ((|_| {}) as fn(&mut BookedAppointment), "better", Ok(())),
            (|_| {}, " ", Err(Rule::NoReason)),
            (|one| one.delivery_channel = "Visit".to_owned(), "better", Err(Rule::Visit)),
            (|one| one.status = AppointmentStatus::Cancelled, "better", Err(Rule::NotBooked)),
            (|one| one.start = NOW, "better", Err(Rule::InThePast)),
        ] {
            assert_eq!(check_cancellation(&appointment(change), reason, NOW), rule);
        }
        assert_eq!(check_cancellation(&appointment(|_| {}), &"x".repeat(501), NOW), Err(Rule::ReasonTooLong));
        let nothing = Amendment { description: None, comment: None };
        assert_eq!(check_amendment(&appointment(|_| {}), &nothing, NOW), Err(Rule::NothingToChange));
    }

    #[test]
    fn each_rule_says_what_to_do() {
        for rule in [Rule::WindowBackwards, Rule::NoReason, Rule::NotBooked, Rule::OrganisationIncomplete] {
            let refusal = rule.refusal();
            assert!(refusal.words.ends_with('.') && refusal.outcome == Outcome::NotDone);
        }
    }
}
