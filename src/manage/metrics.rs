//! A hub's status as OpenMetrics text; the names are in [`crate::telemetry::metrics`].

use std::{collections::BTreeMap, fmt, time::Duration};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _, text::encode},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit},
};

use crate::{
    domain::time::ClockQuality,
    flow::status::{Condition, DeliveryStatus, HubStatus, LinkState, LinkStatus, QueueStatus},
    telemetry::metrics::{self as names, Kind, Metric},
};

/// What [`exposition`] gives, for `Content-Type`.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The measurements of some hubs, each with its journal's silence, in the OpenMetrics 1.0 text format.
///
/// # Errors
/// Never in practice: text is written to memory.
pub fn exposition(hubs: Vec<(HubStatus, Duration)>) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Hubs(hubs)));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Hubs(Vec<(HubStatus, Duration)>);

/// One value with the values of its metric's labels.
struct Sample {
    labels: Vec<String>,
    value: u64,
}

impl Collector for Hubs {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for metric in names::ALL {
            let kind = match metric.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge | Kind::Info => MetricType::Gauge,
            };
            // What is called an info in OpenMetrics is a gauge of 1 whose name ends so.
            let name = if metric.kind == Kind::Info {
                format!("{}_info", metric.name)
            } else {
                metric.name.to_owned()
            };
            let help = format!("{}.", metric.help);
            let unit = metric.unit.map(|unit| Unit::Other(unit.to_owned()));
            let mut family = encoder.encode_descriptor(&name, &help, unit.as_ref(), kind)?;
            for (status, silence) in &self.0 {
                for sample in samples(metric, status, *silence) {
                    let mut labels = vec![("hub", status.hub.to_string())];
                    labels.extend(metric.labels.iter().copied().zip(sample.labels));
                    let encoder = family.encode_family(&labels)?;
                    match metric.kind {
                        Kind::Counter => ConstCounter::new(sample.value).encode(encoder)?,
                        Kind::Gauge | Kind::Info => ConstGauge::new(clamp(sample.value)).encode(encoder)?,
                    }
                }
            }
        }
        Ok(())
    }
}

fn samples(metric: &Metric, status: &HubStatus, silence: Duration) -> Vec<Sample> {
    match metric.labels {
        ["version"] => one(status.version, 1),
        ["condition"] => conditions(status.condition),
        ["code"] => alarms(status),
        ["class"] => queue(metric, status),
        ["system"] => links(metric, status),
        ["destination"] => deliveries(metric, status),
        _ => whole(metric, status, silence)
            .map(|value| Sample { labels: Vec::new(), value })
            .into_iter()
            .collect(),
    }
}

/// Measurements of the hub as a whole; absent where there is nothing to say yet.
fn whole(metric: &Metric, status: &HubStatus, silence: Duration) -> Option<u64> {
    let (journal, centre, view) = (&status.journal, &status.centre, &status.view);
    let age = |at| status.now.since(at).as_secs();
    Some(match *metric {
        names::UPTIME => age(status.started),
        names::CLOCK_SYNCHRONISED => u64::from(status.clock == ClockQuality::Synchronised),
        names::JOURNAL_ACCEPTING => u64::from(journal.accepting),
        names::JOURNAL_SILENCE => silence.as_secs(),
        names::JOURNAL_USED => journal.used_bytes,
        names::JOURNAL_CAPACITY => journal.capacity_bytes,
        names::JOURNAL_EPOCH => journal.epoch,
        names::JOURNAL_ENTRIES => journal.appended_entries,
        names::JOURNAL_APPENDED => journal.appended_bytes,
        names::JOURNAL_COMMITS => journal.commits,
        names::JOURNAL_REFUSED_FULL => journal.refused_full,
        names::JOURNAL_FAILED_COMMITS => journal.failed_commits,
        names::JOURNAL_DAMAGED => journal.damaged_bytes,
        names::CENTRE_UP => u64::from(centre.state == LinkState::Up),
        names::CENTRE_CONNECTIONS => centre.connections,
        names::CENTRE_BATCHES => centre.batches_sent,
        names::CENTRE_SENT => centre.bytes_sent,
        names::CENTRE_CONFIRMED => centre.confirmed,
        names::CENTRE_RECEIPT_AGE => age(centre.last_receipt?),
        names::PARKED => status.parked,
        names::QUARANTINED => status.quarantined,
        names::VIEW_PATIENTS => view.patients,
        names::VIEW_APPLIED => view.applied,
        names::VIEW_CAUGHT_UP => u64::from(view.caught_up),
        names::VIEW_REBUILDING => u64::from(view.rebuilding),
        _ => return None,
    })
}

fn conditions(now: Condition) -> Vec<Sample> {
    let all = [(Condition::Ok, "ok"), (Condition::Degraded, "degraded"), (Condition::Refusing, "refusing")];
    all.into_iter().flat_map(|(condition, word)| one(word, u64::from(condition == now))).collect()
}

/// Alarms that stand, counted by code.
fn alarms(status: &HubStatus) -> Vec<Sample> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for alarm in &status.alarms {
        *counts.entry(alarm.code.code()).or_default() += 1;
    }
    counts.into_iter().flat_map(|(code, count)| one(code, count)).collect()
}

