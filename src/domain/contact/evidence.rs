//! One statement by one source about one contact.

use std::{fmt, sync::Arc};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::domain::{booking::CancelledBy, ids::HubId, nhs_number::NhsNumber, time::Timestamp};

use super::{
    facts::{FactName, Facts},
    words::words,
};

/// Which statement: the same entry taken again has the same identity, wherever and however often it is taken.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct EvidenceId {
    /// The hub that took the entry.
    pub hub: HubId,
    /// The system that said it: a link's configured name, or [`EvidenceId::DESK`].
    pub system: Arc<str>,
    /// The entry's identity at that hub: MSH-10 and the sender, a slot's identifier and its version, an act's number.
    /// Holds nothing of the patient.
    pub entry: Box<str>,
    /// Which statement of that entry, from 0.
    pub part: u16,
}

impl EvidenceId {
    /// The system's name for what the hub's own reception desk says.
    pub const DESK: &'static str = "hub";

    /// The name of a hub's system in the polysystem: links of two hubs may have one name. The desk's stays what it is.
    pub fn system_at(name: &str, hub: &HubId) -> Arc<str> {
        if name == Self::DESK { name.into() } else { format!("{name}@{hub}").into() }
    }
}

words! {
    /// What a reference names. Two values of one kind from one issuer name two contacts, unless a move links them.
    /// Strongest first: the first of these gives the contact its id.
    pub enum ReferenceKind {
        /// The polysystem's own name of an appointment.
        Appointment = "appointment",
        /// The name that the system gives in whose book it is: SIU SCH-2, an EMIS slot.
        Filler = "filler",
        /// The id of a GP Connect or BaRS Appointment.
        GpConnect = "gp-connect",
        /// The name that the asking system gave: SIU SCH-1, where it is not ours.
        Placer = "placer",
        /// An Adastra or NHS 111 case.
        Case = "case",
        /// A hospital's visit (PV1-19).
        Visit = "visit",
        /// A care contact of a community or mental health system.
        CareContact = "care-contact",
        /// An accession number of a diagnostic service.
        Accession = "accession",
        /// A ticket of the walk-in queue.
        Ticket = "ticket",
    }
}

/// A name that a system gives to exactly one contact. What names a series of contacts, such as a referral, is a fact.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Reference {
    /// What it names.
    pub kind: ReferenceKind,
    /// Who gives such names: a link's configured name; [`EvidenceId::DESK`] for [`ReferenceKind::Appointment`].
    pub issuer: Arc<str>,
    /// The name; holds nothing of the patient.
    pub value: Box<str>,
}

impl Reference {
    /// Longer names are cut by no system that is known (EI in HL7 v2 has 250 at most).
    pub const VALUE_BYTES_MAX: usize = 250;
}

words! {
    /// NHS NUMBER STATUS INDICATOR CODE.
    pub enum NumberStatus {
        /// 01: present and verified.
        Verified = "01",
        /// 02: present but not traced.
        NotTraced = "02",
        /// 03: a trace is required.
        TraceRequired = "03",
        /// 04: traced, with no match or several.
        NoMatch = "04",
        /// 05: something needs to be resolved.
        NeedsResolving = "05",
        /// 06: a trace is in progress.
        InProgress = "06",
        /// 07: not present, and a trace not required.
        NotRequired = "07",
        /// 08: postponed, for a baby under six weeks.
        Postponed = "08",
    }
}

/// A number that a system gives to a patient.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct LocalId {
    /// Who gives it: a link's configured name.
    pub system: Arc<str>,
    /// The number.
    pub value: Box<str>,
}

impl fmt::Debug for LocalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalId({})", self.system)
    }
}

/// Whose contact, as one source knows them; nothing at all if it does not say. `Debug` shows nobody.
#[derive(Clone, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Patient {
    /// The NHS number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nhs_number: Option<NhsNumber>,
    /// How far it is to be trusted; none if the source does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<NumberStatus>,
    /// Local numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub local: Vec<LocalId>,
}

impl Patient {
    /// The NHS number, if it is verified.
    pub fn verified(&self) -> Option<NhsNumber> {
        self.nhs_number.filter(|_| self.status == Some(NumberStatus::Verified))
    }

