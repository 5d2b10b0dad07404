//! What went over the wire, word for word, for whoever checks it against AWS's
//! own service models (`botocore/check.py`). Off unless it is asked for.

use std::{
    collections::VecDeque,
    fs::{File, OpenOptions},
    io::Write as _,
    path::Path,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::request::Parts;
use http_body_util::{BodyExt as _, Full};
use hyper::Response;
use serde_json::{Value, json};

use super::request::AwsRequest;

/// Exchanges that are kept; older ones fall out.
const KEPT: usize = 4_096;

/// The latest exchanges, and the file that all of them go to.
#[derive(Debug, Default)]
pub struct WireLog(Mutex<Option<Open>>);

#[derive(Debug, Default)]
struct Open {
    latest: VecDeque<Value>,
    file: Option<File>,
}

impl WireLog {
    /// Begins to record; with a directory, to a file of this process in it, too.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn open(&self, directory: Option<&Path>) -> Result<()> {
        let file = directory.map(|directory| {
            let path = directory.join(format!("aws-sim-{}.jsonl", std::process::id()));
            std::fs::create_dir_all(directory)
                .and_then(|()| OpenOptions::new().create(true).append(true).open(&path))
                .with_context(|| format!("cannot record to {}", path.display()))
        });
        let open = Open {
            latest: VecDeque::new(),
            file: file.transpose()?,
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(open);
        Ok(())
    }

    /// Writes one exchange down; no answer is one that was dropped on its way.
    pub async fn record(&self, parts: &Parts, body: &Bytes, answer: Option<&Response<Full<Bytes>>>) {
        if !self.is_open() {
            return;
        }
        let Ok(request) = AwsRequest::read(parts, body) else {
            return;
        };
        let answered = match answer {
            Some(answer) => answer.body().clone().collect().await.ok(),
            None => None,
        };
        let exchange = json!({
            "service": request.arrival.service,
            "action": request.arrival.action,
            "request": String::from_utf8_lossy(body),
            "response": answered.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned()),
            "status": answer.map_or(0, |answer| answer.status().as_u16()),
        });
        self.keep(exchange);
    }

    /// The latest exchanges, the oldest of them first.
    pub fn latest(&self) -> Value {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let latest = open.as_ref().map(|open| open.latest.iter().cloned().collect());
        Value::Array(latest.unwrap_or_default())
    }

    fn is_open(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn keep(&self, exchange: Value) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(open) = open.as_mut() else {
            return;
        };
        // One write a line: several simulators of one process share the file.
        let line = format!("{exchange}\n");
        if let Some(file) = &mut open.file
            && let Err(error) = file.write_all(line.as_bytes())
        {
            tracing::warn!(%error, "an exchange was not recorded");
        }
        open.latest.push_back(exchange);
        if open.latest.len() > KEPT {
            open.latest.pop_front();
        }
    }
}
