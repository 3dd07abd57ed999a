//! GP Connect: what is understood of a practice's answers, and what is said of those that are no success.

use std::path::Path;

use polygate::{
    codec::fhir,
    domain::{
        nhs_number::NhsNumber,
        record::Snapshot,
        slot::{BookedAppointment, FreeSlot, PatientAtSystem, SlotQuery},
        time::Timestamp,
    },
    flow::ask::{GpSystem, Refusal},
    systems::{
        emis,
        gp_connect::{Profile, fault::Fault},
        vision,
    },
};
use serde_json::{Value, json};
use tokio::runtime::Builder;

use crate::{
    case::{Case, Outcome},
    event, shared,
    shared::{Verdict, Verdicts},
    support::{
        canned::{Asked, Canned, Server},
        hub::NOW,
        practice,
    },
};

/// Whose record is asked for, unless a case says otherwise.
const NHS_NUMBER: &str = "9990000018";

/// What is asked of a practice.
#[derive(Clone, Copy)]
pub enum Deed {
    Record,
    Slots,
    Find,
    Appointments,
    Read,
}

/// A question, the answer that the practice gives to it, and at what time.
pub struct Trial {
    deed: Deed,
    profile: &'static Profile,
    nhs_number: String,
    patient: String,
    now: Timestamp,
    answer: Canned,
}

impl Trial {
    pub fn of(deed: Deed, body: Vec<u8>) -> Self {
        let answer =
            Canned { status: 200, media_type: "application/fhir+json", headers: String::new(), body };
        let (nhs_number, patient) = (NHS_NUMBER.to_owned(), "1".to_owned());
        Self { deed, profile: &emis::PROFILE, nhs_number, patient, now: NOW, answer }
    }

    /// Asks over HTTP, and gives back what came of it and what was asked.
    pub fn hold(self) -> (Result<Value, Refusal>, Vec<Asked>) {
        let server = Server::start(self.answer);
        let practice = practice::at(server.port, self.profile, self.now);
        let number = NhsNumber::parse(&self.nhs_number).unwrap();
        let patient = practice::patient(&self.patient, number);
        let who = practice::requester();
        let window =
            SlotQuery { from: self.now, until: Timestamp(self.now.0 + 14 * 86_400_000), filters: Vec::new() };
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(async {
            match self.deed {
                Deed::Record => practice.record(&who, number).await.map(|record| snapshot(&record)),
                Deed::Slots => {
                    practice.slots(&who, &window).await.map(|slots| slots.iter().map(slot).collect())
                }
                Deed::Find => practice.find_patient(&who, number).await.map(|found| found_patient(&found)),
                Deed::Appointments => {
                    let found = practice.appointments(&who, &patient, "2099-01-01").await;
                    found.map(|found| found.iter().map(appointment).collect())
                }
                Deed::Read => practice.read(&who, &patient, "9").await.map(|found| appointment(&found)),
            }
        });
        (answer, server.asked())
    }
}

fn snapshot(record: &Snapshot) -> Value {
    json!({
        "as_at": record.as_at.to_string(),
        "identifiers": event::identifiers(&record.identifiers),
        "items": event::items(&record.items),
        "faults": record.faults,
    })
}

fn slot(slot: &FreeSlot) -> Value {
    json!({
        "id": slot.id,
        "start": slot.start.to_string(),
        "end": slot.end.to_string(),
        "service": slot.service,
        "session": slot.session,
        "delivery_channel": slot.delivery_channel,
        "location": slot.location.name,
        "practitioner": slot.practitioner.as_ref().map(|one| one.name.clone()),
    })
}

fn appointment(appointment: &BookedAppointment) -> Value {
    json!({
        "id": appointment.id,
        "version": appointment.version,
        "patient": appointment.patient,
        "status": format!("{:?}", appointment.status),
        "start": appointment.start.to_string(),
        "slots": appointment.slots,
        "description": appointment.description,
        "booked_by": appointment.booked_by,
        "cancellation_reason": appointment.cancellation_reason,
    })
}

