/* ReadLogs through the real engine, over files of the test's own. */
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

#include "caller.h"
#include "common/base/clock.h"

struct fixture {
    struct caller caller;
    char logs[64];
    char path[96]; /* backend.log */
    char late[96];
    char daemon[96];
    flocks_read_logs_request request;
};

static const struct rpc_method *method(void)
{
    return &flocks_supervisor_methods[FLOCKS_SUPERVISOR_READ_LOGS];
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    (void)snprintf(fixture->logs, sizeof fixture->logs, "/tmp/flocks-reading-XXXXXX");
    assert_non_null(mkdtemp(fixture->logs));
    (void)snprintf(fixture->path, sizeof fixture->path, "%s/backend.log", fixture->logs);
    (void)snprintf(fixture->late, sizeof fixture->late, "%s/late.log", fixture->logs);
    (void)snprintf(fixture->daemon, sizeof fixture->daemon, "%s/daemon.log", fixture->logs);
    caller_open(&fixture->caller, 0);
    fixture->caller.supervisor.logs = fixture->logs;
    fixture->request = (flocks_read_logs_request)FLOCKS_READ_LOGS_REQUEST_INIT;
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    caller_close(&fixture->caller);
    (void)unlink(fixture->path);
    (void)unlink(fixture->late);
    (void)unlink(fixture->daemon);
    assert_int_equal(rmdir(fixture->logs), 0);
    free(fixture);
    return 0;
}

static void write_log(struct fixture *fixture, const char *path, size_t output, const char *text)
{
    FILE *file = fopen(path, "ae");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    fixture->caller.supervisor.written[output] += strlen(text);
}

static void open_stream(struct fixture *fixture)
{
    caller_open_stream(&fixture->caller, method(), &fixture->request.base);
}

static void tail_and_follow(struct fixture *fixture, uint32_t lines)
{
    fixture->request.start_case = FLOCKS_READ_LOGS_REQUEST_START_TAIL;
    fixture->request.tail = lines;
    fixture->request.follow = true;
    open_stream(fixture);
}

/* The token is copied where one is wanted. */
static void assert_item(
    struct fixture *fixture, const char *service, const char *text, char *out_token)
{
    const flocks_read_logs_response *item;
    struct answer answer;

    caller_await(&fixture->caller, method(), &answer);
    assert_int_equal(answer.code, RPC_OK);
    assert_non_null(answer.response);
    item = (const flocks_read_logs_response *)(const void *)answer.response;
    assert_string_equal(item->service, service);
    assert_int_equal(item->data.len, strlen(text));
    assert_memory_equal(item->data.data, text, strlen(text));
    if (out_token != NULL)
        memcpy(out_token, item->token, strlen(item->token) + 1);
    answer_free(&answer);
}

static void assert_ends(struct fixture *fixture)
{
    struct answer answer;

    caller_await(&fixture->caller, method(), &answer);
    assert_int_equal(answer.code, RPC_OK);
    assert_null(answer.response);
}

static void assert_refused(
    struct fixture *fixture, int code, enum flocks_error_reason reason, const char *message)
{
    struct answer answer;

    open_stream(fixture);
    caller_await(&fixture->caller, method(), &answer);
    assert_int_equal(answer.code, code);
    assert_int_equal(answer.detail->reason, reason);
    assert_memory_equal(answer.message, message, strlen(message));
    answer_free(&answer);
}

static void test_read_logs_refuses_what_is_not_built_yet(void **state)
{
    struct fixture *fixture = *state;
    Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    flocks_read_logs_request *request = &fixture->request;

    request->until = &at;
    assert_refused(fixture, RPC_UNIMPLEMENTED, FLOCKS_ERROR_REASON_NOT_IMPLEMENTED, "until:");
    request->until = NULL;
    request->start_case = FLOCKS_READ_LOGS_REQUEST_START_SINCE;
    request->since = &at;
    assert_refused(fixture, RPC_UNIMPLEMENTED, FLOCKS_ERROR_REASON_NOT_IMPLEMENTED, "since:");
    request->start_case = FLOCKS_READ_LOGS_REQUEST_START_GENERATION;
    request->generation = 3;
    assert_refused(fixture, RPC_UNIMPLEMENTED, FLOCKS_ERROR_REASON_NOT_IMPLEMENTED, "generation:");
}

static void test_read_logs_refuses_unknown_services_and_tokens(void **state)
{
    struct fixture *fixture = *state;
    const char *names[] = {"backend", "nosuch"};
    flocks_read_logs_request *request = &fixture->request;

    request->services = names;
    request->n_services = 2;
    assert_refused(fixture, RPC_NOT_FOUND, FLOCKS_ERROR_REASON_UNKNOWN_SERVICE, "there is no");
    request->n_services = 1;
    request->start_case = FLOCKS_READ_LOGS_REQUEST_START_AFTER;
    request->after = "yesterday";
    assert_refused(fixture, RPC_INVALID_ARGUMENT, FLOCKS_ERROR_REASON_UNSPECIFIED, "after:");
}

