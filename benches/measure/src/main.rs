//! What `benches/run` measures with: loads over MLLP and MQTT, bare appends, parsing, reading records, searching for
//! what can be booked, counting contacts, receptionists at their pages. Each prints one number a line, `NAME VALUE`.

mod activity;
mod desk;
mod mllp;
mod mqtt;
mod parse;
mod rates;
mod record;
mod search;

use std::{process::ExitCode, time::Instant};

/// Messages of one kilobyte: an ordinary admission.
const MESSAGE_BYTES: usize = 1024;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let text: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<usize>().expect("a number");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
    match text.as_slice() {
        ["accept", port, connections, count, prefix] => {
            let (connections, count) = (number(connections), number(count));
            runtime.block_on(mllp::load(port.parse().expect("a port"), connections, count, prefix));
        }
        ["append", file, concurrency, count] => {
            runtime.block_on(mllp::append(file, number(concurrency), number(count)));
        }
        ["publish", port, clients, count] => {
            runtime.block_on(mqtt::publish(port.parse().expect("a port"), number(clients), number(count)));
        }
        ["count", port, quiet_seconds] => {
            let quiet = std::time::Duration::from_secs(number(quiet_seconds) as u64);
            runtime.block_on(mqtt::count(port.parse().expect("a port"), quiet));
        }
        ["desk", address, people, seconds] => {
            runtime.block_on(desk::load(address, number(people), number(seconds) as u64));
        }
        ["parse"] => parse::all(),
        ["rates"] => rates::all(),
        ["search"] => search::all(),
        ["activity", contacts] => activity::all(number(contacts) as u64),
        ["record-fill", folder, patients, systems, cached] => {
            record::fill(folder, number(patients), number(systems), number(cached));
        }
        ["record-read", folder, patients] => record::read(folder, number(patients)),
        _ => {
            eprintln!(
                "measure accept PORT CONNECTIONS COUNT PREFIX | append FILE CONCURRENCY COUNT | publish PORT CLIENTS COUNT | count PORT QUIET_SECONDS | parse | rates | record-fill FOLDER PATIENTS SYSTEMS CACHED | record-read FOLDER PATIENTS | search | activity CONTACTS | desk ADDRESS PEOPLE SECONDS"
            );
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

/// Prints how many of something there were in a second.
fn report(name: &str, count: usize, since: Instant) {
    println!("{name} {:.0}", count as f64 / since.elapsed().as_secs_f64());
}