fn found_patient(patient: &PatientAtSystem) -> Value {
    json!({ "id": patient.id, "name": patient.name, "birth_date": patient.birth_date, "gender": patient.gender })
}

/// Asks a practice that answers with the case's input, in JSON or XML; `deed`, `status` and `supplier` say how.
pub fn read(case: &Case) -> Outcome {
    let input = case.input();
    let deed = match case.setting("deed").as_deref() {
        None | Some("record") => Deed::Record,
        Some("slots") => Deed::Slots,
        Some("find") => Deed::Find,
        Some("appointments") => Deed::Appointments,
        Some("read") => Deed::Read,
        Some(other) => panic!("{}", case.says(&format!("nobody knows how to {other}"))),
    };
    let mut trial = Trial::of(deed, input);
    if case.setting("supplier").as_deref() == Some("vision") {
        trial.profile = &vision::PROFILE;
        trial.answer.media_type = "application/fhir+xml";
    }
    trial.answer.status = case.setting("status").map_or(200, |status| status.parse().unwrap());
    let (answer, asked) = trial.hold();
    let asked: Vec<Value> = asked
        .iter()
        .map(|one| json!({ "line": one.line, "interaction": one.header("ssp-interactionid") }))
        .collect();
    match answer {
        Ok(value) => json!({ "answer": value, "refusal": null, "asked": asked }),
        Err(refusal) => json!({
            "answer": null,
            "refusal": {
                "code": refusal.code,
                "at_fault": format!("{:?}", refusal.at_fault),
                "outcome": format!("{:?}", refusal.outcome),
            },
            "asked": asked,
        }),
    }
    .into()
}

/// An example's JSON: without the marks of the site that showed it, and with the number of whoever is asked for.
pub fn example(folder: &Path, file: &str) -> String {
    let text = String::from_utf8(shared::bytes(folder, file)).unwrap();
    let text = text.trim_start_matches('\u{feff}');
    let text = text.replace("{% highlight json %}", "").replace("{% endhighlight %}", "");
    let text = text.replace("{{jsonPath request.body '$.parameter[0].valueIdentifier.value'}}", NHS_NUMBER);
    // What its server would fill in for people it knows more of stands between lines of its own.
    let text = match (text.split_once("{{#patient}}"), text.rsplit_once("{{/patient}}")) {
        (Some((before, _)), Some((_, after))) => format!("{before}{after}"),
        _ => text,
    };
    text.lines().filter(|line| !line.trim().starts_with("{{")).collect::<Vec<_>>().join("\n")
}

fn verdict(faults: Vec<String>) -> Verdict {
    if faults.is_empty() { Verdict::Right } else { Verdict::Wrong(faults.join("; ")) }
}

/// Records of EMIS and TPP, errors, and what the Spine says.
pub fn judge_records(folder: &Path) -> Verdicts {
    let judged = shared::files(folder).into_iter().map(|file| {
        let name = file.rsplit('/').next().unwrap();
        let verdict = match name {
            _ if file.ends_with(".xml") => {
                Verdict::NotRead("GP2GP in HL7 v3: records that move with a patient")
            }
            "RCMR_IN010000UK05.json" => Verdict::NotRead("GP2GP in HL7 v3: records that move with a patient"),
            "spineCorrectLoginResponse.json" => Verdict::NotRead("a log-in that this hub never makes"),
            "response.json" => Verdict::NotRead("Access Document: this version asks for no single documents"),
            _ if name.starts_with("sds") => {
                Verdict::NotRead("the Spine directory: addresses are in the configuration")
            }
            _ if name.contains("perationOutcome") || name.starts_with("notFound") => {
                verdict(refusal_faults(&example(folder, &file)))
            }
            _ => verdict(record_faults(&example(folder, &file))),
        };
        (file, verdict)
    });
    let mut verdicts: Verdicts = judged.collect();
    // The same care from two makers' systems; the names were changed afterwards.
    let files: Vec<String> = verdicts.keys().filter(|file| file.ends_with("PWTP7.json")).cloned().collect();
    if let [emis, tpp] = files.as_slice()
        && let Some(why) = other_care(&example(folder, emis), &example(folder, tpp))
    {
        verdicts.insert(tpp.clone(), Verdict::Wrong(why));
    }
    verdicts
}

