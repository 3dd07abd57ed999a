//! A hub's status in the words and marks that the pages show; templates only set them out.

use crate::{
    domain::time::{ClockQuality, Timestamp},
    flow::{
        alarm::Alarm,
        status::{
            CentreStatus, Condition, DeliveryStatus, HubStatus, LinkState, LinkStatus, QueueStatus,
            RecentMessage,
        },
        words,
    },
};

/// A state as word, icon and tone, so that nothing is said by colour alone (WCAG 2.2, 1.4.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Mark {
    pub word: &'static str,
    /// The second half of a symbol's name in `frame.html`.
    pub icon: &'static str,
    /// The second half of a style's name in `portal.css`.
    pub tone: &'static str,
}

impl Mark {
    pub(super) const fn good(word: &'static str) -> Self {
        Self { word, icon: "good", tone: "good" }
    }

    pub(super) const fn attention(word: &'static str) -> Self {
        Self { word, icon: "attention", tone: "attention" }
    }

    pub(super) const fn bad(word: &'static str) -> Self {
        Self { word, icon: "bad", tone: "bad" }
    }

    pub(super) const fn waiting(word: &'static str) -> Self {
        Self { word, icon: "waiting", tone: "waiting" }
    }
}

/// One hub's part of the live page.
pub(super) struct HubView {
    pub id: String,
    pub name: String,
    pub verdict: Mark,
    pub verdict_text: String,
    pub alarms: Vec<AlarmView>,
    pub links: Vec<LinkView>,
    pub deliveries: Vec<DeliveryView>,
    pub queue: Vec<QueueView>,
    pub queue_total: String,
    pub queue_oldest: String,
    pub centre: Mark,
    pub centre_facts: Vec<Fact>,
    pub wan: Option<WanView>,
    pub messages: Vec<MessageView>,
    pub facts: Vec<Fact>,
}

pub(super) struct AlarmView {
    pub mark: Mark,
    pub code: &'static str,
    pub text: String,
    pub next_step: &'static str,
    pub since: String,
}

pub(super) struct LinkView {
    pub name: String,
    pub kind: &'static str,
    pub mark: Mark,
    pub age: String,
    pub counts: String,
}

pub(super) struct DeliveryView {
    pub name: String,
    pub mark: Mark,
    /// When it took the last message, or why it takes none.
    pub detail: String,
    pub waiting: String,
    pub parked: String,
}

pub(super) struct QueueView {
    pub class: &'static str,
    pub entries: String,
    pub oldest: String,
    pub tone: &'static str,
}

pub(super) struct MessageView {
    pub at: String,
    pub system: String,
    pub kind: String,
    pub source_id: String,
    pub mark: Mark,
}

/// The demonstration's switch: what pressing it does.
pub(super) struct WanView {
    pub connects: bool,
    pub text: &'static str,
    pub label: &'static str,
    pub style: &'static str,
}

pub(super) struct Fact {
    pub name: &'static str,
    pub value: String,
}

impl HubView {
    /// What the page shows of a hub; the switch only where `wan` says how it stands.
    pub(super) fn new(status: &HubStatus, wan: Option<bool>) -> Self {
        let now = status.now;
        let waiting: u64 = status.queue.iter().map(|queue| queue.entries).sum();
        let oldest = status.queue.iter().filter_map(|queue| queue.oldest).min();
        Self {
            id: status.hub.to_string(),
            name: status.name.clone(),
            verdict: verdict(status.condition),
            verdict_text: verdict_text(status, waiting),
            alarms: status.alarms.iter().map(|alarm| alarm_view(alarm, now)).collect(),
            links: status.links.iter().map(|link| link_view(link, now)).collect(),
            deliveries: status.deliveries.iter().map(|delivery| delivery_view(delivery, now)).collect(),
            queue: status.queue.iter().map(|queue| queue_view(queue, now)).collect(),
            queue_total: words::grouped(waiting),
            queue_oldest: oldest.map_or_else(nothing, |at| words::duration(now.since(at))),
            centre: centre_mark(status.centre.state),
            centre_facts: centre_facts(&status.centre, now),
            wan: wan.map(wan_view),
            messages: status.recent.iter().map(|message| message_view(message, now)).collect(),
            facts: facts(status),
        }
    }
}

fn verdict(condition: Condition) -> Mark {
    match condition {
        Condition::Ok => Mark::good("All is well"),
        Condition::Degraded => Mark::attention("Needs attention"),
        Condition::Refusing => Mark::bad("Turning messages away"),
    }
}

fn verdict_text(status: &HubStatus, waiting: u64) -> String {
    let messages = words::counted(waiting, "message", "messages");
    let cut_off = status.centre.state == LinkState::Down;
    match (status.condition, waiting, cut_off) {
        (Condition::Refusing, ..) => {
            let reason = if status.journal.reason.is_empty() { "see below" } else { &status.journal.reason };
            format!("Senders keep their messages for now: {reason}.")
        }
        (_, 0, _) => "Messages are taken in, and all of them have reached the centre.".to_owned(),
        (_, _, true) => format!("Messages are taken in. {messages} kept safe here until the centre is back."),
        (_, _, false) => format!("Messages are taken in. {messages} on the way to the centre."),
    }
}

