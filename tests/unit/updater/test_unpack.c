/* Good and hostile archives, made by Python's tarfile and zipfile (archives.py). */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/updater/archive_path.h"
#include "client/updater/unpack.h"
#include "common/base/fd.h"
#include "common/release/tree.h"
#include "place.h"
#include "unit.h"

enum { HOLE_BYTES = 64 << 20, DEPTH_BYTES = 2 * ARCHIVE_PATH_DEPTH_MAX };

static int set_up(void **state)
{
    (void)place_open(state);
    /* Modes are the archive's, whatever the umask says. */
    (void)umask(077);
    place_run((const char *const[]){"/usr/bin/python3", ARCHIVES, NULL});
    return 0;
}

static int unpack_with(const char *name, struct unpack_request request, struct unpack_outcome *out,
    struct error *error)
{
    CLEANUP(fd_close) int fd = place_open_file(name);
    request.fd = fd;
    request.name = name;
    request.directory = place_path("out");
    return unpack(&request, out, error);
}

static int unpack_named(const char *name, struct unpack_outcome *out, struct error *error)
{
    return unpack_with(name, (struct unpack_request){.cancel_fd = -1}, out, error);
}

static void clear(void)
{
    assert_int_equal(tree_remove_path(place_path("out"), NULL), 0);
    assert_false(place_has("out"));
}

static int tear_down(void **state)
{
    (void)state;
    return tree_remove_path(place_path("out"), NULL);
}

static void check_file(const char *name, const char *content, mode_t mode)
{
    struct stat status;
    assert_int_equal(lstat(place_path(name), &status), 0);
    if (!S_ISREG(status.st_mode) || (status.st_mode & 07777) != mode)
        fail_msg("%s has mode %o, not %o", name, (unsigned)status.st_mode, (unsigned)mode);
    char *text = place_read(name, NULL);
    assert_string_equal(text, content);
    free(text);
}

static void check_link(const char *name, const char *target)
{
    char found[256];
    ssize_t n = readlink(place_path(name), found, sizeof found - 1);
    assert_true(n > 0);
    found[n] = '\0';
    assert_string_equal(found, target);
}

/* ---- good ones ---- */

