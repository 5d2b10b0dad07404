//! The way to the simulated AWS: the SDK's requests reach it without a port,
//! over a network of their own that delays, reorders, doubles and loses.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use aws_sim::{
    Handle, Simulator,
    world::{Hand, Seed},
};
use aws_smithy_runtime_api::{
    client::{
        http::{
            HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
            SharedHttpConnector,
        },
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
        runtime_components::RuntimeComponents,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use tokio::sync::{mpsc, oneshot};
use towline::store::Side;

use crate::{network::Life, record::FaultKind, world::World};

type Answer = Option<http::Response<Bytes>>;

/// A request on its way.
pub struct Parcel {
    request: http::Request<Bytes>,
    answer: oneshot::Sender<Answer>,
}

/// The simulated AWS. A handle.
#[derive(Clone)]
pub struct Cloud(Arc<Inside>);

struct Inside {
    door: mpsc::UnboundedSender<Parcel>,
    arrivals: Mutex<Option<mpsc::UnboundedReceiver<Parcel>>>,
    running: OnceLock<(Handle, Hand)>,
    ways: Mutex<BTreeMap<&'static str, Weather>>,
}

/// What the way of an agent to AWS is like now.
#[derive(Clone, Debug, Default)]
pub struct Weather {
    pub cut: bool,
    /// The longest that a request or an answer takes, in ms.
    pub slow_ms: u64,
    /// Requests that AWS deduplicates arrive twice.
    pub doubles: bool,
}

impl Default for Cloud {
    fn default() -> Self {
        let (door, arrivals) = mpsc::unbounded_channel();
        Self(Arc::new(Inside {
            door,
            arrivals: Mutex::new(Some(arrivals)),
            running: OnceLock::new(),
            ways: Mutex::default(),
        }))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cloud {
    /// The host of AWS: runs as long as the simulation.
    pub async fn run(&self, world: World) -> turmoil::Result {
        let text = include_str!("../../aws-sim/seeds/shop.toml")
            .replace("time = \"machine\"", "time = \"simulated\"");
        let seed = Seed::read(&text)?;
        let running = Simulator::within(seed, world.schedule.start())?;
        let _ = self.0.running.set(running);
        let mut arrivals = lock(&self.0.arrivals).take().ok_or("AWS runs once")?;
        while let Some(parcel) = arrivals.recv().await {
            let cloud = self.clone();
            tokio::spawn(async move {
                let Some((handle, _)) = cloud.0.running.get() else {
                    return;
                };
                let answer = match handle.answer(parcel.request).await {
                    Some(answer) => {
                        let (parts, body) = answer.into_parts();
                        let body = body
                            .collect()
                            .await
                            .map(|body| body.to_bytes())
                            .unwrap_or_default();
                        Some(http::Response::from_parts(parts, body))
                    }
                    None => None,
                };
                let _ = parcel.answer.send(answer);
            });
        }
        Ok(())
    }

    pub fn set_elapsed(&self, elapsed: Duration) {
        if let Some((_, hand)) = self.0.running.get() {
            hand.set(elapsed);
        }
    }

    /// The simulator, once its host has begun.
    pub fn handle(&self) -> Option<&Handle> {
        self.0.running.get().map(|(handle, _)| handle)
    }

    pub fn set_weather(&self, agent: &'static str, change: impl FnOnce(&mut Weather)) {
        change(lock(&self.0.ways).entry(agent).or_default());
    }

    fn weather(&self, agent: &'static str) -> Weather {
        lock(&self.0.ways).get(agent).cloned().unwrap_or_default()
    }

    /// A client for one life of an agent.
    pub fn client(&self, world: &World, agent: &'static str, life: Life) -> SharedHttpClient {
        SharedHttpClient::new(Way {
            cloud: self.clone(),
            world: world.clone(),
            agent,
            life,
            last: Arc::default(),
        })
    }
}

#[derive(Clone)]
struct Way {
    cloud: Cloud,
    world: World,
    agent: &'static str,
    life: Life,
    /// Requests by their number: sent, and the highest that has arrived.
    last: Arc<Mutex<(u64, u64)>>,
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the way of {} to AWS", self.agent)
    }
}

impl HttpClient for Way {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Way {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let way = self.clone();
        HttpConnectorFuture::new(async move { way.carry(request).await })
    }
}

impl Way {
    async fn carry(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let request = plain(request)?;
        let what = name_of(&request);
        let number = {
            let mut last = lock(&self.last);
            last.0 += 1;
            last.0
        };
        self.dies_at(&what, Side::Before).await;
        let weather = self.cloud.weather(self.agent);
        self.takes(&weather).await;
        self.is_cut().await;
        {
            let mut last = lock(&self.last);
            if number < last.1 {
                self.world.count(FaultKind::Reordering);
            }
            last.1 = last.1.max(number);
        }
        if weather.doubles && is_deduplicated(&request) {
            self.world.count(FaultKind::Duplicate);
            let (answer, _nobody) = oneshot::channel();
            let again = request.clone();
            let _ = self.cloud.0.door.send(Parcel {
                request: again,
                answer,
            });
        }
        let (answer, answered) = oneshot::channel();
        let _ = self.cloud.0.door.send(Parcel { request, answer });
        let answer = answered.await.unwrap_or(None);
        self.is_cut().await;
        self.dies_at(&what, Side::After).await;
        self.takes(&weather).await;
        let Some(answer) = answer else {
            return Err(ConnectorError::io("the connection was closed".into()));
        };
        let (parts, body) = answer.into_parts();
        let status =
            StatusCode::try_from(parts.status.as_u16()).map_err(|e| ConnectorError::user(e.into()))?;
        let mut response = HttpResponse::new(status, SdkBody::from(body));
        for (name, value) in &parts.headers {
            if let Ok(value) = value.to_str() {
                response
                    .headers_mut()
                    .append(name.as_str().to_owned(), value.to_owned());
            }
        }
        Ok(response)
    }

    async fn takes(&self, weather: &Weather) {
        let ms = self.world.between(1, 10.max(weather.slow_ms));
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    /// Neither an answer nor an end, until the way is there again: the request is lost.
    async fn is_cut(&self) {
        if self.cloud.weather(self.agent).cut {
            std::future::pending::<()>().await;
        }
    }

    async fn dies_at(&self, what: &Option<String>, side: Side) {
        let dies = match what {
            Some(what) => self.world.pass(self.agent, what, side),
            None => self.life.is_over(),
        };
        if dies {
            std::future::pending::<()>().await;
        }
    }
}

fn plain(request: HttpRequest) -> Result<http::Request<Bytes>, ConnectorError> {
    let mut plain = http::Request::builder()
        .method(request.method())
        .uri(request.uri());
    for (name, value) in request.headers() {
        plain = plain.header(name, value);
    }
    let body = request.body().bytes().unwrap_or_default();
    plain
        .body(Bytes::copy_from_slice(body))
        .map_err(|error| ConnectorError::user(error.into()))
}

fn text(request: &http::Request<Bytes>) -> &str {
    std::str::from_utf8(request.body()).unwrap_or_default()
}

/// `aws:UpdateService` for a call that changes something.
fn name_of(request: &http::Request<Bytes>) -> Option<String> {
    let target = request
        .headers()
        .get("x-amz-target")
        .and_then(|it| it.to_str().ok());
    let action = match target {
        Some(target) => target.rsplit('.').next()?.to_owned(),
        None => text(request)
            .split('&')
            .find_map(|pair| pair.strip_prefix("Action="))?
            .to_owned(),
    };
    let reads = [
        "Describe", "List", "Get", "BatchGet", "Simulate", "Validate", "Filter",
    ];
    let is_read = reads.iter().any(|verb| action.starts_with(verb));
    (!is_read).then(|| format!("aws:{action}"))
}

/// AWS knows these again by their token, or by their name.
fn is_deduplicated(request: &http::Request<Bytes>) -> bool {
    let text = text(request);
    text.contains("ClientToken=") || text.contains("ClientRequestToken=")
}