static void test_read_logs_without_a_beginning_has_everything_and_ends(void **state)
{
    struct fixture *fixture = *state;

    write_log(fixture, fixture->path, 0, "1\n2\n");
    write_log(fixture, fixture->daemon, 2, "daemon\n");
    fixture->request.daemon = true;
    open_stream(fixture);
    assert_item(fixture, "backend", "1\n2\n", NULL);
    assert_item(fixture, "", "daemon\n", NULL);
    assert_ends(fixture);
    /* An empty token is none. */
    fixture->request.start_case = FLOCKS_READ_LOGS_REQUEST_START_AFTER;
    fixture->request.after = "";
    fixture->request.daemon = false;
    open_stream(fixture);
    assert_item(fixture, "backend", "1\n2\n", NULL);
    assert_ends(fixture);
}

static void test_read_logs_daemon_by_its_name_is_the_daemon_alone(void **state)
{
    static const char *names[] = {"daemon"};
    struct fixture *fixture = *state;

    write_log(fixture, fixture->path, 0, "1\n2\n");
    write_log(fixture, fixture->daemon, 2, "daemon\n");
    fixture->request.services = names;
    fixture->request.n_services = 1;
    open_stream(fixture);
    assert_item(fixture, "", "daemon\n", NULL);
    assert_ends(fixture);
}

static void test_read_logs_followers_are_told_and_resume(void **state)
{
    static char token[1024];
    struct fixture *fixture = *state;

    write_log(fixture, fixture->path, 0, "1\n");
    tail_and_follow(fixture, 1);
    assert_item(fixture, "backend", "1\n", token);
    write_log(fixture, fixture->path, 0, "2\n");
    assert_item(fixture, "backend", "2\n", NULL);
    fixture->request.start_case = FLOCKS_READ_LOGS_REQUEST_START_AFTER;
    fixture->request.after = token;
    fixture->request.follow = false;
    open_stream(fixture);
    assert_item(fixture, "backend", "2\n", NULL);
    assert_ends(fixture);
}

static void test_read_logs_of_all_takes_in_a_service_that_comes(void **state)
{
    struct fixture *fixture = *state;

    write_log(fixture, fixture->path, 0, "1\n");
    write_log(fixture, fixture->late, 1, "of long ago\n");
    tail_and_follow(fixture, 1);
    assert_item(fixture, "backend", "1\n", NULL);
    fixture->caller.supervisor.has_late = true;
    fixture->caller.supervisor.changes++;
    write_log(fixture, fixture->late, 1, "its first\n");
    assert_item(fixture, "late", "its first\n", NULL);
    write_log(fixture, fixture->late, 1, "its second\n");
    assert_item(fixture, "late", "its second\n", NULL);
    /* It goes, and comes again: what it wrote meanwhile is not lost. */
    fixture->caller.supervisor.has_late = false;
    fixture->caller.supervisor.changes++;
    write_log(fixture, fixture->late, 1, "unseen\n");
    write_log(fixture, fixture->path, 0, "2\n");
    assert_item(fixture, "backend", "2\n", NULL);
    fixture->caller.supervisor.has_late = true;
    fixture->caller.supervisor.changes++;
    assert_item(fixture, "late", "unseen\n", NULL);
}

static void test_read_logs_stream_ends_with_the_daemon(void **state)
{
    struct fixture *fixture = *state;
    struct answer answer;

    write_log(fixture, fixture->path, 0, "1\n");
    tail_and_follow(fixture, 1);
    assert_item(fixture, "backend", "1\n", NULL);
    api_close(fixture->caller.api);
    fixture->caller.api = NULL;
    assert_true(caller_receive(&fixture->caller, method(), &answer));
    assert_int_equal(answer.code, RPC_UNAVAILABLE);
    assert_int_equal(answer.detail->reason, FLOCKS_ERROR_REASON_SHUTTING_DOWN);
    answer_free(&answer);
}

static void test_read_logs_reader_that_goes_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;

    write_log(fixture, fixture->path, 0, "1\n");
    tail_and_follow(fixture, 1);
    assert_item(fixture, "backend", "1\n", NULL);
    caller_leave(&fixture->caller);
    /* Nobody follows: nothing is looked at, and the loop has nothing to do. */
    assert_int_equal(uv_run(&fixture->caller.loop, UV_RUN_DEFAULT), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_read_logs_refuses_what_is_not_built_yet),
        TEST(test_read_logs_refuses_unknown_services_and_tokens),
        TEST(test_read_logs_without_a_beginning_has_everything_and_ends),
        TEST(test_read_logs_daemon_by_its_name_is_the_daemon_alone),
        TEST(test_read_logs_followers_are_told_and_resume),
        TEST(test_read_logs_of_all_takes_in_a_service_that_comes),
        TEST(test_read_logs_stream_ends_with_the_daemon),
        TEST(test_read_logs_reader_that_goes_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
