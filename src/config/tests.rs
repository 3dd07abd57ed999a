//! What is legal, what is not, and where the fault is said to be.

use std::path::Path;

use super::{file::File, *};
use crate::access::Role;

const GOOD: &str = r#"
[hub]
id = "north"
ods = "5LC01"
name = "North polyclinic"
state = "state"

[centre]
broker = "mqtts://127.0.0.1:8883"
ca = "ca.pem"
certificate = "north.pem"
key = "/etc/north.key"

[[rio]]
name = "rio"
listen = "127.0.0.1:2575"

[[secondary-care]]
name = "pas"
listen = "127.0.0.1:2576"
tls = { certificate = "pas.pem", key = "pas.key" }

[[emis]]
name = "emis-marylebone"
ods = "E87001"
gp-connect = "https://127.0.0.1:9443/"
"#;

fn load(text: &str) -> Result<HubConfig, Vec<String>> {
    let path = Path::new("/etc/polygate/polygate.toml");
    let mut file = File::parse(path, text);
    let config = HubConfig::from_file(&mut file);
    file.finish(config).map_err(|error| match error {
        ConfigError::Faults(faults) => faults.iter().map(Fault::to_string).collect(),
        other => vec![other.to_string()],
    })
}

#[test]
fn the_template_is_legal_as_it_is_and_with_everything_switched_on() {
    let template = template(&"north".parse().unwrap());
    assert!(load(&template).is_ok(), "{:?}", load(&template));
    let all: String =
        template.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line).to_owned() + "\n").collect();
    let config = load(&all).unwrap();
    assert_eq!((config.rio.len(), config.secondary_care.len(), config.emis.len()), (1, 1, 1));
    assert_eq!((config.vision.len(), config.adastra.len(), config.analyser.len()), (1, 1, 1));
    assert!(config.mesh.is_some() && config.bars.is_some() && config.caching.is_some());
    assert_eq!(config.route[0].to, "rio");
    assert_eq!(config.identity_provider.unwrap().roles["R8010"], Role::Reception);
}

/// An identity provider, and the portal that it needs.
const PROVIDER: &str = r#"
[portal]
listen = "127.0.0.1:8443"
[identity-provider]
label = "Example sign-in"
issuer = "https://id.example"
client-id = "north"
client-secret = "provider.secret"
redirect = "https://hub.example/sign-in/callback"
role-claim = "groups"
roles = { desk = "reception" }
"#;

#[test]
fn an_identity_provider_counts_the_hubs_own_roles_and_keeps_files_beside() {
    let section = load(&format!("{GOOD}{PROVIDER}")).unwrap().identity_provider.unwrap();
    assert_eq!(section.client_secret.unwrap(), Path::new("/etc/polygate/provider.secret"));
    assert_eq!((section.scopes.len(), section.organisations.len(), section.user_info), (2, 1, false));
}

#[test]
fn a_fault_in_the_identity_provider_is_said_where_it_stands() {
    for (old, new, key) in [
        ("label = \"Example sign-in\"", "label = \"\"", "label"),
        ("https://id.example", "http://id.example", "issuer"),
        ("https://id.example", "https://id.example/?x=1", "issuer"),
        ("\"north\"", "\"\"", "client-id"),
        ("client-secret", "client-key = \"k\"\nclient-secret", "client-id"),
        ("client-secret = \"provider.secret\"", "", "client-id"),
        ("role-claim", "client-key-algorithm = \"HS256\"\nrole-claim", "client-key-algorithm"),
        ("https://hub.example/sign-in/callback", "http://hub.example/sign-in/callback", "redirect"),
        ("https://hub.example/sign-in/callback", "https://hub.example/x/sign-in/callback", "redirect"),
        ("role-claim", "scopes = [\"profile\"]\nrole-claim", "scopes"),
        ("{ desk = \"reception\" }", "{}", "roles"),
        ("[portal]\nlisten = \"127.0.0.1:8443\"", "", "label"),
    ] {
        let text = format!("{GOOD}{}", PROVIDER.replacen(old, new, 1));
        let faults = load(&text).unwrap_err();
        let said = format!("identity-provider.{key}: ");
        assert!(faults.len() == 1 && faults[0].contains(&said), "{new}: {faults:?}");
        assert!(faults[0].starts_with("/etc/polygate/polygate.toml:"), "{faults:?}");
    }
    let unknown = load(&format!("{GOOD}{}", PROVIDER.replace("roles =", "role = 1\nroles =")));
    assert!(unknown.unwrap_err()[0].contains("unknown field `role`"));
    let foreign = load(&format!("{GOOD}{}", PROVIDER.replace("\"reception\"", "\"root\"")));
    assert!(foreign.unwrap_err()[0].contains("unknown variant `root`"));
}

