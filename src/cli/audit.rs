//! `polygate audit`: whether the trail is sound, what it says, and the proof that a line is in it.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use clap::Subcommand;

use crate::{
    app,
    config::HubConfig,
    domain::{ids::HubId, time::Timestamp},
    flow::audit::LineId,
    manage::{
        audits::{AuditRequest, ExportFilter},
        client::{self, Exit, Output},
        protocol::AdminRequest,
        render,
    },
};

use super::{Asked, Patient, about, complain, moment, say, socket_of};

/// A checkpoint is a few hundred bytes.
const ANCHOR_BYTES_MAX: u64 = 4 << 10;

#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// Verify every line, every signature and their order; exit code 1 if anything was changed
    Verify {
        #[command(flatten)]
        asked: Asked,
        /// A checkpoint that was kept elsewhere, such as `polycentre audit anchor` prints
        #[arg(long, value_name = "FILE")]
        anchor: Option<PathBuf>,
        /// The state folder of a hub that does not run, instead of asking one that does
        #[arg(long, value_name = "DIR")]
        state: Option<PathBuf>,
        /// The id of that hub, if it is not the configured one
        #[arg(long, value_name = "ID", requires = "state")]
        hub: Option<HubId>,
    },
    /// Print lines, one JSON object each; patients and people's reasons only with --reason
    Export {
        #[command(flatten)]
        asked: Asked,
        /// At this moment or later, such as 2026-01-31T09:00:00Z
        #[arg(long, value_parser = moment)]
        from: Option<Timestamp>,
        /// Before this moment
        #[arg(long, value_parser = moment)]
        to: Option<Timestamp>,
        /// About this patient, newest first
        #[arg(long, value_name = "NHS-NUMBER")]
        patient: Option<String>,
        /// Of this user, newest first
        #[arg(long)]
        user: Option<String>,
        /// Show patients and people's own words too, for this reason, which goes on record
        #[arg(long)]
        reason: Option<String>,
    },
    /// Print the proof that a line is among those that a checkpoint signs, without the line's words
    Prove {
        #[command(flatten)]
        asked: Asked,
        /// The line, such as 1-301
        line: LineId,
    },
    /// Show one line
    Show {
        #[command(flatten)]
        asked: Asked,
        /// The line, such as 1-301
        line: LineId,
        /// Show its patient and people's own words too, for this reason, which goes on record
        #[arg(long)]
        reason: Option<String>,
    },
}

/// Does what was asked.
pub(super) fn act(audit: Audit) -> Exit {
    match audit {
        Audit::Verify { asked, anchor, state, hub } => {
            let anchor = match anchor.as_deref().map(read_anchor).transpose() {
                Ok(anchor) => anchor,
                Err(error) => return failed(&format!("the anchor cannot be read: {error}")),
            };
            match state {
                Some(state) => verify_folder(&state, hub, anchor.as_deref(), &asked),
                None => super::ask(&asked, &AdminRequest::Audit(AuditRequest::Verify { anchor })),
            }
        }
        Audit::Export { asked, from, to, patient, user, reason } => {
            let export = |patient| {
                let filter = ExportFilter { from, to, patient, user };
                export(&asked, &filter, reason.as_ref())
            };
            match patient {
                Some(number) => about(&Patient { nhs_number: vec![number] }, |number| export(Some(number))),
                None => export(None),
            }
        }
        Audit::Prove { asked, line } => {
            super::ask(&asked, &AdminRequest::Audit(AuditRequest::Prove { line }))
        }
        Audit::Show { asked, line, reason } => {
            super::ask(&asked, &AdminRequest::Audit(AuditRequest::Show { line, reason }))
        }
    }
}

fn read_anchor(path: &Path) -> io::Result<String> {
    if ANCHOR_BYTES_MAX < std::fs::metadata(path)?.len() {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    std::fs::read_to_string(path)
}

fn verify_folder(state: &Path, hub: Option<HubId>, anchor: Option<&str>, asked: &Asked) -> Exit {
    let hub = match hub.map_or_else(|| HubConfig::load(&asked.config).map(|config| config.hub.id), Ok) {
        Ok(hub) => hub,
        Err(error) => return complain(&error),
    };
    let report = match app::audit::verify_folder(state, &hub, anchor) {
        Ok(report) => report,
        Err(error) => return failed(&format!("{error:#}")),
    };
    let written = match serde_json::to_string(&report) {
        Ok(json) if asked.json => writeln!(io::stdout(), "{json}"),
        _ => render::write_audit_report(&report, &mut io::stdout()),
    };
    if written.is_ok() && report.is_sound() { Exit::Ok } else { Exit::Failed }
}

/// Asks for one part after another, so that a long trail needs no memory.
fn export(asked: &Asked, filter: &ExportFilter, reason: Option<&String>) -> Exit {
    let socket = match socket_of(asked) {
        Ok(socket) => socket,
        Err(error) => return complain(&error),
    };
    let mut out = io::BufWriter::new(io::stdout());
    let mut from_line: Option<LineId> = None;
    loop {
        let request = AdminRequest::Audit(AuditRequest::Export {
            filter: filter.clone(),
            from_line,
            reason: reason.cloned(),
        });
        let answer = match client::send(&socket, &request) {
            Ok(answer) => answer,
            Err(error) => {
                drop(out.flush());
                return client::refused(&error, &mut io::stderr());
            }
        };
        if render::write(
            &request,
            &answer["lines"],
            Output { json: true, colour: false },
            &mut out,
            &mut io::stderr(),
        )
        .is_err()
        {
            return Exit::Failed;
        }
        from_line = serde_json::from_value(answer["next"].clone()).unwrap_or_default();
        if from_line.is_none() {
            return if out.flush().is_ok() { Exit::Ok } else { Exit::Failed };
        }
    }
}

fn failed(what: &str) -> Exit {
    say(&mut io::stderr(), &format!("polygate: {what}"));
    Exit::Failed
}
