#include "client/cli/board.h"
#include "common/base/attributes.h"
#include "unit.h"

static flocks_service_status make_service(const char *name, int state)
{
    flocks_service_status service = FLOCKS_SERVICE_STATUS_INIT;
    service.name = name;
    service.state = (Flocks__V1__ServiceState)state;
    return service;
}

static void apply_service(struct board *board, flocks_service_status *service)
{
    flocks_service_change change = FLOCKS_SERVICE_CHANGE_INIT;
    flocks_event event = FLOCKS_EVENT_INIT;
    flocks_watch_events_response item = FLOCKS_WATCH_EVENTS_RESPONSE_INIT;
    change.status = service;
    event.kind_case = FLOCKS__V1__EVENT__KIND_SERVICE;
    event.service = &change;
    item.item_case = FLOCKS__V1__WATCH_EVENTS_RESPONSE__ITEM_EVENT;
    item.event = &event;
    assert_int_equal(board_apply(board, &item), 0);
}

static void apply_lease(struct board *board, flocks_lease *lease)
{
    flocks_event event = FLOCKS_EVENT_INIT;
    flocks_watch_events_response item = FLOCKS_WATCH_EVENTS_RESPONSE_INIT;
    event.kind_case = FLOCKS__V1__EVENT__KIND_LEASE;
    event.lease = lease;
    item.item_case = FLOCKS__V1__WATCH_EVENTS_RESPONSE__ITEM_EVENT;
    item.event = &event;
    assert_int_equal(board_apply(board, &item), 0);
}

static void apply_snapshot(struct board *board, flocks_snapshot *snapshot)
{
    flocks_watch_events_response item = FLOCKS_WATCH_EVENTS_RESPONSE_INIT;
    item.item_case = FLOCKS__V1__WATCH_EVENTS_RESPONSE__ITEM_SNAPSHOT;
    item.snapshot = snapshot;
    assert_int_equal(board_apply(board, &item), 0);
}

static void test_board_begins_empty(void **state)
{
    struct board *board = board_new();
    (void)state;
    assert_false(board_has_news(board));
    assert_int_equal(board_status(board)->n_services, 0);
    board_free(board);
    board_free(NULL);
}

static void test_board_changes_replace_and_insert_by_name(void **state)
{
    struct board *board = board_new();
    static const char *const names[] = {"m", "z", "a", "n"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        flocks_service_status service = make_service(names[i], FLOCKS_SERVICE_STATE_STARTING);
        apply_service(board, &service);
    }
    flocks_service_status changed = make_service("n", FLOCKS_SERVICE_STATE_HEALTHY);
    apply_service(board, &changed);
    const flocks_get_status_response *status = board_status(board);
    assert_int_equal(status->n_services, 4);
    assert_string_equal(status->services[0]->name, "a");
    assert_string_equal(status->services[1]->name, "m");
    assert_string_equal(status->services[2]->name, "n");
    assert_string_equal(status->services[3]->name, "z");
    assert_int_equal(status->services[2]->state, FLOCKS_SERVICE_STATE_HEALTHY);
    assert_true(board_has_news(board));
    board_free(board);
}

static void test_board_a_snapshot_replaces_everything(void **state)
{
    struct board *board = board_new();
    flocks_service_status old = make_service("old", FLOCKS_SERVICE_STATE_HEALTHY);
    flocks_service_status new = make_service("new", FLOCKS_SERVICE_STATE_HEALTHY);
    flocks_service_status *list[] = {&new};
    flocks_daemon_status daemon = FLOCKS_DAEMON_STATUS_INIT;
    flocks_snapshot snapshot = FLOCKS_SNAPSHOT_INIT;
    (void)state;
    apply_service(board, &old);
    daemon.pid = 7;
    snapshot.daemon = &daemon;
    snapshot.n_services = 1;
    snapshot.services = list;
    apply_snapshot(board, &snapshot);
    assert_int_equal(board_status(board)->n_services, 1);
    assert_string_equal(board_status(board)->services[0]->name, "new");
    assert_int_equal(board_status(board)->daemon->pid, 7);
    board_free(board);
}

static void test_board_a_lease_that_ended_is_gone(void **state)
{
    struct board *board = board_new();
    Google__Protobuf__Timestamp ended_at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    flocks_lease lease = FLOCKS_LEASE_INIT;
    (void)state;
    lease.id = "1f";
    apply_lease(board, &lease);
    lease.phase = FLOCKS_UPGRADE_PHASE_OBSERVING;
    apply_lease(board, &lease);
    assert_int_equal(board_status(board)->n_leases, 1);
    assert_int_equal(board_status(board)->leases[0]->phase, FLOCKS_UPGRADE_PHASE_OBSERVING);
    lease.ended_at = &ended_at;
    apply_lease(board, &lease);
    assert_int_equal(board_status(board)->n_leases, 0);
    board_free(board);
}

static void test_board_a_gap_changes_nothing(void **state)
{
    struct board *board = board_new();
    flocks_gap gap = FLOCKS_GAP_INIT;
    flocks_watch_events_response item = FLOCKS_WATCH_EVENTS_RESPONSE_INIT;
    (void)state;
    item.item_case = FLOCKS__V1__WATCH_EVENTS_RESPONSE__ITEM_GAP;
    item.gap = &gap;
    assert_int_equal(board_apply(board, &item), 0);
    assert_false(board_has_news(board));
    board_free(board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_board_begins_empty),
        cmocka_unit_test(test_board_changes_replace_and_insert_by_name),
        cmocka_unit_test(test_board_a_snapshot_replaces_everything),
        cmocka_unit_test(test_board_a_lease_that_ended_is_gone),
        cmocka_unit_test(test_board_a_gap_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
