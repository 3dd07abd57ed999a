//! What a message says of an appointment in its sender's book, for the reception desk: SIU of the appointment itself, ADT
//! of a patient who came, was seen, or had come by mistake.
//!
//! Which appointment it is, SCH-1 and SCH-2 say; in ADT the numbers of the visit (PV1-5, PV1-19, PV1-50), where they are
//! the appointment's. Words in which its system says what it is for are left where they are: they may be clinical.

use crate::{
    codec::hl7v2::{Header, Message, Segment, parse_moment},
    domain::{
        booking::{AppointmentId, Attendance, BookWord, Person, SystemWord, WordTime},
        entry::Entry,
        time::Timestamp,
    },
};

use super::translate::{appointment_status, occurred};

/// Names and codes of one message that are looked at: nobody writes more.
const CODES_MAX: usize = 16;
/// A longer name or code is none.
const CODE_BYTES_MAX: usize = 250;

/// Reads it; none if the message says nothing of an appointment. What the hub knows of it besides (the system, the place
/// in the journal, the patient) is left out.
pub fn word_of(entry: &Entry) -> Option<SystemWord> {
    let bytes = entry.raw.as_ref()?;
    if !entry.kind.starts_with("SIU^") && !entry.kind.starts_with("ADT^") {
        return None;
    }
    let message = Message::parse(bytes).ok()?;
    let header = Header::read(&message).ok()?;
    let mut word = match header.kind.as_str() {
        "SIU" => of_schedule(&message, &header.trigger)?,
        "ADT" => of_visit(&message, &header.trigger)?,
        _ => return None,
    };
    word.when.at = occurred(&message, &header).unwrap_or_default();
    (!word.names.is_empty()).then_some(word)
}

fn of_schedule(message: &Message<'_>, trigger: &str) -> Option<SystemWord> {
    let schedule = message.segment("SCH")?;
    let code = |segment: &Segment<'_>, field: usize| text(message, segment, field, 1);
    let filler = code(&schedule, 2);
    let status = appointment_status(trigger, &code(&schedule, 25));
    let (book, attendance) = match status {
        "cancelled" | "discontinued" | "deleted" => (BookWord::Cancelled, None),
        "arrived" => (BookWord::Stands, Some(Attendance::Arrived)),
        "attended" => (BookWord::Stands, Some(Attendance::Done)),
        "did not attend" => (BookWord::Stands, Some(Attendance::DidNotAttend)),
        // Whoever is given another time is expected then. A booking or a change says nothing of whether they came.
        _ if trigger == "S13" => (BookWord::Stands, Some(Attendance::Expected)),
        _ => (BookWord::Stands, None),
    };
    let service = message.segment("AIS");
    let moment = |segment: &Segment<'_>, field: usize, component: usize| {
        parse_moment(segment.field(field).component(component).bytes())
    };
    let start = moment(&schedule, 11, 4).or_else(|| moment(service.as_ref()?, 4, 1));
    let end = moment(&schedule, 11, 5).or_else(|| after(message, &schedule, service.as_ref(), start?));
    let each = |name: &str, component: usize| {
        let segments = message.segments().filter(|segment| segment.name() == name.as_bytes());
        segments.map(|segment| text(message, &segment, 3, component)).collect::<Vec<_>>()
    };
    Some(SystemWord {
        names: told([filler.clone(), code(&schedule, 1)]),
        filler,
        start,
        end,
        sessions: told([code(&schedule, 5)].into_iter().chain(each("AIG", 1))),
        services: told(each("AIS", 1).into_iter().chain(each("AIS", 2))),
        ..nothing(Some(book), attendance)
    })
}

fn of_visit(message: &Message<'_>, trigger: &str) -> Option<SystemWord> {
    let attendance = match trigger {
        "A01" | "A04" | "A13" => Attendance::Arrived,
        "A03" => Attendance::Done,
        "A11" => Attendance::Expected,
        _ => return None,
    };
    let visit = message.segment("PV1")?;
    let names = [19, 50, 5].map(|field| text(message, &visit, field, 1));
    Some(SystemWord { names: told(names), ..nothing(None, Some(attendance)) })
}

/// Its end, from how long it is: SCH-9 and SCH-10, else AIS-7 and AIS-8.
fn after(
    message: &Message<'_>,
    schedule: &Segment<'_>,
    service: Option<&Segment<'_>>,
    start: Timestamp,
) -> Option<Timestamp> {
    let length = |segment: &Segment<'_>, number: usize, units: usize| {
        let (number, units) = (text(message, segment, number, 1), text(message, segment, units, 1));
        super::translate::minutes(&number, &units)?.parse::<u32>().ok()
    };
    let minutes = length(schedule, 9, 10).or_else(|| length(service?, 7, 8))?;
    Some(start.plus(std::time::Duration::from_secs(u64::from(minutes) * 60)))
}

fn text(message: &Message<'_>, segment: &Segment<'_>, field: usize, component: usize) -> String {
    message.text(segment.field(field).component(component).bytes()).trim().to_owned()
}

/// Those that are said and no longer than a code is.
fn told(codes: impl IntoIterator<Item = String>) -> Vec<String> {
    let usable = |code: &String| !code.is_empty() && code != "\"\"" && code.len() <= CODE_BYTES_MAX;
    codes.into_iter().filter(usable).take(CODES_MAX).collect()
}

fn nothing(book: Option<BookWord>, attendance: Option<Attendance>) -> SystemWord {
    SystemWord {
        system: String::new(),
        when: WordTime::default(),
        id: AppointmentId(0),
        names: Vec::new(),
        filler: String::new(),
        book,
        attendance,
        start: None,
        end: None,
        sessions: Vec::new(),
        services: Vec::new(),
        person: Person::default(),
        patient: String::new(),
    }
}

#[cfg(test)]
mod tests;
