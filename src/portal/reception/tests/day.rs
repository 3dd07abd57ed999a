//! The board, its tasks, the waiting list, the queue and its display.

use std::time::Duration;

use super::*;
use crate::domain::booking::{Attendance, TicketState};

fn row(number: u128) -> String {
    format!("/appointments/{number:032x}/mark")
}

#[tokio::test]
async fn the_board_shows_the_day_with_states_and_needs_in_words() {
    let browser = Browser::new().await;
    let page = browser.get("/reception").await.shown();
    for text in [
        "Today, Monday 23-Nov-2026",
        "7 appointments",
        "OKAFOR, Grace (Mrs)",
        "18-Nov-1950 (76y)",
        "999 000 0018",
        "Booked",
        "Arrived",
        "Called",
        "Done",
        "Cancelled",
        "Interpreter: Igbo",
        "Transport",
        "Quiet room",
        "Call the patient",
        "Repair a move",
        "Freed slot to offer",
        "1 provisional booking",
        "<th scope=\"col\">Patient</th>",
        "data-key=\"a\"",
    ] {
        assert!(page.contains(text), "{text} in {page}");
    }
    assert!(!page.contains("This hub’s own slots are held"));
    browser.desk.state().held =
        "The centre has not confirmed this hub’s slots since it was restored.".to_owned();
    assert!(browser.get("/reception").await.shown().contains("own slots are held"));
}

#[tokio::test]
async fn the_board_is_filtered_and_goes_from_day_to_day() {
    let browser = Browser::new().await;
    for (query, count) in [
        ("service=phlebotomy", "2 of 7 appointments"),
        ("room=Room+5", "1 of 7 appointments"),
        ("state=arrived", "1 of 7 appointments"),
        ("state=cancelled", "1 of 7 appointments"),
        ("state=open", "5 of 7 appointments"),
        ("state=nonsense", "0 of 7 appointments"),
        ("day=2026-11-25", "1 appointment"),
        ("day=nonsense", "7 appointments"),
    ] {
        let page = browser.get(&format!("/reception?{query}")).await.shown();
        assert!(page.contains(&format!(">{count}<")), "{query}: {page}");
    }
    let page = browser.get("/reception?service=podiatry").await.shown();
    assert!(page.contains("/reception?day=2026-11-24&#38;service=podiatry"), "the filter goes along");
    let page = browser.get("/reception?day=2026-11-25").await.shown();
    assert!(!page.contains("value=\"arrived\" data-key"), "nobody arrives on another day");
}

#[tokio::test]
async fn a_row_says_what_may_come_next_and_does_it_once() {
    let browser = Browser::new().await;
    let page = browser.get("/reception?service=podiatry").await.shown();
    let request = value(&page, "request");
    let back = value(&page, "back");
    let form = [("request", request.as_str()), ("to", "arrived"), ("back", &back)];
    for _ in 0..2 {
        let to = browser.post(&row(1), &form).await.to();
        assert_eq!(to, format!("/reception?service=podiatry#row-{:032x}", 1));
    }
    assert_eq!(browser.deeds().len(), 1, "pressed twice, done once");
    let form = [("request", request.as_str()), ("to", "called"), ("back", &back)];
    browser.post(&row(1), &form).await.to();
    let deeds = browser.deeds();
    assert!(matches!(deeds.as_slice(), [Deed::Mark { attendance: Attendance::Called, .. }]), "{deeds:?}");
}

