//! The rules of data quality, with words for staff.

use std::fmt;

use jiff::{ToSpan, civil::Date, civil::Weekday};

use crate::{
    activity::codes::{List, derived},
    domain::contact::{
        About, Code, Contact, ContactKind, Dataset, FactName, NumberStatus, SaidKind, State, words::words,
    },
};

use super::Seen;

words! {
    /// How bad it is.
    pub enum Severity {
        /// The receiver refuses it, or it is counted wrongly.
        Error = "error",
        /// It is taken, and worth less.
        Warning = "warning",
        /// Worth a look.
        Information = "information",
    }
}

words! {
    /// Where it can be put right.
    pub enum Fix {
        /// At the desk, by asking the patient or looking at the screen.
        Desk = "here, at the desk",
        /// In the hub's maps and services.
        Maps = "here, in the maps",
        /// In the system that has the contact in its book.
        System = "in the system that has it",
    }
}

/// Whether a contact breaks a rule.
type Breaks = fn(&Seen<'_>) -> bool;

/// A rule.
#[derive(Clone, Copy)]
pub struct Rule {
    /// Its name; it never changes.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The fact that it is about; none if about several or none.
    pub about: Option<FactName>,
    /// What is wrong.
    pub what: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// What to do.
    pub to_do: &'static str,
    /// Where.
    pub fix: Fix,
    /// Whether the rule was seen in an official source; what was not is to be confirmed.
    pub is_confirmed: bool,
    /// Whether one contact breaks it; none if that takes a month's contacts.
    pub(super) breaks: Option<Breaks>,
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rule({})", self.id)
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Rule {}

/// Working days after which an outcome is entered late.
const LATE_WORKING_DAYS: u32 = 2;

macro_rules! rules {
    ($($id:literal $severity:ident $fix:ident $about:expr, $what:literal, $why:literal, $to_do:literal, $breaks:expr;)+) => {
        /// Every rule, by name. A reason that ends with `°` is to be confirmed.
        pub static RULES: &[Rule] = &[$(Rule {
            id: $id,
            severity: Severity::$severity,
            about: $about,
            what: $what,
            why: $why,
            to_do: $to_do,
            fix: Fix::$fix,
            is_confirmed: !ends_in_mark($why),
            breaks: $breaks,
        },)+];
    };
}

/// Whether a text ends with `°`, two bytes in UTF-8.
const fn ends_in_mark(text: &str) -> bool {
    let bytes = text.as_bytes();
    2 <= bytes.len() && bytes[bytes.len() - 2] == 0xC2 && bytes[bytes.len() - 1] == 0xB0
}

rules! {
    "DQ-001" Error Desk None, "The NHS number is marked as verified, and there is none.", "Every return refuses it.", "Trace the patient and enter the number.", Some(|seen| seen.contact.patient.status == Some(NumberStatus::Verified) && seen.contact.patient.nhs_number.is_none());
    "DQ-002" Warning Desk None, "The NHS number is missing or not verified.", "The contact cannot be linked to the patient's other care.", "Trace the patient while they are here.", Some(|seen| seen.contact.patient.verified().is_none());
    "DQ-003" Error Desk Some(FactName::BirthDate), "The date of birth is before 1880 or after the contact.", "Every return refuses it.", "Ask for the date of birth.", Some(birth_date);
    "DQ-004" Warning Desk Some(FactName::BirthDate), "There is no date of birth.", "The age cannot be counted.", "Ask for the date of birth.", Some(|seen| seen.contact.facts.birth_date.is_none());
    "DQ-005" Warning Desk Some(FactName::Postcode), "The postcode is missing or unknown.", "Nobody can be found who is responsible for paying; ZZ99 codes stand for no fixed abode°", "Ask for the address.", Some(postcode);
    "DQ-006" Error Desk Some(FactName::Practice), "The patient's practice is missing or not open on that day.", "The commissioner is found through the practice.", "Ask with which practice the patient is registered.", Some(|seen| seen.contact.facts.practice.is_none_or(|fact| is_closed(seen, fact.value)));
    "DQ-007" Error System Some(FactName::Provider), "The provider is not open on that day.", "The receiver refuses codes that are not in its directory.", "Correct the provider's code.", Some(|seen| seen.contact.facts.provider.is_some_and(|fact| is_closed(seen, fact.value)));
    "DQ-008" Error System Some(FactName::Commissioner), "The commissioner is not open on that day.", "The receiver refuses codes that are not in its directory.", "Correct the commissioner's code.", Some(|seen| seen.contact.facts.commissioner.is_some_and(|fact| is_closed(seen, fact.value)));
    "DQ-009" Error System Some(FactName::Site), "The site is not open on that day.", "The receiver refuses codes that are not in its directory.", "Correct the site's code.", Some(|seen| seen.contact.facts.site.is_some_and(|fact| is_closed(seen, fact.value)));
    "DQ-010" Error System Some(FactName::TreatmentFunction), "The treatment function is not valid on that day.", "Outpatient activity is refused.", "Correct the treatment function of the clinic.", Some(|seen| is_outpatient(seen) && seen.contact.facts.treatment_function.is_some_and(|fact| is_no_code(seen, List::TreatmentFunction, fact.value)));
    "DQ-011" Error System Some(FactName::MainSpecialty), "The main specialty is not valid on that day.", "Outpatient activity is refused.", "Correct the clinician's main specialty.", Some(|seen| is_outpatient(seen) && seen.contact.facts.main_specialty.is_some_and(|fact| is_no_code(seen, List::MainSpecialty, fact.value)));
    "DQ-012" Error Desk None, "The day is over, and nobody has entered what became of it.", "A contact without an outcome is counted nowhere.", "Enter whether the patient attended.", Some(|seen| seen.contact.state == State::Outstanding && seen.contact.day < seen.context.today);
    "DQ-013" Error System None, "It is marked as attended or missed, and lies in the future.", "Only past days can have been attended.", "Correct the day or the outcome.", Some(|seen| matches!(seen.contact.state, State::Attended | State::NotSeen | State::DidNotAttend) && seen.context.today < seen.contact.day);
    "DQ-014" Error System Some(FactName::Mechanism), "How they met has no code in version 6.2.", "The contact cannot be sent in that version.", "Check how they met: messages and letters are no outpatient attendance there.", Some(mechanism);
    "DQ-015" Warning Desk Some(FactName::Outcome), "The patient attended, and it is not said what comes after.", "Waiting times are counted wrongly.", "Enter the outcome: discharged, another appointment given, or to be made.", Some(|seen| is_outpatient(seen) && seen.contact.state == State::Attended && seen.contact.facts.outcome.is_none());
    "DQ-016" Warning System Some(FactName::ReferralReceived), "The referral was received after the appointment, or its date is missing though somebody else referred.", "The wait cannot be counted.", "Enter when the referral was received.", Some(referral);
    "DQ-017" Error System Some(FactName::TreatmentEnd), "Referral to treatment has ended, and there is no end date.", "The clock does not stop.", "Enter the end date.", Some(clock);
    "DQ-018" Error System Some(FactName::Procedures), "A missed or cancelled contact has procedures.", "What did not take place has none.", "Remove the procedures, or correct the outcome.", Some(|seen| is_missed(seen.contact) && seen.contact.facts.procedures.as_ref().is_some_and(|fact| !fact.value.is_empty()));
    "DQ-019" Error System Some(FactName::Referral), "A community contact belongs to no referral.", "It is refused: every care contact needs its referral.", "Link the contact to its referral.", Some(|seen| seen.route.dataset == Some(Dataset::Csds) && seen.contact.facts.referral.is_none());
    "DQ-020" Warning Desk Some(FactName::EthnicCategory), "The ethnic category is missing or not stated.", "Too many make the whole return count for less.", "Ask the patient, who may decline.", Some(|seen| seen.contact.facts.ethnic_category.is_none_or(|fact| fact.value.as_str().starts_with('Z')));
    "DQ-021" Error Maps None, "A call to tell a result is counted as a contact.", "It is no care contact.", "Tell the team that looks after the routing table.", Some(|seen| seen.contact.result_only && seen.route.dataset.is_some());
    "DQ-022" Error Maps None, "A service that works by appointment is sent as emergency care.", "Such services are excluded from it.", "Correct how patients come to the service.", Some(appointment_as_emergency);
    "DQ-023" Warning Maps None, "The slot type is mapped to no service.", "The contact is in no return.", "Map the slot type.", Some(|seen| seen.contact.service.is_none());
    "DQ-024" Warning Desk None, "The outcome was entered more than two working days after.", "Returns that were sent before lack it; bank holidays are counted as working days°", "Enter outcomes on the day.", Some(late);
    "DQ-025" Warning System None, "Systems differ about what became of it.", "One of them is wrong, and will be counted so elsewhere.", "Correct it in the system that is not believed.", Some(|seen| seen.contact.conflicts.iter().any(|conflict| conflict.about == About::State));
    "DQ-026" Warning Desk None, "It was cancelled, and it is not said by whom.", "It is counted as cancelled by the provider°", "Enter who cancelled.", Some(who_cancelled);
    "DQ-027" Information System None, "It was attended, and nothing says that it was booked.", "A message was lost, or the booking is older than the hub.", "Nothing, unless it happens often.", Some(|seen| seen.contact.kind == ContactKind::Appointment && seen.contact.state == State::Attended && !said(seen.contact, &[SaidKind::Booked, SaidKind::Moved]));
    "DQ-101" Error System None, "Two contacts have the same patient, clinic and beginning.", "One contact is counted twice.", "Look which of them took place, and withdraw the other.", None;
    "DQ-102" Error Maps None, "Two contacts have the same short name.", "A name must never be used for two contacts.", "Send one of them by hand, and report it.", None;
    "DQ-103" Warning System Some(FactName::Consultation), "It is marked as the first, and an earlier one of the same referral was attended.", "First attendances are paid and counted apart.", "Mark it as a follow-up.", None;
    "DQ-104" Warning System None, "A service was open, and there is no contact on that day.", "Messages may be missing.", "Look whether the system's link was down.", None;
    "DQ-105" Information System None, "The month has a fifth more or fewer contacts than its weekdays had before.", "Either something has changed, or something is missing.", "Look at the outage diary.", None;
}

/// A rule by its name.
pub fn rule(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id == id)
}

fn said(contact: &Contact, kinds: &[SaidKind]) -> bool {
    contact.evidence.iter().any(|cited| kinds.contains(&cited.said))
}

fn is_outpatient(seen: &Seen<'_>) -> bool {
    seen.route.dataset == Some(Dataset::Cds020)
}

const fn is_missed(contact: &Contact) -> bool {
    matches!(contact.state, State::DidNotAttend | State::CancelledByPatient | State::CancelledByProvider)
}

/// Whether the directory is loaded and does not have an organisation as open on the day.
fn is_closed(seen: &Seen<'_>, code: Code) -> bool {
    matches!(seen.context.reference.organisation(code, seen.contact.day), Ok(Err(_)))
}

fn is_no_code(seen: &Seen<'_>, list: List, code: Code) -> bool {
    seen.context.lists.check(list, code.as_str(), seen.contact.day).is_err()
}

fn birth_date(seen: &Seen<'_>) -> bool {
    let earliest = Date::constant(1880, 1, 1);
    seen.contact.facts.birth_date.is_some_and(|fact| fact.value < earliest || seen.contact.day < fact.value)
}

fn postcode(seen: &Seen<'_>) -> bool {
    let known =
        |fact: crate::domain::contact::Decided<Code>| seen.context.reference.postcode(fact.value.as_str());
    seen.contact.facts.postcode.is_none_or(|fact| matches!(known(fact), Ok(false)))
}

fn mechanism(seen: &Seen<'_>) -> bool {
    let mechanism = seen.contact.facts.mechanism.map(|fact| fact.value);
    let code = derived::consultation_medium_used(mechanism);
    is_outpatient(seen) && mechanism.is_some() && code.is_err()
}

fn referral(seen: &Seen<'_>) -> bool {
    let facts = &seen.contact.facts;
    // 06 self-referral, 05 and 01 to 11 by a consultant.
    let is_own = |code: &str| matches!(code, "06" | "05" | "01" | "02" | "10" | "11");
    let by_others = facts.referral_source.is_some_and(|fact| !is_own(fact.value.as_str()));
    facts.referral_received.map_or(by_others, |fact| seen.contact.day < fact.value)
}

fn clock(seen: &Seen<'_>) -> bool {
    let ended = |code: &str| matches!(code, "30" | "31" | "32" | "33" | "34" | "35" | "36");
    let facts = &seen.contact.facts;
    facts.treatment_status.is_some_and(|fact| ended(fact.value.as_str())) && facts.treatment_end.is_none()
}

fn appointment_as_emergency(seen: &Seen<'_>) -> bool {
    let profile = seen.contact.service.as_ref().and_then(|service| seen.context.maps.profile(service));
    seen.route.dataset == Some(Dataset::Ecds) && profile.is_some_and(|profile| profile.by_appointment)
}

fn late(seen: &Seen<'_>) -> bool {
    let contact = seen.contact;
    let over = matches!(contact.state, State::Attended | State::NotSeen | State::DidNotAttend);
    let captured = contact.captured().filter(|_| over);
    captured.is_some_and(|captured| {
        let mut day = contact.day;
        for _ in 0..LATE_WORKING_DAYS {
            day = next_working_day(day);
        }
        day < captured
    })
}

/// The next day that is neither Saturday nor Sunday.
fn next_working_day(day: Date) -> Date {
    let mut next = day.saturating_add(1.day());
    while matches!(next.weekday(), Weekday::Saturday | Weekday::Sunday) && next != Date::MAX {
        next = next.saturating_add(1.day());
    }
    next
}

fn who_cancelled(seen: &Seen<'_>) -> bool {
    let contact = seen.contact;
    let by = contact.evidence.get(usize::from(contact.state_by));
    contact.state == State::CancelledByProvider
        && contact.facts.cancellation_reason.is_none()
        && by.is_some_and(|cited| cited.said == SaidKind::Cancelled)
        && contact.canceller_unsaid
}