fn alarm_view(alarm: &Alarm, now: Timestamp) -> AlarmView {
    let mark = if alarm.code.is_serious() { Mark::bad("Alarm") } else { Mark::attention("Warning") };
    // A system's name stays as it is configured; only plain text gets its capital letter.
    let text = if alarm.about.is_empty() || alarm.text.contains(&alarm.about) {
        sentence(&alarm.text)
    } else {
        format!("{}: {}", alarm.about, stopped(&alarm.text))
    };
    AlarmView {
        mark,
        code: alarm.code.code(),
        text,
        next_step: alarm.next_step,
        since: format!("{}, {}", words::moment(alarm.since, now), words::ago(alarm.since, now)),
    }
}

fn link_view(link: &LinkStatus, now: Timestamp) -> LinkView {
    let mark = match link.state {
        LinkState::Up => Mark::good("Up"),
        LinkState::Waiting => Mark::waiting("Waiting"),
        LinkState::Down => Mark::bad("Down"),
    };
    let age = match (link.last_message, link.detail.is_empty()) {
        (_, false) => sentence(&link.detail),
        (Some(at), true) => format!("Last message {}", words::ago(at, now)),
        (None, true) => "No message yet".to_owned(),
    };
    let counts =
        format!("{} accepted, {} refused", words::grouped(link.accepted), words::grouped(link.refused));
    LinkView { name: link.name.clone(), kind: link.kind, mark, age, counts }
}

fn delivery_view(delivery: &DeliveryStatus, now: Timestamp) -> DeliveryView {
    let mark = match (delivery.state, delivery.parked) {
        (LinkState::Down, _) => Mark::bad("Down"),
        (_, 1..) => Mark::attention("Parked"),
        (LinkState::Up, 0) => Mark::good("Taking"),
        (LinkState::Waiting, 0) => Mark::waiting("Nothing yet"),
    };
    let detail = match (delivery.last_accepted, delivery.detail.is_empty()) {
        (_, false) => sentence(&delivery.detail),
        (Some(at), true) => {
            format!("{} taken, the last {}", words::grouped(delivery.accepted), words::ago(at, now))
        }
        (None, true) => "Nothing taken yet".to_owned(),
    };
    DeliveryView {
        name: delivery.name.clone(),
        mark,
        detail,
        waiting: words::grouped(delivery.queued),
        parked: words::grouped(delivery.parked),
    }
}

fn queue_view(queue: &QueueStatus, now: Timestamp) -> QueueView {
    let class = match queue.class.name() {
        "urgent" => "Urgent",
        "booking" => "Booking",
        "clinical" => "Clinical",
        "activity" => "Activity",
        "document" => "Document",
        _ => "Telemetry",
    };
    QueueView {
        class,
        entries: words::grouped(queue.entries),
        oldest: queue.oldest.map_or_else(nothing, |at| words::duration(now.since(at))),
        tone: if queue.entries == 0 { "none" } else { "some" },
    }
}

fn centre_mark(state: LinkState) -> Mark {
    match state {
        LinkState::Up => Mark::good("Connected"),
        LinkState::Waiting => Mark::waiting("Connecting"),
        LinkState::Down => Mark::attention("Not connected"),
    }
}

fn centre_facts(centre: &CentreStatus, now: Timestamp) -> Vec<Fact> {
    let since =
        format!("{} ({})", words::moment(centre.since, now), words::duration(now.since(centre.since)));
    let receipt = centre.last_receipt.map_or_else(|| "None yet".to_owned(), |at| words::ago(at, now));
    let mut facts = vec![Fact { name: "Since", value: since }];
    if !centre.detail.is_empty() {
        facts.push(Fact { name: "Why", value: sentence(&centre.detail) });
    }
    let sent = format!(
        "{} ({})",
        words::counted(centre.batches_sent, "batch", "batches"),
        words::size(centre.bytes_sent)
    );
    facts.extend([
        Fact { name: "Last receipt", value: receipt },
        Fact { name: "Confirmed", value: words::counted(centre.confirmed, "message", "messages") },
        Fact { name: "Sent", value: sent },
        Fact { name: "Broker", value: centre.broker.clone() },
    ]);
    facts
}

fn wan_view(connected: bool) -> WanView {
    if connected {
        WanView {
            connects: false,
            text: "cut the line to the centre and watch the hub go on.",
            label: "Cut the WAN",
            style: "button--cut",
        }
    } else {
        WanView {
            connects: true,
            text: "the line to the centre is cut. Nothing is lost; everything waits here.",
            label: "Restore the WAN",
            style: "",
        }
    }
}

