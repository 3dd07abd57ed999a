//! Whatever a sender sends over MLLP gets exactly one right answer.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::{
    stage::{HubProgram, PATIENCE},
    support::{Directory, issue_all, program::lasting_port},
};

const MESSAGE_BYTES_MAX: usize = 16 << 20;
const ADT: [&str; 12] = ["A01", "A02", "A03", "A04", "A05", "A08", "A11", "A12", "A13", "A28", "A31", "A40"];
const SIU: [&str; 7] = ["S12", "S13", "S14", "S15", "S16", "S17", "S26"];

/// A hub without a centre.
struct Ground {
    hub: HubProgram,
    _directory: Directory,
}

/// One connection of a sender.
struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

/// What the hub says of a message: MSA-1, MSA-2, and the number of the error in ERR or MSA-6.
type Answer = (String, String, String);

impl Ground {
    fn prepare() -> Self {
        let directory = Directory::new();
        issue_all(directory.path(), &["soho"]);
        let state = directory.path().join("soho");
        let mut hub = HubProgram::prepare(directory.path(), &state, lasting_port(), "capacity-mib = 512");
        hub.start_and_wait();
        Self { hub, _directory: directory }
    }

    fn connect(&self) -> Connection {
        Connection::to(self.hub.pas)
    }

    /// Messages found by this command line, as JSON.
    fn found(&self, more: &[&str]) -> Vec<serde_json::Value> {
        self.hub.ask(&[&["message", "find", "--limit", "1000"], more].concat())
    }

    /// How often a message is in the journal.
    fn has(&self, control_id: &str) -> usize {
        self.found(&["--source-id", control_id]).len()
    }
}

impl Ground {
    /// That it runs, and that nothing in it has panicked.
    fn is_well(&mut self) {
        assert!(self.hub.runs(), "{}", self.hub.said());
        let said = self.hub.said_all();
        assert!(!said.contains("panicked"), "{said}");
    }
}

impl Connection {
    fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, received: Vec::new() }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    fn answer(&mut self) -> Answer {
        loop {
            let whole = self.received.windows(2).position(|pair| pair == [0x1c, 0x0d]);
            if let Some(end) = whole {
                let frame: Vec<u8> = self.received.drain(..end + 2).collect();
                assert_eq!(frame[0], 0x0b);
                return read_answer(&String::from_utf8_lossy(&frame[1..end]));
            }
            let mut chunk = [0; 4096];
            let count = self.stream.read(&mut chunk).expect("an answer in time");
            assert!(
                0 < count,
                "closed instead of an answer; so far {:?}",
                String::from_utf8_lossy(&self.received)
            );
            self.received.extend_from_slice(&chunk[..count]);
        }
    }

    fn ask(&mut self, message: &[u8]) -> Answer {
        self.write(&framed(message));
        self.answer()
    }

    /// That nothing more comes: a last message is answered, and its answer is the next.
    fn is_in_step(&mut self, control_id: &str) {
        assert_eq!(self.ask(&admission(control_id)), accepted(control_id));
        assert!(self.received.is_empty(), "one answer too many");
    }

    /// That nothing is said to what was sent, without sending more.
    fn is_silent(&mut self) -> bool {
        self.stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let outcome = self.stream.read(&mut [0; 16]);
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        outcome.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    }
}

fn read_answer(text: &str) -> Answer {
    let segment = |name: &str| text.split('\r').find(|segment| segment.starts_with(name)).unwrap_or_default();
    let msa: Vec<&str> = segment("MSA").split(text.as_bytes()[3] as char).collect();
    let field = |number: usize| msa.get(number).copied().unwrap_or_default().to_owned();
    // Table 0357 is named beside the code, wherever this version of HL7 has it.
    let code = ["100", "101", "102", "103", "200", "201", "202", "203", "204", "205", "206", "207"]
        .into_iter()
        .find(|code| text.contains(&format!("{code}^")) || text.contains(&format!("{code}&")));
    (field(1), field(2), code.unwrap_or_default().to_owned())
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&[0x0b], message, &[0x1c, 0x0d]].concat()
}

fn accepted(control_id: &str) -> Answer {
    ("AA".to_owned(), control_id.to_owned(), String::new())
}

