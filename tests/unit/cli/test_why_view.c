#include <stdlib.h>
#include <string.h>

#include "client/cli/why_view.h"
#include "common/base/attributes.h"
#include "temporary.h"
#include "unit.h"

/* 2023-11-14 22:13:20 UTC */
enum { NOW = 1700000000, N_PROBES = 5, N_EXITS = 5 };

/* An answer with something in every field; each test changes what it is about. */
struct sample {
    flocks_explain_service_response response;
    flocks_service_status status;
    Google__Protobuf__Timestamp since;
    Google__Protobuf__Timestamp retry_at;
    flocks_exit_record exits[N_EXITS];
    flocks_exit_record *exit_list[N_EXITS];
    Google__Protobuf__Duration lived;
    flocks_probe_record probes[N_PROBES];
    flocks_probe_record *probe_list[N_PROBES];
    Google__Protobuf__Duration took;
    flocks_foreign_process holder;
    flocks_operation operation;
    flocks_breaker_count counts[2];
    flocks_breaker_count *count_list[2];
    flocks_lease lease;
    Google__Protobuf__Duration remaining;
    const char *lines[2];
    const char *waiting[2];
};

static void make_history(struct sample *out)
{
    for (int i = 0; i < N_EXITS; i++) {
        out->exits[i] = (flocks_exit_record)FLOCKS_EXIT_RECORD_INIT;
        out->exits[i].generation = 7 - (unsigned)i;
        out->exits[i].ended_at = &out->since;
        out->exits[i].lived = &out->lived;
        out->exits[i].outcome_case = FLOCKS__V1__EXIT_RECORD__OUTCOME_EXIT_CODE;
        out->exits[i].exit_code = 3;
        out->exits[i].cause = FLOCKS_STATE_REASON_EXITED;
        out->exit_list[i] = &out->exits[i];
    }
    out->exits[0].outcome_case = FLOCKS__V1__EXIT_RECORD__OUTCOME_SIGNAL;
    out->exits[0].signal = "SIGKILL";
    out->exits[0].cause = FLOCKS_STATE_REASON_HEALTH_FAILED;
    for (int i = 0; i < N_PROBES; i++) {
        out->probes[i] = (flocks_probe_record)FLOCKS_PROBE_RECORD_INIT;
        out->probes[i].role = i < 4 ? FLOCKS_PROBE_ROLE_ALIVE : FLOCKS_PROBE_ROLE_READY;
        out->probes[i].at = &out->since;
        out->probes[i].took = &out->took;
        out->probes[i].passed = i > 1;
        out->probes[i].message = i > 1 ? "" : "status 503";
        out->probe_list[i] = &out->probes[i];
    }
}

static void make_sample(struct sample *out)
{
    *out = (struct sample){.response = FLOCKS_EXPLAIN_SERVICE_RESPONSE_INIT,
        .status = FLOCKS_SERVICE_STATUS_INIT,
        .since = GOOGLE__PROTOBUF__TIMESTAMP__INIT,
        .retry_at = GOOGLE__PROTOBUF__TIMESTAMP__INIT,
        .lived = GOOGLE__PROTOBUF__DURATION__INIT,
        .took = GOOGLE__PROTOBUF__DURATION__INIT,
        .remaining = GOOGLE__PROTOBUF__DURATION__INIT,
        .holder = FLOCKS_FOREIGN_PROCESS_INIT,
        .operation = FLOCKS_OPERATION_INIT,
        .counts = {FLOCKS_BREAKER_COUNT_INIT, FLOCKS_BREAKER_COUNT_INIT},
        .lease = FLOCKS_LEASE_INIT,
        .lines = {"first", "\tlast \033[2J"},
        .waiting = {"cache", "db"}};
    out->since.seconds = NOW - 125;
    out->since.nanos = 40000000;
    out->lived.seconds = 61;
    out->took.nanos = 2000000;
    out->status.name = "backend";
    out->status.state = FLOCKS_SERVICE_STATE_BACKOFF;
    out->status.reason = FLOCKS_STATE_REASON_HEALTH_FAILED;
    out->status.wanted = true;
    out->status.generation = 7;
    out->status.restart_count = 4;
    out->status.host = "127.0.0.1";
    out->status.port = 8000;
    out->status.since = &out->since;
    out->status.last_error = "alive probe failed 12 times";
    out->status.log_path = "/r/logs/backend.log";
    out->retry_at.seconds = NOW + 7;
    out->status.retry_at = &out->retry_at;
    out->response.status = &out->status;
    make_history(out);
    out->response.n_exits = N_EXITS;
    out->response.exits = out->exit_list;
    out->response.n_probes = N_PROBES;
    out->response.probes = out->probe_list;
    out->response.n_output_tail = ARRAY_LENGTH(out->lines);
    out->response.output_tail = out->lines;
    out->operation.id = "9a1b";
    out->operation.kind = FLOCKS_OPERATION_KIND_START;
    out->operation.state = FLOCKS_OPERATION_STATE_SUCCEEDED;
    out->operation.requester_pid = 345;
    out->operation.requester_uid = 1000;
    out->operation.began_at = &out->since;
    out->response.last_operation = &out->operation;
    out->counts[0].cause = FLOCKS_STATE_REASON_HEALTH_FAILED;
    out->counts[0].consecutive = 2;
    out->counts[0].allowed = 10;
    out->counts[1].cause = FLOCKS_STATE_REASON_EXITED;
    out->count_list[0] = &out->counts[0];
    out->count_list[1] = &out->counts[1];
    out->response.n_breaker = 2;
    out->response.breaker = out->count_list;
    out->response.hint = "look at `flocks logs backend`";
}

