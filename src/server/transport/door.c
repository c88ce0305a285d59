#include "server/transport/door.h"

enum door door_of(uint8_t first_byte)
{
    if (first_byte == 0x00)
        return DOOR_TTRPC;
    if (first_byte == 'P')
        return DOOR_HTTP2;
    return DOOR_NONE;
}

const uint8_t *door_http2_goodbye(size_t *out_len)
{
    /* RFC 9113: frame header (4.1), SETTINGS (6.5), GOAWAY (6.8) of last stream 0, REFUSED_STREAM
     * (7), and 31 bytes of text. */
    static const uint8_t frames[] = "\0\0\0\x04\0\0\0\0\0"
                                    "\0\0\x27\x07\0\0\0\0\0"
                                    "\0\0\0\0\0\0\0\x07"
                                    "flocksd serves ttrpc, not gRPC.";
    enum { HEADERS = 9 + 9 + 8, TEXT = 31 };

    _Static_assert(sizeof(frames) == HEADERS + TEXT + 1, "GOAWAY's length is 8 + TEXT");
    _Static_assert(8 + TEXT == 0x27, "GOAWAY's length is 8 + TEXT");
    *out_len = sizeof(frames) - 1;
    return frames;
}
