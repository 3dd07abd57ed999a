//! Booking step by step, visits, and what becomes of appointments.

use std::time::Duration;

use tokio::sync::Notify;

use super::*;
use crate::{
    domain::booking::{CancelledBy, OfferKey, Standing},
    portal::reception::fake,
};

#[tokio::test]
async fn an_appointment_is_booked_in_six_steps_and_once() {
    let browser = Browser::new().await;
    let details =
        [("description", "Foot check"), ("interpreter", "Igbo"), ("transport", "yes"), ("reminder", "")];
    let (draft, request) = browser.check(&details).await;
    assert_eq!(
        value(&browser.get(&format!("{draft}/check")).await.shown(), "request"),
        request,
        "looked at twice"
    );
    for _ in 0..2 {
        let outcome = browser.post(&format!("{draft}/check"), &[("request", &request)]).await.to();
        assert_eq!(outcome, format!("{draft}/outcome"));
    }
    let page = browser.get(&format!("{draft}/outcome")).await.shown();
    for text in
        ["Booked", "OKAFOR, Grace (Mrs)", "Born", "18-Nov-1950 (76y)", "999 000 0018", "Today 13:00", "/slip"]
    {
        assert!(page.contains(text), "{text} in {page}");
    }
    let deeds = browser.deeds();
    let [Deed::Book(part)] = deeds.as_slice() else { panic!("once: {deeds:?}") };
    assert!(part.person == fake::grace());
    assert_eq!((part.description.as_str(), part.needs.interpreter.as_str()), ("Foot check", "Igbo"));
    assert!(part.needs.transport && part.needs.reminder.is_empty());
    assert_eq!(browser.desk.state().by, "amy Amy Lee");
    for step in ["need", "slots", "details", "check"] {
        let form = [("request", request.as_str()), ("key", "token|a/b@5#1"), ("service", "podiatry")];
        assert_eq!(
            browser.post(&format!("{draft}/{step}"), &form).await.to().rsplit('/').next(),
            Some("outcome")
        );
    }
    assert!(browser.deeds().is_empty());
}

#[tokio::test]
async fn what_was_found_shows_every_field_and_how_systems_answered() {
    let browser = Browser::new().await;
    let need = browser.choose("book").await;
    let form = [("service", ""), ("need", "skin"), ("from", "2026-11-23"), ("until", "2026-12-06")];
    let slots = browser.post(&need, &form).await.to();
    let page = browser.get(&slots).await.shown();
    for text in [
        "Most suitable",
        "Today, Monday 23-Nov-2026",
        "13:00",
        "20 min",
        "In-person",
        "Ms R Adeyemi, Clinician, female",
        "Speaks Yoruba",
        "Soho polyclinic, Room 4, 1 Frith Street, London",
        "Step-free",
        "Soho Community Trust, 020 7946 0100",
        "This polysystem",
        "seen 2 hours ago",
        "Firm",
        "Provisional",
        "The system in whose book it is does not answer, or cannot just now.",
        "RiO does not answer: showing slots as of 2 hours ago, provisional only.",
        "“skin”",
    ] {
        assert!(page.contains(text), "{text} in {page}");
    }
    let search = browser.desk.state().search.clone().unwrap();
    assert_eq!((search.need.as_str(), search.practice.as_str(), search.from), ("skin", "F84004", fake::NOW));
}

#[tokio::test]
async fn adjacent_slots_are_chosen_as_one() {
    let browser = Browser::new().await;
    let need = browser.choose("book").await;
    let form = [("service", "podiatry"), ("from", "2026-11-23"), ("until", "2026-12-06"), ("slots", "2")];
    let slots = browser.post(&need, &form).await.to();
    let page = browser.get(&slots).await.shown();
    assert!(page.contains("40 min, 2 slots") && page.contains("2 slots together"));
    let draft = need.trim_end_matches("/need");
    browser.post(&slots, &[("key", &value(&page, "key"))]).await.to();
    browser.post(&format!("{draft}/details"), &[]).await.to();
    let request = value(&browser.get(&format!("{draft}/check")).await.shown(), "request");
    browser.post(&format!("{draft}/check"), &[("request", &request)]).await.to();
    let deeds = browser.deeds();
    assert!(matches!(deeds.as_slice(), [Deed::Book(part)] if part.keys.len() == 2), "{deeds:?}");
}

