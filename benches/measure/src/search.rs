//! How long the reception desk takes to search and to plan among 100,000 slots that it knows of.

use std::{
    collections::{BTreeMap, BTreeSet},
    hint::black_box,
    time::{Duration, Instant},
};

use jiff::civil::time;
use polygate::{
    booking::{
        catalogue::{Catalogue, Day, Session},
        planner, search,
    },
    domain::{
        booking::{Channel, Offer, OfferKey, PlanWish, Promise, Service, SlotId, SlotSearch},
        ids::HubId,
        slot::{Clinician, Place},
        time::Timestamp,
    },
    sys::entropy::Entropy,
};

/// 2026-11-23, 00:00 in London: two weeks without a change of clocks.
const FROM: Timestamp = Timestamp(1_795_392_000_000);
const WINDOW: Duration = Duration::from_secs(14 * 24 * 60 * 60);
const SLOT: Duration = Duration::from_secs(10 * 60);
/// Four systems' books are kept as sessions by the hubs that reach them; the fifth, a practice's, is asked.
const BOOKS: [(&str, &str); 4] = [("north", "hub"), ("south", "rio"), ("east", "pas"), ("west", "adastra")];
const SERVICES: usize = 20;
/// Of four hours each, with ten minutes a patient.
const SESSIONS: i8 = 3;
const SEARCHES: usize = 2_000;
const PLANS: usize = 200;
const LIMIT_MS: f64 = 20.0;

/// Prints how long searches and plans take.
pub fn all() {
    let catalogues: BTreeMap<HubId, Catalogue> =
        BOOKS.into_iter().map(|(hub, system)| (id(hub), catalogue(hub, system))).collect();
    let others = practice();
    let until = FROM.plus(WINDOW);
    let tokens: Vec<SlotId> = catalogues.iter().flat_map(|(hub, known)| slots(hub, known, until)).collect();
    let mut entropy = Entropy::from_seed(5);
    let sold: BTreeSet<SlotId> = tokens.iter().filter(|_| entropy.below(5) == 0).cloned().collect();
    println!("search_slots {}", tokens.len() + others.len());
    // What a desk looks up for each slot: who sells it, and whether it is sold.
    let free = |slot: &SlotId, own_book: bool| {
        let promise = if own_book { Promise::Firm } else { Promise::BySystem };
        (!sold.contains(slot)).then_some((promise, FROM))
    };
    let find = |wanted: &SlotSearch| search::find(wanted, &catalogues, &free, &others, FROM);
    let all = |search: SlotSearch| SlotSearch { from: FROM, until, ..search };
    let mut named = (0..).map(|number| id(&format!("north-service-{}", number % SERVICES)));
    for name in ["everything", "need", "choosy", "service"] {
        let mut taken = Vec::with_capacity(SEARCHES);
        for _ in 0..SEARCHES {
            let wanted = all(match name {
                "everything" => SlotSearch::default(),
                "need" => SlotSearch { need: "FÓOT care".to_owned(), ..SlotSearch::default() },
                "choosy" => SlotSearch {
                    gender: "female".to_owned(),
                    language: "bengali".to_owned(),
                    channel: Some(Channel::InPerson),
                    step_free: true,
                    ..SlotSearch::default()
                },
                _ => SlotSearch { service: named.next(), ..SlotSearch::default() },
            });
            let began = Instant::now();
            let found = black_box(find(black_box(&wanted)));
            taken.push(began.elapsed());
            assert!(!found.offers.is_empty(), "{name} finds something");
        }
        say(&format!("search_{name}"), &mut taken);
    }
    println!("search_limit_ms {LIMIT_MS}");
    for services in [3, 6] {
        let searches: Vec<SlotSearch> = (0..services)
            .map(|number| {
                let service = Some(id(&format!("north-service-{number}")));
                all(SlotSearch { service, ..SlotSearch::default() })
            })
            .collect();
        let offers: Vec<Vec<Offer>> = searches.iter().map(|search| find(search).offers).collect();
        let wish = PlanWish { services: searches, within_minutes: 120, gap_minutes: 5 };
        let mut taken = Vec::with_capacity(PLANS);
        for _ in 0..PLANS {
            let began = Instant::now();
            let plans = black_box(planner::plan(black_box(&wish), &offers, FROM));
            taken.push(began.elapsed());
            assert!(!plans.is_empty(), "{services} services fit");
        }
        say(&format!("plan_{services}_services"), &mut taken);
    }
}

