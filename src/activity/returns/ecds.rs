//! Emergency care, ECDS version 4 (CDS type 011).
//!
//! The names of its items are those of version 4; those of the groups around them are those of the published sample of
//! an earlier version, and to be confirmed.

use super::{
    Item,
    cds::Schema,
    layout::Node,
    record::{Coded, Identity},
};

/// ECDS version 4.
pub const SCHEMA_4: Schema = Schema {
    version: "4-0",
    date: "2023-02-22",
    message_version: "ECDS04",
    sender: "OrganisationIdentifier_CDSSender",
    recipient: "OrganisationIdentifier_CDSRecipient",
    copy_recipient: "",
    body: &EMERGENCY_CARE,
};

const IDENTIFIED: [Node; 2] = [
    Node::Group(
        "LocalIdentifierStructure",
        &[
            Node::Text("LocalPatientIdentifier_Extended", Item::LocalPatientExtended),
            Node::Text("OrganisationIdentifier_LocalPatientIdentifier", Item::LocalPatientIssuer),
        ],
    ),
    Node::Group(
        "DataElementStructure",
        &[
            Node::Text("NHSNumber", Item::NhsNumber),
            Node::Text("NHSNumberStatusIndicatorCode", Item::NumberStatus),
            Node::Text("PostcodeOfUsualAddress", Item::Postcode),
            Node::Text("OrganisationIdentifier_ResidenceResponsibility", Item::Residence),
            Node::Text("PersonBirthDate", Item::BirthDate),
        ],
    ),
];
const WITHHELD: [Node; 3] = [
    Node::Text("NHSNumberStatusIndicatorCode", Item::NumberStatus),
    Node::Text("OrganisationIdentifier_ResidenceResponsibility", Item::Residence),
    Node::Text("WithheldIdentityReason", Item::WithheldReason),
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
        "PatientCharacteristics_EmergencyCare",
        &[
            Node::Text("PersonStatedGenderCode", Item::Gender),
            Node::Text("EthnicCategory", Item::EthnicCategory),
            Node::Text("PreferredSpokenLanguage_SnomedCt", Item::Language),
        ],
    ),
];
const ACTIVITY: [Node; 11] = [
    Node::Text("UrgentAndEmergencyCareActivityIdentifier", Item::Attendance),
    Node::Text("ConsultationMechanism_UrgentAndEmergencyCare", Item::Mechanism),
    Node::Text("UrgentAndEmergencyCareArrivalMode_SnomedCt", Item::ArrivalMode),
    Node::Text("UrgentAndEmergencyCareAttendanceCategory", Item::AttendanceCategory),
    Node::Text("UrgentAndEmergencyCareAttendanceSource_SnomedCt", Item::AttendanceSource),
    Node::Text("UrgentAndEmergencyCareActivityStartDateAndTime", Item::ArrivedAt),
    Node::Text("AgeAtCDSActivityDate", Item::Age),
    Node::Text("UrgentAndEmergencyCareInitialAssessmentTimestamp", Item::AssessedAt),
    Node::Text("UrgentAndEmergencyCareAcuity_SnomedCt", Item::Acuity),
    Node::Text("UrgentAndEmergencyCareChiefComplaint_SnomedCt", Item::ChiefComplaint),
    Node::Text("UrgentAndEmergencyCareTimestampSeenForTreatment", Item::SeenAt),
];
const OCCURRENCE: [Node; 6] = [
    Node::Group("EmergencyCareAttendanceActivityCharacteristics", &ACTIVITY),
    Node::Group(
        "ServiceAgreementDetails",
        &[
            Node::Text("OrganisationIdentifier_CodeOfProvider", Item::Provider),
            Node::Text("OrganisationIdentifier_CodeOfCommissioner", Item::Commissioner),
            Node::Text("NHSServiceAgreementLineIdentifier", Item::AgreementLine),
            Node::Text("ProviderReferenceIdentifier", Item::ProviderReference),
            Node::Text("CommissionerReferenceIdentifier", Item::CommissionerReference),
        ],
    ),
    Node::Codes {
        list: Coded::Diagnoses,
        skip: 0,
        group: "UrgentAndEmergencyCareDiagnoses_SnomedCt",
        element: "UrgentAndEmergencyCareDiagnosis_SnomedCt",
        sequence: "CodedClinicalEntrySequenceNumber",
    },
    Node::Codes {
        list: Coded::Investigations,
        skip: 0,
        group: "UrgentAndEmergencyCareInvestigations_SnomedCt",
        element: "UrgentAndEmergencyCareClinicalInvestigation_SnomedCt",
        sequence: "",
    },
    Node::Codes {
        list: Coded::Procedures,
        skip: 0,
        group: "UrgentAndEmergencyCareTreatments_SnomedCt",
        element: "UrgentAndEmergencyCareProcedure_SnomedCt",
        sequence: "",
    },
    Node::Group(
        "DischargeFromEmergencyCare",
        &[
            Node::Text("UrgentAndEmergencyCareDischargeStatus_SnomedCt", Item::DischargeStatus),
            Node::Text("UrgentAndEmergencyCareActivityEndTimestamp", Item::LeftAt),
            Node::Text("UrgentAndEmergencyCareDischargeDestination_SnomedCt", Item::DischargeDestination),
            Node::Text("UrgentAndEmergencyCareDischargeFollowUp_SnomedCt", Item::DischargeFollowUp),
        ],
    ),
];
/// The record of type 011.
pub const EMERGENCY_CARE: [Node; 1] = [Node::Group(
    "EmergencyCare",
    &[
        Node::Group("PersonGroupPatient", &PATIENT),
        Node::Group(
            "GPRegistration",
            &[
                Node::Text("GeneralMedicalPractitioner_Specified", Item::Practitioner),
                Node::Text("GeneralMedicalPractice_PatientRegistration", Item::Practice),
            ],
        ),
        Node::Group(
            "EmergencyCareAttendanceLocation",
            &[
                Node::Text("OrganisationSiteIdentifier_OfTreatment", Item::Site),
                Node::Text("UrgentAndEmergencyCareActivityType", Item::DepartmentType),
            ],
        ),
        Node::Group("AttendanceOccurrence", &OCCURRENCE),
    ],
)];