fn message_view(message: &RecentMessage, now: Timestamp) -> MessageView {
    let mark = match message.outcome {
        "accepted" => Mark::good("Accepted"),
        "repeated" => Mark { word: "Repeated", icon: "repeated", tone: "waiting" },
        "refused" => Mark::bad("Refused"),
        other => Mark::waiting(other),
    };
    MessageView {
        at: words::moment(message.at, now),
        system: message.system.clone(),
        kind: message.kind.clone(),
        source_id: message.source_id.clone(),
        mark,
    }
}

fn facts(status: &HubStatus) -> Vec<Fact> {
    let journal = &status.journal;
    let used = format!("{} of {}", words::size(journal.used_bytes), words::size(journal.capacity_bytes));
    let clock = match status.clock {
        ClockQuality::Synchronised => "synchronised",
        ClockQuality::Unsynchronised => "not synchronised",
    };
    let records = if status.view.rebuilding { ", being rebuilt" } else { "" };
    vec![
        Fact { name: "Hub", value: format!("{} ({})", status.hub, status.ods) },
        Fact { name: "Journal", value: used },
        Fact { name: "Patients", value: format!("{}{records}", words::grouped(status.view.patients)) },
        Fact { name: "Parked", value: words::grouped(status.parked) },
        Fact { name: "Quarantined", value: words::grouped(status.quarantined) },
        Fact { name: "Clock", value: format!("{}, {clock}", words::moment(status.now, status.now)) },
        Fact { name: "Running for", value: words::duration(status.now.since(status.started)) },
        Fact { name: "Version", value: status.version.to_owned() },
    ]
}

/// The text with a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().into_iter().flat_map(char::to_uppercase);
    stopped(&first.chain(characters).collect::<String>())
}

fn stopped(text: &str) -> String {
    if text.is_empty() || text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

fn nothing() -> String {
    "–".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::fake;

    #[test]
    fn the_verdict_says_what_it_means_for_messages() {
        let calm = HubView::new(&fake::calm(), None);
        assert_eq!(calm.verdict.word, "All is well");
        assert_eq!(calm.verdict_text, "Messages are taken in, and all of them have reached the centre.");
        let troubled = HubView::new(&fake::troubled(), None);
        assert_eq!(troubled.verdict.word, "Needs attention");
        assert!(troubled.verdict_text.contains("1,572 messages kept safe here until the centre is back"));
        let mut status = fake::calm();
        status.condition = Condition::Refusing;
        status.journal.reason = "the disk is full".to_owned();
        let refusing = HubView::new(&status, None);
        assert_eq!(refusing.verdict_text, "Senders keep their messages for now: the disk is full.");
    }

    #[test]
    fn the_oldest_of_all_classes_is_below_the_queue() {
        let troubled = HubView::new(&fake::troubled(), None);
        assert_eq!((troubled.queue_total.as_str(), troubled.queue_oldest.as_str()), ("1,572", "4 min"));
        let calm = HubView::new(&fake::calm(), None);
        assert_eq!((calm.queue_total.as_str(), calm.queue_oldest.as_str()), ("0", "–"));
    }

    #[test]
    fn a_link_that_is_down_says_why_instead_of_when() {
        let troubled = HubView::new(&fake::troubled(), None);
        assert_eq!(troubled.links[1].mark.word, "Down");
        assert_eq!(troubled.links[1].age, "0.0.0.0:2576 cannot be opened: address in use.");
        assert_eq!(troubled.links[0].age, "Last message 4 s ago");
        assert_eq!(troubled.links[2].age, "No message yet");
    }

    #[test]
    fn an_alarm_says_what_it_is_about_once() {
        let troubled = HubView::new(&fake::troubled(), None);
        assert_eq!(troubled.alarms[0].text, "No connection to the centre: connection refused.");
        assert_eq!(troubled.alarms[1].text, "pas: 0.0.0.0:2576 cannot be opened: address in use.");
        assert_eq!(troubled.alarms[1].since, "Today 10:00:00, 1 h ago");
    }

    #[test]
    fn a_destination_says_whether_it_takes_waits_is_down_or_has_refused() {
        let status = fake::troubled();
        let of = |name: &str| status.deliveries.iter().find(|one| one.name == name).cloned().unwrap();
        let mut one = of("emis-marylebone");
        let view = delivery_view(&one, status.now);
        assert_eq!((view.mark.word, view.waiting.as_str(), view.parked.as_str()), ("Down", "31", "2"));
        assert!(view.detail.starts_with("Connection refused"), "{}", view.detail);
        one.state = LinkState::Up;
        assert_eq!(delivery_view(&one, status.now).mark.word, "Parked");
        one.parked = 0;
        assert_eq!(delivery_view(&one, status.now).mark.word, "Taking");
    }

    #[test]
    fn the_switch_offers_the_opposite_of_what_is() {
        assert!(!wan_view(true).connects);
        assert!(wan_view(false).connects);
    }
}