/// Whether two records tell of another care.
fn other_care(one: &str, other: &str) -> Option<String> {
    let read = |text: &str| Trial::of(Deed::Record, text.as_bytes().to_vec()).hold().0;
    let (one, other) = (read(one).ok()?, read(other).ok()?);
    let told = |record: &Value| {
        let items = record["items"].as_array().unwrap();
        (record["identifiers"].clone(), items[1..].to_vec())
    };
    (told(&one) != told(&other)).then(|| "it tells something else than the other maker's system".to_owned())
}

/// A refusal must be told by the code that the practice gave.
fn refusal_faults(text: &str) -> Vec<String> {
    let resource: Value = serde_json::from_str(text).unwrap();
    let code = resource["issue"][0]["details"]["coding"][0]["code"].as_str().unwrap();
    let status = Fault::of_code(code).map_or(500, |fault| fault.row().status);
    let mut trial = Trial::of(Deed::Record, text.as_bytes().to_vec());
    trial.answer.status = status;
    match trial.hold().0 {
        Err(refusal) if refusal.code == code => Vec::new(),
        Err(refusal) => vec![format!("expected {code}, found {}", refusal.code)],
        Ok(_) => vec![format!("expected {code}, found a record")],
    }
}

/// A record must give every resource that is an item of a record, and every number and word observed.
fn record_faults(text: &str) -> Vec<String> {
    let bundle: Value = serde_json::from_str(text).unwrap();
    // Some examples ask for people whose numbers are none.
    let given = bundle["entry"].as_array().unwrap().iter().map(|entry| &entry["resource"]);
    let resources: Vec<&Value> = given.collect();
    let patient = *resources.iter().find(|one| one["resourceType"] == "Patient").unwrap();
    let number = patient["identifier"][0]["value"].as_str().unwrap();
    let text = text.replace(number, NHS_NUMBER);
    let read = match Trial::of(Deed::Record, text.into_bytes()).hold().0 {
        Ok(read) => read,
        Err(refusal) => return vec![format!("refused: {refusal}")],
    };
    let mut faults = missing(&resources, &read);
    let family = &patient["name"][0]["family"];
    if read["items"][0]["set"]["family_name"] != *family {
        faults.push("another family name".to_owned());
    }
    if read["items"][0]["set"]["birth_date"] != patient["birthDate"] {
        faults.push("another date of birth".to_owned());
    }
    if read["faults"].as_array().unwrap().iter().any(|fault| fault == "resource-not-mapped") {
        faults.push("a resource was passed over".to_owned());
    }
    faults
}

/// Resources that are in no item.
fn missing(resources: &[&Value], read: &Value) -> Vec<String> {
    let items = read["items"].as_array().unwrap();
    let has_key = |kind: &str, key: &str| items.iter().any(|item| item["kind"] == kind && item["key"] == key);
    let mut faults = Vec::new();
    for resource in resources {
        let (kind, id) =
            (resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap_or_default());
        let key = format!("{kind}/{id}");
        let found = match kind {
            "AllergyIntolerance" => has_key("allergy", &key),
            "Condition" => has_key("problem", &key),
            "Immunization" => has_key("immunisation", &key),
            "Encounter" => has_key("encounter", &key),
            "MedicationStatement" => has_key("medication", &key),
            "DocumentReference" => has_key("document", &key),
            "ReferralRequest" => has_key("referral", &key),
            "Observation" => is_told(resource, items),
            _ => true,
        };
        if !found {
            faults.push(format!("{key} is in no item"));
        }
    }
    faults
}

