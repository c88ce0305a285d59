#include "server/supervise/events.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/supervise/state_store.h"

enum {
    CURSORS = 2,
    CURSOR_MAGIC = 0x466c4375,
    RECORD_MAGIC = 0x466c4576,
    ALIGNMENT = 8,
    EPOCH_DIGITS = 16
};

/* Where the ring begins; written in turn, the valid one with the higher turn counts. Native byte
 * order: memory of one machine until its restart. */
struct cursor {
    uint32_t magic;
    uint32_t reserved;
    uint64_t turn;
    uint64_t epoch;
    uint64_t first;
    uint64_t first_offset;
    uint64_t told;
    uint64_t checksum; /* over all of the above but the magic */
};

/* Before each event's bytes, which follow it without a gap. An event that does not fit before the
 * end of the memory lies at its beginning. */
struct record {
    uint32_t magic;
    uint32_t kind;
    uint64_t number;
    uint64_t names;
    uint64_t length;
    uint64_t checksum; /* over epoch, the numbers above and the bytes */
};

struct events {
    uint8_t *own; /* memory that belongs to us */
    struct cursor *cursors;
    uint8_t *area;
    size_t size;
    struct cursor cursor; /* the newest one */
    uint64_t last;
    uint64_t next_offset;
    uint32_t offsets[EVENTS_MAX]; /* by number, of those remembered */
};

/* ---- bytes ---- */

static uint64_t checksum_of_cursor(const struct cursor *cursor)
{
    const uint64_t numbers[] = {
        cursor->turn, cursor->epoch, cursor->first, cursor->first_offset, cursor->told};

    return state_checksum(numbers, sizeof numbers, CURSOR_MAGIC);
}

static uint64_t checksum_of_record(
    const struct record *record, const uint8_t *bytes, uint64_t epoch)
{
    const uint64_t numbers[] = {epoch, record->kind, record->number, record->names, record->length};

    return state_checksum(
        bytes, (size_t)record->length, state_checksum(numbers, sizeof numbers, RECORD_MAGIC));
}

