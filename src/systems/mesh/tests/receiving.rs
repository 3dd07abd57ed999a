//! What comes out of the mailbox, and what must not be lost on its way.

use super::*;

#[tokio::test]
async fn a_report_is_durable_answered_and_only_then_forgotten() {
    let stage = Stage::new().await;
    let id = stage.arrives(WORKFLOW, report(0));
    stage.look().await;
    let entries = stage.entries();
    assert_eq!((entries.len(), entries[0].kind.as_str()), (1, "MEDRPT:NHS003"));
    assert_eq!(entries[0].patient, Some(Person::of(0).nhs_number));
    let event = crate::systems::translate_entry(&entries[0]).unwrap();
    let results = event.items.iter().filter(|item| item.kind == ItemKind::Result);
    assert_eq!(results.count(), 5);
    assert!(stage.is_acknowledged(&id));
    let answers = stage.answers().await;
    assert_eq!((answers.len(), answers[0].verdict), (1, Verdict::Accepted));
    stage.look().await;
    assert_eq!(stage.entries().len(), 1);
}

#[tokio::test]
async fn one_bad_report_is_kept_aside_and_the_others_are_taken() {
    let stage = Stage::new().await;
    let good = String::from_utf8(report(0).to_vec()).unwrap();
    let (head, rest) = good.split_at(good.find("UNH").unwrap());
    let (message, _) = rest.split_at(rest.find("UNZ").unwrap());
    let second = message.replace("UNH+1+", "UNH+2+").replace("+1'UNZ", "").replace("RFF+SRI", "RFF+XXX");
    let second = second.rsplit_once("+1'").map(|(start, _)| format!("{start}+2'")).unwrap();
    let body = format!("{head}{message}{second}UNZ+2+1'");
    let id = stage.arrives(WORKFLOW, body);
    stage.look().await;
    assert_eq!(stage.entries().len(), 1);
    assert_eq!(stage.quarantined(), ["the report's number (RFF+SRI) is missing"]);
    assert!(stage.is_acknowledged(&id));
    let answer = stage.answers().await.remove(0);
    assert_eq!(answer.verdict, Verdict::Partly);
    assert_eq!((answer.on("1"), answer.on("2").unwrap().is_err()), (Some(Ok(())), true));
}

#[tokio::test]
async fn what_cannot_be_read_is_kept_and_holds_up_nobody() {
    let stage = Stage::new().await;
    let good = String::from_utf8(report(0).to_vec()).unwrap();
    let ids = [
        stage.arrives("SOMEBODY_ELSES", "whatever"),
        stage.arrives(WORKFLOW, "UNB+UNOC:3+++260101:0900+'"),
        stage.arrives(WORKFLOW, good.replace("UNZ+1+1'", "UNZ+1+2'")),
        stage.arrives("OOH_MESSAGE", "<ReportMsg><MsgId>1</MsgId></ReportMsg>"),
        stage.arrives(WORKFLOW, good),
    ];
    stage.look().await;
    assert!(ids.iter().all(|id| stage.is_acknowledged(id)));
    assert_eq!((stage.entries().len(), stage.quarantined().len()), (1, 4));
    let verdicts: Vec<Verdict> = stage.answers().await.iter().map(|answer| answer.verdict).collect();
    assert_eq!(
        verdicts,
        [Verdict::InterchangeRejected, Verdict::Accepted],
        "nobody to tell of the other three"
    );
}

