//! The command line of `polycentre`.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};

use crate::{
    app,
    centre::{
        audit::{Trail, Trouble},
        pki::{self, Issue, PkiError},
        store::Filter,
    },
    config::CentreConfig,
    domain::{
        contact::Month,
        ids::{Class, HubId},
    },
    manage::client::Exit,
    sys::clock::{Clock, SystemClock},
    telemetry,
};

use super::{complain, in_runtime, say};

const CONFIG: &str = "/etc/polygate/polycentre.toml";

/// The centre, where hubs synchronise.
#[derive(Debug, Parser)]
#[command(name = "polycentre", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the centre
    Serve(ConfigFile),
    /// List what has been received, one JSON object a line; works while `serve` runs
    Entries {
        #[command(flatten)]
        file: ConfigFile,
        /// Only this hub's
        #[arg(long)]
        hub: Option<HubId>,
        /// Only of this class
        #[arg(long)]
        class: Option<Class>,
        /// Only with this identifier of their sender's, such as MSH-10
        #[arg(long)]
        source_id: Option<String>,
        /// Answer in JSON (it always does)
        #[arg(long)]
        json: bool,
    },
    /// Hold hubs to what they signed: verify what has come of their audit trails
    #[command(subcommand)]
    Audit(Audit),
    /// Count contacts over all hubs, of what they have told
    #[command(subcommand)]
    Activity(Activity),
    /// Make a private certificate authority and its certificates
    #[command(subcommand)]
    Pki(Pki),
}

#[derive(Debug, Subcommand)]
enum Audit {
    /// Verify every checkpoint and every line that has come; exit code 6 if anything contradicts what was signed before
    Verify {
        #[command(flatten)]
        file: ConfigFile,
        /// Whose trail
        #[arg(long)]
        hub: HubId,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the newest checkpoint that holds, for `polygate audit verify --anchor FILE` at the hub
    Anchor {
        #[command(flatten)]
        file: ConfigFile,
        /// Whose trail
        #[arg(long)]
        hub: HubId,
    },
}

#[derive(Debug, Subcommand)]
enum Activity {
    /// Check that a month adds up, over all hubs and for each; exit code 1 if it does not
    Check {
        #[command(flatten)]
        file: ConfigFile,
        /// The month, as YYYY-MM
        #[arg(long)]
        month: Month,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// The centre's configuration
    #[arg(long, default_value = CONFIG)]
    config: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Pki {
    /// Make the authority: DIR/ca.pem and DIR/ca.key
    Init {
        /// Where its files are kept
        directory: PathBuf,
    },
    /// Issue a certificate: for a hub, the centre or the broker
    Issue {
        /// Where the authority's files are
        directory: PathBuf,
        #[command(flatten)]
        whom: Whom,
        /// Replace an earlier certificate of the same name
        #[arg(long)]
        renew: bool,
    },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Whom {
    /// For this hub: DIR/ID.pem and DIR/ID.key
    #[arg(long, value_name = "ID")]
    hub: Option<HubId>,
    /// For the centre: DIR/centre.pem and DIR/centre.key
    #[arg(long)]
    centre: bool,
    /// For the broker at this host name: DIR/broker.pem and DIR/broker.key; good for this machine too
    #[arg(long, value_name = "HOSTNAME")]
    broker: Option<String>,
}

/// Runs the program.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let asked_for = !error.use_stderr();
            drop(error.print());
            return if asked_for { ExitCode::SUCCESS } else { Exit::Usage.into() };
        }
    };
    let exit = match arguments.command {
        Command::Serve(file) => serve(&file.config),
        Command::Entries { file, hub, class, source_id, json: _ } => {
            entries(&file.config, &Filter { hub, class, source_id })
        }
        Command::Audit(Audit::Verify { file, hub, json }) => trail(&file.config, &hub, |trail, troubles| {
            say_verified(&hub, trail, troubles, json);
        }),
        Command::Audit(Audit::Anchor { file, hub }) => trail(&file.config, &hub, say_anchor),
        Command::Activity(Activity::Check { file, month, json }) => count(&file.config, month, json),
        Command::Pki(Pki::Init { directory }) => issued(pki::init(&directory, SystemClock.now())),
        Command::Pki(Pki::Issue { directory, whom, renew }) => issued(issue(&directory, &whom, renew)),
    };
    exit.into()
}

fn serve(path: &Path) -> Exit {
    match CentreConfig::load(path) {
        Ok(config) => {
            telemetry::start("info");
            in_runtime(app::centre::run(config))
        }
        Err(error) => complain(&error),
    }
}

fn entries(path: &Path, filter: &Filter) -> Exit {
    let config = match CentreConfig::load(path) {
        Ok(config) => config,
        Err(error) => return complain(&error),
    };
    let mut out = io::BufWriter::new(io::stdout());
    let mut written = Ok(());
    let exit = in_runtime(async {
        let each = |line: String| {
            written = writeln!(out, "{line}");
            written.is_ok()
        };
        Ok(app::centre::entries(&config.store, filter, each).await?)
    });
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Exit::Failed,
        _ => exit,
    }
}

