//! Compiles the Slint files.

fn main() {
    // Tests enumerate the elements, which needs the compiler's debug information; release builds omit it.
    let for_tests = std::env::var("PROFILE").is_ok_and(|profile| profile != "release");
    let configuration =
        slint_build::CompilerConfiguration::new().with_style("fluent".to_owned()).with_debug_info(for_tests);
    if let Err(error) = slint_build::compile_with_config("ui/app.slint", configuration) {
        // cargo shows the output of a build script when it fails.
        eprintln!("{error}");
        std::process::exit(1);
    }
}
