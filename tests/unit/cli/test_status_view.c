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
    assert_int_equal(status_view_judge(&sample.response, NULL, 0), OUTCOME_FAILED);
}

static void test_status_view_judge(void **state)
{
    static const char *const webui[] = {"webui"};
    static const char *const unknown[] = {"nobody"};
    struct sample sample;
    (void)state;
    make_sample(&sample);
    assert_int_equal(status_view_judge(&sample.response, NULL, 0), OUTCOME_DONE);
    sample.services[1].state = FLOCKS_SERVICE_STATE_STOPPED;
    sample.services[1].wanted = false;
    assert_int_equal(status_view_judge(&sample.response, NULL, 0), OUTCOME_DONE);
    assert_int_equal(status_view_judge(&sample.response, webui, 1), OUTCOME_FAILED);
    sample.services[1].wanted = true;
    assert_int_equal(status_view_judge(&sample.response, NULL, 0), OUTCOME_FAILED);
    sample.services[1].state = FLOCKS_SERVICE_STATE_COMPLETED;
    assert_int_equal(status_view_judge(&sample.response, webui, 1), OUTCOME_DONE);
    assert_int_equal(status_view_judge(&sample.response, unknown, 1), OUTCOME_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_view_whole_text),
        cmocka_unit_test(test_status_view_unknown_state_is_shown_as_number_and_not_healthy),
        cmocka_unit_test(test_status_view_judge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