fn say(name: &str, taken: &mut [Duration]) {
    taken.sort();
    let at = |part: usize| taken[(taken.len() - 1) * part / 1000].as_secs_f64() * 1e3;
    println!("{name}_p50_ms {:.3}\n{name}_p99_ms {:.3}\n{name}_max_ms {:.3}", at(500), at(990), at(1000));
}

fn id(text: &str) -> HubId {
    text.parse().expect("a name")
}

fn catalogue(hub: &str, system: &str) -> Catalogue {
    let services = (0..SERVICES).map(|number| Service {
        id: id(&format!("{hub}-service-{number}")),
        name: format!("Service {number}"),
        words: if number == 7 { vec!["foot".to_owned(), "care".to_owned()] } else { Vec::new() },
        hub: id(hub),
        system: system.to_owned(),
        organisation: format!("{hub} polyclinic"),
        telephone: "020 7946 0100".to_owned(),
        walk_in: None,
    });
    let sessions = (0..SERVICES).flat_map(|service| {
        (0..SESSIONS).map(move |number| Session {
            id: id(&format!("session-{service}-{number}")),
            service: id(&format!("{hub}-service-{service}")),
            days: DAYS.to_vec(),
            dates: Vec::new(),
            closed: Vec::new(),
            first: None,
            last: None,
            from: time(8 + number * 4, 0, 0, 0),
            until: time(12 + number * 4, 0, 0, 0),
            minutes: 10,
            places: 1,
            channel: if service % 4 == 0 { Channel::Telephone } else { Channel::InPerson },
            clinician: Some(clinician(service)),
            languages: if service % 3 == 0 { vec!["Bengali".to_owned()] } else { Vec::new() },
            place: place(hub),
            room: service.to_string(),
            step_free: Some(true),
            equipment: Vec::new(),
            allotments: Vec::new(),
            sell_by_hours: 24,
        })
    });
    Catalogue { services: services.collect(), sessions: sessions.collect() }
}

const DAYS: [Day; 7] =
    [Day::Monday, Day::Tuesday, Day::Wednesday, Day::Thursday, Day::Friday, Day::Saturday, Day::Sunday];

fn clinician(number: usize) -> Clinician {
    Clinician {
        id: String::new(),
        name: format!("Clinician {number}"),
        gender: if number % 2 == 0 { "male" } else { "female" }.to_owned(),
        role: "Nurse".to_owned(),
    }
}

fn place(name: &str) -> Place {
    Place {
        id: String::new(),
        name: format!("{name} polyclinic"),
        address: "1 Example Street, London".to_owned(),
        organisation: "5LC01".to_owned(),
    }
}

fn slots(hub: &HubId, catalogue: &Catalogue, until: Timestamp) -> Vec<SlotId> {
    let times = catalogue.sessions.iter().flat_map(|session| {
        session.times(FROM, until).into_iter().map(|time| (session.id.clone(), time.start))
    });
    times.map(|(session, start)| SlotId { home: hub.clone(), session, start, place: 1 }).collect()
}

/// What a practice said is free: as many slots as one of the other books has.
fn practice() -> Vec<Offer> {
    let mut offers = Vec::new();
    for day in 0..14_u32 {
        for clinician_number in 0..SERVICES {
            let mut start = FROM.plus(Duration::from_secs(u64::from(day) * 86_400 + 8 * 3_600));
            for number in 0..u32::from(SESSIONS.unsigned_abs()) * 24 {
                offers.push(offer(day, clinician_number, number, start));
                start = start.plus(SLOT);
            }
        }
    }
    offers
}

fn offer(day: u32, clinician_number: usize, number: u32, start: Timestamp) -> Offer {
    Offer {
        key: OfferKey::System {
            system: "emis".to_owned(),
            schedule: format!("schedule-{day}-{clinician_number}"),
            slot: format!("slot-{day}-{clinician_number}-{number}"),
        },
        service: id("emis"),
        service_name: "General medical appointment".to_owned(),
        session: "Routine".to_owned(),
        start,
        end: start.plus(SLOT),
        channel: Channel::InPerson,
        clinician: Some(clinician(clinician_number)),
        languages: Vec::new(),
        place: place("practice"),
        room: String::new(),
        step_free: None,
        organisation: "Example practice".to_owned(),
        telephone: String::new(),
        system: "emis".to_owned(),
        seen: FROM,
        promise: Promise::BySystem,
        free: 1,
    }
}
