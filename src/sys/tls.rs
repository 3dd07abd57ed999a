//! TLS: whom we trust, who we are, and what went wrong in words. The only file that knows rustls.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    AlertDescription, CertificateError, ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
    client::{Resumption, WebPkiServerVerifier},
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{
        CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject,
    },
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    time_provider::TimeProvider,
    version::{TLS12, TLS13},
};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{
    certificate::{Identity, IdentityError},
    clock::Clock,
};

/// A stream under TLS, at the end that dialled.
pub type ClientStream<S> = tokio_rustls::client::TlsStream<S>;
/// A stream under TLS, at the end that was dialled.
pub type ServerStream<S> = tokio_rustls::server::TlsStream<S>;

/// A PEM file is at most this long: the whole NHS root store is far smaller, and a mistyped path to a
/// disk image must not fill the memory.
const PEM_BYTES_MAX: u64 = 4 << 20;

/// The files a client is made of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientFiles {
    /// The authorities whose servers we trust, as PEM.
    pub ca: PathBuf,
    /// Our certificate, leaf first, as PEM.
    pub certificate: PathBuf,
    /// Its private key, as PEM.
    pub key: PathBuf,
    /// Revocation lists, as PEM; enforced, their end of life included.
    pub revocation_list: Option<PathBuf>,
}

/// The files a server is made of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerFiles {
    /// The server's certificate, leaf first, as PEM.
    pub certificate: PathBuf,
    /// Its private key, as PEM.
    pub key: PathBuf,
    /// With this, whoever dials must show a certificate that one of these authorities signed.
    pub client_ca: Option<PathBuf>,
    /// Revocation lists for those, as PEM; enforced, their end of life included.
    pub revocation_list: Option<PathBuf>,
}

/// The files a client of Spine-side systems is made of: GP Connect and whatever else the NHS's own authorities
/// vouch for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SpineFiles {
    /// The authorities whose servers we trust, as PEM; none trusts those of the operating system.
    pub ca: Option<PathBuf>,
    /// Our certificate, leaf first, and its private key, as PEM; none shows no certificate.
    pub certificate_and_key: Option<(PathBuf, PathBuf)>,
    /// Revocation lists, as PEM; enforced, their end of life included.
    pub revocation_list: Option<PathBuf>,
}

/// Where operating systems keep the authorities they trust: Debian and Alpine, Fedora, openSUSE.
const SYSTEM_BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];

/// The oldest protocol a server takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OldestProtocol {
    /// For systems of others, many of which know nothing newer (RFC 5246).
    Tls12,
    /// For our own (RFC 8446).
    Tls13,
}

/// The files cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {reason}; check the path and that this service may read it", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// A file does not hold what it should.
    #[error("{path} cannot be used: {reason}", path = path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
}

/// Whose a certificate in a PEM file is, and from when to when it is good. The leaf comes first in the file.
///
/// # Errors
/// The file cannot be read, or holds no certificate that can be understood.
pub fn read_identity(path: &Path) -> Result<Identity, TlsError> {
    identity(path, &chain(path, &read(path)?)?)
}

