//! What searches ask for, in their URLs.

use std::time::Duration;

use crate::{
    codec::fhir::Moment,
    domain::{nhs_number::NhsNumber, slot::SEARCH_MAX, time::Timestamp},
};

use super::{NHS_NUMBER, Refusal, id::is_fhir_id};

/// The longest query read, in bytes: the fullest search of the standard has 400.
const QUERY_BYTES_MAX: usize = 4096;

/// What may be told with slots (BaRS API 1.4.0, `_include`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Include {
    /// The Schedule that a Slot is of.
    Schedule,
    /// With whom.
    Practitioner,
    /// What they work as.
    PractitionerRole,
    /// What for.
    HealthcareService,
    /// Who provides it.
    Organization,
    /// Where.
    Location,
}

impl Include {
    /// All of them, with the words by which they are asked for.
    pub(super) const ALL: [(Self, &'static str); 6] = [
        (Self::Schedule, "Slot:schedule"),
        (Self::Practitioner, "Schedule:actor:Practitioner"),
        (Self::PractitionerRole, "Schedule:actor:PractitionerRole"),
        (Self::HealthcareService, "Schedule:actor:HealthcareService"),
        (Self::Organization, "HealthcareService:providedBy"),
        (Self::Location, "HealthcareService:location"),
    ];

    fn of(words: &str) -> Option<Self> {
        let known = Self::ALL.iter().find(|(_, known)| known.eq_ignore_ascii_case(words));
        known.map(|(include, _)| *include).or_else(|| (words == "Slot:*").then_some(Self::Schedule))
    }
}

/// A search for slots.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SlotsWanted {
    /// The earliest beginning.
    pub from: Timestamp,
    /// The latest beginning; at most [`SEARCH_MAX`] after `from`.
    pub until: Timestamp,
    /// Whether free ones are wanted: busy ones are never told.
    pub free: bool,
    /// The one service that is wanted, by an id; none for any.
    pub service: Option<String>,
    /// What is wanted besides.
    pub include: Vec<Include>,
}

impl SlotsWanted {
    /// Reads a query. What begins before `now` cannot be booked, and is not looked for.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn read(query: &str, now: Timestamp) -> Result<Self, Refusal> {
        let (mut status, mut from, mut until) = (Vec::new(), None, None);
        let (mut service, mut include, mut includes) = (None, Vec::new(), false);
        for (name, value) in parameters(query)? {
            match name.to_ascii_lowercase().as_str() {
                "status" => status.extend(value.split(',').map(|one| one.trim().to_owned())),
                "start" => bound(&value, &mut from, &mut until)?,
                "schedule.actor:healthcareservice" => {
                    let id = value.rsplit(['|', '/']).next().unwrap_or_default().trim().to_owned();
                    if !is_fhir_id(&id) || service.replace(id).is_some() {
                        return Err(Refusal::value("Schedule.actor:HealthcareService is not one service"));
                    }
                }
                "_include" | "_include:iterate" => {
                    includes = true;
                    let asked = value.split(',').filter_map(|one| Include::of(one.trim()));
                    asked.for_each(|one| {
                        if !include.contains(&one) {
                            include.push(one)
                        }
                    });
                }
                _ => {}
            }
        }
        if status.is_empty() {
            return Err(Refusal::required("The parameter status is missing"));
        }
        if !status.iter().all(|one| matches!(one.as_str(), "free" | "busy")) {
            return Err(Refusal::value("The parameter status is neither free nor busy"));
        }
        if !includes {
            return Err(Refusal::required("The parameter _include is missing"));
        }
        let (Some(from), Some(until)) = (from, until) else {
            return Err(Refusal::required("The parameter start is needed twice, with ge and with le"));
        };
        let from = now.max(from);
        if SEARCH_MAX < until.since(from) {
            return Err(Refusal::too_costly("Look for slots of at most two weeks"));
        }
        Ok(Self { from, until, free: status.iter().any(|one| one == "free"), service, include })
    }

    /// The search as it was understood, for the answer to say.
    pub fn query(&self) -> String {
        let status = if self.free { "free" } else { "busy" };
        let service = self.service.as_ref().map(|id| format!("&Schedule.actor:HealthcareService={id}"));
        let service = service.unwrap_or_default();
        let named = Include::ALL.iter().filter(|(one, _)| self.include.contains(one));
        let include: String = named.map(|(_, words)| format!("&_include={words}")).collect();
        format!("status={status}&start=ge{}&start=le{}{service}{include}", self.from, self.until)
    }
}