fn message(kind: &str, control_id: &str, pid: &str) -> Vec<u8> {
    format!(
        "MSH|^~\\&|PAS|RQ6|POLYGATE|5LC01|20260105101500||{kind}|{control_id}|P|2.4\r{pid}\r\
         PV1|1|I|CLINIC1^^^POLY||||C1234567^Okafor^Ada\r"
    )
    .into_bytes()
}

const PID: &str = "PID|1||H000017^^^RQ6^MR~9990000018^^^NHS^NH||Testcase^Orla||19700101|F";

fn admission(control_id: &str) -> Vec<u8> {
    message("ADT^A01^ADT_A01", control_id, PID)
}

#[test]
fn every_supported_kind_is_taken_and_others_are_refused_by_name() {
    let mut ground = Ground::prepare();
    let mut connection = ground.connect();
    let mrg = format!("{PID}\rMRG|H000018^^^RQ6^MR");
    for trigger in ADT {
        let pid = if trigger == "A40" { &mrg } else { PID };
        assert_eq!(connection.ask(&message(&format!("ADT^{trigger}"), trigger, pid)), accepted(trigger));
    }
    for trigger in SIU {
        let pid = format!("SCH|P1|F1|||||FOLLOWUP||20|MIN|^^^20260201093000\r{PID}");
        assert_eq!(connection.ask(&message(&format!("SIU^{trigger}"), trigger, &pid)), accepted(trigger));
    }
    let result = format!(
        "{PID}\rOBR|1|L1|L1|FBC^Full blood count^L\rOBX|1|NM|HB^Haemoglobin^L||141|g/L|120-160|N|||F"
    );
    assert_eq!(connection.ask(&message("ORU^R01", "R01", &result)), accepted("R01"));
    for (kind, pid, number) in [
        ("ORM^O01", PID, "200"),
        ("MDM^T02", PID, "200"),
        ("ACK^A01", PID, "200"),
        ("ADT^A99", PID, "201"),
        ("ADT", PID, "201"),
        ("SIU^S99", PID, "201"),
        ("ORU^R32", PID, "201"),
        ("", PID, "101"),
        ("ADT^A01", "ZZZ|1", "100"),
        ("ADT^A40", PID, "100"),
    ] {
        let id = format!("no-{}", kind.replace('^', "-"));
        let answer = connection.ask(&message(kind, &id, pid));
        assert_eq!(answer, ("AR".to_owned(), id, number.to_owned()), "{kind}");
    }
    let mut rio = Connection::to(ground.hub.rio);
    let refused = rio.ask(&message("ORU^R01", "R02", &result));
    assert_eq!(refused, ("AR".to_owned(), "R02".to_owned(), "200".to_owned()), "RiO sends no results");
    ground.is_well();
}

#[test]
fn a_message_may_come_in_any_pieces() {
    let mut ground = Ground::prepare();
    let mut connection = ground.connect();
    for (name, ending) in [("cr", "\r"), ("lf", "\n"), ("crlf", "\r\n")] {
        let text = String::from_utf8(admission(&format!("pieces-{name}"))).unwrap().replace('\r', ending);
        let frame = framed(text.as_bytes());
        for split in 1..frame.len() {
            connection.write(&frame[..split]);
            connection.write(&frame[split..]);
            assert_eq!(connection.answer(), accepted(&format!("pieces-{name}")), "split at {split}");
        }
        // Three parts so far apart that the hub surely reads each by itself; the last byte may be almost too late.
        for (split, pause_ms) in [(frame.len() - 2, 20), (frame.len() - 1, 20), (frame.len() - 1, 300)] {
            for part in [&frame[..10], &frame[10..split], &frame[split..]] {
                connection.write(part);
                std::thread::sleep(Duration::from_millis(pause_ms));
            }
            assert_eq!(connection.answer(), accepted(&format!("pieces-{name}")), "apart at {split}");
        }
        for byte in &frame {
            connection.write(std::slice::from_ref(byte));
        }
        assert_eq!(connection.answer(), accepted(&format!("pieces-{name}")));
        assert_eq!(ground.has(&format!("pieces-{name}")), 1, "however often it came");
    }
    let many: Vec<u8> =
        (0..100).flat_map(|number| framed(&admission(&format!("together-{number}")))).collect();
    connection.write(&many);
    for number in 0..100 {
        assert_eq!(connection.answer(), accepted(&format!("together-{number}")), "in the order they came");
    }
    ground.is_well();
}

