/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "server/keeper/renewal.h"
#include "server/keeper/renewal_record.h"
#include "server/keeper/state.h"

enum { STATE_BYTES_MAX = 64 * 1024 };

static struct keeper before;
static struct keeper after;
static uint8_t state_bytes[STATE_BYTES_MAX];
static size_t state_len;

static void add_child(size_t place, enum child_state state, uint32_t slot, uint32_t generation)
{
    struct child child = {.state = state,
        .slot = slot,
        .generation = generation,
        .pid = (int32_t)(1000 + place),
        .start_ticks = 77,
        .rttime_mark = UINT64_C(1) << 60,
        .invocation = "an invocation!!",
        .wait_status = 256,
        .adopted_fd = state == CHILD_RUNNING ? 40 : 0};
    before.children.table[place] = child;
    before.children.newest[slot] = (uint16_t)(place + 1);
    before.children.last_generation[slot] = generation + 5;
}

static void add_exit(size_t place, uint64_t sequence, bool is_stray)
{
    struct children *children = &before.children;
    size_t at = (children->first_exit + children->n_exits++) % CHILDREN_EXITS;
    children->exits[at] = (struct keeper_exit){
        .sequence = sequence, .slot = 9, .generation = 4, .pid = 8, .at_ns = 5, .stray = is_stray};
    children->exit_places[at] = (uint16_t)place;
    children->last_sequence = sequence;
    children->n_queued_strays += is_stray;
}

/* A keeper with one of everything, as it leaves it. */
static int set_up(void **state)
{
    (void)state;
    memset(&before, 0, sizeof before);
    memset(&after, 0, sizeof after);
    before.state_fd = 10;
    before.link.fd = 11;
    before.link.protocol = 2;
    before.link.wait_stream_id = 4711;
    before.link.wait_after = 6;
    before.server.pid = 500;
    before.server.starts = 3;
    before.server.image.fd = 12;
    before.own_image.fd = 13;
    (void)memcpy(before.own_image.path, "/old/keeper", sizeof "/old/keeper");
    (void)memcpy(before.replacement.operation_id, "0-1", sizeof "0-1");
    before.outputs.table[3] = (struct output){
        .is_used = true, .slot = 9, .keep = 2, .max_size = 100, .pipe_fd = 20, .private_fd = 21};
    before.outputs.table[7] = (struct output){
        .is_used = true, .is_closing = true, .slot = 9, .pipe_fd = 22, .private_fd = 23};
    assert_true(text_pool_set(&before.outputs.paths, 3, "/logs/nine.log"));
    add_child(2, CHILD_RUNNING, 8, 1);
    add_child(5, CHILD_EXITED, 9, 4);
    before.children.first_exit = CHILDREN_EXITS - 1;
    add_exit(5, 41, false);
    add_exit(0, 42, true);
    CLEANUP(fd_close) int fd = -1;
    assert_int_equal(renewal_write(&before, &fd), 0);
    ssize_t len = pread(fd, state_bytes, sizeof state_bytes, 0);
    assert_in_range(len, 1, STATE_BYTES_MAX - 1);
    state_len = (size_t)len;
    return 0;
}

static int parse(const uint8_t *bytes, size_t len, struct error *error)
{
    memset(&after, 0, sizeof after);
    return renewal_parse(&after, bytes, len, error);
}

static void test_renewal_everything_is_there_again(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    assert_int_equal(parse(state_bytes, state_len, &error), 0);
    children_adopted(&after.children, after.children.last_sequence);
    assert_int_equal(after.link.wait_stream_id, 4711);
    assert_int_equal(after.link.wait_after, 6);
    assert_int_equal(after.server.pid, 500);
    assert_int_equal(after.server.image.fd, 12);
    assert_true(after.server.was_ready);
    assert_int_equal(after.earlier_image.fd, 13);
    assert_string_equal(after.earlier_image.path, "/old/keeper");
    assert_string_equal(after.replacement.operation_id, "0-1");
    assert_int_equal(after.outputs.n_used, 2);
    int pipes[2];
    assert_true(outputs_pipes(&after.outputs, 9, pipes));
    assert_int_equal(pipes[0], 20);
    const struct child *child = children_find(&after.children, 8, 1);
    assert_non_null(child);
    assert_int_equal(child->pid, 1002);
    assert_int_equal(child->adopted_fd, 40);
    assert_int_equal(children_find_pid(&after.children, 1002), 2);
    assert_int_equal(after.children.last_generation[9], 9);
    struct keeper_exit exits[4];
    assert_int_equal(children_exits_after(&after.children, 0, exits, 4), 2);
    assert_int_equal(exits[0].sequence, 41);
    assert_true(exits[1].stray);
    assert_int_equal(after.children.n_free, KEEPER_CHILDREN - 2);
}

static void test_renewal_cut_off_anywhere_is_damaged(void **state)
{
    (void)state;
    for (size_t len = 0; len < state_len; len++) {
        struct error error = ERROR_INIT;
        assert_int_equal(parse(state_bytes, len, &error), -STATUS_DATA_LOSS);
    }
}

/* The head's first two fields, as a later keeper would write them. */
static void set_numbers(uint8_t format, uint8_t lowest)
{
    uint8_t *fields = state_bytes + sizeof(struct renewal_header);
    assert_int_equal(fields[0], 1 << 3);
    assert_int_equal(fields[2], 2 << 3);
    fields[1] = format;
    fields[3] = lowest;
}

static void test_renewal_later_number_that_we_may_read_is_read(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    set_numbers(99, KEEPER_RENEWAL);
    assert_int_equal(parse(state_bytes, state_len, &error), 0);
}

static void test_renewal_number_that_we_do_not_know_is_refused_in_words(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    set_numbers(99, KEEPER_RENEWAL + 1);
    assert_int_equal(parse(state_bytes, state_len, &error), -STATUS_FAILED_PRECONDITION);
    assert_non_null(strstr(error.text, "has the number 99"));
}

static void test_renewal_unknown_records_are_skipped(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    struct renewal_header unknown = {.kind = 77, .len = 3};
    struct renewal_header end;
    size_t at = state_len;
    /* Before the last one, which is empty. */
    at -= sizeof end;
    memcpy(&end, state_bytes + at, sizeof end);
    assert_int_equal(end.kind, RENEWAL_END);
    memcpy(state_bytes + at, &unknown, sizeof unknown);
    memcpy(state_bytes + at + sizeof unknown, "abc", 3);
    memcpy(state_bytes + at + sizeof unknown + 3, &end, sizeof end);
    assert_int_equal(parse(state_bytes, state_len + sizeof unknown + 3, &error), 0);
}

static void test_renewal_child_that_cannot_be_is_damaged(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    /* It runs, and has no process. */
    add_child(6, CHILD_RUNNING, 10, 1);
    before.children.table[6].pid = 0;
    CLEANUP(fd_close) int fd = -1;
    assert_int_equal(renewal_write(&before, &fd), 0);
    assert_int_equal(renewal_read(&after, fd, &error), -STATUS_DATA_LOSS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_renewal_everything_is_there_again, set_up),
        cmocka_unit_test_setup(test_renewal_cut_off_anywhere_is_damaged, set_up),
        cmocka_unit_test_setup(test_renewal_later_number_that_we_may_read_is_read, set_up),
        cmocka_unit_test_setup(test_renewal_number_that_we_do_not_know_is_refused_in_words, set_up),
        cmocka_unit_test_setup(test_renewal_unknown_records_are_skipped, set_up),
        cmocka_unit_test_setup(test_renewal_child_that_cannot_be_is_damaged, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
