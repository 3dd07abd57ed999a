//! Results and observations.

use serde_json::{Value, json};

use crate::{codec::fhir::names, domain::record::ItemKind};

use super::{
    Reading, ResourceType,
    clinical::coded_or_unknown,
    moment,
    reading::Told,
    terms::{self, hl7, one_of, words},
    text::clean,
};

/// Digits that every reader of decimals keeps (R4, section 2.24, decimal).
const DIGITS_MAX: usize = 18;

/// Results and observations; what is only due is a request.
pub(super) fn observations(reading: &Reading<'_>) -> Vec<Value> {
    let results = reading.items(ItemKind::Result).map(|told| observation(&told));
    let others = reading.items(ItemKind::Observation).filter(|told| !is_due(told));
    results.chain(others.map(|told| observation(&told))).collect()
}

/// Whether it is an entry of a diary: to be done, and not seen yet.
pub(super) fn is_due(told: &Told<'_>) -> bool {
    let is_request = |source: &crate::domain::one_record::Source| source.key.starts_with("ProcedureRequest/");
    told.text("status") == Some("due") || told.item.sources.iter().any(is_request)
}

pub(super) fn observation(told: &Told<'_>) -> Value {
    let value = Worth::of(told);
    told.tell("performer", "Performed by");
    let name = told.item.fields.get("name").map(String::as_str);
    let text = name.or_else(|| told.text("report"));
    let observed = told.date_time("observed", "Observed");
    let not_known = observed.is_none().then(|| terms::absent("unknown"));
    let body = json!({
        "status": terms::result_status(told.text("status")),
        "category": category(told),
        "code": coded_or_unknown(terms::concept_of(&told.item.codings, text, told.reading.base)),
        "subject": told.reading.subject(),
        "effectiveDateTime": observed,
        "_effectiveDateTime": not_known,
        "issued": issued(told),
        "performer": [told.author()],
        "valueQuantity": value.quantity,
        "valueDateTime": value.moment,
        "valueCodeableConcept": value.concept,
        "valueString": value.string,
        "interpretation": terms::interpretation(told.item.interpretation.as_ref(), told.text("abnormal_flags")),
        "method": words(told.text("method")),
        "specimen": told.named("specimen"),
        "referenceRange": range(told),
        "note": told.notes(),
    });
    told.resource(ResourceType::Observation, body, true)
}

/// When the result was made known: an instant, or else words.
fn issued(told: &Told<'_>) -> Option<String> {
    let text = told.text("recorded")?;
    let issued = moment::instant(text);
    if issued.is_none() {
        told.say("Recorded", text);
    }
    issued
}

/// Vital signs by their codes; of the laboratory whatever has a specimen.
fn category(told: &Told<'_>) -> Value {
    if terms::is_vital_sign(&told.item.codings, told.reading.base) {
        return json!([hl7("observation-category", "vital-signs")]);
    }
    let is_laboratory = told.item.kind == ItemKind::Result && told.text("specimen").is_some();
    if is_laboratory { json!([hl7("observation-category", "laboratory")]) } else { Value::Null }
}

/// What was found, in the one of FHIR's forms that fits.
#[derive(Default)]
struct Worth {
    quantity: Value,
    moment: Option<String>,
    concept: Value,
    string: Value,
}

impl Worth {
    fn of(told: &Told<'_>) -> Self {
        let Some(text) = told.text("value") else { return Self::default() };
        let (comparator, units) = (told.text("comparator"), told.text("units"));
        let sign = one_of(comparator, &["<", "<=", ">=", ">"]);
        let kind = told.text("value_type").unwrap_or_default();
        // A comparator that FHIR does not know must stay before its number.
        let is_placed = comparator.is_none() || sign.is_some();
        if let Some(number) = decimal(text).filter(|_| is_placed && matches!(kind, "NM" | "SN" | "")) {
            return Self { quantity: quantity(&number, sign, units), ..Self::default() };
        }
        if matches!(kind, "CE" | "CWE" | "CNE" | "CF" | "IS") {
            return Self { concept: words(Some(text)), ..Self::default() };
        }
        let read = if matches!(kind, "TS" | "DT" | "DTM") { moment::date_time(text) } else { None };
        if read.is_some() {
            return Self { moment: read, ..Self::default() };
        }
        let units = units.map(|units| format!(" {units}")).unwrap_or_default();
        let string = clean(&format!("{}{text}{units}", comparator.unwrap_or_default()));
        Self { string, ..Self::default() }
    }
}

/// A number with its unit as received, and the unit's UCUM code where that is beyond doubt.
fn quantity(number: &str, comparator: Option<&str>, units: Option<&str>) -> Value {
    let ucum = units.and_then(terms::ucum);
    json!({
        "value": number,
        "comparator": comparator,
        "unit": units.map(clean),
        "system": ucum.map(|_| names::UCUM),
        "code": ucum,
    })
}

/// A text as a decimal of FHIR with the same digits; none if it is anything else.
pub(super) fn decimal(text: &str) -> Option<String> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (digits, None),
    };
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_right = is_digits(whole) && fraction.is_none_or(|digits| !digits.is_empty() && is_digits(digits));
    if !is_right || (whole.is_empty() && fraction.is_none()) || DIGITS_MAX < digits.len() {
        return None;
    }
    let bare = whole.trim_start_matches('0');
    let whole = if bare.is_empty() { "0" } else { bare };
    Some(match fraction {
        Some(fraction) => format!("{sign}{whole}.{fraction}"),
        None => format!("{sign}{whole}"),
    })
}

/// The range in the words of its source, and its bounds where they could be read and belong to what is normal.
fn range(told: &Told<'_>) -> Value {
    let Some(text) = told.text("reference_range") else { return Value::Null };
    let found = told.item.interpretation.as_ref().and_then(|found| found.range.as_ref());
    let units = told.text("units");
    let bound = |bound: Option<f64>| bound.map(|bound| quantity(&bound.to_string(), None, units));
    let found = found.filter(|range| !range.exclusive);
    json!([{
        "low": found.and_then(|range| bound(range.low)),
        "high": found.and_then(|range| bound(range.high)),
        "text": clean(text),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_keep_their_digits() {
        for (text, number) in [
            ("5.40", Some("5.40")),
            ("+07.20", Some("7.20")),
            (".5", Some("0.5")),
            ("-0", Some("-0")),
            ("000", Some("0")),
            ("1.", None),
            (".", None),
            ("1e3", None),
            ("1,5", None),
            ("1234567890123456789", None),
            ("", None),
            ("５", None),
        ] {
            assert_eq!(decimal(text).as_deref(), number, "{text}");
        }
    }
}
