//! HL7 v2.4 built from what other protocols said: ORU^R01 from results, ADT A28, A31 and A40 from who patients are,
//! SIU S12 to S17 and S26 from appointments (HL7 v2.4, chapters 3, 4, 7 and 10; hl7apy's strict validation passes).
//!
//! Nothing is invented and nothing is cut: what an item does not say stays empty, what it deletes is `""`.

use crate::{
    codec::hl7v2::{Delimiters, escape},
    domain::{
        record::{Event, FieldChange, Identifier, ItemChange, ItemKind},
        time::Timestamp,
    },
    flow::deliver::Parcel,
};

use super::outgoing::Address;

/// MSH-10 has 20 characters in HL7 v2.4: 80 bits of the message's name.
pub(super) const CONTROL_ID_LENGTH: usize = 20;
/// The longest value of the type ST in version 2.4 is 199 characters; what is longer, or has
/// several lines, is formatted text (FT).
const ST_LENGTH_MAX: usize = 199;

/// Builds the message that tells an event.
///
/// # Errors
/// Why there is none: it says nothing that HL7 v2 is sent for here, or not of whom.
pub(super) fn build(parcel: &Parcel, address: &Address) -> Result<Vec<u8>, String> {
    let event = &parcel.event;
    let of = |kind: ItemKind| event.items.iter().filter(move |item| item.kind == kind);
    if event.nhs_number.is_err() && event.identifiers.is_empty() {
        return Err("it does not say of whom it is by any number".to_owned());
    }
    let mut writer = Writer { text: String::with_capacity(1024) };
    let header = |writer: &mut Writer, message, trigger, structure| {
        let control_id: String = parcel.attempt_id.chars().take(CONTROL_ID_LENGTH).collect();
        writer.header(address, Kind { message, trigger, structure }, parcel.entry.at, &control_id);
    };
    let results: Vec<&ItemChange> = of(ItemKind::Result).collect();
    let appointment = of(ItemKind::Appointment).next();
    if !results.is_empty() {
        header(&mut writer, "ORU", "R01", "ORU_R01");
        writer.patient(event);
        writer.reports(parcel, &results);
    } else if let Some(appointment) = appointment {
        let trigger = appointment_trigger(&event.kind, appointment);
        header(&mut writer, "SIU", trigger, "SIU_S12");
        writer.schedule(appointment, address);
        writer.patient(event);
        writer.resources(appointment);
    } else if !event.merged.is_empty() {
        header(&mut writer, "ADT", "A40", "ADT_A39");
        writer.event("A40", parcel);
        writer.patient(event);
        writer.segment("MRG", &[(1, identifiers(&event.merged))]);
    } else if of(ItemKind::Demographics).next().is_some() {
        let trigger = if event.kind.ends_with("A28") { "A28" } else { "A31" };
        header(&mut writer, "ADT", trigger, "ADT_A05");
        writer.event(trigger, parcel);
        writer.patient(event);
        // A05's structure wants a visit; class N is one that does not apply.
        writer.segment("PV1", &[(1, "1".to_owned()), (2, "N".to_owned())]);
    } else {
        return Err("it says nothing that is sent as HL7 v2".to_owned());
    }
    Ok(writer.finish())
}

/// The event of table 0003 that an appointment's status is.
fn appointment_trigger(kind: &str, appointment: &ItemChange) -> &'static str {
    let kind = kind.to_ascii_lowercase();
    match text(appointment, "status").as_deref() {
        Some("cancelled") => "S15",
        Some("discontinued") => "S16",
        Some("deleted") => "S17",
        Some("did not attend") => "S26",
        Some("arrived" | "attended") => "S14",
        _ if kind.contains("reschedul") || kind.contains("s13") => "S13",
        _ if kind.contains("amend") || kind.contains("update") || kind.contains("s14") => "S14",
        _ => "S12",
    }
}

