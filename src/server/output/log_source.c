#include "server/output/log_source.h"

#include <string.h>

#include "common/base/fd.h"

enum {
    /* Times that place and count are taken, unless nothing was written in between. */
    COUNT_ATTEMPTS = 4
};

/* Bytes up to an end, or behind a place, that is not known. */
static const uint64_t endless = UINT64_MAX;

static struct log_counts counts_of(const struct log_output *output)
{
    return output->counts(output->data);
}

/* ---- where it stands ---- */

/* Bytes behind the place, and what had been written up to it: never more than it was, and less by
 * what is being written meanwhile, since capture counts a batch when it is in the file (reconcile).
 * False: nobody knows. */
static bool measure(const struct log_output *output, const struct log_place *place,
    uint64_t *out_distance, int64_t *out_written)
{
    struct log_counts before = counts_of(output);
    int64_t most = INT64_MIN;

    for (int attempt = 0; attempt < COUNT_ATTEMPTS; attempt++) {
        struct log_counts after;
        int64_t written;

        if (log_place_distance(output->path, place, out_distance) != 0) {
            *out_distance = endless;
            return false;
        }
        after = counts_of(output);
        written = (int64_t)(before.written - *out_distance);
        most = written > most ? written : most;
        if (after.written == before.written)
            break;
        before = after;
    }
    *out_written = most;
    return before.id != 0;
}

/* A place whose count is not known yet. */
static void count(struct log_source *source, const struct log_output *output)
{
    struct log_counts counts = counts_of(output);
    uint64_t distance = 0;

    source->mark.count_id = counts.id;
    source->mark.lost = counts.lost;
    source->mark.written = (int64_t)counts.written;
    source->is_counted =
        source->mark.place.file.number == 0
            ? counts.id != 0
            : measure(output, &source->mark.place, &distance, &source->mark.written);
}

/* The end that was asked for is that of now. */
static void set_end(struct log_source *source, const struct log_output *output)
{
    uint64_t distance = 0;

    if (source->mark.place.file.number == 0)
        source->remaining = 0;
    else if (log_place_distance(output->path, &source->mark.place, &distance) == 0)
        source->remaining = distance;
}

/* It has a place that was found just now. */
static void settle(struct log_source *source, const struct log_output *output)
{
    count(source, output);
    if (!source->follows)
        set_end(source, output);
}

/* ---- losses ---- */

/* Its file was cut or is gone, reading goes on elsewhere. What nobody can count is said as one
 * byte: never nothing. */
static void jump(
    struct log_source *source, const struct log_output *output, const struct log_place *place)
{
    uint64_t distance = endless;
    int64_t written = 0;
    bool is_measured = measure(output, place, &distance, &written);

    source->mark.place = *place;
    if (distance == endless)
        return; /* gone again: the next jump counts this one, too */
    if (!source->follows)
        source->remaining = distance;
    if (!is_measured || !source->is_counted)
        source->bytes_lost++;
    else if (written > source->mark.written)
        source->bytes_lost += (uint64_t)(written - source->mark.written);
    source->is_counted = is_measured;
    source->has_jumped = is_measured;
    source->jumped_at = counts_of(output).written;
    source->mark.written = written;
}

/* ---- beginning ---- */

static int stand_at_first(
    struct log_source *source, const struct log_output *output, struct error *error)
{
    CLEANUP(fd_close) int fd = -1;
    struct log_file_facts facts;
    int result = log_files_open_oldest(output->path, &fd, &facts, error);

    source->mark.place = LOG_PLACE_FIRST;
    if (result == 0)
        source->mark.place.file = facts.id;
    return result < 0 ? result : 0;
}

static int stand_at_mark(struct log_source *source, const struct log_output *output,
    const struct log_mark *mark, struct error *error)
{
    struct log_counts counts = counts_of(output);
    int result;

    source->mark = *mark;
    source->is_counted = mark->count_id != 0 && mark->count_id == counts.id;
    if (!source->is_counted)
        source->mark.lost = counts.lost;
    if (mark->place.file.number != 0)
        return 0;
    result = stand_at_first(source, output, error);
    if (result == 0 && source->is_counted && source->mark.place.file.number != 0)
        jump(source, output, &source->mark.place);
    return result;
}

int log_source_begin(struct log_source *source, const struct log_output *output,
    enum log_source_start start, uint64_t amount, const struct log_mark *mark, bool follows,
    struct error *error)
{
    int result = 0;

