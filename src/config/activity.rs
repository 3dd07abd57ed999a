//! `[activity]` of `polygate.toml`: what services are to commissioners, and which slot types are which service.

use std::{collections::BTreeSet, sync::Arc};

use jiff::civil::Date;
use serde::Deserialize;

use crate::{
    activity::maps::{MapRow, Maps, ServiceKind, ServiceProfile},
    domain::{contact::Code, ids::HubId},
};

use super::{file::File, hub::HubConfig};

/// Services and slot types of one polysystem: some hundred and some thousand.
const SERVICES_MAX: usize = 1_000;
const ROWS_MAX: usize = 20_000;
const SECTION: &str = "activity";
/// The book that a hub's own sessions are in.
const OWN_BOOK: &str = "hub";

/// `[activity]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ActivitySection {
    /// ODS code of the organisation that provides; the hub's own without it.
    pub provider: Option<Code>,
    /// ODS code of whoever pays where nothing else says.
    pub commissioner: Option<Code>,
    /// `[[activity.service]]`.
    pub service: Vec<CountedService>,
    /// `[[activity.slot-type]]`.
    pub slot_type: Vec<MapRow>,
}

/// `[[activity.service]]`: what a service is to commissioners.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CountedService {
    /// Its id, unique in the polysystem; that of a `[[service]]` if it can be booked here.
    pub id: HubId,
    /// The system in whose book it is: a link's name, or `hub`.
    #[serde(default = "own_book")]
    pub system: Arc<str>,
    /// What sort it is.
    pub kind: ServiceKind,
    /// Whether a community contract pays for it.
    #[serde(default)]
    pub community_commissioned: bool,
    /// Whether referral to treatment is measured.
    #[serde(default)]
    pub treatment_time_measured: bool,
    /// Whether it is mainly or entirely by appointment.
    #[serde(default)]
    pub by_appointment: bool,
    /// Whether contacts are priced, and so in ACM and PLCM.
    #[serde(default)]
    pub priced: bool,
    /// CARE PROFESSIONAL MAIN SPECIALTY CODE where a source states none.
    #[serde(default)]
    pub main_specialty: Option<Code>,
    /// ACTIVITY TREATMENT FUNCTION CODE where a source states none.
    #[serde(default)]
    pub treatment_function: Option<Code>,
}

impl HubConfig {
    /// What services and slot types are.
    pub fn maps(&self) -> Maps {
        let services = self.activity.service.iter().map(|one| ServiceProfile {
            id: one.id.clone(),
            hub: self.hub.id.clone(),
            system: Arc::clone(&one.system),
            kind: one.kind,
            community_commissioned: one.community_commissioned,
            treatment_time_measured: one.treatment_time_measured,
            by_appointment: one.by_appointment,
            priced: one.priced,
            main_specialty: one.main_specialty,
            treatment_function: one.treatment_function,
        });
        Maps::new(services.collect(), self.activity.slot_type.clone())
    }
}

/// Every fault in what the section says.
pub(super) fn check_activity(file: &mut File<'_>, config: &HubConfig) {
    let section = &config.activity;
    let mut known = BTreeSet::new();
    for service in &section.service {
        if !known.insert(&service.id) {
            file.fault(SECTION, "service", &format!("\"{}\" is given twice", service.id));
        }
        if &*service.system != OWN_BOOK && !config.link_names().contains(&&*service.system) {
            let reason =
                format!("\"{}\" is in the book of \"{}\", which is no link", service.id, service.system);
            file.fault(SECTION, "service", &reason);
        }
    }
    for row in &section.slot_type {
        if !known.contains(&row.service) {
            file.fault(SECTION, "slot-type", &format!("\"{}\" is no [[activity.service]]", row.service));
        }
        if !config.link_names().contains(&&*row.system) {
            file.fault(SECTION, "slot-type", &format!("\"{}\" is no link", row.system));
        }
        if row.until.is_some_and(|until| until < row.from) {
            file.fault(SECTION, "slot-type", &format!("\"{}\" ends before it begins", row.service));
        }
        if row.from < Date::constant(1948, 7, 5) {
            file.fault(SECTION, "slot-type", "begins before there was a health service: YYYY-MM-DD");
        }
    }
    if SERVICES_MAX < section.service.len() || ROWS_MAX < section.slot_type.len() {
        let reason = format!("at most {SERVICES_MAX} services and {ROWS_MAX} slot types");
        file.fault(SECTION, "service", &reason);
    }
}

fn own_book() -> Arc<str> {
    OWN_BOOK.into()
}
