//! Judging the certificate of the other end.

use std::sync::OnceLock;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::certificate::ed25519_key;
use super::{Fault, Roots};
use crate::sign::ssh;

/// What a client asks of a server's certificate: the key that it expects, or an authority's word.
#[derive(Debug)]
pub(crate) struct ServerTrust {
    /// The fingerprint of the key that the certificate may be of, whoever signed it.
    pub(super) expect: Option<String>,
    /// Those whose word is taken for a certificate of another key, with the host's name in it.
    pub(super) roots: Option<Roots>,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
    /// Why the certificate was not believed: a library in between may keep only the words.
    pub(crate) refused: OnceLock<Fault>,
}

impl ServerTrust {
    fn vouched(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), String> {
        let Some(roots) = &self.roots else {
            return Err("no authority is trusted".into());
        };
        let check = || {
            let parsed = ParsedCertificate::try_from(certificate)?;
            verify_server_cert_signed_by_trust_anchor(
                &parsed,
                &roots.0,
                intermediates,
                now,
                self.algorithms.all,
            )?;
            verify_server_name(&parsed, name)
        };
        check().map_err(|why: Error| match why {
            Error::InvalidCertificate(why) => why.to_string(),
            other => other.to_string(),
        })
    }
}

impl ServerCertVerifier for ServerTrust {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = ed25519_key(certificate).map(|key| ssh::fingerprint(&key));
        if self.expect.is_some() && shown == self.expect {
            return Ok(ServerCertVerified::assertion());
        }
        let Err(why) = self.vouched(certificate, intermediates, name, now) else {
            return Ok(ServerCertVerified::assertion());
        };
        let fault = Fault::Untrusted(match (&self.expect, shown) {
            (Some(wanted), Some(shown)) => format!(
                "the node at this address should hold the key {wanted} and shows a certificate of \
                 {shown}: it is another node, or has another seed"
            ),
            (None, Some(shown)) => format!(
                "its certificate is its own word, and nothing says which node to expect: it shows \
                 the key {shown}; expect that one if the node's operator says that it is right"
            ),
            (_, None) => format!("its certificate is not trusted: {why}"),
        });
        Err(self.refused.get_or_init(|| fault).clone().into())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Asks every client for a certificate and takes any, or none: whose it is, the caller judges.
#[derive(Debug)]
pub(super) struct AnyClient {
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn no_tls12() -> Error {
    Error::General("this is TLS 1.3 only".into())
}
