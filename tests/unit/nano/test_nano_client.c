/* libflocks-nano against scripted answers: what it tells, and what it makes of failures. */
#include <pb_encode.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/rpc/wire.h"
#include "crpc/limits.h"
#include "script.h"
#include "unit.h"

enum { SHORT_MS = 1 };

static void say_all(const struct script *script)
{
    script_say(script, 0, script->len);
}

/* ---- answers ---- */

static void test_get_status_tells_each_service_in_order(void **state)
{
    struct script *script = *state;
    script_status(script, 1, 3);
    say_all(script);
    assert_int_equal(script_get_status(script), RPC_OK);
    assert_int_equal(script->n_seen, 3);
    assert_string_equal(script->seen[0], "s0");
    assert_string_equal(script->seen[2], "s2");
    assert_int_equal(script->status.daemon.pid, 7);
    assert_string_equal(script->status.event_token, "token");
    assert_null(script->status.services.funcs.decode);
    assert_int_equal(script->error.code, RPC_OK);
    assert_string_equal(script->error.message, "");
    assert_false(script->error.has_detail);
}

static void test_get_status_of_five_hundred_needs_no_more_memory(void **state)
{
    struct script *script = *state;
    script_status(script, 1, 500);
    assert_true(script->len > 20 * sizeof script->nano);
    say_all(script);
    assert_int_equal(script_get_status(script), RPC_OK);
    assert_int_equal(script->n_seen, 500);
    assert_string_equal(script->seen[499], "s499");
}

static void test_get_status_without_callback_passes_over_services(void **state)
{
    struct script *script = *state;
    const flocks_get_status_request request = FLOCKS_GET_STATUS_REQUEST_INIT;
    script_status(script, 1, 3);
    say_all(script);
    assert_int_equal(flocks_nano_get_status(
                         &script->nano, &request, NULL, NULL, &script->status, &script->error),
        RPC_OK);
    assert_int_equal(script->status.daemon.pid, 7);
}

static void test_empty_answer_is_the_empty_message(void **state)
{
    struct script *script = *state;
    script_frame(script, 1, RPC_FRAME_RESPONSE, NULL, 0);
    say_all(script);
    memset(&script->status, 0xA5, sizeof script->status);
    assert_int_equal(script_get_status(script), RPC_OK);
    assert_int_equal(script->n_seen, 0);
    assert_false(script->status.has_daemon);
    assert_string_equal(script->status.event_token, "");
}

static void test_next_call_uses_the_same_connection(void **state)
{
    struct script *script = *state;
    script_status(script, 1, 1);
    script_status(script, 3, 2);
    say_all(script);
    assert_int_equal(script_get_status(script), RPC_OK);
    assert_int_equal(script->n_seen, 1);
    assert_int_equal(script_get_status(script), RPC_OK);
    assert_int_equal(script->n_seen, 2);
}

/* What was sent. */
static void read_request(const struct script *script, uint8_t *bytes, size_t room,
    struct rpc_frame *out_frame, struct rpc_request_envelope *out)
{
    ssize_t n = recv(script->peer, bytes, room, MSG_DONTWAIT);
    assert_true(n >= RPC_FRAME_HEADER_BYTES);
    rpc_frame_decode(bytes, out_frame);
    assert_int_equal(out_frame->body_len, n - RPC_FRAME_HEADER_BYTES);
    assert_true(
        rpc_request_decode(bytes + RPC_FRAME_HEADER_BYTES, out_frame->body_len, NULL, 0, out));
}

static void assert_text(struct rpc_bytes bytes, const char *text)
{
    assert_int_equal(bytes.len, strlen(text));
    assert_memory_equal(bytes.data, text, bytes.len);
}

struct outcomes {
    size_t n;
    flocks_service_outcome last;
};

static void see_outcome(void *data, const flocks_service_outcome *outcome)
{
    struct outcomes *outcomes = data;
    outcomes->n++;
    outcomes->last = *outcome;
}

