//! Finding people, entering somebody new, and whose pages these are.

use super::*;
use crate::portal::reception::fake;

#[tokio::test]
async fn people_are_found_shown_with_their_source_and_never_chosen_by_themselves() {
    let browser = Browser::new().await;
    let page = browser.get("/patients").await.shown();
    assert!(page.contains("does not ask the national"));
    let results = browser.post("/patients", &[("words", "999 000 0018")]).await.to();
    let id = results.strip_prefix("/patients/").unwrap();
    assert!(
        id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "an address holds no patient: {id}"
    );
    let page = browser.get(&results).await.shown();
    for text in
        ["OKAFOR, Grace (Mrs)", "EMIS, RiO", "NHS number verified", "Everything you entered fits", "Choose"]
    {
        assert!(page.contains(text), "{text} in {page}");
    }
    assert_eq!(page.matches("name=\"who\"").count(), 1);
    assert!(!page.contains("There may be more people"));
    let results = browser.post("/patients", &[("words", "okafor")]).await.to();
    let page = browser.get(&results).await.shown();
    assert!(page.contains("OKAFOR, Daniel (Mr)") && page.contains("this desk’s bookings"));
    assert!(page.contains("There may be more people than these 2"));
    assert!(page.contains("NHS number not known") && page.contains("Part of what you entered fits"));
    let person = browser.post(&format!("{results}/choose"), &[("who", "0")]).await.to();
    let page = browser.get(&person).await.shown();
    assert!(
        page.contains("Appointments to come")
            && page.contains("25-Nov-2026 11:05")
            && page.contains("F84004")
    );
    assert!(!page.contains("<title>OKAFOR"), "nor does a title");
    let other = browser.post(&format!("{results}/choose"), &[("who", "9")]).await;
    assert_eq!(other.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_does_not_say_whom_is_kept_and_said() {
    let browser = Browser::new().await;
    for (words, error) in
        [("", "Enter an NHS number"), ("9990000019", "last digit"), ("Okafor 18/11/50", "four digits")]
    {
        let page = browser.post("/patients", &[("words", words), ("errand", "wait")]).await.again();
        assert!(page.contains(error) && page.contains(&format!("value=\"{words}\"")), "{words}");
        assert!(page.contains("name=\"errand\" value=\"wait\""), "what it is for is not forgotten");
    }
    let results = browser.post("/patients", &[("words", "Nobody")]).await.to();
    assert!(browser.get(&results).await.shown().contains("Nobody fits"));
}

#[tokio::test]
async fn somebody_new_is_entered_with_every_slip_said() {
    let browser = Browser::new().await;
    let form = [("words", "Quill 01/02/1990 E1 4DG"), ("errand", "book")];
    let results = browser.post("/patients", &form).await.to();
    let path = format!("{results}/new");
    let page = browser.get(&path).await.shown();
    for text in ["value=\"Quill\"", "value=\"1990\"", "value=\"E1 4DG\""] {
        assert!(page.contains(text), "{text}: nothing is typed twice");
    }
    let page =
        browser.post(&path, &[("nhs-number", "9990000019"), ("birth-day", "31"), ("birth-month", "2")]).await;
    let page = page.again();
    for text in
        ["does not agree", "Enter the family name", "exists", "Choose a gender", "value=\"9990000019\""]
    {
        assert!(page.contains(text), "{text} in {page}");
    }
    let form = [
        ("family-name", "Quill"),
        ("given-names", "Ada"),
        ("birth-day", "1"),
        ("birth-month", "Feb"),
        ("birth-year", "1990"),
        ("gender", "female"),
    ];
    let need = browser.post(&path, &form).await.to();
    assert!(need.ends_with("/need"));
    let page = browser.get(&need).await.shown();
    assert!(page.contains("QUILL, Ada") && page.contains("01-Feb-1990 (36y)"));
}

#[tokio::test]
async fn details_of_one_patient_never_go_to_another() {
    let browser = Browser::new().await;
    let draft = browser.choose_time().await;
    browser.post(&format!("{draft}/details"), &[("interpreter", "Igbo")]).await.to();
    let results = draft.replace("/book/", "/patients/");
    let other = browser.post(&format!("{results}/choose"), &[("who", "1")]).await.to();
    assert!(!other.starts_with(&draft), "another patient is other work");
    assert!(browser.get(&other).await.shown().contains("OKAFOR, Daniel"));
    let details = other.replace("/need", "/details");
    assert_eq!(browser.get(&details).await.to(), other.replace("/need", "/slots"));
    let page = browser.get(&format!("{draft}/details")).await.shown();
    assert!(page.contains("OKAFOR, Grace") && page.contains("Igbo"));
}

#[tokio::test]
async fn work_in_hand_is_its_owners_alone() {
    let mut browser = Browser::new().await;
    let draft = browser.choose_time().await;
    browser.enter("ben").await;
    for path in [format!("{draft}/details"), draft.replace("/book/", "/patients/"), "/book/1/need".to_owned()]
    {
        let got = browser.get(&path).await;
        assert_eq!(got.status, StatusCode::GONE, "{path}");
        assert!(got.page.contains("no longer in hand") && !got.page.contains("Grace"));
    }
}

#[tokio::test]
async fn the_pages_are_for_reception_and_the_display_is_for_everybody() {
    let mut browser = Browser::new().await;
    let pages =
        ["/reception", "/patients", "/book", "/plan", "/waiting", "/queue", "/provisional", "/day-list"];
    for path in pages {
        assert_eq!(browser.get(path).await.status, StatusCode::OK, "{path}");
    }
    browser.enter("sam").await;
    for path in pages {
        assert_eq!(browser.get(path).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    browser.cookie.clear();
    for path in pages {
        assert!(browser.get(path).await.to().starts_with("/sign-in"), "{path}");
    }
    assert_eq!(browser.get("/display/ground-floor").await.status, StatusCode::OK);
}

#[tokio::test]
async fn forms_without_their_sessions_token_change_nothing() {
    let mut browser = Browser::new().await;
    browser.csrf = "another".to_owned();
    let request = "1".repeat(32);
    for path in ["/queue/call", "/patients", &format!("/appointments/{:032x}/mark", 1)] {
        let got =
            browser.post(path, &[("request", &request), ("service", "urgent-care"), ("to", "arrived")]).await;
        assert_eq!(got.status, StatusCode::FORBIDDEN, "{path}");
    }
    assert!(browser.deeds().is_empty());
}

#[tokio::test]
async fn hostile_words_are_only_text() {
    let browser = Browser::new().await;
    let evil = "<script>alert(1)</script>";
    {
        let mut state = browser.desk.state();
        for one in &mut state.appointments {
            one.person.family_name = evil.to_owned();
            one.description = evil.to_owned();
            one.room = evil.to_owned();
            one.needs.adjustments = evil.to_owned();
        }
        state.tasks[0].words = evil.to_owned();
        state.tickets[1].room = evil.to_owned();
        state.held = evil.to_owned();
    }
    let appointment = format!("/appointments/{:032x}", 1);
    for path in ["/reception", "/day-list", "/queue", "/provisional", "/display/ground-floor", &appointment] {
        let page = browser.get(path).await.page;
        assert!(!page.to_lowercase().contains("<script>alert"), "{path}");
    }
    let page = browser.post("/patients", &[("words", &format!("9 {evil}"))]).await.again();
    assert!(!page.contains("<script>alert"));
    assert!(
        !browser.get("/reception?done=%3Cscript%3E&room=%3Cscript%3E").await.shown().contains("<script>")
    );
}

#[tokio::test]
async fn the_pages_ask_for_nothing_of_a_patient_in_an_address() {
    let browser = Browser::new().await;
    let draft = browser.choose_time().await;
    for path in ["/reception", "/waiting", "/queue", &format!("{draft}/slots"), &format!("{draft}/details")] {
        let page = browser.get(path).await.page;
        for form in page.split("<form").skip(1).filter(|form| form.contains("method=\"get\"")) {
            let form = form.split("</form>").next().unwrap();
            let names: Vec<&str> =
                form.split("name=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
            assert_eq!(names, ["day", "service", "room", "state"], "{path}");
        }
        for address in page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            for word in ["Grace", "Okafor", "9990000018", "1950"] {
                assert!(!address.contains(word), "{address}");
            }
        }
    }
    assert!(fake::grace().family_name == "Okafor");
}
