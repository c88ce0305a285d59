/* Every handler, through the real engine, over a supervisor that does as it is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka wants the first four before it. */
#include <cmocka.h>

#include "flocks/v1/upgrade.info.h"

#include "caller.h"
#include "common/base/clock.h"
#include "server/api/explaining.h"
#include "server/api/mutation.h"
#include "server/api/waiting.h"

static const struct rpc_method *method_of(enum flocks_supervisor_method method)
{
    return &flocks_supervisor_methods[method];
}

static const flocks_get_operation_response *operation_answer(const struct answer *answer)
{
    return (const flocks_get_operation_response *)(const void *)answer->response;
}

static const flocks_start_services_response *start_answer(const struct answer *answer)
{
    return (const flocks_start_services_response *)(const void *)answer->response;
}

/* ---- GetStatus ---- */

static void test_get_status_answers_with_the_api_revision(void **state)
{
    const struct rpc_method *method = method_of(FLOCKS_SUPERVISOR_GET_STATUS);
    flocks_get_status_request request = FLOCKS_GET_STATUS_REQUEST_INIT;
    const flocks_get_status_response *response;
    struct caller caller;
    struct answer answer;

    (void)state;
    caller_open(&caller, 0);
    caller_call(&caller, method, &request.base, &answer);
    assert_int_equal(answer.code, RPC_OK);
    response = (const flocks_get_status_response *)(const void *)answer.response;
    assert_int_equal(response->daemon->pid, 4711);
    answer_free(&answer);
    caller_close(&caller);
}

static void test_get_status_of_unknown_service_says_which(void **state)
{
    const struct rpc_method *method = method_of(FLOCKS_SUPERVISOR_GET_STATUS);
    flocks_get_status_request request = FLOCKS_GET_STATUS_REQUEST_INIT;
    const char *names[] = {"backend", "nosuch"};
    struct caller caller;
    struct answer answer;

    (void)state;
    request.services = names;
    request.n_services = 2;
    caller_open(&caller, 0);
    caller_call(&caller, method, &request.base, &answer);
    assert_int_equal(answer.code, RPC_NOT_FOUND);
    assert_int_equal(answer.detail->reason, FLOCKS_ERROR_REASON_UNKNOWN_SERVICE);
    assert_string_equal(answer.detail->service, "nosuch");
    assert_string_equal(answer.detail->attempted, "GetStatus of nosuch");
    assert_string_equal(answer.detail->hint, "flocks status lists the services");
    answer_free(&answer);
    caller_close(&caller);
}

/* ---- operations ---- */

static void test_start_without_wait_answers_at_once(void **state)
{
    const struct rpc_method *method = method_of(FLOCKS_SUPERVISOR_START_SERVICES);
    flocks_start_services_request request = FLOCKS_START_SERVICES_REQUEST_INIT;
    Google__Protobuf__Duration timeout = GOOGLE__PROTOBUF__DURATION__INIT;
    struct caller caller;
    struct answer answer;

    (void)state;
    timeout.seconds = 3;
    timeout.nanos = 1;
    request.timeout = &timeout;
    request.skip_prepare = true;
    caller_open(&caller, 5);
    caller_call(&caller, method, &request.base, &answer);
    assert_int_equal(answer.code, RPC_OK);
    assert_string_equal(start_answer(&answer)->operation->id, FAKE_OPERATION_ID);
    assert_int_equal(caller.supervisor.request.kind, FLOCKS_OPERATION_KIND_START);
    assert_int_equal(caller.supervisor.request.timeout_ms, 3001);
    assert_int_equal(caller.supervisor.request.requester_pid, 77);
    assert_int_equal(caller.supervisor.request.requester_uid, 5);
    assert_true(caller.supervisor.request.skip_prepare);
    answer_free(&answer);
    caller_close(&caller);
}

static void test_each_mutation_begins_its_own_kind(void **state)
{
    flocks_stop_services_request stop = FLOCKS_STOP_SERVICES_REQUEST_INIT;
    flocks_restart_services_request restart = FLOCKS_RESTART_SERVICES_REQUEST_INIT;
    flocks_shutdown_request shutdown_request = FLOCKS_SHUTDOWN_REQUEST_INIT;
    const struct {
        enum flocks_supervisor_method method;
        const ProtobufCMessage *request;
        enum flocks_operation_kind kind;
    } rows[] = {
        {FLOCKS_SUPERVISOR_STOP_SERVICES, &stop.base, FLOCKS_OPERATION_KIND_STOP},
        {FLOCKS_SUPERVISOR_RESTART_SERVICES, &restart.base, FLOCKS_OPERATION_KIND_RESTART},
        {FLOCKS_SUPERVISOR_SHUTDOWN, &shutdown_request.base, FLOCKS_OPERATION_KIND_SHUTDOWN},
    };
    struct caller caller;

    (void)state;
    caller_open(&caller, 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct answer answer;

        caller_call(&caller, method_of(rows[i].method), rows[i].request, &answer);
        assert_int_equal(answer.code, RPC_OK);
        assert_int_equal(caller.supervisor.request.kind, rows[i].kind);
        answer_free(&answer);
    }
    caller_close(&caller);
}

