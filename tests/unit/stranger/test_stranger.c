/* Protos of somebody who never heard of flocks (tests/fixtures/stranger), generated without a
 * single parameter: every method of every service, in all four kinds, with a server and a client in
 * one process. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
/* cmocka wants these before it. */
#include <cmocka.h>

#include "messages.h"
#include "stranger/Awkward2/awkward-names.client.h"
#include "stranger/Awkward2/awkward-names.server.h"
#include "stranger/comments.client.h"
#include "stranger/comments.info.h"
#include "stranger/comments.server.h"
#include "stranger/common/base.info.h"
#include "stranger/legacy.client.h"
#include "stranger/legacy.server.h"
#include "stranger/no-package.client.h"
#include "stranger/no-package.server.h"
#include "stranger/shop/v1/shop.client.h"
#include "stranger/shop/v1/shop.info.h"
#include "stranger/shop/v1/shop.server.h"
#include "stranger/words.client.h"
#include "stranger/words.server.h"
#include "talk.h"

/* ---- what is said ---- */

#define ITEM (*message_item())
#define OLD (*message_old())

static const stranger_shop_v1_note NOTE = {
    .base = PROTOBUF_C_MESSAGE_INIT(&stranger__shop__v1__note__descriptor),
    .text = "n\xc3\xb6te",
    .number = 1,
};
static const stranger_shop_v1_nothing NOTHING = STRANGER_SHOP_V1_NOTHING_INIT;
static const stranger_shop_v1_greet_reply GREETING = STRANGER_SHOP_V1_GREET_REPLY_INIT;
static const google_protobuf_empty EMPTY = GOOGLE_PROTOBUF_EMPTY_INIT;
static const stranger_comments_blocks BLOCKS = STRANGER_COMMENTS_BLOCKS_INIT;
static const stranger_words_words WORDS = STRANGER_WORDS_WORDS_INIT;
static const no_package_time TIME = NO_PACKAGE_TIME_INIT;
static const no_package_file FILE_OF_NO_PACKAGE = NO_PACKAGE_FILE_INIT;

/* Shorter, for the longest names there are. */
typedef Stranger_Awkward2_v1beta1_twin twin;
typedef Stranger_Awkward2_v1beta1__leading leading;
typedef Stranger_Awkward2_v1beta1_upper_case_message upper_case;
typedef Stranger_Awkward2_v1beta1_http_server2_xx http_server;
typedef Stranger_Awkward2_v1beta1_a_very_long_name_for_a_message_that_nobody_would_ever_write_by_hand_but_that_a_generator_of_protos_may_well_produce_one_day
    very_long;
static const twin TWIN = STRANGER_AWKWARD2_V1BETA1_TWIN_INIT;
static const leading LEADING = STRANGER_AWKWARD2_V1BETA1__LEADING_INIT;
static const upper_case UPPER_CASE = STRANGER_AWKWARD2_V1BETA1_UPPER_CASE_MESSAGE_INIT;
static const http_server HTTP_SERVER = STRANGER_AWKWARD2_V1BETA1_HTTP_SERVER2_XX_INIT;
static const very_long VERY_LONG =
    STRANGER_AWKWARD2_V1BETA1_A_VERY_LONG_NAME_FOR_A_MESSAGE_THAT_NOBODY_WOULD_EVER_WRITE_BY_HAND_BUT_THAT_A_GENERATOR_OF_PROTOS_MAY_WELL_PRODUCE_ONE_DAY_INIT;

/* ---- both ends of every method: NAME, request type, response type, request, response ---- */

