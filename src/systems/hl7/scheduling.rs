//! SIU from what happens to an appointment at the hub's desk: S12 made, S14 changed, S15 cancelled, S26 not attended
//! (HL7 v2.4, chapter 10). The hub is the placer; the system in whose book the appointment is, is the filler.
//!
//! Nothing is invented and nothing is cut. The same telling makes the same bytes.

use crate::{
    domain::{
        booking::{
            Appointment, Attendance, Cancellation, CancelledBy, Channel, OfferKey, Person, Reference,
            Standing,
        },
        time::Timestamp,
    },
    flow::ask::{Telling, Told},
    systems::gp_connect::local_time,
};

use super::{
    build::{CONTROL_ID_LENGTH, Kind, Writer, hl7_moment, said},
    outgoing::Address,
};

/// Why a telling is no message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Untellable {
    /// The system could only guess of whom it is.
    #[error("the patient has neither an NHS number nor a number of that system's")]
    NoNumber,
    /// MSH-10 takes 1 to 20 characters, which an acknowledgement must be able to repeat.
    #[error("the telling's id is no MSH-10")]
    NoControlId,
}

/// The message that tells a system of an appointment.
///
/// # Errors
/// It cannot be told, and why.
pub fn siu(telling: &Telling, address: &Address) -> Result<Vec<u8>, Untellable> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if telling.id.is_empty() || CONTROL_ID_LENGTH < telling.id.len() || !telling.id.bytes().all(legal) {
        return Err(Untellable::NoControlId);
    }
    let appointment = &telling.appointment;
    let identifiers = identifiers(appointment).ok_or(Untellable::NoNumber)?;
    let mut writer = Writer::default();
    let trigger = match telling.what {
        Told::Booked => "S12",
        Told::Amended => "S14",
        Told::Cancelled => "S15",
        Told::DidNotAttend => "S26",
    };
    let kind = Kind { message: "SIU", trigger, structure: "SIU_S12" };
    writer.header(address, kind, telling.at, &telling.id);
    schedule(&mut writer, telling, address);
    notes(&mut writer, appointment);
    patient(&mut writer, &appointment.person, identifiers);
    // Many systems want a visit: class O is an outpatient's.
    writer.segment("PV1", &[(1, "1".to_owned()), (2, "O".to_owned()), (3, location(appointment))]);
    resources(&mut writer, telling);
    Ok(writer.finish())
}

fn schedule(writer: &mut Writer, telling: &Telling, address: &Address) {
    let appointment = &telling.appointment;
    let authority = said(&address.sending_application);
    let named = |id: &dyn std::fmt::Display| format!("{id}^{authority}");
    // A first telling has no filler's name, and must not become another message once there is one.
    let filler = reference(&appointment.standing).filter(|_| telling.what != Told::Booked);
    let filler = filler.filter(|filler| filler.id != appointment.id.to_string());
    let (length, units) = duration(appointment);
    let timing = format!(
        "^^{}{length}^{}^{}",
        units.get(..1).unwrap_or_default(),
        local(appointment.start),
        local(appointment.end)
    );
    let hub = said(&address.sending_facility);
    let entered_by = format!("{}^{}", said(&appointment.made_by), said(appointment.made_at.as_str()));
    let organisation = Some(&appointment.organisation).filter(|name| !name.is_empty());
    let organisation = organisation.unwrap_or(&appointment.system);
    // What its system has made itself, it does not know by a name of ours.
    let placer = appointment.made_by != appointment.system || filler.is_none();
    let fields = [
        (1, if placer { named(&appointment.id) } else { String::new() }),
        (2, filler.map(|filler| said(&filler.id)).unwrap_or_default()),
        (4, appointment.visit.map(|visit| named(&visit)).unwrap_or_default()),
        (5, resource(appointment).map(|(code, words)| coded(&code, &words)).unwrap_or_default()),
        (6, reason(telling)),
        (7, words(&appointment.description)),
        (8, "Normal".to_owned()),
        (9, length.to_string()),
        (10, units.to_owned()),
        (11, timing),
        (12, entered_by.clone()),
        (16, words(organisation)),
        (17, telephone("WPN", &appointment.telephone)),
        (20, entered_by),
        (22, if hub.is_empty() { hub } else { format!("^^^{hub}") }),
        (25, status(telling).to_owned()),
    ];
    writer.segment("SCH", &fields);
}

