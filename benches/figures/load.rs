//! How many requests a second the platform answers, on this machine and with its client on it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::platform::Served;
use super::table::{Table, smallest_and_middle};

/// As many connections ask at once.
const CONNECTIONS: usize = 16;

const ROUNDS: usize = 5;

const ROUND: Duration = Duration::from_secs(3);

/// What is asked: a line of a request for each number.
type Asked = fn(&str, usize) -> (String, String);

const ASKED: [(&str, u16, Asked); 3] = [
    ("`GET /config`", 200, |_, _| ("GET /config".to_owned(), String::new())),
    ("`GET` a room", 200, |project, _| {
        (format!("GET /accounts/projects/{project}/rooms/room-0"), String::new())
    }),
    ("`POST` a room", 201, |project, number| {
        let body = format!(r#"{{"name": "room-{number}"}}"#);
        (format!("POST /accounts/projects/{project}/rooms"), body)
    }),
];

/// Takes the figures.
pub fn figures() -> Table {
    let mut table = Table::default();
    let platform = Arc::new(Served::start("warn"));
    let numbers = Arc::new(AtomicUsize::new(0));
    let mut first = Connection::new(&platform);
    let (post, body) = (ASKED[2].2)(platform.variable("MESHAGENT_PROJECT_ID"), 0);
    assert_eq!(first.ask(&post, &body), 201);
    numbers.store(1, Ordering::Relaxed);
    for (what, expected, asked) in ASKED {
        let rates: Vec<f64> =
            (0..ROUNDS).map(|_| round(&platform, &numbers, (expected, asked))).collect();
        let (_, middle) = smallest_and_middle(rates.iter().copied());
        let most = rates.into_iter().fold(0.0, f64::max);
        table.row(format!("{what}: a second, most / middle"), format!("{most:.0} / {middle:.0}"));
    }
    table.note(format!(
        "{CONNECTIONS} connections, {ROUNDS} rounds of {} s each; the client shares the machine.",
        ROUND.as_secs()
    ));
    table
}

/// Asks for a while and says how many answers came in a second.
fn round(
    platform: &Arc<Served>,
    numbers: &Arc<AtomicUsize>,
    (expected, asked): (u16, Asked),
) -> f64 {
    let start = Instant::now();
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (platform, numbers) = (Arc::clone(platform), Arc::clone(numbers));
            std::thread::spawn(move || {
                let mut connection = Connection::new(&platform);
                let project = platform.variable("MESHAGENT_PROJECT_ID").to_owned();
                let mut count = 0_usize;
                while start.elapsed() < ROUND {
                    let number = numbers.fetch_add(1, Ordering::Relaxed);
                    let (request, body) = asked(&project, number);
                    assert_eq!(connection.ask(&request, &body), expected);
                    count += 1;
                }
                count
            })
        })
        .collect();
    let count: usize = clients.into_iter().map(|client| client.join().expect("answers")).sum();
    count as f64 / start.elapsed().as_secs_f64()
}

/// A connection that asks one thing after the other.
struct Connection {
    stream: BufReader<TcpStream>,
    credential: String,
}

impl Connection {
    fn new(platform: &Served) -> Self {
        let address = platform.variable("MESHAGENT_API_URL");
        let address = address.strip_prefix("http://").expect("a URL");
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("a connection");
        let credential = platform.variable("MESHAGENT_API_KEY").to_owned();
        Self { stream: BufReader::new(stream), credential }
    }

    /// Asks and gives the status.
    fn ask(&mut self, request: &str, body: &str) -> u16 {
        let request = format!(
            "{request} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n{body}",
            self.credential,
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes()).expect("a request");
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("a status");
        let status = line.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
        let mut length = 0;
        loop {
            line.clear();
            self.stream.read_line(&mut line).expect("a header");
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
        }
        self.stream.read_exact(&mut vec![0; length]).expect("a body");
        status
    }
}
