/* Lookups in a descriptor index that protoc-gen-crpc has made (tests/unit/crpc/protos). */
#include <stdio.h>

#include "common/rpc/index.h"
#include "crpc/indexed/v1/indexed.index.h"
#include "unit.h"

static const char *name_of(const struct crpc_index *index, uint32_t name)
{
    return index->names + name;
}

static void test_every_symbol_is_found_and_no_near_miss_is(void **state)
{
    const struct crpc_index *index = &indexed_index;
    (void)state;
    assert_true(index->n_symbols > 20);
    for (size_t i = 0; i < index->n_symbols; i++) {
        const char *name = name_of(index, index->symbols[i].name);
        char other[128];
        assert_ptr_equal(crpc_index_symbol(index, name), &index->symbols[i]);
        (void)snprintf(other, sizeof other, "%s.", name);
        assert_null(crpc_index_symbol(index, other));
        (void)snprintf(other, sizeof other, "%s0", name);
        assert_null(crpc_index_symbol(index, other));
        (void)snprintf(other, sizeof other, ".%s", name);
        assert_null(crpc_index_symbol(index, other));
        (void)snprintf(other, sizeof other, "%.*s", (int)strlen(name) - 1, name);
        assert_null(crpc_index_symbol(index, other));
    }
}

static void test_what_is_before_and_behind_all_names_is_not_found(void **state)
{
    static const char *const NAMES[] = {"", "\x01", "a", "crpc", "crpc.indexed.v1",
        "crpc.indexed.v1.", "crpc.indexed.v1.Zebra", "zebra", "\x7f", "\xff\xff"};
    size_t n = 0;
    (void)state;
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        assert_null(crpc_index_symbol(&indexed_index, NAMES[i]));
        assert_null(crpc_index_file(&indexed_index, NAMES[i]));
        assert_null(crpc_index_extensions(&indexed_index, NAMES[i], INT32_MIN, &n));
        assert_int_equal(n, 0);
    }
}

static void test_symbols_are_of_their_kind_and_file(void **state)
{
    static const struct {
        const char *name;
        enum crpc_symbol_kind kind;
        const char *file;
    } ROWS[] = {
        {"crpc.indexed.v1.Base", CRPC_SYMBOL_MESSAGE, "crpc/indexed/v1/base.proto"},
        {"crpc.indexed.v1.Outer.Inner", CRPC_SYMBOL_MESSAGE, "crpc/indexed/v1/indexed.proto"},
        {"crpc.indexed.v1.Outer.Inner.size", CRPC_SYMBOL_FIELD, "crpc/indexed/v1/indexed.proto"},
        {"crpc.indexed.v1.Outer.choice", CRPC_SYMBOL_ONEOF, "crpc/indexed/v1/indexed.proto"},
        {"crpc.indexed.v1.Outer.Inner.Size", CRPC_SYMBOL_ENUM, "crpc/indexed/v1/indexed.proto"},
        {"crpc.indexed.v1.Outer.Inner.SMALL", CRPC_SYMBOL_ENUM_VALUE,
            "crpc/indexed/v1/indexed.proto"},
        {"crpc.indexed.v1.RED", CRPC_SYMBOL_ENUM_VALUE, "crpc/indexed/v1/indexed.proto"},
        {"crpc.indexed.v1.early", CRPC_SYMBOL_EXTENSION, "crpc/indexed/v1/indexed.proto"},
        {"crpc.indexed.v1.Outer.inner", CRPC_SYMBOL_EXTENSION, "crpc/indexed/v1/indexed.proto"},
        {"crpc.indexed.v1.Finder", CRPC_SYMBOL_SERVICE, "crpc/indexed/v1/indexed.proto"},
        {"crpc.indexed.v1.Finder.Find", CRPC_SYMBOL_METHOD, "crpc/indexed/v1/indexed.proto"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        const struct crpc_index_symbol *symbol = crpc_index_symbol(&indexed_index, ROWS[i].name);
        assert_non_null(symbol);
        assert_int_equal(symbol->kind, ROWS[i].kind);
        assert_string_equal(
            name_of(&indexed_index, indexed_index.files[symbol->file].name), ROWS[i].file);
    }
}

static void test_every_file_is_found_and_no_near_miss_is(void **state)
{
    const struct crpc_index *index = &indexed_index;
    (void)state;
    assert_int_equal(index->n_files, 3);
    for (size_t i = 0; i < index->n_files; i++) {
        const char *name = name_of(index, index->files[i].name);
        char other[128];
        assert_ptr_equal(crpc_index_file(index, name), &index->files[i]);
        (void)snprintf(other, sizeof other, "./%s", name);
        assert_null(crpc_index_file(index, other));
        (void)snprintf(other, sizeof other, "%sx", name);
        assert_null(crpc_index_file(index, other));
    }
    assert_null(crpc_index_file(index, "indexed.proto"));
}

static void test_closure_is_the_file_itself_then_all_imports(void **state)
{
    const struct crpc_index *index = &indexed_index;
    const struct crpc_index_file *file = crpc_index_file(index, "crpc/indexed/v1/indexed.proto");
    (void)state;
    assert_int_equal(file->n_closure, 3);
    assert_ptr_equal(&index->files[index->closures[file->closure]], file);
    assert_string_equal(name_of(index, index->files[index->closures[file->closure + 1]].name),
        "crpc/indexed/v1/base.proto");
    assert_string_equal(name_of(index, index->files[index->closures[file->closure + 2]].name),
        "crpc/indexed/v1/link.proto");
}

static void test_extensions_are_found_by_number_and_as_a_run(void **state)
{
    size_t n = 0;
    (void)state;
    const struct crpc_index_extension *all =
        crpc_index_extensions(&indexed_index, "crpc.indexed.v1.Base", INT32_MIN, &n);
    assert_int_equal(n, 3);
    assert_int_equal(all[0].number, 100);
    assert_int_equal(all[1].number, 150);
    assert_int_equal(all[2].number, 1000);
    assert_ptr_equal(
        crpc_index_extensions(&indexed_index, "crpc.indexed.v1.Base", 150, &n), &all[1]);
    assert_int_equal(n, 2);
    assert_ptr_equal(
        crpc_index_extensions(&indexed_index, "crpc.indexed.v1.Base", 101, &n), &all[1]);
    assert_null(crpc_index_extensions(&indexed_index, "crpc.indexed.v1.Base", 1001, &n));
    assert_null(crpc_index_extensions(&indexed_index, "crpc.indexed.v1.Outer", 100, &n));
    assert_null(crpc_index_extensions(&indexed_index, "crpc.indexed.v1.Bas", 100, &n));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_symbol_is_found_and_no_near_miss_is),
        cmocka_unit_test(test_what_is_before_and_behind_all_names_is_not_found),
        cmocka_unit_test(test_symbols_are_of_their_kind_and_file),
        cmocka_unit_test(test_every_file_is_found_and_no_near_miss_is),
        cmocka_unit_test(test_closure_is_the_file_itself_then_all_imports),
        cmocka_unit_test(test_extensions_are_found_by_number_and_as_a_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
