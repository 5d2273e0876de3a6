//! Ethereum addresses.

use secp256k1::PublicKey;
use sha3::{Digest, Keccak256};

/// The address of *public*: the last 20 bytes of its Keccak-256, in hex with the capitals of
/// EIP-55, which are its checksum.
#[must_use]
pub fn address(public: &PublicKey) -> String {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    // Without the first byte, which only says that the key is not compressed.
    let hash = Keccak256::digest(&public.serialize_uncompressed()[1..]);
    let digits: Vec<u8> = hash[12..]
        .iter()
        .flat_map(|byte| [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]])
        .collect();
    let check = Keccak256::digest(&digits);
    let capitals = check
        .iter()
        .flat_map(|byte| [byte >> 4 >= 8, byte & 15 >= 8]);
    let mut address = String::with_capacity(42);
    address.push_str("0x");
    for (digit, capital) in digits.iter().zip(capitals) {
        let digit = char::from(*digit);
        address.push(if capital {
            digit.to_ascii_uppercase()
        } else {
            digit
        });
    }
    address
}
