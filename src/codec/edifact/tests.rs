//! Tests of the codec as a whole.

use proptest::prelude::*;

use super::{
    nhsack::{MessageVerdict, NhsAck, Verdict, read_all},
    pmip::{Kind, Link, Value},
    *,
};

/// A pathology report of two groups, as laboratories send it. Invented from end to end.
fn interchange(unb_tail: &str, messages: &[&str]) -> String {
    let mut text = format!(
        "UNA:+.? '\r\nUNB+UNOC:3+800000000000001:80+800000000000002:80+260105:0915+77++MEDRPT{unb_tail}'\r\n"
    );
    for message in messages {
        text.push_str(message);
    }
    text.push_str(&format!("UNZ+{}+77'\r\n", messages.len()));
    text
}

fn report(reference: &str, body: &str) -> String {
    let head = "BGM+LSR'DTM+137:202601050910:203'S01+01'NAD+PO+G9999981:900++DR A EXAMPLE'SPR+PRO'\
                S01+01'NAD+MR+Y99991:901'SPR+ORG'S01+01'NAD+SLA+++BIOCHEMISTRY'SPR+DPT'\
                S02+02'GIS+N'RFF+SRI:26B0001'STS++UN'DTM+ISR:202601050905:203'S06+06'\
                ADR++US:1 HIGH STREET:LONDON++E1 1AA'S07+07'PNA+PAT+9990000018:OPI+++SU:O?'BRIEN+FO:ANN'\
                DTM+329:19700102:102'PDI+2'S16+16'SEQ++1'SPC+TSP+:::SERUM'RFF+STI:26B0001A'DTM+SCO:202601041000:203'";
    let count =
        (head.matches('\'').count() - 1) + body.matches('\'').count() - body.matches("?'").count() + 2;
    format!("UNH+{reference}+MEDRPT:0:1:RT:NHS003'{head}{body}UNT+{count}+{reference}'")
}

const POTASSIUM: &str =
    "GIS+N'INV+MQ+44I4.:911::Serum potassium'RSL+NV+6.1++:::mmol/L+HI'RFF+ASL:1'S20+20'RND+U+3.5+5.3'";

fn read_one(text: &str) -> Result<(Kind, pmip::Report), pmip::Unreadable> {
    let segments = Segments::of(text.as_bytes()).unwrap();
    let whole = Interchange::of(&segments).unwrap();
    pmip::read(&whole.messages[0])
}

#[test]
fn a_report_is_read_to_its_ranges() {
    let (kind, report) = read_one(&interchange("", &[&report("1", POTASSIUM)])).unwrap();
    assert_eq!((kind, report.id.as_str()), (Kind::Pathology, "26B0001"));
    assert_eq!(report.faults, Vec::<&str>::new());
    assert_eq!((report.patient.family_name.as_str(), report.patient.gender.as_str()), ("O'BRIEN", "F"));
    assert_eq!(report.patient.birth_date, "1970-01-02");
    assert_eq!(report.patient.address, ["1 HIGH STREET", "LONDON"]);
    let test = &report.investigations[0];
    assert_eq!((test.code.value.as_str(), test.code.list.as_str()), ("44I4.", "911"));
    assert_eq!(test.value, Value::Numeric("6.1".to_owned(), String::new(), "mmol/L".to_owned()));
    assert_eq!((test.flag.as_str(), test.ranges[0].high.as_str()), ("HI", "5.3"));
    assert_eq!(report.specimen(test).unwrap().collected, "2026-01-04T10:00");
}

#[test]
fn comparators_words_and_groups_are_kept() {
    let body = "GIS+N'INV+MQ+:::LIPIDS'SEQ++4'RFF+ASL:1'GIS+N'INV+MQ+44P..:911::Cholesterol'RSL+NV+1.0:7++:::mmol/L'\
                FTX+SPC+++0123456789012345678901234567890123456789012345678901234567890123456789:01 and more'\
                FTX+RIT+++seen twice:by two'RFF+ARL:4'";
    let (_, report) = read_one(&interchange("", &[&report("1", body)])).unwrap();
    let test = &report.investigations[1];
    assert_eq!(test.value, Value::Numeric("1.0".to_owned(), "<".to_owned(), "mmol/L".to_owned()));
    assert_eq!(test.link, Link::Group("4".to_owned()));
    assert_eq!(report.group(test).unwrap().code.name, "LIPIDS");
    assert!(
        test.comments[0].ends_with("678901 and more"),
        "a word cut at 70 is one word: {}",
        test.comments[0]
    );
    assert_eq!(test.text, ["seen twice\nby two"]);
    assert!(report.specimen(test).is_some(), "through its group");
}

