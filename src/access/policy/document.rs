//! The policy as Markdown, for people who check it.

use std::fmt::Write as _;

use super::{
    alert::Alert,
    asking::{Basis, Deed, GroundKind, Kept},
    bounds::Bounds,
    rbac::{Activity, INCLUDED, JOBS, WITHOUT_JOB},
    rows::{Lasts, Row, Then, table},
    withhold::{Shows, Withheld},
};

/// Every table of the policy, with the bounds that are given.
pub fn markdown(bounds: &Bounds) -> String {
    let parts = [
        ("Who may do what at all", deeds()),
        ("Job roles and activities", job_roles()),
        ("The rows", rows()),
        ("How long things last", times(bounds)),
        ("Who is told", alerts()),
        ("What is kept back", withheld()),
    ];
    parts.iter().map(|(title, text)| format!("## {title}\n\n{text}")).collect::<Vec<_>>().join("\n")
}

/// A table of Markdown.
fn table_of<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut text = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(N));
    for row in rows {
        // Writing to a String cannot fail.
        writeln!(text, "| {} |", row.join(" | ")).unwrap_or_default();
    }
    text
}

fn deeds() -> String {
    let opened_by = |deed: &Deed| {
        let pairs = deed.opened_by().iter();
        let words: Vec<String> =
            pairs.map(|(role, activity)| format!("{} with {}", role.name(), activity.code())).collect();
        words.join(", or ")
    };
    let of = |deed: &Deed| {
        let leaves = if deed.leaves() { "yes" } else { "" };
        [format!("`{}`", deed.word()), deed.class().word().to_owned(), opened_by(deed), leaves.to_owned()]
    };
    table_of(
        ["deed", "class", "whose work, with which activity", "leaves the hub's screens"],
        Deed::ALL.iter().map(of),
    )
}

fn codes(activities: &[Activity]) -> String {
    activities.iter().map(|activity| activity.code()).collect::<Vec<_>>().join(", ")
}

fn job_roles() -> String {
    let jobs = JOBS.iter().map(|job| {
        let brings = codes(job.activities);
        [job.code.into(), job.name.into(), job.role.name().into(), brings, job.checked.word().into()]
    });
    let activities = Activity::ALL.iter().map(|whole| {
        let parts = INCLUDED.iter().filter(|(of, ..)| of == whole);
        let words: Vec<String> =
            parts.map(|(_, part, checked)| format!("{} ({})", part.code(), checked.word())).collect();
        [whole.code().to_owned(), whole.title().to_owned(), words.join(", ")]
    });
    let without = WITHOUT_JOB
        .iter()
        .map(|(role, job, more)| [role.name().to_owned(), job.unwrap_or("none").to_owned(), codes(more)]);
    [
        table_of(["job role", "name", "works here as", "brings", "rests on"], jobs),
        table_of(["activity", "what it allows", "includes"], activities),
        table_of(["role, if the account has no job role", "stands for", "and brings"], without),
    ]
    .join("\n")
}

fn rows() -> String {
    let conditions = |row: &Row| {
        let all: Vec<String> = row
            .conditions()
            .into_iter()
            .map(|(what, values)| format!("{what}: {}", values.join(" / ")))
            .collect();
        all.join("; ")
    };
    let then = |row: &Row| match row.then {
        Then::Refuse(refusal) => format!("refuse: {}", refusal.word()),
        Then::Permit(opens) => {
            let shown = match opens.shows {
                Shows::Record if opens.sensitive => "record",
                Shows::Record => "record without sensitive items",
                Shows::Appointments => "appointments",
                Shows::Nothing => "nothing of the record",
            };
            let lasts = match opens.lasts {
                Lasts::View => "a view",
                Lasts::Emergency => "the emergency",
                Lasts::Legal => "the legal time",
            };
            let alert = opens.alert.map(|alert| format!(", alert `{}`", alert.word())).unwrap_or_default();
            format!("**permit**: {shown}, for {lasts}{alert}")
        }
    };
    let of = |row: &Row| {
        [row.gate.word().to_owned(), format!("`{}`", row.id), conditions(row), then(row), row.why.to_owned()]
    };
    table_of(["gate", "row", "if", "then", "because"], table().map(of))
}

fn times(bounds: &Bounds) -> String {
    let days = |duration: std::time::Duration| super::words_for(duration);
    let windows = Basis::ALL.iter().map(|basis| {
        let window = bounds.window(*basis);
        let open = if window.open.is_zero() { String::new() } else { days(window.open) };
        [basis.word().to_owned(), days(window.before), days(window.after), open]
    });
    let roles =
        Kept::ALL.iter().map(|kept| [format!("roles kept {}", kept.word()), days(bounds.roles(*kept))]);
    let lasts =
        [("a view", Lasts::View), ("the emergency", Lasts::Emergency), ("the legal time", Lasts::Legal)]
            .map(|(name, lasts)| [name.to_owned(), days(lasts.duration(bounds))]);
    let reason = ["a reason, at least".to_owned(), format!("{} characters", bounds.reason_characters_min)];
    [
        table_of(
            ["relationship", "from so long before", "until so long after", "if it has no end, it ends after"],
            windows,
        ),
        table_of(["what", "how long"], roles.chain(lasts).chain([reason])),
    ]
    .join("\n")
}

fn alerts() -> String {
    let of = |alert: &Alert| {
        [format!("`{}`", alert.word()), alert.for_whom().code().to_owned(), alert.text().to_owned()]
    };
    let needs = GroundKind::ALL.iter().filter_map(|ground| {
        ground.needs().map(|activity| [ground.word().to_owned(), activity.code().to_owned()])
    });
    let told = table_of(["alert", "those who hold", "text, all of it"], Alert::ALL.iter().map(of));
    [told, table_of(["ground", "only for those who hold"], needs)].join("\n")
}

fn withheld() -> String {
    let of = |why: &Withheld| [format!("`{}`", why.word()), why.text().to_owned()];
    table_of(["why", "what is said in its place"], Withheld::ALL.iter().map(of))
}
