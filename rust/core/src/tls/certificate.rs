//! Certificates to show, and authorities to trust.

use std::fmt;
use std::sync::Arc;

use rcgen::{
    CertificateParams, DnType, KeyIdMethod, PKCS_ED25519, PublicKeyData, SerialNumber,
    SignatureAlgorithm as Algorithm,
};
use rustls::client::verify_server_name;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{Error, RootCertStore, SignatureAlgorithm, SignatureScheme};
use sha2::{Digest, Sha256};

use super::Fault;
use crate::sign::ed25519::{KEY_BYTES, PrivateKey};
use crate::sign::ssh;

/// A certificate, with those that vouch for it, and its key.
#[derive(Clone, Debug)]
pub struct Certified(pub(super) Arc<CertifiedKey>);

impl Certified {
    /// The certificate that says of *key* that it is itself; always the same for the same key.
    ///
    /// It has no names, so that its subject is the key's fingerprint, and no end: what is pinned
    /// does not grow old.
    ///
    /// # Errors
    /// The vault that *key* came from was locked.
    pub fn self_signed(key: Arc<PrivateKey>) -> Result<Self, Fault> {
        let public = *key.public_key();
        let given = |why: &dyn fmt::Display| Fault::Given(format!("no certificate: {why}"));
        let digest: [u8; 32] = Sha256::digest(public).into();
        let mut parameters = CertificateParams::default();
        let subject = &mut parameters.distinguished_name;
        subject.push(DnType::CommonName, ssh::fingerprint(&public));
        parameters.key_identifier_method = KeyIdMethod::PreSpecified(digest[..20].to_vec());
        // RFC 5280, section 4.1.2.2: positive, and 20 bytes at most.
        parameters.serial_number = Some(SerialNumber::from_slice(&digest[1..17]));
        let key = InVault(key);
        let certificate = parameters.self_signed(&key).map_err(|why| given(&why))?;
        Ok(Self(Arc::new(CertifiedKey::new(
            vec![certificate.der().clone()],
            Arc::new(key),
        ))))
    }

    /// The certificates in the PEM text *chain*, the node's own first, with the PEM *key* of that.
    ///
    /// # Errors
    /// A text cannot be read, or the key is another certificate's.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, Fault> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|why| Fault::Given(format!("the certificate cannot be read: {why}")))?;
        if chain.is_empty() {
            return Err(Fault::Given("there is no certificate in the file".into()));
        }
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|why| Fault::Given(format!("the private key cannot be read: {why}")))?;
        let key = any_supported_type(&key)
            .map_err(|why| Fault::Given(format!("the private key cannot be used: {why}")))?;
        let certified = CertifiedKey::new(chain, key);
        certified.keys_match().map_err(|_| {
            Fault::Given("the private key is not that of the first certificate".into())
        })?;
        Ok(Self(Arc::new(certified)))
    }

    /// The certificates, the own one first, as DER (RFC 5280).
    pub fn chain(&self) -> impl Iterator<Item = &[u8]> {
        self.0.cert.iter().map(AsRef::as_ref)
    }

    /// Whether the certificate is for the host called *name*.
    pub(super) fn is_for(&self, name: &str) -> bool {
        let Ok(name) = ServerName::try_from(name) else {
            return false;
        };
        self.0.end_entity_cert().is_ok_and(|certificate| {
            ParsedCertificate::try_from(certificate)
                .is_ok_and(|parsed| verify_server_name(&parsed, &name).is_ok())
        })
    }
}

/// A key that signs where it lies.
struct InVault(Arc<PrivateKey>);

impl fmt::Debug for InVault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("<private>")
    }
}

impl PublicKeyData for InVault {
    fn der_bytes(&self) -> &[u8] {
        self.0.public_key()
    }

    fn algorithm(&self) -> &'static Algorithm {
        &PKCS_ED25519
    }
}

impl rcgen::SigningKey for InVault {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature = self.0.sign(message);
        Ok(signature.map_err(|_| rcgen::Error::RemoteKeyError)?.into())
    }
}

impl SigningKey for InVault {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered
            .contains(&SignatureScheme::ED25519)
            .then(|| Box::new(Self(Arc::clone(&self.0))) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl Signer for InVault {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signature = self.0.sign(message);
        Ok(signature
            .map_err(|why| Error::General(why.to_string()))?
            .into())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

/// Authorities whose certificates are believed.
#[derive(Clone, Debug)]
pub struct Roots(pub(super) Arc<RootCertStore>);

impl Roots {
    /// The authorities in the PEM text *bundle*; those that cannot be read are left out.
    ///
    /// # Errors
    /// There is none that can be read.
    pub fn from_pem(bundle: &[u8]) -> Result<Self, Fault> {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(CertificateDer::pem_slice_iter(bundle).flatten());
        if store.is_empty() {
            return Err(Fault::Given(
                "there is no certificate of an authority in the file".into(),
            ));
        }
        Ok(Self(Arc::new(store)))
    }
}

/// The Ed25519 key that *certificate* is about, if it is about one (RFC 8410, section 4).
pub(crate) fn ed25519_key(certificate: &CertificateDer<'_>) -> Option<[u8; KEY_BYTES]> {
    const HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    let key = parsed.subject_public_key_info();
    key.as_ref().strip_prefix(&HEAD)?.try_into().ok()
}
