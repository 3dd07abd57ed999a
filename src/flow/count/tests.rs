//! What the desk does is counted, told to the centre once, and the same after a restart.

use std::collections::BTreeMap;

use super::*;
use crate::{
    domain::{
        booking::{Attendance, CancelledBy, Deed},
        contact::State,
    },
    flow::book::tests::{Ground, Running, one},
    journal::LaneReader,
};

const FOLDER: &str = "/state/activity";

fn counter(ground: &Ground) -> Counter {
    ground.stage.hub.open_counting(Path::new(FOLDER), Terms::default()).unwrap()
}

async fn count_all(counter: &mut Counter) {
    while counter.step().await == Duration::ZERO {}
}

/// How many contacts are how, over all months.
fn states(counting: &Counting) -> BTreeMap<State, usize> {
    let mut states = BTreeMap::new();
    for contact in counting.lock().ledger.contacts() {
        *states.entry(contact.state).or_default() += 1;
    }
    states
}

/// The entries that tell the centre.
fn told(hub: &Hub) -> usize {
    let shared = hub.journal.shared();
    let lane = Lane::of(Class::Activity);
    let streams = shared.streams(lane);
    let read = streams.iter().map(|stream| {
        let mut reader = LaneReader::new(Arc::clone(shared), lane, stream.epoch, 1);
        let chunk = reader.read(16 << 20, 10_000).unwrap();
        let entries = chunk.records.iter().filter_map(|record| decode(&record.payload));
        entries.filter(|entry| entry.kind == EVIDENCE_KIND).count()
    });
    read.sum()
}

/// Three people: one comes and is seen, one cancels, one is only booked.
async fn a_morning(desk: &Running) {
    let mut booked = Vec::new();
    for (request, patient) in [(1, 0), (2, 1), (3, 2)] {
        let offer = desk.find("feet").await.remove(0);
        booked.push(one(&desk.book(request, patient, &offer).await.unwrap()).id);
    }
    for (request, attendance) in [(4, Attendance::Arrived), (5, Attendance::In), (6, Attendance::Done)] {
        desk.perform(request, Deed::Mark { appointment: booked[0], attendance }).await.unwrap();
    }
    let reason = "Cannot come".to_owned();
    desk.perform(7, Deed::Cancel { appointment: booked[1], by: CancelledBy::Patient, reason }).await.unwrap();
}

#[tokio::test]
async fn what_happens_at_the_desk_is_counted_and_told_once() {
    let ground = Ground::new();
    let desk = ground.start(true).await;
    let mut counter = counter(&ground);
    a_morning(&desk).await;
    count_all(&mut counter).await;
    let counting = ground.stage.hub.counting().unwrap();
    let expected =
        BTreeMap::from([(State::Outstanding, 1), (State::Attended, 1), (State::CancelledByPatient, 1)]);
    assert_eq!(states(&counting), expected);
    assert!(counting.status().caught_up);
    let entries = told(&ground.stage.hub);
    assert!(7 <= entries, "{entries}");
    // Read again from the beginning, as after a crash before anything was kept.
    counter.position = Position::default();
    count_all(&mut counter).await;
    assert_eq!((states(&counting), told(&ground.stage.hub)), (expected, entries));
    assert_eq!(counting.status().refused, 0);
}

#[tokio::test]
async fn what_was_kept_is_the_same_after_a_restart_and_goes_on() {
    let ground = Ground::new();
    let desk = ground.start(true).await;
    let mut first = counter(&ground);
    a_morning(&desk).await;
    count_all(&mut first).await;
    let before = first.counting.lock().ledger.statements().count();
    first.keep().await;
    // Another life of the same hub reads what was kept, and nothing twice.
    let maps = Arc::new(Maps::default());
    let (keep, ledger, position) = Keep::open(ground.stage.hub.disk(), Path::new(FOLDER), maps).unwrap();
    assert_eq!((ledger.statements().count(), position), (before, Some(first.position)));
    let books = Books::open(ground.stage.hub.disk(), Path::new("/elsewhere")).unwrap();
    let inner = Mutex::new(Inner { ledger, keep, refused: 0, caught_up: false });
    let again = Counting {
        terms: Terms::default(),
        clock: Arc::clone(&ground.stage.clock) as _,
        folder: PathBuf::new(),
        inner,
        books: Mutex::new(books),
    };
    assert_eq!(states(&again), states(&first.counting));
}

#[tokio::test]
async fn a_month_that_was_put_away_is_read_again_when_it_is_asked_for_or_something_late_comes() {
    let ground = Ground::new();
    let desk = ground.start(true).await;
    let mut counter = counter(&ground);
    a_morning(&desk).await;
    count_all(&mut counter).await;
    let counting = Arc::clone(&counter.counting);
    let month = counting.lock().ledger.contacts().map(|contact| contact.month()).max().unwrap();
    let before = counting.month(month).unwrap();
    let late = counting.lock().ledger.statements().next().unwrap();
    {
        let mut inner = counting.lock();
        inner.keep_all(Some(month.next().next()), Position::default()).unwrap();
        assert_eq!((inner.ledger.open_statements(), inner.ledger.contacts().count()), (0, 0));
    }
    assert_eq!(counting.month(month).unwrap(), before);
    counting.lock().keep_all(Some(month.next().next()), Position::default()).unwrap();
    assert_eq!(counting.lock().take(late).unwrap(), [], "it was counted already");
    assert_eq!(counting.month(month).unwrap(), before, "and the month is open again");
}

#[tokio::test]
async fn damage_in_what_was_kept_is_noticed_and_counted_anew_from_the_journal() {
    let ground = Ground::new();
    let desk = ground.start(true).await;
    let mut first = counter(&ground);
    a_morning(&desk).await;
    count_all(&mut first).await;
    first.keep().await;
    let disk = ground.stage.hub.disk();
    let names = disk.list(Path::new(FOLDER)).unwrap();
    let part = names.iter().find(|name| name.ends_with("-0000")).unwrap();
    crate::sys::disk::replace_file(disk.as_ref(), &Path::new(FOLDER).join(part), b"rubbish").unwrap();
    let (_, ledger, position) = Keep::open(disk, Path::new(FOLDER), Arc::new(Maps::default())).unwrap();
    assert_eq!((ledger.open_statements(), position), (0, None));
}