/// How we connect. To our own: TLS 1.3 only, with a client certificate, and post-quantum key agreement first. To
/// Spine-side systems: see [`ClientTls::load_for_spine`].
#[derive(Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    identity: Option<Identity>,
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl ClientTls {
    /// Reads the files. Validity is judged by `clock`.
    ///
    /// # Errors
    /// Names the file, the reason, and what to do.
    pub fn load(files: &ClientFiles, clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        Self::from_material(files, &Material::read(files)?, clock)
    }

    fn from_material(
        files: &ClientFiles,
        material: &Material,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, TlsError> {
        let unusable = |path: &Path, reason: String| TlsError::Unusable { path: path.to_owned(), reason };
        let provider = provider();
        let roots = Arc::new(roots(&files.ca, &material.ca)?);
        let mut verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider));
        if let (Some(path), Some(pem)) = (&files.revocation_list, &material.revocation_list) {
            verifier = verifier.with_crls(revocation_lists(path, pem)?).enforce_revocation_expiration();
        }
        let verifier = verifier.build().map_err(|error| {
            unusable(files.revocation_list.as_ref().unwrap_or(&files.ca), error.to_string())
        })?;
        let chain = chain(&files.certificate, &material.certificate)?;
        let identity = identity(&files.certificate, &chain)?;
        let key = private_key(&files.key, &material.key)?;
        let mut config = ClientConfig::builder_with_details(provider, Arc::new(Time(clock)))
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| unusable(&files.ca, error.to_string()))?
            .with_webpki_verifier(verifier)
            .with_client_auth_cert(chain, key)
            .map_err(|error| unusable(&files.key, mismatch(&error, &files.certificate)))?;
        // A resumed session would keep showing the identity it began with, after the file was replaced.
        config.resumption = Resumption::disabled();
        Ok(Self { config: Arc::new(config), identity: Some(identity) })
    }

    /// Reads the files of a client of Spine-side systems: TLS 1.2 with the suites NHS Digital names first
    /// (GP Connect, Security guidance: `AESGCM+EECDH`), or TLS 1.3. Nothing older, and no other suite.
    ///
    /// # Errors
    /// Names the file, the reason, and what to do.
    pub fn load_for_spine(files: &SpineFiles, clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        let provider = spine_provider();
        let (ca, roots) = spine_roots(files.ca.as_deref())?;
        let unusable = |error: String| TlsError::Unusable { path: ca.clone(), reason: error };
        let mut verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        if let Some(path) = &files.revocation_list {
            verifier =
                verifier.with_crls(revocation_lists(path, &read(path)?)?).enforce_revocation_expiration();
        }
        let verifier = verifier.build().map_err(|error| unusable(error.to_string()))?;
        let config = ClientConfig::builder_with_details(provider, Arc::new(Time(clock)))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|error| unusable(error.to_string()))?
            .with_webpki_verifier(verifier);
        let Some((certificate, key)) = &files.certificate_and_key else {
            return Ok(Self { config: Arc::new(config.with_no_client_auth()), identity: None });
        };
        let chain = chain(certificate, &read(certificate)?)?;
        let identity = identity(certificate, &chain)?;
        let private = private_key(key, &read(key)?)?;
        let config = config.with_client_auth_cert(chain, private).map_err(|error| TlsError::Unusable {
            path: key.clone(),
            reason: mismatch(&error, certificate),
        })?;
        Ok(Self { config: Arc::new(config), identity: Some(identity) })
    }

    /// Whose our certificate is, and until when it is good; none if we show none.
    pub const fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// Speaks TLS with the server called `host` over `stream`.
    ///
    /// # Errors
    /// Put into words by [`explain`]. A server that wants another certificate says so only at the first read.
    pub async fn connect<S>(&self, host: &str, stream: S) -> io::Result<ClientStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "not a host name or address"))?;
        TlsConnector::from(Arc::clone(&self.config)).connect(name, stream).await
    }
}

/// A [`ClientTls`] that follows its files, so that a certificate is renewed by replacing files.
#[derive(Debug)]
pub struct ReloadingClient {
    files: ClientFiles,
    clock: Arc<dyn Clock>,
    current: Option<ClientTls>,
    /// What the newest files looked like, used or refused.
    seen: Option<Fingerprint>,
}

/// What [`ReloadingClient::current`] found.
#[derive(Debug)]
pub struct Reloaded {
    /// What to connect with.
    pub tls: ClientTls,
    /// Why the newest files are not used; said once for each new content.
    pub complaint: Option<TlsError>,
}

impl ReloadingClient {
    /// Follows these files. Nothing is read yet.
    pub fn new(files: ClientFiles, clock: Arc<dyn Clock>) -> Self {
        Self { files, clock, current: None, seen: None }
    }

    /// What to use for the next connection, from the files as they are now. A half-written or mismatching
    /// pair leaves the last good one in use.
    ///
    /// # Errors
    /// There has been no good set of files yet.
    pub fn current(&mut self) -> Result<Reloaded, TlsError> {
        let read = Material::read(&self.files);
        let fingerprint = read.as_ref().map(Material::fingerprint).map_err(Clone::clone);
        if let (Some(tls), true) = (&self.current, self.seen.as_ref() == Some(&fingerprint)) {
            return Ok(Reloaded { tls: tls.clone(), complaint: None });
        }
        self.seen = Some(fingerprint);
        let loaded = read
            .and_then(|material| ClientTls::from_material(&self.files, &material, Arc::clone(&self.clock)));
        match (loaded, &self.current) {
            (Ok(tls), _) => {
                self.current = Some(tls.clone());
                Ok(Reloaded { tls, complaint: None })
            }
            (Err(error), Some(old)) => Ok(Reloaded { tls: old.clone(), complaint: Some(error) }),
            (Err(error), None) => Err(error),
        }
    }
}

