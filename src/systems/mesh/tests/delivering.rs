//! What practices are sent, and what they say of it.

use super::*;

/// A result as a hospital's laboratory sends it over HL7 v2.
fn oru(nhs_number: &str) -> Event {
    let text = format!(
        "MSH|^~\\&|LIS|RQ6|PG|5LC01|20260105100000||ORU^R01|L7|P|2.4\rPID|1||{nhs_number}^^^NHS^NH||O'BRIEN^ZOE||19700102|F|||1 HIGH ST^^LONDON^^E1 1AA\r\
         OBR|1|P1|F1|UE^Urea and electrolytes|||20260105090000\r\
         OBX|1|NM|K^Potassium^L||6.9|mmol/L|3.5-5.3|HH|||F\r\
         OBX|2|NM|CRP^C reactive protein^L||<1|mg/L|<=5||||F\r\
         OBX|3|TX|COM^Comment^L||Slightly haemolysed||||||F"
    );
    hl7::translate(&hl7v2::Message::parse(text.as_bytes()).unwrap(), &secondary_care::DIALECT).unwrap()
}

fn parcel(attempt: &str, event: Event) -> Parcel {
    let entry = Entry {
        kind: event.kind.clone(),
        system: "pas".to_owned(),
        source_id: event.source_id.clone(),
        patient: event.nhs_number.ok(),
        at: NOW,
        clock: Default::default(),
        body: Bytes::new(),
        raw: None,
    };
    Parcel {
        entry: Arc::new(entry),
        event: Arc::new(event),
        attempt_id: attempt.to_owned(),
        position: Position::default(),
    }
}

#[tokio::test]
async fn a_result_reaches_the_practice_and_its_acknowledgement_comes_back() {
    let stage = Stage::new().await;
    let practice = stage.practice();
    let mut delivery = stage.delivery(Duration::from_secs(20));
    let parcel = parcel("a1", oru("9990000018"));
    let (answer, ()) = tokio::join!(delivery.send(&parcel), async {
        while practice.filed().is_empty() {
            practice.collect().await.unwrap();
            tokio::task::yield_now().await;
        }
        stage.look().await;
    });
    assert_eq!(answer, Answer::Accepted);
    assert_eq!(stage.mailbox.ledger().sent("a1").unwrap().fate, Fate::Accepted);
    let filed = practice.filed().remove(0);
    assert_eq!(
        (filed.kind, filed.nhs_number.as_str(), filed.number.as_str()),
        ("pathology", "9990000018", "F1")
    );
    assert_eq!(
        filed.lines,
        [
            "Urea and electrolytes",
            "Potassium 6.9 mmol/L HI",
            "C reactive protein <1 mg/L",
            "Comment Slightly haemolysed"
        ]
    );
    assert!(stage.entries().is_empty(), "an acknowledgement is no message of the record");
    assert_eq!(delivery.send(&parcel).await, Answer::Accepted, "asked again, and not sent again");
    practice.collect().await.unwrap();
    assert_eq!((practice.filed().len(), practice.repeated()), (1, 0));
}

#[tokio::test]
async fn a_report_that_came_as_one_goes_on_as_it_came() {
    let stage = Stage::new().await;
    let text = String::from_utf8(report(0).to_vec()).unwrap();
    let text = text.replacen("UNH+1+", "UNH+7+", 1).replacen("SPR+DPT'", "SPR+DPT'ZZZ+kept?+as it is'", 1);
    let text = text.replace("+1'UNZ", "+7'UNZ");
    stage.arrives(WORKFLOW, text.clone());
    stage.look().await;
    let entry = stage.entries().remove(0);
    let event = crate::systems::translate_entry(&entry).unwrap();
    assert!(event.faults.contains(&"segment-unknown"));
    let parcel = Parcel { entry: Arc::new(entry), ..parcel("a1", event) };
    let practice = stage.practice();
    assert_eq!(stage.delivery(Duration::ZERO).send(&parcel).await, Answer::Accepted);
    let sent = stage.server.messages().into_iter().find(|one| one.to == PRACTICE).unwrap();
    let sent = String::from_utf8(sent.chunks[0].to_vec()).unwrap();
    let message = |text: &str| text.split_once("UNH").unwrap().1.split_once("UNZ").unwrap().0.to_owned();
    assert_eq!(message(&sent), message(&text));
    assert!(sent.contains(&format!("UNB+UNOC:3+{HUB}:80+{PRACTICE}:80")));
    practice.collect().await.unwrap();
    stage.look().await;
    assert_eq!(
        stage.mailbox.ledger().sent("a1").unwrap().fate,
        Fate::Accepted,
        "message 7 is what it answers"
    );
    assert_eq!(practice.filed().len(), 1);
}

