//! The links to the systems in the building, put together from their sections.

use std::sync::Arc;

use tokio::{net::TcpStream, sync::Semaphore};

use crate::{
    config::{Hl7Section, HubConfig},
    sys::{
        clock::Clock,
        tls::{OldestProtocol, ServerFiles, ServerTls},
    },
    systems::{
        hl7::{Dialect, Server, ServerOptions},
        rio, secondary_care,
    },
};

use super::hub::RunningHub;

impl RunningHub {
    /// Starts every link of the configuration.
    ///
    /// # Errors
    /// A certificate for listening cannot be used.
    pub(super) fn start_links(&mut self, config: &HubConfig, clock: &Arc<dyn Clock>) -> anyhow::Result<()> {
        let large = Server::large_messages();
        for section in &config.rio {
            self.start_link(section, rio::DIALECT, &large, clock)?;
        }
        for section in &config.secondary_care {
            self.start_link(section, secondary_care::DIALECT, &large, clock)?;
        }
        Ok(())
    }

    fn start_link(
        &mut self,
        section: &Hl7Section,
        dialect: Dialect,
        large: &Arc<Semaphore>,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<()> {
        let link = self.hub.add_link(section.name.as_str(), dialect.kind, &section.listen.to_string());
        if section.deliver.is_some() {
            tracing::warn!(
                link = link.name(),
                "`deliver` is set, and this version sends nothing to systems yet"
            );
        }
        let options = ServerOptions {
            listen: section.listen,
            message_bytes_max: usize::try_from(section.message_max_mib << 20)?,
            connections_max: section.connections_max,
            idle: section.idle(),
            write: section.write(),
        };
        let server = Server::new(Arc::clone(&self.hub), link, dialect, options, Arc::clone(large));
        let stop = self.stop.subscribe();
        match &section.tls {
            None => drop(self.tasks.spawn(server.run(|stream: TcpStream| async { Ok(stream) }, stop))),
            Some(tls) => {
                let files = ServerFiles {
                    certificate: tls.certificate.clone(),
                    key: tls.key.clone(),
                    client_ca: tls.client_ca.clone(),
                    revocation_list: None,
                };
                let tls = ServerTls::load(&files, OldestProtocol::Tls12, Arc::clone(clock))?;
                let secure = move |stream: TcpStream| {
                    let tls = tls.clone();
                    async move { tls.accept(stream).await }
                };
                self.tasks.spawn(server.run(secure, stop));
            }
        }
        Ok(())
    }
}
