//! The hub's words in the codes of FHIR R4, HL7 and the UK; what has no code there stays in the words of its source.

use serde_json::{Value, json};

use crate::{
    codec::fhir::names,
    domain::one_record::{Coding, Flag, Interpretation, OneItem},
};

use super::text::{clean, code as clean_code};

/// Tags of this hub on what it gives: `cached` and `disputed`. A name of our own that needs nobody's leave.
pub const TAGS: &str = "urn:uuid:3c9f6a1e-6f5b-8c52-9d0a-52a6b7f0f3c4";
/// Why there is nothing where something belongs.
pub(super) const ABSENT: &str = "http://hl7.org/fhir/StructureDefinition/data-absent-reason";
const DESCRIPTION: &str = "http://hl7.org/fhir/StructureDefinition/coding-sctdescid";
const INTERPRETATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation";
/// Codings of one item that are given: sources give a handful, and each is compared with all before it.
const CODINGS_MAX: usize = 64;
/// What readers of practices' answers append to a system's name for the description that was chosen.
const DESCRIPTION_MARK: &str = "#description";

/// An element that is there only to say why its value is not.
pub(super) fn absent(reason: &str) -> Value {
    json!({ "extension": [{ "url": ABSENT, "valueCode": reason }] })
}

/// A code of a system that HL7 publishes.
pub(super) fn hl7(system: &str, code: &str) -> Value {
    json!({ "coding": [{ "system": format!("http://terminology.hl7.org/CodeSystem/{system}"), "code": code }] })
}

/// A code system's URI, from the names that records use; none where the name tells nobody outside what it is.
pub(super) fn system_uri(name: &str, base: &str) -> Option<String> {
    let plain = name.trim();
    let known = match plain.to_ascii_lowercase().as_str() {
        "snomed-ct" | "snomed ct" | "sct" | "2.16.840.1.113883.2.1.3.2.4.15" | "2.16.840.1.113883.6.96" => {
            names::SNOMED_CT
        }
        "read-2" | "2.16.840.1.113883.2.1.6.2" => names::READ_2,
        "ctv3" | "2.16.840.1.113883.2.1.3.2.4.14" => names::CTV3,
        "loinc" | "2.16.840.1.113883.6.1" => names::LOINC,
        "" | "local" => return None,
        _ => "",
    };
    if !known.is_empty() {
        return Some(known.to_owned());
    }
    let is_oid = plain.contains('.') && plain.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_oid && plain.starts_with(['0', '1', '2']) {
        return Some(format!("urn:oid:{plain}"));
    }
    if is_absolute(plain) {
        return Some(plain.to_owned());
    }
    Some(format!("{base}/CodeSystem/{}", encoded(plain)))
}

/// Whether a text is a URI with a scheme, and nothing that must not be in one.
pub(super) fn is_absolute(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let is_sound = |byte: u8| byte.is_ascii_graphic() && !b"<>\"{}|\\^`".contains(&byte);
    is_scheme && !rest.is_empty() && rest.bytes().all(is_sound)
}

/// Percent-encoded, but for letters, digits, `-`, `.`, `_` and `~` (RFC 3986).
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// What an item is: its codings as received, each once, and its words.
pub(super) fn concept(item: &OneItem, base: &str) -> Value {
    concept_of(&item.codings, item.fields.get("name").map(String::as_str), base)
}

/// Codings under their systems' URIs, each once, and words.
pub(super) fn concept_of(codings: &[Coding], words: Option<&str>, base: &str) -> Value {
    let mut given: Vec<Value> = Vec::new();
    for coding in codings.iter().take(CODINGS_MAX) {
        if let Some(system) = coding.system.strip_suffix(DESCRIPTION_MARK) {
            describe(&mut given, system_uri(system, base).as_deref(), coding);
            continue;
        }
        let (system, code) = (system_uri(&coding.system, base), clean_code(&coding.code));
        if code.is_null() {
            continue;
        }
        let same = |one: &&mut Value| {
            one["code"] == code
                && (system.is_none() || one["system"].is_null() || one["system"] == json!(system))
        };
        match given.iter_mut().find(same) {
            Some(known) => {
                if known["system"].is_null() {
                    known["system"] = json!(system);
                }
                if known["display"].is_null() {
                    known["display"] = clean(&coding.display);
                }
            }
            None => given.push(json!({ "system": system, "code": code, "display": clean(&coding.display) })),
        }
    }
    json!({ "coding": given, "text": words.map(clean) })
}

/// Notes on the last coding of a system which of its descriptions was chosen.
fn describe(given: &mut [Value], system: Option<&str>, description: &Coding) {
    let is_id = !description.code.is_empty() && description.code.len() <= 18;
    let is_id = is_id && description.code.bytes().all(|byte| byte.is_ascii_digit());
    let last = given.iter_mut().rev().find(|one| one["system"].as_str() == system);
    if let Some(coding) = last.filter(|coding| is_id && coding["extension"].is_null()) {
        coding["extension"] = json!([{ "url": DESCRIPTION, "valueId": description.code }]);
    }
}

