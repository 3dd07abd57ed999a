//! Views of the resources GP Connect uses. Each looks at what is there; none demands anything.

use super::{CodeableConcept, Element, Identifier, Moment, Reference, names, names::extension};

macro_rules! resource {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name<'a>(Element<'a>);

        impl<'a> $name<'a> {
            /// The resource type's name.
            pub const KIND: &'static str = $kind;

            /// A view of a resource, if it is of this type.
            pub fn of(element: Element<'a>) -> Option<Self> {
                (element.text_of("resourceType") == Some(Self::KIND)).then_some(Self(element))
            }

            /// The resource itself.
            pub const fn element(self) -> Element<'a> {
                self.0
            }

            /// Its id at its server.
            pub fn id(self) -> Option<&'a str> {
                self.0.text_of("id")
            }
        }
    };
}

macro_rules! parts {
    ($name:ident { $($(#[$doc:meta])* $method:ident: $of:ident($field:literal);)+ }) => {
        impl<'a> $name<'a> {
            $($(#[$doc])* pub fn $method(self) -> $of<'a> { $of::of(self.0.get($field)) })+
        }
    };
}

macro_rules! texts {
    ($name:ident { $($(#[$doc:meta])* $method:ident: $field:literal;)+ }) => {
        impl<'a> $name<'a> {
            $($(#[$doc])* pub fn $method(self) -> Option<&'a str> { self.0.text_of($field) })+
        }
    };
}

mod appointments;
mod clinical;
mod reports;

pub use appointments::{Appointment, Schedule, Slot};
pub use clinical::{
    Allergy, Condition, Encounter, Immunization, Medication, MedicationRequest, MedicationStatement,
};
pub use reports::{
    DiagnosticReport, DocumentReference, Observation, ProcedureRequest, ReferralRequest, Specimen,
};

resource! {
    /// Resources together: an answer.
    Bundle, "Bundle"
}

impl<'a> Bundle<'a> {
    /// Each resource in it.
    pub fn resources(self) -> impl Iterator<Item = Element<'a>> {
        self.0.each("entry").map(|entry| entry.get("resource")).filter(|resource| resource.is_present())
    }

    /// Each resource with the address it is referred to by.
    pub fn entries(self) -> impl Iterator<Item = (Option<&'a str>, Element<'a>)> {
        let pair = |entry: Element<'a>| (entry.text_of("fullUrl"), entry.get("resource"));
        self.0.each("entry").map(pair).filter(|(_, resource)| resource.is_present())
    }
}

resource! {
    /// A person under care.
    Patient, "Patient"
}

impl<'a> Patient<'a> {
    /// Every identifier.
    pub fn identifiers(self) -> impl Iterator<Item = Identifier<'a>> {
        self.0.each("identifier").map(Identifier::of)
    }

    /// The NHS number as text, and how far it has been checked (`01` is present and verified).
    pub fn nhs_number(self) -> (Option<&'a str>, Option<&'a str>) {
        let found = self.identifiers().find(|one| one.system() == Some(names::NHS_NUMBER));
        let Some(identifier) = found else { return (None, None) };
        let status = identifier.element().extension(extension::NHS_NUMBER_STATUS);
        (identifier.value(), CodeableConcept::of(status.get("valueCodeableConcept")).any_code())
    }

    /// The name in official use, else the usual one, else the first.
    pub fn name(self) -> Element<'a> {
        let using = |way: &str| self.0.each("name").find(|name| name.text_of("use") == Some(way));
        using("official").or_else(|| using("usual")).unwrap_or_else(|| self.0.get("name"))
    }

    /// The home address, else the first that is not an old one.
    pub fn address(self) -> Element<'a> {
        let home = self.0.each("address").find(|address| address.text_of("use") == Some("home"));
        let current = || self.0.each("address").find(|address| address.text_of("use") != Some("old"));
        home.or_else(current).unwrap_or_else(|| self.0.get("no-address"))
    }

    /// When born.
    pub fn birth_date(self) -> Option<Moment<'a>> {
        self.0.get("birthDate").moment()
    }
}

texts! { Patient {
    /// `male`, `female`, `other` or `unknown`.
    gender: "gender";
} }
parts! { Patient {
    /// The organisation whose record it is.
    managing_organisation: Reference("managingOrganization");
} }

resource! {
    /// An organisation.
    Organization, "Organization"
}

impl<'a> Organization<'a> {
    /// Its ODS code.
    pub fn ods_code(self) -> Option<&'a str> {
        self.0.each("identifier").find_map(|one| Identifier::of(one).value_in(names::ODS_CODE))
    }

    /// A telephone number.
    pub fn telephone(self) -> Option<&'a str> {
        telephone(self.0)
    }
}

texts! { Organization {
    /// Its name.
    name: "name";
} }

resource! {
    /// Somebody who gives care.
    Practitioner, "Practitioner"
}

impl Practitioner<'_> {
    /// The name as one says it: `Dr David McAvenue`.
    pub fn full_name(self) -> Option<String> {
        human_name(self.0.get("name"))
    }
}

texts! { Practitioner {
    /// `male`, `female`, `other` or `unknown`.
    gender: "gender";
} }

resource! {
    /// What somebody does where.
    PractitionerRole, "PractitionerRole"
}
parts! { PractitionerRole {
    /// Who.
    practitioner: Reference("practitioner");
    /// Where.
    organisation: Reference("organization");
    /// As what.
    role: CodeableConcept("code");
} }

resource! {
    /// Which resources answer which part of the question, and what is missing from them.
    List, "List"
}
texts! { List {
    /// What it lists, in words.
    title: "title";
} }
parts! { List {
    /// What it lists.
    code: CodeableConcept("code");
    /// Why it is empty.
    empty_reason: CodeableConcept("emptyReason");
} }

impl<'a> List<'a> {
    /// Codes such as `confidential-items`.
    pub fn warnings(self) -> impl Iterator<Item = &'a str> {
        let of = move |name| self.0.extensions(name).filter_map(|one| one.text_of("valueCode"));
        of(extension::LIST_WARNING).chain(of(extension::LIST_WARNING_CARE_CONNECT))
    }

    /// What it says in words.
    pub fn notes(self) -> impl Iterator<Item = &'a str> {
        self.0.each("note").filter_map(|note| note.text_of("text"))
    }

    /// What it lists.
    pub fn items(self) -> impl Iterator<Item = Reference<'a>> {
        self.0.each("entry").map(|entry| Reference::of(entry.get("item")))
    }
}

