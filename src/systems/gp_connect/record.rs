//! A patient's whole record: what is asked for, in one request, and what comes of it (GP Connect 1.6.0, Access
//! Record Structured, Retrieve a patient's structured record).

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    codec::fhir::{Bundle, Element, names},
    domain::{actor::Requester, nhs_number::NhsNumber, record::Snapshot, time::Timestamp},
    flow::ask::Refusal,
};

use super::{GpConnect, Interaction, fault::Fault, local_time, map, patients};

/// Appointments to come are asked for this far ahead, if they are.
const APPOINTMENTS_AHEAD: Duration = Duration::from_secs(84 * 24 * 60 * 60);

/// A part of the record that can be asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RecordPart {
    /// Allergies and intolerances, resolved ones included.
    Allergies,
    /// Medicines, without each single issue.
    Medication,
    /// Problems of every status and significance.
    Problems,
    /// Consultations.
    Consultations,
    /// Immunisations, those not given included.
    Immunisations,
    /// Laboratory and other reports.
    Investigations,
    /// Everything coded that is none of the others.
    UncategorisedData,
    /// Referrals to elsewhere.
    Referrals,
    /// What is due.
    DiaryEntries,
}

impl RecordPart {
    /// Every part, in the order asked.
    pub const ALL: [Self; 9] = [
        Self::Allergies,
        Self::Medication,
        Self::Problems,
        Self::Consultations,
        Self::Immunisations,
        Self::Investigations,
        Self::UncategorisedData,
        Self::Referrals,
        Self::DiaryEntries,
    ];

    /// Its name in the configuration and in notices.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allergies => "allergies",
            Self::Medication => "medication",
            Self::Problems => "problems",
            Self::Consultations => "consultations",
            Self::Immunisations => "immunisations",
            Self::Investigations => "investigations",
            Self::UncategorisedData => "uncategorised data",
            Self::Referrals => "referrals",
            Self::DiaryEntries => "diary entries",
        }
    }

    /// The part of a name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.name() == name)
    }

    /// What version 1.2 knows; it refuses a question that asks for more.
    const fn is_known_to_all(self) -> bool {
        matches!(self, Self::Allergies | Self::Medication)
    }

    fn parameter(self) -> Value {
        let flag = |name: &str, value: bool| json!([{"name": name, "valueBoolean": value}]);
        match self {
            Self::Allergies => {
                json!({"name": "includeAllergies", "part": flag("includeResolvedAllergies", true)})
            }
            Self::Medication => {
                json!({"name": "includeMedication", "part": flag("includePrescriptionIssues", false)})
            }
            Self::Problems => json!({"name": "includeProblems"}),
            Self::Consultations => json!({"name": "includeConsultations"}),
            Self::Immunisations => {
                json!({"name": "includeImmunisations", "part": flag("includeNotGiven", true)})
            }
            Self::Investigations => json!({"name": "includeInvestigations"}),
            Self::UncategorisedData => json!({"name": "includeUncategorisedData"}),
            Self::Referrals => json!({"name": "includeReferrals"}),
            Self::DiaryEntries => json!({"name": "includeDiaryEntries"}),
        }
    }
}

/// What is sent to ask for a record.
pub(super) fn parameters(number: NhsNumber, parts: &[RecordPart]) -> Value {
    let mut all = vec![json!({
        "name": "patientNHSNumber",
        "valueIdentifier": {"system": names::NHS_NUMBER, "value": number.as_str()},
    })];
    all.extend(parts.iter().map(|part| part.parameter()));
    json!({"resourceType": "Parameters", "parameter": all})
}

impl GpConnect {
    pub(super) async fn ask_record(&self, who: &Requester, number: NhsNumber) -> Result<Snapshot, Refusal> {
        let parts = self.options.parts.as_slice();
        let (body, refused) = match self.ask_parts(who, number, parts).await {
            Err(refusal) if parts_are_refused(&refusal) => {
                let core: Vec<RecordPart> =
                    parts.iter().copied().filter(|part| part.is_known_to_all()).collect();
                let rest = parts.iter().copied().filter(|part| !part.is_known_to_all()).collect::<Vec<_>>();
                if core.is_empty() || rest.is_empty() {
                    return Err(refusal);
                }
                (self.ask_parts(who, number, &core).await.map_err(|_| refusal)?, rest)
            }
            other => (other?, Vec::new()),
        };
        let mut snapshot = self.snapshot(&body, number, self.exchange.now())?;
        snapshot.items.extend(refused.into_iter().map(|part| map::not_supported(part.name())));
        if self.exchange.skew().is_some() {
            snapshot.faults.push("clock-differs");
        }
        if self.options.appointments_with_record {
            self.add_appointments(who, number, &mut snapshot).await;
        }
        Ok(snapshot)
    }

    async fn ask_parts(
        &self,
        who: &Requester,
        number: NhsNumber,
        parts: &[RecordPart],
    ) -> Result<Value, Refusal> {
        let body = parameters(number, parts);
        let path = "/Patient/$gpc.getstructuredrecord";
        Ok(self.asked(who, Interaction::StructuredRecord, path, Some(&body), None).await?.body)
    }

    /// The answer in the hub's terms. An answer about anybody else is refused whole.
    fn snapshot(&self, body: &Value, number: NhsNumber, as_at: Timestamp) -> Result<Snapshot, Refusal> {
        let deed = Interaction::StructuredRecord;
        let Some(bundle) = Bundle::of(Element::of(body)) else {
            return Err(self.refused(deed, Fault::UnreadableAnswer));
        };
        let mapped = map::record(bundle, self.options.profile);
        let Some(patient) = mapped.patient.filter(|patient| patients::is_of(*patient, number)) else {
            return Err(self.refused(deed, Fault::AnotherPatient));
        };
        Ok(Snapshot {
            system: self.options.name.clone(),
            nhs_number: number,
            as_at,
            identifiers: map::identifiers(patient),
            items: mapped.items,
            faults: mapped.faults,
        })
    }

    /// A practice that gives the record may still not give the appointments: that is a notice, not a failure.
    async fn add_appointments(&self, who: &Requester, number: NhsNumber, snapshot: &mut Snapshot) {
        let until = local_time::day(self.exchange.now().plus(APPOINTMENTS_AHEAD));
        let found = match self.ask_patient(who, number).await {
            Ok(patient) => self.ask_appointments(who, &patient, &until).await,
            Err(refusal) => Err(refusal),
        };
        match found {
            Ok(found) => snapshot.items.extend(found.iter().map(map::appointment)),
            Err(refusal) => {
                tracing::info!(
                    system = self.options.name,
                    code = refusal.code,
                    "a record came without appointments"
                );
                snapshot.items.push(map::not_available("appointments"));
            }
        }
    }
}

/// A practice on version 1.2 refuses a question for parts it does not know.
fn parts_are_refused(refusal: &Refusal) -> bool {
    let codes = [Fault::InvalidParameter, Fault::InvalidResource, Fault::NotImplemented];
    codes.into_iter().any(|fault| fault.row().code == refusal.code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_names_the_patient_and_each_part_once() {
        let number = NhsNumber::parse("9990000018").unwrap();
        let question = parameters(number, &RecordPart::ALL);
        let names: Vec<&str> =
            question["parameter"].as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
        assert_eq!(names.first(), Some(&"patientNHSNumber"));
        assert_eq!(names.len(), 10);
        assert!(question["parameter"][1]["part"][0]["valueBoolean"].as_bool().unwrap());
        for part in RecordPart::ALL {
            assert_eq!(RecordPart::of_name(part.name()), Some(part));
        }
    }
}
