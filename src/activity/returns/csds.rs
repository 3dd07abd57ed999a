//! Community services: one CSV file for each table of the intermediate database, with rows in the order in which they
//! can be loaded, and a check of what was written.
//!
//! The names of tables and of the columns that identify rows were seen; other columns follow the field lists and are to
//! be confirmed against the database of the version that is submitted, whose structure must not change.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use crate::{
    activity::codes::csv::{self, CsvError},
    domain::contact::{Contact, Dataset},
};

use super::{
    Builder, Built, Disposition, Files, Item, Job, Omission, ReturnKind,
    build::Common,
    files::Tally,
    record::{Coded, Record},
};

/// Patients, referrals, teams and professionals of one month.
const KEYS_MAX: usize = 2_000_000;

/// A column: its name, and the item it holds.
type Column = (&'static str, Item);

/// The tables in the order in which they are loaded, each with its columns. The first row of a key counts: what a patient
/// or a referral is, is said once.
pub const TABLES: [(&str, &[Column]); 7] = [
    (
        "CYP001MPI",
        &[
            ("LocalPatientID", Item::LocalPatientExtended),
            ("OrgID_LocalPatientID", Item::LocalPatientIssuer),
            ("OrgID_ResidenceResponsibility", Item::Residence),
            ("NHSNumber", Item::NhsNumber),
            ("NHSNumberStatus", Item::NumberStatus),
            ("PersonBirthDate", Item::BirthDate),
            ("Postcode", Item::Postcode),
            ("Gender", Item::Gender),
            ("EthnicCategory", Item::EthnicCategory),
            ("LanguageCode", Item::Language),
            ("PersonDeathDate", Item::DeathDate),
        ],
    ),
    ("CYP002GP", &[("LocalPatientID", Item::LocalPatientExtended), ("OrgID_GP", Item::Practice)]),
    (
        "CYP101Referral",
        &[
            ("ServiceRequestID", Item::Referral),
            ("LocalPatientID", Item::LocalPatientExtended),
            ("OrgID_Commissioner", Item::Commissioner),
            ("ReferralReceivedDate", Item::ReferralReceived),
            ("SourceOfReferral", Item::ReferralSource),
            ("OrgID_Referring", Item::ReferringOrganisation),
            ("Priority", Item::Priority),
            ("ServiceDischargeDate", Item::ReferralClosed),
        ],
    ),
    ("CYP102ServiceTypeReferredTo", &[("ServiceRequestID", Item::Referral), ("TeamID", Item::Team)]),
    (
        "CYP201CareContact",
        &[
            ("CareContactID", Item::CareContact),
            ("ServiceRequestID", Item::Referral),
            ("TeamID", Item::Team),
            ("ContactDate", Item::ActivityDate),
            ("ContactTime", Item::AppointmentTime),
            ("OrgID_Commissioner", Item::Commissioner),
            ("AdminCategory", Item::AdministrativeCategory),
            ("ContactDuration", Item::Duration),
            ("ConsultationType", Item::ConsultationType),
            ("ConsultationMechanism", Item::Mechanism),
            ("ActivityLocationType", Item::LocationType),
            ("SiteID", Item::Site),
            ("GroupTherapyInd", Item::Group),
            ("AttendanceStatus", Item::AttendanceStatus),
            ("EarliestReasonableOfferDate", Item::EarliestOffer),
            ("EarliestClinicallyAppropriateDate", Item::EarliestAppropriate),
            ("CancellationReason", Item::CancellationReason),
            ("ReplacementApptOffered", Item::ReplacementOffered),
            ("ReplacementApptBooked", Item::ReplacementBooked),
        ],
    ),
    (
        "CYP202CareActivity",
        &[
            ("CareActivityID", Item::Attendance),
            ("CareContactID", Item::CareContact),
            ("CareProfessionalID", Item::Clinician),
            ("ProcedureCode", Item::Tariff),
        ],
    ),
    (
        "CYP901StaffDetails",
        &[
            ("CareProfessionalID", Item::Clinician),
            ("MainSpecialty", Item::MainSpecialty),
            ("StaffType", Item::StaffType),
        ],
    ),
];

const HEADER: [&str; 7] = [
    "DatasetVersion",
    "OrgID_Submitter",
    "OrgID_Provider",
    "PrimarySystemInUse",
    "ReportingPeriodStartDate",
    "ReportingPeriodEndDate",
    "FileCreatedDateTime",
];

/// A community services return under way.
pub struct CommunityBuilder<'a, F: Files> {
    common: Common<'a, F>,
    header: Tally<F::File>,
    tables: [Tally<F::File>; 7],
    keys: [BTreeSet<String>; 7],
    /// Whose a local number and a referral are.
    owners: BTreeMap<(Item, String), String>,
}

