/* Whole-process time of commands, run in turn so that a noisy moment meets all of them: prints
 * "INDEX NANOSECONDS" a line, INDEX being the command's place. Output of the commands goes nowhere.
 *
 *   bench-spawner ROUNDS -- COMMAND ... [-- COMMAND ...] */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "slots.h"

enum { COMMANDS_MAX = 16 };

extern char **environ;

static int run_once(char **command, int64_t *out_ns)
{
    posix_spawn_file_actions_t actions;
    pid_t pid = 0;
    if (command[0] == NULL)
        return 1;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return 1;
    (void)posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    (void)posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    int64_t began_ns = slots_now_ns();
    int result = posix_spawnp(&pid, command[0], &actions, NULL, command, environ);
    if (result == 0 && waitpid(pid, NULL, 0) != pid)
        result = 1;
    *out_ns = slots_now_ns() - began_ns;
    (void)posix_spawn_file_actions_destroy(&actions);
    return result;
}

/* Cuts the argument list at each "--"; the number of commands. */
static int split(int argument_count, char **arguments, char **commands[COMMANDS_MAX])
{
    int count = 0;
    for (int i = 2; i < argument_count; i++) {
        if (strcmp(arguments[i], "--") != 0)
            continue;
        arguments[i] = NULL;
        if (count < COMMANDS_MAX && i + 1 < argument_count)
            commands[count++] = &arguments[i + 1];
    }
    return count;
}

int main(int argument_count, char **arguments)
{
    char **commands[COMMANDS_MAX];
    long rounds = argument_count > 3 ? strtol(arguments[1], NULL, 10) : 0;
    int count = split(argument_count, arguments, commands);
    if (rounds <= 0 || count == 0) {
        (void)fprintf(stderr, "usage: %s ROUNDS -- COMMAND ... [-- COMMAND ...]\n", arguments[0]);
        return 2;
    }
    for (long round = 0; round < rounds; round++) {
        for (int i = 0; i < count; i++) {
            int64_t took_ns = 0;
            if (run_once(commands[i], &took_ns) != 0) {
                (void)fprintf(stderr, "cannot run command %d\n", i + 1);
                return 1;
            }
            (void)printf("%d %lld\n", i, (long long)took_ns);
        }
    }
    return 0;
}
