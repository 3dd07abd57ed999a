//! Whatever comes, of whatever length a message may have: each codec ends, and takes no more memory than a stated
//! multiple of it.
#![expect(clippy::unwrap_used, reason = "a test tells by panicking")]

#[path = "support/mod.rs"]
mod support;
#[path = "fuzz/targets.rs"]
mod targets;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use peak_alloc::PeakAlloc;
use polygate::{
    codec::fhir::r4::{Author, Ids, Reading, ResourceType, binary, resources, summary, write},
    domain::{
        one_record::{OneRecord, Parts, Source, Statement, assemble},
        record::ItemKind,
        time::Timestamp,
    },
};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The longest message that a hub takes, in bytes.
const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// Parts within parts that a reader which calls itself for each would not survive.
const DEPTH: usize = 100_000;
/// What a codec may take besides a multiple of its input, in bytes.
const FIXED_BYTES: usize = 1 << 20;
/// The same where a tree is made of the whole: it has room for half a million marks (`codec/xml.rs`), however little
/// there is between them.
const TREE_BYTES: usize = 64 << 20;
/// Bytes that mean something to some protocol, and some that mean nothing to any.
const SPECIAL: &[u8] =
    b"=\0\x02\x03\x04\x05\x06\x0b\x0d\x15\x17\x1c\n \"&'+:,-/;<>?A0[]{}\\^|~\x7f\x80\xc3\xff";

/// The measure is of the whole process: one at a time.
static TURN: Mutex<()> = Mutex::new(());

/// One format, and what makes its readers work hard.
struct Format {
    /// Its target.
    name: &'static str,
    /// How many times its input it may take, while it is read, understood and looked at.
    multiple: usize,
    /// What it may take besides, in bytes.
    fixed: usize,
    /// How a document begins, so that what follows is read at all.
    head: &'static [u8],
    /// What a document may be made of, again and again.
    units: &'static [&'static [u8]],
    /// How it ends.
    tail: &'static [u8],
}

/// Feeds a format with everything, and fails on the first input that takes too much.
fn feed(format: &Format) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut highest = 0;
    let mut put = |what: &str, input: Vec<u8>| {
        assert!(input.len() <= MESSAGE_BYTES_MAX, "{what} is longer than a message may be");
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        (targets::target(format.name).take_in)(&input);
        let taken = MEMORY.peak_usage().saturating_sub(before);
        let most = format.multiple * input.len() + format.fixed;
        assert!(taken <= most, "{}: {what}: {taken} bytes for an input of {}", format.name, input.len());
        highest = highest.max(taken);
    };
    for byte in SPECIAL {
        put(&format!("the byte {byte:#04x}"), vec![*byte; MESSAGE_BYTES_MAX]);
        put(&format!("a head, then the byte {byte:#04x}"), filled(format.head, &[*byte], format.tail));
    }
    for unit in format.units {
        put(&format!("a head, then {}", unit.escape_ascii()), filled(format.head, unit, format.tail));
        put(&format!("{} without an end", unit.escape_ascii()), filled(format.head, unit, b""));
    }
    for (what, input) in nested().into_iter().chain(bombs()) {
        put(what, input);
    }
    support::counted(&format!(
        "{}: takes at most {} MiB for any input of 16 MiB",
        format.name,
        highest >> 20
    ));
}

/// A head, a unit as often as there is room, and a tail: as long as a message may be.
fn filled(head: &[u8], unit: &[u8], tail: &[u8]) -> Vec<u8> {
    let room = MESSAGE_BYTES_MAX - head.len() - tail.len();
    [head, &unit.repeat(room / unit.len()), tail].concat()
}

