/* The index of somebody's protos against the descriptor set that protoc itself writes of them: the
 * same files, byte for byte, custom options and all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka wants these before it. */
#include <cmocka.h>

#include "common/rpc/index.h"
#include "common/rpc/wire.h"
#include "everything.index.h"

enum { SET_BYTES_MAX = 1 << 20, SET_FILE = 1, FILE_NAME = 1, FILE_DEPENDENCY = 3 };

static uint8_t set[SET_BYTES_MAX];
static size_t set_len;

static int read_set(void **state)
{
    (void)state;
    FILE *file = fopen(PLAIN_SET, "rbe");
    assert_non_null(file);
    set_len = fread(set, 1, sizeof set, file);
    assert_int_equal(fclose(file), 0);
    assert_true(set_len > 0 && set_len < sizeof set);
    return 0;
}

static const struct crpc_index_file *find(const struct rpc_wire_field *name)
{
    char text[256];
    (void)snprintf(text, sizeof text, "%.*s", (int)name->len, (const char *)name->data);
    return crpc_index_file(&everything_index, text);
}

/* The file's own name is its first field. */
static const struct crpc_index_file *find_file(const struct rpc_wire_field *file)
{
    struct rpc_wire_reader reader = rpc_wire_reader(file->data, file->len);
    struct rpc_wire_field name;
    assert_int_equal(rpc_wire_next(&reader, &name), 1);
    assert_int_equal(name.number, FILE_NAME);
    return find(&name);
}

static void test_every_file_is_there_byte_for_byte(void **state)
{
    struct rpc_wire_reader reader = rpc_wire_reader(set, set_len);
    struct rpc_wire_field file;
    size_t n = 0;
    (void)state;
    while (rpc_wire_next(&reader, &file) > 0) {
        const struct crpc_index_file *row = find_file(&file);
        assert_non_null(row);
        assert_int_equal(row->descriptor_len, file.len);
        assert_memory_equal(everything_index.descriptors + row->descriptor, file.data, file.len);
        n++;
    }
    assert_true(n > 10);
    assert_int_equal(everything_index.n_files, n);
}

static bool is_in_closure(const struct crpc_index_file *of, const struct crpc_index_file *file)
{
    const uint32_t *closure = everything_index.closures + of->closure;
    for (uint32_t i = 0; i < of->n_closure; i++) {
        if (&everything_index.files[closure[i]] == file)
            return true;
    }
    return false;
}

static void test_closures_are_closed(void **state)
{
    struct rpc_wire_reader reader = rpc_wire_reader(set, set_len);
    struct rpc_wire_field file;
    (void)state;
    while (rpc_wire_next(&reader, &file) > 0) {
        struct rpc_wire_reader fields = rpc_wire_reader(file.data, file.len);
        struct rpc_wire_field field;
        const struct crpc_index_file *importer = find_file(&file);
        while (rpc_wire_next(&fields, &field) > 0) {
            if (field.number != FILE_DEPENDENCY)
                continue;
            /* Whoever has the importer has what it imports. */
            for (size_t i = 0; i < everything_index.n_files; i++) {
                if (is_in_closure(&everything_index.files[i], importer))
                    assert_true(is_in_closure(&everything_index.files[i], find(&field)));
            }
        }
    }
}

static void test_extension_of_an_imported_message_is_known(void **state)
{
    size_t n = 0;
    (void)state;
    assert_non_null(
        crpc_index_extensions(&everything_index, "google.protobuf.FieldOptions", 51234, &n));
    assert_non_null(crpc_index_extensions(&everything_index, "stranger.legacy.Old", 100, &n));
    assert_non_null(crpc_index_symbol(&everything_index, "stranger.legacy.remark"));
    assert_non_null(crpc_index_symbol(&everything_index, "stranger.legacy.Old.Part.index"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_file_is_there_byte_for_byte),
        cmocka_unit_test(test_closures_are_closed),
        cmocka_unit_test(test_extension_of_an_imported_message_is_known),
    };
    return cmocka_run_group_tests(tests, read_set, NULL);
}
