/* An application of all four kinds that does at random whatever crpc/call.h allows, and fails the
 * test when the engine breaks its side: hooks that nest, run twice, late or never, messages that
 * are lost, given twice or out of order. */
#ifndef FLOCKS_TESTS_RANDOM_SERVICE_H
#define FLOCKS_TESTS_RANDOM_SERVICE_H

#include "crpc/server.h"

enum { RANDOM_CALLS_MAX = 1024, RANDOM_KINDS = 4 };

struct random_app;

/* The server's side of one call. Both ends number calls (metadata "id") and messages alike. */
struct random_call {
    struct random_app *app;
    const struct rpc_method *method;
    /* NULL: not the handler's to touch any more. */
    struct rpc_call *call;
    bool has_begun;
    bool is_in_hook;
    bool was_half_closed;
    int n_closed;
    enum rpc_code closed_with;
    int n_cancelled;
    /* Messages sent, and taken; a message may be given again as long as it was answered LATER. */
    int n_sent;
    int n_taken;
};

struct random_app {
    uint64_t seed;
    /* Every call is brought to its end, with OK where possible. */
    bool is_ending;
    struct random_call calls[RANDOM_CALLS_MAX];
};

extern const struct rpc_method random_methods[RANDOM_KINDS];
struct rpc_service random_service(struct random_app *app);

/* Below `n`. */
unsigned random_below(struct random_app *app, unsigned n);
/* What an application does by itself: wakes, fails, answers or begins one of its calls. */
void random_act(struct random_app *app);
/* Ends what is held, wakes what sleeps. */
void random_end(struct random_app *app);
/* What must hold whenever the engine is not at work. */
void random_check(const struct random_app *app);
/* What must hold when no connection is left. */
void random_check_disconnected(const struct random_app *app);
/* The number in a text of both ends. */
int random_number(const char *text);

#endif