resource! {
    /// A place.
    Location, "Location"
}
texts! { Location {
    /// Its name.
    name: "name";
} }
parts! { Location {
    /// Whose it is.
    managing_organisation: Reference("managingOrganization");
} }

impl Location<'_> {
    /// The address in one line.
    pub fn address(self) -> Option<String> {
        let address = self.0.get("address");
        let lines = address.each("line").filter_map(Element::text);
        let rest = ["city", "district", "postalCode"].into_iter().filter_map(|name| address.text_of(name));
        let words: Vec<&str> = lines.chain(rest).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
}

resource! {
    /// A service.
    HealthcareService, "HealthcareService"
}
texts! { HealthcareService {
    /// Its name.
    name: "name";
} }

resource! {
    /// What went wrong, or was not done.
    OperationOutcome, "OperationOutcome"
}

/// One thing that went wrong.
#[derive(Clone, Copy)]
pub struct Issue<'a>(Element<'a>);

impl<'a> OperationOutcome<'a> {
    /// Everything that went wrong.
    pub fn issues(self) -> impl Iterator<Item = Issue<'a>> {
        self.0.each("issue").map(Issue)
    }
}

impl<'a> Issue<'a> {
    /// `fatal`, `error`, `warning` or `information`.
    pub fn severity(self) -> Option<&'a str> {
        self.0.text_of("severity")
    }

    /// FHIR's own code, such as `not-found`.
    pub fn code(self) -> Option<&'a str> {
        self.0.text_of("code")
    }

    /// Spine's code, such as `PATIENT_NOT_FOUND`.
    pub fn details(self) -> CodeableConcept<'a> {
        CodeableConcept::of(self.0.get("details"))
    }

    /// For engineers. May quote the request, and so a patient: never log it.
    pub fn diagnostics(self) -> Option<&'a str> {
        self.0.text_of("diagnostics")
    }
}

/// A name as one says it: its text, or its parts.
fn human_name(name: Element<'_>) -> Option<String> {
    let parts = ["prefix", "given", "family"].into_iter().flat_map(|part| name.each(part));
    let words: Vec<&str> = parts.filter_map(Element::text).collect();
    let text = name.text_of("text").map(str::to_owned);
    if words.is_empty() { text } else { Some(words.join(" ")) }
}

fn telephone(element: Element<'_>) -> Option<&str> {
    let phones = element.each("telecom").filter(|one| one.text_of("system") == Some("phone"));
    phones.into_iter().find_map(|one| one.text_of("value"))
}
