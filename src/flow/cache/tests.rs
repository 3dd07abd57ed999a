//! Whom the prefetching asks about, when, and what it does with each answer.

use std::{path::Path, sync::Mutex};

use super::*;
use crate::{
    domain::{
        actor::{Device, Organisation, Practitioner, Reason},
        slot::{Amendment, BookedAppointment, Booking, FreeSlot, PatientAtSystem, Registration, SlotQuery},
    },
    flow::{
        ask::{Asked, Outcome},
        read::tests::{NOW, Stage, number},
    },
    store::cache::CachePolicy,
};

fn booked(patient: usize, practice: &str, start: &str, arrived: bool) -> BookedPatient {
    BookedPatient {
        nhs_number: number(patient),
        practice: practice.to_owned(),
        start: When::parse(start).unwrap(),
        arrived,
    }
}

#[test]
fn the_soonest_are_asked_first_and_nobody_twice() {
    let practices =
        BTreeMap::from([("A1".to_owned(), "emis".to_owned()), ("B2".to_owned(), "vision".to_owned())]);
    let keep = Duration::from_hours(24);
    let people = [
        booked(0, "A1", "2026-01-06T10:00:00", false),
        booked(0, "A1", "2026-01-06T08:00:00", true),
        booked(1, "B2", "2026-01-06T09:00:00", false),
        booked(2, "C3", "2026-01-06T07:00:00", false),
        booked(3, "A1", "2026-01-06T11:00:00", false),
    ];
    let asked = |remaining: u64, refused: Option<usize>| -> Vec<(NhsNumber, String, CacheFor)> {
        let left = |of: &NhsNumber, _: &str| (*of == number(1)).then(|| Duration::from_hours(remaining));
        let leave = |of: &NhsNumber, _: &str| refused.is_some_and(|index| *of == number(index));
        let wanted = plan(&people, &practices, keep, left, leave);
        wanted.into_iter().map(|ask| (ask.nhs_number, ask.system, ask.reason)).collect()
    };
    let ask = |patient, system: &str, reason| (number(patient), system.to_owned(), reason);
    assert_eq!(
        asked(12, None),
        [
            ask(0, "emis", CacheFor::Arrived),
            ask(1, "vision", CacheFor::Booked),
            ask(3, "emis", CacheFor::Booked)
        ]
    );
    assert_eq!(asked(13, Some(3)), [ask(0, "emis", CacheFor::Arrived)]);
    let many: Vec<BookedPatient> = (0..4).map(|index| booked(index, "", "2026-01-06", false)).collect();
    assert_eq!(plan(&many, &practices, keep, |_, _| None, |_, _| false), [], "of no known practice");
}

/// A practice that answers for some, and counts who was asked about.
#[derive(Debug, Default)]
struct Practice {
    asked: Mutex<Vec<NhsNumber>>,
    refuses: Mutex<Option<(&'static str, AtFault, Retry)>>,
}

fn no<'a, T: 'a>() -> Asked<'a, T> {
    Box::pin(async { Err(refusal(("NOT_IMPLEMENTED", AtFault::System, Retry::Never))) })
}

fn refusal((code, at_fault, retry): (&'static str, AtFault, Retry)) -> Refusal {
    Refusal { code, at_fault, retry, outcome: Outcome::NotDone, words: "", detail: String::new() }
}

impl GpSystem for Practice {
    fn name(&self) -> &str {
        "emis"
    }
    fn practice(&self) -> &str {
        "A1"
    }
    fn record<'a>(&'a self, _: &'a Requester, patient: NhsNumber) -> Asked<'a, Snapshot> {
        self.asked.lock().unwrap().push(patient);
        let refuses = *self.refuses.lock().unwrap();
        Box::pin(async move {
            if let Some(why) = refuses {
                return Err(refusal(why));
            }
            Ok(Snapshot {
                system: "emis".to_owned(),
                nhs_number: patient,
                as_at: NOW,
                identifiers: Vec::new(),
                items: Vec::new(),
                faults: Vec::new(),
            })
        })
    }
    fn find_patient<'a>(&'a self, _: &'a Requester, _: NhsNumber) -> Asked<'a, PatientAtSystem> {
        no()
    }
    fn register<'a>(&'a self, _: &'a Requester, _: &'a Registration) -> Asked<'a, PatientAtSystem> {
        no()
    }
    fn slots<'a>(&'a self, _: &'a Requester, _: &'a SlotQuery) -> Asked<'a, Vec<FreeSlot>> {
        no()
    }
    fn book<'a>(&'a self, _: &'a Requester, _: &'a Booking) -> Asked<'a, BookedAppointment> {
        no()
    }
    fn appointments<'a>(
        &'a self,
        _: &'a Requester,
        _: &'a PatientAtSystem,
        _: &'a str,
    ) -> Asked<'a, Vec<BookedAppointment>> {
        no()
    }
    fn read<'a>(
        &'a self,
        _: &'a Requester,
        _: &'a PatientAtSystem,
        _: &'a str,
    ) -> Asked<'a, BookedAppointment> {
        no()
    }
    fn amend<'a>(
        &'a self,
        _: &'a Requester,
        _: &'a PatientAtSystem,
        _: &'a BookedAppointment,
        _: &'a Amendment,
    ) -> Asked<'a, BookedAppointment> {
        no()
    }
    fn cancel<'a>(
        &'a self,
        _: &'a Requester,
        _: &'a PatientAtSystem,
        _: &'a BookedAppointment,
        _: &'a str,
    ) -> Asked<'a, BookedAppointment> {
        no()
    }
    fn complaints(&self) -> Vec<String> {
        Vec::new()
    }
}

