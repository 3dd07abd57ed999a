//! Times that can be booked, as the desk is shown them: every field that their systems must have shown, grouped by day.

use jiff::civil::Date;

use crate::{
    domain::{
        booking::{Offer, OfferKey, Promise, SystemAnswer},
        slot::Clinician,
        time::Timestamp,
    },
    flow::words,
    portal::view::Mark,
};

use super::{marks, person, times};

/// So many stand above all others, best first.
const SUITABLE: usize = 3;

/// One time to choose: a slot, or adjacent slots as one.
#[derive(Clone)]
pub(super) struct OfferView {
    /// The first slot's key.
    pub key: String,
    pub when: String,
    pub full: String,
    pub until: String,
    pub time: String,
    pub length: String,
    pub service: String,
    pub session: String,
    pub channel: &'static str,
    pub clinician: String,
    pub languages: String,
    pub place: String,
    pub address: String,
    pub room: String,
    pub step_free: &'static str,
    pub organisation: String,
    pub telephone: String,
    pub system: String,
    pub seen: String,
    pub promise: Mark,
    /// Why it is no better; empty if it is as good as can be.
    pub why: &'static str,
    pub free: String,
}

/// A day's times.
pub(super) struct Day {
    pub id: String,
    pub heading: String,
    pub count: String,
    pub offers: Vec<OfferView>,
}

/// How a system answered, in a sentence.
pub(super) struct SystemView {
    pub name: String,
    pub mark: Mark,
    pub text: String,
}

/// All that was found, as the page sets it out.
pub(super) struct Found {
    pub suitable: Vec<OfferView>,
    pub days: Vec<Day>,
}

impl Found {
    /// Sets out the runs of adjacent slots, best first.
    pub fn new(runs: &[Vec<Offer>], now: Timestamp) -> Self {
        let today = times::day(now);
        let mut by_day: Vec<(Date, Timestamp, OfferView)> = Vec::with_capacity(runs.len());
        for run in runs {
            if let (Some(first), Some(view)) = (run.first(), OfferView::of(run, now)) {
                by_day.push((times::day(first.start), first.start, view));
            }
        }
        let suitable = by_day.iter().take(SUITABLE).map(|(_, _, view)| view.clone()).collect();
        by_day.sort_by_key(|(_, start, _)| *start);
        let mut days: Vec<Day> = Vec::new();
        for (date, _, view) in by_day {
            let id = format!("day-{date}");
            match days.last_mut().filter(|day| day.id == id) {
                Some(day) => day.offers.push(view),
                None => days.push(Day {
                    id,
                    heading: times::heading(date, today),
                    count: String::new(),
                    offers: vec![view],
                }),
            }
        }
        for day in &mut days {
            day.count = words::counted(day.offers.len() as u64, "time", "times");
        }
        Self { suitable, days }
    }
}

impl OfferView {
    /// A run of adjacent slots as one; none if it is empty.
    pub fn of(run: &[Offer], now: Timestamp) -> Option<Self> {
        let (first, last) = (run.first()?, run.last()?);
        let seen = run.iter().map(|offer| offer.seen).min()?;
        let worst =
            run.iter().find(|offer| matches!(offer.promise, Promise::Provisional(_))).unwrap_or(first);
        let slots = if run.len() == 1 { String::new() } else { format!(", {} slots", run.len()) };
        Some(Self {
            key: first.key.to_string(),
            when: times::moment(first.start, now),
            full: times::full(first.start, last.end),
            until: times::clock(last.end),
            time: format!("{} to {}", times::clock(first.start), times::clock(last.end)),
            length: format!("{}{slots}", times::length(last.end.since(first.start))),
            service: first.service_name.clone(),
            session: first.session.clone(),
            channel: first.channel.name(),
            clinician: first.clinician.as_ref().map_or_else(|| "Not said".to_owned(), clinician),
            languages: first.languages.join(", "),
            place: first.place.name.clone(),
            address: first.place.address.clone(),
            room: first.room.clone(),
            step_free: match first.step_free {
                Some(true) => "Step-free",
                Some(false) => "Not step-free",
                None => "Step-free access not said",
            },
            organisation: first.organisation.clone(),
            telephone: first.telephone.clone(),
            system: system(&first.system),
            seen: format!("seen {}", ago(seen, now)),
            promise: marks::promise(&worst.promise),
            why: match &worst.promise {
                Promise::Provisional(why) => why.words(),
                Promise::Firm | Promise::BySystem => "",
            },
            free: if 1 < first.free { format!("{} places free", first.free) } else { String::new() },
        })
    }
}

