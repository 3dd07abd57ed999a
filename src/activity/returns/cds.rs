//! CDS interchanges: headers and trailers (types 001 to 004 and 005N), and outpatients (types 020 and 021) of version
//! 6.2.
//!
//! The names of elements were seen in a published sample of an emergency care interchange and in classes that were
//! generated of the schema, whose text lies behind a log-in; that of [`OUTPATIENT`]'s outer element was not seen.

use std::io;

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use super::{
    Item, Settings,
    layout::{self, Node},
    record::{Coded, Identity, Record},
    xml::Xml,
};

const NAMESPACE: &str = "http://www.nhsia.nhs.uk/DataStandards/XMLschema/CDS/ns";

/// CDS INTERCHANGE CONTROL REFERENCE: one more with each interchange, and 1 after 9999999.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct ControlReference(u32);

/// The number is no control reference.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a control reference is 1 to {}", ControlReference::MAX)]
pub struct InvalidControlReference;

impl ControlReference {
    /// The last, before 1 comes again.
    pub const MAX: u32 = 9_999_999;
    /// The first.
    pub const FIRST: Self = Self(1);

    /// The one after it.
    #[must_use]
    pub const fn next(self) -> Self {
        if self.0 < Self::MAX { Self(self.0 + 1) } else { Self::FIRST }
    }
}

impl TryFrom<u32> for ControlReference {
    type Error = InvalidControlReference;

    fn try_from(number: u32) -> Result<Self, InvalidControlReference> {
        if (1..=Self::MAX).contains(&number) { Ok(Self(number)) } else { Err(InvalidControlReference) }
    }
}

impl From<ControlReference> for u32 {
    fn from(reference: ControlReference) -> Self {
        reference.0
    }
}

/// A version of the schema, as it names itself in an interchange. To be confirmed against an official release.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// SchemaVersion.
    pub version: &'static str,
    /// SchemaDate.
    pub date: &'static str,
    /// CDS MESSAGE VERSION NUMBER.
    pub message_version: &'static str,
    /// How the sender is named in a transaction's header.
    pub sender: &'static str,
    /// How the recipient is named there.
    pub recipient: &'static str,
    /// The name of the element for copy recipients; empty if there is none.
    pub copy_recipient: &'static str,
    /// The record.
    pub body: &'static [Node],
}

/// CDS version 6.2, outpatients.
pub const SCHEMA_6_2: Schema = Schema {
    version: "6-2-2",
    date: "2012-05-11",
    message_version: "CDS062",
    sender: "OrganisationCode_CDSSenderIdentity",
    recipient: "OrganisationCode_CDSPrimeRecipientIdentity",
    copy_recipient: "OrganisationCode_CDSCopyRecipientIdentity",
    body: &OUTPATIENT,
};

/// An interchange under way: messages go in, bytes come out.
pub struct Interchange<'a, W> {
    xml: Xml<W>,
    settings: &'a Settings,
    schema: &'static Schema,
    control: ControlReference,
    messages: u32,
}

impl<'a, W: io::Write> Interchange<'a, W> {
    /// Begins it, as prepared at a moment of London's clocks.
    ///
    /// # Errors
    /// If the bytes cannot be written; so for all of its functions.
    pub fn begin(
        out: W,
        settings: &'a Settings,
        schema: &'static Schema,
        control: ControlReference,
        prepared: DateTime,
    ) -> io::Result<Self> {
        let mut xml = Xml::begin(out, "ns:")?;
        let attributes =
            [("SchemaVersion", schema.version), ("SchemaDate", schema.date), ("xmlns:ns", NAMESPACE)];
        xml.open("CDS-XMLInterchange", &attributes)?;
        xml.open("CDSInterchangeHeader", &[])?;
        xml.text("CDSInterchangeSenderIdentity", settings.interchange_sender.as_str())?;
        xml.text("CDSInterchangeReceiverIdentity", settings.interchange_receiver.as_str())?;
        xml.text("CDSInterchangeControlReference", &format!("{:07}", control.0))?;
        xml.text("CDSInterchangeDateOfPreparation", &prepared.strftime("%Y-%m-%d").to_string())?;
        xml.text("CDSInterchangeTimeOfPreparation", &prepared.strftime("%H:%M:%S").to_string())?;
        xml.text("CDSInterchangeApplicationReference", "NHSCDS")?;
        xml.text("CDSInterchangeTestIndicator", if settings.is_production { "0" } else { "1" })?;
        xml.close()?;
        Ok(Self { xml, settings, schema, control, messages: 0 })
    }

