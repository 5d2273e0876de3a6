//! A path that is read is printed and read again as the same; one that is not says where.
#![no_main]

use alknet_core::vault::DerivationPath;
use alknet_core::vault::path::MAX_DEPTH;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match text.parse::<DerivationPath>() {
        Ok(path) => {
            assert!(path.indices().len() <= MAX_DEPTH);
            assert_eq!(path.to_string().parse(), Ok(path.clone()));
            assert_eq!(DerivationPath::from_indices(path.indices()), Ok(path));
        }
        Err(bad) => assert!(bad.position <= text.chars().count()),
    }
});