    /// Whether nothing is said of who it is.
    pub const fn is_unknown(&self) -> bool {
        self.nhs_number.is_none() && self.local.is_empty()
    }
}

impl fmt::Debug for Patient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Patient(…)")
    }
}

/// What a slot is, in its system's words: what the maps turn into a service.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct SlotType {
    /// The clinic's or session's code; may be empty.
    pub clinic: Arc<str>,
    /// The slot type; may be empty.
    pub slot: Arc<str>,
}

words! {
    /// How far an urgent case has come (Adastra's case status).
    pub enum CaseStatus {
        /// Taken, and waiting.
        Open = "open",
        /// The patient has come, or the professional has begun.
        Begun = "begun",
        /// The patient was seen or spoken to, and it is over.
        Consulted = "consulted",
        /// Closed without a consultation: advice by a call handler, sent elsewhere.
        Closed = "closed",
        /// The patient did not come, or could not be reached.
        NotReached = "not-reached",
        /// Cancelled by the patient.
        Cancelled = "cancelled",
    }
}

/// What a source says happened.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// It was booked; after a cancellation in the same book, it stands again.
    Booked,
    /// It is at another time now: [`Evidence::start`]. Its names may be new ones, then [`Evidence::replaces`] has the
    /// old ones.
    Moved,
    /// Something about it changed, or it is told again.
    Amended,
    /// The patient came.
    Arrived,
    /// The patient was called.
    Called,
    /// It took place.
    Attended,
    /// The patient came, and left without being seen.
    Left,
    /// The patient did not come.
    DidNotAttend,
    /// It was cancelled; none if the source does not say by whom.
    Cancelled(Option<CancelledBy>),
    /// Somebody came without an appointment.
    WalkInOpened,
    /// A case of NHS 111 or out-of-hours care.
    UrgentCase(CaseStatus),
    /// A contact of a community service that took place without an appointment.
    CommunityContact,
    /// A diagnostic was performed.
    Diagnostic,
    /// A call for nothing but telling a result: no contact for any return.
    ResultOnly,
    /// It was entered in error: there never was such a contact.
    Withdrawn,
    /// Two patients of one system are one: these numbers are no longer used, [`Evidence::patient`]'s are. Says nothing
    /// about a contact.
    PatientMerged(Patient),
}

words! {
    /// [`Said`] without what it carries.
    pub enum SaidKind {
        /// [`Said::Booked`].
        Booked = "booked",
        /// [`Said::Moved`].
        Moved = "moved",
        /// [`Said::Amended`].
        Amended = "amended",
        /// [`Said::Arrived`].
        Arrived = "arrived",
        /// [`Said::Called`].
        Called = "called",
        /// [`Said::Attended`].
        Attended = "attended",
        /// [`Said::Left`].
        Left = "left",
        /// [`Said::DidNotAttend`].
        DidNotAttend = "did-not-attend",
        /// [`Said::Cancelled`].
        Cancelled = "cancelled",
        /// [`Said::WalkInOpened`].
        WalkInOpened = "walk-in-opened",
        /// [`Said::UrgentCase`].
        UrgentCase = "urgent-case",
        /// [`Said::CommunityContact`].
        CommunityContact = "community-contact",
        /// [`Said::Diagnostic`].
        Diagnostic = "diagnostic",
        /// [`Said::ResultOnly`].
        ResultOnly = "result-only",
        /// [`Said::Withdrawn`].
        Withdrawn = "withdrawn",
        /// [`Said::PatientMerged`].
        PatientMerged = "patient-merged",
    }
}

impl Said {
    /// Without what it carries.
    pub const fn kind(&self) -> SaidKind {
        match self {
            Self::Booked => SaidKind::Booked,
            Self::Moved => SaidKind::Moved,
            Self::Amended => SaidKind::Amended,
            Self::Arrived => SaidKind::Arrived,
            Self::Called => SaidKind::Called,
            Self::Attended => SaidKind::Attended,
            Self::Left => SaidKind::Left,
            Self::DidNotAttend => SaidKind::DidNotAttend,
            Self::Cancelled(_) => SaidKind::Cancelled,
            Self::WalkInOpened => SaidKind::WalkInOpened,
            Self::UrgentCase(_) => SaidKind::UrgentCase,
            Self::CommunityContact => SaidKind::CommunityContact,
            Self::Diagnostic => SaidKind::Diagnostic,
            Self::ResultOnly => SaidKind::ResultOnly,
            Self::Withdrawn => SaidKind::Withdrawn,
            Self::PatientMerged(_) => SaidKind::PatientMerged,
        }
    }
}

