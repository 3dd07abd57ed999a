//! The administrative facts of a contact: as a source states them, and as they stand once it is decided whom to believe.
//!
//! National codes are not made here: facts are kept, and both versions' codes are derived of them.

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::domain::time::Timestamp;

use super::{code::Code, words::words};

words! {
    /// How patient and professional met (NHS Data Dictionary, CONSULTATION MECHANISM).
    pub enum Mechanism {
        /// In one room.
        FaceToFace = "face-to-face",
        /// By telephone.
        Telephone = "telephone",
        /// By telemedicine, where it is not said how.
        Telemedicine = "telemedicine",
        /// By a talk type for somebody who cannot speak.
        TalkType = "talk-type",
        /// By electronic mail.
        Email = "email",
        /// By text messages, each in its own time.
        TextMessage = "text-message",
        /// By messages that are answered at once.
        InstantMessage = "instant-message",
        /// By video.
        Video = "video",
        /// On a message board.
        MessageBoard = "message-board",
        /// In a chat room.
        ChatRoom = "chat-room",
        /// In another way.
        Other = "other",
    }
}

words! {
    /// Whether it is the first of a series that took place.
    pub enum ConsultationType {
        /// The first.
        Initial = "initial",
        /// A later one.
        FollowUp = "follow-up",
        /// No contact with the patient: a clock of referral to treatment is stopped.
        ClockStop = "clock-stop",
    }
}

words! {
    /// How soon it was asked for (NHS Data Dictionary, PRIORITY TYPE).
    pub enum Priority {
        /// In turn.
        Routine = "routine",
        /// Before others.
        Urgent = "urgent",
        /// Within two weeks, for a suspected cancer.
        TwoWeekWait = "two-week-wait",
    }
}

words! {
    /// What comes after (NHS Data Dictionary, OUTCOME OF ATTENDANCE).
    pub enum OutcomeOfAttendance {
        /// Nothing: discharged.
        Discharged = "discharged",
        /// Another appointment, which was given.
        AnotherGiven = "another-given",
        /// Another appointment, which is to be made.
        AnotherToBeMade = "another-to-be-made",
    }
}

words! {
    /// Whether somebody who came was in time.
    pub enum Punctuality {
        /// In time, or before the professional was ready.
        InTime = "in-time",
        /// Late, but seen.
        LateSeen = "late-seen",
        /// Late, and could not be seen.
        LateNotSeen = "late-not-seen",
    }
}

words! {
    /// What the professional is who is responsible.
    pub enum Profession {
        /// A consultant.
        Consultant = "consultant",
        /// A general practitioner.
        GeneralPractitioner = "general-practitioner",
        /// Another doctor.
        Doctor = "doctor",
        /// A nurse.
        Nurse = "nurse",
        /// A midwife.
        Midwife = "midwife",
        /// An allied health professional: podiatry, physiotherapy, dietetics and so on.
        AlliedHealth = "allied-health",
        /// A pharmacist.
        Pharmacist = "pharmacist",
        /// Somebody else.
        Other = "other",
    }
}

words! {
    /// Why one source was believed and not another: the rule that decided.
    pub enum Precedence {
        /// Only one source says anything of it.
        Only = "only-source",
        /// All that speak of it say the same.
        Agreed = "agreed",
        /// The system in whose book the contact is.
        Owner = "owner-of-the-slot",
        /// The desk at which the patient stood.
        Desk = "desk",
        /// The latest by the sources' own clocks.
        Latest = "latest",
    }
}

/// A fact as it stands, and why.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Decided<T> {
    /// What is so.
    pub value: T,
    /// Which piece of evidence says it: its place in [`super::Contact::evidence`].
    pub by: u16,
    /// Why that one is believed.
    pub why: Precedence,
}

/// A fact's value, whichever fact it is. `Debug` shows none: a postcode is one.
#[derive(Clone, Eq, Ord, PartialEq, PartialOrd)]
pub enum FactValue {
    /// A code.
    Code(Code),
    /// Several codes, in order.
    Codes(Vec<Code>),
    /// A word of a short list, such as [`Mechanism`]'s.
    Word(&'static str),
    /// A day.
    Date(Date),
    /// A moment.
    Moment(Timestamp),
    /// A count of something.
    Number(u32),
    /// Whether it is so.
    Flag(bool),
}

impl fmt::Debug for FactValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FactValue(…)")
    }
}