#[test]
fn what_is_between_frames_and_what_is_torn_costs_nothing_else() {
    let mut ground = Ground::prepare();
    let mut connection = ground.connect();
    for (number, garbage) in
        [&b"\r\n"[..], b"GET / HTTP/1.1\r\n\r\n", b"\x1c\r", b"\0\0\xff\xfe", b"\x1c\x1c\r\r", b"MSH|^~\\&|"]
            .into_iter()
            .enumerate()
    {
        connection.write(garbage);
        connection.is_in_step(&format!("after-garbage-{number}"));
    }
    let whole = framed(&admission("torn"));
    for cut in [1, 2, 10, whole.len() / 2, whole.len() - 3] {
        connection.write(&whole[..cut]);
        connection.is_in_step(&format!("after-torn-{cut}"));
    }
    assert_eq!(ground.has("torn"), 0, "half a message is none");
    connection.write(&whole[..whole.len() - 1]);
    assert!(connection.is_silent(), "it may go on");
    connection.write(&framed(&admission("next")));
    assert_eq!(connection.answer(), accepted("torn"), "a sender that forgets the last byte");
    assert_eq!(connection.answer(), accepted("next"));
    drop(connection);
    for cut in [1, whole.len() / 2, whole.len() - 2] {
        let mut dying = ground.connect();
        dying.write(&framed(&admission(&format!("whole-{cut}"))));
        assert_eq!(dying.answer(), accepted(&format!("whole-{cut}")));
        dying.write(&whole[..cut]);
    }
    ground.connect().is_in_step("after-the-dead");
    ground.is_well();
}

#[test]
fn a_message_as_long_as_allowed_is_taken_and_a_longer_one_refused() {
    let mut ground = Ground::prepare();
    let mut connection = ground.connect();
    let padded = |control_id: &str, bytes: usize| {
        let mut message = admission(control_id);
        message.extend_from_slice(b"NTE|1||");
        message.resize(bytes - 1, b'x');
        message.push(b'\r');
        message
    };
    for (id, bytes) in [("long-0", MESSAGE_BYTES_MAX - 1), ("long-1", MESSAGE_BYTES_MAX)] {
        assert_eq!(connection.ask(&padded(id, bytes)), accepted(id));
        assert_eq!(connection.ask(&padded(id, bytes)), accepted(id), "again");
        let found = ground.found(&["--source-id", id]);
        assert_eq!((found.len(), found[0]["size_bytes"].as_u64()), (1, Some(bytes as u64)));
    }
    for (id, bytes) in [("long-2", MESSAGE_BYTES_MAX + 1), ("long-3", MESSAGE_BYTES_MAX + (1 << 20))] {
        let (code, echoed, number) = connection.ask(&padded(id, bytes));
        assert_eq!((code.as_str(), echoed.as_str(), number.is_empty()), ("AR", id, false));
        assert_eq!(ground.has(id), 0);
        connection.is_in_step(&format!("after-{id}"));
    }
    ground.is_well();
}

#[test]
fn character_sets_and_marks_are_taken_as_they_come() {
    let mut ground = Ground::prepare();
    let mut connection = ground.connect();
    let text = String::from_utf8(admission("latin")).unwrap();
    let latin = text.replace("|P|2.4\r", "|P|2.4||||||8859/1\r").replace("Orla", "Zo\u{eb}");
    let bytes: Vec<u8> = latin.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap()).collect();
    assert!(bytes.contains(&0xeb));
    assert_eq!(connection.ask(&bytes), accepted("latin"));
    let utf8 = latin.replace("8859/1", "UNICODE UTF-8").replace("latin", "utf8");
    assert_eq!(connection.ask(utf8.as_bytes()), accepted("utf8"));
    let odd = latin.replace("8859/1", "KLINGON").replace("latin", "odd");
    assert_eq!(connection.ask(odd.as_bytes()), accepted("odd"));
    let mark = [&b"\xef\xbb\xbf"[..], &admission("mark")].concat();
    assert_eq!(connection.ask(&mark), accepted("mark"));
    let delimiters = text.replace("latin", "delimiters").replace("^~\\&", "#~\\&").replace('^', "#");
    assert_eq!(connection.ask(delimiters.as_bytes()), accepted("delimiters"));
    let dollars = text.replace("latin", "dollars").replace('|', "$");
    assert_eq!(connection.ask(dollars.as_bytes()), accepted("dollars"));
    for id in ["latin", "utf8", "odd", "mark", "delimiters", "dollars"] {
        assert_eq!(ground.has(id), 1, "{id}");
    }
    ground.is_well();
}

