//! National role-based access: job roles, the activities they bring, and the activities included in those.
//!
//! The tables here are the national database as far as it was checked: [`Checked`] says of each row on what. The
//! deploying organisation confirms them, or passes its own [`Table`].

use std::collections::{BTreeMap, BTreeSet};

use crate::access::Role;

use super::words::words;

words! {
    /// What a person may be allowed to do, by its national code. The hub knows those that gate something here, and
    /// those that they include.
    pub enum Activity {
        /// Read the hub's own logs and who has seen whom.
        ViewSystemLogs = "B0011",
        /// Be told of emergency access.
        ReceiveEmergencyAlerts = "B0015",
        /// Be told of relationships that people claimed themselves.
        ReceiveSelfClaimedAlerts = "B0016",
        /// Record what a patient says of sharing.
        ControlConsent = "B0020",
        /// Set up the system.
        Configure = "B0062",
        /// See a record because the law demands it.
        LegalAccess = "B0082",
        /// See a record in an emergency without the patient's word.
        EmergencyAccess = "B0168",
        /// See a summary.
        ViewSummary = "B0360",
        /// See a detailed record.
        ViewDetailed = "B0370",
        /// See and write a detailed record.
        PerformDetailed = "B0380",
        /// See who a patient is and when they are booked.
        ViewDemographics = "B0820",
        /// Change who a patient is.
        AmendDemographics = "B0825",
    }
}

impl Activity {
    /// The activity of a national code; none if the hub does not know it, and so grants nothing for it.
    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.word() == code.trim())
    }

    /// The national code.
    pub const fn code(self) -> &'static str {
        self.word()
    }

    /// What it allows, for people who are told that they lack it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::ViewSystemLogs => "view system logs and reports",
            Self::ReceiveEmergencyAlerts => "receive emergency view alerts",
            Self::ReceiveSelfClaimedAlerts => "receive self-claimed relationship alerts",
            Self::ControlConsent => "control consent status",
            Self::Configure => "local system configuration",
            Self::LegalAccess => "legal access",
            Self::EmergencyAccess => "emergency access",
            Self::ViewSummary => "view summary health records",
            Self::ViewDetailed => "view detailed health records",
            Self::PerformDetailed => "perform detailed health record",
            Self::ViewDemographics => "view patient demographics",
            Self::AmendDemographics => "amend patient demographics",
        }
    }
}

words! {
    /// What a row of these tables rests on.
    pub enum Checked {
        /// National guidance or a supplier's published table that names the code.
        Published = "published",
        /// The hub's own reading of what the work needs; the deploying organisation confirms it.
        Assumed = "to be confirmed",
    }
}

/// A job role, what it brings, and which of the hub's roles its holder works in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Job {
    /// The national code, such as `R8000`.
    pub code: &'static str,
    /// Its national name.
    pub name: &'static str,
    /// The hub's role of people who come with this job role from the national sign-in.
    pub role: Role,
    /// What everybody with the job role may do.
    pub activities: &'static [Activity],
    /// What `activities` rests on.
    pub checked: Checked,
}

/// What clinicians bring. Legal access is not among it: named people are given it.
const CLINICAL: &[Activity] = &[
    Activity::PerformDetailed,
    Activity::EmergencyAccess,
    Activity::ControlConsent,
    Activity::AmendDemographics,
];

/// The job roles that the hub knows.
pub const JOBS: &[Job] = &[
    Job {
        code: "R8000",
        name: "Clinical Practitioner Access Role",
        role: Role::Clinician,
        activities: CLINICAL,
        checked: Checked::Assumed,
    },
    Job {
        code: "R8001",
        name: "Nurse Access Role",
        role: Role::Clinician,
        activities: CLINICAL,
        checked: Checked::Assumed,
    },
    Job {
        code: "R8003",
        name: "Health Professional Access Role",
        role: Role::Clinician,
        activities: CLINICAL,
        checked: Checked::Assumed,
    },
    Job {
        code: "R8008",
        name: "Admin/Clinical Support Access Role",
        role: Role::Reception,
        activities: &[Activity::AmendDemographics, Activity::ControlConsent],
        checked: Checked::Assumed,
    },
    Job {
        code: "R8009",
        name: "Receptionist Access Role",
        role: Role::Reception,
        activities: &[Activity::AmendDemographics],
        checked: Checked::Assumed,
    },
    Job {
        code: "R0001",
        name: "Privacy Officer",
        role: Role::Administrator,
        activities: &[
            Activity::ReceiveEmergencyAlerts,
            Activity::ReceiveSelfClaimedAlerts,
            Activity::ViewSystemLogs,
        ],
        checked: Checked::Published,
    },
];

/// The first includes the second.
pub const INCLUDED: &[(Activity, Activity, Checked)] = &[
    (Activity::AmendDemographics, Activity::ViewDemographics, Checked::Published),
    (Activity::PerformDetailed, Activity::ViewDetailed, Checked::Assumed),
    (Activity::ViewDetailed, Activity::ViewSummary, Checked::Assumed),
    (Activity::ViewSummary, Activity::ViewDemographics, Checked::Assumed),
];

/// What a role of the hub brings where the account has no job role.
pub const WITHOUT_JOB: &[(Role, Option<&str>, &[Activity])] = &[
    (Role::Reception, Some("R8009"), &[]),
    (Role::Clinician, Some("R8000"), &[]),
    (Role::Analyst, None, &[]),
    (Role::Administrator, None, &[Activity::ViewSystemLogs, Activity::Configure]),
];

