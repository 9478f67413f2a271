//! How long a template of a thousand services takes: `cargo bench -p meshagent-jinja`.

#![allow(clippy::print_stdout)]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// As many services as written out one after another.
const SERVICES: usize = 1_000;

/// Rounds, of which the fastest and the middle one are told.
const ROUNDS: usize = 21;

fn main() {
    let mut written = String::new();
    for number in 0..SERVICES {
        let _ = write!(
            written,
            "---\nversion: v1\nkind: Service\nmetadata:\n  name: {{{{ prefix }}}}-{number}\n  \
             description: \"{{{{ about|default('a service')|trim|e }}}}\"\n\
             {{% if region and region != 'none' %}}  labels: {{region: {{{{ region|lower }}}}}}\n{{% endif %}}\
             container:\n  image: {{{{ registry ~ '/' ~ prefix }}}}:{{{{ tag }}}}\n  environment:\n\
             {{% for name in ['A', 'B', 'C'] %}}    - {{name: {{{{ name }}}}, value: \"{{{{ loop.index + {number} }}}}\"}}\n{{% endfor %}}"
        );
    }
    let looped = format!(
        "{{% macro service(number) %}}{}{{% endmacro %}}{{% for number in range({SERVICES}) %}}{{{{ service(number) }}}}{{% endfor %}}",
        "---\nversion: v1\nkind: Service\nmetadata:\n  name: {{ prefix }}-{{ number }}\n  description: \"{{ about|default('a service')|trim|e }}\"\n{% if region and region != 'none' %}  labels: {region: {{ region|lower }}}\n{% endif %}container:\n  image: {{ registry ~ '/' ~ prefix }}:{{ tag }}\n  environment:\n{% for name in ['A', 'B', 'C'] %}    - {name: {{ name }}, value: \"{{ loop.index + number }}\"}\n{% endfor %}"
    );
    for (name, template) in [("written out", &written), ("in a loop", &looped)] {
        let mut times: Vec<Duration> = (0..ROUNDS).map(|_| timed(template)).collect();
        times.sort_unstable();
        println!(
            "{SERVICES} services {name}: {:?} at best, {:?} usually",
            times[0],
            times[ROUNDS / 2]
        );
    }
}

fn timed(template: &str) -> Duration {
    let values = [
        ("prefix", "web"),
        ("region", "EU"),
        ("registry", "registry.example.test"),
        ("tag", "1.10"),
    ];
    let started = Instant::now();
    let rendered = meshagent_jinja::render(template, values, started + Duration::from_secs(10));
    let took = started.elapsed();
    match rendered {
        Ok(text) => assert!(text.contains("web-999\n"), "the last service is missing"),
        Err(error) => panic!("the template does not render: {error}"),
    }
    took
}