/* RestartServicesResponse and StopServicesResponse are the same on the wire. */
static void script_operation(struct script *script, uint32_t stream_id)
{
    static const char NAMES[][4] = {"one", "two"};
    uint8_t operation[256];
    uint8_t *end =
        rpc_wire_put_bytes(operation, flocks_v1_Operation_id_tag, (const uint8_t *)"6b03-1", 6);
    for (size_t i = 0; i < 2; i++) {
        uint8_t outcome[64];
        uint8_t *outcome_end = rpc_wire_put_bytes(
            outcome, flocks_v1_ServiceOutcome_service_tag, (const uint8_t *)NAMES[i], 3);
        outcome_end =
            rpc_wire_put_number(outcome_end, flocks_v1_ServiceOutcome_to_generation_tag, 2 + i);
        end = rpc_wire_put_bytes(
            end, flocks_v1_Operation_outcomes_tag, outcome, (size_t)(outcome_end - outcome));
    }
    uint8_t payload[512];
    uint8_t *payload_end = rpc_wire_put_bytes(payload,
        flocks_v1_RestartServicesResponse_operation_tag, operation, (size_t)(end - operation));
    script_payload(script, stream_id, payload, (size_t)(payload_end - payload));
}

static void test_restart_and_stop_tell_each_outcome(void **state)
{
    struct script *script = *state;
    struct outcomes outcomes = {.n = 0};
    const flocks_restart_services_request restart = FLOCKS_RESTART_SERVICES_REQUEST_INIT;
    const flocks_stop_services_request stop = FLOCKS_STOP_SERVICES_REQUEST_INIT;
    flocks_restart_services_response restarted;
    flocks_stop_services_response stopped;
    script_operation(script, 1);
    script_operation(script, 3);
    say_all(script);
    assert_int_equal(flocks_nano_restart_services(&script->nano, &restart, see_outcome, &outcomes,
                         &restarted, &script->error),
        RPC_OK);
    assert_string_equal(restarted.operation.id, "6b03-1");
    assert_int_equal(outcomes.n, 2);
    assert_string_equal(outcomes.last.service, "two");
    assert_int_equal(outcomes.last.to_generation, 3);
    assert_int_equal(flocks_nano_stop_services(
                         &script->nano, &stop, see_outcome, &outcomes, &stopped, &script->error),
        RPC_OK);
    assert_string_equal(stopped.operation.id, "6b03-1");
    assert_int_equal(outcomes.n, 4);
}

static void test_get_operation_tells_revision_and_outcomes(void **state)
{
    struct script *script = *state;
    struct outcomes outcomes = {.n = 0};
    flocks_get_operation_request request = FLOCKS_GET_OPERATION_REQUEST_INIT;
    flocks_get_operation_response response;
    (void)strcpy(request.operation_id, "6b03-1");
    request.wait = true;
    request.seen_revision = 6;
    uint8_t operation[] = {flocks_v1_Operation_outcomes_tag << 3 | 2, 5,
        flocks_v1_ServiceOutcome_service_tag << 3 | 2, 3, 'o', 'n', 'e'};
    uint8_t payload[32];
    uint8_t *end = rpc_wire_put_bytes(
        payload, flocks_v1_GetOperationResponse_operation_tag, operation, sizeof operation);
    end = rpc_wire_put_number(end, flocks_v1_GetOperationResponse_revision_tag, 7);
    script_payload(script, 1, payload, (size_t)(end - payload));
    say_all(script);
    assert_int_equal(flocks_nano_get_operation(&script->nano, &request, see_outcome, &outcomes,
                         &response, &script->error),
        RPC_OK);
    assert_int_equal(response.revision, 7);
    assert_int_equal(outcomes.n, 1);
    assert_string_equal(outcomes.last.service, "one");
    uint8_t bytes[512];
    struct rpc_frame frame;
    struct rpc_request_envelope seen;
    read_request(script, bytes, sizeof bytes, &frame, &seen);
    assert_text(seen.method, "GetOperation");
    static const uint8_t PAYLOAD[] = {
        1 << 3 | 2, 6, '6', 'b', '0', '3', '-', '1', 2 << 3, 1, 3 << 3, 6};
    assert_int_equal(seen.payload.len, sizeof PAYLOAD);
    assert_memory_equal(seen.payload.data, PAYLOAD, sizeof PAYLOAD);
}