#[tokio::test]
async fn nobody_has_missed_what_has_not_begun() {
    let browser = Browser::new().await;
    let page = browser.get("/reception").await.shown();
    let row_of = |number: u128| {
        let after = page.split(&format!("id=\"row-{number:032x}\"")).nth(1).unwrap();
        after.split("</tr>").next().unwrap().to_owned()
    };
    assert!(row_of(1).contains("did-not-attend") && !row_of(2).contains("did-not-attend"));
    assert!(!row_of(7).contains("<button"), "a cancelled one has nothing to press");
    browser.refuse("too-early", "It has not begun yet: nobody can have missed it.", "");
    let form = [
        ("request", value(&page, "request")),
        ("to", "did-not-attend".to_owned()),
        ("back", "/reception".to_owned()),
    ];
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert!(browser.post(&row(2), &form).await.again().contains("nobody can have missed it"));
    let form = [("request", "1"), ("to", "arrived")];
    assert_eq!(browser.post(&row(2), &form).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn nobody_is_sent_elsewhere_by_a_form() {
    let browser = Browser::new().await;
    let request = "0".repeat(31) + "1";
    for back in ["//evil.example", "https://evil.example/reception", "/sign-out"] {
        let form = [("request", request.as_str()), ("to", "arrived"), ("back", back)];
        let to = browser.post(&row(1), &form).await.to();
        assert_eq!(to, format!("/appointments/{:032x}", 1));
    }
}

#[tokio::test]
async fn tasks_are_finished_and_freed_slots_are_filled_in() {
    let browser = Browser::new().await;
    let page = browser.get("/reception").await.shown();
    let request = value(&page, "request");
    let finish = format!("/tasks/{:032x}/finish", 21);
    browser.refuse("too-long", "Shorten this to 500 characters; nothing is cut off by itself.", "note");
    let form = [("request", request.as_str()), ("note", "Told her, she comes on Friday")];
    assert!(browser.post(&finish, &form).await.again().contains("Shorten this"));
    assert_eq!(browser.post(&finish, &form).await.to(), "/reception?done=task");
    assert!(browser.get("/reception?done=task").await.shown().contains("The task is done."));
    browser.deeds();
    let book = format!("/tasks/{:032x}/book", 23);
    let details = browser.post(&book, &[]).await.to();
    assert!(details.ends_with("/details"), "{details}");
    let page = browser.get(&details).await.shown();
    assert!(page.contains("BEGUM, Nasreen") && page.contains("Today 13:00"));
    assert!(browser.deeds().is_empty(), "nothing is booked by asking");
    let check = browser.post(&details, &[]).await.to();
    let request = value(&browser.get(&check).await.shown(), "request");
    let outcome = browser.post(&check, &[("request", &request)]).await.to();
    let page = browser.get(&outcome).await.shown();
    assert!(page.contains("Take them off the waiting list"));
    let clear = outcome.replace("/outcome", "/clear");
    let form = [("request", value(&page, "request"))];
    browser.post(&clear, &[(form[0].0, &form[0].1)]).await.to();
    assert!(browser.desk.state().waiting.is_empty());
    assert!(!browser.desk.state().tasks.iter().any(|task| task.id.0 == 23));
    assert!(!browser.get(&outcome).await.shown().contains("Take them off"));
    assert!(browser.post(&book, &[]).await.again().contains("done this task already"));
}

#[tokio::test]
async fn a_freed_slot_that_is_gone_leads_to_what_else_there_is() {
    let browser = Browser::new().await;
    browser.desk.state().offers.remove(0);
    let slots = browser.post(&format!("/tasks/{:032x}/book", 23), &[]).await.to();
    assert!(slots.ends_with("/slots"), "{slots}");
    assert!(
        browser.get(&slots).await.shown().contains("female clinician"),
        "with what is known of their wishes"
    );
}

#[tokio::test(start_paused = true)]
async fn a_board_that_refreshes_itself_keeps_no_session_open() {
    let browser = Browser::new().await;
    browser.get("/reception").await.shown();
    for _ in 0..10 {
        let refresh = Request::get("/reception").header("X-Polygate-Refresh", "1");
        browser.send(refresh, String::new()).await.shown();
        tokio::time::advance(Duration::from_secs(60)).await;
    }
    let refresh = Request::get("/reception").header("X-Polygate-Refresh", "1");
    assert_eq!(browser.send(refresh, String::new()).await.to(), "/locked?next=/reception");
}

#[tokio::test]
async fn the_day_is_printed_by_service() {
    let browser = Browser::new().await;
    let page = browser.get("/day-list?day=2026-11-23").await.shown();
    for text in [
        "Day list: Monday 23-Nov-2026",
        "Podiatry",
        "Phlebotomy",
        "Printed 23-Nov-2026 11:05",
        "11:00–11:20",
        "Interpreter: Igbo",
    ] {
        assert!(page.contains(text), "{text}");
    }
    assert!(!page.contains("12:45–13:05"), "who is cancelled is not expected");
}

#[tokio::test]
async fn somebody_is_put_on_the_waiting_list_and_taken_off() {
    let browser = Browser::new().await;
    let page = browser.get("/waiting").await.shown();
    for text in
        ["BEGUM, Nasreen", "Soon", "female clinician", "at short notice too", "9 days ago", "Freed slots"]
    {
        assert!(page.contains(text), "{text} in {page}");
    }
    let add = browser.choose("wait").await;
    let page = browser.get(&add).await.shown();
    let request = value(&page, "request");
    let wrong = [
        ("request", request.as_str()),
        ("from", "2026-11-23"),
        ("until", "2028-01-01"),
        ("service", "podiatry"),
    ];
    let page = browser.post(&add, &wrong).await.again();
    assert!(page.contains("within a year") && page.contains("Choose urgent, soon or routine"));
    let form = [
        ("request", request.as_str()),
        ("service", "podiatry"),
        ("priority", "1"),
        ("from", "2026-11-23"),
        ("until", "2027-02-01"),
        ("short-notice", "yes"),
    ];
    for _ in 0..2 {
        assert_eq!(browser.post(&add, &form).await.to(), "/waiting?done=waiting");
    }
    let deeds = browser.deeds();
    assert!(
        matches!(deeds.as_slice(), [Deed::Wait(one)] if one.priority == 1 && one.short_notice),
        "{deeds:?}"
    );
    assert!(browser.get("/waiting").await.shown().contains("23-Nov-2026 to 01-Feb-2027"));
    let remove = format!("/waiting/{:032x}/remove", 31);
    let request = value(&browser.get(&remove).await.shown(), "request");
    assert!(browser.post(&remove, &[("request", &request)]).await.again().contains("Say why"));
    let form = [("request", request.as_str()), ("reason", "Went elsewhere")];
    for _ in 0..2 {
        assert_eq!(browser.post(&remove, &form).await.to(), "/waiting?done=removed");
    }
    assert_eq!(browser.deeds().len(), 1);
    let slots = browser.post(&format!("/waiting/{request}/book"), &[]).await;
    assert_eq!(slots.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_slot_is_looked_for_with_the_wishes_on_the_list() {
    let browser = Browser::new().await;
    let slots = browser.post(&format!("/waiting/{:032x}/book", 31), &[]).await.to();
    let page = browser.get(&slots).await.shown();
    assert!(
        page.contains("BEGUM, Nasreen")
            && page.contains("Podiatry, 23-Nov-2026 to 06-Dec-2026, female clinician")
    );
}

#[tokio::test]
async fn tickets_are_given_called_and_marked() {
    let browser = Browser::new().await;
    let page = browser.get("/queue").await.shown();
    for text in
        ["U1", "NOWAK, Zofia", "No name given", "Interpreter: Polish", "2 waiting", "about 24 min", "Room 2"]
    {
        assert!(page.contains(text), "{text} in {page}");
    }
    let add = browser.choose("queue").await;
    let request = value(&browser.get(&add).await.shown(), "request");
    assert!(browser.post(&add, &[("request", &request)]).await.again().contains("Choose a service"));
    browser.refuse("no-walk-in", "This service sees nobody without an appointment.", "service");
    let form = [("request", request.as_str()), ("service", "urgent-care"), ("interpreter", "Igbo")];
    assert!(browser.post(&add, &form).await.again().contains("sees nobody without"));
    let ticket = browser.post(&add, &form).await.to();
    let page = browser.get(&ticket).await.shown();
    assert!(
        page.contains("U94") && page.contains("2 people before this one") && !page.contains("OKAFOR"),
        "{page}"
    );
    let call = [("request", request.as_str()), ("service", "urgent-care"), ("room", "Room 3")];
    for _ in 0..2 {
        assert_eq!(browser.post("/queue/call", &call).await.to(), format!("/queue#ticket-{:032x}", 43));
    }
    let mark = format!("/tickets/{:032x}/mark", 43);
    browser.post(&mark, &[("request", &request), ("to", "did-not-attend")]).await.to();
    assert!(browser.get("/queue").await.shown().contains("Back in the queue"));
    let deeds = browser.deeds();
    assert!(matches!(
        deeds.as_slice(),
        [
            Deed::TakeTicket(_),
            Deed::CallNext { .. },
            Deed::MarkTicket { state: TicketState::DidNotAttend, .. }
        ]
    ));
    let odd = browser.post(&mark, &[("request", &request), ("to", "flown")]).await;
    assert_eq!(odd.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_ticket_needs_no_name_and_an_empty_queue_says_so() {
    let browser = Browser::new().await;
    let add = browser.get("/queue/nameless").await.to();
    let page = browser.get(&add).await.shown();
    assert!(page.contains("Without a name"));
    let form = [("request", value(&page, "request")), ("service", "urgent-care".to_owned())];
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    browser.post(&add, &form).await.to();
    browser.desk.state().tickets.clear();
    let call = [("request", form[0].1), ("service", "urgent-care")];
    assert_eq!(browser.post("/queue/call", &call).await.to(), "/queue?done=nobody");
    assert!(browser.get("/queue?done=nobody").await.shown().contains("Nobody waits for this service."));
}

#[tokio::test]
async fn the_display_shows_numbers_and_rooms_and_no_name() {
    let browser = Browser::new().await;
    let page = browser.get("/display/ground-floor").await.shown();
    for text in
        ["Ground floor", "Now called", "U2", "Room 2", "Next", "U3", "U4", "11:05", "http-equiv=\"refresh\""]
    {
        assert!(page.contains(text), "{text} in {page}");
    }
    let lower = page.to_lowercase();
    for name in ["okafor", "fitzgerald", "christopher", "nowak", "999", "polish", "csrf"] {
        assert!(!lower.contains(name), "{name}");
    }
    assert!(!page.contains(">U1<"), "who is in is not called any more");
    for path in ["/display/roof", "/display/..", "/display/A"] {
        assert_eq!(browser.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}
