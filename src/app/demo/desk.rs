//! The demonstration's reception desks: what can be booked at its hubs, and who may sign in.

use anyhow::Context;

use crate::{
    access::{Role, Secret},
    app::hub::RunningHub,
    flow::sign_in::NewUser,
};

/// Those who may sign in at each hub: user, name, role.
pub(super) const STAFF: [(&str, &str, Role); 4] = [
    ("reception", "Rowan Example", Role::Reception),
    ("clinician", "Amara Example", Role::Clinician),
    ("analyst", "Noor Example", Role::Analyst),
    ("administrator", "Alex Example", Role::Administrator),
];
/// Everybody's password: it opens nothing but invented people's appointments, on loopback, until the demonstration ends.
pub(super) const PASSWORD: &str = "demonstration only";

/// What the hubs offer, in the order of [`super::files::HUBS`].
const SERVICES: [&str; 2] = [
    r#"
[booking]
first-box = true

[[service]]
id = "podiatry"
name = "Podiatry"
words = ["foot", "feet", "diabetic foot check"]
telephone = "020 7946 0101"

[[session]]
id = "podiatry-week"
service = "podiatry"
days = ["monday", "tuesday", "wednesday", "thursday", "friday"]
from = "09:00"
until = "12:30"
minutes = 30
clinician = { name = "Joan Example", gender = "female", role = "Podiatrist" }
languages = ["Bengali"]
room = "4"
step-free = true
allot = { waltham-forest = 1 }

[[service]]
id = "phlebotomy"
name = "Blood tests"
words = ["phlebotomy", "HbA1c", "bloods"]
telephone = "020 7946 0102"
walk-in = { area = "ground-floor", letter = "B", minutes = 8 }

[[session]]
id = "phlebotomy-week"
service = "phlebotomy"
days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]
from = "08:00"
until = "11:00"
minutes = 10
places = 2
clinician = { name = "Tunde Example", gender = "male", role = "Phlebotomist" }
languages = ["Yoruba"]
room = "1"
step-free = true

[[service]]
id = "diabetic-review"
name = "Diabetic review"
words = ["diabetes", "nurse"]
telephone = "020 7946 0103"

[[session]]
id = "diabetic-review-week"
service = "diabetic-review"
days = ["monday", "wednesday", "friday"]
from = "10:00"
until = "13:00"
minutes = 20
clinician = { name = "Mary Example", gender = "female", role = "Diabetes specialist nurse" }
room = "6"
step-free = true

[[service]]
id = "leg-ulcer-clinic"
name = "Leg ulcer clinic"
words = ["wound", "community nurse"]
system = "rio"
telephone = "020 7946 0105"

[[session]]
id = "leg-ulcer-week"
service = "leg-ulcer-clinic"
days = ["tuesday", "thursday"]
from = "13:00"
until = "16:00"
minutes = 30
clinician = { name = "Grace Example", gender = "female", role = "Community nurse" }
room = "5"
step-free = true

[[service]]
id = "minor-illness"
name = "Minor illness"
words = ["walk in", "cold", "rash"]
telephone = "020 7946 0104"
walk-in = { area = "ground-floor", letter = "M", minutes = 12 }
"#,
    r#"
[booking]
first-box = true

[[service]]
id = "physiotherapy"
name = "Physiotherapy"
words = ["back", "knee", "musculoskeletal"]
telephone = "020 7946 0201"

[[session]]
id = "physiotherapy-week"
service = "physiotherapy"
days = ["tuesday", "thursday", "friday"]
from = "13:00"
until = "17:00"
minutes = 40
clinician = { name = "Sanjay Example", gender = "male", role = "Physiotherapist" }
languages = ["Gujarati", "Hindi"]
room = "Gym"
step-free = true

[[session]]
id = "physiotherapy-telephone"
service = "physiotherapy"
days = ["monday"]
from = "09:00"
until = "12:00"
minutes = 20
channel = "telephone"
clinician = { name = "Ewa Example", gender = "female", role = "Physiotherapist" }
languages = ["Polish"]

[[service]]
id = "retinal-screening"
name = "Retinal screening"
words = ["eye", "eyes", "diabetes"]
telephone = "020 7946 0202"

[[session]]
id = "retinal-screening-week"
service = "retinal-screening"
days = ["wednesday", "saturday"]
from = "09:00"
until = "13:00"
minutes = 15
room = "2"
step-free = false
equipment = ["retinal camera"]
"#,
];

/// What hub number `index` offers, as configuration.
pub(super) fn services(index: usize) -> &'static str {
    SERVICES.get(index).copied().unwrap_or_default()
}

/// Lets the staff in.
pub(super) fn let_in(running: &RunningHub) -> anyhow::Result<()> {
    let accounts = running.hub.accounts().context("the hub has no accounts")?;
    for (user, name, role) in STAFF {
        let new = NewUser {
            user: user.parse().ok().context("no name of a user")?,
            name: name.to_owned(),
            roles: [role].into(),
            password: Some(Secret::new(PASSWORD)),
            must_change: false,
        };
        accounts.add_user(new, "demonstration").context("nobody can sign in")?;
    }
    Ok(())
}
