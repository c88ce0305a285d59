/* The echo services in flocksd's own transport (src/server/transport). */
#ifndef FLOCKS_BENCH_ECHO_TRANSPORT_H
#define FLOCKS_BENCH_ECHO_TRANSPORT_H

/* Serves for ever; its return is the program's exit code. */
int echo_transport_serve(int listen_fd);

#endif
