//! The proxy. It is told its faults, counts what it is asked, and does the same for the
//! same seed and the same requests.

mod lists;
mod replies;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::platform::harness::{Server, client};
use lists::{Asked, is_later_page};
use replies::{Reply, dropped, fetch};

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// What goes wrong.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Objects in lists have fields that nobody has heard of.
    UnknownFields,
    /// Lists whose order means nothing come in another one, and so do the fields of objects.
    Reordered,
    /// What is empty is null, or is not there.
    NullForEmpty,
    /// Secrets in lists are asterisks.
    SecretsMasked,
    /// Secrets in lists are not there.
    SecretsOmitted,
    /// No page is larger than this, whatever is asked for.
    SmallPages(usize),
    /// Somebody deletes the first object before the second page is asked for. Where pages are
    /// asked for by tokens, an object falls between two of them.
    FirstRemoved,
    /// Somebody creates an object before all others before the second page is asked for.
    FirstInserted,
    /// A list ends after so many objects, and says that it is whole.
    Cut(usize),
    /// Some objects are in no list.
    Filtered,
    /// A list has its first object again at its end.
    Doubled,
    /// Before each later page, there is one with no objects. Only tokens can tell that.
    EmptyPages,
    /// The token of a page names that page again, or one that follows the last one.
    TokenStays,
    /// The token of the last page names the first one.
    TokenComesBack,
    /// The answer is this status, and the request does not reach the platform.
    Status(u16),
    /// The answer is 400, and repeats what was sent.
    Repeated,
    /// The answer is 429, with this `Retry-After`.
    TooFast(Option<String>),
    /// More than so many requests a second are answered with 429, after a burst of so many.
    RateLimit(f64, f64),
    /// The answer is `{}`, at once; the platform is not asked.
    Taken,
    /// The answer comes late.
    Delay(Duration),
    /// The connection ends without an answer; the platform was not reached.
    DropBefore,
    /// The connection ends without an answer; the platform did what was asked.
    DropAfter,
    /// The answer is 502, although the platform did what was asked.
    BadGatewayAfter,
    /// The answer is 504, and the platform does what was asked only so much later.
    CommitsLate(Duration),
    /// The connection ends in the middle of the body.
    CutBody,
    /// The body ends early and claims to be whole.
    EarlyEnd,
    /// The body's type is said to be another one.
    WrongType,
    /// The platform's clock is so many seconds ahead.
    Clock(i64),
    /// What is read is JSON that somebody went over.
    Edited(fn(&mut Value)),
    /// What a write is answered with is JSON that somebody went over.
    Answered(fn(&mut Value)),
}

/// A fault, and when it happens.
#[derive(Debug, Clone)]
pub struct Mischief {
    fault: Fault,
    method: Option<&'static str>,
    path: &'static str,
    about: &'static str,
    times: u32,
    is_later_page: bool,
    is_first: bool,
    share: f64,
}

impl Mischief {
    /// The end of the path of the lists that lack objects and say that they are whole.
    pub fn hides_objects_of(&self) -> Option<&'static str> {
        matches!(self.fault, Fault::Cut(_) | Fault::Filtered).then_some(self.path)
    }
}

impl Fault {
    fn always(self) -> Mischief {
        Mischief {
            fault: self,
            method: None,
            path: "",
            about: "",
            times: u32::MAX,
            is_later_page: false,
            is_first: false,
            share: 1.0,
        }
    }

    /// The fault happens so many times.
    pub fn times(self, times: u32) -> Mischief {
        self.always().times(times)
    }

    /// The fault happens to requests with this method.
    pub fn on(self, method: &'static str) -> Mischief {
        self.always().on(method)
    }

    /// The fault happens to paths that end like this.
    pub fn at(self, path: &'static str) -> Mischief {
        self.always().at(path)
    }

    /// The fault spares the first page of a list.
    pub fn on_later_pages(self) -> Mischief {
        self.always().on_later_pages()
    }
}