/// Words alone.
pub(super) fn words(text: Option<&str>) -> Value {
    json!({ "text": text.map(clean) })
}

/// A code out of a list that FHIR requires, if the text is one of them, in whatever case.
pub(super) fn one_of(text: Option<&str>, codes: &[&'static str]) -> Option<&'static str> {
    let text = text?.trim().to_ascii_lowercase();
    codes.iter().copied().find(|code| *code == text)
}

/// A result's status: HL7 table 0085, or FHIR's own words.
pub(super) fn result_status(text: Option<&str>) -> &'static str {
    const OWN: [&str; 8] = [
        "registered",
        "preliminary",
        "final",
        "amended",
        "corrected",
        "cancelled",
        "entered-in-error",
        "unknown",
    ];
    if let Some(known) = one_of(text, &OWN) {
        return known;
    }
    match text.unwrap_or_default().trim().to_ascii_uppercase().as_str() {
        "F" | "U" | "V" => "final",
        "P" | "R" | "S" | "PARTIAL" => "preliminary",
        "C" => "corrected",
        "A" | "B" | "APPENDED" => "amended",
        "X" => "cancelled",
        "D" | "W" => "entered-in-error",
        "I" | "O" => "registered",
        _ => "unknown",
    }
}

/// A flag in HL7's code, with the words of its source; where the hub found it out by itself, it says so.
pub(super) fn interpretation(found: Option<&Interpretation>, as_received: Option<&str>) -> Value {
    let flag = found.and_then(|found| found.flag);
    let code = flag.map(|flag| match flag {
        Flag::Normal => "N",
        Flag::Abnormal => "A",
        Flag::Low => "L",
        Flag::High => "H",
        Flag::CriticalAbnormal => "AA",
        Flag::CriticalLow => "LL",
        Flag::CriticalHigh => "HH",
    });
    let own = found
        .is_some_and(|found| found.from_range)
        .then(|| json!("From value and range; the source gave no flag"));
    let text = as_received.map(clean).filter(|text| !text.is_null()).or(own);
    let coding = code.map(|code| json!([{ "system": INTERPRETATION, "code": code }]));
    json!([{ "coding": coding, "text": text }])
}

/// Units whose UCUM code is beyond doubt, by their spelling as received. Others are given in words only.
const UCUM_UNITS: [(&str, &str); 62] = [
    ("%", "%"),
    ("/min", "/min"),
    ("bpm", "/min"),
    ("beats/min", "/min"),
    ("breaths/min", "/min"),
    ("10*9/L", "10*9/L"),
    ("10^9/L", "10*9/L"),
    ("10*9/l", "10*9/L"),
    ("10^9/l", "10*9/L"),
    ("x10*9/L", "10*9/L"),
    ("10*12/L", "10*12/L"),
    ("10^12/L", "10*12/L"),
    ("10*12/l", "10*12/L"),
    ("10^12/l", "10*12/L"),
    ("x10*12/L", "10*12/L"),
    ("Cel", "Cel"),
    ("degC", "Cel"),
    ("\u{b0}C", "Cel"),
    ("cm", "cm"),
    ("fL", "fL"),
    ("fl", "fL"),
    ("g/L", "g/L"),
    ("g/l", "g/L"),
    ("g/dL", "g/dL"),
    ("IU/L", "[IU]/L"),
    ("iu/L", "[IU]/L"),
    ("[IU]/L", "[IU]/L"),
    ("kg", "kg"),
    ("Kg", "kg"),
    ("kg/m2", "kg/m2"),
    ("Kg/m2", "kg/m2"),
    ("kg/m\u{b2}", "kg/m2"),
    ("L/L", "L/L"),
    ("L/min", "L/min"),
    ("L", "L"),
    ("m", "m"),
    ("mg/L", "mg/L"),
    ("mg/l", "mg/L"),
    ("mg/dL", "mg/dL"),
    ("mg/mmol", "mg/mmol"),
    ("mL", "mL"),
    ("mL/min", "mL/min"),
    ("mm/h", "mm/h"),
    ("mm/hr", "mm/h"),
    ("mmHg", "mm[Hg]"),
    ("mm[Hg]", "mm[Hg]"),
    ("mmol/L", "mmol/L"),
    ("mmol/l", "mmol/L"),
    ("mmol/mol", "mmol/mol"),
    ("ng/mL", "ng/mL"),
    ("ng/L", "ng/L"),
    ("nmol/L", "nmol/L"),
    ("nmol/l", "nmol/L"),
    ("pg", "pg"),
    ("pmol/L", "pmol/L"),
    ("pmol/l", "pmol/L"),
    ("s", "s"),
    ("ug/L", "ug/L"),
    ("\u{b5}g/L", "ug/L"),
    ("umol/L", "umol/L"),
    ("umol/l", "umol/L"),
    ("\u{b5}mol/L", "umol/L"),
];

/// The UCUM code of units; none if in any doubt.
pub(super) fn ucum(units: &str) -> Option<&'static str> {
    UCUM_UNITS.iter().find(|(spelling, _)| *spelling == units.trim()).map(|(_, code)| *code)
}

