"""grpc.reflection of flocksd, v1 and v1alpha: what it serves, and descriptors from which a client without our protos calls."""

import pytest
from google.protobuf import descriptor_pb2

from doors import DOORS, FILES, GRPC_PROTO, Messages, descriptor_set
from instance import running_root
from wire import PROTO

NOT_FOUND, UNIMPLEMENTED = 5, 12
VERSIONS = ("v1", "v1alpha")
OURS = ("flocks/v1/types.proto", "flocks/v1/config.proto", "flocks/v1/supervisor.proto", "flocks/v1/upgrade.proto")
SERVED = {
    "flocks.v1.SupervisorService",
    "flocks.v1.UpgradeService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
}


@pytest.fixture(scope="module")
def known():
    """What protoc makes of every file, without a word of ours."""
    sets = (descriptor_set(PROTO, OURS), descriptor_set(GRPC_PROTO, FILES))
    return {file.name: file for one in sets for file in one.file}


@pytest.fixture(scope="module", params=[(door, version) for door in DOORS for version in VERSIONS], ids="-".join)
def ask(request, running, stubs, grpc_messages):
    """A function that asks several things on one stream; the answers."""
    kind, version = request.param
    door = DOORS[kind](running.root / "run" / "flocksd.sock", stubs)
    package = f"grpc.reflection.{version}"
    question = grpc_messages[f"{package}.ServerReflectionRequest"]
    answer = grpc_messages[f"{package}.ServerReflectionResponse"]

    def do(*questions):
        requests = [question(**one) for one in questions]
        answers = door.talk(f"{package}.ServerReflection", "ServerReflectionInfo", requests, answer)
        assert [one.original_request for one in answers] == requests
        return answers

    return do


@pytest.fixture(scope="module")
def grpc_messages():
    return Messages()


@pytest.fixture(scope="module")
def running():
    """One flocksd for all of these: nothing of them changes it."""
    with running_root() as instance:
        instance.write('services:\n  one: {command: [/bin/sleep, "1001"]}\n')
        instance.start()
        yield instance


def files(answer):
    assert answer.WhichOneof("message_response") == "file_descriptor_response"
    return [descriptor_pb2.FileDescriptorProto.FromString(file) for file in answer.file_descriptor_response.file_descriptor_proto]


def closure(known, name):
    names = {name}
    for dependency in known[name].dependency:
        names |= closure(known, dependency)
    return names


def test_services_are_those_that_are_served(ask):
    (answer,) = ask({"list_services": "*"})
    assert {service.name for service in answer.list_services_response.service} == SERVED


def test_every_file_comes_as_protoc_has_it_with_all_imports(ask, known):
    for name in known:
        (answer,) = ask({"file_by_filename": name})
        got = files(answer)
        assert got[0].name == name
        assert {file.name for file in got} == closure(known, name)
        for file in got:
            assert file == known[file.name]


def symbols(file):
    """Every name that the file declares, as protobuf scopes them."""

    def of_enum(scope, enum):
        yield scope + enum.name
        yield from (scope + value.name for value in enum.value)

    def of_message(scope, message):
        name = scope + message.name
        yield name
        for part in (*message.field, *message.oneof_decl, *message.extension):
            yield f"{name}.{part.name}"
        for enum in message.enum_type:
            yield from of_enum(name + ".", enum)
        for nested in message.nested_type:
            yield from of_message(name + ".", nested)

    scope = file.package + "." if file.package else ""
    for message in file.message_type:
        yield from of_message(scope, message)
    for enum in file.enum_type:
        yield from of_enum(scope, enum)
    for extension in file.extension:
        yield scope + extension.name
    for service in file.service:
        yield scope + service.name
        yield from (f"{scope}{service.name}.{method.name}" for method in service.method)


def test_every_symbol_leads_to_its_file(ask, known):
    names = [(symbol, file.name) for file in known.values() for symbol in symbols(file)]
    assert len(names) > 500
    # Few at a time: ttrpc has no flow control.
    for start in range(0, len(names), 10):
        some = names[start : start + 10]
        answers = ask(*({"file_containing_symbol": symbol} for symbol, _ in some))
        assert [files(answer)[0].name for answer in answers] == [name for _, name in some]


def test_what_was_sent_on_a_stream_is_not_sent_again(ask, known):
    name = "flocks/v1/upgrade.proto"
    first, second, third = ask({"file_by_filename": name}, {"file_by_filename": "flocks/v1/supervisor.proto"},
                               {"file_by_filename": name})  # fmt: skip
    before = {file.name for file in files(first)}
    assert {file.name for file in files(second)} == (
        closure(known, "flocks/v1/supervisor.proto") - before | {"flocks/v1/supervisor.proto"}
    )
    assert [file.name for file in files(third)] == [name]


def test_extensions_are_known_by_number(ask, known):
    numbers = {"google.protobuf.FieldOptions": set(), "google.protobuf.MethodOptions": set()}
    for file in known.values():
        for extension in file.extension:
            numbers[extension.extendee[1:]].add((extension.number, file.name))
    assert all(numbers.values())
    for extendee, expected in numbers.items():
        (answer,) = ask({"all_extension_numbers_of_type": extendee})
        response = answer.all_extension_numbers_response
        assert (response.base_type_name, set(response.extension_number)) == (extendee, {one for one, _ in expected})
        for number, name in expected:
            (answer,) = ask({"file_containing_extension": {"containing_type": extendee, "extension_number": number}})
            assert files(answer)[0].name == name
    (answer,) = ask({"all_extension_numbers_of_type": "flocks.v1.Lease"})
    assert list(answer.all_extension_numbers_response.extension_number) == []


def test_what_is_not_there_is_an_answer_too(ask):
    misses = (
        {"file_by_filename": "flocks/v1/nobody.proto"},
        {"file_by_filename": "supervisor.proto"},
        {"file_containing_symbol": "flocks.v1.Nobody"},
        {"file_containing_symbol": "flocks.v1"},
        {"file_containing_symbol": ".flocks.v1.Lease"},
        {"file_containing_extension": {"containing_type": "google.protobuf.FieldOptions", "extension_number": 1}},
        {"all_extension_numbers_of_type": "flocks.v1.Nobody"},
    )
    for answer in ask(*misses):
        assert answer.error_response.error_code == NOT_FOUND
        assert answer.error_response.error_message
    (answer,) = ask({"host": "somewhere"})
    assert (answer.error_response.error_code, answer.valid_host) == (UNIMPLEMENTED, "somewhere")


def test_messages_of_both_versions_are_the_same(known):
    """One handler answers both."""
    v1, alpha = (known[f"grpc/reflection/{version}/reflection.proto"] for version in VERSIONS)
    renamed = descriptor_pb2.FileDescriptorProto.FromString(alpha.SerializeToString())
    for message in renamed.message_type:
        for field in message.field:
            if field.type_name:
                field.type_name = field.type_name.replace(".v1alpha.", ".v1.")
    assert [*renamed.message_type] == [*v1.message_type]
