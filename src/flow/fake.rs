//! A hub that is not there, for the tests of whatever shows and operates one.

mod person;

use std::{
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    domain::{
        ids::{Class, Epoch},
        nhs_number::NhsNumber,
        time::{ClockQuality, Timestamp},
    },
    journal,
};

use super::{
    alarm::{Alarm, AlarmCode},
    audit::Audit,
    operate::{
        CENTRE, CaseDetail, CaseId, CaseSummary, Check, CheckState, FoundMessage, MessageDetail,
        MessageFilter, MessageId, MessageState, Operate, OperateError, ParkedEntry, Preview, RecordDetail,
        RecordQuery, Resend, Reveal, Step,
    },
    status::{
        CentreStatus, Condition, DeliveryStatus, HubStatus, LinkState, LinkStatus, QueueStatus,
        RecentMessage, ViewStatus,
    },
};

/// Wednesday, 18 November 2026, 11:06:40 in London.
pub const NOW: Timestamp = Timestamp(1_795_000_000_000);

/// A hub whose status is what a test says.
pub struct FakeHub {
    /// What [`Operate::status`] answers.
    pub status: Mutex<HubStatus>,
    /// What [`Operate::journal_silence`] answers, in seconds.
    pub silence_seconds: AtomicU64,
    /// What was done, in order.
    pub deeds: Mutex<Vec<String>>,
    /// Its audit trail, if a test gives it one.
    pub audit: OnceLock<Audit>,
    wan: AtomicBool,
}

impl FakeHub {
    /// A hub that shows this status.
    pub fn new(status: HubStatus) -> Self {
        Self {
            status: Mutex::new(status),
            silence_seconds: AtomicU64::new(0),
            deeds: Mutex::default(),
            audit: OnceLock::new(),
            wan: AtomicBool::new(true),
        }
    }

    /// The same hub without the demonstration's switch.
    pub fn without_switch(self) -> impl Operate {
        Unswitched(self)
    }

    fn did(&self, deed: String) {
        self.deeds.lock().unwrap().push(deed);
    }
}

impl Operate for FakeHub {
    fn audit(&self) -> Option<&Audit> {
        self.audit.get()
    }

    fn status(&self) -> HubStatus {
        self.status.lock().unwrap().clone()
    }

    fn journal_silence(&self) -> Duration {
        Duration::from_secs(self.silence_seconds.load(Ordering::SeqCst))
    }

    fn find_messages(&self, filter: MessageFilter) -> Result<Vec<FoundMessage>, OperateError> {
        if filter.limit == 0 || MessageFilter::LIMIT_MAX < filter.limit {
            return Err(OperateError::Invalid("the limit is 1 to 1000".to_owned()));
        }
        Ok(vec![found()])
    }

    fn show_message(&self, id: &MessageId, reveal: Option<&Reveal>) -> Result<MessageDetail, OperateError> {
        if *id != MessageId::Id(found().id) {
            return Err(OperateError::NotFound(format!("message {id}")));
        }
        if let Some(reveal) = reveal {
            self.did(format!("reveal by {} because {}", reveal.by, reveal.reason));
        }
        let journey = vec![Step { at: Some(found().at), what: "accepted and durable here".to_owned() }];
        let content = reveal.map(|_| "MSH|^~\\&|RIO\nPID|1".to_owned());
        Ok(MessageDetail { message: found(), clock: ClockQuality::Synchronised, journey, content })
    }

    fn parked(&self) -> Vec<ParkedEntry> {
        let entry = |number, destination: &str, reason: &str, behind| ParkedEntry {
            number,
            destination: destination.to_owned(),
            class: Class::Clinical,
            kind: "ADT^A31".to_owned(),
            system: "rio".to_owned(),
            source_id: "R-41".to_owned(),
            reason: reason.to_owned(),
            at: Timestamp(NOW.0 - 60_000),
            behind,
        };
        vec![entry(3, CENTRE, "body is not a CBOR map", 0), entry(4, "pas", "AR 101 at PID^1^3", 2)]
    }