#[tokio::test]
async fn a_rejection_stops_the_parcel_with_the_practices_words() {
    let stage = Stage::new().await;
    let practice = stage.practice();
    practice.register(["9990000026".to_owned()]);
    let mut delivery = stage.delivery(Duration::from_secs(20));
    let parcel = parcel("a1", oru("9990000018"));
    let (answer, ()) = tokio::join!(delivery.send(&parcel), async {
        while stage.server.inbox(PRACTICE).is_empty() {
            tokio::task::yield_now().await;
        }
        practice.collect().await.unwrap();
        stage.look().await;
    });
    assert_eq!(answer, Answer::Stop("IRA: the patient is not registered here".to_owned()));
    assert!(practice.filed().is_empty());
}

#[tokio::test]
async fn a_rejection_that_comes_late_raises_an_alarm_even_after_a_restart() {
    let mut stage = Stage::new().await;
    let practice = stage.practice();
    practice.register(["9990000026".to_owned()]);
    let parcel = parcel("a1", oru("9990000018"));
    assert_eq!(stage.delivery(Duration::ZERO).send(&parcel).await, Answer::Accepted, "MESH has it");
    assert_eq!(stage.mailbox.ledger().sent("a1").unwrap().fate, Fate::Awaited);
    stage.restart();
    practice.collect().await.unwrap();
    stage.mailbox.report(stage.mailbox.look().await);
    assert!(matches!(stage.mailbox.ledger().sent("a1").unwrap().fate, Fate::Rejected(_)));
    assert_eq!(stage.alarms(), [AlarmCode::DeliveryFailed]);
    assert_eq!(stage.delivery(Duration::ZERO).send(&parcel).await, Answer::Accepted, "sent again by hand");
    assert_eq!(stage.mailbox.ledger().sent("a1").unwrap().reference, "2", "under a number of its own");
    practice.register(["9990000018".to_owned()]);
    practice.collect().await.unwrap();
    stage.mailbox.report(stage.mailbox.look().await);
    assert_eq!(stage.mailbox.ledger().sent("a1").unwrap().fate, Fate::Accepted);
    assert!(stage.alarms().is_empty());
}

#[tokio::test]
async fn an_acknowledgement_is_taken_for_nothing_but_what_it_names() {
    let stage = Stage::new().await;
    let mut delivery = stage.delivery(Duration::ZERO);
    for (attempt, number) in [("a1", "9990000018"), ("a2", "9990000026")] {
        assert_eq!(delivery.send(&parcel(attempt, oru(number))).await, Answer::Accepted);
    }
    let practice = stage.practice();
    practice.collect().await.unwrap();
    let acks: Vec<Stored> = stage
        .server
        .messages()
        .into_iter()
        .filter(|one| one.to == HUB && one.workflow.ends_with("_ACK"))
        .collect();
    assert_eq!(acks.len(), 2);
    // One of them from another mailbox, one of an interchange never sent, and one with other partners.
    let body = String::from_utf8(acks[1].chunks[0].to_vec()).unwrap();
    stage.server.acknowledge(HUB, &acks[0].id);
    stage.server.acknowledge(HUB, &acks[1].id);
    stage.server.put(Stored::new(LAB, HUB, "PATH_MEDRPT_V3_ACK", "", Bytes::from(body.clone())));
    for (from, to) in [("SIR:2", "SIR:9"), (&format!("+{HUB}:80+"), "+OTHER:80+")] {
        let body = Bytes::from(body.replace(from, to));
        stage.server.put(Stored::new(PRACTICE, HUB, "PATH_MEDRPT_V3_ACK", "", body));
    }
    stage.look().await;
    for attempt in ["a1", "a2"] {
        assert_eq!(stage.mailbox.ledger().sent(attempt).unwrap().fate, Fate::Awaited);
    }
    assert_eq!(stage.quarantined().len(), 3);
    stage.server.put(Stored::new(PRACTICE, HUB, "PATH_MEDRPT_V3_ACK", "", Bytes::from(body)));
    stage.look().await;
    let fates = ["a1", "a2"].map(|attempt| stage.mailbox.ledger().sent(attempt).unwrap().fate);
    assert_eq!(fates, [Fate::Awaited, Fate::Accepted]);
}

#[tokio::test]
async fn what_mesh_has_already_is_not_sent_again() {
    let mut stage = Stage::new().await;
    let parcel = parcel("a1", oru("9990000018"));
    assert_eq!(stage.delivery(Duration::ZERO).send(&parcel).await, Answer::Accepted);
    // As if the power had gone between MESH's answer and the note of it.
    let path = Path::new("/state/mesh.json");
    let state = crate::sys::disk::read_file(&stage.disk, path, 1 << 20).unwrap();
    let state = String::from_utf8(state).unwrap().replace("\"awaited\"", "\"prepared\"");
    crate::sys::disk::replace_file(&stage.disk, path, state.as_bytes()).unwrap();
    stage.restart();
    assert_eq!(stage.mailbox.ledger().sent("a1").unwrap().fate, Fate::Prepared);
    assert_eq!(stage.delivery(Duration::ZERO).send(&parcel).await, Answer::Accepted);
    assert_eq!(stage.server.inbox(PRACTICE).len(), 1, "MESH was asked whether it had it");
}

