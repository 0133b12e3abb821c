//! Compiles the views.

fn main() {
    // Tests walk over the elements, which takes what the compiler calls debug information; a kiosk does without.
    let for_tests = std::env::var("PROFILE").is_ok_and(|profile| profile != "release");
    let configuration =
        slint_build::CompilerConfiguration::new().with_style("fluent".to_owned()).with_debug_info(for_tests);
    if let Err(error) = slint_build::compile_with_config("ui/app.slint", configuration) {
        // cargo shows what a build script says when it fails.
        eprintln!("{error}");
        std::process::exit(1);
    }
}