static void test_start_with_wait_answers_at_the_end(void **state)
{
    const struct rpc_method *method = method_of(FLOCKS_SUPERVISOR_START_SERVICES);
    flocks_start_services_request request = FLOCKS_START_SERVICES_REQUEST_INIT;
    struct caller caller;
    struct answer answer;

    (void)state;
    request.wait = true;
    caller_open(&caller, 0);
    caller_send(&caller, method, &request.base, 0);
    assert_false(caller_receive(&caller, method, &answer));
    fake_supervisor_change(&caller.supervisor, FLOCKS_OPERATION_STATE_RUNNING);
    assert_false(caller_receive(&caller, method, &answer));
    fake_supervisor_change(&caller.supervisor, FLOCKS_OPERATION_STATE_SUCCEEDED);
    assert_true(caller_receive(&caller, method, &answer));
    assert_int_equal(start_answer(&answer)->operation->state, FLOCKS_OPERATION_STATE_SUCCEEDED);
    answer_free(&answer);
    caller_close(&caller);
}

static void test_deadline_ends_the_waiting_and_names_the_operation(void **state)
{
    const struct rpc_method *method = method_of(FLOCKS_SUPERVISOR_START_SERVICES);
    flocks_start_services_request request = FLOCKS_START_SERVICES_REQUEST_INIT;
    struct caller caller;
    struct answer answer;

    (void)state;
    request.wait = true;
    caller_open(&caller, 0);
    caller_send(&caller, method, &request.base, 40);
    caller_await(&caller, method, &answer);
    assert_int_equal(answer.code, RPC_DEADLINE_EXCEEDED);
    assert_string_equal(answer.detail->operation_id, FAKE_OPERATION_ID);
    assert_int_equal(caller.supervisor.waits_cancelled, 1);
    assert_int_equal(caller.supervisor.begun, 1);
    assert_int_equal(caller.supervisor.state, FLOCKS_OPERATION_STATE_RUNNING);
    answer_free(&answer);
    caller_close(&caller);
}

static void test_lost_caller_ends_the_waiting_only(void **state)
{
    const struct rpc_method *method = method_of(FLOCKS_SUPERVISOR_START_SERVICES);
    flocks_start_services_request request = FLOCKS_START_SERVICES_REQUEST_INIT;
    struct caller caller;

    (void)state;
    request.wait = true;
    caller_open(&caller, 0);
    caller_send(&caller, method, &request.base, 0);
    caller_leave(&caller);
    assert_int_equal(caller.supervisor.waits_cancelled, 1);
    assert_int_equal(caller.supervisor.state, FLOCKS_OPERATION_STATE_RUNNING);
    fake_supervisor_change(&caller.supervisor, FLOCKS_OPERATION_STATE_SUCCEEDED);
    caller_close(&caller);
}

static void test_closing_tells_those_who_wait(void **state)
{
    const struct rpc_method *method = method_of(FLOCKS_SUPERVISOR_START_SERVICES);
    flocks_start_services_request request = FLOCKS_START_SERVICES_REQUEST_INIT;
    struct caller caller;
    struct answer answer;

    (void)state;
    request.wait = true;
    caller_open(&caller, 0);
    caller_send(&caller, method, &request.base, 0);
    api_close(caller.api);
    caller.api = NULL;
    assert_true(caller_receive(&caller, method, &answer));
    assert_int_equal(answer.code, RPC_UNAVAILABLE);
    assert_int_equal(answer.detail->reason, FLOCKS_ERROR_REASON_SHUTTING_DOWN);
    answer_free(&answer);
    caller_close(&caller);
}

static void test_get_operation_waits_for_a_change(void **state)
{
    const struct rpc_method *method = method_of(FLOCKS_SUPERVISOR_GET_OPERATION);
    flocks_get_operation_request request = FLOCKS_GET_OPERATION_REQUEST_INIT;
    struct caller caller;
    struct answer answer;

    (void)state;
    request.operation_id = FAKE_OPERATION_ID;
    request.wait = true;
    request.seen_revision = 1;
    caller_open(&caller, 0);
    caller_send(&caller, method, &request.base, 0);
    assert_false(caller_receive(&caller, method, &answer));
    fake_supervisor_change(&caller.supervisor, FLOCKS_OPERATION_STATE_RUNNING);
    assert_true(caller_receive(&caller, method, &answer));
    assert_int_equal(operation_answer(&answer)->revision, 2);
    answer_free(&answer);
    caller_close(&caller);
}