#[tokio::test]
async fn an_uncollected_report_comes_back_and_raises_an_alarm() {
    let stage = Stage::new().await;
    assert_eq!(stage.delivery(Duration::ZERO).send(&parcel("a1", oru("9990000018"))).await, Answer::Accepted);
    stage.clock.set(Timestamp(NOW.0 + 5 * DAY_MS + 1));
    assert!(stage.server.inbox(PRACTICE).is_empty());
    stage.look().await;
    let fate = stage.mailbox.ledger().sent("a1").unwrap().fate;
    assert_eq!(
        fate,
        Fate::NotDelivered("MESH 14: Message not collected by recipient after 5 days".to_owned())
    );
    stage.mailbox.report(Ok(()));
    assert!(stage.alarms().contains(&AlarmCode::DeliveryFailed));
}

#[tokio::test]
async fn an_unknown_recipient_stops_and_a_server_that_is_away_does_not() {
    let stage = Stage::new().await;
    let options = PracticeOptions::new("NOBODY", "E87001", HUB, ("5LC01", "Soho polyclinic"));
    let mut delivery = PracticeDelivery::new(Arc::clone(&stage.mailbox), options);
    let answer = delivery.send(&parcel("a1", oru("9990000018"))).await;
    assert!(matches!(&answer, Answer::Stop(words) if words.contains("Unregistered")), "{answer:?}");
    let nowhere = HttpUrl::parse("http://127.0.0.1:1/messageexchange").unwrap();
    let away = open(&stage.hub, &stage.disk, &nowhere, &stage.clock);
    let options = PracticeOptions::new(PRACTICE, "E87001", HUB, ("5LC01", "Soho polyclinic"));
    let mut delivery = PracticeDelivery::new(away, options);
    for _ in 0..2 {
        let answer = delivery.send(&parcel("a2", oru("9990000018"))).await;
        assert!(matches!(&answer, Answer::Again(_)), "{answer:?}");
    }
}

#[tokio::test]
async fn what_no_report_can_say_stops_without_being_sent() {
    let stage = Stage::new().await;
    let mut delivery = stage.delivery(Duration::ZERO);
    let mut nobody = oru("");
    nobody.items.retain(|item| item.kind == ItemKind::Result);
    let mut unspeakable = oru("9990000018");
    for item in unspeakable.items.iter_mut().filter(|item| item.kind == ItemKind::Result) {
        item.fields.push(("note", FieldChange::Set("\u{5b57}".to_owned())));
    }
    let mut empty = oru("9990000018");
    empty.items.clear();
    for event in [nobody, unspeakable, empty] {
        let answer = delivery.send(&parcel("a", event)).await;
        assert!(matches!(&answer, Answer::Stop(_)), "{answer:?}");
    }
    assert!(stage.server.messages().is_empty());
}

#[tokio::test]
async fn a_withdrawal_reaches_the_practice_as_a_letter() {
    let stage = Stage::new().await;
    let practice = stage.practice();
    let mut event = letter_event();
    event.items.retain(|item| item.kind == ItemKind::Demographics);
    event.withdraws = vec!["C-76".to_owned()];
    assert_eq!(stage.delivery(Duration::ZERO).send(&parcel("a1", event)).await, Answer::Accepted);
    practice.collect().await.unwrap();
    let filed = practice.filed().remove(0);
    assert!(filed.lines[0].contains("C-76") && filed.lines[0].contains("withdrawn"), "{:?}", filed.lines);
    let replacing = Event { withdraws: vec!["C-75".to_owned()], ..letter_event() };
    assert_eq!(stage.delivery(Duration::ZERO).send(&parcel("a2", replacing)).await, Answer::Accepted);
    practice.collect().await.unwrap();
    let filed = practice.filed().remove(0);
    assert!(
        filed.lines[0].starts_with("Seen at home.") && filed.lines[1].contains("C-75"),
        "{:?}",
        filed.lines
    );
}

