//! Who is shown a record and who is not, what is on record of it, and what is left of what is kept back.

use std::{collections::BTreeSet, sync::Arc};

use super::*;
use crate::{
    access::{
        audit::Outcome,
        policy::{Ground as Plead, PermissionToView, Purpose, Withheld},
    },
    domain::record::ItemKind,
    flow::{
        audit::fake::Bench,
        book::tests::{Ground, Running},
        read::tests::number,
    },
    sys::sim_disk::{Fault, FaultKind},
};

/// A desk with a booked patient, two systems that speak of them, and a trail.
struct Stand {
    ground: Ground,
    desk: Running,
    trail: Bench,
    audit: crate::flow::audit::Audit,
    records: Records,
}

const ADA: &str = "1|9990000018|R1\nDemographics||family_name=Canaryname|given_name=Ada|birth_date=19710203|gender=female|\
                   nhs_number_status=NSTS01|postcode=SW1A 1AA";

impl Stand {
    async fn start() -> Self {
        let ground = Ground::new();
        let trail = Bench::new("soho");
        let audit = trail.start();
        ground.stage.hub.set_audit(audit.clone());
        let desk = ground.start(true).await;
        let offer = desk.find("feet").await.remove(0);
        desk.book(1, 0, &offer).await.unwrap();
        let rio = ground.stage.hub.add_link("rio", "RiO", "");
        let said =
            format!("{ADA}\nAllergy|a1|name=Canaryallergy|codings=snomed-ct^91936005^Penicillin allergy");
        ground.stage.receive(&rio, &[said]).await;
        let kinds = [ItemKind::Allergy, ItemKind::Appointment];
        ground.stage.until(|hub| hub.knows_kinds(0, &kinds)).await;
        let records = Records::new(Arc::clone(&ground.stage.hub), Vec::new(), organisation()).unwrap();
        Self { ground, desk, trail, audit, records }
    }

    fn deeds(&self) -> Vec<(String, Outcome, String)> {
        let found = self.audit.find_by_patient(&number(0), None, 100).unwrap();
        found
            .into_iter()
            .rev()
            .map(|found| (found.line.deed, found.line.outcome, found.line.ground))
            .collect()
    }
}

fn organisation() -> Organisation {
    Organisation {
        ods_code: "5LC01".to_owned(),
        name: "Soho".to_owned(),
        kind: String::new(),
        telephone: String::new(),
    }
}

fn viewer(user: &str, role: Role) -> Viewer {
    Viewer {
        user: user.to_owned(),
        name: "Amara Okafor".to_owned(),
        roles: vec![role],
        device: String::new(),
    }
}

fn plea(ground: Plead, permission: PermissionToView) -> Plea {
    Plea { ground, permission, purpose: Purpose::DirectCare }
}

fn agreed() -> Plea {
    plea(Plead::Relationship, PermissionToView::Given)
}

#[tokio::test]
async fn a_clinician_sees_the_record_of_whoever_is_booked_and_it_is_on_record_first() {
    let stand = Stand::start().await;
    let amara = viewer("amara", Role::Clinician);
    let id = stand.records.open(&amara, number(0), agreed()).await.unwrap();
    let shown = stand.records.view(&amara, id, Deed::ViewRecord).await.unwrap();
    let allergies = shown.record.section(ItemKind::Allergy);
    assert_eq!((allergies.len(), shown.record.section(ItemKind::Appointment).len()), (1, 1));
    let line = stand.audit.line(shown.permit.line()).unwrap().unwrap().line;
    assert_eq!(
        (line.user.as_str(), line.deed.as_str(), line.shown.is_some()),
        ("amara", "record.view", true)
    );
    let deeds = stand.deeds();
    assert_eq!(deeds.iter().map(|deed| deed.0.as_str()).collect::<Vec<_>>(), ["record.open", "record.view"]);
    assert!(deeds[0].2.contains("permission given"), "{deeds:?}");
    // Who has viewed, from the record itself; and that this was looked at is on record too.
    let viewers = stand.records.viewers(&amara, id).await.unwrap();
    assert_eq!(
        viewers.iter().map(|row| row.deed.as_str()).collect::<Vec<_>>(),
        ["record.viewers", "record.view", "record.open"]
    );
    assert!(stand.ground.stage.hub.journal.shared().end() > crate::journal::Position::default());
}

