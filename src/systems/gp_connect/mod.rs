//! A general practice's system over GP Connect: FHIR STU3, asked through the Spine Secure Proxy or directly.
//!
//! Access Record Structured 1.6.0 (and what 1.2 knows of it), Appointment Management and Foundations 1.2.7. What
//! distinguishes EMIS from Vision is in a [`Profile`]; see `emis.rs` and `vision.rs`.

mod appointments;
mod booking;
mod exchange;
pub mod fault;
mod interaction;
pub mod local_time;
pub mod map;
mod patients;
mod record;
#[cfg(test)]
pub(crate) mod tests;
pub mod token;
mod watch;

use std::{sync::Arc, time::Duration};

pub use interaction::Interaction;
pub use record::RecordPart;

use crate::{
    codec::fhir::Format,
    domain::{
        actor::Requester,
        nhs_number::NhsNumber,
        record::Snapshot,
        slot::{Amendment, BookedAppointment, Booking, FreeSlot, PatientAtSystem, Registration, SlotQuery},
    },
    flow::ask::{Asked, Contact, GpSystem},
    sys::{clock::Clock, entropy::Entropy, http::HttpUrl, http::HttpUrlError, tls::ClientTls},
};

use exchange::Exchange;

/// What is particular to one supplier's systems.
#[derive(Debug, Eq, PartialEq)]
pub struct Profile {
    /// The kind of system, as people name it.
    pub kind: &'static str,
    /// Which format is asked for and sent. Answers are read in either.
    pub format: Format,
    /// Code systems of its own: codes in them mean nothing elsewhere.
    pub local_code_systems: &'static [&'static str],
}

/// One practice's system, as the configuration describes it: an entry of `[[emis]]` or `[[vision]]`.
#[derive(Clone, Debug)]
pub struct Options {
    /// `name`: what the hub calls it.
    pub name: String,
    /// Whose make it is, by the list the entry stands in.
    pub profile: &'static Profile,
    /// `ods`: ODS code of the practice.
    pub practice: String,
    /// `gp-connect`: the practice's FHIR address for patients and appointments, as the Spine directory gives it.
    pub address: String,
    /// `gp-connect-records`: the one for records, where the directory gives another.
    pub records_address: Option<String>,
    /// `[gp-connect] proxy`: the Spine Secure Proxy; none asks the practice directly.
    pub proxy: Option<HttpUrl>,
    /// `[gp-connect] asid`: this hub's accredited system id, twelve digits: `Ssp-From`. Blank for trials without
    /// the proxy: the header is then left out.
    pub asid: String,
    /// `asid`: the practice's: `Ssp-To`. Blank likewise.
    pub practice_asid: String,
    /// `[gp-connect] issuer`: this hub's own `https://` address, which the token names as its issuer.
    pub issuer: String,
    /// Which parts of records are asked for: [`RecordPart::ALL`], unless there is a reason for less.
    pub parts: Vec<RecordPart>,
    /// Whether coming appointments are asked for with a record.
    pub appointments_with_record: bool,
    /// How long an answer may take.
    pub answer_within: Duration,
}

impl Options {
    /// How long a practice may take for an answer unless configured otherwise: whole records are slow.
    pub const ANSWER_WITHIN: Duration = Duration::from_secs(30);

    /// Whether everything is there that a practice asks for.
    ///
    /// # Errors
    /// Names what is missing or wrong, by its configuration key.
    pub fn check(&self) -> Result<(), OptionsError> {
        for (whose, asid) in [("[gp-connect]", &self.asid), ("the practice", &self.practice_asid)] {
            let digits = asid.len() == 12 && asid.bytes().all(|byte| byte.is_ascii_digit());
            if !(digits || asid.is_empty() && self.proxy.is_none()) {
                return Err(OptionsError::Asid(whose));
            }
        }
        if !self.issuer.starts_with("https://") || self.issuer.contains(char::is_whitespace) {
            return Err(OptionsError::Issuer);
        }
        if self.practice.is_empty() || !self.practice.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(OptionsError::Practice);
        }
        if self.parts.is_empty() {
            return Err(OptionsError::NoParts);
        }
        let addresses = [Some(&self.address), self.records_address.as_ref()];
        addresses.into_iter().flatten().try_for_each(|text| HttpUrl::parse(text).map(drop))?;
        Ok(())
    }
}

