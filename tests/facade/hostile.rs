//! Whatever a system may have said of anything, what is given is JSON and keeps FHIR's rules.

use std::collections::BTreeMap;

use polygate::domain::{
    one_record::{Parts, Source, Statement, assemble},
    record::{Identifier, ItemKind},
    time::Timestamp,
};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::Value;

use crate::{
    chart::{all, withheld},
    given::divisions,
    rules,
};

/// The names of fields that any kind has.
const FIELDS: [&str; 66] = [
    "abnormal_flags",
    "address_line_1",
    "author",
    "batch_number",
    "birth_date",
    "cancellation_reason",
    "category",
    "certainty",
    "city",
    "clinician",
    "code",
    "code_system",
    "codings",
    "comparator",
    "content",
    "created",
    "death_date",
    "death_indicator",
    "delivery_channel",
    "disposition",
    "dose",
    "dose_sequence",
    "duration",
    "encoding",
    "end",
    "ended",
    "ethnic_category",
    "family_name",
    "gender",
    "general_practice",
    "given",
    "given_name",
    "last_issued",
    "location",
    "media_type",
    "method",
    "name",
    "nhs_number_status",
    "note",
    "observed",
    "onset",
    "organisation",
    "outcome",
    "patient_class",
    "performer",
    "priority",
    "product",
    "quantity",
    "reaction",
    "reason",
    "received",
    "recorded",
    "reference_range",
    "report",
    "report_code",
    "route",
    "service",
    "severity",
    "significance",
    "specimen",
    "start",
    "started",
    "status",
    "title",
    "type",
    "value",
];

/// Texts that mean something somewhere, and texts that should not.
fn text() -> impl Strategy<Value = String> {
    let known = select(vec![
        "",
        " ",
        "active",
        "booked",
        "cancelled",
        "did not attend",
        "deleted",
        "due",
        "resolved",
        "final",
        "F",
        "P",
        "2026",
        "2026-01",
        "2026-01-05",
        "2026-01-05T09:30:00+00:00",
        "20260105093000",
        "2026-10-25T01:30:00",
        "9999-12-31T23:59:59-14:00",
        "0001-01-01",
        "-1",
        "5.40",
        "1e400",
        "999999999999999999999",
        "<",
        "~",
        "3-5",
        "<script>alert(1)</script>",
        "]]>&amp;",
        "\u{0}\u{1}\u{8}",
        "\u{202e}\u{feff}",
        "\u{a0}",
        "a|b|c\nd|e",
        "snomed-ct",
        "http://snomed.info/sct",
        "http://snomed.info/sct#description",
        "urn:oid:1.2",
        "1.2.3",
        "local",
        "javascript:alert(1)",
        "snomed-ct|1|x\nsnomed-ct|1|\nlocal|2|y",
        "base64",
        "text",
        "JVBERi0=",
        "NSTS01",
        "Y",
        "I",
        "severe",
        "medication,food",
        "text/plain",
        "\u{10ffff}",
    ]);
    prop_oneof![3 => known.prop_map(str::to_owned), 1 => any::<String>(), 1 => "\\PC{0,40}"]
}

fn told() -> impl Strategy<Value = Statement> {
    let moment = prop_oneof![Just(0), Just(1_795_000_000_000), Just(i64::MAX), Just(i64::MIN), any::<i64>()];
    let fields = vec((select(FIELDS.to_vec()), text()), 0..20);
    let source = (select(vec!["emis", "rio", "a b/<c>", ""]), text(), moment, any::<bool>());
    (select(ItemKind::ALL.to_vec()), fields, source).prop_map(
        |(kind, fields, (system, key, said_at, cached))| {
            let fields: BTreeMap<String, String> =
                fields.into_iter().map(|(name, text)| (name.to_owned(), text)).collect();
            let source = Source {
                system: system.to_owned(),
                key: key.clone(),
                author: fields.get("author").cloned(),
                organisation: fields.get("organisation").cloned(),
                said_at: Timestamp(said_at),
                received_at: Timestamp(said_at),
                cached,
                source_id: String::new(),
            };
            Statement { kind, key, fields, withdrawn: false, source }
        },
    )
}

/// Whether a division's text is well-formed, and of elements that narratives may have.
fn is_narrative(division: &str) -> bool {
    let Ok(tree) = polygate::codec::xml::parse(division, 1_000_000) else { return false };
    let allowed = ["div", "p", "table", "thead", "tbody", "tr", "th", "td", "ul", "li"];
    tree.descendants().filter(|node| node.is_element()).all(|node| allowed.contains(&node.tag_name().name()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn whatever_was_said_is_given_by_the_rules(
        statements in vec(told(), 0..12),
        identifiers in vec((text(), text(), text()), 0..3),
        at in prop_oneof![Just(1_795_000_000_000), any::<i64>()],
        is_withheld in any::<bool>(),
    ) {
        let identifiers = identifiers.into_iter().map(|(value, authority, kind)| {
            ("rio".to_owned(), Identifier { value, authority, kind })
        });
        let parts = Parts { statements, identifiers: identifiers.collect(), ..Parts::default() };
        let record = assemble(parts, Timestamp(at));
        let held = withheld();
        let given = all(&record, if is_withheld { &held } else { &[] });
        for one in &given {
            let bytes = polygate::codec::fhir::r4::write(one);
            prop_assert!(serde_json::from_slice::<Value>(&bytes).is_ok());
            let faults = rules::faults(one);
            prop_assert!(faults.is_empty(), "{faults:?}\n{one:#}");
        }
        let mut narratives = Vec::new();
        given.iter().for_each(|one| divisions(one, &mut narratives));
        for narrative in narratives {
            prop_assert!(is_narrative(&narrative), "{narrative}");
        }
    }
}
