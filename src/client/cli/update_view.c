#include "client/cli/update_view.h"

#include <string.h>

#include "client/cli/safe_text.h"
#include "client/cli/table.h"
#include "client/cli/terminal.h"
#include "client/cli/wording.h"

enum { PER_CENT = 100, LINE_SIZE = 1024 };

/* A line of others, as much of it as one screen line may need. */
static void print_cut(const char *text, FILE *stream)
{
    char safe[LINE_SIZE];
    safe_text_copy(text, safe, sizeof(safe));
    fputs(safe, stream);
}

/* ---- progress ---- */

void update_view_step(const flocks_upgrade_progress *progress, bool color, FILE *stream)
{
    if (progress->step_number > 0 && progress->steps > 0)
        fprintf(stream, "%s[%u/%u]%s ", terminal_color(TERMINAL_BOLD, color), progress->step_number,
            progress->steps, terminal_reset(color));
    /* Its message is why. */
    bool is_back = progress->step == FLOCKS_UPGRADE_STEP_ROLLING_BACK;
    if (is_back || !progress->message[0])
        fputs(wording_upgrade_step((int)progress->step).text, stream);
    if (is_back && progress->message[0])
        fputs(": ", stream);
    print_cut(progress->message, stream);
}

static unsigned per_cent(const struct update_bytes *bytes)
{
    double share = (double)bytes->done / (double)bytes->total;
    return share < 1 ? (unsigned)(share * PER_CENT) : PER_CENT;
}

void update_view_bytes(const struct update_bytes *bytes, FILE *stream)
{
    if (bytes->total > 0)
        fprintf(stream, "%u%%, %s of %s", per_cent(bytes), wording_bytes(bytes->done).text,
            wording_bytes(bytes->total).text);
    else
        fputs(wording_bytes(bytes->done).text, stream);
    bool is_whole = bytes->total > 0 && bytes->done >= bytes->total;
    if (bytes->per_s >= 0 && !is_whole)
        fprintf(stream, ", %s/s", wording_bytes((uint64_t)bytes->per_s).text);
    if (bytes->left_s >= 0 && !is_whole)
        fprintf(stream, ", %s left", wording_age(bytes->left_s).text);
}

void update_view_bar(const struct update_bytes *bytes, FILE *stream)
{
    if (bytes->total == 0)
        return;
    unsigned filled = per_cent(bytes) * UPDATE_BAR_WIDTH / PER_CENT;
    fputc('[', stream);
    for (unsigned i = 0; i < UPDATE_BAR_WIDTH; i++)
        fputc(i < filled ? '=' : i == filled ? '>' : ' ', stream);
    /* The numbers behind it stay where they are. */
    fprintf(stream, "]%s", per_cent(bytes) < 10 ? "   " : per_cent(bytes) < PER_CENT ? "  " : " ");
}

/* ---- what there is ---- */

static void print_fact(const char *label, const char *text, FILE *stream)
{
    if (!text[0])
        return;
    fprintf(stream, "  %-8s ", label);
    print_cut(text, stream);
    fputc('\n', stream);
}

void update_view_versions(const char *from, const char *to, FILE *stream)
{
    if (from[0]) {
        print_cut(from, stream);
        fputs(" -> ", stream);
    }
    print_cut(to, stream);
}

static const char *how_it_compares(const flocks_update_check *check)
{
    if (check->is_newer || !check->current_version[0])
        return "";
    return strcmp(check->version, check->current_version) == 0 ? " (again)" : " (not newer)";
}

static void print_choice(const flocks_update_check *check, bool color, FILE *stream)
{
    fputs(terminal_color(TERMINAL_BOLD, color), stream);
    update_view_versions(check->current_version, check->version, stream);
    fprintf(stream, "%s%s\n", terminal_reset(color), how_it_compares(check));
    print_fact("from", check->source, stream);
    if (check->asset[0] && check->size > 0) {
        fputs("  file     ", stream);
        print_cut(check->asset, stream);
        fprintf(stream, ", %s\n", wording_bytes(check->size).text);
    } else {
        print_fact("file", check->asset[0] ? check->asset : "on the disk already", stream);
    }
}

void update_view_failures(const flocks_update_check *check, FILE *stream)
{
    for (size_t i = 0; i < check->n_failures; i++) {
        fputs("not reached: ", stream);
        print_cut(check->failures[i], stream);
        fputc('\n', stream);
    }
}

void update_view_check(const flocks_update_check *check, bool color, FILE *stream)
{
    update_view_failures(check, stream);
    if (check->version[0]) {
        print_choice(check, color, stream);
    } else {
        fputs(check->current_version[0] ? "nothing newer than " : "no release was found", stream);
        print_cut(check->current_version, stream);
        fputc('\n', stream);
    }
}

