//! Tests of letters in and out.

use proptest::prelude::*;

use super::{dates::parse_alone, *};

fn letter() -> Letter {
    let text = str::to_owned;
    Letter {
        message_id: text("5a1d-1"),
        issued: text("2026-01-25T08:15"),
        sender: text("OOH1"),
        recipient: text("Y99991"),
        patient: Patient {
            nhs_number: text("9990000018"),
            family_name: text("O'Brien & Sons"),
            given_name: text("Zo\u{eb}"),
            birth_date: text("1970-02-01"),
            gender: text("F"),
            address: vec![text("1 High Street"), text("London")],
            postcode: text("E1 1AA"),
            ..Patient::default()
        },
        to: Party { organisation: (text("Y99991"), text("PRA")), ..Party::default() },
        from: Party { organisation_name: text("Night service"), ..Party::default() },
        report_id: text("R1"),
        report_type: text("Out-of-hours report"),
        report_code: text("OOH"),
        event_date: text("2026-01-25"),
        created: text("2026-01-25T08:10"),
        service_event_type: text("AE"),
        texts: vec![Text {
            markup: String::new(),
            block: text("Seen <at> home:\n5 \u{2265} 3, \u{141}\u{f3}d\u{17a}"),
        }],
        coded: vec![Coded {
            code: text("339g."),
            scheme: text("Read 2"),
            term: text("Peak flow"),
            value: (text("300"), text("l/min")),
        }],
        ..Letter::default()
    }
}

#[test]
fn a_letter_comes_back_as_it_went_in_either_order_of_dates() {
    for order in [DateOrder::DayMonth, DateOrder::MonthDay] {
        let bytes = write(&letter(), order);
        assert_eq!(read(&bytes).unwrap(), letter(), "{order:?}");
        let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        assert!(text.contains("encoding=\"ISO-8859-1\"") && text.contains("SYSTEM \"ReportMsg03.dtd\""));
        assert!(
            text.contains("Zo\u{eb}") && text.contains("&#8805;"),
            "Latin-1 as bytes, the rest as references"
        );
        let issued = if order == DateOrder::DayMonth { "202625010815" } else { "202601250815" };
        assert!(text.contains(&format!("<MsgIssueDate>{issued}</MsgIssueDate>")));
    }
}

#[test]
fn a_date_that_can_mean_two_days_is_not_guessed() {
    let unclear = Letter {
        issued: "2026-01-02T08:15".to_owned(),
        event_date: "2026-01-02".to_owned(),
        created: "2026-03-03".to_owned(),
        ..letter()
    };
    let found = read(&write(&unclear, DateOrder::DayMonth)).unwrap();
    assert_eq!((found.patient.birth_date.as_str(), found.event_date.as_str()), ("", ""));
    assert_eq!(found.created, "2026-03-03", "the same in both orders");
    assert_eq!(found.faults, ["date-unclear"]);
    assert_eq!(parse_alone("19962501").as_deref(), Some("1996-01-25"));
    assert_eq!(parse_alone("19960125").as_deref(), Some("1996-01-25"));
    assert_eq!(parse_alone("19960101").as_deref(), Some("1996-01-01"));
    for bad in ["19960201", "202144161244", "1996", "19963131", "", "1996-1-2"] {
        assert_eq!(parse_alone(bad), None, "{bad}");
    }
}

#[test]
fn letters_that_contradict_themselves_about_dates_give_only_what_is_sure() {
    let bytes = write(&letter(), DateOrder::DayMonth);
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    let mixed = text.replace("<EventDate>20262501</EventDate>", "<EventDate>20260125</EventDate>");
    let found = read(mixed.as_bytes()).unwrap();
    assert_eq!((found.event_date.as_str(), found.patient.birth_date.as_str()), ("2026-01-25", ""));
}

