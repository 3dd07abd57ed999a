//! Any bytes at all into the codec `poct1a`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (polygate_fuzz::target("poct1a").try_all)(data));
