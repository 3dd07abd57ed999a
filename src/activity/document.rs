//! The tables by which contacts are matched, believed, routed and checked, as Markdown, for people who check them.

use std::fmt::Write as _;

use super::{
    derive::{ECHO_MILLISECONDS, MATCHING, PRECEDENCE},
    funnel::DID_NOT_ATTEND,
    quality::RULES,
    route::{POLYCLINIC, ROWS, Then},
};

/// Every table.
pub fn markdown() -> String {
    let parts = [
        ("Which statements are about one contact", matching()),
        ("Who is believed", precedence()),
        ("Into which return", rows()),
        ("Sums", sums()),
        ("Data quality", rules()),
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

fn matching() -> String {
    let rows = MATCHING.iter().map(|rule| [rule.id, rule.one, rule.two].map(str::to_owned));
    let hours = ECHO_MILLISECONDS / (60 * 60 * 1000);
    format!(
        "{}\nWithin {hours} hours of each other counts as within a day (to be confirmed with each system's supplier).\n",
        table_of(["rule", "one contact", "two contacts"], rows)
    )
}

fn precedence() -> String {
    let rows = PRECEDENCE.iter().enumerate();
    table_of(
        ["", "believed", "because"],
        rows.map(|(place, (who, why))| [(place + 1).to_string(), who.word().to_owned(), (*why).to_owned()]),
    )
}

fn confirmed(is_confirmed: bool) -> String {
    if is_confirmed { String::new() } else { "to be confirmed".to_owned() }
}

fn rows() -> String {
    let then = |then: Then| match then {
        Then::Return(dataset) => format!("**{}**", dataset.word()),
        Then::Exclude(why) => format!("none: {}", why.word()),
    };
    let rows = ROWS.iter().map(|row| {
        [row.id.to_owned(), row.conditions(), then(row.then), row.why.to_owned(), confirmed(row.is_confirmed)]
    });
    format!(
        "{}\nWhat is priced is in ACM and PLCM too. ACTIVITY LOCATION TYPE CODE is `{POLYCLINIC}`, polyclinic, unless a contact says otherwise.\n",
        table_of(["row", "if", "return", "because", ""], rows)
    )
}

fn sums() -> String {
    format!(
        "- booked = attended + did not attend + cancelled by patient + cancelled by provider + outstanding\n\
         - came without a booking = the same, and closed without being seen\n\
         - attended = routed + excluded, by reason\n\
         - routed = accepted + rejected + awaiting an answer\n\n\
         Did not attend: {DID_NOT_ATTEND}.\n"
    )
}

fn rules() -> String {
    let rows = RULES.iter().map(|rule| {
        let cells = [rule.id, rule.severity.word(), rule.what, rule.why, rule.to_do, rule.fix.word()];
        let cells = cells.map(|text| text.trim_end_matches('°').to_owned());
        let [id, severity, what, why, to_do, fix] = cells;
        [id, severity, what, why, to_do, fix, confirmed(rule.is_confirmed)]
    });
    table_of(["rule", "severity", "what", "why", "what to do", "where", ""], rows)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    const BEGIN: &str = "<!-- tables: written by the tests of activity::document -->\n";
    const END: &str = "<!-- end of tables -->\n";

    #[test]
    fn the_document_has_the_tables_of_the_code() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/activity.md");
        let found = fs::read_to_string(&path).unwrap();
        let (before, rest) = found.split_once(BEGIN).unwrap();
        let (_, after) = rest.split_once(END).unwrap();
        let text = format!("{before}{BEGIN}\n{}\n{END}{after}", super::markdown());
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, &text).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap();
        assert!(found == text, "docs/activity.md is not what the code says; UPDATE_GOLDEN=1 writes it anew");
    }
}