/// SCH-6: what happened; of a cancellation by whom, and why.
fn reason(telling: &Telling) -> String {
    let cancellation = match &telling.appointment.standing {
        Standing::Cancelled(cancellation) => Some(cancellation),
        Standing::Firm | Standing::Confirmed(_) | Standing::Provisional { .. } | Standing::Failed { .. } => {
            None
        }
    };
    let code = match (telling.what, cancellation.map(|cancellation| cancellation.by)) {
        (Told::Booked, _) => "BOOKED",
        (Told::Amended, _) => "AMENDED",
        (Told::DidNotAttend, _) => "DID-NOT-ATTEND",
        (Told::Cancelled, Some(CancelledBy::Patient)) => "CANCELLED-BY-PATIENT",
        (Told::Cancelled, Some(CancelledBy::Provider)) => "CANCELLED-BY-PROVIDER",
        (Told::Cancelled, None) => "CANCELLED",
    };
    let given = cancellation.map_or("", |Cancellation { reason, .. }| reason.as_str());
    let words = match telling.what {
        Told::Cancelled if !given.is_empty() => given,
        Told::Booked => "Booked",
        Told::Amended => "Changed",
        Told::Cancelled => "Cancelled",
        Told::DidNotAttend => "Did not attend",
    };
    coded(code, words)
}

/// SCH-25 (HL7 table 0278).
const fn status(telling: &Telling) -> &'static str {
    match (telling.what, telling.appointment.attendance) {
        (Told::Cancelled, _) => "Cancelled",
        (Told::DidNotAttend, _) | (Told::Amended, Attendance::DidNotAttend) => "Noshow",
        (Told::Booked, _) | (Told::Amended, Attendance::Expected) => "Booked",
        (Told::Amended, Attendance::Arrived | Attendance::Called | Attendance::In) => "Started",
        (Told::Amended, Attendance::Done) => "Complete",
    }
}

/// What is not in any field: how it takes place, a comment, and what the patient needs on the day.
fn notes(writer: &mut Writer, appointment: &Appointment) {
    let channel = match appointment.channel {
        Channel::InPerson => "",
        other => other.name(),
    };
    let needs = &appointment.needs;
    let all = [
        ("By", channel),
        ("", appointment.comment.as_str()),
        ("Interpreter needed", needs.interpreter.as_str()),
        ("Transport", if needs.transport { "needed" } else { "" }),
        ("Adjustments", needs.adjustments.as_str()),
    ];
    let one = |(about, text): &(&str, &str)| {
        if about.is_empty() { (*text).to_owned() } else { format!("{about}: {text}") }
    };
    let lines: Vec<String> = all.iter().filter(|(_, text)| !text.is_empty()).map(one).collect();
    writer.notes(&lines.join("\n"));
}

/// PID-3: the NHS number, and the patient's number at that system; none if there is neither.
fn identifiers(appointment: &Appointment) -> Option<String> {
    let number = appointment.person.nhs_number.map(|number| format!("{}^^^NHS^NH", number.as_str()));
    let own = reference(&appointment.standing).filter(|reference| !reference.patient.is_empty());
    let own = own.map(|own| format!("{}^^^{}^PI", said(&own.patient), said(&appointment.system)));
    let all: Vec<String> = number.into_iter().chain(own).collect();
    (!all.is_empty()).then(|| all.join("~"))
}

fn patient(writer: &mut Writer, person: &Person, identifiers: String) {
    let name = match [&person.family_name, &person.given_names].map(|name| said(name)) {
        // PID-5 is required; a name of the type U is one that nobody has said.
        [family, given] if family.is_empty() && given.is_empty() => "^^^^^^U".to_owned(),
        [family, given] => format!("{family}^{given}^^^{}^^L", said(&person.title)),
    };
    let sex = match person.gender.as_str() {
        "" => "",
        "male" => "M",
        "female" => "F",
        "other" => "O",
        _ => "U",
    };
    let address = format!("{}^^^^{}", said(&person.address), said(&person.postcode));
    let fields = [
        (1, "1".to_owned()),
        (3, identifiers),
        (5, name),
        (7, hl7_moment(&person.birth_date).unwrap_or_default()),
        (8, sex.to_owned()),
        (11, address.trim_end_matches('^').to_owned()),
        (13, telephone("PRN", &person.telephone)),
    ];
    writer.segment("PID", &fields);
    if !person.practice.is_empty() {
        // The place for a number (XON.3) takes digits only in version 2.4, and ODS codes have letters.
        writer.segment("PD1", &[(3, said(&person.practice))]);
    }
}

