#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "flocks/v1/upgrade.names.h"

#include "client/upgrade/adopt.h"
#include "site.h"
#include "unit.h"

/* A root in which something lies, and its settings. */
struct trial {
    const char *root;
    struct update_settings settings;
    unsigned told;
};

static const char *in_root(const struct trial *trial, const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", trial->root, name);
    return path;
}

static void begin(struct trial *trial, const char *names)
{
    char update[128];
    (void)snprintf(update, sizeof update, "{adopt: [%s]}", names);
    *trial = (struct trial){.told = 0};
    trial->root = site_make_root(update, ".");
    site_load(trial->root, &trial->settings);
    assert_int_equal(mkdir(place_path(in_root(trial, "backend")), 0700), 0);
    place_write_text(in_root(trial, "backend/run.sh"), "x");
}

static void note_progress(void *data, const struct update_progress *progress)
{
    struct trial *trial = data;
    assert_int_equal(progress->step, FLOCKS_UPGRADE_STEP_ADOPTING);
    trial->told++;
}

static int adopt(struct trial *trial, const char *version, struct error *error)
{
    const struct update_adopt_request request = {.settings = &trial->settings,
        .version = version,
        .on_progress = note_progress,
        .data = trial};
    return update_adopt(&request, error);
}

static const char *target_of(const char *name)
{
    static char text[PATH_MAX];
    ssize_t len = readlink(place_path(name), text, sizeof text - 1);
    text[len < 0 ? 0 : len] = '\0';
    return text;
}

static void test_adopt_under_the_version_that_services_tell(void **state)
{
    (void)state;
    static const struct {
        const char *told;
        const char *target;
    } table[] = {{"1.4.0", "releases/1.4.0"}, {NULL, "releases/0.0.0"}, {"", "releases/0.0.0"},
        {"../x", "releases/0.0.0"}, {"dev build", "releases/0.0.0"}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct trial trial;
        begin(&trial, "backend, missing");
        assert_true(update_adopt_is_due(&trial.settings));
        assert_int_equal(adopt(&trial, table[i].told, NULL), 0);
        assert_string_equal(target_of(in_root(&trial, "current")), table[i].target);
        assert_string_equal(target_of(in_root(&trial, "backend")), "current/backend");
        assert_true(place_has(in_root(&trial, "backend/run.sh")));
        assert_int_equal(trial.told, 1);
        /* Once. */
        assert_false(update_adopt_is_due(&trial.settings));
        assert_int_equal(update_adopt_continue(&trial.settings, NULL), UPDATE_ADOPT_NOTHING);
        assert_int_equal(adopt(&trial, "2.0.0", NULL), UPDATE_ADOPT_NOTHING);
        assert_string_equal(target_of(in_root(&trial, "current")), table[i].target);
        site_unload(&trial.settings);
    }
}

static void test_adopt_is_not_due_and_touches_nothing(void **state)
{
    (void)state;
    struct trial trial;
    begin(&trial, "missing, link");
    assert_int_equal(symlink("elsewhere", place_path(in_root(&trial, "link"))), 0);
    assert_false(update_adopt_is_due(&trial.settings));
    assert_int_equal(update_adopt_continue(&trial.settings, NULL), UPDATE_ADOPT_NOTHING);
    assert_false(place_has(in_root(&trial, "releases")));
    site_unload(&trial.settings);
    begin(&trial, "backend");
    site_add_release(trial.root, "1.0.0", true);
    assert_false(update_adopt_is_due(&trial.settings));
    site_unload(&trial.settings);
}

static void test_adopt_refuses_what_it_cannot(void **state)
{
    (void)state;
    struct trial trial;
    struct error error = ERROR_INIT;
    begin(&trial, "backend, logs");
    assert_int_equal(adopt(&trial, NULL, &error), -STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "adopting 'logs'"));
    assert_non_null(strstr(error.hint, "update.adopt"));
    assert_false(place_has(in_root(&trial, "current")));
    assert_string_equal(target_of(in_root(&trial, "backend")), "");
    site_unload(&trial.settings);
}

static void test_adopt_continues_what_was_cut_off(void **state)
{
    (void)state;
    struct trial trial;
    begin(&trial, "backend");
    /* Published, and not yet current. */
    site_add_release(trial.root, "1.4.0", false);
    assert_int_equal(
        symlink("../../backend.adopt", place_path(in_root(&trial, "releases/1.4.0/backend"))), 0);
    assert_true(update_adopt_is_due(&trial.settings));
    assert_int_equal(update_adopt_continue(&trial.settings, NULL), 0);
    assert_string_equal(target_of(in_root(&trial, "current")), "releases/1.4.0");
    assert_true(place_has(in_root(&trial, "backend/run.sh")));
    assert_string_equal(site_names(in_root(&trial, "releases/1.4.0")), "backend ");
    site_unload(&trial.settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adopt_under_the_version_that_services_tell),
        cmocka_unit_test(test_adopt_is_not_due_and_touches_nothing),
        cmocka_unit_test(test_adopt_refuses_what_it_cannot),
        cmocka_unit_test(test_adopt_continues_what_was_cut_off),
    };
    return cmocka_run_group_tests(tests, place_open, place_close);
}