/// A message as it is written, segment by segment.
#[derive(Default)]
pub(super) struct Writer {
    text: String,
}

/// What kind of message it is: MSH-9.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    /// Such as `SIU`.
    pub message: &'static str,
    /// Such as `S12`.
    pub trigger: &'static str,
    /// Such as `SIU_S12`.
    pub structure: &'static str,
}

impl Writer {
    /// The message as it goes out.
    pub(super) fn finish(self) -> Vec<u8> {
        self.text.into_bytes()
    }

    /// A segment of these fields, by number, in ascending order; values are written as they are.
    pub(super) fn segment(&mut self, name: &str, fields: &[(usize, String)]) {
        self.text.push_str(name);
        let mut written = 0;
        for (number, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
            while written < *number {
                self.text.push('|');
                written += 1;
            }
            self.text.push_str(value);
        }
        self.text.push('\r');
    }

    /// MSH, for a message of this name (MSH-10) that was made at this moment.
    pub(super) fn header(&mut self, address: &Address, kind: Kind, at: Timestamp, control_id: &str) {
        let (application, facility) = address.receiving.clone().unwrap_or_default();
        let Kind { message, trigger, structure } = kind;
        let fields = [
            // Counted without MSH-1, which is the separator itself.
            (1, "^~\\&".to_owned()),
            (2, said(&address.sending_application)),
            (3, said(&address.sending_facility)),
            (4, said(&application)),
            (5, said(&facility)),
            (6, stamp(at)),
            (8, format!("{message}^{trigger}^{structure}")),
            (9, said(control_id)),
            (10, address.processing.to_string()),
            (11, "2.4".to_owned()),
            (16, "GBR".to_owned()),
            (17, "UNICODE UTF-8".to_owned()),
            (20, address.profile.as_deref().map(said).unwrap_or_default()),
        ];
        self.segment("MSH", &fields);
    }

    fn event(&mut self, trigger: &str, parcel: &Parcel) {
        let recorded = stamp(parcel.entry.at);
        let occurred = parcel.event.occurred.map_or_else(|| recorded.clone(), stamp);
        self.segment("EVN", &[(1, trigger.to_owned()), (2, recorded), (6, occurred)]);
    }

    fn patient(&mut self, event: &Event) {
        let found = event.items.iter().find(|item| item.kind == ItemKind::Demographics);
        let nobody = ItemChange::new(ItemKind::Demographics, String::new(), Vec::new());
        let item = found.unwrap_or(&nobody);
        let name = components(
            item,
            &[Some("family_name"), Some("given_name"), Some("middle_names"), None, Some("title")],
        );
        // PID-5 is required; a name of the type U is one that nobody has said.
        let name = if name.is_empty() { "^^^^^^U".to_owned() } else { name };
        let address = ["address_line_1", "address_line_2", "city", "county", "postcode"].map(Some);
        let fields = [
            (1, "1".to_owned()),
            (3, patient_identifiers(event)),
            (5, name),
            (7, moment(item, "birth_date")),
            (8, value(item, "gender")),
            (11, components(item, &address)),
            (13, telephone(item)),
            (15, value(item, "language")),
            (22, value(item, "ethnic_category")),
            (29, moment(item, "death_date")),
            (30, value(item, "death_indicator")),
            (32, value(item, "nhs_number_status")),
        ];
        self.segment("PID", &fields);
        let practice = value(item, "general_practice");
        if !practice.is_empty() {
            // The place for a number (XON.3) takes digits only in version 2.4, and ODS codes have letters.
            self.segment("PD1", &[(3, practice)]);
        }
    }

