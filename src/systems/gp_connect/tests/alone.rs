//! The consumer against answers that no proper practice gives.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{NOW, requester};
use crate::{
    codec::gzip,
    domain::nhs_number::NhsNumber,
    flow::ask::{GpSystem, Refusal},
    sys::{clock::SimulatedClock, entropy::Entropy},
    systems::{
        emis,
        gp_connect::{GpConnect, Options, RecordPart, fault::TABLE},
    },
};

/// Answers every request with this status and body, and counts them.
async fn hub(status: u16, body: String) -> GpConnect {
    hub_with(status, "", body.into_bytes()).await
}

/// The same, with more headers, each ended by its line end.
async fn hub_with(status: u16, headers: &'static str, body: Vec<u8>) -> GpConnect {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = vec![0; 1 << 16];
            let read = stream.read(&mut buffer).await;
            let head = format!(
                "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Type: application/fhir+json\r\n\
                 {headers}Content-Length: {}\r\n\r\n",
                body.len()
            );
            let answer = [head.as_bytes(), &body].concat();
            if read.is_ok() && stream.write_all(&answer).await.is_err() {
                return;
            }
        }
    });
    asking(port)
}

fn asking(port: u16) -> GpConnect {
    let options = Options {
        name: "odd".to_owned(),
        profile: &emis::PROFILE,
        practice: "E87001".to_owned(),
        address: format!("http://127.0.0.1:{port}/E87001/STU3/1/gpconnect/fhir"),
        records_address: None,
        proxy: None,
        asid: "200000000115".to_owned(),
        practice_asid: "200000000116".to_owned(),
        issuer: "https://hub.example".to_owned(),
        parts: RecordPart::ALL.to_vec(),
        appointments_with_record: false,
        answer_within: Options::ANSWER_WITHIN,
    };
    GpConnect::new(options, None, Arc::new(SimulatedClock::new(NOW)), Entropy::from_seed(1)).unwrap()
}

async fn refusal(hub: &GpConnect) -> Refusal {
    hub.record(&requester(), NhsNumber::parse("9990000018").unwrap()).await.unwrap_err()
}

fn outcome(code: &str) -> Value {
    json!({"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "invalid",
        "details": {"coding": [{"system": "https://fhir.nhs.uk/STU3/ValueSet/Spine-ErrorOrWarningCode-1", "code": code}]},
        "diagnostics": "NHS number 9990000018 of Ben Clarke"}]})
}

#[tokio::test]
async fn every_row_of_the_table_arrives_as_itself_and_quotes_nothing() {
    for row in TABLE.iter().filter(|row| row.status != 0) {
        let refusal = refusal(&hub(row.status, outcome(row.code).to_string()).await).await;
        assert_eq!(refusal.code, row.code);
        assert_eq!(
            (refusal.words, refusal.at_fault, refusal.outcome),
            (row.words, row.at_fault, row.outcome)
        );
        let shown = format!("{refusal} {refusal:?}");
        assert!(!shown.contains("9990000018") && !shown.contains("Clarke"), "{shown}");
    }
}

#[tokio::test]
async fn answers_that_are_none_are_refused() {
    for (status, body, code) in [
        (200, "<html>Sorry</html>", "UNREADABLE_ANSWER"),
        (200, "", "UNREADABLE_ANSWER"),
        (200, "{\"resourceType\":\"Bundle\",", "UNREADABLE_ANSWER"),
        (200, "{\"resourceType\":\"Patient\"}", "UNREADABLE_ANSWER"),
        (200, "{\"resourceType\":\"Bundle\"}", "ANOTHER_PATIENT"),
        (201, "{\"resourceType\":\"Bundle\"}", "UNEXPECTED_STATUS"),
        (302, "", "UNEXPECTED_STATUS"),
        (200, "{\"resourceType\":\"OperationOutcome\",\"issue\":[]}", "UNEXPECTED_STATUS"),
        (503, "<html>Busy</html>", "SERVICE_UNAVAILABLE"),
    ] {
        assert_eq!(refusal(&hub(status, body.to_owned()).await).await.code, code, "{status} {body}");
    }
}

#[tokio::test]
async fn what_is_packed_is_unpacked_within_limits() {
    let packed = "Content-Encoding: gzip\r\n";
    let missing = gzip::pack(outcome("PATIENT_NOT_FOUND").to_string().as_bytes());
    assert_eq!(refusal(&hub_with(404, packed, missing).await).await.code, "PATIENT_NOT_FOUND");
    let bomb = gzip::pack(&vec![b' '; (16 << 20) + 1]);
    for broken in [bomb, b"plain".to_vec()] {
        assert_eq!(refusal(&hub_with(200, packed, broken).await).await.code, "UNREADABLE_ANSWER");
    }
}

#[tokio::test]
async fn nobody_there_is_no_answer_of_anybodys() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let hub = asking(port);
    assert_eq!(hub.contact().is_up(), None, "not asked yet");
    let refusal = refusal(&hub).await;
    assert_eq!(refusal.code, "NOT_CONNECTED");
    assert!(refusal.detail.contains("refused"), "the reason is told: {refusal}");
    assert_eq!(hub.contact().is_up(), Some(false));
}

/// Makes one thing wrong.
type Change = fn(&mut Options);

#[test]
fn a_description_that_cannot_be_used_is_refused_with_its_key() {
    let changes: [(Change, &str); 7] = [
        (|options| options.address = "http://gp.example/x".to_owned(), "gp-connect: "),
        (|options| options.records_address = Some("gp.example".to_owned()), "gp-connect: "),
        (|options| options.asid = "20000000011".to_owned(), "asid of [gp-connect]: "),
        (|options| options.practice_asid = "20000000011x".to_owned(), "asid of the practice: "),
        (|options| options.issuer = "hub.example".to_owned(), "issuer: "),
        (|options| options.practice = "E87 001".to_owned(), "ods: "),
        (|options| options.parts.clear(), "parts: "),
    ];
    let mut blank = asking(1).options;
    (blank.asid, blank.practice_asid) = (String::new(), String::new());
    assert_eq!(blank.check(), Ok(()), "a trial without the proxy");
    blank.proxy = crate::sys::http::HttpUrl::parse("https://proxy.example").ok();
    assert!(blank.check().is_err());
    for (change, key) in changes {
        let mut options = asking(1).options;
        change(&mut options);
        let made = GpConnect::new(options, None, Arc::new(SimulatedClock::new(NOW)), Entropy::from_seed(1));
        let error = made.map(drop).unwrap_err().to_string();
        assert!(error.starts_with(key), "{error}");
    }
}

#[tokio::test]
async fn questions_that_would_wait_too_long_are_turned_away_and_never_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut options = asking(listener.local_addr().unwrap().port()).options;
    options.answer_within = std::time::Duration::from_millis(500);
    let made = GpConnect::new(options, None, Arc::new(SimulatedClock::new(NOW)), Entropy::from_seed(1));
    let hub = Arc::new(made.unwrap());
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let hub = Arc::clone(&hub);
        asked.spawn(async move { refusal(&hub).await.code });
    }
    let mut codes = asked.join_all().await;
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes, ["NO_ANSWER", "TOO_MANY_REQUESTS"]);
}