/// Parts within parts, with and without an end.
fn nested() -> Vec<(&'static str, Vec<u8>)> {
    let text = |open: &str, close: &str, ends: bool| {
        let end = if ends { close.repeat(DEPTH) } else { String::new() };
        (open.repeat(DEPTH) + &end).into_bytes()
    };
    vec![
        ("lists in lists", text("[", "]", true)),
        ("lists without an end", text("[", "]", false)),
        (
            "objects in objects",
            [b"{\"resourceType\":\"Bundle\",\"a\":".to_vec(), text("{\"a\":", "}", true)].concat(),
        ),
        ("objects without an end", text("{\"a\":", "}", false)),
        ("elements in elements", text("<a>", "</a>", true)),
        ("elements without an end", text("<a>", "</a>", false)),
        ("elements in a resource", [b"<Bundle>".to_vec(), text("<entry>", "</entry>", true)].concat()),
        ("CBOR lists in lists", vec![0x81; DEPTH]),
        ("CBOR maps in maps", [0xa1, 0x61, 0x61].repeat(DEPTH)),
        (
            "CBOR that claims to be longer than anything",
            vec![0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ),
    ]
}

/// Small documents that become large ones if their entities are believed, and ones that ask for a file.
fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let mut laughs = String::from("<?xml version=\"1.0\"?><!DOCTYPE Bundle [<!ENTITY a0 \"lol\">");
    for level in 1..30 {
        let before = format!("&a{};", level - 1).repeat(10);
        laughs.push_str(&format!("<!ENTITY a{level} \"{before}\">"));
    }
    laughs.push_str("]><Bundle><id value=\"&a29;\"/><text>&a29;</text></Bundle>");
    let long = "x".repeat(1 << 20);
    let quadratic = format!(
        "<!DOCTYPE Bundle [<!ENTITY a \"{long}\">]><Bundle><text>{}</text></Bundle>",
        "&a;".repeat(1 << 20)
    );
    let file =
        "<!DOCTYPE Bundle [<!ENTITY f SYSTEM \"file:///etc/passwd\">]><Bundle><id value=\"&f;\"/></Bundle>";
    let endless =
        "<!DOCTYPE Bundle [<!ENTITY a \"&b;\"><!ENTITY b \"&a;\">]><Bundle><text>&a;</text></Bundle>";
    vec![
        ("a billion laughs", laughs.into_bytes()),
        ("an entity of 1 MiB, a million times", quadratic.into_bytes()),
        ("an entity from a file", file.as_bytes().to_vec()),
        ("entities that name each other", endless.as_bytes().to_vec()),
    ]
}

/// Every file below a folder; none if there is no such folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn every_seed_of_the_fuzz_targets_is_survived() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    for target in &targets::TARGETS {
        let cases = match target.name {
            "adastra-case" | "itk" => "adastra",
            "fhir-json" | "fhir-xml" => "gp-connect",
            name => name,
        };
        let seeds = [root.join("fuzz/seeds").join(target.name), root.join("conformance").join(cases)];
        for path in seeds.iter().flat_map(|folder| files(folder)) {
            (target.try_all)(&fs::read(path).unwrap());
        }
    }
}