static void test_get_operation_answers_when_the_deadline_nears(void **state)
{
    const struct rpc_method *method = method_of(FLOCKS_SUPERVISOR_GET_OPERATION);
    flocks_get_operation_request request = FLOCKS_GET_OPERATION_REQUEST_INIT;
    struct caller caller;
    struct answer answer;

    (void)state;
    request.operation_id = FAKE_OPERATION_ID;
    request.wait = true;
    request.seen_revision = 1;
    caller_open(&caller, 0);
    caller_send(&caller, method, &request.base, 200);
    caller_await(&caller, method, &answer);
    assert_int_equal(answer.code, RPC_OK);
    assert_int_equal(operation_answer(&answer)->revision, 1);
    answer_free(&answer);
    caller_close(&caller);
}

static void test_get_operation_that_has_ended_does_not_wait(void **state)
{
    const struct rpc_method *method = method_of(FLOCKS_SUPERVISOR_GET_OPERATION);
    flocks_get_operation_request request = FLOCKS_GET_OPERATION_REQUEST_INIT;
    struct caller caller;
    struct answer answer;

    (void)state;
    request.operation_id = FAKE_OPERATION_ID;
    request.wait = true;
    request.seen_revision = 9;
    caller_open(&caller, 0);
    caller.supervisor.state = FLOCKS_OPERATION_STATE_FAILED;
    caller_call(&caller, method, &request.base, &answer);
    assert_int_equal(operation_answer(&answer)->operation->state, FLOCKS_OPERATION_STATE_FAILED);
    answer_free(&answer);
    caller_close(&caller);
}

static void test_unknown_operation_is_not_found(void **state)
{
    const struct rpc_method *method = method_of(FLOCKS_SUPERVISOR_GET_OPERATION);
    flocks_get_operation_request request = FLOCKS_GET_OPERATION_REQUEST_INIT;
    struct caller caller;
    struct answer answer;

    (void)state;
    request.operation_id = "nosuch";
    request.wait = true;
    caller_open(&caller, 0);
    caller_call(&caller, method, &request.base, &answer);
    assert_int_equal(answer.code, RPC_NOT_FOUND);
    assert_int_equal(answer.detail->reason, FLOCKS_ERROR_REASON_UNKNOWN_OPERATION);
    answer_free(&answer);
    caller_close(&caller);
}

/* ---- refusals ---- */

static void test_negative_timeout_begins_nothing(void **state)
{
    const struct rpc_method *method = method_of(FLOCKS_SUPERVISOR_STOP_SERVICES);
    flocks_stop_services_request request = FLOCKS_STOP_SERVICES_REQUEST_INIT;
    Google__Protobuf__Duration timeout = GOOGLE__PROTOBUF__DURATION__INIT;
    struct caller caller;
    struct answer answer;

    (void)state;
    timeout.seconds = -1;
    request.timeout = &timeout;
    caller_open(&caller, 0);
    caller_call(&caller, method, &request.base, &answer);
    assert_int_equal(answer.code, RPC_INVALID_ARGUMENT);
    assert_int_equal(caller.supervisor.begun, 0);
    answer_free(&answer);
    caller_close(&caller);
}

static void test_lease_is_handed_to_the_supervisor(void **state)
{
    const struct rpc_method *method = method_of(FLOCKS_SUPERVISOR_START_SERVICES);
    flocks_start_services_request request = FLOCKS_START_SERVICES_REQUEST_INIT;
    struct caller caller;
    struct answer answer;

    (void)state;
    request.lease_id = "L1";
    caller_open(&caller, 0);
    caller_call(&caller, method, &request.base, &answer);
    assert_int_equal(answer.code, RPC_OK);
    assert_string_equal(caller.supervisor.lease_id, "L1");
    answer_free(&answer);
    caller_close(&caller);
}

static void test_refusal_for_a_lease_carries_the_lease(void **state)
{
    const struct rpc_method *method = method_of(FLOCKS_SUPERVISOR_RESTART_SERVICES);
    flocks_restart_services_request request = FLOCKS_RESTART_SERVICES_REQUEST_INIT;
    struct caller caller;
    struct answer answer;

    (void)state;
    caller_open(&caller, 0);
    caller.supervisor.refuses_for_lease = true;
    caller_call(&caller, method, &request.base, &answer);
    assert_int_equal(answer.code, RPC_ABORTED);
    assert_int_equal(answer.detail->reason, FLOCKS_ERROR_REASON_LEASE_HELD);
    assert_non_null(answer.detail->lease);
    assert_string_equal(answer.detail->lease->id, FAKE_LEASE_ID);
    answer_free(&answer);
    caller_close(&caller);
}

static void test_too_many_names_are_refused_before_the_handler(void **state)
{
    const struct rpc_method *method = method_of(FLOCKS_SUPERVISOR_STOP_SERVICES);
    flocks_stop_services_request request = FLOCKS_STOP_SERVICES_REQUEST_INIT;
    static const char *names[2049];
    struct caller caller;
    struct answer answer;

    (void)state;
    for (size_t i = 0; i < 2049; i++)
        names[i] = "backend";
    request.services = names;
    request.n_services = 2049;
    caller_open(&caller, 0);
    caller_call(&caller, method, &request.base, &answer);
    assert_int_equal(answer.code, RPC_INVALID_ARGUMENT);
    assert_int_equal(answer.detail->reason, FLOCKS_ERROR_REASON_LIMIT_REACHED);
    assert_string_equal(answer.message, "services[2048]: 2049 entries, at most 2048");
    assert_int_equal(caller.supervisor.begun, 0);
    answer_free(&answer);
    request.n_services = 2048;
    caller_call(&caller, method, &request.base, &answer);
    assert_int_equal(answer.code, RPC_OK);
    answer_free(&answer);
    caller_close(&caller);
}

