//! What we send, and what the simulated practice answers, written out for others to check.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc, time::Duration};

use axum::http::Request;
use bytes::Bytes;
use serde_json::{Value, json};

use super::{NOW, booking, requester};
use crate::{
    codec::fhir::{self, Format},
    domain::slot::Amendment,
    sys::clock::SimulatedClock,
    systems::{
        emis,
        gp_connect::{
            Interaction, Profile, RecordPart, booking as rules, local_time, patients, record,
            token::{Purpose, token},
        },
        simulator::{
            gp_connect::{Options, Provider},
            people::Person,
        },
        vision,
    },
};

/// Names a folder that takes every sample; nothing is written without it.
const FOLDER: &str = "POLYGATE_EMIT";

fn provider(profile: &'static Profile) -> Provider {
    let options = Options {
        profile,
        practice: "E87001".to_owned(),
        name: "Grove Park Surgery".to_owned(),
        asid: "200000000116".to_owned(),
        first_person: 0,
        people: 100,
    };
    Provider::new(options, Arc::new(SimulatedClock::new(NOW)))
}

fn ask(
    provider: &Provider,
    interaction: Interaction,
    path: &str,
    body: Option<&Value>,
    trace: u64,
    profile: &Profile,
) -> Vec<u8> {
    let base =
        if interaction == Interaction::StructuredRecord { provider.records_base() } else { provider.base() };
    let audience = format!("https://gp.example{base}");
    let purpose = Purpose { interaction, audience: &audience, issuer: "https://hub.example" };
    let media = profile.format.media_type();
    let request = Request::builder()
        .method(interaction.method())
        .uri(format!("{base}{path}"))
        .header("Accept", media)
        .header("Content-Type", media)
        .header("Authorization", format!("Bearer {}", token(&requester(), &purpose, NOW)))
        .header("Ssp-TraceID", format!("00000000-0000-4000-8000-{trace:012}"))
        .header("Ssp-From", "200000000115")
        .header("Ssp-To", "200000000116")
        .header("Ssp-InteractionID", interaction.id())
        .body(body.map_or_else(Bytes::new, |body| Bytes::from(fhir::write(body, profile.format))))
        .unwrap();
    provider.answer(&request).into_body().to_vec()
}

/// Every resource we write, by a name for its file.
fn samples() -> BTreeMap<String, Vec<u8>> {
    let (who, booking) = (requester(), booking(&[1, 2]));
    let slots = rules::check_booking(&who, &booking, NOW).unwrap();
    let appointment = rules::appointment(&who, &booking, &slots, NOW);
    let mut read = appointment.clone();
    read["id"] = json!("9");
    read["meta"]["versionId"] = json!("3");
    let amendment = Amendment { description: Some("Stitches".to_owned()), comment: None };
    let registration = super::registration();
    let sent = [
        ("book", appointment),
        ("amend", rules::amended(read.clone(), &amendment)),
        ("cancel", rules::cancelled(read, "Patient is better")),
        ("record", record::parameters(Person::of(8).nhs_number, &RecordPart::ALL)),
        ("register", patients::parameters(&registration)),
    ];
    let mut samples = BTreeMap::new();
    for (name, resource) in &sent {
        samples.insert(format!("sent-{name}.json"), fhir::write(resource, Format::Json));
        samples.insert(format!("sent-{name}.xml"), fhir::write(resource, Format::Xml));
    }
    for profile in [&emis::PROFILE, &vision::PROFILE] {
        let extension = if profile.format == Format::Json { "json" } else { "xml" };
        let provider = provider(profile);
        let window = |moment| local_time::moment(moment).replace('+', "%2B");
        let slots = format!(
            "/Slot?start=ge{}&end=le{}&status=free&_include=Slot:schedule&_include:recurse=Schedule:actor:Location",
            window(NOW),
            window(NOW.plus(Duration::from_secs(86_400)))
        );
        let mut trace = 0;
        let mut add = |name: String, interaction: Interaction, path: &str, body: Option<&Value>| {
            trace += 1;
            let answer = ask(&provider, interaction, path, body, trace, profile);
            samples.insert(format!("{}-{name}.{extension}", profile.kind.to_lowercase()), answer);
        };
        for person in [3, 8, 10, 11, 16] {
            let body = record::parameters(Person::of(person).nhs_number, &RecordPart::ALL);
            let path = "/Patient/$gpc.getstructuredrecord";
            add(format!("record-{person}"), Interaction::StructuredRecord, path, Some(&body));
        }
        add("slots".to_owned(), Interaction::FreeSlots, &slots, None);
        add("refusal".to_owned(), Interaction::ReadAppointment, "/Appointment/7", None);
    }
    samples
}

#[test]
fn what_we_write_reads_back_and_is_laid_out_for_others() {
    let samples = samples();
    assert_eq!(samples.len(), 24);
    for (name, bytes) in &samples {
        let tree = fhir::read(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let is_refusal = tree["resourceType"] == "OperationOutcome";
        assert_eq!(is_refusal, name.contains("refusal"), "{name}: {tree}");
    }
    for name in ["book", "amend", "cancel", "record", "register"] {
        let read = |extension: &str| fhir::read(&samples[&format!("sent-{name}.{extension}")]).unwrap();
        assert_eq!(read("json"), read("xml"), "{name}");
    }
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let folder = Path::new(&folder).join("gp-connect");
    fs::create_dir_all(&folder).unwrap();
    for (name, bytes) in &samples {
        // EMIS's habits break STU3 on purpose; what it says is in Vision's answers, too, which must hold.
        if !name.starts_with("emis-") {
            fs::write(folder.join(name), bytes).unwrap();
            let tree = fhir::read(bytes).unwrap();
            let name = Path::new(name).with_extension("json");
            fs::write(folder.join(name), fhir::write(&tree, Format::Json)).unwrap();
        }
    }
}