/// For the page of one contact, which shows patient data; nowhere else.
impl fmt::Display for FactValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => f.write_str(code.as_str()),
            Self::Codes(codes) => f.write_str(&codes.iter().map(Code::as_str).collect::<Vec<_>>().join(", ")),
            Self::Word(word) => f.write_str(word),
            Self::Date(date) => write!(f, "{date}"),
            Self::Moment(moment) => write!(f, "{moment}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Flag(flag) => f.write_str(if *flag { "yes" } else { "no" }),
        }
    }
}

/// What a fact can be: it becomes a [`FactValue`] and comes back of it.
trait Kind: Sized {
    fn value(&self) -> FactValue;
    fn of(value: &FactValue) -> Option<Self>;
}

macro_rules! kinds {
    ($($kind:ty => $variant:ident,)+) => {
        $(impl Kind for $kind {
            fn value(&self) -> FactValue {
                FactValue::$variant(self.clone())
            }

            fn of(value: &FactValue) -> Option<Self> {
                match value {
                    FactValue::$variant(value) => Some(value.clone()),
                    _ => None,
                }
            }
        })+
    };
}

macro_rules! word_kinds {
    ($($kind:ty,)+) => {
        $(impl Kind for $kind {
            fn value(&self) -> FactValue {
                FactValue::Word(self.word())
            }

            fn of(value: &FactValue) -> Option<Self> {
                match value {
                    FactValue::Word(word) => Self::of(word),
                    _ => None,
                }
            }
        })+
    };
}

impl FactValue {
    /// The value that a word of any of the short lists is; none if none of them has it.
    pub fn word(text: &str) -> Option<Self> {
        let words = Mechanism::of(text).map(Mechanism::word);
        let words = words.or_else(|| ConsultationType::of(text).map(ConsultationType::word));
        let words = words.or_else(|| Priority::of(text).map(Priority::word));
        let words = words.or_else(|| OutcomeOfAttendance::of(text).map(OutcomeOfAttendance::word));
        let words = words.or_else(|| Punctuality::of(text).map(Punctuality::word));
        words.or_else(|| Profession::of(text).map(Profession::word)).map(Self::Word)
    }
}

kinds! { Code => Code, Vec<Code> => Codes, Date => Date, Timestamp => Moment, u32 => Number, bool => Flag, }
word_kinds! { Mechanism, ConsultationType, Priority, OutcomeOfAttendance, Punctuality, Profession, }