static void print_whole(FILE *stream, const void *data)
{
    const struct sample *sample = data;
    const struct why_view view = {.response = &sample->response, .now_s = NOW, .n_lines = 10};
    why_view_print(&view, stream);
}

static void print_brief(FILE *stream, const void *data)
{
    const struct sample *sample = data;
    const struct why_view view = {.response = &sample->response, .now_s = NOW, .n_lines = 10};
    why_view_print_brief(&view, stream);
}

static void test_why_view_whole_text(void **state)
{
    struct sample sample;
    (void)state;
    make_sample(&sample);
    assert_string_equal(temporary_printed(print_whole, &sample),
        "backend is BACKOFF for 2m 05s: its probe failed too often in a row\n"
        "  last error    alive probe failed 12 times\n"
        "  next try      in 7s\n"
        "  breaker       its probe failed too often in a row: 2 in a row, gives up at 10\n"
        "  process       none; generation 7 was the last, 4 starts that nobody asked for\n"
        "  port          http://127.0.0.1:8000\n"
        "  last asked    start by pid 345, uid 1000, 2m 05s ago; it succeeded (9a1b)\n"
        "  hint          look at `flocks logs backend`\n"
        "\n"
        "last ends\n"
        "  22:11:15  generation 7, killed by SIGKILL after 1m 01s: its probe failed too often in a "
        "row\n"
        "  22:11:15  generation 6, exit code 3 after 1m 01s\n"
        "  22:11:15  generation 5, exit code 3 after 1m 01s\n"
        "  22:11:15  generation 4, exit code 3 after 1m 01s\n"
        "  and 1 before\n"
        "\n"
        "probes\n"
        "  ready: the last 1 passed\n"
        "    22:11:15.040  passed in 2.0ms\n"
        "  alive: 2 of the last 4 failed, 2 in a row now\n"
        "    22:11:15.040  failed in 2.0ms: status 503\n"
        "    22:11:15.040  failed in 2.0ms: status 503\n"
        "    22:11:15.040  passed in 2.0ms\n"
        "    22:11:15.040  passed in 2.0ms\n"
        "\n"
        "last output (/r/logs/backend.log)\n"
        "  | first\n"
        "  | \tlast \\x1b[2J\n");
}

static void test_why_view_brief_text(void **state)
{
    struct sample sample;
    (void)state;
    make_sample(&sample);
    assert_string_equal(temporary_printed(print_brief, &sample),
        "backend is BACKOFF for 2m 05s: its probe failed too often in a row\n"
        "  last error    alive probe failed 12 times\n"
        "  next try      in 7s\n"
        "  last end      22:11:15  generation 7, killed by SIGKILL after 1m 01s: its probe failed "
        "too often in a row\n"
        "  hint          look at `flocks logs backend`\n");
}

static void test_why_view_of_a_held_port_names_the_holder(void **state)
{
    struct sample sample;
    (void)state;
    make_sample(&sample);
    sample.response.holder = &sample.holder;
    sample.holder.pid = 12;
    sample.holder.uid = 33;
    sample.holder.visible = true;
    sample.holder.executable = "/usr/sbin/nginx";
    sample.status.listener = FLOCKS_LISTENER_STATE_FOREIGN;
    const char *text = temporary_printed(print_whole, &sample);
    assert_non_null(strstr(text, "\n  port held by  pid 12 (/usr/sbin/nginx), uid 33\n"));
    assert_non_null(strstr(text, "http://127.0.0.1:8000, port held by somebody else\n"));
    sample.holder.visible = false;
    assert_non_null(strstr(temporary_printed(print_whole, &sample),
        "\n  port held by  a process of uid 33, which this user may not look into\n"));
}

static void test_why_view_of_a_waiting_and_leased_service(void **state)
{
    struct sample sample;
    (void)state;
    make_sample(&sample);
    sample.response.n_waiting_for = 2;
    sample.response.waiting_for = sample.waiting;
    sample.lease.owner = "updater\033";
    sample.lease.owner_pid = 99;
    sample.lease.reason = "to 2.4";
    sample.lease.phase = FLOCKS_UPGRADE_PHASE_HELD;
    sample.remaining.seconds = 25;
    sample.lease.remaining = &sample.remaining;
    sample.response.lease = &sample.lease;
    const char *text = temporary_printed(print_whole, &sample);
    assert_non_null(strstr(text, "\n  waits for     cache, db\n"));
    assert_non_null(
        strstr(text, "\n  lease         updater\\x1b, pid 99, held, 25s left: to 2.4\n"));
}

static void test_why_view_of_a_service_that_never_ran(void **state)
{
    struct sample sample;
    (void)state;
    make_sample(&sample);
    flocks_explain_service_response bare = FLOCKS_EXPLAIN_SERVICE_RESPONSE_INIT;
    flocks_service_status status = FLOCKS_SERVICE_STATUS_INIT;
    status.name = "new";
    status.state = FLOCKS_SERVICE_STATE_STOPPED;
    bare.status = &status;
    sample.response = bare;
    assert_string_equal(temporary_printed(print_whole, &sample),
        "new is STOPPED\n"
        "  process       none; it was never started, not wanted\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_why_view_whole_text),
        cmocka_unit_test(test_why_view_brief_text),
        cmocka_unit_test(test_why_view_of_a_held_port_names_the_holder),
        cmocka_unit_test(test_why_view_of_a_waiting_and_leased_service),
        cmocka_unit_test(test_why_view_of_a_service_that_never_ran),
    };
    /* Before anything else runs. */
    (void)setenv("TZ", "UTC0", 1); // NOLINT(concurrency-mt-unsafe)
    return cmocka_run_group_tests(tests, NULL, NULL);
}
