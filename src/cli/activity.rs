//! `polygate activity`: how a month adds up, and the files that commissioners get.

use std::path::PathBuf;

use clap::Subcommand;

use crate::{
    domain::contact::{ContactId, Month},
    flow::count::{ReturnKind, Version},
    manage::{activity::ActivityRequest, client::Exit, protocol::AdminRequest},
};

use super::{Asked, say};

/// A report of a hundred thousand lines.
const REPORT_BYTES_MAX: u64 = 16 << 20;
/// Sent in one request, which has 64 KiB with what JSON adds.
const PART_BYTES: usize = 24 << 10;

#[derive(Debug, Subcommand)]
pub(super) enum Activity {
    /// Check that a month adds up; exit code 1 if it does not
    Check {
        #[command(flatten)]
        asked: Asked,
        /// The month, as YYYY-MM; this one without it
        #[arg(long)]
        month: Option<Month>,
    },
    /// List a month's contacts: where each is counted, and by which rule; no names or numbers of patients
    Contacts {
        #[command(flatten)]
        asked: Asked,
        /// The month, as YYYY-MM
        #[arg(long)]
        month: Month,
    },
    /// Show one contact: what it rests on, and why it is counted where it is
    Contact {
        #[command(flatten)]
        asked: Asked,
        /// Its name, as `polygate activity contacts` lists it
        id: ContactId,
    },
    /// Build the next version of a month's returns; nothing that was built is written over
    Build {
        #[command(flatten)]
        asked: Asked,
        /// The month, as YYYY-MM
        #[arg(long)]
        month: Month,
        /// Only this return: cds-6.2-outpatient, ecds-4, csds or contract
        #[arg(long = "return", value_parser = kind)]
        kinds: Vec<ReturnKind>,
    },
    /// List what was built, with checksums
    Files {
        #[command(flatten)]
        asked: Asked,
    },
    /// Note that a version was submitted: the next one says what differs from it
    Submitted {
        #[command(flatten)]
        asked: Asked,
        /// The month, as YYYY-MM
        #[arg(long)]
        month: Month,
        /// Which return
        #[arg(long = "return", value_parser = kind)]
        kind: ReturnKind,
        /// Which version
        #[arg(long, value_parser = version)]
        version: Version,
    },
    /// Take a receiver's report of what it accepted and rejected (CSV; see docs/returns.md)
    Answer {
        #[command(flatten)]
        asked: Asked,
        /// On which return
        #[arg(long = "return", value_parser = kind)]
        kind: ReturnKind,
        /// The report
        file: PathBuf,
    },
}

/// Does what was asked.
pub(super) fn act(activity: Activity) -> Exit {
    let (asked, request) = match activity {
        Activity::Check { asked, month } => (asked, ActivityRequest::Check { month }),
        Activity::Contacts { asked, month } => (asked, ActivityRequest::Contacts { month }),
        Activity::Contact { asked, id } => (asked, ActivityRequest::Contact { id }),
        Activity::Build { asked, month, kinds } => (asked, ActivityRequest::Build { month, kinds }),
        Activity::Files { asked } => (asked, ActivityRequest::Files),
        Activity::Submitted { asked, month, kind, version } => {
            (asked, ActivityRequest::Submitted { month, kind, version })
        }
        Activity::Answer { asked, kind, file } => match read(&file) {
            Ok(report) => return answer(&asked, kind, &report),
            Err(reason) => {
                say(&mut std::io::stderr(), &format!("polygate: {}: {reason}", file.display()));
                return Exit::Usage;
            }
        },
    };
    super::ask(&asked, &AdminRequest::Activity(request))
}

/// Sends a report in parts, each with its heading.
fn answer(asked: &Asked, kind: ReturnKind, report: &str) -> Exit {
    let (heading, lines) = report.split_once('\n').unwrap_or((report, ""));
    let mut rest = lines;
    loop {
        let (part, more) = part_of(rest);
        let request = ActivityRequest::Answer { kind, report: format!("{heading}\n{part}") };
        let exit = super::ask(asked, &AdminRequest::Activity(request));
        if exit != Exit::Ok || more.is_empty() {
            return exit;
        }
        rest = more;
    }
}

/// As many whole lines as one request has room for, at least one.
fn part_of(lines: &str) -> (&str, &str) {
    if lines.len() <= PART_BYTES {
        return (lines, "");
    }
    let mut end = PART_BYTES;
    while !lines.is_char_boundary(end) {
        end -= 1;
    }
    let (head, _) = lines.split_at(end);
    let cut = head.rfind('\n').or_else(|| lines.find('\n')).map_or(lines.len(), |at| at + 1);
    lines.split_at(cut)
}

fn read(file: &PathBuf) -> Result<String, String> {
    let length = std::fs::metadata(file).map_err(|error| error.to_string())?.len();
    if REPORT_BYTES_MAX < length {
        return Err(format!("longer than {REPORT_BYTES_MAX} bytes: split it, each part with the heading"));
    }
    std::fs::read_to_string(file).map_err(|error| error.to_string())
}

fn kind(text: &str) -> Result<ReturnKind, String> {
    ReturnKind::of(text).ok_or_else(|| "cds-6.2-outpatient, ecds-4, csds or contract".to_owned())
}

fn version(text: &str) -> Result<Version, String> {
    serde_json::from_str(text).map_err(|_| "a number".to_owned())
}