    /// One OBR for each report, with the observations that share its code and order.
    fn reports(&mut self, parcel: &Parcel, results: &[&ItemChange]) {
        let report_of = |item: &ItemChange| {
            (text(item, "report_code"), text(item, "report"), item.part_of.clone(), text(item, "specimen"))
        };
        let mut reports = Vec::new();
        for result in results {
            if !reports.contains(&report_of(result)) {
                reports.push(report_of(result));
            }
        }
        for (number, report) in reports.iter().enumerate() {
            let own: Vec<&&ItemChange> = results.iter().filter(|item| report_of(item) == *report).collect();
            let Some(first) = own.first() else { continue };
            let (code, name) = (report.0.clone(), report.1.clone());
            let service = match (code, name) {
                (None, None) => coded(first, "code", "name"),
                (code, name) => said(&code.unwrap_or_default()) + "^" + &said(&name.unwrap_or_default()),
            };
            let control_id: String = parcel.attempt_id.chars().take(CONTROL_ID_LENGTH).collect();
            let order = if report.2.is_empty() { control_id } else { said(&report.2) };
            let fields = [
                (1, (number + 1).to_string()),
                (3, order),
                (4, service),
                (7, moment(first, "observed")),
                (14, moment(first, "received")),
                (15, value(first, "specimen")),
                (22, moment(first, "recorded")),
                (25, status_of(first)),
            ];
            self.segment("OBR", &fields);
            for (line, result) in own.iter().enumerate() {
                self.observation(line + 1, result);
            }
        }
    }

    fn observation(&mut self, line: usize, item: &ItemChange) {
        let found = text(item, "value").unwrap_or_default();
        let comparator = text(item, "comparator").unwrap_or_default();
        let is_number =
            !found.is_empty() && found.len() <= 16 && found.parse::<f64>().is_ok_and(f64::is_finite);
        let (kind, shown) = match (is_number, comparator.is_empty()) {
            (true, true) => ("NM", said(&found)),
            (true, false) => ("SN", format!("{}^{}", said(&comparator), said(&found))),
            (false, _) => {
                let whole = format!("{comparator}{found}");
                let long = ST_LENGTH_MAX < whole.chars().count() || whole.contains('\n');
                (if long { "FT" } else { "ST" }, said(&whole))
            }
        };
        let flags = flags(item);
        let is_deleted = item.withdrawn || is_deleted(item, "value");
        let fields = [
            (1, line.to_string()),
            (2, kind.to_owned()),
            (3, coded(item, "code", "name")),
            (5, if is_deleted { "\"\"".to_owned() } else { shown }),
            (6, value(item, "units")),
            (7, value(item, "reference_range")),
            (8, flags.first().map_or_else(|| value(item, "abnormal_flags"), |flag| said(flag))),
            (11, if item.withdrawn { "D".to_owned() } else { status_of(item) }),
            (14, moment(item, "observed")),
            (16, value(item, "performer")),
            (17, value(item, "method")),
        ];
        self.segment("OBX", &fields);
        // OBX-8 takes one flag where many read it; the others must not get lost.
        let all =
            if 1 < flags.len() { format!("Abnormal flags: {}", flags.join(", ")) } else { String::new() };
        self.notes(&[all, text(item, "note").unwrap_or_default()].join("\n"));
    }

    /// NTE, one for each line that is not empty: not every receiver knows `\.br\`.
    pub(super) fn notes(&mut self, text: &str) {
        for (number, line) in text.lines().filter(|line| !line.is_empty()).enumerate() {
            self.segment("NTE", &[(1, (number + 1).to_string()), (3, said(line))]);
        }
    }

