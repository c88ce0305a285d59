/* Any bytes as any call: the first says which method, the rest is the payload. An answer must fit
 * the size that the generated header promises, and must be readable by the calling side. */
#include <assert.h>
#include <string.h>

#include "crpc/tiny/v1/tiny.nano.h"

static enum rpc_code echo(
    void *self, const tiny_echo_request *request, tiny_echo_response *response)
{
    (void)self;
    assert(strlen(request->text) < sizeof(request->text));
    memcpy(response->text, request->text, sizeof(response->text));
    for (size_t i = 0; i < request->numbers_count; i++)
        response->sum += request->numbers[i];
    return RPC_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct tiny_handlers HANDLERS = {.echo = echo};
    static struct tiny_scratch scratch;
    if (size == 0)
        return 0;
    const char *method = data[0] % 2 == 0 ? TINY_ECHO_METHOD : TINY_LATER_METHOD;
    uint8_t answer[TINY_RESPONSE_MAX];
    size_t answer_len;
    enum rpc_code code = tiny_dispatch(&HANDLERS, NULL, &scratch, method, strlen(method), data + 1,
        size - 1, answer, sizeof(answer), &answer_len);
    assert(code != RPC_INTERNAL);
    tiny_echo_response response;
    if (code == RPC_OK)
        assert(tiny_echo_decode_response(answer, answer_len, &response));
    return 0;
}