#[tokio::test]
async fn a_disk_that_fails_leaves_the_message_where_it_is() {
    let stage = Stage::new().await;
    let id = stage.arrives(WORKFLOW, report(0));
    for kind in [FaultKind::InputOutput, FaultKind::Full] {
        stage.disk.inject(Some(Fault { at_call: 0, kind, sticky: true }));
        stage.look().await;
        assert!(!stage.is_acknowledged(&id) && stage.answers().await.is_empty(), "{kind:?}");
    }
    stage.disk.inject(None);
    // The journal opens a new segment by itself at its next beat.
    for beat in 1..100 {
        stage.clock.set(Timestamp(NOW.0 + beat * 1000));
        stage.hub.maintain().await.unwrap();
        stage.look().await;
        if stage.is_acknowledged(&id) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(stage.is_acknowledged(&id));
    assert_eq!((stage.entries().len(), stage.answers().await.len()), (1, 1));
}

#[tokio::test]
async fn a_full_quarantine_leaves_what_cannot_be_kept() {
    let stage = Stage::new().await;
    let id = stage.arrives("SOMEBODY_ELSES", "whatever");
    stage.disk.set_capacity(Some(0));
    stage.look().await;
    assert!(!stage.is_acknowledged(&id));
    stage.disk.set_capacity(None);
    stage.look().await;
    assert!(stage.is_acknowledged(&id));
}

#[tokio::test]
async fn a_resend_is_answered_alike_and_another_message_under_its_name_is_rejected() {
    let stage = Stage::new().await;
    stage.arrives(WORKFLOW, report(0));
    stage.arrives(WORKFLOW, report(0));
    let other = String::from_utf8(report(0).to_vec()).unwrap().replace("LONDON", "LEEDS");
    stage.arrives(WORKFLOW, other);
    stage.look().await;
    assert_eq!(stage.entries().len(), 1);
    let verdicts: Vec<Verdict> = stage.answers().await.iter().map(|answer| answer.verdict).collect();
    assert_eq!(verdicts, [Verdict::Accepted, Verdict::Accepted, Verdict::AllRejected]);
    assert_eq!(stage.quarantined(), ["another message was sent under this reference before"]);
}

#[tokio::test]
async fn chunks_and_gzip_are_put_together_within_limits() {
    let stage = Stage::new().await;
    let whole = report(0);
    let packed = Bytes::from(gzip::pack(&whole));
    let bomb = Bytes::from(gzip::pack(&vec![0; MESSAGE_BYTES_MAX + 1]));
    let put = |encoding: &str, chunks: Vec<Bytes>| {
        stage.server.put(Stored {
            encoding: encoding.to_owned(),
            chunks_expected: chunks.len(),
            chunks,
            ..Stored::new(LAB, HUB, WORKFLOW, "", Bytes::new())
        })
    };
    let too_long = put("gzip", vec![bomb]);
    put("", vec![whole.slice(..100), whole.slice(100..300), whole.slice(300..)]);
    let half = packed.len() / 2;
    put("gzip", vec![packed.slice(..half), packed.slice(half..)]);
    stage.look().await;
    assert_eq!(stage.entries().len(), 1, "the same report twice");
    assert_eq!(stage.answers().await.len(), 2);
    assert!(!stage.is_acknowledged(&too_long), "left for MESH to tell its sender");
    assert!(stage.quarantined()[0].contains("left for MESH to give back"), "and not silently");
}

#[tokio::test]
async fn an_interchange_marked_as_a_test_is_not_taken_as_live() {
    let stage = Stage::new().await;
    let test = String::from_utf8(report(0).to_vec()).unwrap().replacen("MEDRPT++1'", "MEDRPT++1++1'", 1);
    stage.arrives(WORKFLOW, test);
    stage.look().await;
    assert!(stage.entries().is_empty());
    assert_eq!(stage.answers().await[0].verdict, Verdict::AllRejected);
}

#[tokio::test]
async fn a_mailbox_unread_for_long_raises_an_alarm_that_outlasts_a_restart() {
    let mut stage = Stage::new().await;
    stage.mailbox.report(stage.mailbox.look().await);
    assert!(stage.alarms().is_empty());
    let failed = || Err(MeshError::Malformed("the inbox"));
    stage.clock.set(Timestamp(NOW.0 + DAY_MS / 2));
    stage.mailbox.report(failed());
    assert!(stage.alarms().is_empty());
    stage.clock.set(Timestamp(NOW.0 + 2 * DAY_MS));
    stage.mailbox.report(failed());
    assert_eq!(stage.alarms(), [AlarmCode::MailboxUnread]);
    stage.clock.set(Timestamp(NOW.0 + 6 * DAY_MS));
    stage.restart();
    stage.mailbox.report(stage.mailbox.look().await);
    let standing = stage.hub.alarms().standing();
    assert!(standing[0].text.contains("messages may have gone back"), "{}", standing[0].text);
    stage.clock.set(Timestamp(NOW.0 + 8 * DAY_MS));
    stage.mailbox.report(Ok(()));
    stage.clock.set(Timestamp(NOW.0 + 8 * DAY_MS + 1));
    stage.mailbox.report(Ok(()));
    assert!(stage.alarms().is_empty());
}