struct exits {
    size_t n;
    flocks_exit_record last;
};

static void see_exit(void *data, const flocks_exit_record *record)
{
    struct exits *exits = data;
    exits->n++;
    exits->last = *record;
}

/* Two exits, an operation with an outcome, and output that has no place here. */
static void script_explanation(struct script *script, uint32_t stream_id)
{
    static const uint8_t STATUS[] = {flocks_v1_ServiceStatus_name_tag << 3 | 2, 3, 'w', 'e', 'b'};
    static const uint8_t FAILED[] = {
        flocks_v1_ExitRecord_generation_tag << 3, 2, flocks_v1_ExitRecord_exit_code_tag << 3, 1};
    static const uint8_t KILLED[] = {flocks_v1_ExitRecord_generation_tag << 3, 1,
        flocks_v1_ExitRecord_signal_tag << 3 | 2, 7, 'S', 'I', 'G', 'T', 'E', 'R', 'M'};
    static const uint8_t OPERATION[] = {flocks_v1_Operation_id_tag << 3 | 2, 1, '4',
        flocks_v1_Operation_outcomes_tag << 3 | 2, 2, 2 << 3, 3};
    enum { OUTPUT_TAIL = 3 };
    uint8_t payload[128];
    uint8_t *end = payload;
    end =
        rpc_wire_put_bytes(end, flocks_v1_ExplainServiceResponse_status_tag, STATUS, sizeof STATUS);
    end =
        rpc_wire_put_bytes(end, flocks_v1_ExplainServiceResponse_exits_tag, FAILED, sizeof FAILED);
    end =
        rpc_wire_put_bytes(end, flocks_v1_ExplainServiceResponse_exits_tag, KILLED, sizeof KILLED);
    end = rpc_wire_put_bytes(end, OUTPUT_TAIL, (const uint8_t *)"a line", 6);
    end = rpc_wire_put_bytes(
        end, flocks_v1_ExplainServiceResponse_last_operation_tag, OPERATION, sizeof OPERATION);
    end = rpc_wire_put_bytes(
        end, flocks_v1_ExplainServiceResponse_hint_tag, (const uint8_t *)"look", 4);
    script_payload(script, stream_id, payload, (size_t)(end - payload));
}

static void test_explain_service_tells_each_exit(void **state)
{
    struct script *script = *state;
    struct exits exits = {.n = 0};
    flocks_explain_service_request request = FLOCKS_EXPLAIN_SERVICE_REQUEST_INIT;
    flocks_explain_service_response why;
    (void)strcpy(request.service, "web");
    script_explanation(script, 1);
    script_explanation(script, 3);
    say_all(script);
    memset(&why, 0xA5, sizeof why);
    assert_int_equal(flocks_nano_explain_service(
                         &script->nano, &request, see_exit, &exits, &why, &script->error),
        RPC_OK);
    assert_string_equal(why.status.name, "web");
    assert_string_equal(why.last_operation.id, "4");
    assert_string_equal(why.hint, "look");
    assert_int_equal(exits.n, 2);
    assert_int_equal(exits.last.generation, 1);
    assert_string_equal(exits.last.outcome.signal, "SIGTERM");
    assert_null(why.exits.funcs.decode);
    assert_int_equal(
        flocks_nano_explain_service(&script->nano, &request, NULL, NULL, &why, &script->error),
        RPC_OK);
    assert_int_equal(exits.n, 2);
}

