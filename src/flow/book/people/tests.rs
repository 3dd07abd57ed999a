//! Finding people at the desk: by what their systems say now, everybody whom it fits, and nothing clinical.

use super::*;
use crate::flow::{book::tests::Ground, link::Link, read::tests::NOW, reception::Reception};

fn said(moment: i64, number: &str, local: &str, fields: &str) -> String {
    format!("{moment}|{number}|{local}\nDemographics||{fields}\nAllergy|A1|codings=x^1^Secret penicillin")
}

const ADA: &str = "family_name=O'Tést-Canary|given_name=Ada|birth_date=19710203|gender=F|nhs_number_status=NSTS01|\
                   postcode=W1A 1AA|telephone=+44 20 7946 0123|address_line_1=1 Invented Road|city=London";
const BEA: &str = "family_name=Canary|given_name=Bea|birth_date=19710203|gender=F|nhs_number_status=NSTS01|\
                   postcode=E1 1AA|telephone=020 7946 0124";

fn by_name(name: &str) -> PersonSearch {
    PersonSearch { name: name.to_owned(), ..PersonSearch::default() }
}

fn names(found: &[PersonFound]) -> Vec<String> {
    found
        .iter()
        .map(|one| format!("{}{}", one.person.given_names, if one.exact { "!" } else { "" }))
        .collect()
}

#[tokio::test]
async fn everybody_whom_all_that_is_asked_fits_is_found_and_exact_ones_come_first() {
    let ground = Ground::new();
    let link = Link::new("rio", "test", "", NOW);
    ground.stage.receive(&link, &[said(10, "9990000018", "A", ADA), said(11, "9990000026", "B", BEA)]).await;
    let desk = ground.start(true).await;
    let find = |search: PersonSearch| desk.front.0.find_people(&search).unwrap().people;
    desk.until(|front| front.0.find_people(&by_name("bea")).is_ok_and(|found| !found.people.is_empty()))
        .await;
    assert_eq!(names(&find(by_name("cana"))), ["Bea", "Ada"]);
    assert_eq!(names(&find(by_name("canary"))), ["Bea!", "Ada!"]);
    assert_eq!(names(&find(by_name("OTEST-CANARY ad"))), ["Ada"]);
    assert_eq!(names(&find(by_name("ada otestcanary"))), ["Ada!"]);
    assert_eq!(names(&find(by_name("ada bea"))), [""; 0]);
    let born = |day: &str| PersonSearch { birth_date: day.to_owned(), ..by_name("canary") };
    assert_eq!(names(&find(born("1971-02-03"))), ["Bea!", "Ada!"]);
    assert_eq!(names(&find(born("1971-02-04"))), [""; 0]);
    let phone = PersonSearch { telephone: "02079460123".to_owned(), ..PersonSearch::default() };
    let postcode = PersonSearch { postcode: "w1a1aa".to_owned(), ..PersonSearch::default() };
    assert_eq!(
        (names(&find(phone)), names(&find(postcode))),
        (vec!["Ada!".to_owned()], vec!["Ada!".to_owned()])
    );
    let ada = find(by_name("ada")).remove(0);
    assert_eq!((ada.systems, ada.verified), (vec!["rio".to_owned()], true));
    assert_eq!(ada.person.birth_date, "1971-02-03");
    assert_eq!(ada.person.address, "1 Invented Road, London");
    assert!(find(by_name("penicillin")).is_empty() && find(by_name("secret")).is_empty());
    let short = desk.front.people(&by_name("a b")).await.unwrap_err();
    assert_eq!(short.code, "name-short");
}

#[tokio::test]
async fn a_changed_name_is_found_and_the_old_one_no_more() {
    let ground = Ground::new();
    let link = Link::new("rio", "test", "", NOW);
    ground.stage.receive(&link, &[said(10, "9990000018", "A", ADA)]).await;
    let desk = ground.start(true).await;
    desk.until(|front| front.0.find_people(&by_name("canary")).is_ok_and(|found| !found.people.is_empty()))
        .await;
    ground.stage.receive(&link, &[said(20, "9990000018", "A", "family_name=Finch|given_name=Ada")]).await;
    desk.until(|front| front.0.find_people(&by_name("finch")).is_ok_and(|found| !found.people.is_empty()))
        .await;
    assert!(desk.front.0.find_people(&by_name("canary")).unwrap().people.is_empty());
    // A late message with the old name changes nothing.
    ground.stage.receive(&link, &[said(15, "9990000018", "A", ADA), said(30, "9990000026", "B", BEA)]).await;
    desk.until(|front| front.0.find_people(&by_name("bea")).is_ok_and(|found| !found.people.is_empty()))
        .await;
    assert_eq!(names(&desk.front.0.find_people(&by_name("canary")).unwrap().people), ["Bea!"]);
}

#[tokio::test]
async fn it_is_said_if_there_may_be_more_than_are_shown() {
    let ground = Ground::new();
    let link = Link::new("rio", "test", "", NOW);
    let numbers = (9_990_001_000_u64..).map(|number| number.to_string());
    let crowd: Vec<String> = numbers
        .filter(|number| NhsNumber::parse(number).is_ok())
        .take(FOUND_MAX + 1)
        .map(|number| said(10, &number, &number, "family_name=Crowd|given_name=Sam"))
        .collect();
    ground.stage.receive(&link, &crowd).await;
    let desk = ground.start(true).await;
    let find = |name: &str| desk.front.0.find_people(&by_name(name)).unwrap();
    desk.until(|front| front.0.find_people(&by_name("crowd")).is_ok_and(|found| found.more)).await;
    assert_eq!((find("crowd").people.len(), find("crowd").more), (FOUND_MAX, true));
    assert!(!find("nobody").more);
}
