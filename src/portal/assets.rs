//! The portal's stylesheet, script and icon, named by their content so that browsers may keep them for ever.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};

/// One file that is part of the program.
pub(super) struct Asset {
    /// Where it is served, such as `/assets/portal.0123456789abcdef.css`.
    pub path: String,
    media_type: &'static str,
    content: &'static str,
}

pub(super) static STYLESHEET: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("css", "text/css; charset=utf-8", include_str!("assets/portal.css")));
pub(super) static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("js", "text/javascript; charset=utf-8", include_str!("assets/portal.js")));
pub(super) static RECEPTION_STYLESHEET: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("css", "text/css; charset=utf-8", include_str!("assets/reception.css")));
pub(super) static RECEPTION_SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("js", "text/javascript; charset=utf-8", include_str!("assets/reception.js")));
pub(super) static RECORD_STYLESHEET: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("css", "text/css; charset=utf-8", include_str!("assets/record.css")));
pub(super) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("svg", "image/svg+xml", include_str!("assets/icon.svg")));

/// A name that changes with the content never needs asking for again.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

impl Asset {
    fn new(extension: &str, media_type: &'static str, content: &'static str) -> Self {
        let digest = Sha256::digest(content.as_bytes());
        let half = digest.first_chunk().copied().map_or(0, u64::from_be_bytes);
        Self { path: format!("/assets/portal.{half:016x}.{extension}"), media_type, content }
    }
}

/// Serves an asset, or nothing if there is none of that name.
pub(super) async fn get(Path(name): Path<String>) -> Option<Response> {
    let assets =
        [&*STYLESHEET, &*SCRIPT, &*RECEPTION_STYLESHEET, &*RECEPTION_SCRIPT, &*RECORD_STYLESHEET, &*ICON];
    let asset = assets.into_iter().find(|asset| asset.path.strip_prefix("/assets/") == Some(&name))?;
    let headers: [(HeaderName, HeaderValue); 2] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(asset.media_type)),
        (header::CACHE_CONTROL, FOR_EVER),
    ];
    Some((headers, asset.content).into_response())
}