#[test]
fn a_repetition_has_no_effect_and_another_message_of_its_name_is_kept_aside() {
    let mut ground = Ground::prepare();
    let mut connection = ground.connect();
    for _ in 0..3 {
        assert_eq!(connection.ask(&admission("same")), accepted("same"));
    }
    assert_eq!(ground.has("same"), 1);
    let other = String::from_utf8(admission("same")).unwrap().replace("Testcase", "Example");
    for _ in 0..2 {
        let refused = connection.ask(other.as_bytes());
        assert_eq!(refused, ("AR".to_owned(), "same".to_owned(), "205".to_owned()));
    }
    assert_eq!(ground.has("same"), 1);
    // Both are in one piece, and the second contradicts the first.
    let both = String::from_utf8(admission("both")).unwrap();
    connection.write(&[framed(both.as_bytes()), framed(both.replace("Orla", "Ada").as_bytes())].concat());
    assert_eq!(connection.answer(), accepted("both"));
    assert_eq!(connection.answer().0, "AR");

    ground.hub.kill9();
    ground.hub.start_and_wait();
    let mut connection = ground.connect();
    assert_eq!(connection.ask(&admission("same")), accepted("same"), "after a restart too");
    assert_eq!(connection.ask(other.as_bytes()).2, "205");
    assert_eq!(ground.has("same"), 1);
    for bytes in
        [&b"hello"[..], b"", b"MSH", b"MSH|^~\\&", b"FHS|^~\\&|A\rMSH|^~\\&|A", b"\xff\xff\xff\xff\0"]
    {
        assert_eq!(connection.ask(bytes).0, "AR", "{bytes:?}");
    }
    connection.is_in_step("after-nonsense");
    let aside = ground.found(&["--quarantined"]);
    let named = |name: &str| aside.iter().filter(|found| found["source_id"] == name).count();
    assert_eq!((named("same"), named("both")), (1, 1), "{aside:?}");
    assert!(6 <= aside.len(), "what could not be read is there as well: {aside:?}");
    assert!(aside.iter().all(|found| found["state"] == "quarantined"));
    ground.is_well();
}

#[test]
fn a_message_without_a_valid_nhs_number_is_taken_all_the_same() {
    let mut ground = Ground::prepare();
    let mut connection = ground.connect();
    for (id, pid) in [
        ("absent", "PID|1||H000017^^^RQ6^MR||Testcase^Orla"),
        ("wrong-digit", "PID|1||9990000019^^^NHS^NH||Testcase^Orla"),
        ("letters", "PID|1||99900ABC18^^^NHS^NH||Testcase^Orla"),
        ("short", "PID|1||999^^^NHS^NH||Testcase^Orla"),
        ("empty", "PID|1||^^^NHS^NH||Testcase^Orla"),
        ("nothing", "PID|1"),
        ("spaced", "PID|1||999 000 0018^^^NHS^NH||Testcase^Orla"),
    ] {
        assert_eq!(connection.ask(&message("ADT^A01", id, pid)), accepted(id));
        assert_eq!(ground.has(id), 1, "{id}");
    }
    let unlinked = ground.found(&["--unlinked"]);
    assert_eq!(unlinked.len(), 6, "all but the last are listed for repair: {unlinked:?}");
    assert!(unlinked.iter().all(|found| found["reason"].as_str().is_some_and(|why| why.contains("nobody"))));
    ground.is_well();
}
