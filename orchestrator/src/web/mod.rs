//! The pages. So far one, which says what this is: it shows no data, since a
//! browser that opens it has not said who it is. Start with [`serve`].

use axum::{
    Router,
    http::{StatusCode, header},
    response::{Html, IntoResponse},
    routing::get,
};
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio_util::sync::CancellationToken;
use towline_link::io::LinkStream;

const LANDING: &str = include_str!("landing.html");

/// Serves one browser's connection until it, or `stop`, ends it.
pub async fn serve(stream: LinkStream, stop: CancellationToken) {
    let service = TowerToHyperService::new(pages());
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a browser's connection ended: {error}");
    }
}

fn pages() -> Router {
    Router::new().route("/", get(landing)).fallback(nothing_here)
}

async fn landing() -> impl IntoResponse {
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    (headers, Html(LANDING))
}

async fn nothing_here() -> impl IntoResponse {
    (
        StatusCode::NOT_FOUND,
        "There is no such page. The only one is /.\n",
    )
}