static size_t record_size(size_t len)
{
    return (sizeof(struct record) + len + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static struct record *record_at(const struct events *events, uint64_t offset)
{
    return (struct record *)(void *)(events->area + offset);
}

static uint32_t *offset_of(struct events *events, uint64_t number)
{
    return &events->offsets[number % EVENTS_MAX];
}

/* The one that does not count is overwritten; until its magic is back, the other one counts. */
static void write_cursor(struct events *events)
{
    struct cursor *cursor;

    events->cursor.turn++;
    events->cursor.magic = 0;
    events->cursor.checksum = checksum_of_cursor(&events->cursor);
    cursor = &events->cursors[events->cursor.turn % CURSORS];
    cursor->magic = 0;
    /* The compiler may not move anything across: a kill leaves what lies before it. */
    atomic_signal_fence(memory_order_seq_cst);
    *cursor = events->cursor;
    atomic_signal_fence(memory_order_seq_cst);
    cursor->magic = CURSOR_MAGIC;
    atomic_signal_fence(memory_order_seq_cst);
}

/* ---- opening ---- */

static bool find_cursor(struct events *events)
{
    bool found = false;

    for (size_t i = 0; i < CURSORS; i++) {
        const struct cursor *cursor = &events->cursors[i];

        if (cursor->magic != CURSOR_MAGIC || cursor->checksum != checksum_of_cursor(cursor))
            continue;
        if (!found || cursor->turn > events->cursor.turn)
            events->cursor = *cursor;
        found = true;
    }
    return found;
}

static bool is_whole(const struct events *events, uint64_t offset, uint64_t number)
{
    const struct record *record;

    if (offset > events->size || events->size - offset < sizeof *record)
        return false;
    record = record_at(events, offset);
    return record->magic == RECORD_MAGIC && record->number == number &&
           record->length <= EVENTS_RECORD_BYTES_MAX &&
           record_size((size_t)record->length) <= events->size - offset &&
           record->checksum ==
               checksum_of_record(record, (const uint8_t *)(record + 1), events->cursor.epoch);
}

/* Finds every event up to `kept`. */
static bool walk(struct events *events, uint64_t kept)
{
    uint64_t offset = events->cursor.first_offset;

    if (events->cursor.first == 0 || offset % ALIGNMENT != 0 || offset > events->size)
        return false;
    /* What was not kept has pushed out all that was. */
    if (events->cursor.first > kept)
        events->cursor.first = kept + 1;
    if (kept - (events->cursor.first - 1) > EVENTS_MAX)
        return false;
    for (uint64_t number = events->cursor.first; number <= kept; number++) {
        if (!is_whole(events, offset, number))
            offset = 0;
        if (!is_whole(events, offset, number))
            return false;
        *offset_of(events, number) = (uint32_t)offset;
        offset += record_size((size_t)record_at(events, offset)->length);
    }
    events->last = kept;
    events->next_offset = offset;
    return true;
}

/* What was told must be kept, or a number would be told again of another event. */
static bool go_on(struct events *events, uint64_t kept)
{
    return kept != EVENTS_KEPT_NONE && find_cursor(events) && events->cursor.told <= kept &&
           walk(events, kept);
}

static void begin_anew(struct events *events, uint64_t epoch)
{
    uint64_t turn = find_cursor(events) ? events->cursor.turn : 0;

    events->cursor = (struct cursor){.turn = turn, .epoch = epoch, .first = 1};
    events->last = 0;
    events->next_offset = 0;
    write_cursor(events);
}

int events_open(uint8_t *memory, size_t len, uint64_t kept, uint64_t fresh_epoch,
    struct events **out, struct error *error)
{
    struct events *events;

    if (memory != NULL && len < EVENTS_MEMORY_MIN)
        return error_set(error, STATUS_INVALID_ARGUMENT, "the events' memory is too small");
    events = calloc(1, sizeof *events);
    if (events != NULL && memory == NULL)
        memory = events->own = calloc(1, len < EVENTS_MEMORY_MIN ? EVENTS_MEMORY_MIN : len);
    if (events == NULL || memory == NULL) {
        free(events);
        return error_set_errno(error, ENOMEM, "open the ring of events");
    }
    events->cursors = (struct cursor *)(void *)memory;
    events->area = memory + CURSORS * sizeof(struct cursor);
    events->size =
        ((len < EVENTS_MEMORY_MIN ? EVENTS_MEMORY_MIN : len) - CURSORS * sizeof(struct cursor)) /
        ALIGNMENT * ALIGNMENT;
    if (!go_on(events, kept))
        begin_anew(events, fresh_epoch);
    *out = events;
    return 0;
}

void events_close(struct events *events)
{
    if (events == NULL)
        return;
    free(events->own);
    free(events);
}

/* ---- writing ---- */

static bool is_empty(const struct events *events)
{
    return events->cursor.first > events->last;
}

static uint64_t first_end(const struct events *events)
{
    uint64_t offset = events->cursor.first_offset;

    return offset + record_size((size_t)record_at(events, offset)->length);
}

static void forget_first(struct events *events, uint64_t next_offset)
{
    events->cursor.first++;
    events->cursor.first_offset =
        is_empty(events) ? next_offset : *offset_of(events, events->cursor.first);
}

/* Forgets what lies where `size` bytes shall be written, and answers their offset. Records lie in
 * the order of their numbers, around the end of the memory. */
static uint64_t make_room(struct events *events, size_t size)
{
    uint64_t offset = events->next_offset;
    uint64_t before = events->cursor.first;
    bool wraps = size > events->size - offset;

    if (!is_empty(events) && events->last - events->cursor.first + 1 == EVENTS_MAX)
        forget_first(events, offset);
    while (wraps && !is_empty(events) && events->cursor.first_offset >= offset)
        forget_first(events, 0);
    if (wraps)
        offset = 0;
    while (!is_empty(events) && events->cursor.first_offset < offset + size &&
           first_end(events) > offset)
        forget_first(events, offset);
    if (is_empty(events))
        events->cursor.first_offset = offset;
    if (events->cursor.first != before || is_empty(events))
        write_cursor(events);
    /* An earlier record of the same number must not be found where this one does not fit. */
    if (wraps && events->size - events->next_offset >= sizeof(struct record))
        record_at(events, events->next_offset)->magic = 0;
    return offset;
}

void events_append(struct events *events, const struct event *event)
{
    bool is_too_long = event->len > EVENTS_RECORD_BYTES_MAX || event->len > events->size / 4;
    struct record record = {.kind = (uint32_t)(is_too_long ? EVENT_MISSING : event->kind),
        .number = events->last + 1,
        .names = event->names,
        .length = is_too_long ? 0 : event->len};
    const uint8_t *bytes = event->bytes != NULL ? event->bytes : (const uint8_t *)"";
    uint64_t offset = make_room(events, record_size((size_t)record.length));
    struct record *place = record_at(events, offset);

    record.checksum = checksum_of_record(&record, bytes, events->cursor.epoch);
    atomic_signal_fence(memory_order_seq_cst);
    *place = record;
    memcpy(place + 1, bytes, (size_t)record.length);
    atomic_signal_fence(memory_order_seq_cst);
    place->magic = RECORD_MAGIC;
    atomic_signal_fence(memory_order_seq_cst);
    events->last = record.number;
    *offset_of(events, record.number) = (uint32_t)offset;
    events->next_offset = offset + record_size((size_t)record.length);
}

void events_tell(struct events *events)
{
    if (events->cursor.told == events->last)
        return;
    events->cursor.told = events->last;
    write_cursor(events);
}

/* ---- reading ---- */

uint64_t events_first(const struct events *events)
{
    return events->cursor.first;
}

uint64_t events_last(const struct events *events)
{
    return events->last;
}

uint64_t events_told(const struct events *events)
{
    return events->cursor.told;
}

bool events_read(const struct events *events, uint64_t number, struct event *out)
{
    const struct record *record;

    if (number < events->cursor.first || number > events->cursor.told)
        return false;
    record = record_at(events, events->offsets[number % EVENTS_MAX]);
    *out = (struct event){.kind = (enum event_kind)record->kind,
        .names = record->names,
        .bytes = (const uint8_t *)(record + 1),
        .len = (size_t)record->length};
    return true;
}

uint64_t event_name_bit(const char *name)
{
    return UINT64_C(1) << (state_checksum(name, strlen(name), 0) >> 58);
}

/* ---- tokens ---- */

void events_token(const struct events *events, uint64_t number, char out[EVENTS_TOKEN_SIZE])
{
    int len = snprintf(out, EVENTS_TOKEN_SIZE, "%0*" PRIx64 "-%" PRIu64, (int)EPOCH_DIGITS,
        events->cursor.epoch, number);

    assert(len > 0 && len < EVENTS_TOKEN_SIZE);
}

static int digit(char character)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    return character >= 'a' && character <= 'f' ? character - 'a' + 10 : -1;
}

/* Exactly as events_token writes them: another text for the same number would be another token. */
static bool parse(const char *token, uint64_t *out_epoch, uint64_t *out_number)
{
    uint64_t epoch = 0;
    uint64_t number = 0;
    const char *at = token;

    for (; at < token + EPOCH_DIGITS; at++) {
        int value = digit(*at);

        if (value < 0)
            return false;
        epoch = epoch << 4 | (uint64_t)value;
    }
    if (*at++ != '-' || (at[0] == '0' && at[1] != '\0') || *at == '\0')
        return false;
    for (; *at != '\0'; at++) {
        int value = digit(*at);

        if (value < 0 || value > 9 || number > (UINT64_MAX - (uint64_t)value) / 10)
            return false;
        number = number * 10 + (uint64_t)value;
    }
    *out_epoch = epoch;
    *out_number = number;
    return true;
}

int events_find(const struct events *events, const char *token, struct events_place *out)
{
    uint64_t epoch;
    uint64_t number;

    if (!parse(token, &epoch, &number))
        return -STATUS_INVALID_ARGUMENT;
    *out = (struct events_place){.next = events->cursor.told + 1, .has_gap = true};
    if (epoch != events->cursor.epoch || number > events->cursor.told)
        return 0;
    out->lost = number + 1 < events->cursor.first ? events->cursor.first - number - 1 : 0;
    out->has_gap = out->lost > 0;
    if (!out->has_gap)
        out->next = number + 1;
    return 0;
}
