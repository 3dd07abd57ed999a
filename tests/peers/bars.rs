//! FHIR R4: fhir.resources takes everything that a BaRS receiver answers, and everything that its simulated sender sends.

use std::time::Duration;

use polygate::{
    codec::bars::{Refusal, Service, accepted, capabilities, definitions, read},
    systems::simulator::{bars::SimulatedReferrer, people::Person},
};
use serde_json::Value;

use crate::{fhir::hold_to, support::hub::NOW};

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
    let refusals: [fn(&'static str) -> Refusal; 14] = [
        Refusal::required,
        Refusal::value,
        Refusal::structure,
        Refusal::invariant,
        Refusal::not_supported,
        Refusal::too_long,
        Refusal::not_acceptable,
        Refusal::not_found,
        Refusal::method,
        Refusal::not_implemented,
        Refusal::timeout,
        Refusal::duplicate,
        Refusal::throttled,
        Refusal::unavailable,
    ];
    answers.extend(refusals.map(|refusal| refusal("In words").outcome("1")));
    hold_to("R4B", &answers);
}
