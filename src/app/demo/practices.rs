//! The demonstration's general practices: one on EMIS, one on Vision, each asked over GP Connect and written to over
//! MESH, and a laboratory that reports to the hubs.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use tokio::{net::TcpListener, sync::watch, task::JoinSet, time::sleep};

use crate::{
    domain::nhs_number::NhsNumber,
    sys::{
        clock::{Clock, SystemClock},
        http::{HttpClient, HttpLimits, HttpUrl},
        tls::{OldestProtocol, ServerFiles, ServerTls},
    },
    systems::{
        emis,
        gp_connect::Profile,
        mesh::{Credentials, MeshClient},
        simulator::{
            gp_connect::{Options, Provider},
            mesh::{
                MeshServer, Stored,
                laboratory::Laboratory,
                practice::{Filed, SimulatedPractice},
                serve,
            },
            people::{PRACTICES, Person},
        },
        vision,
    },
};

/// The environment's shared key, and every mailbox's password: nobody else can reach these.
pub(super) const SHARED_KEY: &str = "demonstration";
pub(super) const PASSWORD: &str = "demonstration";
/// The laboratory's mailbox and EDI code.
const LABORATORY: &str = "DEMOLAB01";
/// How often simulated practices look into their mailboxes: real ones take minutes.
const POLL: Duration = Duration::from_millis(100);
/// How often the laboratory reports to each hub.
const REPORT_EVERY: Duration = Duration::from_secs(5);
/// The hubs' accredited system id, and the practices'.
const OWN_ASID: &str = "200000000359";
const ASIDS: [&str; 2] = ["200000000205", "200000000206"];
/// Names of the practices, and how they are called in the hubs' configuration.
const NAMES: [(&str, &str); 2] =
    [("Marylebone Surgery", "emis-marylebone"), ("Walthamstow Practice", "vision-walthamstow")];

/// The practices.
pub(super) struct Practices {
    /// Where MESH is.
    pub mesh: SocketAddr,
    server: Arc<MeshServer>,
    /// Where each practice answers: its whole address.
    addresses: Vec<String>,
    practices: Vec<Arc<SimulatedPractice>>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// A practice's mailbox.
pub(super) fn mailbox(practice: &str) -> String {
    format!("{practice}OT001")
}

/// A hub's mailbox.
pub(super) fn hub_mailbox(ods: &str) -> String {
    format!("{ods}HC001")
}

impl Practices {
    /// Starts them, for hubs with these ODS codes; `pki` has their certificate.
    pub(super) async fn start(pki: &Path, hubs: &[&str]) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let mailboxes =
            PRACTICES.iter().map(|code| mailbox(code)).chain(hubs.iter().map(|ods| hub_mailbox(ods)));
        let server =
            MeshServer::new(Arc::clone(&clock), mailboxes.chain([LABORATORY.to_owned()]).map(credentials));
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port for MESH")?;
        let mut all = Self {
            mesh: listener.local_addr()?,
            server: Arc::clone(&server),
            addresses: Vec::new(),
            practices: Vec::new(),
            stop: watch::Sender::new(false),
            tasks: JoinSet::new(),
        };
        let stop = all.stop.subscribe();
        all.tasks.spawn(async move {
            if let Err(error) = serve(listener, server, stop).await {
                tracing::error!(%error, "the simulated MESH ended");
            }
        });
        all.start_practice(0, &emis::PROFILE, pki, &clock).await?;
        all.start_practice(1, &vision::PROFILE, pki, &clock).await?;
        for (seed, ods) in (1..).zip(hubs) {
            all.start_laboratory(&hub_mailbox(ods), seed);
        }
        Ok(all)
    }

