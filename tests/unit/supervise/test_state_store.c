/* A death at any instant leaves the last whole state: every torn write is made, byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "common/base/fd.h"
#include "server/keeper/link.h"
#include "server/supervise/state_store.h"

enum { MEMORY = 8192 };

static int new_memory(void)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, MEMORY), 0);
    return fd;
}

static struct state_store *open_store(int fd)
{
    struct state_store *store = NULL;

    assert_int_equal(state_store_open(fd, &store, NULL), 0);
    return store;
}

static void put(struct state_store *store, const char *text)
{
    size_t len = strlen(text);

    memcpy(state_store_begin(store), text, len);
    state_store_commit(store, len);
}

static void assert_newest(int fd, const char *text)
{
    struct state_store *store = open_store(fd);
    const uint8_t *bytes;
    size_t len;

    assert_int_equal(state_store_read(store, &bytes, &len), 0);
    assert_int_equal(len, strlen(text));
    assert_memory_equal(bytes, text, len);
    state_store_close(store);
}

static void test_store_zeroed_memory_is_empty(void **state)
{
    CLEANUP(fd_close) int fd = new_memory();
    struct state_store *store = open_store(fd);
    const uint8_t *bytes;
    size_t len;

    (void)state;
    assert_int_equal(state_store_read(store, &bytes, &len), STATE_STORE_EMPTY);
    state_store_close(store);
}

static void test_store_keeps_the_newest(void **state)
{
    CLEANUP(fd_close) int fd = new_memory();
    struct state_store *store = open_store(fd);

    (void)state;
    put(store, "first");
    assert_newest(fd, "first");
    put(store, "the second one");
    assert_newest(fd, "the second one");
    put(store, "3");
    assert_newest(fd, "3");
    state_store_close(store);
}

static void test_store_unfinished_write_leaves_the_last(void **state)
{
    CLEANUP(fd_close) int fd = new_memory();
    struct state_store *store = open_store(fd);

    (void)state;
    put(store, "one");
    put(store, "two");
    memcpy(state_store_begin(store), "thr", 3);
    state_store_close(store);
    assert_newest(fd, "two");
}

/* The third write, stopped after each of its bytes as a program that copies upwards would be. */
static void test_store_write_torn_anywhere_leaves_one_or_the_other(void **state)
{
    CLEANUP(fd_close) int before = new_memory();
    CLEANUP(fd_close) int torn = new_memory();
    struct state_store *store = open_store(before);
    static uint8_t old[MEMORY];
    static uint8_t new[MEMORY];

    (void)state;
    put(store, "first state");
    put(store, "second state");
    assert_int_equal(pread(before, old, MEMORY, 0), MEMORY);
    put(store, "a third state, longer than the others");
    assert_int_equal(pread(before, new, MEMORY, 0), MEMORY);
    state_store_close(store);
    for (size_t cut = 0; cut <= MEMORY / 2; cut++) {
        const uint8_t *bytes;
        size_t len;

        assert_int_equal(pwrite(torn, old, MEMORY, 0), MEMORY);
        if (cut > 0)
            assert_int_equal(pwrite(torn, new, cut, 0), (ssize_t)cut);
        store = open_store(torn);
        assert_int_equal(state_store_read(store, &bytes, &len), 0);
        assert_true(
            (len == 12 && memcmp(bytes, "second state", len) == 0) ||
            (len == 37 && memcmp(bytes, "a third state, longer than the others", len) == 0));
        state_store_close(store);
    }
}

static void test_store_too_small_is_refused(void **state)
{
    CLEANUP(fd_close) int fd = memfd_create("test", MFD_CLOEXEC);
    struct state_store *store = NULL;

    (void)state;
    assert_int_equal(ftruncate(fd, 64), 0);
    assert_int_equal(state_store_open(fd, &store, NULL), -STATUS_FAILED_PRECONDITION);
}

static void test_store_other_format_is_foreign(void **state)
{
    CLEANUP(fd_close) int fd = new_memory();
    struct state_store *store = open_store(fd);
    const uint32_t format = STATE_STORE_FORMAT + 1;
    const uint8_t *bytes;
    size_t len;

    (void)state;
    put(store, "x");
    assert_int_equal(pwrite(fd, &format, sizeof format, 4), sizeof format);
    assert_int_equal(state_store_read(store, &bytes, &len), STATE_STORE_FOREIGN);
    state_store_close(store);
}

static void test_store_pulses_are_kept_without_a_commit(void **state)
{
    CLEANUP(fd_close) int fd = memfd_create("test", MFD_CLOEXEC);
    struct state_store *store;
    size_t len;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, KEEPER_STATE_BYTES), 0);
    store = open_store(fd);
    memset(state_store_events(store, &len), 0xff, KEEPER_STATE_EVENTS_BYTES);
    assert_int_equal(len, KEEPER_STATE_EVENTS_BYTES);
    assert_int_equal(state_store_pulse(store, 0), 0);
    state_store_set_pulse(store, 0, 17);
    state_store_set_pulse(store, KEEPER_SLOTS - 1, 18);
    state_store_set_pulse(store, KEEPER_SLOTS, 19);
    state_store_close(store);
    store = open_store(fd);
    assert_int_equal(state_store_pulse(store, 0), 17);
    assert_int_equal(state_store_pulse(store, 1), 0);
    assert_int_equal(state_store_pulse(store, KEEPER_SLOTS - 1), 18);
    assert_int_equal(state_store_pulse(store, KEEPER_SLOTS), 0);
    state_store_close(store);
}

static void test_store_of_an_earlier_keeper_has_no_pulses(void **state)
{
    CLEANUP(fd_close) int fd = memfd_create("test", MFD_CLOEXEC);
    struct state_store *store;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, KEEPER_STATE_SLOTS_BYTES + KEEPER_STATE_EVENTS_BYTES), 0);
    store = open_store(fd);
    state_store_set_pulse(store, 0, 17);
    assert_int_equal(state_store_pulse(store, 0), 0);
    state_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_zeroed_memory_is_empty),
        cmocka_unit_test(test_store_keeps_the_newest),
        cmocka_unit_test(test_store_unfinished_write_leaves_the_last),
        cmocka_unit_test(test_store_write_torn_anywhere_leaves_one_or_the_other),
        cmocka_unit_test(test_store_too_small_is_refused),
        cmocka_unit_test(test_store_other_format_is_foreign),
        cmocka_unit_test(test_store_pulses_are_kept_without_a_commit),
        cmocka_unit_test(test_store_of_an_earlier_keeper_has_no_pulses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
