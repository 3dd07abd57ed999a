//! FHIR R4: fhir.resources takes everything that a BaRS receiver answers, and everything that its simulated sender sends.

use std::time::Duration;

use polygate::{
    codec::bars::{Refusal, Service, accepted, capabilities, definitions, read},
    systems::simulator::{
        bars::{Sent, SimulatedReferrer},
        people::Person,
    },
};
use serde_json::Value;

use crate::{
    fhir::hold_to,
    support::{bars_desk::BarsDesk, hub::NOW},
};

const SERVICE: Service<'_> = Service { name: "Soho", id: "2000011147", books: true };

/// Each message that the sender can make of some people, in the order they would be sent.
fn sent() -> Vec<Value> {
    let mut referrer = SimulatedReferrer::new("ODS99", SERVICE.id, 7);
    let soon = |hours: u64| NOW.plus(Duration::from_secs(hours * 3600));
    let people = (0..20).map(Person::of);
    people
        .flat_map(|person| {
            let booked = referrer.booking(&person, "Y99901", soon(1), NOW);
            let id = read(&booked.body).unwrap().focus_id;
            let moved = referrer.rebooking(&id, &person, "Y99901", soon(2), soon(0));
            let gone = referrer.cancellation(&id, &person, "Y99901", soon(2), soon(0));
            let referred = referrer.referral(&person, "Y99901", NOW);
            [booked, moved, gone, referred].map(|sent| sent.body)
        })
        .collect()
}

#[test]
fn what_a_sender_sends_is_r4() {
    hold_to("R4B", &sent());
}

#[test]
fn what_a_receiver_answers_is_r4() {
    let mut answers: Vec<Value> =
        sent().iter().map(|body| accepted(&read(body).unwrap(), SERVICE, None, NOW)).collect();
    answers.push(capabilities(SERVICE, NOW));
    answers.push(definitions(SERVICE, "/fhir/r4/MessageDefinition?context=x", NOW));
    let refusals: [fn(&'static str) -> Refusal; 17] = [
        Refusal::required,
        Refusal::value,
        Refusal::structure,
        Refusal::invariant,
        Refusal::not_supported,
        Refusal::unprocessable,
        Refusal::too_costly,
        Refusal::too_long,
        Refusal::not_acceptable,
        Refusal::not_found,
        Refusal::method,
        Refusal::not_implemented,
        Refusal::timeout,
        Refusal::duplicate,
        Refusal::conflict,
        Refusal::throttled,
        Refusal::unavailable,
    ];
    answers.extend(refusals.map(|refusal| refusal("In words").outcome("1")));
    hold_to("R4B", &answers);
}

/// Everything that is answered from a search to a cancellation, and what the slots of a week are told with.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_receiver_that_books_answers_is_r4() {
    let (desk, mut sender) = (BarsDesk::start().await, SimulatedReferrer::new("ODS99", SERVICE.id, 7));
    let (person, until) = (Person::of(1), NOW.plus(Duration::from_secs(7 * 24 * 3600)));
    let slots = sender.free_slots(&desk.client, NOW, until).await;
    let includes = [
        "Slot:schedule",
        "Schedule:actor:Practitioner",
        "Schedule:actor:PractitionerRole",
        "Schedule:actor:HealthcareService",
        "HealthcareService:providedBy",
        "HealthcareService:location",
    ];
    let search =
        |include: &str| format!("/Slot?status=free&start=ge{NOW}&start=le{until}&_include={include}");
    let mut paths: Vec<String> = includes.iter().map(|include| search(include)).collect();
    paths.extend([
        search(&includes.join(",")),
        search("none").replace("free", "busy"),
        "/metadata".to_owned(),
    ]);
    let number = person.nhs_number;
    let theirs =
        format!("/Appointment?patient:identifier=https://fhir.nhs.uk/Id/nhs-number%7C{}", number.as_str());
    let mut answers = Vec::new();
    for path in &paths {
        answers.push(get(&desk, &mut sender, path).await);
    }
    answers.push(get(&desk, &mut sender, &theirs).await);
    let booked =
        post(&desk, |sender| sender.booking_of(&slots[0], &person, "Y99901", NOW), &mut sender).await;
    let id = booked["entry"][1]["resource"]["id"].as_str().unwrap().to_owned();
    answers.push(booked);
    let moved = |sender: &mut SimulatedReferrer| sender.move_to(&slots[1], &id, &person, "Y99901", NOW);
    answers.push(post(&desk, moved, &mut sender).await);
    answers.push(get(&desk, &mut sender, &theirs).await);
    let gone = |sender: &mut SimulatedReferrer| sender.cancellation(&id, &person, "Y99901", until, NOW);
    answers.push(post(&desk, gone, &mut sender).await);
    answers.push(get(&desk, &mut sender, &format!("/Appointment/{id}")).await);
    answers.push(get(&desk, &mut sender, &theirs).await);
    answers.push(get(&desk, &mut sender, "/Appointment/1").await);
    assert!(answers.iter().all(|answer| answer["resourceType"].is_string()));
    let told: Vec<Value> = answers.iter().flat_map(inside).cloned().collect();
    answers.extend(told);
    hold_to("R4B", &answers);
}

async fn get(desk: &BarsDesk, sender: &mut SimulatedReferrer, path: &str) -> Value {
    desk.ask(sender.get(&format!("/fhir/r4{path}")).unwrap()).await.1
}

async fn post(
    desk: &BarsDesk,
    make: impl FnOnce(&mut SimulatedReferrer) -> Sent,
    sender: &mut SimulatedReferrer,
) -> Value {
    let sent = make(sender);
    let request = sender.request(&sent, "9562466f-c982-4bd5-bb0e-255e9f5e6689").unwrap();
    let (status, answer) = desk.ask(request).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

/// The resources of a Bundle, which are held to their own types too.
fn inside(answer: &Value) -> impl Iterator<Item = &Value> {
    answer["entry"].as_array().into_iter().flatten().map(|entry| &entry["resource"])
}