#[test]
fn an_unknown_comparator_is_shown_not_dropped() {
    let (_, report) =
        read_one(&interchange("", &[&report("1", "INV+MQ+44P..:911'RSL+NV+1.0:42++:::mmol/L'")])).unwrap();
    assert_eq!(
        report.investigations[0].value,
        Value::Numeric("1.0".to_owned(), "42".to_owned(), "mmol/L".to_owned())
    );
    assert_eq!(report.faults, ["rsl-comparator-unknown"]);
}

#[test]
fn screening_and_radiology_share_nhs002_only_by_name() {
    assert_eq!(Kind::of("MEDRPT", "NHS002", "LSR"), Some(Kind::PathologyOlder));
    assert_eq!(Kind::of("NHSRSR", "NHS002", "RRR"), Some(Kind::Radiology));
    assert_eq!(Kind::of("NHSRSR", "NHS002", "LSR"), None);
    assert_eq!(Kind::of("MEDRPT", "NHS004", "LSR"), Some(Kind::Screening));
}

#[test]
fn broken_service_strings_fall_back_to_level_a() {
    let good = interchange("", &[&report("1", POTASSIUM)]);
    for (una, service) in [
        ("UNA:+.? '", Service::Given),
        ("UNA:+.?'", Service::Broken),
        ("UNA'", Service::Broken),
        ("UNA:+.+ '", Service::Broken),
        ("", Service::Absent),
        ("\u{feff}UNA:+.? '", Service::Given),
    ] {
        let text = good.replacen("UNA:+.? '", una, 1);
        let segments = Segments::of(text.as_bytes()).unwrap();
        assert_eq!(segments.service, service, "{una}");
        let whole = Interchange::of(&segments).unwrap_or_else(|error| panic!("{una}: {error}"));
        assert!(pmip::read(&whole.messages[0]).is_ok(), "{una}");
    }
}

#[test]
fn other_service_characters_are_obeyed() {
    let good = interchange("", &[&report("1", POTASSIUM)]);
    let other: String = good
        .replace("O?'BRIEN", "O'BRIEN")
        .chars()
        .map(|character| match character {
            ':' => '|',
            '+' => '*',
            '\'' => '~',
            '?' => '\\',
            other => other,
        })
        .collect();
    let other = other.replace("O~BRIEN", "O'BRIEN");
    let (_, report) = read_one(&other).unwrap();
    assert_eq!(report.patient.family_name, "O'BRIEN");
}

#[test]
fn latin_1_stays() {
    let text = interchange("", &[&report("1", POTASSIUM)]);
    let mut bytes = Vec::new();
    for character in text.replace("ANN", "Zo\u{eb}").chars() {
        bytes.push(u8::try_from(character).unwrap());
    }
    let segments = Segments::of(&bytes).unwrap();
    let whole = Interchange::of(&segments).unwrap();
    let (_, report) = pmip::read(&whole.messages[0]).unwrap();
    assert_eq!(report.patient.given_name, "Zo\u{eb}");
}

#[test]
fn limits_that_do_not_hold_refuse_the_interchange() {
    let good = interchange("++1", &[&report("1", POTASSIUM), &report("2", POTASSIUM)]);
    let refusal = |text: &str| {
        let segments = Segments::of(text.as_bytes()).unwrap();
        Interchange::of(&segments).unwrap_err()
    };
    for (text, expected) in [
        (good.replace("UNZ+2+77'", ""), "IRI"),
        (good.replace("UNZ+2+77'", "UNZ+2+78'"), "IRI"),
        (good.replace("UNZ+2+77'", "UNZ+3+77'"), "IRI"),
        (good.replacen("UNH+2", "S01+01'UNH+1+MEDRPT:0:1:RT:NHS003'UNH+2", 1), "IRM"),
        (good.replacen("UNZ", "S01+01'UNZ", 1), "IRM"),
    ] {
        let refused = refusal(&text);
        assert_eq!(NhsAck::of_refusal(&refused).unwrap().verdict.code(), expected, "{refused}");
    }
    for text in
        ["", "UNZ+1+1'", "not edifact", &good.replace("800000000000001", ""), &good.replace("+77++", "+++")]
    {
        assert!(matches!(refusal(text), Refusal::Header(_)), "{text:.20}");
        assert!(NhsAck::of_refusal(&refusal(text)).is_none());
    }
}

