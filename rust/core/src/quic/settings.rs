//! How much a peer may have of us, and how long we wait for it.

use std::sync::Arc;
use std::time::Duration;

use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn_proto::{
    AckFrequencyConfig, ClientConfig, IdleTimeout, ServerConfig, TransportConfig, VarInt,
};

use crate::tls::{Client, Fault, Server};

/// Bytes of one stream that a peer may send before they are read: a second of 8 Mbit/s, or 10 ms of
/// 1 Gbit/s.
const STREAM_WINDOW: u32 = 1 << 20;
/// The same for all streams of a connection, and what we keep of our own until it is acknowledged.
const WINDOW: u32 = 4 << 20;
const SEND_WINDOW: u64 = 2 << 20;
/// Streams of each kind that a peer may have open at once.
const TWO_WAY_STREAMS: u32 = 4;
const ONE_WAY_STREAMS: u32 = 256;
/// Bytes of one who knocks, and of all, that are kept until he is let in or refused.
const INCOMING_BYTES: u64 = 16 << 10;
const ALL_INCOMING_BYTES: u64 = 4 << 20;
/// Our own kind acknowledges so many packets at once when they come in order; fewer datagrams cost
/// both ends less, and a lost one is told at once all the same.
const ACKNOWLEDGED_AT_ONCE: u32 = 8;
/// A link is kept alive so many times in what the peer may be silent for.
const BEATS: u32 = 4;

/// What all connections of an endpoint have in common.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The protocols that are spoken (RFC 7301), the preferred one first.
    pub protocols: Vec<Vec<u8>>,
    /// A peer of which nothing was heard for so long is gone.
    pub silence: Duration,
}

impl Settings {
    pub(super) fn transport(&self) -> Arc<TransportConfig> {
        let mut config = TransportConfig::default();
        let mut acks = AckFrequencyConfig::default();
        acks.ack_eliciting_threshold(VarInt::from_u32(ACKNOWLEDGED_AT_ONCE));
        config
            .max_idle_timeout(IdleTimeout::try_from(self.silence).ok())
            .keep_alive_interval(Some(self.silence / BEATS))
            .stream_receive_window(STREAM_WINDOW.into())
            .receive_window(WINDOW.into())
            .send_window(SEND_WINDOW)
            .max_concurrent_bidi_streams(TWO_WAY_STREAMS.into())
            .max_concurrent_uni_streams(ONE_WAY_STREAMS.into())
            .datagram_receive_buffer_size(None)
            .allow_spin(false)
            .ack_frequency_config(Some(acks));
        Arc::new(config)
    }

    pub(super) fn protocols(&self) -> Vec<&[u8]> {
        self.protocols.iter().map(Vec::as_slice).collect()
    }
}

pub(super) fn server(
    server: &Server,
    transport: &Arc<TransportConfig>,
) -> Result<ServerConfig, Fault> {
    let crypto = QuicServerConfig::try_from(Arc::clone(&server.0))
        .map_err(|why| Fault::Given(why.to_string()))?;
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config
        .transport_config(Arc::clone(transport))
        .incoming_buffer_size(INCOMING_BYTES)
        .incoming_buffer_size_total(ALL_INCOMING_BYTES);
    Ok(config)
}

pub(super) fn client(
    client: &Client,
    transport: &Arc<TransportConfig>,
) -> Result<ClientConfig, Fault> {
    let crypto = QuicClientConfig::try_from(Arc::clone(&client.config))
        .map_err(|why| Fault::Given(why.to_string()))?;
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::clone(transport));
    Ok(config)
}