/// One statement by one source about one contact. `Debug` shows no patient and no fact.
#[derive(Clone, Eq, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Which statement.
    pub id: EvidenceId,
    /// What happened.
    pub said: Said,
    /// When, by the source's clock.
    pub at: Timestamp,
    /// When the hub took it, by the hub's clock. Of one statement taken twice the earlier counts.
    pub taken: Timestamp,
    /// How the contact is named, in any order; may be empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
    /// How it was named before, if this names it anew: a move that was a new booking.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaces: Vec<Reference>,
    /// Whose contact.
    #[serde(default)]
    pub patient: Patient,
    /// The service's id in the polysystem, if the source knows it; else the maps say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<HubId>,
    /// What the slot is in its system's words.
    #[serde(default)]
    pub slot_type: SlotType,
    /// The system in whose book it is, if the source knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Arc<str>>,
    /// When it was planned to begin, as of this statement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// The day, where the source knows no time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day: Option<Date>,
    /// Administrative facts.
    #[serde(default)]
    pub facts: Facts,
    /// Facts that the source takes back: HL7's `""`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cleared: Vec<FactName>,
}

/// How much one statement may hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Shape {
    /// More references than [`Evidence::REFERENCES_MAX`].
    #[error("more than {} references", Evidence::REFERENCES_MAX)]
    References,
    /// More local numbers than [`Evidence::LOCAL_IDS_MAX`].
    #[error("more than {} local numbers of a patient", Evidence::LOCAL_IDS_MAX)]
    LocalIds,
    /// A text longer than [`Reference::VALUE_BYTES_MAX`], or an empty reference.
    #[error("a name that is empty or longer than {} bytes", Reference::VALUE_BYTES_MAX)]
    Text,
    /// More codes in a list than [`super::CODES_MAX`].
    #[error("more than {} codes in a list", super::CODES_MAX)]
    Codes,
}

impl Evidence {
    /// More names of one appointment are never given.
    pub const REFERENCES_MAX: usize = 8;
    /// More numbers of one patient are not given in one message that counts a contact.
    pub const LOCAL_IDS_MAX: usize = 8;

    /// Whether it holds no more than it may.
    ///
    /// # Errors
    /// Says which measure it breaks.
    pub fn check(&self) -> Result<(), Shape> {
        let merged = match &self.said {
            Said::PatientMerged(retired) => retired.local.as_slice(),
            _ => &[],
        };
        if Self::REFERENCES_MAX < self.references.len() || Self::REFERENCES_MAX < self.replaces.len() {
            return Err(Shape::References);
        }
        if Self::LOCAL_IDS_MAX < self.patient.local.len() || Self::LOCAL_IDS_MAX < merged.len() {
            return Err(Shape::LocalIds);
        }
        let references = self.references.iter().chain(&self.replaces).map(|name| &name.value);
        let numbers = self.patient.local.iter().chain(merged).map(|id| &id.value);
        let is_fit = |text: &str| !text.is_empty() && text.len() <= Reference::VALUE_BYTES_MAX;
        let mut names = references.chain(numbers).chain([&self.id.entry]);
        let slot = [&self.slot_type.clinic, &self.slot_type.slot];
        if !names.all(|name| is_fit(name)) || slot.iter().any(|text| Reference::VALUE_BYTES_MAX < text.len())
        {
            return Err(Shape::Text);
        }
        let lists = [&self.facts.diagnoses, &self.facts.procedures, &self.facts.investigations];
        if lists.into_iter().flatten().any(|codes| super::CODES_MAX < codes.len()) {
            return Err(Shape::Codes);
        }
        Ok(())
    }
}

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, said, at, .. } = self;
        write!(f, "Evidence({id:?}, {:?}, {at})", said.kind())
    }
}
