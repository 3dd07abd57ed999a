//! Parsing and touching MSH-10, PID-3, PID-5 and every OBX-5, beside two other crates.

use std::{hint::black_box, time::Instant};

use polygate::{
    codec::hl7v2::Message,
    domain::time::Timestamp,
    systems::simulator::traffic::{Traffic, Voice},
};

/// Bytes to go through for each figure.
const BYTES: usize = 200 << 20;

/// Prints megabytes a second of each parser on each kind of message.
pub fn all() {
    for (name, message) in [("adt_1k", admission()), ("oru_4k", report(40)), ("oru_500k", large())] {
        let rounds = (BYTES / message.len()).max(20);
        let megabytes = (message.len() * rounds) as f64 / 1e6;
        for (parser, parse) in
            [("polygate", ours as fn(&str) -> usize), ("hl7_parser", hl7_parser), ("rust_hl7", rust_hl7)]
        {
            let began = Instant::now();
            for _ in 0..rounds {
                black_box(parse(black_box(&message)));
            }
            println!("parse_{name}_{parser}_mb_per_second {:.0}", megabytes / began.elapsed().as_secs_f64());
        }
    }
}

fn ours(text: &str) -> usize {
    let message = Message::parse(text.as_bytes()).expect("a message");
    let header = message.segment("MSH").expect("MSH");
    let pid = message.segment("PID").expect("PID");
    let mut touched =
        header.field(10).bytes().len() + pid.field(3).bytes().len() + pid.field(5).bytes().len();
    for segment in message.segments().filter(|segment| segment.name() == b"OBX") {
        touched += segment.field(5).bytes().len();
    }
    touched
}

fn hl7_parser(text: &str) -> usize {
    let message = hl7_parser::parse_message(text).expect("a message");
    let length = |segment: &hl7_parser::message::Segment<'_>, field: usize| {
        segment.field(field).map_or(0, |field| field.raw_value().len())
    };
    let of = |name: &str, field: usize| message.segment(name).map_or(0, |segment| length(segment, field));
    let mut touched = of("MSH", 10) + of("PID", 3) + of("PID", 5);
    for segment in message.segments().filter(|segment| segment.name == "OBX") {
        touched += length(segment, 5);
    }
    touched
}

fn rust_hl7(text: &str) -> usize {
    let message = rusthl7::message::Message::new(text);
    let mut touched =
        message.query("MSH.F10").len() + message.query("PID.F3").len() + message.query("PID.F5").len();
    for segment in message.segments_by_name("OBX").unwrap_or_default() {
        touched += segment.query("F5").len();
    }
    touched
}

fn admission() -> String {
    let mut traffic = Traffic::new(Voice::Rio, "P", 10, 1).padded_to(1024);
    String::from_utf8(traffic.next(Timestamp(1_790_000_000_000)).bytes).expect("text")
}

fn report(observations: usize) -> String {
    let mut text = "MSH|^~\\&|LAB|RQ6|POLYGATE|5LC01|20260101120000||ORU^R01^ORU_R01|L1|P|2.4\r\
        PID|1||H1^^^RQ6^MR~9990000018^^^NHS^NH||SMITH^ANN||19700101|F\rOBR|1|P1|F1|UE^Urea\r"
        .to_owned();
    for line in 1..=observations {
        text.push_str(&format!(
            "OBX|{line}|NM|K{line}^Potassium serum level^L||{line}.1|mmol/L|3.5-5.3|N|||F|||20260101113000\r"
        ));
    }
    text
}

fn large() -> String {
    let mut text = report(1);
    text.push_str("OBX|2|ED|PDF^Report^L||^application^pdf^Base64^");
    text.extend(std::iter::repeat_n('A', 500_000));
    text.push_str("||||||F\r");
    text
}