static void test_too_long_text_is_refused_before_the_handler(void **state)
{
    const struct rpc_method *method = method_of(FLOCKS_SUPERVISOR_START_SERVICES);
    flocks_start_services_request request = FLOCKS_START_SERVICES_REQUEST_INIT;
    char text[65];
    struct caller caller;
    struct answer answer;

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[64] = '\0';
    request.request_id = text;
    caller_open(&caller, 0);
    caller_call(&caller, method, &request.base, &answer);
    assert_int_equal(answer.code, RPC_INVALID_ARGUMENT);
    assert_string_equal(answer.message, "request_id: 64 bytes, at most 63");
    assert_int_equal(caller.supervisor.begun, 0);
    answer_free(&answer);
    caller_close(&caller);
}

static void test_replace_daemon_takes_absolute_paths_only(void **state)
{
    const struct rpc_method *method = &flocks_upgrade_methods[FLOCKS_UPGRADE_REPLACE_DAEMON];
    flocks_replace_daemon_request request = FLOCKS_REPLACE_DAEMON_REQUEST_INIT;
    const flocks_replace_daemon_response *response;
    char relative[] = "bin/flocks-keeper";
    char absolute[] = "/opt/flocks-keeper";
    struct caller caller;
    struct answer answer;

    (void)state;
    caller_open(&caller, 0);
    request.keeper_path = relative;
    caller_call(&caller, method, &request.base, &answer);
    assert_int_equal(answer.code, RPC_INVALID_ARGUMENT);
    assert_string_equal(caller.supervisor.replaced, "");
    answer_free(&answer);
    request.keeper_path = absolute;
    caller_call(&caller, method, &request.base, &answer);
    assert_int_equal(answer.code, RPC_OK);
    response = (const flocks_replace_daemon_response *)(const void *)answer.response;
    assert_string_equal(response->operation->id, FAKE_OPERATION_ID);
    assert_string_equal(caller.supervisor.replaced, "|/opt/flocks-keeper|");
    answer_free(&answer);
    caller_close(&caller);
}

/* ---- leases ---- */

static const struct rpc_method *upgrade_method(enum flocks_upgrade_method method)
{
    return &flocks_upgrade_methods[method];
}

static void test_begin_upgrade_answers_when_the_lease_is_written(void **state)
{
    const struct rpc_method *method = upgrade_method(FLOCKS_UPGRADE_BEGIN_UPGRADE);
    flocks_begin_upgrade_request request = FLOCKS_BEGIN_UPGRADE_REQUEST_INIT;
    const flocks_begin_upgrade_response *response;
    struct caller caller;
    struct answer answer;

    (void)state;
    caller_open(&caller, 0);
    caller_send(&caller, method, &request.base, 0);
    assert_false(caller_receive(&caller, method, &answer));
    assert_int_equal(caller.supervisor.lease_request.ttl_ms, SUPERVISOR_LEASE_TTL_MS);
    assert_int_equal(caller.supervisor.lease_request.owner_pid, 77);
    caller.supervisor.lease_done(caller.supervisor.lease_data, NULL);
    caller_await(&caller, method, &answer);
    assert_int_equal(answer.code, RPC_OK);
    response = (const flocks_begin_upgrade_response *)(const void *)answer.response;
    assert_string_equal(response->lease->id, FAKE_LEASE_ID);
    answer_free(&answer);
    caller_close(&caller);
}

static void test_begin_upgrade_of_a_caller_that_left_is_forgotten(void **state)
{
    const struct rpc_method *method = upgrade_method(FLOCKS_UPGRADE_BEGIN_UPGRADE);
    flocks_begin_upgrade_request request = FLOCKS_BEGIN_UPGRADE_REQUEST_INIT;
    struct caller caller;

    (void)state;
    caller_open(&caller, 0);
    caller_send(&caller, method, &request.base, 0);
    caller_leave(&caller);
    assert_int_equal(caller.supervisor.lease_waits_cancelled, 1);
    caller_close(&caller);
}

static void test_begin_upgrade_at_the_end_of_the_daemon_is_unavailable(void **state)
{
    const struct rpc_method *method = upgrade_method(FLOCKS_UPGRADE_BEGIN_UPGRADE);
    flocks_begin_upgrade_request request = FLOCKS_BEGIN_UPGRADE_REQUEST_INIT;
    struct caller caller;

    (void)state;
    caller_open(&caller, 0);
    caller_send(&caller, method, &request.base, 0);
    /* api_close finishes the call: the sanitizers watch. */
    caller_close(&caller);
    assert_int_equal(caller.supervisor.lease_waits_cancelled, 1);
}

