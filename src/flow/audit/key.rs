//! The key that signs checkpoints: in a file of the state folder, until a TPM holds it.

use std::{io, path::Path, sync::Arc};

use crate::{
    access::audit::{SignFailed, Signer, VerifyingKey},
    sys::signing::{ED25519_NUMBER, FileKey},
};

/// Signs with a key in a file.
#[derive(Debug)]
pub struct FileSigner {
    pair: FileKey,
    key: VerifyingKey,
}

impl FileSigner {
    /// Signs with this key.
    pub fn new(pair: FileKey) -> Self {
        let key = VerifyingKey { algorithm: ED25519_NUMBER, public: pair.public().to_vec() };
        Self { pair, key }
    }

    /// Signs with the key in a file, which is made at the first start. Blocks.
    ///
    /// # Errors
    /// The file cannot be read or written, or holds no key.
    pub fn open_or_make(path: &Path) -> io::Result<Arc<dyn Signer>> {
        Ok(Arc::new(Self::new(FileKey::open_or_make(path)?)))
    }
}

impl Signer for FileSigner {
    fn key(&self) -> &VerifyingKey {
        &self.key
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignFailed> {
        Ok(self.pair.sign(message))
    }
}
