// A client of flocks as somebody writes it in Rust: messages made from our protos, Debian's ttrpc 0.5.2. It is given
// a connected socket, because that version cannot connect to a path. One command; what was seen is printed, one fact a
// line, and test_rust.py judges it.
#[allow(warnings)]
mod flocks {
    include!(concat!(env!("OUT_DIR"), "/flocks.rs"));
}

use flocks::supervisor::*;
use flocks::types::*;
use protobuf::{Message, RepeatedField};
use std::os::unix::{io::IntoRawFd, net::UnixStream};
use std::time::{Duration, Instant};
use std::{env, process, thread};
use ttrpc::{Client, Error, Request};

const SUPERVISOR: &str = "flocks.v1.SupervisorService";
const SECOND: Duration = Duration::from_secs(1);

fn call<Q: Message, A: Message>(
    client: &Client, service: &str, method: &str, request: &Q, limit: Duration,
) -> Result<A, Error> {
    let mut envelope = Request::new();
    envelope.set_service(service.to_string());
    envelope.set_method(method.to_string());
    envelope.set_payload(request.write_to_bytes().map_err(|e| Error::Others(e.to_string()))?);
    envelope.set_timeout_nano(limit.as_nanos() as i64);
    let response = client.request(envelope)?;
    A::parse_from_bytes(response.get_payload()).map_err(|e| Error::Others(e.to_string()))
}

fn supervisor<Q: Message, A: Message>(client: &Client, method: &str, request: &Q, limit: Duration) -> Result<A, Error> {
    call(client, SUPERVISOR, method, request, limit)
}

fn list(names: &[String]) -> RepeatedField<String> {
    RepeatedField::from_vec(names.to_vec())
}

fn status_of(client: &Client, names: &[String]) -> Result<GetStatusResponse, Error> {
    let mut request = GetStatusRequest::new();
    request.set_services(list(names));
    supervisor(client, "GetStatus", &request, 20 * SECOND)
}

fn stop_of(client: &Client, names: &[String]) -> Result<StopServicesResponse, Error> {
    let mut request = StopServicesRequest::new();
    request.set_services(list(names));
    request.set_wait(true);
    supervisor(client, "StopServices", &request, 30 * SECOND)
}

fn operation_of(client: &Client, id: &str, seen_revision: u32) -> Result<GetOperationResponse, Error> {
    let mut request = GetOperationRequest::new();
    request.set_operation_id(id.to_string());
    request.set_wait(seen_revision != 0);
    request.set_seen_revision(seen_revision);
    supervisor(client, "GetOperation", &request, 20 * SECOND)
}

// What a caller can know about a failure; the operation that it names.
fn tell_failure(prefix: &str, error: Error) -> String {
    let status = match error {
        Error::RpcStatus(status) => status,
        other => {
            println!("{}local {}", prefix, other);
            return String::new();
        }
    };
    println!("{}code {}", prefix, status.get_code() as i32);
    println!("{}message {}", prefix, status.get_message());
    let mut operation = String::new();
    for packed in status.get_details() {
        println!("{}type_url {}", prefix, packed.get_type_url());
        let detail = ErrorDetail::parse_from_bytes(packed.get_value()).expect("an ErrorDetail");
        println!("{}reason {:?}", prefix, detail.get_reason());
        println!("{}service {}", prefix, detail.get_service());
        println!("{}hint {}", prefix, detail.get_hint());
        println!("{}operation {}", prefix, detail.get_operation_id());
        operation = detail.get_operation_id().to_string();
    }
    operation
}

fn tell_operation(operation: &Operation) {
    println!("operation {} {:?} {:?}", operation.get_id(), operation.get_kind(), operation.get_state());
    for outcome in operation.get_outcomes() {
        println!("outcome {} {:?} {} {}", outcome.get_service(), outcome.get_state(), outcome.get_from_generation(),
            outcome.get_to_generation());
    }
}

