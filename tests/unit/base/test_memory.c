#include <stdio.h>
#include <stdlib.h>

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/base/list.h"
#include "common/base/status.h"
#include "unit.h"

/* ---- buffer ---- */

static void test_buffer_keeps_bytes_in_order_while_it_moves(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 1 << 20);
    uint8_t next_in = 0;
    uint8_t next_out = 0;
    for (int round = 0; round < 2000; round++) {
        uint8_t bytes[97];
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = next_in++;
        assert_int_equal(buffer_append(&buffer, bytes, sizeof bytes), 0);
        size_t n = buffer_length(&buffer) * 2 / 3;
        for (size_t i = 0; i < n; i++)
            assert_int_equal(buffer_data(&buffer)[i], next_out++);
        buffer_consume(&buffer, n);
    }
    assert_true(buffer.capacity <= 1024);
    buffer_deinit(&buffer);
}

static void test_buffer_refuses_beyond_the_bound_unchanged(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 10);
    assert_int_equal(buffer_append_text(&buffer, "12345678"), 0);
    assert_int_equal(buffer_append_text(&buffer, "abc"), -STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal(buffer_printf(&buffer, "%d", 123), -STATUS_RESOURCE_EXHAUSTED);
    assert_null(buffer_reserve(&buffer, 3));
    assert_null(buffer_reserve(&buffer, SIZE_MAX));
    assert_int_equal(buffer_printf(&buffer, "%d", 12), 0);
    assert_int_equal(buffer_length(&buffer), 10);
    assert_memory_equal(buffer_data(&buffer), "1234567812", 10);
    buffer_deinit(&buffer);
}

static void test_buffer_emptied_gives_large_memory_back(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 1 << 20);
    uint8_t *room = buffer_reserve(&buffer, 200000);
    assert_non_null(room);
    memset(room, 1, 200000);
    buffer_commit(&buffer, 200000);
    buffer_consume(&buffer, 200000);
    assert_true(buffer.capacity <= 65536);
    assert_int_equal(buffer_append(&buffer, NULL, 0), 0);
    buffer_deinit(&buffer);
}

/* ---- arena ---- */

static void test_arena_hands_out_aligned_distinct_memory(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    uint8_t *previous = NULL;
    for (size_t size = 0; size < 300; size++) {
        uint8_t *memory = arena_alloc(&arena, size);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % _Alignof(max_align_t), 0);
        assert_ptr_not_equal(memory, previous);
        memset(memory, (int)size, size);
        previous = memory;
    }
    arena_deinit(&arena);
}

static void test_arena_refuses_beyond_the_cap(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 100);
    assert_non_null(arena_alloc(&arena, 64));
    assert_false(arena_is_exhausted(&arena));
    assert_null(arena_alloc(&arena, 64));
    assert_true(arena_is_exhausted(&arena));
    arena_deinit(&arena);
    assert_false(arena_is_exhausted(&arena));
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_null(arena_calloc(&arena, SIZE_MAX / 2, 3));
    arena_deinit(&arena);
}

static void test_arena_copies_texts(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 10000);
    assert_string_equal(arena_strndup(&arena, "abcdef", 3), "abc");
    assert_string_equal(arena_strdup(&arena, ""), "");
    assert_string_equal(arena_printf(&arena, "%d-%s", 5, "x"), "5-x");
    const uint8_t *zero = arena_calloc(&arena, 10, 10);
    for (int i = 0; i < 100; i++)
        assert_int_equal(zero[i], 0);
    arena_deinit(&arena);
}

/* ---- list ---- */

struct item {
    int number;
    struct list link; /* one of the lists below */
};

static void test_list_moves_and_survives_removal_while_walking(void **state)
{
    (void)state;
    struct list a;
    struct list b;
    list_init(&a);
    list_init(&b);
    struct item items[4] = {{.number = 0}, {.number = 1}, {.number = 2}, {.number = 3}};
    for (int i = 0; i < 4; i++)
        list_append(i < 2 ? &a : &b, &items[i].link);
    list_move_all(&a, &b);
    assert_true(list_is_empty(&b));
    int expected = 0;
    LIST_FOR_EACH_SAFE(link, &a)
    {
        assert_int_equal(CONTAINER_OF(link, struct item, link)->number, expected++);
        list_remove(link);
    }
    assert_int_equal(expected, 4);
    assert_true(list_is_empty(&a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buffer_keeps_bytes_in_order_while_it_moves),
        cmocka_unit_test(test_buffer_refuses_beyond_the_bound_unchanged),
        cmocka_unit_test(test_buffer_emptied_gives_large_memory_back),
        cmocka_unit_test(test_arena_hands_out_aligned_distinct_memory),
        cmocka_unit_test(test_arena_refuses_beyond_the_cap),
        cmocka_unit_test(test_arena_copies_texts),
        cmocka_unit_test(test_list_moves_and_survives_removal_while_walking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
