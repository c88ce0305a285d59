/* Records and their processes; the old control socket is legacy_control.c's. */
#include "client/cli/legacy.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client/cli/legacy_control.h"
#include "common/base/fd.h"

/* In the order in which they are ended: who restarts the others goes first. `programs`: a record
 * without a command line means a process whose own has one of them. */
static const struct {
    const char *name;
    const char *programs[4];
} services[] = {
    {"watchdog", {"flocks", NULL}},
    {"webui", {"vite", "npm", NULL}},
    {"backend", {"flocks", "uvicorn", NULL}},
};

/* ---- the record ---- */

static int parse_pid(json_int_t number, pid_t *out)
{
    if (number <= 1 || number > INT32_MAX)
        return -STATUS_INVALID_ARGUMENT;
    *out = (pid_t)number;
    return 0;
}

/* "+02:00", "-0530", "Z" or nothing behind a time; seconds east of UTC. False: not a zone. */
static bool parse_zone(const char *text, int64_t *out_s)
{
    *out_s = 0;
    if (strcmp(text, "Z") == 0)
        return true;
    if (text[0] != '+' && text[0] != '-')
        return false;
    char digits[5] = "";
    size_t n = 0;
    for (const char *p = text + 1; *p && n < 4; p++)
        if (*p != ':')
            digits[n++] = *p;
    if (n != 4 || strspn(digits, "0123456789") != 4)
        return false;
    int64_t minutes = ((digits[0] - '0') * 10 + (digits[1] - '0')) * 60 + (digits[2] - '0') * 10 +
                      digits[3] - '0';
    *out_s = (text[0] == '-' ? -minutes : minutes) * 60;
    return true;
}

/* ISO 8601 as Python's isoformat writes it; without a zone it is local time. */
static int64_t parse_time_text(const char *text)
{
    struct tm tm = {.tm_isdst = -1};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!rest)
        rest = strptime(text, "%Y-%m-%d %H:%M:%S", &tm);
    if (!rest)
        return LEGACY_NO_TIME;
    if (*rest == '.')
        rest += 1 + strspn(rest + 1, "0123456789");
    int64_t zone_s = 0;
    if (*rest == '\0')
        return (int64_t)mktime(&tm);
    return parse_zone(rest, &zone_s) ? (int64_t)timegm(&tm) - zone_s : LEGACY_NO_TIME;
}

static int64_t parse_time(const json_t *value)
{
    if (json_is_string(value))
        return parse_time_text(json_string_value(value));
    double seconds = json_is_number(value) ? json_number_value(value) : LEGACY_NO_TIME;
    return seconds > 0 && seconds < 1e12 ? (int64_t)seconds : LEGACY_NO_TIME;
}

static void take_command(const json_t *words, struct legacy_record *out)
{
    for (size_t i = 0; i < json_array_size(words); i++) {
        const json_t *word = json_array_get(words, i);
        size_t len = json_string_length(word) + 1;
        if (!json_is_string(word) || len > sizeof(out->command) - out->command_len)
            return;
        memcpy(out->command + out->command_len, json_string_value(word), len);
        out->command_len += len;
    }
}

int legacy_record_parse(const char *text, size_t len, struct legacy_record *out)
{
    *out = (struct legacy_record){.started_at_s = LEGACY_NO_TIME};
    json_t *root = json_loadb(text, len, JSON_DECODE_ANY, NULL);
    if (!root)
        return -STATUS_INVALID_ARGUMENT;
    bool is_bare = json_is_integer(root);
    const json_t *pid = is_bare ? root : json_object_get(root, "pid");
    int result = json_is_integer(pid) ? parse_pid(json_integer_value(pid), &out->pid)
                                      : -STATUS_INVALID_ARGUMENT;
    if (result == 0 && !is_bare) {
        out->started_at_s = parse_time(json_object_get(root, "started_at"));
        take_command(json_object_get(root, "command"), out);
    }
    json_decref(root);
    return result;
}

