//! The fields of an item, in the names that are documented at `ItemKind`.

use std::collections::HashSet;

use crate::{
    codec::fhir::{CodeableConcept, Coding, Element, Moment, Reference, names},
    domain::record::{FieldChange, ItemChange, ItemKind},
    systems::gp_connect::Profile,
};

use super::index::{Index, Who};

/// What every mapping needs.
pub(super) struct Context<'a> {
    pub(super) index: Index<'a>,
    pub(super) profile: &'static Profile,
    /// The allergies that have ended, by key.
    pub(super) ended: HashSet<String>,
}

/// Fields being gathered: blank ones are left out.
#[derive(Default)]
pub(super) struct Fields(Vec<(&'static str, FieldChange)>);

impl Fields {
    pub(super) fn set(&mut self, name: &'static str, value: Option<impl Into<String>>) -> &mut Self {
        if let Some(value) = value.map(Into::into).filter(|value| !value.trim().is_empty()) {
            self.0.push((name, FieldChange::Set(value)));
        }
        self
    }

    pub(super) fn moment(&mut self, name: &'static str, value: Option<Moment<'_>>) -> &mut Self {
        self.set(name, value.map(Moment::as_str))
    }

    /// Who wrote it and for whom.
    pub(super) fn author(&mut self, who: Who) -> &mut Self {
        self.set("author", who.person).set("organisation", who.organisation)
    }

    /// Annotations, each once and on a line of its own.
    pub(super) fn notes(&mut self, texts: &[&str]) -> &mut Self {
        let mut said = HashSet::new();
        let lines: Vec<&str> = texts.iter().copied().filter(|text| said.insert(*text)).collect();
        self.set("note", Some(lines.join("\n")))
    }

    /// `code`, `code_system`, `name` and `codings`.
    pub(super) fn concept(&mut self, concept: CodeableConcept<'_>, context: &Context<'_>) -> &mut Self {
        let best = best_coding(concept);
        let system = best.and_then(Coding::system).map(|system| context.system_name(system));
        self.set("code", best.and_then(Coding::code))
            .set("code_system", system)
            .set("name", concept.words())
            .set("codings", Some(codings(concept)))
    }

    pub(super) fn into_item(self, kind: ItemKind, key: String, withdrawn: bool) -> ItemChange {
        ItemChange { withdrawn, ..ItemChange::new(kind, key, self.0) }
    }
}

impl<'a> Context<'a> {
    pub(super) fn who(&self, reference: Reference<'_>) -> Who {
        self.index.who(reference)
    }

    /// The first of several that names anybody.
    pub(super) fn first_of(&self, references: &[Reference<'_>]) -> Who {
        let named = |who: &Who| who.person.is_some() || who.organisation.is_some();
        references.iter().map(|one| self.who(*one)).find(named).unwrap_or_default()
    }

    /// What a code system is called in records.
    fn system_name<'s>(&self, system: &'s str) -> &'s str {
        match system {
            names::SNOMED_CT => "snomed-ct",
            names::READ_2 => "read-2",
            names::CTV3 => "ctv3",
            names::LOINC => "loinc",
            other if self.profile.local_code_systems.contains(&other) => "local",
            other => other,
        }
    }
}

/// SNOMED CT if there is one, for others understand it; else the code somebody chose, else the first.
fn best_coding(concept: CodeableConcept<'_>) -> Option<Coding<'_>> {
    let coded = || concept.codings().filter(|coding| coding.code().is_some());
    let snomed = coded().find(|coding| coding.system() == Some(names::SNOMED_CT));
    snomed.or_else(|| coded().find(|coding| coding.is_chosen())).or_else(|| coded().next())
}

/// Every coding as received, and the SNOMED CT description that was chosen, one a line.
fn codings(concept: CodeableConcept<'_>) -> String {
    let clean = |text: Option<&str>| text.unwrap_or_default().replace(['\n', '\r', '|'], " ");
    let line = |system: &str, code: Option<&str>, display: Option<&str>| {
        format!("{system}|{}|{}", clean(code), clean(display))
    };
    let mut lines = Vec::new();
    for coding in concept.codings() {
        let system = clean(coding.system());
        lines.push(line(&system, coding.code(), coding.display()));
        let (description, words) = coding.description();
        if description.is_some() || words.is_some() {
            lines.push(line(&format!("{system}#description"), description, words));
        }
    }
    lines.join("\n")
}

/// The texts of a resource's annotations.
pub(super) fn notes(resource: Element<'_>) -> Vec<&str> {
    resource.each("note").filter_map(|note| note.text_of("text")).collect()
}

/// Whether any of these says that the item should never have been there.
pub(super) fn is_error(statuses: &[Option<&str>]) -> bool {
    statuses.contains(&Some("entered-in-error"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn codings_are_kept_as_received_one_a_line() {
        let value = json!({"coding": [
            {"system": "http://read.info/readv2", "code": "44I4.", "display": "Serum|potassium"},
            {"system": "http://snomed.info/sct", "code": "1000651000000109", "display": "Serum potassium",
             "extension": [{"url": "Extension-coding-sctdescid", "extension": [
                 {"url": "descriptionId", "valueId": "2465501000000110"}]}]}
        ]});
        let concept = CodeableConcept::of(Element::of(&value));
        assert_eq!(
            codings(concept),
            "http://read.info/readv2|44I4.|Serum potassium\n\
             http://snomed.info/sct|1000651000000109|Serum potassium\n\
             http://snomed.info/sct#description|2465501000000110|"
        );
        assert_eq!(best_coding(concept).and_then(Coding::code), Some("1000651000000109"));
    }
}
