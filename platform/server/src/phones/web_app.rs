//! Serves the web app with which a phone presents codes (亮码). Its files are compiled into the program; nothing is loaded
//! from other origins.

use contract::{sm3, to_hex};

use crate::context::RequestContext;
use crate::messages::PlatformResponse;
use crate::peer_calls::PlatformReply;
use crate::phone_refusal::PhoneRefusal;
use crate::request_error::RequestError;

/// A file of the web app: name, content type, text.
type Asset = (&'static str, &'static str, &'static str);

const SCRIPT: &str = "text/javascript; charset=utf-8";
const INDEX: &str = include_str!("../../app/index.html");
const WORKER: &str = include_str!("../../app/sw.js");
const ASSETS: [Asset; 10] = [
    ("app.css", "text/css; charset=utf-8", include_str!("../../app/app.css")),
    ("app.js", SCRIPT, include_str!("../../app/app.js")),
    ("code.js", SCRIPT, include_str!("../../app/code.js")),
    ("keep.js", SCRIPT, include_str!("../../app/keep.js")),
    ("scan.js", SCRIPT, include_str!("../../app/scan.js")),
    ("vendor/sm2.js", SCRIPT, include_str!("../../app/vendor/sm2.js")),
    ("vendor/qrcode.js", SCRIPT, include_str!("../../app/vendor/qrcode.js")),
    ("vendor/qrread.js", SCRIPT, include_str!("../../app/vendor/qrread.js")),
    ("icon.svg", "image/svg+xml", include_str!("../../app/icon.svg")),
    ("manifest.webmanifest", "application/manifest+json", include_str!("../../app/manifest.webmanifest")),
];

/// Handles `GET /code/…`.
pub(crate) fn serve_file(context: &RequestContext<'_>, file: &str) -> Result<PlatformReply, RequestError> {
    let authority = context.config.code_authority.as_ref().ok_or(PhoneRefusal::NotOffered)?;
    let index = || {
        // Inserted into an attribute; the issuing rules have checked that the value is a URL.
        INDEX.replace("{{identity_page}}", &authority.rules.identity_page.replace('"', "%22"))
    };
    let response = match file {
        "" => PlatformResponse::text("text/html; charset=utf-8", &index()),
        "sw.js" => PlatformResponse::text(SCRIPT, &WORKER.replace("{{version}}", &files_version(&index()))),
        _ => {
            let found = ASSETS.iter().find(|(name, _, _)| *name == file);
            let (_, content_type, text) = found.ok_or(PhoneRefusal::NotOffered)?;
            PlatformResponse::text(content_type, text)
        }
    };
    Ok(response.into())
}

/// Version of the web app: a digest over all files.
fn files_version(index: &str) -> String {
    let parts: Vec<&[u8]> =
        [index, WORKER].into_iter().chain(ASSETS.map(|(_, _, text)| text)).map(str::as_bytes).collect();
    to_hex(&sm3(&parts)).chars().take(16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_worker_caches_every_file_of_web_app() {
        for (name, _, _) in ASSETS {
            assert!(WORKER.contains(&format!("\"{name}\"")), "{name}");
        }
        assert!(WORKER.contains("\"./\""));
        assert_ne!(files_version("a"), files_version("b"));
    }
}
