//! The data items of which returns are made, with the lengths that their definitions allow.

/// What an item holds, and so how it is written where it has a fixed width.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Text, left-aligned.
    Text,
    /// A day, `YYYY-MM-DD`; eight digits in a fixed width.
    Date,
    /// A time of day, `HH:MM:SS`; six digits in a fixed width.
    Time,
    /// Day and time of day with its distance from UTC.
    Moment,
    /// A number, right-aligned with zeros in a fixed width.
    Number,
}

macro_rules! items {
    ($($value:ident = $name:literal, $kind:ident, $length:literal;)+) => {
        /// A data item, by its name in the NHS Data Dictionary.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum Item {
            $(#[doc = $name] $value,)+
        }

        impl Item {
            /// Every item.
            pub const ALL: &'static [Self] = &[$(Self::$value,)+];

            /// Its name in the NHS Data Dictionary.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$value => $name,)+
                }
            }

            /// What it holds.
            pub const fn kind(self) -> Kind {
                match self {
                    $(Self::$value => Kind::$kind,)+
                }
            }

            /// The most characters it can hold.
            pub const fn length_max(self) -> usize {
                match self {
                    $(Self::$value => $length,)+
                }
            }

            /// Its place among all items.
            pub(super) const fn place(self) -> usize {
                match self {
                    $(Self::$value => Place::$value as usize,)+
                }
            }
        }

        enum Place {
            $($value,)+
        }
    };
}

