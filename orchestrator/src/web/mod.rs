//! The pages. So far one, which says what this is: it shows no data, since a
//! browser that opens it has not said who it is. Start with [`serve`].

use std::time::Duration;

use axum::{
    Router,
    http::{StatusCode, header},
    response::{Html, IntoResponse},
    routing::get,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio_util::sync::CancellationToken;
use towline_link::io::LinkStream;

/// How long a browser may take for its next request: nobody has said who it is.
const PATIENCE: Duration = Duration::from_secs(15);

const LANDING: &str = include_str!("landing.html");

/// Serves one browser's connection until it, or `stop`, ends it.
pub async fn serve(stream: LinkStream, stop: CancellationToken) {
    let service = TowerToHyperService::new(pages());
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), service);
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

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{body::Body, http::Request};
    use tower::ServiceExt as _;

    async fn get(path: &str) -> axum::response::Response {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        pages().oneshot(request).await.unwrap()
    }

    #[tokio::test]
    async fn the_one_page_says_what_this_is_and_runs_no_script() {
        let response = get("/").await;
        assert_eq!(response.status(), StatusCode::OK);
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap();
        assert!(policy.starts_with("default-src 'none'"));
        assert!(LANDING.contains("Towline orchestrator"));
        assert_eq!(get("/projects").await.status(), StatusCode::NOT_FOUND);
    }
}
