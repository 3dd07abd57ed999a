//! Observations: results of a report where one names them, else what the practice itself saw and coded.

use std::collections::HashMap;

use crate::{
    codec::fhir::{
        Bundle, CodeableConcept, DiagnosticReport, Element, Observation, Period, Quantity, Reference,
        Specimen,
    },
    domain::record::{ItemChange, ItemKind},
};

use super::{
    fields::{Context, Fields, is_error},
    index::name_of,
};

/// Groups within groups are followed this far; laboratories use one level.
const GROUPS_DEEP_MAX: usize = 4;

/// Which observation belongs to which report, and to which group within it.
pub(super) struct Reports<'a> {
    places: HashMap<String, Place<'a>>,
    empty: Vec<DiagnosticReport<'a>>,
}

#[derive(Clone, Copy)]
struct Place<'a> {
    report: DiagnosticReport<'a>,
    group: Option<Observation<'a>>,
    has_members: bool,
}

impl<'a> Reports<'a> {
    pub(super) fn of(bundle: Bundle<'a>, context: &Context<'a>) -> Self {
        let mut reports = Self { places: HashMap::new(), empty: Vec::new() };
        for report in bundle.resources().filter_map(DiagnosticReport::of) {
            let mut any = false;
            for result in report.results() {
                any |= reports.follow(report, None, result, context, 0);
            }
            if !any {
                reports.empty.push(report);
            }
        }
        reports
    }

    fn follow(
        &mut self,
        report: DiagnosticReport<'a>,
        group: Option<Observation<'a>>,
        reference: Reference<'a>,
        context: &Context<'a>,
        depth: usize,
    ) -> bool {
        let found = context.index.find_from(report.element(), reference);
        let Some(observation) = found.and_then(Observation::of) else { return false };
        let Some(name) = name_of(observation.element()) else { return false };
        // A member that the report lists by itself, too, belongs to its group.
        let known = self.places.get(&name).is_some_and(|place| place.group.is_some() || group.is_none());
        if known || GROUPS_DEEP_MAX < depth {
            return true;
        }
        let members: Vec<Reference<'a>> = observation.related("has-member").collect();
        self.places.insert(name, Place { report, group, has_members: !members.is_empty() });
        for member in members {
            self.follow(report, Some(observation), member, context, depth + 1);
        }
        true
    }

    /// The item of an observation; none if it is the bare heading of a group.
    pub(super) fn observation(
        &self,
        observation: Observation<'a>,
        key: String,
        context: &Context<'a>,
    ) -> Option<ItemChange> {
        let place = self.places.get(&key);
        let value = Worth::of(observation);
        if place.is_some_and(|place| place.has_members)
            && value.text.is_none()
            && observation.comment().is_none()
        {
            return None;
        }
        let mut fields = Fields::default();
        fields.concept(observation.code(), context);
        let kind = match place {
            Some(place) => {
                in_report(&mut fields, *place, observation, context);
                ItemKind::Result
            }
            None if observation.specimen().target().is_some() => {
                from_specimen(&mut fields, context.index.find(observation.specimen()));
                fields.set("status", observation.status().map(result_status));
                ItemKind::Result
            }
            None => {
                fields.set("status", observation.status());
                ItemKind::Observation
            }
        };
        common(&mut fields, observation, &value, context);
        Some(fields.into_item(kind, key, is_error(&[observation.status()])))
    }

    /// Reports that name no observation there is: their conclusion, or at least that they exist.
    pub(super) fn without_results(&self, context: &Context<'a>) -> Vec<ItemChange> {
        self.empty.iter().map(|report| conclusion(*report, context)).collect()
    }
}

/// What an observation found.
struct Worth<'a> {
    kind: &'static str,
    text: Option<String>,
    comparator: Option<&'a str>,
    units: Option<&'a str>,
}

impl<'a> Worth<'a> {
    fn of(observation: Observation<'a>) -> Self {
        let own = Self::of_element(observation.element());
        if own.text.is_some() {
            return own;
        }
        let parts = observation.element().each("component").filter_map(|component| {
            let worth = Self::of_element(component);
            let value = format!("{}{}", worth.comparator.unwrap_or_default(), worth.text?);
            let units = worth.units.map(|units| format!(" {units}")).unwrap_or_default();
            let name = CodeableConcept::of(component.get("code")).words().unwrap_or_default();
            Some(format!("{name} {value}{units}").trim().to_owned())
        });
        let parts: Vec<String> = parts.collect();
        Self::text((!parts.is_empty()).then(|| parts.join("; ")))
    }