/// The description of a practice's system cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OptionsError {
    /// An address is none.
    #[error("gp-connect: {0}")]
    Address(#[from] HttpUrlError),
    /// An accredited system id is none.
    #[error("asid of {0}: an accredited system id has twelve digits, and the proxy wants both")]
    Asid(&'static str),
    /// The token's issuer is no address.
    #[error("issuer: this hub's address in the Spine directory is written https://host/path")]
    Issuer,
    /// The practice's code is none.
    #[error("ods: an ODS code has letters and digits")]
    Practice,
    /// Nothing would be asked for.
    #[error("parts: name at least one part of the record")]
    NoParts,
}

/// A practice's system that can be asked.
#[derive(Debug)]
pub struct GpConnect {
    options: Options,
    exchange: Exchange,
}

impl GpConnect {
    /// Ready to ask; connects at the first question. `tls` is wanted unless the address is on loopback.
    ///
    /// # Errors
    /// See [`Options::check`].
    pub fn new(
        options: Options,
        tls: Option<&ClientTls>,
        clock: Arc<dyn Clock>,
        entropy: Entropy,
    ) -> Result<Self, OptionsError> {
        options.check()?;
        let exchange = Exchange::new(&options, tls, clock, entropy)?;
        Ok(Self { options, exchange })
    }
}

impl GpSystem for GpConnect {
    fn name(&self) -> &str {
        &self.options.name
    }

    fn practice(&self) -> &str {
        &self.options.practice
    }

    fn record<'a>(&'a self, who: &'a Requester, patient: NhsNumber) -> Asked<'a, Snapshot> {
        Box::pin(self.ask_record(who, patient))
    }

    fn find_patient<'a>(&'a self, who: &'a Requester, patient: NhsNumber) -> Asked<'a, PatientAtSystem> {
        Box::pin(self.ask_patient(who, patient))
    }

    fn register<'a>(&'a self, who: &'a Requester, patient: &'a Registration) -> Asked<'a, PatientAtSystem> {
        Box::pin(self.ask_registration(who, patient))
    }

    fn slots<'a>(&'a self, who: &'a Requester, query: &'a SlotQuery) -> Asked<'a, Vec<FreeSlot>> {
        Box::pin(self.ask_slots(who, query))
    }

    fn book<'a>(&'a self, who: &'a Requester, booking: &'a Booking) -> Asked<'a, BookedAppointment> {
        Box::pin(self.ask_booking(who, booking))
    }

    fn appointments<'a>(
        &'a self,
        who: &'a Requester,
        patient: &'a PatientAtSystem,
        until: &'a str,
    ) -> Asked<'a, Vec<BookedAppointment>> {
        Box::pin(self.ask_appointments(who, patient, until))
    }

    fn read<'a>(
        &'a self,
        who: &'a Requester,
        patient: &'a PatientAtSystem,
        id: &'a str,
    ) -> Asked<'a, BookedAppointment> {
        Box::pin(self.ask_appointment(who, patient, id))
    }

    fn amend<'a>(
        &'a self,
        who: &'a Requester,
        patient: &'a PatientAtSystem,
        appointment: &'a BookedAppointment,
        amendment: &'a Amendment,
    ) -> Asked<'a, BookedAppointment> {
        Box::pin(self.ask_amendment(who, patient, appointment, amendment))
    }

    fn cancel<'a>(
        &'a self,
        who: &'a Requester,
        patient: &'a PatientAtSystem,
        appointment: &'a BookedAppointment,
        reason: &'a str,
    ) -> Asked<'a, BookedAppointment> {
        Box::pin(self.ask_cancellation(who, patient, appointment, reason))
    }

    fn complaints(&self) -> Vec<String> {
        let skew = self.exchange.skew();
        skew.map(|seconds| format!("{}: {}", self.options.name, exchange::skew_words(seconds)))
            .into_iter()
            .collect()
    }

    fn contact(&self) -> Contact {
        self.exchange.contact()
    }
}
