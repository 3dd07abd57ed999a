//! What other hubs' systems say stands beside what is known here, with its place; who opens what is on record at both ends.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::{
    access::audit::Outcome,
    domain::{
        elsewhere::{HeldEntry, Portion},
        entry::BatchEntry,
        ids::Epoch,
        one_record::OneRecord,
        record::ItemKind,
        time::ClockQuality,
    },
    flow::{
        audit::{Audit, fake::Bench},
        read::{
            Purpose, Reason,
            tests::{NOW, Stage, number},
        },
    },
};

const HOUR_MS: i64 = 3_600_000;
const WHO: &str = "family_name=Lovelace|given_name=Ada|birth_date=19710203|gender=female|postcode=SW1A 1AA";

struct Stand {
    stage: Stage,
    keeper: Keeper,
    audit: Audit,
    _trail: Bench,
}

impl Stand {
    async fn new() -> Self {
        let stage = Stage::new();
        stage.until(|hub| hub.records.load().as_ref().map(|_| ())).await;
        let trail = Bench::new("soho");
        let audit = trail.start();
        stage.hub.set_audit(audit.clone());
        let keeper = stage.hub.open_elsewhere(Path::new("/state/elsewhere")).unwrap();
        Self { stage, keeper, audit, _trail: trail }
    }

    async fn told(&mut self, down: RecordsDown) {
        let payload = cbor::encode(&down).unwrap();
        self.keeper.take(&payload).await;
    }

    fn record(&self) -> Option<OneRecord> {
        let purpose = Purpose { by: "test".to_owned(), reason: Reason::Demonstration };
        self.stage.hub.one_record(&number(0), &purpose).ok()
    }

    fn heard(&self) -> Vec<RecordsHeard> {
        self.stage.hub.records_heard().borrow().clone().unwrap()
    }

    fn names(&self, kind: ItemKind) -> Vec<(String, String)> {
        let record = self.record().unwrap();
        let items = record.section(kind).iter();
        items.map(|item| (item.sources[0].system.clone(), item.fields["name"].clone())).collect()
    }
}

/// What `system` at `hub` said in the tests' own format.
fn entry(hub: &str, system: &str, text: &str) -> HeldEntry {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let seq = COUNT.fetch_add(1, Ordering::Relaxed);
    let entry = BatchEntry {
        seq,
        id: format!("{seq:032x}"),
        kind: "TEST".to_owned(),
        system: system.to_owned(),
        source_id: format!("m{seq}"),
        patient: Some(number(0).as_str().to_owned()),
        at: NOW,
        clock: ClockQuality::default(),
        body: Bytes::from_static(b"\xa0"),
        raw: Some(Bytes::from(text.to_owned())),
    };
    HeldEntry { hub: hub.parse().unwrap(), class: Class::Clinical, epoch: Epoch(1), entry }
}

fn said(more: &str) -> String {
    format!("5|9990000018|C7\nDemographics||{WHO}|nhs_number_status=NSTS01{more}")
}

fn down(run: u64, number: u64, entries: Vec<HeldEntry>) -> RecordsDown {
    let until = Timestamp(NOW.0 + 24 * HOUR_MS);
    let patient = self::number(0);
    RecordsDown {
        v: VERSION,
        run,
        number,
        as_at: Timestamp(NOW.0 + i64::try_from(number).unwrap()),
        since: Timestamp(0),
        portions: vec![Portion { patient, until, entries, omitted: 0, sealed: 0, answers: "1.7".to_owned() }],
        opened: Vec::new(),
    }
}

#[tokio::test]
async fn what_another_hubs_system_says_is_shown_with_where_it_is_from() {
    let mut stand = Stand::new().await;
    assert!(stand.record().is_none());
    stand.told(down(7, 1, vec![entry("camden", "rio", &said("\nAllergy|a1|name=Penicillin"))])).await;
    assert_eq!(stand.names(ItemKind::Allergy), [("rio at camden".to_owned(), "Penicillin".to_owned())]);
    let record = stand.record().unwrap();
    let as_at = record.notices.iter().find(|notice| notice.code == NOTICE).unwrap();
    assert_eq!(as_at.text, format!("as-at {}", Timestamp(NOW.0 + 1)));
    // And goes on: a later word about the same, and a word of another system there.
    let later = "9|9990000018|C7\nAllergy|a1|name=Penicillin G";
    let late = "3|9990000018|C7\nAllergy|a1|name=Pencilin";
    let entries = vec![entry("camden", "rio", later), entry("camden", "rio", late)];
    stand.told(down(7, 2, entries)).await;
    assert_eq!(stand.names(ItemKind::Allergy), [("rio at camden".to_owned(), "Penicillin G".to_owned())]);
}

#[tokio::test]
async fn it_stands_beside_what_is_known_here_and_is_never_merged() {
    let mut stand = Stand::new().await;
    let rio = stand.stage.hub.add_link("rio", "RiO", "");
    stand.stage.receive(&rio, &[said("\nAllergy|a1|name=Latex")]).await;
    stand.stage.until(|hub| hub.knows_kinds(0, &[ItemKind::Allergy])).await;
    stand.told(down(7, 1, vec![entry("camden", "rio", &said("\nAllergy|a1|name=Penicillin"))])).await;
    let mut names = stand.names(ItemKind::Allergy);
    names.sort();
    let both = [("rio", "Latex"), ("rio at camden", "Penicillin")];
    assert_eq!(names, both.map(|(system, name)| (system.to_owned(), name.to_owned())));
}