/// What is taken: the service (AIS), the clinic's session (AIG), the place (AIL) and the clinician (AIP).
fn resources(writer: &mut Writer, telling: &Telling) {
    let appointment = &telling.appointment;
    // Table 0206.
    let action = match telling.what {
        Told::Booked => "A",
        Told::Amended | Told::DidNotAttend => "U",
        Told::Cancelled => "D",
    };
    let begin = || [(1, "1".to_owned()), (2, action.to_owned())];
    let mut resource_of = |name: &str, fields: &[(usize, String)]| {
        let all: Vec<(usize, String)> = begin().into_iter().chain(fields.iter().cloned()).collect();
        writer.segment(name, &all);
    };
    let (length, units) = duration(appointment);
    let (start, length) = (local(appointment.start), length.to_string());
    let service = coded(appointment.service.as_str(), &appointment.service_name);
    resource_of("RGS", &[]);
    resource_of("AIS", &[(3, service), (4, start.clone()), (7, length.clone()), (8, units.to_owned())]);
    if let Some((code, words)) = resource(appointment) {
        let kind = "CLINIC^Clinic session^L".to_owned();
        resource_of(
            "AIG",
            &[(3, coded(&code, &words)), (4, kind), (8, start), (11, length), (12, units.to_owned())],
        );
    }
    let place = location(appointment);
    if !place.is_empty() {
        resource_of("AIL", &[(3, place), (4, "C^Clinic".to_owned())]);
    }
    if let Some(clinician) = &appointment.clinician {
        let who = format!("{}^{}", said(&clinician.id), said(&clinician.name));
        let role = if clinician.role.is_empty() { "Clinician" } else { clinician.role.as_str() };
        resource_of("AIP", &[(3, who), (4, coded("CLIN", role))]);
    }
}

/// The session in whose book it is: its code and words for it.
fn resource(appointment: &Appointment) -> Option<(String, String)> {
    let code = match appointment.keys.first()? {
        OfferKey::Token(slot) => slot.session.to_string(),
        OfferKey::System { schedule, .. } => schedule.clone(),
    };
    (!code.is_empty()).then(|| (code, appointment.service_name.clone()))
}

/// PL: the place by its code, or its name where it has none; the room; and the name.
fn location(appointment: &Appointment) -> String {
    let place = &appointment.place;
    let code = if place.id.is_empty() { &place.name } else { &place.id };
    let all = format!("{}^{}^^^^^^^{}", said(code), said(&appointment.room), said(&place.name));
    all.trim_end_matches('^').to_owned()
}

/// How the system in whose book it is names it, as far as it has said.
const fn reference(standing: &Standing) -> Option<&Reference> {
    match standing {
        Standing::Confirmed(reference) => Some(reference),
        Standing::Cancelled(cancellation) => cancellation.reference.as_ref(),
        Standing::Firm | Standing::Provisional { .. } | Standing::Failed { .. } => None,
    }
}

/// How long it is, and in which units: minutes if they are whole.
fn duration(appointment: &Appointment) -> (u64, &'static str) {
    let seconds = appointment.end.since(appointment.start).as_secs();
    if seconds.is_multiple_of(60) { (seconds / 60, "MIN") } else { (seconds, "SEC") }
}

/// By the clock on the wall, with its offset: systems that leave the offset aside read the right time too.
fn local(at: Timestamp) -> String {
    hl7_moment(&local_time::moment(local_time::whole_second(at))).unwrap_or_default()
}

fn coded(code: &str, words: &str) -> String {
    format!("{}^{}^L", said(code), said(words))
}

/// A coded element, or a person, of whom only words are known.
fn words(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("^{}", said(text)) }
}

/// XTN.9, any text: XTN.1 takes telephone numbers as they are written in America.
fn telephone(purpose: &str, number: &str) -> String {
    if number.is_empty() { String::new() } else { format!("^{purpose}^PH^^^^^^{}", said(number)) }
}

#[cfg(test)]
pub(super) mod tests;