impl Mischief {
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    pub fn on(self, method: &'static str) -> Self {
        Self { method: Some(method), ..self }
    }

    pub fn at(self, path: &'static str) -> Self {
        Self { path, ..self }
    }

    /// The fault happens to requests whose query names this, such as a file.
    pub fn about(self, about: &'static str) -> Self {
        Self { about, ..self }
    }

    /// The fault spares the first page of a list.
    pub fn on_later_pages(self) -> Self {
        Self { is_later_page: true, ..self }
    }

    /// The fault happens when a request comes for the first time.
    pub fn at_first(self) -> Self {
        Self { is_first: true, ..self }
    }

    /// The fault happens to this share of the requests.
    pub fn share(self, share: f64) -> Self {
        Self { share, ..self }
    }
}

impl From<Fault> for Mischief {
    fn from(fault: Fault) -> Self {
        fault.always()
    }
}

/// Where in a write the proxy holds still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The platform was not reached yet.
    Before,
    /// The platform did what was asked, and the client does not know.
    After,
}

/// A hostile platform that is not started yet.
pub struct Hostile {
    upstream: String,
    client: reqwest::Client,
    mischief: Vec<Mischief>,
    seed: u64,
    pause: Option<(usize, Moment)>,
}

impl Hostile {
    pub fn in_front_of(platform: &Server) -> Self {
        Self::before(&platform.url, client())
    }

    /// In front of the platform with this URL, which is reached with this client.
    pub fn before(url: &str, client: reqwest::Client) -> Self {
        Self { upstream: url.to_owned(), client, mischief: Vec::new(), seed: 0, pause: None }
    }

    /// Holds still in the write of this number, counted from one, until it is resumed.
    pub fn pausing(self, write: usize, moment: Moment) -> Self {
        Self { pause: Some((write, moment)), ..self }
    }

    pub fn with(mut self, mischief: impl Into<Mischief>) -> Self {
        self.mischief.push(mischief.into());
        self
    }

    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    pub async fn start(self) -> Running {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let times = self.mischief.iter().map(|mischief| mischief.times).collect();
        let proxy = Arc::new(Proxy {
            upstream: Mutex::new(self.upstream),
            client: self.client,
            mischief: self.mischief,
            seed: self.seed,
            pause: self.pause,
            paused: CancellationToken::new(),
            resumed: CancellationToken::new(),
            late: AtomicUsize::new(0),
            state: Mutex::new(State {
                times,
                seen: BTreeMap::new(),
                counts: BTreeMap::new(),
                statuses: BTreeMap::new(),
                writes: Vec::new(),
                tokens: None,
            }),
        });
        let serving = Arc::clone(&proxy);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let proxy = Arc::clone(&serving);
                let service = hyper::service::service_fn(move |request| {
                    let proxy = Arc::clone(&proxy);
                    async move { proxy.answer(request).await }
                });
                let _ = stream.set_nodelay(true);
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(hyper_util::rt::TokioIo::new(stream), service),
                );
            }
        });
        Running { url, proxy, task }
    }
}

/// A hostile platform that runs until it is dropped.
pub struct Running {
    /// Its URL.
    pub url: String,
    proxy: Arc<Proxy>,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    /// How many requests with this method came.
    pub fn count(&self, method: &str) -> usize {
        self.proxy.state().counts.get(method).copied().unwrap_or_default()
    }

    /// How many requests came.
    pub fn total(&self) -> usize {
        self.proxy.state().counts.values().sum()
    }

    /// The requests that came, as `METHOD /path?query`, with how often each did.
    pub fn requests(&self) -> BTreeMap<String, u64> {
        self.proxy.state().seen.clone()
    }

    /// How many requests were answered with this status by the proxy itself.
    pub fn answered(&self, status: u16) -> usize {
        self.proxy.state().statuses.get(&status).copied().unwrap_or_default()
    }

