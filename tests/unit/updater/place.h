/* A private directory of a test program, files in it, and the programs that tests use. Failures end
 * the test program. */
#ifndef FLOCKS_TESTS_UPDATER_PLACE_H
#define FLOCKS_TESTS_UPDATER_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* One for the whole program, made by the first and removed by the last: for group fixtures of
 * cmocka. */
int place_open(void **state);
int place_close(void **state);

/* "<directory>/<name>". Static storage of 64, used in turn. */
const char *place_path(const char *name);

void place_write(const char *name, const void *bytes, size_t len);
void place_write_text(const char *name, const char *text);
/* `len` bytes that no two files have in common. */
void place_write_noise(const char *name, size_t len, unsigned seed);
/* NUL-terminated, the caller frees it; `out_len` may be NULL. */
char *place_read(const char *name, size_t *out_len);
bool place_has(const char *name);
/* A descriptor for reading. */
int place_open_file(const char *name);

/* Runs a program to its end, with the directory as working directory and nothing as input; it has
 * to succeed. */
void place_run(const char *const arguments[]);
/* Starts one; its standard output is *out_fd, its standard input the other end of a pipe that
 * closes with this process. */
pid_t place_start(const char *const arguments[], int *out_fd);

/* server.py over http and https on these ports, with a certificate "tls.pem" made for it;
 * place_close ends it. */
struct place_server {
    int port;
    int port_tls;
};
struct place_server place_serve(const char *script);

#endif
