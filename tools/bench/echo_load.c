/* Keeps calls in flight and does nearly nothing else, so that the server is what is measured:
 * prints "CALLS NANOSECONDS" of all together.
 *
 *   bench-echo-load PATH CALLS BYTES IN_FLIGHT [CONNECTIONS]
 * IN_FLIGHT calls on each connection. As many new ones are sent in one write as answers came with
 * one read. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "echo_frame.h"
#include "rounds.h"
#include "slots.h"

enum {
    CONNECTIONS_MAX = 64,
    INPUT_BYTES = 256 * 1024,
    /* All that is in flight fits the buffers of the socket: both sides may write without looking
     * whether the other reads. */
    IN_FLIGHT_BYTES_MAX = 100 * 1024
};

struct load {
    size_t payload_len;
    size_t in_flight;
    size_t answer_len;
    size_t frame_len;
    uint8_t *frames;
    size_t to_send;
    size_t to_receive;
    size_t n_connections;
    struct pollfd polled[CONNECTIONS_MAX];
    /* Bytes of a half answer. */
    size_t rest[CONNECTIONS_MAX];
    uint32_t next_stream[CONNECTIONS_MAX];
    uint8_t input[INPUT_BYTES];
};

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return -1;
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    perror(path);
    return -1;
}

static int send_calls(struct load *load, size_t index, size_t count)
{
    if (count > load->to_send)
        count = load->to_send;
    if (count == 0)
        return 0;
    echo_frames_number(load->frames, load->frame_len, count, load->next_stream[index]);
    load->next_stream[index] += 2 * (uint32_t)count;
    load->to_send -= count;
    size_t len = count * load->frame_len;
    if (send(load->polled[index].fd, load->frames, len, MSG_NOSIGNAL) == (ssize_t)len)
        return 0;
    perror("send");
    return 1;
}

/* Answers are counted by their length: an error would have another one. */
static int take_answers(struct load *load, size_t index)
{
    ssize_t len = read(load->polled[index].fd, load->input, INPUT_BYTES);
    if (len <= 0) {
        (void)fprintf(stderr, "the server has gone\n");
        return 1;
    }
    size_t have = load->rest[index] + (size_t)len;
    size_t count = have / load->answer_len;
    load->rest[index] = have % load->answer_len;
    if (count > load->to_receive) {
        (void)fprintf(stderr, "answers that were not asked for\n");
        return 1;
    }
    load->to_receive -= count;
    return send_calls(load, index, count);
}

static int turn(struct load *load)
{
    if (load->n_connections > 1)
        (void)poll(load->polled, load->n_connections, -1);
    else
        load->polled[0].revents = POLLIN;
    int result = 0;
    for (size_t i = 0; i < load->n_connections && result == 0; i++) {
        if (load->polled[i].revents != 0)
            result = take_answers(load, i);
    }
    return result;
}

static int run(struct load *load, const char *path, size_t n_calls)
{
    int result = 0;
    for (size_t i = 0; i < load->n_connections; i++) {
        load->polled[i] = (struct pollfd){.fd = connect_to(path), .events = POLLIN};
        load->next_stream[i] = 1;
        if (load->polled[i].fd < 0)
            return 1;
    }
    int64_t began_ns = slots_now_ns();
    load->to_send = n_calls;
    load->to_receive = n_calls;
    for (size_t i = 0; i < load->n_connections && result == 0; i++)
        result = send_calls(load, i, load->in_flight);
    while (load->to_receive > 0 && result == 0)
        result = turn(load);
    if (result == 0)
        (void)printf("%zu %lld\n", n_calls, (long long)(slots_now_ns() - began_ns));
    return result;
}

int main(int argument_count, char **arguments)
{
    static struct load load;
    if (argument_count < 5 || argument_count > 6) {
        (void)fprintf(stderr, "usage: %s PATH CALLS BYTES IN_FLIGHT [CONNECTIONS]\n", arguments[0]);
        return 2;
    }
    size_t n_calls = rounds_number(arguments[2]);
    load.payload_len = rounds_number(arguments[3]);
    load.in_flight = rounds_number(arguments[4]);
    load.n_connections = argument_count == 6 ? rounds_number(arguments[5]) : 1;
    if (load.in_flight == 0 || load.n_connections == 0 || load.n_connections > CONNECTIONS_MAX)
        return 2;
    load.answer_len = echo_answer_len(load.payload_len);
    load.frames = echo_frames_new(load.payload_len, load.in_flight, &load.frame_len);
    if (load.frames == NULL || load.frame_len * load.in_flight > IN_FLIGHT_BYTES_MAX) {
        (void)fprintf(stderr, "too much in flight\n");
        return 2;
    }
    int result = run(&load, arguments[1], n_calls);
    free(load.frames);
    return result;
}
