//! Who reaches whom.

use meshagent_containers::{Error, Spec};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use crate::{here, labels, said, shell};

/// A name that no other test has: networks are of the whole machine.
fn name(of: &str) -> String {
    format!("{of}-{}", std::process::id())
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_of_one_network_reach_each_other_by_name_and_this_machine_at_its_gateway() {
    let Some(here) = here().await else { return };
    let (one, two) = (name("one"), name("two"));
    let network = here.engine.network(&one, &labels([("a", "b")])).await.expect("a network");
    let again = here.engine.network(&one, &labels([])).await.expect("a network");
    assert_eq!(again, network);
    let other = here.engine.network(&two, &labels([])).await.expect("a network");
    assert_ne!((&other.id, other.gateway), (&network.id, network.gateway));
    let inside = |spec: Spec| Spec { network: Some(one.clone()), ..spec };
    let line = "mkdir /tmp/w; echo hello > /tmp/w/index.html; httpd -f -p 80 -h /tmp/w";
    let server = Spec { name: Some("server".to_owned()), ..inside(shell(line)) };
    let server = here.engine.run(&server).await.expect("a server");
    let get = |to: &str| {
        format!(
            "i=0; until printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 2 {to} 80 || [ $i -gt 50 ]; do i=$((i+1)); sleep 0.1; done"
        )
    };
    let got = said(&here.engine, &inside(shell(&get("server")))).await;
    assert!(got.ends_with("hello\n"), "{got}");
    let hosts = vec![(
        "alias.of.it".to_owned(),
        here.engine.inspect(&server).await.expect("it").addresses[&one],
    )];
    let got = said(&here.engine, &Spec { hosts, ..inside(shell(&get("alias.of.it"))) }).await;
    assert!(got.ends_with("hello\n"), "{got}");

    if other.is_isolated {
        let address = here.engine.inspect(&server).await.expect("it").addresses[&one];
        let line = format!("echo | nc -w 2 {address} 80");
        let outside = Spec { network: Some(two.clone()), ..shell(&line) };
        let id = here.engine.run(&outside).await.expect("a container");
        assert_ne!(here.engine.wait(&id).await, Ok(0), "{address} is reached from {two}");
        here.engine.remove(&id, true).await.expect("it is removed");
    }

    let gateway = network.gateway.expect("a gateway");
    let listener = TcpListener::bind((gateway, 0)).await.expect("a port of the gateway");
    let port = listener.local_addr().expect("an address").port();
    let answering = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a guest");
        stream.write_all(b"from the host\n").await.expect("it is written");
    });
    let got =
        said(&here.engine, &inside(shell(&format!("nc -w 5 {gateway} {port} </dev/null")))).await;
    assert_eq!(got, "from the host\n");
    answering.await.expect("a task");

    let used = here.engine.remove_network(&one).await;
    assert!(matches!(used, Err(Error::Conflict { .. })), "{used:?}");
    here.engine.remove(&server, true).await.expect("it is removed");
    for name in [&one, &two] {
        here.engine.remove_network(name).await.expect("the network is removed");
    }
    let gone = here.engine.remove_network(&one).await;
    assert_eq!(gone, Err(Error::NoNetwork { name: one.clone() }));
    let refused = here.engine.run(&inside(shell("true"))).await;
    assert_eq!(refused, Err(Error::NoNetwork { name: one }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_is_made_twice_at_once_is_one() {
    let Some(here) = here().await else { return };
    let name = name("twice");
    let none = labels([]);
    let (one, two) =
        tokio::join!(here.engine.network(&name, &none), here.engine.network(&name, &none));
    assert_eq!(one.expect("a network"), two.expect("a network"));
    here.engine.remove_network(&name).await.expect("the network is removed");
}
