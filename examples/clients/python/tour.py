"""A tour of flocks over gRPC: tour.py SERVICE."""

import os
import sys
from pathlib import Path

import grpc

from flocks.ttrpc.v1 import ttrpc_pb2
from flocks.v1 import supervisor_pb2 as api
from flocks.v1 import supervisor_pb2_grpc, types_pb2
from flocks.v1.types_pb2 import ErrorReason, OperationState, ServiceState, StateReason

# Seconds: of every call, and of every stream from its first to its last message.
CALL, STREAM = 10, 60
LINES = 5


def socket_path():
    """$FLOCKS_SOCKET, or the socket of $FLOCKS_ROOT, which is ~/.flocks by default."""
    root = os.environ.get("FLOCKS_ROOT") or Path.home() / ".flocks"
    return os.environ.get("FLOCKS_SOCKET") or Path(root) / "run" / "flocksd.sock"


def state(service):
    return ServiceState.Name(service.state).removeprefix("SERVICE_STATE_")


def show_status(flocks):
    """Prints every service; the whole answer."""
    status = flocks.GetStatus(api.GetStatusRequest(), timeout=CALL)
    for service in status.services:
        print(f"status: {service.name} {state(service)}, generation {service.generation}")
    return status


def restart(flocks, name):
    """Begins, then watches: the work is the daemon's and would go on without us."""
    begun = flocks.RestartServices(api.RestartServicesRequest(services=[name]), timeout=CALL).operation
    for change in flocks.WatchOperation(api.WatchOperationRequest(operation_id=begun.id), timeout=STREAM):
        operation = change.operation
        progress = OperationState.Name(operation.state).removeprefix("OPERATION_STATE_")
        print(f"restart: {progress}, {operation.steps_done} of {operation.steps_total}")
        if operation.HasField("ended_at"):
            for one in operation.outcomes:
                print(f"restart: {one.service} generation {one.from_generation} -> {one.to_generation}")


def lines_of(pieces):
    """Line by line; a piece holds whole ones."""
    for piece in pieces:
        yield from piece.data.decode(errors="replace").splitlines()


def follow_log(flocks, name):
    request = api.ReadLogsRequest(services=[name], tail=2, follow=True)
    pieces = flocks.ReadLogs(request, timeout=STREAM)
    for _, line in zip(range(LINES), lines_of(pieces)):
        print(f"log: {line}")
    pieces.cancel()


def watch_events(flocks, name, token, old):
    """Everything since `token`, until the service is healthy in another generation than `old`."""
    items = flocks.WatchEvents(api.WatchEventsRequest(after=token, services=[name]), timeout=STREAM)
    for item in items:
        if item.event.WhichOneof("kind") != "service":
            continue
        now = item.event.service.status
        print(f"event: {now.name} {state(now)}, generation {now.generation}")
        if now.state == types_pb2.SERVICE_STATE_HEALTHY and now.generation > old:
            items.cancel()
            return


def explain(flocks, name):
    why = flocks.ExplainService(api.ExplainServiceRequest(service=name), timeout=CALL)
    reason = StateReason.Name(why.status.reason).removeprefix("STATE_REASON_")
    print(f"explain: {name} {state(why.status)}, {reason}")
    for last in why.exits[:1]:
        if last.WhichOneof("outcome") == "signal":
            print(f"explain: generation {last.generation} ended by {last.signal}")
        elif last.WhichOneof("outcome") == "exit_code":
            print(f"explain: generation {last.generation} ended with {last.exit_code}")


def details_of(error):
    """The typed half of a failure. The package grpcio-status has this as rpc_status.from_call(); Debian does not have
    the package, and flocks.ttrpc.v1.Status is google.rpc.Status on the wire."""
    for key, value in error.trailing_metadata():
        if key == "grpc-status-details-bin":
            for packed in ttrpc_pb2.Status.FromString(value).details:
                detail = types_pb2.ErrorDetail()
                if packed.Unpack(detail):
                    yield detail


def make_a_mistake(flocks):
    """What a failure brings: a code, a text, and a typed detail."""
    try:
        flocks.RestartServices(api.RestartServicesRequest(services=["nobody"]), timeout=CALL)
    except grpc.RpcError as error:
        print(f"mistake: code {error.code().value[0]}, {error.details()}")
        for detail in details_of(error):
            reason = ErrorReason.Name(detail.reason).removeprefix("ERROR_REASON_")
            print(f"mistake: {reason}, {detail.service}: {detail.hint}")


def main(name):
    with grpc.insecure_channel(f"unix:{socket_path()}") as channel:
        flocks = supervisor_pb2_grpc.SupervisorServiceStub(channel)
        before = show_status(flocks)
        generations = {service.name: service.generation for service in before.services}
        restart(flocks, name)
        follow_log(flocks, name)
        watch_events(flocks, name, before.event_token, generations[name])
        explain(flocks, name)
        make_a_mistake(flocks)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: tour.py SERVICE")
    try:
        main(sys.argv[1])
    except grpc.RpcError as error:
        sys.exit(f"tour: {error.code().name}: {error.details()}")
