/* The benchmarked service: says when it was started and sleeps. Static, so that what is measured is
 * the supervisor and not the dynamic linker.
 *
 *   bench-service SLOTS INDEX               in the foreground
 *   bench-service --detach PIDFILE SLOTS INDEX    as monit wants it: forks, writes its pid, returns
 *   ./run                                   as s6 and runit want it: reads "slot" ("INDEX SLOTS")
 * here */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "slots.h"

enum { LINE_MAX_BYTES = 4096 };

static int serve(const char *path, const char *index, int64_t started_ns)
{
    struct slot *slots = slots_open(path);
    unsigned long number = strtoul(index, NULL, 10);
    if (slots == NULL || number >= SLOTS_MAX)
        return 1;
    slot_announce(&slots[number], started_ns);
    for (;;)
        (void)pause();
}

static int serve_from_file(int64_t started_ns)
{
    char line[LINE_MAX_BYTES] = "";
    FILE *file = fopen("slot", "re");
    if (file == NULL || fgets(line, sizeof line, file) == NULL) {
        perror("slot");
        return 1;
    }
    (void)fclose(file);
    line[strcspn(line, "\n")] = '\0';
    char *path = strchr(line, ' ');
    if (path == NULL)
        return 1;
    *path++ = '\0';
    return serve(path, line, started_ns);
}

static int detach(char **arguments, int64_t started_ns)
{
    pid_t pid = fork();
    if (pid < 0)
        return 1;
    if (pid == 0) {
        (void)setsid();
        return serve(arguments[3], arguments[4], started_ns);
    }
    FILE *file = fopen(arguments[2], "we");
    if (file == NULL || fprintf(file, "%d\n", (int)pid) < 0)
        return 1;
    return fclose(file) != 0;
}

int main(int argument_count, char **arguments)
{
    int64_t started_ns = slots_now_ns();
    if (argument_count <= 2)
        return serve_from_file(started_ns);
    if (argument_count == 3)
        return serve(arguments[1], arguments[2], started_ns);
    if (argument_count == 5 && strcmp(arguments[1], "--detach") == 0)
        return detach(arguments, started_ns);
    (void)fprintf(stderr, "usage: %s SLOTS INDEX\n", arguments[0]);
    return 2;
}