/* One line, cut to the columns that a terminal surely has. */
static void print_notes_line(const char *line, size_t len, FILE *stream)
{
    char text[LINE_SIZE];
    char safe[LINE_SIZE];
    size_t n = len < sizeof(text) ? len : sizeof(text) - 1;
    memcpy(text, line, n);
    text[n] = '\0';
    for (char *tab = strchr(text, '\t'); tab; tab = strchr(tab, '\t'))
        *tab = ' ';
    safe_text_copy(text, safe, sizeof(safe));
    size_t fits = safe_text_cut(safe, strlen(safe), UPDATE_NOTES_COLUMNS);
    fprintf(stream, "  | %.*s%s\n", (int)fits, safe, fits < strlen(safe) ? "..." : "");
}

static size_t line_length(const char *text)
{
    return strcspn(text, "\n");
}

static const char *behind_line(const char *text)
{
    size_t len = line_length(text);
    return text + len + (text[len] == '\n');
}

void update_view_notes(const flocks_update_check *check, bool color, FILE *stream)
{
    const char *text = check->notes;
    size_t n_more = 0;
    for (size_t i = 0; *text && i < UPDATE_NOTES_LINES; i++, text = behind_line(text)) {
        size_t len = line_length(text);
        /* A file of another system. */
        len -= len > 0 && text[len - 1] == '\r';
        print_notes_line(text, len, stream);
    }
    for (; *text; text = behind_line(text))
        n_more++;
    if (n_more > 0)
        fprintf(stream, "  %s... %zu more line%s%s\n", terminal_color(TERMINAL_DIM, color), n_more,
            n_more == 1 ? "" : "s", terminal_reset(color));
    print_fact("page", check->page, stream);
}

static const char *state_of(const flocks_update_release *release)
{
    if (release->is_current)
        return "current";
    if (release->is_installed)
        return "on the disk";
    return release->is_available ? "available" : "-";
}

bool update_view_list(const flocks_update_check *check, bool color, FILE *stream)
{
    static const char *const headings[] = {"VERSION", "STATE", ""};
    if (check->n_releases == 0) {
        fputs("no release, neither here nor at a source\n", stream);
        return true;
    }
    struct table *table = table_new(headings, ARRAY_LENGTH(headings));
    if (!table)
        return false;
    for (size_t i = 0; i < check->n_releases; i++) {
        const flocks_update_release *release = check->releases[i];
        table_cell(table, TERMINAL_PLAIN, "%s", release->version);
        table_cell(
            table, release->is_current ? TERMINAL_GREEN : TERMINAL_PLAIN, "%s", state_of(release));
        table_cell(table, TERMINAL_YELLOW, "%s%s%s", release->is_withdrawn ? "withdrawn" : "",
            release->is_withdrawn && release->is_prerelease ? ", " : "",
            release->is_prerelease ? "pre-release" : "");
    }
    bool is_whole = table_print(table, stream, color);
    table_free(table);
    return is_whole;
}

/* ---- the end ---- */

void update_view_end(const flocks_upgrade_progress *progress, int64_t took_s, FILE *stream)
{
    bool names_versions =
        progress->to_version[0] && !strstr(progress->message, progress->to_version);
    if (names_versions) {
        update_view_versions(progress->from_version, progress->to_version, stream);
        fputs(progress->message[0] ? ": " : "", stream);
    }
    if (progress->message[0])
        print_cut(progress->message, stream);
    else if (!names_versions)
        fputs("done", stream);
    if (progress->not_verified && strstr(progress->message, "not verified") == NULL)
        fputs("; not verified", stream);
    fprintf(stream, " (%s)", wording_age(took_s).text);
}

void update_view_present(
    const flocks_upgrade_progress *progress, int64_t now_s, bool color, FILE *stream)
{
    const struct update_bytes bytes = {
        .done = progress->bytes_done, .total = progress->bytes_total, .per_s = -1, .left_s = -1};
    fputs("upgrade ", stream);
    if (progress->to_version[0])
        update_view_versions(progress->from_version, progress->to_version, stream);
    fputs(progress->to_version[0] ? ": " : "under way: ", stream);
    update_view_step(progress, color, stream);
    if (bytes.done > 0) {
        fputs(", ", stream);
        update_view_bytes(&bytes, stream);
    }
    if (progress->began_at)
        fprintf(stream, ", for %s", wording_age(now_s - progress->began_at->seconds).text);
    fputs(" (", stream);
    print_cut(progress->upgrade_id, stream);
    fputs(")\n", stream);
}