/// Signs of life whose SNOMED CT or LOINC code is beyond doubt: these make the category `vital-signs`.
const VITAL_SIGNS: [&str; 26] = [
    "271649006", // systolic blood pressure
    "271650006", // diastolic blood pressure
    "75367002",  // blood pressure
    "163020007", // on examination, blood pressure reading
    "364075005", // heart rate
    "78564009",  // pulse rate
    "386725007", // body temperature
    "86290005",  // respiratory rate
    "431314004", // peripheral oxygen saturation
    "103228002", // oxygen saturation
    "27113001",  // body weight
    "50373000",  // body height
    "248333004", // standing height
    "60621009",  // body mass index
    "363812007", // head circumference
    "8480-6",
    "8462-4",
    "85354-9",
    "8867-4",
    "8310-5",
    "9279-1",
    "59408-5",
    "2708-6",
    "29463-7",
    "8302-2",
    "39156-5",
];

/// Whether a code is a vital sign's.
pub(super) fn is_vital_sign(codings: &[Coding], base: &str) -> bool {
    let is_known = |coding: &Coding| {
        let system = system_uri(&coding.system, base);
        let is_standard = matches!(system.as_deref(), Some(names::SNOMED_CT | names::LOINC));
        is_standard && VITAL_SIGNS.contains(&coding.code.trim())
    };
    codings.iter().any(is_known)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "https://hub.example/fhir/r4";

    fn coding(system: &str, code: &str, display: &str) -> Coding {
        Coding { system: system.to_owned(), code: code.to_owned(), display: display.to_owned() }
    }

    #[test]
    fn systems_have_their_uris() {
        for (name, uri) in [
            ("snomed-ct", Some("http://snomed.info/sct")),
            ("SNOMED CT", Some("http://snomed.info/sct")),
            ("read-2", Some("http://read.info/readv2")),
            ("ctv3", Some("http://read.info/ctv3")),
            ("loinc", Some("http://loinc.org")),
            ("1.2.826.0.1.3680043", Some("urn:oid:1.2.826.0.1.3680043")),
            ("https://fhir.example/codes", Some("https://fhir.example/codes")),
            ("lab codes", Some("https://hub.example/fhir/r4/CodeSystem/lab%20codes")),
            ("javascript:<b>", Some("https://hub.example/fhir/r4/CodeSystem/javascript%3A%3Cb%3E")),
            ("local", None),
            ("", None),
        ] {
            assert_eq!(system_uri(name, BASE).as_deref(), uri, "{name}");
        }
    }

    #[test]
    fn each_coding_is_given_once_with_the_description_that_was_chosen() {
        let codings = [
            coding("snomed-ct", "1", "One"),
            coding("http://snomed.info/sct", "1", ""),
            coding("http://snomed.info/sct#description", "2465501000000110", "one"),
            coding("local", "K", "K"),
            coding("https://x/local", "K", ""),
            coding("local", " ", ""),
        ];
        assert_eq!(
            concept_of(&codings, Some("One"), BASE),
            json!({"text": "One", "coding": [
                {"system": "http://snomed.info/sct", "code": "1", "display": "One",
                 "extension": [{"url": DESCRIPTION, "valueId": "2465501000000110"}]},
                {"system": "https://x/local", "code": "K", "display": "K"},
            ]})
        );
    }

    #[test]
    fn results_are_no_more_final_than_their_source_says() {
        let found = ["F", "final", "P", "S", "C", "X", "W", "I", "appended", "?"]
            .map(|text| result_status(Some(text)));
        assert_eq!(
            found,
            [
                "final",
                "final",
                "preliminary",
                "preliminary",
                "corrected",
                "cancelled",
                "entered-in-error",
                "registered",
                "amended",
                "unknown"
            ]
        );
        assert_eq!(result_status(None), "unknown");
    }

    #[test]
    fn only_known_units_have_a_code() {
        assert_eq!(
            [ucum("mmol/l"), ucum(" mmHg "), ucum("IU/L")],
            [Some("mmol/L"), Some("mm[Hg]"), Some("[IU]/L")]
        );
        assert_eq!([ucum("MMOL/L"), ucum("units"), ucum("")], [None; 3]);
    }
}
