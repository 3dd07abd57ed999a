//! BaRS: schemathesis, by NHS England's own description of the API, at a receiver that books.

use std::path::Path;

use polygate::systems::simulator::{
    bars::{SimulatedReferrer, Taken},
    people::Person,
};
use serde_json::{Value, json};

use crate::support::{
    bars_desk::{BarsDesk, SERVICE},
    counted,
    hub::NOW,
    peers, skipped,
};

const REQUIREMENT: &str = "schemathesis==4.32.5";
const DESCRIPTION: &str = "../shared/fixtures/bars-fhir-r4/booking-and-referral-1.4.0.yaml";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_keeps_to_the_description_of_the_api() {
    let description = Path::new(env!("CARGO_MANIFEST_DIR")).join(DESCRIPTION);
    if !description.is_file() {
        skipped("no ../shared/fixtures: the description of the BaRS API is not here");
        return;
    }
    let Some(python) = peers::python(&[REQUIREMENT]) else { return };
    let (desk, mut sender) = (BarsDesk::start().await, SimulatedReferrer::new("RX701", SERVICE, 3));
    let known = known(&desk, &mut sender).await;
    let (place, url) = (description.display().to_string(), format!("http://127.0.0.1:{}/fhir/r4", desk.port));
    let asked = tokio::task::spawn_blocking(move || {
        peers::ask(&python, "bars_schema.py", &[place.as_str(), url.as_str()], &known)
    });
    let found = asked.await.unwrap();
    let said = found["said"].as_str().unwrap();
    assert_eq!(found["held"], true, "{said}");
    let cases = said.lines().rev().find(|line| line.contains("generated")).unwrap_or_default().trim();
    counted(&format!("schemathesis at the BaRS receiver: {cases}"));
    // What the description has and a hub has not is said to be so.
    let left_out = found["left_out"].as_array().unwrap();
    assert!(!left_out.is_empty());
    for one in left_out {
        let [method, path] = [&one[0], &one[1]].map(|text| text.as_str().unwrap());
        let mut request = sender.get(&format!("/fhir/r4{}", path.replace("{id}", "1"))).unwrap();
        *request.method_mut() = method.to_ascii_uppercase().parse().unwrap();
        let (status, answer) = desk.ask(request).await;
        let code = &answer["issue"][0]["details"]["coding"][0]["code"];
        assert_eq!((status, code), (501, &json!("REC_NOT_IMPLEMENTED")), "{method} {path}");
    }
}

/// What the description leaves open.
async fn known(desk: &BarsDesk, sender: &mut SimulatedReferrer) -> Value {
    let until = NOW.plus(std::time::Duration::from_secs(7 * 24 * 3600));
    let slots = sender.free_slots(&desk.client, NOW, until).await;
    let mut sent = Vec::new();
    for (slot, number) in slots.iter().zip(0..6) {
        sent.push(sender.booking_of(slot, &Person::of(number), "F86001", NOW));
    }
    let (taken, _) = sender.deliver(&desk.client, &sent[0]).await;
    let id = match taken {
        Taken::Recorded(id) => id,
        other => unreachable!("{other:?}"),
    };
    sent.push(sender.move_to(&slots[8], &id, &Person::of(0), "F86001", until));
    sent.push(sender.cancellation(&id, &Person::of(0), "F86001", until, until));
    sent.push(sender.referral(&Person::of(9), "F86001", NOW));
    let request = sender.request(&sent[0], "9562466f-c982-4bd5-bb0e-255e9f5e6689").unwrap();
    let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
    let number =
        |number: u64| format!("https://fhir.nhs.uk/Id/nhs-number|{}", Person::of(number).nhs_number.as_str());
    json!({
        "headers": {
            "NHSD-Target-Identifier": header("nhsd-target-identifier"),
            "NHSD-End-User-Organisation": header("nhsd-end-user-organisation"),
            "NHSD-Requesting-Software": header("nhsd-requesting-software"),
            "NHSD-Requesting-Practitioner": practitioner(),
            "Accept": header("accept"),
            "use-context": header("use-context"),
        },
        "patients": [number(0), number(1)],
        "services": [SERVICE, "feet", "blood"],
        "windows": [[format!("ge{NOW}"), format!("le{until}")], [format!("gt{NOW}"), format!("lt{until}")]],
        "appointments": [id],
        "messages": sent.into_iter().map(|sent| sent.body).collect::<Vec<_>>(),
    })
}

fn practitioner() -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let role = json!({ "resourceType": "PractitionerRole", "identifier": [{
        "system": "https://fhir.nhs.uk/Id/sds-role-profile-id", "value": "100334993514" }] });
    STANDARD.encode(role.to_string())
}