/* ---- requests ---- */
static void test_request_is_one_ttrpc_frame(void **state)
{
    struct script *script = *state;
    flocks_restart_services_request request = FLOCKS_RESTART_SERVICES_REQUEST_INIT;
    flocks_restart_services_response response;
    request.services_count = 1;
    (void)strcpy(request.services[0], "web");
    request.wait = true;
    script_frame(script, 1, RPC_FRAME_RESPONSE, NULL, 0);
    say_all(script);
    script->nano.timeout_ms = 2000;
    assert_int_equal(flocks_nano_restart_services(
                         &script->nano, &request, NULL, NULL, &response, &script->error),
        RPC_OK);
    uint8_t bytes[512];
    struct rpc_frame frame;
    struct rpc_request_envelope seen;
    read_request(script, bytes, sizeof bytes, &frame, &seen);
    assert_int_equal(frame.type, RPC_FRAME_REQUEST);
    assert_int_equal(frame.flags, 0);
    assert_int_equal(frame.stream_id, 1);
    assert_text(seen.service, "flocks.v1.SupervisorService");
    assert_text(seen.method, "RestartServices");
    assert_int_equal(seen.timeout_nano, INT64_C(1950000000));
    static const uint8_t PAYLOAD[] = {1 << 3 | 2, 3, 'w', 'e', 'b', 2 << 3, 1};
    assert_int_equal(seen.payload.len, sizeof PAYLOAD);
    assert_memory_equal(seen.payload.data, PAYLOAD, sizeof PAYLOAD);
}

static void test_largest_request_fits(void **state)
{
    struct script *script = *state;
    flocks_restart_services_request request = FLOCKS_RESTART_SERVICES_REQUEST_INIT;
    flocks_restart_services_response response;
    request.services_count = sizeof request.services / sizeof *request.services;
    for (size_t i = 0; i < request.services_count; i++)
        memset(request.services[i], 'n', sizeof request.services[i] - 1);
    memset(request.request_id, 'r', sizeof request.request_id - 1);
    memset(request.lease_id, 'l', sizeof request.lease_id - 1);
    request.wait = request.skip_prepare = request.has_timeout = true;
    request.timeout.seconds = request.timeout.nanos = -1;
    script_frame(script, 1, RPC_FRAME_RESPONSE, NULL, 0);
    say_all(script);
    script->nano.timeout_ms = UINT32_MAX;
    assert_int_equal(flocks_nano_restart_services(
                         &script->nano, &request, NULL, NULL, &response, &script->error),
        RPC_OK);
    uint8_t bytes[4096];
    struct rpc_frame frame;
    struct rpc_request_envelope seen;
    read_request(script, bytes, sizeof bytes, &frame, &seen);
    assert_int_equal(seen.payload.len, flocks_v1_RestartServicesRequest_size);
}

static void assert_refused(struct script *script, enum rpc_code code)
{
    uint8_t byte;
    assert_int_equal(code, RPC_INVALID_ARGUMENT);
    assert_int_equal(script->error.code, RPC_INVALID_ARGUMENT);
    assert_true(recv(script->peer, &byte, 1, MSG_DONTWAIT) < 0);
    assert_true(flocks_nano_is_usable(&script->nano));
}

static void test_request_beyond_its_room_is_not_sent(void **state)
{
    struct script *script = *state;
    flocks_get_status_request request = FLOCKS_GET_STATUS_REQUEST_INIT;
    request.services_count = sizeof request.services / sizeof *request.services + 1;
    assert_refused(script, flocks_nano_get_status(&script->nano, &request, NULL, NULL,
                               &script->status, &script->error));
}

static void test_request_with_endless_text_is_not_sent(void **state)
{
    struct script *script = *state;
    flocks_stop_services_request request = FLOCKS_STOP_SERVICES_REQUEST_INIT;
    flocks_stop_services_response response;
    memset(request.lease_id, 'l', sizeof request.lease_id);
    assert_refused(script,
        flocks_nano_stop_services(&script->nano, &request, NULL, NULL, &response, &script->error));
}

/* ---- failures that the server tells ---- */

