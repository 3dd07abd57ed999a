//! What the demonstration's services are to commissioners.

/// For each hub, in the order of [`super::files::HUBS`].
const COUNTED: [&str; 2] = [
    r#"
[activity]
provider = "5LC"
commissioner = "08H00"

[activity.returns]
interchange-sender = "5LC"
interchange-receiver = "DEMO"
recipient = "08H00"

[[activity.service]]
id = "podiatry"
kind = "allied-health"
community-commissioned = true
by-appointment = true
treatment-function = "653"

[[activity.service]]
id = "phlebotomy"
kind = "community"
treatment-function = "822"

[[activity.service]]
id = "minor-illness"
kind = "walk-in-centre"

[[activity.service]]
id = "rio-clinic"
system = "rio"
kind = "mental-health"
by-appointment = true

[[activity.service]]
id = "hospital-clinic"
system = "pas"
kind = "consultant-clinic"
by-appointment = true
main-specialty = "300"
treatment-function = "300"

[[activity.service]]
id = "out-of-hours"
system = "adastra"
kind = "out-of-hours"

[[activity.slot-type]]
system = "rio"
service = "rio-clinic"
from = "2020-01-01"

[[activity.slot-type]]
system = "pas"
service = "hospital-clinic"
from = "2020-01-01"

[[activity.slot-type]]
system = "adastra"
service = "out-of-hours"
from = "2020-01-01"
"#,
    r#"
[activity]
provider = "5LC"
commissioner = "08H00"

[[activity.service]]
id = "physiotherapy"
kind = "allied-health"
by-appointment = true
treatment-time-measured = true
main-specialty = "960"
treatment-function = "650"

[[activity.service]]
id = "retinal-screening"
kind = "diagnostics"
by-appointment = true
"#,
];

/// What hub number `index` counts, as configuration.
pub(super) fn counted(index: usize) -> &'static str {
    COUNTED.get(index).copied().unwrap_or_default()
}