static void test_start_update_answers_when_it_runs_or_is_known(void **state)
{
    const struct rpc_method *method = upgrade_method(FLOCKS_UPGRADE_START_UPDATE);
    flocks_start_update_request request = FLOCKS_START_UPDATE_REQUEST_INIT;
    struct error error = ERROR_INIT;
    struct caller caller;

    (void)state;
    caller_open(&caller, 0);
    (void)error_set(&error, STATUS_ALREADY_EXISTS, "one upgrade at a time");
    error.reason = FLOCKS_ERROR_REASON_UPGRADE_RUNNING;
    for (int is_refused = 0; is_refused < 2; is_refused++) {
        const flocks_start_update_response *response;
        struct answer answer;

        caller_send(&caller, method, &request.base, 0);
        assert_false(caller_receive(&caller, method, &answer));
        caller.supervisor.update_done(
            caller.supervisor.update_data, is_refused != 0 ? &error : NULL);
        caller_await(&caller, method, &answer);
        assert_int_equal(answer.code, is_refused != 0 ? RPC_ALREADY_EXISTS : RPC_OK);
        response = (const flocks_start_update_response *)(const void *)answer.response;
        if (is_refused == 0)
            assert_string_equal(response->upgrade_id, FAKE_LEASE_ID);
        else
            assert_int_equal(answer.detail->reason, FLOCKS_ERROR_REASON_UPGRADE_RUNNING);
        answer_free(&answer);
    }
    request.request_id = "known";
    caller_send(&caller, method, &request.base, 0);
    caller.supervisor.update_done = NULL;
    {
        struct answer answer;

        caller_await(&caller, method, &answer);
        assert_int_equal(answer.code, RPC_OK);
        answer_free(&answer);
    }
    caller_close(&caller);
}

static void test_start_update_of_a_caller_that_left_is_forgotten(void **state)
{
    const struct rpc_method *method = upgrade_method(FLOCKS_UPGRADE_START_UPDATE);
    flocks_start_update_request request = FLOCKS_START_UPDATE_REQUEST_INIT;
    struct caller caller;

    (void)state;
    caller_open(&caller, 0);
    caller_send(&caller, method, &request.base, 0);
    caller_leave(&caller);
    assert_null(caller.supervisor.update_done);
    caller_close(&caller);
}

static void test_times_of_leases_have_bounds(void **state)
{
    static const struct {
        int64_t seconds;
        int32_t nanos;
        int64_t ttl_ms; /* 0: refused */
    } rows[] = {{4, 999000000, 0}, {5, 0, 5000}, {600, 0, 600000}, {600, 1, 0}, {-1, 0, 0},
        {INT64_MAX, 0, 0}, {6, -1, 0}, {5, 1, 5001}};
    const struct rpc_method *method = upgrade_method(FLOCKS_UPGRADE_RENEW_UPGRADE);
    Google__Protobuf__Duration ttl = GOOGLE__PROTOBUF__DURATION__INIT;
    flocks_renew_upgrade_request request = FLOCKS_RENEW_UPGRADE_REQUEST_INIT;
    struct caller caller;

    (void)state;
    request.ttl = &ttl;
    caller_open(&caller, 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct answer answer;

        caller.supervisor.renewed_ttl_ms = 0;
        ttl.seconds = rows[i].seconds;
        ttl.nanos = rows[i].nanos;
        caller_call(&caller, method, &request.base, &answer);
        assert_int_equal(answer.code, rows[i].ttl_ms > 0 ? RPC_OK : RPC_INVALID_ARGUMENT);
        assert_int_equal(caller.supervisor.renewed_ttl_ms, rows[i].ttl_ms);
        answer_free(&answer);
    }
    caller_close(&caller);
}

static void test_report_is_answered_with_what_somebody_asked_for(void **state)
{
    flocks_report_upgrade_request report = FLOCKS_REPORT_UPGRADE_REQUEST_INIT;
    flocks_abort_upgrade_request end = FLOCKS_ABORT_UPGRADE_REQUEST_INIT;
    flocks_upgrade_progress progress = FLOCKS_UPGRADE_PROGRESS_INIT;
    struct caller caller;

    (void)state;
    caller_open(&caller, 0);
    progress.upgrade_id = "u1";
    end.upgrade_id = "u1";
    for (int is_asked = 0; is_asked < 2; is_asked++) {
        const flocks_report_upgrade_response *response;
        struct answer answer;

        report.progress = &progress;
        caller_call(&caller, upgrade_method(FLOCKS_UPGRADE_REPORT_UPGRADE), &report.base, &answer);
        assert_int_equal(answer.code, RPC_OK);
        response = (const flocks_report_upgrade_response *)(const void *)answer.response;
        assert_int_equal(response->abort, is_asked);
        answer_free(&answer);
        caller_call(&caller, upgrade_method(FLOCKS_UPGRADE_ABORT_UPGRADE), &end.base, &answer);
        assert_int_equal(answer.code, RPC_OK);
        assert_string_equal(caller.supervisor.aborted, "u1");
        answer_free(&answer);
    }
    caller_close(&caller);
}

