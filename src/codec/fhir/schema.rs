//! Which elements STU3 knows, in their order: which repeat, which are numbers or truths, and what lies below.
//!
//! XML says neither what repeats nor what is a number, and wants its elements in order. Only what GP Connect's
//! profiles use is listed; the rest is read by its looks and written last.

use std::{collections::HashMap, sync::LazyLock};

/// What an element holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// A string, code, date or identifier.
    Text,
    /// `true` or `false`.
    Boolean,
    /// An integer or decimal.
    Number,
    /// Elements of its own, by this row of the table.
    Complex(&'static str),
    /// A resource of any type.
    Resource,
    /// Narrative in XHTML.
    Narrative,
}

/// One element of a type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) repeats: bool,
    pub(super) kind: Kind,
}

/// The elements of a type, in order; none if the type is not listed.
pub(super) fn fields(of: &str) -> Option<&'static [Field]> {
    TYPES.get(of).map(Vec::as_slice)
}

/// One element of a type. A choice such as `valueQuantity` is known by its ending.
pub(super) fn field(of: &str, name: &str) -> Option<Field> {
    let fields = fields(of)?;
    if let Some(known) = fields.iter().find(|field| field.name == name) {
        return Some(*known);
    }
    let stems = fields.iter().filter_map(|field| Some((field, field.name.strip_suffix("[x]")?)));
    let (field, ending) = stems.filter_map(|(field, stem)| Some((field, name.strip_prefix(stem)?))).next()?;
    if !ending.starts_with(|first: char| first.is_ascii_uppercase()) {
        return None;
    }
    Some(Field { name: field.name, repeats: false, kind: kind_of_choice(ending) })
}

fn kind_of_choice(ending: &str) -> Kind {
    match ending {
        "Boolean" => Kind::Boolean,
        "Integer" | "Decimal" | "PositiveInt" | "UnsignedInt" => Kind::Number,
        "Age" | "Count" | "Duration" | "SimpleQuantity" => Kind::Complex("Quantity"),
        other => TYPES.get_key_value(other).map_or(Kind::Text, |(name, _)| Kind::Complex(name)),
    }
}

static TYPES: LazyLock<HashMap<&'static str, Vec<Field>>> = LazyLock::new(|| {
    let resources = RESOURCES.iter().map(|(name, own)| (*name, parse(&[RESOURCE, DOMAIN, own])));
    let bare = BARE_RESOURCES.iter().map(|(name, own)| (*name, parse(&[RESOURCE, own])));
    let backbones = BACKBONES.iter().map(|(name, own)| (*name, parse(&[ELEMENT, BACKBONE, own])));
    let types = DATA_TYPES.iter().map(|(name, own)| (*name, parse(&[ELEMENT, own])));
    resources.chain(bare).chain(backbones).chain(types).collect()
});

