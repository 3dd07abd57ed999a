//! Records across hubs: what is said at one is read at the other while it is open, who opens it is on record at both, and cut
//! off each goes on with what it has.

use std::time::Duration;

use polygate::{
    access::{
        Role,
        policy::{Deed as See, Ground as Plead, PermissionToView, Plea, Purpose},
    },
    app::hub::RunningHub,
    codec::mllp::Frame,
    domain::{nhs_number::NhsNumber, record::ItemKind},
    flow::{
        disclose::{Closed, OpenId, Records, Shown, Viewer},
        status::LinkState,
    },
    systems::{hl7, secondary_care},
};

use super::{ADA, Ground, PATIENCE, book, offers, until, until_offered};

/// Messages of a hospital system: one patient, verified, and what each says.
async fn says(hub: &RunningHub, segments: &[&str]) {
    let link = hub.hub.add_link("pas", "hospital", "");
    let message = segments.join("\r") + "\r";
    let frame = Frame::Message(message.into_bytes().into());
    let answers =
        hl7::answer(&hub.hub, &link, &secondary_care::DIALECT, vec![frame], &mut || "1".to_owned()).await;
    assert!(String::from_utf8_lossy(&answers[0]).contains("MSA|AA"), "{answers:?}");
}

fn head(kind: &str, id: &str) -> String {
    format!("MSH|^~\\&|RIO|RVX|polygate|5LC01|20261123110000||{kind}|{id}|P|2.4|||AL|NE|GBR|UNICODE UTF-8")
}

fn patient(local: &str) -> String {
    format!(
        "PID|1||{local}^^^RVX^PI~{ADA}^^^NHS^NH^^^^^^^^^NSTS01||Canaryname^Ada||19710203|2|||1 Test Street^^London^^SW1A 1AA"
    )
}

/// A result, by the message's name: each has a specimen of its own.
async fn result(hub: &RunningHub, id: &str, local: &str, value: &str) {
    let (head, patient) = (head("ORU^R01", id), patient(local));
    let observed =
        format!("OBX|1|NM|1000731000000107^Creatinine^SCT||{value}|umol/L|60-110|H|||F|||20261123103000");
    says(
        hub,
        &[
            &head,
            &patient,
            &format!("OBR|1||{id}|1000731000000107^Creatinine^SCT|||20261123103000"),
            &observed,
        ],
    )
    .await;
}

fn amara() -> Viewer {
    Viewer {
        user: "amara".to_owned(),
        name: "Amara Okafor".to_owned(),
        roles: vec![Role::Clinician],
        device: String::new(),
    }
}

fn plea(ground: Plead) -> Plea {
    Plea { ground, permission: PermissionToView::Given, purpose: Purpose::DirectCare }
}

fn ada() -> NhsNumber {
    NhsNumber::parse(ADA).unwrap()
}

async fn view(records: &Records, id: OpenId) -> Shown {
    records.view(&amara(), id, See::ViewRecord).await.unwrap()
}

/// Systems that say something of a kind.
fn sources(shown: &Shown, kind: ItemKind) -> Vec<String> {
    let items = shown.record.section(kind).iter().flat_map(|item| &item.sources);
    let mut names: Vec<String> = items.map(|source| source.system.clone()).collect();
    names.sort();
    names
}

async fn until_shown(records: &Records, id: OpenId, kind: ItemKind, wanted: &[&str]) -> Shown {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let shown = view(records, id).await;
        if sources(&shown, kind) == wanted {
            return shown;
        }
        assert!(tokio::time::Instant::now() < deadline, "{:?} instead of {wanted:?}", sources(&shown, kind));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn deeds(hub: &RunningHub) -> Vec<(String, String)> {
    let found = hub.hub.audit().unwrap().find_by_patient(&ada(), None, 100).unwrap();
    found.into_iter().map(|found| (found.line.deed, found.line.user)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_record_opened_at_one_hub_has_what_the_other_knows_and_both_trails_say_so() {
    let ground = Ground::prepare().await;
    let (soho, camden) = (&ground.hubs[0], &ground.hubs[1]);
    result(soho, "S1", "L77", "88").await;
    result(camden, "C1", "K12", "91").await;
    let desk = ground.soho();
    let offer = until_offered(&desk).await.remove(0);
    book(&desk, 1, ADA, &offer).await;
    let records = soho.records().unwrap();
    let id = loop {
        // The record view and the relay come a moment after the messages.
        match records.open(&amara(), ada(), plea(Plead::Relationship)).await {
            Ok(id) => break id,
            Err(Closed::Refused(_) | Closed::Failed(_)) => {
                tokio::time::sleep(Duration::from_millis(50)).await
            }
            Err(error) => panic!("{error}"),
        }
    };
    until_shown(&records, id, ItemKind::Result, &["pas", "pas at camden"]).await;
    // A result that comes there while it is open here.
    result(camden, "C2", "K12", "131").await;
    until_shown(&records, id, ItemKind::Result, &["pas", "pas at camden", "pas at camden"]).await;
    let told = until("it is on record there", || {
        let found = deeds(camden);
        found
            .iter()
            .any(|(deed, user)| deed == "record.opened-elsewhere" && user == "soho/amara")
            .then_some(found)
    })
    .await;
    assert!(told.iter().all(|(deed, _)| deed != "record.open"), "{told:?}");
    assert!(deeds(soho).iter().any(|(deed, user)| deed == "record.open" && user == "amara"));
    assert!(!offers(&desk).await.is_empty());
    // Cut off: what came stays, and the page says how old it is.
    ground.wans[0].set_connected(false);
    until("the link is down", || (soho.hub.centre().state != LinkState::Up).then_some(())).await;
    let again = records.open(&amara(), ada(), plea(Plead::Relationship)).await.unwrap();
    let shown = view(&records, again).await;
    assert_eq!(sources(&shown, ItemKind::Result), ["pas", "pas at camden", "pas at camden"]);
    let codes: Vec<&str> = shown
        .record
        .notices
        .iter()
        .filter(|one| one.code == "elsewhere")
        .map(|one| one.text.as_str())
        .collect();
    assert!(codes.contains(&"offline") && codes.iter().any(|text| text.starts_with("as-at 20")), "{codes:?}");
    result(camden, "C3", "K12", "140").await;
    ground.wans[0].set_connected(true);
    let all = ["pas", "pas at camden", "pas at camden", "pas at camden"];
    until_shown(&records, again, ItemKind::Result, &all).await;
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_an_emergency_a_patient_known_elsewhere_only_is_found_and_nobody_is_still_nobody() {
    let ground = Ground::prepare().await;
    let (soho, camden) = (&ground.hubs[0], &ground.hubs[1]);
    result(camden, "C1", "K12", "91").await;
    let records = soho.records().unwrap();
    let reason = "Unconscious, no history known".to_owned();
    let emergency = || plea(Plead::Emergency { reason: reason.clone() });
    let nobody = NhsNumber::parse("9990000042").unwrap();
    // The record view opens a moment after the hub.
    while matches!(records.open(&amara(), nobody, emergency()).await, Err(Closed::Failed(_))) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(matches!(records.open(&amara(), nobody, emergency()).await, Err(Closed::Refused(_))));
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let id = loop {
        match records.open(&amara(), ada(), emergency()).await {
            Ok(id) => break id,
            Err(Closed::Refused(_)) if tokio::time::Instant::now() < deadline => {}
            Err(error) => panic!("{error}"),
        }
    };
    let shown = view(&records, id).await;
    assert_eq!(sources(&shown, ItemKind::Result), ["pas at camden"]);
    ground.end().await;
}
