#include <stdlib.h>
#include <string.h>

#include "client/cli/event_view.h"
#include "temporary.h"
#include "unit.h"

/* 2023-11-14 22:13:20 UTC */
enum { NOW = 1700000000 };

/* One item with an event at NOW, 40 ms; each test fills the event. */
struct sample {
    flocks_watch_events_response item;
    flocks_event event;
    Google__Protobuf__Timestamp at;
    flocks_service_change change;
    flocks_service_status status;
    bool with_snapshot;
};

static void make_sample(struct sample *out)
{
    *out = (struct sample){.item = FLOCKS_WATCH_EVENTS_RESPONSE_INIT,
        .event = FLOCKS_EVENT_INIT,
        .at = GOOGLE__PROTOBUF__TIMESTAMP__INIT,
        .change = FLOCKS_SERVICE_CHANGE_INIT,
        .status = FLOCKS_SERVICE_STATUS_INIT};
    out->at.seconds = NOW;
    out->at.nanos = 40000000;
    out->event.at = &out->at;
    out->item.item_case = FLOCKS__V1__WATCH_EVENTS_RESPONSE__ITEM_EVENT;
    out->item.event = &out->event;
    out->event.kind_case = FLOCKS__V1__EVENT__KIND_SERVICE;
    out->event.service = &out->change;
    out->change.status = &out->status;
    out->status.name = "backend";
    out->status.state = FLOCKS_SERVICE_STATE_HEALTHY;
    out->status.pid = 20;
    out->status.generation = 7;
}

static void print_sample(FILE *stream, const void *data)
{
    const struct sample *sample = data;
    const struct event_view view = {.now_s = NOW, .with_snapshot = sample->with_snapshot};
    event_view_print(&view, &sample->item, stream);
}

static void test_event_view_of_a_service(void **state)
{
    struct sample sample;
    flocks_exit_record record = FLOCKS_EXIT_RECORD_INIT;
    Google__Protobuf__Duration lived = GOOGLE__PROTOBUF__DURATION__INIT;
    (void)state;
    make_sample(&sample);
    sample.change.previous_state = FLOCKS_SERVICE_STATE_STARTING;
    assert_string_equal(temporary_printed(print_sample, &sample),
        "22:13:20.040  backend     STARTING -> HEALTHY, pid 20, generation 7\n");
    sample.change.previous_state = FLOCKS_SERVICE_STATE_HEALTHY;
    sample.status.state = FLOCKS_SERVICE_STATE_BACKOFF;
    sample.status.reason = FLOCKS_STATE_REASON_EXITED;
    sample.status.last_error = "exit code 3 \033[2J";
    sample.status.pid = 0;
    record.generation = 7;
    record.outcome_case = FLOCKS__V1__EXIT_RECORD__OUTCOME_EXIT_CODE;
    record.exit_code = 3;
    lived.nanos = 5000000;
    record.lived = &lived;
    sample.change.exit = &record;
    assert_string_equal(temporary_printed(print_sample, &sample),
        "22:13:20.040  backend     HEALTHY -> BACKOFF: exit code 3 \\x1b[2J [generation 7: exit "
        "code 3 after 5.0ms]\n");
}

static void test_event_view_of_an_operation(void **state)
{
    struct sample sample;
    flocks_operation operation = FLOCKS_OPERATION_INIT;
    (void)state;
    make_sample(&sample);
    sample.event.kind_case = FLOCKS__V1__EVENT__KIND_OPERATION;
    sample.event.operation = &operation;
    operation.id = "9a1b";
    operation.kind = FLOCKS_OPERATION_KIND_RESTART;
    operation.state = FLOCKS_OPERATION_STATE_RUNNING;
    operation.steps_done = 1;
    operation.steps_total = 2;
    operation.step = "waiting for backend";
    assert_string_equal(temporary_printed(print_sample, &sample),
        "22:13:20.040  operation   restart 9a1b runs, 1 of 2: waiting for backend\n");
    operation.state = FLOCKS_OPERATION_STATE_SUCCEEDED;
    operation.ended_at = &sample.at;
    operation.steps_done = 2;
    assert_string_equal(temporary_printed(print_sample, &sample),
        "22:13:20.040  operation   restart 9a1b succeeded, 2 of 2\n");
}

