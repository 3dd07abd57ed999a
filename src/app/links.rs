//! The links that systems open to us, put together from their sections.

use std::sync::Arc;

use anyhow::Context;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Handle,
    sync::Semaphore,
};

use crate::{
    codec::itk::Addressed,
    config::{
        AdastraSection, AnalyserPort, AnalyserProtocol, AnalyserSection, BarsSection, Hl7Section, HubConfig,
        TlsSection,
    },
    sys::{
        clock::Clock,
        entropy::Entropy,
        http_server,
        serial::{LineParity, LineSettings},
        tls::{OldestProtocol, ServerFiles, ServerTls, TlsError},
    },
    systems::{
        adastra::{Adastra, AdastraOptions},
        analyser::{Analyser, AnalyserOptions, Port, Protocol},
        bars::{Bars, BarsOptions, Bookable},
        hl7::{Dialect, Server, ServerOptions},
        rio, secondary_care,
    },
};

use super::hub::RunningHub;

/// The longest message taken from Adastra or an analyser.
const MESSAGE_BYTES_MAX: usize = 16 << 20;

impl RunningHub {
    /// Opens every port that systems send to.
    ///
    /// # Errors
    /// A certificate for listening cannot be used, or there is no thread for an analyser.
    pub(super) fn start_links(&mut self, config: &HubConfig, clock: &Arc<dyn Clock>) -> anyhow::Result<()> {
        let large = Server::large_messages();
        for section in &config.rio {
            self.start_hl7(section, rio::DIALECT, &large, clock)?;
        }
        for section in &config.secondary_care {
            self.start_hl7(section, secondary_care::DIALECT, &large, clock)?;
        }
        for section in &config.adastra {
            self.start_adastra(section, &config.hub.ods, clock)?;
        }
        for section in &config.analyser {
            self.start_analyser(section)?;
        }
        if let Some(section) = &config.bars {
            self.start_bars(section, config, clock)?;
        }
        Ok(())
    }

    fn start_hl7(
        &mut self,
        section: &Hl7Section,
        dialect: Dialect,
        large: &Arc<Semaphore>,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<()> {
        let dialect = Dialect { processing: Some(section.processing), ..dialect };
        let link = self.hub.add_link(section.name.as_str(), dialect.kind, &section.listen.to_string());
        let options = ServerOptions {
            listen: section.listen,
            message_bytes_max: usize::try_from(section.message_max_mib << 20)?,
            connections_max: section.connections_max,
            idle: section.idle(),
            write: section.write(),
        };
        let server = Server::new(Arc::clone(&self.hub), link, dialect, options, Arc::clone(large));
        let stop = self.stop.subscribe();
        match load(section.tls.as_ref(), clock)? {
            None => drop(self.tasks.spawn(server.run(|stream: TcpStream| async { Ok(stream) }, stop))),
            Some(tls) => {
                let secure = move |stream: TcpStream| {
                    let tls = tls.clone();
                    async move { tls.accept(stream).await }
                };
                self.tasks.spawn(server.run(secure, stop));
            }
        }
        Ok(())
    }

    fn start_adastra(
        &mut self,
        section: &AdastraSection,
        own: &str,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<()> {
        let link = self.hub.add_link(section.name.as_str(), "Adastra", &section.listen.to_string());
        let to = section.addresses.iter().cloned().chain([own.to_owned()]).collect();
        let addressed = Addressed {
            to,
            endpoints: section.endpoints.clone(),
            security_optional: section.security_optional,
        };
        let options = AdastraOptions {
            listen: section.listen,
            tls: load(section.tls.as_ref(), clock)?,
            addressed,
            message_bytes_max: MESSAGE_BYTES_MAX,
        };
        let adastra = Adastra::new(Arc::clone(&self.hub), link, options, Entropy::from_system());
        self.tasks.spawn(adastra.run(self.stop.subscribe()));
        Ok(())
    }

    fn start_bars(
        &mut self,
        section: &BarsSection,
        config: &HubConfig,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<()> {
        let bookable = config.services_for_bars();
        let desk = self.desk().filter(|_| !bookable.is_empty());
        let options = BarsOptions {
            services: section.services.clone(),
            name: config.hub.name.clone(),
            message_bytes_max: MESSAGE_BYTES_MAX,
            booking: desk.map(|desk| Bookable::new(Arc::new(desk), config.hub.id.clone(), bookable)),
        };
        let address = section.listen.map(|listen| listen.to_string()).unwrap_or_default();
        let link = self.hub.add_link("bars", "BaRS", &address);
        let router = Bars::new(Arc::clone(&self.hub), link, options).router();
        let Some(listen) = section.listen else {
            self.beside_portal = router;
            return Ok(());
        };
        let (tls, stop) = (load(section.tls.as_ref(), clock)?, self.stop.subscribe());
        let listener = std::net::TcpListener::bind(listen)
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .and_then(TcpListener::from_std)
            .with_context(|| format!("BaRS cannot listen on {listen}"))?;
        self.tasks.spawn(async move {
            if let Err(error) = http_server::serve(listener, tls, router, stop).await {
                tracing::error!(%error, "the BaRS receiver ended");
            }
        });
        Ok(())
    }

    fn start_analyser(&mut self, section: &AnalyserSection) -> anyhow::Result<()> {
        let port = match section.port() {
            Some(AnalyserPort::Device(path)) => {
                let parity = match section.parity.as_str() {
                    "odd" => LineParity::Odd,
                    "even" => LineParity::Even,
                    _ => LineParity::None,
                };
                let settings = LineSettings {
                    baud: section.baud,
                    data_bits: section.data_bits,
                    parity,
                    stop_bits: section.stop_bits,
                };
                Port::Device { path: path.to_owned(), settings, identity: section.identity.clone() }
            }
            Some(AnalyserPort::Listen(address)) => Port::Listen(address),
            Some(AnalyserPort::Connect(address)) => Port::Connect(address.to_owned()),
            None => anyhow::bail!("the analyser {} has no port", section.name),
        };
        let link = self.hub.add_link(section.name.as_str(), "Analyser", &port.to_string());
        let protocol = match section.protocol {
            AnalyserProtocol::Lis2 => Protocol::Lis2,
            AnalyserProtocol::Poct1a => Protocol::Poct1a,
        };
        let options = AnalyserOptions { port, protocol, message_bytes_max: MESSAGE_BYTES_MAX };
        let thread = Analyser::start(Arc::clone(&self.hub), link, options, Handle::current())?;
        self.analysers.push(thread);
        Ok(())
    }
}

fn load(section: Option<&TlsSection>, clock: &Arc<dyn Clock>) -> Result<Option<ServerTls>, TlsError> {
    let Some(section) = section else { return Ok(None) };
    let files = ServerFiles {
        certificate: section.certificate.clone(),
        key: section.key.clone(),
        client_ca: section.client_ca.clone(),
        revocation_list: None,
    };
    ServerTls::load(&files, OldestProtocol::Tls12, Arc::clone(clock)).map(Some)
}
