/* Against minisign itself, which makes keys and signatures. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "client/updater/signature.h"
#include "common/base/fd.h"
#include "place.h"
#include "unit.h"

enum { CONTENT_BYTES = 3 * 1024 * 1024 + 7 };

static void make_key(const char *name)
{
    char public[64];
    char secret[64];
    (void)snprintf(public, sizeof public, "%s.pub", name);
    (void)snprintf(secret, sizeof secret, "%s.key", name);
    place_run(
        (const char *const[]){"minisign", "-G", "-W", "-f", "-p", public, "-s", secret, NULL});
}

/* `form`: "-l" for the legacy one, "-H" for the present one. */
static void sign(const char *key, const char *file, const char *form, const char *out)
{
    char secret[64];
    (void)snprintf(secret, sizeof secret, "%s.key", key);
    place_run((const char *const[]){
        "minisign", "-S", form, "-W", "-s", secret, "-m", file, "-x", out, NULL});
}

static int set_up(void **state)
{
    (void)place_open(state);
    make_key("ours");
    make_key("second");
    make_key("strange");
    place_write_noise("release.tar.xz", CONTENT_BYTES, 1);
    place_write_text("empty", "");
    sign("ours", "release.tar.xz", "-H", "hashed");
    sign("ours", "release.tar.xz", "-l", "legacy");
    sign("strange", "release.tar.xz", "-H", "strange");
    sign("ours", "empty", "-l", "empty.legacy");
    sign("ours", "empty", "-H", "empty.hashed");
    return 0;
}

static struct signature_key read_key(const char *name)
{
    char *text = place_read(name, NULL);
    struct signature_key key;
    struct error error = ERROR_INIT;
    assert_int_equal(signature_key_parse(text, strlen(text), &key, &error), 0);
    free(text);
    return key;
}

static void read_signature(const char *name, struct signature *out)
{
    size_t len = 0;
    char *text = place_read(name, &len);
    struct error error = ERROR_INIT;
    assert_int_equal(signature_parse(text, len, "release.tar.xz", out, &error), 0);
    free(text);
}

static int verify(const struct signature *signature, const char *const *keys, size_t n_keys,
    const char *file, struct error *error)
{
    struct signature_key read[2];
    for (size_t i = 0; i < n_keys; i++)
        read[i] = read_key(keys[i]);
    CLEANUP(fd_close) int fd = place_open_file(file);
    return signature_verify(signature, read, n_keys, fd, file, -1, error);
}

static const char *const OURS[] = {"ours.pub"};
static const char *const BOTH[] = {"second.pub", "ours.pub"};

/* ---- good ones ---- */

static void test_signature_of_minisign_both_forms_hold(void **state)
{
    (void)state;
    static struct signature signature;
    struct error error = ERROR_INIT;
    read_signature("hashed", &signature);
    assert_true(signature.is_prehashed);
    assert_int_equal(verify(&signature, OURS, 1, "release.tar.xz", &error), 0);
    read_signature("legacy", &signature);
    assert_false(signature.is_prehashed);
    assert_int_equal(verify(&signature, OURS, 1, "release.tar.xz", &error), 0);
    read_signature("empty.legacy", &signature);
    assert_int_equal(verify(&signature, OURS, 1, "empty", &error), 0);
    read_signature("empty.hashed", &signature);
    assert_int_equal(verify(&signature, OURS, 1, "empty", &error), 0);
}

static void test_signature_several_keys_the_right_one_is_used(void **state)
{
    (void)state;
    static struct signature signature;
    struct error error = ERROR_INIT;
    read_signature("hashed", &signature);
    assert_int_equal(verify(&signature, BOTH, 2, "release.tar.xz", &error), 0);
}

static void test_signature_does_not_move_the_descriptor(void **state)
{
    (void)state;
    static struct signature signature;
    read_signature("hashed", &signature);
    struct signature_key key = read_key("ours.pub");
    struct error error = ERROR_INIT;
    CLEANUP(fd_close) int fd = place_open_file("release.tar.xz");
    assert_int_equal(lseek(fd, 17, SEEK_SET), 17);
    assert_int_equal(signature_verify(&signature, &key, 1, fd, "release", -1, &error), 0);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 17);
}

static void test_signature_comment_tells_the_name(void **state)
{
    (void)state;
    static struct signature signature;
    char value[64];
    read_signature("hashed", &signature);
    assert_true(signature_comment_field(&signature, "file", value, sizeof value));
    assert_string_equal(value, "release.tar.xz");
    assert_true(signature_comment_field(&signature, "timestamp", value, sizeof value));
    assert_true(strtol(value, NULL, 10) > 1700000000);
    assert_false(signature_comment_field(&signature, "fil", value, sizeof value));
    assert_false(signature_comment_field(&signature, "version", value, sizeof value));
    assert_false(signature_comment_field(&signature, "file", value, strlen("release.tar.xz")));
    assert_true(signature_comment_field(&signature, "file", value, sizeof "release.tar.xz"));
}