static void test_commit_has_the_defaults_of_the_schema(void **state)
{
    const struct rpc_method *method = upgrade_method(FLOCKS_UPGRADE_COMMIT_UPGRADE);
    flocks_commit_upgrade_request request = FLOCKS_COMMIT_UPGRADE_REQUEST_INIT;
    const flocks_commit_upgrade_response *response;
    struct caller caller;
    struct answer answer;

    (void)state;
    caller_open(&caller, 0);
    caller_call(&caller, method, &request.base, &answer);
    assert_int_equal(answer.code, RPC_OK);
    response = (const flocks_commit_upgrade_response *)(const void *)answer.response;
    assert_string_equal(response->operation->id, FAKE_OPERATION_ID);
    assert_string_equal(response->lease->id, FAKE_LEASE_ID);
    assert_int_equal(caller.supervisor.commit.start_timeout_ms, SUPERVISOR_COMMIT_START_MS);
    assert_int_equal(caller.supervisor.commit.observe_ms, SUPERVISOR_COMMIT_OBSERVE_MS);
    answer_free(&answer);
    caller_close(&caller);
}

static const struct crpc_field_info *field_named(
    const struct crpc_message_info *message, const char *name)
{
    for (size_t i = 0; i < message->n_fields; i++) {
        if (strcmp(message->fields[i].name, name) == 0)
            return &message->fields[i];
    }
    fail_msg("no field %s", name);
    return NULL;
}

/* The numbers in code are those of the schema's rules. */
static void test_times_of_leases_are_those_of_the_schema(void **state)
{
    const struct crpc_field_info *ttl = field_named(&flocks_begin_upgrade_request_info, "ttl");
    const struct crpc_field_info *start =
        field_named(&flocks_commit_upgrade_request_info, "start_timeout");
    const struct crpc_field_info *observe =
        field_named(&flocks_commit_upgrade_request_info, "observe");

    (void)state;
    assert_string_equal(ttl->default_value, "30s");
    assert_int_equal(SUPERVISOR_LEASE_TTL_MS, 30 * 1000);
    assert_string_equal(ttl->min, "5s");
    assert_int_equal(SUPERVISOR_LEASE_TTL_MIN_MS, 5 * 1000);
    assert_string_equal(ttl->max, "10m");
    assert_int_equal(SUPERVISOR_LEASE_TTL_MAX_MS, 10 * 60 * 1000);
    assert_string_equal(start->default_value, "3m");
    assert_int_equal(SUPERVISOR_COMMIT_START_MS, 3 * 60 * 1000);
    assert_string_equal(start->max, "1h");
    assert_int_equal(SUPERVISOR_COMMIT_START_MAX_MS, 60 * 60 * 1000);
    assert_string_equal(observe->default_value, "20s");
    assert_int_equal(SUPERVISOR_COMMIT_OBSERVE_MS, 20 * 1000);
    assert_string_equal(observe->max, "1h");
    assert_int_equal(SUPERVISOR_COMMIT_OBSERVE_MAX_MS, 60 * 60 * 1000);
}

/* ---- CancelOperation ---- */

static void test_cancel_operation_answers_how_it_ended(void **state)
{
    const struct rpc_method *method = method_of(FLOCKS_SUPERVISOR_CANCEL_OPERATION);
    flocks_cancel_operation_request request = FLOCKS_CANCEL_OPERATION_REQUEST_INIT;
    struct caller caller;
    struct answer answer;

    (void)state;
    caller_open(&caller, 0);
    request.operation_id = FAKE_OPERATION_ID;
    caller_call(&caller, method, &request.base, &answer);
    assert_int_equal(answer.code, 0);
    assert_int_equal(
        ((const flocks_cancel_operation_response *)(const void *)answer.response)->operation->state,
        FLOCKS_OPERATION_STATE_CANCELLED);
    answer_free(&answer);
    request.operation_id = "another";
    caller_call(&caller, method, &request.base, &answer);
    assert_int_equal(answer.code, RPC_NOT_FOUND);
    assert_int_equal(answer.detail->reason, FLOCKS_ERROR_REASON_UNKNOWN_OPERATION);
    answer_free(&answer);
    assert_int_equal(caller.supervisor.cancelled, 1);
    caller_close(&caller);
}

/* ---- ExplainService ---- */

/* Keeps every thread of libuv's pool busy, as a disk that hangs would. */
enum { POOL_THREADS = 4 };
static uv_sem_t gate;
static uv_sem_t busy;

static void hang(uv_work_t *work)
{
    (void)work;
    uv_sem_post(&busy);
    uv_sem_wait(&gate);
}

static void hung(uv_work_t *work, int status)
{
    (void)work;
    (void)status;
}

