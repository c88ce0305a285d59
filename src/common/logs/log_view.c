#include "common/logs/log_view.h"

#include "common/base/fd.h"

/* What is being read. */
struct source {
    const char *path;
    int fd;
    struct log_file_facts facts;
};

static uint64_t end_offset(const struct log_view *view)
{
    const struct log_piece *last = &view->pieces[view->n_pieces - 1];

    return last->offset + (view->len - last->begin);
}

static void begin_piece(struct log_view *view, struct log_file_id file, uint64_t offset)
{
    view->pieces[view->n_pieces++] =
        (struct log_piece){.file = file, .offset = offset, .begin = view->len};
}

/* The rest of the open file, as far as there is room. */
static int read_rest(struct log_view *view, const struct source *source, struct error *error)
{
    size_t n = 0;
    int result = log_place_pread(source->fd, end_offset(view),
        view->memory + LOG_PLACE_CHECK_BYTES + view->len, LOG_VIEW_BYTES - view->len, &n, error);

    view->len += n;
    return result;
}

/* Once a newer file exists nobody writes to this one any more; what came since it was read is its
 * last. 0: the newer one is open, with nothing of the older one left; LOG_FILES_NONE: there is
 * none, or no room. */
static int turn_page(struct log_view *view, struct source *source, struct error *error)
{
    CLEANUP(fd_close) int newer = -1;
    struct log_file_facts facts;
    int result = log_files_open_newer(source->path, source->facts.id, &newer, &facts, error);

    if (result != 0) {
        view->is_end = result == LOG_FILES_NONE;
        return result < 0 ? result : LOG_FILES_NONE;
    }
    result = read_rest(view, source, error);
    if (result < 0)
        return result;
    if (view->len == LOG_VIEW_BYTES || view->n_pieces == LOG_VIEW_PIECES_MAX)
        return LOG_FILES_NONE;
    fd_close(&source->fd);
    source->fd = fd_take(&newer);
    source->facts = facts;
    begin_piece(view, facts.id, 0);
    return 0;
}

static int fill(struct log_view *view, struct source *source, struct error *error)
{
    int result = 0;

    while (result == 0) {
        result = read_rest(view, source, error);
        if (result < 0 || view->len == LOG_VIEW_BYTES)
            return result;
        result = turn_page(view, source, error);
    }
    return result < 0 ? result : 0;
}

/* The bytes before the place, which stay before those that are read. False: they are not those that
 * it is known by. */
static int recognise(struct log_view *view, const struct source *source,
    const struct log_place *place, bool *out, struct error *error)
{
    size_t wanted = log_place_check_length(place->offset);
    char *before = view->memory + LOG_PLACE_CHECK_BYTES - wanted;
    size_t len = 0;
    int result = log_place_pread(source->fd, place->offset - wanted, before, wanted, &len, error);

    *out = len == wanted && (wanted == 0 || log_place_check(before, len) == place->check);
    return result;
}

static int open_source(struct source *source, const struct log_place *place, struct error *error)
{
    if (place->file.number == 0)
        return log_files_open_oldest(source->path, &source->fd, &source->facts, error);
    return log_files_open(source->path, place->file, &source->fd, &source->facts, error);
}

/* What there is instead of a file that has gone; nothing yet is no loss yet. */
static int find_survivor(struct log_view *view, struct source *source,
    const struct log_place *place, struct error *error)
{
    int result =
        log_files_open_survivor(source->path, place->file, &source->fd, &source->facts, error);

    view->is_end = result != 0;
    if (result != 0)
        return result < 0 ? result : 0;
    view->restart = (struct log_place){.file = source->facts.id};
    return LOG_VIEW_LOST;
}

static int view_read(struct log_view *view, struct source *source, const struct log_place *place,
    struct error *error)
{
    bool is_known = false;
    int result = open_source(source, place, error);

    if (result == LOG_FILES_LOST)
        return find_survivor(view, source, place, error);
    view->is_end = result == LOG_FILES_NONE;
    if (result != 0)
        return result < 0 ? result : 0;
    result = recognise(view, source, place, &is_known, error);
    if (result < 0)
        return result;
    if (!is_known) {
        view->restart = (struct log_place){.file = source->facts.id};
        return LOG_VIEW_TRUNCATED;
    }
    begin_piece(view, source->facts.id, place->offset);
    result = fill(view, source, error);
    view->written_at_ns = source->facts.written_at_ns;
    return result;
}

int log_view_read(
    struct log_view *view, const char *path, const struct log_place *place, struct error *error)
{
    struct source source = {.path = path, .fd = -1};
    int result;

    view->bytes = view->memory + LOG_PLACE_CHECK_BYTES;
    view->len = 0;
    view->n_pieces = 0;
    view->is_end = false;
    view->written_at_ns = 0;
    result = view_read(view, &source, place, error);
    fd_close(&source.fd);
    return result < 0 ? error_add_context(error, result, "%s", path) : result;
}

struct log_place log_view_place(
    const struct log_view *view, const struct log_place *before, size_t n)
{
    const struct log_piece *piece = view->pieces;
    size_t len;

    if (n == 0)
        return *before;
    for (size_t i = 1; i < view->n_pieces && view->pieces[i].begin <= n; i++)
        piece = &view->pieces[i];
    len = n - piece->begin;
    /* Of the first piece, what stood before it is there too. */
    if (piece == view->pieces)
        len += log_place_check_length(piece->offset);
    return (struct log_place){.file = piece->file,
        .offset = piece->offset + (n - piece->begin),
        .check = log_place_check(view->bytes + n - len, len)};
}