/// Whether what an observation says is somewhere: its number, or its words.
fn is_told(observation: &Value, items: &[Value]) -> bool {
    let words: Vec<String> = match (&observation["valueQuantity"]["value"], &observation["comment"]) {
        (Value::Number(number), _) => vec![number.to_string()],
        (_, Value::String(comment)) if !comment.trim().is_empty() => vec![comment.trim().to_owned()],
        _ => Vec::new(),
    };
    let told = |word: &String| {
        let holds = |value: &Value| value.as_str().is_some_and(|text| text.contains(word.as_str()));
        items.iter().any(|item| item["set"].as_object().unwrap().values().any(holds))
    };
    words.iter().all(told)
}

/// The specification's own examples.
pub fn judge_specification(folder: &Path) -> Verdicts {
    let judged = shared::files(folder).into_iter().map(|file| {
        let name = file.rsplit('/').next().unwrap().trim_end_matches(".json");
        let text = || example(folder, &file);
        let verdict = match name {
            "patient_data_20160901.csv" => Verdict::NotRead("a table of another test suite's patients"),
            _ if name.contains("_request") => Verdict::NotRead("a request, as its specification writes it"),
            _ if file.starts_with("accessrecord_structured/") => verdict(record_faults(&text())),
            "search_for_free_slots_response_example" => verdict(slot_faults(&text())),
            "retrieve_patients_appts_response_example" => verdict(appointments_faults(&text())),
            _ if name.contains("_appt_response") => verdict(appointment_faults(&text())),
            "find_patient_response_example" | "register_patient_response_example" => {
                verdict(patient_faults(&text()))
            }
            _ => Verdict::NotRead("an answer to what this hub never asks"),
        };
        (file.clone(), verdict)
    });
    judged.collect()
}

/// A moment of an example as milliseconds.
fn moment(value: &Value) -> Timestamp {
    let at: jiff::Timestamp = value.as_str().unwrap().parse().unwrap();
    Timestamp(at.as_millisecond())
}

fn slot_faults(text: &str) -> Vec<String> {
    let bundle: Value = serde_json::from_str(text).unwrap();
    let given: Vec<&Value> =
        bundle["entry"].as_array().unwrap().iter().map(|entry| &entry["resource"]).collect();
    let slots: Vec<&Value> = given.into_iter().filter(|one| one["resourceType"] == "Slot").collect();
    let first = slots.iter().map(|slot| moment(&slot["start"])).min().unwrap();
    let mut trial = Trial::of(Deed::Slots, text.as_bytes().to_vec());
    trial.now = Timestamp(first.0 - 3_600_000);
    let read = match trial.hold().0 {
        Ok(read) => read,
        Err(refusal) => return vec![refusal.to_string()],
    };
    let expected: Vec<Value> =
        slots.iter().map(|slot| json!([slot["id"], moment(&slot["start"]).to_string()])).collect();
    let found: Vec<Value> =
        read.as_array().unwrap().iter().map(|slot| json!([slot["id"], slot["start"]])).collect();
    if expected == found { Vec::new() } else { vec![format!("found {read}")] }
}

/// The patient's id in an appointment.
fn participant(appointment: &Value) -> String {
    let actors = appointment["participant"].as_array().unwrap().iter();
    let named = actors.filter_map(|one| one["actor"]["reference"].as_str()?.split_once("Patient/"));
    named.map(|(_, id)| id.to_owned()).next().unwrap()
}

fn differing(expected: &Value, found: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let status = found["status"].as_str().unwrap_or_default().to_lowercase();
    if expected["status"] != status.as_str() {
        faults.push(format!("the status is {status}"));
    }
    for name in ["id", "description"] {
        if expected[name] != found[name] {
            faults.push(format!("{name} is {}", found[name]));
        }
    }
    if moment(&expected["start"]).to_string() != found["start"] {
        faults.push(format!("it starts at {}", found["start"]));
    }
    faults
}