static void test_failure_brings_code_text_and_detail(void **state)
{
    struct script *script = *state;
    flocks_error_detail detail = FLOCKS_ERROR_DETAIL_INIT;
    detail.reason = FLOCKS_ERROR_REASON_UNKNOWN_SERVICE;
    (void)strcpy(detail.service, "web");
    (void)strcpy(detail.hint, "see flocks status");
    uint8_t bytes[1024];
    pb_ostream_t stream = pb_ostream_from_buffer(bytes, sizeof bytes);
    assert_true(pb_encode(&stream, &flocks_v1_ErrorDetail_msg, &detail));
    const struct rpc_envelope_pair details[] = {
        {RPC_BYTES_OF_TEXT("type.googleapis.com/flocks.v1.Operation"), {bytes, 3}},
        {RPC_BYTES_OF_TEXT("type.googleapis.com/flocks.v1.ErrorDetail"),
            {bytes, stream.bytes_written}},
    };
    const struct rpc_response_envelope response = {
        .code = RPC_NOT_FOUND,
        .message = RPC_BYTES_OF_TEXT("there is no service web"),
        .details = details,
        .n_details = 2,
    };
    script_response(script, 1, &response);
    script_status(script, 3, 1);
    say_all(script);
    assert_int_equal(script_get_status(script), RPC_NOT_FOUND);
    assert_int_equal(script->error.code, RPC_NOT_FOUND);
    assert_string_equal(script->error.message, "there is no service web");
    assert_true(script->error.has_detail);
    assert_int_equal(script->error.detail.reason, FLOCKS_ERROR_REASON_UNKNOWN_SERVICE);
    assert_string_equal(script->error.detail.service, "web");
    assert_string_equal(script->error.detail.hint, "see flocks status");
    assert_int_equal(script_get_status(script), RPC_OK);
    assert_false(script->error.has_detail);
}

static void test_failure_with_a_longer_detail_keeps_code_and_text(void **state)
{
    struct script *script = *state;
    uint8_t detail[512];
    uint8_t hint[400];
    memset(hint, 'h', sizeof hint);
    uint8_t *end = rpc_wire_put_bytes(detail, flocks_v1_ErrorDetail_hint_tag, hint, sizeof hint);
    const struct rpc_envelope_pair details[] = {
        {RPC_BYTES_OF_TEXT("type.googleapis.com/flocks.v1.ErrorDetail"),
            {detail, (size_t)(end - detail)}},
    };
    const struct rpc_response_envelope response = {.code = RPC_ABORTED,
        .message = RPC_BYTES_OF_TEXT("why"),
        .details = details,
        .n_details = 1};
    script_response(script, 1, &response);
    say_all(script);
    assert_int_equal(script_get_status(script), RPC_ABORTED);
    assert_string_equal(script->error.message, "why");
    assert_false(script->error.has_detail);
}

static void test_long_text_is_cut_between_characters(void **state)
{
    struct script *script = *state;
    static char text[1024];
    /* One byte, then characters of three: the cut at 511 falls into one. */
    text[0] = '.';
    for (size_t i = 1; i + 3 < sizeof text; i += 3)
        memcpy(text + i, "\xE2\x82\xAC", 3);
    const struct rpc_response_envelope response = {
        .code = RPC_INTERNAL, .message = RPC_BYTES_OF_TEXT(text)};
    script_response(script, 1, &response);
    script_status(script, 3, 1);
    say_all(script);
    assert_int_equal(script_get_status(script), RPC_INTERNAL);
    assert_int_equal(strlen(script->error.message), 511);
    assert_memory_equal(script->error.message, text, 511);
    assert_int_equal(script_get_status(script), RPC_OK);
}

static void test_text_of_three_byte_characters_is_cut_earlier(void **state)
{
    struct script *script = *state;
    static char text[1024];
    for (size_t i = 0; i + 3 < sizeof text; i += 3)
        memcpy(text + i, "\xE2\x82\xAC", 3);
    const struct rpc_response_envelope response = {
        .code = RPC_INTERNAL, .message = RPC_BYTES_OF_TEXT(text)};
    script_response(script, 1, &response);
    say_all(script);
    assert_int_equal(script_get_status(script), RPC_INTERNAL);
    assert_int_equal(strlen(script->error.message), 510);
}

static void test_code_that_nobody_knows_is_unknown(void **state)
{
    struct script *script = *state;
    const struct rpc_response_envelope response = {.code = 99};
    script_response(script, 1, &response);
    say_all(script);
    assert_int_equal(script_get_status(script), RPC_UNKNOWN);
}

/* ---- answers that are none ---- */

static void assert_unreadable(struct script *script)
{
    script_status(script, 3, 2);
    say_all(script);
    assert_int_equal(script_get_status(script), RPC_INTERNAL);
    assert_non_null(strstr(script->error.message, "the answer cannot be read"));
    assert_int_equal(script_get_status(script), RPC_OK);
    assert_int_equal(script->n_seen, 2);
}