items! {
    CdsType = "CDS TYPE CODE", Text, 3;
    UniqueIdentifier = "CDS UNIQUE IDENTIFIER", Text, 35;
    UpdateType = "CDS UPDATE TYPE", Text, 1;
    ApplicableDate = "CDS APPLICABLE DATE", Date, 10;
    ApplicableTime = "CDS APPLICABLE TIME", Time, 8;
    ActivityDate = "CDS ACTIVITY DATE", Date, 10;
    Sender = "CDS SENDER IDENTITY", Text, 12;
    Recipient = "CDS PRIME RECIPIENT IDENTITY", Text, 12;
    BookingReference = "UNIQUE BOOKING REFERENCE NUMBER (CONVERTED)", Text, 12;
    Pathway = "PATIENT PATHWAY IDENTIFIER", Text, 20;
    PathwayIssuer = "ORGANISATION CODE (PATIENT PATHWAY IDENTIFIER ISSUER)", Text, 5;
    TreatmentStatus = "REFERRAL TO TREATMENT PERIOD STATUS", Text, 2;
    WaitingMeasure = "WAITING TIME MEASUREMENT TYPE", Text, 2;
    TreatmentStart = "REFERRAL TO TREATMENT PERIOD START DATE", Date, 10;
    TreatmentEnd = "REFERRAL TO TREATMENT PERIOD END DATE", Date, 10;
    LocalPatient = "LOCAL PATIENT IDENTIFIER", Text, 10;
    LocalPatientExtended = "LOCAL PATIENT IDENTIFIER (EXTENDED)", Text, 20;
    LocalPatientIssuer = "ORGANISATION CODE (LOCAL PATIENT IDENTIFIER)", Text, 5;
    NumberStatus = "NHS NUMBER STATUS INDICATOR CODE", Text, 2;
    NhsNumber = "NHS NUMBER", Text, 10;
    WithheldFlag = "withheld flag of the flat layout", Text, 1;
    WithheldReason = "WITHHELD IDENTITY REASON", Text, 2;
    BirthDate = "PERSON BIRTH DATE", Date, 10;
    DeathDate = "PERSON DEATH DATE", Date, 10;
    Postcode = "POSTCODE OF USUAL ADDRESS", Text, 8;
    Residence = "ORGANISATION CODE (RESIDENCE RESPONSIBILITY)", Text, 5;
    Gender = "PERSON GENDER CODE CURRENT", Text, 1;
    EthnicCategory = "ETHNIC CATEGORY", Text, 2;
    CarerSupport = "CARER SUPPORT INDICATOR", Text, 2;
    Language = "LANGUAGE CODE", Text, 18;
    SerialNumber = "COMMISSIONING SERIAL NUMBER", Text, 6;
    AgreementLine = "NHS SERVICE AGREEMENT LINE NUMBER", Text, 10;
    ProviderReference = "PROVIDER REFERENCE NUMBER", Text, 17;
    CommissionerReference = "COMMISSIONER REFERENCE NUMBER", Text, 17;
    Provider = "ORGANISATION CODE (CODE OF PROVIDER)", Text, 6;
    Commissioner = "ORGANISATION CODE (CODE OF COMMISSIONER)", Text, 5;
    Practitioner = "GENERAL MEDICAL PRACTITIONER (SPECIFIED)", Text, 8;
    Practice = "GENERAL MEDICAL PRACTICE CODE (PATIENT REGISTRATION)", Text, 6;
    Referrer = "REFERRER CODE", Text, 8;
    ReferringOrganisation = "REFERRING ORGANISATION CODE", Text, 6;
    Priority = "PRIORITY TYPE CODE", Text, 1;
    ServiceRequested = "SERVICE TYPE REQUESTED CODE", Text, 1;
    ReferralSource = "SOURCE OF REFERRAL FOR OUT-PATIENTS", Text, 2;
    ReferralReceived = "REFERRAL REQUEST RECEIVED DATE", Date, 10;
    Consultant = "CONSULTANT CODE", Text, 8;
    MainSpecialty = "CARE PROFESSIONAL MAIN SPECIALTY CODE", Text, 3;
    TreatmentFunction = "ACTIVITY TREATMENT FUNCTION CODE", Text, 3;
    SubSpecialty = "LOCAL SUB-SPECIALTY CODE", Text, 8;
    Attendance = "ATTENDANCE IDENTIFIER", Text, 12;
    AdministrativeCategory = "ADMINISTRATIVE CATEGORY CODE", Text, 2;
    Attended = "ATTENDED OR DID NOT ATTEND CODE", Text, 1;
    FirstAttendance = "FIRST ATTENDANCE CODE", Text, 1;
    StaffType = "MEDICAL STAFF TYPE SEEING PATIENT", Text, 2;
    OperationStatus = "OPERATION STATUS CODE", Text, 1;
    Outcome = "OUTCOME OF ATTENDANCE CODE", Text, 1;
    AppointmentDate = "APPOINTMENT DATE", Date, 10;
    AppointmentTime = "APPOINTMENT TIME", Time, 8;
    Duration = "EXPECTED DURATION OF APPOINTMENT", Number, 3;
    Age = "AGE AT CDS ACTIVITY DATE", Number, 3;
    OverseasVisitor = "OVERSEAS VISITOR STATUS CLASSIFICATION AT CDS ACTIVITY DATE", Text, 1;
    EarliestOffer = "EARLIEST REASONABLE OFFER DATE", Date, 10;
    EarliestAppropriate = "EARLIEST CLINICALLY APPROPRIATE DATE", Date, 10;
    Medium = "CONSULTATION MEDIUM USED", Text, 2;
    MultiProfessional = "MULTI-PROFESSIONAL OR MULTI-DISCIPLINARY INDICATION CODE", Text, 1;
    LocationClass = "LOCATION CLASS", Text, 2;
    Site = "SITE CODE (OF TREATMENT)", Text, 9;
    LocationType = "ACTIVITY LOCATION TYPE CODE", Text, 3;
    Clinic = "CLINIC CODE", Text, 12;
    AttendanceStatus = "ATTENDANCE STATUS", Text, 1;
    ConsultationType = "CONSULTATION TYPE", Text, 2;
    Mechanism = "CONSULTATION MECHANISM", Text, 2;
    CareContact = "CARE CONTACT IDENTIFIER", Text, 20;
    Referral = "SERVICE REQUEST IDENTIFIER", Text, 20;
    ReferralClosed = "SERVICE DISCHARGE DATE", Date, 10;
    Team = "CARE PROFESSIONAL TEAM LOCAL IDENTIFIER", Text, 20;
    Clinician = "CARE PROFESSIONAL LOCAL IDENTIFIER", Text, 20;
    Group = "GROUP THERAPY INDICATOR", Text, 1;
    CancellationReason = "CARE CONTACT CANCELLATION REASON", Text, 2;
    ReplacementOffered = "REPLACEMENT APPOINTMENT DATE OFFERED", Date, 10;
    ReplacementBooked = "REPLACEMENT APPOINTMENT BOOKED DATE", Date, 10;
    DepartmentType = "EMERGENCY CARE DEPARTMENT TYPE", Text, 2;
    ArrivalMode = "EMERGENCY CARE ARRIVAL MODE (SNOMED CT)", Text, 18;
    AttendanceCategory = "EMERGENCY CARE ATTENDANCE CATEGORY", Text, 1;
    AttendanceSource = "EMERGENCY CARE ATTENDANCE SOURCE (SNOMED CT)", Text, 18;
    ArrivedAt = "EMERGENCY CARE ARRIVAL DATE AND TIME", Moment, 25;
    AssessedAt = "EMERGENCY CARE INITIAL ASSESSMENT DATE AND TIME", Moment, 25;
    SeenAt = "EMERGENCY CARE DATE AND TIME SEEN FOR TREATMENT", Moment, 25;
    LeftAt = "EMERGENCY CARE DEPARTURE DATE AND TIME", Moment, 25;
    Acuity = "EMERGENCY CARE ACUITY (SNOMED CT)", Text, 18;
    ChiefComplaint = "EMERGENCY CARE CHIEF COMPLAINT (SNOMED CT)", Text, 18;
    DischargeStatus = "EMERGENCY CARE DISCHARGE STATUS (SNOMED CT)", Text, 18;
    DischargeDestination = "EMERGENCY CARE DISCHARGE DESTINATION (SNOMED CT)", Text, 18;
    DischargeFollowUp = "EMERGENCY CARE DISCHARGE FOLLOW UP (SNOMED CT)", Text, 18;
    PointOfDelivery = "POINT OF DELIVERY CODE", Text, 10;
    Tariff = "TARIFF CODE", Text, 10;
}

impl Item {
    /// The item of a name in the dictionary; none if there is none.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|item| item.name() == name)
    }
}