/// Who may do what: the tables above, or those of a deploying organisation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Table {
    /// What each job role brings, by its code.
    pub jobs: BTreeMap<String, (Role, BTreeSet<Activity>)>,
    /// What each activity includes, itself not named.
    pub included: BTreeMap<Activity, BTreeSet<Activity>>,
    /// What each of the hub's roles brings where the account has no job role.
    pub without_job: BTreeMap<Role, BTreeSet<Activity>>,
}

impl Default for Table {
    fn default() -> Self {
        let of = |activities: &[Activity]| activities.iter().copied().collect::<BTreeSet<_>>();
        let job = |code: &str| JOBS.iter().find(|job| job.code == code);
        let jobs = JOBS.iter().map(|job| (job.code.to_owned(), (job.role, of(job.activities)))).collect();
        let mut included: BTreeMap<Activity, BTreeSet<Activity>> = BTreeMap::new();
        for (whole, part, _) in INCLUDED {
            included.entry(*whole).or_default().insert(*part);
        }
        let brings = |(role, code, more): &(Role, Option<&str>, &[Activity])| {
            let mut all = of(more);
            all.extend(code.and_then(job).into_iter().flat_map(|job| job.activities.iter().copied()));
            (*role, all)
        };
        Self { jobs, included, without_job: WITHOUT_JOB.iter().map(brings).collect() }
    }
}

impl Table {
    /// What someone may do: what their job role brings, or their roles if they have none, what else they were given,
    /// and all that is included in it. A job role that the table does not know brings nothing.
    pub fn activities(
        &self,
        job_role: &str,
        roles: &[Role],
        given: &BTreeSet<Activity>,
    ) -> BTreeSet<Activity> {
        let mut all = given.clone();
        match job_role.trim() {
            "" => all.extend(roles.iter().filter_map(|role| self.without_job.get(role)).flatten().copied()),
            code => {
                all.extend(self.jobs.get(code).into_iter().flat_map(|(_, brought)| brought.iter().copied()))
            }
        }
        self.closure(all)
    }

    /// The hub's role of someone who comes with a job role; none if the table does not know it.
    pub fn role_of(&self, job_role: &str) -> Option<Role> {
        self.jobs.get(job_role.trim()).map(|(role, _)| *role)
    }

    /// `activities` and all that is included in them, at any depth; a circle in the table does no harm.
    fn closure(&self, activities: BTreeSet<Activity>) -> BTreeSet<Activity> {
        let mut all = BTreeSet::new();
        let mut open: Vec<Activity> = activities.into_iter().collect();
        while let Some(activity) = open.pop() {
            if all.insert(activity) {
                open.extend(self.included.get(&activity).into_iter().flatten().copied());
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none() -> BTreeSet<Activity> {
        BTreeSet::new()
    }

    #[test]
    fn what_is_included_is_honoured_at_any_depth() {
        let table = Table::default();
        let given = BTreeSet::from([Activity::PerformDetailed]);
        let all = table.activities("R9999", &[], &given);
        let codes: Vec<&str> = all.iter().map(|activity| activity.code()).collect();
        assert_eq!(codes, ["B0360", "B0370", "B0380", "B0820"]);
        let given = BTreeSet::from([Activity::AmendDemographics]);
        assert!(table.activities("", &[], &given).contains(&Activity::ViewDemographics));
    }

    #[test]
    fn a_circle_of_inclusions_ends() {
        let mut table = Table::default();
        table.included.entry(Activity::ViewDemographics).or_default().insert(Activity::PerformDetailed);
        let given = BTreeSet::from([Activity::ViewSummary]);
        assert!(table.activities("", &[], &given).contains(&Activity::ViewDetailed));
    }

    #[test]
    fn an_account_without_job_role_has_what_its_roles_bring() {
        let table = Table::default();
        let clinician = table.activities("", &[Role::Clinician], &none());
        assert_eq!(clinician, table.activities("R8000", &[], &none()));
        assert_eq!(table.activities(" ", &[Role::Analyst], &none()), none());
        let both = table.activities("", &[Role::Administrator, Role::Reception], &none());
        assert!(both.contains(&Activity::Configure) && both.contains(&Activity::AmendDemographics));
    }

    #[test]
    fn a_job_role_is_not_topped_up_by_roles_and_an_unknown_one_brings_nothing() {
        let table = Table::default();
        assert!(!table.activities("R8009", &[Role::Clinician], &none()).contains(&Activity::ViewSummary));
        assert_eq!(table.activities("R1234", &[Role::Clinician], &none()), none());
        assert_eq!(table.role_of("R1234"), None);
        assert_eq!(table.role_of("R8001"), Some(Role::Clinician));
    }

    #[test]
    fn legal_access_is_in_no_baseline_and_nothing_clinical_in_an_office_job() {
        let table = Table::default();
        for (role, brought) in table.jobs.values() {
            assert!(!brought.contains(&Activity::LegalAccess));
            if *role != Role::Clinician {
                let all = table.closure(brought.clone());
                for clinical in [Activity::ViewSummary, Activity::ViewDetailed, Activity::EmergencyAccess] {
                    assert!(!all.contains(&clinical));
                }
            }
        }
    }

    #[test]
    fn codes_are_read_as_they_are_written() {
        for activity in Activity::ALL {
            assert_eq!(Activity::of_code(activity.code()), Some(*activity));
            assert!(!activity.title().is_empty());
        }
        assert_eq!(Activity::of_code("B9999"), None);
    }
}