#[tokio::test]
async fn a_summary_for_another_place_has_the_record_and_is_on_record_as_such() {
    let stand = Stand::start().await;
    let amara = viewer("amara", Role::Clinician);
    let id = stand.records.open(&amara, number(0), agreed()).await.unwrap();
    let document: serde_json::Value =
        serde_json::from_slice(&stand.records.export(&amara, id).await.unwrap()).unwrap();
    assert_eq!(
        (document["resourceType"].as_str(), document["type"].as_str()),
        (Some("Bundle"), Some("document"))
    );
    assert_eq!(document["entry"][0]["resource"]["resourceType"], "Composition");
    assert!(document.to_string().contains("Canaryallergy"));
    assert_eq!(stand.deeds().last().unwrap().0, "record.export");
    assert!(matches!(stand.records.export(&viewer("ben", Role::Clinician), id).await, Err(Closed::Over)));
}

#[tokio::test]
async fn what_is_open_to_one_is_not_open_to_another_nor_for_ever() {
    let stand = Stand::start().await;
    let (amara, ben) = (viewer("amara", Role::Clinician), viewer("ben", Role::Clinician));
    let id = stand.records.open(&amara, number(0), agreed()).await.unwrap();
    assert!(matches!(stand.records.view(&ben, id, Deed::ViewSummary).await, Err(Closed::Over)));
    assert!(matches!(stand.records.viewers(&ben, id).await, Err(Closed::Over)));
    stand.records.close(&ben, id);
    stand.records.view(&amara, id, Deed::ViewSummary).await.unwrap();
    // Half an hour later the patient is asked again.
    let now = stand.records.now();
    stand.ground.stage.clock.set(now.plus(Duration::from_secs(30 * 60)));
    assert!(matches!(stand.records.view(&amara, id, Deed::ViewSummary).await, Err(Closed::Over)));
    stand.ground.stage.clock.set(now);
    stand.records.close(&amara, id);
    assert!(matches!(stand.records.view(&amara, id, Deed::ViewSummary).await, Err(Closed::Over)));
    for text in
        ["", "0", "00000000000000000000000000000000x", "ABCDEF00000000000000000000000000", "../etc/passwd"]
    {
        assert!(text.parse::<OpenId>().is_err(), "{text}");
    }
}

#[tokio::test]
async fn reception_sees_no_record_whatever_it_says_and_each_attempt_is_on_record() {
    let stand = Stand::start().await;
    for role in [Role::Reception, Role::Analyst, Role::Administrator] {
        for ground in [
            Plead::Relationship,
            Plead::SelfClaimed { reason: "I look after her".to_owned() },
            Plead::Emergency { reason: "She has fainted here".to_owned() },
            Plead::Legal { reason: "A court has ordered it".to_owned() },
        ] {
            let refused = stand
                .records
                .open(&viewer("sam", role), number(0), plea(ground, PermissionToView::Given))
                .await;
            assert!(matches!(refused, Err(Closed::Refused(_))), "{role}: {refused:?}");
        }
    }
    let deeds = stand.deeds();
    assert_eq!(deeds.len(), 12);
    assert!(deeds.iter().all(|deed| deed.1 == Outcome::Refused));
}

#[tokio::test]
async fn nobody_learns_whether_there_is_such_a_patient() {
    let stand = Stand::start().await;
    let amara = viewer("amara", Role::Clinician);
    let unknown = stand.records.open(&amara, number(1), agreed()).await.unwrap_err();
    assert!(matches!(unknown, Closed::Refused(Refusal::NotAvailable)), "{unknown:?}");
    // Whom a system says is not to be shown at all is answered the same.
    let rio = stand.ground.stage.hub.add_link("rio", "RiO", "");
    let hidden =
        "1|9990000034|R3\nDemographics||family_name=Canaryname|confidentiality=V|nhs_number_status=NSTS01";
    stand.ground.stage.receive(&rio, &[hidden.to_owned()]).await;
    stand.ground.stage.until(|hub| hub.knows(&number(2)).then_some(())).await;
    let hidden = stand.records.open(&amara, number(2), agreed()).await.unwrap_err();
    assert_eq!(hidden.to_string(), unknown.to_string());
}