static void test_payload_that_is_no_message_is_internal(void **state)
{
    struct script *script = *state;
    static const uint8_t BROKEN[] = {1 << 3 | 2, 200, 1, 2, 3};
    script_payload(script, 1, BROKEN, sizeof BROKEN);
    assert_unreadable(script);
}

static void test_text_longer_than_its_field_is_internal(void **state)
{
    struct script *script = *state;
    uint8_t token[100];
    uint8_t payload[128];
    memset(token, 't', sizeof token);
    uint8_t *end = rpc_wire_put_bytes(
        payload, flocks_v1_GetStatusResponse_event_token_tag, token, sizeof token);
    script_payload(script, 1, payload, (size_t)(end - payload));
    assert_unreadable(script);
}

static void test_body_that_is_no_response_is_internal(void **state)
{
    struct script *script = *state;
    static const uint8_t GROUP[] = {2 << 3 | 3, 0, 0};
    script_frame(script, 1, RPC_FRAME_RESPONSE, GROUP, sizeof GROUP);
    assert_unreadable(script);
}

static void test_field_number_zero_is_internal(void **state)
{
    struct script *script = *state;
    static const uint8_t ZERO[] = {0, 0};
    script_frame(script, 1, RPC_FRAME_RESPONSE, ZERO, sizeof ZERO);
    assert_unreadable(script);
}

static void test_second_payload_is_internal(void **state)
{
    struct script *script = *state;
    static const uint8_t TWICE[] = {2 << 3 | 2, 0, 2 << 3 | 2, 0};
    script_frame(script, 1, RPC_FRAME_RESPONSE, TWICE, sizeof TWICE);
    assert_unreadable(script);
}

static void test_unknown_fields_are_passed_over(void **state)
{
    struct script *script = *state;
    static const uint8_t LATER[] = {
        15 << 3 | 2, 2, 'x', 'y', 14 << 3, 1, 13 << 3 | 5, 1, 2, 3, 4, 1 << 3 | 2, 2, 15 << 3, 1};
    script_frame(script, 1, RPC_FRAME_RESPONSE, LATER, sizeof LATER);
    say_all(script);
    assert_int_equal(script_get_status(script), RPC_OK);
}

/* ---- frames ---- */

static void test_other_streams_and_types_are_passed_over(void **state)
{
    struct script *script = *state;
    const struct rpc_response_envelope other = {
        .code = RPC_NOT_FOUND, .message = RPC_BYTES_OF_TEXT("not for this call")};
    static const uint8_t BODY[3000];
    script_response(script, 9, &other);
    script_frame(script, 1, 0x77, BODY, sizeof BODY);
    script_frame(script, 0, RPC_FRAME_DATA, BODY, 1);
    script_status(script, 1, 2);
    say_all(script);
    assert_int_equal(script_get_status(script), RPC_OK);
    assert_int_equal(script->n_seen, 2);
}

static void test_data_for_a_unary_call_ends_the_connection(void **state)
{
    struct script *script = *state;
    script_frame(script, 1, RPC_FRAME_DATA, NULL, 0);
    say_all(script);
    assert_int_equal(script_get_status(script), RPC_UNAVAILABLE);
    assert_false(flocks_nano_is_usable(&script->nano));
    assert_int_equal(script_get_status(script), RPC_UNAVAILABLE);
    assert_non_null(strstr(script->error.message, "connect again"));
}

static void script_header(struct script *script, uint32_t stream_id, uint32_t body_len)
{
    const struct rpc_frame frame = {
        .body_len = body_len, .stream_id = stream_id, .type = RPC_FRAME_RESPONSE};
    uint8_t header[RPC_FRAME_HEADER_BYTES];
    rpc_frame_encode(&frame, header);
    script_raw(script, header, sizeof header);
}

