#include "server/supervise/socket_search.h"

#include <stdio.h>

bool socket_location_holds(const struct socket_location *location, uint64_t inode)
{
    uint64_t found = 0;

    return location->process.pid > 0 && location->inode == inode &&
           proc_socket_inode(location->process.pid, location->descriptor, &found) == 0 &&
           found == inode && process_is_alive(&location->process);
}

size_t socket_search_missing(const struct socket_search *search)
{
    size_t i = 0;

    while (i < search->count && search->found[i].process.pid != 0)
        i++;
    return i;
}

void socket_search_note(
    struct socket_search *search, const struct process_id *process, int descriptor, uint64_t inode)
{
    for (size_t i = 0; i < search->count; i++) {
        if (search->inodes[i] == inode)
            search->found[i] = (struct socket_location){
                .inode = inode, .process = *process, .descriptor = descriptor};
    }
}

void socket_search_forget(struct socket_search *search, const struct process_id *process)
{
    for (size_t i = 0; i < search->count; i++) {
        if (search->found[i].process.pid == process->pid)
            search->found[i] = (struct socket_location){0};
    }
}

int socket_search_process(struct socket_search *search, const struct process_id *process)
{
    char path[64];
    struct proc_walk walk;
    int descriptor = 0;
    int result;

    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)process->pid);
    result = proc_walk_open(&walk, path);
    if (result != 0)
        return result;
    for (int seen = 0; socket_search_missing(search) < search->count; seen++) {
        uint64_t inode = 0;

        if (!proc_walk_next(&walk, &descriptor))
            break;
        if (seen == SOCKET_SEARCH_DESCRIPTORS_MAX) {
            result = PROC_HIDDEN;
            break;
        }
        if (proc_socket_inode(process->pid, descriptor, &inode) == 0)
            socket_search_note(search, process, descriptor, inode);
    }
    proc_walk_close(&walk);
    if (!process_is_alive(process)) {
        socket_search_forget(search, process);
        result = PROC_GONE;
    }
    return result;
}

/* A number that `parent` has called its child, if it still is one. */
static bool identify_child(pid_t pid, const struct process_id *parent, struct process_id *out)
{
    struct proc_stat stat;

    if (proc_stat_read(pid, &stat) != 0 || stat.is_dead || stat.parent != parent->pid)
        return false;
    *out = (struct process_id){.pid = pid, .start_ticks = stat.start_ticks};
    return true;
}

int socket_search_family(struct socket_search *search, const struct process_id *leader)
{
    struct process_id family[SOCKET_SEARCH_FAMILY_MAX] = {*leader};
    pid_t children[SOCKET_SEARCH_FAMILY_MAX];
    size_t n_family = 1;
    int worst = 0;

    for (size_t i = 0; i < n_family && socket_search_missing(search) < search->count; i++) {
        size_t n = 0;
        int result = socket_search_process(search, &family[i]);

        if (result != PROC_GONE && result > worst)
            worst = result;
        if (proc_children_read(family[i].pid, children, SOCKET_SEARCH_FAMILY_MAX - n_family, &n) !=
            0)
            continue;
        for (size_t k = 0; k < n; k++) {
            if (identify_child(children[k], &family[i], &family[n_family]))
                n_family++;
        }
    }
    return worst;
}