#[test]
fn one_bad_message_does_not_stop_the_others() {
    let bad = report("2", POTASSIUM).replace("NAD+PO+G9999981:900++DR A EXAMPLE'", "NAD+PO'");
    let torn = report("3", POTASSIUM).replace("+3'", "+9'");
    let text = interchange("++1", &[&report("1", POTASSIUM), &bad, &torn]);
    let segments = Segments::of(text.as_bytes()).unwrap();
    let whole = Interchange::of(&segments).unwrap();
    let verdicts = whole.messages.iter().map(|message| MessageVerdict {
        reference: message.reference.clone(),
        rejected: pmip::read(message).err().map(|error| error.to_string()),
    });
    let ack = NhsAck::of_messages(&whole.header, verdicts.collect());
    assert_eq!(ack.verdict, Verdict::Partly);
    let bytes = String::from_utf8(ack.encode(12, ("20260105", "0930"), "NHSACK")).unwrap();
    assert_eq!(
        bytes.replace('\'', "'\n"),
        "UNA:+.? '\nUNB+UNOC:3+800000000000002:80+800000000000001:80+260105:0930+12++NHSACK'\n\
         UNH+1+NHSACK:D:1:NH:NHS001'\nBGM+AKR'\nDTM+137:20260105:102'\n\
         NIR+SIR:77+800000000000001:80+800000000000002:80+IAP'\nNMR+AGO:1+MA'\nNMR+AGO:2+MR'\n\
         FTX+ERD+++who asked for the report (NAD?+PO) is missing'\nNMR+AGO:3+MR'\n\
         FTX+ERD+++UNT has another reference than UNH'\nUNT+10+1'\nUNZ+1+12'\n"
    );
    let segments = Segments::of(bytes.as_bytes()).unwrap();
    let read = read_all(&Interchange::of(&segments).unwrap());
    assert_eq!(read, [ack]);
    assert_eq!(read[0].on("1"), Some(Ok(())));
    assert_eq!(read[0].on("3"), Some(Err("IAP: UNT has another reference than UNH".to_owned())));
    assert_eq!(read[0].on("4"), None);
}

#[test]
fn a_message_alone_says_the_same_as_in_its_interchange() {
    let text =
        interchange("", &[&report("1", POTASSIUM), &report("2", "INV+MQ+44J3.:911'RSL+NV+90++:::umol/L'")]);
    let segments = Segments::of(text.as_bytes()).unwrap();
    let whole = Interchange::of(&segments).unwrap();
    for message in &whole.messages {
        let part = whole.part(text.as_bytes(), message);
        let alone = Segments::of(&part).unwrap();
        let (header, again) = Interchange::single(&alone).unwrap();
        assert_eq!(header, whole.header);
        assert_eq!(pmip::read(&again).unwrap(), pmip::read(message).unwrap());
    }
}

#[test]
fn what_latin_1_cannot_say_is_counted() {
    let (bytes, lost) = released("5 \u{2265} 3 \u{2019}n\u{2019} \u{3bc}g ?+:'", Delimiters::default());
    assert_eq!((bytes.as_slice(), lost), (b"5 >= 3 ?'n?' \xb5g ???+?:?'".as_slice(), 0));
    assert_eq!(released("\u{141}ukasz\n\u{17b}\u{19e}", Delimiters::default()), (b"Lukasz Z??".to_vec(), 1));
}

#[test]
fn ends_that_would_be_kept_with_each_message_are_short() {
    let long = format!("+{}'", "9".repeat(2_000));
    let text =
        interchange("", &[&report("1", POTASSIUM)]).replacen("++MEDRPT'", &format!("++MEDRPT{long}"), 1);
    let segments = Segments::of(text.as_bytes()).unwrap();
    assert!(matches!(Interchange::of(&segments), Err(Refusal::Interchange(..))));
}

#[test]
fn more_tests_than_any_report_has_are_refused_quickly() {
    let body = "INV+MQ+44I4.:911'RFF+ARL:9'".repeat(3_000);
    assert_eq!(read_one(&interchange("", &[&report("1", &body)])), Err(pmip::Unreadable::TooMany));
    let wide = format!("PNA+PAT+++{}'", "+SU:A".repeat(100_000));
    assert!(read_one(&interchange("", &[&report("1", &wide)])).is_ok());
}

#[test]
fn too_many_segments_are_refused() {
    let text = "A'".repeat(SEGMENTS_MAX + 1);
    assert_eq!(Segments::of(text.as_bytes()), Err(TooManySegments));
}

fn header() -> Header {
    let partner = |id: &str| Partner { id: id.to_owned(), qualifier: String::new() };
    Header {
        sender: partner("1"),
        recipient: partner("2"),
        control_reference: "1".to_owned(),
        ..Header::default()
    }
}