#[tokio::test]
async fn an_emergency_needs_a_reason_and_tells_privacy_officers_without_a_name() {
    let stand = Stand::start().await;
    let rio = stand.ground.stage.hub.add_link("rio", "RiO", "");
    let other =
        "1|9990000026|R2\nDemographics||family_name=Canaryname|given_name=Ben|nhs_number_status=NSTS01";
    stand.ground.stage.receive(&rio, &[other.to_owned()]).await;
    stand.ground.stage.until(|hub| hub.knows(&number(1)).then_some(())).await;
    let amara = viewer("amara", Role::Clinician);
    let cannot = || PermissionToView::CannotBeAsked { reason: "He is unconscious".to_owned() };
    let without =
        stand.records.open(&amara, number(1), plea(Plead::Relationship, PermissionToView::Given)).await;
    assert!(matches!(without, Err(Closed::Refused(Refusal::NoRelationship))), "{without:?}");
    let short = plea(Plead::Emergency { reason: "urgent".to_owned() }, cannot());
    assert!(matches!(stand.records.open(&amara, number(1), short).await, Err(Closed::Refused(_))));
    let before = stand.ground.stage.hub.journal.shared().end();
    let full = plea(Plead::Emergency { reason: "Found unconscious in the corridor".to_owned() }, cannot());
    let id = stand.records.open(&amara, number(1), full).await.unwrap();
    stand.records.view(&amara, id, Deed::ViewSummary).await.unwrap();
    let mut reader =
        crate::journal::LogReader::new(Arc::clone(stand.ground.stage.hub.journal.shared()), before);
    let entries: Vec<_> = reader
        .read(1 << 20, 100)
        .unwrap()
        .records
        .iter()
        .filter_map(|record| crate::flow::receive::decode(&record.payload))
        .collect();
    let alert = entries.iter().find(|entry| entry.kind == ALERT_KIND).unwrap();
    let text = String::from_utf8_lossy(alert.raw.as_ref().unwrap());
    assert!(
        text.contains("emergency access") && !text.contains("amara") && !text.contains("9990000026"),
        "{text}"
    );
    assert!(alert.patient.is_none());
    assert!(stand.audit.newest_checkpoint().is_some(), "signed before it was shown");
}

#[tokio::test]
async fn if_it_cannot_be_put_on_record_nothing_is_shown_and_intake_goes_on() {
    let stand = Stand::start().await;
    let amara = viewer("amara", Role::Clinician);
    let id = stand.records.open(&amara, number(0), agreed()).await.unwrap();
    stand.trail.disk.inject(Some(Fault { at_call: 0, kind: FaultKind::InputOutput, sticky: true }));
    assert!(matches!(stand.records.view(&amara, id, Deed::ViewSummary).await, Err(Closed::Audit(_))));
    assert!(matches!(stand.records.open(&amara, number(0), agreed()).await, Err(Closed::Audit(_))));
    let rio = stand.ground.stage.hub.add_link("rio", "RiO", "");
    stand.ground.stage.receive(&rio, &[format!("{ADA}\nProblem|p1|name=Asthma")]).await;
    let offer = stand.desk.find("feet").await.remove(0);
    stand.desk.book(2, 1, &offer).await.unwrap();
}

#[tokio::test]
async fn what_is_kept_back_is_counted_and_nothing_of_it_is_left() {
    let stand = Stand::start().await;
    let rio = stand.ground.stage.hub.add_link("rio", "RiO", "");
    let sealed = format!("{}\nProblem|p9|name=Canarysealed|confidentiality=V", ADA.replacen('1', "2", 1));
    stand.ground.stage.receive(&rio, &[sealed]).await;
    let amara = viewer("amara", Role::Clinician);
    let id = stand.records.open(&amara, number(0), agreed()).await.unwrap();
    let shown = loop {
        let shown = stand.records.view(&amara, id, Deed::ViewRecord).await.unwrap();
        if !shown.withheld.is_empty() {
            break shown;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(shown.withheld.keys().copied().collect::<BTreeSet<_>>(), BTreeSet::from([Withheld::Sealed]));
    let whole = serde_json::to_string(&shown.record).unwrap();
    assert!(whole.contains("Canaryallergy") && !whole.contains("Canarysealed"));
    assert!(!format!("{shown:?}").contains("Canary"));
}
