//! A tour of flocks over ttrpc: tour SERVICE. Debian's ttrpc, 0.5.2, has no streams: progress comes by GetOperation, log
//! and events are left out.
#[allow(warnings)]
mod flocks {
    include!(concat!(env!("OUT_DIR"), "/flocks.rs"));
}

use flocks::supervisor::*;
use flocks::types::*;
use protobuf::{Message, RepeatedField};
use std::os::unix::{io::IntoRawFd, net::UnixStream};
use std::path::PathBuf;
use std::time::Duration;
use std::{env, fmt, process};
use ttrpc::{Client, Error};

const SUPERVISOR: &str = "flocks.v1.SupervisorService";
const CALL_TIME: Duration = Duration::from_secs(10);

struct Tour {
    client: Client,
    service: String,
}

impl Tour {
    /// One call by its name; the server is told the deadline, too.
    fn call<Q: Message, A: Message>(&self, method: &str, request: &Q) -> Result<A, Error> {
        let mut envelope = ttrpc::Request::new();
        envelope.set_service(SUPERVISOR.to_string());
        envelope.set_method(method.to_string());
        envelope.set_payload(request.write_to_bytes().map_err(|error| Error::Others(error.to_string()))?);
        envelope.set_timeout_nano(CALL_TIME.as_nanos() as i64);
        let response = self.client.request(envelope)?;
        A::parse_from_bytes(response.get_payload()).map_err(|error| Error::Others(error.to_string()))
    }

    fn status(&self) -> Result<(), Error> {
        let answer: GetStatusResponse = self.call("GetStatus", &GetStatusRequest::new())?;
        for one in answer.get_services() {
            println!("status: {} {}, generation {}", one.get_name(), state_of(one), one.get_generation());
        }
        Ok(())
    }

    fn begin_restart(&self, service: &str) -> Result<Operation, Error> {
        let mut request = RestartServicesRequest::new();
        request.set_services(RepeatedField::from_vec(vec![service.to_string()]));
        let mut begun: RestartServicesResponse = self.call("RestartServices", &request)?;
        Ok(begun.take_operation())
    }

    /// One answer for each change of the operation; it would go on without us.
    fn restart(&self) -> Result<(), Error> {
        let mut get = GetOperationRequest::new();
        get.set_operation_id(self.begin_restart(&self.service)?.take_id());
        loop {
            let now: GetOperationResponse = self.call("GetOperation", &get)?;
            let operation = now.get_operation();
            println!(
                "restart: {}, {} of {}",
                short("OPERATION_STATE_", operation.get_state()),
                operation.get_steps_done(),
                operation.get_steps_total()
            );
            if operation.has_ended_at() {
                for one in operation.get_outcomes() {
                    println!(
                        "restart: {} generation {} -> {}",
                        one.get_service(),
                        one.get_from_generation(),
                        one.get_to_generation()
                    );
                }
                return Ok(());
            }
            get.set_wait(true);
            get.set_seen_revision(now.get_revision());
        }
    }

    fn explain(&self) -> Result<(), Error> {
        let mut request = ExplainServiceRequest::new();
        request.set_service(self.service.clone());
        let why: ExplainServiceResponse = self.call("ExplainService", &request)?;
        let status = why.get_status();
        println!("explain: {} {}, {}", self.service, state_of(status), short("STATE_REASON_", status.get_reason()));
        if let Some(last) = why.get_exits().first() {
            match &last.outcome {
                Some(ExitRecord_oneof_outcome::signal(name)) => {
                    println!("explain: generation {} ended by {}", last.get_generation(), name)
                }
                Some(ExitRecord_oneof_outcome::exit_code(code)) => {
                    println!("explain: generation {} ended with {}", last.get_generation(), code)
                }
                _ => (),
            }
        }
        Ok(())
    }

    /// What a failure brings: a code, a text, and a typed detail.
    fn mistake(&self) -> Result<(), Error> {
        let status = match self.begin_restart("nobody") {
            Err(Error::RpcStatus(status)) => status,
            Err(other) => return Err(other),
            Ok(_) => return Err(Error::Others("nobody was restarted".to_string())),
        };
        println!("mistake: code {}, {}", status.get_code() as i32, status.get_message());
        for packed in status.get_details() {
            if packed.get_type_url() != "type.googleapis.com/flocks.v1.ErrorDetail" {
                continue;
            }
            let detail = ErrorDetail::parse_from_bytes(packed.get_value())
                .map_err(|error| Error::Others(error.to_string()))?;
            println!(
                "mistake: {}, {}: {}",
                short("ERROR_REASON_", detail.get_reason()),
                detail.get_service(),
                detail.get_hint()
            );
        }
        Ok(())
    }
}

fn state_of(service: &ServiceStatus) -> String {
    short("SERVICE_STATE_", service.get_state())
}

/// `SERVICE_STATE_HEALTHY` without its type.
fn short(prefix: &str, value: impl fmt::Debug) -> String {
    let name = format!("{:?}", value);
    name.strip_prefix(prefix).unwrap_or(&name).to_string()
}

/// $FLOCKS_SOCKET, or the socket of $FLOCKS_ROOT, which is ~/.flocks by default.
fn socket_path() -> PathBuf {
    if let Some(path) = env::var_os("FLOCKS_SOCKET") {
        return path.into();
    }
    let root = match env::var_os("FLOCKS_ROOT") {
        Some(root) => PathBuf::from(root),
        None => PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".flocks"),
    };
    root.join("run/flocksd.sock")
}

fn run(service: String) -> Result<(), Box<dyn std::error::Error>> {
    // This ttrpc is given a connected socket: it cannot connect to a path itself.
    let path = socket_path();
    let socket = UnixStream::connect(&path).map_err(|error| format!("connecting to {}: {}", path.display(), error))?;
    let tour = Tour { client: Client::new(socket.into_raw_fd()), service };
    tour.status()?;
    tour.restart()?;
    tour.explain()?;
    tour.mistake()?;
    Ok(())
}

fn main() {
    let service = match env::args().nth(1) {
        Some(service) => service,
        None => {
            eprintln!("usage: tour SERVICE");
            process::exit(2);
        }
    };
    if let Err(error) = run(service) {
        eprintln!("tour: {}", error);
        process::exit(1);
    }
}