static void check_release_tree(void)
{
    check_file("out/bin/flocks", "#!/bin/sh\necho 1.2.0\n", 0755);
    check_file("out/README.md", "read me\n", 0644);
    check_file("out/root-tool", "tool", 0755);
    check_file("out/secret", "secret", 0400);
    check_file("out/closed/inside", "inside", 0644);
    check_file("out/文档/说明.txt", "你好\n", 0644);
    check_file("out/flocks-1.2.0", "same name as the top", 0644);
    check_file("out/hard", "#!/bin/sh\necho 1.2.0\n", 0755);
    check_file("out/empty", "", 0644);
    check_link("out/current", "bin/flocks");
    check_link("out/文档/up", "../README.md");
    struct stat status;
    assert_int_equal(stat(place_path("out/closed"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    assert_int_equal(stat(place_path("out"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0755);
}

static void check_release(const char *archive)
{
    struct unpack_outcome outcome;
    struct error error = ERROR_INIT;
    if (unpack_named(archive, &outcome, &error) != 0)
        fail_msg("%s: %s", archive, error.text);
    assert_true(outcome.is_unwrapped);
    assert_true(outcome.progress.entries >= 14);
    check_release_tree();
    clear();
}

static void test_unpack_every_format_gives_the_same_tree(void **state)
{
    (void)state;
    check_release("release.tar");
    check_release("release.tar.gz");
    check_release("release.tar.xz");
    check_release("release.tar.zst");
    check_release("release.zip");
    check_release("gnu.tar");
}

static void test_unpack_hard_link_is_one_file(void **state)
{
    (void)state;
    struct unpack_outcome outcome;
    struct stat one;
    struct stat other;
    assert_int_equal(unpack_named("release.tar", &outcome, NULL), 0);
    assert_int_equal(stat(place_path("out/bin/flocks"), &one), 0);
    assert_int_equal(stat(place_path("out/hard"), &other), 0);
    assert_true(one.st_ino == other.st_ino);
    clear();
}

static void test_unpack_only_a_single_directory_is_left_out(void **state)
{
    (void)state;
    struct unpack_outcome outcome;
    assert_int_equal(unpack_named("two.tar", &outcome, NULL), 0);
    assert_false(outcome.is_unwrapped);
    check_file("out/a/x", "1", 0644);
    check_file("out/b/x", "2", 0644);
    clear();
    assert_int_equal(unpack_named("file.tar", &outcome, NULL), 0);
    assert_false(outcome.is_unwrapped);
    check_file("out/alone", "1", 0644);
    clear();
    assert_int_equal(unpack_named("dot.tar", &outcome, NULL), 0);
    assert_true(outcome.is_unwrapped);
    check_file("out/x", "1", 0644);
    check_file("out/y", "2", 0644);
    clear();
    assert_int_equal(unpack_named("links.tar", &outcome, NULL), 0);
    assert_true(outcome.is_unwrapped);
    check_link("out/l", "nowhere");
    clear();
}

static void test_unpack_a_hole_stays_one(void **state)
{
    (void)state;
    struct unpack_outcome outcome;
    struct error error = ERROR_INIT;
    struct stat status;
    /* 64 MiB of nothing in 10 KiB is beyond the ratio. */
    assert_int_equal(unpack_named("sparse.tar", &outcome, &error), -STATUS_RESOURCE_EXHAUSTED);
    assert_false(place_has("out"));
    size_t len = 0;
    char *bytes = place_read("sparse.tar", &len);
    place_write("padded.tar", bytes, len);
    free(bytes);
    /* What follows the end of a tar archive is not read, but makes the file larger. */
    assert_int_equal(truncate(place_path("padded.tar"), 1 << 20), 0);
    assert_int_equal(unpack_named("padded.tar", &outcome, &error), 0);
    assert_int_equal(stat(place_path("out/hole"), &status), 0);
    assert_int_equal(status.st_size, HOLE_BYTES);
    assert_true(status.st_blocks < 100);
    assert_int_equal(outcome.progress.bytes_written, status.st_size);
    clear();
}

static void test_unpack_reads_from_the_first_byte(void **state)
{
    (void)state;
    struct unpack_outcome outcome;
    struct error error = ERROR_INIT;
    CLEANUP(fd_close) int fd = place_open_file("release.zip");
    assert_int_equal(lseek(fd, 100, SEEK_SET), 100);
    struct unpack_request request = {
        .fd = fd, .name = "r", .directory = place_path("out/"), .cancel_fd = -1};
    assert_int_equal(unpack(&request, &outcome, &error), 0);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 100);
    clear();
}

/* ---- hostile ones ---- */

struct hostile {
    const char *archive;
    int result;
    const char *why;
};

static void check_hostile(const struct hostile *row)
{
    struct unpack_outcome outcome;
    struct error error = ERROR_INIT;
    int result = unpack_named(row->archive, &outcome, &error);
    if (result != row->result || strstr(error.text, row->why) == NULL ||
        strstr(error.text, row->archive) == NULL)
        fail_msg("%s: %d, \"%s\"", row->archive, result, error.text);
    for (const char *at = error.text; *at != '\0'; at++)
        assert_true((unsigned char)*at >= ' ');
    assert_true(strlen(error.hint) > 0 || row->result == -STATUS_INVALID_ARGUMENT);
    /* Nothing is left, and nothing lies where it was meant to go. */
    assert_false(place_has("out"));
    assert_false(place_has("flocks-escaped"));
    assert_false(access("/tmp/flocks-escaped", F_OK) == 0);
}

static void test_unpack_hostile_archive_is_refused_and_removed(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct hostile table[] = {
        {"absolute.tar", -STATUS_INVALID_ARGUMENT, "absolute"},
        {"parent.tar", -STATUS_INVALID_ARGUMENT, ".."},
        {"inner-parent.tar", -STATUS_INVALID_ARGUMENT, ".."},
        {"parent.zip", -STATUS_INVALID_ARGUMENT, ".."},
        {"newline.tar", -STATUS_INVALID_ARGUMENT, "plain text"},
        {"escape.tar", -STATUS_INVALID_ARGUMENT, "plain text"},
        {"deep.tar", -STATUS_INVALID_ARGUMENT, "too deep"},
        {"long.tar", -STATUS_INVALID_ARGUMENT, "too long"},
        {"long-name.tar", -STATUS_INVALID_ARGUMENT, "too long"},
        {"latin1.tar", -STATUS_INVALID_ARGUMENT, ""},
        {"fifo.tar", -STATUS_INVALID_ARGUMENT, "neither file"},
        {"character.tar", -STATUS_INVALID_ARGUMENT, "neither file"},
        {"block.tar", -STATUS_INVALID_ARGUMENT, "neither file"},
        {"link-absolute.tar", -STATUS_INVALID_ARGUMENT, "absolute"},
        {"link.zip", -STATUS_INVALID_ARGUMENT, "absolute"},
        {"link-parent.tar", -STATUS_INVALID_ARGUMENT, "outside"},
        {"link-deep-parent.tar", -STATUS_INVALID_ARGUMENT, "outside"},
        {"link-zigzag.tar", -STATUS_INVALID_ARGUMENT, "after a name"},
        {"link-chain.tar", -STATUS_INVALID_ARGUMENT, "after a name"},
        {"link-empty.tar", -STATUS_INVALID_ARGUMENT, ""},
        {"link-unwrapped.tar", -STATUS_INVALID_ARGUMENT, "outside"},
        {"through-link.tar", -STATUS_INVALID_ARGUMENT, "twice"},
        {"link-then-file.tar", -STATUS_INVALID_ARGUMENT, "twice"},
        {"file-then-below.tar", -STATUS_INVALID_ARGUMENT, "in the place of"},
        {"top-is-link.tar", -STATUS_INVALID_ARGUMENT, "twice"},
        {"hard-outside.tar", -STATUS_INVALID_ARGUMENT, "outside"},
        {"hard-absolute.tar", -STATUS_INVALID_ARGUMENT, "outside"},
        {"hard-missing.tar", -STATUS_INVALID_ARGUMENT, "no file of the archive"},
        {"hard-to-link.tar", -STATUS_INVALID_ARGUMENT, "no file of the archive"},
        {"hard-to-directory.tar", -STATUS_INVALID_ARGUMENT, "no file of the archive"},
        {"twice.tar", -STATUS_INVALID_ARGUMENT, "twice"},
        {"empty.tar", -STATUS_INVALID_ARGUMENT, "no file"},
        {"bomb.tar.gz", -STATUS_RESOURCE_EXHAUSTED, "for its size"},
        {"bomb.zip", -STATUS_RESOURCE_EXHAUSTED, "for its size"},
        {"cut.tar.xz", -STATUS_DATA_LOSS, "not whole"},
        {"cut.tar.gz", -STATUS_DATA_LOSS, "not whole"},
        {"flipped.zip", -STATUS_DATA_LOSS, "damaged"},
        {"page.html", -STATUS_INVALID_ARGUMENT, "no tar or zip"},
        {"nothing", -STATUS_INVALID_ARGUMENT, ""},
    };
    /* clang-format on */
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
        check_hostile(&table[i]);
}

/* Cut after every so many bytes: unpacked whole, or refused; never half. */
static void test_unpack_cut_anywhere_leaves_nothing(void **state)
{
    (void)state;
    static const char *const archives[] = {
        "release.tar.xz", "release.tar.gz", "release.zip", "release.tar.zst"};
    for (size_t i = 0; i < ARRAY_LENGTH(archives); i++) {
        size_t len = 0;
        char *bytes = place_read(archives[i], &len);
        for (size_t cut = 0; cut < len; cut += 97) {
            struct unpack_outcome outcome;
            struct error error = ERROR_INIT;
            place_write("cut", bytes, cut);
            int result = unpack_named("cut", &outcome, &error);
            /* The last few bytes are checksums and padding: everything was there before them. */
            if (result == 0)
                check_release_tree();
            else if (result != -STATUS_DATA_LOSS && result != -STATUS_INVALID_ARGUMENT)
                fail_msg("%s cut at %zu: %d, %s", archives[i], cut, result, error.text);
            assert_int_equal(place_has("out"), result == 0);
            clear();
        }
        free(bytes);
    }
}

/* ---- bounds ---- */

static void test_unpack_counts_files_and_needed_directories(void **state)
{
    (void)state;
    struct unpack_outcome outcome;
    struct error error = ERROR_INIT;
    struct unpack_request request = {.cancel_fd = -1, .entries_max = 199};
    assert_int_equal(
        unpack_with("many.tar", request, &outcome, &error), -STATUS_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(error.text, "more files"));
    assert_false(place_has("out"));
    request.entries_max = 200;
    assert_int_equal(unpack_with("many.tar", request, &outcome, &error), 0);
    assert_int_equal(outcome.progress.entries, 200);
    clear();
}

static void test_unpack_counts_bytes(void **state)
{
    (void)state;
    struct unpack_outcome outcome;
    struct error error = ERROR_INIT;
    assert_int_equal(unpack_named("release.tar", &outcome, &error), 0);
    uint64_t bytes = outcome.progress.bytes_written;
    clear();
    struct unpack_request request = {.cancel_fd = -1, .bytes_max = bytes - 1};
    assert_int_equal(
        unpack_with("release.tar", request, &outcome, &error), -STATUS_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(error.text, "more bytes"));
    assert_false(place_has("out"));
    request.bytes_max = bytes;
    assert_int_equal(unpack_with("release.tar", request, &outcome, &error), 0);
    clear();
}

/* ---- place ---- */

static void test_unpack_existing_directory_is_left_alone(void **state)
{
    (void)state;
    struct unpack_outcome outcome;
    struct error error = ERROR_INIT;
    assert_int_equal(mkdir(place_path("out"), 0700), 0);
    place_write_text("out/mine", "mine");
    assert_int_equal(unpack_named("release.tar", &outcome, &error), -STATUS_ALREADY_EXISTS);
    check_file("out/mine", "mine", 0600);
    clear();
    /* Nor through a link. */
    assert_int_equal(mkdir(place_path("elsewhere"), 0700), 0);
    assert_int_equal(symlink("elsewhere", place_path("out")), 0);
    assert_int_equal(unpack_named("release.tar", &outcome, &error), -STATUS_ALREADY_EXISTS);
    assert_int_equal(rmdir(place_path("elsewhere")), 0);
    assert_int_equal(unlink(place_path("out")), 0);
    struct unpack_request request = {
        .name = "r", .directory = place_path("no/out"), .cancel_fd = -1};
    CLEANUP(fd_close) int fd = place_open_file("release.tar");
    request.fd = fd;
    assert_int_equal(unpack(&request, &outcome, &error), -STATUS_NOT_FOUND);
}

static void cancel_after(void *data, const struct unpack_progress *progress)
{
    if (progress->entries == 5)
        assert_int_equal(eventfd_write(*(const int *)data, 1), 0);
}

static void test_unpack_cancelled_removes_what_it_made(void **state)
{
    (void)state;
    struct unpack_outcome outcome;
    struct error error = ERROR_INIT;
    CLEANUP(fd_close) int cancel = eventfd(0, EFD_CLOEXEC);
    struct unpack_request request = {
        .cancel_fd = cancel, .on_progress = cancel_after, .data = &cancel};
    assert_int_equal(unpack_with("release.tar.xz", request, &outcome, &error), -STATUS_CANCELLED);
    assert_false(place_has("out"));
}

static int open_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    assert_non_null(directory);
    int n = 0;
    while (readdir(directory) != NULL)
        n++;
    (void)closedir(directory);
    return n;
}

static void test_unpack_leaves_no_descriptor_open(void **state)
{
    (void)state;
    struct unpack_outcome outcome;
    int before = open_descriptors();
    assert_int_equal(unpack_named("release.zip", &outcome, NULL), 0);
    clear();
    assert_int_equal(unpack_named("link-chain.tar", &outcome, NULL), -STATUS_INVALID_ARGUMENT);
    assert_int_equal(unpack_named("cut.tar.xz", &outcome, NULL), -STATUS_DATA_LOSS);
    assert_int_equal(open_descriptors(), before);
}

/* ---- trees ---- */

static void test_tree_remove_does_not_follow_links(void **state)
{
    (void)state;
    assert_int_equal(mkdir(place_path("kept"), 0700), 0);
    place_write_text("kept/file", "kept");
    assert_int_equal(mkdir(place_path("tree"), 0700), 0);
    assert_int_equal(symlink("../kept", place_path("tree/link")), 0);
    assert_int_equal(mkdir(place_path("tree/locked"), 0700), 0);
    place_write_text("tree/locked/file", "x");
    assert_int_equal(chmod(place_path("tree/locked"), 0), 0);
    assert_int_equal(tree_remove_path(place_path("tree"), NULL), 0);
    assert_false(place_has("tree"));
    check_file("kept/file", "kept", 0600);
    assert_int_equal(symlink("kept", place_path("link")), 0);
    assert_int_equal(tree_remove_path(place_path("link"), NULL), 0);
    check_file("kept/file", "kept", 0600);
    assert_int_equal(tree_remove_path(place_path("link"), NULL), 0);
    assert_int_equal(tree_remove_path(place_path("kept"), NULL), 0);
}

/* ---- paths ---- */

static void test_archive_path_normal_form(void **state)
{
    (void)state;
    char out[ARCHIVE_PATH_MAX + 1];
    assert_null(archive_path_clean("./a//b/./c/", out));
    assert_string_equal(out, "a/b/c");
    assert_int_equal(archive_path_depth(out), 3);
    assert_null(archive_path_clean("././", out));
    assert_string_equal(out, "");
    assert_int_equal(archive_path_depth(out), 0);
    assert_null(archive_path_clean("a/...b/..c", out));
    assert_non_null(archive_path_clean("", out));
    assert_non_null(archive_path_clean("a/..", out));
    char text[2 * ARCHIVE_PATH_MAX];
    memset(text, 'a', sizeof text);
    for (size_t i = 100; i < sizeof text; i += 100)
        text[i] = '/';
    text[ARCHIVE_PATH_MAX] = '\0';
    assert_null(archive_path_clean(text, out));
    text[ARCHIVE_PATH_MAX] = 'a';
    text[ARCHIVE_PATH_MAX + 1] = '\0';
    assert_non_null(archive_path_clean(text, out));
}

static void test_archive_path_depth_is_bounded(void **state)
{
    (void)state;
    char text[DEPTH_BYTES + 3];
    char out[ARCHIVE_PATH_MAX + 1];
    for (size_t i = 0; i < sizeof text; i += 2)
        memcpy(text + i, "d/", i + 1 < sizeof text ? 2 : 1);
    text[DEPTH_BYTES] = '\0';
    assert_null(archive_path_clean(text, out));
    assert_int_equal(archive_path_depth(out), ARCHIVE_PATH_DEPTH_MAX);
    memcpy(text + DEPTH_BYTES, "d", 2);
    assert_non_null(archive_path_clean(text, out));
}

static void test_archive_path_links(void **state)
{
    (void)state;
    assert_null(archive_path_check_link("l", "a"));
    assert_null(archive_path_check_link("l", "./a/b"));
    assert_null(archive_path_check_link("a/l", ".."));
    assert_null(archive_path_check_link("a/b/l", "../../c"));
    assert_null(archive_path_check_link("a/l", "./../b"));
    assert_non_null(archive_path_check_link("l", ".."));
    assert_non_null(archive_path_check_link("a/l", "../.."));
    assert_non_null(archive_path_check_link("a/b/l", "../c/../d"));
    assert_non_null(archive_path_check_link("l", "/"));
    assert_non_null(archive_path_check_link("l", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_unpack_every_format_gives_the_same_tree, tear_down),
        cmocka_unit_test_teardown(test_unpack_hard_link_is_one_file, tear_down),
        cmocka_unit_test_teardown(test_unpack_only_a_single_directory_is_left_out, tear_down),
        cmocka_unit_test_teardown(test_unpack_a_hole_stays_one, tear_down),
        cmocka_unit_test_teardown(test_unpack_reads_from_the_first_byte, tear_down),
        cmocka_unit_test_teardown(test_unpack_hostile_archive_is_refused_and_removed, tear_down),
        cmocka_unit_test_teardown(test_unpack_cut_anywhere_leaves_nothing, tear_down),
        cmocka_unit_test_teardown(test_unpack_counts_files_and_needed_directories, tear_down),
        cmocka_unit_test_teardown(test_unpack_counts_bytes, tear_down),
        cmocka_unit_test_teardown(test_unpack_existing_directory_is_left_alone, tear_down),
        cmocka_unit_test_teardown(test_unpack_cancelled_removes_what_it_made, tear_down),
        cmocka_unit_test_teardown(test_unpack_leaves_no_descriptor_open, tear_down),
        cmocka_unit_test(test_tree_remove_does_not_follow_links),
        cmocka_unit_test(test_archive_path_normal_form),
        cmocka_unit_test(test_archive_path_depth_is_bounded),
        cmocka_unit_test(test_archive_path_links),
    };
    return cmocka_run_group_tests(tests, set_up, place_close);
}