static void test_answer_over_the_limit_is_resource_exhausted(void **state)
{
    struct script *script = *state;
    script_header(script, 1, RPC_MESSAGE_BYTES_MAX + 1);
    say_all(script);
    assert_int_equal(script_get_status(script), RPC_RESOURCE_EXHAUSTED);
    assert_true(flocks_nano_is_usable(&script->nano));
    /* Its body is passed over when it comes. */
    script->nano.timeout_ms = SHORT_MS;
    assert_int_equal(script_get_status(script), RPC_DEADLINE_EXCEEDED);
    assert_int_equal(script->nano.body_left, RPC_MESSAGE_BYTES_MAX + 1);
}

static void test_frame_that_is_no_ttrpc_ends_the_connection(void **state)
{
    struct script *script = *state;
    script_header(script, 9, RPC_DISCARD_BYTES_MAX + 1);
    say_all(script);
    assert_int_equal(script_get_status(script), RPC_UNAVAILABLE);
    assert_false(flocks_nano_is_usable(&script->nano));
}

static void test_stream_ids_do_not_wrap(void **state)
{
    struct script *script = *state;
    script->nano.next_stream_id = INT32_MAX;
    script_status(script, INT32_MAX, 1);
    say_all(script);
    assert_int_equal(script_get_status(script), RPC_OK);
    assert_int_equal(script_get_status(script), RPC_UNAVAILABLE);
    assert_false(flocks_nano_is_usable(&script->nano));
}

/* ---- connecting ---- */

struct address {
    char directory[32];
    struct sockaddr_un socket;
    int listener;
};

static int listen_set_up(void **state)
{
    static struct address address;
    (void)strcpy(address.directory, "/tmp/flocks-nano-XXXXXX");
    assert_non_null(mkdtemp(address.directory));
    address.socket = (struct sockaddr_un){.sun_family = AF_UNIX};
    (void)snprintf(
        address.socket.sun_path, sizeof address.socket.sun_path, "%s/s", address.directory);
    address.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(
        bind(address.listener, (const struct sockaddr *)&address.socket, sizeof address.socket), 0);
    assert_int_equal(listen(address.listener, 1), 0);
    *state = &address;
    return 0;
}

static int listen_tear_down(void **state)
{
    struct address *address = *state;
    (void)close(address->listener);
    assert_int_equal(unlink(address->socket.sun_path), 0);
    return rmdir(address->directory);
}

static void test_connect_calls_and_closes(void **state)
{
    struct address *address = *state;
    static struct script script;
    assert_int_equal(
        flocks_nano_connect(&script.nano, address->socket.sun_path, 5000, &script.error), RPC_OK);
    assert_int_equal(script.nano.timeout_ms, 5000);
    script.peer = accept(address->listener, NULL, NULL);
    script_status(&script, 1, 1);
    say_all(&script);
    assert_int_equal(script_get_status(&script), RPC_OK);
    flocks_nano_close(&script.nano);
    flocks_nano_close(&script.nano);
    assert_false(flocks_nano_is_usable(&script.nano));
    uint8_t bytes[256];
    while (read(script.peer, bytes, sizeof bytes) > 0)
        continue;
    (void)close(script.peer);
}

static void test_connect_to_nobody_is_unavailable(void **state)
{
    struct address *address = *state;
    struct flocks_nano nano;
    struct flocks_nano_error error;
    int before = dup(address->listener);
    (void)close(before);
    (void)close(address->listener);
    assert_int_equal(
        flocks_nano_connect(&nano, address->socket.sun_path, 0, &error), RPC_UNAVAILABLE);
    assert_non_null(strstr(error.message, address->socket.sun_path));
    assert_non_null(strstr(error.message, "Connection refused"));
    assert_false(flocks_nano_is_usable(&nano));
    flocks_nano_close(&nano);
    int after = dup(STDERR_FILENO);
    assert_true(after <= before);
    (void)close(after);
    address->listener = -1;
}

static void test_connect_waits_no_longer_than_asked(void **state)
{
    struct address *address = *state;
    struct flocks_nano nano[8];
    struct flocks_nano_error error;
    enum rpc_code code = RPC_OK;
    size_t n = 0;
    /* Nobody accepts: the backlog of one is full soon. */
    while (n < 8 && code == RPC_OK)
        code = flocks_nano_connect(&nano[n++], address->socket.sun_path, 20, &error);
    assert_int_equal(code, RPC_DEADLINE_EXCEEDED);
    while (n > 0)
        flocks_nano_close(&nano[--n]);
}