    /// The writes that came, as `METHOD /path`.
    pub fn writes(&self) -> Vec<String> {
        self.proxy.state().writes.clone()
    }

    /// Waits until the proxy holds still.
    pub async fn paused(&self) {
        self.proxy.paused.cancelled().await;
    }

    /// Goes on, with the platform at this URL from now on.
    pub fn resume(&self, url: &str) {
        url.clone_into(&mut self.proxy.upstream.lock().expect("a URL"));
        self.proxy.resumed.cancel();
    }

    /// Waits until the platform did all that it does late.
    pub async fn settled(&self) {
        while self.proxy.late.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct State {
    times: Vec<u32>,
    /// How often each request came.
    seen: BTreeMap<String, u64>,
    counts: BTreeMap<String, usize>,
    statuses: BTreeMap<u16, usize>,
    writes: Vec<String>,
    tokens: Option<(f64, Instant)>,
}

struct Proxy {
    upstream: Mutex<String>,
    client: reqwest::Client,
    mischief: Vec<Mischief>,
    seed: u64,
    pause: Option<(usize, Moment)>,
    paused: CancellationToken,
    resumed: CancellationToken,
    /// How much the platform is still to do late.
    late: AtomicUsize,
    state: Mutex<State>,
}

impl Proxy {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("a state")
    }

    /// Holds still where that was asked for.
    async fn hold(&self, write: Option<usize>, moment: Moment) {
        if write.is_some_and(|nth| self.pause == Some((nth, moment))) {
            self.paused.cancel();
            self.resumed.cancelled().await;
        }
    }

    fn upstream(&self) -> String {
        self.upstream.lock().expect("a URL").clone()
    }

    /// The faults of one request, the numbers it draws, and of a write its own number.
    fn choose(&self, method: &str, target: &str) -> (Vec<Fault>, fastrand::Rng, Option<usize>) {
        let mut state = self.state();
        *state.counts.entry(method.to_owned()).or_default() += 1;
        if method != "GET" {
            state.writes.push(format!("{method} {target}"));
        }
        let write = (method != "GET").then_some(state.writes.len());
        let nth = state.seen.entry(format!("{method} {target}")).or_default();
        *nth += 1;
        let is_first = *nth == 1;
        let mut seed = self.seed ^ nth.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for byte in method.bytes().chain(target.bytes()) {
            seed = (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        let mut random = fastrand::Rng::with_seed(seed);
        let path = target.split('?').next().unwrap_or_default();
        let is_later_page = is_later_page(target);
        let mut faults = Vec::new();
        for (index, mischief) in self.mischief.iter().enumerate() {
            let happens = mischief.method.is_none_or(|wanted| wanted == method)
                && path.ends_with(mischief.path)
                && target.contains(mischief.about)
                && (is_later_page || !mischief.is_later_page)
                && (is_first || !mischief.is_first)
                && state.times[index] > 0
                && (mischief.share >= 1.0 || random.f64() < mischief.share);
            if happens {
                state.times[index] -= 1;
                faults.push(mischief.fault.clone());
            }
        }
        (faults, random, write)
    }

    fn takes(&self, rate: f64, burst: f64) -> bool {
        let mut state = self.state();
        let now = Instant::now();
        let (tokens, at) = state.tokens.unwrap_or((burst, now));
        let tokens = (tokens + (now - at).as_secs_f64() * rate).min(burst);
        let takes = tokens >= 1.0;
        state.tokens = Some((if takes { tokens - 1.0 } else { tokens }, now));
        takes
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> std::io::Result<Response<Body>> {
        let (parts, body) = request.into_parts();
        let method = parts.method.as_str().to_owned();
        let target =
            parts.uri.path_and_query().map_or("/".to_owned(), |target| target.as_str().to_owned());
        let body = body.collect().await.map_err(|_| dropped())?.to_bytes();
        let (faults, mut random, write) = self.choose(&method, &target);
        self.hold(write, Moment::Before).await;
        let mut refusal = None;
        for fault in &faults {
            match fault {
                Fault::Status(status) => refusal = Some((*status, None)),
                Fault::TooFast(asked) => refusal = Some((429, asked.clone())),
                Fault::RateLimit(rate, burst) if !self.takes(*rate, *burst) => {
                    refusal = Some((429, None));
                }
                Fault::Delay(time) => tokio::time::sleep(*time).await,
                Fault::DropBefore => return Err(dropped()),
                _ => {}
            }
        }
        if let Some((status, asked)) = refusal {
            *self.state().statuses.entry(status).or_default() += 1;
            return Ok(refuse(status, asked));
        }
        if faults.iter().any(|fault| matches!(fault, Fault::Taken)) {
            return Ok(Reply { status: 200, headers: Vec::new(), body: b"{}".to_vec() }.send(false));
        }
        if faults.iter().any(|fault| matches!(fault, Fault::Repeated)) {
            let said = format!("this cannot be: {}", String::from_utf8_lossy(&body));
            let body = json!({ "error": said }).to_string().into_bytes();
            return Ok(Reply { status: 400, headers: Vec::new(), body }.send(false));
        }
        let upstream = self.upstream();
        let ask = |target: &str| {
            let ask = self.client.request(parts.method.clone(), format!("{upstream}{target}"));
            let of_connection = ["host", "content-length", "connection"];
            let headers = parts.headers.iter();
            headers
                .filter(|(name, _)| !of_connection.contains(&name.as_str()))
                .fold(ask, |ask, (name, value)| ask.header(name, value))
                .body(body.clone())
        };
        for fault in &faults {
            if let Fault::CommitsLate(time) = fault {
                let (time, proxy, ask) = (*time, Arc::clone(&self), ask(&target));
                proxy.late.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    tokio::time::sleep(time).await;
                    let _ = ask.send().await;
                    proxy.late.fetch_sub(1, Ordering::SeqCst);
                });
                *self.state().statuses.entry(504).or_default() += 1;
                return Ok(refuse(504, None));
            }
        }
        let is_new = parts.headers.contains_key("consistency");
        let asked = Asked { target: &target, is_new, faults: &faults, seed: self.seed };
        let listed = if method == "GET" { asked.answer(&ask).await? } else { None };
        let mut reply = match listed {
            Some(listed) => listed,
            None => fetch(ask(&target)).await?,
        };
        self.hold(write, Moment::After).await;
        let mut is_cut = false;
        for fault in &faults {
            match fault {
                Fault::DropAfter => return Err(dropped()),
                Fault::BadGatewayAfter => {
                    *self.state().statuses.entry(502).or_default() += 1;
                    return Ok(refuse(502, None));
                }
                Fault::CutBody => is_cut = true,
                Fault::EarlyEnd => reply.body.truncate(reply.body.len() / 2),
                Fault::WrongType => {
                    for (name, value) in &mut reply.headers {
                        if name == "content-type" {
                            "text/html".clone_into(value);
                        }
                    }
                }
                Fault::Clock(ahead) => {
                    let date = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(*ahead);
                    let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
                    reply.headers.retain(|(name, _)| name != "date");
                    reply.headers.push(("date".to_owned(), date));
                }
                Fault::Edited(edit) if method == "GET" => reply.edit(*edit),
                Fault::Answered(edit) if method != "GET" => reply.edit(*edit),
                fault if method == "GET" => reply.change(fault, &mut random),
                _ => {}
            }
        }
        Ok(reply.send(is_cut))
    }
}

fn refuse(status: u16, asked: Option<String>) -> Response<Body> {
    let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    headers.extend(asked.map(|asked| ("retry-after".to_owned(), asked)));
    let body = json!({ "error": "the proxy says so" }).to_string().into_bytes();
    Reply { status, headers, body }.send(false)
}