/// Whose appointments are looked for, from a query: an NHS number.
///
/// # Errors
/// There is none, or it is no NHS number.
pub fn patient_wanted(query: &str) -> Result<NhsNumber, Refusal> {
    let mut found = None;
    let mut others = false;
    for (name, value) in parameters(query)? {
        match name.to_ascii_lowercase().as_str() {
            "patient:identifier" => {
                let (system, number) = value.split_once('|').ok_or(NO_NHS_NUMBER)?;
                if system.trim() != NHS_NUMBER || found.is_some() {
                    return Err(NO_NHS_NUMBER);
                }
                found = Some(NhsNumber::parse(number.trim()).map_err(|_| NO_NHS_NUMBER)?);
            }
            other => others = others || other.starts_with("patient:"),
        }
    }
    match found {
        Some(number) => Ok(number),
        None if others => {
            Err(Refusal::not_supported("This receiver finds appointments by the NHS number alone"))
        }
        None => Err(Refusal::required("The parameter patient:identifier is missing")),
    }
}

const NO_NHS_NUMBER: Refusal = Refusal::value("The parameter patient:identifier is not one NHS number");

/// Narrows the window by one `start`.
fn bound(value: &str, from: &mut Option<Timestamp>, until: &mut Option<Timestamp>) -> Result<(), Refusal> {
    const WRONG: Refusal =
        Refusal::value("The parameter start is not ge, gt, le or lt and a moment with an offset");
    let (prefix, moment) = value.trim().split_at_checked(2).ok_or(WRONG)?;
    let moment = Moment::parse(moment).and_then(Moment::timestamp).ok_or(WRONG)?;
    let instant = Duration::from_millis(1);
    match prefix {
        "ge" => *from = (*from).max(Some(moment)),
        "gt" => *from = (*from).max(Some(moment.plus(instant))),
        "le" => *until = Some(until.map_or(moment, |known| known.min(moment))),
        "lt" => {
            let last = Timestamp(moment.0.saturating_sub(1));
            *until = Some(until.map_or(last, |known| known.min(last)));
        }
        _ => return Err(WRONG),
    }
    Ok(())
}

/// Each name with its value. `+` stands for itself, as in the offsets of moments: senders write it so.
fn parameters(query: &str) -> Result<Vec<(String, String)>, Refusal> {
    if QUERY_BYTES_MAX < query.len() {
        return Err(Refusal::value("The query is longer than this receiver reads"));
    }
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let decode = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decoded(name)?, decoded(value)?))
    };
    let pairs: Option<Vec<_>> = pairs.map(decode).collect();
    pairs.ok_or(Refusal::value("The query is not percent-encoded UTF-8"))
}