fn letter_event() -> Event {
    let set = |fields: &[(&'static str, &str)]| {
        fields.iter().map(|(name, value)| (*name, FieldChange::Set((*value).to_owned()))).collect()
    };
    Event {
        kind: "NHS111".to_owned(),
        class: Class::Document,
        source_id: "C-77".to_owned(),
        sender: "ADASTRA".to_owned(),
        occurred: Some(NOW),
        nhs_number: NhsNumber::parse("9990000018"),
        identifiers: Vec::new(),
        merged: Vec::new(),
        items: vec![
            ItemChange::new(
                ItemKind::Demographics,
                String::new(),
                set(&[("family_name", "O'Brien"), ("given_name", "Zo\u{eb}"), ("birth_date", "1970-01-25")]),
            ),
            ItemChange::new(
                ItemKind::Document,
                "C-77".to_owned(),
                set(&[
                    ("title", "111 report"),
                    ("content", "Seen at home.\nRest & fluids."),
                    ("encoding", "text"),
                ]),
            ),
        ],
        withdraws: Vec::new(),
        faults: Vec::new(),
    }
}

#[tokio::test]
async fn an_urgent_care_report_becomes_a_letter_and_a_letter_becomes_a_document() {
    let stage = Stage::new().await;
    let practice = stage.practice();
    let mut delivery = stage.delivery(Duration::from_secs(5));
    let parcel = parcel("a1", letter_event());
    assert_eq!(delivery.send(&parcel).await, Answer::Accepted, "letters have no NHSACK");
    let preview = delivery.preview(&parcel).unwrap();
    let sent = stage.server.messages().remove(0);
    assert_eq!(sent.chunks[0], preview, "what was sent is what is shown");
    practice.collect().await.unwrap();
    let filed = practice.filed().remove(0);
    assert_eq!((filed.kind, filed.number.as_str()), ("letter", "C-77"));
    assert_eq!(filed.lines, ["Seen at home.\nRest & fluids."]);
    stage.arrives("OOH_MESSAGE", preview);
    stage.look().await;
    let entries = stage.entries();
    let event = crate::systems::translate_entry(&entries[0]).unwrap();
    assert_eq!(event.nhs_number, NhsNumber::parse("9990000018"));
    let document = event.items.iter().find(|item| item.kind == ItemKind::Document).unwrap();
    assert_eq!(letters::field(document, "content"), "Seen at home.\nRest & fluids.");
    let person = event.items.iter().find(|item| item.kind == ItemKind::Demographics).unwrap();
    assert_eq!(letters::field(person, "birth_date"), "1970-01-25");
}

#[test]
fn what_an_analyser_found_comes_through_pmip_as_it_was() {
    let event = oru("9990000018");
    let correspondents = reports::Correspondents {
        from: "5LC01".to_owned(),
        from_name: "Soho".to_owned(),
        to: "E87001".to_owned(),
    };
    let kind = crate::codec::edifact::pmip::Kind::Pathology;
    let reports = reports::reports(&event, kind, &correspondents).unwrap();
    let header = crate::codec::edifact::Header {
        sender: crate::codec::edifact::Partner { id: "1".to_owned(), qualifier: String::new() },
        recipient: crate::codec::edifact::Partner { id: "2".to_owned(), qualifier: String::new() },
        control_reference: "1".to_owned(),
        ..Default::default()
    };
    let mut writer = crate::codec::edifact::Writer::new(&header);
    crate::codec::edifact::pmip::write(&mut writer, "1", kind, &reports[0]);
    let bytes = Bytes::from(writer.finish().0);
    let Opened::Interchange(mut opening) = incoming::open(&bytes, false) else {
        panic!("it is an interchange")
    };
    let again = opening.reports.remove(0).1.unwrap().event;
    assert_eq!((again.nhs_number, again.faults.len()), (event.nhs_number, 0));
    let of = |event: &Event, name: &str| -> Vec<(String, String)> {
        let results = event.items.iter().filter(|item| item.kind == ItemKind::Result);
        let values = results.map(|item| {
            let value = format!("{}{}", letters::field(item, "comparator"), letters::field(item, name));
            (letters::field(item, "name").to_owned(), value)
        });
        values.filter(|(name, _)| name != "Urea and electrolytes").collect()
    };
    for name in ["value", "units", "reference_range", "status"] {
        let plain = |found: Vec<(String, String)>| -> Vec<String> {
            found
                .into_iter()
                .map(|(name, value)| format!("{name} {}", value.trim_start_matches('<')))
                .collect()
        };
        assert_eq!(plain(of(&again, name)), plain(of(&event, name)), "{name}");
    }
    let potassium = again.items.iter().find(|item| letters::field(item, "name") == "Potassium").unwrap();
    assert_eq!(letters::field(potassium, "abnormal_flags"), "H");
    assert!(
        letters::field(potassium, "note").contains("Critically high"),
        "what PMIP has no flag for is in words"
    );
    let crp = again.items.iter().find(|item| letters::field(item, "name") == "C reactive protein").unwrap();
    assert_eq!((letters::field(crp, "comparator"), letters::field(crp, "value")), ("<", "1"));
}
