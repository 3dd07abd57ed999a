//! A private certificate authority for those who have none: one directory, one key, and who got what.
//!
//! Hubs, centre and broker recognise each other by certificates of this authority alone. Its key stays in the
//! directory: keep that off the network.

use std::{
    fs, io,
    io::Write as _,
    net::IpAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};

use crate::domain::{ids::HubId, time::Timestamp};

/// The authority's life: it is changed by installing a second one beside it in good time.
pub const AUTHORITY_LIFE: Duration = Duration::from_secs(3653 * 24 * 3600);
/// A certificate's life: a year and a month, so that a yearly renewal has time.
pub const LEAF_LIFE: Duration = Duration::from_secs(397 * 24 * 3600);
/// Certificates are good from a little earlier, because other boxes' clocks run late.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(3600);

/// The common name of the centre's certificate.
pub const CENTRE: &str = "centre";
const AUTHORITY: &str = "ca";
const BROKER: &str = "broker";

/// The authority could not do it.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// There is something already, and it was not to be replaced.
    #[error("{path} exists: remove it or ask for it to be replaced", path = .0.display())]
    Exists(PathBuf),
    /// There is no authority yet.
    #[error("{directory} holds no authority: run `polycentre pki init` first", directory = .0.display())]
    NoAuthority(PathBuf),
    /// A file cannot be read or written.
    #[error("{path}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The authority's files, or a name asked for, cannot be used.
    #[error("{what} cannot be used")]
    Unusable {
        /// What.
        what: String,
        /// Why.
        source: rcgen::Error,
    },
    /// A hub may not be called this.
    #[error("a hub cannot be called {0}: the name is taken")]
    ReservedName(String),
    /// A broker is found by its names.
    #[error("a broker's certificate needs at least one host name or address")]
    NoNames,
    /// The clock shows a year no certificate can carry.
    #[error("the clock is wrong: {0}")]
    Clock(Timestamp),
}

/// A certificate and its key, as files.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Issued {
    /// The certificate, as PEM: the leaf alone.
    pub certificate: PathBuf,
    /// Its private key, as PEM, mode 0600.
    pub key: PathBuf,
}

/// How a certificate is to be issued.
#[derive(Clone, Copy, Debug)]
pub struct Issue {
    /// Now.
    pub now: Timestamp,
    /// How long the certificate is good; [`LEAF_LIFE`] unless there is a reason.
    pub life: Duration,
    /// Whether an earlier one is replaced: a renewal, with a new key.
    pub replace: bool,
}

impl Issue {
    /// A first certificate, of the usual life.
    pub fn new(now: Timestamp) -> Self {
        Self { now, life: LEAF_LIFE, replace: false }
    }

    /// A renewal, of the usual life.
    pub fn renewal(now: Timestamp) -> Self {
        Self { replace: true, ..Self::new(now) }
    }
}

/// Makes the authority: `ca.pem` and `ca.key` in `directory`, which is made if need be. Never replaces one: what
/// it issued would be worth nothing.
///
/// # Errors
/// See [`PkiError`].
pub fn init(directory: &Path, now: Timestamp) -> Result<Issued, PkiError> {
    fs::create_dir_all(directory).map_err(|source| PkiError::File { path: directory.to_owned(), source })?;
    let mut params = params(AUTHORITY_NAME, Vec::new(), now, AUTHORITY_LIFE)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().map_err(unusable("a new key"))?;
    let certificate = params.self_signed(&key).map_err(unusable("the authority's certificate"))?;
    store(directory, AUTHORITY, &certificate.pem(), &key.serialize_pem(), false)
}

/// Issues a hub's certificate, for connecting to the broker and for serving: `ID.pem` and `ID.key`.
///
/// # Errors
/// See [`PkiError`].
pub fn issue_hub(directory: &Path, hub: &HubId, issue: Issue) -> Result<Issued, PkiError> {
    if [AUTHORITY, BROKER, CENTRE].contains(&hub.as_str()) {
        return Err(PkiError::ReservedName(hub.to_string()));
    }
    let usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    // A host name's label is at most 63 characters (RFC 1035, section 2.3.4); an id may be one longer.
    let alternatives = if hub.as_str().len() <= 63 { vec![dns(hub.as_str())?] } else { Vec::new() };
    leaf(directory, (hub.as_str(), hub.as_str()), alternatives, usages, issue)
}