impl<'a, F: Files> CommunityBuilder<'a, F> {
    /// Begins it. All tables are there, even those without rows.
    ///
    /// # Errors
    /// If the settings are not fit, the job is for another return, or a file cannot be made.
    pub fn begin(job: Job<'a>, files: &'a mut F) -> io::Result<Self> {
        if job.kind != ReturnKind::CommunityServices {
            return Err(io::Error::other("the job is for another return"));
        }
        let common = Common::new(job, files)?;
        let header = header(&job, common.files)?;
        let mut table = |place: usize| {
            let (name, columns) = TABLES.get(place).copied().unwrap_or_default();
            let mut file = Tally::create(&mut *common.files, job.file_name(&format!("_{name}.csv")))?;
            csv::write(&mut file, columns.iter().map(|(column, _)| *column))?;
            Ok::<_, io::Error>(file)
        };
        let tables = [table(0)?, table(1)?, table(2)?, table(3)?, table(4)?, table(5)?, table(6)?];
        Ok(Self { common, header, tables, keys: [const { BTreeSet::new() }; 7], owners: BTreeMap::new() })
    }

    /// Whether local number and referral are this patient's alone. Systems number their own patients: two may give the
    /// same number to two people, and the tables know a patient by nothing else.
    fn is_unambiguous(&mut self) -> Result<(), Omission> {
        let record = &self.common.record;
        let issuer = record.get(Item::LocalPatientIssuer);
        let patient = format!("{issuer}\u{1f}{}", record.get(Item::LocalPatientExtended));
        for (item, owner) in [(Item::LocalPatientExtended, issuer), (Item::Referral, &*patient)] {
            let known =
                self.owners.entry((item, record.get(item).to_owned())).or_insert_with(|| owner.to_owned());
            if known != owner {
                return Err(Omission::Ambiguous(item));
            }
        }
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        let record = &mut self.common.record;
        let procedures = record.codes(Coded::Procedures).to_vec();
        for (place, (_, columns)) in TABLES.iter().enumerate() {
            let (Some(file), Some(keys)) = (self.tables.get_mut(place), self.keys.get_mut(place)) else {
                continue;
            };
            if *columns == TABLES[CARE_ACTIVITY].1 {
                activities(file, columns, record, &procedures)?;
                continue;
            }
            let key = key(place, columns, record);
            if KEYS_MAX <= keys.len() {
                return Err(io::Error::other("a table has too many rows"));
            }
            if key.is_some_and(|key| keys.insert(key)) {
                csv::write(file, columns.iter().map(|(_, item)| record.get(*item)))?;
                file.rows += 1;
            }
        }
        Ok(())
    }
}

/// The place of CYP202 among the tables.
const CARE_ACTIVITY: usize = 5;
/// The place of CYP201 among the tables.
const CARE_CONTACT: usize = 4;

/// By what a row of a table is known; none if the record has nothing to say there.
fn key(place: usize, columns: &[Column], record: &Record) -> Option<String> {
    let parts = match place {
        // A team of a referral, a practice of a patient.
        1 | 3 => columns.len(),
        _ => 1,
    };
    let values: Vec<&str> = columns.iter().take(parts).map(|(_, item)| record.get(*item)).collect();
    let is_there = values.iter().all(|value| !value.is_empty());
    is_there.then(|| values.join("\u{1f}"))
}

/// Each contact has at least one activity: one for each procedure, or one without.
fn activities(
    file: &mut impl CountedRows,
    columns: &[Column],
    record: &mut Record,
    procedures: &[crate::domain::contact::Code],
) -> io::Result<()> {
    let contact = record.get(Item::CareContact).to_owned();
    let count = procedures.len().max(1);
    for number in 0..count {
        let id = format!("{contact}{number:02}");
        let procedure = procedures.get(number).map(|code| code.as_str()).unwrap_or_default();
        let cells = columns.iter().map(|(_, item)| match item {
            Item::Attendance => id.as_str(),
            Item::Tariff => procedure,
            item => record.get(*item),
        });
        csv::write(file, cells)?;
        file.counted();
    }
    Ok(())
}

/// A file whose rows are counted.
trait CountedRows: io::Write {
    fn counted(&mut self);
}

impl<F: io::Write> CountedRows for Tally<F> {
    fn counted(&mut self) {
        self.rows += 1;
    }
}

impl<F: Files> Builder for CommunityBuilder<'_, F> {
    fn put(&mut self, contact: &Contact, dataset: Dataset) -> io::Result<Disposition> {
        let admitted = self.common.admit(contact, dataset).and_then(|()| self.common.is_complete());
        let disposition = match admitted.and_then(|()| self.is_unambiguous()) {
            Err(why) => Disposition::Omitted(why),
            Ok(()) => {
                self.write()?;
                Disposition::Written
            }
        };
        self.common.count(contact, disposition)
    }

    fn finish(self) -> io::Result<Built> {
        let mut files = vec![self.header.close(self.common.files)?];
        for table in self.tables {
            files.push(table.close(self.common.files)?);
        }
        self.common.finish(files, None)
    }
}