fn parse(rows: &[&'static str]) -> Vec<Field> {
    rows.iter().flat_map(|row| row.split_ascii_whitespace()).map(parse_one).collect()
}

fn parse_one(word: &'static str) -> Field {
    let (name, of) = word.split_once(':').map_or((word, ""), |(name, of)| (name, of));
    let kind = match of {
        "" => Kind::Text,
        "bool" => Kind::Boolean,
        "number" => Kind::Number,
        "Resource" => Kind::Resource,
        "xhtml" => Kind::Narrative,
        other => Kind::Complex(other),
    };
    match name.strip_suffix('*') {
        Some(name) => Field { name, repeats: true, kind },
        None => Field { name, repeats: false, kind },
    }
}

/// Every resource begins with these.
const RESOURCE: &str = "id meta:Meta implicitRules language";
/// Every resource about care goes on with these.
const DOMAIN: &str = "text:Narrative contained*:Resource extension*:Extension modifierExtension*:Extension";
/// Every part of a resource begins with this.
const ELEMENT: &str = "id extension*:Extension";
/// Parts that are no data types go on with this.
const BACKBONE: &str = "modifierExtension*:Extension";

/// `name*:Type`: a star where it repeats, no type where it is text.
const RESOURCES: [(&str, &str); 26] = [
    (
        "AllergyIntolerance",
        "identifier*:Identifier clinicalStatus verificationStatus type category* criticality code:CodeableConcept \
         patient:Reference onset[x] assertedDate recorder:Reference asserter:Reference lastOccurrence \
         note*:Annotation reaction*:AllergyIntolerance.reaction",
    ),
    (
        "Appointment",
        "identifier*:Identifier status serviceCategory:CodeableConcept serviceType*:CodeableConcept \
         specialty*:CodeableConcept appointmentType:CodeableConcept reason*:CodeableConcept \
         indication*:Reference priority:number description supportingInformation*:Reference start end \
         minutesDuration:number slot*:Reference created comment incomingReferral*:Reference \
         participant*:Appointment.participant requestedPeriod*:Period",
    ),
    (
        "Condition",
        "identifier*:Identifier clinicalStatus verificationStatus category*:CodeableConcept \
         severity:CodeableConcept code:CodeableConcept bodySite*:CodeableConcept subject:Reference \
         context:Reference onset[x] abatement[x] assertedDate asserter:Reference note*:Annotation",
    ),
    ("Device", "identifier*:Identifier type:CodeableConcept status manufacturer model version url"),
    (
        "DiagnosticReport",
        "identifier*:Identifier basedOn*:Reference status category:CodeableConcept code:CodeableConcept \
         subject:Reference context:Reference effective[x] issued performer*:DiagnosticReport.performer \
         specimen*:Reference result*:Reference imagingStudy*:Reference conclusion \
         codedDiagnosis*:CodeableConcept presentedForm*:Attachment",
    ),
    (
        "DocumentReference",
        "masterIdentifier:Identifier identifier*:Identifier status docStatus type:CodeableConcept \
         class:CodeableConcept subject:Reference created indexed author*:Reference authenticator:Reference \
         custodian:Reference description securityLabel*:CodeableConcept content*:DocumentReference.content \
         context:DocumentReference.context",
    ),
    (
        "Encounter",
        "identifier*:Identifier status class:Coding type*:CodeableConcept priority:CodeableConcept \
         subject:Reference episodeOfCare*:Reference incomingReferral*:Reference \
         participant*:Encounter.participant appointment:Reference period:Period length:Quantity \
         reason*:CodeableConcept diagnosis*:Encounter.diagnosis account*:Reference \
         location*:Encounter.location serviceProvider:Reference partOf:Reference",
    ),
    (
        "HealthcareService",
        "identifier*:Identifier active:bool providedBy:Reference category:CodeableConcept \
         type*:CodeableConcept specialty*:CodeableConcept location*:Reference name comment extraDetails \
         telecom*:ContactPoint",
    ),
    (
        "Immunization",
        "identifier*:Identifier status notGiven:bool vaccineCode:CodeableConcept patient:Reference \
         encounter:Reference date primarySource:bool reportOrigin:CodeableConcept location:Reference \
         manufacturer:Reference lotNumber expirationDate site:CodeableConcept route:CodeableConcept \
         doseQuantity:Quantity practitioner*:Immunization.practitioner note*:Annotation \
         explanation:Immunization.explanation vaccinationProtocol*:Immunization.vaccinationProtocol",
    ),
    (
        "List",
        "identifier*:Identifier status mode title code:CodeableConcept subject:Reference encounter:Reference \
         date source:Reference orderedBy:CodeableConcept note*:Annotation entry*:List.entry \
         emptyReason:CodeableConcept",
    ),
    (
        "Location",
        "identifier*:Identifier status operationalStatus:Coding name alias* description mode \
         type:CodeableConcept telecom*:ContactPoint address:Address physicalType:CodeableConcept \
         managingOrganization:Reference partOf:Reference",
    ),
    (
        "Medication",
        "code:CodeableConcept status isBrand:bool isOverTheCounter:bool manufacturer:Reference \
         form:CodeableConcept",
    ),
    (
        "MedicationRequest",
        "identifier*:Identifier definition*:Reference basedOn*:Reference groupIdentifier:Identifier status \
         intent category:CodeableConcept priority medication[x] subject:Reference context:Reference \
         supportingInformation*:Reference authoredOn requester:Requester recorder:Reference \
         reasonCode*:CodeableConcept reasonReference*:Reference note*:Annotation dosageInstruction*:Dosage \
         dispenseRequest:MedicationRequest.dispenseRequest priorPrescription:Reference",
    ),
    (
        "MedicationStatement",
        "identifier*:Identifier basedOn*:Reference partOf*:Reference context:Reference status \
         category:CodeableConcept medication[x] effective[x] dateAsserted informationSource:Reference \
         subject:Reference derivedFrom*:Reference taken reasonNotTaken*:CodeableConcept \
         reasonCode*:CodeableConcept reasonReference*:Reference note*:Annotation dosage*:Dosage",
    ),
    (
        "Observation",
        "identifier*:Identifier basedOn*:Reference status category*:CodeableConcept code:CodeableConcept \
         subject:Reference context:Reference effective[x] issued performer*:Reference value[x] \
         dataAbsentReason:CodeableConcept interpretation:CodeableConcept comment bodySite:CodeableConcept \
         method:CodeableConcept specimen:Reference device:Reference \
         referenceRange*:Observation.referenceRange related*:Observation.related \
         component*:Observation.component",
    ),
    ("OperationOutcome", "issue*:OperationOutcome.issue"),
    (
        "Organization",
        "identifier*:Identifier active:bool type*:CodeableConcept name alias* telecom*:ContactPoint \
         address*:Address partOf:Reference",
    ),
    (
        "Patient",
        "identifier*:Identifier active:bool name*:HumanName telecom*:ContactPoint gender birthDate \
         deceased[x] address*:Address maritalStatus:CodeableConcept multipleBirth[x] \
         contact*:Patient.contact communication*:Patient.communication generalPractitioner*:Reference \
         managingOrganization:Reference",
    ),
    (
        "Practitioner",
        "identifier*:Identifier active:bool name*:HumanName telecom*:ContactPoint address*:Address gender \
         birthDate communication*:CodeableConcept",
    ),
    (
        "PractitionerRole",
        "identifier*:Identifier active:bool period:Period practitioner:Reference organization:Reference \
         code*:CodeableConcept specialty*:CodeableConcept location*:Reference healthcareService*:Reference \
         telecom*:ContactPoint",
    ),
    (
        "ProcedureRequest",
        "identifier*:Identifier definition*:Reference basedOn*:Reference replaces*:Reference \
         requisition:Identifier status intent priority doNotPerform:bool category*:CodeableConcept \
         code:CodeableConcept subject:Reference context:Reference occurrence[x] authoredOn \
         requester:Requester performerType:CodeableConcept performer:Reference reasonCode*:CodeableConcept \
         reasonReference*:Reference supportingInfo*:Reference specimen*:Reference \
         bodySite*:CodeableConcept note*:Annotation",
    ),
    (
        "QuestionnaireResponse",
        "identifier:Identifier basedOn*:Reference parent*:Reference questionnaire:Reference status \
         subject:Reference context:Reference authored author:Reference source:Reference \
         item*:QuestionnaireResponse.item",
    ),
    (
        "ReferralRequest",
        "identifier*:Identifier definition*:Reference basedOn*:Reference replaces*:Reference \
         groupIdentifier:Identifier status intent type:CodeableConcept priority \
         serviceRequested*:CodeableConcept subject:Reference context:Reference occurrence[x] authoredOn \
         requester:Requester specialty:CodeableConcept recipient*:Reference reasonCode*:CodeableConcept \
         reasonReference*:Reference description supportingInfo*:Reference note*:Annotation",
    ),
    (
        "Schedule",
        "identifier*:Identifier active:bool serviceCategory:CodeableConcept serviceType*:CodeableConcept \
         specialty*:CodeableConcept actor*:Reference planningHorizon:Period comment",
    ),
    (
        "Slot",
        "identifier*:Identifier serviceCategory:CodeableConcept serviceType*:CodeableConcept \
         specialty*:CodeableConcept appointmentType:CodeableConcept schedule:Reference status start end \
         overbooked:bool comment",
    ),
    (
        "Specimen",
        "identifier*:Identifier accessionIdentifier:Identifier status type:CodeableConcept subject:Reference \
         receivedTime parent*:Reference request*:Reference collection:Specimen.collection note*:Annotation",
    ),
];

const BARE_RESOURCES: [(&str, &str); 2] = [
    ("Bundle", "identifier:Identifier type total:number link*:Bundle.link entry*:Bundle.entry"),
    ("Parameters", "parameter*:Parameters.parameter"),
];

const BACKBONES: [(&str, &str); 26] = [
    (
        "AllergyIntolerance.reaction",
        "substance:CodeableConcept manifestation*:CodeableConcept description onset severity \
         exposureRoute:CodeableConcept note*:Annotation",
    ),
    ("Appointment.participant", "type*:CodeableConcept actor:Reference required status"),
    ("Bundle.entry", "link*:Bundle.link fullUrl resource:Resource search:Bundle.entry.search"),
    ("Bundle.entry.search", "mode score:number"),
    ("Bundle.link", "relation url"),
    ("DiagnosticReport.performer", "role:CodeableConcept actor:Reference"),
    ("DocumentReference.content", "attachment:Attachment format:Coding"),
    (
        "DocumentReference.context",
        "encounter:Reference event*:CodeableConcept period:Period facilityType:CodeableConcept \
         practiceSetting:CodeableConcept",
    ),
    ("Encounter.diagnosis", "condition:Reference role:CodeableConcept rank:number"),
    ("Encounter.location", "location:Reference status period:Period"),
    ("Encounter.participant", "type*:CodeableConcept period:Period individual:Reference"),
    ("Immunization.explanation", "reason*:CodeableConcept reasonNotGiven*:CodeableConcept"),
    ("Immunization.practitioner", "role:CodeableConcept actor:Reference"),
    (
        "Immunization.vaccinationProtocol",
        "doseSequence:number description authority:Reference series seriesDoses:number \
         targetDisease*:CodeableConcept doseStatus:CodeableConcept doseStatusReason:CodeableConcept",
    ),
    ("List.entry", "flag:CodeableConcept deleted:bool date item:Reference"),
    (
        "MedicationRequest.dispenseRequest",
        "validityPeriod:Period numberOfRepeatsAllowed:number quantity:Quantity \
         expectedSupplyDuration:Quantity performer:Reference",
    ),
    (
        "Observation.component",
        "code:CodeableConcept value[x] dataAbsentReason:CodeableConcept interpretation:CodeableConcept \
         referenceRange*:Observation.referenceRange",
    ),
    (
        "Observation.referenceRange",
        "low:Quantity high:Quantity type:CodeableConcept appliesTo*:CodeableConcept age:Range text",
    ),
    ("Observation.related", "type target:Reference"),
    ("OperationOutcome.issue", "severity code details:CodeableConcept diagnostics location* expression*"),
    ("Parameters.parameter", "name value[x] resource:Resource part*:Parameters.parameter"),
    ("Patient.communication", "language:CodeableConcept preferred:bool"),
    (
        "Patient.contact",
        "relationship*:CodeableConcept name:HumanName telecom*:ContactPoint address:Address gender \
         organization:Reference period:Period",
    ),
    (
        "QuestionnaireResponse.item",
        "linkId definition text subject:Reference answer*:QuestionnaireResponse.item.answer",
    ),
    ("QuestionnaireResponse.item.answer", "value[x] item*:QuestionnaireResponse.item"),
    (
        "Specimen.collection",
        "collector:Reference collected[x] quantity:Quantity method:CodeableConcept bodySite:CodeableConcept",
    ),
];

const DATA_TYPES: [(&str, &str); 20] = [
    ("Address", "use type text line* city district state postalCode country period:Period"),
    ("Annotation", "authorReference:Reference authorString time text"),
    ("Attachment", "contentType language data url size:number hash title creation"),
    ("CodeableConcept", "coding*:Coding text"),
    ("Coding", "system version code display userSelected:bool"),
    ("ContactPoint", "system value use rank:number period:Period"),
    (
        "Dosage",
        "sequence:number text additionalInstruction*:CodeableConcept patientInstruction timing:Timing \
         asNeeded[x] site:CodeableConcept route:CodeableConcept method:CodeableConcept dose[x] rate[x]",
    ),
    ("Extension", "url value[x]"),
    ("HumanName", "use text family given* prefix* suffix* period:Period"),
    ("Identifier", "use type:CodeableConcept system value period:Period assigner:Reference"),
    ("Meta", "versionId lastUpdated profile* security*:Coding tag*:Coding"),
    ("Narrative", "status div:xhtml"),
    ("Period", "start end"),
    ("Quantity", "value:number comparator unit system code"),
    ("Range", "low:Quantity high:Quantity"),
    ("Ratio", "numerator:Quantity denominator:Quantity"),
    ("Reference", "reference identifier:Identifier display"),
    ("Requester", "agent:Reference onBehalfOf:Reference"),
    ("SampledData", "origin:Quantity period:number data"),
    ("Timing", "event* code:CodeableConcept"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_that_is_named_is_listed() {
        for (of, fields) in TYPES.iter() {
            for field in fields {
                if let Kind::Complex(name) = field.kind {
                    assert!(TYPES.contains_key(name), "{of}.{} is a {name}", field.name);
                }
            }
        }
        assert_eq!(TYPES.len(), 74);
    }

    #[test]
    fn choices_are_known_by_their_ending() {
        let kind = |of, name| field(of, name).map(|field| field.kind);
        assert_eq!(kind("Observation", "valueQuantity"), Some(Kind::Complex("Quantity")));
        assert_eq!(kind("Observation", "valueString"), Some(Kind::Text));
        assert_eq!(kind("Observation", "effectiveDateTime"), Some(Kind::Text));
        assert_eq!(kind("Extension", "valueBoolean"), Some(Kind::Boolean));
        assert_eq!(kind("Patient", "deceasedDateTime"), Some(Kind::Text));
        assert_eq!(kind("Patient", "favouriteColour"), None);
        assert_eq!(kind("Observation", "values"), None);
        assert!(field("Patient", "address").is_some_and(|field| field.repeats));
        assert!(field("Location", "address").is_some_and(|field| !field.repeats));
    }
}