    async fn start_practice(
        &mut self,
        number: usize,
        profile: &'static Profile,
        pki: &Path,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<()> {
        let (code, name) = (PRACTICES[number], NAMES[number].0);
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port for a practice")?;
        let options = Options {
            profile,
            practice: code.to_owned(),
            name: name.to_owned(),
            asid: ASIDS[number].to_owned(),
            first_person: 100 * number as u64,
            people: 100,
        };
        let provider = Arc::new(Provider::new(options, Arc::clone(clock)));
        self.addresses.push(format!(
            "https://localhost:{}{}",
            listener.local_addr()?.port(),
            provider.base()
        ));
        let files = ServerFiles {
            certificate: pki.join("broker.pem"),
            key: pki.join("broker.key"),
            client_ca: None,
            revocation_list: None,
        };
        let tls = ServerTls::load(&files, OldestProtocol::Tls12, Arc::clone(clock))?;
        let stop = self.stop.subscribe();
        self.tasks.spawn(async move {
            if let Err(error) = provider.serve(listener, Some(tls), stop).await {
                tracing::error!(%error, "a simulated practice ended");
            }
        });
        let url = HttpUrl::parse(&format!("http://{}/messageexchange", self.mesh))?;
        let http = HttpClient::new(url, None, HttpLimits::default());
        let client = MeshClient::new(http, credentials(mailbox(code)), Arc::clone(clock));
        let practice = SimulatedPractice::new(client, Arc::clone(clock), POLL);
        self.tasks.spawn(Arc::clone(&practice).run(self.stop.subscribe()));
        self.practices.push(practice);
        Ok(())
    }

    /// A laboratory elsewhere, which reports to a hub's mailbox.
    fn start_laboratory(&mut self, to: &str, seed: u64) {
        let (server, to, mut stop) = (Arc::clone(&self.server), to.to_owned(), self.stop.subscribe());
        self.tasks.spawn(async move {
            let mut laboratory = Laboratory::new(LABORATORY, &to, seed);
            for number in 0.. {
                tokio::select! {
                    () = sleep(REPORT_EVERY) => {}
                    _ = stop.wait_for(|stop| *stop) => return,
                }
                let person = Person::of(number % 200);
                let report = laboratory.report(&person, person.practice(), SystemClock.now());
                let local_id = format!("LAB{seed}-{number}");
                let message = Stored::new(LABORATORY, &to, "PATH_MEDRPT_V3", &local_id, report);
                server.put(message);
            }
        });
    }

    /// What of a hub's configuration is about them.
    pub(super) fn config(&self, ods: &str, directory: &Path) -> anyhow::Result<String> {
        for name in ["mesh-password", "mesh-shared-key"] {
            let content = if name == "mesh-password" { PASSWORD } else { SHARED_KEY };
            std::fs::write(directory.join(name), content).context("cannot write what MESH wants")?;
        }
        let mut text = format!(
            "\n[mesh]\nurl = \"http://{}/messageexchange\"\nmailbox = \"{}\"\npassword = \"mesh-password\"\n\
             shared-key = \"mesh-shared-key\"\npoll-seconds = 1\n\n\
             [gp-connect]\nasid = \"{OWN_ASID}\"\ntelephone = \"020 7946 0100\"\ntls = {{ ca = \"pki/ca.pem\" }}\n\n\
             [caching]\nbasis = \"The demonstration: nobody in it exists\"\nprefetch-hours = 36\n\
             prefetch-per-minute = 60\n",
            self.mesh,
            hub_mailbox(ods),
        );
        for (number, kind) in ["emis", "vision"].into_iter().enumerate() {
            let (code, name) = (PRACTICES[number], NAMES[number].1);
            let address = self.addresses.get(number).map(String::as_str).unwrap_or_default();
            text.push_str(&format!(
                "\n[[{kind}]]\nname = \"{name}\"\nods = \"{code}\"\ngp-connect = \"{address}\"\n\
                 asid = \"{}\"\nmailbox = \"{}\"\nreceives = [\"letters\"]\n",
                ASIDS[number],
                mailbox(code)
            ));
        }
        Ok(text)
    }

    /// What a person's practice has filed about them, newest first.
    pub(super) fn filed(&self, practice: &str, patient: &NhsNumber) -> Vec<Filed> {
        let place = PRACTICES.iter().position(|code| *code == practice);
        let practice = place.and_then(|place| self.practices.get(place));
        let all = practice.map(|practice| practice.filed()).unwrap_or_default();
        all.into_iter().filter(|filed| filed.nhs_number.replace(' ', "") == patient.as_str()).collect()
    }

    /// How many reports and letters the practices have filed, and how many came to them twice.
    pub(super) fn counts(&self) -> (u64, u64) {
        let filed = self.practices.iter().map(|practice| practice.filed().len() as u64).sum();
        (filed, self.practices.iter().map(|practice| practice.repeated()).sum())
    }

    /// Ends them.
    pub(super) async fn end(&mut self) {
        self.stop.send_replace(true);
        self.tasks.shutdown().await;
    }
}

fn credentials(mailbox: String) -> Credentials {
    Credentials { mailbox, password: PASSWORD.to_owned(), shared_key: SHARED_KEY.to_owned() }
}