macro_rules! facts {
    ($($(#[$doc:meta])* $name:ident / $value:ident = $word:literal: $kind:ty,)+) => {
        /// What a source states beside what happened; each may be left unsaid. `Debug` shows none.
        #[derive(Clone, Default, Eq, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case", default)]
        pub struct Facts {
            $($(#[$doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $name: Option<$kind>,)+
        }

        /// The facts of a contact, each with the evidence that decided it. `Debug` shows none.
        #[derive(Clone, Default, Eq, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case", default)]
        pub struct DecidedFacts {
            $($(#[$doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $name: Option<Decided<$kind>>,)+
        }

        words! {
            /// Which fact.
            pub enum FactName {
                $($(#[$doc])* $value = $word,)+
            }
        }

        impl Facts {
            /// What is stated of one fact.
            pub fn get(&self, name: FactName) -> Option<FactValue> {
                match name {
                    $(FactName::$value => self.$name.as_ref().map(Kind::value),)+
                }
            }

            /// All that is stated, by name.
            pub fn stated(&self) -> Vec<(FactName, FactValue)> {
                let mut stated = Vec::new();
                $(if let Some(value) = &self.$name {
                    stated.push((FactName::$value, value.value()));
                })+
                stated
            }

            /// States one fact. False, and nothing changed, if the value is of another kind than the fact.
            pub fn set(&mut self, name: FactName, value: &FactValue) -> bool {
                match name {
                    $(FactName::$value => match <$kind as Kind>::of(value) {
                        Some(value) => self.$name = Some(value),
                        None => return false,
                    },)+
                }
                true
            }
        }

        impl DecidedFacts {
            /// One fact as it stands.
            pub fn get(&self, name: FactName) -> Option<Decided<FactValue>> {
                match name {
                    $(FactName::$value => self.$name.as_ref().map(widened),)+
                }
            }

            /// Decides one fact. False, and nothing changed, if the value is of another kind than the fact.
            pub fn set(&mut self, name: FactName, decided: &Decided<FactValue>) -> bool {
                match name {
                    $(FactName::$value => match <$kind as Kind>::of(&decided.value) {
                        Some(value) => self.$name = Some(Decided { value, by: decided.by, why: decided.why }),
                        None => return false,
                    },)+
                }
                true
            }
        }
    };
}

fn widened<T: Kind>(decided: &Decided<T>) -> Decided<FactValue> {
    Decided { value: decided.value.value(), by: decided.by, why: decided.why }
}

facts! {
    /// How they met.
    mechanism / Mechanism = "mechanism": Mechanism,
    /// Whether it is the first of its series.
    consultation / Consultation = "consultation-type": ConsultationType,
    /// How soon it was asked for.
    priority / Priority = "priority": Priority,
    /// What comes after.
    outcome / Outcome = "outcome": OutcomeOfAttendance,
    /// Whether they came in time.
    punctuality / Punctuality = "punctuality": Punctuality,
    /// What the responsible professional is.
    profession / Profession = "profession": Profession,
    /// The responsible professional's code: for a consultant, CONSULTANT CODE.
    clinician / Clinician = "clinician": Code,
    /// CARE PROFESSIONAL MAIN SPECIALTY CODE.
    main_specialty / MainSpecialty = "main-specialty": Code,
    /// ACTIVITY TREATMENT FUNCTION CODE.
    treatment_function / TreatmentFunction = "treatment-function": Code,
    /// LOCAL SUB-SPECIALTY CODE.
    sub_specialty / SubSpecialty = "sub-specialty": Code,
    /// MEDICAL STAFF TYPE SEEING PATIENT.
    staff_type / StaffType = "staff-type": Code,
    /// The team that saw them, by its local code.
    team / Team = "team": Code,
    /// The clinic, by its local code.
    clinic / Clinic = "clinic": Code,
    /// SERVICE TYPE REQUESTED CODE.
    service_requested / ServiceRequested = "service-requested": Code,
    /// SOURCE OF REFERRAL, of whichever list the service uses.
    referral_source / ReferralSource = "referral-source": Code,
    /// When the referral was received.
    referral_received / ReferralReceived = "referral-received": Date,
    /// Who referred.
    referrer / Referrer = "referrer": Code,
    /// ODS code of the organisation that referred.
    referring_organisation / ReferringOrganisation = "referring-organisation": Code,
    /// The referral's own number, which several contacts share: SERVICE REQUEST IDENTIFIER.
    referral / Referral = "referral": Code,
    /// When the service discharged the patient from that referral.
    referral_closed / ReferralClosed = "referral-closed": Date,
    /// PATIENT PATHWAY IDENTIFIER.
    pathway / Pathway = "pathway": Code,
    /// ODS code of who issued the pathway's identifier.
    pathway_issuer / PathwayIssuer = "pathway-issuer": Code,
    /// UNIQUE BOOKING REFERENCE NUMBER (CONVERTED).
    booking_reference / BookingReference = "booking-reference": Code,
    /// REFERRAL TO TREATMENT PERIOD STATUS.
    treatment_status / TreatmentStatus = "rtt-status": Code,
    /// REFERRAL TO TREATMENT PERIOD START DATE.
    treatment_start / TreatmentStart = "rtt-start": Date,
    /// REFERRAL TO TREATMENT PERIOD END DATE.
    treatment_end / TreatmentEnd = "rtt-end": Date,
    /// WAITING TIME MEASUREMENT TYPE.
    waiting_measure / WaitingMeasure = "waiting-measure": Code,
    /// EARLIEST REASONABLE OFFER DATE.
    earliest_offer / EarliestOffer = "earliest-offer": Date,
    /// EARLIEST CLINICALLY APPROPRIATE DATE.
    earliest_appropriate / EarliestAppropriate = "earliest-appropriate": Date,
    /// OPERATION STATUS CODE.
    operation_status / OperationStatus = "operation-status": Code,
    /// ADMINISTRATIVE CATEGORY CODE.
    administrative_category / AdministrativeCategory = "administrative-category": Code,
    /// MULTI-PROFESSIONAL OR MULTI-DISCIPLINARY INDICATION CODE.
    multi_professional / MultiProfessional = "multi-professional": Code,
    /// Whether a group was treated together.
    group / Group = "group": bool,
    /// For how long, in minutes: planned, or as it was.
    duration_minutes / DurationMinutes = "duration-minutes": u32,
    /// When it was booked.
    booked_at / BookedAt = "booked-at": Timestamp,
    /// When the patient came.
    arrived_at / ArrivedAt = "arrived-at": Timestamp,
    /// When the patient was first assessed.
    assessed_at / AssessedAt = "assessed-at": Timestamp,
    /// When the patient was seen.
    seen_at / SeenAt = "seen-at": Timestamp,
    /// When it was over for the professional.
    concluded_at / ConcludedAt = "concluded-at": Timestamp,
    /// When the patient left.
    left_at / LeftAt = "left-at": Timestamp,
    /// Why it was cancelled, by a national or local code.
    cancellation_reason / CancellationReason = "cancellation-reason": Code,
    /// Which appointment was offered in its place, as CSDS asks.
    replacement_offered / ReplacementOffered = "replacement-offered": Date,
    /// Which appointment was booked in its place, as CSDS asks.
    replacement_booked / ReplacementBooked = "replacement-booked": Date,
    /// ODS code of the organisation that provides it.
    provider / Provider = "provider": Code,
    /// ODS code of the site where it took place.
    site / Site = "site": Code,
    /// LOCATION CLASS.
    location_class / LocationClass = "location-class": Code,
    /// ACTIVITY LOCATION TYPE CODE, where it is not the polyclinic: a visit at home.
    location_type / LocationType = "location-type": Code,
    /// ODS code of the commissioner.
    commissioner / Commissioner = "commissioner": Code,
    /// COMMISSIONING SERIAL NUMBER.
    commissioning_serial / CommissioningSerial = "commissioning-serial": Code,
    /// NHS SERVICE AGREEMENT LINE NUMBER.
    agreement_line / AgreementLine = "agreement-line": Code,
    /// PROVIDER REFERENCE NUMBER.
    provider_reference / ProviderReference = "provider-reference": Code,
    /// COMMISSIONER REFERENCE NUMBER.
    commissioner_reference / CommissionerReference = "commissioner-reference": Code,
    /// Point of delivery, national or local, for the contract.
    point_of_delivery / PointOfDelivery = "point-of-delivery": Code,
    /// Healthcare resource group or local currency, for the contract.
    tariff / Tariff = "tariff": Code,
    /// ODS code of the practice with which the patient is registered.
    practice / Practice = "practice": Code,
    /// The patient's general practitioner.
    practitioner / Practitioner = "practitioner": Code,
    /// ODS code of who is responsible for where the patient lives.
    residence / Residence = "residence-responsibility": Code,
    /// The patient's postcode.
    postcode / Postcode = "postcode": Code,
    /// The patient's date of birth.
    birth_date / BirthDate = "birth-date": Date,
    /// When the patient died.
    death_date / DeathDate = "death-date": Date,
    /// PERSON GENDER CODE CURRENT, or PERSON STATED GENDER CODE.
    gender / Gender = "gender": Code,
    /// ETHNIC CATEGORY.
    ethnic_category / EthnicCategory = "ethnic-category": Code,
    /// CARER SUPPORT INDICATOR.
    carer_support / CarerSupport = "carer-support": Code,
    /// The language that the patient prefers.
    language / Language = "language": Code,
    /// OVERSEAS VISITOR STATUS CLASSIFICATION.
    overseas_visitor / OverseasVisitor = "overseas-visitor": Code,
    /// WITHHELD IDENTITY REASON.
    withheld_reason / WithheldReason = "withheld-reason": Code,
    /// Whether the patient's record of it is sealed: it never leaves.
    sealed / Sealed = "sealed": bool,
    /// EMERGENCY CARE DEPARTMENT TYPE.
    department_type / DepartmentType = "department-type": Code,
    /// EMERGENCY CARE ARRIVAL MODE (SNOMED CT).
    arrival_mode / ArrivalMode = "arrival-mode": Code,
    /// EMERGENCY CARE ATTENDANCE CATEGORY.
    attendance_category / AttendanceCategory = "attendance-category": Code,
    /// EMERGENCY CARE ATTENDANCE SOURCE (SNOMED CT).
    attendance_source / AttendanceSource = "attendance-source": Code,
    /// EMERGENCY CARE ACUITY (SNOMED CT).
    acuity / Acuity = "acuity": Code,
    /// EMERGENCY CARE CHIEF COMPLAINT (SNOMED CT).
    chief_complaint / ChiefComplaint = "chief-complaint": Code,
    /// EMERGENCY CARE DISCHARGE STATUS (SNOMED CT).
    discharge_status / DischargeStatus = "discharge-status": Code,
    /// EMERGENCY CARE DISCHARGE DESTINATION (SNOMED CT).
    discharge_destination / DischargeDestination = "discharge-destination": Code,
    /// EMERGENCY CARE DISCHARGE FOLLOW UP (SNOMED CT).
    discharge_follow_up / DischargeFollowUp = "discharge-follow-up": Code,
    /// Diagnoses, the first the primary one: ICD-10, or SNOMED CT for emergency care.
    diagnoses / Diagnoses = "diagnoses": Vec<Code>,
    /// Procedures, the first the primary one: OPCS-4, or SNOMED CT for emergency care.
    procedures / Procedures = "procedures": Vec<Code>,
    /// Investigations (SNOMED CT).
    investigations / Investigations = "investigations": Vec<Code>,
}

impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stated = FactName::ALL.iter().filter(|name| self.get(**name).is_some()).count();
        write!(f, "Facts({stated} stated)")
    }
}

impl fmt::Debug for DecidedFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decided = FactName::ALL.iter().filter(|name| self.get(**name).is_some()).count();
        write!(f, "DecidedFacts({decided} decided)")
    }
}

/// How many codes a list of them may hold; CDS 6.2 takes two dozen procedures.
pub const CODES_MAX: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_is_read_as_it_was_set_and_takes_no_value_of_another_kind() {
        let mut facts = Facts::default();
        assert!(facts.set(FactName::Mechanism, &FactValue::Word("video")));
        assert!(!facts.set(FactName::Mechanism, &FactValue::Word("carrier-pigeon")));
        assert!(!facts.set(FactName::BirthDate, &FactValue::Flag(true)));
        assert_eq!(facts.mechanism, Some(Mechanism::Video));
        assert_eq!(facts.get(FactName::Mechanism), Some(FactValue::Word("video")));
        let mut decided = DecidedFacts::default();
        let value = FactValue::Number(20);
        assert!(decided.set(
            FactName::DurationMinutes,
            &Decided { value: value.clone(), by: 3, why: Precedence::Owner }
        ));
        assert_eq!(decided.get(FactName::DurationMinutes).map(|decided| decided.value), Some(value));
        assert_eq!(decided.duration_minutes.unwrap().by, 3);
    }

    #[test]
    fn every_fact_has_a_word_of_its_own() {
        let words: std::collections::BTreeSet<_> = FactName::ALL.iter().map(|name| name.word()).collect();
        assert_eq!(words.len(), FactName::ALL.len());
        assert!(FactName::ALL.iter().all(|name| FactName::of(name.word()) == Some(*name)));
    }

    #[test]
    fn debug_shows_no_value() {
        let facts = Facts { postcode: "SW1A 1AA".parse().ok(), ..Facts::default() };
        assert_eq!(format!("{facts:?}"), "Facts(1 stated)");
    }
}