    fn parked_show(&self, number: u64, reveal: Option<&Reveal>) -> Result<Preview, OperateError> {
        let parked = self.parked().into_iter().find(|parked| parked.number == number);
        let parked = parked.ok_or_else(|| OperateError::NotFound(format!("parked entry {number}")))?;
        if let Some(reveal) = reveal {
            self.did(format!("reveal by {} because {}", reveal.by, reveal.reason));
        }
        Ok(Preview {
            destination: parked.destination,
            kind: parked.kind,
            system: parked.system,
            source_id: parked.source_id,
            size_bytes: 20,
            fault: String::new(),
            content: reveal.map(|_| "MSH|^~\\&|RIO\nPID|1".to_owned()),
        })
    }

    fn parked_release(&self, number: u64, by: &str) -> Result<(), OperateError> {
        self.parked_show(number, None)?;
        self.did(format!("release {number} by {by}"));
        Ok(())
    }

    fn parked_skip(&self, number: u64, reason: &str, by: &str) -> Result<(), OperateError> {
        self.did(format!("skip {number} by {by} because {reason}"));
        Ok(())
    }

    fn resend(&self, resend: &Resend, by: &str) -> Result<Preview, OperateError> {
        let preview = self.parked_show(4, resend.reveal.as_ref())?;
        if resend.confirmed {
            self.did(format!("send {} to {} by {by}", String::from(resend.what.clone()), resend.to));
        }
        Ok(preview)
    }

    fn record_show(
        &self,
        query: &RecordQuery,
        reveal: Option<&Reveal>,
        _: &str,
    ) -> Result<RecordDetail, OperateError> {
        if query.nhs_number != person::number() {
            return Err(OperateError::NotFound("a patient with this NHS number".to_owned()));
        }
        if let Some(reveal) = reveal {
            self.did(format!("reveal by {} because {}", reveal.by, reveal.reason));
        }
        Ok(person::record(query.kind, reveal.is_some()))
    }

    fn record_purge(&self, _: &NhsNumber, reason: &str, by: &str) -> Result<usize, OperateError> {
        self.did(format!("purge by {by} because {reason}"));
        Ok(2)
    }

    fn match_list(&self) -> Result<Vec<CaseSummary>, OperateError> {
        Ok(vec![person::case()])
    }

    fn match_show(&self, id: &CaseId, reveal: Option<&Reveal>) -> Result<CaseDetail, OperateError> {
        if id.as_str() != person::case().id {
            return Err(OperateError::NotFound(format!("the case {id}")));
        }
        if let Some(reveal) = reveal {
            self.did(format!("reveal by {} because {}", reveal.by, reveal.reason));
        }
        Ok(person::case_detail(reveal.is_some()))
    }

    fn match_decide(&self, id: &CaseId, link: bool, reason: &str, by: &str) -> Result<(), OperateError> {
        self.match_show(id, None)?;
        let deed = if link { "link" } else { "keep apart" };
        self.did(format!("{deed} {id} by {by} because {reason}"));
        Ok(())
    }

    fn doctor(&self) -> Vec<Check> {
        let check = |name: &str, state, detail: &str, next_step: &str| Check {
            name: name.to_owned(),
            state,
            detail: detail.to_owned(),
            next_step: next_step.to_owned(),
        };
        vec![
            check("journal", CheckState::Ok, "accepting", ""),
            check("clock", CheckState::Warn, "not synchronised", "check the time server"),
        ]
    }

    fn wan(&self) -> Option<bool> {
        Some(self.wan.load(Ordering::SeqCst))
    }

    fn set_wan(&self, connected: bool) -> Result<(), OperateError> {
        self.wan.store(connected, Ordering::SeqCst);
        self.did(format!("wan {connected}"));
        Ok(())
    }
}

/// Forwards what every hub must have, and leaves the rest to the trait's own answers.
struct Unswitched(FakeHub);

impl Operate for Unswitched {
    fn status(&self) -> HubStatus {
        self.0.status()
    }

    fn journal_silence(&self) -> Duration {
        self.0.journal_silence()
    }

    fn find_messages(&self, filter: MessageFilter) -> Result<Vec<FoundMessage>, OperateError> {
        self.0.find_messages(filter)
    }