static void test_key_line_and_file_are_the_same_key(void **state)
{
    (void)state;
    char *text = place_read("ours.pub", NULL);
    struct signature_key whole = read_key("ours.pub");
    struct signature_key line;
    struct error error = ERROR_INIT;
    const char *start = strchr(text, '\n') + 1;
    assert_int_equal(signature_key_parse(start, strcspn(start, "\n"), &line, &error), 0);
    assert_memory_equal(&whole, &line, sizeof whole);
    char id[SIGNATURE_KEY_ID_SIZE];
    signature_key_id_text(line.id, id);
    /* minisign writes the id into the comment. */
    assert_non_null(strstr(text, id));
    free(text);
}

static void test_key_id_is_written_as_minisign_does(void **state)
{
    (void)state;
    char id[SIGNATURE_KEY_ID_SIZE];
    signature_key_id_text((const uint8_t[]){8, 7, 6, 5, 4, 3, 2, 0xf1}, id);
    assert_string_equal(id, "F102030405060708");
    signature_key_id_text((const uint8_t[]){8, 7, 6, 5, 4, 3, 2, 0}, id);
    assert_string_equal(id, "2030405060708");
    signature_key_id_text((const uint8_t[SIGNATURE_KEY_ID_BYTES]){0}, id);
    assert_string_equal(id, "0");
}

/* ---- bad ones ---- */

static void test_signature_by_another_key_is_unauthenticated(void **state)
{
    (void)state;
    static struct signature signature;
    struct error error = ERROR_INIT;
    char id[SIGNATURE_KEY_ID_SIZE];
    read_signature("strange", &signature);
    signature_key_id_text(signature.key_id, id);
    assert_int_equal(
        verify(&signature, OURS, 1, "release.tar.xz", &error), -STATUS_UNAUTHENTICATED);
    assert_non_null(strstr(error.text, id));
    assert_int_equal(
        verify(&signature, OURS, 0, "release.tar.xz", &error), -STATUS_UNAUTHENTICATED);
    assert_non_null(strstr(error.text, "no key"));
}

static void test_signature_by_another_key_under_our_id_is_data_loss(void **state)
{
    (void)state;
    static struct signature signature;
    struct error error = ERROR_INIT;
    read_signature("strange", &signature);
    struct signature_key ours = read_key("ours.pub");
    memcpy(signature.key_id, ours.id, sizeof ours.id);
    assert_int_equal(verify(&signature, OURS, 1, "release.tar.xz", &error), -STATUS_DATA_LOSS);
}

static void test_signature_of_an_altered_file_is_data_loss(void **state)
{
    (void)state;
    static struct signature signature;
    struct error error = ERROR_INIT;
    size_t len = 0;
    char *bytes = place_read("release.tar.xz", &len);
    bytes[len - 1] = (char)(bytes[len - 1] ^ 1);
    place_write("altered", bytes, len);
    place_write("cut", bytes, len - 1);
    free(bytes);
    static const char *const forms[] = {"hashed", "legacy"};
    for (size_t i = 0; i < ARRAY_LENGTH(forms); i++) {
        read_signature(forms[i], &signature);
        assert_int_equal(verify(&signature, OURS, 1, "altered", &error), -STATUS_DATA_LOSS);
        assert_non_null(strstr(error.text, "altered"));
        assert_int_equal(verify(&signature, OURS, 1, "cut", &error), -STATUS_DATA_LOSS);
    }
    /* One form's signature is not taken for the other's. */
    signature.is_prehashed = !signature.is_prehashed;
    assert_int_equal(verify(&signature, OURS, 1, "release.tar.xz", &error), -STATUS_DATA_LOSS);
}

static void test_signature_with_an_altered_comment_is_data_loss(void **state)
{
    (void)state;
    static struct signature signature;
    struct error error = ERROR_INIT;
    read_signature("hashed", &signature);
    char *name = strstr(signature.comment, "release");
    assert_non_null(name);
    name[0] = 'R';
    assert_int_equal(verify(&signature, OURS, 1, "release.tar.xz", &error), -STATUS_DATA_LOSS);
    assert_non_null(strstr(error.text, "comment"));
}

static void test_signature_cancelled_while_reading(void **state)
{
    (void)state;
    static struct signature signature;
    struct error error = ERROR_INIT;
    struct signature_key key = read_key("ours.pub");
    CLEANUP(fd_close) int fd = place_open_file("release.tar.xz");
    CLEANUP(fd_close) int cancel = eventfd(1, EFD_CLOEXEC);
    read_signature("hashed", &signature);
    assert_int_equal(
        signature_verify(&signature, &key, 1, fd, "r", cancel, &error), -STATUS_CANCELLED);
    read_signature("legacy", &signature);
    assert_int_equal(
        signature_verify(&signature, &key, 1, fd, "r", cancel, &error), -STATUS_CANCELLED);
}

static void test_signature_legacy_of_a_large_file_is_refused(void **state)
{
    (void)state;
    static struct signature signature;
    struct error error = ERROR_INIT;
    place_write_text("large", "");
    assert_int_equal(truncate(place_path("large"), (off_t)SIGNATURE_LEGACY_BYTES_MAX + 1), 0);
    read_signature("legacy", &signature);
    assert_int_equal(verify(&signature, OURS, 1, "large", &error), -STATUS_RESOURCE_EXHAUSTED);
}

