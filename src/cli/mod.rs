//! The command line of `polygate`: arguments in, exit code out (DESIGN: 0 ok, 1 failed, 2 usage or
//! configuration, 3 degraded, 4 unreachable, 5 refused, 6 conflict).

mod activity;
mod audit;
mod booking;
#[cfg(feature = "centre")]
pub mod centre;
mod user;

use std::{
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};

use crate::{
    app,
    config::{ConfigError, HubConfig},
    domain::{
        ids::{Class, HubId},
        nhs_number::NhsNumber,
        record::ItemKind,
        time::Timestamp,
    },
    flow::operate::{CaseId, MessageFilter, MessageId, ResendWhat},
    manage::{
        client::{self, Exit, Output},
        protocol::AdminRequest,
    },
    telemetry,
};

const CONFIG: &str = "/etc/polygate/polygate.toml";

/// The hub in a polyclinic's server cupboard.
#[derive(Debug, Parser)]
#[command(name = "polygate", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show a whole polysystem on this machine, with simulated systems and a WAN that can be cut
    #[cfg(feature = "demo")]
    Demo {
        /// Without a portal: cut and restore the WAN in the middle, wait for the drain, print one JSON object
        #[arg(long)]
        headless: bool,
        /// For how long the simulated systems send, when headless
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(3..=86_400))]
        seconds: u64,
        /// The first portal's port, and the second's is the next; 0 for any that are free
        #[arg(long, default_value_t = 8443, value_parser = clap::value_parser!(u16).range(..65_535))]
        port: u16,
    },
    /// Write a polygate.toml that is ready to be edited
    Init {
        /// Where to write it; made if need be
        directory: PathBuf,
        /// The hub's id: the common name of its certificate
        #[arg(long)]
        hub: HubId,
    },
    /// Check a configuration: every fault with file, line and column
    Check(ConfigFile),
    /// Run the hub
    Run(ConfigFile),
    /// Show the hub's condition
    Status(Asked),
    /// Show what waits for the centre
    Queue(Asked),
    /// Check everything the hub depends on
    Doctor(Asked),
    /// Find and show messages
    #[command(subcommand)]
    Message(Message),
    /// Decide about what the centre or a system refused for good; without a subcommand, list it
    #[command(args_conflicts_with_subcommands = true)]
    Parked {
        #[command(subcommand)]
        command: Option<Parked>,
        #[command(flatten)]
        asked: Asked,
    },
    /// See and unlock slots that the reception desk holds
    #[command(subcommand)]
    Booking(booking::Booking),
    /// Look after the accounts with which people sign in at the portal
    #[command(subcommand)]
    User(user::User),
    /// Check how a month's contacts add up, and build the returns that commissioners get
    #[command(subcommand)]
    Activity(activity::Activity),
    /// Verify and read the audit trail: who did what, and the proof of it
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Show one patient's record from all systems, or throw away what is kept of practices' answers
    #[command(subcommand)]
    Record(Record),
    /// Decide who is who, where systems give one NHS number and the hub will not guess
    #[command(subcommand)]
    Match(Match),
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// The hub's configuration
    #[arg(long, default_value = CONFIG)]
    config: PathBuf,
}