    const fn text(text: Option<String>) -> Self {
        Self { kind: "ST", text, comparator: None, units: None }
    }

    fn of_element(element: Element<'a>) -> Self {
        let quantity = Quantity::of(element.get("valueQuantity"));
        if let Some(number) = quantity.number() {
            return Self {
                kind: "NM",
                text: Some(number),
                comparator: quantity.comparator(),
                units: quantity.unit(),
            };
        }
        let concept = CodeableConcept::of(element.get("valueCodeableConcept"));
        if let Some(words) = concept.words().or_else(|| concept.any_code()) {
            return Self { kind: "CE", ..Self::text(Some(words.to_owned())) };
        }
        if let Some(moment) = element.get("valueDateTime").moment() {
            return Self { kind: "TS", ..Self::text(Some(moment.as_str().to_owned())) };
        }
        let range = |value: Element<'a>, low: &str, high: &str, between: &str| {
            let part = |name: &str| Quantity::of(value.get(name)).words();
            match (part(low), part(high)) {
                (Some(low), Some(high)) => Some(format!("{low}{between}{high}")),
                (low, high) => low.or(high),
            }
        };
        let plain = ["valueString", "valueBoolean", "valueTime", "valueInteger"];
        let plain = plain.into_iter().find_map(|name| element.get(name).word()).map(|text| text.into_owned());
        let text = plain
            .or_else(|| range(element.get("valueRange"), "low", "high", " - "))
            .or_else(|| range(element.get("valueRatio"), "numerator", "denominator", ":"))
            .or_else(|| {
                Period::of(element.get("valuePeriod")).start().map(|start| start.as_str().to_owned())
            });
        Self::text(text)
    }
}

fn in_report<'a>(fields: &mut Fields, place: Place<'a>, observation: Observation<'a>, context: &Context<'a>) {
    let report = place.report;
    let heading = place.group.map(Observation::code);
    let heading = heading.filter(|heading| heading.words().is_some()).unwrap_or_else(|| report.code());
    let specimen = context.index.find_from(report.element(), observation.specimen());
    let specimen = specimen
        .or_else(|| report.specimens().find_map(|one| context.index.find_from(report.element(), one)));
    from_specimen(fields, specimen);
    if observation.effective().is_none() {
        fields.moment("observed", specimen.and_then(Specimen::of).and_then(Specimen::collected));
    }
    let performer = context.who(report.performer());
    fields
        .set("report_code", heading.any_code())
        .set("report", heading.words())
        .set("performer", performer.organisation.or(performer.person))
        .set("status", observation.status().or(report.status()).map(result_status));
}

fn from_specimen(fields: &mut Fields, specimen: Option<Element<'_>>) {
    let Some(specimen) = specimen.and_then(Specimen::of) else { return };
    fields.set("specimen", specimen.kind().words()).moment("received", specimen.received());
}

fn common(fields: &mut Fields, observation: Observation<'_>, worth: &Worth<'_>, context: &Context<'_>) {
    let element = observation.element();
    let ranges: Vec<String> = element.each("referenceRange").filter_map(range).collect();
    let absent = CodeableConcept::of(element.get("dataAbsentReason")).words();
    fields
        .set("value_type", worth.text.is_some().then_some(worth.kind))
        .set("value", worth.text.clone())
        .set("comparator", worth.comparator)
        .set("units", worth.units)
        .set("reference_range", Some(ranges.join("; ")))
        .set("abnormal_flags", flags(observation.interpretation()))
        .set("method", observation.method().words())
        .moment("observed", observation.effective())
        .moment("recorded", element.get("issued").moment())
        .set("status_at_source", observation.status())
        .author(context.who(observation.performer()))
        .notes(&observation.comment().into_iter().chain(absent).collect::<Vec<_>>());
}

/// The range in words, else its bounds, with what it applies to.
fn range(range: Element<'_>) -> Option<String> {
    let part = |name: &str| Quantity::of(range.get(name)).number();
    let bounds = || match (part("low"), part("high")) {
        (Some(low), Some(high)) => Some(format!("{low} - {high}")),
        (Some(low), None) => Some(format!(">= {low}")),
        (None, Some(high)) => Some(format!("<= {high}")),
        (None, None) => None,
    };
    let bounds = bounds();
    let text = range.text_of("text").map(str::to_owned);
    match (bounds, text) {
        (Some(bounds), Some(text)) if text != bounds => Some(format!("{bounds} ({text})")),
        (bounds, text) => bounds.or(text),
    }
}