#[test]
fn what_is_no_letter_is_refused_by_name() {
    let good = String::from_utf8_lossy(&write(&letter(), DateOrder::DayMonth)).into_owned();
    let bomb = good.replace(
        "<!DOCTYPE ReportMsg SYSTEM \"ReportMsg03.dtd\">",
        "<!DOCTYPE ReportMsg [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]>",
    );
    for (text, expected) in [
        (bomb, KetteringError::Entities),
        ("<x/>".to_owned(), KetteringError::NotALetter),
        ("<x><ReportMsg/></x>".to_owned(), KetteringError::NotALetter),
        (good.replace("</ReportMsg>", ""), KetteringError::Malformed),
        (good.replace("5a1d-1", ""), KetteringError::NoMessageId),
        ("<ReportMsg><MsgId>1</MsgId></ReportMsg>".to_owned(), KetteringError::Empty),
        (format!("<ReportMsg>{}</ReportMsg>", "<a/>".repeat(60_000)), KetteringError::Malformed),
        (format!("<ReportMsg>{}", "<a>".repeat(200_000)), KetteringError::Malformed),
        (format!("<ReportMsg {}/>", "a='' ".repeat(2_000)), KetteringError::Malformed),
    ] {
        assert_eq!(read(text.as_bytes()), Err(expected), "{text:.80}");
    }
}

#[test]
fn variants_seen_in_the_field_are_understood() {
    let text = "<?xml version='1.0' encoding='ISO-8859-1'?><ReportMsg><MsgId>9</MsgId><PatientMatchingInfo><PatientId><Id>\
        <IdType>NHS</IdType><IdValue>9990000018</IdValue></Id></PatientId><BirthDate>19702501</BirthDate></PatientMatchingInfo>\
        <RelDates><RelDate><Role>82</Role><Date>20261401</Date></RelDate></RelDates>\
        <ClinicalReport><TextItem><TextMarkupIndicator>-//IETF//DTD HTML//EN</TextMarkupIndicator>\
        <TextBlock><![CDATA[<p>He\u{92}s]]> well</TextBlock></TextItem></ClinicalReport></ReportMsg>";
    let bytes: Vec<u8> = text.chars().map(|character| u8::try_from(character).unwrap()).collect();
    let letter = read(&bytes).unwrap();
    assert_eq!(letter.texts[0].block, "<p>He\u{2019}s well", "Windows-1252 under an ISO 8859-1 name");
    assert_eq!((letter.texts[0].media_type(), letter.event_date.as_str()), ("text/html", "2026-01-14"));
    assert_eq!(letter.patient.birth_date, "1970-01-25");
}

#[test]
fn text_within_text_is_read_once() {
    let depth = 2_000;
    let nested = format!(
        "<ReportMsg><MsgId>1</MsgId>{}deep{}</ReportMsg>",
        "<TextItem><TextBlock>".repeat(depth),
        "</TextBlock></TextItem>".repeat(depth)
    );
    match read(nested.as_bytes()) {
        Ok(letter) => assert_eq!(letter.texts, [Text { markup: String::new(), block: "deep".to_owned() }]),
        Err(error) => assert_eq!(error, KetteringError::Malformed, "nested deeper than is read"),
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(data in proptest::collection::vec(any::<u8>(), 0..800)) {
        drop(read(&data));
        fuzzing::kettering(&[b"<ReportMsg><MsgId>1</MsgId>".as_slice(), &data, b"</ReportMsg>"].concat());
    }

    #[test]
    fn what_looks_like_a_letter_is_survived(pieces in proptest::collection::vec(proptest::sample::select(vec![
        "<ClinicalReport>", "</ClinicalReport>", "<TextItem>", "</TextItem>", "<TextBlock>", "</TextBlock>", "<![CDATA[", "]]>", "a",
        "<BirthDate>", "</BirthDate>", "19702501", "<EventDate>", "</EventDate>", "<Party AgentId='1'>", "</Party>", "&amp;", "&#65;", "\u{e9}",
        "<PatientMatchingInfo>", "</PatientMatchingInfo>", "<Id>", "</Id>", "<!--", "-->", "<ClinicalCode Type='Read'>", "</ClinicalCode>",
        "<CodeName>", "</CodeName>"]), 0..40)) {
        fuzzing::kettering(format!("<ReportMsg><MsgId>1</MsgId>{}</ReportMsg>", pieces.concat()).as_bytes());
    }

    #[test]
    fn any_text_comes_back(block in "[^\u{0}-\u{1f}\u{7f}-\u{9f}\u{fffe}\u{ffff}]{1,200}") {
        prop_assume!(!block.trim().is_empty());
        let letter = Letter { texts: vec![Text { markup: String::new(), block }], ..letter() };
        prop_assert_eq!(read(&write(&letter, DateOrder::MonthDay)).unwrap().texts, letter.texts);
    }
}