/* ---- does it mean this process? ---- */

static bool time_agrees(int64_t written_at_s, int64_t process_started_at_s)
{
    return process_started_at_s <= written_at_s + LEGACY_CLOCK_SLACK_S &&
           process_started_at_s >= written_at_s - LEGACY_WRITTEN_AFTER_S - LEGACY_CLOCK_SLACK_S;
}

static bool is_service_program(const char *service, const char *command)
{
    for (size_t i = 0; i < ARRAY_LENGTH(services); i++) {
        if (strcmp(services[i].name, service) != 0)
            continue;
        for (const char *const *program = services[i].programs; *program; program++)
            if (strstr(command, *program))
                return true;
    }
    return false;
}

/* Every word but options is in the process's command line: an interpreter may stand before a
 * script, and npm writes its own title over its arguments. */
static bool command_agrees(const struct legacy_record *record, const char *command)
{
    const char *end = record->command + record->command_len;
    for (const char *word = record->command; word < end; word += strlen(word) + 1) {
        const char *slash = word == record->command ? strrchr(word, '/') : NULL;
        if (word[0] != '-' && !strstr(command, slash ? slash + 1 : word))
            return false;
    }
    return true;
}

bool legacy_record_agrees(const struct legacy_record *record, const char *service,
    int64_t written_at_s, const struct process *process, int64_t process_started_at_s)
{
    int64_t recorded_at_s =
        record->started_at_s == LEGACY_NO_TIME ? written_at_s : record->started_at_s;
    if (record->pid != process->pid || process_started_at_s < 0 ||
        !time_agrees(recorded_at_s, process_started_at_s))
        return false;
    return record->command_len > 0 ? command_agrees(record, process->command)
                                   : is_service_program(service, process->command);
}

/* ---- ending ---- */

static void note(FILE *notes, const char *what, const char *service, const struct process *process)
{
    if (notes)
        fprintf(notes, "%s of an earlier flocks: %s, pid %d (%s)\n", service, what,
            (int)process->pid, process->executable);
}

static int end_recorded(const struct legacy_record *record, const char *service,
    int64_t written_at_s, FILE *notes, struct error *error)
{
    struct process process;
    int result = process_read(record->pid, &process, error);
    if (result != 0)
        return result < 0 ? result : 0;
    if (process.uid != geteuid() || !legacy_record_agrees(record, service, written_at_s, &process,
                                        process_started_at_s(&process))) {
        note(notes, "record names a foreign process, left alone", service, &process);
        return 0;
    }
    note(notes, "ending it", service, &process);
    return error_add_context(
        error, process_end(&process, true, LEGACY_GRACE_MS, error), "end the old %s", service);
}

static int clean_up_record(
    const struct paths *paths, const char *service, FILE *notes, struct error *error)
{
    char path[PATH_MAX + 32];
    struct stat file;
    (void)snprintf(path, sizeof(path), "%s/%s.pid", paths->run, service);
    if (lstat(path, &file) < 0 || !S_ISREG(file.st_mode))
        return 0;
    char *text = NULL;
    size_t len = 0;
    struct legacy_record record;
    int result = fd_read_file(path, LEGACY_RECORD_MAX_BYTES, &text, &len, error);
    if (result == 0 && legacy_record_parse(text, len, &record) == 0)
        result = end_recorded(&record, service, (int64_t)file.st_mtim.tv_sec, notes, error);
    free(text);
    if (result < 0)
        return result;
    if (unlink(path) < 0 && errno != ENOENT)
        return error_set_errno(error, errno, "remove old record %s", path);
    return 0;
}

int legacy_clean_up(const struct paths *paths, FILE *notes, struct error *error)
{
    int result = legacy_control_stop(paths, notes, error);
    for (size_t i = 0; result == 0 && i < ARRAY_LENGTH(services); i++)
        result = clean_up_record(paths, services[i].name, notes, error);
    return result;
}
