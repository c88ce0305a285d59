#include "client/cli/endpoint.h"
#include "common/base/attributes.h"
#include "unit.h"

static void test_endpoint_url_of_every_kind_of_host(void **state)
{
    static const struct {
        const char *host;
        uint32_t port;
        const char *url;
    } rows[] = {{"127.0.0.1", 8000, "http://127.0.0.1:8000"}, {"::1", 80, "http://[::1]:80"},
        {"0.0.0.0", 1, "http://127.0.0.1:1"}, {"::", 2, "http://127.0.0.1:2"},
        {"localhost", 65535, "http://localhost:65535"}, {"", 3, "http://127.0.0.1:3"},
        {"127.0.0.1", 0, ""}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        char url[ENDPOINT_URL_MAX];
        endpoint_url(rows[i].host, rows[i].port, url);
        assert_string_equal(url, rows[i].url);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_endpoint_url_of_every_kind_of_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
