//! The code lists that are built in, in our own words, after the NHS Data Dictionary.

use std::borrow::Cow;

use jiff::civil::{Date, date};

use super::{Entry, Validity, specialties};

macro_rules! named_lists {
    ($($(#[$doc:meta])* $value:ident = $word:literal,)+) => {
        /// A national list of codes.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum List {
            $($(#[$doc])* $value,)+
        }

        impl List {
            /// Every list.
            pub const ALL: &'static [Self] = &[$(Self::$value,)+];

            /// Its name in files.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$value => $word,)+
                }
            }

            /// The list of a name; none if there is none.
            pub fn of(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|list| list.word() == word.trim())
            }
        }
    };
}

named_lists! {
    /// ATTENDED OR DID NOT ATTEND CODE (CDS 6.2).
    Attended = "attended-or-did-not-attend",
    /// ATTENDANCE STATUS, which replaces it in CDS 6.3.
    AttendanceStatus = "attendance-status",
    /// FIRST ATTENDANCE CODE (CDS 6.2).
    FirstAttendance = "first-attendance",
    /// CONSULTATION TYPE, which replaces it in CDS 6.3.
    ConsultationType = "consultation-type",
    /// CONSULTATION MEDIUM USED, those codes that CDS 6.2 takes.
    Medium = "consultation-medium-used",
    /// CONSULTATION MECHANISM, which replaces it in CDS 6.3.
    Mechanism = "consultation-mechanism",
    /// PRIORITY TYPE CODE.
    Priority = "priority-type",
    /// SERVICE TYPE REQUESTED CODE.
    ServiceRequested = "service-type-requested",
    /// OUTCOME OF ATTENDANCE CODE.
    Outcome = "outcome-of-attendance",
    /// SOURCE OF REFERRAL FOR OUT-PATIENTS.
    ReferralSource = "source-of-referral-for-out-patients",
    /// NHS NUMBER STATUS INDICATOR CODE.
    NumberStatus = "nhs-number-status",
    /// REFERRAL TO TREATMENT PERIOD STATUS.
    TreatmentStatus = "rtt-period-status",
    /// WAITING TIME MEASUREMENT TYPE.
    WaitingMeasure = "waiting-time-measurement-type",
    /// WITHHELD IDENTITY REASON.
    WithheldReason = "withheld-identity-reason",
    /// CARER SUPPORT INDICATOR.
    CarerSupport = "carer-support",
    /// ADMINISTRATIVE CATEGORY CODE.
    AdministrativeCategory = "administrative-category",
    /// ACTIVITY LOCATION TYPE CODE.
    LocationType = "activity-location-type",
    /// EMERGENCY CARE DEPARTMENT TYPE.
    DepartmentType = "emergency-care-department-type",
    /// CARE PROFESSIONAL MAIN SPECIALTY CODE.
    MainSpecialty = "main-specialty",
    /// ACTIVITY TREATMENT FUNCTION CODE.
    TreatmentFunction = "treatment-function",
}

/// A code and its meaning; a `°` before the meaning says that it was not seen in the dictionary.
pub(super) type Pair = (&'static str, &'static str);

/// The list of treatment functions and main specialties was renewed from this day (DSCN 26/2003).
pub(super) const SPECIALTIES_2004: Date = date(2004, 4, 1);

/// The codes of a list.
pub(super) fn entries(list: List) -> Vec<Entry> {
    let always = |pairs: &[Pair]| pairs.iter().map(|pair| entry(*pair, Validity::ALWAYS)).collect();
    match list {
        List::Attended => always(&ATTENDED),
        List::AttendanceStatus => always(&ATTENDANCE_STATUS),
        List::FirstAttendance => always(&FIRST_ATTENDANCE),
        List::ConsultationType => always(&CONSULTATION_TYPE),
        List::Medium => always(&MEDIUM),
        List::Mechanism => always(&MECHANISM),
        List::Priority => always(&PRIORITY),
        List::ServiceRequested => always(&SERVICE_REQUESTED),
        List::Outcome => always(&OUTCOME),
        List::ReferralSource => always(&REFERRAL_SOURCE),
        List::NumberStatus => always(&NUMBER_STATUS),
        List::TreatmentStatus => always(&TREATMENT_STATUS),
        List::WaitingMeasure => always(&WAITING_MEASURE),
        List::WithheldReason => always(&WITHHELD_REASON),
        List::CarerSupport => always(&CARER_SUPPORT),
        List::AdministrativeCategory => always(&ADMINISTRATIVE_CATEGORY),
        List::LocationType => always(&LOCATION_TYPE),
        List::DepartmentType => always(&DEPARTMENT_TYPE),
        List::MainSpecialty => specialties::main(),
        List::TreatmentFunction => specialties::functions(),
    }
}

pub(super) fn entry((code, meaning): Pair, valid: Validity) -> Entry {
    let (confirmed, meaning) = match meaning.strip_prefix('°') {
        Some(meaning) => (false, meaning),
        None => (true, meaning),
    };
    Entry { code: Cow::Borrowed(code), meaning: Cow::Borrowed(meaning), valid, confirmed }
}