static void hang_disk(struct caller *caller, uv_work_t works[POOL_THREADS])
{
    assert_int_equal(uv_sem_init(&gate, 0), 0);
    assert_int_equal(uv_sem_init(&busy, 0), 0);
    for (size_t i = 0; i < POOL_THREADS; i++)
        assert_int_equal(uv_queue_work(&caller->loop, &works[i], hang, hung), 0);
    for (size_t i = 0; i < POOL_THREADS; i++)
        uv_sem_wait(&busy);
}

static void free_disk(void)
{
    for (size_t i = 0; i < POOL_THREADS; i++)
        uv_sem_post(&gate);
}

static size_t lines_of(const struct answer *answer)
{
    const flocks_explain_service_response *response =
        (const flocks_explain_service_response *)(const void *)answer->response;

    assert_int_equal(answer->code, 0);
    assert_string_equal(response->hint, "a hint");
    return response->n_output_tail;
}

static void make_log(char path[32])
{
    int fd;

    (void)snprintf(path, 32, "/tmp/flocks-api-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "one\ntwo\n", 8), 8);
    assert_int_equal(close(fd), 0);
}

static void test_explain_service_has_the_last_lines_of_its_log(void **state)
{
    const struct rpc_method *method = method_of(FLOCKS_SUPERVISOR_EXPLAIN_SERVICE);
    flocks_explain_service_request request = FLOCKS_EXPLAIN_SERVICE_REQUEST_INIT;
    struct caller caller;
    struct answer answer;
    char path[32];

    (void)state;
    make_log(path);
    caller_open(&caller, 0);
    caller.supervisor.log_path = path;
    request.service = "backend";
    caller_send(&caller, method, &request.base, 0);
    caller_await(&caller, method, &answer);
    assert_int_equal(lines_of(&answer), 2);
    answer_free(&answer);
    request.service = "nobody";
    caller_call(&caller, method, &request.base, &answer);
    assert_int_equal(answer.code, RPC_NOT_FOUND);
    answer_free(&answer);
    caller_close(&caller);
    assert_int_equal(unlink(path), 0);
}

static void test_explain_service_waits_500_ms_for_a_disk_and_no_longer(void **state)
{
    const struct rpc_method *method = method_of(FLOCKS_SUPERVISOR_EXPLAIN_SERVICE);
    flocks_explain_service_request request = FLOCKS_EXPLAIN_SERVICE_REQUEST_INIT;
    uv_work_t works[POOL_THREADS];
    struct caller caller;
    struct answer answer;
    int64_t began_at;

    (void)state;
    caller_open(&caller, 0);
    caller.supervisor.log_path = "/dev/null";
    hang_disk(&caller, works);
    request.service = "backend";
    began_at = clock_monotonic_ms();
    caller_send(&caller, method, &request.base, 0);
    caller_await(&caller, method, &answer);
    assert_true(clock_monotonic_ms() - began_at >= EXPLAINING_PATIENCE_MS);
    assert_int_equal(lines_of(&answer), 0);
    answer_free(&answer);
    free_disk();
    caller_close(&caller);
}

/* Calls that wait are bounded: one more is answered at once. And whoever waits when the daemon ends
 * is told so. */
static void test_explain_service_has_64_waiting_calls_at_most(void **state)
{
    const struct rpc_method *method = method_of(FLOCKS_SUPERVISOR_EXPLAIN_SERVICE);
    flocks_explain_service_request request = FLOCKS_EXPLAIN_SERVICE_REQUEST_INIT;
    uv_work_t works[POOL_THREADS];
    struct caller caller;
    struct answer answer;

    (void)state;
    caller_open(&caller, 0);
    caller.supervisor.log_path = "/dev/null";
    hang_disk(&caller, works);
    request.service = "backend";
    for (int i = 0; i < EXPLAINING_CALLS_MAX; i++)
        caller_send(&caller, method, &request.base, 0);
    assert_false(caller_receive(&caller, method, &answer));
    caller_send(&caller, method, &request.base, 0);
    assert_true(caller_receive(&caller, method, &answer));
    assert_int_equal(lines_of(&answer), 0);
    answer_free(&answer);
    free_disk();
    caller_close(&caller);
}

/* ---- GetConfig ---- */

static const char *token_of(const struct answer *answer)
{
    const flocks_get_config_response *response =
        (const flocks_get_config_response *)(const void *)answer->response;

    assert_int_equal(response->config->n_services, 1);
    assert_true(response->n_origins > 0);
    assert_string_equal(response->digest, "d1");
    return response->config->services[0]->value->environment[0]->value;
}

static void test_get_config_masks_secrets(void **state)
{
    const struct rpc_method *method = method_of(FLOCKS_SUPERVISOR_GET_CONFIG);
    flocks_get_config_request request = FLOCKS_GET_CONFIG_REQUEST_INIT;
    struct caller caller;
    struct answer answer;

    (void)state;
    caller_open(&caller, (uint32_t)geteuid());
    caller_call(&caller, method, &request.base, &answer);
    assert_string_equal(token_of(&answer), "***");
    answer_free(&answer);
    caller_close(&caller);
}

static void test_get_config_reveals_to_the_owner_only(void **state)
{
    const struct rpc_method *method = method_of(FLOCKS_SUPERVISOR_GET_CONFIG);
    flocks_get_config_request request = FLOCKS_GET_CONFIG_REQUEST_INIT;
    struct caller caller;
    struct answer answer;

    (void)state;
    request.reveal = true;
    caller_open(&caller, (uint32_t)geteuid());
    caller_call(&caller, method, &request.base, &answer);
    assert_string_equal(token_of(&answer), "open sesame");
    answer_free(&answer);
    caller_close(&caller);
    caller_open(&caller, (uint32_t)geteuid() + 1);
    caller_call(&caller, method, &request.base, &answer);
    assert_int_equal(answer.code, RPC_PERMISSION_DENIED);
    answer_free(&answer);
    caller_close(&caller);
}

/* ---- values ---- */

static void test_due_at_leaves_time_for_the_answer(void **state)
{
    (void)state;
    assert_int_equal(waiting_due_at(CLOCK_NEVER, 1000), CLOCK_NEVER);
    assert_int_equal(waiting_due_at(11000, 1000), 11000 - API_ANSWER_MARGIN_MS);
    assert_int_equal(waiting_due_at(1040, 1000), 1030);
    assert_int_equal(waiting_due_at(900, 1000), 900);
}

static void test_timeout_is_rounded_up_and_bounded(void **state)
{
    Google__Protobuf__Duration duration = GOOGLE__PROTOBUF__DURATION__INIT;
    int64_t ms = -1;

    (void)state;
    assert_int_equal(mutation_timeout_ms(NULL, &ms, NULL), 0);
    assert_int_equal(ms, 0);
    duration.nanos = 1;
    assert_int_equal(mutation_timeout_ms(&duration, &ms, NULL), 0);
    assert_int_equal(ms, 1);
    duration.nanos = 1000 * 1000 * 1000;
    assert_true(mutation_timeout_ms(&duration, &ms, NULL) < 0);
    duration.nanos = -1;
    assert_true(mutation_timeout_ms(&duration, &ms, NULL) < 0);
    duration.nanos = 0;
    duration.seconds = API_OPERATION_TIMEOUT_MAX_S + 1;
    assert_true(mutation_timeout_ms(&duration, &ms, NULL) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get_status_answers_with_the_api_revision),
        cmocka_unit_test(test_get_status_of_unknown_service_says_which),
        cmocka_unit_test(test_start_without_wait_answers_at_once),
        cmocka_unit_test(test_each_mutation_begins_its_own_kind),
        cmocka_unit_test(test_start_with_wait_answers_at_the_end),
        cmocka_unit_test(test_deadline_ends_the_waiting_and_names_the_operation),
        cmocka_unit_test(test_lost_caller_ends_the_waiting_only),
        cmocka_unit_test(test_closing_tells_those_who_wait),
        cmocka_unit_test(test_get_operation_waits_for_a_change),
        cmocka_unit_test(test_get_operation_answers_when_the_deadline_nears),
        cmocka_unit_test(test_get_operation_that_has_ended_does_not_wait),
        cmocka_unit_test(test_unknown_operation_is_not_found),
        cmocka_unit_test(test_negative_timeout_begins_nothing),
        cmocka_unit_test(test_begin_upgrade_answers_when_the_lease_is_written),
        cmocka_unit_test(test_begin_upgrade_of_a_caller_that_left_is_forgotten),
        cmocka_unit_test(test_begin_upgrade_at_the_end_of_the_daemon_is_unavailable),
        cmocka_unit_test(test_times_of_leases_have_bounds),
        cmocka_unit_test(test_start_update_answers_when_it_runs_or_is_known),
        cmocka_unit_test(test_start_update_of_a_caller_that_left_is_forgotten),
        cmocka_unit_test(test_report_is_answered_with_what_somebody_asked_for),
        cmocka_unit_test(test_commit_has_the_defaults_of_the_schema),
        cmocka_unit_test(test_times_of_leases_are_those_of_the_schema),
        cmocka_unit_test(test_lease_is_handed_to_the_supervisor),
        cmocka_unit_test(test_refusal_for_a_lease_carries_the_lease),
        cmocka_unit_test(test_too_many_names_are_refused_before_the_handler),
        cmocka_unit_test(test_too_long_text_is_refused_before_the_handler),
        cmocka_unit_test(test_replace_daemon_takes_absolute_paths_only),
        cmocka_unit_test(test_cancel_operation_answers_how_it_ended),
        cmocka_unit_test(test_explain_service_has_the_last_lines_of_its_log),
        cmocka_unit_test(test_explain_service_waits_500_ms_for_a_disk_and_no_longer),
        cmocka_unit_test(test_explain_service_has_64_waiting_calls_at_most),
        cmocka_unit_test(test_get_config_masks_secrets),
        cmocka_unit_test(test_get_config_reveals_to_the_owner_only),
        cmocka_unit_test(test_due_at_leaves_time_for_the_answer),
        cmocka_unit_test(test_timeout_is_rounded_up_and_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