/* clang-format off */
#define SHOP(UNARY, SERVER, CLIENT, BIDI)                                                                                               \
    UNARY(stranger_shop_v1_shop_buy, stranger_shop_v1_item, stranger_shop_v1_item, ITEM, ITEM)                                          \
    SERVER(stranger_shop_v1_shop_list, stranger_shop_v1_note, stranger_shop_v1_item, NOTE, ITEM)                                        \
    CLIENT(stranger_shop_v1_shop_fill, stranger_shop_v1_item, stranger_shop_v1_note, ITEM, NOTE)                                        \
    BIDI(stranger_shop_v1_shop_haggle, stranger_shop_v1_note, stranger_shop_v1_note, NOTE, NOTE)                                        \
    UNARY(stranger_shop_v1_shop_ring, google_protobuf_empty, google_protobuf_empty, EMPTY, EMPTY)

#define NOTES(UNARY, SERVER, CLIENT, BIDI)                                                                                              \
    UNARY(stranger_shop_v1_note_write_note, stranger_shop_v1_note, stranger_shop_v1_nothing, NOTE, NOTHING)                             \
    SERVER(stranger_shop_v1_note_read_notes, stranger_shop_v1_nothing, stranger_shop_v1_note, NOTHING, NOTE)                            \
    CLIENT(stranger_shop_v1_note_keep_notes, stranger_shop_v1_note, stranger_shop_v1_nothing, NOTE, NOTHING)                            \
    BIDI(stranger_shop_v1_note_trade_notes, stranger_shop_v1_note, stranger_shop_v1_nothing, NOTE, NOTHING)                             \
    UNARY(stranger_shop_v1_note_greet, stranger_shop_v1_note, stranger_shop_v1_greet_reply, NOTE, GREETING)                             \
    UNARY(stranger_shop_v1_note_list, stranger_shop_v1_note, stranger_shop_v1_note, NOTE, NOTE)

#define LEGACY(UNARY, SERVER, CLIENT, BIDI)                                                                                             \
    UNARY(stranger_legacy_legacy_ask, stranger_legacy_old, stranger_legacy_old, OLD, OLD)                                               \
    SERVER(stranger_legacy_legacy_feed, stranger_legacy_old, stranger_legacy_old, OLD, OLD)                                             \
    CLIENT(stranger_legacy_legacy_gather, stranger_legacy_old, stranger_legacy_old, OLD, OLD)                                           \
    BIDI(stranger_legacy_legacy_chat, stranger_legacy_old, stranger_legacy_old, OLD, OLD)

#define REST(UNARY, SERVER, CLIENT, BIDI)                                                                                               \
    UNARY(stranger_comments_comment_say, stranger_comments_blocks, stranger_comments_blocks, BLOCKS, BLOCKS)                            \
    SERVER(stranger_comments_comment_shout, stranger_comments_blocks, stranger_comments_blocks, BLOCKS, BLOCKS)                         \
    UNARY(no_package_stat_read, no_package_time, no_package_time, TIME, TIME)                                                           \
    SERVER(no_package_stat_select, no_package_file, no_package_file, FILE_OF_NO_PACKAGE, FILE_OF_NO_PACKAGE)                            \
    UNARY(stranger_words_word_delete, stranger_words_words, stranger_words_words, WORDS, WORDS)                                         \
    SERVER(stranger_words_word_return, stranger_words_words, stranger_words_words, WORDS, WORDS)                                        \
    CLIENT(stranger_words_word_assert, stranger_words_words, stranger_words_words, WORDS, WORDS)                                        \
    BIDI(stranger_words_word_new, stranger_words_words, stranger_words_words, WORDS, WORDS)