    *source = (struct log_source){.follows = follows, .remaining = endless};
    source->mark.lost = counts_of(output).lost;
    switch (start) {
    case LOG_SOURCE_TAIL:
        result = log_seek_begin(&source->seek, output->path, amount, error);
        if (result == 0)
            return LOG_SOURCE_BUSY;
        source->mark.place = source->seek.place;
        break;
    case LOG_SOURCE_BYTES:
        result = log_seek_bytes(output->path, amount, &source->mark.place, error);
        break;
    case LOG_SOURCE_ALL:
        result = stand_at_first(source, output, error);
        break;
    case LOG_SOURCE_MARK:
        /* Whether its place is one still, reading will tell; its end is set then. */
        return stand_at_mark(source, output, mark, error);
    }
    if (result >= 0)
        settle(source, output);
    return result < 0 ? result : 0;
}

int log_source_search(struct log_source *source, const struct log_output *output,
    struct log_view *scratch, struct error *error)
{
    int result = log_seek_step(&source->seek, output->path, scratch, error);

    if (result <= 0)
        return result < 0 ? result : LOG_SOURCE_BUSY;
    source->mark.place = source->seek.place;
    settle(source, output);
    return 0;
}

/* ---- items ---- */

/* The view reaches the end of the log, so at least what was counted before it was read lies before
 * that end. What is missing then was measured too low: behind a jump it is lost, too. */
static void reconcile(
    struct log_source *source, const struct log_view *view, const struct log_counts *before)
{
    int64_t end = source->mark.written + (int64_t)view->len;
    int64_t missing = (int64_t)before->written - end;

    /* Less than none: what is in view has not been counted yet. */
    if (!view->is_end || !source->is_counted || missing < 0)
        return;
    source->mark.written += missing;
    source->bytes_lost += source->has_jumped ? (uint64_t)missing : 0;
    source->has_jumped = source->has_jumped && before->written == source->jumped_at;
}

/* What the log did not take, a full disk for one. */
static void note_refused(struct log_source *source, const struct log_output *output)
{
    struct log_counts counts = counts_of(output);

    if (counts.lost > source->mark.lost)
        source->bytes_lost += counts.lost - source->mark.lost;
    source->mark.lost = counts.lost;
}

/* How much of what is in view is given; 0: the line is not finished. */
static size_t item_length(const struct log_source *source, const struct log_view *view)
{
    const char *newline;

    if (view->len >= source->remaining)
        return (size_t)source->remaining;
    if (view->is_end && !source->follows)
        return view->len;
    newline = memrchr(view->bytes, '\n', view->len);
    if (newline != NULL)
        return (size_t)(newline - view->bytes) + 1;
    return view->is_end ? 0 : view->len;
}

static void advance(struct log_source *source, const struct log_view *view, size_t len)
{
    source->mark.place = log_view_place(view, &source->mark.place, len);
    source->mark.written += (int64_t)len;
    source->bytes_lost = 0;
    if (source->remaining != endless)
        source->remaining -= len;
}

static int give(struct log_source *source, const struct log_output *output,
    const struct log_view *view, struct log_item *out)
{
    size_t len = item_length(source, view);

    if (len == 0 && !view->is_end)
        return LOG_SOURCE_BUSY;
    if (len == 0)
        return source->follows ? LOG_SOURCE_IDLE : LOG_SOURCE_OVER;
    note_refused(source, output);
    *out = (struct log_item){.bytes = view->bytes,
        .len = len,
        .bytes_lost = source->bytes_lost,
        .at_ns = view->is_end && len == view->len ? view->written_at_ns : 0};
    advance(source, view, len);
    return 0;
}

int log_source_next(struct log_source *source, const struct log_output *output,
    struct log_view *scratch, struct log_item *out, struct error *error)
{
    struct log_counts before = counts_of(output);
    int result;

    if (source->remaining == 0)
        return LOG_SOURCE_OVER;
    if (before.id != source->mark.count_id)
        source->is_counted = false;
    result = log_view_read(scratch, output->path, &source->mark.place, error);
    if (result < 0)
        return result;
    if (result > 0) {
        jump(source, output, &scratch->restart);
        return LOG_SOURCE_BUSY;
    }
    if (!source->is_counted)
        count(source, output);
    if (!source->follows && source->remaining == endless)
        set_end(source, output);
    reconcile(source, scratch, &before);
    return give(source, output, scratch, out);
}
