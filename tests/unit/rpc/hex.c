#include "hex.h"

#include "unit.h"

static unsigned digit(char c)
{
    const char *digits = "0123456789abcdef";
    const char *place = strchr(digits, c);
    assert_non_null(place);
    return (unsigned)(place - digits);
}

size_t hex_decode(const char *text, uint8_t *out, size_t capacity)
{
    size_t n = 0;
    while (*text != '\0') {
        if (*text == ' ') {
            text++;
        } else if (*text == '\'') {
            for (text++; *text != '\''; text++) {
                assert_true(n < capacity);
                out[n++] = (uint8_t)*text;
            }
            text++;
        } else {
            assert_true(n < capacity);
            out[n++] = (uint8_t)(digit(text[0]) << 4 | digit(text[1]));
            text += 2;
        }
    }
    return n;
}

void hex_assert_equal(const uint8_t *bytes, size_t len, const char *expected)
{
    static uint8_t wanted[1 << 16];
    size_t wanted_len = hex_decode(expected, wanted, sizeof wanted);
    if (len == wanted_len && (len == 0 || memcmp(bytes, wanted, len) == 0))
        return;
    print_error("expected (%zu):", wanted_len);
    for (size_t i = 0; i < wanted_len; i++)
        print_error(" %02x", wanted[i]);
    print_error("\nfound    (%zu):", len);
    for (size_t i = 0; i < len; i++)
        print_error(" %02x", bytes[i]);
    print_error("\n");
    fail();
}
