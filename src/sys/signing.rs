//! Keys that sign, and signatures that are verified: the only file beside `tls.rs` that names a cryptographic library.
//!
//! A key in a file protects against whoever has not the file. A key in a TPM could not be copied either; it would
//! take [`FileKey`]'s place wherever one is made.

use std::{
    fmt,
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, ParsedPublicKey};

/// Ed25519 (RFC 8032) in C2SP signed-note: keys of 32 bytes, signatures of 64.
pub const ED25519_NUMBER: u8 = 1;
/// An Ed25519 key in PKCS #8 is shorter, in bytes.
const KEY_BYTES_MAX: u64 = 4 << 10;

/// An Ed25519 key in a file that only its owner may read.
pub struct FileKey {
    pair: Ed25519KeyPair,
}

impl FileKey {
    /// Reads the key, or makes one where there is no file yet. Blocks.
    ///
    /// # Errors
    /// The file cannot be read or written, or holds no key.
    pub fn open_or_make(path: &Path) -> io::Result<Self> {
        match Self::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Self::make(path),
            other => other,
        }
    }

    /// Reads the key. Blocks.
    ///
    /// # Errors
    /// `NotFound`; the file cannot be read, or holds no key.
    pub fn open(path: &Path) -> io::Result<Self> {
        if KEY_BYTES_MAX < fs::metadata(path)?.len() {
            return Err(ErrorKind::InvalidData.into());
        }
        let pair = Ed25519KeyPair::from_pkcs8(&fs::read(path)?)
            .map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is no Ed25519 key in PKCS #8"))?;
        Ok(Self { pair })
    }

    /// A key that is nowhere but here: for tests and simulations.
    ///
    /// # Errors
    /// The kernel gives no random numbers.
    pub fn fleeting() -> io::Result<Self> {
        Ok(Self { pair: Ed25519KeyPair::generate().map_err(|_| no_key())? })
    }

    /// Written beside and linked into place, so that there is either the whole key or none.
    fn make(path: &Path) -> io::Result<Self> {
        let key = Self::fleeting()?;
        let der = key.pair.to_pkcs8v1().map_err(|_| no_key())?;
        let beside = path.with_extension("new");
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(der.as_ref())?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        if let Some(folder) = path.parent() {
            fs::File::open(folder)?.sync_all()?;
        }
        Ok(key)
    }

    /// The public key: 32 bytes.
    pub fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// Signs a message: 64 bytes.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

impl fmt::Debug for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileKey(…)")
    }
}

/// Whether a signature is a key's; never if the algorithm is unknown.
pub fn verify(algorithm: u8, public: &[u8], message: &[u8], signature: &[u8]) -> bool {
    algorithm == ED25519_NUMBER && verify_ed25519(public, message, signature)
}

fn verify_ed25519(public: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let key = ParsedPublicKey::new(&ED25519, public);
    key.is_ok_and(|key| key.verify_sig(message, signature).is_ok())
}

fn no_key() -> io::Error {
    io::Error::other("no key can be made")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_is_its_owners() {
        let folder = std::env::temp_dir().join(format!("polygate-signing-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("key.pk8");
        let made = FileKey::open_or_make(&path).unwrap();
        let signature = made.sign(b"so it was");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let read = FileKey::open_or_make(&path).unwrap();
        assert_eq!(read.public(), made.public());
        assert!(verify_ed25519(read.public(), b"so it was", &signature));
        assert!(!verify_ed25519(read.public(), b"so it was not", &signature));
        assert!(!verify_ed25519(FileKey::fleeting().unwrap().public(), b"so it was", &signature));
        assert!(!verify_ed25519(b"short", b"", b""));
        fs::write(&path, b"no key").unwrap();
        assert_eq!(FileKey::open_or_make(&path).unwrap_err().kind(), ErrorKind::InvalidData);
        fs::remove_dir_all(&folder).unwrap();
    }

    /// RFC 8032, 7.1, TEST 2.
    #[test]
    fn the_standards_own_signature_verifies() {
        let bytes = |text: &str| -> Vec<u8> {
            let digits = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
            text.as_bytes().chunks(2).map(digits).collect()
        };
        let public = bytes("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
        let signature = bytes(concat!(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da",
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ));
        assert!(verify_ed25519(&public, &[0x72], &signature));
        assert!(!verify_ed25519(&public, &[0x73], &signature));
        assert!(verify(ED25519_NUMBER, &public, &[0x72], &signature));
        assert!(!verify(2, &public, &[0x72], &signature));
    }
}