const ATTENDED: [Pair; 7] = [
    ("0", "in the future"),
    ("2", "cancelled by or for the patient"),
    ("3", "did not attend, no warning"),
    ("4", "cancelled or postponed by the provider"),
    ("5", "attended in time"),
    ("6", "came late, but was seen"),
    ("7", "came late, and could not be seen"),
];
const ATTENDANCE_STATUS: [Pair; 6] = [
    ("2", "°cancelled by or for the patient"),
    ("3", "°did not attend, no warning"),
    ("4", "°cancelled or postponed by the provider"),
    ("5", "°attended in time"),
    ("6", "°came late, but was seen"),
    ("7", "°came late, and could not be seen"),
];
const FIRST_ATTENDANCE: [Pair; 5] = [
    ("1", "first, face to face"),
    ("2", "follow-up, face to face"),
    ("3", "first, by telephone or telemedicine"),
    ("4", "follow-up, by telephone or telemedicine"),
    ("5", "a clock of referral to treatment is stopped, administratively"),
];
const CONSULTATION_TYPE: [Pair; 2] = [("01", "initial"), ("02", "follow-up")];
const MEDIUM: [Pair; 4] = [
    ("01", "face to face"),
    ("02", "telephone"),
    ("03", "telemedicine"),
    ("04", "talk type for somebody who cannot speak"),
];
const MECHANISM: [Pair; 11] = [
    ("01", "face to face"),
    ("02", "telephone"),
    ("03", "°telemedicine"),
    ("04", "talk type for somebody who cannot speak"),
    ("05", "electronic mail"),
    ("09", "text message"),
    ("10", "instant message"),
    ("11", "video"),
    ("12", "message board"),
    ("13", "chat room"),
    ("98", "other"),
];
const PRIORITY: [Pair; 3] = [("1", "routine"), ("2", "urgent"), ("3", "two week wait")];
const SERVICE_REQUESTED: [Pair; 3] =
    [("1", "advice or consultation"), ("2", "a specific procedure"), ("3", "other")];
const OUTCOME: [Pair; 3] =
    [("1", "discharged"), ("2", "another appointment given"), ("3", "appointment to be made later")];
const REFERRAL_SOURCE: [Pair; 18] = [
    ("01", "the consultant, after an emergency admission"),
    ("02", "the consultant, after a domiciliary visit"),
    ("03", "general practitioner"),
    ("04", "emergency department"),
    ("05", "a consultant elsewhere"),
    ("06", "the patient"),
    ("07", "prosthetist"),
    ("10", "the consultant, after an emergency attendance"),
    ("11", "the consultant, otherwise"),
    ("12", "general practitioner or dentist with an extended role"),
    ("13", "specialist nurse"),
    ("14", "allied health professional"),
    ("15", "optometrist"),
    ("16", "orthoptist"),
    ("17", "a screening programme"),
    ("92", "general dental practitioner"),
    ("93", "community dental service"),
    ("97", "other"),
];
const NUMBER_STATUS: [Pair; 8] = [
    ("01", "present and verified"),
    ("02", "present, not traced"),
    ("03", "trace required"),
    ("04", "traced, with no match or several"),
    ("05", "to be resolved"),
    ("06", "a trace is in progress"),
    ("07", "absent, no trace required"),
    ("08", "trace postponed, a baby under six weeks"),
];
const TREATMENT_STATUS: [Pair; 17] = [
    ("10", "°first activity after a referral"),
    ("11", "°active monitoring ends"),
    ("12", "°a new condition, referred by the consultant"),
    ("20", "°more activity expected"),
    ("21", "°transfer to another provider"),
    ("30", "first treatment begins"),
    ("31", "active monitoring begins, by the patient"),
    ("32", "active monitoring begins, by the professional"),
    ("33", "first activity not attended"),
    ("34", "decision not to treat"),
    ("35", "treatment declined by the patient"),
    ("36", "died before treatment"),
    ("90", "after first treatment"),
    ("91", "during active monitoring"),
    ("92", "not yet referred: diagnostics by the general practitioner"),
    ("98", "not part of referral to treatment"),
    ("99", "not known"),
];
const WAITING_MEASURE: [Pair; 3] =
    [("01", "consultant-led"), ("02", "allied health professionals"), ("09", "other")];
const WITHHELD_REASON: [Pair; 5] = [
    ("01", "the law requires it"),
    ("02", "the Caldicott guardian requires it"),
    ("03", "the patient asked for it"),
    ("97", "other"),
    ("99", "not known"),
];
const CARER_SUPPORT: [Pair; 2] = [("01", "yes"), ("02", "no")];
const ADMINISTRATIVE_CATEGORY: [Pair; 6] = [
    ("01", "°NHS patient"),
    ("02", "°private patient"),
    ("03", "°amenity patient"),
    ("04", "°category II patient"),
    ("98", "°does not apply"),
    ("99", "°not known"),
];
const LOCATION_TYPE: [Pair; 11] = [
    ("A01", "the patient's home"),
    ("B01", "health centre"),
    ("B02", "polyclinic"),
    ("C01", "general practice"),
    ("C02", "dental practice"),
    ("D01", "walk-in centre"),
    ("D02", "out-of-hours centre"),
    ("E01", "out-patient clinic"),
    ("E04", "emergency department or minor injuries"),
    ("N05", "pharmacy"),
    ("X01", "other"),
];
const DEPARTMENT_TYPE: [Pair; 5] = [
    ("01", "consultant-led, day and night, with resuscitation"),
    ("02", "one specialty"),
    ("03", "minor injuries, urgent treatment centre"),
    ("04", "walk-in centre"),
    ("05", "°same day emergency care"),
];
