//! A line or a file that is read is written again as the same key.
#![no_main]

use alknet_core::sign::ssh;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(line) = core::str::from_utf8(bytes)
        && let Ok((public, comment)) = ssh::parse_public_line(line)
        && let Ok(written) = ssh::public_line(&public, &comment)
    {
        assert_eq!(ssh::parse_public_line(&written), Ok((public, comment)));
    }
    if let Ok((key, comment)) = ssh::read_private_key(bytes, None)
        && let Ok(written) = ssh::write_private_key(&key, &comment, None)
    {
        let (again, _) = ssh::read_private_key(written.as_bytes(), None).expect("just written");
        assert_eq!(again.public_key(), key.public_key());
    }
});