#define AWKWARD(UNARY, SERVER, CLIENT, BIDI)                                                                                            \
    UNARY(Stranger_Awkward2_v1beta1_twin_default_, twin, twin, TWIN, TWIN)                                                              \
    UNARY(Stranger_Awkward2_v1beta1_twin_get_url_for_http2, twin, twin, TWIN, TWIN)                                                     \
    UNARY(Stranger_Awkward2_v1beta1_twin_upper, twin, twin, TWIN, TWIN)                                                                 \
    UNARY(Stranger_Awkward2_v1beta1_twin_lower, twin, twin, TWIN, TWIN)                                                                 \
    SERVER(Stranger_Awkward2_v1beta1_twin_with_under_scores, twin, twin, TWIN, TWIN)                                                    \
    CLIENT(Stranger_Awkward2_v1beta1_twin_next, twin, twin, TWIN, TWIN)                                                                 \
    BIDI(Stranger_Awkward2_v1beta1_twin_close, twin, twin, TWIN, TWIN)                                                                  \
    UNARY(Stranger_Awkward2_v1beta1_twin_reply, twin, twin, TWIN, TWIN)                                                                 \
    UNARY(Stranger_Awkward2_v1beta1_twin_begin, twin, twin, TWIN, TWIN)                                                                 \
    UNARY(Stranger_Awkward2_v1beta1_service_get, stranger_shop_v1_note, leading, NOTE, LEADING)                                         \
    UNARY(Stranger_Awkward2_v1beta1_service_x1, upper_case, http_server, UPPER_CASE, HTTP_SERVER)                                       \
    UNARY(Stranger_Awkward2_v1beta1_another_very_long_name_thistime_of_a_service_which_is_as_long_as_the_line_of_a_page_of_this_project_allows_and_a_bit_more_and_the_name_of_its_only_method_is_long_too_so_that_everything_that_is_generated_for_it_has_to_be_broken_somewhere_or_other, \
        very_long, very_long, VERY_LONG, VERY_LONG)

#define ALL(UNARY, SERVER, CLIENT, BIDI)                                                                                                \
    SHOP(UNARY, SERVER, CLIENT, BIDI) NOTES(UNARY, SERVER, CLIENT, BIDI) LEGACY(UNARY, SERVER, CLIENT, BIDI)                            \
    REST(UNARY, SERVER, CLIENT, BIDI) AWKWARD(UNARY, SERVER, CLIENT, BIDI)

ALL(TALK_UNARY, TALK_SERVER_STREAM, TALK_CLIENT_STREAM, TALK_BIDI)
/* clang-format on */

/* ---- the server ---- */