fn header<F: Files>(job: &Job<'_>, files: &mut F) -> io::Result<Tally<F::File>> {
    let mut header = Tally::create(files, job.file_name("_CYP000Header.csv"))?;
    csv::write(&mut header, HEADER)?;
    let provider = job.settings.provider.as_str();
    let created = super::record::local(job.now).map(|now| now.strftime("%Y-%m-%dT%H:%M:%S").to_string());
    let cells = [
        "1.6",
        provider,
        provider,
        "polygate",
        &job.period.first_day().to_string(),
        &job.period.last_day().to_string(),
        &created.unwrap_or_default(),
    ];
    csv::write(&mut header, cells)?;
    header.rows = 1;
    Ok(header)
}

/// What is wrong with written tables.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TableFault {
    /// A table is not there.
    #[error("there is no table {0}")]
    NoTable(&'static str),
    /// A table cannot be read.
    #[error("{0}: {1}")]
    Csv(&'static str, CsvError),
    /// A cell that must not be empty is.
    #[error("{table}, line {line}: {column} is empty")]
    Empty {
        /// Which table.
        table: &'static str,
        /// Which line, from 1.
        line: usize,
        /// Which column.
        column: &'static str,
    },
    /// A row points to one that is not there.
    #[error("{table}, line {line}: {column} points to nothing in {into}")]
    Orphan {
        /// Which table.
        table: &'static str,
        /// Which line, from 1.
        line: usize,
        /// Which column.
        column: &'static str,
        /// The table it points to.
        into: &'static str,
    },
    /// Two rows have the same key.
    #[error("{table}, line {line}: {column} is there twice")]
    Twice {
        /// Which table.
        table: &'static str,
        /// Which line, from 1.
        line: usize,
        /// Which column.
        column: &'static str,
    },
    /// A contact has no activity.
    #[error("CYP201CareContact, line {0}: the contact has no care activity")]
    NoActivity(usize),
}

/// Columns that must not be empty, and the column of another table that must have the same value.
const RULES: [(&str, &str, Option<&str>); 9] = [
    ("CYP001MPI", "LocalPatientID", None),
    ("CYP001MPI", "OrgID_LocalPatientID", None),
    ("CYP002GP", "LocalPatientID", Some("CYP001MPI")),
    ("CYP002GP", "OrgID_GP", None),
    ("CYP101Referral", "LocalPatientID", Some("CYP001MPI")),
    ("CYP102ServiceTypeReferredTo", "ServiceRequestID", Some("CYP101Referral")),
    ("CYP201CareContact", "ServiceRequestID", Some("CYP101Referral")),
    ("CYP202CareActivity", "CareContactID", Some("CYP201CareContact")),
    ("CYP202CareActivity", "CareActivityID", None),
];
/// Columns whose values are there once.
const KEYS: [(&str, &str); 5] = [
    ("CYP001MPI", "LocalPatientID"),
    ("CYP101Referral", "ServiceRequestID"),
    ("CYP201CareContact", "CareContactID"),
    ("CYP202CareActivity", "CareActivityID"),
    ("CYP901StaffDetails", "CareProfessionalID"),
];
/// What is said of faults; the rest is more of the same.
const FAULTS_MAX: usize = 1_000;

/// Checks written tables as a loader would, by what is in them alone: mandatory columns, keys, and that every row points
/// to one that is there. `table` gives the bytes of a table by its name.
pub fn check_tables<'b>(table: impl Fn(&str) -> Option<&'b [u8]>) -> Vec<TableFault> {
    let mut faults = Vec::new();
    let mut columns: BTreeMap<(&'static str, &'static str), Vec<(usize, String)>> = BTreeMap::new();
    for (name, all) in TABLES {
        let Some(bytes) = table(name) else {
            faults.push(TableFault::NoTable(name));
            continue;
        };
        for (column, _) in all {
            match csv::read(bytes, &[*column]) {
                Err(error) => faults.push(TableFault::Csv(name, error)),
                Ok(rows) => {
                    let cells =
                        rows.into_iter().filter_map(|(line, cells)| Some((line, cells.into_iter().next()?)));
                    columns.insert((name, *column), cells.collect());
                }
            }
        }
    }
    let values =
        |table: &'static str, column: &'static str| columns.get(&(table, column)).into_iter().flatten();
    for (table, column) in KEYS {
        let mut seen = BTreeSet::new();
        let again = values(table, column).filter(|(_, value)| !seen.insert(value));
        faults.extend(again.map(|(line, _)| TableFault::Twice { table, line: *line, column }));
    }
    for (table, column, into) in RULES {
        let known: Option<BTreeSet<&String>> =
            into.map(|into| values(into, column).map(|(_, value)| value).collect());
        for (line, value) in values(table, column) {
            match (into, &known) {
                _ if value.is_empty() => faults.push(TableFault::Empty { table, line: *line, column }),
                (Some(into), Some(known)) if !known.contains(value) => {
                    faults.push(TableFault::Orphan { table, line: *line, column, into });
                }
                _ => {}
            }
        }
    }
    let active: BTreeSet<&String> =
        values("CYP202CareActivity", "CareContactID").map(|(_, value)| value).collect();
    let idle = values(TABLES[CARE_CONTACT].0, "CareContactID").filter(|(_, id)| !active.contains(id));
    faults.extend(idle.map(|(line, _)| TableFault::NoActivity(*line)));
    faults.truncate(FAULTS_MAX);
    faults
}
