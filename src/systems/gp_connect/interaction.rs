//! What GP Connect lets a consumer do, with the names and headers each deed has (GP Connect 1.2.7 and 1.6.0).

/// One deed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Interaction {
    /// Foundations: Read the capability statement.
    Capabilities,
    /// Foundations: Find a patient.
    FindPatient,
    /// Foundations: Register a patient, as a temporary one.
    RegisterPatient,
    /// Access Record Structured: Retrieve a patient's structured record.
    StructuredRecord,
    /// Appointment Management: Search for free slots.
    FreeSlots,
    /// Appointment Management: Book an appointment.
    Book,
    /// Appointment Management: Retrieve a patient's appointments.
    PatientAppointments,
    /// Appointment Management: Read an appointment.
    ReadAppointment,
    /// Appointment Management: Amend an appointment.
    Amend,
    /// Appointment Management: Cancel an appointment.
    Cancel,
}

impl Interaction {
    /// Every deed.
    pub const ALL: [Self; 10] = [
        Self::Capabilities,
        Self::FindPatient,
        Self::RegisterPatient,
        Self::StructuredRecord,
        Self::FreeSlots,
        Self::Book,
        Self::PatientAppointments,
        Self::ReadAppointment,
        Self::Amend,
        Self::Cancel,
    ];

    /// `Ssp-InteractionID`.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Capabilities => "urn:nhs:names:services:gpconnect:fhir:rest:read:metadata-1",
            Self::FindPatient => "urn:nhs:names:services:gpconnect:fhir:rest:search:patient-1",
            Self::RegisterPatient => "urn:nhs:names:services:gpconnect:fhir:operation:gpc.registerpatient-1",
            Self::StructuredRecord => {
                "urn:nhs:names:services:gpconnect:fhir:operation:gpc.getstructuredrecord-1"
            }
            Self::FreeSlots => "urn:nhs:names:services:gpconnect:fhir:rest:search:slot-1",
            Self::Book => "urn:nhs:names:services:gpconnect:fhir:rest:create:appointment-1",
            Self::PatientAppointments => {
                "urn:nhs:names:services:gpconnect:fhir:rest:search:patient_appointments-1"
            }
            Self::ReadAppointment => "urn:nhs:names:services:gpconnect:fhir:rest:read:appointment-1",
            Self::Amend => "urn:nhs:names:services:gpconnect:fhir:rest:update:appointment-1",
            Self::Cancel => "urn:nhs:names:services:gpconnect:fhir:rest:cancel:appointment-1",
        }
    }

    /// The HTTP method.
    pub const fn method(self) -> &'static str {
        match self {
            Self::Capabilities
            | Self::FindPatient
            | Self::FreeSlots
            | Self::PatientAppointments
            | Self::ReadAppointment => "GET",
            Self::RegisterPatient | Self::StructuredRecord | Self::Book => "POST",
            Self::Amend | Self::Cancel => "PUT",
        }
    }

    /// The token's `requested_scope`.
    pub const fn scope(self) -> &'static str {
        match self {
            Self::Capabilities | Self::FreeSlots => "organization/*.read",
            Self::RegisterPatient | Self::Book | Self::Amend | Self::Cancel => "patient/*.write",
            Self::FindPatient
            | Self::StructuredRecord
            | Self::PatientAppointments
            | Self::ReadAppointment => "patient/*.read",
        }
    }

    /// The status of success.
    pub const fn success(self) -> u16 {
        if matches!(self, Self::Book) { 201 } else { 200 }
    }

    /// Whether it changes nothing at the other end, and so may be asked twice.
    pub const fn is_safe(self) -> bool {
        !matches!(self, Self::RegisterPatient | Self::Book | Self::Amend | Self::Cancel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_deed_has_a_name_of_its_own_and_only_reading_is_safe() {
        for (index, one) in Interaction::ALL.into_iter().enumerate() {
            assert!(one.id().starts_with("urn:nhs:names:services:gpconnect:fhir:"));
            assert!(Interaction::ALL.iter().skip(index + 1).all(|other| other.id() != one.id()));
            assert_eq!(one.is_safe(), one.scope().ends_with(".read"), "{one:?}");
            assert!(one.method() != "PUT" || !one.is_safe());
        }
    }
}