fn status(client: &Client, names: &[String]) -> Result<(), Error> {
    let answer = status_of(client, names)?;
    println!("daemon {} {}", answer.get_daemon().get_pid(), answer.get_daemon().get_version());
    for service in answer.get_services() {
        println!("service {} {:?} {} {} {}", service.get_name(), service.get_state(), service.get_pid(),
            service.get_generation(), service.get_log_path());
    }
    Ok(())
}

fn restart(client: &Client, names: &[String], wait: bool, limit: Duration) -> Result<Operation, Error> {
    let mut request = RestartServicesRequest::new();
    request.set_services(list(names));
    request.set_wait(wait);
    let mut answer: RestartServicesResponse = supervisor(client, "RestartServices", &request, limit)?;
    Ok(answer.take_operation())
}

fn progress(client: &Client, names: &[String]) -> Result<(), Error> {
    let begun = restart(client, names, false, 30 * SECOND)?;
    let mut revision = 0;
    loop {
        let answer = operation_of(client, begun.get_id(), revision)?;
        revision = answer.get_revision();
        let operation = answer.get_operation();
        println!("change {} {} {:?}", revision, operation.get_steps_done(), operation.get_state());
        if operation.get_state() as i32 > OperationState::OPERATION_STATE_RUNNING as i32 {
            return Ok(());
        }
    }
}

// The call ends, the work goes on.
fn deadline(client: &Client, names: &[String]) -> Result<(), Error> {
    let began = Instant::now();
    let failure = restart(client, names, true, 2 * SECOND).err().expect("the deadline");
    let took = began.elapsed().as_millis();
    let id = tell_failure("", failure);
    println!("took {}", took);
    println!("state {:?}", operation_of(client, &id, 0)?.get_operation().get_state());
    Ok(())
}

// Clones of a client share its connection.
fn concurrent(client: &Client, names: &[String]) -> Result<(), Error> {
    let threads: Vec<_> = names
        .iter()
        .map(|name| {
            let (client, name) = (client.clone(), name.clone());
            thread::spawn(move || {
                (0..25).filter(|_| match status_of(&client, &[name.clone()]) {
                    Ok(answer) => answer.get_services().len() == 1 && answer.get_services()[0].get_name() == name,
                    Err(_) => false,
                }).count()
            })
        })
        .collect();
    let right: usize = threads.into_iter().map(|thread| thread.join().expect("a thread")).sum();
    println!("right {} of {}", right, names.len() * 25);
    Ok(())
}

// This ttrpc has no streams: a call of such a method is sent as a unary one.
fn refused(client: &Client) -> Result<(), Error> {
    let nothing = GetStatusRequest::new();
    let calls = [(SUPERVISOR, "WatchEvents"), (SUPERVISOR, "ReadLogs"), (SUPERVISOR, "NoMethod"), ("flocks.v1.NoService", "GetStatus")];
    for (service, method) in calls.iter() {
        if let Err(error) = call::<_, GetStatusResponse>(client, service, method, &nothing, 5 * SECOND) {
            tell_failure(&format!("{}_{}_", service, method), error);
        }
    }
    println!("after {}", status_of(client, &["sleeper-000".to_string()])?.get_services().len());
    Ok(())
}

fn run(client: &Client, command: &str, names: &[String]) -> Result<(), Error> {
    match command {
        "status" => status(client, names),
        "restart" => restart(client, names, true, 30 * SECOND).map(|operation| tell_operation(&operation)),
        "stop" => stop_of(client, names).map(|answer| tell_operation(answer.get_operation())),
        "progress" => progress(client, names),
        "deadline" => deadline(client, names),
        "concurrent" => concurrent(client, names),
        "refused" => refused(client),
        _ => process::exit(2),
    }
}

fn main() {
    let arguments: Vec<String> = env::args().collect();
    let socket = UnixStream::connect(&arguments[1]).expect("connect");
    let client = Client::new(socket.into_raw_fd());
    if let Err(error) = run(&client, &arguments[2], &arguments[3..]) {
        tell_failure("", error);
    }
}
