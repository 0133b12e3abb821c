//! Compiles the views.

fn main() {
    let configuration = slint_build::CompilerConfiguration::new().with_style("fluent".to_owned());
    if let Err(error) = slint_build::compile_with_config("ui/app.slint", configuration) {
        // cargo shows what a build script says when it fails.
        eprintln!("{error}");
        std::process::exit(1);
    }
}
