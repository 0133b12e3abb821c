#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::scanner_lines(data));