#[test]
fn paths_are_beside_the_file_and_defaults_are_filled_in() {
    let config = load(GOOD).unwrap();
    assert_eq!(config.hub.state, Path::new("/etc/polygate/state"));
    assert_eq!(config.centre.ca, Path::new("/etc/polygate/ca.pem"));
    assert_eq!(config.centre.key, Path::new("/etc/north.key"));
    let tls = config.secondary_care[0].tls.clone().unwrap();
    assert_eq!(tls.certificate, Path::new("/etc/polygate/pas.pem"));
    assert_eq!((config.rio[0].message_max_mib, config.journal.capacity_mib), (16, 8192));
    assert_eq!((config.emis[0].ods.as_str(), config.emis[0].receives.len()), ("E87001", 2));
    assert!(config.caching.is_none(), "nothing is kept unless it is said on what basis");
}

#[test]
fn each_fault_is_named_with_its_place() {
    let text = GOOD
        .replace("id = \"north\"", "id = \"North/1\"")
        .replace("ca = \"ca.pem\"", "cafile = \"ca.pem\"")
        .replace("127.0.0.1:2575", "somewhere")
        + "[[pharmacy]]\nname = \"x\"\n";
    let faults = load(&text).unwrap_err();
    let places: Vec<&str> =
        faults.iter().map(|fault| fault.trim_start_matches("/etc/polygate/polygate.toml:")).collect();
    assert_eq!(places.len(), 4, "{places:#?}");
    assert!(places[0].starts_with("3:6: ") && places[0].contains("a-z"), "{}", places[0]);
    assert!(places[1].starts_with("10:1: ") && places[1].contains("cafile"), "{}", places[1]);
    assert!(places[2].starts_with("16:10: "), "{}", places[2]);
    assert!(places[3].contains("pharmacy"), "{}", places[3]);
}

#[test]
fn what_reads_well_and_means_something_illegal_is_a_fault_too() {
    let cases = [
        ("mqtts://127.0.0.1:8883", "mqtt://broker.example:1883", "centre.broker"),
        ("mqtts://127.0.0.1:8883", "127.0.0.1", "centre.broker"),
        ("name = \"pas\"", "name = \"rio\"", "two links are called"),
        ("127.0.0.1:2576", "127.0.0.1:2575", "two links listen"),
        ("[[rio]]", "[portal]\nlisten = \"0.0.0.0:8443\"\n[[rio]]", "certificate and key"),
        ("[[rio]]", "[journal]\ncapacity-mib = 1\n[[rio]]", "at least 64"),
        ("[[rio]]", "[rio]", "two brackets"),
        ("[hub]", "[hub", "expected `]`"),
        ("[[emis]]", "[[analyser]]\nname = \"x\"\n[[emis]]", "exactly one of device, listen and connect"),
        ("ods = \"E87001\"", "ods = \"E87001\"\nmailbox = \"M\"", "needs the section [mesh]"),
        ("ods = \"E87001\"", "ods = \"E8-01\"", "3 to 6 letters"),
        ("name = \"emis-marylebone\"", "name = \"pas\"", "two links are called \"pas\""),
        ("https://127.0.0.1:9443/", "http://10.1.1.1/", "without TLS"),
        ("[[rio]]", "[[adastra]]\nname = \"a\"\nlisten = \"127.0.0.1:2576\"\n[[rio]]", "two links listen"),
        ("[[emis]]", "[caching]\nbasis = \" \"\n[[emis]]", "without a basis nothing is kept"),
        ("[[emis]]", "[[route]]\nwhat = [\"results\"]\nto = \"rio\"\n[[emis]]", "no link with deliver"),
        (
            "[[emis]]",
            "[[route]]\nfrom = [\"x\"]\nwhat = []\nto = \"registered-practice\"\n[[emis]]",
            "say what",
        ),
        ("[[emis]]", "[bars]\nservices = [\"1\"]\nlisten = \"0.0.0.0:8444\"\n[[emis]]", "tls with client-ca"),
        ("[[emis]]", "[bars]\nservices = [\"1\"]\n[[emis]]", "needs listen, or the section [portal]"),
        ("name = \"rio\"", "name = \"mesh\"", "a name of the hub's own"),
        ("name = \"rio\"", "name = \"rio\"\nsubscribe = [\"results\"]", "needs `deliver`"),
    ];
    for (from, to, expected) in cases {
        let faults = load(&GOOD.replace(from, to)).unwrap_err();
        assert!(faults.iter().any(|fault| fault.contains(expected)), "{to}: {faults:#?}");
    }
    assert!(!load("").unwrap_err().is_empty());
}

