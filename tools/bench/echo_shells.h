/* What does the I/O for the engine. Each serves for ever; its return is the program's exit code. */
#ifndef FLOCKS_BENCH_ECHO_SHELLS_H
#define FLOCKS_BENCH_ECHO_SHELLS_H

/* A hundred lines over epoll: one read and one write per readable connection. */
int echo_serve_epoll(int listen_fd);
/* src/server/transport. */
int echo_serve_flocksd(int listen_fd, const char *path);

#endif
