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
        pki::{self, Issue, PkiError},
        store::Filter,
    },
    config::CentreConfig,
    domain::ids::{Class, HubId},
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
    /// Make a private certificate authority and its certificates
    #[command(subcommand)]
    Pki(Pki),
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