const CLINIC: &str = r#"
[[service]]
id = "podiatry"
name = "Podiatry"
[[session]]
id = "feet-monday"
service = "podiatry"
days = ["monday"]
from = "09:00"
until = "12:00"
minutes = 30
clinician = { name = "Joan Example" }
room = "4"
equipment = ["doppler"]
[[session]]
id = "feet-late"
service = "podiatry"
days = ["monday"]
from = "12:00"
until = "13:00"
minutes = 20
clinician = { name = "Joan Example" }
room = "4"
equipment = ["doppler"]
"#;

#[test]
fn services_and_sessions_become_a_catalogue() {
    let config = load(&format!("{GOOD}{CLINIC}")).unwrap();
    let catalogue = config.catalogue();
    let (service, session) = (&catalogue.services[0], &catalogue.sessions[0]);
    assert_eq!((service.system.as_str(), service.organisation.as_str()), ("hub", config.hub.name.as_str()));
    assert_eq!(
        (session.places, session.sell_by_hours, session.place.name.as_str()),
        (1, 24, "North polyclinic")
    );
}

#[test]
fn what_cannot_be_in_two_places_at_once_is_a_fault() {
    let cases = [
        ("from = \"12:00\"", "from = \"11:20\"", "the clinician is in \"feet-monday\""),
        ("from = \"12:00\"", "from = \"11:20\"", "the room is used by \"feet-monday\""),
        ("from = \"12:00\"", "from = \"11:20\"", "\"doppler\" is used by \"feet-monday\""),
        ("minutes = 20", "minutes = 25", "slots of 25 minutes do not fill 60 minutes"),
        ("minutes = 20", "minutes = 3", "5 to 480"),
        ("until = \"13:00\"", "until = \"11:00\"", "ends before it begins"),
        ("id = \"feet-late\"", "id = \"feet-monday\"", "two sessions are called"),
        ("id = \"podiatry\"", "id = \"emis-marylebone\"", "a service and a practice"),
        ("name = \"Podiatry\"", "name = \"Podiatry\"\nsystem = \"rio\"", "no link with `deliver`"),
        ("minutes = 20", "minutes = 20\nallot = { centre = 4 }", "4 places are allotted"),
        ("minutes = 20", "minutes = 20\nallot = { north = 1 }", "what it does not allot"),
        ("days = [\"monday\"]\nfrom = \"12:00\"", "from = \"12:00\"", "on which days"),
        ("minutes = 20", "minutes = 20\nplaces = 0", "1 to 100 places"),
        ("minutes = 20", "minutes = 20\ncolour = \"red\"", "colour"),
    ];
    for (from, to, expected) in cases {
        let text = format!("{GOOD}{}", CLINIC.replace(from, to));
        let faults = load(&text).expect_err(to);
        assert!(faults.iter().any(|fault| fault.contains(expected)), "{to}: {faults:#?}");
    }
    let other_day = CLINIC.replacen("from = \"12:00\"", "from = \"11:20\"", 1).replacen(
        "days = [\"monday\"]\nfrom = \"11:20\"",
        "days = [\"tuesday\"]\nfrom = \"11:20\"",
        1,
    );
    load(&format!("{GOOD}{other_day}")).unwrap();
}

