//! What a system's slot types and clinics are in the polysystem: which service, and what sort of service that is.

use std::{collections::BTreeMap, sync::Arc};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::domain::{
    contact::{Code, Evidence, SlotType, local_date, words::words},
    ids::HubId,
};

words! {
    /// What sort of service it is, as far as returns ask.
    pub enum ServiceKind {
        /// Appointments in a practice's or a primary care network's book (EMIS, Vision).
        GeneralPractice = "general-practice",
        /// A clinic under a consultant.
        Consultant = "consultant-clinic",
        /// A clinic under a nurse.
        Nurse = "nurse-clinic",
        /// A clinic under a midwife.
        Midwife = "midwife-clinic",
        /// Podiatry, physiotherapy, dietetics and so on.
        AlliedHealth = "allied-health",
        /// Another community service.
        Community = "community",
        /// An urgent treatment centre or minor injuries unit.
        UrgentTreatment = "urgent-treatment",
        /// A walk-in centre.
        WalkInCentre = "walk-in-centre",
        /// Out-of-hours care and NHS 111.
        OutOfHours = "out-of-hours",
        /// Mental health.
        MentalHealth = "mental-health",
        /// Imaging and other diagnostics.
        Diagnostics = "diagnostics",
    }
}

/// A service as counting sees it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ServiceProfile {
    /// Its id, unique in the polysystem.
    pub id: HubId,
    /// The hub that counts its contacts.
    pub hub: HubId,
    /// The system in whose book its slots are: a link's configured name, or `hub`.
    pub system: Arc<str>,
    /// What sort it is.
    pub kind: ServiceKind,
    /// Whether a community contract pays for it; asked of allied health.
    #[serde(default)]
    pub community_commissioned: bool,
    /// Whether referral to treatment is measured; asked of allied health.
    #[serde(default)]
    pub treatment_time_measured: bool,
    /// Whether it is mainly or entirely by appointment: such a service is not emergency care.
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

/// From when until when a slot type is which service.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MapRow {
    /// The system whose words these are.
    pub system: Arc<str>,
    /// The clinic's or session's code; none for any.
    #[serde(default)]
    pub clinic: Option<Arc<str>>,
    /// The slot type; none for any.
    #[serde(default)]
    pub slot: Option<Arc<str>>,
    /// Which service it is.
    pub service: HubId,
    /// The first day on which it is.
    pub from: Date,
    /// The last day on which it is; none while it lasts.
    #[serde(default)]
    pub until: Option<Date>,
}

impl MapRow {
    fn fits(&self, slot_type: &SlotType, day: Date) -> bool {
        let fits =
            |wanted: &Option<Arc<str>>, said: &Arc<str>| wanted.as_ref().is_none_or(|text| text == said);
        let in_time = self.from <= day && self.until.is_none_or(|until| day <= until);
        in_time && fits(&self.clinic, &slot_type.clinic) && fits(&self.slot, &slot_type.slot)
    }

    /// A row that names clinic and slot goes before one that names one of them, and that before one that names none.
    fn exactness(&self) -> u8 {
        u8::from(self.clinic.is_some()) * 2 + u8::from(self.slot.is_some())
    }
}

/// What a hub tells the centre of its services and slot types.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ToldMaps {
    /// 1.
    pub v: u8,
    /// Its services.
    pub services: Vec<ServiceProfile>,
    /// Its slot types.
    pub rows: Vec<MapRow>,
}

/// All services and what maps to them.
#[derive(Clone, Debug, Default)]
pub struct Maps {
    services: BTreeMap<HubId, ServiceProfile>,
    /// By system; the most exact first, then the latest.
    rows: BTreeMap<Arc<str>, Vec<MapRow>>,
}

impl Maps {
    /// The maps of these services and rows. Of two rows alike the later given counts.
    pub fn new(services: Vec<ServiceProfile>, rows: Vec<MapRow>) -> Self {
        let mut by_system: BTreeMap<Arc<str>, Vec<MapRow>> = BTreeMap::new();
        for row in rows {
            by_system.entry(Arc::clone(&row.system)).or_default().push(row);
        }
        for rows in by_system.values_mut() {
            rows.reverse();
            rows.sort_by_key(|row| std::cmp::Reverse((row.exactness(), row.from)));
        }
        let services = services.into_iter().map(|service| (service.id.clone(), service)).collect();
        Self { services, rows: by_system }
    }

    /// A service by its id.
    pub fn profile(&self, service: &HubId) -> Option<&ServiceProfile> {
        self.services.get(service)
    }

    /// Every service, by id.
    pub fn services(&self) -> impl Iterator<Item = &ServiceProfile> {
        self.services.values()
    }

    /// Every row, by system and the most exact first.
    pub fn rows(&self) -> impl Iterator<Item = &MapRow> {
        self.rows.values().flatten()
    }

    /// Which service a slot type of a system is on a day; none if nobody has said.
    pub fn service(&self, system: &str, slot_type: &SlotType, day: Date) -> Option<&HubId> {
        let rows = self.rows.get(system)?;
        rows.iter().find(|row| row.fits(slot_type, day)).map(|row| &row.service)
    }

    /// Which service a statement is about: what it says itself, else what the maps make of its slot type.
    pub fn service_of(&self, evidence: &Evidence) -> Option<HubId> {
        if let Some(service) = &evidence.service {
            return Some(service.clone());
        }
        self.service(&evidence.id.system, &evidence.slot_type, day_of(evidence)).cloned()
    }
}

/// The day that a statement is about: of the planned beginning, else as it says, else when it was said.
pub fn day_of(evidence: &Evidence) -> Date {
    let said = evidence.at.min(evidence.taken);
    evidence.start.and_then(local_date).or(evidence.day).or_else(|| local_date(said)).unwrap_or(Date::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(clinic: Option<&str>, slot: Option<&str>, service: &str, from: &str) -> MapRow {
        MapRow {
            system: "emis".into(),
            clinic: clinic.map(Into::into),
            slot: slot.map(Into::into),
            service: service.parse().unwrap(),
            from: from.parse().unwrap(),
            until: None,
        }
    }

    #[test]
    fn the_most_exact_row_that_is_in_force_says_which_service() {
        let mut ended = row(Some("A"), Some("X"), "podiatry", "2026-01-01");
        ended.until = "2026-06-30".parse().ok();
        let rows = vec![
            row(None, None, "general-practice", "2020-01-01"),
            row(Some("A"), None, "physiotherapy", "2026-01-01"),
            ended,
            row(Some("A"), None, "dietetics", "2026-09-01"),
        ];
        let maps = Maps::new(Vec::new(), rows);
        let of = |clinic: &str, slot: &str, day: &str| {
            let slot_type = SlotType { clinic: clinic.into(), slot: slot.into() };
            maps.service("emis", &slot_type, day.parse().unwrap()).map(ToString::to_string)
        };
        assert_eq!(of("A", "X", "2026-05-01").as_deref(), Some("podiatry"));
        assert_eq!(of("A", "X", "2026-07-01").as_deref(), Some("physiotherapy"));
        assert_eq!(of("A", "X", "2026-09-01").as_deref(), Some("dietetics"));
        assert_eq!(of("B", "", "2026-09-01").as_deref(), Some("general-practice"));
        assert_eq!(of("B", "", "2019-12-31"), None);
    }
}