/* Enough to lengthen a time-out that begins anew with each of them by a second. */
enum { SIGNALS_MAX = 100 };
static volatile sig_atomic_t n_signals;

static void count_signal(int signal_number)
{
    static const struct itimerval NEVER;
    (void)signal_number;
    n_signals = n_signals + 1;
    if (n_signals == SIGNALS_MAX)
        (void)setitimer(ITIMER_REAL, &NEVER, NULL);
}

static void test_signals_do_not_lengthen_connecting(void **state)
{
    struct address *address = *state;
    struct flocks_nano nano[8];
    struct flocks_nano_error error;
    enum rpc_code code = RPC_OK;
    size_t n = 0;
    const struct sigaction action = {.sa_handler = count_signal};
    const struct itimerval often = {.it_interval.tv_usec = 10000, .it_value.tv_usec = 10000};
    const struct itimerval never = {.it_interval.tv_usec = 0};
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
    while (n < 8 && code == RPC_OK)
        code = flocks_nano_connect(&nano[n++], address->socket.sun_path, 50, &error);
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    assert_int_equal(code, RPC_DEADLINE_EXCEEDED);
    assert_true(n_signals < SIGNALS_MAX);
    while (n > 0)
        flocks_nano_close(&nano[--n]);
}

static void test_connect_to_too_long_a_path_is_invalid(void **state)
{
    (void)state;
    struct flocks_nano nano;
    struct flocks_nano_error error;
    char path[600];
    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_int_equal(flocks_nano_connect(&nano, path, 0, &error), RPC_INVALID_ARGUMENT);
    assert_int_equal(strlen(error.message), FLOCKS_NANO_TEXT_MAX);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, script_set_up, script_tear_down)
#define TEST_CONNECT(name) cmocka_unit_test_setup_teardown(name, listen_set_up, listen_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_get_status_tells_each_service_in_order),
        TEST(test_get_status_of_five_hundred_needs_no_more_memory),
        TEST(test_get_status_without_callback_passes_over_services),
        TEST(test_empty_answer_is_the_empty_message),
        TEST(test_next_call_uses_the_same_connection),
        TEST(test_restart_and_stop_tell_each_outcome),
        TEST(test_get_operation_tells_revision_and_outcomes),
        TEST(test_explain_service_tells_each_exit),
        TEST(test_request_is_one_ttrpc_frame),
        TEST(test_largest_request_fits),
        TEST(test_request_beyond_its_room_is_not_sent),
        TEST(test_request_with_endless_text_is_not_sent),
        TEST(test_failure_brings_code_text_and_detail),
        TEST(test_failure_with_a_longer_detail_keeps_code_and_text),
        TEST(test_long_text_is_cut_between_characters),
        TEST(test_text_of_three_byte_characters_is_cut_earlier),
        TEST(test_code_that_nobody_knows_is_unknown),
        TEST(test_payload_that_is_no_message_is_internal),
        TEST(test_text_longer_than_its_field_is_internal),
        TEST(test_body_that_is_no_response_is_internal),
        TEST(test_field_number_zero_is_internal),
        TEST(test_second_payload_is_internal),
        TEST(test_unknown_fields_are_passed_over),
        TEST(test_other_streams_and_types_are_passed_over),
        TEST(test_data_for_a_unary_call_ends_the_connection),
        TEST(test_answer_over_the_limit_is_resource_exhausted),
        TEST(test_frame_that_is_no_ttrpc_ends_the_connection),
        TEST(test_stream_ids_do_not_wrap),
        TEST_CONNECT(test_connect_calls_and_closes),
        TEST_CONNECT(test_connect_to_nobody_is_unavailable),
        TEST_CONNECT(test_connect_waits_no_longer_than_asked),
        TEST_CONNECT(test_signals_do_not_lengthen_connecting),
        TEST(test_connect_to_too_long_a_path_is_invalid),
    };
#undef TEST
#undef TEST_CONNECT
    return cmocka_run_group_tests(tests, NULL, NULL);
}
