#include <string.h>

#include "client/cli/status_view.h"
#include "temporary.h"
#include "unit.h"

enum { NOW = 1000000 };

/* A response with two services that tests change. */
struct sample {
    flocks_get_status_response response;
    flocks_daemon_status daemon;
    flocks_service_status services[2];
    flocks_service_status *list[2];
    Google__Protobuf__Timestamp since;
    Google__Protobuf__Timestamp retry_at;
};

static void make_sample(struct sample *out)
{
    *out = (struct sample){.response = FLOCKS_GET_STATUS_RESPONSE_INIT,
        .daemon = FLOCKS_DAEMON_STATUS_INIT,
        .services = {FLOCKS_SERVICE_STATUS_INIT, FLOCKS_SERVICE_STATUS_INIT},
        .since = GOOGLE__PROTOBUF__TIMESTAMP__INIT,
        .retry_at = GOOGLE__PROTOBUF__TIMESTAMP__INIT};
    out->since.seconds = NOW - 125;
    out->daemon.state = FLOCKS_DAEMON_STATE_RUNNING;
    out->daemon.pid = 11;
    out->daemon.keeper_pid = 10;
    out->daemon.version = "1.2.3";
    out->response.daemon = &out->daemon;
    for (size_t i = 0; i < 2; i++) {
        out->services[i].name = i == 0 ? "backend" : "webui";
        out->services[i].state = FLOCKS_SERVICE_STATE_HEALTHY;
        out->services[i].wanted = true;
        out->services[i].pid = 20 + (int)i;
        out->services[i].host = i == 0 ? "::1" : "127.0.0.1";
        out->services[i].port = 8000;
        out->services[i].log_path = i == 0 ? "/r/logs/backend.log" : "/r/logs/webui.log";
        out->services[i].since = &out->since;
        out->list[i] = &out->services[i];
    }
    out->response.n_services = 2;
    out->response.services = out->list;
}

static void print_sample(FILE *stream, const void *data)
{
    const struct sample *sample = data;
    static struct paths paths;
    (void)snprintf(paths.root, sizeof(paths.root), "/r");
    (void)snprintf(paths.logs, sizeof(paths.logs), "/r/logs");
    const struct status_view view = {.status = &sample->response, .paths = &paths, .now_s = NOW};
    assert_true(status_view_print(&view, stream));
}

static void test_status_view_whole_text(void **state)
{
    struct sample sample;
    (void)state;
    make_sample(&sample);
    sample.services[1].state = FLOCKS_SERVICE_STATE_BACKOFF;
    sample.services[1].pid = 0;
    sample.services[1].restart_count = 4;
    sample.services[1].last_error = "exit code 3";
    sample.services[1].retry_at = &sample.retry_at;
    sample.retry_at.seconds = NOW + 7;
    assert_string_equal(temporary_printed(print_sample, &sample),
        "flocks running, version 1.2.3, pid 11, keeper 10\n"
        "root /r\n"
        "\n"
        "SERVICE  STATE    PID  SINCE   RESTARTS  URL\n"
        "backend  HEALTHY  20   2m 05s  0         http://[::1]:8000\n"
        "webui    BACKOFF  -    2m 05s  4         http://127.0.0.1:8000  exit code 3 (next try in "
        "7s)\n"
        "\n"
        "logs\n"
        "  daemon   /r/logs/daemon.log\n"
        "  backend  /r/logs/backend.log\n"
        "  webui    /r/logs/webui.log\n");
}

static void test_status_view_unknown_state_is_shown_as_number_and_not_healthy(void **state)
{
    struct sample sample;
    (void)state;
    make_sample(&sample);
    memcpy(&sample.services[0].state, &(int){17}, sizeof(int));
    assert_non_null(strstr(temporary_printed(print_sample, &sample), "STATE(17)"));
    assert_int_equal(status_view_judge(&sample.response, NULL, 0, NULL), OUTCOME_FAILED);
}

static void test_status_view_judge(void **state)
{
    static const char *const webui[] = {"webui"};
    static const char *const unknown[] = {"nobody"};
    struct sample sample;
    (void)state;
    make_sample(&sample);
    assert_int_equal(status_view_judge(&sample.response, NULL, 0, NULL), OUTCOME_DONE);
    sample.services[1].state = FLOCKS_SERVICE_STATE_STOPPED;
    sample.services[1].wanted = false;
    assert_int_equal(status_view_judge(&sample.response, NULL, 0, NULL), OUTCOME_DONE);
    assert_int_equal(status_view_judge(&sample.response, webui, 1, NULL), OUTCOME_FAILED);
    sample.services[1].wanted = true;
    assert_int_equal(status_view_judge(&sample.response, NULL, 0, NULL), OUTCOME_FAILED);
    sample.services[1].state = FLOCKS_SERVICE_STATE_COMPLETED;
    assert_int_equal(status_view_judge(&sample.response, webui, 1, NULL), OUTCOME_DONE);
    assert_int_equal(status_view_judge(&sample.response, unknown, 1, NULL), OUTCOME_FAILED);
}