static const struct stranger_shop_v1_shop_handlers SHOP_HANDLERS = {
    .buy = serve_stranger_shop_v1_shop_buy,
    .list = serve_stranger_shop_v1_shop_list,
    .fill = serve_stranger_shop_v1_shop_fill,
    .haggle = serve_stranger_shop_v1_shop_haggle,
    .ring = serve_stranger_shop_v1_shop_ring,
};
static const struct stranger_shop_v1_note_handlers NOTE_HANDLERS = {
    .write_note = serve_stranger_shop_v1_note_write_note,
    .read_notes = serve_stranger_shop_v1_note_read_notes,
    .keep_notes = serve_stranger_shop_v1_note_keep_notes,
    .trade_notes = serve_stranger_shop_v1_note_trade_notes,
    .greet = serve_stranger_shop_v1_note_greet,
    .list = serve_stranger_shop_v1_note_list,
};
static const struct stranger_shop_v1_closed_handlers CLOSED_HANDLERS;
static const struct stranger_legacy_legacy_handlers LEGACY_HANDLERS = {
    .ask = serve_stranger_legacy_legacy_ask,
    .feed = serve_stranger_legacy_legacy_feed,
    .gather = serve_stranger_legacy_legacy_gather,
    .chat = serve_stranger_legacy_legacy_chat,
};
static const struct stranger_comments_comment_handlers COMMENT_HANDLERS = {
    .say = serve_stranger_comments_comment_say,
    .shout = serve_stranger_comments_comment_shout,
};
static const struct no_package_stat_handlers STAT_HANDLERS = {
    .read = serve_no_package_stat_read,
    .select = serve_no_package_stat_select,
};
static const struct stranger_words_word_handlers WORD_HANDLERS = {
    .delete_ = serve_stranger_words_word_delete,
    .return_ = serve_stranger_words_word_return,
    .assert_ = serve_stranger_words_word_assert,
    .new_ = serve_stranger_words_word_new,
};
static const struct Stranger_Awkward2_v1beta1_twin_handlers TWIN_HANDLERS = {
    .default_ = serve_Stranger_Awkward2_v1beta1_twin_default_,
    .get_url_for_http2 = serve_Stranger_Awkward2_v1beta1_twin_get_url_for_http2,
    .upper = serve_Stranger_Awkward2_v1beta1_twin_upper,
    .lower = serve_Stranger_Awkward2_v1beta1_twin_lower,
    .with_under_scores = serve_Stranger_Awkward2_v1beta1_twin_with_under_scores,
    .next = serve_Stranger_Awkward2_v1beta1_twin_next,
    .close = serve_Stranger_Awkward2_v1beta1_twin_close,
    .reply = serve_Stranger_Awkward2_v1beta1_twin_reply,
    .begin = serve_Stranger_Awkward2_v1beta1_twin_begin,
};
static const struct Stranger_Awkward2_v1beta1_service_handlers SERVICE_HANDLERS = {
    .get = serve_Stranger_Awkward2_v1beta1_service_get,
    .x1 = serve_Stranger_Awkward2_v1beta1_service_x1,
};
static const struct Stranger_Awkward2_v1beta1_another_very_long_name_thistime_of_a_service_which_is_as_long_as_the_line_of_a_page_of_this_project_allows_and_a_bit_more_handlers
    LONG_HANDLERS = {
        .and_the_name_of_its_only_method_is_long_too_so_that_everything_that_is_generated_for_it_has_to_be_broken_somewhere_or_other =
            serve_Stranger_Awkward2_v1beta1_another_very_long_name_thistime_of_a_service_which_is_as_long_as_the_line_of_a_page_of_this_project_allows_and_a_bit_more_and_the_name_of_its_only_method_is_long_too_so_that_everything_that_is_generated_for_it_has_to_be_broken_somewhere_or_other,
};

static void add_service(struct rpc_listener *listener, struct rpc_service service)
{
    enum rpc_code code = rpc_listener_add(listener, &service);
    assert(code == RPC_OK);
}

/* All services behind one end of a socketpair; the other end's client. */
static struct talk_loop connect_both(void)
{
    struct rpc_error *error = NULL;
    int fds[2];
    int result = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds);
    assert(result == 0);
    struct talk_loop loop = {.listener = rpc_listener_new(NULL, &error)};
    talk_fine(error);
    add_service(loop.listener, stranger_shop_v1_shop_service(&SHOP_HANDLERS, NULL));
    add_service(loop.listener, stranger_shop_v1_note_service(&NOTE_HANDLERS, NULL));
    add_service(loop.listener, stranger_shop_v1_closed_service(&CLOSED_HANDLERS, NULL));
    add_service(loop.listener, stranger_legacy_legacy_service(&LEGACY_HANDLERS, NULL));
    add_service(loop.listener, stranger_comments_comment_service(&COMMENT_HANDLERS, NULL));
    add_service(loop.listener, no_package_stat_service(&STAT_HANDLERS, NULL));
    add_service(loop.listener, stranger_words_word_service(&WORD_HANDLERS, NULL));
    add_service(loop.listener, Stranger_Awkward2_v1beta1_twin_service(&TWIN_HANDLERS, NULL));
    add_service(loop.listener, Stranger_Awkward2_v1beta1_service_service(&SERVICE_HANDLERS, NULL));
    add_service(loop.listener,
        Stranger_Awkward2_v1beta1_another_very_long_name_thistime_of_a_service_which_is_as_long_as_the_line_of_a_page_of_this_project_allows_and_a_bit_more_service(
            &LONG_HANDLERS, NULL));
    (void)rpc_listener_take_connection(loop.listener, fds[0], &error);
    talk_fine(error);
    loop.client = rpc_client_take_fd(fds[1], &error);
    talk_fine(error);
    /* Made before there are two threads. */
    (void)message_item();
    (void)message_old();
    return loop;
}