fn options() -> Options {
    let organisation = Organisation {
        ods_code: "5LC01".to_owned(),
        name: "Soho".to_owned(),
        kind: "urgent-care".to_owned(),
        telephone: String::new(),
    };
    let practitioner = Practitioner {
        id: "prefetch".to_owned(),
        sds_user_id: None,
        sds_role_profile_id: None,
        job_role: String::new(),
        family_name: "Prefetch".to_owned(),
        given_name: String::new(),
        title: String::new(),
    };
    let device = Device { id: "soho".to_owned(), model: "polygate".to_owned(), version: "0".to_owned() };
    let requester = Requester { organisation, practitioner, device, reason: Reason::DirectCare };
    Options { requester, per_minute: 600, ahead: Duration::from_hours(36) }
}

fn appointment(patient: usize, status: &str, booking: &str, start: &str) -> String {
    format!(
        "1|{}|R{patient}\nDemographics||nhs_number_status={status}|general_practice=A1\n\
         Appointment|S{patient}|start={start}|status={booking}",
        number(patient).as_str()
    )
}

#[tokio::test]
async fn tomorrows_patients_are_cached_and_a_refusal_ends_what_was_kept() {
    let stage = Stage::new();
    let rio = stage.hub.add_link("rio", "RiO", "");
    // NOW is 5 January 2026, 08:00.
    stage
        .receive(
            &rio,
            &[
                appointment(0, "NSTS01", "booked", "2026-01-06T09:00:00"),
                appointment(1, "NSTS01", "cancelled", "2026-01-06T09:00:00"),
                appointment(2, "NSTS02", "booked", "2026-01-06T09:00:00"),
                appointment(3, "NSTS01", "booked", "2026-01-09T09:00:00"),
            ],
        )
        .await;
    let ahead = Duration::from_hours(36);
    let people = stage.until(|hub| hub.booked_patients(ahead).ok().filter(|people| !people.is_empty())).await;
    assert_eq!(people, [booked(0, "A1", "2026-01-06T09:00:00", false)], "not cancelled, sure, and soon");
    let policy = CachePolicy {
        basis: "agreement 7".to_owned(),
        systems: vec!["emis".to_owned()],
        keep: Duration::from_hours(24),
        keep_for: CacheFor::Booked,
    };
    let cache = stage.hub.open_cache(Path::new("/state/cache"), Some(policy)).unwrap();
    let practice = Arc::new(Practice::default());
    let systems: Vec<Arc<dyn GpSystem>> = vec![Arc::clone(&practice) as _];
    let mut prefetch = Prefetch::new(Arc::clone(&stage.hub), Arc::clone(&cache), systems, options());
    prefetch.look().await;
    prefetch.look().await;
    assert_eq!(*practice.asked.lock().unwrap(), [number(0)], "once, while the answer is fresh");
    assert_eq!(cache.read(&number(0), stage.hub.cache_time()).len(), 1);

    stage.clock.set(NOW.plus(Duration::from_hours(13)));
    *practice.refuses.lock().unwrap() =
        Some(("ERROR_COMMUNICATING", AtFault::Network, Retry::After(Duration::ZERO)));
    prefetch.look().await;
    assert_eq!(cache.count(), 1, "a line that is down ends nothing");
    prefetch.refused.clear();
    *practice.refuses.lock().unwrap() = Some(("PATIENT_NOT_FOUND", AtFault::Asker, Retry::Never));
    prefetch.look().await;
    assert_eq!(cache.count(), 0);
    prefetch.look().await;
    assert_eq!(practice.asked.lock().unwrap().len(), 3, "left in peace after it said no");
}

#[tokio::test]
async fn what_has_ended_is_removed_also_where_nobody_is_asked_ahead() {
    let stage = Stage::new();
    let policy = CachePolicy {
        basis: "agreement 7".to_owned(),
        systems: vec!["emis".to_owned()],
        keep: Duration::from_hours(24),
        keep_for: CacheFor::AllAsked,
    };
    let cache = stage.hub.open_cache(Path::new("/state/cache"), Some(policy)).unwrap();
    let snapshot = Snapshot {
        system: "emis".to_owned(),
        nhs_number: number(0),
        as_at: NOW,
        identifiers: Vec::new(),
        items: Vec::new(),
        faults: Vec::new(),
    };
    cache.keep(snapshot, CacheFor::AllAsked, stage.hub.cache_time()).unwrap();
    let mut sweep = Prefetch::new(Arc::clone(&stage.hub), Arc::clone(&cache), Vec::new(), options());
    sweep.look().await;
    assert_eq!(cache.count(), 1, "its time has not ended");
    stage.clock.set(NOW.plus(Duration::from_hours(25)));
    sweep.look().await;
    assert_eq!(cache.count(), 0);
}

#[test]
fn a_window_has_each_of_its_days() {
    assert_eq!(days(NOW, NOW.plus(Duration::from_hours(36))), [20_260_105, 20_260_106]);
    assert_eq!(days(NOW, NOW.plus(Duration::from_hours(36 * 24 * 100))).len(), 31);
}

#[tokio::test]
async fn past_bookings_are_forgotten_daily_without_any_prefetching() {
    let stage = Stage::new();
    let rio = stage.hub.add_link("rio", "RiO", "");
    stage.receive(&rio, &[appointment(0, "NSTS01", "booked", "2026-01-06T09:00:00")]).await;
    let booked = |hub: &Hub| hub.in_view(|view| view.booked(20_260_106)).ok();
    stage.until(|hub| booked(hub).filter(|people| !people.is_empty())).await;
    stage.clock.set(NOW.plus(Duration::from_hours(48)));
    stage.until(|hub| booked(hub).filter(Vec::is_empty)).await;
}
