//! The property of a relay: what was read, written and read again is the same event.

use alknet_core::envelope::{Body, Encoder, Event, Format, Limits, Raw, check, decode};

/// Whether *data* is an envelope. Panics if it does not survive being sent on.
pub fn sent_on(data: &[u8], format: Format) -> bool {
    let limits = Limits::DEFAULT;
    let mut event = Event::NONE;
    if let Err(fault) = decode(data, format, &limits, &mut event) {
        assert!(fault.offset() <= data.len(), "{fault}");
        assert!(!fault.reason().is_empty());
        return false;
    }
    for raw in raws(&event.body) {
        check(raw.bytes, raw.format, &limits).expect("a raw value is one value");
    }
    let mut encoder = Encoder::new(format, false, usize::MAX, true);
    encoder.append(&event).expect("what came can be sent");
    let sent = encoder.bytes().to_vec();
    let mut again = Event::NONE;
    decode(&sent, format, &limits, &mut again).expect("what was sent can be read");
    assert_eq!(again, event);
    true
}

fn raws<'a>(body: &Body<'a>) -> Vec<Raw<'a>> {
    match body {
        Body::Requested(request) => {
            let others = [request.forwarded_for, request.metadata];
            [Some(request.input)].into_iter().chain(others).flatten().collect()
        }
        Body::Responded { output } => vec![*output],
        Body::Item { item } => vec![*item],
        Body::Failed(failed) => failed.details.into_iter().collect(),
        _ => Vec::new(),
    }
}