    fn schedule(&mut self, item: &ItemChange, address: &Address) {
        let (placer, filler) = (value(item, "placer_id"), value(item, "filler_id"));
        let filler = if filler.is_empty() { said(&item.key) } else { filler };
        let status = text(item, "status").unwrap_or_else(|| "booked".to_owned());
        let reason = text(item, "cancellation_reason").or_else(|| text(item, "reason"));
        let duration = value(item, "duration");
        let timing = format!("^^{duration}^{}^{}", moment(item, "start"), moment(item, "end"));
        let timing = timing.trim_end_matches('^').to_owned();
        // SCH-16 and SCH-20 are required: who to ask, and who entered it. That is this hub.
        let hub = said(&address.sending_application);
        let fields = [
            (1, placer),
            (2, filler),
            (6, format!("{}^{}", said(&status).to_ascii_uppercase().replace(' ', "-"), said(&status))),
            (7, reason.map(|reason| format!("^{}", said(&reason))).unwrap_or_default()),
            (9, duration.clone()),
            (10, if duration.is_empty() { String::new() } else { "MIN".to_owned() }),
            (11, timing),
            (16, hub.clone()),
            (20, hub),
            (25, said(status_words(&status))),
        ];
        self.segment("SCH", &fields);
        self.notes(&text(item, "note").unwrap_or_default());
    }

    fn resources(&mut self, item: &ItemChange) {
        let one = || (1, "1".to_owned());
        self.segment("RGS", &[one()]);
        let service = value(item, "service");
        if !service.is_empty() {
            self.segment("AIS", &[one(), (3, format!("^{service}")), (4, moment(item, "start"))]);
        }
        let location = value(item, "location");
        if !location.is_empty() {
            self.segment("AIL", &[one(), (3, location), (4, "C^Clinic".to_owned())]);
        }
        let clinician = value(item, "clinician");
        if !clinician.is_empty() {
            self.segment("AIP", &[one(), (3, clinician), (4, "CLIN^Clinician".to_owned())]);
        }
    }
}

/// An observation's flags of table 0078, the one that someone must act on first.
fn flags(item: &ItemChange) -> Vec<String> {
    let all = text(item, "abnormal_flags").unwrap_or_default();
    let apart = |character: char| character.is_whitespace() || matches!(character, '~' | '\\' | ',');
    let mut flags: Vec<String> =
        all.split(apart).filter(|flag| !flag.is_empty()).map(str::to_owned).collect();
    flags.sort_by_key(|flag| !matches!(flag.as_str(), "HH" | "LL" | "AA"));
    flags
}

/// The filler's status in the words of HL7 table 0278.
fn status_words(status: &str) -> &'static str {
    match status {
        "provisional" => "Pending",
        "cancelled" => "Cancelled",
        "discontinued" => "Discontinued",
        "deleted" => "Deleted",
        "did not attend" => "Noshow",
        "arrived" => "Started",
        "attended" => "Complete",
        _ => "Booked",
    }
}

/// OBX-11 and OBR-25: a letter of tables 0085 and 0123; final unless the item says otherwise.
fn status_of(item: &ItemChange) -> String {
    let status = text(item, "status").filter(|status| status.len() == 1 && status.is_ascii());
    said(status.as_deref().unwrap_or("F"))
}

/// PID-3: the NHS number first; but where patients are merged, first what MRG-1 has, kind by kind.
fn patient_identifiers(event: &Event) -> String {
    let number = event.nhs_number.ok().map(|number| Identifier {
        value: number.as_str().to_owned(),
        authority: "NHS".to_owned(),
        kind: "NH".to_owned(),
    });
    let is_number = |one: &Identifier| one.authority == "NHS" || one.kind == "NH";
    let mut all: Vec<Identifier> = number.iter().cloned().collect();
    all.extend(event.identifiers.iter().filter(|one| number.is_none() || !is_number(one)).cloned());
    let place = |one: &Identifier| {
        let like = |merged: &Identifier| merged.authority == one.authority && merged.kind == one.kind;
        event.merged.iter().position(like).unwrap_or(usize::MAX)
    };
    all.sort_by_key(place);
    identifiers(&all)
}

fn identifiers(all: &[Identifier]) -> String {
    let one = |one: &Identifier| {
        let text = format!("{}^^^{}^{}", said(&one.value), said(&one.authority), said(&one.kind));
        text.trim_end_matches('^').to_owned()
    };
    all.iter().map(one).collect::<Vec<_>>().join("~")
}

