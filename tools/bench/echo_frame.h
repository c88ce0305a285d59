/* A request of bench.v1.EchoService as its bytes, made once: a load that costs nearly nothing. */
#ifndef FLOCKS_BENCH_ECHO_FRAME_H
#define FLOCKS_BENCH_ECHO_FRAME_H

#include <stddef.h>
#include <stdint.h>

/* `count` equal frames one after the other, each `*out_len` long, with a payload of `payload_len`
 * bytes and the deadline that the generated client sends. The caller's, freed with free; NULL
 * without memory. */
uint8_t *echo_frames_new(size_t payload_len, size_t count, size_t *out_len);

/* Gives the first `count` frames the stream ids `first`, `first` + 2 and so on. */
void echo_frames_number(uint8_t *frames, size_t frame_len, size_t count, uint32_t first);

/* Bytes of a successful answer with as long a payload, its header included. */
size_t echo_answer_len(size_t payload_len);

#endif