/// Issues the centre's certificate, for connecting to the broker: `centre.pem` and `centre.key`.
///
/// # Errors
/// See [`PkiError`].
pub fn issue_centre(directory: &Path, issue: Issue) -> Result<Issued, PkiError> {
    leaf(directory, (CENTRE, CENTRE), Vec::new(), vec![ExtendedKeyUsagePurpose::ClientAuth], issue)
}

/// Issues the broker's certificate: `broker.pem` and `broker.key`. `names` are host names or addresses; the first
/// is the common name. `localhost`, `127.0.0.1` and `::1` are added for a broker on this machine if `loopback`.
///
/// # Errors
/// See [`PkiError`].
pub fn issue_broker(
    directory: &Path,
    names: &[String],
    loopback: bool,
    issue: Issue,
) -> Result<Issued, PkiError> {
    let local = ["localhost", "127.0.0.1", "::1"].into_iter().filter(|_| loopback);
    let names: Vec<&str> = names.iter().map(String::as_str).chain(local).collect();
    let first = *names.first().ok_or(PkiError::NoNames)?;
    let alternatives = names.iter().map(|name| alternative(name)).collect::<Result<_, _>>()?;
    leaf(directory, (BROKER, first), alternatives, vec![ExtendedKeyUsagePurpose::ServerAuth], issue)
}

const AUTHORITY_NAME: &str = "polygate private authority";

fn leaf(
    directory: &Path,
    (file, common_name): (&str, &str),
    alternatives: Vec<SanType>,
    usages: Vec<ExtendedKeyUsagePurpose>,
    issue: Issue,
) -> Result<Issued, PkiError> {
    if !issue.replace {
        refuse_existing(directory, file)?;
    }
    let authority = authority(directory)?;
    let mut params = params(common_name, alternatives, issue.now, issue.life)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = usages;
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().map_err(unusable("a new key"))?;
    let certificate = params.signed_by(&key, &authority).map_err(unusable(common_name))?;
    store(directory, file, &certificate.pem(), &key.serialize_pem(), issue.replace)
}

fn params(
    common_name: &str,
    alternatives: Vec<SanType>,
    now: Timestamp,
    life: Duration,
) -> Result<CertificateParams, PkiError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.subject_alt_names = alternatives;
    let earlier = i64::try_from(CLOCK_TOLERANCE.as_millis()).unwrap_or(0);
    params.not_before = moment(Timestamp(now.0.saturating_sub(earlier)))?;
    params.not_after = moment(now.plus(life))?;
    Ok(params)
}

fn moment(at: Timestamp) -> Result<time::OffsetDateTime, PkiError> {
    time::OffsetDateTime::from_unix_timestamp(at.0.div_euclid(1000)).map_err(|_| PkiError::Clock(at))
}

fn authority(directory: &Path) -> Result<Issuer<'static, KeyPair>, PkiError> {
    let read = |path: PathBuf| match fs::read_to_string(&path) {
        Ok(pem) => Ok(pem),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(PkiError::NoAuthority(directory.to_owned()))
        }
        Err(source) => Err(PkiError::File { path, source }),
    };
    let files = paths(directory, AUTHORITY);
    let certificate = read(files.certificate.clone())?;
    let key = read(files.key.clone())?;
    let key = KeyPair::from_pem(&key).map_err(unusable(&files.key.display().to_string()))?;
    Issuer::from_ca_cert_pem(&certificate, key).map_err(unusable(&files.certificate.display().to_string()))
}

fn unusable(what: &str) -> impl FnOnce(rcgen::Error) -> PkiError + '_ {
    move |source| PkiError::Unusable { what: what.to_owned(), source }
}

fn dns(name: &str) -> Result<SanType, PkiError> {
    let name = name.try_into().map_err(unusable(name))?;
    Ok(SanType::DnsName(name))
}

