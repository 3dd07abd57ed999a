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
    flow::ask::{Asked, GpSystem},
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

/// One practice's system, as the configuration describes it.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its name in the configuration.
    pub name: String,
    /// Whose make it is.
    pub profile: &'static Profile,
    /// ODS code of the practice.
    pub practice: String,
    /// The practice's FHIR address for patients and appointments, as the Spine directory gives it.
    pub address: String,
    /// The one for records, where it is another.
    pub records_address: Option<String>,
    /// The Spine Secure Proxy; none asks the practice directly.
    pub proxy: Option<HttpUrl>,
    /// This hub's accredited system id: `Ssp-From`.
    pub asid: String,
    /// The practice's: `Ssp-To`.
    pub practice_asid: String,
    /// This hub's own address in the directory: the token's issuer.
    pub issuer: String,
    /// Which parts of records are asked for.
    pub parts: Vec<RecordPart>,
    /// Whether coming appointments are asked for with a record.
    pub appointments_with_record: bool,
    /// How long an answer may take.
    pub answer_within: Duration,
}

impl Options {
    /// How long a practice may take for an answer unless configured otherwise: whole records are slow.
    pub const ANSWER_WITHIN: Duration = Duration::from_secs(30);
}

/// The description of a practice's system cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OptionsError {
    /// An address is none.
    #[error(transparent)]
    Address(#[from] HttpUrlError),
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
    /// An address is none.
    pub fn new(
        options: Options,
        tls: Option<&ClientTls>,
        clock: Arc<dyn Clock>,
        entropy: Entropy,
    ) -> Result<Self, OptionsError> {
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
}