static void test_event_view_of_a_lease_and_the_daemon(void **state)
{
    struct sample sample;
    flocks_lease lease = FLOCKS_LEASE_INIT;
    flocks_daemon_status daemon = FLOCKS_DAEMON_STATUS_INIT;
    (void)state;
    make_sample(&sample);
    sample.event.kind_case = FLOCKS__V1__EVENT__KIND_LEASE;
    sample.event.lease = &lease;
    lease.id = "1f";
    lease.owner = "updater";
    lease.reason = "to 2.4";
    lease.phase = FLOCKS_UPGRADE_PHASE_HELD;
    assert_string_equal(temporary_printed(print_sample, &sample),
        "22:13:20.040  lease       1f of updater held: to 2.4\n");
    sample.event.kind_case = FLOCKS__V1__EVENT__KIND_DAEMON;
    sample.event.daemon = &daemon;
    daemon.state = FLOCKS_DAEMON_STATE_RUNNING;
    daemon.pid = 12;
    daemon.keeper_pid = 11;
    daemon.takeovers = 1;
    assert_string_equal(temporary_printed(print_sample, &sample),
        "22:13:20.040  daemon      running, pid 12, keeper 11, taken over 1 time\n");
}

static void test_event_view_of_a_gap_says_what_is_missed(void **state)
{
    struct sample sample;
    flocks_gap gap = FLOCKS_GAP_INIT;
    (void)state;
    make_sample(&sample);
    sample.item.item_case = FLOCKS__V1__WATCH_EVENTS_RESPONSE__ITEM_GAP;
    sample.item.gap = &gap;
    gap.events_lost = 12;
    assert_string_equal(temporary_printed(print_sample, &sample), "12 events missed\n");
    gap.events_lost = 0;
    assert_string_equal(temporary_printed(print_sample, &sample),
        "events may be missed: their numbering began anew\n");
}

static void test_event_view_of_a_snapshot_only_when_asked(void **state)
{
    struct sample sample;
    flocks_snapshot snapshot = FLOCKS_SNAPSHOT_INIT;
    (void)state;
    make_sample(&sample);
    flocks_service_status *list[] = {&sample.status};
    snapshot.n_services = 1;
    snapshot.services = list;
    sample.item.item_case = FLOCKS__V1__WATCH_EVENTS_RESPONSE__ITEM_SNAPSHOT;
    sample.item.snapshot = &snapshot;
    assert_string_equal(temporary_printed(print_sample, &sample), "");
    sample.with_snapshot = true;
    assert_string_equal(temporary_printed(print_sample, &sample),
        "              backend     HEALTHY, pid 20, generation 7\n");
}

static void test_event_view_of_a_kind_that_is_not_known(void **state)
{
    struct sample sample;
    (void)state;
    make_sample(&sample);
    sample.event.kind_case = FLOCKS__V1__EVENT__KIND__NOT_SET;
    assert_string_equal(temporary_printed(print_sample, &sample),
        "22:13:20.040  something that this command does not know\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_event_view_of_a_service),
        cmocka_unit_test(test_event_view_of_an_operation),
        cmocka_unit_test(test_event_view_of_a_lease_and_the_daemon),
        cmocka_unit_test(test_event_view_of_a_gap_says_what_is_missed),
        cmocka_unit_test(test_event_view_of_a_snapshot_only_when_asked),
        cmocka_unit_test(test_event_view_of_a_kind_that_is_not_known),
    };
    /* Before anything else runs. */
    (void)setenv("TZ", "UTC0", 1); // NOLINT(concurrency-mt-unsafe)
    return cmocka_run_group_tests(tests, NULL, NULL);
}