/// How we are connected to.
#[derive(Clone)]
pub struct ServerTls {
    acceptor: TlsAcceptor,
    identity: Identity,
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl ServerTls {
    /// Reads the files. Validity is judged by `clock`.
    ///
    /// # Errors
    /// Names the file, the reason, and what to do.
    pub fn load(
        files: &ServerFiles,
        oldest: OldestProtocol,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, TlsError> {
        let provider = provider();
        let versions: &[&SupportedProtocolVersion] = match oldest {
            OldestProtocol::Tls12 => &[&TLS13, &TLS12],
            OldestProtocol::Tls13 => &[&TLS13],
        };
        let verifier = match &files.client_ca {
            None => WebPkiClientVerifier::no_client_auth(),
            Some(ca) => {
                let roots = Arc::new(roots(ca, &read(ca)?)?);
                let mut verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
                if let Some(path) = &files.revocation_list {
                    verifier = verifier
                        .with_crls(revocation_lists(path, &read(path)?)?)
                        .enforce_revocation_expiration();
                }
                verifier
                    .build()
                    .map_err(|error| TlsError::Unusable { path: ca.clone(), reason: error.to_string() })?
            }
        };
        let chain = chain(&files.certificate, &read(&files.certificate)?)?;
        let identity = identity(&files.certificate, &chain)?;
        let key = private_key(&files.key, &read(&files.key)?)?;
        let unusable = |error: rustls::Error| TlsError::Unusable {
            path: files.key.clone(),
            reason: mismatch(&error, &files.certificate),
        };
        let mut config = ServerConfig::builder_with_details(provider, Arc::new(Time(clock)))
            .with_protocol_versions(versions)
            .map_err(unusable)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(unusable)?;
        if files.client_ca.is_some() {
            // A ticket would let in a client whose certificate has been revoked since.
            config.send_tls13_tickets = 0;
            config.session_storage = Arc::new(NoServerSessionStorage {});
        }
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), identity })
    }

    /// Whose our certificate is, and until when it is good.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Speaks TLS with whoever dialled. The caller sets the deadline.
    ///
    /// # Errors
    /// Put into words by [`explain`].
    pub async fn accept<S>(&self, stream: S) -> io::Result<ServerStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.acceptor.accept(stream).await
    }
}

/// Whose certificate the other end showed; none if it showed none.
///
/// # Errors
/// The certificate has no readable common name.
pub fn peer_identity<S>(stream: &ServerStream<S>) -> Result<Option<Identity>, IdentityError> {
    let certificates = stream.get_ref().1.peer_certificates();
    certificates.and_then(|chain| chain.first()).map(|leaf| Identity::of_certificate(leaf)).transpose()
}

/// An error of a TLS stream in words for an operator: which end is at fault, and what to do.
pub fn explain(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(reason)) => explain_certificate(reason),
        Some(rustls::Error::AlertReceived(alert)) => explain_alert(*alert),
        Some(rustls::Error::NoCertificatesPresented) => "the other end shows no certificate".to_owned(),
        Some(other) => format!("TLS: {other}"),
        None if error.kind() == io::ErrorKind::UnexpectedEof => "the other end hung up".to_owned(),
        None if error.kind() == io::ErrorKind::ConnectionReset => {
            "the other end reset the connection".to_owned()
        }
        None => error.to_string(),
    }
}

fn explain_certificate(reason: &CertificateError) -> String {
    match reason {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the other end's certificate has expired: renew it there, or check this box's clock".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the other end's certificate is not valid yet: check this box's clock".to_owned()
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "the other end's certificate is not signed by the configured authority: check the CA file"
                .to_owned()
        }
        CertificateError::Revoked => "the other end's certificate is revoked".to_owned(),
        CertificateError::ExpiredRevocationList | CertificateError::ExpiredRevocationListContext { .. } => {
            "the revocation list is out of date: install a new one".to_owned()
        }
        CertificateError::UnknownRevocationStatus => {
            "the revocation list says nothing of the other end's certificate: install the issuer's list"
                .to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the other end's certificate is for another host name".to_owned()
        }
        other => format!("the other end's certificate cannot be used: {other}"),
    }
}