impl SystemView {
    /// How a system answered; what it means for bookings is said with it.
    pub fn of(answer: &SystemAnswer, now: Timestamp) -> Self {
        let name = system(&answer.system);
        if answer.trouble.is_empty() {
            let text = answer.seen.map_or_else(String::new, |seen| format!("Answered {}.", ago(seen, now)));
            return Self { name, mark: Mark { word: "Answers", icon: "good", tone: "good" }, text };
        }
        let trouble = answer.trouble.trim_end_matches('.');
        let text = match answer.seen {
            Some(seen) => format!("{trouble}: showing slots as of {}, provisional only.", ago(seen, now)),
            None => format!("{trouble}: none of its slots are known."),
        };
        Self { name, mark: Mark { word: "Not answering", icon: "bad", tone: "bad" }, text }
    }
}

/// How long ago in whole words: `2 hours ago`.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.since(at).as_secs();
    let counted = |count, one, many| format!("{} ago", words::counted(count, one, many));
    match seconds {
        0..60 => "just now".to_owned(),
        60..3_600 => counted(seconds / 60, "minute", "minutes"),
        3_600..172_800 => counted(seconds / 3_600, "hour", "hours"),
        _ => counted(seconds / 86_400, "day", "days"),
    }
}

/// A system's name for people.
pub(super) fn system(name: &str) -> String {
    if name == "hub" { "This polysystem".to_owned() } else { name.to_owned() }
}

/// `Dr A Khan, podiatrist, female`.
pub(super) fn clinician(clinician: &Clinician) -> String {
    let gender = match clinician.gender.as_str() {
        "" | "unknown" => String::new(),
        gender => person::gender(gender).to_lowercase(),
    };
    let parts = [clinician.name.as_str(), clinician.role.as_str(), gender.as_str()];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

/// Every run of so many adjacent slots of one session, in the order in which their first slots were found.
pub(super) fn runs(offers: &[Offer], slots: usize) -> Vec<Vec<Offer>> {
    offers.iter().filter_map(|first| run(offers, first, slots)).collect()
}

/// The run that begins with this key.
pub(super) fn run_from(offers: &[Offer], key: &OfferKey, slots: usize) -> Option<Vec<Offer>> {
    run(offers, offers.iter().find(|offer| offer.key == *key)?, slots)
}

fn run(offers: &[Offer], first: &Offer, slots: usize) -> Option<Vec<Offer>> {
    let mut run = vec![first.clone()];
    while run.len() < slots {
        let last = run.last()?;
        run.push(offers.iter().find(|next| follows(last, next))?.clone());
    }
    Some(run)
}

/// Whether two slots can be booked as one (GP Connect, Book an appointment: adjacent, of one session and sort).
fn follows(last: &Offer, next: &Offer) -> bool {
    let same_session = match (&last.key, &next.key) {
        (OfferKey::Token(last), OfferKey::Token(next)) => {
            (&last.home, &last.session) == (&next.home, &next.session)
        }
        (
            OfferKey::System { system, schedule, .. },
            OfferKey::System { system: next_system, schedule: next_schedule, .. },
        ) => (system, schedule) == (next_system, next_schedule),
        _ => false,
    };
    same_session
        && last.end == next.start
        && (&last.service, &last.service_name, last.channel)
            == (&next.service, &next.service_name, next.channel)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::portal::reception::fake;

    #[test]
    fn only_adjacent_slots_of_one_session_are_one() {
        let found = fake::found();
        let pairs = runs(&found.offers, 2);
        assert!(!pairs.is_empty() && pairs.len() < found.offers.len());
        for pair in &pairs {
            assert_eq!(pair[0].end, pair[1].start);
            assert_eq!(pair[0].service, pair[1].service);
        }
        let first = &pairs[0][0];
        assert_eq!(run_from(&found.offers, &first.key, 2).unwrap().len(), 2);
        assert_eq!(run_from(&found.offers, &first.key, 40), None);
    }

    #[test]
    fn the_best_stand_on_top_and_the_days_follow_in_order() {
        let found = fake::found();
        let shown = Found::new(&runs(&found.offers, 1), fake::NOW);
        assert_eq!(shown.suitable.len(), 3);
        assert_eq!(shown.suitable[0].key, found.offers[0].key.to_string());
        assert!(shown.days[0].heading.starts_with("Today, Monday 23-Nov-2026"));
        assert!(shown.days.windows(2).all(|pair| pair[0].id < pair[1].id));
        let shown: usize = shown.days.iter().map(|day| day.offers.len()).sum();
        assert_eq!(shown, found.offers.len());
    }

    #[test]
    fn a_silent_system_is_said_to_be_so_with_what_that_means() {
        let answer = SystemAnswer {
            system: "RiO".to_owned(),
            seen: Some(Timestamp(fake::NOW.0 - 7_300_000)),
            trouble: "RiO does not answer.".to_owned(),
        };
        let view = SystemView::of(&answer, fake::NOW);
        assert_eq!(view.text, "RiO does not answer: showing slots as of 2 hours ago, provisional only.");
        assert_eq!(view.mark.word, "Not answering");
    }
}