static void check_refused(const char *text, size_t len, int result, const char *why)
{
    static struct signature signature;
    struct error error = ERROR_INIT;
    assert_int_equal(signature_parse(text, len, "release.tar.xz", &signature, &error), result);
    assert_non_null(strstr(error.text, "release.tar.xz"));
    if (strstr(error.text, why) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", why, error.text);
    assert_true(strlen(error.hint) > 0);
}

static void check_refused_text(const char *text, const char *why)
{
    check_refused(text, strlen(text), -STATUS_INVALID_ARGUMENT, why);
}

static void test_signature_text_that_is_none_is_refused(void **state)
{
    (void)state;
    check_refused("", 0, -STATUS_NOT_FOUND, "not signed");
    check_refused("\r\n\n", 3, -STATUS_NOT_FOUND, "not signed");
    check_refused_text("<!doctype html>\n", "untrusted comment");
    check_refused_text("untrusted comment: x\n", "after the first line");
    check_refused_text("untrusted comment: x\nAAAA\n", "second line");
    static char longer[SIGNATURE_TEXT_MAX + 1];
    memset(longer, 'x', sizeof longer);
    check_refused(longer, sizeof longer, -STATUS_INVALID_ARGUMENT, "too long");
}

/* Every beginning of a good one, and good ones with something put into them. */
static void test_signature_text_that_is_cut_is_refused(void **state)
{
    (void)state;
    static struct signature signature;
    size_t len = 0;
    char *text = place_read("hashed", &len);
    for (size_t cut = 0; cut + 1 < len; cut++) {
        struct error error = ERROR_INIT;
        assert_true(signature_parse(text, cut, "r", &signature, &error) < 0);
    }
    char *comment = strstr(text, "timestamp");
    assert_non_null(comment);
    comment[0] = '\x1b';
    check_refused(text, len, -STATUS_INVALID_ARGUMENT, "plain text");
    free(text);
    text = place_read("hashed", &len);
    char *more = malloc(len + 2);
    assert_non_null(more);
    memcpy(more, text, len);
    memcpy(more + len, "x\n", 2);
    check_refused(more, len + 2, -STATUS_INVALID_ARGUMENT, "more text");
    free(more);
    free(text);
}

static void test_signature_lines_may_end_as_on_windows(void **state)
{
    (void)state;
    static struct signature signature;
    struct error error = ERROR_INIT;
    size_t len = 0;
    char *text = place_read("hashed", &len);
    char *other = malloc(2 * len);
    size_t n = 0;
    assert_non_null(other);
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\n')
            other[n++] = '\r';
        other[n++] = text[i];
    }
    assert_int_equal(signature_parse(other, n, "r", &signature, &error), 0);
    assert_int_equal(verify(&signature, OURS, 1, "release.tar.xz", &error), 0);
    free(other);
    free(text);
}

static void check_key_refused(const char *text, const char *why)
{
    struct signature_key key;
    struct error error = ERROR_INIT;
    assert_int_equal(
        signature_key_parse(text, strlen(text), &key, &error), -STATUS_INVALID_ARGUMENT);
    if (strstr(error.text, why) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", why, error.text);
}

static void test_key_that_is_none_is_refused(void **state)
{
    (void)state;
    char *secret = place_read("ours.key", NULL);
    check_key_refused(secret, "secret key");
    free(secret);
    char *signature = place_read("hashed", NULL);
    check_key_refused(signature, "a signature");
    free(signature);
    check_key_refused("", "empty");
    check_key_refused("untrusted comment: minisign public key", "only a comment");
    check_key_refused("RWQ", "base64");
    check_key_refused(
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "another algorithm");
    char *text = place_read("ours.pub", NULL);
    char more[512];
    (void)snprintf(more, sizeof more, "%s%s", text, text);
    check_key_refused(more, "more text");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signature_of_minisign_both_forms_hold),
        cmocka_unit_test(test_signature_several_keys_the_right_one_is_used),
        cmocka_unit_test(test_signature_does_not_move_the_descriptor),
        cmocka_unit_test(test_signature_comment_tells_the_name),
        cmocka_unit_test(test_key_line_and_file_are_the_same_key),
        cmocka_unit_test(test_key_id_is_written_as_minisign_does),
        cmocka_unit_test(test_signature_by_another_key_is_unauthenticated),
        cmocka_unit_test(test_signature_by_another_key_under_our_id_is_data_loss),
        cmocka_unit_test(test_signature_of_an_altered_file_is_data_loss),
        cmocka_unit_test(test_signature_with_an_altered_comment_is_data_loss),
        cmocka_unit_test(test_signature_cancelled_while_reading),
        cmocka_unit_test(test_signature_legacy_of_a_large_file_is_refused),
        cmocka_unit_test(test_signature_text_that_is_none_is_refused),
        cmocka_unit_test(test_signature_text_that_is_cut_is_refused),
        cmocka_unit_test(test_signature_lines_may_end_as_on_windows),
        cmocka_unit_test(test_key_that_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, place_close);
}