/// Reads a hub's trail and shows it; [`Exit::Conflict`] if it contradicts itself, [`Exit::Failed`] if there is none.
fn trail(path: &Path, hub: &HubId, show: impl FnOnce(&Trail, &[Trouble])) -> Exit {
    let config = match CentreConfig::load(path) {
        Ok(config) => config,
        Err(error) => return complain(&error),
    };
    let mut found = None;
    let exit = in_runtime(async {
        found = Some(app::centre::verify_trail(&config.store, hub).await?);
        Ok(())
    });
    let Some((trail, troubles)) = found else { return exit };
    show(&trail, &troubles);
    match (troubles.is_empty(), trail.anchor()) {
        (false, _) => Exit::Conflict,
        (true, None) => Exit::Failed,
        (true, Some(_)) => Exit::Ok,
    }
}

/// Counts a month; [`Exit::Failed`] if it does not add up.
fn count(path: &Path, month: Month, json: bool) -> Exit {
    let config = match CentreConfig::load(path) {
        Ok(config) => config,
        Err(error) => return complain(&error),
    };
    let mut found = None;
    let exit = in_runtime(async {
        found = Some(app::centre::check_activity(&config.store, month).await?);
        Ok(())
    });
    let Some(checked) = found else { return exit };
    let out = &mut io::stdout();
    if json {
        say(out, &serde_json::to_string(&checked).unwrap_or_default());
    } else {
        let verdict = if checked.adds_up { "every sum comes out" } else { "it does NOT add up" };
        say(
            out,
            &format!("{month}: {} contacts at {} hubs, {verdict}", checked.all.contacts, checked.hubs.len()),
        );
        for (hub, one) in &checked.hubs {
            say(out, &format!("  {hub}: {} contacts, {} attended", one.contacts, one.attended));
        }
        for residue in &checked.all.residues {
            let service = residue.service.as_ref().map_or("no service", HubId::as_str);
            say(
                out,
                &format!("  RESIDUE {} at {}, {service}: {}", residue.sum.word(), residue.hub, residue.by),
            );
        }
        if 0 < checked.refused + checked.unreadable {
            let (refused, unreadable) = (checked.refused, checked.unreadable);
            say(out, &format!("  {refused} statements refused, {unreadable} entries unreadable"));
        }
    }
    if checked.adds_up { Exit::Ok } else { Exit::Failed }
}

/// The note as it was signed, to the last newline.
fn say_anchor(trail: &Trail, troubles: &[Trouble]) {
    for trouble in troubles {
        say(&mut io::stderr(), &format!("polycentre: {trouble}"));
    }
    let anchor = trail.anchor().unwrap_or_default();
    io::stdout().write_all(anchor.as_bytes()).unwrap_or_default();
}

fn say_verified(hub: &HubId, trail: &Trail, troubles: &[Trouble], json: bool) {
    let out = &mut io::stdout();
    if json {
        let troubles: Vec<String> = troubles.iter().map(ToString::to_string).collect();
        let report = serde_json::json!({
            "hub": hub,
            "lines": trail.lines(),
            "key": trail.key(),
            "anchor": trail.anchor(),
            "troubles": troubles,
        });
        return say(out, &report.to_string());
    }
    for trouble in troubles {
        say(out, &format!("CONTRADICTION: {trouble}"));
    }
    match trail.key() {
        Some(key) => say(out, &format!("{hub}: {} lines, signed with {key}", trail.lines())),
        None => say(out, &format!("{hub}: no checkpoint has come")),
    }
}

fn issue(directory: &Path, whom: &Whom, renew: bool) -> Result<pki::Issued, PkiError> {
    let now = SystemClock.now();
    let issue = if renew { Issue::renewal(now) } else { Issue::new(now) };
    match (&whom.hub, &whom.broker) {
        (Some(hub), _) => pki::issue_hub(directory, hub, issue),
        (None, Some(name)) => pki::issue_broker(directory, std::slice::from_ref(name), true, issue),
        (None, None) => pki::issue_centre(directory, issue),
    }
}

fn issued(outcome: Result<pki::Issued, PkiError>) -> Exit {
    match outcome {
        Ok(issued) => {
            for path in [&issued.certificate, &issued.key] {
                say(&mut io::stdout(), &path.display().to_string());
            }
            Exit::Ok
        }
        Err(error) => {
            let error = anyhow::Error::from(error);
            say(&mut io::stderr(), &format!("polycentre: {error:#}"));
            Exit::Failed
        }
    }
}
