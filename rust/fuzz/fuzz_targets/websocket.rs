//! However a stream is cut, the same messages come out, the same is answered, and it ends alike.
#![no_main]

mod pieces;

use alknet_core::websocket::{Close, Connection, Role, Step};
use libfuzzer_sys::fuzz_target;
use pieces::cut;

const MESSAGE_BYTES: usize = 1000;

#[derive(Debug, PartialEq)]
struct Heard {
    messages: Vec<(bool, Vec<u8>)>,
    pongs: Vec<Vec<u8>>,
    answers: Vec<u8>,
    farewells: (Option<Close>, Option<Close>),
}

/// A server, as it masks nothing: its answers are always the same.
fn heard(parts: impl Iterator<Item = Vec<u8>>) -> Heard {
    let mut connection = Connection::new(Role::Server, MESSAGE_BYTES);
    let (mut messages, mut pongs) = (Vec::new(), Vec::new());
    for part in parts {
        let mut rest = part.as_slice();
        loop {
            match connection
                .read(&mut rest)
                .expect("a server needs no randomness")
            {
                Step::Message { is_text, payload } => {
                    let mut bytes = vec![0; payload.len()];
                    payload.write(&mut bytes);
                    assert!(bytes.len() <= MESSAGE_BYTES);
                    assert!(!is_text || std::str::from_utf8(&bytes).is_ok());
                    messages.push((is_text, bytes));
                }
                Step::Pong(payload) => pongs.push(payload),
                Step::Part => (),
                Step::Nothing => break,
            }
            assert!(connection.buffered() <= MESSAGE_BYTES + 125 + 14);
        }
        assert!(rest.is_empty());
    }
    let farewells = (connection.received().cloned(), connection.sent().cloned());
    let answers = connection.take();
    Heard {
        messages,
        pongs,
        answers,
        farewells,
    }
}

fuzz_target!(|input: (Vec<u8>, Vec<u8>)| {
    let (sizes, stream) = input;
    let whole = heard(std::iter::once(stream.clone()));
    assert_eq!(heard(cut(&sizes, &stream).into_iter()), whole);

    // What one end writes, the other reads.
    for (is_text, message) in &whole.messages {
        let client = Connection::new(Role::Client, MESSAGE_BYTES);
        let mut frame = Vec::new();
        client
            .write(*is_text, message, &mut frame)
            .expect("the system has randomness");
        let again = heard(std::iter::once(frame));
        assert_eq!(again.messages, [(*is_text, message.clone())]);
    }
});
