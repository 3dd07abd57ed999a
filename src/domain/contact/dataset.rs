//! The returns in which a contact can be counted, and what became of it there.

use serde::{Deserialize, Serialize};

use super::words::words;

words! {
    /// A national return.
    pub enum Dataset {
        /// General practice appointments data; the systems' suppliers extract it.
        Gpad = "gpad",
        /// Commissioning data set type 020: outpatient attendance, cancelled or missed appointment.
        Cds020 = "cds-020",
        /// Commissioning data set type 021: future outpatient appointment, in version 6.2 only.
        Cds021 = "cds-021",
        /// Community services data set.
        Csds = "csds",
        /// Emergency care data set (CDS type 011).
        Ecds = "ecds",
        /// Integrated urgent care aggregate data collection; its provider submits it.
        IucAdc = "iuc-adc",
        /// Mental health services data set; the mental health system submits it.
        Mhsds = "mhsds",
        /// Diagnostic imaging data set.
        Dids = "dids",
    }
}

/// What the receiver of a return said of a contact in it.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Acceptance {
    /// Nothing yet: not sent, or not answered.
    #[default]
    Awaiting,
    /// It was taken.
    Accepted,
    /// It was not, and why, in the receiver's words without patient data.
    Rejected(String),
}