fn alternative(name: &str) -> Result<SanType, PkiError> {
    name.parse::<IpAddr>().map_or_else(|_| dns(name), |address| Ok(SanType::IpAddress(address)))
}

fn paths(directory: &Path, name: &str) -> Issued {
    Issued { certificate: directory.join(format!("{name}.pem")), key: directory.join(format!("{name}.key")) }
}

fn refuse_existing(directory: &Path, name: &str) -> Result<(), PkiError> {
    let files = paths(directory, name);
    match [files.certificate, files.key].into_iter().find(|path| path.exists()) {
        Some(path) => Err(PkiError::Exists(path)),
        None => Ok(()),
    }
}

/// Writes both files or, as far as a file system can, neither. The key comes first: a reader in between finds
/// a pair that does not match, and keeps to the old one.
fn store(
    directory: &Path,
    name: &str,
    certificate: &str,
    key: &str,
    replace: bool,
) -> Result<Issued, PkiError> {
    if !replace {
        refuse_existing(directory, name)?;
    }
    let files = paths(directory, name);
    write(&files.key, key, 0o600)?;
    write(&files.certificate, certificate, 0o644)?;
    Ok(files)
}

/// Replaces a file as a whole: written beside it, synced, renamed, and the directory synced.
fn write(path: &Path, content: &str, mode: u32) -> Result<(), PkiError> {
    let file = |source: io::Error| PkiError::File { path: path.to_owned(), source };
    let beside = path.with_extension("new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(file(error)),
        _ => {}
    }
    let mut options = fs::OpenOptions::new();
    let mut new = options.write(true).create_new(true).mode(mode).open(&beside).map_err(file)?;
    new.write_all(content.as_bytes()).and_then(|()| new.sync_all()).map_err(file)?;
    fs::rename(&beside, path).map_err(file)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    fs::File::open(directory.unwrap_or(Path::new(".")))
        .and_then(|directory| directory.sync_all())
        .map_err(file)
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt as _, sync::Arc};

    use super::*;
    use crate::sys::{
        clock::SimulatedClock,
        tls::{ClientFiles, ClientTls, OldestProtocol, ServerFiles, ServerTls, SpineFiles, peer_identity},
    };

    const NOW: Timestamp = Timestamp(1_795_000_000_000);

    /// A directory of this test's own, removed at the end.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("polygate-pki-{}-{name}", std::process::id()));
            drop(fs::remove_dir_all(&path));
            Self(path)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    fn hub(id: &str) -> HubId {
        id.parse().unwrap()
    }

    fn loopback(directory: &Path, issue: Issue) -> Result<Issued, PkiError> {
        issue_broker(directory, &["broker.example".to_owned(), "10.1.2.3".to_owned()], true, issue)
    }

    #[test]
    fn nothing_is_overwritten_unless_asked_and_keys_are_private() {
        let directory = Directory::new("overwrite");
        assert!(matches!(issue_hub(&directory.0, &hub("a"), Issue::new(NOW)), Err(PkiError::NoAuthority(_))));
        init(&directory.0, NOW).unwrap();
        assert!(matches!(init(&directory.0, NOW), Err(PkiError::Exists(path)) if path.ends_with("ca.pem")));
        let issued = issue_hub(&directory.0, &hub("a"), Issue::new(NOW)).unwrap();
        let first = fs::read(&issued.certificate).unwrap();
        let refused = issue_hub(&directory.0, &hub("a"), Issue::new(NOW));
        assert!(matches!(refused, Err(PkiError::Exists(path)) if path == issued.certificate));
        assert_eq!(fs::read(&issued.certificate).unwrap(), first);
        issue_hub(&directory.0, &hub("a"), Issue::renewal(NOW)).unwrap();
        assert_ne!(fs::read(&issued.certificate).unwrap(), first, "renewed");
        for file in fs::read_dir(&directory.0).unwrap() {
            let file = file.unwrap();
            let (path, mode) = (file.path(), file.metadata().unwrap().permissions().mode() & 0o777);
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("key") => assert_eq!(mode, 0o600, "{path:?}"),
                Some("pem") => assert_eq!(mode, 0o644, "{path:?}"),
                _ => panic!("{path:?} was left behind"),
            }
        }
    }

    #[test]
    fn names_that_mean_something_else_are_refused() {
        let directory = Directory::new("reserved");
        init(&directory.0, NOW).unwrap();
        for id in ["ca", "centre", "broker"] {
            let refused = issue_hub(&directory.0, &hub(id), Issue::renewal(NOW));
            assert!(matches!(refused, Err(PkiError::ReservedName(_))), "{id}");
        }
        assert!(matches!(issue_broker(&directory.0, &[], false, Issue::new(NOW)), Err(PkiError::NoNames)));
    }

    /// Whom the server sees, or what either end says, at `at`.
    async fn handshake(
        directory: &Path,
        client: &str,
        server: &str,
        at: Timestamp,
    ) -> Result<String, String> {
        handshake_with(directory, client, server, at, None).await
    }

    async fn handshake_with(
        directory: &Path,
        client: &str,
        server: &str,
        at: Timestamp,
        revocation_list: Option<PathBuf>,
    ) -> Result<String, String> {
        let path = |name: &str, extension: &str| directory.join(format!("{name}.{extension}"));
        let clock = Arc::new(SimulatedClock::new(at));
        let files = ClientFiles {
            ca: path("ca", "pem"),
            certificate: path(client, "pem"),
            key: path(client, "key"),
            revocation_list: None,
        };
        let client = ClientTls::load(&files, Arc::clone(&clock) as Arc<_>).unwrap();
        let files = ServerFiles {
            certificate: path("broker", "pem"),
            key: path("broker", "key"),
            client_ca: Some(path("ca", "pem")),
            revocation_list,
        };
        let accepting = ServerTls::load(&files, OldestProtocol::Tls13, clock).unwrap();
        let (near, far) = tokio::io::duplex(1 << 16);
        let (dialled, accepted) = tokio::join!(client.connect(server, near), accepting.accept(far));
        dialled.map_err(|error| crate::sys::tls::explain(&error))?;
        let accepted = accepted.map_err(|error| crate::sys::tls::explain(&error))?;
        Ok(peer_identity(&accepted).unwrap().unwrap().common_name)
    }

    #[tokio::test]
    async fn what_is_issued_works_for_its_purpose_and_its_time() {
        let directory = Directory::new("purpose");
        init(&directory.0, NOW).unwrap();
        loopback(&directory.0, Issue::new(NOW)).unwrap();
        issue_centre(&directory.0, Issue::new(NOW)).unwrap();
        let longest = "x".repeat(64);
        for id in ["soho", &longest] {
            issue_hub(&directory.0, &hub(id), Issue::new(NOW)).unwrap();
            assert_eq!(handshake(&directory.0, id, "localhost", NOW).await.as_deref(), Ok(id));
        }
        for server in ["broker.example", "10.1.2.3", "127.0.0.1", "::1"] {
            assert_eq!(
                handshake(&directory.0, "centre", server, NOW).await.as_deref(),
                Ok(CENTRE),
                "{server}"
            );
        }
        let stranger = handshake(&directory.0, "soho", "elsewhere.example", NOW).await;
        assert!(stranger.unwrap_err().contains("another host name"));
        let server_only = handshake(&directory.0, "broker", "localhost", NOW).await;
        assert!(server_only.is_err(), "a broker's certificate is not for connecting");
        for (at, why) in
            [(NOW.plus(LEAF_LIFE + Duration::from_secs(1)), "expired"), (Timestamp(0), "not valid yet")]
        {
            let refused = handshake(&directory.0, "soho", "localhost", at).await;
            assert!(refused.unwrap_err().contains(why), "{why}");
        }
    }

    #[tokio::test]
    async fn a_spine_side_client_shows_its_certificate_only_where_it_has_one() {
        let directory = Directory::new("spine");
        init(&directory.0, NOW).unwrap();
        loopback(&directory.0, Issue::new(NOW)).unwrap();
        let issued = issue_hub(&directory.0, &hub("soho"), Issue::new(NOW)).unwrap();
        let clock = Arc::new(SimulatedClock::new(NOW));
        let ca = directory.0.join("ca.pem");
        for shown in [Some((issued.certificate.clone(), issued.key.clone())), None] {
            let files = SpineFiles {
                ca: Some(ca.clone()),
                certificate_and_key: shown.clone(),
                revocation_list: None,
            };
            let client = ClientTls::load_for_spine(&files, Arc::clone(&clock) as Arc<_>).unwrap();
            let files = ServerFiles {
                certificate: directory.0.join("broker.pem"),
                key: directory.0.join("broker.key"),
                client_ca: shown.as_ref().map(|_| ca.clone()),
                revocation_list: None,
            };
            let server =
                ServerTls::load(&files, OldestProtocol::Tls12, Arc::clone(&clock) as Arc<_>).unwrap();
            let (near, far) = tokio::io::duplex(1 << 16);
            let (dialled, accepted) = tokio::join!(client.connect("localhost", near), server.accept(far));
            dialled.unwrap();
            let peer = peer_identity(&accepted.unwrap()).unwrap().map(|peer| peer.common_name);
            assert_eq!(peer.as_deref(), shown.is_some().then_some("soho"));
            assert_eq!(client.identity().is_some(), shown.is_some());
        }
    }

    #[tokio::test]
    async fn revocation_lists_are_enforced_and_so_is_their_end() {
        let directory = Directory::new("revocation");
        init(&directory.0, NOW).unwrap();
        loopback(&directory.0, Issue::new(NOW)).unwrap();
        issue_hub(&directory.0, &hub("soho"), Issue::new(NOW)).unwrap();
        let list = rcgen::CertificateRevocationListParams {
            this_update: moment(NOW).unwrap(),
            next_update: moment(NOW.plus(Duration::from_secs(3600))).unwrap(),
            crl_number: rcgen::SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&authority(&directory.0).unwrap()).unwrap().pem().unwrap();
        let path = directory.0.join("ca.crl");
        fs::write(&path, list).unwrap();
        let fresh = handshake_with(&directory.0, "soho", "localhost", NOW, Some(path.clone())).await;
        assert_eq!(fresh.as_deref(), Ok("soho"));
        let later = NOW.plus(Duration::from_secs(3601));
        let stale = handshake_with(&directory.0, "soho", "localhost", later, Some(path)).await;
        assert!(stale.unwrap_err().contains("out of date"));
    }

    #[test]
    fn a_client_follows_its_files_and_complains_once_about_each_bad_set() {
        use crate::sys::tls::ReloadingClient;
        let directory = Directory::new("reload");
        init(&directory.0, NOW).unwrap();
        let issued = issue_hub(&directory.0, &hub("soho"), Issue::new(NOW)).unwrap();
        let other = issue_hub(&directory.0, &hub("camden"), Issue::new(NOW)).unwrap();
        let files = ClientFiles {
            ca: directory.0.join("ca.pem"),
            certificate: issued.certificate.clone(),
            key: issued.key.clone(),
            revocation_list: None,
        };
        let mut client = ReloadingClient::new(files, Arc::new(SimulatedClock::new(NOW)));
        let mut look = || {
            let found = client.current().unwrap();
            (found.tls.identity().unwrap().not_after, found.complaint.map(|complaint| complaint.to_string()))
        };
        let first = look();
        assert_eq!(first.1, None);
        fs::copy(&other.key, &issued.key).unwrap();
        let (until, complaint) = look();
        assert_eq!(until, first.0, "the old pair stays in use");
        assert!(
            complaint
                .is_some_and(|complaint| complaint.contains("soho.key") && complaint.contains("matching"))
        );
        assert_eq!(look(), first, "said once");
        fs::write(&issued.certificate, "-----BEGIN CERT").unwrap();
        assert!(look().1.is_some(), "another fault, another word");
        issue_hub(&directory.0, &hub("soho"), Issue::renewal(NOW.plus(Duration::from_secs(60)))).unwrap();
        let (until, complaint) = look();
        assert_eq!((until, complaint), (first.0.plus(Duration::from_secs(60)), None), "renewed");
    }
}