#[tokio::test]
async fn words_that_are_too_long_are_kept_and_said() {
    let browser = Browser::new().await;
    let draft = browser.choose_time().await;
    let (long, comment) = ("é".repeat(101), "x".repeat(501));
    let form = [
        ("description", long.as_str()),
        ("comment", &comment),
        ("reminder", "yes"),
        ("reminder-number", "1"),
    ];
    let page = browser.post(&format!("{draft}/details"), &form).await.again();
    assert!(page.contains(&long) && page.contains(&comment), "nothing is cut off");
    assert!(page.contains("it has 101") && page.contains("it has 501"));
    assert!(page.contains("No clinical information") && page.contains("data-count=\"100\""));
    assert!(page.contains("id=\"reminder-number-error\""));
    assert_eq!(browser.get(&format!("{draft}/check")).await.to(), format!("{draft}/details"));
}

#[tokio::test]
async fn a_provisional_booking_says_so_before_and_after() {
    let browser = Browser::new().await;
    let need = browser.choose("book").await;
    let draft = need.trim_end_matches("/need").to_owned();
    let form = [("service", "dermatology"), ("from", "2026-11-23"), ("until", "2026-12-06")];
    let slots = browser.post(&need, &form).await.to();
    let key = value(&browser.get(&slots).await.shown(), "key");
    browser.post(&slots, &[("key", &key)]).await.to();
    browser.post(&format!("{draft}/details"), &[]).await.to();
    let page = browser.get(&format!("{draft}/check")).await.shown();
    assert!(page.contains("cannot be confirmed at once") && page.contains("Ask for this time"));
    browser.post(&format!("{draft}/check"), &[("request", &value(&page, "request"))]).await.to();
    let page = browser.get(&format!("{draft}/outcome")).await.shown();
    for text in
        ["Asked for, not confirmed yet", "does not answer", "Today 11:15", "Tell the patient", "/provisional"]
    {
        assert!(page.contains(text), "{text} in {page}");
    }
    assert!(!page.contains(">Booked<"));
}