fn decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut out: Vec<u8> = parts.next().unwrap_or_default().into();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        out.push(u8::from_str_radix(digits, 16).ok()?);
        out.extend(rest.bytes());
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_000_000_000);
    const START: &str = "start=ge2026-11-19T09:00:00+00:00&start=le2026-11-20T09:00:00%2B00:00";

    fn wanted(query: &str) -> Result<SlotsWanted, Refusal> {
        SlotsWanted::read(query, NOW)
    }

    #[test]
    fn a_search_is_read_as_senders_write_it() {
        let query = format!(
            "status=free,busy&{START}&schedule.actor:healthcareservice=https%3A%2F%2Ffhir.nhs.uk%2FId%2Fdos-service-id%7C2000011147\
             &_include=Slot:schedule&_include=Schedule:actor:HealthcareService,Slot%3A*&_include=Slot:other&_count=5"
        );
        let read = wanted(&query).unwrap();
        assert_eq!((read.free, read.service.as_deref()), (true, Some("2000011147")));
        assert_eq!(read.include, [Include::Schedule, Include::HealthcareService]);
        assert_eq!(read.from.to_string(), "2026-11-19T09:00:00.000Z");
        assert_eq!(wanted(&read.query()).unwrap(), read, "what is said was understood can be asked again");
        let narrow = wanted(&format!(
            "status=busy&{START}&start=gt2026-11-19T10:00:00Z&start=lt2026-11-19T10:00:00.002Z&_include=x"
        ));
        let narrow = narrow.unwrap();
        assert_eq!((narrow.from, narrow.from == narrow.until, narrow.free), (narrow.until, true, false));
    }

    #[test]
    fn each_rule_of_a_search_is_held_against_who_breaks_it() {
        let include = "_include=Slot:schedule";
        let long = "a".repeat(5000);
        for (query, expected) in [
            (String::new(), (400, "required")),
            (format!("{START}&{include}"), (400, "required")),
            (format!("status=&{START}&{include}"), (400, "value")),
            (format!("status=free,held&{START}&{include}"), (400, "value")),
            (format!("status=free&{START}"), (400, "required")),
            (format!("status=free&start=ge2026-11-19T09:00:00Z&{include}"), (400, "required")),
            (format!("status=free&start=2026-11-19T09:00:00Z&{include}"), (400, "value")),
            (format!("status=free&start=ge2026-11-19&{include}"), (400, "value")),
            (format!("status=free&start=ge2026-11-19T09:00:00&{include}"), (400, "value")),
            (format!("status=free&start=é&{include}"), (400, "value")),
            (format!("status=free&start=%ZZ&{include}"), (400, "value")),
            (format!("status=free&start=%FF&{include}"), (400, "value")),
            (format!("status=free&{START}&Schedule.actor:HealthcareService=&{include}"), (400, "value")),
            (format!("status=free&{START}&Schedule.actor:HealthcareService=a%20b&{include}"), (400, "value")),
            (
                format!("status=free&start=ge2026-11-19T09:00:00Z&start=le2026-12-19T09:00:00Z&{include}"),
                (422, "too-costly"),
            ),
            (long, (400, "value")),
        ] {
            let refusal = wanted(&query).unwrap_err();
            assert_eq!((refusal.status, refusal.issue), expected, "{query}: {refusal}");
        }
        let past = format!("status=free&start=ge1970-01-01T00:00:00Z&start=le2026-11-19T09:00:00Z&{include}");
        assert_eq!(wanted(&past).unwrap().from, NOW, "what is past is not looked for");
    }

    #[test]
    fn a_patient_is_looked_for_by_a_number_that_can_be_one() {
        let system = "https%3A%2F%2Ffhir.nhs.uk%2FId%2Fnhs-number%7C";
        let read = |text: &str| patient_wanted(text).map_err(|refusal| (refusal.status, refusal.issue));
        assert_eq!(
            read(&format!("patient:identifier={system}9990000018")),
            Ok(NhsNumber::parse("9990000018").unwrap())
        );
        for (query, expected) in [
            ("", (400, "required")),
            ("patient:name=Testcase", (422, "not-supported")),
            ("patient:identifier=9990000018", (400, "value")),
            ("patient:identifier=urn:x%7C9990000018", (400, "value")),
            (&format!("patient:identifier={system}9990000019"), (400, "value")),
            (
                &format!("patient:identifier={system}9990000018&patient:identifier={system}9990000026"),
                (400, "value"),
            ),
        ] {
            assert_eq!(read(query), Err(expected), "{query}");
        }
    }
}