fn change<'a>(item: &'a ItemChange, name: &str) -> Option<&'a FieldChange> {
    item.fields.iter().find(|(field, _)| *field == name).map(|(_, change)| change)
}

/// What an item sets a field to.
fn text(item: &ItemChange, name: &str) -> Option<String> {
    match change(item, name)? {
        FieldChange::Set(value) if !value.is_empty() => Some(value.clone()),
        _ => None,
    }
}

fn is_deleted(item: &ItemChange, name: &str) -> bool {
    matches!(change(item, name), Some(FieldChange::Delete))
}

/// A field's value as it stands in a message.
fn value(item: &ItemChange, name: &str) -> String {
    match change(item, name) {
        Some(FieldChange::Set(value)) => said(value),
        Some(FieldChange::Delete) => "\"\"".to_owned(),
        None => String::new(),
    }
}

/// XTN.9, any text: XTN.1 takes telephone numbers as they are written in America.
fn telephone(item: &ItemChange) -> String {
    match text(item, "telephone") {
        Some(number) => format!("^PRN^PH^^^^^^{}", said(&number)),
        None => value(item, "telephone"),
    }
}

fn components(item: &ItemChange, names: &[Option<&str>]) -> String {
    let parts: Vec<String> =
        names.iter().map(|name| name.map(|n| value(item, n)).unwrap_or_default()).collect();
    parts.join("^").trim_end_matches('^').to_owned()
}

/// A coded element: code, text and coding system.
fn coded(item: &ItemChange, code: &str, name: &str) -> String {
    let system = match text(item, "code_system").as_deref() {
        Some("snomed-ct") => "SCT",
        Some("loinc") => "LN",
        Some("read-2" | "ctv3") => "RC",
        _ => "L",
    };
    let (code, name) = (value(item, code), value(item, name));
    let code = if code.is_empty() && name.is_empty() { "UNKNOWN".to_owned() } else { code };
    format!("{code}^{name}^{system}")
}

/// ISO 8601 as a time stamp of HL7 v2, as precise as it was; nothing if it is neither.
fn moment(item: &ItemChange, name: &str) -> String {
    match change(item, name) {
        Some(FieldChange::Set(value)) => hl7_moment(value).unwrap_or_default(),
        Some(FieldChange::Delete) => "\"\"".to_owned(),
        None => String::new(),
    }
}

/// ISO 8601 as a time stamp of HL7 v2, as precise as it was; none if it is none.
pub(super) fn hl7_moment(iso: &str) -> Option<String> {
    let iso = iso.trim();
    let (date, time) = iso.split_once(['T', ' ']).unwrap_or((iso, ""));
    let (time, offset) = match time.find(['Z', '+', '-']) {
        Some(place) => time.split_at(place),
        None => (time, ""),
    };
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let legal = |text: &str, also: &[char]| text.chars().all(|c| c.is_ascii_digit() || also.contains(&c));
    if !legal(date, &['-']) || !legal(time, &[':', '.']) || !matches!(digits(date).len(), 4 | 6 | 8) {
        return None;
    }
    let (whole, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut stamp = digits(date) + &digits(whole);
    if !fraction.is_empty() {
        stamp.push('.');
        stamp.extend(fraction.chars().take(4));
    }
    match offset {
        "" => {}
        "Z" => stamp.push_str("+0000"),
        offset => {
            let four = digits(offset);
            if four.len() != 4 {
                return None;
            }
            stamp.push_str(offset.get(..1).unwrap_or_default());
            stamp.push_str(&four);
        }
    }
    Some(stamp)
}

fn stamp(at: Timestamp) -> String {
    let digits: String = at.to_string().chars().filter(char::is_ascii_digit).take(14).collect();
    digits + "+0000"
}

/// Text as it stands in a message.
pub(super) fn said(text: &str) -> String {
    let escaped = escape(text.as_bytes(), &Delimiters::default());
    String::from_utf8_lossy(&escaped).into_owned()
}

#[cfg(test)]
mod tests;
