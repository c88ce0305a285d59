/* Names to numbers, from texts of passwd(5) and group(5). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "common/base/attributes.h"
#include "common/config/account.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/bash\n"
                             "# a comment, and a line cut short:\n"
                             "short:x:7\n"
                             "www:x:33:33:www:/var/www:/usr/sbin/nologin\n"
                             "1000:x:44:44::/nowhere:/bin/sh\n"
                             "ann:x:1000:1001:Ann,,,:/home/ann:/bin/zsh";
static const char groups[] = "root:x:0:\n"
                             "www:x:33:ann\n"
                             "audio:x:29:bob,ann\n"
                             "annex:x:50:annex,bob\n"
                             "ann:x:1001:\n"
                             "broken:x:nine:ann\n";

static bool has_group(const struct account *account, gid_t gid)
{
    for (size_t i = 0; i < account->n_groups; i++) {
        if (account->groups[i] == gid)
            return true;
    }
    return false;
}

static void test_account_name_brings_its_groups(void **state)
{
    (void)state;
    struct account account;
    assert_int_equal(account_find(passwd, groups, "ann", "", &account, NULL), 0);
    assert_int_equal(account.uid, 1000);
    assert_int_equal(account.gid, 1001);
    assert_int_equal(account.n_groups, 3);
    assert_true(has_group(&account, 1001) && has_group(&account, 33) && has_group(&account, 29));
    assert_string_equal(account.name, "ann");
    assert_string_equal(account.home, "/home/ann");
    assert_string_equal(account.shell, "/bin/zsh");
}

static void test_account_group_replaces_the_users_own(void **state)
{
    (void)state;
    struct account account;
    assert_int_equal(account_find(passwd, groups, "www", "audio", &account, NULL), 0);
    assert_int_equal(account.gid, 29);
    assert_true(has_group(&account, 29));
    assert_int_equal(account_find(passwd, groups, "www", "77", &account, NULL), 0);
    assert_int_equal(account.gid, 77);
}

static void test_account_name_wins_over_a_number(void **state)
{
    (void)state;
    struct account account;
    assert_int_equal(account_find(passwd, groups, "1000", "", &account, NULL), 0);
    assert_int_equal(account.uid, 44);
}

static void test_account_number_finds_its_entry(void **state)
{
    (void)state;
    struct account account;
    assert_int_equal(account_find(passwd, groups, "33", "", &account, NULL), 0);
    assert_string_equal(account.name, "www");
}

static void test_account_number_without_entry_needs_a_group(void **state)
{
    (void)state;
    struct account account;
    assert_int_equal(
        account_find(passwd, groups, "4711", "", &account, NULL), -STATUS_INVALID_ARGUMENT);
    assert_int_equal(account_find(passwd, groups, "4711", "www", &account, NULL), 0);
    assert_int_equal(account.uid, 4711);
    assert_int_equal(account.n_groups, 1);
    assert_string_equal(account.name, "");
}

static void test_account_group_alone_keeps_our_user(void **state)
{
    (void)state;
    struct account account;
    assert_int_equal(account_find(passwd, groups, NULL, "audio", &account, NULL), 0);
    assert_int_equal(account.uid, geteuid());
    assert_int_equal(account.gid, 29);
}

static void test_account_unknown_names_are_refused(void **state)
{
    (void)state;
    static const char *const users[] = {"nobody-here", "an", "annn", "short", "-1", "4294967295"};
    struct account account;
    for (size_t i = 0; i < ARRAY_LENGTH(users); i++)
        assert_int_equal(
            account_find(passwd, groups, users[i], "0", &account, NULL), -STATUS_INVALID_ARGUMENT);
    assert_int_equal(
        account_find(passwd, groups, "ann", "broken", &account, NULL), -STATUS_INVALID_ARGUMENT);
}

static void test_account_too_many_groups_are_refused(void **state)
{
    (void)state;
    char many[8192] = "";
    size_t length = 0;
    struct account account;
    for (int i = 0; i < ACCOUNT_GROUPS_MAX; i++)
        length +=
            (size_t)snprintf(many + length, sizeof many - length, "g%d:x:%d:ann\n", i, 5000 + i);
    assert_int_equal(
        account_find(passwd, many, "ann", "", &account, NULL), -STATUS_RESOURCE_EXHAUSTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_account_name_brings_its_groups),
        cmocka_unit_test(test_account_group_replaces_the_users_own),
        cmocka_unit_test(test_account_name_wins_over_a_number),
        cmocka_unit_test(test_account_number_finds_its_entry),
        cmocka_unit_test(test_account_number_without_entry_needs_a_group),
        cmocka_unit_test(test_account_group_alone_keeps_our_user),
        cmocka_unit_test(test_account_unknown_names_are_refused),
        cmocka_unit_test(test_account_too_many_groups_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
