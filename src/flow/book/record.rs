//! What the desk's acts say in a patient's record: their appointments, and nothing else.

use crate::{
    booking::act::{ACT_KIND, Act, Said},
    domain::{
        booking::{Appointment, AppointmentId, Attendance, Person, Standing},
        entry::Entry,
        ids::Class,
        record::{Event, FieldChange, ItemChange, ItemKind},
        time::Timestamp,
    },
    flow::matches::OWN_SYSTEM,
};

use super::journal::act_of;

/// What an entry of the desk says; none if it says nothing about a patient whose number is known.
pub(in crate::flow) fn event_of(entry: &Entry) -> Option<Event> {
    if entry.kind != ACT_KIND || entry.system != OWN_SYSTEM {
        return None;
    }
    let number = entry.patient?;
    let act = act_of(entry.raw.as_ref()?)?;
    let mut items = items(&act);
    // By its demographics the view knows whose it is: the desk has verified no number itself.
    items.extend(act.said.iter().find_map(|said| match said {
        Said::Appointment(appointment) => Some(demographics(&appointment.person)),
        _ => None,
    }));
    (!items.is_empty()).then(|| Event {
        kind: entry.kind.clone(),
        class: Class::Booking,
        source_id: entry.source_id.clone(),
        sender: OWN_SYSTEM.to_owned(),
        occurred: Some(act.at),
        nhs_number: Ok(number),
        identifiers: Vec::new(),
        merged: Vec::new(),
        items,
        withdraws: Vec::new(),
        faults: Vec::new(),
    })
}

/// What this hub's desk has decided in an entry; none if it is no act of a version that this program knows.
pub(in crate::flow) fn act_in(entry: &Entry) -> Option<Act> {
    act_of(entry.raw.as_ref()?)
}

fn items(act: &Act) -> Vec<ItemChange> {
    let items = act.said.iter().filter_map(|said| match said {
        Said::Appointment(appointment) => Some(item(appointment)),
        Said::Attendance { appointment, attendance } => Some(attendance_of(*appointment, *attendance)),
        Said::Heard { appointment, attendance: Some(came), .. } if came.shown => {
            Some(attendance_of(*appointment, came.attendance))
        }
        _ => None,
    });
    items.collect()
}

fn demographics(person: &Person) -> ItemChange {
    let said = [
        ("family_name", &person.family_name),
        ("given_name", &person.given_names),
        ("birth_date", &person.birth_date),
        ("gender", &person.gender),
    ];
    let fields = said.into_iter().filter(|(_, text)| !text.is_empty());
    let fields = fields.map(|(name, text)| (name, FieldChange::Set(text.clone())));
    ItemChange::new(ItemKind::Demographics, String::new(), fields.collect())
}

fn attendance_of(appointment: AppointmentId, attendance: Attendance) -> ItemChange {
    let status = vec![("status", FieldChange::Set(attended(attendance).to_owned()))];
    ItemChange::new(ItemKind::Appointment, appointment.to_string(), status)
}

fn item(appointment: &Appointment) -> ItemChange {
    let clinician =
        appointment.clinician.as_ref().map(|clinician| clinician.name.clone()).unwrap_or_default();
    let place = [appointment.place.name.as_str(), appointment.room.as_str()];
    let place = place.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
    let minutes = (appointment.end.0 - appointment.start.0) / 60_000;
    let (status, reason) = match &appointment.standing {
        Standing::Cancelled(cancellation) => ("cancelled", cancellation.reason.clone()),
        Standing::Failed { .. } => ("discontinued", String::new()),
        Standing::Provisional { .. } if appointment.attendance == Attendance::Expected => {
            ("provisional", String::new())
        }
        _ => (attended(appointment.attendance), String::new()),
    };
    let said = [
        ("start", moment(appointment.start)),
        ("end", moment(appointment.end)),
        ("duration", minutes.to_string()),
        ("service", appointment.service_name.clone()),
        ("location", place),
        ("clinician", clinician),
        ("delivery_channel", appointment.channel.name().to_owned()),
        ("organisation", appointment.organisation.clone()),
        ("status", status.to_owned()),
        ("cancellation_reason", reason),
    ];
    let fields = said.into_iter().filter(|(_, text)| !text.is_empty());
    let fields = fields.map(|(name, text)| (name, FieldChange::Set(text))).collect();
    // One that could not be had was never an appointment: the record shows that it is not.
    let withdrawn = matches!(appointment.standing, Standing::Failed { .. });
    ItemChange { withdrawn, ..ItemChange::new(ItemKind::Appointment, appointment.id.to_string(), fields) }
}

const fn attended(attendance: Attendance) -> &'static str {
    match attendance {
        Attendance::Expected => "booked",
        Attendance::Arrived | Attendance::Called | Attendance::In => "arrived",
        Attendance::Done => "attended",
        Attendance::DidNotAttend => "did not attend",
    }
}

/// ISO 8601 in UTC, to the second.
fn moment(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0).map(|at| format!("{at:.0}")).unwrap_or_default()
}