fn appointment_faults(text: &str) -> Vec<String> {
    let resource: Value = serde_json::from_str(text).unwrap();
    let mut trial = Trial::of(Deed::Read, text.as_bytes().to_vec());
    trial.patient = participant(&resource);
    match trial.hold().0 {
        Ok(read) => differing(&resource, &read),
        Err(refusal) => vec![refusal.to_string()],
    }
}

fn appointments_faults(text: &str) -> Vec<String> {
    let bundle: Value = serde_json::from_str(text).unwrap();
    let given: Vec<&Value> =
        bundle["entry"].as_array().unwrap().iter().map(|entry| &entry["resource"]).collect();
    let mut trial = Trial::of(Deed::Appointments, text.as_bytes().to_vec());
    trial.patient = participant(given[0]);
    match trial.hold().0 {
        Ok(Value::Array(read)) if read.len() == given.len() => {
            given.iter().zip(&read).flat_map(|(one, read)| differing(one, read)).collect()
        }
        Ok(read) => vec![format!("found {read}")],
        Err(refusal) => vec![refusal.to_string()],
    }
}

fn patient_faults(text: &str) -> Vec<String> {
    let bundle: Value = serde_json::from_str(text).unwrap();
    let patient = &bundle["entry"][0]["resource"];
    let mut trial = Trial::of(Deed::Find, text.as_bytes().to_vec());
    trial.nhs_number = patient["identifier"][0]["value"].as_str().unwrap().to_owned();
    match trial.hold().0 {
        Ok(read) if read["id"] == patient["id"] && read["birth_date"] == patient["birthDate"] => Vec::new(),
        Ok(read) => vec![format!("found {read}")],
        Err(refusal) => vec![refusal.to_string()],
    }
}

/// Tables and value sets of the suite that providers are tested with.
pub fn judge_tables(folder: &Path) -> Verdicts {
    let judged = shared::files(folder).into_iter().map(|file| {
        let bytes = shared::bytes(folder, &file);
        let text = String::from_utf8_lossy(&bytes);
        let verdict = match file.rsplit('/').next().unwrap() {
            "spine-error-or-warning-code-1.xml" => verdict(unknown_codes(&text)),
            name if name.starts_with("CodeSystem-") => verdict(unread_concepts(&bytes, &text)),
            "PDS.csv" | "RegisterPatients.csv" | "NHSNoMap.csv" => verdict(invalid_numbers(&text)),
            _ => Verdict::NotRead("names that another test suite gives to its own places"),
        };
        (file, verdict)
    });
    judged.collect()
}

/// Spine's codes that we would not know if a practice gave them.
fn unknown_codes(text: &str) -> Vec<String> {
    let codes: Vec<&str> =
        text.split("<code value=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(20 < codes.len());
    codes
        .into_iter()
        .filter(|code| Fault::of_code(code).is_none())
        .map(|code| format!("{code} is unknown"))
        .collect()
}

fn unread_concepts(bytes: &[u8], text: &str) -> Vec<String> {
    let expected = text.matches("<concept>").count();
    match fhir::read_xml(bytes) {
        Ok(read) if read["concept"].as_array().is_some_and(|all| all.len() == expected) => Vec::new(),
        Ok(_) => vec![format!("{expected} concepts were not read")],
        Err(error) => vec![error.to_string()],
    }
}

/// Every ten digits at a line's beginning or after its first comma are an NHS number, unless they are all the same:
/// the check digit of those is right, and they are nobody's.
fn invalid_numbers(text: &str) -> Vec<String> {
    let fields = text.lines().flat_map(|line| line.split(',').take(2));
    let numbers = fields.filter(|field| field.len() == 10 && field.bytes().all(|byte| byte.is_ascii_digit()));
    let is_filler = |number: &str| number.bytes().all(|byte| number.as_bytes()[0] == byte);
    let wrong = numbers.filter(|number| NhsNumber::parse(number).is_ok() == is_filler(number));
    wrong.map(|number| format!("{number} is taken wrongly")).collect()
}