/// HL7 table 0078; the flags of laboratory reports in EDIFACT are put into it.
fn flags(interpretation: CodeableConcept<'_>) -> Option<&str> {
    let code = interpretation.any_code().or_else(|| interpretation.words())?;
    Some(match code {
        "HI" | "OR" => "H",
        "LO" => "L",
        "PA" => "A",
        other => other,
    })
}

/// HL7 table 0085.
fn result_status(status: &str) -> &str {
    match status {
        "final" => "F",
        "preliminary" | "partial" => "P",
        "amended" | "corrected" | "appended" => "C",
        "cancelled" => "X",
        "entered-in-error" => "W",
        "registered" => "I",
        other => other,
    }
}

fn conclusion(report: DiagnosticReport<'_>, context: &Context<'_>) -> ItemChange {
    let element = report.element();
    let specimen = report.specimens().find_map(|one| context.index.find_from(element, one));
    let performer = context.who(report.performer());
    let mut fields = Fields::default();
    from_specimen(&mut fields, specimen);
    fields
        .concept(report.code(), context)
        .set("report_code", report.code().any_code())
        .set("report", report.code().words())
        .set("value_type", report.conclusion().map(|_| "TX"))
        .set("value", report.conclusion())
        .moment("observed", element.get("effectiveDateTime").moment())
        .moment("recorded", element.get("issued").moment())
        .set("status", report.status().map(result_status))
        .set("status_at_source", report.status())
        .set("performer", performer.organisation.or(performer.person));
    let key = name_of(element).unwrap_or_else(|| "DiagnosticReport/-".to_owned());
    fields.into_item(ItemKind::Result, key, is_error(&[report.status()]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systems::{emis, gp_connect::map::Index};
    use serde_json::json;
    use std::collections::HashSet;

    #[test]
    fn groups_that_point_at_each_other_end() {
        let member = |id: &str, other: &str| {
            json!({"resource": {"resourceType": "Observation", "id": id, "status": "final",
                "related": [{"type": "has-member", "target": {"reference": format!("Observation/{other}")}}]}})
        };
        let body = json!({"resourceType": "Bundle", "entry": [
            {"resource": {"resourceType": "DiagnosticReport", "id": "r", "result": [{"reference": "Observation/a"}]}},
            member("a", "b"), member("b", "a")]});
        let bundle = Bundle::of(Element::of(&body)).unwrap();
        let context = Context { index: Index::of(bundle), profile: &emis::PROFILE, ended: HashSet::new() };
        let reports = Reports::of(bundle, &context);
        let mut names: Vec<&String> = reports.places.keys().collect();
        names.sort();
        assert_eq!(names, ["Observation/a", "Observation/b"]);
        assert!(reports.without_results(&context).is_empty());
    }

    #[test]
    fn flags_and_ranges_are_put_into_the_hubs_terms() {
        let value = json!({"coding": [{"code": "HI"}]});
        assert_eq!(flags(CodeableConcept::of(Element::of(&value))), Some("H"));
        let low = json!({"low": {"value": "3.50"}});
        assert_eq!(range(Element::of(&low)).as_deref(), Some(">= 3.50"));
        let both = json!({"low": {"value": 1}, "high": {"value": 2}, "text": "adults"});
        assert_eq!(range(Element::of(&both)).as_deref(), Some("1 - 2 (adults)"));
    }

    #[test]
    fn values_of_every_sort_are_read() {
        for (element, kind, text) in [
            (json!({"valueQuantity": {"value": "7.10", "unit": "mmol/L"}}), "NM", Some("7.10")),
            (json!({"valueString": "clear"}), "ST", Some("clear")),
            (json!({"valueCodeableConcept": {"text": "positive"}}), "CE", Some("positive")),
            (json!({"valueBoolean": true}), "ST", Some("true")),
            (json!({"valueRange": {"low": {"value": 1}, "high": {"value": 2}}}), "ST", Some("1 - 2")),
            (
                json!({"valueRatio": {"numerator": {"value": 1}, "denominator": {"value": 128}}}),
                "ST",
                Some("1:128"),
            ),
            (json!({"valueString": ""}), "ST", None),
        ] {
            let worth = Worth::of_element(Element::of(&element));
            assert_eq!((worth.kind, worth.text.as_deref()), (kind, text), "{element}");
        }
    }
}