/* ---- both ways ---- */

static void *run_server(void *listener)
{
    struct rpc_error *error = NULL;
    (void)rpc_listener_run(listener, &error);
    talk_fine(error);
    return NULL;
}

static void test_every_method_answers_a_blocking_client(void **state)
{
    (void)state;
    struct talk_loop loop = connect_both();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run_server, loop.listener), 0);
#define BLOCK(NAME, IN, OUT, REQUEST, RESPONSE) block_##NAME(loop.client);
    ALL(BLOCK, BLOCK, BLOCK, BLOCK)
#undef BLOCK
    rpc_client_close(loop.client);
    rpc_listener_stop(loop.listener);
    assert_int_equal(pthread_join(thread, NULL), 0);
    rpc_listener_free(loop.listener);
}

static void test_every_method_answers_an_attached_client(void **state)
{
    (void)state;
    const struct talk_loop loop = connect_both();
    rpc_client_attach(loop.client);
#define ATTACH(NAME, IN, OUT, REQUEST, RESPONSE) attach_##NAME(&loop);
    ALL(ATTACH, ATTACH, ATTACH, ATTACH)
#undef ATTACH
    rpc_client_close(loop.client);
    rpc_listener_free(loop.listener);
}

/* ---- what is known about the protos ---- */

/* The list above is complete. */
static void test_every_method_is_in_the_list(void **state)
{
    (void)state;
#define NAMED(NAME, IN, OUT, REQUEST, RESPONSE) #NAME,
#define COUNT(LIST) (sizeof((const char *[]){LIST(NAMED, NAMED, NAMED, NAMED)}) / sizeof(char *))
    assert_int_equal(COUNT(SHOP), STRANGER_SHOP_V1_SHOP_METHOD_COUNT);
    assert_int_equal(COUNT(NOTES), STRANGER_SHOP_V1_NOTE_METHOD_COUNT);
    assert_int_equal(0, STRANGER_SHOP_V1_CLOSED_METHOD_COUNT);
    assert_int_equal(COUNT(LEGACY), STRANGER_LEGACY_LEGACY_METHOD_COUNT);
    assert_int_equal(COUNT(REST), STRANGER_COMMENTS_COMMENT_METHOD_COUNT +
                                      NO_PACKAGE_STAT_METHOD_COUNT +
                                      STRANGER_WORDS_WORD_METHOD_COUNT);
    assert_int_equal(COUNT(AWKWARD), STRANGER_AWKWARD2_V1BETA1_TWIN_METHOD_COUNT +
                                         STRANGER_AWKWARD2_V1BETA1_SERVICE_METHOD_COUNT + 1);
#undef COUNT
#undef NAMED
}

static void test_names_give_way_to_types(void **state)
{
    (void)state;
    const stranger_common_file_info info = STRANGER_COMMON_FILE_INFO_INIT;
    assert_ptr_equal(info.base.descriptor, stranger_common_file_info_info.descriptor);
    assert_string_equal(stranger_common_file_type_info.full_name, "stranger.common.File");
    assert_string_equal(
        stranger_common_file_state_enum_name(STRANGER_COMMON_FILE_STATE_OPEN), "OPEN");
}

static void test_comments_of_any_length_are_kept(void **state)
{
    (void)state;
    assert_true(strlen(stranger_comments_long_info.comment) > 4095);
    assert_non_null(strstr(stranger_comments_long_info.comment, "word0539"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_method_answers_a_blocking_client),
        cmocka_unit_test(test_every_method_answers_an_attached_client),
        cmocka_unit_test(test_every_method_is_in_the_list),
        cmocka_unit_test(test_names_give_way_to_types),
        cmocka_unit_test(test_comments_of_any_length_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
