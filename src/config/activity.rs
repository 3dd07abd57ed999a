//! `[activity]` of `polygate.toml`: what services are to commissioners, and which slot types are which service.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use jiff::civil::Date;
use serde::Deserialize;

use crate::{
    activity::{
        codes::LoadError,
        maps::{MapRow, Maps, ServiceKind, ServiceProfile},
        returns::{Requirements, Settings},
    },
    domain::{
        contact::{Code, EvidenceId},
        ids::HubId,
    },
    flow::count::Terms,
    sys::disk::{RealDisk, read_file},
};

use super::{file::File, hub::HubConfig};

/// Services and slot types of one polysystem: some hundred and some thousand.
const SERVICES_MAX: usize = 1_000;
const ROWS_MAX: usize = 20_000;
/// The longest is the list of who has opted out: five million NHS numbers.
const FILE_BYTES_MAX: u64 = 128 << 20;
/// ACTIVITY LOCATION TYPE CODE of a polyclinic.
const POLYCLINIC: &str = "B02";
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
    /// `[activity.returns]`: who sends returns to whom; none are built without it.
    pub returns: Option<ReturnsSection>,
    /// `[[activity.service]]`.
    pub service: Vec<CountedService>,
    /// `[[activity.slot-type]]`.
    pub slot_type: Vec<MapRow>,
}

/// `[activity.returns]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ReturnsSection {
    /// Address of the sender of interchanges, up to 15 characters.
    pub interchange_sender: Code,
    /// Address of their receiver.
    pub interchange_receiver: Code,
    /// CDS SENDER IDENTITY; the provider's code without it.
    pub sender: Option<Code>,
    /// CDS PRIME RECIPIENT IDENTITY, of the addressing grid.
    pub recipient: Code,
    /// CDS COPY RECIPIENT IDENTITY, at most seven.
    #[serde(default)]
    pub copy_recipients: Vec<Code>,
    /// False puts the test indicator into every interchange.
    #[serde(default)]
    pub production: bool,
    /// ODS codes of who gives local patient identifiers, by link.
    #[serde(default)]
    pub local_issuers: BTreeMap<Arc<str>, Code>,
    /// CSV files, each with the columns that docs/returns.md says; what is not given is not loaded.
    #[serde(default)]
    pub files: ActivityFiles,
}

/// `[activity.returns.files]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ActivityFiles {
    /// Which items must be there: `return,item,flag`.
    pub requirements: Option<PathBuf>,
    /// Prices.
    pub prices: Option<PathBuf>,
    /// Charges that are no contacts: drugs and devices.
    pub charges: Option<PathBuf>,
    /// Restricted patients: `nhs number`.
    pub restricted: Option<PathBuf>,
    /// Patients who have opted out of secondary use: `nhs number`.
    pub opted_out: Option<PathBuf>,
    /// Organisations and sites: `code,opened,closed`.
    pub organisations: Option<PathBuf>,
}

impl ActivityFiles {
    /// Every path, to be made one beside the configuration.
    pub(super) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [
            &mut self.requirements,
            &mut self.prices,
            &mut self.charges,
            &mut self.restricted,
            &mut self.opted_out,
            &mut self.organisations,
        ]
        .into_iter()
        .flatten()
    }
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
            system: EvidenceId::system_at(&one.system, &self.hub.id),
            kind: one.kind,
            community_commissioned: one.community_commissioned,
            treatment_time_measured: one.treatment_time_measured,
            by_appointment: one.by_appointment,
            priced: one.priced,
            main_specialty: one.main_specialty,
            treatment_function: one.treatment_function,
        });
        let rows = self
            .activity
            .slot_type
            .iter()
            .map(|row| MapRow { system: EvidenceId::system_at(&row.system, &self.hub.id), ..row.clone() });
        Maps::new(services.collect(), rows.collect())
    }
}

/// A file that `[activity.returns.files]` names cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}; see docs/returns.md for its columns", path.display())]
pub struct ActivityFileError {
    path: PathBuf,
    reason: String,
}

impl HubConfig {
    /// What counting needs: the maps, who sends to whom, and the files that are named.
    ///
    /// # Errors
    /// A file cannot be read, or says what it cannot say.
    pub fn counting_terms(&self) -> Result<Terms, ActivityFileError> {
        let mut terms = Terms { maps: Arc::new(self.maps()), ..Terms::default() };
        let Some(returns) = &self.activity.returns else { return Ok(terms) };
        let files = &returns.files;
        let mut requirements = Requirements::standard();
        load(&files.requirements, |bytes| requirements.load(bytes))?;
        load(&files.prices, |bytes| terms.prices.load(bytes))?;
        load(&files.charges, |bytes| terms.prices.load_charges(bytes))?;
        load(&files.restricted, |bytes| terms.barred.load_restricted(bytes))?;
        load(&files.opted_out, |bytes| terms.barred.load_opted_out(bytes))?;
        load(&files.organisations, |bytes| terms.reference.load_organisations(bytes))?;
        terms.settings = self.settings(returns, requirements);
        Ok(terms)
    }

    fn settings(&self, returns: &ReturnsSection, requirements: Requirements) -> Option<Settings> {
        let provider = self.activity.provider.or_else(|| self.hub.ods.parse().ok())?;
        Some(Settings {
            provider,
            interchange_sender: returns.interchange_sender,
            interchange_receiver: returns.interchange_receiver,
            sender: returns.sender.unwrap_or(provider),
            recipient: returns.recipient,
            copy_recipients: returns.copy_recipients.clone(),
            is_production: returns.production,
            location_type: POLYCLINIC.parse().ok()?,
            local_issuers: returns.local_issuers.clone(),
            requirements,
        })
    }
}

fn load(
    path: &Option<PathBuf>,
    take: impl FnOnce(&[u8]) -> Result<usize, LoadError>,
) -> Result<(), ActivityFileError> {
    let Some(path) = path else { return Ok(()) };
    let fault = |reason: String| ActivityFileError { path: path.clone(), reason };
    let bytes = read_file(&RealDisk, path, FILE_BYTES_MAX).map_err(|error| fault(error.to_string()))?;
    let count = take(&bytes).map_err(|error| fault(error.to_string()))?;
    tracing::info!(file = %path.display(), count, "loaded for counting");
    Ok(())
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
    if let Some(returns) = &section.returns {
        match config.settings(returns, Requirements::standard()).map(|settings| settings.check()) {
            Some(Ok(())) => {}
            Some(Err(error)) => file.fault(SECTION, "returns", &error.to_string()),
            None => file.fault(SECTION, "provider", "an ODS code, for hub.ods is none"),
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