fn queue(metric: &Metric, status: &HubStatus) -> Vec<Sample> {
    let aged = *metric == names::QUEUE_OLDEST_AGE;
    let value = |queue: &QueueStatus| if aged { queue.oldest_age_seconds } else { queue.entries };
    status.queue.iter().flat_map(|queue| one(queue.class.name(), value(queue))).collect()
}

fn links(metric: &Metric, status: &HubStatus) -> Vec<Sample> {
    let value = |link: &LinkStatus| {
        Some(match *metric {
            names::LINK_UP => u64::from(link.state != LinkState::Down),
            names::LINK_CONNECTIONS => link.connections,
            names::LINK_ACCEPTED => link.accepted,
            names::LINK_REPEATED => link.repeated,
            names::LINK_REFUSED => link.refused,
            names::LINK_LAST_MESSAGE_AGE => status.now.since(link.last_message?).as_secs(),
            _ => return None,
        })
    };
    status.links.iter().filter_map(|link| Some(one(&link.name, value(link)?))).flatten().collect()
}

fn deliveries(metric: &Metric, status: &HubStatus) -> Vec<Sample> {
    let value = |delivery: &DeliveryStatus| {
        Some(match *metric {
            names::DELIVERY_UP => u64::from(delivery.state != LinkState::Down),
            names::DELIVERY_QUEUED => delivery.queued,
            names::DELIVERY_OLDEST_AGE => delivery.oldest_age_seconds,
            names::DELIVERY_PARKED => delivery.parked,
            names::DELIVERY_HELD => delivery.held,
            names::DELIVERY_ACCEPTED => delivery.accepted,
            names::DELIVERY_AGAIN => delivery.again,
            names::DELIVERY_MISSED => delivery.missed,
            names::DELIVERY_LAST_ACCEPTED_AGE => status.now.since(delivery.last_accepted?).as_secs(),
            _ => return None,
        })
    };
    let sample = |delivery: &DeliveryStatus| Some(one(&delivery.name, value(delivery)?));
    status.deliveries.iter().filter_map(sample).flatten().collect()
}

fn one(label: &str, value: u64) -> Vec<Sample> {
    vec![Sample { labels: vec![label.to_owned()], value }]
}

fn clamp(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::flow::fake;

    fn text() -> String {
        let silence = Duration::from_secs(2);
        exposition(vec![(fake::calm(), silence), (fake::troubled(), silence)]).unwrap()
    }

    #[test]
    fn every_metric_is_described_once_and_has_a_value() {
        let text = text();
        let described: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "))
            .filter_map(|rest| rest.split(' ').next())
            .collect();
        assert_eq!(described.len(), names::ALL.len());
        assert_eq!(described.iter().collect::<BTreeSet<_>>().len(), names::ALL.len());
        for name in described {
            let has_value =
                text.lines().any(|line| line.starts_with(name) && line.contains("hub=\"tower-hamlets\""));
            assert!(has_value, "{name}");
        }
    }

    #[test]
    fn it_ends_as_open_metrics_must() {
        assert!(text().ends_with("\n# EOF\n"));
        assert!(exposition(Vec::new()).unwrap().ends_with("# EOF\n"));
    }

    #[test]
    fn values_are_those_of_the_status() {
        let text = text();
        for line in [
            "polygate_build_info{hub=\"westminster-south\",version=\"0.1.0\"} 1",
            "polygate_queue_entries{hub=\"tower-hamlets\",class=\"clinical\"} 1204",
            "polygate_queue_oldest_age_seconds{hub=\"tower-hamlets\",class=\"clinical\"} 239",
            "polygate_condition{hub=\"tower-hamlets\",condition=\"degraded\"} 1",
            "polygate_condition{hub=\"tower-hamlets\",condition=\"ok\"} 0",
            "polygate_alarms{hub=\"tower-hamlets\",code=\"PG-201\"} 1",
            "polygate_journal_silence_seconds{hub=\"tower-hamlets\"} 2",
            "polygate_journal_appended_bytes_total{hub=\"tower-hamlets\"} 95420416",
            "polygate_link_accepted_total{hub=\"tower-hamlets\",system=\"rio\"} 12050",
            "polygate_link_up{hub=\"tower-hamlets\",system=\"pas\"} 0",
            "polygate_centre_up{hub=\"tower-hamlets\"} 0",
            "polygate_delivery_up{hub=\"tower-hamlets\",destination=\"emis-marylebone\"} 0",
            "polygate_delivery_queued{hub=\"tower-hamlets\",destination=\"emis-marylebone\"} 31",
            "polygate_delivery_accepted_total{hub=\"tower-hamlets\",destination=\"rio\"} 4112",
            "# UNIT polygate_queue_oldest_age_seconds seconds",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(
            !text
                .contains("polygate_link_last_message_age_seconds{hub=\"tower-hamlets\",system=\"adastra\"}")
        );
    }

    #[test]
    fn names_from_outside_are_escaped() {
        let mut status = fake::calm();
        status.links[0].name = "a\"} 1\npolygate_forged 1".to_owned();
        let text = exposition(vec![(status, Duration::ZERO)]).unwrap();
        assert!(!text.lines().any(|line| line.starts_with("polygate_forged")), "{text}");
    }
}