    /// One message: the record as [`body`] wrote it, new or in place of an earlier one.
    ///
    /// # Errors
    /// If the bytes cannot be written.
    pub fn message(&mut self, record: &Record, body: &[u8]) -> io::Result<()> {
        self.head(record)?;
        self.xml.raw(body)?;
        self.foot()
    }

    /// One message that takes an earlier record back.
    ///
    /// # Errors
    /// If the bytes cannot be written.
    pub fn deletion(&mut self, record: &Record) -> io::Result<()> {
        self.head(record)?;
        self.xml.empty("DeleteTransaction")?;
        self.foot()
    }

    /// How many messages it has so far.
    pub const fn messages(&self) -> u32 {
        self.messages
    }

    /// Ends it.
    ///
    /// # Errors
    /// If the bytes cannot be written.
    pub fn end(mut self) -> io::Result<W> {
        self.xml.open("CDSInterchangeTrailer", &[])?;
        self.xml.text("CDSInterchangeControlReference", &format!("{:07}", self.control.0))?;
        self.xml.text("CDSInterchangeControlCount", &self.messages.to_string())?;
        self.xml.close()?;
        self.xml.close()?;
        self.xml.end()
    }

    fn head(&mut self, record: &Record) -> io::Result<()> {
        self.messages = self.messages.checked_add(1).ok_or_else(|| io::Error::other("too many messages"))?;
        let kind = record.get(Item::CdsType);
        let (provider, number) = (self.settings.provider.as_str(), self.messages);
        let xml = &mut self.xml;
        let attributes = [("CDSTypeCode", kind), ("CDSProtocolIdentifierCode", PROTOCOL)];
        xml.open("CDSNetChange-All-MessageTypes", &attributes)?;
        xml.open("CDSMessageHeader", &[])?;
        xml.text("CDSMessageType", "NHSCDS")?;
        xml.text("CDSMessageVersionNumber", self.schema.message_version)?;
        xml.text("CDSMessageReferenceNumber", &number.to_string())?;
        xml.text("CDSMessageRecordIdentifier", &format!("{provider:<7}{:07}{number:07}", self.control.0))?;
        xml.close()?;
        xml.open("CDSTransactionHeader_NetChange", &[])?;
        xml.text("CDSTypeCode", kind)?;
        xml.text("CDSProtocolIdentifierCode", PROTOCOL)?;
        xml.text("CDSUniqueIdentifier", record.get(Item::UniqueIdentifier))?;
        xml.text("CDSUpdateType", record.get(Item::UpdateType))?;
        xml.text("CDSApplicableDate", record.get(Item::ApplicableDate))?;
        xml.text("CDSApplicableTime", record.get(Item::ApplicableTime))?;
        xml.text("CDSActivityDate", record.get(Item::ActivityDate))?;
        xml.text(self.schema.sender, record.get(Item::Sender))?;
        xml.text(self.schema.recipient, record.get(Item::Recipient))?;
        if !self.schema.copy_recipient.is_empty() {
            for copy in &self.settings.copy_recipients {
                xml.text(self.schema.copy_recipient, copy.as_str())?;
            }
        }
        xml.close()
    }

    fn foot(&mut self) -> io::Result<()> {
        self.xml.open("CDSMessageTrailer", &[])?;
        self.xml.text("CDSMessageReferenceNumber", &self.messages.to_string())?;
        self.xml.close()?;
        self.xml.close()
    }
}

/// Net change: each record by its own identifier.
pub const PROTOCOL: &str = "010";

