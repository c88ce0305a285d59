#include "client/nano/link.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "common/rpc/frame.h"
#include "crpc/limits.h"

enum { LAST_STREAM_ID = INT32_MAX };

int64_t nano_clock_ms(void)
{
    struct timespec now = {0};
    /* Cannot fail: the clock exists and the pointer is valid. */
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- ends ---- */

static bool give_up(struct nano_link *link, enum rpc_code code, const char *what)
{
    link->code = code;
    link->what = what;
    return false;
}

/* Nothing can be said over this connection any more. */
static bool lose(struct nano_link *link, const char *what, int system_error)
{
    link->nano->is_over = true;
    link->system_error = system_error;
    return give_up(link, RPC_UNAVAILABLE, what);
}

static int time_left_ms(const struct nano_link *link)
{
    int64_t left = link->deadline_at - nano_clock_ms();
    return left > INT_MAX ? INT_MAX : (int)(left < 0 ? 0 : left);
}

static bool is_in_time(struct nano_link *link)
{
    if (time_left_ms(link) > 0)
        return true;
    return give_up(link, RPC_DEADLINE_EXCEEDED, "no answer within the call's time");
}

static bool wait_ready(struct nano_link *link, int events)
{
    struct pollfd ready = {.fd = link->nano->fd, .events = (short)events};
    if (poll(&ready, 1, time_left_ms(link)) < 0 && errno != EINTR)
        return lose(link, "waiting for the server", errno);
    return true;
}

static bool would_block(int error_number)
{
    return error_number == EAGAIN || error_number == EINTR;
}

/* ---- input ---- */

static size_t available(const struct flocks_nano *nano)
{
    return nano->input_end - nano->input_at;
}

static void make_room(struct flocks_nano *nano)
{
    if (nano->input_at == 0)
        return;
    memmove(nano->input, nano->input + nano->input_at, available(nano));
    nano->input_end -= nano->input_at;
    nano->input_at = 0;
}

/* One read; *out_is_empty when nothing was there. */
static bool read_once(struct nano_link *link, bool *out_is_empty)
{
    struct flocks_nano *nano = link->nano;
    make_room(nano);
    ssize_t n = recv(nano->fd, nano->input + nano->input_end, sizeof nano->input - nano->input_end,
        MSG_DONTWAIT);
    *out_is_empty = n < 0 && would_block(errno);
    if (n > 0)
        nano->input_end += (size_t)n;
    else if (n == 0)
        return lose(link, "the server closed the connection", 0);
    else if (!*out_is_empty)
        return lose(link, "reading from the server", errno);
    return true;
}

/* At least one byte more. The time is looked at before every read: a server may never pause. */
static bool read_more(struct nano_link *link)
{
    bool is_empty = true;
    while (is_empty) {
        if (!is_in_time(link) || !read_once(link, &is_empty))
            return false;
        if (is_empty && !wait_ready(link, POLLIN))
            return false;
    }
    return true;
}

static void skip_available(struct flocks_nano *nano)
{
    size_t n = available(nano) < nano->body_left ? available(nano) : nano->body_left;
    nano->input_at += n;
    nano->body_left -= (uint32_t)n;
}

/* The caller has seen that a whole header is there. */
static bool take_header(struct nano_link *link, struct rpc_frame *out)
{
    struct flocks_nano *nano = link->nano;
    rpc_frame_decode(nano->input + nano->input_at, out);
    if (out->body_len > RPC_DISCARD_BYTES_MAX)
        return lose(link, "the server sent what is no ttrpc", 0);
    nano->input_at += RPC_FRAME_HEADER_BYTES;
    nano->body_left = out->body_len;
    return true;
}

bool nano_link_read(struct nano_link *link, uint8_t *out, size_t len)
{
    struct flocks_nano *nano = link->nano;
    while (len > 0) {
        size_t n = available(nano) < len ? available(nano) : len;
        memcpy(out, nano->input + nano->input_at, n);
        nano->input_at += n;
        nano->body_left -= (uint32_t)n;
        out += n;
        len -= n;
        if (len > 0 && !read_more(link))
            return false;
    }
    return true;
}

static bool next_header(struct nano_link *link, struct rpc_frame *out)
{
    struct flocks_nano *nano = link->nano;
    for (;;) {
        skip_available(nano);
        if (nano->body_left == 0 && available(nano) >= RPC_FRAME_HEADER_BYTES)
            return take_header(link, out);
        if (!read_more(link))
            return false;
    }
}

bool nano_link_await(struct nano_link *link, size_t *out_len)
{
    struct rpc_frame frame = {.stream_id = 0};
    /* Late answers of calls that were given up, and what later versions of ttrpc may send. */
    do {
        if (!next_header(link, &frame))
            return false;
    } while (frame.stream_id != link->stream_id ||
             (frame.type != RPC_FRAME_RESPONSE && frame.type != RPC_FRAME_DATA));
    if (frame.type == RPC_FRAME_DATA)
        return lose(link, "the server streams an answer that is none", 0);
    if (frame.body_len > RPC_MESSAGE_BYTES_MAX)
        return give_up(link, RPC_RESOURCE_EXHAUSTED, "the answer is longer than ttrpc allows");
    *out_len = frame.body_len;
    return true;
}

/* ---- output ---- */

/* Before the request is out, nothing on its stream can be an answer. */
static bool drop_late_answers(struct nano_link *link)
{
    struct flocks_nano *nano = link->nano;
    bool is_empty;
    if (!read_once(link, &is_empty))
        return false;
    for (;;) {
        struct rpc_frame frame;
        skip_available(nano);
        if (nano->body_left > 0 || available(nano) < RPC_FRAME_HEADER_BYTES)
            return true;
        if (!take_header(link, &frame))
            return false;
        if (frame.stream_id == link->stream_id)
            return lose(link, "the server answers what it was not asked", 0);
    }
}

bool nano_link_open(struct nano_link *link, struct flocks_nano *nano, int64_t deadline_at)
{
    *link = (struct nano_link){
        .nano = nano, .deadline_at = deadline_at, .stream_id = nano->next_stream_id};
    if (nano->is_over)
        return give_up(link, RPC_UNAVAILABLE, "this connection is over; connect again");
    if (nano->next_stream_id > LAST_STREAM_ID)
        return lose(link, "this connection has had all the calls it can carry; connect again", 0);
    nano->next_stream_id += 2;
    return true;
}

static bool send_some(struct nano_link *link, const uint8_t *bytes, size_t len, size_t *out_sent)
{
    *out_sent = 0;
    ssize_t n;
    do {
        n = send(link->nano->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n >= 0) {
        *out_sent = (size_t)n;
        return true;
    }
    if (errno != EAGAIN)
        return lose(link, "writing to the server", errno);
    return is_in_time(link) && wait_ready(link, POLLIN | POLLOUT) && drop_late_answers(link);
}

bool nano_link_send(struct nano_link *link, const uint8_t *frame, size_t len)
{
    size_t done = 0;
    while (done < len) {
        size_t sent = 0;
        if (!send_some(link, frame + done, len - done, &sent)) {
            /* Half a frame: whatever came next would be taken for the rest of it. */
            if (done > 0)
                link->nano->is_over = true;
            return false;
        }
        done += sent;
    }
    return true;
}
