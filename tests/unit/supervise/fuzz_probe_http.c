/* Any bytes as an answer, cut anywhere: the first byte chooses the pieces' size. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "server/supervise/probe_http.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const struct probe_pair expected[] = {{"status", "healthy"}, {"a.b", "1"}};
    const struct probe_http http = {.path = "/", .expect = expected, .expect_count = 2};
    struct probe_judge *judge = NULL;
    struct probe_result result;
    if (len == 0 || probe_judge_new(&http, &judge, NULL) != 0)
        return 0;
    size_t step = (size_t)bytes[0] + 1;
    bool is_decided = false;
    for (size_t at = 1; at < len && !is_decided; at += step)
        is_decided =
            probe_judge_feed(judge, (const char *)bytes + at, step < len - at ? step : len - at);
    if (!is_decided)
        is_decided = probe_judge_feed(judge, NULL, 0);
    assert(is_decided);
    probe_judge_result(judge, &result);
    assert(memchr(result.message, '\0', sizeof result.message) != NULL);
    probe_judge_free(judge);
    return 0;
}