fn explain_alert(alert: AlertDescription) -> String {
    let reason = match alert {
        AlertDescription::CertificateRequired => "it wants a client certificate",
        AlertDescription::CertificateExpired => "our certificate has expired, or its clock is wrong",
        AlertDescription::CertificateRevoked => "our certificate is revoked",
        AlertDescription::UnknownCA => "our certificate is not signed by an authority it knows",
        AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate => "it does not accept our certificate",
        AlertDescription::AccessDenied => "it does not let our certificate in",
        AlertDescription::ProtocolVersion => "it knows no TLS version that we speak",
        AlertDescription::HandshakeFailure => "it knows no cipher that we speak",
        other => return format!("the other end refuses: TLS alert {other:?}"),
    };
    format!("the other end refuses: {reason}")
}

/// aws-lc-rs with X25519MLKEM768 first: records must stay secret for decades, so what is recorded today must
/// not be readable by a quantum computer later. Plain X25519 and the NIST curves follow for brokers that do
/// not know it.
fn provider() -> Arc<CryptoProvider> {
    use aws_lc_rs::kx_group::{SECP256R1, SECP384R1, X25519, X25519MLKEM768};
    let kx_groups = vec![X25519MLKEM768, X25519, SECP256R1, SECP384R1];
    Arc::new(CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() })
}

/// For Spine-side systems: AES-GCM with ephemeral elliptic curves, under TLS 1.2 and 1.3.
fn spine_provider() -> Arc<CryptoProvider> {
    use aws_lc_rs::cipher_suite::{
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384,
    };
    let cipher_suites = vec![
        TLS13_AES_256_GCM_SHA384,
        TLS13_AES_128_GCM_SHA256,
        TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ];
    Arc::new(CryptoProvider { cipher_suites, ..CryptoProvider::clone(&provider()) })
}

/// The configured authorities, every one of which must be usable, or the operating system's, which hold some that
/// are not.
fn spine_roots(ca: Option<&Path>) -> Result<(PathBuf, RootCertStore), TlsError> {
    if let Some(path) = ca {
        return Ok((path.to_owned(), roots(path, &read(path)?)?));
    }
    let bundle = SYSTEM_BUNDLES.into_iter().map(Path::new).find(|path| path.exists());
    let Some(path) = bundle else {
        return Err(TlsError::Unusable {
            path: PathBuf::from(SYSTEM_BUNDLES[0]),
            reason: "this system keeps no authorities there: name a CA file".to_owned(),
        });
    };
    let mut store = RootCertStore::empty();
    let (usable, _) = store.add_parsable_certificates(chain(path, &read(path)?)?);
    if usable == 0 {
        let reason = "it holds no usable authority".to_owned();
        return Err(TlsError::Unusable { path: path.to_owned(), reason });
    }
    Ok((path.to_owned(), store))
}

/// Our clock as rustls wants it.
#[derive(Debug)]
struct Time(Arc<dyn Clock>);

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = self.0.now().unix_seconds();
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
    }
}

/// The content of a client's files.
struct Material {
    ca: Vec<u8>,
    certificate: Vec<u8>,
    key: Vec<u8>,
    revocation_list: Option<Vec<u8>>,
}

/// A digest of a client's files, or why they could not be read.
type Fingerprint = Result<[u8; 32], TlsError>;

impl Material {
    fn read(files: &ClientFiles) -> Result<Self, TlsError> {
        Ok(Self {
            ca: read(&files.ca)?,
            certificate: read(&files.certificate)?,
            key: read(&files.key)?,
            revocation_list: files.revocation_list.as_deref().map(read).transpose()?,
        })
    }