fn any_text() -> impl Strategy<Value = String> {
    "[ -~\u{a1}-\u{ff}]{0,90}".prop_map(|text| text.trim().to_owned())
}

/// Words of a report: no line of them is trimmed or cut, since practices read them as they are.
fn words() -> impl Strategy<Value = Vec<String>> {
    let line = "[!-~\u{a1}-\u{ff}]{1,12}( [!-~\u{a1}-\u{ff}]{1,12}){0,3}";
    proptest::collection::vec(line.prop_map(|line: String| line), 0..3)
}

fn token() -> impl Strategy<Value = String> {
    "[!-~\u{a1}-\u{ff}]{1,20}"
}

fn code() -> impl Strategy<Value = pmip::Code> {
    (token(), token(), token()).prop_map(|(value, list, name)| pmip::Code { value, list, name })
}

fn investigation() -> impl Strategy<Value = pmip::Investigation> {
    let comparator = proptest::sample::select(vec!["", "<", "<=", ">=", ">"]);
    let value = prop_oneof![
        Just(Value::None),
        (token(), comparator, token()).prop_map(|(value, comparator, unit)| Value::Numeric(
            value,
            comparator.to_owned(),
            unit
        )),
        code().prop_map(Value::Coded),
    ];
    let flag = proptest::sample::select(vec!["", "HI", "LO", "OR", "PA"]);
    let range = (token(), token(), token(), words()).prop_map(|(low, high, unit, comments)| pmip::Range {
        low,
        high,
        unit,
        comments,
    });
    let link = prop_oneof![
        Just(Link::None),
        Just(Link::Specimen("1".to_owned())),
        Just(Link::Group("1".to_owned()))
    ];
    let parts = (code(), value, flag, words(), words(), proptest::collection::vec(range, 0..3), link);
    parts.prop_map(|(code, value, flag, text, comments, ranges, link)| pmip::Investigation {
        code,
        sequence: "1".to_owned(),
        status: "FI".to_owned(),
        value,
        flag: flag.to_owned(),
        text,
        comments,
        ranges,
        link,
        performed: String::new(),
    })
}

fn any_report() -> impl Strategy<Value = pmip::Report> {
    let investigations = proptest::collection::vec(investigation(), 1..4);
    (token(), token(), token(), words(), words(), investigations).prop_map(
        |(id, family_name, given_name, clinical_information, comments, investigations)| pmip::Report {
            prepared: "2026-01-05T09:10".to_owned(),
            id,
            issued: "2026-01-05".to_owned(),
            status: "UN".to_owned(),
            parties: vec![pmip::Party {
                role: "PO".to_owned(),
                sort: "ORG".to_owned(),
                who: pmip::Code {
                    value: "Y99991".to_owned(),
                    list: "901".to_owned(),
                    name: given_name.clone(),
                },
            }],
            patient: pmip::Patient {
                nhs_number: "9990000018".to_owned(),
                numbers: vec![("SSI".to_owned(), family_name.clone())],
                address: vec![given_name.clone()],
                family_name,
                given_name,
                gender: "F".to_owned(),
                birth_date: "1970-01-02".to_owned(),
                ..pmip::Patient::default()
            },
            clinical_information,
            specimens: vec![pmip::Specimen {
                sequence: "1".to_owned(),
                id: "S1".to_owned(),
                collected: "2026-01-04T10:00".to_owned(),
                comments,
                ..pmip::Specimen::default()
            }],
            investigations,
            faults: Vec::new(),
        },
    )
}

#[test]
fn long_lines_are_parted_between_words_and_read_so() {
    let words = ["one two three"; 12].join(" ");
    let long = "x".repeat(100);
    let exact = "y".repeat(70);
    let (_, mut report) = read_one(&interchange("", &[&report("1", POTASSIUM)])).unwrap();
    report.investigations[0].comments = vec![format!("{words}\n{exact}\n{long}\n\nlast")];
    let mut writer = Writer::new(&header());
    pmip::write(&mut writer, "1", Kind::Pathology, &report);
    let bytes = writer.finish().0;
    let segments = Segments::of(&bytes).unwrap();
    let (_, message) = Interchange::single(&segments).unwrap();
    let read = pmip::read(&message).unwrap().1.investigations[0].comments.join("\n");
    let plain = |text: &str| text.split_whitespace().collect::<String>();
    assert_eq!(plain(&read), plain(&format!("{words}{exact}{long}last")));
    assert!(read.lines().all(|line| line.chars().count() < 70) && read.ends_with("\n \nlast"), "{read}");
    assert!(read.starts_with("one two three") && read.lines().take(3).all(|line| !line.ends_with("tw")));
}