    fn show_message(&self, id: &MessageId, reveal: Option<&Reveal>) -> Result<MessageDetail, OperateError> {
        self.0.show_message(id, reveal)
    }

    fn parked(&self) -> Vec<ParkedEntry> {
        self.0.parked()
    }

    fn parked_show(&self, number: u64, reveal: Option<&Reveal>) -> Result<Preview, OperateError> {
        self.0.parked_show(number, reveal)
    }

    fn parked_release(&self, number: u64, by: &str) -> Result<(), OperateError> {
        self.0.parked_release(number, by)
    }

    fn parked_skip(&self, number: u64, reason: &str, by: &str) -> Result<(), OperateError> {
        self.0.parked_skip(number, reason, by)
    }

    fn resend(&self, resend: &Resend, by: &str) -> Result<Preview, OperateError> {
        self.0.resend(resend, by)
    }

    fn record_show(
        &self,
        query: &RecordQuery,
        reveal: Option<&Reveal>,
        by: &str,
    ) -> Result<RecordDetail, OperateError> {
        self.0.record_show(query, reveal, by)
    }

    fn record_purge(&self, number: &NhsNumber, reason: &str, by: &str) -> Result<usize, OperateError> {
        self.0.record_purge(number, reason, by)
    }

    fn match_list(&self) -> Result<Vec<CaseSummary>, OperateError> {
        self.0.match_list()
    }

    fn match_show(&self, id: &CaseId, reveal: Option<&Reveal>) -> Result<CaseDetail, OperateError> {
        self.0.match_show(id, reveal)
    }

    fn match_decide(&self, id: &CaseId, link: bool, reason: &str, by: &str) -> Result<(), OperateError> {
        self.0.match_decide(id, link, reason, by)
    }

    fn doctor(&self) -> Vec<Check> {
        self.0.doctor()
    }
}

/// A hub on a good day.
pub fn calm() -> HubStatus {
    HubStatus {
        hub: "westminster-south".parse().unwrap(),
        ods: "5LC01".to_owned(),
        name: "Westminster South polyclinic".to_owned(),
        version: "0.1.0",
        started: before(93_000),
        now: NOW,
        clock: ClockQuality::Synchronised,
        condition: Condition::Ok,
        alarms: Vec::new(),
        links: vec![
            link("rio", "RiO", LinkState::Up, Some(4)),
            link("pas", "Hospital system", LinkState::Up, Some(31)),
            link("adastra", "Adastra", LinkState::Waiting, None),
            link("xn-550", "Analyser", LinkState::Up, Some(190)),
        ],
        deliveries: vec![delivery("rio", LinkState::Up), delivery("emis-marylebone", LinkState::Up)],
        centre: CentreStatus {
            broker: "mqtts://broker.polysystem.example:8883".to_owned(),
            state: LinkState::Up,
            since: before(93_000),
            detail: String::new(),
            last_receipt: Some(before(1)),
            confirmed: 48_211,
            batches_sent: 6_120,
            bytes_sent: 91_443_200,
            connections: 2,
        },
        queue: Class::ALL.into_iter().map(|class| queue(class, 0, 0)).collect(),
        journal: calm_journal(),
        view: ViewStatus { patients: 3_904, rebuilding: false, applied: 48_211, caught_up: true },
        parked: 0,
        quarantined: 0,
        recent: recent(),
    }
}

/// A hub whose WAN is cut, with more besides.
pub fn troubled() -> HubStatus {
    let mut status = calm();
    status.hub = "tower-hamlets".parse().unwrap();
    status.name = "Tower Hamlets polyclinic".to_owned();
    status.condition = Condition::Degraded;
    status.alarms = vec![
        alarm(AlarmCode::CentreUnreachable, "", 240, "no connection to the centre: connection refused"),
        alarm(AlarmCode::ListenerDown, "pas", 4_000, "0.0.0.0:2576 cannot be opened: address in use"),
    ];
    status.centre.state = LinkState::Down;
    status.centre.since = before(240);
    status.centre.detail = "connection refused".to_owned();
    status.centre.last_receipt = Some(before(241));
    status.links[1].state = LinkState::Down;
    status.links[1].detail = "0.0.0.0:2576 cannot be opened: address in use".to_owned();
    let practice = &mut status.deliveries[1];
    (practice.state, practice.detail) = (LinkState::Down, "connection refused".to_owned());
    (practice.queued, practice.in_flight, practice.parked, practice.held) = (31, 1, 2, 5);
    (practice.oldest, practice.oldest_age_seconds) = (Some(before(230)), 230);
    status.queue = vec![
        queue(Class::Urgent, 2, 61),
        queue(Class::Booking, 14, 198),
        queue(Class::Clinical, 1_204, 239),
        queue(Class::Activity, 310, 233),
        queue(Class::Document, 18, 150),
        queue(Class::Telemetry, 24, 240),
    ];
    status.quarantined = 1;
    status
}