    fn fingerprint(&self) -> [u8; 32] {
        let parts = [Some(&self.ca), Some(&self.certificate), Some(&self.key), self.revocation_list.as_ref()];
        let mut digest = Sha256::new();
        for part in parts.into_iter().flatten() {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable =
        |error: io::Error| TlsError::Unreadable { path: path.to_owned(), reason: error.to_string() };
    if PEM_BYTES_MAX < fs::metadata(path).map_err(unreadable)?.len() {
        return Err(TlsError::Unusable {
            path: path.to_owned(),
            reason: "it is too long for a PEM file".to_owned(),
        });
    }
    fs::read(path).map_err(unreadable)
}

fn roots(path: &Path, pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in chain(path, pem)? {
        store.add(certificate).map_err(|error| TlsError::Unusable {
            path: path.to_owned(),
            reason: format!("it holds no usable authority: {error}"),
        })?;
    }
    Ok(store)
}

fn chain(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unusable = |reason: String| TlsError::Unusable { path: path.to_owned(), reason };
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(format!("it is damaged PEM: {error}")))?;
    if certificates.is_empty() {
        return Err(unusable(
            "it holds no certificate: a PEM file with BEGIN CERTIFICATE is wanted".to_owned(),
        ));
    }
    Ok(certificates)
}

fn private_key(path: &Path, pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    // The parser's own reason may quote the file: a private key must not end up in a log.
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| TlsError::Unusable {
        path: path.to_owned(),
        reason: "it holds no private key: an unencrypted PEM file with BEGIN PRIVATE KEY is wanted"
            .to_owned(),
    })
}

fn revocation_lists(path: &Path, pem: &[u8]) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let lists: Vec<_> =
        CertificateRevocationListDer::pem_slice_iter(pem).collect::<Result<_, _>>().unwrap_or_default();
    if lists.is_empty() {
        let reason = "it holds no revocation list: a PEM file with BEGIN X509 CRL is wanted".to_owned();
        return Err(TlsError::Unusable { path: path.to_owned(), reason });
    }
    Ok(lists)
}

fn identity(path: &Path, chain: &[CertificateDer<'static>]) -> Result<Identity, TlsError> {
    let leaf = chain.first().map_or(&[][..], |leaf| leaf);
    Identity::of_certificate(leaf)
        .map_err(|error| TlsError::Unusable { path: path.to_owned(), reason: error.to_string() })
}

fn mismatch(error: &rustls::Error, certificate: &Path) -> String {
    match error {
        rustls::Error::InconsistentKeys(_) => {
            format!("it is not the key of {}: install a matching pair", certificate.display())
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock::SystemClock;

    #[test]
    fn errors_name_the_file_and_what_to_do() {
        let directory = std::env::temp_dir().join(format!("polygate-tls-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let at = |name: &str| directory.join(name);
        let files = ClientFiles {
            ca: at("ca.pem"),
            certificate: at("hub.pem"),
            key: at("hub.key"),
            revocation_list: None,
        };
        let load = || ClientTls::load(&files, Arc::new(SystemClock)).unwrap_err().to_string();
        let missing = load();
        assert!(missing.contains("ca.pem") && missing.contains("check the path"), "{missing}");
        for file in [&files.ca, &files.certificate, &files.key] {
            fs::write(file, "-----BEGIN NOTHING-----\nc2VjcmV0\n-----END NOTHING-----\n").unwrap();
        }
        let empty = load();
        assert!(empty.contains("ca.pem") && empty.contains("BEGIN CERTIFICATE"), "{empty}");
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn key_agreement_is_post_quantum_first() {
        let names: Vec<_> = provider().kx_groups.iter().map(|group| group.name()).collect();
        assert_eq!(names.first(), Some(&rustls::NamedGroup::X25519MLKEM768));
        assert!(names.contains(&rustls::NamedGroup::X25519), "brokers that do not know it");
    }

    #[test]
    fn spine_side_systems_have_a_profile_of_their_own_and_ours_stays_as_it_is() {
        let suites: Vec<String> =
            spine_provider().cipher_suites.iter().map(|suite| format!("{:?}", suite.suite())).collect();
        assert!(suites.iter().all(|suite| suite.contains("AES") && suite.contains("GCM")), "{suites:?}");
        assert!(suites.iter().any(|suite| suite.starts_with("TLS_ECDHE")), "TLS 1.2");
        assert!(suites.len() < provider().cipher_suites.len(), "ours was not narrowed, nor widened");
        let missing = SpineFiles { ca: Some(PathBuf::from("/nowhere/ca.pem")), ..SpineFiles::default() };
        let error = ClientTls::load_for_spine(&missing, Arc::new(SystemClock)).unwrap_err();
        assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
    }
}
