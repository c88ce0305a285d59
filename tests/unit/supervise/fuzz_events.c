/* Any bytes as the memory of an earlier flocksd's events, and any text as a reader's token: nothing
 * is read beyond the memory, and whatever is found, the ring works from there. The first byte is
 * how many events the state knows of, then comes a token's length, the token, the memory. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/supervise/events.h"

enum { EPOCH = 0x77 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void read_all(const struct events *events)
{
    uint64_t sum = 0;

    for (uint64_t number = events_first(events); number <= events_told(events); number++) {
        struct event event;

        assert(events_read(events, number, &event));
        for (size_t i = 0; i < event.len; i++)
            sum += event.bytes[i];
    }
    assert(sum < UINT64_MAX);
}

static void find(const struct events *events, const uint8_t *bytes, size_t len)
{
    char token[256];
    char again[EVENTS_TOKEN_SIZE];
    struct events_place place;

    memcpy(token, bytes, len);
    token[len] = '\0';
    if (events_find(events, token, &place) != 0)
        return;
    assert(place.next > 0 && place.next <= events_told(events) + 1);
    if (!place.has_gap) {
        events_token(events, place.next - 1, again);
        assert(strcmp(token, again) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const uint8_t said[500];
    struct events *events = NULL;
    uint8_t *memory;
    size_t token_len;

    if (len < 2 || bytes[1] > len - 2)
        return 0;
    token_len = bytes[1];
    memory = calloc(1, EVENTS_MEMORY_MIN);
    assert(memory != NULL);
    len -= 2 + token_len;
    memcpy(memory, bytes + 2 + token_len, len < EVENTS_MEMORY_MIN ? len : EVENTS_MEMORY_MIN);
    assert(events_open(memory, EVENTS_MEMORY_MIN, bytes[0], EPOCH, &events, NULL) == 0);
    read_all(events);
    find(events, bytes + 2, token_len);
    for (size_t i = 0; i < 40; i++) {
        const struct event event = {
            .kind = EVENT_TOLD, .bytes = said, .len = (size_t)bytes[0] * i % sizeof said};

        events_append(events, &event);
        events_tell(events);
        read_all(events);
    }
    events_close(events);
    free(memory);
    return 0;
}