fn before(seconds: i64) -> Timestamp {
    Timestamp(NOW.0 - seconds * 1000)
}

fn alarm(code: AlarmCode, about: &str, seconds: i64, text: &str) -> Alarm {
    Alarm {
        code,
        about: about.to_owned(),
        since: before(seconds),
        text: text.to_owned(),
        next_step: code.next_step(),
    }
}

fn link(name: &str, kind: &'static str, state: LinkState, seconds: Option<i64>) -> LinkStatus {
    LinkStatus {
        name: name.to_owned(),
        kind,
        address: "127.0.0.1:2575".to_owned(),
        state,
        since: before(93_000),
        detail: String::new(),
        connections: u64::from(state == LinkState::Up),
        accepted: if seconds.is_some() { 12_050 } else { 0 },
        repeated: 3,
        refused: 1,
        last_message: seconds.map(before),
    }
}

fn delivery(name: &str, state: LinkState) -> DeliveryStatus {
    DeliveryStatus {
        name: name.to_owned(),
        kind: "Practice",
        address: "127.0.0.1:2580".to_owned(),
        state,
        detail: String::new(),
        queued: 0,
        in_flight: 0,
        parked: 0,
        held: 0,
        oldest: None,
        oldest_age_seconds: 0,
        last_accepted: Some(before(12)),
        accepted: 4_112,
        again: 9,
        missed: 0,
    }
}

fn queue(class: Class, entries: u64, oldest_age_seconds: u64) -> QueueStatus {
    let oldest = (0 < entries).then(|| before(i64::try_from(oldest_age_seconds).unwrap()));
    QueueStatus { class, entries, oldest, oldest_age_seconds }
}

fn calm_journal() -> journal::Status {
    journal::Status {
        accepting: true,
        epoch: 7,
        used_bytes: 412 << 20,
        capacity_bytes: 8 << 30,
        available_bytes: 51 << 30,
        segments: 13,
        appended_bytes: 91 << 20,
        appended_entries: 48_211,
        commits: 20_010,
        lanes: Vec::new(),
        ..journal::Status::default()
    }
}

fn recent() -> Vec<RecentMessage> {
    let message = |seconds, system: &str, kind: &str, source_id: &str, outcome| RecentMessage {
        at: before(seconds),
        system: system.to_owned(),
        kind: kind.to_owned(),
        source_id: source_id.to_owned(),
        outcome,
    };
    vec![
        message(4, "rio", "ADT^A31", "RIO20261118110636", "accepted"),
        message(31, "pas", "SIU^S12", "PAS-0098121", "accepted"),
        message(33, "pas", "SIU^S12", "PAS-0098121", "repeated"),
        message(190, "xn-550", "ORU^R01", "XN550-20261118-0071", "accepted"),
        message(205, "rio", "ZZZ^Z99", "RIO20261118110315", "refused"),
    ]
}

/// The message [`FakeHub`] has.
pub fn found() -> FoundMessage {
    FoundMessage {
        id: "0123456789abcdef0123456789abcdef".to_owned(),
        at: before(5),
        system: "rio".to_owned(),
        kind: "ADT^A31".to_owned(),
        source_id: "R-\u{1b}[2J42".to_owned(),
        state: MessageState::Waiting,
        class: Some(Class::Clinical),
        epoch: Some(Epoch(7)),
        seq: Some(42),
        size_bytes: 612,
        reason: String::new(),
    }
}
