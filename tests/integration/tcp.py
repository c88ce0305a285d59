"""The TCP door as tests need it: an instance that has one, and what a caller says there."""

import socket

import grpc

from instance import wait_until


def configuration(port, services='{idle: {command: [/bin/sleep, "1000"]}}', tcp="true"):
    """A configuration text with the door at `port`."""
    return f"daemon: {{tcp: {tcp}, port: {port}}}\nservices: {services}\n"


def addresses(instance):
    """Where the daemon says that it serves TCP."""
    return instance.status()["daemon"].get("tcp_addresses", [])


def problem(instance):
    """What the daemon says is in the way, or nothing."""
    return instance.status()["daemon"].get("tcp_problem", "")


def wait_until_served(instance, port, seconds=30.0):
    """Until 127.0.0.1:`port` is among them."""
    wait_until(lambda: f"127.0.0.1:{port}" in addresses(instance), seconds, f"TCP at {port}")


def token_file(instance):
    return instance.root / "run" / "control.token"


def bearer(instance):
    """The metadata that lets a call in."""
    return ("authorization", "Bearer " + token_file(instance).read_text().strip())


def listens(port, host="127.0.0.1"):
    """Whether anybody accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=5):
            return True
    except OSError:
        return False


def grpc_method(channel, stubs, name):
    """A unary method of SupervisorService on a grpcio channel, without generated stubs."""
    supervisor = stubs[1]
    return channel.unary_unary(
        f"/flocks.v1.SupervisorService/{name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=getattr(supervisor, f"{name}Response").FromString,
    )


def grpc_stream(channel, stubs, name):
    """A server stream of SupervisorService on a grpcio channel."""
    supervisor = stubs[1]
    return channel.unary_stream(
        f"/flocks.v1.SupervisorService/{name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=getattr(supervisor, f"{name}Response").FromString,
    )


def grpc_detail(error, stubs):
    """(code, ErrorDetail or None) of a grpc.RpcError."""
    packed = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin")
    if packed is None:
        return error.code(), None
    status = stubs[0].Status.FromString(packed)
    assert status.code == error.code().value[0]
    assert status.message == error.details()
    for detail in status.details:
        return error.code(), stubs[2].ErrorDetail.FromString(detail.value)
    return error.code(), None


def channel_of(target, authority=None):
    """A grpcio channel as it is by itself, but for having no connection in common with any other."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    if authority is not None:
        options.append(("grpc.default_authority", authority))
    return grpc.insecure_channel(target, options=options)