proptest! {
    #[test]
    fn any_report_is_read_as_it_was_written(report in any_report()) {
        for kind in [Kind::Pathology, Kind::PathologyOlder] {
            let mut writer = Writer::new(&header());
            pmip::write(&mut writer, "7", kind, &report);
            let (bytes, lost) = writer.finish();
            prop_assert_eq!(lost, 0);
            let segments = Segments::of(&bytes).unwrap();
            let (_, message) = Interchange::single(&segments).unwrap();
            let (read_kind, read) = pmip::read(&message).unwrap();
            prop_assert_eq!(read_kind, kind);
            prop_assert_eq!(read, report.clone());
        }
    }

    #[test]
    fn whatever_text_is_written_is_read(texts in proptest::collection::vec(any_text(), 1..6)) {
        let mut writer = Writer::new(&Header::default());
        let parts: Vec<&str> = texts.iter().map(String::as_str).collect();
        writer.begin("1", &MessageType::default());
        writer.segment("ZZZ", &[&parts, &["end"]]);
        let (bytes, lost) = writer.finish();
        prop_assert_eq!(lost, 0);
        let segments = Segments::of(&bytes).unwrap();
        let segment = segments.list.iter().find(|segment| segment.tag() == b"ZZZ").unwrap();
        let read: Vec<String> = segment.element(1).texts(Charset::Latin1).iter().map(|text| text.trim().to_owned()).collect();
        let last = texts.iter().rposition(|text| !text.is_empty()).map_or(0, |at| at + 1);
        prop_assert_eq!(&read[..last], &texts[..last]);
        prop_assert_eq!(segment.text(2, 1, Charset::Latin1), "end");
    }

    #[test]
    fn every_byte_is_in_a_segment_or_between_two(data in proptest::collection::vec(any::<u8>(), 0..600)) {
        let segments = Segments::of(&data).unwrap();
        let mut rest = Vec::new();
        let mut at = 0;
        for segment in &segments.list {
            rest.extend_from_slice(&data[at..segment.start]);
            at = segment.end;
        }
        rest.extend_from_slice(&data[at..]);
        let service = segments.body;
        let outside = rest[service.min(rest.len())..].iter();
        let terminator = segments.delimiters.terminator;
        prop_assert!(outside.clone().all(|byte| byte.is_ascii_whitespace() || *byte == terminator));
    }

    #[test]
    fn any_bytes_are_survived(data in proptest::collection::vec(any::<u8>(), 0..2000)) {
        fuzzing::edifact(&data);
    }

    #[test]
    fn what_looks_like_a_report_is_survived(pieces in proptest::collection::vec(
        proptest::sample::select(vec!["UNA:+.? '", "UNB+UNOC:3+1+2+260101:0900+7'", "UNH+1+MEDRPT:0:1:RT:NHS003'", "BGM+LSR'", "S01+01'", "NAD+PO+1:900++X'",
            "RFF+SRI:1'", "PNA+PAT+9990000018:OPI+++SU:A'", "S16+16'", "SEQ++1'", "SPC+TSP+:::B'", "INV+MQ+1:911'", "INV+MQ+:::N'", "RSL+NV+1:7++:::g+HI'", "RSL+CV+::1:921::T'",
            "FTX+RIT+++a:b'", "FTX+SPC+++a?'b'", "RFF+ASL:1'", "RFF+ARL:1'", "S20+20'", "RND+U+1+2'", "UNT+3+1'", "UNZ+1+7'", "?", "'", "+", ":", "\n", "UNH+2+NHSRSR:D:1:NH:NHS002'",
            "BGM+RRR'", "S07+07'", "S02+02'", "UNT+3+2'"]), 0..60)) {
        fuzzing::edifact(pieces.concat().as_bytes());
    }
}

#[test]
fn what_was_measured_in_a_study_goes_on_in_words() {
    let mut report = pmip::Report::default();
    report.investigations.push(pmip::Investigation {
        code: pmip::Code {
            value: "22I4.".to_owned(),
            list: "911".to_owned(),
            name: "Bone density".to_owned(),
        },
        value: Value::Numeric("1.2".to_owned(), "<".to_owned(), "g/cm2".to_owned()),
        flag: "LO".to_owned(),
        ..pmip::Investigation::default()
    });
    let mut writer = Writer::new(&Header::default());
    pmip::write(&mut writer, "1", Kind::Radiology, &report);
    let written = String::from_utf8(writer.finish().0.to_vec()).unwrap();
    assert!(written.contains("FTX+RIT+++<1.2 g/cm2 (LO)'"), "{written}");
}