/// How to reach the running hub, and how to write its answer.
#[derive(Debug, Args)]
struct Asked {
    /// The hub's configuration, which says where its state is
    #[arg(long, default_value = CONFIG)]
    config: PathBuf,
    /// The hub's admin socket, if not the configured one
    #[arg(long)]
    socket: Option<PathBuf>,
    /// Answer in JSON: one document, or one a line for lists
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Message {
    /// Find messages, newest first
    Find {
        #[command(flatten)]
        asked: Asked,
        /// From this system, by its configured name
        #[arg(long)]
        system: Option<String>,
        /// Of this kind, such as ADT^A01
        #[arg(long)]
        kind: Option<String>,
        /// With this identifier of the sender's own, such as MSH-10
        #[arg(long)]
        source_id: Option<String>,
        /// Of this class
        #[arg(long)]
        class: Option<Class>,
        /// Accepted at this moment or later, such as 2026-01-31T09:00:00Z
        #[arg(long, value_parser = moment)]
        since: Option<Timestamp>,
        /// Accepted before this moment
        #[arg(long, value_parser = moment)]
        until: Option<Timestamp>,
        /// Those that could not be taken in and were kept aside
        #[arg(long)]
        quarantined: bool,
        /// Those that carry no valid NHS number and want repair at their source
        #[arg(long)]
        unlinked: bool,
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Show one message's way through the hub
    Show {
        #[command(flatten)]
        asked: Asked,
        /// 32 hexadecimal digits, or SYSTEM/SOURCE_ID
        id: MessageId,
        /// Show its content too, for this reason, which goes on record
        #[arg(long, value_name = "REASON")]
        reveal: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
enum Parked {
    /// List them, oldest first
    List(Asked),
    /// Show what would be sent of one
    Show {
        #[command(flatten)]
        asked: Asked,
        /// Its number, as `parked list` shows it
        number: u64,
        /// Show its content too, for this reason, which goes on record
        #[arg(long, value_name = "REASON")]
        reveal: Option<String>,
    },
    /// Send one once more, and then what waits behind it
    Release {
        #[command(flatten)]
        asked: Asked,
        /// Its number, as `parked list` shows it
        number: u64,
    },
    /// Give one up for good; what waits behind it goes on
    #[command(visible_alias = "discard")]
    Skip {
        #[command(flatten)]
        asked: Asked,
        /// Its number, as `parked list` shows it
        number: u64,
        /// Why; goes on record
        #[arg(long)]
        reason: String,
    },
    /// Send a message to one system: first look at what would be sent, then repeat it with --yes
    Resend {
        #[command(flatten)]
        asked: Asked,
        /// A parked entry's number, a message's 32 hexadecimal digits, or SYSTEM/SOURCE_ID
        what: ResendWhat,
        /// The system, by its configured name
        #[arg(long, value_name = "SYSTEM")]
        to: String,
        /// Show its content too, for this reason, which goes on record
        #[arg(long, value_name = "REASON")]
        reveal: Option<String>,
        /// Send it
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
enum Record {
    /// Show which systems say how much of a patient, and what may be missing
    Show {
        #[command(flatten)]
        asked: Asked,
        #[command(flatten)]
        patient: Patient,
        /// Only this kind of item, such as result or allergy
        #[arg(long, value_parser = item_kind)]
        kind: Option<ItemKind>,
        /// Show its content too, for this reason, which goes on record
        #[arg(long, value_name = "REASON")]
        reveal: Option<String>,
    },
    /// Throw away what practices answered about a patient and is kept for a while
    Purge {
        #[command(flatten)]
        asked: Asked,
        #[command(flatten)]
        patient: Patient,
        /// Why; goes on record
        #[arg(long)]
        reason: String,
    },
}

/// A patient on the command line.
#[derive(Debug, Args)]
struct Patient {
    /// Ten digits, in one or 3-3-4
    // Read once all arguments are there: the parser's own complaint would repeat what was typed.
    #[arg(required = true, value_name = "NHS-NUMBER")]
    nhs_number: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Match {
    /// List the cases in which people must decide
    List(Asked),
    /// Show one case: who gave the number, who holds it, and in what they differ
    Show {
        #[command(flatten)]
        asked: Asked,
        /// 16 hexadecimal digits, as `match list` shows them
        id: CaseId,
        /// Show who they are too, for this reason, which goes on record
        #[arg(long, value_name = "REASON")]
        reveal: Option<String>,
    },
    /// They are one patient: link those who gave the number to those who hold it
    Link(Decision),
    /// They are not: the number is not theirs
    KeepApart(Decision),
}

#[derive(Debug, Args)]
struct Decision {
    #[command(flatten)]
    asked: Asked,
    /// 16 hexadecimal digits, as `match list` shows them
    id: CaseId,
    /// Why; it is kept with the decision
    #[arg(long)]
    reason: String,
}

fn item_kind(text: &str) -> Result<ItemKind, String> {
    ItemKind::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
        let names = ItemKind::ALL.map(ItemKind::name).join(", ");
        format!("it is one of {names}")
    })
}

fn moment(text: &str) -> Result<Timestamp, String> {
    let moment: jiff::Timestamp = text.parse().map_err(|_| "write it as 2026-01-31T09:00:00Z".to_owned())?;
    Ok(Timestamp(moment.as_millisecond()))
}

/// Runs the program.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let asked_for = !error.use_stderr();
            // Nobody may be reading: then there is nobody to tell.
            drop(error.print());
            return if asked_for { ExitCode::SUCCESS } else { Exit::Usage.into() };
        }
    };
    act(arguments.command).into()
}

fn act(command: Command) -> Exit {
    match command {
        #[cfg(feature = "demo")]
        Command::Demo { headless, seconds, port } => demo(headless, seconds, port),
        Command::Init { directory, hub } => init(&directory, &hub),
        Command::Check(file) => check(&file.config),
        Command::Run(file) => run(&file.config),
        Command::Status(asked) => ask(&asked, &AdminRequest::Status),
        Command::Queue(asked) => ask(&asked, &AdminRequest::Queue),
        Command::Doctor(asked) => ask(&asked, &AdminRequest::Doctor),
        Command::Message(message) => ask_message(message),
        Command::Parked { command, asked } => ask_parked(command.unwrap_or(Parked::List(asked))),
        Command::User(user) => ask_user(user),
        Command::Activity(activity) => activity::act(activity),
        Command::Audit(audit) => audit::act(audit),
        Command::Booking(booking) => ask_booking(booking),
        Command::Record(record) => ask_record(record),
        Command::Match(case) => ask_match(case),
    }
}

fn ask_parked(parked: Parked) -> Exit {
    match parked {
        Parked::List(asked) => ask(&asked, &AdminRequest::ParkedList),
        Parked::Show { asked, number, reveal } => ask(&asked, &AdminRequest::ParkedShow { number, reveal }),
        Parked::Release { asked, number } => ask(&asked, &AdminRequest::ParkedRelease { number }),
        Parked::Skip { asked, number, reason } => ask(&asked, &AdminRequest::ParkedSkip { number, reason }),
        Parked::Resend { asked, what, to, reveal, yes } => {
            ask(&asked, &AdminRequest::ParkedResend { what, to, reveal, confirmed: yes })
        }
    }
}

fn ask_booking(booking: booking::Booking) -> Exit {
    match booking.request() {
        Ok((asked, request)) => ask(&asked, &request),
        Err(error) => {
            say(&mut io::stderr(), &format!("the password could not be read from standard input: {error}"));
            Exit::Failed
        }
    }
}

fn ask_user(user: user::User) -> Exit {
    match user.request() {
        Ok((asked, request)) => ask(&asked, &AdminRequest::User(request)),
        Err(error) => {
            say(&mut io::stderr(), &format!("the password could not be read from standard input: {error}"));
            Exit::Failed
        }
    }
}

fn ask_record(record: Record) -> Exit {
    match record {
        Record::Show { asked, patient, kind, reveal } => {
            about(&patient, |nhs_number| ask(&asked, &AdminRequest::RecordShow { nhs_number, kind, reveal }))
        }
        Record::Purge { asked, patient, reason } => {
            about(&patient, |nhs_number| ask(&asked, &AdminRequest::RecordPurge { nhs_number, reason }))
        }
    }
}

/// Asks about a patient, or says which rule their number breaks, without repeating it.
fn about(patient: &Patient, ask: impl FnOnce(NhsNumber) -> Exit) -> Exit {
    match NhsNumber::parse(&patient.nhs_number.join(" ")) {
        Ok(number) => ask(number),
        Err(error) => {
            say(&mut io::stderr(), &format!("error: NHS-NUMBER: {error}"));
            say(&mut io::stderr(), "next: check it against the letter or the system it is from");
            Exit::Usage
        }
    }
}

fn ask_match(case: Match) -> Exit {
    let decide =
        |Decision { asked, id, reason }, link| ask(&asked, &AdminRequest::MatchDecide { id, link, reason });
    match case {
        Match::List(asked) => ask(&asked, &AdminRequest::MatchList),
        Match::Show { asked, id, reveal } => ask(&asked, &AdminRequest::MatchShow { id, reveal }),
        Match::Link(decision) => decide(decision, true),
        Match::KeepApart(decision) => decide(decision, false),
    }
}

fn ask_message(message: Message) -> Exit {
    match message {
        Message::Show { asked, id, reveal } => ask(&asked, &AdminRequest::MessageShow { id, reveal }),
        Message::Find {
            asked,
            system,
            kind,
            source_id,
            class,
            since,
            until,
            quarantined,
            unlinked,
            limit,
        } => {
            let filter =
                MessageFilter { system, kind, source_id, since, until, class, quarantined, unlinked, limit };
            ask(&asked, &AdminRequest::MessageFind { filter })
        }
    }
}

/// Asks the running hub and writes its answer.
fn ask(asked: &Asked, request: &AdminRequest) -> Exit {
    let socket = match socket_of(asked) {
        Ok(socket) => socket,
        Err(error) => return complain(&error),
    };
    let output = Output::for_stdout(asked.json);
    client::run(&socket, request, output, &mut io::stdout().lock(), &mut io::stderr().lock())
}

/// The admin socket that was named, or the configured one.
fn socket_of(asked: &Asked) -> Result<PathBuf, ConfigError> {
    match &asked.socket {
        Some(socket) => Ok(socket.clone()),
        None => Ok(app::hub::socket_path(&HubConfig::load(&asked.config)?.hub.state)),
    }
}

fn check(path: &Path) -> Exit {
    match HubConfig::load(path) {
        Ok(_) => {
            say(&mut io::stdout(), &format!("{}: ok", path.display()));
            Exit::Ok
        }
        Err(error) => complain(&error),
    }
}

fn run(path: &Path) -> Exit {
    let config = match HubConfig::load(path) {
        Ok(config) => config,
        Err(error) => return complain(&error),
    };
    telemetry::start("info");
    in_runtime(app::hub::run(config))
}

#[cfg(feature = "demo")]
fn demo(headless: bool, seconds: u64, port: u16) -> Exit {
    telemetry::start("warn");
    if !headless {
        return in_runtime(app::demo::show(port));
    }
    let mut clean = false;
    let exit = in_runtime(async {
        let summary = app::demo::count(seconds).await?;
        clean = summary.lost == 0 && summary.duplicates == 0;
        say(&mut io::stdout(), &serde_json::to_string(&summary)?);
        Ok(())
    });
    if exit == Exit::Ok && !clean { Exit::Failed } else { exit }
}

fn init(directory: &Path, hub: &HubId) -> Exit {
    let path = directory.join("polygate.toml");
    let written = std::fs::create_dir_all(directory).and_then(|()| {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
        file.write_all(crate::config::template(hub).as_bytes())
    });
    match written {
        Ok(()) => {
            say(&mut io::stdout(), &path.display().to_string());
            let next = format!(
                "edit it, put ca.pem, {hub}.pem and {hub}.key beside it, then: polygate check --config {}",
                path.display()
            );
            say(&mut io::stderr(), &next);
            Exit::Ok
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            say(&mut io::stderr(), &format!("{}: is there already, and is left as it is", path.display()));
            Exit::Conflict
        }
        Err(error) => {
            say(&mut io::stderr(), &format!("{}: {error}", path.display()));
            Exit::Failed
        }
    }
}

fn in_runtime(work: impl Future<Output = anyhow::Result<()>>) -> Exit {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&mut io::stderr(), &format!("polygate: no threads: {error}"));
            return Exit::Failed;
        }
    };
    match runtime.block_on(work) {
        Ok(()) => Exit::Ok,
        Err(error) => {
            say(&mut io::stderr(), &format!("polygate: {error:#}"));
            Exit::Failed
        }
    }
}

fn complain(error: &ConfigError) -> Exit {
    say(&mut io::stderr(), &error.to_string());
    if io::stderr().is_terminal() {
        say(&mut io::stderr(), "next: mend it, then: polygate check");
    }
    Exit::Usage
}

/// Writes a line for people or scripts; if nobody reads it, nothing is left to do.
fn say(out: &mut dyn Write, line: &str) {
    writeln!(out, "{line}").unwrap_or_default();
}