#[test]
fn bars() {
    feed(&Format {
        name: "bars",
        multiple: 20,
        fixed: FIXED_BYTES,
        head: br#"{"resourceType":"Bundle","type":"message","id":"1","entry":[{"fullUrl":"h","resource":{
            "resourceType":"MessageHeader","source":{"endpoint":"e"},"focus":[{"reference":"f"}],
            "definition":"https://fhir.nhs.uk/MessageDefinition/bars-message-servicerequest-request-referral",
            "eventCoding":{"system":"https://fhir.nhs.uk/CodeSystem/message-events-bars",
            "code":"servicerequest-request"},"reason":{"coding":[{"code":"new",
            "system":"https://fhir.nhs.uk/CodeSystem/message-reason-bars"}]}}},{"fullUrl":"p","resource":{
            "resourceType":"Patient"}},{"fullUrl":"f","resource":{"resourceType":"ServiceRequest","status":"active",
            "subject":{"reference":"p"},"note":["#,
        units: &[b"{},", b"{\"text\":\"a\"},", b"{\"a\":[1]},", b"1,", b"\"\",", b"[[]],", b"\\u0041"],
        tail: b"1]}}]}",
    });
}

#[test]
fn cbor() {
    feed(&Format {
        name: "cbor",
        multiple: 1,
        fixed: FIXED_BYTES,
        head: b"\x9a\x00\xff\xff\xff",
        units: &[b"\xf6", b"\xa0", b"\x80", b"\x60", b"\x40"],
        tail: b"\xff",
    });
}

#[test]
fn edifact() {
    feed(&Format {
        name: "edifact",
        multiple: 4,
        fixed: FIXED_BYTES,
        head: b"UNB+UNOC:3+000000004400009:80+000000024600009:80+260105:1015+1++MEDRPT'\
            UNH+1+MEDRPT:0:1:RT:NHS003'BGM+LSR'S02+02'RFF+SRI:1'S07+07'PNA+PAT+9990000018:OPI+++SU:A'",
        units: &[
            b"GIS+N'",
            b"GIS+N'INV+MQ+44I4.:911::K'RSL+NV+1++:::g'",
            b"S16+16'SEQ++1'SPC+TSP+:::B'",
            b"FTX+SPC+++a:b:c:d:e'",
            b"S20+20'RND+U+1+2'",
            b"NAD+MR+G9999998:900'",
            b"S01+01'NAD+MR+G9999998:900'",
            b"UNT+1+1'UNH+1+MEDRPT:0:1:RT:NHS003'",
            b"?'",
        ],
        tail: b"'UNT+9+1'UNZ+1+1'",
    });
}

#[test]
fn fhir_json() {
    feed(&Format {
        name: "fhir-json",
        multiple: 18,
        fixed: FIXED_BYTES,
        head: b"{\"resourceType\":\"Bundle\",\"entry\":[1,",
        units: &[
            b"{},",
            b"[],",
            b"[[]],",
            b"1,",
            b"\"\",",
            b"{\"a\":{}},",
            b"null,",
            b"\"\\u0041\",",
            b"\\u0041",
        ],
        tail: b"1]}",
    });
}

#[test]
fn fhir_xml() {
    feed(&Format {
        name: "fhir-xml",
        multiple: 18,
        fixed: FIXED_BYTES,
        head: b"<Bundle xmlns=\"http://hl7.org/fhir\">",
        units: &[
            b"<entry/>",
            b"<entry><resource/></entry>",
            b"<id value=\"\"/>",
            b"<text><div/></text>",
            b"<!---->",
            b"&amp;",
            b"&#65;",
            b"<?a?>",
            b"<![CDATA[]]>",
        ],
        tail: b"</Bundle>",
    });
}

const UNITS_OF_HL7: &[&[u8]] = &[
    b"OBX|1|NM|A^B||1\r",
    b"OBX\r",
    b"OBR\r",
    b"PID|1||H1~H2~H3\r",
    b"Z\r",
    b"\\F\\",
    b"\\X41\\",
    b"\\X",
    b"&^~|",
];

#[test]
fn hl7v2() {
    // As many segments as are taken, each as long as a message then allows.
    let longest = [b"OBX|1|NM|A^B||".as_slice(), &[b'x'; 830], b"\r"].concat();
    let units: Vec<&'static [u8]> = vec![longest.leak()];
    let of_longest = units.leak();
    for units in [UNITS_OF_HL7, of_longest] {
        feed(&Format {
            name: "hl7v2",
            multiple: 8,
            fixed: FIXED_BYTES,
            head:
                b"MSH|^~\\&|LAB|RQ6|PG|5LC01|20260105101500||ORU^R01|M1|P|2.4\rPID|1||H1\rOBR|1|P1|F1|A^B\r",
            units,
            tail: b"\r",
        });
    }
}

#[test]
fn adastra_case() {
    feed(&Format {
        name: "adastra-case",
        multiple: 5,
        fixed: TREE_BYTES,
        head: b"<adastraCaseDataExport xmlns=\"http://www.adastra.com/dataExport\"><adastraCaseReference>1\
            </adastraCaseReference>",
        units: &[
            b"<consultation/>",
            b"<consultation><startTime>2026</startTime><clinicalCode/></consultation>",
            b"<specialNote><text>a</text></specialNote>",
            b"<outcome><description>a</description></outcome>",
            b"<a>",
            b" b='c'",
            b"&#65;",
            b"<!---->",
            b"<![CDATA[]]>",
        ],
        tail: b"</adastraCaseDataExport>",
    });
}

#[test]
fn itk() {
    feed(&Format {
        name: "itk",
        multiple: 5,
        fixed: TREE_BYTES,
        head: b"<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Header><MessageID>1</MessageID>\
            <Action>a</Action><To>b</To></s:Header><s:Body><DistributionEnvelope><header service='a' trackingid='1'>\
            <manifest count='1'><manifestitem id='1' profileid='urn:nhs-en:profile:nhs111CDADocument-v2-0'/></manifest>\
            </header><payloads count='1'><payload id='1'><ClinicalDocument><id root='1'/><component><structuredBody>",
        units: &[
            b"<component><section><title>a</title><text>b</text></section></component>",
            b"<component><section>",
            b"<entry><observation><code code='1' codeSystem='2'/></observation></entry>",
            b"<br/>",
            b"<a>",
            b"&#65;",
            b"<!---->",
            b"<![CDATA[]]>",
        ],
        tail: b"</structuredBody></component></ClinicalDocument></payload></payloads></DistributionEnvelope></s:Body>\
            </s:Envelope>",
    });
}

#[test]
fn kettering() {
    feed(&Format {
        name: "kettering",
        multiple: 5,
        fixed: TREE_BYTES,
        head: b"<?xml version='1.0' encoding='ISO-8859-1'?><ReportMsg><MsgId>1</MsgId><PatientMatchingInfo>\
            </PatientMatchingInfo><ClinicalReport><TextItem><TextBlock>a",
        units: &[
            b"<TextItem><TextBlock>",
            b"<TextItem><TextBlock>a</TextBlock></TextItem>",
            b"<Id>",
            b"<RelDate>82",
            b"<a b='c'/>",
            b" b='c'",
            b"<![CDATA[a]]>",
            b"&amp;",
            b"&#233;",
            b"=",
            b"\xe9",
            b"\x92",
            b"<!-- -->",
            b"]]>",
        ],
        tail: b"</TextBlock></TextItem></ClinicalReport></ReportMsg>",
    });
}

#[test]
fn lis2() {
    feed(&Format {
        name: "lis2",
        multiple: 8,
        fixed: FIXED_BYTES,
        head: b"\x05\x021H|\\^&\r\x03E5\r\n",
        units: &[
            b"\x021R|1|^^^A|1\r\x0399\r\n",
            b"\x05",
            b"\x021\x17",
            b"H|\\^&\r",
            b"\x04\x05",
            b"R|1|^^^A|1\r",
        ],
        tail: b"\x04",
    });
}

#[test]
fn mllp() {
    feed(&Format {
        name: "mllp",
        multiple: 4,
        fixed: FIXED_BYTES,
        head: b"\x0b",
        units: &[b"\x0b\x1c\r", b"\x1c\r", b"\x0bMSH|\x1c\r", b"\x1c\x0b", b"MSH|^~\\&|"],
        tail: b"\x1c\r",
    });
}

#[test]
fn poct1a() {
    feed(&Format {
        name: "poct1a",
        multiple: 5,
        fixed: TREE_BYTES,
        head: b"<OBS.R01><HDR><HDR.control_id V=\"1\"/></HDR><SVC>",
        units: &[
            b"<OBS><OBS.observation_id V=\"a\"/><OBS.value V=\"1\"/></OBS>",
            b"<SVC>",
            b"<a/>",
            b"<OBS.R01><HDR/></OBS.R01>",
            b" b=\"c\"",
            b"&#65;",
            b"<!---->",
            b"<![CDATA[]]>",
        ],
        tail: b"</SVC></OBS.R01>",
    });
}

/// What the FHIR of a record may take, for each byte of the record's texts and each of its items (`codec/fhir/r4`).
const FACADE_MULTIPLE: usize = 16;
const FACADE_ITEM_BYTES: usize = 16 << 10;

/// A record of so many items of a kind, each with a text of so many bytes.
fn record_of(kind: ItemKind, count: usize, text: &str) -> OneRecord {
    let statements = (0..count).map(|number| {
        let source = Source {
            system: "one".to_owned(),
            key: number.to_string(),
            author: None,
            organisation: None,
            said_at: Timestamp(0),
            received_at: Timestamp(0),
            cached: false,
            source_id: String::new(),
        };
        let fields = ["name", "note", "value", "content", "report", "codings"];
        let fields = fields.map(|name| (name.to_owned(), text.to_owned())).into();
        Statement { kind, key: number.to_string(), fields, withdrawn: false, source }
    });
    assemble(Parts { statements: statements.collect(), ..Parts::default() }, Timestamp(0))
}

#[test]
fn a_record_as_fhir_takes_a_stated_multiple_of_it() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let ids = Ids::new([0; 32]);
    let author = Author { name: "Hub".to_owned(), organisation: "X".to_owned() };
    let mut highest = 0;
    for (count, text) in [
        (1, "<".repeat(1 << 20)),
        (1, "x".repeat(4 << 20)),
        (4, "\u{1}\n".repeat(1 << 19)),
        (1, "local|1|x\n".repeat(5_000)),
        (2_000, "text".to_owned()),
        (2_000, "&\"".repeat(500)),
    ] {
        for kind in [ItemKind::Result, ItemKind::Allergy, ItemKind::Document, ItemKind::Encounter] {
            let record = record_of(kind, count, &text);
            let reading = Reading::new(&record, &[], "https://hub.example/fhir/r4", &ids);
            let before = MEMORY.current_usage();
            MEMORY.reset_peak_usage();
            for kind in ResourceType::ALL {
                let given = resources(&reading, kind);
                drop(given.iter().map(write).collect::<Vec<_>>());
                drop(given.first().and_then(|one| binary(&reading, one["id"].as_str().unwrap())));
            }
            drop(write(&summary(&reading, &author, Timestamp(0))));
            let taken = MEMORY.peak_usage().saturating_sub(before);
            let most = FACADE_MULTIPLE * count * text.len() * 6 + FACADE_ITEM_BYTES * count + FIXED_BYTES;
            assert!(taken <= most, "{kind:?}, {count} of {} bytes: {taken}", text.len());
            highest = highest.max(taken);
        }
    }
    support::counted(&format!("a record as FHIR: at most {} MiB", highest >> 20));
}