#[test]
fn services_are_booked_over_bars_only_where_that_is_said() {
    let bars = "[bars]\nservices = [\"1\"]\nlisten = \"127.0.0.1:8444\"\n";
    let open = CLINIC.replace("name = \"Podiatry\"", "name = \"Podiatry\"\nbars = true");
    let config = load(&format!("{GOOD}{bars}{open}")).unwrap();
    assert_eq!(config.services_for_bars(), ["podiatry".parse().unwrap()]);
    assert!(load(&format!("{GOOD}{bars}{CLINIC}")).unwrap().services_for_bars().is_empty());
    let long = format!("id = \"{}\"", "x".repeat(51));
    for (text, expected) in [
        (format!("{GOOD}{open}"), "it needs the section [bars]"),
        (format!("{GOOD}{bars}{}", open.replace("bars = true", "bars = true\nsystem = \"pas\"")), "own book"),
        (format!("{GOOD}{bars}{}", open.replace("id = \"feet-late\"", &long)), "at most 50 characters"),
    ] {
        let faults = load(&text).unwrap_err();
        assert!(faults.iter().any(|fault| fault.contains(expected)), "{expected}: {faults:#?}");
    }
}

#[test]
fn a_fault_in_a_list_is_said_where_it_stands() {
    let second = "\n[[emis]]\nname = \"emis-two\"\nods = \"E87002\"\ngp-connect = \"nonsense\"\n";
    let third = "\n[[emis]]\nname = \"emis-three\"\nods = \"E87003\"\ngp-connect = \"https://127.0.0.1/\"\n";
    let text = format!("{GOOD}{second}{third}");
    let line = text.lines().position(|line| line.contains("nonsense")).unwrap() + 1;
    let faults = load(&text).unwrap_err();
    assert_eq!(faults.len(), 1, "{faults:#?}");
    assert!(faults[0].contains(&format!("polygate.toml:{line}:")), "{}", faults[0]);
}

#[test]
fn a_fault_is_said_where_it_stands_also_after_a_section_that_cannot_be_read() {
    let unreadable = "\n[[emis]]\nname = \"emis-two\"\nods = 7\n";
    let wrong = "\n[[emis]]\nname = \"emis-three\"\nods = \"E87003\"\ngp-connect = \"nonsense\"\n";
    let text = format!("{GOOD}{unreadable}{wrong}");
    let line = text.lines().position(|line| line.contains("nonsense")).unwrap() + 1;
    let faults = load(&text).unwrap_err();
    assert_eq!(faults.len(), 2, "{faults:#?}");
    assert!(faults[1].contains(&format!("polygate.toml:{line}:")), "{}", faults[1]);
}

#[test]
fn a_clinic_may_stand_in_for_another_on_a_date_on_which_that_is_closed() {
    let instead = |closed: &str| {
        let closed =
            CLINIC.replacen("days = [\"monday\"]", &format!("days = [\"monday\"]\nclosed = [{closed}]"), 1);
        let other = CLINIC.split("[[session]]").nth(1).unwrap();
        let other = other.replacen("days = [\"monday\"]", "dates = [\"2027-01-04\"]", 1);
        format!("{GOOD}{closed}\n[[session]]{}", other.replacen("id = \"", "id = \"instead-", 1))
    };
    load(&instead("\"2027-01-04\"")).unwrap();
    assert!(!load(&instead("")).unwrap_err().is_empty());
}