#[tokio::test]
async fn after_a_lost_race_one_press_books_one_of_the_next() {
    let browser = Browser::new().await;
    let (draft, request) = browser.check(&[]).await;
    let lost = browser.desk.state().offers[0].key.clone();
    browser.desk.state().taken.push(lost.clone());
    let outcome = browser.post(&format!("{draft}/check"), &[("request", &request)]).await.to();
    let page = browser.get(&outcome).await.shown();
    assert!(page.contains("That time was taken") && page.contains("Nothing is booked"));
    assert_eq!(page.matches("name=\"key\"").count(), 3);
    let keys: Vec<String> = page
        .split("name=\"key\" value=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .collect();
    let again = value(&page, "request");
    assert_ne!(again, request, "another booking is another request");
    for key in &keys {
        let form = [("key", key.as_str()), ("request", &again)];
        assert_eq!(browser.post(&format!("{draft}/instead"), &form).await.to(), outcome);
    }
    let deeds = browser.deeds();
    let booked: Vec<&OfferKey> = deeds
        .iter()
        .filter_map(|deed| match deed {
            Deed::Book(part) => part.keys.first(),
            _ => None,
        })
        .collect();
    let expected: OfferKey = keys[0].parse().unwrap();
    assert_eq!(booked, [&lost, &expected], "whichever are pressed, one is booked");
    assert!(browser.get(&outcome).await.shown().contains("Booked"));
}

#[tokio::test]
async fn a_page_that_is_out_of_date_books_nothing() {
    let browser = Browser::new().await;
    let (draft, request) = browser.check(&[]).await;
    browser.post(&format!("{draft}/details"), &[("description", "Other")]).await.to();
    let page = browser.post(&format!("{draft}/check"), &[("request", &request)]).await.again();
    assert!(page.contains("changed since this page was shown") && page.contains("Other"));
    assert!(browser.deeds().is_empty());
    let fresh = value(&page, "request");
    assert_ne!(fresh, request);
    browser.post(&format!("{draft}/check"), &[("request", &fresh)]).await.to();
    assert_eq!(browser.deeds().len(), 1);
}

#[tokio::test]
async fn a_booking_goes_on_when_the_browser_has_gone() {
    let browser = Browser::new().await;
    let (draft, request) = browser.check(&[]).await;
    let hold = Arc::new(Notify::new());
    browser.desk.state().hold = Some(Arc::clone(&hold));
    let (check, outcome) = (format!("{draft}/check"), format!("{draft}/outcome"));
    let form = [("request", request.as_str())];
    tokio::select! {
        biased;
        _ = browser.post(&check, &form) => panic!("it waits"),
        () = tokio::time::sleep(Duration::from_millis(50)) => {}
    }
    let page = browser.get(&outcome).await.shown();
    assert!(page.contains("Booking…") && page.contains("http-equiv=\"refresh\""));
    for step in ["details", "slots", "check"] {
        let form = [("request", request.as_str()), ("key", "token|a/b@5#1"), ("description", "Other")];
        assert_eq!(
            browser.post(&format!("{draft}/{step}"), &form).await.to(),
            outcome,
            "nothing changes meanwhile"
        );
    }
    hold.notify_one();
    while browser.get(&outcome).await.shown().contains("Booking…") {
        tokio::task::yield_now().await;
    }
    assert!(browser.get(&outcome).await.shown().contains("Booked"));
    assert_eq!(browser.deeds().len(), 1);
}

#[tokio::test]
async fn a_refusal_is_said_and_can_be_tried_again() {
    let browser = Browser::new().await;
    let (draft, request) = browser.check(&[]).await;
    browser.refuse("not-durable", "Nothing was booked: the hub’s disk has no room for it.", "");
    let page = browser.post(&format!("{draft}/check"), &[("request", &request)]).await.again();
    assert!(page.contains("disk has no room"));
    browser.post(&format!("{draft}/check"), &[("request", &request)]).await.to();
    assert!(browser.get(&format!("{draft}/outcome")).await.shown().contains("Booked"));
}

#[tokio::test]
async fn a_time_that_is_gone_from_what_was_found_is_not_chosen() {
    let browser = Browser::new().await;
    let need = browser.choose("book").await;
    let form = [("service", "podiatry"), ("from", "2026-11-23"), ("until", "2026-12-06")];
    let slots = browser.post(&need, &form).await.to();
    let page = browser.post(&slots, &[("key", "token|westminster-south/podiatry@5#1")]).await.again();
    assert!(page.contains("no longer offered") && page.contains("Most suitable"));
    assert_eq!(browser.post(&slots, &[("key", "nonsense")]).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_is_needed_must_make_sense() {
    let browser = Browser::new().await;
    let need = browser.choose("book").await;
    let page = browser.post(&need, &[("from", "2026-11-01"), ("until", "x")]).await.again();
    assert!(page.contains("Choose a service, or say in a word") && page.contains("Enter a date that exists"));
    assert!(page.contains("value=\"2026-11-01\""), "what was entered is kept");
    let steps = [("slots", "need"), ("details", "slots"), ("check", "slots"), ("outcome", "check")];
    for (step, before) in steps {
        let path = need.replace("/need", &format!("/{step}"));
        assert_eq!(browser.get(&path).await.to(), need.replace("/need", &format!("/{before}")), "{step}");
    }
}

#[tokio::test]
async fn a_visit_is_planned_and_booked_as_a_whole() {
    let browser = Browser::new().await;
    let visit = browser.choose("plan").await;
    assert!(browser.get(&visit).await.shown().contains("Choose 2 to 6"));
    let mut form = vec![("services", "podiatry"), ("from", "2026-11-23"), ("until", "2026-12-06")];
    form.extend([("within", "180"), ("gap", "10")]);
    assert!(browser.post(&visit, &form).await.again().contains("Choose 2 to 6 services"));
    form.push(("services", "phlebotomy"));
    let plans = browser.post(&visit, &form).await.to();
    let page = browser.get(&plans).await.shown();
    assert!(
        page.contains("Today, Monday 23-Nov-2026, 12:00 to 13:20") && page.contains("25 min of it waiting"),
        "{page}"
    );
    assert!(browser.post(&plans, &[("plan", "other")]).await.again().contains("no longer offered"));
    let details = browser.post(&plans, &[("plan", &value(&page, "plan"))]).await.to();
    let check = browser.post(&details, &[]).await.to();
    let page = browser.get(&check).await.shown();
    assert!(page.contains("Book the whole visit"));
    let outcome = browser.post(&check, &[("request", &value(&page, "request"))]).await.to();
    assert_eq!(browser.get(&outcome).await.shown().matches("/slip\"").count(), 2);
    let deeds = browser.deeds();
    assert!(matches!(deeds.as_slice(), [Deed::BookVisit(parts)] if parts.len() == 2), "{deeds:?}");
}

fn appointment(number: u128) -> String {
    format!("/appointments/{number:032x}")
}

#[tokio::test]
async fn an_appointment_is_shown_with_what_happened_to_it() {
    let browser = Browser::new().await;
    let page = browser.get(&appointment(1)).await.shown();
    for text in
        ["OKAFOR, Grace (Mrs)", "Today 11:00", "Interpreter: Igbo", "Transport", "First appointment", "amy"]
    {
        assert!(page.contains(text), "{text} in {page}");
    }
    let page = browser.get(&appointment(7)).await.shown();
    assert!(page.contains("Cancelled by the patient") && !page.contains("/cancel\""));
    for path in ["/move", "/amend", "/cancel"] {
        assert!(
            browser.get(&(appointment(7) + path)).await.again().contains("does not stand any more"),
            "{path}"
        );
    }
    assert_eq!(browser.get(&appointment(99)).await.status, StatusCode::NOT_FOUND);
    assert_eq!(browser.get("/appointments/1").await.status, StatusCode::NOT_FOUND);
    let slip = browser.get(&(appointment(6) + "/slip")).await.shown();
    assert!(slip.contains("Wednesday 25-Nov-2026") && slip.contains("Not certain yet"), "{slip}");
}

#[tokio::test]
async fn cancelling_needs_who_and_why() {
    let browser = Browser::new().await;
    let path = appointment(2) + "/cancel";
    let request = value(&browser.get(&path).await.shown(), "request");
    let page = browser.post(&path, &[("request", &request), ("reason", " ")]).await.again();
    assert!(page.contains("Choose who cancels") && page.contains("Say why"));
    let long = "y".repeat(101);
    let form = [("request", request.as_str()), ("by", "patient"), ("reason", &long)];
    assert!(browser.post(&path, &form).await.again().contains(&long));
    browser.refuse("over", "It is over and cannot be cancelled.", "");
    let form = [("request", request.as_str()), ("by", "provider"), ("reason", "Clinic is ill")];
    assert!(browser.post(&path, &form).await.again().contains("It is over"));
    assert!(browser.deeds().is_empty());
    let back = browser.post(&path, &form).await.to();
    assert_eq!(back, appointment(2) + "?done=cancelled");
    let page = browser.get(&back).await.shown();
    assert!(page.contains("The appointment is cancelled.") && page.contains("Cancelled by the service"));
    let deeds = browser.deeds();
    assert!(
        matches!(deeds.as_slice(), [Deed::Cancel { by: CancelledBy::Provider, reason, .. }] if reason == "Clinic is ill")
    );
}

#[tokio::test]
async fn details_are_changed_with_the_same_rules() {
    let browser = Browser::new().await;
    let path = appointment(1) + "/amend";
    let page = browser.get(&path).await.shown();
    assert!(page.contains("First appointment") && page.contains("value=\"Igbo\""));
    let request = value(&page, "request");
    let long = "z".repeat(501);
    let page = browser.post(&path, &[("request", &request), ("comment", &long)]).await.again();
    assert!(page.contains(&long));
    let form = [("request", request.as_str()), ("comment", "Comes with her daughter")];
    assert_eq!(browser.post(&path, &form).await.to(), appointment(1) + "?done=amended");
    assert!(browser.get(&appointment(1)).await.shown().contains("Comes with her daughter"));
}

#[tokio::test]
async fn an_appointment_moves_and_the_old_time_stands_until_then() {
    let browser = Browser::new().await;
    let path = appointment(2) + "/move";
    let page = browser.get(&path).await.shown();
    assert!(page.contains("It stands until the new time is confirmed"));
    assert!(
        browser
            .post(&path, &[("from", "2026-11-23"), ("until", "2026-11-22")])
            .await
            .again()
            .contains("not before")
    );
    let slots = browser.post(&path, &[("from", "2026-11-23"), ("until", "2026-12-01")]).await.to();
    let page = browser.get(&slots).await.shown();
    assert!(page.contains(&format!("href=\"{path}\"")) && page.contains("it stands until the new time"));
    let key = value(&page, "key");
    let check = browser.post(&slots, &[("key", &key)]).await.to();
    let page = browser.get(&check).await.shown();
    assert!(page.contains("Check before moving") && page.contains("Today 11:45"));
    let outcome = browser.post(&check, &[("request", &value(&page, "request"))]).await.to();
    assert!(browser.get(&outcome).await.shown().contains("Moved"));
    let deeds = browser.deeds();
    assert!(matches!(deeds.as_slice(), [Deed::Move { appointment, .. }] if appointment.0 == 2), "{deeds:?}");
}

#[tokio::test]
async fn a_provisional_booking_is_tried_again_from_its_tray() {
    let browser = Browser::new().await;
    let page = browser.get("/provisional").await.shown();
    for text in ["OKAFOR, Grace (Mrs)", "does not answer", "3 times", "Today 11:12", "25-Nov-2026 11:05"] {
        assert!(page.contains(text), "{text} in {page}");
    }
    let form = [("request", value(&page, "request")), ("back", "/provisional".to_owned())];
    let form = [(form[0].0, form[0].1.as_str()), (form[1].0, form[1].1.as_str())];
    browser.refuse("asked", "The hub that has the slot was asked.", "");
    let again = appointment(6) + "/again";
    assert!(browser.post(&again, &form).await.again().contains("was asked"));
    assert_eq!(browser.post(&again, &form).await.to(), "/provisional?done=again");
    assert!(browser.get("/provisional?done=again").await.shown().contains("Every booking is confirmed"));
    let state = browser.desk.state();
    assert!(state.appointments.iter().any(|one| one.id.0 == 6 && one.standing == Standing::Firm));
}
