//! PMIP reports: pathology (`MEDRPT` NHS002 and NHS003), screening (`MEDRPT` NHS004) and radiology (`NHSRSR` NHS002).

mod read;
mod write;

pub use read::{Unreadable, read};
pub use write::write;

/// What sort of report it is. The association code alone does not say: NHS002 is two kinds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// `MEDRPT` NHS002: pathology, the older guideline.
    PathologyOlder,
    /// `MEDRPT` NHS003: pathology.
    Pathology,
    /// `MEDRPT` NHS004: bowel cancer screening.
    Screening,
    /// `NHSRSR` NHS002: radiology.
    Radiology,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::PathologyOlder, Self::Pathology, Self::Screening, Self::Radiology];

    /// By message type, association code and document name (BGM).
    pub fn of(name: &str, association: &str, document: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.names() == (name, association, document))
    }

    /// Message type, association code and document name.
    pub const fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::PathologyOlder => ("MEDRPT", "NHS002", "LSR"),
            Self::Pathology => ("MEDRPT", "NHS003", "LSR"),
            Self::Screening => ("MEDRPT", "NHS004", "LSR"),
            Self::Radiology => ("NHSRSR", "NHS002", "RRR"),
        }
    }
}

/// A code with the list it is from and the words beside it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Code {
    /// The code, such as `44I4.`; case and dots count. May be empty: then only words were given.
    pub value: String,
    /// The list (element 1131): `911` Read 5-byte, `921` SNOMED CT, `920` and `912` local, `900` GP,
    /// `901` practice, `902` consultant, `903` organisation.
    pub list: String,
    /// The words.
    pub name: String,
}

impl Code {
    /// Whether it says anything at all.
    pub const fn is_empty(&self) -> bool {
        self.value.is_empty() && self.name.is_empty()
    }
}

/// Who asked, who did it, whom it is for (NAD, SPR).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Party {
    /// `PO` requester, `MR` recipient, `SLA` or `SRA` provider, `RRP` reporter.
    pub role: String,
    /// `PRO` a person, `ORG` an organisation, `DPT` a department.
    pub sort: String,
    /// Code and name.
    pub who: Code,
}

/// The patient. `Debug` shows nothing of them.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Patient {
    /// As given; not checked.
    pub nhs_number: String,
    /// Numbers of the requester (`SSI`), the provider (`RPI`) and others: qualifier and value.
    pub numbers: Vec<(String, String)>,
    /// Family name.
    pub family_name: String,
    /// Given name.
    pub given_name: String,
    /// Middle names.
    pub middle_names: String,
    /// Title.
    pub title: String,
    /// ISO 8601.
    pub birth_date: String,
    /// HL7 table 0001: `M`, `F`, `O` or `U`; empty if not given.
    pub gender: String,
    /// Address lines, the town last.
    pub address: Vec<String>,
    /// Postcode.
    pub postcode: String,
}

impl std::fmt::Debug for Patient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Patient(…)")
    }
}

/// What was examined (S16).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Specimen {
    /// Its number, to which `RFF+ASL` points.
    pub sequence: String,
    /// What it is.
    pub kind: Code,
    /// The provider's number for it (`STI`).
    pub id: String,
    /// The requester's number for it (`RTI`).
    pub requester_id: String,
    /// When it was taken; ISO 8601.
    pub collected: String,
    /// When it came; ISO 8601.
    pub received: String,
    /// Volume and unit.
    pub volume: (String, String),
    /// Whether the patient was fasting, as given (`F` or `N`).
    pub fasting: String,
    /// Comments.
    pub comments: Vec<String>,
}

/// A result (RSL), if there is one beside text.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Value {
    /// None.
    #[default]
    None,
    /// `NV`: value, comparator (`<`, `<=`, `>=`, `>` or empty) and unit.
    Numeric(String, String, String),
    /// `CV`: a code.
    Coded(Code),
}

/// A range that is usual (S20).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Range {
    /// Lower limit; may be empty.
    pub low: String,
    /// Upper limit; may be empty.
    pub high: String,
    /// Unit, if it is not the result's.
    pub unit: String,
    /// For whom it holds, or what it says in words.
    pub comments: Vec<String>,
}

/// What a test belongs to (RFF).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Link {
    /// To nothing that was named.
    #[default]
    None,
    /// `ASL`: to the specimen of this number.
    Specimen(String),
    /// `ARL`: to the group of tests of this number.
    Group(String),
}

/// A test, a group of tests, or a radiological study (INV and what follows).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Investigation {
    /// What was done.
    pub code: Code,
    /// Its number, if it heads a group.
    pub sequence: String,
    /// Status at source (STS), such as `FI`.
    pub status: String,
    /// Its result.
    pub value: Value,
    /// `HI`, `LO`, `OR` outside the range, or `PA` potentially abnormal; empty if not said.
    pub flag: String,
    /// Its result in words (`FTX+RIT`).
    pub text: Vec<String>,
    /// Comments (`FTX+SPC` and other free text).
    pub comments: Vec<String>,
    /// Ranges.
    pub ranges: Vec<Range>,
    /// What it belongs to.
    pub link: Link,
    /// When it was done, for radiology (`DTM+AIC`); ISO 8601.
    pub performed: String,
}

/// One report.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// When the message was made (`DTM+137`); ISO 8601.
    pub prepared: String,
    /// The provider's number for it (`RFF+SRI`).
    pub id: String,
    /// When it was issued (`DTM+ISR`); ISO 8601.
    pub issued: String,
    /// Status at source (STS); `UN` is unspecified.
    pub status: String,
    /// Who takes part.
    pub parties: Vec<Party>,
    /// Whom it is about.
    pub patient: Patient,
    /// What the requester wrote.
    pub clinical_information: Vec<String>,
    /// What was examined.
    pub specimens: Vec<Specimen>,
    /// What was found.
    pub investigations: Vec<Investigation>,
    /// What was odd, as stable codes.
    pub faults: Vec<&'static str>,
}

impl Report {
    /// The first party of a role and a sort.
    pub fn party(&self, roles: &[&str], sort: &str) -> Option<&Party> {
        self.parties.iter().find(|party| roles.contains(&party.role.as_str()) && party.sort == sort)
    }

    /// The group that a test belongs to.
    pub fn group(&self, investigation: &Investigation) -> Option<&Investigation> {
        let Link::Group(wanted) = &investigation.link else { return None };
        self.investigations.iter().find(|one| !one.sequence.is_empty() && one.sequence == *wanted)
    }

    /// The specimen that a test belongs to, by itself or through its group.
    pub fn specimen(&self, investigation: &Investigation) -> Option<&Specimen> {
        let link = self.group(investigation).map_or(&investigation.link, |group| &group.link);
        match link {
            Link::Specimen(wanted) => self.specimens.iter().find(|specimen| specimen.sequence == *wanted),
            _ if self.specimens.len() == 1 => self.specimens.first(),
            _ => None,
        }
    }
}