/// A record without its header, which differs each time: what two versions are compared by.
///
/// # Errors
/// Never for a `Vec`; the type says what writing can say.
pub fn body(record: &Record, schema: &Schema, into: &mut Vec<u8>) -> io::Result<()> {
    into.clear();
    layout::write(&mut Xml::within(into, "ns:"), schema.body, record)
}

const IDENTIFIED: [Node; 7] = [
    Node::Text("LocalPatientIdentifier", Item::LocalPatient),
    Node::Text("OrganisationCode_LocalPatientIdentifier", Item::LocalPatientIssuer),
    Node::Text("NHSNumber", Item::NhsNumber),
    Node::Text("NHSNumberStatusIndicatorCode", Item::NumberStatus),
    Node::Text("PostcodeOfUsualAddress", Item::Postcode),
    Node::Text("OrganisationCode_ResidenceResponsibility", Item::Residence),
    Node::Text("PersonBirthDate", Item::BirthDate),
];
const WITHHELD: [Node; 3] = [
    Node::Text("NHSNumberStatusIndicatorCode", Item::NumberStatus),
    Node::Text("OrganisationCode_ResidenceResponsibility", Item::Residence),
    Node::Text("WithheldIdentityReason", Item::WithheldReason),
];
const PATHWAY: [Node; 2] = [
    Node::Group(
        "PatientPathwayIdentity",
        &[
            Node::Text("UniqueBookingReferenceNumber_Converted", Item::BookingReference),
            Node::Text("PatientPathwayIdentifier", Item::Pathway),
            Node::Text("OrganisationCode_PatientPathwayIdentifierIssuer", Item::PathwayIssuer),
        ],
    ),
    Node::Group(
        "RTTPeriodCharacteristics",
        &[
            Node::Text("ReferralToTreatmentPeriod_Status", Item::TreatmentStatus),
            Node::Text("WaitingTimeMeasurementType", Item::WaitingMeasure),
            Node::Text("ReferralToTreatmentPeriod_StartDate", Item::TreatmentStart),
            Node::Text("ReferralToTreatmentPeriod_EndDate", Item::TreatmentEnd),
        ],
    ),
];
const PATIENT: [Node; 2] = [
    Node::Group(
        "PatientIdentity",
        &[
            Node::Identity(Identity::Withheld, "WithheldIdentity_Structure", &WITHHELD),
            Node::Identity(Identity::Verified, "VerifiedIdentity_Structure", &IDENTIFIED),
            Node::Identity(Identity::Unverified, "UnverifiedIdentity_Structure", &IDENTIFIED),
        ],
    ),
    Node::Group(
        "PatientCharacteristics",
        &[
            Node::Text("PersonGenderCodeCurrent", Item::Gender),
            Node::Text("CarerSupportIndicator", Item::CarerSupport),
            Node::Text("EthnicCategory", Item::EthnicCategory),
        ],
    ),
];
const ATTENDANCE: [Node; 16] = [
    Node::Text("AttendanceIdentifier", Item::Attendance),
    Node::Text("AdministrativeCategoryCode", Item::AdministrativeCategory),
    Node::Text("AttendedOrDidNotAttendCode", Item::Attended),
    Node::Text("FirstAttendanceCode", Item::FirstAttendance),
    Node::Text("MedicalStaffTypeSeeingPatient", Item::StaffType),
    Node::Text("OperationStatusCode", Item::OperationStatus),
    Node::Text("OutcomeOfAttendanceCode", Item::Outcome),
    Node::Text("AppointmentDate", Item::AppointmentDate),
    Node::Text("AppointmentTime", Item::AppointmentTime),
    Node::Text("ExpectedDurationOfAppointment", Item::Duration),
    Node::Text("AgeAtCDSActivityDate", Item::Age),
    Node::Text("OverseasVisitorStatusClassificationAtCDSActivityDate", Item::OverseasVisitor),
    Node::Text("EarliestReasonableOfferDate", Item::EarliestOffer),
    Node::Text("EarliestClinicallyAppropriateDate", Item::EarliestAppropriate),
    Node::Text("ConsultationMediumUsed", Item::Medium),
    Node::Text("MultiProfOrDiscIndCode", Item::MultiProfessional),
];
const AGREEMENT: [Node; 6] = [
    Node::Text("CommissioningSerialNumber", Item::SerialNumber),
    Node::Text("NHSServiceAgreementLineNumber", Item::AgreementLine),
    Node::Text("ProviderReferenceNumber", Item::ProviderReference),
    Node::Text("CommissionerReferenceNumber", Item::CommissionerReference),
    Node::Text("OrganisationCode_CodeOfProvider", Item::Provider),
    Node::Text("OrganisationCode_CodeOfCommissioner", Item::Commissioner),
];
const CARE: [Node; 4] = [
    Node::Group("ActivityCharacteristics", &ATTENDANCE),
    Node::Group("ServiceAgreementDetails", &AGREEMENT),
    Node::Group(
        "ClinicalActivityDetails",
        &[
            Node::Scheme(Coded::Procedures, "ProcedureSchemeInUse", "02"),
            Node::First(Coded::Procedures, "PrimaryProcedure_OPCS"),
            Node::Codes {
                list: Coded::Procedures,
                skip: 1,
                group: "",
                element: "SecondaryProcedure_OPCS",
                sequence: "",
            },
        ],
    ),
    Node::Group(
        "AttendanceLocationGroup",
        &[
            Node::Text("LocationClass", Item::LocationClass),
            Node::Text("SiteCodeOfTreatment", Item::Site),
            Node::Text("ActivityLocationType", Item::LocationType),
            Node::Text("ClinicCode", Item::Clinic),
        ],
    ),
];
const REFERRAL: [Node; 2] = [
    Node::Group(
        "ActivityCharacteristics",
        &[
            Node::Text("PriorityTypeCode", Item::Priority),
            Node::Text("ServiceTypeRequestedCode", Item::ServiceRequested),
            Node::Text("SourceOfReferralForOut_Patients", Item::ReferralSource),
            Node::Text("ReferralRequestReceivedDate", Item::ReferralReceived),
        ],
    ),
    Node::Group(
        "Referrer",
        &[
            Node::Text("ReferrerCode", Item::Referrer),
            Node::Text("ReferringOrganisationCode", Item::ReferringOrganisation),
        ],
    ),
];
/// The record of types 020 and 021, in the order of the data set's groups.
pub const OUTPATIENT: [Node; 1] = [Node::Group(
    "OutpatientAttendance",
    &[
        Node::Group("PatientPathway", &PATHWAY),
        Node::Group("PersonGroupPatient", &PATIENT),
        Node::Group(
            "PersonGroupConsultant",
            &[
                Node::Text("ConsultantCode", Item::Consultant),
                Node::Text("CareProfessionalMainSpecialtyCode", Item::MainSpecialty),
                Node::Text("ActivityTreatmentFunctionCode", Item::TreatmentFunction),
                Node::Text("LocalSubSpecialtyCode", Item::SubSpecialty),
            ],
        ),
        Node::Group(
            "ClinicalDiagnosisDetails",
            &[
                Node::Scheme(Coded::Diagnoses, "DiagnosisSchemeInUse", "02"),
                Node::First(Coded::Diagnoses, "PrimaryDiagnosis_ICD"),
                Node::Codes {
                    list: Coded::Diagnoses,
                    skip: 1,
                    group: "",
                    element: "SecondaryDiagnosis_ICD",
                    sequence: "",
                },
            ],
        ),
        Node::Group("CareAttendance", &CARE),
        Node::Group(
            "GPRegistration",
            &[
                Node::Text("GeneralMedicalPractitioner_Specified", Item::Practitioner),
                Node::Text("GeneralMedicalPractice_PatientRegistration", Item::Practice),
            ],
        ),
        Node::Group("OutpatientReferral", &REFERRAL),
    ],
)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_reference_comes_round_to_one() {
        assert_eq!(ControlReference::FIRST.next(), ControlReference(2));
        let last = ControlReference::try_from(9_999_999).unwrap();
        assert_eq!(last.next(), ControlReference::FIRST);
        assert!(ControlReference::try_from(0).is_err() && ControlReference::try_from(10_000_000).is_err());
    }
}