#[tokio::test]
async fn a_number_that_is_not_verified_there_joins_nobody_unless_it_is_exactly_the_same_person() {
    let mut stand = Stand::new().await;
    let rio = stand.stage.hub.add_link("rio", "RiO", "");
    stand.stage.receive(&rio, &[said("")]).await;
    stand.stage.until(|hub| hub.knows_kinds(0, &[ItemKind::Demographics])).await;
    let twin = format!("5|9990000018|C7\nDemographics||{}\nAllergy|a1|name=Nuts", WHO.replace("Ada", "Eda"));
    let same = format!("5|9990000018|C8\nDemographics||{WHO}\nAllergy|a2|name=Eggs");
    stand.told(down(7, 1, vec![entry("camden", "pas", &twin), entry("barnet", "pas", &same)])).await;
    assert_eq!(stand.names(ItemKind::Allergy), [("pas at barnet".to_owned(), "Eggs".to_owned())]);
    let record = stand.record().unwrap();
    let apart = record.notices.iter().find(|notice| notice.code == "not-linked").unwrap();
    assert_eq!(apart.system, "pas at camden");
}

#[tokio::test]
async fn messages_are_heard_in_order_and_once_and_a_hole_is_not_passed_over() {
    let mut stand = Stand::new().await;
    stand.told(down(7, 2, Vec::new())).await;
    assert_eq!(stand.heard(), [], "a run is heard from its beginning");
    stand.told(down(7, 1, Vec::new())).await;
    stand.told(down(7, 3, Vec::new())).await;
    let one = RecordsHeard { run: 7, number: 1, as_at: Timestamp(NOW.0 + 1) };
    assert_eq!(stand.heard(), [one]);
    stand.told(down(7, 2, Vec::new())).await;
    stand.told(down(7, 3, Vec::new())).await;
    // Another process of the centre tells as well.
    stand.told(RecordsDown { as_at: Timestamp(NOW.0), ..down(8, 1, Vec::new()) }).await;
    let three = RecordsHeard { run: 7, number: 3, as_at: Timestamp(NOW.0 + 3) };
    assert_eq!(stand.heard(), [three, RecordsHeard { run: 8, number: 1, as_at: NOW }]);
    // After a restart the centre is told how far it came, and begins another run.
    let held =
        Held::open(stand.stage.hub.disk(), Path::new("/state/elsewhere"), stand.stage.hub.cache_time());
    assert_eq!(held.unwrap().heard(), Some(three));
}

#[tokio::test]
async fn a_run_that_begins_behind_a_hole_says_nothing_of_how_far_all_is() {
    let mut stand = Stand::new().await;
    stand.told(RecordsDown { since: Timestamp(NOW.0 - 1), ..down(7, 1, Vec::new()) }).await;
    assert_eq!(stand.heard(), [RecordsHeard { run: 7, number: 1, as_at: Timestamp(0) }]);
}

#[tokio::test]
async fn whoever_opens_a_record_elsewhere_is_on_record_here_once() {
    let mut stand = Stand::new().await;
    let opened = Opened {
        v: VERSION,
        until: NOW,
        user: "u9".to_owned(),
        name: "Grace Example".to_owned(),
        roles: "clinician".to_owned(),
        organisation: "5LC02".to_owned(),
        ground: "emergency".to_owned(),
        line: "3.4".to_owned(),
    };
    let told = OpenedElsewhere { hub: "camden".parse().unwrap(), patient: number(0), at: NOW, opened };
    for number in 1..=2 {
        let message =
            RecordsDown { portions: Vec::new(), opened: vec![told.clone()], ..down(7, number, Vec::new()) };
        stand.told(message).await;
    }
    let found = stand.audit.find_by_patient(&number(0), None, 10).unwrap();
    assert_eq!(found.len(), 1);
    let line = &found[0].line;
    assert_eq!(
        (line.user.as_str(), line.name.as_str(), line.organisation.as_str()),
        ("camden/u9", "Grace Example", "5LC02")
    );
    assert_eq!(
        (line.deed.as_str(), line.handle.as_str(), line.outcome),
        (DEED_ELSEWHERE, "3.4", Outcome::Done)
    );
}

#[tokio::test]
async fn whoever_asks_waits_for_the_answer_and_not_when_the_centre_is_away() {
    let mut stand = Stand::new().await;
    let line = LineId { incarnation: 1, number: 7 };
    let opened = stand.stage.hub.opened("u1", "Ada", "clinician", "relationship", line);
    let within = Duration::from_secs(30);
    let notices = stand.stage.hub.ask_elsewhere(&number(0), opened.clone(), within).await;
    assert_eq!(notices, [notice("offline", "")]);
    stand.stage.hub.centre().state = LinkState::Up;
    let answered = Portion { answers: opened.line.clone(), ..down(7, 1, Vec::new()).portions.remove(0) };
    let hub = Arc::clone(&stand.stage.hub);
    let asking = tokio::spawn(async move { hub.ask_elsewhere(&number(0), opened, within).await });
    stand.told(RecordsDown { portions: vec![answered], ..down(7, 1, Vec::new()) }).await;
    assert_eq!(asking.await.unwrap(), []);
    assert!(stand.record().is_none(), "nobody else knows anything of them");
}

#[tokio::test]
async fn what_cannot_be_read_is_left_out_and_changes_nothing() {
    let mut stand = Stand::new().await;
    stand.keeper.take(b"nonsense").await;
    stand.told(RecordsDown { v: VERSION + 1, ..down(7, 1, Vec::new()) }).await;
    let strange = entry("camden", "rio", "x");
    let mut nobody = entry("camden", "rio", "5|9990000018|C7");
    nobody.entry.patient = None;
    stand
        .told(down(
            7,
            1,
            vec![nobody, HeldEntry { entry: BatchEntry { raw: None, ..strange.entry }, ..strange }],
        ))
        .await;
    assert_eq!(stand.heard().len(), 1);
}