/* Two restarts, one after the other: the first one did its work, though the second has begun. */
static void test_status_view_judge_service_that_another_operation_is_at(void **state)
{
    static const char *const webui[] = {"webui"};
    flocks_operation done = FLOCKS_OPERATION_INIT;
    flocks_service_outcome outcome = FLOCKS_SERVICE_OUTCOME_INIT;
    flocks_service_outcome *outcomes[] = {&outcome};
    struct sample sample;
    (void)state;
    make_sample(&sample);
    sample.services[1].state = FLOCKS_SERVICE_STATE_STARTING;
    sample.services[1].operation_id = "second";
    done.id = "first";
    done.n_outcomes = 1;
    done.outcomes = outcomes;
    outcome.service = "webui";
    outcome.state = FLOCKS_OPERATION_STATE_SUCCEEDED;
    assert_int_equal(status_view_judge(&sample.response, webui, 1, &done), OUTCOME_DONE);
    assert_int_equal(status_view_judge(&sample.response, NULL, 0, &done), OUTCOME_DONE);
    outcome.state = FLOCKS_OPERATION_STATE_FAILED;
    assert_int_equal(status_view_judge(&sample.response, webui, 1, &done), OUTCOME_FAILED);
    outcome.state = FLOCKS_OPERATION_STATE_SUCCEEDED;
    sample.services[1].operation_id = "first";
    assert_int_equal(status_view_judge(&sample.response, webui, 1, &done), OUTCOME_FAILED);
    sample.services[1].operation_id = "";
    assert_int_equal(status_view_judge(&sample.response, webui, 1, &done), OUTCOME_FAILED);
}

/* A service and its lease, changed by one row each. */
struct details {
    flocks_service_status service;
    flocks_lease lease;
    Google__Protobuf__Duration remaining;
    Google__Protobuf__Timestamp retry_at;
};

static void init_details(struct details *out)
{
    *out = (struct details){.service = FLOCKS_SERVICE_STATUS_INIT,
        .lease = FLOCKS_LEASE_INIT,
        .remaining = GOOGLE__PROTOBUF__DURATION__INIT,
        .retry_at = GOOGLE__PROTOBUF__TIMESTAMP__INIT};
    out->service.state = FLOCKS_SERVICE_STATE_HEALTHY;
    out->service.pid = 20;
    out->lease.id = "1f";
    out->lease.owner = "updater";
    out->remaining.seconds = 25;
    out->lease.remaining = &out->remaining;
    out->retry_at.seconds = NOW + 7;
}

static const char *detail_of(const struct details *details)
{
    static char text[STATUS_DETAIL_MAX];
    status_view_detail(&details->service, &details->lease, NOW, text);
    return text;
}

static void test_status_view_detail_of_a_well_service_is_empty(void **state)
{
    struct details details;
    (void)state;
    init_details(&details);
    details.service.listener = FLOCKS_LISTENER_STATE_OURS;
    assert_string_equal(detail_of(&details), "");
    details.service.last_error = "exit code 3";
    assert_string_equal(detail_of(&details), "");
    details.service.restart_count = 1;
    assert_string_equal(detail_of(&details), "last: exit code 3");
}

static void test_status_view_detail_says_what_the_service_says_of_itself(void **state)
{
    struct details details;
    (void)state;
    init_details(&details);
    details.service.notified_status = "warm, 12 models";
    assert_string_equal(detail_of(&details), "warm, 12 models");
    details.service.listener = FLOCKS_LISTENER_STATE_UNVERIFIABLE;
    assert_string_equal(detail_of(&details), "warm, 12 models; listener not verifiable");
}

static void test_status_view_detail_of_a_paused_service_names_owner_and_time_left(void **state)
{
    struct details details;
    char detail[STATUS_DETAIL_MAX];
    (void)state;
    init_details(&details);
    details.service.lease_id = "1f";
    assert_string_equal(detail_of(&details), "held by updater, 25s left");
    status_view_detail(&details.service, NULL, 0, detail);
    assert_string_equal(detail, "held by an upgrade");
    details.service.state = FLOCKS_SERVICE_STATE_PAUSED;
    details.service.pid = 0;
    details.service.reason = FLOCKS_STATE_REASON_LEASE_HELD;
    assert_string_equal(detail_of(&details), "paused by updater, 25s left");
}

static void test_status_view_detail_of_a_held_port_names_the_trouble_once(void **state)
{
    struct details details;
    (void)state;
    init_details(&details);
    details.service.state = FLOCKS_SERVICE_STATE_WAITING;
    details.service.reason = FLOCKS_STATE_REASON_PORT_HELD;
    details.service.listener = FLOCKS_LISTENER_STATE_FOREIGN;
    details.service.pid = 0;
    assert_string_equal(detail_of(&details), "its port is held by somebody else");
    details.service.last_error = "port 8000 is held by pid 12 (nginx)";
    details.service.retry_at = &details.retry_at;
    assert_string_equal(
        detail_of(&details), "port 8000 is held by pid 12 (nginx) (next try in 7s)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_view_whole_text),
        cmocka_unit_test(test_status_view_unknown_state_is_shown_as_number_and_not_healthy),
        cmocka_unit_test(test_status_view_judge),
        cmocka_unit_test(test_status_view_judge_service_that_another_operation_is_at),
        cmocka_unit_test(test_status_view_detail_of_a_well_service_is_empty),
        cmocka_unit_test(test_status_view_detail_says_what_the_service_says_of_itself),
        cmocka_unit_test(test_status_view_detail_of_a_paused_service_names_owner_and_time_left),
        cmocka_unit_test(test_status_view_detail_of_a_held_port_names_the_trouble_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
